"""The Calendars table: one row per calendar, keyed by Recall's id."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, TypedDict

from pynamodb.attributes import UnicodeAttribute
from pynamodb.models import Model

from shared.domain.calendar import Calendar, CalendarStatus, Platform
from shared.storage.attributes import MapOf, MomentAttribute
from shared.storage.errors import Conflict
from shared.storage.pages import Page
from shared.storage.table import Selection, Table
from shared.storage.tables import CALENDARS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from typing import Unpack

    from pynamodb.connection import Connection
    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action

DUE: Final = "1"


class CalendarRow(Model):
    """`due` exists while a full read is owed, `email_key` while the address is known."""

    calendar_id = UnicodeAttribute(hash_key=True)
    tenant_id = UnicodeAttribute()
    entity_id = UnicodeAttribute()
    platform = UnicodeAttribute()
    email = UnicodeAttribute(null=True)
    email_key = UnicodeAttribute(null=True)
    expected_email = UnicodeAttribute(null=True)
    status = UnicodeAttribute()
    status_reason = UnicodeAttribute(null=True)
    metadata = MapOf()
    created_at = MomentAttribute()
    updated_at = MomentAttribute()
    read_since = MomentAttribute(null=True)
    read_next = UnicodeAttribute(null=True)
    swept_at = MomentAttribute(null=True)
    due = UnicodeAttribute(null=True)


class CalendarChanges(TypedDict, total=False):
    """What may change in a calendar; None clears a field. From `read_since` on, a read is owed."""

    entity_id: str
    email: str | None
    expected_email: str | None
    status: CalendarStatus
    status_reason: str | None
    metadata: Mapping[str, str]
    read_since: datetime


class CalendarStore:
    """Calendars in and out; see Table for what every method may raise."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._table = Table(CalendarRow, connection=connection, name=name, schema=CALENDARS)

    def get(self, calendar_id: str) -> Calendar | None:
        row = self._table.get(calendar_id)
        return None if row is None else _calendar(row)

    def get_many(self, calendar_ids: Iterable[str]) -> dict[str, Calendar]:
        rows = self._table.get_many(calendar_ids)
        return {row.calendar_id: _calendar(row) for row in rows}

    def add(self, calendar: Calendar) -> Calendar:
        """Stores the calendar unless its id is known; returns whichever stands."""
        try:
            self._table.put(_row(calendar), condition=CalendarRow.calendar_id.does_not_exist())
        except Conflict:
            standing = self.get(calendar.calendar_id)
            if standing is None:
                raise
            return standing
        return calendar

    def change(
        self, calendar_id: str, *, updated_at: datetime, **fields: Unpack[CalendarChanges]
    ) -> Calendar | None:
        """Changes only the fields given; None when the calendar is gone."""
        values: dict[str, Any] = {**fields, "updated_at": updated_at}
        if "read_since" in values:
            values["due"] = DUE
        if "email" in values:
            values["email_key"] = _email_key(values["email"])
        return self._set(calendar_id, values)

    def begin_read(self, calendar_id: str) -> None:
        """A full read starts: whatever is asked for from now on is owed on top of it."""
        self._set(calendar_id, {"read_since": None, "read_next": "", "due": DUE})

    def pause_read(self, calendar_id: str, *, read_next: str) -> None:
        """The full read goes on another time, at this page."""
        self._set(calendar_id, {"read_next": read_next, "due": DUE})

    def finish_read(self, calendar_id: str, *, swept_at: datetime) -> None:
        """The full read is done; one asked for meanwhile stays owed."""
        values = {"read_next": None, "swept_at": swept_at}
        nothing_new = CalendarRow.read_since.does_not_exist()
        if self._set(calendar_id, {**values, "due": None}, condition=nothing_new) is None:
            self._set(calendar_id, values)

    def spare_read(self, calendar_id: str, *, read_since: datetime) -> None:
        """The feed covers the read owed since `read_since`, unless another was asked for."""
        same = (CalendarRow.read_since == read_since) & CalendarRow.read_next.does_not_exist()
        self._set(calendar_id, {"read_since": None, "due": None}, condition=same)

    def _set(
        self, calendar_id: str, values: Mapping[str, Any], *, condition: Condition | None = None
    ) -> Calendar | None:
        """None when the calendar is gone or the condition does not hold."""
        known = CalendarRow.calendar_id.exists()
        actions = [_action(name, value) for name, value in values.items()]
        try:
            row = self._table.update(
                calendar_id, actions, condition=known if condition is None else known & condition
            )
        except Conflict:
            return None
        return _calendar(row)

    def find(
        self,
        *,
        tenant_id: str | None = None,
        entity_id: str | None = None,
        email: str | None = None,
        status: CalendarStatus | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Calendar]:
        """Filters join by "and"; an entity without a tenant reads the whole table.

        `email`: in any case. Its index only hints, so such a page may hold fewer, even none.
        """
        if email is None:
            selection = _selection(tenant_id, entity_id=entity_id, status=status)
            return _page(self._table.select(selection, limit=limit, cursor=cursor))
        account = _email_key(email)
        hints = self._table.select(
            Selection(index="by_email", value=account or ""), limit=limit, cursor=cursor
        )
        rows = self._table.get_many(hint.calendar_id for hint in hints.items)
        found = [_calendar(row) for row in rows if row.email_key == account]
        wanted = {"tenant_id": tenant_id, "entity_id": entity_id, "status": status}
        given = {name: value for name, value in wanted.items() if value is not None}
        items = sorted(
            (each for each in found if all(getattr(each, name) == given[name] for name in given)),
            key=lambda each: each.calendar_id,
        )
        return Page(items=tuple(items), next_cursor=hints.next_cursor)

    def by_status(self, status: CalendarStatus, *, limit: int) -> list[Calendar]:
        selection = Selection(index="by_status", value=status.value)
        return list(_page(self._table.select(selection, limit=limit)).items)

    def due(self, *, limit: int) -> list[Calendar]:
        """Calendars that owe a full read; the index only hints, the rows themselves decide."""
        hints = self._table.select(Selection(index="by_due", value=DUE), limit=limit)
        rows = self._table.get_many(hint.calendar_id for hint in hints.items)
        return sorted(
            (_calendar(row) for row in rows if row.due == DUE),
            key=lambda calendar: calendar.calendar_id,
        )

    def every(self, *, cursor: str | None = None, limit: int = 100) -> Page[Calendar]:
        return _page(self._table.select(Selection(), limit=limit, cursor=cursor))

    def delete(self, calendar_id: str) -> None:
        self._table.delete(calendar_id)


