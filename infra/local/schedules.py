"""The clock of EventBridge Scheduler, scaled: moto stores schedules and never fires them."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from infra.local.emulators.clock import Clock, RealClock
from infra.local.template import Schedule

MINUTE_SECONDS = 60.0
LOOK_SECONDS = 0.25
JUMPED = timedelta(minutes=1)

Fire = Callable[[Schedule, str], None]


class ScheduleClock:
    """Fires each schedule when its period is over; `scale` 0.1 makes a minute six seconds long.

    As in EventBridge, nothing fires at the start: the first time is one period later. When the
    clock jumps, what came due meanwhile fires once.
    """

    def __init__(
        self,
        schedules: tuple[Schedule, ...],
        *,
        scale: float,
        fire: Fire,
        clock: Clock | None = None,
    ) -> None:
        self._fire = fire
        self._clock = clock or RealClock()
        self._stopping = threading.Event()
        self._paused = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(schedule, schedule.period_seconds * scale),
                name=f"schedule-{schedule.name}",
            )
            for schedule in schedules
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing fires meanwhile, and what was due then is left out."""
        self._paused.set()
        try:
            yield
        finally:
            self._paused.clear()

    def _run(self, schedule: Schedule, period_seconds: float) -> None:
        due = self._clock.now() + timedelta(seconds=period_seconds)
        while not self._stopping.wait(self._rest(due)):
            late = self._clock.now() - due
            if late < timedelta():
                continue
            if late > JUMPED:
                due = self._clock.now()
            if not self._paused.is_set():
                self._fire(schedule, payload(schedule, due))
            due += timedelta(seconds=period_seconds)

    def _rest(self, due: datetime) -> float:
        """Seconds until then, or until it is time to see whether the clock has jumped."""
        return min((due - self._clock.now()).total_seconds(), LOOK_SECONDS)


def payload(schedule: Schedule, scheduled_at: datetime) -> str:
    """The input of one firing, with the context attributes of EventBridge Scheduler filled in."""
    attributes = {
        # Not cut to seconds as AWS does: with a scaled clock two ticks may share a second.
        "scheduled-time": scheduled_at.isoformat().replace("+00:00", "Z"),
        "execution-id": str(uuid.uuid4()),
        "attempt-number": "1",
        "schedule-arn": f"arn:aws:scheduler:::schedule/default/{schedule.name}",
    }
    text = schedule.input_text
    if text is None:
        return json.dumps({"time": attributes["scheduled-time"], "source": "aws.scheduler"})
    for name, value in attributes.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text
