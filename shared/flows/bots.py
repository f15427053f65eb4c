"""Bots: what a bot reports moves its meetings forward, never back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from shared.domain.attendance import missed_reason
from shared.domain.bot_state import Phase, is_news, moved, phase_of
from shared.domain.claim import EVENT, MEETING
from shared.domain.ending import ENDED
from shared.domain.notice import BotStatus, MeetingMissed, Notice
from shared.errors import TransientError
from shared.recall import NotFound

if TYPE_CHECKING:
    from shared.domain.calendar import Calendar
    from shared.domain.meeting import Assignment, Meeting
    from shared.domain.message import BotEvent
    from shared.events import EventBus
    from shared.recall import RecallClient
    from shared.storage import Stores

# A bot may be in the lobby before the answer that names it is stored.
EARLY: Final = timedelta(minutes=2)
EARLY_SECONDS_MIN: Final = 5.0


class BotReports:
    """Answers bot.* and recording.* webhooks; bots that are not ours are ignored."""

    def __init__(
        self,
        recall: RecallClient,
        stores: Stores,
        *,
        bus: EventBus,
        clock: Callable[[], datetime],
    ) -> None:
        self._recall = recall
        self._stores = stores
        self._bus = bus
        self._clock = clock

    def receive(self, report: BotEvent) -> None:
        """Record the state on every event that shares the bot and tell the host.

        Raises Conflict (a TransientError) when a row changed meanwhile, TransientError
        `assignment_awaited` when the report came before the row knows its bot. Repeating is
        harmless.
        """
        rows = self._rows(self._metadata(report))
        served = [row for row in rows if row.assignment and row.assignment.bot_id == report.bot_id]
        if not served and any(report.bot_id not in row.released for row in rows):
            self._await(report)
        calendars = self._stores.calendars.get_many({row.event.calendar_id for row in served})
        for row in served:
            calendar = calendars.get(row.event.calendar_id)
            if calendar is not None and row.assignment is not None:
                self._take(row, row.assignment, report=report, calendar=calendar)

    def _metadata(self, report: BotEvent) -> Mapping[str, str]:
        """What we gave the bot along; the payloads of API 1.10 lack it, so Recall is asked."""
        if report.metadata is not None:
            return report.metadata
        try:
            return self._recall.get_bot(report.bot_id).metadata
        except NotFound:
            return {}

    def _rows(self, metadata: Mapping[str, str]) -> Iterable[Meeting]:
        """By meeting key, and by event: a row that moved on may still hold the bot of before."""
        found: list[Meeting] = []
        if meeting_key := metadata.get(MEETING):
            found += self._stores.meetings.of_key(meeting_key)
        if event_id := metadata.get(EVENT):
            row = self._stores.meetings.get(event_id)
            found += [row] if row else []
        return {row.event.event_id: row for row in found}.values()

    def _await(self, report: BotEvent) -> None:
        """Bring an early report back after as long as it is old: six times at most, then let go."""
        age = abs(self._clock() - report.updated_at)
        if age >= EARLY:
            return
        raise TransientError(
            "assignment_awaited",
            "A bot reports whom no row knows yet.",
            retry_after=max(age.total_seconds(), EARLY_SECONDS_MIN),
        )

    def _take(
        self, row: Meeting, assignment: Assignment, *, report: BotEvent, calendar: Calendar
    ) -> None:
        """Tell, then store: a crash in between tells twice, with the same id."""
        missed = _missed(row, assignment, report=report, calendar=calendar)
        status = _status(row, report=report, calendar=calendar)
        told: list[Notice] = [status] if is_news(assignment, report) else []
        self._bus.publish([*told, missed] if missed else told)
        after = _after(assignment, report, missed=missed)
        if after != assignment:
            self._stores.meetings.save(replace(row, assignment=after))


def _after(assignment: Assignment, report: BotEvent, *, missed: MeetingMissed | None) -> Assignment:
    """Who was given up and comes after all is missed no more."""
    after = moved(assignment, report)
    if missed is not None:
        return replace(after, missed=missed.reason, missed_detail=missed.detail)
    if phase_of(after.state) is Phase.IN_CALL:
        return replace(after, missed=None, missed_detail=None)
    return after


def _status(row: Meeting, *, report: BotEvent, calendar: Calendar) -> BotStatus:
    return BotStatus(
        tenant_id=calendar.tenant_id,
        entity_id=calendar.entity_id,
        calendar_id=calendar.calendar_id,
        occurred_at=report.updated_at,
        event_id=row.event.event_id,
        bot_id=report.bot_id,
        code=report.event if report.about_recording else report.code,
        sub_code=report.sub_code,
        recording_id=report.recording_id,
    )


def _missed(
    row: Meeting, assignment: Assignment, *, report: BotEvent, calendar: Calendar
) -> MeetingMissed | None:
    """A wanted meeting whose bot ended before it was in."""
    # A report may come after a look that found the meeting over.
    wanted = row.wanted if row.verdict.reason == ENDED else row.verdict.join
    if report.about_recording or not wanted:
        return None
    reason = missed_reason(assignment.state, code=report.code, sub_code=report.sub_code)
    if reason is None:
        return None
    return MeetingMissed(
        tenant_id=calendar.tenant_id,
        entity_id=calendar.entity_id,
        calendar_id=calendar.calendar_id,
        occurred_at=report.updated_at,
        event_id=row.event.event_id,
        start_time=row.event.start,
        reason=reason,
        detail=report.sub_code,
    )
