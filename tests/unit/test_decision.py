"""Why a bot joins or not: every step, every reason, and which step comes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, time
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.calendar import CalendarStatus, Platform
from shared.domain.decision import REASONS, Circumstances, Decision, decide
from shared.domain.event import Answer, Attendee, Event
from shared.domain.rules import (
    Base,
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
    Weekday,
    Window,
)
from tests.unit import core_values
from tests.unit.core_values import GUEST, HOUR, NOW, OWNER, START, event

SOLO = {"attendees": (), "organizer_email": OWNER.email, "owner_is_organizer": True}
HOSTED = {"organizer_email": OWNER.email, "owner_is_organizer": True}
ROOM = Attendee(email="room@acme.example", answer=Answer.ACCEPTED, is_resource=True)


def decision(
    facts: dict[str, Any] | None = None,
    *,
    rules: Rules | None = None,
    override: Choice = Choice.AUTO,
    status: CalendarStatus = CalendarStatus.CONNECTED,
    owner_email: str | None = OWNER.email,
    opted_out: bool = False,
) -> Decision:
    circumstances = Circumstances(
        rules=rules or Rules(),
        override=override,
        status=status,
        now=NOW,
        owner_email=owner_email,
        opted_out=opted_out,
    )
    return decide(event(**facts or {}), circumstances)


def join(reason: str, rule: str | None = None) -> Decision:
    return Decision(join=True, reason=reason, rule=rule)


def skip(reason: str, rule: str | None = None) -> Decision:
    return Decision(join=False, reason=reason, rule=rule)


INELIGIBLE = [
    ({"deleted": True}, "ineligible.deleted"),
    ({"cancelled": True}, "ineligible.cancelled"),
    ({"all_day": True}, "ineligible.all_day"),
    ({"start": NOW - 2 * HOUR}, "ineligible.ended"),
    ({"start": NOW - HOUR}, "ineligible.ended"),
    ({"meeting_url": None}, "ineligible.no_link"),
    ({"meeting_url": None, "link_in_body": True}, "ineligible.link_in_body"),
    *(
        ({"meeting_platform": platform}, "ineligible.unsupported_link")
        for platform in (
            "chime_sdk",
            "webrtc",
            "zoom_rtms",
            "google_meet_media_api",
            "slack_authenticator",
            "slack_huddle_observer",
        )
    ),
]
DENIED = [({"private": True}, "denied.private")]


def test_a_plain_meeting_is_joined() -> None:
    assert Decision(join=True, reason="base.all", rule="base") == decision()


@pytest.mark.parametrize("override", Choice)
@pytest.mark.parametrize(("facts", "reason"), [*INELIGIBLE, *DENIED])
def test_eligibility_and_hard_deny_beat_an_override(
    facts: dict[str, Any], reason: str, override: Choice
) -> None:
    found = decision(facts, override=override)
    assert (False, reason) == (found.join, found.reason)


@pytest.mark.parametrize("override", Choice)
def test_nothing_is_joined_for_a_disconnected_calendar(override: Choice) -> None:
    found = decision(status=CalendarStatus.DISCONNECTED, override=override)
    assert (False, "ineligible.calendar_disconnected") == (found.join, found.reason)


def test_a_calendar_that_connects_counts_as_connected() -> None:
    assert decision(status=CalendarStatus.CONNECTING).join


def test_eligibility_comes_before_hard_deny() -> None:
    assert "ineligible.deleted" == decision({"deleted": True, "private": True}).reason


def test_a_private_meeting_may_be_allowed() -> None:
    assert decision({"private": True}, rules=Rules(private=Private.ALLOW)).join


def test_a_meeting_that_runs_is_still_joined() -> None:
    assert decision({"start": NOW - HOUR / 2}).join


AGAINST_RULES = [
    {"owner_answer": Answer.DECLINED},
    SOLO,
    {**SOLO, "owner_answer": Answer.DECLINED},
]


@pytest.mark.parametrize("facts", AGAINST_RULES)
def test_on_beats_the_answer_and_the_bounds(facts: dict[str, Any]) -> None:
    assert not decision(facts).join
    assert Decision(join=True, reason="override.on") == decision(facts, override=Choice.ON)


@pytest.mark.parametrize("facts", [{}, *AGAINST_RULES])
def test_off_beats_everything_that_is_not_harder(facts: dict[str, Any]) -> None:
    assert Decision(join=False, reason="override.off") == decision(facts, override=Choice.OFF)


@pytest.mark.parametrize(
    ("rsvp", "joined"),
    [
        (Rsvp.ANY, set(Answer)),
        (Rsvp.NOT_DECLINED, {Answer.NONE, Answer.TENTATIVE, Answer.ACCEPTED}),
        (Rsvp.TENTATIVE_OR_ACCEPTED, {Answer.TENTATIVE, Answer.ACCEPTED}),
        (Rsvp.ACCEPTED, {Answer.ACCEPTED}),
    ],
)
def test_the_answer_must_be_at_least_what_the_rules_ask(rsvp: Rsvp, joined: set[Answer]) -> None:
    found = {
        answer: decision({"owner_answer": answer}, rules=Rules(rsvp=rsvp)) for answer in Answer
    }
    assert joined == {answer for answer, each in found.items() if each.join}
    refused = {(each.reason, each.rule) for each in found.values() if not each.join}
    assert refused <= {("rsvp", "rsvp")}


@pytest.mark.parametrize("answer", Answer)
def test_an_organizer_has_accepted_unless_they_declined(answer: Answer) -> None:
    facts = {**HOSTED, "owner_answer": answer}
    found = decision(facts, rules=Rules(rsvp=Rsvp.ACCEPTED))
    assert (answer is not Answer.DECLINED) == found.join


def test_the_answer_comes_before_the_bounds() -> None:
    assert "rsvp" == decision({**SOLO, "owner_answer": Answer.DECLINED}).reason


UTC_FACTS = {"time_zone": None}
DECLINED_GUEST = Attendee(email=GUEST.email, answer=Answer.DECLINED)
DANA = Attendee(email="dana@acme.example", answer=Answer.TENTATIVE)


@pytest.mark.parametrize(
    ("facts", "others"),
    [
        (SOLO, 0),
        ({}, 1),
        ({"attendees": (OWNER, GUEST, DANA)}, 2),
        # Nobody is listed, but somebody else invited the owner.
        ({"attendees": (), "guests_hidden": True}, 1),
        ({"attendees": (OWNER,), "guests_hidden": True}, 1),
        ({"attendees": (OWNER,), "guests_hidden": True, "organizer_email": None}, 0),
        # An organizer who is a guest as well is one person.
        ({"attendees": (OWNER, GUEST), "organizer_email": GUEST.email}, 1),
        ({"attendees": (OWNER, DECLINED_GUEST)}, 0),
        ({"attendees": (OWNER, DECLINED_GUEST, DANA)}, 1),
        ({**SOLO, "attendees": (OWNER, ROOM)}, 0),
        ({**SOLO, "attendees": (OWNER, GUEST, GUEST)}, 1),
    ],
)
def test_other_people_are_counted(facts: dict[str, Any], others: int) -> None:
    enough = decision(facts, rules=Rules(min_others=others))
    assert enough.join
    too_few = decision(facts, rules=Rules(min_others=others + 1))
    assert (False, "bounds.min_others", "min_others") == (
        too_few.join,
        too_few.reason,
        too_few.rule,
    )


JOINED_PLATFORMS = [
    "zoom",
    "google_meet",
    "goto_meeting",
    "microsoft_teams",
    "microsoft_teams_live",
    "webex",
    None,
]


@pytest.mark.parametrize("platform", JOINED_PLATFORMS)
def test_what_bots_can_join(platform: str | None) -> None:
    assert decision({"meeting_platform": platform}).join


@pytest.mark.parametrize("override", Choice)
def test_no_override_reaches_beyond_the_horizon_or_a_pause(override: Choice) -> None:
    near = Rules(horizon=START - NOW)
    far = Rules(horizon=START - NOW - HOUR)
    assert override is Choice.OFF or decision(rules=near, override=override).join
    assert skip("ineligible.horizon", "horizon_hours") == decision(rules=far, override=override)
    paused = Rules(mode=Mode.PAUSED)
    assert skip("ineligible.paused", "mode") == decision(rules=paused, override=override)


def test_preview_decides_as_live_does() -> None:
    assert decision() == decision(rules=Rules(mode=Mode.PREVIEW))
    assert decision(SOLO) == decision(SOLO, rules=Rules(mode=Mode.PREVIEW))


LAWYER = Attendee(email="Lawyer@law.example", answer=Answer.NONE)
GONE_LAWYER = Attendee(email="lawyer@law.example", answer=Answer.DECLINED)
WITH_LAWYER = {"attendees": (OWNER, GUEST, LAWYER)}
BY_LAWYER = {"attendees": (OWNER,), "organizer_email": LAWYER.email}


@pytest.mark.parametrize("override", Choice)
@pytest.mark.parametrize(
    ("deny", "facts", "reason", "rule"),
    [
        ({"people": ("x@y.example", "lawyer@Law.example")}, WITH_LAWYER, "person", "people:{}"),
        ({"people": ("lawyer@Law.example",)}, BY_LAWYER, "person", "people:{}"),
        # Whoever declined is still invited.
        (
            {"people": ("lawyer@Law.example",)},
            {"attendees": (OWNER, GUEST, GONE_LAWYER)},
            "person",
            "people:{}",
        ),
        ({"domains": ("law.example",)}, WITH_LAWYER, "domain", "domains:{}"),
        ({"domains": ("*.example",)}, WITH_LAWYER, "domain", "domains:{}"),
        ({"domains": ("law.example",)}, BY_LAWYER, "organizer_domain", "domains:{}"),
        (
            {"domains": ("law.example",)},
            {**BY_LAWYER, "attendees": (OWNER, LAWYER)},
            "organizer_domain",
            "domains:{}",
        ),
        ({"keywords": ("kick*",)}, {}, "keyword", "keywords:{}"),
        ({"platforms": ("google_meet",)}, {}, "platform", "platforms:{}"),
    ],
)
def test_what_a_tenant_denies(
    deny: dict[str, tuple[str, ...]],
    facts: dict[str, Any],
    reason: str,
    rule: str,
    override: Choice,
) -> None:
    (entries,) = deny.values()
    found = decision(facts, rules=Rules(deny=Denials(**deny)), override=override)
    assert skip(f"denied.{reason}", f"deny.{rule.format(entries[-1])}") == found


@pytest.mark.parametrize(
    "deny",
    [
        {"people": (OWNER.email,)},
        {"domains": ("acme.example",)},
        {"domains": ("example",)},
        {"domains": ("*.globex.example",)},
        {"keywords": ("kick",)},
        {"platforms": ("zoom",)},
    ],
)
def test_what_a_tenant_does_not_deny(deny: dict[str, tuple[str, ...]]) -> None:
    rules = Rules(deny=Denials(**deny))
    assert decision(rules=rules).join
    assert decision({**HOSTED, "attendees": (OWNER, GUEST)}, rules=rules).join


@pytest.mark.parametrize("override", Choice)
def test_an_opt_out_is_final(override: Choice) -> None:
    include = Rules(include=Matches(keywords=("kickoff",)))
    assert skip("denied.opt_out") == decision(opted_out=True, override=override, rules=include)


def test_hard_deny_gives_its_reasons_in_order() -> None:
    deny = {
        "people": (LAWYER.email,),
        "domains": ("globex.example", "law.example"),
        "keywords": ("kickoff",),
        "platforms": ("google_meet",),
    }
    facts = {"attendees": (OWNER, LAWYER), "organizer_email": GUEST.email, "private": True}
    found = []
    for name, reason in [
        ("people", "person"),
        ("domains", "domain"),
        ("keywords", "keyword"),
        ("platforms", "platform"),
    ]:
        first = decision(facts, rules=Rules(deny=Denials(**deny)), opted_out=True)
        found.append((f"denied.{reason}", first.reason))
        if name == "domains":
            deny["domains"] = ("globex.example",)
        else:
            del deny[name]
        if name == "keywords":
            organizer = decision(facts, rules=Rules(deny=Denials(**deny)), opted_out=True)
            found.append(("denied.organizer_domain", organizer.reason))
            del deny["domains"]
    assert [expected for expected, _ in found] == [reason for _, reason in found]
    assert "denied.private" == decision(facts, opted_out=True).reason
    assert "denied.opt_out" == decision({**facts, "private": False}, opted_out=True).reason


@pytest.mark.parametrize(
    ("matches", "reason", "rule"),
    [
        (Matches(keywords=("x", "kick*")), "keyword", "keywords:kick*"),
        (Matches(people=("x@y.example", "GUEST@globex.example")), "person", None),
        (Matches(domains=("x.example", "globex.example")), "domain", "domains:globex.example"),
        (Matches(domains=("*.example", "globex.example")), "domain", "domains:*.example"),
    ],
)
def test_include_and_exclude_lists(matches: Matches, reason: str, rule: str | None) -> None:
    rule = rule or "people:GUEST@globex.example"
    excluded = decision(rules=Rules(exclude=matches))
    assert skip(f"excluded.{reason}", f"exclude.{rule}") == excluded
    included = decision(rules=Rules(include=matches, base=Base.OFF))
    assert join(f"included.{reason}", f"include.{rule}") == included
    both = decision(rules=Rules(include=matches, exclude=matches))
    assert excluded == both


@pytest.mark.parametrize(
    "matches",
    [
        Matches(),
        Matches(keywords=("kick", "off")),
        Matches(people=(OWNER.email,)),
        Matches(domains=("acme.example", "*.globex.example")),
    ],
)
def test_lists_that_do_not_match(matches: Matches) -> None:
    assert decision(rules=Rules(exclude=matches)).join
    assert skip("base.off", "base") == decision(rules=Rules(include=matches, base=Base.OFF))


DANAS = {"attendees": (OWNER, DANA), "organizer_email": DANA.email}
OWN = {**HOSTED, "attendees": (OWNER, GUEST)}
HIDDEN = {"attendees": (OWNER,), "organizer_email": DANA.email, "guests_hidden": True}


@pytest.mark.parametrize(
    ("base", "facts", "found"),
    [
        (Base.OFF, {}, skip("base.off", "base")),
        (Base.ALL, {}, join("base.all", "base")),
        (Base.ALL, HIDDEN, join("base.all", "base")),
        (Base.EXTERNAL, {}, join("base.external", "base")),
        (Base.EXTERNAL, DANAS, skip("base.external", "base")),
        (Base.EXTERNAL, SOLO, skip("base.external", "base")),
        (Base.EXTERNAL, HIDDEN, skip("audience_unknown", "hidden_guests")),
        # A visible guest from outside leaves nothing to ask.
        (Base.EXTERNAL, {"guests_hidden": True}, join("base.external", "base")),
        (Base.INTERNAL, {}, skip("base.internal", "base")),
        (Base.INTERNAL, {"guests_hidden": True}, skip("base.internal", "base")),
        (Base.INTERNAL, DANAS, join("base.internal", "base")),
        (Base.INTERNAL, SOLO, skip("base.internal", "base")),
        (Base.INTERNAL, HIDDEN, skip("audience_unknown", "hidden_guests")),
        (Base.ORGANIZER, {}, skip("base.organizer", "base")),
        (Base.ORGANIZER, OWN, join("base.organizer", "base")),
        (Base.ORGANIZER, HIDDEN, skip("base.organizer", "base")),
        (
            Base.ORGANIZER,
            {"organizer_email": "Owner@acme.example"},
            join("base.organizer", "base"),
        ),
    ],
)
def test_the_base_choice(base: Base, facts: dict[str, Any], found: Decision) -> None:
    assert found == decision(facts, rules=Rules(base=base))


@pytest.mark.parametrize(
    ("base", "found"),
    [
        (Base.ALL, join("base.all", "base")),
        (Base.EXTERNAL, join("base.external", "base")),
        (Base.INTERNAL, skip("base.internal", "base")),
    ],
)
def test_hidden_guests_may_count_as_external(base: Base, found: Decision) -> None:
    rules = Rules(base=base, hidden_guests=HiddenGuests.EXTERNAL)
    assert found == decision(HIDDEN, rules=rules)


@pytest.mark.parametrize("base", [Base.EXTERNAL, Base.INTERNAL])
def test_a_visible_list_is_not_external_for_want_of_an_own_domain(base: Base) -> None:
    rules = Rules(base=base, hidden_guests=HiddenGuests.EXTERNAL)
    strangers = {"attendees": (GUEST, DANA)}
    found = decision(strangers, rules=rules, owner_email=None)
    assert skip("audience_unknown", "internal_domains") == found


def test_an_unknown_owner_leaves_the_audience_unknown() -> None:
    facts = {"attendees": (GUEST, DANA)}
    external = Rules(base=Base.EXTERNAL)
    unknown = decision(facts, rules=external, owner_email=None)
    assert skip("audience_unknown", "internal_domains") == unknown
    declared = Rules(base=Base.EXTERNAL, internal_domains=("acme.example",))
    assert decision(facts, rules=declared, owner_email=None).join


@pytest.mark.parametrize(
    ("facts", "found"),
    [({}, join("base.external", "base")), (DANAS, skip("base.external", "base"))],
)
def test_an_owner_whom_only_the_provider_marks(facts: dict[str, Any], found: Decision) -> None:
    assert found == decision(facts, rules=Rules(base=Base.EXTERNAL), owner_email=None)


MORNING = (Window(days=frozenset(Weekday), start=time(8), end=time(12)),)


@pytest.mark.parametrize(
    ("limit", "facts", "rule"),
    [
        ({"min_others": 2}, {}, "min_others"),
        ({"attendees": Bounds(min=3)}, {}, "attendees"),
        ({"attendees": Bounds(max=1)}, {}, "attendees"),
        ({"duration_minutes": Bounds(min=61)}, {}, "duration_minutes"),
        ({"duration_minutes": Bounds(max=59)}, {}, "duration_minutes"),
        # 12:00 in UTC is 13:00 in Berlin.
        ({"hours": MORNING}, {}, "hours"),
        ({"recurrence": Recurrence.RECURRING}, {}, "recurrence"),
        ({"recurrence": Recurrence.ONE_OFF}, {"series_id": "s"}, "recurrence"),
    ],
)
def test_bounds_limit_what_the_rules_join_but_no_explicit_on(
    limit: dict[str, Any], facts: dict[str, Any], rule: str
) -> None:
    reason = f"bounds.{rule.removesuffix('_minutes')}"
    assert skip(reason, rule) == decision(facts, rules=Rules(**limit))
    included = Rules(**limit, base=Base.OFF, include=Matches(keywords=("kickoff",)))
    assert skip(reason, rule) == decision(facts, rules=included)
    assert join("override.on") == decision(facts, rules=Rules(**limit), override=Choice.ON)
    # What nothing joins needs no limit.
    assert "base.off" == decision(facts, rules=Rules(**limit, base=Base.OFF)).reason


@pytest.mark.parametrize(
    ("limit", "facts"),
    [
        ({"attendees": Bounds(min=2, max=2)}, {}),
        ({"attendees": Bounds(min=3, max=3)}, {"attendees": (OWNER, GUEST, DANA, ROOM)}),
        ({"attendees": Bounds(max=2)}, {"attendees": (OWNER, DANA, DECLINED_GUEST)}),
        ({"attendees": Bounds(max=1), "rsvp": Rsvp.ANY}, {"owner_answer": Answer.DECLINED}),
        ({"duration_minutes": Bounds(min=60, max=60)}, {}),
        ({"hours": MORNING}, {"time_zone": "America/Halifax"}),
        ({"hours": (Window(days=frozenset(Weekday), start=time(12), end=time(13)),)}, UTC_FACTS),
        ({"recurrence": Recurrence.RECURRING}, {"series_id": "s"}),
        ({"recurrence": Recurrence.ONE_OFF}, {}),
        ({"recurrence": Recurrence.ANY}, {"series_id": "s"}),
    ],
)
def test_within_the_bounds(limit: dict[str, Any], facts: dict[str, Any]) -> None:
    assert join("base.all", "base") == decision(facts, rules=Rules(**limit))


def test_the_steps_come_in_their_order() -> None:
    """Each takes away what decided before it, and the next one decides."""
    everything = {
        "facts": {"deleted": True, "private": True, "owner_answer": Answer.DECLINED},
        "rules": Rules(
            exclude=Matches(keywords=("kickoff",)),
            include=Matches(keywords=("kickoff",)),
            base=Base.OFF,
            min_others=2,
        ),
        "override": Choice.OFF,
    }
    steps: list[tuple[str, dict[str, Any]]] = [
        ("ineligible.deleted", {"facts": {"private": True, "owner_answer": Answer.DECLINED}}),
        ("denied.private", {"facts": {"owner_answer": Answer.DECLINED}}),
        ("override.off", {"override": Choice.AUTO}),
        ("rsvp", {"facts": {}}),
        ("excluded.keyword", {"rules": replace(everything["rules"], exclude=Matches())}),
        (
            "bounds.min_others",
            {"rules": replace(everything["rules"], exclude=Matches(), min_others=1)},
        ),
        ("included.keyword", {"rules": Rules(base=Base.OFF, min_others=2)}),
        ("base.off", {"rules": Rules(min_others=2)}),
        ("bounds.min_others", {"rules": Rules()}),
        ("base.all", {}),
    ]
    found = []
    for _, change in steps:
        found.append(decision(**everything).reason)
        everything |= change
    assert [reason for reason, _ in steps] == found


circumstances = st.builds(
    Circumstances,
    rules=core_values.rules,
    override=st.sampled_from(Choice),
    status=st.sampled_from(CalendarStatus),
    now=st.just(NOW),
    owner_email=st.none() | st.sampled_from([OWNER.email, GUEST.email, "me@gmail.com"]),
    opted_out=st.booleans(),
)
JOINS = {"included.keyword", "included.person", "included.domain", "override.on"}
BOTH = {"base.all", "base.external", "base.internal", "base.organizer"}


@given(core_values.events(), circumstances)
def test_every_meeting_is_decided_for_a_known_reason(known: Event, given: Circumstances) -> None:
    found = decide(known, given)
    assert found.reason in REASONS
    assert found.reason in BOTH or found.join == (found.reason in JOINS)
    assert found == decide(known, given)
    if found.join:
        assert known.meeting_url is not None
        assert known.end > NOW


@given(core_values.events(), circumstances)
def test_hard_deny_beats_an_override_which_beats_the_rules(
    known: Event, given: Circumstances
) -> None:
    on, off, auto = (
        decide(known, replace(given, override=choice))
        for choice in (Choice.ON, Choice.OFF, Choice.AUTO)
    )
    if on.join:
        assert ("override.on", "override.off") == (on.reason, off.reason)
    else:
        assert on.reason.startswith(("ineligible.", "denied."))
        assert on == off == auto


@given(core_values.events(), circumstances, st.randoms(use_true_random=False))
def test_the_order_of_the_guest_list_does_not_matter(
    known: Event, given: Circumstances, chance: Random
) -> None:
    shuffled = list(known.attendees)
    chance.shuffle(shuffled)
    assert decide(known, given) == decide(replace(known, attendees=tuple(shuffled)), given)


anything = st.text(max_size=12)
aware = st.datetimes(timezones=st.just(UTC))


@given(
    st.builds(
        Event,
        event_id=anything,
        calendar_id=anything,
        platform=st.sampled_from(Platform),
        platform_id=anything,
        ical_uid=anything,
        series_id=st.none() | anything,
        title=st.text(max_size=60),
        start=aware,
        end=aware,
        all_day=st.just(False),
        cancelled=st.just(False),
        deleted=st.just(False),
        private=st.booleans(),
        meeting_url=anything,
        meeting_platform=st.none() | anything,
        organizer_email=st.none() | anything,
        owner_is_organizer=st.booleans(),
        owner_answer=st.sampled_from(Answer),
        attendees=st.lists(
            st.builds(Attendee, email=anything, answer=st.sampled_from(Answer)), max_size=3
        ).map(tuple),
        guests_hidden=st.booleans(),
        time_zone=st.none() | anything | st.sampled_from(["America", "Asia/Tokyo", "/etc"]),
    ),
    circumstances,
)
def test_no_event_is_too_strange_to_decide(known: Event, given: Circumstances) -> None:
    assert decide(known, given).reason in REASONS
