"""Rows in company: who speaks, who must look again, whose bot it is, and what each step stores."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.domain.consider import (
    Copy,
    Surroundings,
    action_for,
    cleared,
    concerns_copies,
    explained,
    gone,
    kept,
    left,
    looked,
    observed,
    postponed,
    reconsidered,
    refused,
    released,
    scheduled,
    swings_vote,
    unscheduled,
    wish_for,
    woken,
)
from shared.domain.decision import Decision
from shared.domain.event import Answer
from shared.domain.meeting import Assignment, Meeting, Override
from shared.domain.plan import Keep, Leave, Release, Schedule, Unschedule, Wait, Wish
from shared.domain.rules import (
    BotSettings,
    Choice,
    Dedupe,
    Denials,
    Mode,
    Rules,
    Scheduling,
    Veto,
    Vote,
)
from shared.domain.series import Words
from shared.domain.watchdog import Finding, Presence
from tests.unit.core_values import (
    HOUR,
    JOIN,
    MEET,
    NOW,
    OTHER_MEET,
    OWNER,
    SKIP,
    START,
    around,
    bot,
    calendar,
    event,
    key,
    listed,
    meeting,
    wish,
)

MINUTE = timedelta(minutes=1)
OWN, MANAGED = Scheduling.SELF_MANAGED, Scheduling.MANAGED
ON, OFF = Override(choice=Choice.ON), Override(choice=Choice.OFF)
DANA = "dana@acme.example"


def assignment(by: Scheduling = MANAGED, *, start: datetime = START, **changes: Any) -> Assignment:
    facts: dict[str, Any] = {
        "bot_id": "bot-1",
        "deduplication_key": key(start),
        "fingerprint": wish().fingerprint,
        "join_at": start,
        "by": by,
        **changes,
    }
    return Assignment(**facts)


def copy(rules: Rules | None = None, *, facts: dict[str, Any] | None = None, **row: Any) -> Copy:
    """Dana's copy of the meeting, connected an hour after the first one."""
    known = event(**{"event_id": "event-2", "calendar_id": "calendar-2", **(facts or {})})
    hers = calendar(
        calendar_id="calendar-2", entity_id="u2", email=DANA, created_at=NOW + HOUR, updated_at=NOW
    )
    where = around(calendar=hers, rules=rules or Rules())
    return Copy(row=meeting(event=known, **row), around=where)


def beside(*copies: Copy, **changes: Any) -> Surroundings:
    return around(copies=copies, **changes)


# Who must look again.


@pytest.mark.parametrize(
    ("concerns", "before", "after"),
    [
        (True, None, meeting()),
        (False, None, meeting(meeting_key=None)),
        (False, meeting(), meeting()),
        (False, meeting(), meeting(event=event(title="Renamed"), due=True, version=3)),
        (True, meeting(), meeting(decision=SKIP)),
        (True, meeting(), meeting(event=event(start=START + HOUR))),
        (True, meeting(), meeting(override=OFF)),
        (True, meeting(), meeting(opted_out=True)),
        (False, meeting(), meeting(override=Override(choice=Choice.AUTO, set_by="ada"))),
    ],
)
def test_a_voice_that_changed_concerns_the_others(
    concerns: bool, before: Meeting | None, after: Meeting
) -> None:
    assert concerns is concerns_copies(before, after)


@pytest.mark.parametrize(
    ("concerns", "before", "after", "changes"),
    [
        (True, assignment(OWN), assignment(MANAGED), {}),
        (True, assignment(OWN), None, {}),
        (False, None, assignment(OWN), {}),
        (False, assignment(OWN), assignment(OWN, bot_id="bot-2"), {}),
        (False, assignment(OWN), None, {"shared": False}),
        (False, assignment(OWN), None, {"decision": SKIP}),
    ],
)
def test_who_gives_up_a_bot_for_the_other_way_concerns_the_others(
    concerns: bool,
    before: Assignment | None,
    after: Assignment | None,
    changes: dict[str, Any],
) -> None:
    row = meeting(**{"shared": True, **changes})
    held, given = replace(row, assignment=before), replace(row, assignment=after)
    assert concerns is concerns_copies(held, given)
    assert concerns is swings_vote(held, given, around=beside(copy()))


