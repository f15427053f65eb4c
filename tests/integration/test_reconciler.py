"""The reconciler against an emulated Recall: what nobody told us is found and repaired."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from moto import mock_aws

from infra.local.emulators.http import Fault, FaultKind, Request, Response
from infra.local.emulators.recall.accounts import Account
from infra.local.emulators.recall.records import Entry
from infra.local.emulators.recall.switches import Switches
from shared.domain.calendar import CalendarStatus
from shared.domain.meeting import Override
from shared.domain.rules import Choice
from shared.errors import PermanentError, TransientError
from shared.flows.calendars import AccountBusy
from shared.flows.reconcile import AUDIT_PAGES_PER_RUN, AUDIT_PAUSE
from shared.recall import RecallClient
from shared.recall.budget import DEFAULT_LIMITS
from tests.stack import GOOGLE, START, Stack

OWNER = "owner@acme.example"
GUEST = "guest@globex.example"
MEET = "https://meet.google.com/qkr-wzpn-abt"
OTHER_MEET = "https://meet.google.com/tpc-rdqo-vhs"
SOON = START + timedelta(minutes=20)
LATER = START + timedelta(hours=5)
QUIET = Switches(bot_change_bumps_event=False)
DIGITS_TO_LETTERS = str.maketrans("0123456789", "cdefghijkl")


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws():
        yield Stack(switches=QUIET)


@pytest.fixture
def owner(stack: Stack) -> Account:
    return stack.recall.account(GOOGLE, OWNER)


def add(account: Account, start: datetime = SOON, **facts: Any) -> str:
    wanted = {"title": "Kickoff", "link": MEET, "attendees": [GUEST], **facts}
    return account.add_event(start=start, **wanted)


def many(account: Account, count: int) -> None:
    for number in range(count):
        link = f"https://meet.google.com/aaa-{number:04d}-bbb".translate(DIGITS_TO_LETTERS)
        add(account, LATER + timedelta(minutes=40 * number), link=link)


def connected(stack: Stack) -> str:
    calendar_id = stack.connect()
    stack.run(10)
    return calendar_id


def starts(stack: Stack) -> list[datetime]:
    return [bot.join_at for bot in stack.recall.live_bots()]


def only_event(stack: Stack) -> Any:
    (event,) = stack.recall.events.values()
    return event


def lose_bot(stack: Stack, event: Any) -> None:
    """The bot goes at Recall, and nobody tells."""
    stack.recall.fleet.release(event)


def preflight(stack: Stack) -> int:
    due = stack.reconciler().perform("preflight")["due"]
    stack.run(1)
    return due


def audit(stack: Stack) -> dict[str, Any]:
    stack.reconciler().perform("audit")
    report = stack.stores.workspace.report("drift")
    assert report is not None
    return report


def found(report: dict[str, Any]) -> dict[str, int]:
    return {name: int(count) for name, count in report["counts"].items() if count}


# Pre-flight.


def test_a_bot_deleted_behind_our_back_is_restored_before_its_meeting(
    stack: Stack, owner: Account
) -> None:
    add(owner)
    connected(stack)
    lose_bot(stack, only_event(stack))
    assert [] == starts(stack)
    assert 1 == preflight(stack)
    assert [SOON] == starts(stack)
    assert 0 == preflight(stack)


def test_a_mistimed_bot_is_put_right_before_its_meeting(stack: Stack, owner: Account) -> None:
    event = add(owner, LATER)
    connected(stack)
    stack.lose_webhooks = True
    owner.move(event, SOON)
    stack.run(5)
    assert [LATER] == starts(stack)
    assert 1 == preflight(stack)
    assert [SOON] == starts(stack)


def test_an_orphan_is_taken_off_before_its_meeting(stack: Stack, owner: Account) -> None:
    event = add(owner, organizer=GUEST)
    connected(stack)
    stack.lose_webhooks = True
    owner.set_response(event, "declined")
    stack.run(5)
    assert [SOON] == starts(stack)
    assert 1 == preflight(stack)
    assert [] == starts(stack)


@pytest.mark.parametrize(("minutes", "seen"), [(5, 0), (11, 1), (24, 1), (40, 0)])
def test_preflight_looks_at_the_coming_minutes_only(
    stack: Stack, owner: Account, minutes: int, seen: int
) -> None:
    add(owner, START + timedelta(minutes=minutes))
    connected(stack)
    lose_bot(stack, only_event(stack))
    assert seen == preflight(stack)


def test_preflight_follows_pages(stack: Stack, owner: Account) -> None:
    stack.recall.switches = replace(QUIET, events_page_size=1)
    for number, link in enumerate((MEET, OTHER_MEET)):
        add(owner, SOON + timedelta(minutes=number), link=link)
    connected(stack)
    for event in stack.recall.events.values():
        lose_bot(stack, event)
    assert 2 == preflight(stack)
    assert 2 == len(starts(stack))


# The audit.


def test_a_world_in_order_has_no_drift(stack: Stack, owner: Account) -> None:
    many(owner, 30)
    connected(stack)
    report = audit(stack)
    assert {} == found(report)
    assert 30 == report["events"]
    assert report["finished_at"]


def missing(stack: Stack, owner: Account, name: str) -> None:
    lose_bot(stack, only_event(stack))


def orphan(stack: Stack, owner: Account, name: str) -> None:
    owner.set_response(name, "declined")


def mistimed(stack: Stack, owner: Account, name: str) -> None:
    owner.move(name, LATER + timedelta(hours=1))


def duplicate(stack: Stack, owner: Account, name: str) -> None:
    event = only_event(stack)
    config = {"bot_name": "Another"}
    bot = stack.recall.fleet.create(
        config, meeting_url=MEET, join_at=event.start_time, key="another"
    )
    bot.events.add(event.id)
    entry = Entry(bot_id=bot.id, start_time=event.start_time, key="another", meeting_url=MEET)
    event.bots = [*event.bots, entry]
    event.touch()


def misconfigured(stack: Stack, owner: Account, name: str) -> None:
    rules = {"bot": {"bot_name": "Renamed"}}
    stack.stores.settings.put_rules("default", rules, by="test", at=stack.clock.now())


@pytest.mark.parametrize(
    "harm", [missing, orphan, mistimed, duplicate, misconfigured], ids=lambda harm: harm.__name__
)
def test_each_class_of_drift_is_counted_and_repaired(
    stack: Stack, owner: Account, harm: Callable[[Stack, Account, str], None]
) -> None:
    name = add(owner, LATER, organizer=GUEST)
    connected(stack)
    stack.lose_webhooks = True
    harm(stack, owner, name)
    stack.run(5)
    report = audit(stack)
    assert {harm.__name__: 1} == found(report)
    (item,) = report["items"]
    assert (harm.__name__, only_event(stack).id) == (item["class"], item["event_id"])
    stack.run(75, ticks=True)
    wanted = [] if harm is orphan else [only_event(stack).start_time]
    assert wanted == starts(stack)
    stack.run(AUDIT_PAUSE.total_seconds() + 1)
    assert {} == found(audit(stack))


def switched_off(stack: Stack, owner: Account) -> str:
    """A meeting whose bot was there until just now; its id."""
    add(owner, LATER)
    calendar_id = connected(stack)
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    word = Override(choice=Choice.OFF, set_at=stack.clock.now(), source="api")
    stack.stores.meetings.set_override(row.event.event_id, word, now=stack.clock.now())
    return str(row.event.event_id)


def drifts(stack: Stack) -> int:
    stack.reconciler().perform("audit")
    return sum(map(int, stack.stores.workspace.report("drift")["counts"].values()))


def test_a_word_that_is_still_owed_is_no_drift(stack: Stack, owner: Account) -> None:
    event_id = switched_off(stack, owner)
    assert stack.stores.meetings.get(event_id).due

    assert 0 == drifts(stack)


def test_a_list_from_before_a_word_was_carried_out_is_no_drift(
    stack: Stack, owner: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit's page leaves Recall, the bot is taken off, and then the audit reads the row."""
    listing = RecallClient.list_events
    event_id = switched_off(stack, owner)

    def overtaken(recall: RecallClient, **which: Any) -> Any:
        page = listing(recall, **which)
        monkeypatch.setattr(RecallClient, "list_events", listing)
        stack.scheduler.queue.ring_work(now=stack.clock.now(), unique="bell")
        stack.run(1)
        return page

    monkeypatch.setattr(RecallClient, "list_events", overtaken)

    assert 0 == drifts(stack)
    assert [] == starts(stack)
    row = stack.stores.meetings.get(event_id)
    assert row.assignment is None


