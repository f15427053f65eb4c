"""The scheduler when things break: crashes, limits, refusals, odd bells and odd clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient
from moto import mock_aws

from infra.local.emulators.http import Fault, FaultKind, Request, Response
from infra.local.emulators.recall.accounts import Account
from infra.local.emulators.recall.switches import Switches, Timings
from shared.domain.calendar import Platform
from shared.domain.meeting import Override
from shared.domain.room import meeting_key
from shared.domain.rules import Choice
from shared.domain.secret import Secret
from shared.domain.series import Series
from shared.flows.sweep import EPOCH, FULL_READ_PAGES_MAX, SWEEP_PAGES_MAX
from tests.stack import GOOGLE, OUTLOOK, START, Stack
from tests.stack_api import StackApi

OWNER = "owner@acme.example"
DANA = "dana@acme.example"
GUEST = "guest@globex.example"
MEET = "https://meet.google.com/qkr-wzpn-abt"
OTHER_MEET = "https://meet.google.com/tpc-rdqo-vhs"
NOON = START + timedelta(hours=3)
HOUR = timedelta(hours=1)
QUIET = Switches(bot_change_bumps_event=False)
DIGITS_TO_LETTERS = str.maketrans("0123456789", "cdefghijkl")
# A visibility timeout, and the tick after it.
RECOVERY_SECONDS = 150.0


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def stack() -> Stack:
    return Stack()


@pytest.fixture
def owner(stack: Stack) -> Account:
    return stack.recall.account(GOOGLE, OWNER)


def add(account: Account, start: datetime = NOON, **facts: Any) -> str:
    wanted = {"title": "Kickoff", "link": MEET, "attendees": [GUEST], **facts}
    return account.add_event(start=start, **wanted)


def many(account: Account, count: int) -> None:
    for number in range(count):
        link = f"https://meet.google.com/aaa-{number:04d}-bbb".translate(DIGITS_TO_LETTERS)
        add(account, NOON + timedelta(minutes=40 * number), link=link)


def connected(stack: Stack, **where: str) -> str:
    calendar_id = stack.connect(**where)
    stack.run(10)
    return calendar_id


def starts(stack: Stack) -> list[datetime]:
    return [bot.join_at for bot in stack.recall.live_bots()]


def rows(stack: Stack) -> list[Any]:
    calendars = stack.stores.calendars.every(limit=100).items
    return [
        row
        for calendar in calendars
        for row in stack.stores.meetings.of_calendar(calendar.calendar_id, limit=100).items
    ]


def is_at_rest(stack: Stack) -> None:
    assert ([], []) == (stack.queue.messages, stack.queue.dead)
    assert [] == [row.event.title for row in rows(stack) if row.due]
    assert [] == stack.stores.calendars.due(limit=10)


# Crashes.


class Crash(BaseException):
    """The process is gone; nothing catches this."""


class MortalStack(Stack):
    """The scheduler dies right after its `last`-th effect on the world outside."""

    def __init__(self, last: int) -> None:
        self.effects = 0
        self.last = last
        self._working = False
        super().__init__()

    def _invoke(self, event: dict[str, Any]) -> None:
        self._working = True
        try:
            super()._invoke(event)
        finally:
            self._working = False

    def had_effect(self) -> None:
        if self._working:
            self.effects += 1
            if self.effects == self.last:
                raise Crash

    def run_on(self, seconds: float) -> None:
        """As `run`, with a new process where the old one died."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            try:
                self.run((end - self.clock.now()).total_seconds(), ticks=True)
            except Crash:
                self.scheduler = self.cold_start()


