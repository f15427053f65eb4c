"""What a browser carries through a connect: link, cookie, state, codes, and the way back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from urllib.parse import urlencode, urlsplit, urlunsplit

from shared.domain.secret import Secret

SESSION_PREFIX = "cs_"
COOKIE_NAME = "__Host-rollcall"
CHANCE_BYTES = 32
SESSION_ID_BYTES = 16
CHANCE_TEXT = re.compile(r"[A-Za-z0-9_-]{43}")
SESSION_ID = re.compile(r"cs_[A-Za-z0-9_-]{22}")


def link_token(session_id: str, *, link_secret: Secret) -> Secret:
    """`{session_id}.{mac}`: whoever holds it was given it, and nothing secret is stored."""
    return Secret(f"{session_id}.{_mac('link:' + session_id, link_secret)}")


def session_of_link(token: str, *, link_secret: Secret) -> str | None:
    """The session that a link opens, or None for a link that we never gave out."""
    session_id, _, mac = token.partition(".")
    if not SESSION_ID.fullmatch(session_id) or not mac.isascii():
        return None
    genuine = hmac.compare_digest(mac, _mac("link:" + session_id, link_secret))
    return session_id if genuine else None


def new_state(session_id: str, *, chance: str) -> Secret:
    return Secret(f"{session_id}.{chance}")


def session_of_state(state: str) -> str | None:
    session_id, _, chance = state.partition(".")
    well_formed = SESSION_ID.fullmatch(session_id) and CHANCE_TEXT.fullmatch(chance)
    return session_id if well_formed else None


def code_verifier(state_hash: str, *, link_secret: Secret) -> Secret:
    """The PKCE verifier of a state, derived so that it need not be stored (RFC 7636, 4.1).

    From the hash: when the code is redeemed the state itself is long forgotten.
    """
    return Secret(_mac("pkce:" + state_hash, link_secret))


def hashed(secret: Secret) -> str:
    """SHA-256 in hex; enough for values of 256 random bits."""
    return hashlib.sha256(secret.reveal().encode()).hexdigest()


def matches(secret: Secret | None, expected_hash: str | None) -> bool:
    """Compared in constant time; nothing matches a hash that is not there."""
    if secret is None or expected_hash is None:
        return False
    return hmac.compare_digest(hashed(secret), expected_hash)


def cookie_among(cookies: Iterable[str]) -> Secret | None:
    """Our cookie in the `cookies` list of an HTTP API event, if it is well formed."""
    for cookie in cookies:
        name, _, value = cookie.strip().partition("=")
        if name == COOKIE_NAME and CHANCE_TEXT.fullmatch(value):
            return Secret(value)
    return None


def set_cookie(value: Secret, *, max_age_seconds: int) -> str:
    """`__Host-`: no subdomain can plant it. Lax: it comes along when the provider sends back."""
    attributes = f"Path=/; Max-Age={max_age_seconds}; Secure; HttpOnly; SameSite=Lax"
    return f"{COOKIE_NAME}={value.reveal()}; {attributes}"


def with_query(url: str, answers: dict[str, str]) -> str:
    """The address with `answers` behind the query that it already has."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(answers))))
    return urlunsplit(parts._replace(query=query))


def _mac(text: str, link_secret: Secret) -> str:
    digest = hmac.new(link_secret.reveal().encode(), text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
