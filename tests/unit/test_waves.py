"""Which rows go to Recall at the same time: it answers 409 to parallel calls for one key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from shared.flows.act import CALLS_IN_FLIGHT, _waves

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MEET = "https://meet.google.com/qkr-wzpn-abt"
SAME_ROOM = f"{MEET}?authuser=1"


def row(event_id: str, link: str | None = MEET, start: datetime = NOON) -> Any:
    return SimpleNamespace(event=SimpleNamespace(event_id=event_id, meeting_url=link, start=start))


def waves(*rows: Any) -> list[list[str]]:
    return [[each.event.event_id for each in wave] for wave in _waves(list(rows))]


def test_copies_of_one_meeting_go_one_after_the_other() -> None:
    assert [["a"], ["b"], ["c"]] == waves(row("a"), row("b", SAME_ROOM), row("c"))


def test_other_starts_and_other_rooms_go_together() -> None:
    assert [["a", "b", "c", "d"]] == waves(
        row("a"), row("b", start=NOON + HOUR), row("c", None), row("d", None)
    )


def test_a_wave_holds_as_many_as_may_be_in_flight_nearest_first() -> None:
    many = [row(str(number), None) for number in range(CALLS_IN_FLIGHT + 1)]
    first, second = waves(*many)
    assert [str(number) for number in range(CALLS_IN_FLIGHT)] == first
    assert [str(CALLS_IN_FLIGHT)] == second
