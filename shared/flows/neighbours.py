"""Neighbours: what stands around events, read in a few requests for many of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from shared.domain.consider import Copy, Surroundings
from shared.domain.rules import Rules
from shared.domain.scope import rules_from, scopes_of
from shared.domain.series import UNSAID, Series, Words, series_of

if TYPE_CHECKING:
    from shared.domain.calendar import Calendar
    from shared.domain.event import Event
    from shared.domain.meeting import Meeting
    from shared.storage import Stores

REQUESTS_IN_FLIGHT = 8

# How many things may be done at once is asked for; who does them is given.
Workers: TypeAlias = Callable[[int], Executor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbourhood:
    """What a batch of events needs besides itself, read in a few requests."""

    calendars: dict[str, Calendar]
    rules: dict[str, Rules]
    series: dict[Series, Words]

    def around(
        self, event: Event, *, copies: Iterable[Meeting] | None = (), now: datetime
    ) -> Surroundings:
        beside = None
        if copies is not None:
            beside = tuple(Copy(row=row, around=self.around(row.event, now=now)) for row in copies)
        return Surroundings(
            calendar=self.calendars.get(event.calendar_id),
            rules=self.rules.get(event.calendar_id, Rules()),
            series=self._words(event),
            copies=beside,
            now=now,
        )

    def _words(self, event: Event) -> Words:
        series = series_of(event)
        return self.series.get(series, UNSAID) if series else UNSAID


class Neighbours:
    """Reads calendars, rules, words on series and the other copies of meetings."""

    def __init__(
        self,
        stores: Stores,
        *,
        clock: Callable[[], datetime],
        workers: Workers = ThreadPoolExecutor,
    ) -> None:
        self.workers = workers
        self._stores = stores
        self._clock = clock

    def surroundings(self, rows: Sequence[Meeting]) -> list[Surroundings]:
        """What stands around rows, their other copies included, in the order given."""
        known = {row.event.event_id: row for row in rows}
        with self.workers(REQUESTS_IN_FLIGHT) as pool:
            around = self.of_events([row.event for row in rows], known, pool=pool)
        return [around[row.event.event_id] for row in rows]

    def of_events(
        self, events: Sequence[Event], rows: Mapping[str, Meeting], *, pool: Executor
    ) -> dict[str, Surroundings]:
        """By event id; `rows` are those events that have one already."""
        groups = pool.map(lambda event: self._copies(rows.get(event.event_id)), events)
        copies = dict(zip((event.event_id for event in events), groups, strict=True))
        beside = [row.event for group in copies.values() for row in group]
        near = self.neighbourhood([*events, *beside])
        now = self._clock()
        return {
            event.event_id: near.around(event, copies=copies[event.event_id], now=now)
            for event in events
        }

    def neighbourhood(self, events: Iterable[Event]) -> Neighbourhood:
        """Calendars, rules, and what was said of the series of events."""
        known = list(events)
        calendars = self._stores.calendars.get_many(sorted({each.calendar_id for each in known}))
        series = {each for event in known if (each := series_of(event)) is not None}
        ours = [each for each in series if each.calendar_id in calendars]
        return Neighbourhood(
            calendars=calendars,
            rules=self._rules(calendars.values()),
            series=self._stores.settings.series.of(ours) if ours else {},
        )

    def _copies(self, row: Meeting | None) -> list[Meeting]:
        """The other copies around the row's key, and that of its bot; alone costs nothing."""
        if row is None or not row.shared:
            return []
        keys = {row.meeting_key}
        if row.assignment is not None:
            keys.add(row.assignment.deduplication_key)
        found = [copy for key in keys if key for copy in self._stores.meetings.around_key(key)]
        return [copy for copy in found if copy.event.event_id != row.event.event_id]

    def _rules(self, calendars: Iterable[Calendar]) -> dict[str, Rules]:
        scopes = {
            calendar.calendar_id: scopes_of(calendar.tenant_id, calendar.entity_id)
            for calendar in calendars
        }
        needed = sorted({scope for chain in scopes.values() for scope in chain})
        documents = self._stores.settings.rules_of(needed) if needed else {}
        return {calendar_id: rules_from(documents, chain) for calendar_id, chain in scopes.items()}
