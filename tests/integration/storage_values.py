"""Domain values to store: plain ones with a say in what matters, and arbitrary ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from shared.domain.calendar import Calendar, CalendarStatus, Platform
from shared.domain.connect import ConnectSession, ConnectStatus
from shared.domain.decision import Decision
from shared.domain.event import Answer, Attendee, Event, EventBot
from shared.domain.meeting import Assignment, Meeting, Override
from shared.domain.rules import Choice, Scheduling

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def calendar(calendar_id: str = "calendar-1", **changes: Any) -> Calendar:
    facts: dict[str, Any] = {
        "calendar_id": calendar_id,
        "tenant_id": "tenant-1",
        "entity_id": "entity-1",
        "platform": Platform.GOOGLE,
        "email": "ada@example.com",
        "status": CalendarStatus.CONNECTED,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Calendar(**{**facts, **changes})


def event(event_id: str = "event-1", **changes: Any) -> Event:
    facts: dict[str, Any] = {
        "event_id": event_id,
        "calendar_id": "calendar-1",
        "platform": Platform.GOOGLE,
        "platform_id": "p1",
        "ical_uid": "uid@example.com",
        "series_id": None,
        "title": "Planning",
        "start": NOW + timedelta(hours=1),
        "end": NOW + timedelta(hours=2),
        "all_day": False,
        "cancelled": False,
        "deleted": False,
        "private": False,
        "meeting_url": "https://meet.google.com/abc-defg-hij",
        "meeting_platform": "google_meet",
        "organizer_email": "ada@example.com",
        "owner_is_organizer": True,
        "owner_answer": Answer.ACCEPTED,
        "attendees": (Attendee(email="ada@example.com", answer=Answer.ACCEPTED, is_owner=True),),
        "guests_hidden": False,
    }
    return Event(**{**facts, **changes})


def meeting(event_id: str = "event-1", *, at: datetime | None = None, **changes: Any) -> Meeting:
    """`at` moves the event; event facts go in as `event=event(...)`."""
    start = at or NOW + timedelta(hours=1)
    facts: dict[str, Any] = {
        "event": event(event_id, start=start, end=start + timedelta(hours=1)),
        "tenant_id": "tenant-1",
        "decision": Decision(join=True, reason="base.all", rule="base"),
    }
    return Meeting(**{**facts, **changes})


def session(session_id: str = "session-1", **changes: Any) -> ConnectSession:
    facts: dict[str, Any] = {
        "session_id": session_id,
        "tenant_id": "tenant-1",
        "entity_id": "entity-1",
        "platform": Platform.MICROSOFT,
        "return_url": "https://app.example.com/done",
        "created_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
    }
    return ConnectSession(**{**facts, **changes})


names = st.text(min_size=1, max_size=20)
words = st.text(max_size=30)
moments = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
    max_value=datetime(9000, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC]),
)
metadata = st.dictionaries(words.filter(bool), words, max_size=4)
maybe_moment = st.none() | moments
maybe_word = st.none() | words

calendars = st.builds(
    Calendar,
    calendar_id=names,
    tenant_id=names,
    entity_id=names,
    platform=st.sampled_from(Platform),
    email=maybe_word,
    expected_email=maybe_word,
    status=st.sampled_from(CalendarStatus),
    status_reason=maybe_word,
    metadata=metadata,
    created_at=moments,
    updated_at=moments,
    read_since=maybe_moment,
    read_next=maybe_word,
    swept_at=maybe_moment,
)

sessions = st.builds(
    ConnectSession,
    session_id=names,
    tenant_id=names,
    entity_id=names,
    platform=st.sampled_from(Platform),
    return_url=words,
    metadata=metadata,
    confirm=st.booleans(),
    reconnects=maybe_word,
    status=st.sampled_from(ConnectStatus),
    created_at=moments,
    expires_at=moments,
    cookie_hash=maybe_word,
    state_hash=maybe_word,
    state_expires_at=maybe_moment,
    completion_hash=maybe_word,
    sealed_code=st.none() | st.binary(max_size=64),
    sealed_token=st.none() | st.binary(max_size=64),
    email=maybe_word,
    calendar_id=maybe_word,
    failure=maybe_word,
    version=st.none(),
)

attendees = st.builds(
    Attendee,
    email=words,
    answer=st.sampled_from(Answer),
    is_owner=st.booleans(),
    is_resource=st.booleans(),
)

events = st.builds(
    Event,
    event_id=names,
    calendar_id=names,
    platform=st.sampled_from(Platform),
    platform_id=words,
    ical_uid=words,
    series_id=maybe_word,
    title=words,
    start=moments,
    end=moments,
    all_day=st.booleans(),
    cancelled=st.booleans(),
    deleted=st.booleans(),
    private=st.booleans(),
    meeting_url=st.none() | st.just("https://meet.google.com/abc-defg-hij"),
    meeting_platform=maybe_word,
    organizer_email=maybe_word,
    owner_is_organizer=st.booleans(),
    owner_answer=st.sampled_from(Answer),
    attendees=st.lists(attendees, max_size=4).map(tuple),
    guests_hidden=st.booleans(),
    time_zone=st.none() | st.sampled_from(["Europe/Berlin", "UTC"]),
    link_in_body=st.booleans(),
)

overrides = st.builds(
    Override,
    choice=st.sampled_from(Choice),
    set_by=maybe_word,
    set_at=maybe_moment,
    source=maybe_word,
)

meetings = st.builds(
    Meeting,
    event=events,
    tenant_id=names,
    bots=st.lists(
        st.builds(
            EventBot, bot_id=words, start=moments, deduplication_key=words, meeting_url=words
        ),
        max_size=3,
    ).map(tuple),
    decision=st.builds(Decision, join=st.booleans(), reason=words, rule=maybe_word),
    override=overrides,
    assignment=st.none()
    | st.builds(
        Assignment,
        bot_id=words,
        deduplication_key=words,
        fingerprint=words,
        join_at=moments,
        state=words,
        by=st.sampled_from(Scheduling),
        state_at=maybe_moment,
        recording=maybe_word,
        recording_at=maybe_moment,
        missed=maybe_word,
        missed_detail=maybe_word,
    ),
    opted_out=st.booleans(),
    overruled=maybe_word,
    meeting_key=st.none() | names,
    keyed_at=maybe_moment,
    shared=st.booleans(),
    released=st.frozensets(names, max_size=3),
    leaving=st.sets(names, max_size=3).map(lambda ids: tuple(sorted(ids))),
    wake_at=maybe_moment,
    look_at=maybe_moment,
    setback=maybe_word,
    due=st.booleans(),
    attempts=st.integers(min_value=0, max_value=1000),
    next_attempt=maybe_moment,
    problem=maybe_word,
    version=st.none(),
)

# DynamoDB keeps decimals, so a whole number beyond 2**53 comes back as the integer it spells.
numbers = st.floats(-(2.0**53), 2.0**53).filter(lambda number: not 0 < abs(number) < 1e-100)

documents = st.dictionaries(
    names,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**37), 10**37) | numbers | words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
