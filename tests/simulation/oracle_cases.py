"""Events, rules and words by chance, with the rare ones often enough to matter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.simulation.oracle import CalendarFact, CopyFact, WordFact, WorldFacts

NOW = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
OWNERS = ("ann@acme.example", "Bob@Acme.example", "cat@googlemail.com", "dan@sub.acme.example")
GUESTS = (
    "eve@globex.example",
    "Fay@deep.globex.example",
    "gil@acme.example",
    "hal@gmail.com",
    "team@lists.globex.example",
    "ann@acme.example",
)
ROOMS = ("room-1@acme.example", "c_18aa@resource.calendar.google.com")
TITLES = (
    "Kick-off with Globex",
    "Weekly stand-up",
    "\uff24\uff45\uff4d\uff4f: Stra\u00dfe",
    "Salary talks",
    "",
    "\u9031\u6b21\u4f1a\u8b70",
)
KEYWORDS = (
    "kick off",
    "stand*",
    "DEMO",
    "strasse",
    "salary talk",
    "salary talk*",
    "\u4f1a\u8b70",
    "*",
    "--",
)
LINKS = (
    ("https://meet.google.com/qkr-wzpn-abt", "google_meet"),
    ("https://us02web.zoom.us/j/81234567890?pwd=abc", "zoom"),
    ("https://acme.zoom.us/wc/81234567890/join", "zoom"),
    ("https://teams.live.com/meet/9876543210123?p=AbC", "microsoft_teams_live"),
    ("https://example.webex.com/meet/procurement", "webex"),
)
ZONES = (
    ("Europe/Berlin", "W. Europe Standard Time"),
    ("America/New_York", "Eastern Standard Time"),
    ("Asia/Tokyo", "Tokyo Standard Time"),
    ("Nowhere/Land", "Nowhere Time"),
)


class Dice:
    """Chance with a bias: most things are as usual, so that late steps are reached."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        # How much of this world is out of the ordinary.
        self.oddity = self.random.choice((0.02, 0.08, 0.3))

    def odd(self) -> bool:
        return self.random.random() < self.oddity

    def usual(self, usual: Any, *others: Any) -> Any:
        return self.random.choice(others) if self.odd() else usual

    def some(self, values: tuple, most: int = 2) -> list[Any]:
        return self.random.sample(values, self.random.randint(1, most)) if self.odd() else []

    def pick(self, values: Any) -> Any:
        return self.random.choice(values)


def world(seed: int) -> WorldFacts:
    """One to four calendars, each with a copy of the same meeting, more or less."""
    dice = Dice(seed)
    calendars = tuple(_calendar(dice, number) for number in range(dice.pick((1, 1, 2, 3, 4))))
    meeting = _meeting(dice)
    copies = tuple(_copy(dice, calendar, meeting) for calendar in calendars)
    return WorldFacts(
        now=NOW,
        calendars=calendars,
        copies=copies,
        rules=_documents(dice, calendars),
        words=tuple(word for copy in copies for word in _words(dice, copy)),
    )


def _calendar(dice: Dice, number: int) -> CalendarFact:
    return CalendarFact(
        calendar_id=f"c{dice.pick('0123')}{number}",
        tenant_id=dice.usual("acme", "a:b%"),
        entity_id=f"u{number}",
        platform=dice.pick(("google_calendar", "microsoft_outlook")),
        email=dice.usual(OWNERS[number], None, OWNERS[0]),
        connected=dice.usual(True, False),
        created_at=NOW - timedelta(days=dice.pick((1, 1, 2))),
    )


def _meeting(dice: Dice) -> dict[str, Any]:
    start = NOW + timedelta(minutes=dice.usual(180, -30, 5, 61, 26 * 60, 9 * 60 + 30, 30_000))
    link, platform = dice.pick(LINKS)
    return {
        "title": dice.usual(TITLES[0], *TITLES),
        "start": start + timedelta(seconds=dice.usual(0, 30)),
        "minutes": dice.usual(45, 0, 10, 20, 90, 26 * 60),
        "link": link,
        "meeting_platform": platform,
        "organizer": dice.pick((*OWNERS, *GUESTS[:4], None, ROOMS[1], "alias@acme.example")),
        "guests": [guest for guest in GUESTS if dice.random.random() < dice.pick((0.2, 0.5))],
        "uid": dice.pick(("abc@google.com", "abc_R20270210T090000@google.com", "uid-1@x.example")),
        "recurs": dice.pick((True, False)),
        "cancelled": dice.usual(False, True),
        "all_day": dice.usual(False, True),
        "zone": dice.pick(ZONES),
    }


