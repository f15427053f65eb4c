"""Observe: turn the events that Recall lists into meeting rows, decided and with work marked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.announce import Step, notices
from shared.domain.consider import Surroundings, observed
from shared.domain.rules import Rules
from shared.domain.scope import rules_from, scopes_of
from shared.errors import TransientError
from shared.storage import Conflict

if TYPE_CHECKING:
    from shared.domain.calendar import Calendar
    from shared.domain.event import ListedEvent
    from shared.domain.meeting import Meeting, Override
    from shared.events import EventBus
    from shared.observability import Log
    from shared.recall import EventPage
    from shared.storage import Stores

WRITES_IN_FLIGHT = 8
SAVE_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbourhood:
    """What a batch of events needs besides itself, read in a few requests."""

    calendars: dict[str, Calendar]
    rules: dict[str, Rules]
    series: dict[tuple[str, str], Override]

    def around(self, calendar_id: str, *, series_id: str | None, now: datetime) -> Surroundings:
        return Surroundings(
            calendar=self.calendars.get(calendar_id),
            rules=self.rules.get(calendar_id, Rules()),
            series_override=self.series.get((calendar_id, series_id)) if series_id else None,
            now=now,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One listed event with the row before and after."""

    listed: ListedEvent
    before: Meeting | None
    after: Meeting
    around: Surroundings


class Observer:
    """Reads around, decides and stores; it never calls Recall."""

    def __init__(
        self, stores: Stores, bus: EventBus, *, clock: Callable[[], datetime], log: Log
    ) -> None:
        self._stores = stores
        self._bus = bus
        self._clock = clock
        self._log = log

    def take(self, page: EventPage) -> tuple[Seen, ...]:
        """Store what changed on one page; answers every event that has or gets a row.

        Raises TransientError when a row could not be stored: the page must be read again.
        """
        for event_id in page.malformed:
            self._log.warning("event set aside: malformed", event_id=event_id)
            self._log.count("EventSetAside")
        rows = self._stores.meetings.get_many([entry.event.event_id for entry in page.events])
        near = self.neighbourhood(
            (entry.event.calendar_id, entry.event.series_id) for entry in page.events
        )
        with ThreadPoolExecutor(WRITES_IN_FLIGHT) as pool:
            seen = pool.map(
                lambda entry: self._take_one(entry, rows.get(entry.event.event_id), near=near),
                page.events,
            )
            return tuple(item for item in seen if item is not None)

    def neighbourhood(self, pairs: Iterable[tuple[str, str | None]]) -> Neighbourhood:
        """Calendars, rules and series overrides for (calendar id, series id) pairs."""
        wanted = set(pairs)
        calendars = self._stores.calendars.get_many(sorted({pair[0] for pair in wanted}))
        series = [
            (calendar_id, series_id)
            for calendar_id, series_id in wanted
            if series_id and calendar_id in calendars
        ]
        return Neighbourhood(
            calendars=calendars,
            rules=self._rules(calendars.values()),
            series=self._stores.settings.series_overrides(series) if series else {},
        )

    def _rules(self, calendars: Iterable[Calendar]) -> dict[str, Rules]:
        scopes = {
            calendar.calendar_id: scopes_of(calendar.tenant_id, calendar.entity_id)
            for calendar in calendars
        }
        needed = sorted({scope for chain in scopes.values() for scope in chain})
        documents = self._stores.settings.rules_of(needed) if needed else {}
        return {calendar_id: rules_from(documents, chain) for calendar_id, chain in scopes.items()}

    def _take_one(
        self, listed: ListedEvent, row: Meeting | None, *, near: Neighbourhood
    ) -> Seen | None:
        event = listed.event
        around = near.around(event.calendar_id, series_id=event.series_id, now=self._clock())
        for _ in range(SAVE_TRIES):
            after = observed(row, listed, around=around)
            if after is None:
                return None
            try:
                stored = after if after == row else self._tell_and_save(row, after, around=around)
            except Conflict:
                row = self._stores.meetings.get(event.event_id)
                continue
            return Seen(listed=listed, before=row, after=stored, around=around)
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
    return [item.after for item in seen if item.after.due]
