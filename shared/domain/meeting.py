"""A meeting row: the facts of one event copy, what was decided, and what was asked of Recall."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from shared.domain.decision import BUDGET, Decision
from shared.domain.event import Event, EventBot
from shared.domain.rules import Choice, Scheduling

KEPT_AFTER_END = timedelta(days=7)
LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
VETOED = "vote.veto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What we last asked Recall to do for an event, and how far the bot says it has come.

    `state` is open (`scheduled`, bot codes), `recording` the furthest code of its recordings;
    their `_at` is Recall's clock of the report. `missed` is why the watchdog gave it up, with
    Recall's sub code as detail. `by` tells whose the bot is: the event's at
    Recall, or one of ours under a claim. `fingerprint` is empty while nobody knows the bot's make.
    """

    bot_id: str
    deduplication_key: str
    fingerprint: str
    join_at: datetime
    state: str = "scheduled"
    by: Scheduling = Scheduling.MANAGED
    state_at: datetime | None = None
    recording: str | None = None
    recording_at: datetime | None = None
    missed: str | None = None
    missed_detail: str | None = None

    def asked(self) -> Assignment:
        """Only what we asked for, as if nobody had heard of the bot since."""
        asked = {name: getattr(self, name) for name in _ASKED}
        return Assignment(**asked)

    def hearing(self, other: Assignment | None) -> Assignment:
        """With what was heard of the same bot before."""
        if other is None or other.bot_id != self.bot_id:
            return self
        asked = {name: getattr(self, name) for name in _ASKED}
        return replace(other, **asked)


_ASKED = ("bot_id", "deduplication_key", "fingerprint", "join_at", "by")


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

    `decision` is the copy's own; `overruled` is the reason if the vote of all copies says
    otherwise. `meeting_key` is the key of today, under which copies find each other, and
    `keyed_at` when it was first seen; `shared`: there are or were other copies.
    `wanted`: a bot should be there, as last decided before the end.
    `opted_out`: somebody invited wants no bot, which nothing overrules.
    `asked`: the event's bot is being asked for, or was, and no answer was heard since.
    `bots` is Recall's list as last seen; `released` names bots that we unscheduled and that
    Recall may go on listing, `leaving` those that must still be asked to leave.
    `due`: work is owed from `next_attempt` on; `wake_at`: the row wants a look by then anyhow,
    `look_at`: when the watchdog asks for the bot again.
    `problem` holds the code of the last refusal (Recall's own in `problem_detail`, and when),
    `setback` that of the last failure that may pass. `version` is the storage's lock (None: not
    stored yet).
    """

    event: Event
    tenant_id: str
    bots: tuple[EventBot, ...] = ()
    decision: Decision
    overruled: str | None = None
    override: Override = Override()
    opted_out: bool = False
    asked: bool = False
    assignment: Assignment | None = None
    meeting_key: str | None = None
    keyed_at: datetime | None = None
    shared: bool = False
    wanted: bool = False
    released: frozenset[str] = frozenset()
    leaving: tuple[str, ...] = ()
    due: bool = False
    attempts: int = 0
    next_attempt: datetime | None = None
    look_at: datetime | None = None
    wake_at: datetime | None = None
    problem: str | None = None
    problem_detail: str | None = None
    problem_at: datetime | None = None
    setback: str | None = None
    version: int | None = None

    @property
    def keys(self) -> frozenset[str]:
        """Of the meetings where the copy stands, or a bot of its does still."""
        held = {entry.deduplication_key for entry in self.bots if entry.bot_id not in self.released}
        if self.assignment is not None:
            held.add(self.assignment.deduplication_key)
        return frozenset(key for key in (self.meeting_key, *held) if key)

    @property
    def set_aside(self) -> bool:
        """Refused, and left alone until facts change or somebody has it tried again."""
        return self.problem is not None and not self.due

    @property
    def verdict(self) -> Decision:
        """What holds for this copy after the vote."""
        if self.overruled is None or not self.decision.join:
            return self.decision
        rule = "veto" if self.overruled == VETOED else "vote"
        return Decision(join=False, reason=self.overruled, rule=rule)

    @property
    def outcome(self) -> Decision:
        """What people are told: the verdict, unless there was no credit for its bot.

        The scheduler goes by the verdict, and so goes on asking.
        """
        if self.verdict.join and self.assignment is None and self.setback == BUDGET:
            return Decision(join=False, reason=BUDGET)
        return self.verdict

    @property
    def expires_at(self) -> datetime:
        # The calendar ends with the year 9999, and an invitation may last as long.
        return min(self.event.end, LAST_MOMENT - KEPT_AFTER_END) + KEPT_AFTER_END
