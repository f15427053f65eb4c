"""Changing over between the ways of scheduling, whatever dies, is down or lags meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from moto import mock_aws

from infra.local.emulators.http import Fault, FaultKind, Request, Response
from shared.domain.meeting import Meeting
from shared.domain.rules import Scheduling
from shared.flows.act import Actor, Outcome
from shared.storage import MeetingStore
from tests.integration.test_scheduler_faults import (
    DANA,
    GUEST,
    HOUR,
    MEET,
    NOON,
    OWNER,
    MortalStack,
    bury,
    connected,
    is_at_rest,
    rows,
    starts,
)
from tests.stack import GOOGLE, OUTLOOK, Stack
from tests.stack_api import StackApi

OWN = {"scheduling": "self_managed"}
MANAGED = {"scheduling": "managed"}
DIRECTIONS = pytest.mark.parametrize(
    ("first", "then"), [(OWN, MANAGED), (MANAGED, OWN)], ids=["to-managed", "to-own"]
)
RECOVERY_SECONDS = 400.0
LAST_EFFECTS = 40
EACH_TIME = range(1, LAST_EFFECTS, 13)


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


def shared_meeting(stack: Stack, rules: dict[str, Any]) -> None:
    stack.stores.settings.put_rules("default", rules, by="test", at=stack.clock.now())
    guests = [stack.recall.account(GOOGLE, OWNER), stack.recall.account(OUTLOOK, DANA)]
    stack.recall.invite("Kickoff", organizer=GUEST, guests=guests, start=NOON, link=MEET)
    stack.connect()
    connected(stack, email=DANA, platform=OUTLOOK, entity_id="u2")
    assert [NOON] == starts(stack)


def switch(stack: Stack, rules: dict[str, Any], api: StackApi | None = None) -> None:
    assert 200 == (api or StackApi(stack)).call("PUT", "/v1/rules/default", rules).status


def has_changed_over(stack: Stack, rules: dict[str, Any]) -> None:
    """One bot, on the right side, of which everybody knows and nothing else is left."""
    (bot,) = stack.recall.live_bots()
    assert NOON == bot.join_at
    assert (rules == MANAGED) == (bot.key is not None)
    way = Scheduling(rules["scheduling"])
    held = [(row.assignment.bot_id, row.assignment.by) for row in rows(stack) if row.assignment]
    assert 2 * [(bot.bot_id, way)] == held
    claims = stack.stores.claims.starting(start=NOON - HOUR, end=NOON + HOUR)
    assert ([bot.bot_id] if rules == OWN else []) == [claim.bot_id for claim in claims]
    assert [] == [claim for claim in claims if claim.due]
    is_at_rest(stack)


def switched(
    monkeypatch: pytest.MonkeyPatch, *, first: dict[str, Any], then: dict[str, Any], last: int
) -> MortalStack:
    stack = MortalStack(0)
    shared_meeting(stack, first)
    api = StackApi(stack)
    bury(stack, monkeypatch)
    stack.effects, stack.last = 0, last
    switch(stack, then, api)
    stack.run_on(RECOVERY_SECONDS)
    return stack


@DIRECTIONS
@pytest.mark.parametrize(
    "last",
    [
        *EACH_TIME,
        *(
            pytest.param(last, marks=pytest.mark.full)
            for last in range(1, LAST_EFFECTS)
            if last not in EACH_TIME
        ),
    ],
)
def test_a_crash_during_the_change_costs_time_only(
    monkeypatch: pytest.MonkeyPatch, first: dict[str, Any], then: dict[str, Any], last: int
) -> None:
    stack = switched(monkeypatch, first=first, then=then, last=last)
    assert stack.effects >= last, "nothing left to crash"
    has_changed_over(stack, then)


@DIRECTIONS
def test_every_effect_of_the_change_was_crashed(
    monkeypatch: pytest.MonkeyPatch, first: dict[str, Any], then: dict[str, Any]
) -> None:
    stack = switched(monkeypatch, first=first, then=then, last=0)
    has_changed_over(stack, then)
    assert LAST_EFFECTS <= stack.effects <= LAST_EFFECTS + 15


@DIRECTIONS
@pytest.mark.parametrize("kind", [FaultKind.READ_TIMEOUT, FaultKind.TIMEOUT_AFTER_EFFECT])
def test_recall_down_during_the_change_costs_time_only(
    first: dict[str, Any], then: dict[str, Any], kind: FaultKind
) -> None:
    stack = Stack()
    shared_meeting(stack, first)
    stack.adapter.faults = lambda request: Fault(kind=kind) if request.method != "GET" else None
    switch(stack, then)
    for _ in range(20):
        stack.run(60, ticks=True)
        assert len(starts(stack)) <= 1
    stack.adapter.faults = lambda _request: None
    stack.run(11 * 60, ticks=True)
    has_changed_over(stack, then)


@DIRECTIONS
def test_back_again_before_the_change_is_through(
    first: dict[str, Any], then: dict[str, Any]
) -> None:
    stack = Stack()
    shared_meeting(stack, first)
    api = StackApi(stack)
    deaf = Fault(kind=FaultKind.ANSWER, answer=Response(status=503))
    calls: list[Request] = []

    def half_deaf(request: Request) -> Fault | None:
        calls.append(request)
        return deaf if request.method != "GET" and len(calls) % 2 else None

    stack.adapter.faults = half_deaf
    for rules in (then, first, then, first):
        switch(stack, rules, api)
        stack.run(7, ticks=True)
        assert len(starts(stack)) <= 1
    stack.adapter.faults = lambda _request: None
    stack.run(11 * 60, ticks=True)
    has_changed_over(stack, first)


@pytest.mark.parametrize("rules", [OWN, MANAGED], ids=["own", "managed"])
@pytest.mark.parametrize("ways", ["same", "each its own"])
def test_copies_that_no_index_showed_meet_before_their_meeting(
    monkeypatch: pytest.MonkeyPatch, rules: dict[str, Any], ways: str
) -> None:
    stack = Stack()
    if ways == "each its own":
        other = MANAGED if rules == OWN else OWN
        stack.stores.settings.put_rules("entity:default:u2", other, by="test", at=stack.clock.now())
    with monkeypatch.context() as lag:
        lag.setattr(MeetingStore, "ids_of_key", lambda *_given, **_named: [])
        stack.stores.settings.put_rules("default", rules, by="test", at=stack.clock.now())
        guests = [stack.recall.account(GOOGLE, OWNER), stack.recall.account(OUTLOOK, DANA)]
        stack.recall.invite("Kickoff", organizer=GUEST, guests=guests, start=NOON, link=MEET)
        stack.connect()
        stack.run(300, ticks=True)
        connected(stack, email=DANA, platform=OUTLOOK, entity_id="u2")
    assert [False, False] == [row.shared for row in rows(stack)]
    stack.run((NOON - stack.clock.now() - timedelta(minutes=24)).total_seconds(), ticks=True)
    stack.reconciler().perform("preflight")
    stack.run(70, ticks=True)
    assert [NOON] == starts(stack)
    assert [True, True] == [row.shared for row in rows(stack)]


@pytest.mark.parametrize("rules", [OWN, MANAGED], ids=["own", "managed"])
def test_copies_that_met_after_they_were_taken_up_know_it_before_their_calls(
    monkeypatch: pytest.MonkeyPatch, rules: dict[str, Any]
) -> None:
    """A later page, or another process, wrote to the row of the first that it is shared."""
    stack = Stack()
    stack.stores.settings.put_rules("default", rules, by="test", at=stack.clock.now())
    other = MANAGED if rules == OWN else OWN
    stack.stores.settings.put_rules("entity:default:u2", other, by="test", at=stack.clock.now())
    guests = [stack.recall.account(GOOGLE, OWNER), stack.recall.account(OUTLOOK, DANA)]
    connected(stack)
    connected(stack, email=DANA, platform=OUTLOOK, entity_id="u2")
    stack.recall.invite("Kickoff", organizer=GUEST, guests=guests, start=NOON, link=MEET)
    act = Actor.act

    def act_late(actor: Actor, fresh: Iterable[Meeting], *, until: datetime) -> Outcome:
        return act(actor, [replace(row, shared=False) for row in fresh], until=until)

    with monkeypatch.context() as lag:
        lag.setattr(Actor, "act", act_late)
        lag.setattr(MeetingStore, "due", lambda *_given, **_named: [])
        for _ in range(10):
            stack.run(1, ticks=True)
            assert len(starts(stack)) <= 1
    stack.run(60, ticks=True)
    assert [NOON] == starts(stack)
    assert [True, True] == [row.shared for row in rows(stack)]
