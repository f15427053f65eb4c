"""A person's word on meetings: written into the rows, then the scheduler is rung."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.domain.calendar import Calendar
from shared.domain.meeting import Meeting, Override
from shared.domain.rules import Choice
from shared.errors import CallerError
from shared.queue import Queue
from shared.storage import CalendarStore, MeetingStore, Page, SettingsStore

ID_LENGTH_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingDoors:
    """Rows and the bell; only the scheduler touches bots."""

    calendars: CalendarStore
    meetings: MeetingStore
    settings: SettingsStore
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


def meetings_of(doors: MeetingDoors, calendar: Calendar, *, span: Span) -> Page[ShownMeeting]:
    """All known meetings of a part of the calendar, unwanted ones included."""
    page = doors.meetings.of_calendar(
        calendar.calendar_id,
        start=span.start,
        end=span.end,
        cursor=span.cursor,
        limit=span.limit,
    )
    overrides = doors.settings.series_overrides(
        {
            (calendar.calendar_id, meeting.event.series_id)
            for meeting in page.items
            if meeting.event.series_id is not None
        }
    )
    shown = tuple(
        _shown(
            meeting,
            series=overrides.get((calendar.calendar_id, meeting.event.series_id or "")),
        )
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
    doors.queue.ring_work(now=now, unique=unique)
    return _with_series(doors, changed)


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
    if event.series_id is None:
        message = "The meeting belongs to no series."
        raise CallerError("series_missing", message, field="scope")
    doors.settings.put_series_override(event.calendar_id, event.series_id, override)
    for occurrence in doors.meetings.of_series(event.calendar_id, event.series_id):
        doors.meetings.wake(occurrence.event.event_id, now=now)
    doors.queue.ring_work(now=now, unique=unique)
    return _shown(meeting, series=override)


def existing_meeting(doors: MeetingDoors, calendar_id: str, *, event_id: str) -> Meeting:
    """The meeting of that calendar, or CallerError `meeting_not_found` (404)."""
    fits = 0 < len(event_id) <= ID_LENGTH_MAX
    meeting = doors.meetings.get(event_id) if fits else None
    if meeting is None or meeting.event.calendar_id != calendar_id:
        raise meeting_not_found()
    return meeting


def meeting_not_found() -> CallerError:
    return CallerError("meeting_not_found", "The calendar has no such meeting.", status=404)


def _with_series(doors: MeetingDoors, meeting: Meeting) -> ShownMeeting:
    event = meeting.event
    if event.series_id is None:
        return _shown(meeting, series=None)
    series = doors.settings.series_override(event.calendar_id, event.series_id)
    return _shown(meeting, series=series)


def _shown(meeting: Meeting, *, series: Override | None) -> ShownMeeting:
    own = meeting.override.choice
    if own is Choice.AUTO and series is not None:
        own = series.choice
    return ShownMeeting(meeting=meeting, override=own)