def test_a_bot_that_comes_back_later_is_drift(stack: Stack, owner: Account) -> None:
    event_id = switched_off(stack, owner)
    stack.scheduler.queue.ring_work(now=stack.clock.now(), unique="bell")
    stack.run(120, ticks=True)
    event = only_event(stack)
    assert event.id == event_id
    bot = {"join_at": event.start_time.isoformat()}
    stack.recall.fleet.schedule(event, key="somebody else's", config=bot, url=MEET)

    assert 1 == drifts(stack)


def test_an_audit_goes_on_over_several_runs(stack: Stack, owner: Account) -> None:
    stack.recall.switches = replace(QUIET, events_page_size=1)
    count = AUDIT_PAGES_PER_RUN + 5
    many(owner, count)
    stack.connect()
    stack.run(300, ticks=True)
    assert count == len(starts(stack))
    lists = stack.recall.count("calendar_events_list")
    assert {"events": AUDIT_PAGES_PER_RUN} == stack.reconciler().perform("audit")
    assert stack.stores.workspace.report("drift") is None
    stack.run(120)
    assert {"events": count} == stack.reconciler().perform("audit")
    assert count == stack.recall.count("calendar_events_list") - lists
    assert count == audit(stack)["events"]


def test_an_audit_resumes_where_a_crash_left_it(stack: Stack, owner: Account) -> None:
    stack.recall.switches = replace(QUIET, events_page_size=5)
    many(owner, 20)
    stack.connect()
    stack.run(120, ticks=True)
    pages = 0

    def crash_on_third_page(request: Request) -> Fault | None:
        nonlocal pages
        pages += 1
        if pages == 3:
            raise KeyboardInterrupt
        return None

    stack.adapter.faults = crash_on_third_page
    with pytest.raises(KeyboardInterrupt):
        stack.reconciler().perform("audit")
    stack.adapter.faults = None
    before = stack.recall.count("calendar_events_list")
    assert {"events": 20} == stack.reconciler().perform("audit")
    assert 2 == stack.recall.count("calendar_events_list") - before


