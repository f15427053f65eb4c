"""Preview: what rules would change, by the very functions that decide; nothing is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.consider import action_for, choice_of, explained, wish_for
from shared.domain.scope import Scope, rules_from, scopes_of
from shared.errors import CallerError
from shared.flows.meetings import ShownMeeting
from shared.flows.neighbours import Neighbourhood, Neighbours

if TYPE_CHECKING:
    from shared.domain.calendar import Calendar
    from shared.domain.meeting import Meeting
    from shared.domain.plan import Wish
    from shared.storage import Stores

MEETINGS_MAX = 5_000
CALENDARS_MAX = 2_000
CALENDARS_PAGE = 100
READS_IN_FLIGHT = 8
# What runs now began a while ago.
LOOK_BACK = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Meetings as they would be; copies outside the scope appear where their bot changes."""

    added: list[ShownMeeting] = field(default_factory=list)
    removed: list[ShownMeeting] = field(default_factory=list)
    changed: list[ShownMeeting] = field(default_factory=list)
    unchanged: list[ShownMeeting] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """One copy under some rules: as people see it, and the bot that it should have.

    `stays`: it should have none, and yet the bot that is in the call stays there.
    """

    shown: ShownMeeting
    wish: Wish | None
    stays: bool


class Previewer:
    def __init__(self, stores: Stores, neighbours: Neighbours) -> None:
        self._stores = stores
        self._neighbours = neighbours

    def preview(self, scope: Scope, document: dict[str, Any], *, now: datetime) -> Preview:
        """CallerError `preview_too_large` above MEETINGS_MAX upcoming meetings."""
        with self._neighbours.workers(READS_IN_FLIGHT) as pool:
            rows = self._upcoming(scope, now=now, pool=pool)
            near = self._neighbours.neighbourhood(row.event for row in rows)
            then = self._under(near, scope, document=document)
            # A tenant's scope holds all copies already.
            nears = (near, then) if scope.entity_id is not None else ()
            beside = self._beside(rows, nears, now=now, pool=pool)
        if beside:
            near = self._neighbours.neighbourhood(row.event for row in (*rows, *beside))
            then = self._under(near, scope, document=document)
        every = [*rows, *beside]
        inside = {row.event.event_id for row in rows}
        return _compared(
            _outcomes(every, near, now=now), _outcomes(every, then, now=now), inside=inside
        )

    def _upcoming(self, scope: Scope, *, now: datetime, pool: Executor) -> list[Meeting]:
        found: list[Meeting] = []
        calendars = self._calendars(scope)
        for first in range(0, len(calendars), READS_IN_FLIGHT):
            some = calendars[first : first + READS_IN_FLIGHT]
            for rows in pool.map(lambda calendar: self._meetings(calendar, now=now), some):
                found += rows
            if len(found) > MEETINGS_MAX:
                raise too_large()
        return found

    def _calendars(self, scope: Scope) -> list[Calendar]:
        found: list[Calendar] = []
        cursor: str | None = None
        while len(found) <= CALENDARS_MAX:
            page = self._stores.calendars.find(
                tenant_id=scope.tenant_id,
                entity_id=scope.entity_id,
                cursor=cursor,
                limit=CALENDARS_PAGE,
            )
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found
        raise too_large()

    def _meetings(self, calendar: Calendar, *, now: datetime) -> list[Meeting]:
        found: list[Meeting] = []
        cursor: str | None = None
        while len(found) <= MEETINGS_MAX:
            page = self._stores.meetings.of_calendar(
                calendar.calendar_id, start=now - LOOK_BACK, cursor=cursor, limit=MEETINGS_MAX
            )
            found += [row for row in page.items if row.event.end > now]
            cursor = page.next_cursor
            if cursor is None:
                break
        return found

    def _under(
        self, near: Neighbourhood, scope: Scope, *, document: dict[str, Any]
    ) -> Neighbourhood:
        """The neighbourhood with these rules in force."""
        chains = {
            calendar_id: scopes_of(calendar.tenant_id, calendar.entity_id)
            for calendar_id, calendar in near.calendars.items()
        }
        scopes = {each for chain in chains.values() for each in chain}
        stored = self._stores.settings.rules_of(sorted(scopes))
        documents = {**stored, scope.name: document}
        rules = {each: rules_from(documents, chain) for each, chain in chains.items()}
        return replace(near, rules=rules)

    def _beside(
        self,
        rows: Sequence[Meeting],
        nears: Iterable[Neighbourhood],
        *,
        now: datetime,
        pool: Executor,
    ) -> list[Meeting]:
        """Copies outside the scope of meetings that these rows belong to or would belong to."""
        keys = {
            own.meeting_key
            for near in nears
            for row, own in zip(rows, _own(rows, near, now=now), strict=True)
            if row.shared or own.meeting_key != row.meeting_key
        }
        wanted = sorted(key for key in keys if key is not None)
        known = {row.event.event_id for row in rows}
        found = {
            row.event.event_id: row
            for group in pool.map(self._stores.meetings.of_key, wanted)
            for row in group
        }
        return [row for event_id, row in found.items() if event_id not in known]


def _own(rows: Sequence[Meeting], near: Neighbourhood, *, now: datetime) -> list[Meeting]:
    """Decided as if alone: what it takes to know which copies belong together."""
    return [explained(row, near.around(row.event, now=now)) for row in rows]


def _outcomes(
    rows: Sequence[Meeting], near: Neighbourhood, *, now: datetime
) -> dict[str, _Outcome]:
    """By event id."""
    together: dict[str | None, list[Meeting]] = defaultdict(list)
    for row in _own(rows, near, now=now):
        together[row.meeting_key].append(row)
    return {
        row.event.event_id: _outcome(row, copies if key else (), near=near, now=now)
        for key, copies in together.items()
        for row in copies
    }


def _outcome(
    row: Meeting, copies: Iterable[Meeting], *, near: Neighbourhood, now: datetime
) -> _Outcome:
    others = [copy for copy in copies if copy is not row]
    around = near.around(row.event, copies=others, now=now)
    decided = explained(row, around) if others else row
    shown = ShownMeeting(meeting=decided, override=choice_of(decided, around))
    wish = wish_for(decided, around)
    running = row.assignment is not None and row.event.start <= now
    stays = wish is None and running and action_for(decided, around) is None
    return _Outcome(shown=shown, wish=wish, stays=stays)


def _compared(
    now: Mapping[str, _Outcome], then: Mapping[str, _Outcome], *, inside: set[str]
) -> Preview:
    preview = Preview()
    for event_id, outcome in then.items():
        before, after = now[event_id].wish, outcome.wish
        if before is None and after is not None:
            preview.added.append(outcome.shown)
        elif before is not None and after is None and not outcome.stays:
            preview.removed.append(outcome.shown)
        elif before is not None and after is not None and before.make != after.make:
            preview.changed.append(outcome.shown)
        elif event_id in inside:
            preview.unchanged.append(outcome.shown)
    return preview


def too_large() -> CallerError:
    message = (
        f"A preview covers at most {MEETINGS_MAX} upcoming meetings of {CALENDARS_MAX} "
        "calendars; ask for a tenant's or an entity's scope instead."
    )
    return CallerError("preview_too_large", message, field="scope")
