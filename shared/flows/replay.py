"""Replay: meetings that Recall refused are shown to an operator and tried again at a word.

Nothing here touches a bot: a replayed row is due at once, and the scheduler takes its turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from shared.storage import Page

if TYPE_CHECKING:
    from shared.domain.meeting import Meeting
    from shared.flows.meetings import MeetingDoors, Moment
    from shared.storage import MeetingStore

# What runs now began a while ago.
LOOK_BACK: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Which meetings: refused for `reason` (None: for any), from `cursor` on, so many."""

    reason: str | None
    cursor: str | None
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """How many meetings are due again, and where to go on; None when all were looked at."""

    replayed: int
    next_cursor: str | None


def set_aside(meetings: MeetingStore, which: SetAside, *, now: datetime) -> Page[Meeting]:
    """Meetings that are not over and wait for somebody, nearest start first."""
    page = meetings.set_aside(
        since=now - LOOK_BACK, reason=which.reason, cursor=which.cursor, limit=which.limit
    )
    open_ones = tuple(row for row in page.items if row.event.end > now)
    return Page(items=open_ones, next_cursor=page.next_cursor)


def replay(doors: MeetingDoors, event_id: str, *, at: Moment) -> bool:
    """Have one tried again; False, and no bell, when it is not set aside."""
    if not doors.meetings.replay(event_id, now=at.now):
        return False
    doors.queue.ring_work(now=at.now, unique=at.unique)
    return True


def replay_all(doors: MeetingDoors, which: SetAside, *, at: Moment) -> Replayed:
    """Have a page of them tried again.

    A crash before the bell leaves rows that the next tick finds due; a repeat passes over them.
    """
    page = set_aside(doors.meetings, which, now=at.now)
    count = sum(doors.meetings.replay(row.event.event_id, now=at.now) for row in page.items)
    if count:
        doors.queue.ring_work(now=at.now, unique=at.unique)
    return Replayed(replayed=count, next_cursor=page.next_cursor)