@pytest.mark.parametrize(
    ("swings", "before", "after", "where"),
    [
        (True, None, meeting(), beside(copy())),
        (True, meeting(), meeting(), beside()),
        (True, meeting(), meeting(), around(copies=None)),
        (True, meeting(), meeting(event=event(start=START + HOUR)), beside(copy())),
        (False, meeting(), meeting(), beside(copy())),
        (True, meeting(), meeting(decision=SKIP), beside(copy())),
        (False, meeting(decision=SKIP), meeting(override=OFF, decision=SKIP), beside(copy())),
        (True, meeting(), meeting(decision=SKIP), beside(copy(Rules(vote=Vote.ALL_AGREE)))),
    ],
)
def test_what_swings_the_vote(
    swings: bool, before: Meeting | None, after: Meeting, where: Surroundings
) -> None:
    assert swings is swings_vote(before, after, around=where)


def test_a_guest_s_answer_does_not_swing_the_host_s_meeting() -> None:
    host = copy(facts=HOST)
    assert not swings_vote(meeting(), meeting(decision=SKIP), around=beside(host))


def test_a_woken_row_is_due_and_shared() -> None:
    expected = meeting(shared=True, due=True, next_attempt=NOW)
    assert expected == woken(meeting(next_attempt=START), now=NOW)


# The vote.


def voted(row: Meeting, *copies: Copy, **changes: Any) -> tuple[bool, str | None]:
    """Whether the row wants a bot after the vote, and what overruled it."""
    after = reconsidered(row, beside(*copies, **changes))
    return after.verdict.join, after.overruled


HOST = {"owner_is_organizer": True, "organizer_email": DANA}


@pytest.mark.parametrize(
    ("expected", "other", "rules"),
    [
        ((True, None), copy(), Rules()),
        ((False, "vote.veto"), copy(facts=HOST, override=OFF), Rules()),
        ((False, "vote.denied"), copy(opted_out=True), Rules(veto=Veto.ANY)),
        ((True, None), copy(override=OFF), Rules()),
        ((False, "vote.veto"), copy(override=OFF), Rules(veto=Veto.ANY)),
        ((True, None), copy(override=OFF, meeting_key="other"), Rules(veto=Veto.ANY)),
        ((True, None), copy(facts={"cancelled": True}), Rules(vote=Vote.ALL_AGREE)),
        (
            (False, "vote.all_agree"),
            copy(facts={"owner_answer": Answer.DECLINED}),
            Rules(vote=Vote.ALL_AGREE),
        ),
        ((False, "vote.denied"), copy(Rules(deny=Denials(keywords=("kickoff",)))), Rules()),
    ],
)
def test_the_copies_vote(expected: tuple[bool, str | None], other: Copy, rules: Rules) -> None:
    assert expected == voted(meeting(), other, rules=rules)


def test_who_would_not_join_is_not_overruled() -> None:
    assert (False, None) == voted(meeting(override=OFF), copy(facts=HOST, override=OFF))


def test_unless_somebody_looked_the_last_outcome_stands() -> None:
    before = meeting(overruled="vote.veto")
    assert "vote.veto" == reconsidered(before, around(copies=None)).overruled
    assert None is reconsidered(before, around()).overruled


def test_a_moved_row_notes_since_when() -> None:
    since = NOW - HOUR
    kept_key = reconsidered(meeting(keyed_at=since), around())
    assert (key(), since) == (kept_key.meeting_key, kept_key.keyed_at)
    moved = reconsidered(meeting(keyed_at=since, meeting_key="old"), around())
    assert (key(), NOW) == (moved.meeting_key, moved.keyed_at)


