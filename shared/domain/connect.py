"""A connect session: one person's way through a provider's consent."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.domain.calendar import Platform

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

LINK_LIFE = timedelta(hours=1)
STATE_LIFE = timedelta(minutes=10)
CODE_LIFE = timedelta(minutes=5)
WAITING_LIFE = timedelta(days=7)
REDEEMING_LIFE = timedelta(seconds=30)
WRONG_CODES_MAX = 5
# No blanks and control characters, which urlsplit drops, and no backslash, a slash to browsers.
_RETURN_URL = re.compile(r"[\x21-\x5b\x5d-\x7e]{1,2000}")
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class ConnectStatus(StrEnum):
    """Where a session stands; it only moves forward, except that a link may be reopened."""

    CREATED = "created"
    OPENED = "opened"
    CONSENTED = "consented"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectSession:
    """One row of the ConnectSessions table; hashes are SHA-256 in hex, sealed bytes are KMS's.

    `reconnects`: the calendar that this link may reconnect; `calendar_id`: what came of it.
    `expires_at` ends the present step. A state whose `state_expires_at` is gone has been used.
    `sealed_code` waits for `complete`; `sealed_token` waits for Recall. `email` is the account's,
    at first that of the calendar to reconnect. `redeeming_until` keeps a second `complete` from
    redeeming the same code; `wrong_codes` counts the misses.
    """

    session_id: str
    tenant_id: str
    entity_id: str
    platform: Platform
    return_url: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    confirm: bool = True
    reconnects: str | None = None
    status: ConnectStatus = ConnectStatus.CREATED
    created_at: datetime
    expires_at: datetime
    cookie_hash: str | None = None
    state_hash: str | None = None
    state_expires_at: datetime | None = None
    completion_hash: str | None = None
    sealed_code: bytes | None = None
    sealed_token: bytes | None = None
    email: str | None = None
    calendar_id: str | None = None
    failure: str | None = None
    wrong_codes: int = 0
    redeeming_until: datetime | None = None
    version: int | None = None


def return_url_refusal(return_url: str, *, allowed: Collection[str]) -> str | None:
    """The error code against an address, or None when a person may be sent there.

    Absolute https, or http on loopback; one of `allowed` to the letter unless that is empty.
    """
    if not _RETURN_URL.fullmatch(return_url) or not _trustworthy(return_url):
        return "return_url_invalid"
    if allowed and return_url not in allowed:
        return "return_url_not_allowed"
    return None


def _trustworthy(return_url: str) -> bool:
    try:
        url = urlsplit(return_url)
        port_fits = url.port is None or url.port > 0
    except ValueError:
        return False
    loopback = url.scheme == "http" and url.hostname in LOOPBACK_HOSTS
    secure = url.scheme == "https" and bool(url.hostname)
    return port_fits and (secure or loopback) and url.username is None and not url.fragment
