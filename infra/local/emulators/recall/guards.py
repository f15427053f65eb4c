"""What stands before the API: the sliding-window limits and the idempotency store."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from infra.local.emulators.http import Response

WINDOW = timedelta(seconds=60)
IDEMPOTENCY_LIFE = timedelta(hours=1)


class Throttle:
    """At most `limits[endpoint]` served calls in any 60 s; refused calls do not count."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limits = dict(limits)
        self._served: dict[str, deque[datetime]] = {}

    def enter(self, endpoint: str, now: datetime) -> int | None:
        """None when the call may pass, else whole seconds to wait (at least 1)."""
        served = self._served.setdefault(endpoint, deque())
        while served and served[0] <= now - WINDOW:
            served.popleft()
        if len(served) >= self.limits[endpoint]:
            if not served:
                return math.ceil(WINDOW.total_seconds())
            return max(1, math.ceil((served[0] + WINDOW - now).total_seconds()))
        served.append(now)
        return None


@dataclass(slots=True)
class _Remembered:
    answer: Response | None = None
    at: datetime | None = None


class IdempotencyStore:
    """First answers by (key, path) of the one workspace, kept for one hour after completion."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ...], _Remembered] = {}

    def begin(self, identity: tuple[str, ...], now: datetime) -> Response | bool:
        """The stored answer, True when the caller is the first, False while the first runs."""
        found = self._kept.get(identity)
        if found and not found.answer:
            return False
        if found and found.answer and found.at and now - found.at < IDEMPOTENCY_LIFE:
            return found.answer
        self._kept[identity] = _Remembered()
        return True

    def finish(self, identity: tuple[str, ...], answer: Response, *, now: datetime) -> None:
        self._kept[identity] = _Remembered(answer, now)

    def forget(self, identity: tuple[str, ...]) -> None:
        self._kept.pop(identity, None)
