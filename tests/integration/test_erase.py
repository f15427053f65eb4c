"""An entity is erased: what was known of it goes, whatever breaks off, and others keep theirs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from shared.domain.erasure import Erasure
from shared.flows import erase, removal
from shared.flows.erase import ask_for_erasure
from shared.storage import WorkspaceStore
from tests.connect_stage import KEY_PREFIX
from tests.integration.storage_values import session
from tests.stack import GOOGLE, START, Stack
from tests.stack_api import StackApi

GUEST = "guest@globex.example"
MEET = "https://meet.google.com/qkr-wzpn-abt"
ADA, BOB = "ada@acme.example", "bob@acme.example"
PATH = "/v1/entities/acme/ada"
# The indexes are given their time; the next tick finishes.
DONE_SECONDS = 75.0


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws():
        yield Stack()


@pytest.fixture
def api(stack: Stack) -> StackApi:
    return StackApi(stack)


def add(stack: Stack, email: str, number: int = 0, **facts: Any) -> str:
    start = START + timedelta(hours=3 + number)
    wanted = {"start": start, "link": MEET, "attendees": [ADA, BOB, GUEST], **facts}
    return stack.recall.account(GOOGLE, email).add_event(f"Meeting {number}", **wanted)


def connect(stack: Stack, email: str) -> str:
    name = email.partition("@")[0]
    calendar_id = stack.connect(email, tenant_id="acme", entity_id=name)
    stack.run(10)
    return calendar_id


def scan(stack: Stack) -> str:
    """Everything that any table holds."""
    import boto3

    client = boto3.client("dynamodb", region_name="us-east-1")
    names = [
        getattr(stack.tables, field)
        for field in (
            "calendars",
            "meetings",
            "settings",
            "sessions",
            "accounts",
            "workspace",
            "claims",
        )
    ]
    return str([client.scan(TableName=name)["Items"] for name in names])


def records(stack: Stack) -> list[dict[str, Any]]:
    import boto3

    client = boto3.client("dynamodb", region_name="us-east-1")
    items = client.scan(TableName=stack.tables.workspace)["Items"]
    names = [item["name"]["S"] for item in items]
    return [stack.stores.workspace.report(name) for name in names if name.startswith("erased#")]


def test_everything_goes_and_a_record_without_a_name_stays(stack, api):
    add(stack, ADA)
    calendar_id = connect(stack, ADA)
    stack.stores.sessions.add(session(tenant_id="acme", entity_id="ada"))
    stack.stores.sessions.add(session("session-2", tenant_id="acme", entity_id="bob"))
    for number in range(3):
        api.call("PUT", "/v1/rules/entity:acme:ada", {"min_others": number})
    stack.run(DONE_SECONDS, ticks=True)
    assert 202 == api.call("DELETE", PATH).status
    stack.run(DONE_SECONDS, ticks=True)
    assert calendar_id not in stack.recall.calendars
    assert [] == list(stack.recall.live_bots())
    left = scan(stack)
    assert [] == [name for name in ("'ada'", ":ada", ADA) if name in left]
    assert calendar_id not in left
    assert stack.stores.sessions.get("session-2") is not None
    assert [
        {
            "asked_by": KEY_PREFIX,
            "asked_at": "2027-03-01T09:01:25Z",
            "finished_at": "2027-03-01T09:02:00Z",
            "calendars": 1,
            "meetings": 1,
            "sessions": 1,
            "rules": 3,
        }
    ] == records(stack)
    told = [kind for kind, _ in stack.notices]
    assert {"bot.cancelled", "calendar.deleted"} <= set(told)


def test_others_keep_what_is_theirs(stack, api):
    add(stack, ADA, organizer=ADA)
    add(stack, BOB, organizer=ADA)
    connect(stack, ADA)
    other = connect(stack, BOB)
    api.call("DELETE", PATH)
    stack.run(DONE_SECONDS, ticks=True)
    (row,) = stack.stores.meetings.of_calendar(other).items
    assert row.decision.join
    assert [row.assignment.bot_id] == [bot.bot_id for bot in stack.recall.live_bots()]


def test_a_bot_of_our_own_goes_too(stack, api):
    add(stack, ADA)
    api.call("PUT", "/v1/rules/default", {"scheduling": "self_managed"})
    connect(stack, ADA)
    stack.run(DONE_SECONDS, ticks=True)
    assert 1 == len(list(stack.recall.live_bots()))
    api.call("DELETE", PATH)
    stack.run(DONE_SECONDS, ticks=True)
    assert [] == list(stack.recall.live_bots())


@pytest.mark.parametrize("path", [PATH, "/v1/entities/acme/nobody", "/v1/entities/a%2Fb/c"])
def test_repeating_is_harmless(stack, api, path):
    for _ in range(2):
        assert 202 == api.call("DELETE", path).status
    assert 1 == len(stack.stores.workspace.erasures().waiting)
    stack.run(DONE_SECONDS, ticks=True)
    assert 202 == api.call("DELETE", path).status
    stack.run(DONE_SECONDS, ticks=True)
    assert () == stack.stores.workspace.erasures().waiting
    assert (
        [0, 0] == [record["calendars"] for record in records(stack)]
        if len(records(stack)) == 2
        else [0]
    )


@pytest.mark.parametrize("path", ["/v1/entities/acme/" + "a" * 257, "/v1/entities/%00/a"])
def test_a_wrong_name_is_refused(stack, api, path):
    assert 400 == api.call("DELETE", path).status


def test_many_rows_go_in_several_steps(stack, api, monkeypatch):
    monkeypatch.setattr(erase, "PAGES_PER_STEP", 1)
    monkeypatch.setattr(removal, "PAGE_ROWS", 1)
    for number in range(3):
        add(stack, ADA, number)
    calendar_id = connect(stack, ADA)
    api.call("DELETE", PATH)
    stack.run(DONE_SECONDS, ticks=True)
    assert () == stack.stores.meetings.of_calendar(calendar_id).items
    assert [3] == [record["meetings"] for record in records(stack)]


def test_what_does_not_fit_into_a_slice_goes_on_in_the_next(stack, api, monkeypatch):
    for email in (ADA, BOB):
        add(stack, email)
    ada, bob = connect(stack, ADA), connect(stack, BOB)
    stack.stores.calendars.change(bob, entity_id="ada", updated_at=stack.clock.now())
    genuine = erase.Eraser.go_on
    steps = []

    def impatient(eraser, until):
        waiting = stack.stores.workspace.erasures().waiting
        steps.append(len(waiting))
        if waiting:
            eraser._step(waiting[0])
        return genuine(eraser, stack.clock.now())

    monkeypatch.setattr(erase.Eraser, "go_on", impatient)
    stack.scheduler = stack.cold_start()
    api.call("DELETE", PATH)
    stack.run(DONE_SECONDS, ticks=True)
    assert [1, 1, 1] == [count for count in steps if count][:3]
    assert {} == stack.stores.calendars.get_many([ada, bob])


def test_while_recall_is_away_it_waits_for_the_tick(stack, api):
    add(stack, ADA)
    calendar_id = connect(stack, ADA)
    stack.recall.outage = 503
    assert 202 == api.call("DELETE", PATH).status
    stack.run(DONE_SECONDS, ticks=True)
    assert 1 == len(stack.stores.workspace.erasures().waiting)
    stack.recall.outage = None
    stack.run(130, ticks=True)
    assert stack.stores.calendars.get(calendar_id) is None
    assert () == stack.stores.workspace.erasures().waiting


def test_a_crash_at_the_end_writes_the_record_twice_and_no_more(stack, api, monkeypatch):
    add(stack, ADA)
    connect(stack, ADA)
    genuine = WorkspaceStore.put_report
    with monkeypatch.context() as patch:

        def dying(store, name, report):
            genuine(store, name, report)
            if name.startswith("erased#"):
                raise KeyError

        patch.setattr(WorkspaceStore, "put_report", dying)
        api.call("DELETE", PATH)
        stack.run(2)
    assert 1 == len(stack.stores.workspace.erasures().waiting)
    stack.run(130, ticks=True)
    assert [1] == [record["calendars"] for record in records(stack)]


def test_the_list_of_what_waits_is_bounded(stack, api, monkeypatch):
    monkeypatch.setattr(erase, "WAITING_MAX", 2)
    answers = [api.call("DELETE", f"/v1/entities/acme/u{number}") for number in range(3)]
    assert [202, 202, 503] == [answer.status for answer in answers]
    assert "30" == answers[-1].headers["retry-after"]


def test_what_fails_lets_the_others_pass(stack):
    for name in ("a", "b", "c"):
        wanted = Erasure(
            tenant_id="t",
            entity_id=name,
            record=f"erased#{name}#{START.isoformat()}",
            asked_by=None,
            asked_at=START,
        )
        doors = erase.ErasureDoors(
            workspace=stack.stores.workspace,
            settings=stack.stores.settings,
            queue=stack.scheduler.queue,
        )
        ask_for_erasure(doors, wanted, unique=name)
    known = stack.stores.workspace.erasures()
    order = [each.entity_id for each in known.put_off(known.waiting[0]).waiting]
    assert ["b", "c", "a"] == order
