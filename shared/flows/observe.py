"""Observe: turn the events that Recall lists into meeting rows, decided and with work marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.announce import Step, notices
from shared.domain.consider import (
    Surroundings,
    concerns_copies,
    observed,
    swings_vote,
    woken,
)
from shared.errors import TransientError
from shared.flows.neighbours import REQUESTS_IN_FLIGHT, Neighbours
from shared.storage import Conflict

if TYPE_CHECKING:
    from shared.domain.event import ListedEvent
    from shared.domain.meeting import Meeting
    from shared.events import EventBus
    from shared.flows.neighbours import Workers
    from shared.observability import Log
    from shared.recall import EventPage
    from shared.storage import Stores

SAVE_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One listed event with the row before and after; `stored`: the row after was kept."""

    listed: ListedEvent
    before: Meeting | None
    after: Meeting
    around: Surroundings
    stored: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """A row before and after, and what stood around it when that was read.

    `before` is None for a new row.
    """

    before: Meeting | None
    after: Meeting
    around: Surroundings | None = None

    @property
    def event_id(self) -> str:
        return self.after.event.event_id

    @property
    def keys(self) -> set[str]:
        """The meetings that it belonged to and belongs to."""
        rows = (self.before, self.after)
        return {row.meeting_key for row in rows if row is not None and row.meeting_key is not None}

    @property
    def is_heard(self) -> bool:
        return concerns_copies(self.before, self.after)

    @property
    def swings_vote(self) -> bool:
        return self.around is None or swings_vote(self.before, self.after, around=self.around)


class Observer:
    """Reads around, decides and stores; it never calls Recall."""

    def __init__(
        self,
        stores: Stores,
        bus: EventBus,
        *,
        clock: Callable[[], datetime],
        log: Log,
        workers: Workers = ThreadPoolExecutor,
    ) -> None:
        self.neighbours = Neighbours(stores, clock=clock, workers=workers)
        self.workers = workers
        self._stores = stores
        self._bus = bus
        self._clock = clock
        self._log = log

    def take(
        self,
        page: EventPage,
        *,
        thorough: bool = False,
        spare: Callable[[Seen], bool] | None = None,
    ) -> tuple[Seen, ...]:
        """Store what changed on one page; answers every event that has or gets a row.

        `thorough`: look for other copies of every meeting, not only where something changed.
        `spare`: rows to leave alone, as if nobody had looked.
        Raises TransientError when a row could not be stored: the page must be read again.
        """
        for event_id in page.malformed:
            self._log.warning("event set aside: malformed", event_id=event_id)
            self._log.count("EventSetAside")
        rows = self._stores.meetings.get_many([entry.event.event_id for entry in page.events])
        with self.workers(REQUESTS_IN_FLIGHT) as pool:
            around = self.neighbours.of_events(
                [entry.event for entry in page.events], rows, pool=pool
            )
            seen = [
                found
                for entry in page.events
                if (found := _seen(entry, rows, around=around)) is not None
            ]
            spared = [replace(each, stored=False) for each in seen if spare and spare(each)]
            left_alone = {each.after.event.event_id for each in spared}
            taken = [each for each in seen if each.after.event.event_id not in left_alone]
            changes = [Change(each.before, each.after, each.around) for each in taken]
            met = self._introduce(changes, thorough=thorough, pool=pool)
            stored = pool.map(lambda each: self._store(each, met=met), taken)
            return (*(each for each in stored if each is not None), *spared)

    def introduce(self, changes: Sequence[Change]) -> frozenset[str]:
        """Wake the other copies of meetings in which a voice changed; answers whom they met.

        The rows named in the answer are to be stored `woken`. The others are woken before: a
        crash in between brings both about again.
        """
        with self.workers(REQUESTS_IN_FLIGHT) as pool:
            return self._introduce(changes, thorough=False, pool=pool)

    def _introduce(
        self, changes: Sequence[Change], *, thorough: bool, pool: Executor
    ) -> frozenset[str]:
        present: dict[str, set[str]] = {}
        heard: dict[str, list[Change]] = {}
        for change in changes:
            for key in change.keys:
                present.setdefault(key, set()).add(change.event_id)
                if thorough or change.is_heard:
                    heard.setdefault(key, []).append(change)
        # Several changes at once may swing together what none of them does alone.
        asked = {
            key
            for key, voices in heard.items()
            if thorough or len(voices) > 1 or voices[0].swings_vote
        }
        found = pool.map(self._stores.meetings.ids_of_key, sorted(asked))
        groups = [present[key] | set(ids) for key, ids in zip(sorted(asked), found, strict=True)]
        met = frozenset().union(*(group for group in groups if len(group) > 1))
        away = met - {change.event_id for change in changes}
        now = self._clock()
        wake = self._stores.meetings.wake
        list(pool.map(lambda event_id: wake(event_id, now=now, shared=True), sorted(away)))
        return met

    def _store(self, seen: Seen, *, met: frozenset[str]) -> Seen | None:
        row, after, around = seen.before, seen.after, seen.around
        event_id = after.event.event_id
        for _ in range(SAVE_TRIES):
            ready = woken(after, now=around.now) if event_id in met else after
            try:
                stored = ready if ready == row else self._tell_and_save(row, ready, around=around)
            except Conflict:
                row = self._stores.meetings.get(event_id)
                again = observed(row, seen.listed, around=around)
                if again is None:
                    return None
                after = again
                continue
            return replace(seen, before=row, after=stored)
        raise TransientError("row_changed", "A meeting row kept changing under the reader.")

    def _tell_and_save(
        self, before: Meeting | None, after: Meeting, *, around: Surroundings
    ) -> Meeting:
        """Tell first: a crash in between tells twice rather than never."""
        if before is not None:
            step = Step(before=before, after=after, calendar=around.calendar, now=around.now)
            self._bus.publish(notices(step))
        return self._stores.meetings.save(after)


def owed(seen: Sequence[Seen]) -> list[Meeting]:
    """The rows on which a call to Recall is due."""
    return [item.after for item in seen if item.stored and item.after.due]


def _seen(
    listed: ListedEvent, rows: Mapping[str, Meeting], *, around: Mapping[str, Surroundings]
) -> Seen | None:
    event_id = listed.event.event_id
    before, near = rows.get(event_id), around[event_id]
    after = observed(before, listed, around=near)
    if after is None:
        return None
    return Seen(listed=listed, before=before, after=after, around=near)
