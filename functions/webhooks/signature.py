"""Who sent this: the verdict on a delivery's signature (Svix, Standard Webhooks)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from functions.webhooks.svix_library import webhook_class
from shared.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from svix.webhooks import Webhook

    from shared.domain.secret import Secret

TOLERANCE: Final = timedelta(minutes=5)
# As Svix writes it: the library would take 01, 1.5 and 1e9 for the number that was signed.
_TIMESTAMP: Final = re.compile(r"0|[1-9][0-9]{0,10}", flags=re.ASCII)


def verified_delivery(
    body: bytes, headers: Mapping[str, str], *, secrets: Sequence[Secret], now: datetime
) -> str | None:
    """The delivery's id when one of the secrets signed exactly these bytes, else None.

    Both header families count (`svix-*` first, as in the library), in any case.
    PermanentError `webhook_secret_unusable` without any usable secret.
    """
    verifiers = [made for made in map(_verifier, secrets) if made is not None]
    if not verifiers:
        message = "No webhook secret is usable: expected whsec_ and base64, comma separated."
        raise PermanentError("webhook_secret_unusable", message)
    lowered = {name.lower(): value for name, value in headers.items()}
    signed = {name: _header(lowered, name) for name in ("id", "timestamp", "signature")}
    if not _recent(signed["timestamp"], now=now):
        return None
    library_headers = {f"webhook-{name}": value for name, value in signed.items()}
    accepted = any(_signed(body, library_headers, verifier=verifier) for verifier in verifiers)
    return signed["id"] if accepted else None


def _header(headers: Mapping[str, str], name: str) -> str:
    return headers.get(f"svix-{name}", headers.get(f"webhook-{name}", ""))


def _recent(timestamp: str, *, now: datetime) -> bool:
    """Whole seconds, at most five minutes off."""
    if not _TIMESTAMP.fullmatch(timestamp):
        return False
    return abs(now.timestamp() - int(timestamp)) <= TOLERANCE.total_seconds()


def _verifier(secret: Secret) -> Webhook | None:
    try:
        return webhook_class()(secret.reveal())
    except Exception:  # noqa: BLE001 - the library names no error of its own for a bad secret
        return None


def _signed(body: bytes, headers: dict[str, str], *, verifier: Webhook) -> bool:
    try:
        verifier.verify(body, headers)
    except Exception:  # noqa: BLE001 - it lets ValueError and others through on malformed input
        return False
    return True
