"""Copies of one meeting in several calendars: one vote, one owner, never a second bot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from moto import mock_aws

from infra.local.emulators.recall.accounts import Account
from shared.domain.meeting import Meeting, Override
from shared.domain.plan import GRACE
from shared.domain.rules import Choice
from shared.flows.meetings import MeetingDoors, Moment, opt_out_occurrence
from shared.flows.neighbours import Neighbours
from tests.stack import GOOGLE, OUTLOOK, START, Stack

MEET = "https://meet.google.com/qkr-wzpn-abt"
OTHER_MEET = "https://meet.google.com/tpc-rdqo-vhs"
HOST, DANA = "host@acme.example", "dana@acme.example"
GUEST = "guest@globex.example"
IN_THREE_HOURS = START + timedelta(hours=3)


class Pair:
    """Host and Dana, both connected, with one meeting that the host organizes."""

    def __init__(self, *, rules: dict[str, Any] | None = None, **facts: Any) -> None:
        self.stack = Stack()
        self.host = self.stack.recall.account(GOOGLE, HOST)
        self.dana = self.stack.recall.account(OUTLOOK, DANA)
        if rules is not None:
            self.set_rules("tenant:default", rules)
        self.events = {
            "host": add(self.host, attendees=[DANA, GUEST], **facts),
            "dana": add(self.dana, attendees=[GUEST], organizer=HOST, **facts),
        }
        self.calendars = {
            "host": self.stack.connect(HOST, entity_id="host"),
            "dana": self.stack.connect(DANA, platform=OUTLOOK, entity_id="dana"),
        }
        self.stack.run(15)

    def set_rules(self, scope: str, rules: dict[str, Any]) -> None:
        self.stack.stores.settings.put_rules(scope, rules, by="test", at=self.stack.clock.now())

    def row(self, who: str) -> Meeting:
        (row,) = self.stack.stores.meetings.of_calendar(self.calendars[who]).items
        return row

    def say(self, who: str, choice: Choice) -> None:
        now = self.stack.clock.now()
        row = self.row(who)
        word = Override(choice=choice, set_by="test", set_at=now)
        self.stack.stores.meetings.set_override(row.event.event_id, word, now=now)
        self.stack.scheduler.queue.ring_work(now=now, unique=f"{who}-{choice}-{now}")
        self.stack.run(5)

    def opt_out(self, who: str, *, opted_out: bool) -> None:
        now = self.stack.clock.now()
        doors = MeetingDoors(
            meetings=self.stack.stores.meetings,
            settings=self.stack.stores.settings,
            neighbours=Neighbours(self.stack.stores, clock=self.stack.clock.now),
            queue=self.stack.scheduler.queue,
        )
        at = Moment(now=now, unique=f"{who}-{opted_out}-{now}")
        opt_out_occurrence(doors, self.row(who), opted_out=opted_out, at=at)
        self.stack.run(5)

    def reasons(self) -> dict[str, str]:
        return {who: self.row(who).verdict.reason for who in self.calendars}

    def starts(self) -> list[datetime]:
        return [bot.join_at for bot in self.stack.recall.live_bots()]

    def names(self) -> list[str]:
        return [bot.bot_name for bot in self.stack.recall.live_bots()]


@pytest.fixture(autouse=True)
def _aws() -> Iterator[None]:
    with mock_aws():
        yield


def add(account: Account, **facts: Any) -> str:
    return account.add_event("Kickoff", **{"start": IN_THREE_HOURS, "link": MEET, **facts})


def test_the_organizer_s_off_ends_it_for_all_and_lifting_it_brings_the_bot_back() -> None:
    pair = Pair()
    assert [IN_THREE_HOURS] == pair.starts()
    pair.say("host", Choice.OFF)
    assert [] == pair.starts()
    assert {"host": "override.off", "dana": "vote.veto"} == pair.reasons()
    pair.say("host", Choice.AUTO)
    assert [IN_THREE_HOURS] == pair.starts()
    assert {"host": "base.all", "dana": "base.all"} == pair.reasons()


def test_an_attendee_s_off_is_hers_alone() -> None:
    pair = Pair()
    pair.say("dana", Choice.OFF)
    assert [IN_THREE_HOURS] == pair.starts()
    assert {"host": "base.all", "dana": "override.off"} == pair.reasons()
    assert pair.row("dana").assignment is None


def test_who_opts_out_is_heard_whatever_anybody_says_and_can_take_it_back() -> None:
    pair = Pair()
    pair.opt_out("dana", opted_out=True)
    assert {"host": "vote.denied", "dana": "denied.opt_out"} == pair.reasons()
    pair.say("host", Choice.ON)
    pair.say("dana", Choice.ON)
    assert [] == pair.starts()
    pair.opt_out("dana", opted_out=False)
    assert [IN_THREE_HOURS] == pair.starts()


def test_all_must_agree_where_the_rules_say_so() -> None:
    pair = Pair(rules={"vote": "all_agree"})
    assert [IN_THREE_HOURS] == pair.starts()
    pair.dana.set_response(pair.events["dana"], "declined")
    pair.stack.run(5)
    assert [] == pair.starts()
    assert {"host": "vote.all_agree", "dana": "rsvp"} == pair.reasons()


def test_a_stale_copy_of_a_disconnected_calendar_has_no_vote() -> None:
    pair = Pair(rules={"vote": "all_agree"})
    pair.dana.revoke_grant()
    pair.stack.run(60)
    assert "ineligible.calendar_disconnected" == pair.reasons()["dana"]
    assert [IN_THREE_HOURS] == pair.starts()


def test_the_owner_s_name_is_on_the_bot_and_passes_on_when_the_owner_leaves() -> None:
    pair = Pair()
    pair.set_rules("entity:default:host", {"bot": {"bot_name": "Host's"}})
    pair.set_rules("entity:default:dana", {"bot": {"bot_name": "Dana's"}})
    for who in ("host", "dana"):
        pair.say(who, Choice.AUTO)
    assert ["Host's"] == pair.names()
    assert [0, 0] == [len(pair.row(who).leaving) for who in pair.calendars]
    pair.stack.recall.account(GOOGLE, HOST).revoke_grant()
    pair.stack.run(60)
    assert ["Dana's"] == pair.names()


def test_copies_that_update_minutes_apart_never_have_two_bots() -> None:
    pair = Pair()
    later = IN_THREE_HOURS + timedelta(hours=1)
    pair.host.move(pair.events["host"], later)
    for _ in range(3):
        pair.stack.run(60, ticks=True)
        assert [IN_THREE_HOURS] == pair.starts()
    pair.dana.move(pair.events["dana"], later)
    pair.stack.run(10)
    assert [later] == pair.starts()


def test_copies_that_part_for_good_have_a_bot_each() -> None:
    pair = Pair()
    later = IN_THREE_HOURS + timedelta(hours=1)
    pair.host.move(pair.events["host"], later)
    pair.stack.run(GRACE.total_seconds() + 70, ticks=True)
    assert [IN_THREE_HOURS, later] == pair.starts()


def test_near_the_start_nobody_waits() -> None:
    pair = Pair(start=START + timedelta(minutes=12))
    pair.host.move(pair.events["host"], START + timedelta(hours=1))
    pair.stack.run(10)
    assert 2 == len(pair.starts())


def test_a_copy_that_was_met_costs_nothing_while_nothing_changes() -> None:
    pair = Pair()
    pair.stack.run(300, ticks=True)
    rows = [pair.row(who) for who in pair.calendars]
    assert [True, True] == [row.shared for row in rows]
    calls = len(pair.stack.recall.calls)
    pair.stack.run(180, ticks=True)
    assert rows == [pair.row(who) for who in pair.calendars]
    later = pair.stack.recall.calls[calls:]
    assert {"calendar_events_list"} == {call.endpoint for call in later}


def test_a_bot_of_the_old_room_is_asked_to_leave_when_the_link_changes_late() -> None:
    pair = Pair(start=START + timedelta(minutes=30))
    pair.stack.run(28 * 60, ticks=True)
    for who in ("host", "dana"):
        account = getattr(pair, who)
        account.relink(pair.events[who], OTHER_MEET)
    pair.stack.run(5 * 60, ticks=True)
    assert [OTHER_MEET] == [bot.meeting_url for bot in pair.stack.recall.live_bots()]


def test_switched_off_during_the_call_the_bot_leaves() -> None:
    pair = Pair(start=START + timedelta(minutes=30))
    pair.stack.run(32 * 60, ticks=True)
    assert 1 == len(pair.starts())
    pair.say("host", Choice.OFF)
    pair.stack.run(30)
    assert [] == pair.starts()


def test_an_answer_that_swings_nothing_wakes_nobody() -> None:
    """Most answers to a large invitation; the others' rows are not even written."""
    stack = Stack()
    people = [f"p{number}@acme.example" for number in range(12)]
    accounts = [stack.recall.account(GOOGLE, each) for each in people]
    events = [add(each, attendees=[GUEST], organizer=HOST) for each in accounts]
    for each in people:
        stack.connect(each, entity_id=each)
    stack.run(30)
    meetings = stack.stores.meetings
    before = {each: meetings.get(each) for each in meetings.ids_of_key(_the_key(stack))}
    accounts[7].set_response(events[7], "declined")
    stack.run(70, ticks=True)
    after = {each: meetings.get(each) for each in before}
    changed = [each for each in before if before[each] != after[each]]
    assert 1 == len(changed)
    assert 1 == len(stack.recall.live_bots())


def _the_key(stack: Stack) -> str:
    return str(stack.recall.live_bots()[0].key)


def test_two_answers_at_once_swing_together_what_neither_does_alone() -> None:
    pair = Pair(rules={"vote": "all_agree"})
    third = pair.stack.recall.account(GOOGLE, "third@acme.example")
    copy = add(third, attendees=[GUEST], organizer=HOST)
    pair.calendars["third"] = pair.stack.connect("third@acme.example", entity_id="third")
    pair.stack.run(10)
    assert 1 == len(pair.starts())
    for answer, bots in (("declined", 0), ("accepted", 1)):
        pair.dana.set_response(pair.events["dana"], answer)
        third.set_response(copy, answer)
        pair.stack.run(5)
        assert bots == len(pair.starts())
    assert {"base.all"} == set(pair.reasons().values())
