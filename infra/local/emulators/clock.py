"""Clocks: one that a test moves, one that runs by itself, and one that runs and can be jumped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time as an aware UTC datetime."""

    def now(self) -> datetime: ...


class VirtualClock:
    """Stands still until somebody advances it."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, delta: timedelta) -> datetime:
        """Move forward by `delta` and return the new time; a clock never goes back."""
        if delta < timedelta(0):
            raise ValueError("a clock never goes back")
        self._now += delta
        return self._now

    def advance_to(self, moment: datetime) -> datetime:
        """Move forward to `moment`; a moment that is past already changes nothing."""
        if moment > self._now:
            self._now = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
        return self._now


class RealClock:
    """The clock on the wall."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class JumpingClock:
    """The clock on the wall, put forward by whatever it was advanced by."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def advance(self, delta: timedelta) -> datetime:
        """Jump forward by `delta` and return the new time; a clock never goes back."""
        if delta < timedelta(0):
            raise ValueError("a clock never goes back")
        self.ahead += delta
        return self.now()


def datetime_by(clock: Clock) -> type[datetime]:
    """`datetime` as the standard library has it, but for `now`, which asks the clock."""

    class Told(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return clock.now().astimezone(tz)

    return Told
