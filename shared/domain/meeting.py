"""A meeting row: the facts of one event copy, what was decided, and what was asked of Recall."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from shared.domain.decision import Decision
from shared.domain.event import Event, EventBot
from shared.domain.rules import Choice

KEPT_AFTER_END = timedelta(days=7)
LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What we last asked Recall to do for an event, and how far the bot says it has come.

    `state` is open (`scheduled`, bot codes), `recording` the furthest code of its recordings;
    their `_at` is Recall's clock of the report.
    """

    bot_id: str
    deduplication_key: str
    fingerprint: str
    join_at: datetime
    state: str = "scheduled"
    state_at: datetime | None = None
    recording: str | None = None
    recording_at: datetime | None = None

    def asked(self) -> Assignment:
        """Only what we asked for, as if the bot had reported nothing."""
        return replace(self, state="scheduled", state_at=None, recording=None, recording_at=None)

    def hearing(self, other: Assignment | None) -> Assignment:
        """With what the same bot reported before."""
        if other is None or other.bot_id != self.bot_id:
            return self
        return replace(
            self,
            state=other.state,
            state_at=other.state_at,
            recording=other.recording,
            recording_at=other.recording_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A person's word on one occurrence or series: the choice, who set it, and when."""

    choice: Choice = Choice.AUTO
    set_by: str | None = None
    set_at: datetime | None = None


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
