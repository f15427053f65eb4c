"""Reconcile: the second pair of eyes, which marks what differs and rings the bell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.audit import Audit, AuditItem, audit_document, audit_from, drift_document
from shared.domain.consider import action_for
from shared.domain.drift import Drift, drift_of
from shared.domain.rules import Scheduling
from shared.errors import CallerError, PermanentError
from shared.flows.calendars import DELETED_AT_RECALL, AccountBusy
from shared.flows.observe import owed
from shared.flows.orphans import DRIFT_METRICS
from shared.recall import NotFound, Refused

if TYPE_CHECKING:
    from shared.domain.calendar import Calendar, RecallCalendar
    from shared.flows.observe import Observer, Seen
    from shared.flows.orphans import Looked
    from shared.observability import Log
    from shared.queue import Queue
    from shared.recall import EventPage, RecallClient
    from shared.storage import Stores

PREFLIGHT_FROM = timedelta(minutes=10)
PREFLIGHT_TO = timedelta(minutes=25)
PREFLIGHT_PAGES_MAX = 20
AUDIT_PAGES_PER_RUN = 20
AUDIT_PAUSE = timedelta(hours=1)
CALENDAR_PAGES_MAX = 100
OWN_PAGES_MAX = 1_000
WINDOW_BACK = timedelta(days=1)
# So long after a person's word a difference is its work, and no drift.
SETTLING = timedelta(minutes=1)
AUDIT = "audit"
DRIFT = "drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileTools:
    """The doors a reconciler works with.

    `heal`: the classes of drift that it marks for the scheduler; others are only reported.
    """

    recall: RecallClient
    stores: Stores
    queue: Queue
    observer: Observer
    refresh: Callable[[str], object]
    clock: Callable[[], datetime]
    unique: Callable[[], str]
    log: Log
    heal: frozenset[Drift] = frozenset(Drift)


class Reconciler:
    """Reads Recall's truth apart from the feed; changes no bot itself."""

    def __init__(self, tools: ReconcileTools) -> None:
        self._tools = tools

    def preflight(self) -> int:
        """Check the meetings that start in 10 to 25 minutes; answers how many rows owe work."""
        now = self._tools.clock()
        found = 0
        link: str | None = None
        for _ in range(PREFLIGHT_PAGES_MAX):
            page = self._page(link, start_from=now + PREFLIGHT_FROM, start_to=now + PREFLIGHT_TO)
            seen = self._tools.observer.take(page, thorough=True, spare=self._only_reported)
            found += len(owed(seen)) + self._forget_lost(seen)
            link = page.next_page
            if link is None:
                break
        else:
            self._tools.log.warning("pre-flight did not reach the end", pages=PREFLIGHT_PAGES_MAX)
        self._ring_when(found)
        return found

    def _forget_lost(self, seen: Sequence[Seen]) -> int:
        """Rows that name a bot which their claim does not: their turn asks for one again."""
        if Drift.MISSING not in self._tools.heal:
            return 0
        stores = self._tools.stores
        own = [
            (item.after.event.event_id, assigned)
            for item in seen
            if (assigned := item.after.assignment) and assigned.by is Scheduling.SELF_MANAGED
        ]
        claims = stores.claims.get_many({assigned.deduplication_key for _, assigned in own})
        lost = [
            event_id
            for event_id, assigned in own
            if (claim := claims.get(assigned.deduplication_key)) is None
            or not claim.mentions(assigned.bot_id)
        ]
        for event_id in lost:
            stores.meetings.forget_bot(event_id, now=self._tools.clock())
        return len(lost)

    def audit(self) -> Audit | None:
        """Walk on through the whole window; None while the pause since the last walk lasts.

        The walk is kept after every page, so that a crash repeats one page at most.
        """
        now = self._tools.clock()
        walk = audit_from(self._tools.stores.workspace.report(AUDIT))
        if walk is not None and walk.finished_at is not None:
            if now < walk.finished_at + AUDIT_PAUSE:
                return None
            walk = None
        walk = walk or Audit(started_at=now)
        for _ in range(AUDIT_PAGES_PER_RUN):
            walk = self._audit_page(walk)
            if walk.finished_at is not None:
                break
        return walk

    def _audit_page(self, walk: Audit) -> Audit:
        tools = self._tools
        try:
            page = self._page(walk.next_page, start_from=walk.started_at - WINDOW_BACK)
        except (NotFound, Refused):
            if walk.next_page is None:
                raise
            tools.log.warning("audit starts over: its page link has gone stale")
            page = self._page(None, start_from=walk.started_at - WINDOW_BACK)
            walk = Audit(started_at=walk.started_at)
        seen = tools.observer.take(page, spare=self._only_reported)
        walk = walk.with_page(len(seen), self._items(seen))
        finished_at = tools.clock() if page.next_page is None else None
        walk = replace(walk, next_page=page.next_page, finished_at=finished_at)
        tools.stores.workspace.put_report(AUDIT, audit_document(walk))
        if finished_at is not None:
            tools.stores.workspace.put_report(DRIFT, drift_document(walk, healing=tools.heal))
            tools.log.info("audit finished", events=walk.events, count=sum(walk.counts.values()))
        self._ring_when(len(owed(seen)))
        return walk

    def _items(self, seen: Sequence[Seen]) -> Iterator[AuditItem]:
        """Differences, except those on which work was owed before the audit looked."""
        for item in seen:
            drift = _drift(item)
            if drift is not None:
                self._tools.log.count(DRIFT_METRICS[drift])
                yield AuditItem(
                    drift=drift,
                    calendar_id=item.after.event.calendar_id,
                    event_id=item.after.event.event_id,
                    reason=item.after.decision.reason,
                )

    def _only_reported(self, item: Seen) -> bool:
        """A row of a class that is not healed is not even stored: its turn would heal it."""
        drift = _drift(item)
        return drift is not None and drift not in self._tools.heal

    def report_own(self, looked: Looked) -> None:
        """Add what the look at self-managed bots found to the report of the audit."""
        workspace = self._tools.stores.workspace
        report = workspace.report(DRIFT)
        if report is None:
            return
        counts = {drift.value: looked.found.get(drift, 0) for drift in Drift}
        own = {"bots": looked.bots, "complete": looked.complete, "counts": counts}
        workspace.put_report(DRIFT, {**report, "self_managed": own})

    def refresh_calendars(self) -> int:
        """Compare every calendar's state with Recall's list; answers how many were refreshed.

        Only a complete list proves that Recall has lost a calendar.
        """
        listed = {calendar.calendar_id: calendar for calendar in self._listed_calendars()}
        refreshed = 0
        for calendar in self._our_calendars():
            if _differs(calendar, listed.get(calendar.calendar_id)):
                refreshed += self._refreshed(calendar.calendar_id)
        return refreshed

    def _refreshed(self, calendar_id: str) -> bool:
        """One that cannot be refreshed must not hold up the rest; an outage holds up all."""
        try:
            self._tools.refresh(calendar_id)
        except AccountBusy:
            return True
        except (CallerError, PermanentError) as error:
            self._tools.log.crash("calendar not refreshed", error, calendar_id=calendar_id)
            return False
        return True

    def _listed_calendars(self) -> Iterator[RecallCalendar]:
        link: str | None = None
        for _ in range(CALENDAR_PAGES_MAX):
            page = self._tools.recall.list_calendars(next_page=link)
            yield from page.calendars
            if page.next_page is None:
                return
            link = _moved_on(page.next_page, link)
        raise PermanentError(
            "too_many_calendars", f"Recall lists more than {CALENDAR_PAGES_MAX} pages of calendars."
        )

    def _our_calendars(self) -> Iterator[Calendar]:
        cursor: str | None = None
        for _ in range(OWN_PAGES_MAX):
            page = self._tools.stores.calendars.every(cursor=cursor, limit=100)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return
        raise PermanentError("too_many_calendars", f"More than {OWN_PAGES_MAX} pages of calendars.")

    def _page(
        self, link: str | None, *, start_from: datetime, start_to: datetime | None = None
    ) -> EventPage:
        if link is None:
            return self._tools.recall.list_events(start_from=start_from, start_to=start_to)
        page = self._tools.recall.list_events(next_page=link)
        if page.next_page is not None:
            _moved_on(page.next_page, link)
        return page

    def _ring_when(self, found: int) -> None:
        if found:
            tools = self._tools
            tools.queue.ring_work(now=tools.clock(), unique=tools.unique())


def _drift(item: Seen) -> Drift | None:
    """The class of a difference on which nobody owed work before we looked."""
    owed_before = item.before is not None and item.before.due
    if not item.after.due or owed_before or _said_just_now(item):
        return None
    return drift_of(item.after, action_for(item.after, item.around), now=item.around.now)


def _said_just_now(item: Seen) -> bool:
    """A word whose bot may have come or gone since Recall listed it, or whose rows wake by now."""
    words = (item.after.override, item.around.series.override)
    said = [word.set_at for word in words if word is not None and word.set_at is not None]
    return any(item.around.now - at < SETTLING for at in said)


def _differs(ours: Calendar, theirs: RecallCalendar | None) -> bool:
    if theirs is None:
        return ours.status_reason != DELETED_AT_RECALL
    told = theirs.email or ours.email
    return (ours.status, _folded(ours.email)) != (theirs.status, _folded(told))


def _folded(email: str | None) -> str | None:
    """Providers write an address in letters of their own choice."""
    return None if email is None else email.casefold()


def _moved_on(link: str, before: str | None) -> str:
    if link == before:
        raise PermanentError("page_loop", "Recall's next link leads to the same page again.")
    return link
