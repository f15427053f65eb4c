"""API keys: 256 bits of chance behind `rk_`, and how one is recognised without being kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from shared.domain.secret import Secret

KEY_BYTES: Final = 32
PREFIX_LENGTH: Final = 12
READ: Final = "read"
WRITE: Final = "write"
ADMIN: Final = "admin"
SCOPES: Final = frozenset({READ, WRITE, ADMIN})
_NO_DIGEST: Final = "0" * 64
# What erases, or reaches the meetings of all tenants at once; but hosts hand out links.
_OF_HOSTS: Final = "/page-link"
_OF_ADMINS: Final = ("/v1/entities/", "/v1/dead-letters/", "/v1/meetings/set-aside/")


def key_text(chance: bytes) -> str:
    """The text of a new key from KEY_BYTES random bytes: `rk_` and 43 URL-safe characters."""
    return "rk_" + base64.urlsafe_b64encode(chance).decode().rstrip("=")


def fingerprint(key: Secret) -> tuple[str, str]:
    """The look-up prefix and the digest of a key of any format.

    One rule for all: the digest is SHA-256 in hex, the prefix its first twelve digits. So a key
    is never parsed, and its row can be found and named without showing a part of it. A slow hash
    is for passwords; 256 bits of chance cannot be guessed.
    """
    digest = hashlib.sha256(key.reveal().encode(errors="surrogatepass")).hexdigest()
    return digest[:PREFIX_LENGTH], digest


def same_digest(digest: str, stored: str | None) -> bool:
    """Compared in constant time, against a dummy when there is no such key."""
    return hmac.compare_digest(digest, stored or _NO_DIGEST)


def may_call(scopes: Collection[str], *, route: str) -> bool:
    """Whether the scopes cover a route as `GET /v1/calendars`; no scope implies another."""
    return scope_needed(route) in scopes


def scope_needed(route: str) -> str:
    method, _, path = route.partition(" ")
    if method != "GET" and path.startswith(_OF_ADMINS) and not path.endswith(_OF_HOSTS):
        return ADMIN
    return READ if method == "GET" else WRITE
