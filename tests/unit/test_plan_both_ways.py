"""The step that is due in company, for bots of our own, after the start, and at a farewell."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.domain.decision import Decision
from shared.domain.meeting import Assignment, Meeting
from shared.domain.plan import (
    ALONE,
    DRAIN_RETRY,
    GRACE,
    LEAVE_REASONS,
    WARM_UP,
    Action,
    Company,
    Keep,
    Leave,
    Look,
    Release,
    Schedule,
    Unschedule,
    Wait,
    Wish,
    next_look,
    plan,
)
from shared.domain.rules import Scheduling
from tests.unit.core_values import HOUR, NOW, START, bot, event, key, meeting, wish

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
OWN, MANAGED = Scheduling.SELF_MANAGED, Scheduling.MANAGED
OFF = Decision(join=False, reason="override.off")


def wanting(by: Scheduling, *, start: datetime = START) -> Wish:
    return replace(wish(start), scheduling=by)


def holding(by: Scheduling, *, start: datetime = START, **changes: Any) -> Assignment:
    facts: dict[str, Any] = {
        "bot_id": "bot-1",
        "deduplication_key": key(start),
        "fingerprint": wish().fingerprint,
        "join_at": start,
        "by": by,
        **changes,
    }
    return Assignment(**facts)


def row(assignment: Assignment | None, *, start: datetime = START, **changes: Any) -> Meeting:
    return meeting(event=event(start=start), assignment=assignment, **changes)


def due(
    known: Meeting, wished: Wish | None, *, company: Company = ALONE, now: datetime = NOW
) -> Action | None:
    return plan(known, wish=wished, company=company, now=now)


def test_the_times_are_those_that_recall_needs() -> None:
    assert (10, 5, 5) == (WARM_UP / MINUTE, GRACE / MINUTE, DRAIN_RETRY / SECOND)


# Nobody wants a bot here.

USING = Company(using=True)


@pytest.mark.parametrize(
    ("expected", "by", "now", "company"),
    [
        (Release(meeting_key=key()), OWN, START - SECOND, ALONE),
        (Release(meeting_key=key(), used=True), OWN, START - SECOND, USING),
        (Release(meeting_key=key()), OWN, START, ALONE),
        (None, OWN, START, USING),
        (None, OWN, START + HOUR, ALONE),
        (None, MANAGED, START - SECOND, ALONE),
        (Leave("bot-1"), MANAGED, START, ALONE),
        (Leave("bot-1"), MANAGED, START + HOUR - SECOND, ALONE),
        (None, MANAGED, START, USING),
        (None, MANAGED, START + HOUR, ALONE),
    ],
)
def test_an_unwanted_bot_goes(
    expected: Action | None, by: Scheduling, now: datetime, company: Company
) -> None:
    unwanted = row(holding(by), decision=OFF)
    assert expected == due(unwanted, None, company=company, now=now)


@pytest.mark.parametrize("by", Scheduling)
@pytest.mark.parametrize("state", ["call_ended", "done", "fatal"])
def test_a_bot_that_is_over_is_left_alone(by: Scheduling, state: str) -> None:
    assert None is due(row(holding(by, state=state), decision=OFF), None, now=START)


@pytest.mark.parametrize("reason", ["denied.person", *LEAVE_REASONS])
def test_a_person_s_word_takes_a_bot_out_of_its_call(reason: str) -> None:
    unwanted = row(holding(MANAGED), decision=Decision(join=False, reason=reason))
    assert Leave("bot-1") == due(unwanted, None, now=START)


@pytest.mark.parametrize("reason", ["base.none", "ineligible.no_link", "vote.all_agree", "hours"])
def test_another_rule_does_not(reason: str) -> None:
    unwanted = row(holding(MANAGED), decision=Decision(join=False, reason=reason))
    assert None is due(unwanted, None, now=START)
    ahead = row(holding(OWN), decision=Decision(join=False, reason=reason))
    assert Release(meeting_key=key()) == due(ahead, None)


def test_our_own_bot_that_ended_ahead_of_a_meeting_that_nobody_wants_goes_and_later_stays() -> None:
    over = row(replace(holding(OWN), state="call_ended"))
    assert Release(meeting_key=key()) == due(over, None, now=START - SECOND)
    assert None is due(over, None, now=START)


def test_the_reasons_to_leave_are_a_denial_a_word_or_the_meeting_s_end() -> None:
    assert {
        "denied.",
        "ineligible.deleted",
        "ineligible.cancelled",
        "override.off",
        "rsvp",
        "vote.denied",
        "vote.veto",
    } == set(LEAVE_REASONS)


def test_listed_bots_go_before_anything_else() -> None:
    listed = replace(row(holding(OWN), decision=OFF), bots=(bot(),))
    assert Unschedule() == due(listed, None)


@pytest.mark.parametrize("wished", [None, wanting(OWN)])
def test_bots_that_must_leave_are_asked_one_by_one(wished: Wish | None) -> None:
    assignment = None if wished is None else holding(OWN)
    known = row(assignment, leaving=("b", "c"))
    assert Leave("b") == due(known, wished)


# Recall's bot is wanted.


@pytest.mark.parametrize(
    ("expected", "now"),
    [
        (Release(meeting_key=key()), START - WARM_UP - SECOND),
        (None, START - WARM_UP),
        (None, START),
    ],
)
def test_our_own_bot_goes_first_unless_it_has_begun(expected: Action | None, now: datetime) -> None:
    assert expected == due(row(holding(OWN)), wanting(MANAGED), now=now)


def test_our_own_bot_of_an_earlier_meeting_is_in_nobody_s_way() -> None:
    before = holding(OWN, start=NOW)
    assert Schedule(wish=wanting(MANAGED)) == due(row(before), wanting(MANAGED))
    ahead = holding(OWN, start=NOW + SECOND)
    assert Release(meeting_key=key(NOW + SECOND)) == due(row(ahead), wanting(MANAGED))


def test_our_own_bot_matters_no_more_once_recall_s_is_listed() -> None:
    listed = replace(row(holding(OWN)), bots=(bot(),))
    assert None is due(listed, wanting(MANAGED))


# A bot of our own is wanted.


@pytest.mark.parametrize(
    ("expected", "now"),
    [
        (Unschedule(), START - WARM_UP - SECOND),
        (None, START - WARM_UP),
    ],
)
def test_recall_s_bot_goes_first_unless_it_has_begun(
    expected: Action | None, now: datetime
) -> None:
    listed = replace(row(holding(MANAGED)), bots=(bot(),))
    assert expected == due(listed, wanting(OWN), now=now)


EARLIER = START - HOUR
RUNNING = NOW - MINUTE


@pytest.mark.parametrize(
    ("expected", "assignment", "company"),
    [
        (Keep(wish=wanting(OWN)), None, ALONE),
        (Keep(wish=wanting(OWN)), holding(MANAGED), ALONE),
        (None, holding(OWN), ALONE),
        (Keep(wish=wanting(OWN)), holding(OWN, fingerprint="other"), ALONE),
        (
            Keep(wish=wanting(OWN), previous_key=key(EARLIER)),
            holding(OWN, start=EARLIER),
            ALONE,
        ),
        (Keep(wish=wanting(OWN)), holding(OWN, start=EARLIER), USING),
        (
            Keep(wish=wanting(OWN), previous_key=key(RUNNING)),
            holding(OWN, start=RUNNING, state="in_waiting_room"),
            ALONE,
        ),
        (
            Keep(wish=wanting(OWN)),
            holding(OWN, start=NOW, state="in_call_recording"),
            ALONE,
        ),
        (
            Keep(wish=wanting(OWN), previous_key=key(EARLIER)),
            holding(OWN, start=EARLIER, state="in_call_recording"),
            ALONE,
        ),
        (Keep(wish=wanting(OWN)), holding(MANAGED, start=EARLIER), ALONE),
        (Wait(NOW + 5 * SECOND), None, Company(draining=True)),
        (None, holding(OWN), Company(draining=True)),
    ],
)
def test_one_bot_of_our_own_is_kept(
    expected: Action | None, assignment: Assignment | None, company: Company
) -> None:
    assert expected == due(row(assignment), wanting(OWN), company=company)


# Company.

BEHIND = Company(using=True, behind=True)


@pytest.mark.parametrize("by", Scheduling)
@pytest.mark.parametrize(
    ("waits", "keyed", "start", "before", "company"),
    [
        (True, NOW, START, EARLIER, BEHIND),
        (True, NOW - GRACE + SECOND, START, EARLIER, BEHIND),
        (False, NOW - GRACE, START, EARLIER, BEHIND),
        (False, None, START, EARLIER, BEHIND),
        (False, NOW, START, EARLIER, USING),
        (True, NOW, NOW + 15 * MINUTE + SECOND, EARLIER, BEHIND),
        (False, NOW, NOW + 15 * MINUTE, EARLIER, BEHIND),
        (False, NOW, START, NOW + 15 * MINUTE, BEHIND),
    ],
)
def test_who_moved_first_waits_for_the_others_unless_the_meeting_is_near(
    by: Scheduling,
    waits: bool,
    keyed: datetime | None,
    start: datetime,
    before: datetime,
    company: Company,
) -> None:
    known = row(holding(by, start=before), start=start, keyed_at=keyed)
    found = due(known, wanting(by, start=start), company=company)
    expected = Wait(keyed + GRACE) if waits and keyed else None
    assert expected == (found if isinstance(found, Wait) else None)


def test_our_own_bot_waits_for_the_others_before_it_gives_way() -> None:
    known = row(holding(OWN, start=EARLIER), keyed_at=NOW)
    assert Wait(NOW + GRACE) == due(known, wanting(MANAGED), company=BEHIND)


def test_recall_s_bot_waits_for_the_other_way_to_be_empty_and_a_listed_one_does_not() -> None:
    draining = Company(draining=True)
    assert Wait(NOW + DRAIN_RETRY) == due(row(None), wanting(MANAGED), company=draining)
    listed = replace(row(holding(MANAGED)), bots=(bot(),))
    assert None is due(listed, wanting(MANAGED), company=draining)


# After the start.


@pytest.mark.parametrize("by", Scheduling)
@pytest.mark.parametrize(
    ("expected", "now", "changes"),
    [
        (None, START + 5 * MINUTE - SECOND, {}),
        (Look("bot-1"), START + 5 * MINUTE, {}),
        (Look("bot-1"), START + HOUR - SECOND, {}),
        (None, START + HOUR, {}),
        (None, START + 9 * MINUTE, {"look_at": START + 10 * MINUTE}),
        (Look("bot-1"), START + 10 * MINUTE, {"look_at": START + 10 * MINUTE}),
        (Look("bot-1"), START + 5 * MINUTE, {"look_at": START}),
    ],
)
def test_a_bot_that_says_nothing_is_looked_for(
    by: Scheduling, expected: Action | None, now: datetime, changes: dict[str, Any]
) -> None:
    known = replace(row(holding(by), **changes), bots=(bot(),) if by is MANAGED else ())
    assert expected == due(known, wanting(by), now=now)


def test_who_is_in_or_has_no_bot_is_not_looked_for() -> None:
    assert None is next_look(row(None))
    assert None is next_look(row(holding(OWN, state="in_call_recording")))
    assert START + 5 * MINUTE == next_look(row(holding(OWN)))


def test_what_differs_between_makes() -> None:
    assert wanting(OWN).make != wanting(MANAGED).make
    assert wish().make != wish(START + HOUR).make
    assert wish().make != replace(wish(), fingerprint="other").make
    assert wish().make == replace(wish(), event_id="event-2").make
