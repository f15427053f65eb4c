"""Values of the core for tests: one plain meeting, and arbitrary ones."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from hypothesis import strategies as st

from shared.domain.calendar import Calendar, CalendarStatus, Platform
from shared.domain.consider import Surroundings
from shared.domain.decision import Decision
from shared.domain.event import Answer, Attendee, Event, EventBot, ListedEvent
from shared.domain.meeting import Meeting, Override
from shared.domain.plan import Wish
from shared.domain.room import meeting_key
from shared.domain.rules import (
    Base,
    BotSettings,
    Bounds,
    Choice,
    Denials,
    HiddenGuests,
    Matches,
    Mode,
    Private,
    Recurrence,
    Rsvp,
    Rules,
    Scheduling,
    Weekday,
    Window,
)
from shared.domain.series import Words

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
START = NOW + timedelta(hours=3)
HOUR = timedelta(hours=1)
MEET = "https://meet.google.com/qkr-wzpn-abt"
OTHER_MEET = "https://meet.google.com/tpc-rdqo-vhs"
OWNER = Attendee(email="owner@acme.example", answer=Answer.ACCEPTED, is_owner=True)
GUEST = Attendee(email="guest@globex.example", answer=Answer.NONE)
JOIN = Decision(join=True, reason="base.all", rule="base")
SKIP = Decision(join=False, reason="rsvp", rule="rsvp")


def event(**changes: Any) -> Event:
    """In three hours, organized by a guest, accepted by the owner."""
    facts: dict[str, Any] = {
        "event_id": "event-1",
        "calendar_id": "calendar-1",
        "platform": Platform.GOOGLE,
        "platform_id": "p1",
        "ical_uid": "uid@example.com",
        "series_id": None,
        "title": "Kickoff",
        "start": START,
        "all_day": False,
        "cancelled": False,
        "deleted": False,
        "private": False,
        "meeting_url": MEET,
        "meeting_platform": "google_meet",
        "organizer_email": GUEST.email,
        "owner_is_organizer": False,
        "owner_answer": Answer.ACCEPTED,
        "attendees": (OWNER, GUEST),
        "guests_hidden": False,
        "time_zone": "Europe/Berlin",
        **changes,
    }
    return Event(**{"end": facts["start"] + HOUR, **facts})


def key(start: datetime = START, *, url: str = MEET, tenant_id: str = "default") -> str:
    return meeting_key(tenant_id=tenant_id, meeting_url=url, start=start)


def bot(bot_id: str = "bot-1", *, start: datetime = START, url: str = MEET) -> EventBot:
    return EventBot(
        bot_id=bot_id, start=start, deduplication_key=key(start, url=url), meeting_url=url
    )


def listed(*bots: EventBot, at: datetime = NOW, **changes: Any) -> ListedEvent:
    return ListedEvent(event=event(**changes), bots=bots, updated_at=at)


def calendar(**changes: Any) -> Calendar:
    facts: dict[str, Any] = {
        "calendar_id": "calendar-1",
        "tenant_id": "default",
        "entity_id": "u1",
        "platform": Platform.GOOGLE,
        "email": OWNER.email,
        "status": CalendarStatus.CONNECTED,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Calendar(**{**facts, **changes})


def around(**changes: Any) -> Surroundings:
    facts: dict[str, Any] = {"calendar": calendar(), "rules": Rules(), "now": NOW}
    return Surroundings(**{**facts, **changes})


def meeting(*bots: EventBot, **changes: Any) -> Meeting:
    known = changes.get("event", event())
    facts: dict[str, Any] = {
        "event": known,
        "tenant_id": "default",
        "bots": bots,
        "decision": JOIN,
        "meeting_key": known.meeting_url and key(known.start, url=known.meeting_url),
    }
    return Meeting(**{**facts, **changes})


def wish(start: datetime = START, *, url: str = MEET, settings: BotSettings | None = None) -> Wish:
    settings = settings or BotSettings()
    return Wish(
        meeting_key=key(start, url=url),
        event_id="event-1",
        start=start,
        end=start + HOUR,
        meeting_url=url,
        bot=settings,
        fingerprint=settings.fingerprint(url),
        scheduling=Scheduling.MANAGED,
    )


moments = st.integers(-48, 48).map(lambda hours: NOW + hours * HOUR / 2)
links = st.sampled_from([MEET, OTHER_MEET, "https://us02web.zoom.us/j/81234567890?pwd=abc"])
answers = st.sampled_from(Answer)
people = st.builds(
    Attendee,
    email=st.sampled_from([OWNER.email, GUEST.email, "dana@acme.example", "room@acme.example"]),
    answer=answers,
    is_owner=st.booleans(),
    is_resource=st.booleans(),
)


@st.composite
def events(draw: st.DrawFn) -> Event:
    return event(
        title=draw(st.sampled_from(["Kickoff", "Weekly stand-up", "Salary talk", ""])),
        start=draw(moments),
        all_day=draw(st.booleans()),
        cancelled=draw(st.booleans()),
        deleted=draw(st.booleans()),
        private=draw(st.booleans()),
        series_id=draw(st.none() | st.just("series-1")),
        meeting_url=draw(st.none() | links),
        meeting_platform=draw(st.none() | st.sampled_from(["google_meet", "webex", "chime_sdk"])),
        organizer_email=draw(st.none() | st.sampled_from([OWNER.email, GUEST.email])),
        owner_is_organizer=draw(st.booleans()),
        owner_answer=draw(answers),
        attendees=tuple(draw(st.lists(people, max_size=4))),
        guests_hidden=draw(st.booleans()),
        time_zone=draw(st.none() | st.sampled_from(["Europe/Berlin", "Asia/Tokyo", "Nowhere"])),
        link_in_body=draw(st.booleans()),
    )


def _some(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=1).map(tuple)


_lists = {
    "keywords": _some("kickoff", "stand*", "weekly stand up", "nothing"),
    "people": _some(GUEST.email, "Dana@acme.example"),
    "domains": _some("globex.example", "*.example", "acme.example"),
}
matches = st.builds(Matches, **_lists)
_limits = st.none() | st.integers(0, 4)
rules = st.builds(
    Rules,
    mode=st.sampled_from([Mode.LIVE, Mode.LIVE, Mode.PREVIEW, Mode.PAUSED]),
    base=st.sampled_from(Base),
    rsvp=st.sampled_from(Rsvp),
    private=st.sampled_from(Private),
    min_others=st.integers(0, 3),
    hidden_guests=st.sampled_from(HiddenGuests),
    internal_domains=_some("acme.example", "*.example"),
    include=matches,
    exclude=matches,
    deny=st.builds(Denials, **_lists, platforms=_some("webex", "google_meet")),
    attendees=st.builds(Bounds, min=_limits, max=_limits),
    duration_minutes=st.builds(Bounds, min=st.none() | st.integers(0, 90)),
    hours=st.none() | st.just((Window(days=frozenset(Weekday), start=time(9), end=time(3)),)),
    recurrence=st.sampled_from(Recurrence),
    horizon=st.none() | st.integers(1, 48).map(lambda hours: hours * HOUR),
    bot=st.builds(BotSettings, bot_name=st.sampled_from(["Notetaker", "Scribe"])),
)
overrides = st.builds(Override, choice=st.sampled_from(Choice))
surroundings = st.builds(
    Surroundings,
    calendar=st.none()
    | st.builds(lambda status: calendar(status=status), st.sampled_from(CalendarStatus)),
    rules=rules,
    series=st.builds(Words, override=st.none() | overrides, opted_out=st.booleans()),
    now=st.just(NOW),
)
bots = st.builds(bot, st.sampled_from(["bot-1", "bot-2", "bot-3"]), start=moments, url=links)
