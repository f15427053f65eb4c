"""Rules: kept by scope and version; a change is stored, announced, and worked off by others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.domain.redecision import Change, Redecision, announced, ready
from shared.domain.scope import Scope
from shared.errors import CallerError, TransientError
from shared.queue import Queue
from shared.storage import Conflict, RulesVersion, SettingsStore, WorkspaceStore

TRIES = 5

Step = Callable[[Redecision | None], Redecision]


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesDoors:
    """The documents, the job of deciding anew, and the bell."""

    settings: SettingsStore
    workspace: WorkspaceStore
    queue: Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesPut:
    """A document for a scope; `expected` are the versions that it may follow (None: any)."""

    scope: Scope
    document: dict[str, Any]
    by: str | None
    expected: frozenset[int] | None = None


def put_rules(doors: RulesDoors, wanted: RulesPut, *, now: datetime, unique: str) -> RulesVersion:
    """Store the rules and have the meetings of their scope decided anew in the background.

    Raises CallerError `rules_changed` (412) when another version than the expected is in force.
    """
    check_locks(doors.settings, wanted.scope, document=wanted.document)
    for _ in range(TRIES):
        standing = doors.settings.rules_version(wanted.scope.name)
        if wanted.expected is not None and standing.version not in wanted.expected:
            raise _rules_changed(standing)
        try:
            stored = _store(doors, wanted, after=standing.version, now=now)
        except Conflict:
            continue
        doors.queue.ring_work(now=now, unique=unique)
        return stored
    raise TransientError("rules_busy", "Others keep changing these rules.", retry_after=1)


def check_locks(settings: SettingsStore, scope: Scope, *, document: dict[str, Any]) -> None:
    """CallerError `rules_locked` for a key of an entity that its tenant locked."""
    if scope.entity_id is None:
        return
    tenant = settings.rules(Scope(scope.tenant_id).name) or {}
    for key in document:
        if key in tenant.get("locked", ()):
            message = f"The tenant's rules lock {key}; leave it out, or unlock it there."
            raise CallerError("rules_locked", message, field=key)


def _store(doors: RulesDoors, wanted: RulesPut, *, after: int, now: datetime) -> RulesVersion:
    """The job is announced before the rules are stored: a crash in between only walks in vain."""
    change = Change(scope=wanted.scope.name, before=after, version=after + 1, asked_by=wanted.by)
    _step(doors.workspace, lambda job: announced(job, change, now=now))
    stored = doors.settings.put_rules(
        wanted.scope.name, wanted.document, by=wanted.by, at=now, after=after
    )
    _step(doors.workspace, lambda job: ready(job, change, now=now))
    return stored


def _step(workspace: WorkspaceStore, step: Step) -> None:
    for _ in range(TRIES):
        if workspace.save_redecision(step(workspace.redecision())):
            return
    raise TransientError("rules_busy", "Others keep changing rules.", retry_after=1)


def _rules_changed(standing: RulesVersion) -> CallerError:
    message = f"Version {standing.version} is in force; read it, and put again on top of it."
    return CallerError("rules_changed", message, status=412)
