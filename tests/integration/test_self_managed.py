"""Bots that we create ourselves: the same meetings, the same promises, and the way over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from moto import mock_aws

from infra.local.emulators.http import Fault, FaultKind, Request, Response
from infra.local.emulators.recall.accounts import Account
from infra.local.emulators.recall.switches import Switches
from shared.domain.meeting import Override
from shared.domain.rules import Choice, Scheduling
from tests.stack import GOOGLE, OUTLOOK, START, Stack
from tests.stack_api import StackApi

MEET = "https://meet.google.com/qkr-wzpn-abt"
OTHER_MEET = "https://meet.google.com/tpc-rdqo-vhs"
OWNER, DANA = "owner@acme.example", "dana@acme.example"
GUEST = "guest@globex.example"
IN_THREE_HOURS = START + timedelta(hours=3)
OWN = {"scheduling": "self_managed"}
MANAGED = {"scheduling": "managed"}
RECOVERY_SECONDS = 150.0


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws():
        stack = Stack()
        put(stack, OWN)
        yield stack


@pytest.fixture
def owner(stack: Stack) -> Account:
    return stack.recall.account(GOOGLE, OWNER)


def put(stack: Stack, rules: dict[str, Any]) -> None:
    stack.stores.settings.put_rules("default", rules, by="test", at=stack.clock.now())


def add(account: Account, **facts: Any) -> str:
    wanted = {"start": IN_THREE_HOURS, "link": MEET, "attendees": [GUEST], **facts}
    return account.add_event("Kickoff", **wanted)


def connected(stack: Stack, **where: str) -> str:
    calendar_id = stack.connect(**where)
    stack.run(10)
    return calendar_id


def live(stack: Stack) -> list[tuple[str, datetime]]:
    return [(bot.meeting_url, bot.join_at) for bot in stack.recall.live_bots()]


def event_bots(stack: Stack) -> int:
    """Live bots that belong to calendar events."""
    return sum(bot.key is not None for bot in stack.recall.live_bots())


def say(stack: Stack, calendar_id: str, choice: Choice) -> None:
    now = stack.clock.now()
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    stack.stores.meetings.set_override(
        row.event.event_id, Override(choice=choice, set_by="test", set_at=now), now=now
    )
    stack.scheduler.queue.ring_work(now=now, unique=f"{choice}{now}")
    stack.run(5)


def test_a_bot_of_our_own_serves_the_meeting(stack: Stack, owner: Account) -> None:
    add(owner)
    calendar_id = connected(stack)
    assert [(MEET, IN_THREE_HOURS)] == live(stack)
    assert 0 == event_bots(stack)
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    assert row.assignment is not None
    assert Scheduling.SELF_MANAGED is row.assignment.by
    assert ["calendar.connected", "bot.scheduled"] == [name for name, _ in stack.notices]


def test_two_attendees_have_one_bot_and_two_tenants_two(stack: Stack, owner: Account) -> None:
    add(owner)
    add(stack.recall.account(OUTLOOK, DANA))
    add(stack.recall.account(GOOGLE, "eve@globex.example"))
    connected(stack)
    connected(stack, email=DANA, platform=OUTLOOK, entity_id="u2")
    assert [(MEET, IN_THREE_HOURS)] == live(stack)
    connected(stack, email="eve@globex.example", tenant_id="globex")
    assert 2 * [(MEET, IN_THREE_HOURS)] == live(stack)


def test_the_bot_follows_moves_and_links_without_being_made_anew(
    stack: Stack, owner: Account
) -> None:
    event = add(owner)
    connected(stack)
    (before,) = stack.recall.live_bots()
    later = IN_THREE_HOURS + timedelta(hours=1)
    owner.move(event, later)
    stack.run(5)
    assert [(MEET, later)] == live(stack)
    owner.relink(event, OTHER_MEET)
    stack.run(5)
    assert [(OTHER_MEET, later)] == live(stack)
    (after,) = stack.recall.live_bots()
    assert before.bot_id == after.bot_id


@pytest.mark.parametrize("change", ["decline", "cancel", "unlink", "off", "disconnect"])
def test_the_bot_goes_with_what_wanted_it(stack: Stack, owner: Account, change: str) -> None:
    event = add(owner, organizer=GUEST)
    calendar_id = connected(stack)
    assert [(MEET, IN_THREE_HOURS)] == live(stack)
    match change:
        case "decline":
            owner.set_response(event, "declined")
        case "cancel":
            owner.cancel(event)
        case "unlink":
            owner.relink(event, None)
        case "off":
            say(stack, calendar_id, Choice.OFF)
        case "disconnect":
            owner.revoke_grant()
    stack.run(60)
    assert [] == live(stack)


def test_a_copy_that_leaves_takes_no_bot_from_the_others(stack: Stack, owner: Account) -> None:
    add(owner)
    dana = stack.recall.account(OUTLOOK, DANA)
    copy = add(dana, organizer=OWNER)
    connected(stack)
    connected(stack, email=DANA, platform=OUTLOOK, entity_id="u2")
    dana.set_response(copy, "declined")
    stack.run(5)
    assert [(MEET, IN_THREE_HOURS)] == live(stack)
    owner.revoke_grant()
    stack.run(60)
    assert [] == live(stack)


def test_copies_that_move_one_after_the_other_keep_the_one_bot(
    stack: Stack, owner: Account
) -> None:
    dana = stack.recall.account(OUTLOOK, DANA)
    events = {owner: add(owner), dana: add(dana, organizer=OWNER)}
    connected(stack)
    connected(stack, email=DANA, platform=OUTLOOK, entity_id="u2")
    (before,) = stack.recall.live_bots()
    later = IN_THREE_HOURS + timedelta(hours=1)
    owner.move(events[owner], later)
    stack.run(120, ticks=True)
    assert [(MEET, IN_THREE_HOURS)] == live(stack)
    dana.move(events[dana], later)
    stack.run(70, ticks=True)
    assert [(MEET, later)] == live(stack)
    (after,) = stack.recall.live_bots()
    assert before.bot_id == after.bot_id


def test_nothing_is_asked_of_recall_while_nothing_changes(stack: Stack, owner: Account) -> None:
    add(owner)
    connected(stack)
    stack.run(300, ticks=True)
    calls = len(stack.recall.calls)
    stack.run(300, ticks=True)
    assert {"calendar_events_list"} == {call.endpoint for call in stack.recall.calls[calls:]}


def test_a_meeting_in_five_minutes_has_its_bot_in_time(stack: Stack, owner: Account) -> None:
    start = START + timedelta(minutes=5)
    stack.recall.ad_hoc_free = 0
    add(owner, start=start)
    connected(stack)
    assert [] == live(stack)
    stack.recall.ad_hoc_free = 1
    stack.run(65, ticks=True)
    assert [(MEET, start)] == live(stack)


def test_called_off_in_the_last_minutes_the_bot_is_asked_to_leave(
    stack: Stack, owner: Account
) -> None:
    add(owner, start=START + timedelta(minutes=30))
    calendar_id = connected(stack)
    stack.run(31 * 60, ticks=True)
    assert 1 == len(live(stack))
    say(stack, calendar_id, Choice.OFF)
    stack.run(30, ticks=True)
    assert [] == live(stack)


def at_each_moment(stack: Stack, seconds: int) -> Iterator[list[tuple[str, datetime]]]:
    for _ in range(seconds):
        stack.run(1, ticks=True)
        yield live(stack)


@pytest.mark.parametrize(("first", "then"), [(OWN, MANAGED), (MANAGED, OWN)])
def test_switching_over_doubles_and_loses_nothing(
    stack: Stack, owner: Account, first: dict[str, Any], then: dict[str, Any]
) -> None:
    put(stack, first)
    dana = stack.recall.account(OUTLOOK, DANA)
    add(owner)
    add(dana, organizer=OWNER)
    near = START + timedelta(minutes=8)
    add(owner, start=near, link=OTHER_MEET)
    connected(stack)
    connected(stack, email=DANA, platform=OUTLOOK, entity_id="u2")
    both = [(OTHER_MEET, near), (MEET, IN_THREE_HOURS)]
    assert both == live(stack)
    (near_bot, far_bot) = (bot.bot_id for bot in stack.recall.live_bots())
    StackApi(stack).call("PUT", "/v1/rules/default", then)
    for seen in at_each_moment(stack, 90):
        assert len(seen) == len(set(seen))
        assert (OTHER_MEET, near) in seen
    assert both == live(stack)
    (near_now, far_now) = stack.recall.live_bots()
    assert near_bot == near_now.bot_id, "too late to change over"
    assert far_bot != far_now.bot_id
    assert (then == MANAGED) == (far_now.key is not None)


@pytest.mark.parametrize(("first", "then"), [(OWN, MANAGED), (MANAGED, OWN)])
def test_switching_over_waits_for_no_tick(first: dict[str, Any], then: dict[str, Any]) -> None:
    with mock_aws():
        stack = Stack(switches=Switches(bot_change_bumps_event=False))
        put(stack, first)
        add(stack.recall.account(GOOGLE, OWNER))
        connected(stack)
        StackApi(stack).call("PUT", "/v1/rules/default", then)
        stack.run(3)
        assert [(MEET, IN_THREE_HOURS)] == live(stack)
        assert (1 if then == MANAGED else 0) == event_bots(stack)


@pytest.mark.parametrize(("first", "then"), [(OWN, MANAGED), (MANAGED, OWN)])
def test_no_bot_is_made_over_there_while_one_cannot_be_taken_off_here(
    stack: Stack, owner: Account, first: dict[str, Any], then: dict[str, Any]
) -> None:
    """Recall refuses for a minute what takes off the bot of one copy, or of all."""
    put(stack, first)
    add(owner)
    add(stack.recall.account(OUTLOOK, DANA), organizer=OWNER)
    connected(stack)
    copy = connected(stack, email=DANA, platform=OUTLOOK, entity_id="u2")
    (row,) = stack.stores.meetings.of_calendar(copy).items
    until = stack.clock.now() + timedelta(minutes=1)

    def refused(request: Request) -> Fault | None:
        theirs = f"/calendar-events/{row.event.event_id}/" in request.url
        stuck = request.method == "DELETE" and (theirs or "/api/v1/bot/" in request.url)
        busy = stuck and stack.clock.now() < until
        return Fault(kind=FaultKind.ANSWER, answer=Response(status=503)) if busy else None

    stack.adapter.faults = refused
    StackApi(stack).call("PUT", "/v1/rules/default", then)
    for seen in at_each_moment(stack, 50):
        assert [(MEET, IN_THREE_HOURS)] == seen
    assert (first == MANAGED) == bool(event_bots(stack)), "still on this side"
    stack.run(240, ticks=True)
    assert [(MEET, IN_THREE_HOURS)] == live(stack)
    assert (then == MANAGED) == bool(event_bots(stack))


def test_a_bot_whose_row_was_lost_is_told_to_have_gone(stack: Stack, owner: Account) -> None:
    add(owner)
    calendar_id = connected(stack)
    (bot,) = stack.recall.live_bots()
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    # As after a crash between the telling and the storing.
    stack.stores.meetings.save(replace(row, assignment=None))
    stack.stores.claims.wake(row.meeting_key, now=stack.clock.now())
    say(stack, calendar_id, Choice.OFF)
    stack.run(RECOVERY_SECONDS, ticks=True)
    assert [] == live(stack)
    ends = [detail["bot_id"] for name, detail in stack.notices if name == "bot.cancelled"]
    assert [bot.bot_id] == ends


@pytest.mark.parametrize("minutes", [180, 8])
def test_switching_over_finds_a_bot_whose_row_was_lost(
    stack: Stack, owner: Account, minutes: int
) -> None:
    start = START + timedelta(minutes=minutes)
    add(owner, start=start)
    calendar_id = connected(stack)
    (bot,) = stack.recall.live_bots()
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    # As after a crash between Create Bot and the storing.
    stack.stores.meetings.save(replace(row, assignment=None))
    StackApi(stack).call("PUT", "/v1/rules/default", MANAGED)
    for seen in at_each_moment(stack, 60):
        assert len(seen) <= 1
    assert [(MEET, start)] == live(stack)
    (now,) = stack.recall.live_bots()
    late = minutes == 8
    assert late == (now.bot_id == bot.bot_id), "too late to change over, or not"
    assert (0 if late else 1) == event_bots(stack)


@pytest.mark.parametrize("releasing", [True, False])
def test_switching_over_ends_a_claim_without_a_bot_or_half_released(
    stack: Stack, owner: Account, releasing: bool
) -> None:
    add(owner)
    calendar_id = connected(stack)
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    claim = stack.stores.claims.get(row.meeting_key)
    held = {"releasing": True} if releasing else {"bot_id": None}
    # As after a crash in the middle of Release, or between Create Bot and its note.
    stack.stores.claims.save(replace(claim, **held, due=True, next_attempt=row.event.end))
    stack.stores.meetings.save(replace(row, assignment=None))
    StackApi(stack).call("PUT", "/v1/rules/default", MANAGED)
    for seen in at_each_moment(stack, 60):
        assert len(seen) <= 1
    assert [(MEET, IN_THREE_HOURS)] == live(stack)
    assert 1 == event_bots(stack)
    assert None is stack.stores.claims.get(row.meeting_key)


@pytest.mark.parametrize("leaves", ["moves", "loses its link"])
def test_a_copy_that_takes_the_place_of_another_waits_for_its_bot(
    stack: Stack, owner: Account, leaves: str
) -> None:
    """The bot of the one that left cannot be taken off for a while after the switch."""
    put(stack, MANAGED)
    event = add(owner)
    connected(stack)
    assert [(MEET, IN_THREE_HOURS)] == live(stack)
    until = stack.clock.now() + timedelta(minutes=1)

    def refused(request: Request) -> Fault | None:
        busy = "/calendar-events/" in request.url and request.method in {"DELETE", "POST"}
        if not busy or stack.clock.now() >= until:
            return None
        return Fault(kind=FaultKind.ANSWER, answer=Response(status=503))

    stack.adapter.faults = refused
    StackApi(stack).call("PUT", "/v1/rules/default", OWN)
    stack.run(5, ticks=True)
    if leaves == "moves":
        owner.move(event, IN_THREE_HOURS + timedelta(hours=1))
    else:
        owner.relink(event, None)
    stack.run(10, ticks=True)
    add(owner)
    place = (MEET, IN_THREE_HOURS)
    for seen in at_each_moment(stack, 240):
        assert 1 >= seen.count(place)
    assert place in live(stack)
    assert 0 == event_bots(stack)
