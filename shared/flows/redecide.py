"""Redecide: after a change of rules, decide stored meetings anew without reading at Recall."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.announce import Step, notices
from shared.domain.consider import Surroundings, reconsidered, renewed, woken
from shared.domain.redecision import Place, Redecision, bots_differ, walked
from shared.domain.scope import Scope, rules_from, scopes_of
from shared.flows.observe import Change
from shared.storage import Conflict

if TYPE_CHECKING:
    from shared.domain.calendar import Calendar
    from shared.domain.meeting import Meeting
    from shared.domain.rules import Document
    from shared.events import EventBus
    from shared.flows.observe import Observer
    from shared.observability import Log
    from shared.storage import Page, Stores

# What runs now began a while ago.
LOOK_BACK = timedelta(days=1)
CALENDARS_PER_STEP = 50
ROWS_PER_STEP = 500
WRITES_IN_FLIGHT = 8


class Redecider:
    """Works off the job that a put of rules leaves behind; one at a time, as the scheduler."""

    def __init__(
        self,
        stores: Stores,
        observer: Observer,
        *,
        bus: EventBus,
        clock: Callable[[], datetime],
        log: Log,
    ) -> None:
        self._stores = stores
        self._observer = observer
        self._bus = bus
        self._clock = clock
        self._log = log

    def go_on(self, until: datetime) -> bool:
        """Walk on until nothing is left or the time is up; True while some is left.

        The rows that now owe a bot call are marked due. The place is stored after each step: a
        crash repeats one step.
        """
        while True:
            job = self._stores.workspace.redecision()
            scope = None if job is None else job.next_scope(self._clock())
            if job is None or scope is None:
                return False
            if self._clock() >= until:
                return True
            self._step(job, scope=scope)

    def _step(self, job: Redecision, *, scope: str) -> None:
        """Rules that were put meanwhile keep the place from being stored: read it again."""
        rows, place = self._read(job.place or Place(scope=scope), since=job.started_at - LOOK_BACK)
        changed = self._decide(rows, job) if rows else 0
        now = self._clock()
        after = walked(job, place, scope=scope, seen=len(rows), changed=changed, now=now)
        if self._stores.workspace.save_redecision(after) and after.finished_at is not None:
            self._log.info("rules have reached all meetings", count=after.meetings_changed)

    def _read(self, place: Place, *, since: datetime) -> tuple[list[Meeting], Place | None]:
        """Rows of the next calendars, and where to go on; None: the scope is done."""
        rows: list[Meeting] = []
        for _ in range(CALENDARS_PER_STEP):
            found = self._next_calendar(place)
            for calendar in found.items:
                page = self._stores.meetings.of_calendar(
                    calendar.calendar_id, start=since, cursor=place.meetings, limit=ROWS_PER_STEP
                )
                rows += page.items
                if page.next_cursor is not None:
                    return rows, replace(place, meetings=page.next_cursor)
            if found.next_cursor is None:
                return rows, None
            place = Place(scope=place.scope, calendars=found.next_cursor)
            if len(rows) >= ROWS_PER_STEP:
                break
        return rows, place

    def _next_calendar(self, place: Place) -> Page[Calendar]:
        """One at a time, so that a cursor says exactly which."""
        scope = Scope.from_name(place.scope) or Scope()
        if scope.tenant_id is None:
            return self._stores.calendars.every(cursor=place.calendars, limit=1)
        return self._stores.calendars.find(
            tenant_id=scope.tenant_id, entity_id=scope.entity_id, cursor=place.calendars, limit=1
        )

    def _decide(self, rows: Sequence[Meeting], job: Redecision) -> int:
        """How many rows changed; others' copies are woken before: a crash does it all again."""
        now = self._clock()
        upcoming = [row for row in rows if row.event.end > now]
        arounds = self._observer.neighbours.surroundings(upcoming)
        moved = self._moved([each.calendar for each in arounds if each.calendar], job)
        steps = [
            _step(row, around, turn=row.event.calendar_id in moved)
            for row, around in zip(upcoming, arounds, strict=True)
        ]
        changed = [step for step in steps if step.after != step.before]
        met = self._observer.introduce(
            [Change(step.before, step.after) for step in changed if _concerns_others(step)]
        )
        self._bus.publish(notice for step in changed for notice in notices(step))
        with self._observer.workers(WRITES_IN_FLIGHT) as pool:
            away = _copies_elsewhere(arounds, moved) - {row.event.event_id for row in upcoming}
            list(pool.map(lambda event_id: self._wake(event_id, now=now), sorted(away)))
            list(pool.map(lambda step: self._store(step, met=met), changed))
        return len(changed)

    def _store(self, step: Step, *, met: frozenset[str]) -> None:
        event_id = step.after.event.event_id
        try:
            self._stores.meetings.save(
                woken(step.after, now=step.now) if event_id in met else step.after
            )
        except Conflict:
            # Its turn decides it anew, on top of what was changed meanwhile.
            self._wake(event_id, now=step.now)

    def _wake(self, event_id: str, *, now: datetime) -> None:
        self._stores.meetings.wake(event_id, now=now)

    def _moved(self, calendars: Iterable[Calendar], job: Redecision) -> set[str]:
        """The calendars whose bots may differ though their decisions do not."""
        chains = {each.calendar_id: scopes_of(each.tenant_id, each.entity_id) for each in calendars}
        scopes = {scope for chain in chains.values() for scope in chain}
        documents: dict[str, Document] = {**self._stores.settings.rules_of(sorted(scopes))}
        versions = {scope: owed.before for scope, owed in job.owed.items() if scope in scopes}
        known = {scope: version for scope, version in versions.items() if version is not None}
        former = self._stores.settings.rules_at(known)
        lost = {scope for scope in versions if versions[scope] != 0 and scope not in former}
        untouched = {scope: each for scope, each in documents.items() if scope not in versions}
        return {
            calendar_id
            for calendar_id, chain in chains.items()
            if lost.intersection(chain)
            or bots_differ(rules_from({**untouched, **former}, chain), rules_from(documents, chain))
        }


def _step(row: Meeting, around: Surroundings, *, turn: bool) -> Step:
    """The row decided anew; `turn`: what it joins or has may need another bot."""
    after = reconsidered(row, around)
    if turn and (after.decision.join or after.assignment is not None):
        after = renewed(after, now=around.now)
    return Step(before=row, after=after, calendar=around.calendar, now=around.now)


def _concerns_others(step: Step) -> bool:
    """Copies of one meeting know of each other, so a row that is alone needs no look."""
    return step.before.shared or step.before.meeting_key != step.after.meeting_key


def _copies_elsewhere(arounds: Iterable[Surroundings], moved: Collection[str]) -> set[str]:
    """Copies whose vote or bot goes by the rules of a copy in one of these calendars."""
    return {
        copy.row.event.event_id
        for around in arounds
        if around.calendar is not None and around.calendar.calendar_id in moved
        for copy in around.copies or ()
    }