def test_under_the_domain_rule_the_calendar_s_address_is_part_of_the_key() -> None:
    keys = {
        reconsidered(
            meeting(), around(calendar=calendar(email=email), rules=Rules(dedupe=Dedupe.DOMAIN))
        ).meeting_key
        for email in (OWNER.email, DANA, "ada@globex.example", None)
    }
    assert 3 == len(keys)


# Whose bot it is.

NAMED = Rules(bot=BotSettings(bot_name="{owner} of {tenant}: {title}"))


def test_the_bot_is_the_owner_s_in_every_way() -> None:
    hers = {"start": START, "end": START + 3 * HOUR, "title": "Retro", **HOST}
    other = copy(replace(NAMED, scheduling=OWN), facts=hers)
    name = BotSettings(bot_name="dana of default: Retro")
    expected = Wish(
        meeting_key=key(),
        event_id="event-2",
        start=START,
        end=START + 3 * HOUR,
        meeting_url=MEET,
        bot=name,
        fingerprint=name.fingerprint(MEET),
        scheduling=OWN,
    )
    assert expected == wish_for(meeting(), beside(other))


def test_who_was_connected_first_owns_the_bot() -> None:
    found = wish_for(meeting(), beside(copy(NAMED), rules=NAMED))
    assert found is not None
    assert ("event-1", "owner of default: Kickoff") == (found.event_id, found.bot.bot_name)
    decliner = meeting(event=event(owner_answer=Answer.DECLINED), override=ON)
    other = wish_for(decliner, beside(copy(NAMED), rules=NAMED))
    assert other is not None
    assert "event-2" == other.event_id


def test_without_a_calendar_s_address_the_entity_names_the_bot() -> None:
    where = around(calendar=calendar(email=None), rules=NAMED)
    found = wish_for(meeting(), where)
    assert found is not None
    assert "u1 of default: Kickoff" == found.bot.bot_name


def test_a_copy_without_the_link_uses_the_others() -> None:
    other = copy(facts={"meeting_url": None, **HOST}, meeting_key=key(), override=ON)
    found = wish_for(meeting(), beside(other))
    assert found is not None
    assert (MEET, "event-1") == (found.meeting_url, found.event_id)


@pytest.mark.parametrize(
    ("row", "where"),
    [
        (meeting(decision=SKIP), around()),
        (meeting(overruled="vote.veto"), around()),
        (meeting(), around(now=START + HOUR)),
        (meeting(), around(rules=Rules(mode=Mode.PAUSED))),
        (meeting(), around(rules=Rules(mode=Mode.PREVIEW))),
        (meeting(meeting_key=None), around()),
    ],
)
def test_no_bot_is_wished_for(row: Meeting, where: Surroundings) -> None:
    assert None is wish_for(row, where)


def test_until_its_end_a_meeting_may_have_a_bot() -> None:
    assert wish_for(meeting(), around(now=START + HOUR - MINUTE)) is not None


# What the others mean for the next step.


def held(**changes: Any) -> Meeting:
    return meeting(assignment=assignment(OWN), **changes)


UNWANTED = Decision(join=False, reason="override.off")


@pytest.mark.parametrize(
    ("used", "other"),
    [
        (True, copy()),
        (False, copy(facts={"owner_answer": Answer.DECLINED})),
        (False, copy(Rules(mode=Mode.PREVIEW))),
        (False, copy(meeting_key="other")),
    ],
)
def test_a_bot_that_others_want_is_only_let_go(used: bool, other: Copy) -> None:
    where = beside(other, rules=Rules(veto=Veto.NONE))
    expected = Release(meeting_key=key(), used=used)
    assert expected == action_for(held(decision=UNWANTED), where)


def test_a_bot_that_the_vote_took_from_all_is_used_by_nobody() -> None:
    where = beside(copy(), rules=Rules(veto=Veto.ANY))
    overruled = held(decision=UNWANTED, override=OFF)
    assert Release(meeting_key=key(), used=False) == action_for(overruled, where)


