"""What the flows about calendars reach through."""

from __future__ import annotations

from dataclasses import dataclass

from shared.events import EventBus
from shared.queue import Queue
from shared.recall.client import RecallClient
from shared.storage import (
    AccountStore,
    CalendarStore,
    ClaimStore,
    MeetingStore,
    SettingsStore,
    Stores,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDoors:
    """Rows, Recall, the bell and the bus."""

    calendars: CalendarStore
    meetings: MeetingStore
    accounts: AccountStore
    settings: SettingsStore
    claims: ClaimStore
    recall: RecallClient
    queue: Queue
    bus: EventBus

    @classmethod
    def over(
        cls, stores: Stores, *, recall: RecallClient, queue: Queue, bus: EventBus
    ) -> CalendarDoors:
        return cls(
            calendars=stores.calendars,
            meetings=stores.meetings,
            accounts=stores.accounts,
            settings=stores.settings,
            claims=stores.claims,
            recall=recall,
            queue=queue,
            bus=bus,
        )
