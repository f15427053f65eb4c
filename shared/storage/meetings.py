"""The Meetings table: one row per event copy, with what was decided and asked about it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.models import Model

from shared.domain.calendar import Platform
from shared.domain.coverage import Turnout
from shared.domain.decision import Decision
from shared.domain.event import Answer, Attendee, Event, EventBot
from shared.domain.meeting import Assignment, Meeting
from shared.domain.room import room_digest
from shared.domain.rules import Scheduling
from shared.storage.attributes import (
    EpochAttribute,
    ListOf,
    MapOf,
    MomentAttribute,
    stored_moment,
)
from shared.storage.errors import Conflict
from shared.storage.overrides import override_from, override_map
from shared.storage.pages import Page
from shared.storage.table import Selection, Table
from shared.storage.tables import MEETINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pynamodb.connection import Connection
    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action

    from shared.domain.meeting import Override
    from shared.domain.series import Series

DUE: Final = "1"
YES: Final = "1"
SERIES_MAX: Final = 500
COPIES_MAX: Final = 100
DUE_EVALUATED: Final = 1_000
LATELY_MAX: Final = 500

# A row must stay below DynamoDB's 400 KB: the lists and texts that others fill are cut.
ATTENDEES_MAX: Final = 500
TITLE_CHARACTERS_MAX: Final = 1_000
BOTS_MAX: Final = 50
INDEX_KEY_BYTES_MAX: Final = 2_048

SMALLEST_STEP: Final = timedelta(microseconds=1)


class MeetingRow(Model):
    """`due` exists while work is owed, `waking` with `wake_at`; `version` counts the writes.

    `set_aside` exists while a refused row waits for somebody, `day` (UTC, of the start) where a
    bot is wanted. `room` is a digest of where the meeting is held, by which a link finds it.
    """

    event_id = UnicodeAttribute(hash_key=True)
    calendar_id = UnicodeAttribute()
    tenant_id = UnicodeAttribute()
    series_id = UnicodeAttribute(null=True)
    meeting_key = UnicodeAttribute(null=True)
    keyed_at = MomentAttribute(null=True)
    shared = UnicodeAttribute(null=True)
    day = UnicodeAttribute(null=True)
    room = UnicodeAttribute(null=True)
    start_time = MomentAttribute()
    end_time = MomentAttribute()
    event = MapOf()
    attendees = ListOf()
    bots = ListOf()
    decision = MapOf()
    overruled = UnicodeAttribute(null=True)
    override = MapOf()
    opted_out = UnicodeAttribute(null=True)
    asked = UnicodeAttribute(null=True)
    assignment = MapOf(null=True)
    released = UnicodeSetAttribute(null=True)
    leaving = UnicodeSetAttribute(null=True)
    due = UnicodeAttribute(null=True)
    attempts = NumberAttribute()
    next_attempt = MomentAttribute(null=True)
    waking = UnicodeAttribute(null=True)
    wake_at = MomentAttribute(null=True)
    look_at = MomentAttribute(null=True)
    problem = UnicodeAttribute(null=True)
    problem_detail = UnicodeAttribute(null=True)
    problem_at = MomentAttribute(null=True)
    set_aside = UnicodeAttribute(null=True)
    setback = UnicodeAttribute(null=True)
    version = NumberAttribute()
    expires_at = EpochAttribute()


class LatelyKeyed:
    """Which events this process saw at a meeting key, or with its bot, the last LATELY_MAX.

    The index learns of a row a moment later, and the copies of one meeting come together; of a
    row that has left the key and has its bot still, it does not tell. Hints only, like those of
    the index: whoever asks reads the rows.
    """

    def __init__(self) -> None:
        self._written: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._writing = Lock()

    def note(self, meeting_key: str, event_id: str) -> None:
        with self._writing:
            self._written[meeting_key, event_id] = None
            self._written.move_to_end((meeting_key, event_id))
            if len(self._written) > LATELY_MAX:
                self._written.popitem(last=False)

    def of(self, meeting_key: str) -> list[str]:
        with self._writing:
            return [event_id for key, event_id in self._written if key == meeting_key]


class MeetingStore:
    """Meetings in and out; see Table for what every method may raise.

    Of an event with more than ATTENDEES_MAX people the first are kept, the owner and the
    organizer always; titles are cut at TITLE_CHARACTERS_MAX.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._table = Table(MeetingRow, connection=connection, name=name, schema=MEETINGS)
        self._lately = LatelyKeyed()

    def get(self, event_id: str) -> Meeting | None:
        row = self._table.get(event_id)
        return None if row is None else _meeting(row)

    def get_many(self, event_ids: Iterable[str]) -> dict[str, Meeting]:
        return {row.event_id: _meeting(row) for row in self._table.get_many(event_ids)}

    def save(self, meeting: Meeting) -> Meeting:
        """Writes the whole row if nobody wrote since `meeting` was read, else raises Conflict.

        Returns the meeting with its new version, otherwise as given.
        """
        version = (meeting.version or 0) + 1
        self._table.put(_row(meeting, version=version), condition=_unchanged(meeting))
        self._note(meeting)
        return replace(meeting, version=version)

    def due(self, *, now: datetime, limit: int) -> list[Meeting]:
        """Meetings that owe work or want a look at `now`, nearest start first.

        The indexes lag behind, so they only hint; the rows themselves decide.
        """
        ready = MeetingRow.next_attempt.does_not_exist() | (MeetingRow.next_attempt <= now)
        owing = Selection(index="by_due", value=DUE, matching=ready, evaluated=DUE_EVALUATED)
        waking = Selection(index="by_wake", value=YES, within=MeetingRow.wake_at <= now)
        hints = [*self._hints(owing, limit=limit), *self._hints(waking, limit=limit)]
        meetings = self.get_many(hints).values()
        for each in meetings:
            self._note(each)
        nearest = sorted((each for each in meetings if _is_due(each, now=now)), key=_nearness)
        return nearest[:limit]

    def of_calendar(
        self,
        calendar_id: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Meeting]:
        """Meetings that start in [start, end), in that order."""
        selection = Selection(index="by_calendar", value=calendar_id, within=_window(start, end))
        page = self._table.select(selection, limit=limit, cursor=cursor)
        items = tuple(_meeting(row) for row in page.items)
        return Page(items=items, next_cursor=page.next_cursor)

    def of_series(self, series: Series) -> list[Meeting]:
        """Known occurrences by start, at most SERIES_MAX, of what was cut off the series too."""
        same = (MeetingRow.series_id == series.series_id) | MeetingRow.series_id.startswith(
            series.root
        )
        selection = Selection(
            index="by_calendar", value=series.calendar_id, matching=same, evaluated=DUE_EVALUATED
        )
        return [_meeting(row) for row in self._table.select(selection, limit=SERIES_MAX).items]

    def of_key(self, meeting_key: str, *, limit: int = COPIES_MAX) -> list[Meeting]:
        """The event copies behind one meeting, read consistently."""
        found = self.around_key(meeting_key, limit=limit)
        return [meeting for meeting in found if meeting.meeting_key == meeting_key]

    def around_key(self, meeting_key: str, *, limit: int = COPIES_MAX) -> list[Meeting]:
        """As of_key, and with them the copies that have left the key and not yet its bot."""
        found = self.get_many(self.ids_of_key(meeting_key, limit=limit)).values()
        return [meeting for meeting in found if meeting_key in meeting.keys]

    def ids_of_key(self, meeting_key: str, *, limit: int = COPIES_MAX) -> list[str]:
        """Event ids of all these copies, from the index and from what was seen here lately."""
        if not 0 < len(meeting_key.encode()) <= INDEX_KEY_BYTES_MAX:
            return []
        indexed = self._hints(Selection(index="by_key", value=meeting_key), limit=limit)
        return list(dict.fromkeys([*indexed, *self._lately.of(meeting_key)]))

    def of_room(self, meeting_url: str, *, since: datetime, limit: int) -> list[Meeting]:
        """Copies held in the room behind a link that start at `since` or later, nearest first."""
        selection = Selection(
            index="by_room",
            value=room_digest(meeting_url),
            within=MeetingRow.start_time >= since,
        )
        rows = self.get_many(self._hints(selection, limit=limit)).values()
        return sorted(rows, key=_nearness)

    def set_override(self, event_id: str, override: Override, *, now: datetime) -> Meeting | None:
        """Sets a person's word and makes the meeting due, in one statement; None when gone."""
        actions = [MeetingRow.override.set(override_map(override)), *_due_at(now)]
        row = self._touch(event_id, actions)
        return None if row is None else _meeting(row)

    def set_opt_out(self, event_id: str, *, opted_out: bool, now: datetime) -> Meeting | None:
        """As set_override, for somebody invited who wants no bot, or takes that back."""
        word = MeetingRow.opted_out.set(YES) if opted_out else MeetingRow.opted_out.remove()
        row = self._touch(event_id, [word, *_due_at(now)])
        return None if row is None else _meeting(row)

    def wake(
        self, event_id: str, *, now: datetime, shared: bool = False, asked: bool = False
    ) -> bool:
        """Makes the meeting due at once, or also known as shared; False when it is gone.

        `asked`: whether its event's bot is still there is not known any more.
        """
        met = [MeetingRow.shared.set(YES)] if shared else []
        doubt = [MeetingRow.asked.set(YES)] if asked else []
        return self._touch(event_id, [*_due_at(now), *met, *doubt]) is not None

    def set_aside(
        self,
        *,
        since: datetime,
        reason: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Meeting]:
        """Refused meetings that nobody has had tried again, by start from `since` on.

        The index only hints: a page may hold fewer rows, even none, and have a successor.
        """
        selection = Selection(
            index="by_set_aside",
            value=YES,
            within=MeetingRow.start_time >= since,
            matching=None if reason is None else MeetingRow.problem == reason,
        )
        page = self._table.select(selection, limit=limit, cursor=cursor)
        found = self.get_many(hint.event_id for hint in page.items).values()
        rows = sorted((row for row in found if row.set_aside), key=_nearness)
        return Page(items=tuple(rows), next_cursor=page.next_cursor)

    def replay(self, event_id: str, *, now: datetime) -> bool:
        """Makes a meeting that was set aside due at once; False when it is not, or is gone."""
        waiting = MeetingRow.set_aside.exists()
        return self._touch(event_id, _due_at(now), condition=waiting) is not None

    def wanted_on(self, day: date, *, cursor: str | None = None, limit: int = 50) -> Page[Turnout]:
        """The copies that start on a UTC day and want, or wanted, a bot; from the index alone."""
        selection = Selection(index="by_day", value=day.isoformat())
        page = self._table.select(selection, limit=limit, cursor=cursor)
        items = tuple(_turnout(row) for row in page.items)
        return Page(items=items, next_cursor=page.next_cursor)

    def forget_bot(self, event_id: str, *, now: datetime) -> bool:
        """Takes the assignment away and makes the meeting due; False when it is gone."""
        return self._touch(event_id, [*_due_at(now), MeetingRow.assignment.remove()]) is not None

    def delete(self, event_id: str) -> None:
        self._table.delete(event_id)

    def _note(self, meeting: Meeting) -> None:
        for key in meeting.keys:
            self._lately.note(key, meeting.event.event_id)

    def _hints(self, selection: Selection, *, limit: int) -> list[str]:
        return [hint.event_id for hint in self._table.select(selection, limit=limit).items]

    def _touch(
        self, event_id: str, actions: list[Action], *, condition: Condition | None = None
    ) -> MeetingRow | None:
        """Raises the version too, so that a save based on an older reading fails."""
        counted = [*actions, MeetingRow.version.set(MeetingRow.version + 1)]
        held = MeetingRow.event_id.exists() if condition is None else condition
        try:
            return self._table.update(event_id, counted, condition=held)
        except Conflict:
            return None


