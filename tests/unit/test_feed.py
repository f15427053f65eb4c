"""The cursor's overlap, which doorbells a sweep has answered, and the gaps between sweeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.feed import CLOCK_MARGIN, OVERLAP, covered, cursor_after, next_sweep_at

SWEPT = datetime(2027, 3, 1, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
INSTANT = timedelta(microseconds=1)


def test_the_cursor_stays_two_minutes_behind_the_list() -> None:
    assert SWEPT - timedelta(minutes=2) == cursor_after(SWEPT)
    assert timedelta(minutes=2) == OVERLAP


@pytest.mark.parametrize(
    ("received_at", "expected"),
    [
        (SWEPT - 10 * SECOND, True),
        (SWEPT - CLOCK_MARGIN - INSTANT, True),
        (SWEPT - CLOCK_MARGIN, False),
        (SWEPT - SECOND, False),
        (SWEPT, False),
        (SWEPT + SECOND, False),
    ],
)
def test_a_doorbell_well_before_the_sweep_is_answered(
    received_at: datetime, *, expected: bool
) -> None:
    assert expected == covered(received_at, swept_at=SWEPT)


def test_nothing_is_answered_before_the_first_sweep() -> None:
    assert not covered(SWEPT, swept_at=None)
    assert next_sweep_at(None, crowded=True) is None


@given(st.integers(-600, 600), st.floats(0, 5))
def test_a_bell_that_rang_after_the_sweep_began_is_never_lost(ahead: int, skew: float) -> None:
    """However the clocks differ, as long as they differ by less than the margin."""
    rang = SWEPT + timedelta(seconds=ahead)
    told = rang - timedelta(seconds=skew)
    if rang >= SWEPT:
        assert not covered(told, swept_at=SWEPT)


@pytest.mark.parametrize(("crowded", "seconds"), [(False, 2), (True, 10)])
def test_sweeps_keep_a_distance(*, crowded: bool, seconds: int) -> None:
    assert SWEPT + seconds * SECOND == next_sweep_at(SWEPT, crowded=crowded)


def test_crowds_leave_room_in_the_minute() -> None:
    """60 Lists a minute are all there is, for the reconciler too."""
    gap = next_sweep_at(SWEPT, crowded=False)
    assert gap is not None
    assert timedelta(minutes=1) / (gap - SWEPT) <= 30