LATER = START + HOUR
OWN_RULES = Rules(scheduling=OWN)


def test_who_moved_first_waits_for_a_copy_that_still_uses_the_bot() -> None:
    moved = meeting(
        event=event(start=LATER),
        assignment=assignment(OWN),
        keyed_at=NOW,
    )
    wished = replace(wish(LATER), scheduling=OWN)
    waiting = beside(copy(OWN_RULES), rules=OWN_RULES)
    assert Wait(NOW + 5 * MINUTE) == action_for(moved, waiting)
    alone = beside(copy(OWN_RULES, facts={"start": LATER}), rules=OWN_RULES)
    assert Keep(wish=wished, previous_key=key()) == action_for(moved, alone)
    overruled = beside(copy(OWN_RULES, overruled="vote.veto"), rules=OWN_RULES)
    assert Keep(wish=wished, previous_key=key()) == action_for(moved, overruled)


@pytest.mark.parametrize(
    ("waits", "rules", "other"),
    [
        (True, Rules(), copy(assignment=assignment(OWN))),
        (False, Rules(), copy(assignment=assignment(MANAGED))),
        (False, Rules(), copy(assignment=assignment(OWN, deduplication_key="other"))),
        (True, OWN_RULES, copy(OWN_RULES, bots=(bot(),))),
        (False, OWN_RULES, copy(OWN_RULES, bots=(bot(start=NOW),))),
        (True, OWN_RULES, copy(OWN_RULES, bots=(bot(),), meeting_key="other")),
        (False, OWN_RULES, copy(OWN_RULES, bots=(bot(start=LATER),), meeting_key="other")),
        (
            False,
            OWN_RULES,
            copy(OWN_RULES, bots=(replace(bot(), deduplication_key="other"),), meeting_key="other"),
        ),
        (False, Rules(), copy(bots=(bot(),), meeting_key="other")),
        (False, Rules(), copy(bots=(bot(),))),
        (True, OWN_RULES, copy(OWN_RULES, assignment=assignment(MANAGED, join_at=NOW))),
        (
            False,
            OWN_RULES,
            copy(OWN_RULES, assignment=assignment(MANAGED, join_at=NOW + MINUTE)),
        ),
        (False, OWN_RULES, copy(OWN_RULES, assignment=assignment(OWN, join_at=NOW))),
    ],
)
def test_the_other_way_drains_first(waits: bool, rules: Rules, other: Copy) -> None:
    found = action_for(meeting(), beside(other, rules=rules))
    assert waits is (Wait(NOW + timedelta(seconds=5)) == found)
    assert waits is not isinstance(found, Schedule | Keep)


# What each step stores.


def test_a_refusal_sets_the_row_aside() -> None:
    before = meeting(due=True, attempts=2, next_attempt=NOW, wake_at=NOW)
    assert meeting(attempts=3, problem="recall_refused") == refused(before, "recall_refused")


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 5), (1, 10), (6, 320), (7, 600), (10, 600), (60, 600)]
)
def test_a_setback_waits_longer_each_time(attempts: int, seconds: int) -> None:
    before = meeting(attempts=attempts, setback="old")
    expected = meeting(
        due=True,
        attempts=attempts + 1,
        next_attempt=NOW + timedelta(seconds=seconds),
        setback="recall_unavailable",
    )
    assert expected == postponed(before, now=NOW, setback="recall_unavailable")
    assert None is postponed(before, now=NOW).setback


def test_what_is_listed_after_clearing_was_let_go() -> None:
    before = meeting(released=frozenset({"old"}))
    after = cleared(before, listed(bot("stray")))
    assert replace(before, released=frozenset({"old", "stray"})) == after


def test_a_claim_that_holds_its_bot_settles_the_row() -> None:
    where = around(rules=OWN_RULES)
    before = meeting(due=True, attempts=3, next_attempt=NOW, setback="s", problem="p")
    expected = meeting(assignment=assignment(OWN), wake_at=START + 5 * MINUTE, wanted=True)
    assert expected == kept(before, assignment(OWN), around=where)
    other = kept(before, assignment(OWN, fingerprint="old"), around=where)
    assert (True, 4, NOW + timedelta(seconds=40)) == (
        other.due,
        other.attempts,
        other.next_attempt,
    )