def _email_key(email: str | None) -> str | None:
    """Of one length whatever the address: DynamoDB refuses keys that are empty or too long."""
    if email is None:
        return None
    folded = email.strip().casefold()
    return hashlib.sha256(folded.encode(errors="surrogatepass")).hexdigest()


def _selection(
    tenant_id: str | None, *, entity_id: str | None, status: CalendarStatus | None
) -> Selection:
    wanted = None if status is None else CalendarRow.status == status.value
    if tenant_id is not None:
        within = None if entity_id is None else CalendarRow.entity_id == entity_id
        return Selection(index="by_tenant", value=tenant_id, within=within, matching=wanted)
    owner = None if entity_id is None else CalendarRow.entity_id == entity_id
    if status is not None:
        return Selection(index="by_status", value=status.value, matching=owner)
    return Selection(matching=owner)


def _action(name: str, value: object) -> Action:
    attribute: Any = CalendarRow.get_attributes()[name]
    action: Action = attribute.remove() if value is None else attribute.set(value)
    return action


def _page(page: Page[CalendarRow]) -> Page[Calendar]:
    items = tuple(_calendar(row) for row in page.items)
    return Page(items=items, next_cursor=page.next_cursor)


def _row(calendar: Calendar) -> CalendarRow:
    owed = calendar.read_since is not None or calendar.read_next is not None
    return CalendarRow(
        calendar_id=calendar.calendar_id,
        tenant_id=calendar.tenant_id,
        entity_id=calendar.entity_id,
        platform=calendar.platform.value,
        email=calendar.email,
        email_key=_email_key(calendar.email),
        expected_email=calendar.expected_email,
        status=calendar.status.value,
        status_reason=calendar.status_reason,
        metadata=dict(calendar.metadata),
        created_at=calendar.created_at,
        updated_at=calendar.updated_at,
        read_since=calendar.read_since,
        read_next=calendar.read_next,
        swept_at=calendar.swept_at,
        due=DUE if owed else None,
    )


def _calendar(row: CalendarRow) -> Calendar:
    return Calendar(
        calendar_id=row.calendar_id,
        tenant_id=row.tenant_id,
        entity_id=row.entity_id,
        platform=Platform(row.platform),
        email=row.email,
        expected_email=row.expected_email,
        status=CalendarStatus(row.status),
        status_reason=row.status_reason,
        metadata=row.metadata,
        created_at=row.created_at,
        updated_at=row.updated_at,
        read_since=row.read_since,
        read_next=row.read_next,
        swept_at=row.swept_at,
    )
