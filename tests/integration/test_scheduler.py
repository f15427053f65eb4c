"""The scheduler against an emulated Recall: does the world come right, whatever happens?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import pytest
from moto import mock_aws

from infra.local.emulators.http import Fault, FaultKind, Request
from infra.local.emulators.recall.accounts import Account
from infra.local.emulators.recall.fleet import LiveBot
from shared.domain.meeting import Override
from shared.domain.rules import Choice
from tests.stack import GOOGLE, OUTLOOK, START, Stack

MEET = "https://meet.google.com/qkr-wzpn-abt"
OTHER_MEET = "https://meet.google.com/tpc-rdqo-vhs"
OWNER = "owner@acme.example"
GUEST = "guest@globex.example"
IN_THREE_HOURS = START + timedelta(hours=3)


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws():
        yield Stack()


@pytest.fixture
def owner(stack: Stack) -> Account:
    return stack.recall.account(GOOGLE, OWNER)


def add(account: Account, title: str = "Kickoff", **facts: Any) -> str:
    wanted = {"start": IN_THREE_HOURS, "link": MEET, "attendees": [GUEST], **facts}
    return account.add_event(title, **wanted)


def starts(stack: Stack) -> list[datetime]:
    return [bot.join_at for bot in stack.recall.live_bots()]


def names(stack: Stack) -> list[str]:
    return [name for name, _ in stack.notices]


def connected(stack: Stack, **where: str) -> str:
    calendar_id = stack.connect(**where)
    stack.run(10)
    return calendar_id


def test_a_bot_appears_on_a_meeting_of_a_new_calendar(stack: Stack, owner: Account) -> None:
    add(owner)
    connected(stack)
    assert [IN_THREE_HOURS] == starts(stack)
    assert ["calendar.connected", "bot.scheduled"] == names(stack)


def test_a_bot_follows_a_move(stack: Stack, owner: Account) -> None:
    event = add(owner)
    connected(stack)
    later = IN_THREE_HOURS + timedelta(hours=1)
    owner.move(event, later)
    stack.run(5)
    assert [later] == starts(stack)
    assert "bot.rescheduled" == names(stack)[-1]


def test_a_bot_follows_a_new_link(stack: Stack, owner: Account) -> None:
    event = add(owner)
    connected(stack)
    owner.relink(event, OTHER_MEET)
    stack.run(5)
    assert [OTHER_MEET] == [bot.meeting_url for bot in stack.recall.live_bots()]


@pytest.mark.parametrize("change", ["decline", "cancel", "unlink"])
def test_a_bot_goes_with_what_wanted_it(stack: Stack, owner: Account, change: str) -> None:
    event = add(owner, organizer=GUEST)
    connected(stack)
    match change:
        case "decline":
            owner.set_response(event, "declined")
        case "cancel":
            owner.cancel(event)
        case "unlink":
            owner.relink(event, None)
    stack.run(5)
    assert [] == starts(stack)
    assert "bot.cancelled" == names(stack)[-1]


def test_two_attendees_share_a_bot_and_two_tenants_do_not(stack: Stack, owner: Account) -> None:
    other = stack.recall.account(OUTLOOK, "dana@acme.example")
    add(owner)
    add(other)
    connected(stack)
    connected(stack, email="dana@acme.example", platform=OUTLOOK, entity_id="u2")
    assert 1 == len(stack.recall.live_bots())
    third = stack.recall.account(GOOGLE, "eve@globex.example")
    add(third)
    connected(stack, email="eve@globex.example", tenant_id="globex")
    assert 2 == len(stack.recall.live_bots())


def test_a_shared_bot_stays_while_one_attendee_wants_it(stack: Stack, owner: Account) -> None:
    other = stack.recall.account(OUTLOOK, "dana@acme.example")
    event = add(owner, organizer=GUEST)
    add(other)
    connected(stack)
    connected(stack, email="dana@acme.example", platform=OUTLOOK, entity_id="u2")
    owner.set_response(event, "declined")
    stack.run(5)
    assert [IN_THREE_HOURS] == starts(stack)


def test_the_tick_repairs_what_lost_webhooks_left(stack: Stack, owner: Account) -> None:
    event = add(owner)
    connected(stack)
    stack.lose_webhooks = True
    later = IN_THREE_HOURS + timedelta(hours=1)
    owner.move(event, later)
    stack.run(45, ticks=True)
    assert [later] != starts(stack)
    stack.run(20, ticks=True)
    assert [later] == starts(stack)


def test_a_calendar_connects_without_any_webhook(stack: Stack, owner: Account) -> None:
    stack.lose_webhooks = True
    add(owner)
    calendar_id = stack.connect()
    stack.run(130, ticks=True)
    assert [IN_THREE_HOURS] == starts(stack)
    calendar = stack.stores.calendars.get(calendar_id)
    assert calendar is not None
    assert "connected" == calendar.status


def test_a_disconnect_takes_the_bots_and_a_reconnect_restores_them(
    stack: Stack, owner: Account
) -> None:
    event = add(owner)
    calendar_id = connected(stack)
    owner.revoke_grant()
    stack.run(4 * 3600)
    assert [] == starts(stack)
    assert "calendar.disconnected" in names(stack)
    rows = stack.stores.meetings.of_calendar(calendar_id).items
    assert ["ineligible.calendar_disconnected"] == [row.decision.reason for row in rows]
    assert [None] == [row.assignment for row in rows]

    tomorrow = IN_THREE_HOURS + timedelta(days=1)
    owner.move(event, tomorrow)
    reconnect(stack, calendar_id)
    stack.run(10)
    assert [tomorrow] == starts(stack)


def reconnect(stack: Stack, calendar_id: str) -> None:
    from shared.domain.secret import Secret

    stack.recall.grant("fresh-token", platform=GOOGLE, email=OWNER)
    stack.scheduler.doors.recall.update_calendar(
        calendar_id,
        client_id="client",
        client_secret=Secret("client-secret"),
        refresh_token=Secret("fresh-token"),
    )


def test_a_storm_of_doorbells_costs_few_lists(stack: Stack, owner: Account) -> None:
    event = add(owner)
    calendar_id = connected(stack)
    stack.run(300)
    before = stack.recall.count("calendar_events_list")
    for number in range(500):
        stack.scheduler.queue.ring(
            received_at=stack.clock.now(), reason_id=f"storm-{number}", calendar_id=calendar_id
        )
        if number == 400:
            owner.move(event, IN_THREE_HOURS + timedelta(hours=2))
        stack.run(0.1)
    stack.run(30)
    assert stack.recall.count("calendar_events_list") - before <= 8
    assert [IN_THREE_HOURS + timedelta(hours=2)] == starts(stack)
    assert ([], []) == (stack.queue.messages, stack.queue.dead)


def test_news_does_not_wait_behind_answered_doorbells_and_an_import(
    stack: Stack, owner: Account
) -> None:
    """Each bot call takes a second here; a crowd has rung before somebody moves a meeting."""
    stack.recall.switches = replace(stack.recall.switches, bot_change_bumps_event=False)
    events = [
        add(
            owner,
            f"Meeting {number}",
            start=IN_THREE_HOURS + timedelta(hours=number),
            link=f"https://acme.zoom.us/j/9100000{number:03d}",
        )
        for number in range(250)
    ]
    moved = IN_THREE_HOURS + timedelta(minutes=17)
    calls: list[bool] = []
    turn = Lock()

    def a_second_each(request: Request) -> Fault | None:
        if "/bot/" not in request.url:
            return None
        with turn:
            stack.clock.advance(timedelta(seconds=1))
            calls.append(moved in starts(stack))
            if len(calls) == 40:
                owner.move(events[0], moved)
            if len(calls) == 45:
                stack.scheduler.queue.ring(received_at=stack.clock.now(), reason_id="news")
        return None

    stack.connect()
    stack.adapter.faults = a_second_each
    for number in range(120):
        stack.scheduler.queue.ring(received_at=stack.clock.now(), reason_id=f"bell-{number}")
    stack.run(600)
    assert 250 == len(starts(stack))
    assert calls.index(True) - 45 <= 45


def test_an_import_costs_one_call_per_wanted_meeting(stack: Stack, owner: Account) -> None:
    stack.recall.switches = replace(stack.recall.switches, bot_change_bumps_event=False)
    for number in range(300):
        wanted = number % 3 == 0
        add(
            owner,
            f"Meeting {number}",
            start=START + timedelta(hours=1 + 2 * number),
            link=f"https://meet.google.com/aaa-{number:04d}-bbb".translate(DIGITS_TO_LETTERS),
            attendees=[GUEST] if wanted else [],
        )
    connected(stack)
    assert 100 == len(stack.recall.live_bots())
    assert 100 == stack.recall.count("calendar_events_bot_create")
    assert 0 == stack.recall.count("calendar_events_bot_destroy")
    assert stack.recall.count("calendar_events_list") <= 4


DIGITS_TO_LETTERS = str.maketrans("0123456789", "cdefghijkl")


def test_a_second_sweep_over_an_unchanged_world_does_nothing(stack: Stack, owner: Account) -> None:
    for hours in range(1, 20):
        add(owner, start=START + timedelta(hours=hours))
    connected(stack)
    stack.run(300, ticks=True)
    rows = {row.event.event_id: row.version for row in every_row(stack)}
    lists = stack.recall.count("calendar_events_list")
    calls = len(stack.recall.calls)
    stack.run(60, ticks=True)
    assert lists + 1 == stack.recall.count("calendar_events_list")
    assert calls + 1 == len(stack.recall.calls)
    assert rows == {row.event.event_id: row.version for row in every_row(stack)}


def every_row(stack: Stack) -> tuple[Any, ...]:
    calendars = stack.stores.calendars.every(limit=100).items
    return tuple(
        row
        for calendar in calendars
        for row in stack.stores.meetings.of_calendar(calendar.calendar_id, limit=100).items
    )


def test_an_outage_cancels_nothing_and_loses_nothing(stack: Stack, owner: Account) -> None:
    event = add(owner)
    connected(stack)
    stack.recall.outage = 503
    later = IN_THREE_HOURS + timedelta(hours=1)
    owner.move(event, later)
    stack.run(1200, ticks=True)
    assert [] == stack.queue.dead
    stack.recall.outage = None
    stack.run(90, ticks=True)
    assert [later] == starts(stack)


def test_a_refused_unfiltered_list_switches_to_calendars(stack: Stack, owner: Account) -> None:
    event = add(owner)
    connected(stack)
    stack.recall.switches = replace(stack.recall.switches, unfiltered_list_refused=True)
    later = IN_THREE_HOURS + timedelta(hours=1)
    owner.move(event, later)
    stack.run(10)
    assert [later] == starts(stack)
    assert stack.stores.workspace.feed().refused


def test_one_refused_call_does_not_stop_the_others(stack: Stack, owner: Account) -> None:
    add(owner, "First")
    add(owner, "Second", link=OTHER_MEET, start=IN_THREE_HOURS + timedelta(hours=1))

    def refuse_first(request: Request) -> Fault | None:
        if request.method == "POST" and b"qkrwzpnabt" in request.body:
            from infra.local.emulators.http import Response

            body = b'{"code":"invalid_request_data","message":"no","errors":{"bot_name":["no"]}}'
            answer = Response(status=400, body=body, headers={"content-type": "application/json"})
            return Fault(kind=FaultKind.ANSWER, answer=answer)
        return None

    stack.adapter.faults = refuse_first
    connected(stack)
    assert [OTHER_MEET] == [bot.meeting_url for bot in stack.recall.live_bots()]
    assert "meeting.missed" in names(stack)
    calls = stack.recall.count("calendar_events_bot_create")
    stack.run(600, ticks=True)
    assert calls == stack.recall.count("calendar_events_bot_create")


@pytest.mark.parametrize(
    "kind", [FaultKind.TIMEOUT_AFTER_EFFECT, FaultKind.READ_TIMEOUT, FaultKind.CONNECT_ERROR]
)
def test_an_unknown_outcome_is_settled_by_repeating(
    stack: Stack, owner: Account, kind: FaultKind
) -> None:
    add(owner)
    faults = [Fault(kind=kind)]

    def once(request: Request) -> Fault | None:
        return faults.pop() if request.url.endswith("/bot/") and faults else None

    stack.adapter.faults = once
    stack.connect()
    stack.run(60, ticks=True)
    assert [IN_THREE_HOURS] == starts(stack)
    assert 1 == len(stack.recall.bots)


def test_a_malformed_event_is_set_aside(
    stack: Stack, owner: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    add(owner, link=f"{MEET}?token={'x' * 1_600}")
    add(owner)
    connected(stack)
    assert [IN_THREE_HOURS] == starts(stack)
    assert "EventSetAside" in capsys.readouterr().out


def test_an_override_wins_both_ways(stack: Stack, owner: Account) -> None:
    add(owner)
    add(owner, "Alone", link=OTHER_MEET, attendees=[], start=IN_THREE_HOURS + timedelta(hours=1))
    calendar_id = connected(stack)
    rows = stack.stores.meetings.of_calendar(calendar_id).items
    for row, choice in zip(rows, (Choice.OFF, Choice.ON), strict=True):
        override = Override(choice=choice, set_by="test", set_at=stack.clock.now())
        stack.stores.meetings.set_override(row.event.event_id, override, now=stack.clock.now())
    stack.scheduler.queue.ring_work(now=stack.clock.now(), unique="override")
    lists = stack.recall.count("calendar_events_list")
    stack.run(0.5)
    assert [OTHER_MEET] == [bot.meeting_url for bot in stack.recall.live_bots()]
    assert lists == stack.recall.count("calendar_events_list")


def test_an_empty_pool_is_asked_again(stack: Stack, owner: Account) -> None:
    soon = START + timedelta(minutes=6)
    add(owner, start=soon)
    stack.recall.ad_hoc_free = 0
    connected(stack)
    assert [] == starts(stack)
    stack.recall.ad_hoc_free = None
    stack.run(60, ticks=True)
    assert [soon] == starts(stack)


def test_what_a_bot_reports_moves_its_meeting_forward(stack: Stack, owner: Account) -> None:
    add(owner)
    calendar_id = connected(stack)
    stack.run(3 * 3600 + 300)
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    assert row.assignment is not None
    assert "in_call_recording" == row.assignment.state
    codes = [detail["code"] for name, detail in stack.notices if name == "bot.status"]
    assert ["in_call_recording", "recording.processing"] == codes[-2:]


def test_a_shared_bot_reports_to_all_its_calendars(stack: Stack, owner: Account) -> None:
    """What became of a pause, a breakout room and a deleted recording, too."""
    add(owner)
    add(stack.recall.account(OUTLOOK, "dana@acme.example"))
    connected(stack)
    connected(stack, email="dana@acme.example", platform=OUTLOOK, entity_id="u2")
    stack.run(3 * 3600 + 60)
    (bot,) = stack.recall.live_bots()
    stack.notices.clear()
    live(stack, bot)
    assert LIVE == [detail["code"] for _, detail in stack.notices][::2]
    assert 2 * len(LIVE) == len(stack.notices)
    found = [row.assignment for row in every_row(stack)]
    assert [("done", "deleted")] * 2 == [(each.state, each.recording) for each in found]


LIVE = [
    "in_call_not_recording", "recording.paused", "in_call_recording", "recording.processing",
    "breakout_room_entered", "call_ended", "recording.done", "done", "recording.deleted",
]  # fmt: skip


def live(stack: Stack, bot: LiveBot) -> None:
    fleet = stack.recall.fleet
    for step in (
        lambda: fleet.pause(bot.bot_id),
        lambda: fleet.resume(bot.bot_id),
        lambda: fleet.break_out(bot.bot_id, "entered"),
        lambda: fleet.kick(bot.bot_id),
        lambda: fleet.delete_recording(bot.bot_id),
    ):
        step()
        stack.run(10)