def _unchanged(meeting: Meeting) -> Condition:
    if meeting.version is None:
        return MeetingRow.event_id.does_not_exist()
    return MeetingRow.version == meeting.version


def _due_at(now: datetime) -> list[Action]:
    return [
        MeetingRow.due.set(DUE),
        MeetingRow.next_attempt.set(now),
        MeetingRow.set_aside.remove(),
    ]


def _is_due(meeting: Meeting, *, now: datetime) -> bool:
    """What is owed keeps its own time, also where a look would have come before."""
    moment = meeting.next_attempt if meeting.due else meeting.wake_at
    return meeting.due if moment is None else moment <= now


def _nearness(meeting: Meeting) -> tuple[datetime, str]:
    return meeting.event.start, meeting.event.event_id


def _window(start: datetime | None, end: datetime | None) -> Condition | None:
    """DynamoDB takes one condition on the range key, and its "between" includes both ends."""
    if start is not None and end is not None:
        return MeetingRow.start_time.between(start, max(start, end - SMALLEST_STEP))
    if start is not None:
        return MeetingRow.start_time >= start
    return None if end is None else MeetingRow.start_time < end


def _row(meeting: Meeting, *, version: int) -> MeetingRow:
    event = meeting.event
    return MeetingRow(
        event_id=event.event_id,
        calendar_id=event.calendar_id,
        tenant_id=meeting.tenant_id,
        series_id=event.series_id,
        meeting_key=meeting.meeting_key,
        keyed_at=meeting.keyed_at,
        shared=YES if meeting.shared else None,
        day=event.start.astimezone(UTC).date().isoformat() if meeting.wanted else None,
        room=None if event.meeting_url is None else room_digest(event.meeting_url),
        start_time=event.start,
        end_time=event.end,
        event=_event_map(event),
        attendees=[_attendee_map(attendee) for attendee in _kept_attendees(event)],
        bots=[_bot_map(bot) for bot in meeting.bots[-BOTS_MAX:]],
        decision=_decision_map(meeting.decision),
        overruled=meeting.overruled,
        override=override_map(meeting.override),
        opted_out=YES if meeting.opted_out else None,
        asked=YES if meeting.asked else None,
        assignment=_assignment_map(meeting.assignment) if meeting.assignment else None,
        released=set(meeting.released) or None,
        leaving=set(meeting.leaving) or None,
        due=DUE if meeting.due else None,
        attempts=meeting.attempts,
        next_attempt=meeting.next_attempt,
        waking=YES if meeting.wake_at else None,
        wake_at=meeting.wake_at,
        look_at=meeting.look_at,
        problem=meeting.problem,
        problem_detail=meeting.problem_detail,
        problem_at=meeting.problem_at,
        set_aside=YES if meeting.set_aside else None,
        setback=meeting.setback,
        version=version,
        expires_at=meeting.expires_at,
    )