def test_a_kept_bot_keeps_what_it_reported() -> None:
    where = around(rules=OWN_RULES)
    before = meeting(assignment=assignment(OWN, state="in_call_recording"), look_at=START)
    after = kept(before, assignment(OWN), around=where)
    assert (assignment(OWN, state="in_call_recording"), START) == (after.assignment, after.look_at)
    other = kept(before, assignment(OWN, bot_id="bot-2"), around=where)
    assert (assignment(OWN, bot_id="bot-2"), None) == (other.assignment, other.look_at)


def test_an_ended_claim_leaves_the_row_free_to_go_on_at_once() -> None:
    gone_off = released(held(decision=SKIP, attempts=4), around=around())
    assert meeting(decision=SKIP) == gone_off
    wanting = released(held(attempts=4), around=around())
    assert (None, True, 0, NOW) == (
        wanting.assignment,
        wanting.due,
        wanting.attempts,
        wanting.next_attempt,
    )


FOUND = Finding(
    presence=Presence.WAITING,
    state="in_waiting_room",
    missed="bot_not_admitted",
    detail="kicked",
    look_at=START + 10 * MINUTE,
)


def test_a_look_is_remembered() -> None:
    where = around(rules=OWN_RULES, now=START + 5 * MINUTE)
    after = looked(held(), FOUND, around=where)
    expected = assignment(
        OWN, state="in_waiting_room", missed="bot_not_admitted", missed_detail="kicked"
    )
    assert (expected, START + 10 * MINUTE, START + 10 * MINUTE, False) == (
        after.assignment,
        after.look_at,
        after.wake_at,
        after.due,
    )
    quiet = replace(FOUND, missed=None, detail=None)
    again = looked(after, quiet, around=where).assignment
    assert expected == again
    assert None is looked(meeting(), FOUND, around=where).assignment


def test_who_was_asked_to_leave_is_asked_no_more() -> None:
    row = held(decision=SKIP, leaving=("b", "bot-1"), attempts=5)
    after = left(row, "b", around=around(now=START))
    assert (("bot-1",), assignment(OWN), True, 0, START) == (
        after.leaving,
        after.assignment,
        after.due,
        after.attempts,
        after.next_attempt,
    )
    last = left(after, "bot-1", around=around(now=START))
    assert ((), None, False) == (last.leaving, last.assignment, last.due)


@pytest.mark.parametrize(
    ("leaving", "assigned", "now"),
    [
        (("bot-1",), assignment(), START - 10 * MINUTE),
        ((), assignment(), START - 10 * MINUTE - timedelta(seconds=1)),
        (("bot-1",), assignment(state="in_waiting_room"), START + MINUTE),
        ((), assignment(state="in_call_recording"), START + MINUTE),
    ],
)
def test_a_bot_taken_off_after_it_began_is_asked_to_leave(
    leaving: tuple[str, ...], assigned: Assignment, now: datetime
) -> None:
    row = meeting(assignment=assigned, decision=SKIP, leaving=())
    where = around(now=now)
    after = unscheduled(row, listed(owner_answer=Answer.DECLINED), around=where)
    assert (leaving, None) == (after.leaving, after.assignment)
    assert (Leave("bot-1") if leaving else None) == action_for(after, where)


def test_a_bot_that_others_want_is_not_asked_to_leave() -> None:
    row = meeting(assignment=assignment(), decision=SKIP)
    where = beside(copy(), now=START - MINUTE)
    after = unscheduled(row, listed(owner_answer=Answer.DECLINED), around=where)
    assert ((), None) == (after.leaving, after.assignment)


