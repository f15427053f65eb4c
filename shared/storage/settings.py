"""The Settings table: rules per scope, and what people said of whole series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.models import Model

from shared.domain.series import Series
from shared.storage.attributes import MapOf, MomentAttribute
from shared.storage.series import SeriesWords
from shared.storage.table import Table
from shared.storage.tables import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pynamodb.connection import Connection

    from shared.domain.meeting import Override


class SettingsRow(Model):
    """`scope` is `default`, `tenant:…` or `entity:…:…`; `series:…` rows are SeriesWords'."""

    scope = UnicodeAttribute(hash_key=True)
    document = MapOf(null=True)
    set_by = UnicodeAttribute(null=True)
    set_at = MomentAttribute(null=True)


class SettingsStore:
    """Rules documents; `series` for what was said of series. See Table for what may be raised."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._table = Table(SettingsRow, connection=connection, name=name, schema=SETTINGS)
        self.series = SeriesWords(connection, name)

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
        return self.series_overrides([(calendar_id, series_id)]).get((calendar_id, series_id))

    def series_overrides(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Override]:
        """By (calendar_id, series_id); series without an override are left out."""
        found = self.series.of(Series(*pair) for pair in pairs)
        return {
            (series.calendar_id, series.series_id): words.override
            for series, words in found.items()
            if words.override is not None
        }

    def put_series_override(  # noqa: PLR0917 - the last says itself what it is
        self, calendar_id: str, series_id: str, override: Override
    ) -> None:
        self.series.put_override(Series(calendar_id, series_id), override)