def _kept_attendees(event: Event) -> tuple[Attendee, ...]:
    """The attendees that a row keeps, in their order."""
    places = range(len(event.attendees))
    vital = {place for place in places if _is_vital(event.attendees[place], event=event)}
    ranked = [*sorted(vital), *(place for place in places if place not in vital)]
    return tuple(event.attendees[place] for place in sorted(ranked[:ATTENDEES_MAX]))


def _is_vital(attendee: Attendee, *, event: Event) -> bool:
    return attendee.is_owner or attendee.email == event.organizer_email


def _turnout(row: MeetingRow) -> Turnout:
    return Turnout(
        meeting=row.meeting_key or row.event_id,
        start=row.start_time,
        end=row.end_time,
        assignment=_assignment(row.assignment) if row.assignment else None,
    )


def _meeting(row: MeetingRow) -> Meeting:
    return Meeting(
        event=_event(row),
        tenant_id=row.tenant_id,
        bots=tuple(_bot(stored) for stored in row.bots),
        decision=Decision(**row.decision),
        overruled=row.overruled,
        override=override_from(row.override),
        opted_out=row.opted_out == YES,
        asked=row.asked == YES,
        assignment=_assignment(row.assignment) if row.assignment else None,
        meeting_key=row.meeting_key,
        keyed_at=row.keyed_at,
        shared=row.shared == YES,
        wanted=row.day is not None,
        released=frozenset(row.released or ()),
        leaving=tuple(sorted(row.leaving or ())),
        due=row.due == DUE,
        attempts=int(row.attempts),
        next_attempt=row.next_attempt,
        wake_at=row.wake_at,
        look_at=row.look_at,
        problem=row.problem,
        problem_detail=row.problem_detail,
        problem_at=row.problem_at,
        setback=row.setback,
        version=int(row.version),
    )