def test_the_next_audit_waits_for_the_pause(stack: Stack, owner: Account) -> None:
    add(owner, LATER)
    connected(stack)
    audit(stack)
    assert {"events": 0} == stack.reconciler().perform("audit")
    stack.run(AUDIT_PAUSE.total_seconds() + 1)
    assert {"events": 1} == stack.reconciler().perform("audit")


def test_an_audit_whose_page_link_went_stale_starts_over(stack: Stack, owner: Account) -> None:
    stack.recall.switches = replace(QUIET, events_page_size=1)
    many(owner, AUDIT_PAGES_PER_RUN + 1)
    stack.connect()
    stack.run(300, ticks=True)
    stack.reconciler().perform("audit")
    stack.run(120)

    def stale(request: Request) -> Fault | None:
        if "cursor=" not in request.url:
            return None
        stack.adapter.faults = None
        body = b'{"cursor": ["no"]}'
        refusal = Response(status=400, body=body, headers={"content-type": "application/json"})
        return Fault(kind=FaultKind.ANSWER, answer=refusal)

    stack.adapter.faults = stale
    stack.reconciler().perform("audit")
    stack.run(120)
    assert AUDIT_PAGES_PER_RUN + 1 == audit(stack)["events"]


@pytest.mark.parametrize("task", ["preflight", "audit", "calendars"])
def test_a_list_that_leads_in_a_circle_is_refused(stack: Stack, owner: Account, task: str) -> None:
    add(owner)
    connected(stack)
    path = "/api/v2/calendars/" if task == "calendars" else "/api/v2/calendar-events/"
    link = f"{stack.environment['RECALL_BASE_URL']}{path}?cursor=again"
    body = f'{{"next": "{link}", "previous": null, "results": []}}'.encode()
    headers = {"content-type": "application/json"}

    def circle(request: Request) -> Fault:
        return Fault(kind=FaultKind.ANSWER, answer=Response(status=200, body=body, headers=headers))

    stack.adapter.faults = circle
    with pytest.raises(PermanentError) as refused:
        stack.reconciler().perform(task)
    assert "page_loop" == refused.value.code


