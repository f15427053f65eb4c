"""A person's word on meetings: written into the rows, then the scheduler is rung."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.domain.calendar import Calendar
from shared.domain.consider import Surroundings, choice_of, explained
from shared.domain.meeting import Meeting, Override
from shared.domain.rules import Choice
from shared.domain.series import series_of
from shared.errors import CallerError
from shared.flows.neighbours import Neighbours
from shared.queue import Queue
from shared.storage import MeetingStore, Page, SettingsStore

ID_LENGTH_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingDoors:
    """Rows and the bell; only the scheduler touches bots."""

    meetings: MeetingStore
    settings: SettingsStore
    neighbours: Neighbours
    queue: Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of a calendar: meetings that start in [start, end), and the page to begin at."""

    start: datetime
    end: datetime
    cursor: str | None
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMeeting:
    """A meeting and the override in force: its own, else that of its series."""

    meeting: Meeting
    override: Choice


def meetings_of(
    doors: MeetingDoors, calendar: Calendar, *, span: Span, now: datetime
) -> Page[ShownMeeting]:
    """All known meetings of a part of the calendar, unwanted ones included."""
    page = doors.meetings.of_calendar(
        calendar.calendar_id,
        start=span.start,
        end=span.end,
        cursor=span.cursor,
        limit=span.limit,
    )
    near = doors.neighbours.neighbourhood(meeting.event for meeting in page.items)
    # Whoever lists meetings reads the outcome of the last vote, not every other copy.
    shown = tuple(
        _shown(meeting, around=near.around(meeting.event, copies=None, now=now))
        for meeting in page.items
    )
    return Page(items=shown, next_cursor=page.next_cursor)


def override_occurrence(
    doors: MeetingDoors,
    meeting: Meeting,
    *,
    override: Override,
    now: datetime,
    unique: str,
) -> ShownMeeting:
    """On, off or auto for this one; `unique` is fresh chance for the bell."""
    changed = doors.meetings.set_override(meeting.event.event_id, override, now=now)
    if changed is None:
        raise meeting_not_found()
    if changed.shared and changed.meeting_key is not None:
        for event_id in doors.meetings.ids_of_key(changed.meeting_key):
            doors.meetings.wake(event_id, now=now)
    doors.queue.ring_work(now=now, unique=unique)
    return _shown_now(doors, changed)


def override_series(
    doors: MeetingDoors,
    meeting: Meeting,
    *,
    override: Override,
    now: datetime,
    unique: str,
) -> ShownMeeting:
    """On, off or auto for every occurrence, later ones included, unless it has its own word.

    The override is written first: an occurrence that appears meanwhile reads it by itself.
    """
    event = meeting.event
    series = series_of(event)
    if series is None or event.series_id is None:
        message = "The meeting belongs to no series."
        raise CallerError("series_missing", message, field="scope")
    doors.settings.series.put_override(series, override)
    for occurrence in doors.meetings.of_series(event.calendar_id, event.series_id):
        doors.meetings.wake(occurrence.event.event_id, now=now)
    doors.queue.ring_work(now=now, unique=unique)
    return _shown_now(doors, meeting)


def existing_meeting(doors: MeetingDoors, calendar_id: str, *, event_id: str) -> Meeting:
    """The meeting of that calendar, or CallerError `meeting_not_found` (404)."""
    fits = 0 < len(event_id) <= ID_LENGTH_MAX
    meeting = doors.meetings.get(event_id) if fits else None
    if meeting is None or meeting.event.calendar_id != calendar_id:
        raise meeting_not_found()
    return meeting


def meeting_not_found() -> CallerError:
    return CallerError("meeting_not_found", "The calendar has no such meeting.", status=404)


def _shown_now(doors: MeetingDoors, meeting: Meeting) -> ShownMeeting:
    """With the vote of all copies as it would go now."""
    (around,) = doors.neighbours.surroundings([meeting])
    return _shown(meeting, around=around)


def _shown(meeting: Meeting, *, around: Surroundings) -> ShownMeeting:
    """The scheduler stores its decision a moment later; the same function answers now."""
    return ShownMeeting(meeting=explained(meeting, around), override=choice_of(meeting, around))
