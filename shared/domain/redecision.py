"""A re-decision: which meetings still have to be decided anew after a change of rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.rules import Rules

SCOPES_MAX = 200
# Longer than a request lives: by then its rules are stored, or never will be.
ANNOUNCED_LIFE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """One scope to walk: the version that its meetings were decided under (None: unknown)."""

    before: int | None
    ready_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the walk stands: cursors of the calendars of a scope and of a calendar's meetings."""

    scope: str
    calendars: str | None = None
    meetings: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redecision:
    """Row "rules" of the Workspace table; `scope`, `version` and `asked_by` are the newest put's.

    `lock` is the storage's (0: not stored yet).
    """

    scope: str
    version: int
    asked_by: str | None
    started_at: datetime
    owed: Mapping[str, Owed] = field(default_factory=dict)
    place: Place | None = None
    meetings_seen: int = 0
    meetings_changed: int = 0
    finished_at: datetime | None = None
    lock: int = 0

    def next_scope(self, now: datetime) -> str | None:
        """The scope under way, else one that is ready."""
        if self.place is not None:
            return self.place.scope
        return min(
            (scope for scope, owed in self.owed.items() if owed.ready_at <= now), default=None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A put of rules: from version `before` (still in force when it is announced) to `version`."""

    scope: str
    before: int
    version: int
    asked_by: str | None


def announced(job: Redecision | None, change: Change, *, now: datetime) -> Redecision:
    """Before the rules are stored: a crash after that leaves nothing undecided."""
    return _with(job, change, now=now, ready_at=now + ANNOUNCED_LIFE)


def ready(job: Redecision | None, change: Change, *, now: datetime) -> Redecision:
    """After the rules are stored."""
    return _with(job, change, now=now, ready_at=now)


def walked(
    job: Redecision, place: Place | None, *, scope: str, seen: int, changed: int, now: datetime
) -> Redecision:
    """After a step that left the walk at `place`; None: the scope is done."""
    owed = {name: each for name, each in job.owed.items() if place is not None or name != scope}
    return replace(
        job,
        owed=owed,
        place=place,
        meetings_seen=job.meetings_seen + seen,
        meetings_changed=job.meetings_changed + changed,
        finished_at=None if owed else now,
    )


def forgotten(job: Redecision, scope: str, *, instead: str) -> Redecision:
    """Without a scope whose rules are gone; `instead` is shown where it was named."""
    under_way = job.place is not None and job.place.scope == scope
    return replace(
        job,
        scope=instead if job.scope == scope else job.scope,
        owed={name: each for name, each in job.owed.items() if name != scope},
        place=None if under_way else job.place,
    )


def bots_differ(former: Rules, rules: Rules) -> bool:
    """Whether bots may have to change even where the decision of a copy stays as it is."""
    return any(getattr(former, name) != getattr(rules, name) for name in _BEYOND_THE_DECISION)


_BEYOND_THE_DECISION = ("mode", "vote", "veto", "dedupe", "scheduling", "horizon", "bot")


def _with(
    job: Redecision | None, change: Change, *, now: datetime, ready_at: datetime
) -> Redecision:
    """The union with a job under way, whose walk of the same scope starts over."""
    fresh = Redecision(
        scope=change.scope, version=change.version, asked_by=change.asked_by, started_at=now
    )
    if job is None:
        job = fresh
    elif job.finished_at is not None:
        job = replace(fresh, lock=job.lock)
    standing = job.owed.get(change.scope)
    before = change.before if standing is None else standing.before
    owed = {**job.owed, change.scope: Owed(before=before, ready_at=ready_at)}
    start_over = len(owed) > SCOPES_MAX or (job.place and job.place.scope == change.scope)
    return replace(
        job,
        scope=change.scope,
        version=change.version,
        asked_by=change.asked_by,
        owed=_bounded(owed),
        place=None if start_over else job.place,
    )


def _bounded(owed: Mapping[str, Owed]) -> Mapping[str, Owed]:
    """Too many scopes for one row become a walk of everything, from versions unknown."""
    if len(owed) <= SCOPES_MAX:
        return owed
    ready_at = max(each.ready_at for each in owed.values())
    return {"default": Owed(before=None, ready_at=ready_at)}
