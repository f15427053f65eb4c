"""Small signed tokens that nothing needs to store: what is in them, for what, until when."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from shared.domain.secret import Secret

TOKEN_LENGTH_MAX: Final = 4096
_EXPIRY: Final = "exp"

Facts = dict[str, str]


def sign(
    facts: Mapping[str, str], *, purpose: str, link_secret: Secret, expires_at: datetime
) -> Secret:
    """`{facts}.{mac}`, URL-safe; good until `expires_at` and for `purpose` alone."""
    content = json.dumps(
        {**facts, _EXPIRY: int(expires_at.timestamp())}, separators=(",", ":"), ensure_ascii=False
    )
    text = _encoded(content.encode())
    return Secret(f"{text}.{_mac(text, purpose=purpose, link_secret=link_secret)}")


def open_signed(token: str, *, purpose: str, link_secret: Secret, now: datetime) -> Facts | None:
    """The facts of a token that we signed for this purpose and that is still good, else None."""
    text, _, mac = token.partition(".")
    if len(token) > TOKEN_LENGTH_MAX or not token.isascii():
        return None
    if not hmac.compare_digest(mac, _mac(text, purpose=purpose, link_secret=link_secret)):
        return None
    facts, expires = _decoded(text)
    return facts if now.timestamp() < expires else None


def seal_of(text: str, *, purpose: str, link_secret: Secret) -> str:
    """A code that only we can make of a text, such as a form's token of its session."""
    return _mac(text, purpose=purpose, link_secret=link_secret)


def is_seal_of(seal: str, text: str, *, purpose: str, link_secret: Secret) -> bool:
    """Compared in constant time."""
    genuine = _mac(text, purpose=purpose, link_secret=link_secret)
    return seal.isascii() and hmac.compare_digest(seal, genuine)


def _mac(text: str, *, purpose: str, link_secret: Secret) -> str:
    """With a key of its own per purpose, so that no token can pass for one of another kind."""
    root = link_secret.reveal().encode()
    key = hmac.new(root, f"pages:{purpose}".encode(), hashlib.sha256).digest()
    return _encoded(hmac.new(key, text.encode(), hashlib.sha256).digest())


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> tuple[Facts, int]:
    """Only what we encoded ourselves comes here."""
    content = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    expires = int(content.pop(_EXPIRY))
    return content, expires
