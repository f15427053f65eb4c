"""Meetings: shown with what decides them; overrides and opt-outs, which ring the scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.domain.calendar import Calendar
from shared.domain.consider import Surroundings, choice_of, explained
from shared.domain.meeting import Meeting, Override
from shared.domain.rules import Choice
from shared.domain.series import Series, series_of
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When something was said, and fresh chance for the bell that tells of it."""

    now: datetime
    unique: str


def override_occurrence(
    doors: MeetingDoors, meeting: Meeting, *, override: Override, at: Moment
) -> ShownMeeting:
    """On, off or auto for this one."""
    changed = doors.meetings.set_override(meeting.event.event_id, override, now=at.now)
    return _said(doors, changed, at=at)


def override_series(
    doors: MeetingDoors, meeting: Meeting, *, override: Override, at: Moment
) -> ShownMeeting:
    """On, off or auto for every occurrence, later ones included, unless it has its own word.

    The override is written first: an occurrence that appears meanwhile reads it by itself.
    """
    series = _series(meeting)
    doors.settings.series.put_override(series, override)
    return _said_of_series(doors, meeting, series=series, at=at)


def opt_out_occurrence(
    doors: MeetingDoors, meeting: Meeting, *, opted_out: bool, at: Moment
) -> ShownMeeting:
    """Somebody invited wants no bot in this one, whatever its owner says; or takes that back."""
    event_id = meeting.event.event_id
    changed = doors.meetings.set_opt_out(event_id, opted_out=opted_out, now=at.now)
    return _said(doors, changed, at=at)


def opt_out_series(
    doors: MeetingDoors, meeting: Meeting, *, opted_out: bool, at: Moment
) -> ShownMeeting:
    """The same for every occurrence, later ones included."""
    series = _series(meeting)
    doors.settings.series.put_opt_out(series, opted_out=opted_out)
    return _said_of_series(doors, meeting, series=series, at=at)


def _series(meeting: Meeting) -> Series:
    series = series_of(meeting.event)
    if series is None:
        message = "The meeting belongs to no series."
        raise CallerError("series_missing", message, field="scope")
    return series


def _said(doors: MeetingDoors, changed: Meeting | None, *, at: Moment) -> ShownMeeting:
    if changed is None:
        raise meeting_not_found()
    if changed.shared and changed.meeting_key is not None:
        for event_id in doors.meetings.ids_of_key(changed.meeting_key):
            doors.meetings.wake(event_id, now=at.now)
    doors.queue.ring_work(now=at.now, unique=at.unique)
    return _shown_now(doors, changed)


def _said_of_series(
    doors: MeetingDoors, meeting: Meeting, *, series: Series, at: Moment
) -> ShownMeeting:
    for occurrence in doors.meetings.of_series(series):
        doors.meetings.wake(occurrence.event.event_id, now=at.now)
    doors.queue.ring_work(now=at.now, unique=at.unique)
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
