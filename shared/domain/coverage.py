"""Coverage: of the meetings that should have had a bot, how many had one in the call.

A day is counted anew from its rows as long as reports may still come, so counting twice changes
nothing; after that its figures stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from shared.domain.bot_state import Phase, phase_of
from shared.domain.meeting import Assignment
from shared.domain.moment import moment_text, parse_moment

# So long after a day began its figures may change: meetings last, and webhooks come late.
OPEN_FOR: Final = timedelta(days=3)
# Rows are kept for seven days after their end, so what was not counted by then is lost.
COUNTED_BACK: Final = 7
DAYS_KEPT: Final = 35
WEEK: Final = 7
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turnout:
    """What became of one copy that wanted a bot when it ended; copies share their `meeting`."""

    meeting: str
    start: datetime
    end: datetime
    assignment: Assignment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Meetings that are over and wanted a bot, and those of them that had one in the call."""

    should_have_joined: int = 0
    joined: int = 0

    @property
    def missed(self) -> int:
        return self.should_have_joined - self.joined

    @property
    def ratio(self) -> float | None:
        """None when there was nothing to join."""
        return round(self.joined / self.should_have_joined, 4) if self.should_have_joined else None


def coverage_of(turnouts: Iterable[Turnout], *, now: datetime) -> Coverage:
    """Each meeting counts once, however many copies it has, and only when it is over."""
    meetings: dict[str, bool] = {}
    for each in turnouts:
        if each.end <= now:
            meetings[each.meeting] = meetings.get(each.meeting, False) or was_in(each.assignment)
    return Coverage(should_have_joined=len(meetings), joined=sum(meetings.values()))


def was_in(assignment: Assignment | None) -> bool:
    """Whether a bot was in its call: it said so, recorded, or left without having been missed."""
    if assignment is None:
        return False
    if assignment.recording is not None:
        return True
    return assignment.missed is None and phase_of(assignment.state) >= Phase.IN_CALL


def days_to_count(document: Mapping[str, Any] | None, *, now: datetime) -> list[date]:
    """The UTC days whose figures may still change, or were never counted to the end."""
    today = now.astimezone(UTC).date()
    days = [today - back * DAY for back in range(COUNTED_BACK)]
    return [day for day in days if not _is_final(document, day)]


def counted(
    document: Mapping[str, Any] | None, found: Mapping[date, Coverage], *, now: datetime
) -> dict[str, Any]:
    """The JSON that is stored: figures per day, the last DAYS_KEPT of them."""
    fresh = {
        day.isoformat(): {
            "should_have_joined": coverage.should_have_joined,
            "joined": coverage.joined,
            "counted_at": moment_text(now),
        }
        for day, coverage in found.items()
    }
    days = {**_days(document), **fresh}
    kept = sorted(days)[-DAYS_KEPT:]
    return {"counted_at": moment_text(now), "days": {day: days[day] for day in kept}}


def coverage_between(document: Mapping[str, Any] | None, *, first: date, last: date) -> Coverage:
    """The sum of the days from first to last; days that nobody counted had no meetings."""
    days = [
        stored
        for day, stored in _days(document).items()
        if first <= date.fromisoformat(day) <= last
    ]
    return Coverage(
        should_have_joined=sum(int(day["should_have_joined"]) for day in days),
        joined=sum(int(day["joined"]) for day in days),
    )


def _days(document: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return document["days"] if document else {}


def _is_final(document: Mapping[str, Any] | None, day: date) -> bool:
    stored = _days(document).get(day.isoformat())
    counted_at = parse_moment(stored["counted_at"]) if stored else None
    begun = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return counted_at is not None and counted_at >= begun + OPEN_FOR
