"""The state of the world and its time, shared by the parts that change it."""

from __future__ import annotations

import random
import uuid
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from threading import RLock

from infra.local.emulators.clock import Clock
from infra.local.emulators.recall.accounts import Account
from infra.local.emulators.recall.agenda import Agenda
from infra.local.emulators.recall.records import Bot, Calendar, Event
from infra.local.emulators.recall.switches import Switches, Timings
from infra.local.emulators.recall.times import webhook_time
from infra.local.emulators.recall.webhooks import Outbox

WINDOW_BACK = timedelta(days=1)
WINDOW_AHEAD = timedelta(days=28)
RETENTION = timedelta(days=60)


class Core:
    """Records with their indexes, the agenda, and the webhooks on their way."""

    def __init__(
        self,
        clock: Clock,
        *,
        outbox: Callable[[Core], Outbox],
        switches: Switches,
        timings: Timings,
        chance: random.Random,
    ) -> None:
        self.clock = clock
        self.lock = RLock()
        self.switches = switches
        self.timings = timings
        self.chance = chance
        self.agenda = Agenda()
        self.calendars: dict[str, Calendar] = {}
        self.events: dict[str, Event] = {}
        self.by_calendar: dict[str, dict[str, Event]] = {}
        self.by_account: dict[tuple[str, str], dict[str, Calendar]] = {}
        self.bots: dict[str, Bot] = {}
        self.by_key: dict[str, list[Bot]] = {}
        self.accounts: dict[tuple[str, str], Account] = {}
        self.outbox = outbox(self)
        self._by_update: list[tuple[datetime, str]] = []
        self._news: dict[str, datetime] = {}
        self._job_time: datetime | None = None

    def now(self) -> datetime:
        """The clock's time, or the due time of the job that is running."""
        return self._job_time or self.clock.now()

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def later(self, seconds: float, job: Callable[[], None]) -> None:
        self.agenda.add(self.now() + timedelta(seconds=seconds), job)

    def at(self, due: datetime, job: Callable[[], None]) -> None:
        self.agenda.add(due, job)

    def settle(self) -> None:
        """Run every job that is due, each at its own time."""
        while found := self.agenda.pop(self.clock.now()):
            self._job_time, job = found
            try:
                job()
            finally:
                self._job_time = None

    def add_event(self, event: Event) -> None:
        self.events[event.id] = event
        self.by_calendar.setdefault(event.calendar_id, {})[event.platform_id] = event
        insort(self._by_update, (event.updated_at, event.id))

    def bump(self, event: Event, at: datetime) -> None:
        """Give the event a new `updated_at`."""
        event.updated_at = at
        event.touch()
        insort(self._by_update, (at, event.id))
        if len(self._by_update) > 4 * len(self.events) + 1000:
            self._by_update = sorted((each.updated_at, each.id) for each in self.events.values())

    def updated_since(self, moment: datetime) -> Iterator[Event]:
        """Events with `updated_at` at or after the moment, each once."""
        for updated_at, event_id in self._by_update[bisect_left(self._by_update, (moment, "")) :]:
            event = self.events.get(event_id)
            if event and event.updated_at == updated_at:
                yield event

    def announce(self, calendar_id: str, since: datetime) -> None:
        """Send calendar.sync_events soon; what changes until then shares the webhook."""
        known = self._news.get(calendar_id)
        self._news[calendar_id] = min(known, since) if known else since
        if known is None:
            self.later(self.timings.sync, lambda: self._tell(calendar_id))

    def _tell(self, calendar_id: str) -> None:
        since = self._news.pop(calendar_id)
        if calendar_id in self.calendars:
            self.send_sync(calendar_id, since)

    def send_sync(self, calendar_id: str, since: datetime) -> None:
        data = {"calendar_id": calendar_id, "last_updated_ts": webhook_time(since)}
        self.outbox.send("calendar.sync_events", data, at=self.now())

    def send_update(self, calendar_id: str) -> None:
        self.outbox.send("calendar.update", {"calendar_id": calendar_id}, at=self.now())