def test_taking_recall_s_bots_off_leaves_our_own_alone() -> None:
    row = meeting(bot("stray"), assignment=assignment(OWN), attempts=3)
    after = unscheduled(row, listed(), around=around(rules=OWN_RULES))
    assert (assignment(OWN), (), frozenset(), False) == (
        after.assignment,
        after.bots,
        after.released,
        after.due,
    )
    recall_s = around()
    owed = unscheduled(row, listed(), around=recall_s)
    assert (True, 0, NOW) == (owed.due, owed.attempts, owed.next_attempt)


def test_a_bot_replaced_near_the_start_is_asked_to_leave() -> None:
    near = around(now=START - MINUTE)
    row = meeting(assignment=assignment(bot_id="old"))
    asked = Schedule(wish=wish())
    after = scheduled(row, listed(bot()), asked=asked, around=near)
    assert (("old",), True, START - MINUTE + timedelta(seconds=5)) == (
        after.leaving,
        after.due,
        after.next_attempt,
    )


def test_a_bot_let_go_serves_only_when_there_is_no_other() -> None:
    row = meeting(released=frozenset({"bot-1", "bot-9"}))
    asked = Schedule(wish=wish())
    both = scheduled(row, listed(bot("bot-2"), bot("bot-1")), asked=asked, around=around())
    assert both.assignment is not None
    assert ("bot-2", row.released) == (both.assignment.bot_id, both.released)
    again = scheduled(row, listed(bot("bot-1")), asked=asked, around=around())
    assert (assignment(), frozenset({"bot-9"})) == (again.assignment, again.released)


@pytest.mark.parametrize(("now", "wake_at"), [(NOW, START + 5 * MINUTE), (START + HOUR, None)])
def test_a_served_row_wakes_for_its_watchdog(now: datetime, wake_at: datetime | None) -> None:
    after = reconsidered(meeting(bot(), assignment=assignment()), around(now=now))
    assert (assignment(), wake_at) == (after.assignment, after.wake_at)


def test_beyond_the_horizon_a_row_wakes_when_it_comes_in_sight() -> None:
    after = reconsidered(meeting(), around(rules=Rules(horizon=2 * HOUR)))
    assert ("ineligible.horizon", START - 2 * HOUR, False) == (
        after.decision.reason,
        after.wake_at,
        after.due,
    )


def test_a_wait_wakes_the_row_and_owes_nothing() -> None:
    other = copy(assignment=assignment(OWN))
    before = meeting(due=True, attempts=2, problem="p", setback="s", next_attempt=NOW)
    after = reconsidered(before, beside(other))
    expected = meeting(wake_at=NOW + timedelta(seconds=5), wanted=True)
    assert expected == after


def test_what_failed_before_waits_on_unless_the_verdict_changed() -> None:
    waiting = postponed(meeting(wanted=True, asked=True), now=NOW)
    assert waiting == reconsidered(waiting, around(now=NOW + MINUTE))
    changed = reconsidered(replace(waiting, decision=SKIP), around())
    assert (True, 0, NOW) == (changed.due, changed.attempts, changed.next_attempt)
    idle = reconsidered(meeting(attempts=2), around())
    assert (True, 2, NOW) == (idle.due, idle.attempts, idle.next_attempt)


def test_what_is_confirmed_is_what_recall_lists() -> None:
    row = meeting(bot("bot-2"), assignment=assignment(state="joining_call"), version=1)
    where = around()
    assert assignment(bot_id="bot-2") == reconsidered(row, where).assignment
    same = meeting(bot(), assignment=assignment(state="joining_call"))
    assert assignment(state="joining_call") == reconsidered(same, where).assignment
    own = reconsidered(held(), around(rules=OWN_RULES))
    assert assignment(OWN) == own.assignment
    over = meeting(assignment=assignment())
    assert assignment() == reconsidered(over, around(now=START + HOUR)).assignment
    unwanted = meeting(assignment=assignment(), override=OFF)
    assert None is reconsidered(unwanted, where).assignment


