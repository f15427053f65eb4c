"""Coverage: what counts as joined, which days are counted, and that counting repeats."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from shared.domain.coverage import (
    DAYS_KEPT,
    Coverage,
    Turnout,
    counted,
    coverage_between,
    coverage_of,
    days_to_count,
    was_in,
)
from shared.domain.meeting import Assignment

NOW = datetime(2027, 3, 10, 12, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)


def assignment(state: str = "done", **changes: Any) -> Assignment:
    return Assignment(
        bot_id="bot",
        deduplication_key="key",
        fingerprint="print",
        join_at=NOW,
        state=state,
        **changes,
    )


def turnout(meeting: str, *, joined: bool, end: datetime = NOW) -> Turnout:
    return Turnout(meeting=meeting, start=end, end=end, assignment=assignment() if joined else None)


@pytest.mark.parametrize(
    ("there", "bot"),
    [
        (False, None),
        (False, assignment("scheduled")),
        (False, assignment("in_waiting_room")),
        (False, assignment("absent", missed="bot_not_joined")),
        (False, assignment("done", missed="bot_not_admitted")),
        (False, assignment("fatal", missed="bot_failed")),
        (True, assignment("in_call_recording")),
        (True, assignment("call_ended")),
        (True, assignment("fatal")),
        (True, assignment("absent", missed="bot_not_joined", recording="done")),
    ],
)
def test_a_bot_was_in_when_it_says_so(there: bool, bot: Assignment | None) -> None:
    assert there is was_in(bot)


def test_nothing_to_join_has_no_ratio() -> None:
    nothing = coverage_of([], now=NOW)
    assert (0, 0, None) == (nothing.should_have_joined, nothing.missed, nothing.ratio)


def test_copies_of_a_meeting_count_once_and_one_bot_is_enough() -> None:
    found = coverage_of(
        [
            turnout("a", joined=False),
            turnout("a", joined=True),
            turnout("b", joined=False),
            turnout("b", joined=False),
            turnout("c", joined=True),
        ],
        now=NOW,
    )
    assert (3, 2, 1, 0.6667) == (
        found.should_have_joined,
        found.joined,
        found.missed,
        found.ratio,
    )


def test_what_is_not_over_does_not_count_yet() -> None:
    later = turnout("a", joined=True, end=NOW + timedelta(seconds=1))
    assert Coverage() == coverage_of([later], now=NOW)


def test_the_first_count_covers_the_days_that_rows_reach() -> None:
    assert [TODAY - back * DAY for back in range(7)] == days_to_count(None, now=NOW)


def test_a_day_is_counted_until_three_days_after_it_began() -> None:
    document = None
    for hour in range(10 * 24):
        now = NOW + timedelta(hours=hour)
        found = dict.fromkeys(days_to_count(document, now=now), Coverage())
        document = counted(document, found, now=now)
    assert [now.date() - back * DAY for back in range(3)] == days_to_count(document, now=now)


def test_days_that_nobody_counted_to_the_end_are_counted_late() -> None:
    document = counted(None, {TODAY: Coverage()}, now=NOW)
    later = NOW + 5 * DAY
    assert TODAY in days_to_count(document, now=later)
    assert TODAY not in days_to_count(document, now=NOW + 7 * DAY)


def test_counting_again_replaces_and_never_adds() -> None:
    coverage = Coverage(should_have_joined=3, joined=2)
    once = counted(None, {TODAY: coverage}, now=NOW)
    assert once == counted(once, {TODAY: coverage}, now=NOW)
    assert coverage == coverage_between(once, first=TODAY, last=TODAY)


def test_days_sum_up_from_first_to_last() -> None:
    days = {date(2027, 3, day): Coverage(should_have_joined=day, joined=1) for day in range(1, 10)}
    document = counted(None, days, now=NOW)
    first, last = date(2027, 3, 2), date(2027, 3, 4)
    assert Coverage(should_have_joined=9, joined=3) == coverage_between(
        document, first=first, last=last
    )
    assert Coverage() == coverage_between(None, first=first, last=last)


def test_old_days_go() -> None:
    days = {TODAY - back * DAY: Coverage() for back in range(DAYS_KEPT + 5)}
    kept = counted(None, days, now=NOW)["days"]
    assert (DAYS_KEPT, TODAY.isoformat()) == (len(kept), max(kept))
