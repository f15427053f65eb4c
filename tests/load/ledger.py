"""Looks at the emulated Recall and the machine while the load goes on, and remembers."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from infra.local.emulators.recall import Call, Delivery, RecallWorld
from infra.local.watch import LIST_EVENTS
from tests.load.clients import Answer
from tests.load.faults import Faults

LOOK_SECONDS = 0.25
STATUS = Path("/proc/self/status")
WEBHOOKS = "POST /webhooks/recall"

Bots = dict[str, list[tuple[datetime, str]]]


@dataclass(slots=True, kw_only=True)
class Awaited:
    """A change whose effect is still to come: a bot at that time, or none (`start` None)."""

    since: float
    start: datetime | None
    phase: str


@dataclass(slots=True, kw_only=True)
class Reaction:
    """How long an effect took; `clear`: nothing was broken meanwhile or just before."""

    seconds: float
    phase: str
    clear: bool


@dataclass(slots=True)
class Requests:
    """Every answer that came back over HTTP, by route."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    forbidden: Counter[str] = field(default_factory=Counter)
    total: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, answer: Answer) -> None:
        with self._lock:
            self.total += 1
            self.seconds[answer.route].append(answer.seconds)
            self.statuses[answer.route][answer.status] += 1
            if not answer.allowed:
                self.forbidden[f"{answer.route}: {answer.status} {answer.code}".strip()] += 1


class Ledger:
    """Snapshots of the live bots, reactions, webhooks and what they were answered."""

    def __init__(self, world: RecallWorld, faults: Faults) -> None:
        self.requests = Requests()
        self.reactions: list[Reaction] = []
        self.doubles: set[str] = set()
        self.accepted: list[float] = []
        self.phase = ""
        self._world = world
        self._faults = faults
        self._awaited: dict[str, Awaited] = {}
        self._lock = threading.Lock()
        self._deliver = world.webhooks.deliver
        world.webhooks.deliver = self._delivered

    def await_bot(self, link: str, start: datetime | None) -> None:
        """From now on there should be a bot for the link at that time, or none."""
        with self._lock:
            self._awaited[link] = Awaited(since=time.monotonic(), start=start, phase=self.phase)

    def forget(self, link: str) -> None:
        with self._lock:
            self._awaited.pop(link, None)

    def bots(self) -> Bots:
        """Live bots by link: when they join, and what they do."""
        found: Bots = defaultdict(list)
        with self._world.core.lock:
            self._world.core.settle()
            for bot in self._world.bots.values():
                if bot.live:
                    found[bot.meeting_url].append((bot.join_at, bot.state))
        return found

    def look(self) -> None:
        """One snapshot: which effects have come, and whether any meeting has two bots."""
        bots = self.bots()
        self.doubles.update(link for link, found in bots.items() if _has_double(found))
        now = time.monotonic()
        with self._lock:
            for link, awaited in list(self._awaited.items()):
                starts = [start for start, _ in bots.get(link, ())]
                if starts == ([] if awaited.start is None else [awaited.start]):
                    del self._awaited[link]
                    self._note(awaited, now)

    def _note(self, awaited: Awaited, now: float) -> None:
        clear = not self._faults.touched(awaited.since, now)
        self.reactions.append(
            Reaction(seconds=now - awaited.since, phase=awaited.phase, clear=clear)
        )

    def _delivered(self, delivery: Delivery) -> int:
        if self._deliver is None:
            raise AssertionError("the local host delivers webhooks")
        began = time.monotonic()
        try:
            status = self._deliver(delivery)
        except OSError as error:
            took = time.monotonic() - began
            self.requests.note(Answer(WEBHOOKS, 0, took, code=type(error).__name__))
            raise
        now = time.monotonic()
        # The vendor repeats after a 503 without being told when.
        self.requests.note(Answer(WEBHOOKS, status, now - began, retry_after="5"))
        if 200 <= status < 300:
            self.accepted.append(now)
        return status


def _has_double(found: list[tuple[datetime, str]]) -> bool:
    """Whether two bots of one room are for the same time."""
    starts = [start for start, _ in found]
    return len(set(starts)) < len(starts)


def is_feed_list(call: Call) -> bool:
    """A List of what changed in the whole workspace, as doorbells and ticks cause."""
    query = parse_qs(urlsplit(call.url).query)
    return (
        call.endpoint == LIST_EVENTS and "calendar_id" not in query and "updated_at__gte" in query
    )


def memory_megabytes() -> float:
    """Resident memory now; where the system does not tell, the most there ever was."""
    if STATUS.exists():
        line = next(row for row in STATUS.read_text().splitlines() if row.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)


def keep_looking(look: Callable[[], None], stopping: threading.Event) -> None:
    while not stopping.wait(LOOK_SECONDS):
        look()
