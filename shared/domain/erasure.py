"""Erasures: entities whose data are being removed, and the audit record that stays."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.secret import Secret

WAITING_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """One entity on its way out; `record` names what stays of it, the counts say what went."""

    tenant_id: str
    entity_id: str
    record: str
    asked_by: str | None
    asked_at: datetime
    calendars: int = 0
    meetings: int = 0
    sessions: int = 0
    rules: int = 0

    @property
    def mark(self) -> str:
        """Where it is kept that links given out before open nothing any more."""
        return _mark(self.record.split("#")[1])

    def of(self, tenant_id: str, entity_id: str) -> bool:
        return (self.tenant_id, self.entity_id) == (tenant_id, entity_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasures:
    """Row "erasures" of the Workspace table, the first to be worked off first.

    `lock` is the storage's (0: not stored yet).
    """

    waiting: tuple[Erasure, ...] = ()
    lock: int = 0

    def includes(self, tenant_id: str, entity_id: str) -> bool:
        return any(each.of(tenant_id, entity_id) for each in self.waiting)

    def with_(self, erasure: Erasure) -> Erasures:
        """The one that is known goes on from here, a new one waits behind the others."""
        others = [each for each in self.waiting if each.record != erasure.record]
        if len(others) == len(self.waiting):
            return replace(self, waiting=(*self.waiting, erasure))
        return replace(self, waiting=(erasure, *others))

    def put_off(self, erasure: Erasure) -> Erasures:
        """Behind the others, with what is known of it by now."""
        own = tuple(each for each in self.waiting if each.record == erasure.record)
        return replace(self, waiting=(*self.without(erasure).waiting, *own))

    def without(self, erasure: Erasure) -> Erasures:
        left = tuple(each for each in self.waiting if each.record != erasure.record)
        return replace(self, waiting=left)


def record_name(tenant_id: str, entity_id: str, *, key: Secret, asked_at: datetime) -> str:
    """A keyed hash: who knows the ids and the key finds the record, the record alone tells nobody.

    Without the key, guessing ids until a hash fits would name the person.
    """
    return f"erased#{_digest(tenant_id, entity_id, key=key)}#{asked_at.isoformat()}"


def mark_name(tenant_id: str, entity_id: str, *, key: Secret) -> str:
    """`Erasure.mark` of an entity; it tells nobody who it was, either."""
    return _mark(_digest(tenant_id, entity_id, key=key))


def _digest(tenant_id: str, entity_id: str, *, key: Secret) -> str:
    ids = f"erased:{tenant_id}\x00{entity_id}".encode()
    return hmac.new(key.reveal().encode(), ids, hashlib.sha256).hexdigest()


def _mark(digest: str) -> str:
    return f"links:{digest}"
