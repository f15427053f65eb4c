"""Coverage over an emulated Recall: which meetings count, and that nothing counts twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from moto import mock_aws

from functions.calendars.views import coverage_view
from infra.local.emulators.recall.accounts import Account
from infra.local.emulators.recall.fleet import Fate
from shared.storage import MeetingStore
from tests.integration.test_reconciler import GUEST, MEET, OTHER_MEET, OWNER, add, connected
from tests.integration.test_repair import refuse
from tests.stack import GOOGLE, START, Stack
from tests.stack_api import StackApi

SOON = START + timedelta(minutes=20)
HOURS = 3600
DAYS = 24 * HOURS
NOTHING = {"should_have_joined": 0, "joined": 0, "missed": 0, "ratio": None}
JOINED = {"should_have_joined": 1, "joined": 1, "missed": 0, "ratio": 1.0}
MISSED = {"should_have_joined": 1, "joined": 0, "missed": 1, "ratio": 0.0}


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws():
        yield Stack()


@pytest.fixture
def owner(stack: Stack) -> Account:
    return stack.recall.account(GOOGLE, OWNER)


def count(stack: Stack) -> dict[str, Any]:
    stack.reconciler().perform("coverage")
    report = stack.stores.workspace.report("coverage")
    return {**coverage_view(report, now=stack.clock.now())}


def rules(stack: Stack, document: dict[str, object]) -> None:
    stack.stores.settings.put_rules("default", document, by="test", at=stack.clock.now())


def test_a_bot_in_its_call_is_counted_once_the_meeting_is_over(
    stack: Stack, owner: Account
) -> None:
    add(owner, SOON)
    connected(stack)
    stack.run(1800)
    stack.reconciler().perform("coverage")
    api = StackApi(stack)
    assert NOTHING == api.call("GET", "/v1/status").json["coverage"]["today"]
    stack.run(3 * HOURS)
    for _ in range(2):
        stack.reconciler().perform("coverage")
        assert JOINED == api.call("GET", "/v1/status").json["coverage"]["today"]


def test_a_bot_is_counted_though_every_webhook_is_lost(stack: Stack, owner: Account) -> None:
    add(owner, SOON)
    connected(stack)
    stack.lose_webhooks = True
    stack.run(3 * HOURS, ticks=True)
    assert JOINED == count(stack)["today"]


def test_a_bot_that_was_never_let_in_counts_as_missed(stack: Stack, owner: Account) -> None:
    word = "timeout_exceeded_waiting_room"
    stack.recall.fleet.fates = {MEET: Fate("waiting_room", word)}
    add(owner, SOON)
    connected(stack)
    stack.run(3 * HOURS, ticks=True)
    assert "meeting.missed" in dict(stack.notices)
    assert MISSED == count(stack)["today"]


def test_a_meeting_that_found_no_free_bot_counts_as_missed(stack: Stack, owner: Account) -> None:
    stack.recall.fleet.ad_hoc_free = 0
    add(owner, START + timedelta(minutes=5))
    connected(stack)
    stack.run(3 * HOURS, ticks=True)
    assert "meeting.missed" in dict(stack.notices)
    assert MISSED == count(stack)["today"]


def test_a_refused_meeting_counts_as_missed(stack: Stack, owner: Account) -> None:
    add(owner, SOON)
    stack.connect()
    refuse(stack)
    stack.run(3 * HOURS, ticks=True)
    assert MISSED == count(stack)["today"]


def test_a_meeting_that_recall_could_not_be_asked_for_counts_as_missed(
    stack: Stack, owner: Account
) -> None:
    """Our own rows are counted, so an outage of Recall hides nothing."""
    stack.recall.fleet.ad_hoc_free = 0
    add(owner, START + timedelta(minutes=5))
    connected(stack)
    stack.recall.outage = 503
    stack.run(3 * HOURS, ticks=True)
    assert MISSED == count(stack)["today"]


@pytest.mark.parametrize("mode", ["preview", "paused"])
def test_where_no_bot_is_sent_none_is_missed(stack: Stack, owner: Account, mode: str) -> None:
    rules(stack, {"mode": mode})
    add(owner, SOON)
    connected(stack)
    stack.run(3 * HOURS, ticks=True)
    assert NOTHING == count(stack)["today"]


def test_a_meeting_that_nobody_wanted_does_not_count(stack: Stack, owner: Account) -> None:
    add(owner, SOON, attendees=[])
    cancelled = add(owner, SOON, link=OTHER_MEET)
    connected(stack)
    owner.cancel(cancelled)
    stack.run(3 * HOURS, ticks=True)
    assert NOTHING == count(stack)["today"]


def test_a_meeting_moved_into_the_past_never_took_place(stack: Stack, owner: Account) -> None:
    event = add(owner, SOON)
    connected(stack)
    owner.move(event, START - timedelta(hours=3))
    stack.run(3 * HOURS, ticks=True)
    assert NOTHING == count(stack)["today"]


def test_what_is_said_after_the_end_changes_no_figure(stack: Stack, owner: Account) -> None:
    event = add(owner, SOON, organizer=GUEST)
    connected(stack)
    stack.run(3 * HOURS, ticks=True)
    owner.set_response(event, "declined")
    stack.run(120, ticks=True)
    assert JOINED == count(stack)["today"]


def test_two_copies_of_a_meeting_count_once(stack: Stack, owner: Account) -> None:
    add(owner, SOON)
    add(stack.recall.account(GOOGLE, "dana@acme.example"), SOON)
    connected(stack)
    stack.connect("dana@acme.example", entity_id="u2")
    stack.run(3 * HOURS, ticks=True)
    assert 2 == sum(
        len(stack.stores.meetings.of_calendar(each.calendar_id).items)
        for each in stack.stores.calendars.every().items
    )
    assert JOINED == count(stack)["today"]


def test_a_bot_of_our_own_counts_alike(stack: Stack, owner: Account) -> None:
    rules(stack, {"scheduling": "self_managed"})
    add(owner, SOON)
    connected(stack)
    stack.run(3 * HOURS, ticks=True)
    assert JOINED == count(stack)["today"]


def test_days_add_up_to_a_week_and_outlive_their_rows(stack: Stack, owner: Account) -> None:
    for day in range(3):
        add(owner, SOON + timedelta(days=day))
    calendar_id = connected(stack)
    for _ in range(6):
        stack.run(DAYS)
        count(stack)
    for row in stack.stores.meetings.of_calendar(calendar_id).items:
        stack.stores.meetings.delete(row.event.event_id)
    coverage = count(stack)
    week = {"should_have_joined": 3, "joined": 3, "missed": 0, "ratio": 1.0}
    assert (NOTHING, NOTHING, week) == (
        coverage["today"],
        coverage["last_day"],
        coverage["last_7_days"],
    )


class DyingStoreError(Exception):
    """The process ends here."""


def test_a_crash_in_the_middle_of_a_count_counts_nothing_twice(
    stack: Stack, owner: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(owner, SOON)
    connected(stack)
    stack.run(3 * HOURS, ticks=True)
    count_before = count(stack)
    with monkeypatch.context() as dying:
        dying.setattr(MeetingStore, "wanted_on", _die)
        with pytest.raises(DyingStoreError):
            stack.reconciler().perform("coverage")
    again = count(stack)
    assert (JOINED, JOINED) == (count_before["today"], again["today"])


def _die(*_: object, **__: object) -> None:
    raise DyingStoreError


def test_drift_shows_the_same_figures(stack: Stack, owner: Account) -> None:
    add(owner, SOON)
    connected(stack)
    stack.run(DAYS)
    stack.reconciler().perform("audit")
    stack.reconciler().perform("coverage")
    api = StackApi(stack)
    drift = api.call("GET", "/v1/drift").json["coverage"]
    assert drift == api.call("GET", "/v1/status").json["coverage"]
    assert (NOTHING, JOINED, JOINED) == (drift["today"], drift["last_day"], drift["last_7_days"])
    assert datetime.fromisoformat(drift["counted_at"]) == stack.clock.now()
