"""One running copy of a Lambda function, and the wire through which it reaches everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from greenlet import getcurrent

from tests.simulation.hub import Hub

T = TypeVar("T")

FREEZE: Final = timedelta(minutes=1)


class Killed(BaseException):
    """The process is gone; nothing catches this."""


class Fate(Enum):
    """What becomes of one call."""

    WELL = auto()
    REFUSED = auto()
    """Turned away politely: nothing done."""
    LOST = auto()
    """Never arrived: nothing done, and no answer."""
    UNHEARD = auto()
    """Done, but the answer never came back."""
    DIES_BEFORE = auto()
    DIES_AFTER = auto()


class Io(NamedTuple):
    """One call over the wire: `system` is dynamodb, recall, provider, sqs, events, ..."""

    function: str
    number: int
    system: str
    operation: str
    stale: bool
    """The first call to the system after the process was frozen for a while."""


class Weather(Protocol):
    """Decides how long a call takes, in seconds, and what becomes of it."""

    def latency(self, io: Io) -> float: ...

    def fate(self, io: Io) -> Fate: ...


class Process:
    """A function's process from its cold start to its death; it serves one event at a time."""

    def __init__(
        self, function: str, *, hub: Hub, weather: Weather, ahead: timedelta, timeout: float
    ) -> None:
        self.function = function
        self.busy = False
        self.alive = True
        self.service: Any = None
        self.calls = 0
        self._hub = hub
        self._weather = weather
        self._ahead = ahead
        self._timeout = timedelta(seconds=timeout)
        self._deadline: datetime | None = None
        self._last_seen: dict[str, datetime] = {}

    def now(self) -> datetime:
        """What the clock of this machine shows."""
        return self._hub.clock.now() + self._ahead

    def serve(self, work: Callable[[], T]) -> T:
        """One invocation; raises Killed when the process dies or its time is over."""
        self.busy = True
        self._deadline = self._hub.clock.now() + self._timeout
        # Where the libraries below find out on whose behalf they call.
        me: Any = getcurrent()
        me.process = self
        try:
            return work()
        except Killed:
            self.alive = False
            raise
        finally:
            self._deadline = None
            self.busy = False

    def seconds_left(self) -> float:
        return (self._deadline - self._hub.clock.now()).total_seconds() if self._deadline else 0.0

    def through(
        self,
        system: str,
        operation: str,
        effect: Callable[[], T],
        *,
        failure: Callable[[Fate], T],
    ) -> T:
        """One call to the world outside; `failure` raises, or answers, what is not well."""
        if not self.alive:
            raise self._death()
        io = self._io(system, operation)
        self._hub.sleep(self._weather.latency(io))
        if self._deadline is None or self._deadline <= self._hub.clock.now():
            raise self._death()
        match self._weather.fate(io):
            case Fate.WELL:
                return effect()
            case Fate.UNHEARD:
                effect()
                return failure(Fate.UNHEARD)
            case Fate.REFUSED | Fate.LOST as fate:
                return failure(fate)
            case Fate.DIES_AFTER:
                effect()
        raise self._death()

    def _io(self, system: str, operation: str) -> Io:
        self.calls += 1
        now = self._hub.clock.now()
        last, self._last_seen[system] = self._last_seen.get(system), now
        return Io(
            function=self.function,
            number=self.calls,
            system=system,
            operation=operation,
            stale=last is not None and now - last > FREEZE,
        )

    def _death(self) -> Killed:
        self.alive = False
        return Killed()


def process_of_task() -> Process | None:
    """Whose call it is; None: the world's own, which always goes well."""
    return getattr(getcurrent(), "process", None)


class InTurn(Executor):
    """Does at once what threads would do together, in the order of asking."""

    def __init__(self, _at_once: int) -> None:
        """Takes what ThreadPoolExecutor takes."""

    def map(  # type: ignore[override]
        self, fn: Callable[..., T], *iterables: Iterable[Any]
    ) -> Iterator[T]:
        """As with threads, one that fails stops none of the others."""
        return _told([_done(fn, given) for given in zip(*iterables, strict=False)])


def _done(fn: Callable[..., T], given: tuple[Any, ...]) -> tuple[T | None, Exception | None]:
    try:
        return fn(*given), None
    except Exception as error:  # noqa: BLE001  handed on to whoever asks for the result
        return None, error


def _told(outcomes: Iterable[tuple[Any, Exception | None]]) -> Iterator[Any]:
    for result, error in outcomes:
        if error is not None:
            raise error
        yield result