def _copy(dice: Dice, calendar: CalendarFact, meeting: dict[str, Any]) -> CopyFact:
    mine = dict(meeting)
    if dice.odd():
        mine["title"] = dice.pick(TITLES)
    if dice.odd():
        mine["link"], mine["meeting_platform"] = dice.pick(
            (*LINKS, (None, None), (None, None), ("https://app.chime.aws/1", "chime_sdk"))
        )
    if dice.odd():
        mine["start"] += timedelta(minutes=dice.pick((-15, 15)))
    mine["elsewhere"] = dice.usual(None, LINKS[1][0], "https://go.example/?u=" + LINKS[0][0])
    build = _google if calendar.platform == "google_calendar" else _microsoft
    start, end = mine["start"], mine["start"] + timedelta(minutes=mine["minutes"])
    event_id = f"e-{calendar.calendar_id}"
    shown = {
        "id": event_id,
        "calendar_id": calendar.calendar_id,
        "start_time": start.isoformat().replace("+00:00", "Z"),
        "end_time": end.isoformat().replace("+00:00", "Z"),
        "raw": build(dice, calendar, mine),
        "platform": calendar.platform,
        "platform_id": f"p-{event_id}",
        "ical_uid": mine["uid"],
        "meeting_platform": mine["meeting_platform"],
        "meeting_url": mine["link"],
        "created_at": "2027-02-01T09:00:00Z",
        "updated_at": "2027-02-01T09:00:00Z",
        "is_deleted": dice.usual(False, False, True),
        "bots": [],
    }
    return CopyFact(event_id=event_id, calendar_id=calendar.calendar_id, shown=shown)


def _google(dice: Dice, calendar: CalendarFact, meeting: dict[str, Any]) -> dict[str, Any]:
    owner = calendar.email or "ann@acme.example"
    answers = ("needsAction", "declined", "tentative", "accepted")
    attendees: list[dict[str, Any]] = [
        {"email": guest, "responseStatus": dice.usual("accepted", *answers)}
        for guest in meeting["guests"]
    ]
    organizes = meeting["organizer"] == calendar.email
    alias = dice.usual(owner, "Alias@acme.example")
    own = {"email": alias, "responseStatus": dice.usual("accepted", *answers)}
    attendees.append(own if dice.odd() else {**own, "self": True})
    if organizes and dice.odd():
        attendees[-1]["organizer"] = True
    attendees += [
        {"email": room, "resource": True, "responseStatus": "accepted"} for room in dice.some(ROOMS)
    ]
    dice.random.shuffle(attendees)
    raw: dict[str, Any] = {
        "id": "g",
        "status": "cancelled" if meeting["cancelled"] else "confirmed",
        "summary": meeting["title"],
        "start": {"dateTime": meeting["start"].isoformat(), "timeZone": meeting["zone"][0]},
        "iCalUID": meeting["uid"],
        "attendees": attendees,
        "visibility": dice.usual("default", "private", "confidential", "public"),
    }
    if meeting["all_day"]:
        raw["start"] = {"date": "2027-03-01"}
    if meeting["organizer"]:
        raw["organizer"] = {"email": meeting["organizer"]}
        if organizes and not dice.odd():
            raw["organizer"]["self"] = True
    if meeting["recurs"]:
        raw["recurringEventId"] = meeting["uid"].removesuffix("@google.com")
    if meeting["elsewhere"]:
        raw["description"] = f"Join: {meeting['elsewhere']} now"
    _withhold(dice, raw)
    return raw


def _withhold(dice: Dice, raw: dict[str, Any]) -> None:
    attendees = raw["attendees"]
    if dice.odd():
        raw["guestsCanSeeOtherGuests"] = False
        raw["attendees"] = [one for one in attendees if one.get("self")]
    if dice.odd():
        del raw["attendees"]
    if dice.odd():
        raw["attendeesOmitted"] = True
    if not raw["summary"]:
        del raw["summary"]


def _microsoft(dice: Dice, calendar: CalendarFact, meeting: dict[str, Any]) -> dict[str, Any]:
    owner = calendar.email or "ann@acme.example"
    answers = ("none", "notResponded", "declined", "tentativelyAccepted", "accepted")
    organizes = meeting["organizer"] == calendar.email
    attendees = [
        _invited(guest, dice.usual("accepted", *answers), "required") for guest in meeting["guests"]
    ]
    answer = dice.usual("accepted", *answers)
    if not organizes:
        attendees.append(_invited(owner, answer, "optional"))
    attendees += [_invited(room, "none", "resource") for room in dice.some(ROOMS)]
    dice.random.shuffle(attendees)
    hides = dice.usual(False, True)
    if hides and not organizes:
        attendees = [one for one in attendees if one["emailAddress"]["address"] == owner]
    return {
        "id": "m",
        "subject": meeting["title"],
        "isCancelled": meeting["cancelled"],
        "isAllDay": meeting["all_day"],
        "isOrganizer": organizes and not dice.odd(),
        "sensitivity": dice.usual("normal", "private", "confidential", "personal"),
        "seriesMasterId": dice.pick(("AAA", "BBB")) if meeting["recurs"] else None,
        "uid": meeting["uid"],
        "iCalUId": meeting["uid"],
        "hideAttendees": hides,
        "originalStartTimeZone": meeting["zone"][1],
        "responseStatus": {"response": "organizer" if organizes and not dice.odd() else answer},
        "start": {"dateTime": meeting["start"].isoformat()[:19] + ".0000000", "timeZone": "UTC"},
        "organizer": {"emailAddress": {"address": meeting["organizer"]}}
        if meeting["organizer"]
        else None,
        "attendees": [] if dice.odd() else attendees,
        "body": {"contentType": "html", "content": f"<a href='{meeting['elsewhere']}'>x</a>"},
        "onlineMeeting": None,
    }


