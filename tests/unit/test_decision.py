"""Why a bot joins or not: every step, every reason, and which step comes first."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.calendar import CalendarStatus
from shared.domain.decision import REASONS, Circumstances, Decision, decide
from shared.domain.event import Answer, Attendee, Event
from shared.domain.rules import Choice, Private, Rsvp, Rules
from tests.unit import core_values
from tests.unit.core_values import GUEST, HOUR, NOW, OWNER, event

SOLO = {"attendees": (), "organizer_email": OWNER.email, "owner_is_organizer": True}
HOSTED = {"organizer_email": OWNER.email, "owner_is_organizer": True}
ROOM = Attendee(email="room@acme.example", answer=Answer.ACCEPTED, is_resource=True)


def decision(
    facts: dict[str, Any] | None = None,
    *,
    rules: Rules | None = None,
    override: Choice = Choice.AUTO,
    status: CalendarStatus = CalendarStatus.CONNECTED,
) -> Decision:
    circumstances = Circumstances(rules=rules or Rules(), override=override, status=status, now=NOW)
    return decide(event(**facts or {}), circumstances)


INELIGIBLE = [
    ({"deleted": True}, "ineligible.deleted"),
    ({"cancelled": True}, "ineligible.cancelled"),
    ({"all_day": True}, "ineligible.all_day"),
    ({"start": NOW - 2 * HOUR}, "ineligible.ended"),
    ({"start": NOW - HOUR}, "ineligible.ended"),
    ({"meeting_url": None}, "ineligible.no_link"),
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


@given(
    core_values.events(),
    core_values.rules,
    st.sampled_from(Choice),
    st.sampled_from(CalendarStatus),
)
def test_every_meeting_is_decided_for_a_known_reason(
    known: Event, rules: Rules, choice: Choice, status: CalendarStatus
) -> None:
    circumstances = Circumstances(rules=rules, override=choice, status=status, now=NOW)
    found = decide(known, circumstances)
    assert found.reason in REASONS
    assert found.join == (found.reason in {"base.all", "override.on"})
    assert found == decide(known, circumstances)
    if found.join:
        assert known.meeting_url is not None
        assert known.end > NOW
    if choice is Choice.OFF:
        assert not found.join
