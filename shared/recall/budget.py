"""The rate budget: never more calls in any 60 s than Recall allows the whole workspace.

Spent tokens are counted in slots of 5 s that all instances share. A token may reach Recall a
little after it was counted, so the window that must not overflow is longer than 60 s.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from types import MappingProxyType
from typing import Protocol

from shared.errors import PermanentError, TransientError

RATE_BUDGET = "rate_budget"
SLOT_SECONDS = 5
WINDOW_SECONDS = 60
# Travel time of a call plus what the clocks of two instances may differ.
MARGIN_SECONDS = 3
# How long after it was counted a token may still be used.
LIFE_SECONDS = 2
LEASED_LIFE_SECONDS = 10
BLOCK_MAX = 20
WRITES_MAX = 5

# Calls per minute and workspace (the vendor's schema for API 1.11, and newer pages).
DEFAULT_LIMITS: Mapping[str, int] = MappingProxyType(
    {
        "calendars_list": 60,
        "calendars_create": 300,
        "calendars_retrieve": 300,
        "calendars_partial_update": 300,
        "calendars_destroy": 300,
        "calendars_access_token_create": 300,
        "calendar_events_list": 60,
        "calendar_events_retrieve": 300,
        "calendar_events_bot_create": 600,
        "calendar_events_bot_destroy": 600,
        "bot_list": 60,
        # Newer pages say 120; 60 keeps the promise whichever of them is right.
        "bot_create": 60,
        "bot_retrieve": 300,
        "bot_partial_update": 300,
        "bot_destroy": 300,
        "bot_leave_call_create": 300,
    }
)
# One call of these costs one write; the others lease blocks of tokens.
UNLEASED = frozenset({"calendars_list", "calendar_events_list", "bot_list"})


class Budget(Protocol):
    """Asked before each call to Recall, and told of each 429."""

    def spend(self, endpoint: str) -> None:
        """Pay for one call; TransientError `rate_budget` with retry_after when used up."""

    def block(self, endpoint: str, *, seconds: float) -> None:
        """Recall refused: no more calls to this endpoint for so long."""


class BudgetStore(Protocol):
    """Tokens spent per slot of an endpoint, with a version to write against."""

    def read_budget(self, endpoint: str) -> tuple[dict[int, int], int]: ...

    def write_budget(self, endpoint: str, slots: dict[int, int], *, version: int) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The sliding window of one endpoint, pure: `slots` maps a slot's number to its tokens.

    Slot n begins n * 5 s after the epoch. `limit` tokens fit into any window, which is longer
    than Recall's by the `life` of a token and the margin.
    """

    limit: int
    life: int = LIFE_SECONDS

    @property
    def seconds(self) -> int:
        return WINDOW_SECONDS + MARGIN_SECONDS + self.life

    @property
    def length(self) -> int:
        """Slots that a window can touch: one more than fit, since it may begin within one."""
        return math.ceil(self.seconds / SLOT_SECONDS) + 1

    def free(self, slots: Mapping[int, int], *, now: float) -> int:
        """Tokens that may be spent now. Slots ahead come from a faster clock and count too."""
        here = slot_at(now)
        spent = (n for slot, n in slots.items() if abs(slot - here) < self.length)
        return max(self.limit - sum(spent), 0)

    def wait(self, slots: Mapping[int, int], *, now: float) -> float:
        """Seconds until a token is free again."""
        here = slot_at(now)
        ahead = sorted(slot for slot in slots if abs(slot - here) < self.length)
        for slot in ahead:
            leaves_at = (slot + self.length) * SLOT_SECONDS
            if self.free(slots, now=leaves_at) > 0:
                return max(leaves_at - now, 0.0)
        return 0.0

    def spent(self, slots: Mapping[int, int], tokens: int, *, now: float) -> dict[int, int]:
        """The slots after spending, without those that no window can reach any more."""
        here = slot_at(now)
        kept = {slot: n for slot, n in slots.items() if abs(slot - here) < 2 * self.length}
        kept[here] = kept.get(here, 0) + tokens
        return kept

    def filled(self, slots: Mapping[int, int], *, now: float, seconds: float) -> dict[int, int]:
        """Full for `seconds` (at most one window): the tokens stand where they leave then."""
        until = slot_at(now) + math.ceil(min(seconds, self.seconds) / SLOT_SECONDS)
        return self.spent(slots, 0, now=now) | {until - self.length + 1: self.limit}


def slot_at(now: float) -> int:
    """The number of the slot at `now`, in seconds since the epoch."""
    return math.floor(now / SLOT_SECONDS)


