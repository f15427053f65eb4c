"""Erase: an entity's calendars, bots, rows and rules go; an audit record without a name stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.erasure import WAITING_MAX, Erasure, Erasures
from shared.domain.moment import moment_text
from shared.domain.redecision import forgotten
from shared.domain.scope import Scope
from shared.errors import RollcallError, TransientError
from shared.flows.removal import Unfinished, remove

if TYPE_CHECKING:
    from shared.domain.calendar import Calendar
    from shared.flows.doors import CalendarDoors
    from shared.observability import Log
    from shared.providers.clients import OAuthClients
    from shared.queue import Queue
    from shared.storage import SettingsStore, Stores, WorkspaceStore

TRIES = 5
CALENDARS_PAGE = 25
SESSIONS_PAGE = 100
# Of a hundred rows each, so that a step ends within seconds.
PAGES_PER_STEP = 5
BUSY_RETRY_SECONDS = 30
INDEXES_LAG_AT_MOST = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureDoors:
    """The list of what waits, the marks against links, and the bell."""

    workspace: WorkspaceStore
    settings: SettingsStore
    queue: Queue


def ask_for_erasure(doors: ErasureDoors, wanted: Erasure, *, unique: str) -> None:
    """Note the wish and ring; one that waits already is not noted twice.

    Links to the entity's own page end at once, not only when everything is gone.
    """
    doors.settings.mark(wanted.mark, at=wanted.asked_at)
    for _ in range(TRIES):
        known = doors.workspace.erasures()
        if known.includes(wanted.tenant_id, wanted.entity_id):
            break
        if len(known.waiting) >= WAITING_MAX:
            message = "Many entities wait to be erased."
            raise TransientError("erasures_waiting", message, retry_after=BUSY_RETRY_SECONDS)
        if doors.workspace.save_erasures(known.with_(wanted)):
            break
    else:
        raise TransientError("erasures_busy", "Others keep changing the list.", retry_after=1)
    doors.queue.ring_work(now=wanted.asked_at, unique=unique)


class Eraser:
    """Works off what waits, as the scheduler: nobody else writes rows behind it."""

    def __init__(
        self,
        stores: Stores,
        doors: CalendarDoors,
        *,
        clients: OAuthClients,
        clock: Callable[[], datetime],
        log: Log,
    ) -> None:
        self._stores = stores
        self._doors = doors
        self._clients = clients
        self._clock = clock
        self._log = log

    def go_on(self, until: datetime) -> bool:
        """Erase until nothing waits or the time is up; True while some does.

        What fails waits for the next tick, behind the others.
        """
        while True:
            known = self._stores.workspace.erasures()
            if not known.waiting:
                return False
            if self._clock() >= until:
                return True
            try:
                self._step(known.waiting[0])
            except RollcallError as error:
                self._log.warning("erasure put off", code=error.code)
                self._put_off(known.waiting[0])
                return False

    def _step(self, erasure: Erasure) -> None:
        """Sessions and rules first, so that nothing new is made; then one calendar a step."""
        before, erasure = erasure, self._forget_rules(self._forget_sessions(erasure))
        if erasure != before:
            self._note(erasure)
        calendar = self._next_calendar(erasure)
        if calendar is None and self._clock() < erasure.asked_at + INDEXES_LAG_AT_MOST:
            message = "What was stored a moment ago may not be in the indexes yet."
            raise TransientError("erasure_too_fresh", message)
        if calendar is None:
            self._finish(erasure)
            return
        self._note(self._remove(calendar, erasure))

    def _remove(self, calendar: Calendar, erasure: Erasure) -> Erasure:
        try:
            rows = remove(
                self._doors,
                calendar,
                clients=self._clients,
                log=self._log,
                now=self._clock(),
                pages_max=PAGES_PER_STEP,
            )
        except Unfinished as unfinished:
            return replace(erasure, meetings=erasure.meetings + unfinished.rows)
        return replace(erasure, meetings=erasure.meetings + rows, calendars=erasure.calendars + 1)

    def _next_calendar(self, erasure: Erasure) -> Calendar | None:
        """The index lags behind, so the rows themselves tell which are left."""
        page = self._stores.calendars.find(
            tenant_id=erasure.tenant_id, entity_id=erasure.entity_id, limit=CALENDARS_PAGE
        )
        known = (self._stores.calendars.get(each.calendar_id) for each in page.items)
        return next(
            (each for each in known if each and erasure.of(each.tenant_id, each.entity_id)), None
        )

    def _forget_sessions(self, erasure: Erasure) -> Erasure:
        gone, cursor = 0, None
        while True:
            page = self._stores.sessions.of_entity(
                erasure.tenant_id, erasure.entity_id, cursor=cursor, limit=SESSIONS_PAGE
            )
            for session_id in page.items:
                self._stores.sessions.delete(session_id)
            gone, cursor = gone + len(page.items), page.next_cursor
            if cursor is None:
                return replace(erasure, sessions=erasure.sessions + gone)

    def _forget_rules(self, erasure: Erasure) -> Erasure:
        scope = Scope(erasure.tenant_id, erasure.entity_id).name
        count = self._stores.settings.forget_rules(scope)
        job = self._stores.workspace.redecision()
        if job is not None:
            left = forgotten(job, scope, instead=Scope(erasure.tenant_id).name)
            if left != job:
                self._stores.workspace.save_redecision(left)
        return replace(erasure, rules=erasure.rules + count)

    def _note(self, erasure: Erasure) -> None:
        self._swap(lambda known: known.with_(erasure))

    def _put_off(self, erasure: Erasure) -> None:
        self._swap(lambda known: known.put_off(erasure))

    def _finish(self, erasure: Erasure) -> None:
        """The record first: a crash in between writes it twice."""
        record = {
            "asked_by": erasure.asked_by,
            "asked_at": moment_text(erasure.asked_at),
            "finished_at": moment_text(self._clock()),
            "calendars": erasure.calendars,
            "meetings": erasure.meetings,
            "sessions": erasure.sessions,
            "rules": erasure.rules,
        }
        self._stores.workspace.put_report(erasure.record, record)
        self._swap(lambda known: known.without(erasure))
        self._log.info("entity erased", count=erasure.meetings)

    def _swap(self, change: Callable[[Erasures], Erasures]) -> None:
        for _ in range(TRIES):
            if self._stores.workspace.save_erasures(change(self._stores.workspace.erasures())):
                return
        raise TransientError("erasures_busy", "Others keep changing the list.")
