"""Why a connect did not work: stable codes for the host, plain sentences for the person."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """`error` on the return address, `failure` of a session, heading of a page."""

    LINK_UNKNOWN = "link_unknown"
    LINK_USED = "link_used"
    LINK_EXPIRED = "link_expired"
    STATE_UNKNOWN = "state_unknown"
    STATE_EXPIRED = "state_expired"
    STATE_REPLAYED = "state_replayed"
    WRONG_BROWSER = "wrong_browser"
    PLATFORM_MISMATCH = "platform_mismatch"
    ISSUER_MISMATCH = "issuer_mismatch"
    CONSENT_REFUSED = "consent_refused"
    PROVIDER_ERROR = "provider_error"
    SCOPE_MISSING = "scope_missing"
    REFRESH_TOKEN_MISSING = "refresh_token_missing"  # noqa: S105 - a code, not a token
    ACCOUNT_MISMATCH = "account_mismatch"
    GRANT_INVALID = "grant_invalid"
    RECALL_REFUSED = "recall_refused"
    COMPLETION_CODE_INVALID = "completion_code_invalid"


SENTENCES = {
    Refusal.LINK_UNKNOWN: "This link is not one of ours. Please ask for a new one.",
    Refusal.LINK_USED: "This link was already used. Please ask for a new one.",
    Refusal.LINK_EXPIRED: "This link has expired. Please ask for a new one.",
    Refusal.STATE_UNKNOWN: "This answer belongs to no connection we know. Please start again.",
    Refusal.STATE_EXPIRED: "The consent took longer than ten minutes. Please start again.",
    Refusal.STATE_REPLAYED: "This answer was already used. Please start again.",
    Refusal.WRONG_BROWSER: "The consent came from a different browser than the one that began.",
    Refusal.PLATFORM_MISMATCH: "The answer came from a different provider than the one asked.",
    Refusal.ISSUER_MISMATCH: "The answer names a different provider than the one asked.",
    Refusal.CONSENT_REFUSED: "Access to the calendar was not granted.",
    Refusal.PROVIDER_ERROR: "The calendar's provider could not finish. Please try again.",
    Refusal.SCOPE_MISSING: "Reading the calendar was not allowed. Please tick its box.",
    Refusal.REFRESH_TOKEN_MISSING: "The provider gave no lasting access. Please try again.",
    Refusal.ACCOUNT_MISMATCH: "That is a different account from the one to be reconnected.",
    Refusal.GRANT_INVALID: "The consent is no longer valid. Please give it again.",
    Refusal.RECALL_REFUSED: "The recording service did not accept the calendar.",
    Refusal.COMPLETION_CODE_INVALID: "The completion code is not the one that was handed out.",
}