def test_what_recall_does_not_know_keeps_no_bots() -> None:
    own = gone(held(bots=(bot(),), attempts=2), around(rules=OWN_RULES))
    assert ((), True, 2, True) == (own.bots, own.event.deleted, own.attempts, own.due)
    assert Release(meeting_key=key()) == action_for(own, around(rules=OWN_RULES))


# Seen and told.


def test_the_first_sight_is_kept_whole() -> None:
    expected = meeting(
        bot("stray", url=OTHER_MEET),
        keyed_at=NOW,
        wanted=True,
        asked=True,
        due=True,
        next_attempt=NOW,
    )
    assert expected == observed(None, listed(bot("stray", url=OTHER_MEET)), around=around())


@pytest.mark.parametrize(("kept_", "end"), [(False, NOW), (True, NOW + MINUTE)])
def test_what_is_over_at_first_sight_is_not_kept(kept_: bool, end: datetime) -> None:
    found = observed(None, listed(start=NOW - HOUR, end=end), around=around())
    assert kept_ is (found is not None)


def test_a_row_follows_its_event_to_another_tenant() -> None:
    where = around(calendar=calendar(tenant_id="globex"))
    found = observed(meeting(version=1), listed(), around=where)
    assert found is not None
    assert ("globex", key(tenant_id="globex")) == (found.tenant_id, found.meeting_key)


def test_a_row_never_stored_is_owed_at_once() -> None:
    waiting = postponed(meeting(), now=NOW)
    assert waiting.next_attempt is not None
    stored = observed(replace(waiting, version=1, keyed_at=NOW), listed(), around=around())
    fresh = observed(waiting, listed(), around=around())
    assert stored is not None
    assert fresh is not None
    assert (1, waiting.next_attempt) == (stored.attempts, stored.next_attempt)
    assert (0, NOW) == (fresh.attempts, fresh.next_attempt)


@pytest.mark.parametrize(
    ("reason", "now"),
    [("override.off", START + HOUR - MINUTE), ("base.all", START + HOUR)],
)
def test_people_see_today_s_decision_until_the_end(reason: str, now: datetime) -> None:
    where = around(series=Words(override=OFF), now=now)
    assert reason == explained(meeting(decision=JOIN), where).decision.reason


def test_an_unwanted_listed_bot_is_taken_off_first() -> None:
    row = meeting(bot(), decision=SKIP, assignment=assignment())
    assert Unschedule() == action_for(row, around())


def test_a_look_that_leaves_work_owed_waits_its_turn() -> None:
    where = around(rules=OWN_RULES, now=START + 5 * MINUTE)
    row = held(event=event(meeting_url=OTHER_MEET), attempts=3)
    after = looked(row, FOUND, around=where)
    assert (True, 4, START + 5 * MINUTE + timedelta(seconds=40)) == (
        after.due,
        after.attempts,
        after.next_attempt,
    )


def test_who_has_no_bot_may_still_have_one_to_send_away() -> None:
    after = left(meeting(decision=SKIP, leaving=("b",)), "b", around=around())
    assert meeting(decision=SKIP) == after


def test_the_calendar_connected_first_owns_the_bot_and_then_the_lowest_id() -> None:
    earlier = calendar(calendar_id="calendar-2", created_at=NOW - HOUR)
    same = calendar(calendar_id="calendar-2", created_at=NOW)

    def owner(hers: Any, **facts: Any) -> str | None:
        other = copy(facts=facts)
        found = wish_for(
            meeting(), beside(replace(other, around=replace(other.around, calendar=hers)))
        )
        return found and found.event_id

    assert "event-2" == owner(earlier)
    assert "event-1" == owner(same)
    assert "event-2" == owner(same, calendar_id="calendar-0")


def test_the_bot_goes_by_the_owner_s_link() -> None:
    other = copy(facts={"meeting_url": f"{MEET}?authuser=1", **HOST}, meeting_key=key())
    found = wish_for(meeting(), beside(other))
    assert found is not None
    assert f"{MEET}?authuser=1" == found.meeting_url