def _event_map(event: Event) -> dict[str, Any]:
    """The facts besides those with a column of their own."""
    return {
        "platform": event.platform.value,
        "platform_id": event.platform_id,
        "ical_uid": event.ical_uid,
        "title": event.title[:TITLE_CHARACTERS_MAX],
        "all_day": event.all_day,
        "cancelled": event.cancelled,
        "deleted": event.deleted,
        "private": event.private,
        "meeting_url": event.meeting_url,
        "meeting_platform": event.meeting_platform,
        "organizer_email": event.organizer_email,
        "owner_is_organizer": event.owner_is_organizer,
        "owner_answer": event.owner_answer.value,
        "guests_hidden": event.guests_hidden,
        "time_zone": event.time_zone,
        "link_in_body": event.link_in_body,
    }


def _event(row: MeetingRow) -> Event:
    facts = {
        **row.event,
        "platform": Platform(row.event["platform"]),
        "owner_answer": Answer(row.event["owner_answer"]),
    }
    return Event(
        event_id=row.event_id,
        calendar_id=row.calendar_id,
        series_id=row.series_id,
        start=row.start_time,
        end=row.end_time,
        attendees=tuple(_attendee(stored) for stored in row.attendees),
        **facts,
    )


def _attendee_map(attendee: Attendee) -> dict[str, Any]:
    return {
        "email": attendee.email,
        "answer": attendee.answer.value,
        "is_owner": attendee.is_owner,
        "is_resource": attendee.is_resource,
    }


