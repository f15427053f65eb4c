"""Errors named by who acts next; the HTTP and queue edges turn them into answers."""

from __future__ import annotations


class RollcallError(Exception):
    """Base of every expected error; anything else is a bug and crashes loudly."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class CallerError(RollcallError):
    """The caller must change the request (HTTP 4xx); `field` names the offending key."""

    def __init__(
        self, code: str, message: str, *, status: int = 400, field: str | None = None
    ) -> None:
        super().__init__(code, message)
        self.status = status
        self.field = field


class TransientError(RollcallError):
    """Time heals it; `retry_after` is in seconds when the other side said how long."""

    def __init__(self, code: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after


class PermanentError(RollcallError):
    """An operator must act: retrying unchanged cannot help."""
