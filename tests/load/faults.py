"""The seeded plan of what goes wrong when, and the switches that make it so."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from infra.local.emulators.http import Request, Response
from infra.local.emulators.recall import RecallWorld

# Longer than the client waits for an answer: the effect comes without one.
TIMEOUT_SECONDS = 11.0
RECOVERY_SECONDS = 30.0
WINDOW_SECONDS = 60.0

KINDS = (
    "lost webhooks",
    "doubled webhooks",
    "reordered webhooks",
    "429",
    "500",
    "507",
    "timeouts",
    "slow answers",
)
STRAYING = KINDS[:3]
OUTAGE = "outage"


@dataclass(frozen=True, slots=True)
class Window:
    """Seconds of the run in which one thing is broken."""

    kind: str
    begins: float
    ends: float


def plan(
    seed: int, *, spans: list[tuple[float, float]], outage: tuple[float, float]
) -> list[Window]:
    """Each kind in each span, in an order of chance, with pauses; the outage where it is told."""
    chance = random.Random(seed)
    windows = [Window(OUTAGE, *outage)]
    for begins, ends in spans:
        kinds = chance.sample(KINDS, len(KINDS))
        place = (ends - begins) / len(kinds)
        for number, kind in enumerate(kinds):
            start = begins + place * (number + chance.uniform(0.05, 0.3))
            windows.append(Window(kind, start, start + place * chance.uniform(0.4, 0.6)))
    return sorted(windows, key=lambda each: each.begins)


class Faults:
    """Turns faults on and off in a running Recall; counts every call at its door."""

    def __init__(self, world: RecallWorld, *, seed: int) -> None:
        self.asked: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.spans: list[tuple[str, float, float | None]] = []
        self._world = world
        self._chance = random.Random(seed)
        self._recent: dict[str, deque[float]] = {}
        self._on: set[str] = set()
        self._lock = threading.Lock()
        world.fault = self._fault
        world.latency = self._wait

    @property
    def on(self) -> set[str]:
        return set(self._on)

    def turn_on(self, kind: str) -> None:
        with self._lock:
            self._on.add(kind)
            self.spans.append((kind, time.monotonic(), None))
        if kind == "507":
            self._world.ad_hoc_free = 0

    def turn_off(self, kind: str) -> None:
        with self._lock:
            self._on.discard(kind)
            self.spans = [
                (name, begun, time.monotonic() if name == kind and ended is None else ended)
                for name, begun, ended in self.spans
            ]
        if kind == "507":
            self._world.ad_hoc_free = None
        if kind in STRAYING:
            with self._world.core.lock:
                self._world.webhooks.calm()

    def stir(self) -> None:
        """Called each second: let some of the coming webhooks go astray."""
        outbox = self._world.webhooks
        with self._world.core.lock:
            if "lost webhooks" in self._on:
                outbox.lose(3, event="calendar.sync_events")
            if "doubled webhooks" in self._on:
                outbox.duplicate(3)
            if "reordered webhooks" in self._on:
                outbox.reorder(6)

    def touched(self, begun: float, ended: float) -> bool:
        """Whether something was broken then, or shortly before."""
        return any(
            start < ended and begun < (end or time.monotonic()) + RECOVERY_SECONDS
            for _, start, end in list(self.spans)
        )

    def _fault(self, operation: str) -> Response | None:
        """Under the world's lock, before anything else: so this count misses no call."""
        self._count(operation)
        answer = self._answer()
        if answer is not None:
            self.answered[str(answer.status)] += 1
        return answer

    def _count(self, operation: str) -> None:
        now = time.monotonic()
        recent = self._recent.setdefault(operation, deque())
        while recent and recent[0] <= now - WINDOW_SECONDS:
            recent.popleft()
        recent.append(now)
        self.asked[operation] += 1
        self.most[operation] = max(self.most[operation], len(recent))

    def _answer(self) -> Response | None:
        if OUTAGE in self._on:
            return Response(status=503, body=b"<html>down</html>")
        if "429" in self._on and self._chance.random() < 0.3:
            wait = str(self._chance.randint(1, 5))
            return _refusal(429, headers={"Retry-After": wait})
        if "500" in self._on and self._chance.random() < 0.3:
            return _refusal(500)
        return None

    def _wait(self, request: Request) -> None:
        """Outside the world's lock, before the effect."""
        if "timeouts" in self._on and self._chance.random() < 0.08:
            self.answered["timeout"] += 1
            time.sleep(TIMEOUT_SECONDS)
        elif "slow answers" in self._on:
            self.answered["slow"] += 1
            time.sleep(self._chance.uniform(0.2, 1.0))


def _refusal(status: int, *, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps({"detail": "emulated"}).encode()
    return Response(
        status=status, headers={"Content-Type": "application/json", **(headers or {})}, body=body
    )


def follow(
    faults: Faults,
    windows: list[Window],
    *,
    elapsed: Callable[[], float],
    stopping: threading.Event,
) -> None:
    """Carry out the plan until told to stop; then everything works again."""
    on: set[Window] = set()
    while not stopping.wait(1.0):
        now = elapsed()
        for window in windows:
            if window.begins <= now < window.ends and window not in on:
                on.add(window)
                faults.turn_on(window.kind)
            elif now >= window.ends and window in on:
                on.discard(window)
                faults.turn_off(window.kind)
        faults.stir()
    for window in on:
        faults.turn_off(window.kind)