# States of calendars.


def test_a_disconnect_that_nobody_told_is_noticed(stack: Stack, owner: Account) -> None:
    add(owner, LATER)
    calendar_id = connected(stack)
    stack.lose_webhooks = True
    owner.revoke_grant()
    stack.run(60)
    assert {"refreshed": 1} == stack.reconciler().perform("calendars")
    calendar = stack.stores.calendars.get(calendar_id)
    assert calendar is not None
    assert CalendarStatus.DISCONNECTED is calendar.status
    assert "calendar.disconnected" == stack.notices[-1][0]
    stack.run(5)
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    assert ("ineligible.calendar_disconnected", None) == (row.decision.reason, row.assignment)
    assert {"refreshed": 0} == stack.reconciler().perform("calendars")


def test_a_calendar_deleted_at_recall_is_noticed(stack: Stack, owner: Account) -> None:
    add(owner, LATER)
    calendar_id = connected(stack)
    stack.scheduler.doors.recall.delete_calendar(calendar_id)
    assert {"refreshed": 1} == stack.reconciler().perform("calendars")
    calendar = stack.stores.calendars.get(calendar_id)
    assert calendar is not None
    assert (CalendarStatus.DISCONNECTED, "deleted_at_recall") == (
        calendar.status,
        calendar.status_reason,
    )
    stack.run(75, ticks=True)
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    assert (False, None) == (row.decision.join, row.assignment)
    assert "bot.cancelled" == stack.notices[-1][0]
    assert ([], []) == (stack.queue.messages, stack.queue.dead)
    assert {"refreshed": 0} == stack.reconciler().perform("calendars")
    calls = len(stack.recall.calls)
    stack.run(300)
    assert calls == len(stack.recall.calls)


def test_half_a_list_of_calendars_proves_nothing(stack: Stack, owner: Account) -> None:
    stack.recall.switches = replace(QUIET, calendars_page_size=1)
    stack.recall.account(GOOGLE, "dana@acme.example")
    first = connected(stack)
    second = stack.connect("dana@acme.example", entity_id="u2")
    stack.run(10)

    def second_page_fails(request: Request) -> Fault | None:
        down = Fault(kind=FaultKind.ANSWER, answer=Response(status=503))
        return down if "cursor=" in request.url else None

    stack.adapter.faults = second_page_fails
    with pytest.raises(Exception, match="did not answer"):
        stack.reconciler().perform("calendars")
    found_here = stack.stores.calendars.get_many([first, second]).values()
    assert {CalendarStatus.CONNECTED} == {calendar.status for calendar in found_here}


