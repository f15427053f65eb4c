"""The awkward days of a meeting, the same whichever way its bot is scheduled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from moto import mock_aws

from infra.local.emulators.http import Fault, FaultKind, Request, Response
from infra.local.emulators.recall.accounts import Account
from infra.local.emulators.recall.fleet import Fate
from shared.domain.meeting import Meeting, Override
from shared.domain.rules import Choice, Scheduling
from tests.stack import GOOGLE, OUTLOOK, START, Stack
from tests.stack_api import StackApi

MEET = "https://meet.google.com/qkr-wzpn-abt"
OTHER_MEET = "https://meet.google.com/tpc-rdqo-vhs"
OWNER, DANA = "owner@acme.example", "dana@acme.example"
GUEST = "guest@globex.example"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
IN_THREE_HOURS = START + 3 * HOUR
SCHEDULE_CALLS = {"calendar_events_bot_create", "bot_create"}


class Day:
    """One connected calendar, and a second one for those who need it."""

    def __init__(self, scheduling: Scheduling) -> None:
        self.stack = Stack()
        self.stack.stores.settings.put_rules(
            "default", {"scheduling": scheduling.value}, by="test", at=START
        )
        self.owner = self.stack.recall.account(GOOGLE, OWNER)
        self.dana = self.stack.recall.account(OUTLOOK, DANA)

    def add(self, account: Account | None = None, **facts: Any) -> str:
        wanted = {"start": IN_THREE_HOURS, "link": MEET, "attendees": [GUEST], **facts}
        return (account or self.owner).add_event("Kickoff", **wanted)

    def connect(self) -> str:
        calendar_id = self.stack.connect(OWNER)
        self.stack.run(10)
        return calendar_id

    def connect_dana(self) -> str:
        calendar_id = self.stack.connect(DANA, platform=OUTLOOK, entity_id="dana")
        self.stack.run(10)
        return calendar_id

    def until(self, moment: datetime) -> None:
        self.stack.run((moment - self.stack.clock.now()).total_seconds(), ticks=True)

    def a_while(self) -> None:
        self.stack.run(70, ticks=True)

    def row(self, calendar_id: str) -> Meeting:
        (row,) = self.stack.stores.meetings.of_calendar(calendar_id).items
        return row

    @property
    def bots(self) -> list[tuple[str, datetime]]:
        return [(bot.meeting_url, bot.join_at) for bot in self.stack.recall.live_bots()]

    @property
    def links(self) -> list[str]:
        return [bot.meeting_url for bot in self.stack.recall.live_bots()]


@pytest.fixture(params=Scheduling, ids=lambda each: each.value)
def day(request: pytest.FixtureRequest) -> Iterator[Day]:
    with mock_aws():
        yield Day(request.param)


def test_moved_to_the_past_and_back(day: Day) -> None:
    event = day.add()
    day.connect()
    day.owner.move(event, START - 5 * HOUR)
    day.a_while()
    assert [] == day.bots
    day.owner.move(event, IN_THREE_HOURS + HOUR)
    day.a_while()
    assert [(MEET, IN_THREE_HOURS + HOUR)] == day.bots


def test_two_events_with_one_link_at_different_hours_are_both_kept(day: Day) -> None:
    day.add()
    day.add(start=IN_THREE_HOURS + HOUR)
    day.connect()
    assert [(MEET, IN_THREE_HOURS), (MEET, IN_THREE_HOURS + HOUR)] == day.bots


def test_the_organizer_declines(day: Day) -> None:
    event = day.add()
    copy = day.add(day.dana, organizer=OWNER)
    mine = day.connect()
    day.connect_dana()
    assert [(MEET, IN_THREE_HOURS)] == day.bots
    day.owner.set_response(event, "declined")
    day.a_while()
    assert "rsvp" == day.row(mine).verdict.reason
    assert [(MEET, IN_THREE_HOURS)] == day.bots, "Dana still goes"
    day.dana.set_response(copy, "declined")
    day.a_while()
    assert [] == day.bots


def test_the_owner_s_calendar_disconnects_a_minute_before_the_start(day: Day) -> None:
    start = START + 30 * MINUTE
    day.add(start=start)
    day.add(day.dana, organizer=OWNER, start=start)
    day.connect()
    day.connect_dana()
    (before,) = day.stack.recall.live_bots()
    day.until(start - MINUTE)
    day.owner.revoke_grant()
    day.until(start + 2 * MINUTE)
    (after,) = day.stack.recall.live_bots()
    assert (before.bot_id, "in_call_recording") == (after.bot_id, after.state)


def test_a_link_is_added_five_minutes_before(day: Day) -> None:
    start = START + 30 * MINUTE
    event = day.add(start=start, link=None)
    day.connect()
    day.until(start - 5 * MINUTE)
    day.owner.relink(event, MEET)
    day.a_while()
    assert [(MEET, start)] == day.bots


@pytest.mark.parametrize("minutes", [11, 2])
def test_a_link_is_replaced_late(day: Day, minutes: int) -> None:
    start = START + 30 * MINUTE
    event = day.add(start=start)
    day.connect()
    day.until(start - minutes * MINUTE)
    day.owner.relink(event, OTHER_MEET)
    day.until(start + 3 * MINUTE)
    assert [OTHER_MEET] == day.links


def test_a_meeting_is_pulled_forward_to_in_a_few_minutes(day: Day) -> None:
    event = day.add()
    day.connect()
    soon = day.stack.clock.now() + 4 * MINUTE
    day.owner.move(event, soon)
    day.a_while()
    assert [(MEET, soon)] == day.bots


def test_a_running_meeting_is_joined_at_once(day: Day) -> None:
    day.add(start=START - 10 * MINUTE)
    day.connect()
    day.a_while()
    assert [MEET] == day.links


def test_cancelled_while_the_bot_waits_in_the_lobby(day: Day) -> None:
    start = START + 30 * MINUTE
    event = day.add(start=start)
    day.connect()
    day.until(start + timedelta(seconds=2))
    (bot,) = day.stack.recall.live_bots()
    assert bot.state in {"joining_call", "in_waiting_room"}
    day.owner.cancel(event)
    day.a_while()
    assert [] == day.bots


def test_an_occurrence_moves_out_of_the_window_and_comes_back(day: Day) -> None:
    event = day.add(series="weekly")
    day.connect()
    day.owner.move(event, START + timedelta(days=40))
    day.a_while()
    assert [] == [bot for bot in day.bots if bot[1] < START + timedelta(days=28)]
    day.owner.move(event, IN_THREE_HOURS)
    day.a_while()
    assert [(MEET, IN_THREE_HOURS)] == day.bots


def test_an_event_that_changes_its_calendar_keeps_its_override_and_its_bot(day: Day) -> None:
    event = day.add()
    dana = day.stack.recall.account(GOOGLE, DANA)
    mine = day.connect()
    hers = day.stack.connect(DANA, entity_id="dana")
    day.stack.run(10)
    (before,) = day.stack.recall.live_bots()
    row = day.row(mine)
    word = Override(choice=Choice.ON, set_by="test", set_at=START)
    day.stack.stores.meetings.set_override(row.event.event_id, word, now=day.stack.clock.now())
    day.owner.transfer(event, dana)
    day.a_while()
    moved = day.row(hers)
    assert (row.event.event_id, Choice.ON) == (moved.event.event_id, moved.override.choice)
    (after,) = day.stack.recall.live_bots()
    assert before.bot_id == after.bot_id


def test_a_perpetual_event_is_used_again_after_it_was_recorded(day: Day) -> None:
    start = START + 30 * MINUTE
    event = day.add(start=start)
    calendar_id = day.connect()
    day.until(start + 90 * MINUTE)
    assert [] == day.bots
    again = start + timedelta(days=1)
    day.owner.move(event, again)
    day.a_while()
    assert [(MEET, again)] == day.bots
    assigned = day.row(calendar_id).assignment
    assert assigned is not None
    assert "scheduled" == assigned.state


def test_no_bot_is_free_and_then_recall_is_busy(day: Day) -> None:
    """507, then 409, on the same meeting."""
    start = START + 6 * MINUTE
    day.add(start=start)
    day.stack.recall.ad_hoc_free = 0
    day.connect()
    assert [] == day.bots
    day.stack.recall.ad_hoc_free = None
    statuses = [507, 409]
    keys: list[str | None] = []

    def refuse(request: Request) -> Fault | None:
        """As if two more requests met an empty pool and a busy key."""
        if request.method != "POST" or not request.url.endswith("/bot/"):
            return None
        keys.append(request.headers.get("Idempotency-Key"))
        return _answering(statuses.pop(0)) if statuses else None

    day.stack.adapter.faults = refuse
    day.until(start + MINUTE)
    assert [MEET] == day.links
    assert 3 == len(keys)
    if keys[0] is not None:
        assert keys[0] != keys[1], "a 507 would be replayed to its key"
        assert keys[1] == keys[2], "a 409 leaves open what the first try did"


def test_what_cannot_be_done_is_said(day: Day) -> None:
    start = START + 4 * MINUTE
    day.add(start=start)
    day.stack.recall.ad_hoc_free = 0
    day.connect()
    day.until(start + HOUR + 2 * MINUTE)
    missed = [detail for name, detail in day.stack.notices if name == "meeting.missed"]
    assert ["recall_pool_empty"] == [detail["reason"] for detail in missed]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (Fate("waiting_room", "timeout_exceeded_waiting_room"), [("bot_not_admitted", True)]),
        (Fate("joining", "meeting_not_found"), [("bot_failed", True)]),
        (None, []),
    ],
    ids=["not let in", "no such room", "all is well"],
)
def test_a_bot_that_stays_away_is_missed_once_though_its_reports_are_lost(
    day: Day, word: Fate | None, told: list[tuple[str, bool]]
) -> None:
    start = START + 30 * MINUTE
    if word is not None:
        day.stack.recall.fleet.fates[MEET] = word
    day.add(start=start)
    calendar_id = day.connect()
    day.until(start - MINUTE)
    day.stack.lose_webhooks = True
    day.until(start + 20 * MINUTE)
    missed = [detail for name, detail in day.stack.notices if name == "meeting.missed"]
    assert told == [(each["reason"], each["detail"] is not None) for each in missed]
    assigned = day.row(calendar_id).assignment
    assert assigned is not None
    assert "scheduled" != assigned.state


@pytest.mark.parametrize(
    ("rules", "leaves"),
    [
        ({"deny": {"domains": ["globex.example"]}}, True),
        ({"base": "off"}, False),
        ({"mode": "paused"}, False),
    ],
    ids=["denied", "not wanted any more", "paused"],
)
def test_of_new_rules_only_a_denial_takes_a_bot_out_of_its_call(
    day: Day, rules: dict[str, Any], leaves: bool
) -> None:
    start = START + 30 * MINUTE
    day.add(start=start)
    day.connect()
    day.until(start + 2 * MINUTE)
    api = StackApi(day.stack)
    standing = api.call("GET", "/v1/rules/default").json
    assert 200 == api.call("PUT", "/v1/rules/default", standing | rules).status
    day.a_while()
    assert ([] if leaves else [MEET]) == day.links


def test_a_bot_that_recall_lost_is_missed(day: Day) -> None:
    start = START + 30 * MINUTE
    day.add(start=start)
    calendar_id = day.connect()
    day.until(start - MINUTE)
    (bot,) = day.stack.recall.live_bots()
    day.stack.recall.fleet.remove(day.stack.recall.core.bots[bot.bot_id])
    day.until(start + 20 * MINUTE)
    missed = [detail["reason"] for name, detail in day.stack.notices if name == "meeting.missed"]
    assert ["bot_unknown"] == missed
    assert "absent" == day.row(calendar_id).assignment.state  # type: ignore[union-attr]


def _answering(status: int) -> Fault:
    return Fault(kind=FaultKind.ANSWER, answer=Response(status=status))
