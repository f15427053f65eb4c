"""A meeting row: the facts of one event copy, what was decided, and what was asked of Recall."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.decision import Decision
from shared.domain.event import Event, EventBot
from shared.domain.rules import Choice

KEPT_AFTER_END = timedelta(days=7)
LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What we last asked Recall to do for an event; `state` is open (`scheduled`, bot codes)."""

    bot_id: str
    deduplication_key: str
    fingerprint: str
    join_at: datetime
    state: str = "scheduled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A person's word on one occurrence or series: the choice, who set it, when, from where.

    `source` is `api`, `page` or `opt_out`.
    """

    choice: Choice = Choice.AUTO
    set_by: str | None = None
    set_at: datetime | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """One row of the Meetings table.

    `bots` is Recall's list as last seen; `released` names bots that we unscheduled and that
    Recall may go on listing. `due`: work is owed from `next_attempt` on. `problem` holds the
    code of the last refusal. `version` is the storage's lock (None: not stored yet).
    """

    event: Event
    tenant_id: str
    bots: tuple[EventBot, ...] = ()
    decision: Decision
    override: Override = Override()
    assignment: Assignment | None = None
    released: frozenset[str] = frozenset()
    due: bool = False
    attempts: int = 0
    next_attempt: datetime | None = None
    problem: str | None = None
    version: int | None = None

    @property
    def expires_at(self) -> datetime:
        # The calendar ends with the year 9999, and an invitation may last as long.
        return min(self.event.end, LAST_MOMENT - KEPT_AFTER_END) + KEPT_AFTER_END
