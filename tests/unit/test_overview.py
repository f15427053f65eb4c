"""The overview counts meetings by hour, each once."""

from __future__ import annotations

from datetime import timedelta

from shared.domain.coverage import Turnout
from shared.domain.overview import (
    Overview,
    days_around,
    hours_ahead,
    hours_behind,
    overview_document,
    overview_from,
)
from tests.unit.core_values import NOW
from tests.unit.test_coverage import assignment

HOUR = timedelta(hours=1)


def turnout(meeting: str, *, hours: float, bot: bool) -> Turnout:
    start = NOW + hours * HOUR
    return Turnout(
        meeting=meeting, start=start, end=start + HOUR, assignment=assignment() if bot else None
    )


def test_copies_of_a_meeting_count_once_and_one_bot_is_enough() -> None:
    copies = [turnout("a", hours=2, bot=False), turnout("a", hours=2, bot=True)]
    (found,) = [hour for hour in hours_ahead(copies, now=NOW) if hour.wanted]

    assert (1, 1) == (found.wanted, found.good)


def test_hours_reach_a_day_each_way() -> None:
    every = [turnout(str(hours), hours=hours, bot=False) for hours in range(-30, 31)]

    assert 24 == sum(hour.wanted for hour in hours_ahead(every, now=NOW))
    assert 24 == sum(hour.wanted for hour in hours_behind(every, now=NOW))
    assert 0 == sum(hour.good for hour in hours_behind(every, now=NOW))
    assert len(days_around(NOW)) == 3


def test_what_is_stored_is_read_again() -> None:
    overview = Overview(
        counted_at=NOW,
        calendars={"connected": 3},
        ahead=hours_ahead([turnout("a", hours=1, bot=True)], now=NOW),
        behind=(),
        set_aside=2,
    )

    assert overview == overview_from(overview_document(overview))
    assert overview_from(None) is None
