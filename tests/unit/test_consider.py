"""The next state of a row: seen, reconsidered, answered, refused, postponed, gone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import NoneType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.calendar import CalendarStatus
from shared.domain.consider import (
    LONGEST_RETRY,
    Copy,
    Surroundings,
    action_for,
    cleared,
    explained,
    gone,
    heard,
    is_unheard,
    observed,
    postponed,
    reconsidered,
    refused,
    scheduled,
    unscheduled,
)
from shared.domain.event import Event, EventBot, ListedEvent
from shared.domain.meeting import Assignment, Meeting, Override
from shared.domain.plan import SENT_OUT, Keep, Leave, Look, Schedule, Unschedule, Wait
from shared.domain.rules import Base, BotSettings, Choice, Mode, Rules, Scheduling
from shared.domain.series import Words
from tests.unit import core_values
from tests.unit.core_values import (
    GUEST,
    HOUR,
    MEET,
    NOW,
    OTHER_MEET,
    OWNER,
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

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


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


def test_a_refusal_is_remembered_with_its_moment_and_detail() -> None:
    row = refused(served(), "recall_refused", now=NOW, detail="invalid_link")
    assert ("recall_refused", "invalid_link", NOW) == (
        row.problem,
        row.problem_detail,
        row.problem_at,
    )
    other = seen(replace(row, version=2), listed(title="Renamed"))
    assert (None, None, None) == (other.problem, other.problem_detail, other.problem_at)


@pytest.mark.parametrize(
    ("mode", "join", "wanted"),
    [(Mode.LIVE, True, True), (Mode.LIVE, False, False), (Mode.PREVIEW, True, False)],
)
def test_a_bot_is_wanted_where_the_vote_says_so_and_the_rules_are_live(
    mode: Mode, join: bool, wanted: bool
) -> None:
    facts = {} if join else {"cancelled": True}
    row = seen(None, listed(**facts), around(rules=Rules(mode=mode)))
    assert wanted is row.wanted


def test_after_the_end_what_was_wanted_stands() -> None:
    row = replace(served(), version=3)
    over = around(now=row.event.end)
    assert seen(row, listed(bot(), cancelled=True), over).wanted
    assert not seen(replace(row, wanted=False), listed(bot()), over).wanted


def test_a_meeting_moved_into_the_past_is_wanted_no_more() -> None:
    row = replace(served(), version=3)
    past = listed(bot(), start=NOW - 3 * HOUR)
    assert past.event.end <= NOW
    assert not seen(row, past).wanted


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


# On its way: Recall may double a bot that it has sent out.


@pytest.mark.parametrize(
    ("ahead", "asked"),
    [
        (SENT_OUT + SECOND, Schedule),
        (SENT_OUT, NoneType),
        (timedelta(), NoneType),
        (-MINUTE, NoneType),
        (-HOUR / 2, Look),
    ],
)
def test_a_listed_bot_on_its_way_is_not_asked_for_again(ahead: timedelta, asked: type) -> None:
    renamed = Rules(bot=BotSettings(bot_name="Scribe"))
    where = around(now=START - ahead, rules=renamed)
    assert asked is type(action_for(served(), where))


@pytest.mark.parametrize("ahead", [SENT_OUT, timedelta(), -HOUR / 2])
def test_a_bot_that_is_not_there_is_asked_for_until_the_end(ahead: timedelta) -> None:
    assert isinstance(action_for(meeting(), around(now=START - ahead)), Schedule)
    other = meeting(bot(start=START + HOUR))
    assert isinstance(action_for(other, around(now=START - ahead)), Schedule)
    assert action_for(meeting(), around(now=START + HOUR)) is None


def in_company(assignment: Assignment | None, *, ahead: timedelta = SENT_OUT) -> Surroundings:
    """Another copy of the meeting, with that bot."""
    where = around(now=START - ahead)
    theirs = event(event_id="event-2", calendar_id="calendar-2")
    other = meeting(event=theirs, assignment=assignment, shared=True)
    return replace(where, copies=(Copy(row=other, around=where),))


SHARED = Assignment(
    bot_id="bot-1",
    deduplication_key=key(),
    fingerprint=BotSettings().fingerprint(MEET),
    join_at=START,
)


def test_a_bot_that_another_copy_has_is_shared_before_and_not_asked_for_on_its_way() -> None:
    before = in_company(SHARED, ahead=SENT_OUT + SECOND)
    assert isinstance(action_for(meeting(shared=True), before), Schedule)
    assert action_for(meeting(shared=True), in_company(SHARED)) is None


@pytest.mark.parametrize(
    "other",
    [
        None,
        replace(SHARED, missed="not_admitted"),
        replace(SHARED, state="fatal"),
        replace(SHARED, deduplication_key=key(START + HOUR)),
    ],
    ids=["none", "missed", "over", "another meeting's"],
)
def test_what_another_copy_has_lost_or_never_had_is_asked_for(other: Assignment | None) -> None:
    assert isinstance(action_for(meeting(shared=True), in_company(other)), Schedule)


def adopted(row: Meeting, where: Surroundings) -> list[str | None]:
    """The bot that the row has after its turn, and after the feed listed it."""
    entry = ListedEvent(event=row.event, bots=row.bots, updated_at=NOW)
    rows = (reconsidered(row, where), seen(row, entry, where))
    return [after.assignment and after.assignment.bot_id for after in rows]


def test_a_bot_whose_answer_was_lost_is_adopted_when_it_is_too_late_to_ask_again() -> None:
    """Before, the same call finds it out."""
    lost = meeting(bot(), version=1, due=True, next_attempt=NOW)
    assert [None, None] == adopted(lost, around(now=START - SENT_OUT - SECOND))
    assert ["bot-1", "bot-1"] == adopted(lost, around(now=START - SENT_OUT))
    assert ["bot-1", "bot-1"] == adopted(lost, around(now=START + HOUR / 2))
    assert [None, None] == adopted(lost, around(now=START + HOUR))


@pytest.mark.parametrize(
    ("row", "rules"),
    [
        (meeting(bot(start=START + HOUR)), Rules()),
        (meeting(bot(url=OTHER_MEET)), Rules()),
        (meeting(bot(), released=frozenset({"bot-1"})), Rules()),
        (meeting(bot()), Rules(scheduling=Scheduling.SELF_MANAGED)),
        (meeting(bot()), Rules(mode=Mode.PREVIEW)),
        (meeting(bot()), Rules(base=Base.OFF)),
    ],
    ids=["another time", "another room", "let go", "bots of our own", "only looking", "unwanted"],
)
def test_nobody_else_s_bot_is_adopted(row: Meeting, rules: Rules) -> None:
    where = around(now=START - SENT_OUT, rules=rules)
    assert [None, None] == adopted(replace(row, version=1), where)


def test_an_adopted_bot_owes_nothing_and_leaves_on_a_person_s_word() -> None:
    running = around(now=START + MINUTE)
    lost = meeting(version=1, asked=True, due=True, next_attempt=NOW)
    row = seen(lost, listed(bot()), running)
    assert (False, False, None) == (row.asked, row.due, action_for(row, running))
    refusing = reconsidered(replace(row, override=Override(choice=Choice.OFF)), running)
    assert Leave("bot-1") == action_for(refusing, running)


# In doubt: a bot was asked for, and nobody lived to hear the answer.


def test_a_call_that_is_owed_is_noted_until_its_answer_is_heard() -> None:
    row = seen(None, listed())
    action = action_for(row, around())
    assert row.asked
    assert isinstance(action, Schedule)
    assert not scheduled(row, listed(bot()), asked=action, around=around()).asked
    # An answer that does not match leaves another call to make.
    assert scheduled(row, listed(), asked=action, around=around()).asked
    unwanted = reconsidered(replace(row, override=Override(choice=Choice.OFF)), around())
    assert unwanted.asked
    assert Unschedule() == action_for(unwanted, around())
    assert not unscheduled(unwanted, listed(), around=around()).asked
    assert not gone(row, around()).asked


def test_a_bot_in_doubt_is_known_once_it_is_listed_though_another_call_is_refused() -> None:
    listing = seen(replace(seen(None, listed()), version=1), listed(bot()))
    action = action_for(listing, around())
    assert listing.assignment is not None
    assert ("bot-1", "") == (listing.assignment.bot_id, listing.assignment.fingerprint)
    assert isinstance(action, Schedule)
    answered = scheduled(listing, listed(bot()), asked=action, around=around())
    assert answered.assignment == served().assignment
    refusal = replace(refused(listing, "recall_refused"), asked=False)
    again = reconsidered(refusal, around())
    assert (listing.assignment, "recall_refused") == (again.assignment, again.problem)
    deleted = seen(refusal, listed(deleted=True))
    assert (None, False) == (deleted.assignment, deleted.due)


def test_a_bot_in_doubt_is_asked_for_again_though_recall_lists_it() -> None:
    row = replace(served(), asked=True)
    assert isinstance(action_for(row, around()), Schedule)
    assert action_for(served(), around()) is None


@pytest.mark.parametrize("scheduling", Scheduling)
def test_a_bot_in_doubt_goes_before_anything_else_comes(scheduling: Scheduling) -> None:
    row = meeting(asked=True)
    choice = Choice.OFF if scheduling is Scheduling.MANAGED else Choice.AUTO
    where = around(rules=Rules(scheduling=scheduling))
    turned = reconsidered(replace(row, override=Override(choice=choice)), where)
    assert Unschedule() == action_for(turned, where)
    over = around(now=START + HOUR, rules=Rules(scheduling=scheduling))
    assert action_for(turned, over) is None


def test_a_bot_of_our_own_waits_while_another_copy_s_is_in_doubt() -> None:
    where = around(rules=Rules(scheduling=Scheduling.SELF_MANAGED))
    other = meeting(event=event(event_id="event-2", calendar_id="calendar-2"), asked=True)
    doubtful = replace(where, copies=(Copy(row=other, around=where),))
    certain = replace(where, copies=(Copy(row=replace(other, asked=False), around=where),))
    assert [Wait, Keep] == [
        type(action_for(meeting(shared=True), each)) for each in (doubtful, certain)
    ]


def test_a_bot_in_its_call_leaves_on_a_person_s_word_whatever_was_in_doubt() -> None:
    running = around(now=START + MINUTE)
    held = replace(served(), asked=True, override=Override(choice=Choice.OFF))
    refusing = reconsidered(held, running)
    assert Leave("bot-1") == action_for(refusing, running)


@pytest.mark.parametrize(
    ("late", "goodbye"),
    [(-MINUTE, Unschedule()), (timedelta(), Leave("b2")), (MINUTE, Leave("b2"))],
)
def test_a_bot_that_nobody_heard_of_is_found_and_told_to_go(
    late: timedelta, goodbye: object
) -> None:
    where = around(now=START + late)
    unwanted = meeting(asked=True, override=Override(choice=Choice.OFF))
    assert is_unheard(unwanted)
    row = heard(unwanted, listed(bot("b1", start=NOW), bot("b2")), around=where)
    assert row.assignment is not None
    assert ("b2", True, False) == (row.assignment.bot_id, row.due, is_unheard(row))
    assert goodbye == action_for(row, where)


def test_where_recall_lists_no_bot_nothing_is_in_doubt_any_more() -> None:
    unwanted = meeting(asked=True, override=Override(choice=Choice.OFF))
    row = heard(unwanted, listed(bot("b1", start=NOW)), around=around())
    assert (False, None, False) == (row.asked, row.assignment, row.due)


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
