"""The claims on bots that we schedule ourselves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.claim import UNKNOWN, Claim
from shared.storage import Conflict, Stores
from tests.integration.storage_values import NOW

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def claim(meeting_key: str = "key-1", **changes: Any) -> Claim:
    facts: dict[str, Any] = {
        "meeting_key": meeting_key,
        "event_id": "event-1",
        "meeting_url": "https://meet.google.com/abc-defg-hij",
        "start": NOW + HOUR,
        "end": NOW + 2 * HOUR,
        "fingerprint": "print",
        "idempotency_key": "intent-1",
    }
    return Claim(**{**facts, **changes})


@pytest.mark.parametrize(
    "stored",
    [
        claim(),
        claim(
            keys=frozenset({"chat", "zoom"}),
            intended_at=NOW,
            bot_id="bot-1",
            time_doubted=True,
            leaving=("bot-2", "bot-3"),
            moving_to="key-2",
            releasing=True,
            due=True,
            next_attempt=NOW,
        ),
        claim(meeting_url=UNKNOWN, fingerprint=UNKNOWN),
        claim(start=datetime.max.replace(tzinfo=UTC), end=datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_what_is_stored_comes_back(stores: Stores, stored: Claim) -> None:
    assert stores.claims.get("key-1") is None
    saved = stores.claims.save(stored)
    assert replace(stored, version=1) == saved == stores.claims.get("key-1")


def test_only_one_of_many_claims_a_meeting(stores: Stores) -> None:
    def take(number: int) -> bool:
        try:
            stores.claims.save(claim(idempotency_key=f"intent-{number}"))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert 1 == sum(pool.map(take, range(8)))


def test_an_older_reading_changes_nothing(stores: Stores) -> None:
    first = stores.claims.save(claim())
    second = stores.claims.save(replace(first, bot_id="bot-1"))
    with pytest.raises(Conflict):
        stores.claims.save(replace(first, bot_id="bot-2"))
    with pytest.raises(Conflict):
        stores.claims.remove(first)
    stores.claims.remove(second)
    assert stores.claims.get("key-1") is None


def test_a_removed_claim_does_not_come_back(stores: Stores) -> None:
    saved = stores.claims.save(claim())
    stores.claims.remove(saved)
    with pytest.raises(Conflict):
        stores.claims.save(saved)


def test_due_claims_come_longest_waiting_first(stores: Stores) -> None:
    for key, due, wait in [("a", True, 2), ("b", True, 1), ("c", True, 3), ("d", False, 0)]:
        stores.claims.save(claim(key, due=due, next_attempt=NOW + wait * HOUR))

    def due_at(now: datetime, limit: int = 10) -> list[str]:
        return [found.meeting_key for found in stores.claims.due(now=now, limit=limit)]

    assert [] == due_at(NOW)
    assert ["b", "a"] == due_at(NOW + 2 * HOUR)
    assert ["b"] == due_at(NOW + 2 * HOUR, limit=1)


def test_a_woken_claim_is_due_and_cannot_be_saved_from_an_older_reading(stores: Stores) -> None:
    assert not stores.claims.wake("key-1", now=NOW)
    saved = stores.claims.save(claim())
    assert stores.claims.wake("key-1", now=NOW)
    (due,) = stores.claims.due(now=NOW, limit=10)
    assert replace(saved, due=True, next_attempt=NOW, version=2) == due
    with pytest.raises(Conflict):
        stores.claims.save(saved)


def test_claims_are_found_by_their_bot(stores: Stores) -> None:
    stores.claims.save(claim("a", bot_id="bot-1"))
    stores.claims.save(claim("b", bot_id="bot-2"))
    stores.claims.save(claim("c"))
    assert ["a"] == [found.meeting_key for found in stores.claims.of_bot("bot-1")]
    assert [] == stores.claims.of_bot("bot-3")


def test_claims_are_found_by_their_start_over_days(stores: Stores) -> None:
    for number in range(5):
        stores.claims.save(claim(f"key-{number}", start=NOW + number * DAY))
    found = stores.claims.starting(start=NOW + DAY, end=NOW + 3 * DAY)
    assert ["key-1", "key-2", "key-3"] == sorted(each.meeting_key for each in found)
    assert [] == stores.claims.starting(start=NOW + timedelta(seconds=1), end=NOW + HOUR)
