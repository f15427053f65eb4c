"""A provider's answer, and its refusals named by who acts next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from shared.errors import CallerError, PermanentError, TransientError

TEXT_CHARACTERS_MAX = 16_384
TOKEN_CHARACTERS_MAX = 10_000  # Recall's own limit for a refresh token
RETRY_AFTER_SECONDS_MAX = 3600.0

GRANT_WORDS = frozenset(
    {
        "access_denied",
        "consent_required",
        "interaction_required",
        "invalid_grant",
        "invalid_scope",
        "login_required",
    }
)
CLIENT_WORDS = frozenset(
    {
        "deleted_client",
        "disabled_client",
        "invalid_client",
        "org_internal",
        "redirect_uri_mismatch",
        "unauthorized_client",
    }
)
# Microsoft's number says more than its word: wrong or expired secret, client unknown or
# switched off, redirect address not registered.
CLIENT_NUMBERS = frozenset(
    {"7000215", "7000222", "7000218", "7000112", "700016", "50011", "500112", "500113"}
)
PASSING_WORDS = frozenset({"server_error", "temporarily_unavailable", "rate_limit_exceeded"})

SERVER_ERROR = 500
CLIENT_ERROR = 400
REQUEST_TIMEOUT = 408
TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A parsed answer; its fields may be secrets, so they do not show."""

    status: int
    fields: Mapping[str, object] = field(repr=False)
    retry_after: str = ""

    def text(self, name: str) -> str | None:
        """A non-empty text field of a bearable length, else None."""
        value = self.fields.get(name)
        if not isinstance(value, str) or len(value) > TEXT_CHARACTERS_MAX:
            return None
        return value or None

    @property
    def error(self) -> str | None:
        return self.text("error")


def is_token(text: str) -> bool:
    """Whether `text` may be a token or code: printable ASCII (RFC 6749 appendix A)."""
    return 0 < len(text) <= TOKEN_CHARACTERS_MAX and text.isascii() and text.isprintable()


def raise_refusal(answer: Answer) -> NoReturn:
    """Raise what an answer other than 200 means.

    No words of the provider go into the message: descriptions quote codes and addresses.
    """
    if _is_passing(answer):
        raise TransientError(
            "oauth_unavailable",
            f"The provider answered {answer.status}.",
            retry_after=_seconds(answer.retry_after),
        )
    if answer.error in CLIENT_WORDS or _microsoft_number(answer) in CLIENT_NUMBERS:
        raise PermanentError("oauth_client_refused", "The provider refuses our OAuth client.")
    if answer.error in GRANT_WORDS:
        raise CallerError("grant_invalid", "The provider no longer honours this grant.")
    if answer.status < CLIENT_ERROR or answer.error is None:
        raise TransientError("oauth_answer_malformed", "The provider's answer cannot be read.")
    raise PermanentError("oauth_request_refused", "The provider refuses the form of our request.")


def _is_passing(answer: Answer) -> bool:
    return (
        answer.status >= SERVER_ERROR
        or answer.status in {REQUEST_TIMEOUT, TOO_MANY_REQUESTS}
        or answer.error in PASSING_WORDS
    )


def _microsoft_number(answer: Answer) -> str | None:
    found = re.match(r"AADSTS(\d+)", answer.text("error_description") or "")
    return found.group(1) if found else None


def _seconds(retry_after: str) -> float | None:
    """Whole seconds of a `Retry-After`; its date form is not worth a clock here."""
    if not re.fullmatch(r"[0-9]{1,9}", retry_after):
        return None
    return min(float(retry_after), RETRY_AFTER_SECONDS_MAX)
