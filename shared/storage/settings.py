"""The Settings table: rules per scope, and the overrides of whole series."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from pynamodb.attributes import UnicodeAttribute
from pynamodb.models import Model

from shared.storage.attributes import MapOf, MomentAttribute
from shared.storage.overrides import override_from, override_map
from shared.storage.table import Table
from shared.storage.tables import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pynamodb.connection import Connection

    from shared.domain.meeting import Override

KEY_BYTES_MAX: Final = 2_048


class SettingsRow(Model):
    """`scope` is `default`, `tenant:…`, `entity:…:…` (a document) or `series:…:…` (an override)."""

    scope = UnicodeAttribute(hash_key=True)
    document = MapOf(null=True)
    override = MapOf(null=True)
    set_by = UnicodeAttribute(null=True)
    set_at = MomentAttribute(null=True)


class SettingsStore:
    """Rules documents and series overrides; see Table for what every method may raise."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._table = Table(SettingsRow, connection=connection, name=name, schema=SETTINGS)

    def rules(self, scope: str) -> dict[str, Any] | None:
        row = self._table.get(scope)
        return None if row is None else row.document

    def rules_of(self, scopes: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The documents of those scopes that have one, read together."""
        rows = self._table.get_many(scopes)
        return {row.scope: row.document for row in rows}

    def put_rules(self, scope: str, document: dict[str, Any], *, by: str, at: datetime) -> None:
        """Replaces the document; raises CallerError for numbers that DynamoDB cannot hold."""
        self._table.put(SettingsRow(scope=scope, document=document, set_by=by, set_at=at))

    def series_override(self, calendar_id: str, series_id: str) -> Override | None:
        row = self._table.get(_series_scope(calendar_id, series_id))
        return None if row is None else override_from(row.override)

    def series_overrides(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Override]:
        """By (calendar_id, series_id); series without an override are left out."""
        scopes = {_series_scope(*pair): pair for pair in pairs}
        rows = self._table.get_many(scopes)
        return {scopes[row.scope]: override_from(row.override) for row in rows}

    def put_series_override(  # noqa: PLR0917 - the last says itself what it is
        self, calendar_id: str, series_id: str, override: Override
    ) -> None:
        scope = _series_scope(calendar_id, series_id)
        self._table.put(SettingsRow(scope=scope, override=override_map(override)))


def _series_scope(calendar_id: str, series_id: str) -> str:
    scope = f"series:{calendar_id}:{series_id}"
    if len(scope.encode()) <= KEY_BYTES_MAX:
        return scope
    # Whoever invites may choose the name, and DynamoDB would refuse the whole batch for it.
    digest = hashlib.sha256(series_id.encode()).hexdigest()
    return f"series:{calendar_id}:sha256:{digest}"
