"""Weekly hours in the time zone of a meeting, by the clock on the wall there."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.domain.rules import Weekday, Window

_WEEKDAYS = tuple(Weekday)


def is_within(windows: tuple[Window, ...], moment: datetime, *, zone: str | None) -> bool:
    """Whether the moment falls into a window; without a known `zone` (IANA name) in UTC.

    A window that ends before it starts, or as it starts, goes on into the next day.
    """
    local = local_time(moment, zone=zone)
    return any(_holds(window, local) for window in windows)


def _holds(window: Window, local: datetime) -> bool:
    today = _WEEKDAYS[local.weekday()] in window.days
    clock = local.time()
    if window.start < window.end:
        return today and window.start <= clock < window.end
    yesterday = _WEEKDAYS[local.weekday() - 1] in window.days
    return (today and window.start <= clock) or (yesterday and clock < window.end)


def local_time(moment: datetime, *, zone: str | None) -> datetime:
    """By the clock on the wall there; without a known zone in UTC."""
    try:
        return moment.astimezone(_zone(zone))
    except OverflowError:
        # The ends of the calendar have no neighbours.
        return moment


@lru_cache(maxsize=1_024)
def _zone(name: str | None) -> tzinfo:
    try:
        return UTC if name is None else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC
