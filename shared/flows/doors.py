"""What the flows about calendars reach through."""

from __future__ import annotations

from dataclasses import dataclass

from shared.events import EventBus
from shared.queue import Queue
from shared.recall.client import RecallClient
from shared.storage import AccountStore, CalendarStore, MeetingStore


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDoors:
    """Rows, Recall, the bell and the bus."""

    calendars: CalendarStore
    meetings: MeetingStore
    accounts: AccountStore
    recall: RecallClient
    queue: Queue
    events: EventBus
