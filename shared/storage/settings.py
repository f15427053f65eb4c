"""The Settings table: rules per scope with their versions, overrides and opt-outs of series."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from shared.storage.attributes import MapOf, MomentAttribute, stored_moment
from shared.storage.errors import Conflict
from shared.storage.pages import Page, cursor_invalid, cursor_of, key_of
from shared.storage.series import SeriesWords, names_of, words_of
from shared.storage.table import Table
from shared.storage.tables import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pynamodb.connection import Connection
    from pynamodb.expressions.condition import Condition

    from shared.domain.series import Series, Words

KEY_BYTES_MAX: Final = 2_048
VERSIONS_KEPT: Final = 500
VERSION_DIGITS_MAX: Final = 15
MARKED_AT: Final = "marked_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesVersion:
    """One version of a scope's rules; version 0, without a writer, is there before any other."""

    version: int = 0
    document: dict[str, Any]
    set_by: str | None = None
    set_at: datetime | None = None


class SettingsRow(Model):
    """`scope` is `default`, `tenant:…` or `entity:…:…`; `series:…` rows are SeriesWords'.

    `version:<n>:<scope>` is a document that was replaced.
    """

    scope = UnicodeAttribute(hash_key=True)
    document = MapOf(null=True)
    set_by = UnicodeAttribute(null=True)
    set_at = MomentAttribute(null=True)
    version = NumberAttribute(null=True)


class AnyRow(Model):
    """A row of either kind, for reading both in one request."""

    scope = UnicodeAttribute(hash_key=True)
    document = MapOf(null=True)
    words = MapOf(null=True)
    version = NumberAttribute(null=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Rules and their versions by scope, words by series, marks by name, as far as they exist."""

    rules: dict[str, dict[str, Any]]
    versions: dict[str, int]
    series: dict[Series, Words]
    marks: dict[str, datetime]


class SettingsStore:
    """Rules documents; `series` for what was said of series. See Table for what may be raised."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._table = Table(SettingsRow, connection=connection, name=name, schema=SETTINGS)
        self._any = Table(AnyRow, connection=connection, name=name, schema=SETTINGS)
        self.series = SeriesWords(connection, name)

    def together(
        self, *, scopes: Iterable[str], series: Iterable[Series] = (), marks: Collection[str] = ()
    ) -> Together:
        """All of it in one request for up to 100 rows; a series takes two."""
        wanted, names = list(series), {_key(scope): scope for scope in scopes}
        rows = {row.scope: row for row in self._any.get_many([*names, *names_of(wanted), *marks])}
        return Together(
            rules={scope: rows[key].document for key, scope in names.items() if key in rows},
            versions={scope: int(rows[key].version) for key, scope in names.items() if key in rows},
            series=words_of(wanted, {key: row.words for key, row in rows.items() if row.words}),
            marks={name: _marked(rows[name]) for name in marks if name in rows},
        )

    def mark(self, name: str, *, at: datetime) -> None:
        """Notes the moment under a name that no scope has."""
        document = {MARKED_AT: stored_moment(at)}
        self._table.put(SettingsRow(scope=name, document=document, set_at=at))

    def rules(self, scope: str) -> dict[str, Any] | None:
        row = self._table.get(_key(scope))
        return None if row is None else row.document

    def rules_of(self, scopes: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The documents of those scopes that have one, read together."""
        keys = {_key(scope): scope for scope in scopes}
        return {keys[row.scope]: row.document for row in self._table.get_many(keys)}

    def rules_version(self, scope: str) -> RulesVersion:
        """The version in force, with version 0 and an empty document where none was ever put."""
        row = self._table.get(_key(scope))
        return RulesVersion(document={}) if row is None else _version(row)

    def put_rules(
        self,
        scope: str,
        document: dict[str, Any],
        *,
        by: str | None,
        at: datetime,
        after: int | None = None,
    ) -> RulesVersion:
        """Replaces the version in force, which must be `after` if that is given, else Conflict.

        Raises CallerError for numbers that DynamoDB cannot hold. The version to replace is copied
        first: a crash in between leaves a copy of what is in force still.
        """
        standing = self.rules_version(scope)
        if after not in {None, standing.version}:
            raise Conflict
        if standing.version:
            self._table.put(_row(_old_key(scope, standing.version), standing))
        if standing.version > VERSIONS_KEPT:
            self._table.delete(_old_key(scope, standing.version - VERSIONS_KEPT))
        new = RulesVersion(version=standing.version + 1, document=document, set_by=by, set_at=at)
        self._table.put(_row(_key(scope), new), condition=_in_force(standing.version))
        return new

    def rules_versions(
        self, scope: str, *, cursor: str | None = None, limit: int = 50
    ) -> Page[RulesVersion]:
        """The versions that were put, the newest first; VERSIONS_KEPT besides the last."""
        standing = self.rules_version(scope)
        first = standing.version if cursor is None else _version_in(cursor)
        last = max(0, first - limit)
        numbers = range(first, last, -1)
        rows = self._table.get_many(_old_key(scope, number) for number in numbers)
        found = {int(row.version): _version(row) for row in rows} | {standing.version: standing}
        items = tuple(found[number] for number in numbers if number in found)
        more = last > max(0, standing.version - VERSIONS_KEPT)
        next_cursor = cursor_of({"version": {"S": str(last)}}) if more else None
        return Page(items=items, next_cursor=next_cursor)

    def rules_at(self, versions: Mapping[str, int]) -> dict[str, dict[str, Any]]:
        """The documents of those versions, by scope; version 0 is left out, as it has none."""
        keys = {
            key: (scope, number)
            for scope, number in versions.items()
            if number
            for key in (_key(scope), _old_key(scope, number))
        }
        found = ((*keys[row.scope], row) for row in self._table.get_many(keys))
        return {scope: row.document for scope, number, row in found if row.version == number}

    def forget_rules(self, scope: str) -> int:
        """Deletes all versions, the one in force last; answers how many there were."""
        standing = self.rules_version(scope)
        oldest = max(1, standing.version - VERSIONS_KEPT)
        for number in range(oldest, standing.version + 1):
            self._table.delete(_old_key(scope, number))
        if standing.version:
            self._table.delete(_key(scope))
        return standing.version


def _marked(row: AnyRow) -> datetime:
    return datetime.fromisoformat(row.document[MARKED_AT])


def _row(key: str, version: RulesVersion) -> SettingsRow:
    return SettingsRow(
        scope=key,
        document=version.document,
        set_by=version.set_by,
        set_at=version.set_at,
        version=version.version,
    )


def _version(row: SettingsRow) -> RulesVersion:
    return RulesVersion(
        version=int(row.version or 0),
        document=row.document,
        set_by=row.set_by,
        set_at=row.set_at,
    )


def _in_force(version: int) -> Condition:
    if not version:
        return SettingsRow.version.does_not_exist()
    return SettingsRow.version == version


def _version_in(cursor: str) -> int:
    text = key_of(cursor, names={"version"}, fixed={})["version"]["S"]
    if not (text.isascii() and text.isdigit() and len(text) <= VERSION_DIGITS_MAX):
        raise cursor_invalid()
    return int(text)


def _key(scope: str) -> str:
    """A name that is no key for DynamoDB (an entity of 256 Chinese letters) is hashed."""
    if len(scope.encode()) <= KEY_BYTES_MAX:
        return scope
    return f"hashed:{hashlib.sha256(scope.encode()).hexdigest()}"


def _old_key(scope: str, version: int) -> str:
    return _key(f"version:{version}:{scope}")
