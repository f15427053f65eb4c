"""Sweep: answer doorbells by reading what changed at Recall, then acting on what is owed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn, assert_never

from shared.domain.calendar import CalendarStatus
from shared.domain.feed import OVERLAP, Feed, OpenSweep, covered, cursor_after, next_sweep_at
from shared.errors import CallerError, PermanentError, RollcallError, TransientError
from shared.flows.calendars import AccountBusy
from shared.flows.observe import owed
from shared.queue import FeedChanged, FeedMessage, Tick, WorkDue
from shared.recall import NotFound, Refused, Unexpected

if TYPE_CHECKING:
    from shared.domain.calendar import Calendar
    from shared.domain.meeting import Meeting
    from shared.flows.act import Actor, Outcome
    from shared.flows.observe import Observer
    from shared.observability import Log
    from shared.queue import Queue
    from shared.recall import EventPage, RecallClient
    from shared.storage import Stores

CROWD = 10
SWEEP_PAGES_MAX = 20
FULL_READ_PAGES_MAX = 10
CALENDARS_MAX = 10
CALENDAR_PAGES_MAX = 50
CONNECTING_MAX = 20
WORK_RETRY_SECONDS_MAX = 5.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSettings:
    """How long one run acts, and whether every List must name a calendar."""

    slice: timedelta = timedelta(seconds=20)
    by_calendar: bool = False


class Sweeper:
    """Runs one at a time: all doorbells of a workspace share one message group."""

    def __init__(
        self,
        recall: RecallClient,
        stores: Stores,
        *,
        queue: Queue,
        observer: Observer,
        chores: Sequence[Callable[[datetime], bool]],
        actor: Actor,
        refresh: Callable[[str], object],
        clock: Callable[[], datetime],
        unique: Callable[[], str],
        log: Log,
        settings: SweepSettings,
    ) -> None:
        self._recall = recall
        self._stores = stores
        self._queue = queue
        self._observer = observer
        self._chores = chores
        self._actor = actor
        self._refresh = refresh
        self._clock = clock
        self._unique = unique
        self._log = log
        self._settings = settings

    def answer(self, messages: Sequence[FeedMessage]) -> float | None:
        """Answer doorbells; None when all are answered, else seconds until they should ring again.

        Raises TransientError or PermanentError while Recall cannot be read: the cursor stands
        still, and that is what remembers the work. What is owed already is acted on all the same.
        """
        began = self._clock()
        until = began + self._settings.slice
        feed = self._stores.workspace.feed()
        if any(isinstance(message, Tick) for message in messages):
            self._tell_age(feed)
            self._refresh_connecting()
        bells = [message for message in messages if self._unanswered(message, feed)]
        if not bells and self._only_heard(messages, feed):
            return None
        wait = self._wait(feed, crowded=len(messages) >= CROWD) if bells else None
        fresh: list[Meeting] = []
        stopped: RollcallError | None = None
        try:
            for seen in self._observe(feed, bells if wait is None else ()):
                fresh += seen
        except (TransientError, PermanentError) as error:
            stopped = error
        half = until - self._settings.slice / 2
        owing = [chore(half) for chore in self._chores]
        if wait is not None:
            # The sweep must not wait for a whole slice of work that is owed.
            until = min(until, began + timedelta(seconds=wait))
        outcome = self._actor.act(fresh, until=until)
        if stopped is not None:
            raise stopped
        if wait is not None:
            return max(0.0, wait - (self._clock() - began).total_seconds())
        return self._go_on(messages, outcome, owing=any(owing))

    def _only_heard(self, messages: Sequence[FeedMessage], feed: Feed) -> bool:
        """Answered bells ask for no work: what is owed has a bell of its own.

        Else each ten of them would work a whole slice, and news behind a crowd waits for hours.
        """
        heard = all(
            isinstance(message, FeedChanged) or self._is_taken_over(message, feed)
            for message in messages
        )
        return heard and not self._owed_reads(feed)

    def _is_taken_over(self, message: FeedMessage, feed: Feed) -> bool:
        """Whoever has swept since worked as well, and rang for what was left."""
        if not isinstance(message, WorkDue) or feed.open is not None:
            return False
        return covered(message.received_at, swept_at=feed.swept_at)

    def _tell_age(self, feed: Feed) -> None:
        """Seconds that changes may have waited; calendar by calendar, the cursor stands still."""
        seen = feed.swept_at if self._by_calendar(feed) else feed.cursor
        if seen is not None:
            self._log.count("CursorAge", (self._clock() - seen).total_seconds())

    def _go_on(
        self, messages: Sequence[FeedMessage], outcome: Outcome, *, owing: bool
    ) -> float | None:
        """Ring our own bell for what is left; a bell stopped by a limit waits in the queue."""
        feed = self._stores.workspace.feed()
        if not (outcome.unfinished or owing or feed.open or self._owed_reads(feed)):
            return None
        if outcome.retry_after and all(isinstance(message, WorkDue) for message in messages):
            return min(outcome.retry_after, WORK_RETRY_SECONDS_MAX)
        self._queue.ring_work(now=self._clock(), unique=self._unique())
        return None

    def _observe(self, feed: Feed, bells: Sequence[FeedMessage]) -> Iterator[list[Meeting]]:
        """Sweep when a doorbell is unanswered, then go on with calendars owed a full read."""
        if (bells or feed.open) and self._by_calendar(feed):
            self._owe_reads(feed, bells)
        elif bells or feed.open:
            yield from self._sweep_workspace(feed, bells)
        yield from self._read_in_full()

    def _unanswered(self, message: FeedMessage, feed: Feed) -> bool:
        match message:
            case WorkDue():
                return False
            case Tick():
                return not covered(message.scheduled_at, swept_at=feed.swept_at)
            case FeedChanged():
                if message.calendar_id is None or not self._by_calendar(feed):
                    return not covered(message.received_at, swept_at=feed.swept_at)
                calendar = self._stores.calendars.get(message.calendar_id)
                if calendar is None:
                    return False
                return not covered(message.received_at, swept_at=calendar.swept_at)
            case never:
                assert_never(never)

    def _wait(self, feed: Feed, *, crowded: bool) -> float | None:
        """Seconds until a new sweep may start; None: now. An unfinished sweep just goes on."""
        earliest = next_sweep_at(feed.swept_at, crowded=crowded)
        now = self._clock()
        if feed.open is not None or earliest is None or earliest <= now:
            return None
        return (earliest - now).total_seconds()

    def _by_calendar(self, feed: Feed) -> bool:
        return self._settings.by_calendar or feed.refused

    def _sweep_workspace(self, feed: Feed, bells: Sequence[FeedMessage]) -> Iterator[list[Meeting]]:
        """One pass over everything changed since the cursor, which moves after the last page."""
        started = feed.open.started_at if feed.open else self._clock()
        since = feed.cursor or started - OVERLAP
        # A calendar mapped after the first pages of this sweep is not covered by the rest of them.
        owing = [] if feed.open else self._stores.calendars.due(limit=CALENDARS_MAX)
        link = feed.open.next_page if feed.open else None
        list_started = feed.open.list_started if feed.open else None
        rung = feed.open is not None and (feed.open.rung or bool(bells))
        seen = {link}
        for _ in range(SWEEP_PAGES_MAX):
            try:
                page = self._page(link, updated_since=since, seen=seen)
            except Unexpected:
                self._forget_link(feed, link)
                raise
            except (NotFound, Refused) as error:
                if link is not None:
                    self._start_over(feed)
                if isinstance(error, NotFound):
                    raise
                self._list_refused(feed, bells)
                return
            list_started = list_started or page.answered_at
            yield owed(self._observer.take(page))
            link = page.next_page
            if link is None:
                cursor = cursor_after(list_started)
                done = replace(feed, cursor=cursor, swept_at=started, open=None)
                self._finish(done, rung=rung)
                self._spare_full_reads(owing, since)
                return
            rest = OpenSweep(
                next_page=link, started_at=started, list_started=list_started, rung=rung
            )
        self._stores.workspace.save_feed(replace(feed, cursor=since, open=rest))

    def _finish(self, done: Feed, *, rung: bool) -> None:
        """A doorbell that rang while the sweep was open gets a sweep of its own."""
        if rung:
            self._queue.ring(received_at=self._clock(), reason_id=self._unique())
        self._stores.workspace.save_feed(done)

    def _forget_link(self, feed: Feed, link: str | None) -> None:
        """A page link that was kept and is no good would stop every later sweep too."""
        if feed.open is not None and link == feed.open.next_page:
            self._stores.workspace.save_feed(replace(feed, open=None))

    def _list_refused(self, feed: Feed, bells: Sequence[FeedMessage]) -> None:
        """Recall wants a calendar named in every List: from now on we name them."""
        self._log.warning("unfiltered list refused, reading calendar by calendar")
        self._log.count("UnfilteredListRefused")
        self._owe_reads(replace(feed, refused=True), bells)

    def _start_over(self, feed: Feed) -> NoReturn:
        """A page link has gone stale."""
        self._stores.workspace.save_feed(replace(feed, open=None))
        raise TransientError("sweep_restarted", "an unfinished sweep starts over")

    def _spare_full_reads(self, owing: Sequence[Calendar], since: datetime) -> None:
        """A calendar whose events all lie within this sweep needs no read of its own."""
        for calendar in owing:
            if calendar.read_since is not None and calendar.read_since >= since:
                self._stores.calendars.spare_read(
                    calendar.calendar_id, read_since=calendar.read_since
                )

    def _owe_reads(self, feed: Feed, bells: Sequence[FeedMessage]) -> None:
        """Without an unfiltered List, the calendars that rang are read, else the stalest."""
        now = self._clock()
        rung = {bell.calendar_id for bell in bells if isinstance(bell, FeedChanged)}
        named = {calendar_id for calendar_id in rung if calendar_id is not None}
        if None in rung or any(isinstance(bell, Tick) for bell in bells):
            named |= self._stalest()
        for calendar_id in sorted(named):
            self._stores.calendars.change(calendar_id, read_since=EPOCH, updated_at=now)
        self._stores.workspace.save_feed(replace(feed, swept_at=now, open=None))

    def _stalest(self) -> set[str]:
        """The calendars that were not read for the longest time."""
        found: list[Calendar] = []
        cursor: str | None = None
        for _ in range(CALENDAR_PAGES_MAX):
            page = self._stores.calendars.every(cursor=cursor, limit=100)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        found.sort(key=lambda calendar: calendar.swept_at or EPOCH)
        return {calendar.calendar_id for calendar in found[:CALENDARS_MAX]}

    def _read_in_full(self) -> Iterator[list[Meeting]]:
        """Calendars that the feed does not cover: new mappings, resyncs, changed connections."""
        pages_left = FULL_READ_PAGES_MAX
        unreadable: Unexpected | None = None
        for calendar in self._owed_reads(self._stores.workspace.feed()):
            try:
                for seen in self._read_calendar(calendar, pages_max=pages_left):
                    pages_left -= 1
                    yield seen
            except Unexpected as error:
                # One calendar that Recall lists wrongly must not keep the others waiting.
                self._log.crash("calendar not read", error, calendar_id=calendar.calendar_id)
                unreadable = error
            if pages_left <= 0:
                break
        if unreadable is not None:
            raise unreadable

    def _owed_reads(self, feed: Feed) -> list[Calendar]:
        """Without those that the next sweep covers: they wait for it, not for a bell of ours."""
        due = self._stores.calendars.due(limit=CALENDARS_MAX)
        return [calendar for calendar in due if not _next_sweep_covers(calendar, feed)]

    def _read_calendar(self, calendar: Calendar, *, pages_max: int) -> Iterator[list[Meeting]]:
        """Read one calendar's window; a request that comes meanwhile is owed on its own."""
        started = self._clock()
        if calendar.read_since is not None:
            self._stores.calendars.begin_read(calendar.calendar_id)
        link = calendar.read_next or None if calendar.read_since is None else None
        kept, seen = link, {link}
        for _ in range(pages_max):
            try:
                page = self._page(link, calendar_id=calendar.calendar_id, seen=seen)
            except Unexpected:
                if kept is not None and link == kept:
                    self._stores.calendars.pause_read(calendar.calendar_id, read_next="")
                raise
            except (NotFound, Refused):
                self._give_up_read(calendar.calendar_id, link=link, started=started)
                return
            yield owed(self._observer.take(page))
            link = page.next_page
            if link is None:
                self._stores.calendars.finish_read(calendar.calendar_id, swept_at=started)
                return
        self._stores.calendars.pause_read(calendar.calendar_id, read_next=link or "")

    def _give_up_read(self, calendar_id: str, *, link: str | None, started: datetime) -> None:
        """A stale page link: from the first page again. A calendar Recall will not list: enough."""
        if link is not None:
            self._stores.calendars.pause_read(calendar_id, read_next="")
            return
        self._log.warning("calendar not listed: refused", calendar_id=calendar_id)
        self._stores.calendars.finish_read(calendar_id, swept_at=started)

    def _page(
        self,
        link: str | None,
        *,
        calendar_id: str | None = None,
        updated_since: datetime | None = None,
        seen: set[str | None],
    ) -> EventPage:
        """One page; `seen` are the links followed so far, and gets the next one."""
        if link is not None:
            page = self._recall.list_events(next_page=link)
        else:
            page = self._recall.list_events(calendar_id=calendar_id, updated_since=updated_since)
        if page.next_page is not None and page.next_page in seen:
            message = "Recall's next link leads to a page that was read before"
            raise Unexpected("page_loop", message)
        seen.add(page.next_page)
        return page

    def _refresh_connecting(self) -> None:
        """Webhooks about a connection can be lost too."""
        connecting = self._stores.calendars.by_status(
            CalendarStatus.CONNECTING, limit=CONNECTING_MAX
        )
        for calendar in connecting:
            try:
                self._refresh(calendar.calendar_id)
            except AccountBusy:
                continue
            except TransientError as error:
                self._log.warning("connecting calendars not refreshed", code=error.code)
                return
            except (CallerError, PermanentError) as error:
                self._log.crash(
                    "connecting calendar not refreshed", error, calendar_id=calendar.calendar_id
                )


def _next_sweep_covers(calendar: Calendar, feed: Feed) -> bool:
    if calendar.read_next is not None or calendar.read_since is None or feed.cursor is None:
        return False
    return calendar.read_since >= feed.cursor
