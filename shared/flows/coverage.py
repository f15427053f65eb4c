"""Coverage: counts the meetings of the last days, from their rows alone."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from shared.domain.coverage import Turnout, counted, coverage_of, days_to_count
from shared.errors import PermanentError

if TYPE_CHECKING:
    from shared.storage import MeetingStore, WorkspaceStore

COVERAGE: Final = "coverage"
PAGES_MAX: Final = 1_000
PAGE_ROWS: Final = 1_000


def count_coverage(meetings: MeetingStore, workspace: WorkspaceStore, *, now: datetime) -> int:
    """Count the days that are still open; answers how many.

    Every count starts from nothing, so a crash or a repeat leaves the same figures.
    """
    document = workspace.report(COVERAGE)
    days = days_to_count(document, now=now)
    found = {day: coverage_of(turnouts_of(meetings, day), now=now) for day in days}
    workspace.put_report(COVERAGE, counted(document, found, now=now))
    return len(days)


def turnouts_of(meetings: MeetingStore, day: date) -> list[Turnout]:
    """All copies of a UTC day that want, or wanted, a bot."""
    turnouts: list[Turnout] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        page = meetings.wanted_on(day, cursor=cursor, limit=PAGE_ROWS)
        turnouts += page.items
        cursor = page.next_cursor
        if cursor is None:
            return turnouts
    raise PermanentError("too_many_meetings", f"A day has more than {PAGES_MAX} pages of meetings.")