def _attendee(stored: dict[str, Any]) -> Attendee:
    return Attendee(**{**stored, "answer": Answer(stored["answer"])})


def _bot_map(bot: EventBot) -> dict[str, Any]:
    return {
        "bot_id": bot.bot_id,
        "start": stored_moment(bot.start),
        "deduplication_key": bot.deduplication_key,
        "meeting_url": bot.meeting_url,
    }


def _bot(stored: dict[str, Any]) -> EventBot:
    return EventBot(**{**stored, "start": datetime.fromisoformat(stored["start"])})


def _decision_map(decision: Decision) -> dict[str, Any]:
    return {"join": decision.join, "reason": decision.reason, "rule": decision.rule}


def _assignment_map(assignment: Assignment) -> dict[str, Any]:
    return {
        "bot_id": assignment.bot_id,
        "deduplication_key": assignment.deduplication_key,
        "fingerprint": assignment.fingerprint,
        "join_at": stored_moment(assignment.join_at),
        "state": assignment.state,
        "by": assignment.by.value,
        **_heard_map(assignment),
    }


def _heard_map(assignment: Assignment) -> dict[str, str]:
    """What the bot reported, as far as it did."""
    moments = {"state_at": assignment.state_at, "recording_at": assignment.recording_at}
    heard = {name: stored_moment(moment) for name, moment in moments.items() if moment}
    words = {
        "recording": assignment.recording,
        "missed": assignment.missed,
        "missed_detail": assignment.missed_detail,
    }
    return {**heard, **{name: word for name, word in words.items() if word is not None}}


def _assignment(stored: dict[str, Any]) -> Assignment:
    moments = {"join_at", "state_at", "recording_at"} & stored.keys()
    read = {name: datetime.fromisoformat(stored[name]) for name in moments}
    by = Scheduling(stored.get("by", Scheduling.MANAGED))
    return Assignment(**{**stored, **read, "by": by})
