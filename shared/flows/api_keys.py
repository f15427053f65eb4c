"""Whose API key it is: the same answer for the gateway's authorizer and the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shared.domain.api_key import fingerprint, same_digest

if TYPE_CHECKING:
    from shared.domain.secret import Secret
    from shared.storage.api_keys import ApiKey, ApiKeyStore

KEY_LENGTH_MAX: Final = 512


def known_key(key: Secret | None, *, api_keys: ApiKeyStore) -> ApiKey | None:
    """The key's row when it exists and is not revoked."""
    if key is None or not 0 < len(key.reveal()) <= KEY_LENGTH_MAX:
        return None
    prefix, digest = fingerprint(key)
    api_key = api_keys.get(prefix)
    same = same_digest(digest, None if api_key is None else api_key.digest)
    return api_key if same and api_key is not None and api_key.revoked_at is None else None


def standing_key(prefix: str, *, api_keys: ApiKeyStore) -> ApiKey | None:
    """The row of a key that was known before, unless it was revoked meanwhile."""
    api_key = api_keys.get(prefix)
    return api_key if api_key is not None and api_key.revoked_at is None else None
