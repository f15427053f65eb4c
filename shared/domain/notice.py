"""What the host is told on the event bus; docs/events/ holds the JSON Schema of each detail."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, TypeAlias

from shared.domain.calendar import Platform
from shared.domain.moment import moment_text

DETAIL_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _AboutCalendar:
    tenant_id: str
    entity_id: str
    calendar_id: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarConnected(_AboutCalendar):
    """Events of the calendar are being read; `reconnected` when they had been before."""

    TYPE: ClassVar[str] = "calendar.connected"
    platform: Platform
    reconnected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDisconnected(_AboutCalendar):
    """Recall can no longer read the calendar; `reason` is Recall's word or None."""

    TYPE: ClassVar[str] = "calendar.disconnected"
    platform: Platform
    reason: str | None
    reconnect: str = (
        "Create a connect session for the same tenant, entity and platform, and let the "
        "calendar's owner consent again with the same account."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDeleted(_AboutCalendar):
    """The calendar is gone at Recall and here."""

    TYPE: ClassVar[str] = "calendar.deleted"
    platform: Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class _AboutBot(_AboutCalendar):
    event_id: str
    bot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BotScheduled(_AboutBot):
    """A bot will join; `reason` is the decision's code."""

    TYPE: ClassVar[str] = "bot.scheduled"
    start_time: datetime
    join_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BotRescheduled(_AboutBot):
    """The bot follows a meeting that moved or changed; `previous_bot_id` when it was replaced."""

    TYPE: ClassVar[str] = "bot.rescheduled"
    start_time: datetime
    join_at: datetime
    previous_bot_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotCancelled(_AboutBot):
    """The bot was taken off the event; `reason` is the decision's code."""

    TYPE: ClassVar[str] = "bot.cancelled"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStatus(_AboutBot):
    """The bot or a recording of it reached a state; codes and `occurred_at` are Recall's.

    For a recording `code` is the event's name, for example recording.done.
    """

    TYPE: ClassVar[str] = "bot.status"
    code: str
    sub_code: str | None
    recording_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingMissed(_AboutCalendar):
    """A wanted meeting had no bot; `reason` is a stable code, `detail` Recall's sub code."""

    TYPE: ClassVar[str] = "meeting.missed"
    event_id: str
    start_time: datetime
    reason: str
    detail: str | None = None


Notice: TypeAlias = (
    CalendarConnected
    | CalendarDisconnected
    | CalendarDeleted
    | BotScheduled
    | BotRescheduled
    | BotCancelled
    | BotStatus
    | MeetingMissed
)


def notice_detail(notice: Notice) -> dict[str, object]:
    """The event's detail: version 1, the facts, and an id that a repetition shares."""
    facts: dict[str, object] = {"version": DETAIL_VERSION}
    for item in fields(notice):
        facts[item.name] = _plain(getattr(notice, item.name))
    canonical = json.dumps([notice.TYPE, facts], sort_keys=True)
    return {"id": hashlib.sha256(canonical.encode()).hexdigest()[:32], **facts}


def _plain(value: object) -> object:
    match value:
        case datetime():
            return moment_text(value)
        case StrEnum():
            return value.value
        case _:
            return value
