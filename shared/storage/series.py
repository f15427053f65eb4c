"""Overrides and opt-outs of series, in the Settings table."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from shared.domain.series import Words
from shared.storage.attributes import MapOf
from shared.storage.errors import Conflict
from shared.storage.overrides import override_from, override_map
from shared.storage.table import Selection, Table
from shared.storage.tables import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pynamodb.connection import Connection
    from pynamodb.expressions.condition import Condition

    from shared.domain.meeting import Override
    from shared.domain.series import Series

KEY_BYTES_MAX: Final = 2_048
WRITES_MAX: Final = 3
FORGOTTEN_MAX: Final = 1_000
# Where a word stands in a row: for the series of the row's name, or from a cut on.
OWN: Final = "own"
FIRST_PART: Final = "0"

Word = dict[str, Any]
Said = dict[str, Word]


class SeriesRow(Model):
    """`scope` is `series:<calendar>:<series or root>`; `version` counts the writes."""

    scope = UnicodeAttribute(hash_key=True)
    calendar_id = UnicodeAttribute()
    words = MapOf()
    version = NumberAttribute()


class SeriesWords:
    """Overrides and opt-outs of series; see Table for what every method may raise.

    A word stands under the series it was given for and under the root of that series, where
    the parts that are cut off later find it. It holds for later parts, never for earlier ones.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._table = Table(SeriesRow, connection=connection, name=name, schema=SETTINGS)

    def of(self, series: Iterable[Series]) -> dict[Series, Words]:
        """Read together; series of which nobody said anything are left out."""
        wanted = set(series)
        rows = self._table.get_many(names_of(wanted))
        return words_of(wanted, {row.scope: row.words for row in rows})

    def put_override(self, series: Series, override: Override) -> None:
        self._say(series, {"override": override_map(override)})

    def put_opt_out(self, series: Series, *, opted_out: bool) -> None:
        self._say(series, {"opted_out": opted_out})

    def forget(self, calendar_id: str) -> None:
        """What was said of the calendar's series, at most FORGOTTEN_MAX rows of it."""
        selection = Selection(index="by_calendar", value=calendar_id)
        for row in self._table.select(selection, limit=FORGOTTEN_MAX).items:
            self._table.delete(row.scope)

    def _say(self, series: Series, word: Word) -> None:
        """The root goes last: until then only the series itself has the word."""
        self._add(_own_scope(series), series, place=OWN, word=word)
        self._add(_root_scope(series), series, place=_part(series), word=word)

    def _add(self, scope: str, series: Series, *, place: str, word: Word) -> None:
        for _ in range(WRITES_MAX):
            row = self._table.get(scope)
            said: Said = {} if row is None else row.words
            fresh = SeriesRow(
                scope=scope,
                calendar_id=series.calendar_id,
                words={**said, place: {**said.get(place, {}), **word}},
                version=1 if row is None else int(row.version) + 1,
            )
            try:
                return self._table.put(fresh, condition=_unchanged(row))
            except Conflict:
                continue
        raise Conflict


def names_of(series: Iterable[Series]) -> list[str]:
    """The rows that may hold words on these series: two for each, one where nobody cut it."""
    return sorted({scope(one) for one in series for scope in (_own_scope, _root_scope)})


def words_of(series: Iterable[Series], said: Mapping[str, Said]) -> dict[Series, Words]:
    """What those rows say; series of which nobody said anything are left out."""
    heard = {one: _heard(one, said) for one in series}
    return {one: words for one, words in heard.items() if words != Words()}


def _unchanged(row: SeriesRow | None) -> Condition:
    return SeriesRow.scope.does_not_exist() if row is None else SeriesRow.version == row.version


def _heard(series: Series, rows: Mapping[str, Said]) -> Words:
    """The nearest word counts: the series' own, else that of the last part before."""
    root = rows.get(_root_scope(series), {})
    parts = sorted(place for place in root if place != OWN and place <= _part(series))
    own = rows.get(_own_scope(series), {})
    heard: Word = {}
    for word in (*(root[place] for place in parts), own.get(OWN, {})):
        heard |= word
    override = heard.get("override")
    return Words(
        override=None if override is None else override_from(override),
        opted_out=heard.get("opted_out", False),
    )


def _part(series: Series) -> str:
    return series.cut or FIRST_PART


def _own_scope(series: Series) -> str:
    return _scope(series.calendar_id, series.series_id)


def _root_scope(series: Series) -> str:
    return _scope(series.calendar_id, series.root)


def _scope(calendar_id: str, name: str) -> str:
    scope = f"series:{calendar_id}:{name}"
    if len(scope.encode()) <= KEY_BYTES_MAX:
        return scope
    # Whoever invites may choose the name, and DynamoDB would refuse the whole batch for it.
    return f"series:{calendar_id}:sha256:{hashlib.sha256(name.encode()).hexdigest()}"