def _invited(address: str, answer: str, kind: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": {"response": answer},
        "emailAddress": {"name": "", "address": address},
    }


def _documents(dice: Dice, calendars: tuple[CalendarFact, ...]) -> dict[str, dict[str, Any]]:
    documents = {}
    for scope in ("default", "tenant:acme", "tenant:a%3Ab%25"):
        if dice.random.random() < 0.6:
            documents[scope] = document(dice, tenant=scope != "default")
    for calendar in calendars:
        if dice.random.random() < 0.4:
            tenant = "a%3Ab%25" if ":" in calendar.tenant_id else "acme"
            documents[f"entity:{tenant}:{calendar.entity_id}"] = document(dice)
    return documents


def document(dice: Dice, *, tenant: bool = False) -> dict[str, Any]:
    """A document as PUT accepts it, with a few of the keys."""
    whole: dict[str, Any] = {
        "mode": dice.usual("live", "preview", "paused"),
        "base": dice.pick(("all", "all", "off", "external", "internal", "organizer")),
        "rsvp": dice.pick(("any", "not_declined", "tentative_or_accepted", "accepted")),
        "private": dice.pick(("deny", "allow")),
        "min_others": dice.usual(1, 0, 2, 3),
        "hidden_guests": dice.pick(("skip", "external")),
        "internal_domains": dice.some(("acme.example", "*.acme.example", "gmail.com")),
        "include": _lists(dice),
        "exclude": _lists(dice),
        "deny": {**_lists(dice), "platforms": dice.some(("zoom", "webex", "google_meet"))},
        "attendees": {"min": dice.usual(None, 2, 3), "max": dice.usual(None, 1, 3)},
        "duration_minutes": {"min": dice.usual(None, 15, 60), "max": dice.usual(None, 45, 30)},
        "hours": dice.usual(None, [_window(dice)], [_window(dice), _window(dice)]),
        "recurrence": dice.usual("any", "recurring", "one_off"),
        "vote": dice.pick(("any", "organizer_first", "all_agree")),
        "veto": dice.pick(("none", "organizer", "any")),
        "dedupe": dice.usual("tenant", "domain", "calendar"),
        "scheduling": dice.pick(("managed", "self_managed")),
        "horizon_hours": dice.usual(None, 1, 24, 672),
        "bot": {"bot_name": dice.pick(("Notetaker", "{owner} - {title}", "{tenant}"))},
    }
    keys = dice.random.sample(sorted(whole), dice.random.randint(1, 8))
    chosen = {key: whole[key] for key in keys}
    if tenant and dice.odd():
        chosen["locked"] = dice.random.sample(sorted(whole), 3)
    return chosen


def _lists(dice: Dice) -> dict[str, list[str]]:
    lists = {
        "keywords": dice.some(KEYWORDS),
        "people": dice.some((*GUESTS, "ANN@acme.example", ROOMS[0])),
        "domains": dice.some(
            ("globex.example", "*.globex.example", "acme.example", "Gmail.com", "*.example")
        ),
    }
    return {key: entries for key, entries in lists.items() if entries or dice.odd()}


def _window(dice: Dice) -> dict[str, Any]:
    return {
        "days": dice.random.sample(("mon", "tue", "wed", "sun"), 2),
        "from": dice.pick(("09:00", "12:30", "22:00", "00:00")),
        "to": dice.pick(("09:00", "13:30", "18:00", "02:00")),
    }


def _words(dice: Dice, copy: CopyFact) -> list[WordFact]:
    raw = copy.shown["raw"]
    series = raw.get("recurringEventId") or raw.get("seriesMasterId")
    words = []
    if dice.odd():
        words.append(
            WordFact(event_id=copy.event_id, choice=dice.pick(("on", "off", "auto", "opt_out")))
        )
    if series and dice.odd():
        words.append(
            WordFact(
                calendar_id=copy.calendar_id,
                series_id=series,
                choice=dice.pick(("on", "off", "auto", "opt_out")),
            )
        )
    return words
