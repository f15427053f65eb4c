"""Virtual time and everybody who lives in it: one thread, one order of events, no real waiting."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

import time_machine
from greenlet import getcurrent, greenlet

from infra.local.emulators.clock import VirtualClock

TURNS_MAX = 2_000_000
WALL_STEP = timedelta(milliseconds=500)


class Hub:
    """Runs tasks in turns; a task gives way only where it sleeps, so a run can be repeated.

    `on_crash` gets what a task died of; by default it goes up to whoever runs the hub.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self._agenda: list[tuple[datetime, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._main = getcurrent()
        self._until = clock.now()
        self._turns = 0
        self._wall: time_machine.Traveller | None = None
        self._shown = clock.now()

    def at(self, moment: datetime, do: Callable[[], object]) -> None:
        heapq.heappush(self._agenda, (moment, next(self._numbers), do))

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        self.at(self.clock.now() + timedelta(seconds=seconds), do)

    def spawn(self, task: Callable[[], object]) -> None:
        """Start a task, which may sleep, as soon as those before it have had their turn."""
        self.after(0, greenlet(task, self._main).switch)

    def sleep(self, seconds: float) -> None:
        """Let others have their turn; may be called from a task only."""
        me = getcurrent()
        if me is self._main:
            raise RuntimeError("only a task can sleep")
        moment = self.clock.now() + timedelta(seconds=seconds)
        if moment > self._until or (self._agenda and self._agenda[0][0] <= moment):
            self.at(moment, me.switch)
            self._main.switch()
        else:
            # Nobody else has a turn before.
            self._pass_to(moment)

    def wait_for(self, is_so: Callable[[], bool], *, seconds: float, step: float = 1.0) -> bool:
        """Sleep until something is so, at most so long; answers whether it is."""
        for _ in range(int(seconds / step) + 1):
            if is_so():
                return True
            self.sleep(step)
        return is_so()

    def run(self, until: datetime) -> None:
        """Let everything happen that is due by then; libraries see the same time on the wall."""
        self._until, self._turns, self._shown = until, 0, self.clock.now()
        with time_machine.travel(self._shown, tick=False) as self._wall:
            while self._agenda and self._agenda[0][0] <= until:
                moment, _, do = heapq.heappop(self._agenda)
                self._pass_to(moment)
                do()
        self.clock.advance_to(until)

    def _pass_to(self, moment: datetime) -> None:
        self._turns += 1
        if self._turns > TURNS_MAX:
            raise AssertionError("the world does not come to rest")
        now = self.clock.advance_to(moment)
        # Nobody looks at the wall's clock more closely.
        if self._wall is not None and now - self._shown >= WALL_STEP:
            self._wall.shift(now - self._shown)
            self._shown = now