@dataclass(slots=True, kw_only=True)
class _Lease:
    """Tokens paid for and not used yet. `size` grows while leases are used up in time."""

    tokens: int = 0
    size: int = 0
    expires_at: float = -math.inf
    lock: Lock = field(default_factory=Lock)

    def usable(self, now: float) -> bool:
        return self.tokens > 0 and now < self.expires_at


class SharedBudget:
    """A budget shared by all instances through a store; safe to share between threads.

    `share` leaves room for nearer work: an instance with 0.5 stops at half the limit.
    """

    def __init__(
        self,
        store: BudgetStore,
        limits: Mapping[str, int] = DEFAULT_LIMITS,
        *,
        clock: Callable[[], datetime],
        share: float = 1.0,
    ) -> None:
        self._store = store
        self._limits = limits
        self._clock = clock
        self._share = share
        self._leases = {endpoint: _Lease() for endpoint in limits}

    def spend(self, endpoint: str) -> None:
        """Pay for one call, which must follow at once.

        Errors: TransientError `rate_budget` with retry_after in seconds.
        """
        lease = self._leases[endpoint]
        with lease.lock:
            if not lease.usable(self._now()):
                self._renew(endpoint, lease)
            lease.tokens -= 1

    def block(self, endpoint: str, *, seconds: float) -> None:
        """Fill the window for all instances, at most for its own length."""
        lease = self._leases[endpoint]
        window = _window(endpoint, limit=self._limits[endpoint])
        with lease.lock:
            lease.tokens = 0
            for _ in range(WRITES_MAX):
                slots, version = self._store.read_budget(endpoint)
                filled = window.filled(slots, now=self._now(), seconds=seconds)
                if self._store.write_budget(endpoint, filled, version=version):
                    return

    def _renew(self, endpoint: str, lease: _Lease) -> None:
        """Lease more after a lease used up in time, one token after a pause."""
        hungry = lease.tokens == 0 and self._now() < lease.expires_at
        lease.size = min(lease.size * 2, BLOCK_MAX) if hungry and endpoint not in UNLEASED else 1
        lease.tokens = 0
        window = _window(endpoint, limit=max(int(self._limits[endpoint] * self._share), 1))
        for _ in range(WRITES_MAX):
            counted_at = self._now()
            lease.tokens = self._count(endpoint, window, wanted=lease.size, now=counted_at)
            lease.expires_at = counted_at + window.life
            if lease.usable(self._now()):
                return
        raise _used_up(1.0)  # others were faster each time, or the store was too slow

    def _count(self, endpoint: str, window: Window, *, wanted: int, now: float) -> int:
        """Tokens counted as spent; 0 when another instance wrote in between."""
        slots, version = self._store.read_budget(endpoint)
        tokens = min(window.free(slots, now=now), wanted)
        if tokens == 0:
            raise _used_up(window.wait(slots, now=now))
        spent = window.spent(slots, tokens, now=now)
        return tokens if self._store.write_budget(endpoint, spent, version=version) else 0

    def _now(self) -> float:
        return self._clock().timestamp()


def parse_limits(overrides: str) -> dict[str, int]:
    """The defaults with a JSON object of endpoint to calls per minute laid over ("": none)."""
    try:
        given = json.loads(overrides or "{}")
        limits = {endpoint: _limit(value) for endpoint, value in given.items()}
        unknown = limits.keys() - DEFAULT_LIMITS.keys()
    except (ValueError, AttributeError):
        limits, unknown = {}, {overrides}
    if unknown:
        message = "RECALL_LIMITS must map operation ids to calls per minute of at least 1."
        raise PermanentError("settings_invalid", message)
    return {**DEFAULT_LIMITS, **limits}


def _limit(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError
    return value


def _window(endpoint: str, *, limit: int) -> Window:
    return Window(limit=limit, life=LIFE_SECONDS if endpoint in UNLEASED else LEASED_LIFE_SECONDS)


def _used_up(seconds: float) -> TransientError:
    message = "The rate budget of this minute is used up."
    return TransientError(RATE_BUDGET, message, retry_after=max(seconds, 1.0))


def used_in_window(slots: Mapping[str, int] | Mapping[int, int], *, now: datetime) -> int:
    """Calls paid for in the last minute; leased ones count before they are made."""
    oldest = slot_at(now.timestamp()) - WINDOW_SECONDS // SLOT_SECONDS
    return sum(int(tokens) for slot, tokens in slots.items() if int(slot) > oldest)
