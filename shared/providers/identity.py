"""Whose account it is, read from an id_token or user-info."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from shared.providers.provider import Provider, issuer_matches

EMAIL_CHARACTERS_MAX = 320
ID_TOKEN_PARTS = 3


def email_in_id_token(id_token: str, *, provider: Provider, client_id: str) -> str | None:
    """The address in an id_token meant for us, else None.

    It came over TLS from the token endpoint itself, so its signature need not be checked
    (OpenID Connect Core 3.1.3.7, point 6); issuer and audience are. One that is not ours
    is no evidence of an account, and user-info is asked instead.
    """
    claims = _claims(id_token)
    if not issuer_matches(provider, str(claims.get("iss"))):
        return None
    if client_id not in _audience(claims):
        return None
    return email_of_claims(claims)


def email_of_claims(claims: Mapping[str, object]) -> str | None:
    """`email`, unless the provider calls it unverified.

    Microsoft's `preferred_username` is no substitute: it is a sign-in name that may differ
    from the mailbox, and would name a second account for one calendar. None is settled by
    Recall's first sync.
    """
    email = claims.get("email")
    if not isinstance(email, str) or str(claims.get("email_verified")).casefold() == "false":
        return None  # Google writes it as a boolean, some as text
    email = email.strip()
    plausible = email.isprintable() and " " not in email and "@" in email[1:-1]
    return email if plausible and len(email) <= EMAIL_CHARACTERS_MAX else None


def _claims(id_token: str) -> Mapping[str, object]:
    parts = id_token.split(".")
    if len(parts) != ID_TOKEN_PARTS:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _audience(claims: Mapping[str, object]) -> list[object]:
    audience = claims.get("aud")
    return audience if isinstance(audience, list) else [audience]
