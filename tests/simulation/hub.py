"""Virtual time and everybody who lives in it: one thread, one order of events, no real waiting."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

import time_machine
from greenlet import getcurrent, greenlet

from infra.local.emulators.clock import VirtualClock

EVENTS_MAX = 2_000_000
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
        self.after(seconds, me.switch)
        self._main.switch()

    def wait_for(self, is_so: Callable[[], bool], *, seconds: float, step: float = 1.0) -> bool:
        """Sleep until something is so, at most so long; answers whether it is."""
        for _ in range(int(seconds / step) + 1):
            if is_so():
                return True
            self.sleep(step)
        return is_so()

    def run(self, until: datetime) -> None:
        """Let everything happen that is due by then; libraries see the same time on the wall."""
        with time_machine.travel(self.clock.now(), tick=False) as wall:
            shown = self.clock.now()
            for _ in range(EVENTS_MAX):
                if not self._agenda or self._agenda[0][0] > until:
                    self.clock.advance_to(until)
                    return
                moment, _, do = heapq.heappop(self._agenda)
                now = self.clock.advance_to(moment)
                # Moving the wall's clock is dear, and nobody looks at it more closely.
                if now - shown >= WALL_STEP:
                    wall.move_to(now)
                    shown = now
                do()
        raise AssertionError("the world does not come to rest")
