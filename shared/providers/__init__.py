"""Google and Microsoft: values and pure functions here, the one exchange in `door`."""

from shared.providers.provider import (
    Provider,
    answer_from,
    authorize_location,
    code_challenge,
    google,
    granted_calendar,
    issuer_matches,
    microsoft,
)

__all__ = [
    "Provider",
    "answer_from",
    "authorize_location",
    "code_challenge",
    "google",
    "granted_calendar",
    "issuer_matches",
    "microsoft",
]
