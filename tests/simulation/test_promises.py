"""Promises with a time or a count in them, on a small scale; the command plays the large one."""

from __future__ import annotations

import pytest

from tests.simulation.promises import (
    REAL_CHANGES,
    REPAIRED_WITHIN,
    bot_calls_refused,
    imported,
    kept_through_trouble,
    recovery,
    repairs,
    replay,
    storm,
)


@pytest.mark.parametrize("seed", range(3))
def test_a_lost_webhook_is_repaired_within_a_tick_and_a_little(seed: int) -> None:
    taken = repairs(seed)
    assert 8 == len(taken)
    assert max(taken) <= REPAIRED_WITHIN


@pytest.mark.parametrize("ahead", [-115, 115])
def test_a_change_that_shows_late_is_seen_whatever_the_clocks_say(ahead: int) -> None:
    late = 45
    assert max(repairs(0, recall_ahead=ahead, commit=late)) <= REPAIRED_WITHIN + late


def test_bot_calls_that_fail_for_longer_than_lists_overlap_lose_nothing() -> None:
    assert bot_calls_refused(400)


def test_an_import_goes_on_by_itself_nearest_first_and_lets_others_in() -> None:
    found = imported(200)
    assert (200, 0) == (found.bots, found.swaps)
    assert found.seconds <= 120
    assert found.urgent <= 30


def test_an_outage_of_recall_cancels_nothing_and_is_caught_up_with() -> None:
    found = recovery(0.4, silent=False)
    assert (30, 0) == (found.kept, found.cancelled_meanwhile)
    assert found.changes >= 100
    assert found.seconds <= found.allowed
    # Sixty new meetings and forty that moved.
    assert found.calls >= 100


def test_calls_that_fail_now_and_then_cancel_nothing() -> None:
    before, kept = kept_through_trouble(1)
    assert 20 == before == kept


def test_five_hundred_webhooks_in_a_minute_cost_eight_lists_at_most() -> None:
    found = storm(500)
    assert found.lists <= 8
    assert found.acknowledged >= found.webhooks >= 500
    assert REAL_CHANGES == found.followed


@pytest.mark.full
def test_five_thousand_webhooks_in_a_minute_cost_twelve_lists_at_most() -> None:
    found = storm(5000)
    assert found.lists <= 12
    assert found.acknowledged >= found.webhooks >= 5000
    assert REAL_CHANGES == found.followed


def test_deliveries_that_come_27_hours_late_change_nothing() -> None:
    found = replay()
    assert found.deliveries >= 10
    assert (0, 0, ()) == (found.bots_changed, found.notices, found.wrong)


@pytest.mark.full
@pytest.mark.parametrize("silent", [False, True])
def test_a_day_without_recall_cancels_nothing_and_is_caught_up_with(silent: bool) -> None:
    found = recovery(24, silent=silent)
    assert (30, 0) == (found.kept, found.cancelled_meanwhile)
    assert found.seconds <= found.allowed
