"""A calendar: one provider account connected at Recall on behalf of an entity."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Platform(StrEnum):
    """Recall's words for the two calendar providers."""

    GOOGLE = "google_calendar"
    MICROSOFT = "microsoft_outlook"


class CalendarStatus(StrEnum):
    """Recall's words for the state of a calendar's connection."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """What we know of a calendar; `calendar_id` is Recall's.

    `read_since`: a full read is owed unless the feed still covers everything from this moment on
    (None: nothing owed). `read_next`: a full read is under way and goes on at this page ("" is
    the first). `swept_at`: when the last full read began. `expected_email`: whom Recall must name
    after the next sync, since nobody could tell whose the last token was.
    """

    calendar_id: str
    tenant_id: str
    entity_id: str
    platform: Platform
    email: str | None
    status: CalendarStatus
    status_reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime
    updated_at: datetime
    read_since: datetime | None = None
    read_next: str | None = None
    swept_at: datetime | None = None
    expected_email: str | None = None

    @property
    def account_key(self) -> str | None:
        if self.email is None:
            return None
        return account_key(self.tenant_id, self.entity_id, platform=self.platform, email=self.email)

    def belongs_to(self, tenant_id: str, entity_id: str) -> bool:
        return (self.tenant_id, self.entity_id) == (tenant_id, entity_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallCalendar:
    """A calendar as Recall shows it, reduced to the fields that carry no secret."""

    calendar_id: str
    platform: Platform
    email: str | None
    status: CalendarStatus
    status_reason: str | None
    created_at: datetime
    updated_at: datetime


def account_key(tenant_id: str, entity_id: str, *, platform: Platform, email: str) -> str:
    """One live calendar exists per tenant, entity, platform and account address."""
    parts = (tenant_id, entity_id, platform.value, email.strip().casefold())
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()