def test_a_calendar_that_cannot_be_refreshed_holds_up_no_other(
    stack: Stack, owner: Account
) -> None:
    dana = stack.recall.account(GOOGLE, "dana@acme.example")
    pair = [connected(stack), stack.connect("dana@acme.example", entity_id="u2")]
    stack.run(10)
    stack.lose_webhooks = True
    owner.revoke_grant()
    dana.revoke_grant()
    stack.run(60)
    first = stack.stores.calendars.every().items[0].calendar_id

    def blocked(request: Request) -> Fault | None:
        answer = Response(status=403, body=b"{}")
        return Fault(kind=FaultKind.ANSWER, answer=answer) if first in request.url else None

    stack.adapter.faults = blocked
    assert {"refreshed": 1} == stack.reconciler().perform("calendars")
    refreshed = stack.stores.calendars.get_many(pair)
    (other,) = set(pair) - {first}
    assert CalendarStatus.DISCONNECTED is refreshed[other].status


@pytest.mark.parametrize("status", [CalendarStatus.CONNECTED, CalendarStatus.CONNECTING])
def test_a_calendar_whose_account_is_being_connected_holds_up_no_other(
    stack: Stack, owner: Account, monkeypatch: pytest.MonkeyPatch, status: CalendarStatus
) -> None:
    stack.recall.account(GOOGLE, "dana@acme.example")
    pair = [connected(stack), stack.connect("dana@acme.example", entity_id="u2")]
    stack.run(10)
    for calendar_id in pair:
        stack.stores.calendars.change(calendar_id, status=status, email="x@y.z", updated_at=START)
    asked: list[str] = []

    def busy(_: object, calendar_id: str, *, now: datetime) -> None:
        asked.append(calendar_id)
        raise AccountBusy

    if status is CalendarStatus.CONNECTED:
        monkeypatch.setattr("functions.reconciler.app.refresh", busy)
        assert {"refreshed": 2} == stack.reconciler().perform("calendars")
    else:
        monkeypatch.setattr("functions.scheduler.app.refresh", busy)
        stack.tick()
        stack.run(5)
    assert set(pair) <= set(asked)


def test_an_address_in_other_letters_is_no_difference(stack: Stack, owner: Account) -> None:
    calendar_id = connected(stack)
    stack.stores.calendars.change(calendar_id, email=OWNER.title(), updated_at=START)
    assert {"refreshed": 0} == stack.reconciler().perform("calendars")


# The budget of the workspace.


def test_two_processes_together_keep_the_limits(stack: Stack, owner: Account) -> None:
    stack.recall.switches = replace(PAGED, events_page_size=2)
    many(owner, 120)
    calendar_id = stack.connect()
    reconciler = stack.reconciler()
    for second in range(240):
        if second % 3 == 0:
            stack.scheduler.queue.ring(
                received_at=stack.clock.now(), reason_id=f"bell-{second}", calendar_id=calendar_id
            )
        if second % 10 == 0:
            stack.stores.workspace.put_report("audit", {})
        for task in ("preflight", "audit", "calendars"):
            try:
                reconciler.perform(task)
            except Exception as error:
                if getattr(error, "code", "") != "rate_budget":
                    raise
        stack.run(1, ticks=True)
    assert 240 < len(stack.recall.calls)
    assert 429 not in {call.status for call in stack.recall.calls}
    for endpoint, limit in DEFAULT_LIMITS.items():
        times = [call.at for call in stack.recall.calls if call.endpoint == endpoint]
        assert most_in_a_minute(times) <= limit, endpoint


PAGED = Switches(list_order="id")


def most_in_a_minute(times: list[datetime]) -> int:
    window: deque[datetime] = deque()
    most = 0
    for moment in times:
        window.append(moment)
        while window[0] <= moment - timedelta(seconds=60):
            window.popleft()
        most = max(most, len(window))
    return most


def test_without_rate_budget_a_task_is_put_off_and_said(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    service = stack.reconciler()
    for _ in range(60):
        with suppress(TransientError):
            stack.scheduler.doors.recall.list_events()
    assert {"put_off": 1} == service.perform("preflight")
    assert "TaskPutOff" in capsys.readouterr().out
    stack.run(120)
    assert {"landed": 0, "due": 0, "claims": 0} == service.perform("preflight")
