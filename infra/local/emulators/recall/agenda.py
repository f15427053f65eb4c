"""What is going to happen: callables with a due time, in order."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime

Job = Callable[[], None]


class Agenda:
    """A heap of jobs; jobs of one moment run in the order in which they were added."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Job]] = []
        self._numbers = itertools.count()

    def add(self, due: datetime, job: Job) -> None:
        heapq.heappush(self._heap, (due, next(self._numbers), job))

    def next_due(self) -> datetime | None:
        return self._heap[0][0] if self._heap else None

    def pop(self, now: datetime) -> tuple[datetime, Job] | None:
        """The first job that is due, or None."""
        if not self._heap or self._heap[0][0] > now:
            return None
        due, _, job = heapq.heappop(self._heap)
        return due, job
