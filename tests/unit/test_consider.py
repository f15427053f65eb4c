"""The next state of a row: seen, reconsidered, answered, refused, postponed, gone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.calendar import CalendarStatus
from shared.domain.consider import (
    LONGEST_RETRY,
    Surroundings,
    action_for,
    cleared,
    explained,
    gone,
    observed,
    postponed,
    reconsidered,
    refused,
    scheduled,
    unscheduled,
)
from shared.domain.event import Event, EventBot, ListedEvent
from shared.domain.meeting import Meeting, Override
from shared.domain.plan import Schedule, Unschedule
from shared.domain.rules import Base, BotSettings, Choice, Rules
from shared.domain.series import Words
from tests.unit import core_values
from tests.unit.core_values import (
    GUEST,
    HOUR,
    NOW,
    OWNER,
    START,
    around,
    bot,
    calendar,
    event,
    listed,
    meeting,
    wish,
)


def seen(row: Meeting | None, entry: ListedEvent, where: Surroundings | None = None) -> Meeting:
    after = observed(row, entry, around=where or around())
    assert after is not None
    return after


def served() -> Meeting:
    """A row whose bot is scheduled and listed."""
    row = seen(None, listed())
    action = action_for(row, around())
    assert isinstance(action, Schedule)
    return scheduled(row, listed(bot()), asked=action, around=around())


# Seen.


def test_a_first_sight_owes_a_call_at_once() -> None:
    row = seen(None, listed())
    assert (True, NOW, "default") == (row.due, row.next_attempt, row.tenant_id)


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        (listed(), around(calendar=None)),
        (listed(deleted=True), around()),
        (listed(start=NOW - 2 * HOUR), around()),
    ],
    ids=["foreign", "deleted", "over"],
)
def test_nothing_is_kept_of_what_was_never_ours(entry: ListedEvent, where: Surroundings) -> None:
    assert observed(None, entry, around=where) is None


def test_an_event_that_leaves_for_a_foreign_calendar_keeps_its_tenant_and_owes_a_goodbye() -> None:
    row = seen(served(), listed(bot(), calendar_id="foreign"), around(calendar=None))
    assert ("default", False, True) == (row.tenant_id, row.decision.join, row.due)
    assert Unschedule() == action_for(row, around(calendar=None))


def test_seeing_the_same_again_changes_nothing() -> None:
    row = replace(served(), version=3)
    assert row == seen(row, listed(bot()))


def test_a_bot_that_went_is_owed_again() -> None:
    row = seen(replace(served(), version=3), listed())
    assert (True, NOW) == (row.due, row.next_attempt)


def test_changed_facts_end_a_wait_and_a_refusal() -> None:
    waiting = postponed(postponed(seen(None, listed()), now=NOW), now=NOW)
    row = seen(replace(waiting, version=1), listed(title="Renamed"))
    assert (0, NOW) == (row.attempts, row.next_attempt)
    set_aside = replace(refused(row, "recall_refused"), version=2)
    same = seen(set_aside, listed(title="Renamed"))
    assert (False, "recall_refused") == (same.due, same.problem)
    other = seen(set_aside, listed(title="Again"))
    assert (True, None) == (other.due, other.problem)


def test_a_row_set_aside_is_not_woken_by_the_time() -> None:
    waking = replace(served(), version=1, wake_at=NOW)
    set_aside = refused(waking, "recall_refused")
    assert set_aside.wake_at is None
    other = around(rules=Rules(bot=BotSettings(bot_name="Other")))
    later = reconsidered(set_aside, other)
    assert (False, None) == (later.due, later.wake_at)


@pytest.mark.parametrize("email", [OWNER.email, "owner@globex.example"])
def test_who_is_external_depends_on_whose_calendar_it_is(email: str) -> None:
    where = around(calendar=calendar(email=email), rules=Rules(base=Base.EXTERNAL))
    row = seen(None, listed(attendees=(GUEST,), organizer_email=None), where)
    assert (email == OWNER.email) == row.decision.join


def test_microsoft_does_not_mark_the_owner_so_the_calendar_does() -> None:
    guests = tuple(replace(each, is_owner=False) for each in event().attendees)
    row = seen(None, listed(attendees=guests))
    assert [True, False] == [each.is_owner for each in row.event.attendees]
    unknown = seen(None, listed(attendees=guests), around(calendar=calendar(email=None)))
    assert [False, False] == [each.is_owner for each in unknown.event.attendees]
    assert OWNER in row.event.attendees


# Reconsidered.


@pytest.mark.parametrize(
    ("own", "series", "reason"),
    [
        (Choice.AUTO, Choice.AUTO, "base.all"),
        (Choice.AUTO, Choice.OFF, "override.off"),
        (Choice.ON, Choice.OFF, "override.on"),
        (Choice.OFF, Choice.ON, "override.off"),
        (Choice.OFF, None, "override.off"),
    ],
)
def test_an_occurrence_s_override_comes_before_its_series(
    own: Choice, series: Choice | None, reason: str
) -> None:
    said = Words(override=None if series is None else Override(choice=series))
    where = around(series=said)
    row = reconsidered(replace(served(), override=Override(choice=own)), where)
    assert reason == row.decision.reason


@pytest.mark.parametrize(("own", "series"), [(True, False), (False, True)])
def test_an_opt_out_of_the_occurrence_or_its_series_beats_an_on(own: bool, series: bool) -> None:
    row = replace(served(), override=Override(choice=Choice.ON), opted_out=own)
    where = around(series=Words(opted_out=series))
    assert "denied.opt_out" == reconsidered(row, where).decision.reason


def test_off_survives_every_edit_move_and_rule_change() -> None:
    row = replace(served(), override=Override(choice=Choice.OFF, set_by="ada"))
    for entry in (listed(start=START + HOUR), listed(title="Other"), listed(platform_id="p2")):
        row = seen(row, entry, around(rules=Rules(min_others=0)))
        assert ("override.off", "ada") == (row.decision.reason, row.override.set_by)


def test_a_disconnect_takes_the_bot_off_and_a_reconnect_brings_it_back() -> None:
    cut_off = around(calendar=calendar(status=CalendarStatus.DISCONNECTED))
    row = seen(served(), listed(), cut_off)
    assert (False, None) == (row.due, row.assignment)
    assert seen(row, listed()).due


def test_what_people_are_told_is_what_is_decided_by_now() -> None:
    cut_off = around(calendar=calendar(status=CalendarStatus.DISCONNECTED))
    told = explained(served(), cut_off).decision
    assert "ineligible.calendar_disconnected" == told.reason


# Answers.


def test_an_answer_that_lists_the_bot_settles_the_row() -> None:
    row = served()
    assert (False, 0, None) == (row.due, row.attempts, row.next_attempt)
    assert row.assignment is not None
    assert ("bot-1", START) == (row.assignment.bot_id, row.assignment.join_at)


def test_an_answer_without_the_bot_stays_owed_and_waits() -> None:
    row = seen(None, listed())
    action = action_for(row, around())
    assert isinstance(action, Schedule)
    after = scheduled(row, listed(), asked=action, around=around())
    assert (True, 1, NOW + timedelta(seconds=5)) == (
        after.due,
        after.attempts,
        after.next_attempt,
    )


@pytest.mark.parametrize(("bot_id", "state"), [("bot-1", "in_call_recording"), ("b2", "scheduled")])
def test_what_a_bot_reported_stays_with_that_bot(bot_id: str, state: str) -> None:
    before = served()
    assert before.assignment is not None
    live = replace(before, assignment=replace(before.assignment, state="in_call_recording"))
    action = Schedule(wish=wish())
    answered = scheduled(live, listed(bot(bot_id)), asked=action, around=around())
    confirmed = seen(live, listed(bot(bot_id)))
    for after in (answered, confirmed):
        assert after.assignment is not None
        assert (bot_id, state) == (after.assignment.bot_id, after.assignment.state)


def test_a_bot_that_recall_goes_on_listing_is_let_go() -> None:
    unwanted = replace(served(), override=Override(choice=Choice.OFF))
    row = unscheduled(reconsidered(unwanted, around()), listed(bot()), around=around())
    assert (frozenset({"bot-1"}), None, False) == (row.released, row.assignment, row.due)


@pytest.mark.parametrize("entries", [(bot("bot-1"),), (bot("bot-1"), bot("bot-2"))])
def test_after_being_let_go_a_bot_may_serve_again(entries: tuple[EventBot, ...]) -> None:
    row = replace(served(), released=frozenset({"bot-1"}), assignment=None)
    action = action_for(row, around())
    assert isinstance(action, Schedule)
    after = scheduled(row, listed(*entries), asked=action, around=around())
    assert after.assignment is not None
    assert entries[-1].bot_id == after.assignment.bot_id
    assert not after.due


def test_what_is_listed_after_clearing_is_no_stray_any_more() -> None:
    stray = bot("stray", start=START + HOUR)
    row = replace(served(), bots=(bot(), stray))
    asked = action_for(row, around())
    assert isinstance(asked, Schedule)
    assert asked.clear_first
    after = scheduled(
        cleared(row, listed(stray)), listed(stray, bot("new")), asked=asked, around=around()
    )
    assert after.assignment is not None
    assert ("new", False) == (after.assignment.bot_id, after.due)


def test_what_recall_does_not_know_any_more_owes_nothing() -> None:
    row = gone(served(), around())
    assert (False, None, "ineligible.deleted") == (row.due, row.assignment, row.decision.reason)


def test_waits_grow_to_ten_minutes() -> None:
    row = seen(None, listed())
    waits = []
    for _ in range(12):
        row = postponed(row, now=NOW)
        assert row.next_attempt is not None
        waits.append(row.next_attempt - NOW)
    assert [timedelta(seconds=seconds) for seconds in (5, 10, 20)] == waits[:3]
    assert waits == sorted(waits)
    assert LONGEST_RETRY == waits[-1]


def test_recall_s_own_word_on_waiting_wins() -> None:
    row = postponed(seen(None, listed()), now=NOW, retry_after=30)
    assert NOW + timedelta(seconds=30) == row.next_attempt


# Whatever happens.


@dataclass(slots=True)
class Workspace:
    """A Recall of a few lines; what it keeps listing and how it treats old bots may vary."""

    event: Event
    entries: list[EventBot]
    live: set[str]
    keeps_entries: bool
    drops_old: bool
    made: int = field(default=0)

    def unschedule(self) -> ListedEvent:
        for entry in self.entries:
            if entry.start > NOW:
                self.live.discard(entry.bot_id)
        if not self.keeps_entries:
            self.entries = [entry for entry in self.entries if entry.start <= NOW]
        return self.listed()

    def schedule(self, action: Schedule) -> ListedEvent:
        key = action.wish.meeting_key
        same = [e for e in self.entries if e.deduplication_key == key and e.bot_id in self.live]
        if self.drops_old:
            kept = [e for e in self.entries if e.start <= NOW or e in same]
            self.live -= {e.bot_id for e in self.entries if e not in kept}
            self.entries = kept
        self.made += 1
        bot_id = same[0].bot_id if same else f"made-{self.made}"
        self.entries = [entry for entry in self.entries if entry.bot_id != bot_id]
        self.entries.append(
            EventBot(
                bot_id=bot_id,
                start=self.event.start,
                deduplication_key=key,
                meeting_url=action.wish.meeting_url,
            )
        )
        self.live.add(bot_id)
        return self.listed()

    def listed(self) -> ListedEvent:
        return ListedEvent(event=self.event, bots=tuple(self.entries), updated_at=NOW)


@given(
    core_values.events(),
    st.lists(core_values.bots, max_size=3, unique_by=lambda entry: entry.bot_id),
    core_values.surroundings,
    st.booleans(),
    st.booleans(),
)
def test_plans_carried_out_leave_nothing_to_plan(
    known: Event, entries: list[EventBot], where: Surroundings, keeps: bool, drops: bool
) -> None:
    live = {entry.bot_id for entry in entries}
    recall = Workspace(known, list(entries), live, keeps_entries=keeps, drops_old=drops)
    row = Meeting(event=known, tenant_id="default", decision=core_values.JOIN, version=1)
    row = seen(row, recall.listed(), where)
    for _ in range(3):
        match action_for(row, where):
            case None:
                break
            case Unschedule():
                row = unscheduled(row, recall.unschedule(), around=where)
            case Schedule() as action:
                if action.clear_first:
                    row = cleared(row, recall.unschedule())
                row = scheduled(row, recall.schedule(action), asked=action, around=where)
    assert action_for(row, where) is None
    assert not row.due
    assert row == seen(row, recall.listed(), where)
    ahead = [e for e in recall.entries if e.start > NOW and e.bot_id in recall.live]
    wanted = [known.start] if row.decision.join and known.start > NOW else []
    assert wanted == [entry.start for entry in ahead]


@given(
    st.lists(st.tuples(core_values.events(), st.lists(core_values.bots, max_size=2)), max_size=4),
    core_values.events(),
    core_values.surroundings,
)
def test_only_the_last_sight_counts(
    earlier: list[tuple[Event, list[EventBot]]], last: Event, where: Surroundings
) -> None:
    fresh = Meeting(event=event(), tenant_id="default", decision=core_values.JOIN, version=1)
    row = fresh
    for known, entries in earlier:
        row = seen(row, ListedEvent(event=known, bots=tuple(entries), updated_at=NOW), where)
    entry = ListedEvent(event=last, bots=(), updated_at=NOW)
    after, straight = seen(row, entry, where), seen(fresh, entry, where)
    assert (straight.event, straight.decision, straight.bots) == (
        after.event,
        after.decision,
        after.bots,
    )
    assert action_for(straight, where) == action_for(after, where)


@given(core_values.events(), core_values.surroundings)
def test_deciding_again_decides_the_same(known: Event, where: Surroundings) -> None:
    row = seen(meeting(version=1), ListedEvent(event=known, bots=(), updated_at=NOW), where)
    again = reconsidered(row, where)
    assert row == again


def test_another_bot_name_is_owed_everywhere() -> None:
    renamed = around(rules=Rules(bot=BotSettings(bot_name="Scribe")))
    assert reconsidered(served(), renamed).due


def test_a_row_of_a_meeting_without_end_expires_all_the_same() -> None:
    row = observed(None, listed(end=datetime.max.replace(tzinfo=UTC)), around=around())
    assert row is not None
    assert 9999 == row.expires_at.year
