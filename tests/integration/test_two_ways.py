"""Copies of one meeting under both ways of scheduling: one bot, and nobody takes another's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from moto import mock_aws

from infra.local.emulators.recall.accounts import Account
from infra.local.emulators.recall.switches import Timings
from shared.domain.meeting import Meeting
from shared.flows.meetings import Moment, opt_out_occurrence
from tests.stack import GOOGLE, START, Stack
from tests.stack_api import StackApi

MEET = "https://meet.google.com/qkr-wzpn-abt"
GUEST = "guest@globex.example"
IN_THREE_HOURS = START + timedelta(hours=3)
OWN = {"scheduling": "self_managed"}
MANAGED = {"scheduling": "managed"}
WAYS = pytest.mark.parametrize("rules", [OWN, MANAGED], ids=["own", "managed"])


class Crowd:
    """Colleagues at one meeting, the first of whom organizes it."""

    def __init__(
        self,
        size: int,
        *,
        rules: dict[str, Any],
        start: datetime = IN_THREE_HOURS,
        timings: Timings | None = None,
    ) -> None:
        self.stack = Stack(timings=timings)
        self.put("default", rules)
        self.names = [f"c{number:02}" for number in range(size)]
        self.accounts = {name: self._account(name) for name in self.names}
        self.start = start
        self.placed = self.stack.recall.invite(
            "All hands",
            organizer=self.accounts[self.names[0]],
            guests=[*(self.accounts[name] for name in self.names[1:]), GUEST],
            start=start,
            link=MEET,
        )
        self.calendars = {
            name: self.stack.connect(_address(name), entity_id=name) for name in self.names
        }
        self.stack.run(30)

    def _account(self, name: str) -> Account:
        return self.stack.recall.account(GOOGLE, _address(name))

    def put(self, scope: str, rules: dict[str, Any]) -> None:
        self.stack.stores.settings.put_rules(scope, rules, by="test", at=self.stack.clock.now())

    def each(self, change: str, *values: Any) -> None:
        for name in self.names:
            event = self.placed[_address(name)]
            getattr(self.accounts[name], change)(event, *values)

    def row(self, name: str) -> Meeting:
        (row,) = self.stack.stores.meetings.of_calendar(self.calendars[name]).items
        return row

    def starts(self) -> list[datetime]:
        return [bot.join_at for bot in self.stack.recall.live_bots()]


def _address(name: str) -> str:
    return f"{name}@acme.example"


@pytest.fixture(autouse=True)
def _aws() -> Iterator[None]:
    with mock_aws():
        yield


@WAYS
@pytest.mark.parametrize("change", ["cancel", "decline", "unlink", "paused", "preview", "off"])
def test_what_ends_for_all_at_once_leaves_no_bot(rules: dict[str, Any], change: str) -> None:
    crowd = Crowd(3, rules=rules)
    assert [IN_THREE_HOURS] == crowd.starts()
    match change:
        case "cancel":
            crowd.each("cancel")
        case "decline":
            crowd.each("set_response", "declined")
        case "unlink":
            crowd.each("relink", None)
        case "off":
            StackApi(crowd.stack).call("PUT", "/v1/rules/default", {**rules, "base": "off"})
        case mode:
            StackApi(crowd.stack).call("PUT", "/v1/rules/default", {**rules, "mode": mode})
    crowd.stack.run(130, ticks=True)
    assert [] == crowd.starts()


@pytest.mark.parametrize(("first", "then"), [(OWN, MANAGED), (MANAGED, OWN)])
@pytest.mark.parametrize("size", [3, 12])
def test_a_crowd_changes_over_with_a_call_each(
    first: dict[str, Any], then: dict[str, Any], size: int
) -> None:
    crowd = Crowd(size, rules=first)
    assert [IN_THREE_HOURS] == crowd.starts()
    before = len(crowd.stack.recall.calls)
    StackApi(crowd.stack).call("PUT", "/v1/rules/default", then)
    for _ in range(150):
        crowd.stack.run(1, ticks=True)
        assert len(crowd.starts()) <= 1
    assert [IN_THREE_HOURS] == crowd.starts()
    made = [call.endpoint for call in crowd.stack.recall.calls[before:]]
    assert len([name for name in made if name != "calendar_events_list"]) <= size + 3


@pytest.mark.parametrize(("first", "then"), [(OWN, MANAGED), (MANAGED, OWN)])
@pytest.mark.parametrize("joins", [0, 1])
def test_a_copy_that_comes_late_with_another_way_brings_no_second_bot(
    first: dict[str, Any], then: dict[str, Any], joins: int
) -> None:
    soon = START + timedelta(minutes=8)
    crowd = Crowd(1, rules=first, start=soon)
    assert [soon] == crowd.starts()
    late = crowd.stack.recall.account(GOOGLE, "late@acme.example")
    organizer = "late@acme.example" if joins else _address("c00")
    crowd.put("entity:default:late", then)
    crowd.put("entity:default:c00", first if joins else then)
    late.add_event("All hands", start=soon, link=MEET, attendees=[GUEST], organizer=organizer)
    crowd.stack.connect("late@acme.example", entity_id="late")
    for _ in range(14):
        crowd.stack.run(60, ticks=True)
        assert 1 == len(crowd.stack.recall.live_bots()), crowd.stack.clock.now()


@pytest.mark.parametrize(("first", "then"), [(OWN, MANAGED), (MANAGED, OWN)])
def test_a_bot_of_another_way_that_is_over_is_not_made_again(
    first: dict[str, Any], then: dict[str, Any]
) -> None:
    soon = START + timedelta(minutes=20)
    crowd = Crowd(2, rules=first, start=soon)
    crowd.stack.run(40 * 60, ticks=True)
    (bot,) = crowd.stack.recall.live_bots()
    crowd.stack.scheduler.doors.recall.leave_call(bot.bot_id)
    crowd.stack.run(120, ticks=True)
    assert [] == crowd.starts()
    StackApi(crowd.stack).call("PUT", "/v1/rules/default", then)
    crowd.stack.run(240, ticks=True)
    assert [] == crowd.starts()


def test_a_copy_that_parts_leaves_the_others_their_bot() -> None:
    """Its rules tell its meeting apart, and have Recall schedule it."""
    crowd = Crowd(2, rules=OWN)
    (before,) = crowd.stack.recall.live_bots()
    StackApi(crowd.stack).call(
        "PUT", "/v1/rules/entity:default:c01", {**MANAGED, "dedupe": "calendar"}
    )
    crowd.stack.run(400, ticks=True)
    assert 2 * [IN_THREE_HOURS] == crowd.starts()
    assert before.bot_id in {bot.bot_id for bot in crowd.stack.recall.live_bots()}


def test_a_claim_that_is_due_takes_no_bot_that_still_serves() -> None:
    soon = START + timedelta(minutes=9)
    crowd = Crowd(1, rules=OWN, start=soon)
    (before,) = crowd.stack.recall.live_bots()
    StackApi(crowd.stack).call("PUT", "/v1/rules/default", MANAGED)
    crowd.stack.run(8 * 60, ticks=True)
    assert [before.bot_id] == [bot.bot_id for bot in crowd.stack.recall.live_bots()]


@WAYS
def test_a_bot_at_the_door_of_a_meeting_that_moved_on_leaves(rules: dict[str, Any]) -> None:
    soon = START + timedelta(minutes=15)
    crowd = Crowd(1, rules=rules, start=soon, timings=Timings(recording=1800))
    crowd.stack.run(15 * 60 + 20, ticks=True)
    assert ["in_waiting_room"] == [bot.state for bot in crowd.stack.recall.live_bots()]
    later = soon + timedelta(minutes=15)
    crowd.each("move", later)
    crowd.stack.run(90, ticks=True)
    assert [later] == crowd.starts()


@WAYS
@pytest.mark.parametrize("who", ["c00", "c01", "c02"])
def test_who_opts_out_during_the_call_ends_it(rules: dict[str, Any], who: str) -> None:
    soon = START + timedelta(minutes=12)
    crowd = Crowd(3, rules=rules, start=soon)
    crowd.stack.run(15 * 60, ticks=True)
    assert [soon] == crowd.starts()
    doors = StackApi(crowd.stack).service.meeting_doors()
    at = Moment(now=crowd.stack.clock.now(), unique="opt-out")
    opt_out_occurrence(doors, crowd.row(who), opted_out=True, at=at)
    crowd.stack.run(90, ticks=True)
    assert [] == crowd.starts()


def until_preflight(crowd: Crowd) -> None:
    ahead = crowd.start - timedelta(minutes=24) - crowd.stack.clock.now()
    crowd.stack.run(ahead.total_seconds(), ticks=True)
    crowd.stack.reconciler().perform("preflight")
    crowd.stack.run(70, ticks=True)


def test_a_bot_that_no_row_holds_goes_before_its_meeting() -> None:
    crowd = Crowd(1, rules=OWN)
    crowd.stack.stores.meetings.save(replace(crowd.row("c00"), assignment=None))
    crowd.each("cancel")
    crowd.stack.run(60, ticks=True)
    assert [IN_THREE_HOURS] == crowd.starts()
    until_preflight(crowd)
    assert [] == crowd.starts()


def test_a_bot_that_was_taken_away_is_made_again_before_its_meeting() -> None:
    """Somebody who knew of no other copy ended the claim."""
    crowd = Crowd(1, rules=OWN)
    crowd.stack.run(180, ticks=True)
    (bot,) = crowd.stack.recall.live_bots()
    crowd.stack.scheduler.doors.recall.delete_bot(bot.bot_id)
    (claim,) = crowd.stack.stores.claims.starting(start=START, end=crowd.start + timedelta(hours=1))
    crowd.stack.stores.claims.remove(claim)
    until_preflight(crowd)
    assert [IN_THREE_HOURS] == crowd.starts()
