"""The oracle by hand: every row of the rules as written, with the outcome that it asks for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.simulation.oracle import (
    BotFact,
    CalendarFact,
    CopyFact,
    MeetingFact,
    WordFact,
    WorldFacts,
    always,
    at_rest,
    explain,
    room_of,
    wanted,
)

# A Monday; in Berlin it is 10:30.
NOW = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
START = NOW + timedelta(hours=3)
HOUR = timedelta(hours=1)
MEET = "https://meet.google.com/qkr-wzpn-abt"
ZOOM = "https://us02web.zoom.us/j/81234567890?pwd=abc"
OWNER, GUEST, DANA = "owner@acme.example", "guest@globex.example", "dana@acme.example"
ME = {"email": OWNER, "self": True, "responseStatus": "accepted"}
HOSTED = {"organizer": {"email": OWNER, "self": True}}


def calendar(name: str = "1", **changes: Any) -> CalendarFact:
    facts: dict[str, Any] = {
        "calendar_id": f"c{name}",
        "tenant_id": "acme",
        "entity_id": f"u{name}",
        "platform": "google_calendar",
        "email": OWNER if name == "1" else f"u{name}@acme.example",
        "connected": True,
        "created_at": NOW - timedelta(days=9),
    }
    return CalendarFact(**{**facts, **changes})


def other(name: str, answer: str = "accepted") -> dict[str, Any]:
    return {"email": name, "responseStatus": answer}


def copy(name: str = "1", *, raw: dict[str, Any] | None = None, **shown: Any) -> CopyFact:
    """Google, in three hours for an hour, invited by a guest from outside, and accepted."""
    owner = OWNER if name == "1" else f"u{name}@acme.example"
    event: dict[str, Any] = {
        "status": "confirmed",
        "summary": "Kick-off with Globex",
        "start": {"dateTime": "2027-03-01T13:30:00+01:00", "timeZone": "Europe/Berlin"},
        "organizer": {"email": GUEST},
        "attendees": [other(GUEST), {**other(owner), "self": True}],
        "iCalUID": "abc@google.com",
        **(raw or {}),
    }
    facts = {
        "start_time": (start := shown.pop("start", START)).isoformat(),
        "end_time": shown.pop("end", start + HOUR).isoformat(),
        "meeting_url": MEET,
        "meeting_platform": "google_meet",
        "is_deleted": False,
        "updated_at": (NOW - HOUR).isoformat(),
        "raw": event,
        **shown,
    }
    return CopyFact(event_id=f"e{name}", calendar_id=f"c{name}", shown=facts)


def outlook(**changes: Any) -> CopyFact:
    raw = {
        "subject": "Pilot",
        "isOrganizer": False,
        "isCancelled": False,
        "isAllDay": False,
        "sensitivity": "normal",
        "responseStatus": {"response": "accepted"},
        "organizer": {"emailAddress": {"address": GUEST}},
        "attendees": [invited(OWNER, "accepted")],
        "originalStartTimeZone": "Tokyo Standard Time",
        "uid": "0400",
        **changes,
    }
    platform = "microsoft_outlook"
    return replace(copy(), shown={**copy().shown, "raw": raw, "platform": platform})


def invited(address: str, answer: str = "none", kind: str = "required") -> dict[str, Any]:
    person = {"emailAddress": {"address": address}}
    return {"type": kind, "status": {"response": answer}, **person}


def world(*copies: CopyFact, **changes: Any) -> WorldFacts:
    names = sorted({each.calendar_id[1:] for each in copies} | {"1"})
    facts: dict[str, Any] = {
        "now": NOW,
        "calendars": tuple(calendar(name) for name in names),
        "copies": copies or (copy(),),
        "disturbed_at": NOW - timedelta(days=1),
    }
    return WorldFacts(**{**facts, **changes})


def ruled(*copies: CopyFact, **rules: Any) -> WorldFacts:
    return world(*copies, rules={"default": rules})


def answer(facts: WorldFacts, event_id: str = "e1") -> tuple[bool, str]:
    """What is shown for one copy."""
    for meeting in wanted(facts):
        for each in meeting.copies:
            if each.event_id == event_id:
                return each.final_join, each.final_reason
    raise LookupError(event_id)


def only(facts: WorldFacts) -> MeetingFact:
    (meeting,) = wanted(facts)
    return meeting


def said(choice: str, name: str = "1", **changes: Any) -> WordFact:
    return WordFact(**{"choice": choice, "event_id": f"e{name}", **changes})


INELIGIBLE = [
    ("deleted", copy(is_deleted=True)),
    ("cancelled", copy(raw={"status": "cancelled"})),
    ("cancelled", outlook(isCancelled=True)),
    ("all_day", copy(raw={"start": {"date": "2027-03-01"}})),
    ("all_day", outlook(isAllDay=True)),
    ("ended", copy(start=NOW - 2 * HOUR, end=NOW)),
    ("no_link", copy(meeting_url=None)),
    ("link_in_body", copy(meeting_url=None, raw={"description": f"at {ZOOM} now"})),
    ("link_in_body", copy(meeting_url=None, raw={"location": "https://go.example/?u=" + ZOOM})),
    ("no_link", copy(meeting_url=None, raw={"description": "https://acme.example/agenda"})),
    ("unsupported_link", copy(meeting_platform="chime_sdk")),
    # The first of several counts.
    ("deleted", copy(is_deleted=True, raw={"status": "cancelled"})),
]


@pytest.mark.parametrize(("reason", "fact"), INELIGIBLE)
def test_step_1_by_the_event(reason: str, fact: CopyFact) -> None:
    assert (False, f"ineligible.{reason}") == answer(world(fact))
    assert only(world(fact)).bot is None


def test_step_1_by_what_stands_around_it() -> None:
    gone = world(calendars=(calendar(connected=False),))
    assert (False, "ineligible.calendar_disconnected") == answer(gone)
    assert (False, "ineligible.paused") == answer(ruled(mode="paused"))
    assert (False, "ineligible.horizon") == answer(ruled(horizon_hours=2))
    assert (True, "base.all") == answer(ruled(horizon_hours=3))
    assert (True, "base.all") == answer(world(copy(start=NOW - HOUR, end=NOW + HOUR)))


def test_eligibility_beats_a_person() -> None:
    paused = replace(ruled(mode="paused"), words=(said("on"),))
    assert (False, "ineligible.paused") == answer(paused)


COUNSEL = "Counsel@law.example"
DENIED = [
    ("person", {"people": ["GUEST@globex.example"]}, copy()),
    (
        "person",
        {"people": ["dana@gmail.com"]},
        copy(raw={"attendees": [other("Dana@GoogleMail.com"), ME]}),
    ),
    ("domain", {"domains": ["law.example"]}, copy(raw={"attendees": [other(COUNSEL), ME]})),
    (
        "domain",
        {"domains": ["*.law.example"]},
        copy(raw={"attendees": [other("a@uk.law.example"), ME]}),
    ),
    ("keyword", {"keywords": ["kick off"]}, copy()),
    ("organizer_domain", {"domains": ["globex.example"]}, copy()),
    ("platform", {"platforms": ["google_meet"]}, copy()),
]


@pytest.mark.parametrize(("reason", "deny", "fact"), DENIED)
def test_step_2_by_the_rules(reason: str, deny: dict[str, Any], fact: CopyFact) -> None:
    facts = replace(ruled(fact, deny=deny), words=(said("on"),))
    assert (False, f"denied.{reason}") == answer(facts)


@pytest.mark.parametrize(
    ("deny", "fact"),
    [
        ({"people": [OWNER]}, copy()),
        ({"domains": ["acme.example"]}, copy()),
        ({"domains": ["*.globex.example", "lobex.example"]}, copy()),
        ({"platforms": ["zoom"]}, copy()),
        ({"keywords": ["kick offs", "lobex", "off kick"]}, copy()),
    ],
)
def test_step_2_denies_no_more_than_it_says(deny: dict[str, Any], fact: CopyFact) -> None:
    assert (True, "base.all") == answer(ruled(fact, deny=deny))


@pytest.mark.parametrize("mark", ["private", "confidential"])
def test_step_2_private(mark: str) -> None:
    for fact in (copy(raw={"visibility": mark}), outlook(sensitivity=mark)):
        assert (False, "denied.private") == answer(world(fact))
        assert (True, "base.all") == answer(ruled(fact, private="allow"))


def test_step_2_personal_is_not_private() -> None:
    assert (True, "base.all") == answer(world(outlook(sensitivity="personal")))


def test_step_2_opt_outs() -> None:
    assert (False, "denied.opt_out") == answer(world(words=(said("on"), said("opt_out"))))
    series = WordFact(choice="opt_out", calendar_id="c1", series_id="abc")
    recurring = copy(raw={"recurringEventId": "abc"})
    assert (False, "denied.opt_out") == answer(world(recurring, words=(series,)))
    assert (True, "base.all") == answer(world(words=(said("opt_out", "2"),)))


DECLINED = copy(raw={"attendees": [other(GUEST), {**ME, "responseStatus": "declined"}]})
SERIES = copy(raw={"recurringEventId": "abc", "iCalUID": "abc@google.com"})
LATER = copy(raw={"recurringEventId": "abc_R20270210T090000"})
LAST = copy(raw={"recurringEventId": "abc_R20270220T090000"})


def on_series(choice: str, series_id: str, **changes: Any) -> WordFact:
    facts = {"choice": choice, "calendar_id": "c1", "series_id": series_id, **changes}
    return WordFact(**facts)


def test_step_3_a_person_s_word_beats_every_rule() -> None:
    hostile = ruled(DECLINED, base="off", exclude={"keywords": ["kick*"]}, min_others=5)
    assert (True, "override.on") == answer(replace(hostile, words=(said("on"),)))
    friendly = ruled(include={"keywords": ["kick*"]})
    assert (False, "override.off") == answer(replace(friendly, words=(said("off"),)))
    assert (True, "included.keyword") == answer(replace(friendly, words=(said("auto"),)))


@pytest.mark.parametrize(
    ("fact", "words", "expected"),
    [
        (SERIES, [on_series("off", "abc")], "override.off"),
        (SERIES, [on_series("off", "abc"), said("on")], "override.on"),
        (SERIES, [on_series("off", "abc"), said("auto")], "override.off"),
        (SERIES, [on_series("off", "abd")], "base.all"),
        (SERIES, [on_series("off", "abc", calendar_id="c2")], "base.all"),
        # What is cut off later inherits, what came earlier does not, and the nearest counts.
        (LATER, [on_series("off", "abc")], "override.off"),
        (SERIES, [on_series("off", "abc_R20270210T090000")], "base.all"),
        (LAST, [on_series("off", "abc"), on_series("on", "abc_R20270210T090000")], "override.on"),
        (LAST, [on_series("on", "abc_R20270210T090000"), on_series("off", "abc")], "override.on"),
        (LATER, [on_series("off", "abc_R20270220T090000")], "base.all"),
    ],
)
def test_step_3_series(fact: CopyFact, words: list[WordFact], expected: str) -> None:
    assert expected == answer(world(fact, words=tuple(words)))[1]


def test_step_3_invitations_of_google_in_outlook() -> None:
    later = outlook(seriesMasterId="BBB", uid="abc_R20270210T090000@google.com")
    word = on_series("off", "AAA", uid="abc@google.com")
    known = world(later, words=(word,))
    assert (False, "override.off") == answer(known)
    assert (True, "base.all") == answer(replace(known, words=(replace(word, uid="abd@x.example"),)))


@pytest.mark.parametrize(
    ("rsvp", "joins"),
    [
        ("any", ["needsAction", "declined", "tentative", "accepted"]),
        ("not_declined", ["needsAction", "tentative", "accepted"]),
        ("tentative_or_accepted", ["tentative", "accepted"]),
        ("accepted", ["accepted"]),
    ],
)
def test_step_4(rsvp: str, joins: list[str]) -> None:
    for word in ("needsAction", "declined", "tentative", "accepted"):
        fact = copy(raw={"attendees": [other(GUEST), {**ME, "responseStatus": word}]})
        expected = (True, "base.all") if word in joins else (False, "rsvp")
        assert expected == answer(ruled(fact, rsvp=rsvp))


@pytest.mark.parametrize(
    ("word", "least"),
    [
        ("none", "not_declined"),
        ("notResponded", "not_declined"),
        ("tentativelyAccepted", "tentative_or_accepted"),
        ("accepted", "accepted"),
        ("organizer", "accepted"),
    ],
)
def test_step_4_in_outlook(word: str, least: str) -> None:
    event = outlook(
        responseStatus={"response": word}, attendees=[invited(OWNER), invited(DANA, "accepted")]
    )
    assert (True, "base.all") == answer(ruled(event, rsvp=least))
    stricter = {"not_declined": "tentative_or_accepted", "tentative_or_accepted": "accepted"}
    if least in stricter:
        assert (False, "rsvp") == answer(ruled(event, rsvp=stricter[least]))
    assert (False, "rsvp") == answer(ruled(outlook(responseStatus={"response": "declined"})))


def test_step_4_an_organizer_has_accepted_unless_declined() -> None:
    mine = {**HOSTED, "attendees": [other(GUEST)]}
    assert (True, "base.all") == answer(ruled(copy(raw=mine), rsvp="accepted"))
    no = {**HOSTED, "attendees": [other(GUEST), {**ME, "responseStatus": "declined"}]}
    assert (False, "rsvp") == answer(ruled(copy(raw=no)))


def test_step_4_an_answer_belongs_to_an_address() -> None:
    unmarked = [other(GUEST), other("Owner@acme.example", "declined")]
    assert (False, "rsvp") == answer(world(copy(raw={"attendees": unmarked})))


LISTS = [
    ("keyword", {"keywords": ["globex"]}),
    ("person", {"people": [GUEST]}),
    ("domain", {"domains": ["globex.example"]}),
]


@pytest.mark.parametrize(("kind", "lists"), LISTS)
def test_steps_5_and_6(kind: str, lists: dict[str, Any]) -> None:
    assert (False, f"excluded.{kind}") == answer(ruled(exclude=lists, include=lists))
    assert (True, f"included.{kind}") == answer(ruled(include=lists, base="off"))
    strict = ruled(include=lists, min_others=2)
    assert (False, "bounds.min_others") == answer(strict)


def test_lists_match_whoever_is_invited_and_never_the_owner() -> None:
    gone = copy(raw={"organizer": {"email": DANA}, "attendees": [other(GUEST, "declined"), ME]})
    assert (False, "excluded.person") == answer(ruled(gone, exclude={"people": [GUEST]}))
    assert (True, "base.all") == answer(ruled(exclude={"people": [OWNER]}))
    assert (True, "base.all") == answer(ruled(exclude={"domains": ["acme.example"]}))


@pytest.mark.parametrize(
    ("title", "keyword", "found"),
    [
        ("Kick-offs today", "kick off*", True),
        ("Kick-offs today", "kick off", False),
        ("Kickoff", "kick", False),
        ("Kickoff", "kick*", True),
        ("The weekly STAND-UP", "Weekly  stand up ", True),
        ("The stand-up weekly", "weekly stand up", False),
        ("\uff24\uff25\uff2d\uff2f", "demo", True),
        ("Stra\u00dfe", "STRASSE", True),
        ("\u9031\u6b21\u4f1a\u8b70", "\u4f1a\u8b70", True),
        ("\u9031\u6b21\u4f1a\u8b70", "\u8b70\u4f1a", False),
        ("anything", "*", False),
        ("a.b", "a.c", False),
        ("axb", "a.b", False),
    ],
)
def test_keywords(title: str, keyword: str, found: bool) -> None:
    fact = copy(raw={"summary": title})
    facts = ruled(fact, exclude={"keywords": [keyword]})
    assert ("excluded.keyword" if found else "base.all") == answer(facts)[1]


COLLEAGUES = copy(raw={"organizer": {"email": DANA}, "attendees": [other(DANA), ME]})
HIDDEN = copy(
    raw={"organizer": {"email": DANA}, "attendees": [ME], "guestsCanSeeOtherGuests": False}
)
MISSING = copy(raw={"organizer": {"email": DANA}, "attendees": []})
OMITTED = copy(raw={**HOSTED, "attendees": [ME, other(DANA)], "attendeesOmitted": True})
SOLO = copy(raw={**HOSTED, "attendees": [ME]})
HIDING = copy(raw={**HOSTED, "attendees": [ME, other(DANA)], "guestsCanSeeOtherGuests": False})
OUTSIDER_DECLINED = copy(
    raw={"organizer": {"email": DANA}, "attendees": [other(DANA), other(GUEST, "declined"), ME]}
)
HOST_DECLINED = copy(raw={"attendees": [other(GUEST, "declined"), other(DANA), ME]})
ROOM = copy(
    raw={
        "organizer": {"email": DANA},
        "attendees": [other(DANA), {**other("r@globex.example"), "resource": True}, ME],
    }
)
SHARED_CALENDAR = copy(
    raw={"organizer": {"email": "c_1@group.calendar.google.com"}, "attendees": [other(DANA), ME]}
)


@pytest.mark.parametrize(
    ("base", "fact", "expected"),
    [
        ("all", copy(), (True, "base.all")),
        ("all", HIDDEN, (True, "base.all")),
        ("off", copy(), (False, "base.off")),
        ("external", copy(), (True, "base.external")),
        ("external", COLLEAGUES, (False, "base.external")),
        ("external", OUTSIDER_DECLINED, (False, "base.external")),
        ("external", HOST_DECLINED, (False, "base.external")),
        ("external", ROOM, (False, "base.external")),
        ("external", SHARED_CALENDAR, (False, "base.external")),
        ("external", HIDDEN, (False, "audience_unknown")),
        ("external", MISSING, (False, "audience_unknown")),
        ("external", OMITTED, (False, "audience_unknown")),
        ("external", SOLO, (False, "base.external")),
        ("internal", copy(), (False, "base.internal")),
        ("internal", COLLEAGUES, (True, "base.internal")),
        ("internal", OUTSIDER_DECLINED, (True, "base.internal")),
        ("internal", SHARED_CALENDAR, (True, "base.internal")),
        ("internal", HIDDEN, (False, "audience_unknown")),
        ("internal", SOLO, (False, "base.internal")),
        # Hidden from the guests, and not from who invites them.
        ("internal", HIDING, (True, "base.internal")),
        ("organizer", copy(), (False, "base.organizer")),
        ("organizer", copy(raw={"organizer": {"email": OWNER.upper()}}), (True, "base.organizer")),
        ("organizer", copy(raw={**HOSTED, "attendees": [other(GUEST)]}), (True, "base.organizer")),
        ("organizer", HIDDEN, (False, "base.organizer")),
    ],
)
def test_step_7(base: str, fact: CopyFact, expected: tuple[bool, str]) -> None:
    assert expected == answer(ruled(fact, base=base))


def test_hidden_guests_may_count_as_external() -> None:
    assert (True, "base.external") == answer(
        ruled(HIDDEN, base="external", hidden_guests="external")
    )
    assert (False, "base.internal") == answer(
        ruled(HIDDEN, base="internal", hidden_guests="external")
    )


def test_one_from_outside_settles_it_though_the_rest_is_hidden() -> None:
    fact = copy(raw={"guestsCanSeeOtherGuests": False, "attendees": [ME]})
    assert (True, "base.external") == answer(ruled(fact, base="external"))


@pytest.mark.parametrize(
    ("email", "domains", "guest", "outside"),
    [
        (OWNER, [], "x@uk.acme.example", True),
        (OWNER, ["acme.example"], "x@uk.acme.example", True),
        (OWNER, ["*.acme.example", "acme.example"], "x@uk.acme.example", False),
        (OWNER, ["*.acme.example"], DANA, True),
        (OWNER, ["globex.example"], GUEST, False),
        ("me@gmail.com", [], "you@gmail.com", True),
        ("me@gmail.com", ["gmail.com"], "you@gmail.com", False),
        (OWNER, [], "team@acme.example", False),
    ],
)
def test_what_is_outside(email: str, domains: list[str], guest: str, outside: bool) -> None:
    me = {**ME, "email": email}
    fact = copy(raw={"organizer": {"email": guest}, "attendees": [other(guest), me]})
    facts = ruled(fact, base="external", internal_domains=domains)
    facts = replace(facts, calendars=(calendar(email=email),))
    assert outside is answer(facts)[0]


@pytest.mark.parametrize("hidden_guests", ["skip", "external"])
def test_without_a_domain_of_one_s_own_nobody_guesses(hidden_guests: str) -> None:
    fact = copy(raw={"attendees": [other(GUEST)]})
    facts = ruled(fact, base="external", hidden_guests=hidden_guests)
    facts = replace(facts, calendars=(calendar(email=None),))
    assert (False, "audience_unknown") == answer(facts)


@pytest.mark.parametrize(
    ("fact", "others"),
    [
        (SOLO, 0),
        (copy(), 1),
        (HIDDEN, 1),
        (ROOM, 1),
        (OUTSIDER_DECLINED, 1),
        (HOST_DECLINED, 1),
        (copy(raw={"attendees": [other(GUEST), other(DANA), ME]}), 2),
        (copy(raw={"attendees": [other(GUEST), other("GUEST@globex.example"), ME]}), 1),
        (outlook(attendees=[invited(OWNER), invited("r@x.example", kind="resource")]), 1),
    ],
)
def test_step_8_people(fact: CopyFact, others: int) -> None:
    assert answer(ruled(fact, min_others=others))[0]
    assert (False, "bounds.min_others") == answer(ruled(fact, min_others=others + 1))
    ample = {"min_others": 0, "attendees": {"min": others + 1, "max": others + 1}}
    assert answer(ruled(fact, **ample))[0]
    for limits in ({"min": others + 2}, {"max": others}):
        facts = ruled(fact, min_others=0, attendees=limits)
        assert (False, "bounds.attendees") == answer(facts)


def test_step_8_who_declined_is_not_counted() -> None:
    facts = ruled(DECLINED, rsvp="any", attendees={"min": 2})
    assert (False, "bounds.attendees") == answer(facts)


@pytest.mark.parametrize(
    ("limits", "inside"),
    [({"min": 60, "max": 60}, True), ({"min": 61}, False), ({"max": 59}, False), ({}, True)],
)
def test_step_8_duration(limits: dict[str, int], inside: bool) -> None:
    expected = (True, "base.all") if inside else (False, "bounds.duration")
    assert expected == answer(ruled(duration_minutes=limits))


def window(days: str, opens: str, closes: str) -> dict[str, Any]:
    return {"days": days.split(), "from": opens, "to": closes}


@pytest.mark.parametrize(
    ("hours", "inside"),
    [
        # 12:30 in UTC is 13:30 in Berlin.
        ([window("mon", "13:30", "14:00")], True),
        ([window("mon", "13:00", "13:30")], False),
        ([window("mon", "12:00", "13:00")], False),
        ([window("tue", "13:00", "14:00")], False),
        ([window("tue", "13:00", "14:00"), window("mon", "08:00", "18:00")], True),
        ([window("sun", "14:00", "14:00")], True),
        ([window("mon", "14:00", "14:00")], False),
        ([window("sun", "22:00", "13:31")], True),
        ([window("mon", "22:00", "13:31")], False),
        ([window("mon", "13:00", "02:00")], True),
    ],
)
def test_step_8_hours(hours: list[dict[str, Any]], inside: bool) -> None:
    expected = (True, "base.all") if inside else (False, "bounds.hours")
    assert expected == answer(ruled(hours=hours))


def test_step_8_hours_in_outlook_and_without_a_zone() -> None:
    tokyo = ruled(outlook(), hours=[window("mon", "21:30", "21:31")])
    assert (True, "base.all") == answer(tokyo)
    nowhere = copy(raw={"start": {"dateTime": START.isoformat(), "timeZone": "No/Where"}})
    assert answer(ruled(nowhere, hours=[window("mon", "12:30", "12:31")]))[0]


@pytest.mark.parametrize(
    ("fact", "kind"),
    [
        (SERIES, "recurring"),
        (copy(), "one_off"),
        (outlook(seriesMasterId="AAA"), "recurring"),
        (outlook(seriesMasterId=None), "one_off"),
    ],
)
def test_step_8_recurrence(fact: CopyFact, kind: str) -> None:
    facts = ruled(fact, recurrence=kind)
    assert (True, "base.all") == answer(facts)
    wrong = {"recurring": "one_off", "one_off": "recurring"}[kind]
    facts = replace(facts, rules={"default": {"recurrence": wrong}})
    assert (False, "bounds.recurrence") == answer(facts)


# Step 9: c1 is a guest's, c2 the organizer's, c3 another guest's.
HOST_RAW = {"organizer": {"email": "u2@acme.example", "self": True}}
ONE = copy(raw={"organizer": {"email": "u2@acme.example"}})
HOST = copy("2", raw={**HOST_RAW, "attendees": [other(GUEST), other(OWNER)]})
THREE = copy("3", raw={"organizer": {"email": "u2@acme.example"}})
OFF_1, OFF_2 = {"entity:acme:u1": {"base": "off"}}, {"entity:acme:u2": {"base": "off"}}


def voting(rules: dict[str, Any], *copies: CopyFact, **changes: Any) -> WorldFacts:
    own = changes.pop("own", {})
    return world(*(copies or (ONE, HOST, THREE)), rules={"default": rules, **own}, **changes)


@pytest.mark.parametrize(
    ("rules", "own", "verdict"),
    [
        ({"vote": "any"}, {}, "join"),
        ({"vote": "any"}, {**OFF_1, **OFF_2}, "join"),
        ({"vote": "any", "base": "off"}, {}, "nobody"),
        ({"vote": "organizer_first"}, OFF_1, "join"),
        ({"vote": "organizer_first"}, OFF_2, "vote.organizer_first"),
        ({"vote": "all_agree"}, {}, "join"),
        ({"vote": "all_agree"}, OFF_1, "vote.all_agree"),
        ({"vote": "any"}, {"entity:acme:u3": {"deny": {"people": [GUEST]}}}, "vote.denied"),
        # The rules of the organizer's copy say how votes are counted.
        ({"vote": "any"}, {**OFF_1, "entity:acme:u2": {"vote": "all_agree"}}, "vote.all_agree"),
        ({"vote": "any"}, {**OFF_1, "entity:acme:u3": {"vote": "all_agree"}}, "join"),
    ],
)
def test_step_9(rules: dict[str, Any], own: dict[str, Any], verdict: str) -> None:
    meeting = only(voting(rules, own=own))
    assert verdict == meeting.verdict
    assert (verdict == "join") is (meeting.bot is not None)


def test_step_9_a_copy_that_skips_keeps_its_own_reason() -> None:
    facts = voting({"vote": "any"}, own=OFF_1)
    assert (False, "base.off") == answer(facts, "e1")
    assert (True, "base.all") == answer(facts, "e3")
    assert (False, "vote.all_agree") == answer(voting({"vote": "all_agree"}, own=OFF_1), "e3")


def test_step_9_without_the_organizer_s_copy_one_join_is_enough() -> None:
    rules = {"vote": "organizer_first"}
    assert "join" == only(voting(rules, ONE, THREE, own=OFF_1)).verdict
    calendars = (calendar("1"), calendar("2", connected=False), calendar("3"))
    gone = voting(rules, own={**OFF_1, **OFF_2}, calendars=calendars)
    assert "join" == only(gone).verdict
    everyone = voting({"vote": "all_agree"}, own=OFF_2, calendars=calendars)
    assert "join" == only(everyone).verdict


def test_step_9_an_organizer_who_declined_still_decides() -> None:
    me = {"email": "u2@acme.example", "self": True, "responseStatus": "declined"}
    declined = copy("2", raw={**HOST_RAW, "attendees": [me, other(GUEST)]})
    facts = voting({"vote": "organizer_first"}, ONE, declined)
    assert "vote.organizer_first" == only(facts).verdict
    assert "e1" == only(voting({}, ONE, declined)).bot.owner_event_id


@pytest.mark.parametrize(
    ("veto", "who", "verdict"),
    [
        ("organizer", "2", "vote.veto"),
        ("organizer", "1", "join"),
        ("any", "1", "vote.veto"),
        ("none", "2", "join"),
    ],
)
def test_step_9_veto(veto: str, who: str, verdict: str) -> None:
    assert verdict == only(voting({"veto": veto}, words=(said("off", who),))).verdict


def test_step_9_a_rule_that_misses_is_no_veto() -> None:
    assert "join" == only(voting({"veto": "any"}, own=OFF_2)).verdict


def test_step_9_an_opt_out_of_one_is_for_all() -> None:
    assert "vote.denied" == only(voting({"veto": "none"}, words=(said("opt_out", "3"),))).verdict


def test_step_9_a_copy_in_preview_votes_and_gets_no_bot() -> None:
    preview = {"entity:acme:u2": {"mode": "preview"}}
    assert "e1" == only(voting({}, own=preview)).bot.owner_event_id
    alone = ruled(mode="preview")
    assert ((True, "base.all"), None) == (answer(alone), only(alone).bot)


def test_the_owner_is_organizer_then_earliest_then_lowest() -> None:
    assert "e2" == only(voting({})).bot.owner_event_id
    assert "e1" == only(voting({}, ONE, THREE)).bot.owner_event_id
    calendars = (calendar("1"), calendar("3", created_at=NOW - timedelta(days=10)))
    assert "e3" == only(voting({}, ONE, THREE, calendars=calendars)).bot.owner_event_id
    no = {**ME, "responseStatus": "declined"}
    declined = copy(
        raw={"organizer": {"email": "u2@acme.example"}, "attendees": [no, other(GUEST)]}
    )
    assert "e3" == only(voting({"rsvp": "any"}, declined, THREE)).bot.owner_event_id


def test_the_owner_gives_name_link_and_way() -> None:
    own = {
        "entity:acme:u2": {
            "bot": {"bot_name": "{owner} of {tenant}: {title}", "config": {"a": 1}},
            "scheduling": "self_managed",
        }
    }
    host = replace(HOST, shown={**HOST.shown, "meeting_url": MEET + "?authuser=1"})
    bot = only(voting({}, ONE, host, own=own)).bot
    assert "u2 of acme: Kick-off with Globex" == bot.bot_name
    assert (MEET + "?authuser=1", {"a": 1}, "self_managed", START) == (
        bot.meeting_url,
        bot.config,
        bot.scheduling,
        bot.start,
    )


@pytest.mark.parametrize(
    ("template", "title", "name"),
    [
        (None, "x", "Notetaker"),
        ("Notes - {title}", "", "Notes"),
        ("{title}: notes", "", "notes"),
        ("{title}", "{owner}", "{owner}"),
        ("{title}", "x" * 120, "x" * 100),
        ("{title}", "", "Notetaker"),
        ("{owner}'s notes", "x", "owner's notes"),
    ],
)
def test_names(template: str | None, title: str, name: str) -> None:
    rules = {"bot": {"bot_name": template}} if template else {}
    assert name == only(ruled(copy(raw={"summary": title}), **rules)).bot.bot_name


def test_a_calendar_without_an_address_is_named_by_its_entity() -> None:
    facts = ruled(bot={"bot_name": "{owner}"})
    assert "u1" == only(replace(facts, calendars=(calendar(email=None),))).bot.bot_name


def test_precedence() -> None:
    documents = {
        "default": {"base": "off", "rsvp": "accepted"},
        "tenant:acme": {"base": "internal"},
        "entity:acme:u1": {"base": "all"},
    }
    assert (True, "base.all") == answer(world(rules=documents))
    documents["tenant:acme"]["locked"] = ["base"]
    assert (False, "base.internal") == answer(world(rules=documents))
    del documents["tenant:acme"]["base"]
    assert (False, "base.off") == answer(world(rules=documents))
    assert (False, "rsvp") == answer(world(copy(raw={"attendees": []}), rules=documents))


def test_denials_add_up_and_other_keys_take_places() -> None:
    documents = {
        "tenant:acme": {"deny": {"people": [GUEST]}, "exclude": {"people": [GUEST]}},
        "entity:acme:u1": {"deny": {"people": []}, "exclude": {}},
    }
    assert (False, "denied.person") == answer(world(rules=documents))
    documents["tenant:acme"]["deny"] = {}
    assert (True, "base.all") == answer(world(rules=documents))
    documents["entity:acme:u1"]["deny"] = {"people": [GUEST]}
    assert (False, "denied.person") == answer(world(rules=documents))
    documents["tenant:acme"]["locked"] = ["deny"]
    assert (True, "base.all") == answer(world(rules=documents))


def test_ids_with_colons() -> None:
    facts = world(rules={"entity:a%3Ab:u%251": {"base": "off"}})
    facts = replace(facts, calendars=(calendar(tenant_id="a:b", entity_id="u%1"),))
    assert (False, "base.off") == answer(facts)


THREAD = "19%3ameeting_ODg3%40thread.v2"
SAME_ROOMS = [
    (
        ZOOM,
        "https://acme.zoom.us/j/81234567890",
        "https://zoom.us/w/81234567890?tk=me",
        "https://zoom.us/wc/join/81234567890",
        "https://app.zoom.us/wc/81234567890/join?pwd=x",
        "https://us06web.zoom.us/j/81234567890#success",
    ),
    ("https://us02web.zoom.us/j/91234567890",),
    ("https://acme.zoom.us/my/dana", "https://acme.zoom.us/my/dana?pwd=1"),
    ("https://globex.zoom.us/my/dana",),
    (
        MEET,
        "http://meet.google.com/QKR-WZPN-ABT?authuser=1&pli=1",
        MEET + "/",
        "https://meet.google.com/qkrwzpnabt",
    ),
    ("https://meet.google.com/tpc-rdqo-vhs",),
    (
        f"https://teams.microsoft.com/l/meetup-join/{THREAD}/0?context=%7b%22Tid%22%3a%221%22%7d",
        "https://teams.microsoft.com/l/meetup-join/19:meeting_ODg3@thread.v2/0?context=other",
    ),
    ("https://teams.microsoft.com/l/meetup-join/19:meeting_XYZ@thread.v2/0",),
    (
        "https://teams.live.com/meet/9876543210123?p=AbC",
        "https://teams.live.com/meet/9876543210123",
    ),
    ("https://example.webex.com/meet/dana", "https://example.webex.com/meet/dana?x=1"),
    ("https://other.webex.com/meet/dana",),
    (
        "https://example.webex.com/example/j.php?MTID=m5f2c",
        "https://example.webex.com/example/j.php?foo=1&mtid=m5f2c",
    ),
    ("https://example.webex.com/example/j.php?MTID=m5f2d",),
    (
        "https://global.gotomeeting.com/join/123456789",
        "https://meet.goto.com/123456789",
        "https://app.goto.com/meeting/123-456-789",
    ),
    ("https://rooms.example/a?x=1&y=2", "https://ROOMS.example/a/?y=2&x=1"),
    ("https://rooms.example/b?x=1&y=2",),
    ("https://teams.microsoft.com/l/meetup-join/19:general@thread.tacv2/1614000000000",),
    ("https://teams.microsoft.com/l/meetup-join/19:general@thread.tacv2/1614000000001",),
    ("https://teams.microsoft.com/meet/2345678901234?p=x",),
]


def test_rooms() -> None:
    named = [{room_of(link) for link in links} for links in SAME_ROOMS]
    assert [1] * len(SAME_ROOMS) == [len(rooms) for rooms in named]
    assert len(SAME_ROOMS) == len(set.union(*named))


def test_a_meeting_is_tenant_room_and_minute() -> None:
    def moved(**changes: Any) -> CopyFact:
        return copy("2", **changes)

    assert 1 == len(wanted(world(copy(), moved())))
    assert 1 == len(wanted(world(copy(), moved(start=START + timedelta(seconds=30)))))
    assert 2 == len(wanted(world(copy(), moved(start=START + timedelta(minutes=1)))))
    assert 2 == len(wanted(world(copy(), moved(meeting_url=ZOOM, meeting_platform="zoom"))))
    strangers = (calendar("1"), calendar("2", tenant_id="globex"))
    assert 2 == len(wanted(world(copy(), moved(), calendars=strangers)))


def test_two_hours_of_one_link_are_two_meetings() -> None:
    later = copy("2", start=START + HOUR)
    assert [START, START + HOUR] == [one.bot.start for one in wanted(world(copy(), later))]


@pytest.mark.parametrize(
    ("dedupe", "emails", "meetings"),
    [
        ("tenant", ("a@acme.example", "b@globex.example"), 1),
        ("domain", ("a@acme.example", "b@ACME.example"), 1),
        ("domain", ("a@acme.example", "b@globex.example"), 2),
        ("domain", (None, None), 2),
        ("calendar", ("a@acme.example", "b@acme.example"), 2),
    ],
)
def test_dedupe(dedupe: str, emails: tuple[str | None, ...], meetings: int) -> None:
    calendars = (calendar("1", email=emails[0]), calendar("2", email=emails[1]))
    facts = replace(ruled(copy(), copy("2"), dedupe=dedupe), calendars=calendars)
    assert meetings == len(wanted(facts))


# What must hold of bots.


def bot(bot_id: str = "b1", **changes: Any) -> BotFact:
    facts: dict[str, Any] = {
        "bot_id": bot_id,
        "meeting_url": MEET,
        "join_at": START,
        "state": "waiting",
        "event_ids": ("e1",),
        "bot_name": "Notetaker",
        "tenant_id": "acme",
    }
    return BotFact(**{**facts, **changes})


def kinds(lines: list[str]) -> list[str]:
    return sorted(line.partition(":")[0] for line in lines)


@pytest.mark.parametrize(
    ("bots", "expected"),
    [
        ((bot(),), []),
        ((bot(), bot("b0", state="over", join_at=NOW - HOUR)), []),
        ((), ["missing"]),
        ((bot(state="over"),), ["missing"]),
        ((bot(join_at=START + HOUR),), ["missing", "mistimed"]),
        ((bot(join_at=START + timedelta(seconds=30)),), ["mistimed"]),
        ((bot(meeting_url=ZOOM),), ["missing", "mistimed"]),
        ((bot(meeting_url=MEET + "?pli=1"),), ["mislinked"]),
        ((bot(bot_name="Scribe"),), ["misnamed"]),
        ((bot(direct=True),), ["misplaced"]),
        ((bot(), bot("b2")), ["double"]),
        ((bot(), bot("b2", direct=True)), ["double", "misplaced"]),
        ((bot(), bot("b2", event_ids=("gone",))), ["double", "orphan"]),
        ((bot(), bot("b2", join_at=START + HOUR)), ["mistimed"]),
        ((bot(), bot("b2", event_ids=())), ["double", "orphan"]),
        ((bot(tenant_id="globex"),), ["shared"]),
    ],
)
def test_at_rest(bots: tuple[BotFact, ...], expected: list[str]) -> None:
    assert expected == kinds(at_rest(world(bots=bots)))


UNWANTED = [
    world(copy(is_deleted=True)),
    world(copy(raw={"status": "cancelled"})),
    world(words=(said("off"),)),
    ruled(mode="preview"),
    ruled(mode="paused"),
    ruled(horizon_hours=2),
    world(calendars=(calendar(connected=False),)),
    world(calendars=()),
]


@pytest.mark.parametrize("facts", UNWANTED)
def test_at_rest_nobody_waits_where_nobody_is_wanted(facts: WorldFacts) -> None:
    assert ["orphan"] == kinds(at_rest(replace(facts, bots=(bot(),))))
    assert [] == at_rest(facts)


def test_at_rest_two_tenants_have_two_bots() -> None:
    strangers = (calendar("1"), calendar("2", tenant_id="globex"))
    facts = world(copy(), copy("2"), calendars=strangers)
    two = bot("b2", event_ids=("e2",), tenant_id="globex")
    assert [] == at_rest(replace(facts, bots=(bot(), two)))
    shared = bot(event_ids=("e1", "e2"), tenant_id=None)
    assert "shared" in kinds(always(replace(facts, bots=(shared,))))
    assert ["missing"] == kinds(at_rest(replace(facts, bots=(bot(),))))


def test_at_rest_calendars_that_do_not_share_have_two_bots() -> None:
    facts = ruled(copy(), copy("2"), dedupe="calendar")
    two = bot("b2", event_ids=("e2",))
    assert [] == at_rest(replace(facts, bots=(bot(), two)))
    one_key = replace(facts, bots=(bot(deduplication_key="k"), replace(two, deduplication_key="k")))
    assert ["double"] == kinds(always(one_key))
    shared = replace(facts, rules={}, bots=(bot(), two))
    assert ["double"] == kinds(at_rest(shared))
    assert [] == at_rest(replace(shared, dedupe_changing=True))


def test_on_the_way_to_another_key_two_may_wait_and_never_sit_together() -> None:
    one, other = bot(deduplication_key="k1"), bot("b2", deduplication_key="k2", event_ids=("e2",))
    facts = ruled(copy(), copy("2"))
    assert [] == always(replace(facts, bots=(one, other)))
    sitting = replace(one, state="in_call")
    assert [] == always(replace(facts, bots=(sitting, other)))
    together = replace(facts, bots=(sitting, replace(other, state="in_call")))
    assert ["double"] == kinds(always(together))
    assert [] == always(replace(together, dedupe_changing=True))


def near(**changes: Any) -> WorldFacts:
    """Starts in two minutes."""
    start = NOW + timedelta(minutes=2)
    fact = copy(start=start, updated_at=changes.pop("updated_at", (NOW - HOUR).isoformat()))
    return world(fact, **changes)


def test_near_the_start_a_late_change_may_or_may_not_apply() -> None:
    late = near(updated_at=(NOW - timedelta(minutes=7)).isoformat())
    assert not only(late).settled
    assert [] == at_rest(late)
    assert [] == at_rest(replace(late, bots=(bot(join_at=START),)))
    assert not only(near(disturbed_at=NOW - timedelta(minutes=1))).settled
    assert not only(near(disturbed_at=None)).settled
    assert not only(near(words=(said("off", at=NOW - timedelta(minutes=1)),))).settled


def test_near_the_start_without_a_late_change_it_is_as_ever() -> None:
    assert only(near()).settled
    assert ["missing"] == kinds(at_rest(near()))


def test_a_meeting_that_runs_had_its_bot() -> None:
    running = world(copy(start=NOW - HOUR / 2))
    here = bot(join_at=NOW - HOUR / 2)
    assert ["missing"] == kinds(at_rest(running))
    for state in ("in_call", "over"):
        assert [] == at_rest(replace(running, bots=(replace(here, state=state),)))
    two = (replace(here, state="in_call"), replace(here, bot_id="b2"))
    assert ["double"] == kinds(at_rest(replace(running, bots=two)))


def test_what_moved_a_moment_ago_may_still_wait_for_its_copies() -> None:
    fresh = world(copy(updated_at=(NOW - timedelta(minutes=5)).isoformat()))
    assert "changed a moment ago" == only(fresh).unsettled
    assert [] == at_rest(replace(fresh, bots=(bot(join_at=START + HOUR),)))
    two = (bot(join_at=START + HOUR), bot("b2", join_at=START + HOUR))
    assert ["double"] == kinds(at_rest(replace(fresh, bots=two)))


def test_the_edge_of_the_horizon_is_not_settled() -> None:
    facts = ruled(copy(start=NOW + 2 * HOUR + timedelta(minutes=2)), horizon_hours=2)
    assert "at the edge of the horizon" == only(facts).unsettled


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"words": (said("off", at=NOW - HOUR),)}, ["overstayed"]),
        ({"words": (said("opt_out"),)}, ["overstayed"]),
        ({"copies": (copy(start=NOW - HOUR / 2, is_deleted=True),)}, ["overstayed"]),
        ({"rules": {"default": {"base": "off"}}}, []),
        ({"rules": {"default": {"mode": "paused"}}}, []),
        ({"calendars": (calendar(connected=False),)}, []),
    ],
)
def test_who_leaves_a_running_call(changes: dict[str, Any], expected: list[str]) -> None:
    facts = replace(world(copy(start=NOW - HOUR / 2)), **changes)
    inside = bot(join_at=NOW - HOUR / 2, state="in_call")
    assert expected == kinds(at_rest(replace(facts, bots=(inside,))))


def test_an_answer_ends_a_call_unless_the_rules_changed() -> None:
    raw = DECLINED.shown["raw"]
    facts = world(copy(start=NOW - HOUR / 2, raw=raw))
    inside = bot(join_at=NOW - HOUR / 2, state="in_call")
    facts = replace(facts, bots=(inside,))
    assert ["overstayed"] == kinds(at_rest(facts))
    assert [] == at_rest(replace(facts, disturbed_at=NOW - HOUR / 4))


def test_a_direct_bot_is_known_by_its_place() -> None:
    facts = ruled(scheduling="self_managed")
    old = bot(direct=True, event_ids=("gone",))
    assert [] == at_rest(replace(facts, bots=(old,)))
    stray = replace(old, join_at=START + HOUR)
    assert ["missing", "orphan"] == kinds(at_rest(replace(facts, bots=(stray,))))
    stranger = replace(old, tenant_id="globex")
    assert ["missing", "orphan"] == kinds(at_rest(replace(facts, bots=(stranger,))))


def test_a_bot_in_its_call_stays_when_the_event_moves_on() -> None:
    facts = world(copy(start=START))
    inside = bot("b0", join_at=NOW - HOUR / 2, state="in_call")
    assert [] == at_rest(replace(facts, bots=(inside, bot())))


def test_no_bot_is_made_against_a_person_s_word() -> None:
    facts = world(words=(said("off", at=NOW - HOUR),))
    soon = bot(made_at=NOW - HOUR + timedelta(minutes=1))
    late = bot(made_at=NOW - HOUR + timedelta(minutes=3))
    assert [] == always(replace(facts, bots=(soon,)))
    assert ["disobeyed"] == kinds(always(replace(facts, bots=(late,))))
    assert [] == always(replace(facts, bots=(replace(late, event_ids=("e1", "e2")),)))
    assert [] == always(replace(facts, words=(said("on", at=NOW - HOUR),), bots=(late,)))


def test_an_event_that_recall_moved_over_is_nobody_s_breach() -> None:
    strangers = (calendar("1"), calendar("2", tenant_id="globex"))
    moved = replace(copy("2"), transferred=True)
    facts = world(copy(), moved, calendars=strangers)
    shared = bot(event_ids=("e1", "e2"))
    assert [] == always(replace(facts, bots=(shared,)))


def test_it_explains_itself() -> None:
    told = explain(replace(ruled(base="off"), bots=(bot(),)), "e1")
    assert "skip base.off -> skip base.off" in told
    assert "should have no bot" in told
    assert "b1" in told
    assert "no copy" in explain(world(), "e9")
