"""The door to DynamoDB: one table, its statements, and their failures in the house's words."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable
from pynamodb.models import Model

from shared.storage.errors import VALIDATION, Refused, StorageUnavailable, translated
from shared.storage.pages import Page, cursor_invalid, cursor_of, key_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action

    from shared.storage.tables import Schema, Tables

CONNECT_TIMEOUT_SECONDS: Final = 2
READ_TIMEOUT_SECONDS: Final = 5
RETRIES_MAX: Final = 2

PAGES_MAX: Final = 10
FILTERED_PAGE: Final = 200
BATCH_KEYS_MAX: Final = 100
BATCH_ROUNDS_MAX: Final = 5

RowT = TypeVar("RowT", bound=Model)

Item = dict[str, dict[str, Any]]


def connect(tables: Tables) -> Connection:
    """One connection for all tables of a process: a second one costs another 60 ms.

    At DEBUG both libraries would log whole rows, with titles and addresses in them.
    """
    for logger in map(logging.getLogger, ("botocore", "pynamodb")):
        # To set a level makes all loggers forget what they are enabled for.
        if logger.level != logging.INFO:
            logger.setLevel(logging.INFO)
    return Connection(
        region=tables.region,
        host=tables.host,
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds=READ_TIMEOUT_SECONDS,
        max_retry_attempts=RETRIES_MAX,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows to read: those under `value` in `index`, or the whole table when None.

    `evaluated` is how many rows one request looks at when a filter drops some of them.
    """

    index: str | None = None
    value: str = ""
    within: Condition | None = None
    matching: Condition | None = None
    evaluated: int = FILTERED_PAGE


class Table(Generic[RowT]):
    """One table, whose rows a PynamoDB model describes.

    The model does not know the table's name, so two stacks fit into one process, and the keys
    come from `schema`, so nothing asks DynamoDB to describe a table. Reads are consistent
    unless they go through an index. Every method may raise StorageUnavailable and Refused;
    those that take a condition raise Conflict when it does not hold.
    """

    def __init__(
        self, model: type[RowT], *, connection: Connection, name: str, schema: Schema
    ) -> None:
        self._model = model
        self._connection = connection
        self._name = name
        self._hash_key = schema.hash_key
        self._indexes = {index.name: index for index in schema.indexes}
        # Rows of two kinds may stand in one table.
        with suppress(ValueError):
            connection.add_meta_table(_meta_table(name, schema))

    def get(self, key: str) -> RowT | None:
        with translated():
            answer = self._connection.get_item(self._name, key, consistent_read=True)
        return self._row(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Iterable[str]) -> list[RowT]:
        """The rows that exist, in no particular order; a key given twice counts once."""
        wanted = list(dict.fromkeys(keys))
        return [self._row(item) for chunk in _chunks(wanted) for item in self._batch(chunk)]

    def put(self, row: RowT, *, condition: Condition | None = None) -> None:
        item = row.serialize()
        with translated():
            self._connection.put_item(
                self._name,
                item[self._hash_key]["S"],
                attributes=item,
                condition=condition,
            )

    def update(self, key: str, actions: Sequence[Action], *, condition: Condition) -> RowT:
        """Returns the whole row as it is after the update."""
        with translated():
            answer = self._connection.update_item(
                self._name, key, actions=actions, condition=condition, return_values="ALL_NEW"
            )
        return self._row(answer["Attributes"])

    def delete(self, key: str, *, condition: Condition | None = None) -> None:
        with translated():
            self._connection.delete_item(self._name, key, condition=condition)

    def select(self, selection: Selection, *, limit: int, cursor: str | None = None) -> Page[RowT]:
        """At most `limit` rows, read in at most PAGES_MAX requests."""
        start = self._start(selection, cursor)
        items: list[Item] = []
        for _ in range(PAGES_MAX):
            missing = limit - len(items)
            answer = self._ask(selection, start=start, limit=missing)
            items += answer["Items"]
            start = answer.get("LastEvaluatedKey")
            if start is None or len(items) >= limit:
                break
        if len(items) > limit:
            items = items[:limit]
            start = {name: items[-1][name] for name in self._key_names(selection)}
        rows = tuple(self._row(item) for item in items)
        return Page(items=rows, next_cursor=None if start is None else cursor_of(start))

    def _row(self, item: Item) -> RowT:
        return self._model.from_raw_data(item)

    def _batch(self, keys: Collection[str]) -> Iterator[Item]:
        """Asks again, a bounded number of times, for what DynamoDB left out.

        It leaves out what exceeds 16 MB, which the next round brings, and what it throttles,
        which only time heals.
        """
        pending: list[dict[str, Any]] = [{self._hash_key: {"S": key}} for key in keys]
        for _ in range(BATCH_ROUNDS_MAX):
            with translated():
                answer = self._connection.batch_get_item(
                    self._name,
                    pending,  # type: ignore[arg-type]
                    consistent_read=True,
                )
            yield from answer.get("Responses", {}).get(self._name, ())
            pending = answer.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
            if not pending:
                return
        raise StorageUnavailable

    def _start(self, selection: Selection, cursor: str | None) -> dict[str, Any] | None:
        if cursor is None:
            return None
        fixed = {}
        if selection.index is not None:
            fixed[self._indexes[selection.index].hash_key] = selection.value
        return key_of(cursor, names=self._key_names(selection), fixed=fixed)

    def _key_names(self, selection: Selection) -> set[str]:
        if selection.index is None:
            return {self._hash_key}
        index = self._indexes[selection.index]
        return {self._hash_key, index.hash_key, index.range_key}

    def _ask(
        self, selection: Selection, *, start: dict[str, Any] | None, limit: int
    ) -> dict[str, Any]:
        if selection.matching is not None:
            limit = max(limit, selection.evaluated)
        try:
            with translated():
                return self._query(selection, start=start, limit=limit)
        except Refused as error:
            # A cursor from another window of the same list is a key outside the range.
            if start is not None and error.reason == VALIDATION:
                raise cursor_invalid() from error
            raise

    def _query(
        self, selection: Selection, *, start: dict[str, Any] | None, limit: int
    ) -> dict[str, Any]:
        if selection.index is None:
            return self._connection.scan(
                self._name,
                filter_condition=selection.matching,
                limit=limit,
                exclusive_start_key=start,  # type: ignore[arg-type]
            )
        return self._connection.query(
            self._name,
            selection.value,
            range_key_condition=selection.within,
            filter_condition=selection.matching,
            index_name=selection.index,
            limit=limit,
            exclusive_start_key=start,
        )


def _chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(keys), BATCH_KEYS_MAX):
        yield keys[first : first + BATCH_KEYS_MAX]


def _meta_table(name: str, schema: Schema) -> MetaTable:
    """What PynamoDB would otherwise ask DescribeTable for."""
    indexes = [
        {"IndexName": index.name, "KeySchema": _keys(index.hash_key, index.range_key)}
        for index in schema.indexes
    ]
    names = {schema.hash_key}.union(*({i.hash_key, i.range_key} for i in schema.indexes))
    return MetaTable(
        {
            "TableName": name,
            "KeySchema": _keys(schema.hash_key),
            "AttributeDefinitions": [
                {"AttributeName": attribute, "AttributeType": "S"} for attribute in sorted(names)
            ],
            "GlobalSecondaryIndexes": indexes,
        }
    )


def _keys(hash_key: str, range_key: str | None = None) -> list[dict[str, str]]:
    keys = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    if range_key is not None:
        keys.append({"AttributeName": range_key, "KeyType": "RANGE"})
    return keys
