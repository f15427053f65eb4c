"""Bots: what a bot reports moves its meetings forward, never back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.domain.bot_state import moves_forward
from shared.domain.notice import BotStatus
from shared.flows.act import METADATA_KEY

if TYPE_CHECKING:
    from shared.domain.calendar import Calendar
    from shared.domain.meeting import Meeting
    from shared.domain.message import BotEvent
    from shared.events import EventBus
    from shared.storage import Stores


class BotReports:
    """Answers bot.* webhooks; bots that are not ours are ignored."""

    def __init__(self, stores: Stores, bus: EventBus) -> None:
        self._stores = stores
        self._bus = bus

    def receive(self, report: BotEvent) -> None:
        """Record the state on every event that shares the bot and tell the host.

        Raises Conflict (a TransientError) when a row changed meanwhile; repeating is harmless.
        """
        meeting_key = report.metadata.get(METADATA_KEY)
        if meeting_key is None:
            return
        rows = [
            row
            for row in self._stores.meetings.of_key(meeting_key)
            if row.assignment is not None and row.assignment.bot_id == report.bot_id
        ]
        calendars = self._stores.calendars.get_many({row.event.calendar_id for row in rows})
        for row in rows:
            calendar = calendars.get(row.event.calendar_id)
            if calendar is not None:
                self._move(row, report, calendar=calendar)

    def _move(self, row: Meeting, report: BotEvent, *, calendar: Calendar) -> None:
        assignment = row.assignment
        if assignment is None or not moves_forward(assignment.state, report.code):
            return
        self._bus.publish(
            [
                BotStatus(
                    tenant_id=calendar.tenant_id,
                    entity_id=calendar.entity_id,
                    calendar_id=calendar.calendar_id,
                    occurred_at=report.updated_at,
                    event_id=row.event.event_id,
                    bot_id=report.bot_id,
                    code=report.code,
                    sub_code=report.sub_code,
                )
            ]
        )
        moved = replace(assignment, state=report.code)
        self._stores.meetings.save(replace(row, assignment=moved))
