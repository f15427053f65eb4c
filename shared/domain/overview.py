"""The overview: a few figures counted every some minutes, so that a page need not count them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from shared.domain.coverage import Turnout, was_in
from shared.domain.moment import moment_text, parse_moment

HOUR: Final = timedelta(hours=1)
HOURS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """Meetings that begin in the hour from `start` and want a bot; `good` have, or had, one."""

    start: datetime
    wanted: int = 0
    good: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """`ahead`: bots of the next 24 hours; `behind`: what became of the last 24, over or running.

    `set_aside` counts meetings that Recall refused, at most as many as one page holds.
    """

    counted_at: datetime
    calendars: Mapping[str, int]
    ahead: tuple[Hour, ...]
    behind: tuple[Hour, ...]
    set_aside: int


def days_around(now: datetime) -> list[date]:
    """The UTC days that hold the last and the next 24 hours."""
    first = _hour(now - HOURS * HOUR).date()
    last = (_hour(now) + HOURS * HOUR).date()
    return [first + timedelta(days=each) for each in range((last - first).days + 1)]


def hours_ahead(turnouts: Iterable[Turnout], *, now: datetime) -> tuple[Hour, ...]:
    """The hour of `now` and the 23 after it; good is who has a bot on its way."""
    known = ((each, each.assignment is not None) for each in turnouts)
    return _counted(known, first=_hour(now))


def hours_behind(turnouts: Iterable[Turnout], *, now: datetime) -> tuple[Hour, ...]:
    """The 24 hours before the one of `now`; good is who had a bot in the call."""
    known = ((each, was_in(each.assignment)) for each in turnouts)
    return _counted(known, first=_hour(now) - HOURS * HOUR)


def overview_document(overview: Overview) -> dict[str, Any]:
    return {
        "counted_at": moment_text(overview.counted_at),
        "calendars": dict(overview.calendars),
        "ahead": [_hour_map(hour) for hour in overview.ahead],
        "behind": [_hour_map(hour) for hour in overview.behind],
        "set_aside": overview.set_aside,
    }


def overview_from(document: Mapping[str, Any] | None) -> Overview | None:
    """What was stored, or None before the first count."""
    counted_at = parse_moment(document["counted_at"]) if document else None
    if document is None or counted_at is None:
        return None
    return Overview(
        counted_at=counted_at,
        calendars={status: int(count) for status, count in document["calendars"].items()},
        ahead=tuple(_hour_from(each) for each in document["ahead"]),
        behind=tuple(_hour_from(each) for each in document["behind"]),
        set_aside=int(document["set_aside"]),
    )


def _counted(known: Iterable[tuple[Turnout, bool]], *, first: datetime) -> tuple[Hour, ...]:
    """Each meeting counts once, however many copies it has."""
    meetings: dict[str, tuple[int, bool]] = {}
    for turnout, good in known:
        place = int((turnout.start - first) // HOUR)
        if 0 <= place < HOURS:
            before = meetings.get(turnout.meeting, (place, False))
            meetings[turnout.meeting] = (place, before[1] or good)
    found = list(meetings.values())
    return tuple(
        Hour(
            start=first + place * HOUR,
            wanted=sum(at == place for at, _ in found),
            good=sum(at == place and good for at, good in found),
        )
        for place in range(HOURS)
    )


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _hour_map(hour: Hour) -> dict[str, Any]:
    return {"start": moment_text(hour.start), "wanted": hour.wanted, "good": hour.good}


def _hour_from(stored: Mapping[str, Any]) -> Hour:
    return Hour(
        start=datetime.fromisoformat(stored["start"]),
        wanted=int(stored["wanted"]),
        good=int(stored["good"]),
    )
