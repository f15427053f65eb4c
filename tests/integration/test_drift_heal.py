"""Each class of drift, planted behind our back, in both ways of scheduling: healed or only told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from infra.local.emulators.recall.accounts import Account
from shared.domain.claim import CLAIM, MAKE, MEETING, MODE, SELF_MANAGED
from shared.domain.drift import Drift
from shared.errors import PermanentError
from shared.flows.reconcile import AUDIT_PAUSE
from tests.integration.test_reconciler import (
    GUEST,
    LATER,
    MEET,
    OWNER,
    QUIET,
    SOON,
    add,
    connected,
    duplicate,
    found,
    misconfigured,
    missing,
    mistimed,
    only_event,
    orphan,
)
from tests.stack import GOOGLE, Stack

Plant = Callable[[Stack, Account, str], None]
HOUR = timedelta(hours=1)


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws():
        yield Stack(switches=QUIET)


@pytest.fixture
def owner(stack: Stack) -> Account:
    return stack.recall.account(GOOGLE, OWNER)


def audit(stack: Stack, heal: str) -> dict[str, Any]:
    stack.environment["DRIFT_HEAL"] = heal
    stack.stores.workspace.put_report("audit", {})
    stack.reconciler().perform("audit")
    report = stack.stores.workspace.report("drift")
    assert report is not None
    return report


def rows(stack: Stack) -> list[object]:
    pages = [
        stack.stores.meetings.of_calendar(each.calendar_id)
        for each in stack.stores.calendars.every().items
    ]
    return [row for page in pages for row in page.items]


def bots(stack: Stack) -> list[tuple[object, ...]]:
    """What waits at Recall: when, as whom, and from where it was asked for."""
    return sorted((bot.join_at, bot.bot_name, bot.bot_id) for bot in stack.recall.live_bots())


# Bots on Recall's calendar events.


def retimed(stack: Stack, owner: Account, name: str) -> None:
    """The bot itself was given another time."""
    event = only_event(stack)
    (entry,) = event.bots
    later = entry.start_time + HOUR
    event.bots = [replace(entry, start_time=later)]
    event.touch()
    stack.recall.core.bots[entry.bot_id].join_at = later


MANAGED: list[tuple[Drift, Plant]] = [
    (Drift.MISSING, missing),
    (Drift.ORPHAN, orphan),
    (Drift.MISTIMED, mistimed),
    (Drift.MISTIMED, retimed),
    (Drift.MISCONFIGURED, misconfigured),
    (Drift.DUPLICATE, duplicate),
]


def planted(stack: Stack, owner: Account, plant: Plant, *, start: Any = LATER) -> None:
    name = add(owner, start, organizer=GUEST)
    connected(stack)
    stack.lose_webhooks = True
    plant(stack, owner, name)
    stack.run(5)


@pytest.mark.parametrize(("drift", "plant"), MANAGED)
@pytest.mark.parametrize("heal", ["all", "its class"])
def test_drift_is_healed_where_its_class_is(
    stack: Stack, owner: Account, drift: Drift, plant: Plant, heal: str
) -> None:
    planted(stack, owner, plant)
    assert {drift: 1} == found(audit(stack, drift.value if heal == "its class" else heal))
    stack.run(5)
    wanted = [] if drift is Drift.ORPHAN else [only_event(stack).start_time]
    assert wanted == [bot.join_at for bot in stack.recall.live_bots()]
    stack.run(AUDIT_PAUSE.total_seconds())
    assert {} == found(audit(stack, "none"))


@pytest.mark.parametrize(("drift", "plant"), MANAGED)
@pytest.mark.parametrize("heal", ["none", "all others"])
def test_drift_is_only_told_where_its_class_is_not_healed(
    stack: Stack, owner: Account, drift: Drift, plant: Plant, heal: str
) -> None:
    planted(stack, owner, plant)
    others = ",".join(each.value for each in Drift if each is not drift)
    before = (bots(stack), rows(stack), stack.queue.messages)
    for _ in range(2):
        report = audit(stack, others if heal == "all others" else heal)
        assert {drift: 1} == found(report)
        assert drift.value not in report["healing"]
        stack.run(30)
        assert before == (bots(stack), rows(stack), stack.queue.messages)


@pytest.mark.parametrize(("drift", "plant"), MANAGED)
def test_preflight_goes_by_the_same_switch(
    stack: Stack, owner: Account, drift: Drift, plant: Plant
) -> None:
    planted(stack, owner, plant, start=SOON)
    if plant is mistimed:
        pytest.skip("moved out of the minutes that pre-flight looks at")
    before = (bots(stack), rows(stack))
    stack.environment["DRIFT_HEAL"] = "none"
    assert 0 == stack.reconciler().perform("preflight")["due"]
    stack.run(5)
    assert before == (bots(stack), rows(stack))
    stack.environment["DRIFT_HEAL"] = "all"
    assert 1 == stack.reconciler().perform("preflight")["due"]
    stack.run(5)
    assert before != (bots(stack), rows(stack))


def test_what_the_feed_brings_is_done_whatever_the_switch_says(
    stack: Stack, owner: Account
) -> None:
    planted(stack, owner, mistimed)
    audit(stack, "none")
    stack.tick()
    stack.run(5)
    assert [LATER + HOUR] == [bot.join_at for bot in stack.recall.live_bots()]


def test_a_class_that_does_not_exist_is_refused_by_name(stack: Stack) -> None:
    stack.environment["DRIFT_HEAL"] = "missing,lost"
    with pytest.raises(PermanentError, match="DRIFT_HEAL must be all, none, or a list of") as bad:
        stack.reconciler()
    assert "settings_invalid" == bad.value.code


# Bots of our own.


def own_missing(stack: Stack) -> None:
    (bot,) = stack.recall.live_bots()
    stack.scheduler.doors.recall.delete_bot(bot.bot_id)


def own_mistimed(stack: Stack) -> None:
    (bot,) = stack.recall.live_bots()
    changes = {"join_at": (LATER + HOUR).isoformat()}
    stack.scheduler.doors.recall.update_bot(bot.bot_id, changes=changes)


def own_misconfigured(stack: Stack) -> None:
    (bot,) = stack.recall.live_bots()
    changes = {"bot_name": "Another", "metadata": {**metadata(bot), MAKE: "another"}}
    stack.scheduler.doors.recall.update_bot(bot.bot_id, changes=changes)


def own_orphan(stack: Stack) -> None:
    create(stack, {MODE: SELF_MANAGED, MEETING: "of nobody"})


def own_duplicate(stack: Stack) -> None:
    (bot,) = stack.recall.live_bots()
    create(stack, {**metadata(bot), CLAIM: "another"})


def metadata(bot: Any) -> dict[str, str]:
    return dict(bot.metadata)


def create(stack: Stack, given: dict[str, str]) -> None:
    stack.scheduler.doors.recall.create_bot(
        meeting_url=MEET,
        join_at=LATER,
        bot_config={"metadata": given},
        idempotency_key="stray",
    )


OWN: list[tuple[Drift, Callable[[Stack], None]]] = [
    (Drift.MISSING, own_missing),
    (Drift.MISTIMED, own_mistimed),
    (Drift.MISCONFIGURED, own_misconfigured),
    (Drift.ORPHAN, own_orphan),
    (Drift.DUPLICATE, own_duplicate),
]


def own_bot(stack: Stack, owner: Account) -> tuple[object, ...]:
    """A meeting with a settled bot of our own; answers what waits at Recall."""
    rules = {"scheduling": "self_managed"}
    stack.stores.settings.put_rules("default", rules, by="test", at=stack.clock.now())
    add(owner, LATER, organizer=GUEST)
    connected(stack)
    stack.run(300, ticks=True)
    ((join_at, name, _),) = bots(stack)
    return join_at, name


def of_own(report: dict[str, Any]) -> dict[str, int]:
    return {name: int(count) for name, count in report["self_managed"]["counts"].items() if count}


@pytest.mark.parametrize(("drift", "plant"), OWN)
def test_drift_of_own_bots_is_healed_where_its_class_is(
    stack: Stack, owner: Account, drift: Drift, plant: Callable[[Stack], None]
) -> None:
    sound = own_bot(stack, owner)
    plant(stack)
    assert {drift: 1} == of_own(audit(stack, drift.value))
    stack.run(300, ticks=True)
    assert [sound] == [each[:2] for each in bots(stack)]
    assert {} == of_own(audit(stack, "none"))


@pytest.mark.parametrize(("drift", "plant"), OWN)
def test_drift_of_own_bots_is_only_told_where_its_class_is_not_healed(
    stack: Stack, owner: Account, drift: Drift, plant: Callable[[Stack], None]
) -> None:
    own_bot(stack, owner)
    plant(stack)
    planted_bots = bots(stack)
    others = ",".join(each.value for each in Drift if each is not drift)
    for heal in ("none", others):
        assert {drift: 1} == of_own(audit(stack, heal))
        stack.run(300, ticks=True)
        assert planted_bots == bots(stack)
