"""The ConnectSessions table: one person's way through a provider's consent; rows expire."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.models import Model

from shared.domain.calendar import Platform
from shared.domain.connect import ConnectSession, ConnectStatus
from shared.storage.attributes import EpochAttribute, MapOf, MomentAttribute
from shared.storage.pages import Page
from shared.storage.table import Selection, Table
from shared.storage.tables import SESSIONS

if TYPE_CHECKING:
    from pynamodb.connection import Connection
    from pynamodb.expressions.condition import Condition

WAITING: Final = "1"


class SessionRow(Model):
    """`waiting` exists while a sealed token waits for Recall.

    `valid_until` is the exact end; `expires_at` the whole second for time-to-live.
    """

    session_id = UnicodeAttribute(hash_key=True)
    tenant_id = UnicodeAttribute()
    entity_id = UnicodeAttribute()
    platform = UnicodeAttribute()
    return_url = UnicodeAttribute()
    metadata = MapOf()
    confirm = BooleanAttribute()
    reconnects = UnicodeAttribute(null=True)
    status = UnicodeAttribute()
    created_at = MomentAttribute()
    valid_until = MomentAttribute()
    expires_at = EpochAttribute()
    cookie_hash = UnicodeAttribute(null=True)
    state_hash = UnicodeAttribute(null=True)
    state_expires_at = MomentAttribute(null=True)
    completion_hash = UnicodeAttribute(null=True)
    sealed_code = BinaryAttribute(legacy_encoding=False, null=True)
    sealed_token = BinaryAttribute(legacy_encoding=False, null=True)
    email = UnicodeAttribute(null=True)
    calendar_id = UnicodeAttribute(null=True)
    failure = UnicodeAttribute(null=True)
    wrong_codes = NumberAttribute(default=0)
    redeeming_until = MomentAttribute(null=True)
    version = NumberAttribute()
    waiting = UnicodeAttribute(null=True)


class SessionStore:
    """Connect sessions in and out; see Table for what every method may raise.

    DynamoDB deletes expired rows late, so callers still compare `expires_at` with their clock.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._table = Table(SessionRow, connection=connection, name=name, schema=SESSIONS)

    def add(self, session: ConnectSession) -> ConnectSession:
        """Stores a new session; raises Conflict when the id is taken."""
        return self.save(replace(session, version=None))

    def get(self, session_id: str) -> ConnectSession | None:
        row = self._table.get(session_id)
        return None if row is None else _session(row)

    def save(self, session: ConnectSession) -> ConnectSession:
        """Writes the whole row if nobody wrote since `session` was read, else raises Conflict."""
        version = (session.version or 0) + 1
        self._table.put(_row(session, version=version), condition=_unchanged(session))
        return replace(session, version=version)

    def of_entity(
        self, tenant_id: str, entity_id: str, *, cursor: str | None = None, limit: int
    ) -> Page[str]:
        """Ids of an entity's sessions; reads the whole table, whose rows live for days at most."""
        own = (SessionRow.tenant_id == tenant_id) & (SessionRow.entity_id == entity_id)
        page = self._table.select(Selection(matching=own), limit=limit, cursor=cursor)
        items = tuple(row.session_id for row in page.items)
        return Page(items=items, next_cursor=page.next_cursor)

    def delete(self, session_id: str) -> None:
        self._table.delete(session_id)

    def waiting(self, *, limit: int) -> list[ConnectSession]:
        """Sessions whose sealed token waits for Recall, oldest first, read consistently."""
        hints = self._table.select(Selection(index="by_waiting", value=WAITING), limit=limit)
        rows = self._table.get_many(hint.session_id for hint in hints.items)
        sessions = (_session(row) for row in rows if row.waiting == WAITING)
        return sorted(sessions, key=lambda session: (session.created_at, session.session_id))


def _unchanged(session: ConnectSession) -> Condition:
    if session.version is None:
        return SessionRow.session_id.does_not_exist()
    return SessionRow.version == session.version


def _row(session: ConnectSession, *, version: int) -> SessionRow:
    return SessionRow(
        session_id=session.session_id,
        tenant_id=session.tenant_id,
        entity_id=session.entity_id,
        platform=session.platform.value,
        return_url=session.return_url,
        metadata=dict(session.metadata),
        confirm=session.confirm,
        reconnects=session.reconnects,
        status=session.status.value,
        created_at=session.created_at,
        valid_until=session.expires_at,
        expires_at=session.expires_at,
        cookie_hash=session.cookie_hash,
        state_hash=session.state_hash,
        state_expires_at=session.state_expires_at,
        completion_hash=session.completion_hash,
        sealed_code=session.sealed_code,
        sealed_token=session.sealed_token,
        email=session.email,
        calendar_id=session.calendar_id,
        failure=session.failure,
        wrong_codes=session.wrong_codes,
        redeeming_until=session.redeeming_until,
        version=version,
        waiting=WAITING if session.status is ConnectStatus.WAITING else None,
    )


def _session(row: SessionRow) -> ConnectSession:
    return ConnectSession(
        session_id=row.session_id,
        tenant_id=row.tenant_id,
        entity_id=row.entity_id,
        platform=Platform(row.platform),
        return_url=row.return_url,
        metadata=row.metadata,
        confirm=row.confirm,
        reconnects=row.reconnects,
        status=ConnectStatus(row.status),
        created_at=row.created_at,
        expires_at=row.valid_until,
        cookie_hash=row.cookie_hash,
        state_hash=row.state_hash,
        state_expires_at=row.state_expires_at,
        completion_hash=row.completion_hash,
        sealed_code=row.sealed_code,
        sealed_token=row.sealed_token,
        email=row.email,
        calendar_id=row.calendar_id,
        failure=row.failure,
        wrong_codes=int(row.wrong_codes),
        redeeming_until=row.redeeming_until,
        version=int(row.version),
    )
