"""Keeps the overview up to date: one small row that a page reads instead of counting itself."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from shared.domain.calendar import CalendarStatus
from shared.domain.overview import (
    Overview,
    days_around,
    hours_ahead,
    hours_behind,
    overview_document,
)
from shared.flows.coverage import turnouts_of

if TYPE_CHECKING:
    from shared.storage import Stores

OVERVIEW: Final = "overview"
CALENDARS_MAX: Final = 10_000
SET_ASIDE_MAX: Final = 100


def keep_overview(stores: Stores, *, now: datetime) -> Overview:
    """Count anew and store; every count starts from nothing, so a repeat does no harm."""
    turnouts = [each for day in days_around(now) for each in turnouts_of(stores.meetings, day)]
    overview = Overview(
        counted_at=now,
        calendars={
            status.value: len(stores.calendars.by_status(status, limit=CALENDARS_MAX))
            for status in CalendarStatus
        },
        ahead=hours_ahead(turnouts, now=now),
        behind=hours_behind(turnouts, now=now),
        set_aside=len(stores.meetings.set_aside(since=now, limit=SET_ASIDE_MAX).items),
    )
    stores.workspace.put_report(OVERVIEW, overview_document(overview))
    return overview