def import_and_move(stack: MortalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = stack.recall.account(GOOGLE, OWNER)
    dana = stack.recall.account(OUTLOOK, DANA)
    placed = stack.recall.invite(
        "Kickoff", organizer=GUEST, guests=[owner, dana], start=NOON, link=MEET
    )
    alone = add(owner, NOON + HOUR, link=OTHER_MEET, title="Other")
    stack.connect()
    stack.connect(DANA, platform=OUTLOOK, entity_id="u2")
    bury(stack, monkeypatch)
    stack.run_on(RECOVERY_SECONDS)
    owner.move(placed[OWNER], NOON + 2 * HOUR)
    dana.move(placed[DANA], NOON + 2 * HOUR)
    owner.set_attendees(alone, [])
    stack.run_on(RECOVERY_SECONDS)


def bury(stack: MortalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Count what the scheduler writes, calls, sends and tells."""
    call, handle = BaseClient._make_api_call, stack.recall.handle
    send, put = stack.queue.send_message, stack._put_events

    def api_call(self: BaseClient, name: str, arguments: Any) -> Any:
        answer = call(self, name, arguments)
        if name in {"PutItem", "UpdateItem", "DeleteItem"}:
            stack.had_effect()
        return answer

    def counted(effect: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            answer = effect(*given, **named)
            stack.had_effect()
            return answer

        return run

    monkeypatch.setattr(BaseClient, "_make_api_call", api_call)
    monkeypatch.setattr(stack.adapter, "_handle", counted(handle))
    monkeypatch.setattr(stack.queue, "send_message", counted(send))
    monkeypatch.setattr(stack, "_put_events", counted(put))
    stack.scheduler = stack.cold_start()


# Every second one: an effect and the next are most often told apart by nothing.
LAST_EFFECTS = 57


@pytest.mark.parametrize("last", range(1, LAST_EFFECTS + 1, 2))
def test_a_crash_after_any_effect_costs_time_only(
    monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    stack = MortalStack(last)
    import_and_move(stack, monkeypatch)
    assert [NOON + 2 * HOUR] == starts(stack)
    (bot,) = stack.recall.live_bots()
    assert 2 == len(bot.event_ids)
    is_at_rest(stack)
    told = [(name, detail["event_id"]) for name, detail in stack.notices if "event_id" in detail]
    assert 3 == len({event for name, event in told if name == "bot.scheduled"})
    assert 1 == len({event for name, event in told if name == "bot.cancelled"})
    assert 2 == len({event for name, event in told if name == "bot.rescheduled"})


def test_every_effect_of_the_scenario_was_crashed(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = MortalStack(0)
    import_and_move(stack, monkeypatch)
    # What comes after belongs to the last ticks, which find nothing to do.
    assert LAST_EFFECTS <= stack.effects <= LAST_EFFECTS + 15


# Long reads.


def test_a_sweep_of_many_pages_goes_on_in_the_next_run(stack: Stack, owner: Account) -> None:
    stack.recall.switches = replace(QUIET, events_page_size=2)
    count = 2 * SWEEP_PAGES_MAX + 9
    many(owner, count)
    opened = []

    def look(request: Request) -> Fault | None:
        opened.append(stack.stores.workspace.feed().open is not None)
        return None

    stack.adapter.faults = look
    stack.connect()
    stack.run(60, ticks=True)
    assert any(opened)
    assert count == len(starts(stack))
    # Twice: the second sweep overlaps the first by two minutes.
    assert stack.recall.count("calendar_events_list") <= count + 5
    is_at_rest(stack)


def test_a_doorbell_heard_during_a_long_sweep_is_answered_by_the_next(
    stack: Stack, owner: Account
) -> None:
    stack.recall.switches = replace(QUIET, events_page_size=2)
    many(owner, 2 * SWEEP_PAGES_MAX + 9)
    events = sorted(owner.events)
    soon = START + timedelta(minutes=20)

    def move_during(request: Request) -> Fault | None:
        """In the second run, to a page that the first has read; the doorbell rings at once."""
        if stack.stores.workspace.feed().open is not None:
            stack.adapter.faults = None
            owner.move(events[0], soon)
            stack.clock.advance_to(stack.clock.now() + timedelta(seconds=2))
            stack.recall.run_due()
        return None

    stack.adapter.faults = move_during
    stack.connect()
    stack.run(30)
    assert soon in starts(stack), "without any tick"


@pytest.mark.parametrize("status", [400, 404])
def test_a_sweep_whose_page_link_went_stale_starts_over(
    stack: Stack, owner: Account, status: int
) -> None:
    stack.recall.switches = replace(QUIET, events_page_size=2)
    many(owner, 2 * SWEEP_PAGES_MAX + 9)
    begun = []

    def stale(request: Request) -> Fault | None:
        still_open = stack.stores.workspace.feed().open
        if request.method != "GET" or still_open is None:
            return None
        begun.append(still_open.started_at)
        if begun[0] != still_open.started_at:
            return None
        return Fault(kind=FaultKind.ANSWER, answer=Response(status=status, body=b"{}"))

    stack.adapter.faults = stale
    stack.connect()
    stack.run(180, ticks=True)
    assert begun
    assert 2 * SWEEP_PAGES_MAX + 9 == len(starts(stack))
    assert not stack.stores.workspace.feed().refused
    is_at_rest(stack)


def test_a_full_read_of_many_pages_pauses_and_goes_on(stack: Stack, owner: Account) -> None:
    many(owner, 2 * FULL_READ_PAGES_MAX + 9)
    calendar_id = connected(stack)
    stack.run(180, ticks=True)
    stack.recall.switches = replace(QUIET, events_page_size=2)
    stack.lose_webhooks = True
    for event in stack.recall.events.values():
        stack.recall.fleet.release(event)
    paused = []

    def look(request: Request) -> Fault | None:
        calendar = stack.stores.calendars.get(calendar_id)
        paused.append(bool(calendar and calendar.read_next))
        return None

    stack.adapter.faults = look
    lists = stack.recall.count("calendar_events_list")
    now = stack.clock.now()
    stack.stores.calendars.change(calendar_id, read_since=EPOCH, updated_at=now)
    stack.scheduler.queue.ring(received_at=now, calendar_id=calendar_id)
    stack.run(5)
    assert any(paused)
    assert 2 * FULL_READ_PAGES_MAX + 9 == len(starts(stack))
    assert stack.recall.count("calendar_events_list") - lists <= FULL_READ_PAGES_MAX + 7
    is_at_rest(stack)


# Limits and refusals.


@pytest.mark.parametrize(
    "endpoint", ["calendar_events_bot_create", "calendar_events_list", "calendars_retrieve"]
)
def test_another_party_that_eats_the_limit_delays_only(
    stack: Stack, owner: Account, endpoint: str
) -> None:
    many(owner, 30)
    while stack.recall.throttle.enter(endpoint, stack.clock.now()) is None:
        pass
    stack.connect()
    stack.run(200, ticks=True)
    assert 30 == len(starts(stack))
    refused = [call for call in stack.recall.calls if call.status == 429]
    assert 1 <= len(refused) <= 10
    is_at_rest(stack)


def test_a_key_that_is_busy_is_asked_again(stack: Stack, owner: Account) -> None:
    add(owner)
    key = meeting_key(tenant_id="default", meeting_url=MEET, start=NOON)
    stack.recall.hold_key(key, seconds=20)
    stack.connect()
    stack.run(15, ticks=True)
    assert [] == starts(stack)
    stack.run(80, ticks=True)
    assert [NOON] == starts(stack)
    assert stack.recall.count("calendar_events_bot_create") <= 6
    is_at_rest(stack)


def out_of_credit(stack: Stack, broken: bool) -> None:
    stack.recall.out_of_credit = broken


def wrong_key(stack: Stack, broken: bool) -> None:
    stack.recall.api_key = "another key" if broken else "key-of-the-workspace"


@pytest.mark.parametrize(
    ("trouble", "code"),
    [(out_of_credit, "recall_out_of_credit"), (wrong_key, "recall_unauthorized")],
)
def test_a_refused_workspace_loses_nothing_and_says_so(
    stack: Stack,
    owner: Account,
    caplog: pytest.LogCaptureFixture,
    trouble: Callable[[Stack, bool], None],
    code: str,
) -> None:
    event = add(owner)
    connected(stack)
    trouble(stack, True)
    owner.move(event, NOON + HOUR)
    add(owner, NOON + 2 * HOUR, link=OTHER_MEET)
    stack.run(900, ticks=True)
    assert [NOON] == starts(stack)
    assert {code} == {
        record.__dict__["code"] for record in caplog.records if "code" in record.__dict__
    }
    trouble(stack, False)
    stack.run(400, ticks=True)
    assert [NOON + HOUR, NOON + 2 * HOUR] == starts(stack)
    assert [] == stack.queue.messages


@pytest.mark.parametrize("scheduling", ["managed", "self_managed"])
def test_a_meeting_without_credit_is_shown_as_such(
    stack: Stack, owner: Account, caplog: pytest.LogCaptureFixture, scheduling: str
) -> None:
    api = StackApi(stack)
    api.call("PUT", "/v1/rules/default", {"scheduling": scheduling})
    calendar_id = stack.connect()
    stack.run(10)
    stack.recall.out_of_credit = True
    add(owner)
    stack.run(90, ticks=True)

    def decision() -> dict[str, Any]:
        (shown,) = api.call("GET", f"/v1/calendars/{calendar_id}/meetings").json["items"]
        assert (shown["bot"] is None) != shown["decision"]["join"]
        return shown["decision"]

    assert {"join": False, "reason": "budget", "rule": None} == decision()
    assert "recall_out_of_credit" in {record.__dict__.get("code") for record in caplog.records}
    api.call("PUT", "/v1/rules/default", {"scheduling": scheduling, "base": "off"})
    stack.run(5)
    (shown,) = api.call("GET", f"/v1/calendars/{calendar_id}/meetings").json["items"]
    assert "base.off" == shown["decision"]["reason"]
    api.call("PUT", "/v1/rules/default", {"scheduling": scheduling})
    stack.run(5)
    assert {"join": False, "reason": "budget", "rule": None} == decision()
    stack.recall.out_of_credit = False
    stack.run(150, ticks=True)
    assert {"join": True, "reason": "base.all", "rule": "base"} == decision()


def test_a_meeting_missed_for_want_of_credit_says_so(stack: Stack, owner: Account) -> None:
    connected(stack)
    stack.recall.out_of_credit = True
    add(owner, START + timedelta(minutes=5))
    stack.run(3 * 3600, ticks=True)
    missed = [detail["reason"] for name, detail in stack.notices if name == "meeting.missed"]
    assert ["budget"] == missed


def test_without_credit_unwanted_bots_still_go(stack: Stack, owner: Account) -> None:
    event = add(owner, NOON + HOUR, organizer=GUEST)
    connected(stack)
    stack.recall.out_of_credit = True
    for number in range(20):
        link = f"https://meet.google.com/aaa-{number:04d}-bbb".translate(DIGITS_TO_LETTERS)
        add(owner, NOON, link=link)
    owner.set_response(event, "declined")
    stack.run(130, ticks=True)
    assert [] == starts(stack)


# Bells.


def test_doubled_and_reordered_webhooks_change_nothing(stack: Stack, owner: Account) -> None:
    event = add(owner)
    connected(stack)
    stack.recall.webhooks.duplicate(20)
    stack.recall.webhooks.reorder(2)
    for hours in (1, 2, 3, 4):
        owner.move(event, NOON + hours * HOUR)
        stack.run(3)
    stack.run(20)
    assert [NOON + 4 * HOUR] == starts(stack)
    is_at_rest(stack)


def test_a_webhook_27_hours_late_does_no_harm(stack: Stack, owner: Account) -> None:
    event = add(owner, NOON + timedelta(days=3))
    calendar_id = connected(stack)
    owner.move(event, NOON + timedelta(days=4))
    stack.run(10)
    late = list(stack.recall.webhooks.messages)
    stack.run(timedelta(hours=27).total_seconds())
    told, before = len(stack.notices), stack.recall.count("calendar_events_bot_create")
    for message in late:
        stack.recall.webhooks.replay(message)
    stack.run(10)
    assert [NOON + timedelta(days=4)] == starts(stack)
    assert (told, before) == (
        len(stack.notices),
        stack.recall.count("calendar_events_bot_create"),
    )
    calendar = stack.stores.calendars.get(calendar_id)
    assert calendar is not None
    assert "connected" == calendar.status
    is_at_rest(stack)


def test_storms_and_ticks_together_are_no_more_than_a_few_lists(
    stack: Stack, owner: Account
) -> None:
    event = add(owner)
    calendar_id = connected(stack)
    stack.run(120, ticks=True)
    before = stack.recall.count("calendar_events_list")
    for number in range(900):
        stack.scheduler.queue.ring(
            received_at=stack.clock.now(), reason_id=f"bell-{number}", calendar_id=calendar_id
        )
        if number == 600:
            owner.move(event, NOON + HOUR)
        stack.run(0.2, ticks=True)
    stack.run(15, ticks=True)
    assert [NOON + HOUR] == starts(stack)
    assert stack.recall.count("calendar_events_list") - before <= 30
    is_at_rest(stack)


# Events that travel.


def test_an_event_that_moves_to_another_of_our_calendars_keeps_override_and_bot(
    stack: Stack, owner: Account
) -> None:
    dana = stack.recall.account(GOOGLE, DANA)
    wanted = add(owner, attendees=[])
    unwanted = add(owner, NOON + HOUR, link=OTHER_MEET)
    connected(stack)
    target = connected(stack, email=DANA, entity_id="u2")
    choices = {wanted: Choice.ON, unwanted: Choice.OFF}
    for row in rows(stack):
        override = Override(choice=choices[row.event.platform_id], set_by="test")
        stack.stores.meetings.set_override(row.event.event_id, override, now=stack.clock.now())
    stack.scheduler.queue.ring_work(now=stack.clock.now(), unique="override")
    stack.run(5)
    (before,) = stack.recall.live_bots()
    owner.transfer(wanted, dana)
    owner.transfer(unwanted, dana)
    stack.run(75, ticks=True)
    (after,) = stack.recall.live_bots()
    assert (before.bot_id, NOON, (target,)) == (after.bot_id, after.join_at, after.calendar_ids)
    assert {target} == {row.event.calendar_id for row in rows(stack)}
    assert {"override.on", "override.off"} == {row.decision.reason for row in rows(stack)}


def test_an_event_that_moves_to_a_foreign_calendar_loses_its_bot(
    stack: Stack, owner: Account
) -> None:
    foreign = stack.recall.account(GOOGLE, "eve@globex.example")
    stack.recall.grant("token-of-eve", platform=GOOGLE, email="eve@globex.example")
    stack.scheduler.doors.recall.create_calendar(
        platform=Platform.GOOGLE,
        client_id="client",
        client_secret=Secret("client-secret"),
        refresh_token=Secret("token-of-eve"),
        metadata={},
        idempotency_key="eve",
    )
    event = add(owner)
    connected(stack)
    assert [NOON] == starts(stack)
    owner.transfer(event, foreign)
    stack.run(75, ticks=True)
    assert [] == starts(stack)
    calls = len(stack.recall.calls)
    stack.run(300)
    assert calls == len(stack.recall.calls)


def test_an_event_moved_into_the_past_and_back(stack: Stack, owner: Account) -> None:
    event = add(owner)
    connected(stack)
    owner.move(event, START - 2 * HOUR)
    stack.run(75, ticks=True)
    assert [] == starts(stack)
    owner.move(event, NOON + HOUR)
    stack.run(75, ticks=True)
    assert [NOON + HOUR] == starts(stack)
    is_at_rest(stack)


def test_an_event_used_again_and_again_has_one_bot_each_time(stack: Stack, owner: Account) -> None:
    event = add(owner)
    connected(stack)
    for week in (1, 2, 3):
        stack.run(timedelta(days=1).total_seconds())
        again = NOON + timedelta(days=2 * week)
        owner.move(event, again)
        stack.run(75, ticks=True)
        assert [again] == starts(stack)
        stack.run((again + HOUR - stack.clock.now()).total_seconds())
        assert [] == starts(stack)
    (known,) = stack.recall.events.values()
    assert 4 == len(known.bots)
    assert 4 == len(stack.recall.bots)
    is_at_rest(stack)


def test_a_series_switched_off_stays_off(stack: Stack, owner: Account) -> None:
    first = add(owner, series="weekly")
    add(owner, NOON + timedelta(days=7), series="weekly", original_start=NOON + timedelta(days=7))
    calendar_id = connected(stack)
    assert 2 == len(starts(stack))
    series_id = rows(stack)[0].event.series_id
    stack.stores.settings.series.put_override(
        Series(calendar_id, series_id), Override(choice=Choice.OFF, set_by="test")
    )
    for row in stack.stores.meetings.of_series(Series(calendar_id, series_id)):
        stack.stores.meetings.wake(row.event.event_id, now=stack.clock.now())
    stack.scheduler.queue.ring_work(now=stack.clock.now(), unique="series")
    stack.run(5)
    assert [] == starts(stack)
    owner.move(first, NOON + HOUR)
    later = NOON + timedelta(days=14)
    add(owner, later, series="weekly", original_start=later)
    stack.run(75, ticks=True)
    assert [] == starts(stack)
    assert ["override.off"] * 3 == [row.decision.reason for row in rows(stack)]


# Clocks.


@pytest.mark.parametrize("minutes", [-2, 2])
@pytest.mark.parametrize("lost", [False, True])
def test_clocks_may_disagree_by_two_minutes(minutes: int, *, lost: bool) -> None:
    stack = Stack(recall_ahead=timedelta(minutes=minutes))
    owner = stack.recall.account(GOOGLE, OWNER)
    stack.lose_webhooks = lost
    event = add(owner)
    stack.connect()
    stack.run(130, ticks=True)
    assert [NOON] == starts(stack)
    for hours in (1, 2, 3):
        owner.move(event, NOON + hours * HOUR)
        stack.run(75, ticks=True)
        assert [NOON + hours * HOUR] == starts(stack)
    is_at_rest(stack)


def test_a_calendar_that_recall_will_not_list_blocks_nobody(stack: Stack, owner: Account) -> None:
    add(owner)
    calendar_id = connected(stack)
    stack.stores.calendars.change(calendar_id, updated_at=stack.clock.now(), read_since=EPOCH)

    def refuse_the_calendar(request: Request) -> Fault | None:
        refused = Response(
            status=400,
            headers={"content-type": "application/json"},
            body=b'{"calendar_id": ["Nothing here."]}',
        )
        asked = f"calendar_id={calendar_id}" in request.url
        return Fault(kind=FaultKind.ANSWER, answer=refused) if asked else None

    stack.adapter.faults = refuse_the_calendar
    stack.tick()
    stack.run(10)
    assert [] == stack.stores.calendars.due(limit=1)
    assert ([], []) == (stack.queue.messages, stack.queue.dead)


def test_a_key_refused_for_an_hour_buries_no_doorbell(stack: Stack, owner: Account) -> None:
    event = add(owner)
    connected(stack)
    stack.recall.api_key = "rotated"
    later = NOON + HOUR
    owner.move(event, later)
    stack.run(3600, ticks=True)
    assert [] == stack.queue.dead
    stack.recall.api_key = "key-of-the-workspace"
    stack.run(90, ticks=True)
    assert [later] == starts(stack)


def test_a_mapping_whose_bell_was_lost_waits_for_the_tick_in_peace(
    stack: Stack, owner: Account
) -> None:
    add(owner)
    stack.run(1, ticks=True)
    stack.tick()
    stack.run(1)
    stack.connect()
    stack.queue.messages.clear()
    stack.lose_webhooks = True
    stack.scheduler.queue.ring_work(now=stack.clock.now(), unique="nudge")
    asked = len(stack.recall.calls)
    stack.run(20)
    assert asked == len(stack.recall.calls)
    assert [] == stack.queue.messages
    stack.run(120, ticks=True)
    assert [NOON] == starts(stack)


def test_a_refused_page_is_no_refused_list(stack: Stack, owner: Account) -> None:
    many(owner, 150)
    refusals = [1]

    def refuse_once(request: Request) -> Fault | None:
        if "cursor=" not in request.url or not refusals:
            return None
        refusals.pop()
        answer = Response(
            status=400,
            headers={"content-type": "application/json"},
            body=b'{"cursor": ["Nothing here."]}',
        )
        return Fault(kind=FaultKind.ANSWER, answer=answer)

    stack.adapter.faults = refuse_once
    stack.connect()
    stack.run(120, ticks=True)
    assert not stack.stores.workspace.feed().refused
    assert 150 == len(stack.recall.live_bots())


def test_a_list_that_breaks_off_has_not_come_to_its_end(stack: Stack, owner: Account) -> None:
    """Longer than what one sweep reads again of the one before."""
    stack.connect()
    stack.run(60, ticks=True)
    many(owner, 150)
    stack.adapter.faults = lambda request: (
        Fault(kind=FaultKind.READ_TIMEOUT) if "cursor=" in request.url else None
    )
    stack.run(300, ticks=True)
    stack.adapter.faults = None
    stack.run(120, ticks=True)
    assert 150 == len(starts(stack))


def test_a_change_that_is_committed_behind_a_newer_one_is_seen() -> None:
    """Changes show up to 90 s after their `updated_at`, and not in its order."""
    stack = Stack(timings=Timings(commit=90))
    owner = stack.recall.account(GOOGLE, OWNER)
    stack.connect()
    stack.run(10, ticks=True)
    for number in range(20):
        add(owner, NOON + timedelta(minutes=20 * number))
        stack.run(3, ticks=True)
    stack.run(180, ticks=True)
    assert 20 == len(starts(stack))
