"""What Recall's refusals mean to us: each is named by who acts next."""

from __future__ import annotations

from shared.errors import PermanentError, TransientError


class NotFound(PermanentError):
    """404: Recall knows no such thing in this workspace and region; treat it as gone."""

    def __init__(self) -> None:
        super().__init__("recall_not_found", "Recall knows no such resource.")


class Refused(PermanentError):
    """400 and the like: repeating the same request cannot help.

    `detail_code` is Recall's own code, `fields` the names of the offending fields; Recall's
    texts stay out, since they may quote what we sent.
    """

    def __init__(
        self, *, status: int, detail_code: str | None = None, fields: tuple[str, ...] = ()
    ) -> None:
        super().__init__("recall_refused", f"Recall refused the request with {status}.")
        self.status = status
        self.detail_code = detail_code
        self.fields = fields


class Unauthorized(PermanentError):
    """401: the API key is missing, wrong or of another region."""

    def __init__(self) -> None:
        super().__init__("recall_unauthorized", "Recall does not accept the API key.")


class OutOfCredit(PermanentError):
    """402: the workspace has no credit left."""

    def __init__(self) -> None:
        super().__init__("recall_out_of_credit", "The Recall workspace is out of credit.")


class Blocked(PermanentError):
    """403: Recall's firewall stopped the payload or the address it came from."""

    def __init__(self) -> None:
        super().__init__("recall_blocked", "Recall's firewall stopped the request.")


class AlreadyDispatched(PermanentError):
    """The bot is on its way and cannot be deleted; it can be told to leave its call."""

    def __init__(self) -> None:
        super().__init__("recall_already_dispatched", "The bot has already been sent.")


class Unexpected(PermanentError):
    """An answer that the published interface does not know; `code` says in which way."""


class Conflicted(TransientError):
    """409: the same thing is being done at this moment; back off and repeat."""

    def __init__(self, *, retry_after: float | None = None) -> None:
        message = "Recall is doing the same thing already."
        super().__init__("recall_conflict", message, retry_after=retry_after)


class Throttled(TransientError):
    """429: over the rate limit of this endpoint."""

    def __init__(self, *, retry_after: float) -> None:
        message = "Recall's rate limit is reached."
        super().__init__("recall_throttled", message, retry_after=retry_after)


class PoolEmpty(TransientError):
    """507: no ad-hoc bot is free. Recall replays this answer to the same Idempotency-Key."""

    def __init__(self, *, retry_after: float) -> None:
        super().__init__("recall_pool_empty", "No ad-hoc bot is free.", retry_after=retry_after)


class Unavailable(TransientError):
    """No answer, a broken one or a 5xx; a write may have happened all the same."""

    def __init__(self, *, retry_after: float | None = None) -> None:
        super().__init__("recall_unavailable", "Recall did not answer.", retry_after=retry_after)
