"""moto's DynamoDB without the work that it repeats: a query sorts the rows that it is about.

To answer from an index moto sorts all rows of the table first and compares each key as a value
of its type: with 2,000 rows tens of milliseconds for one row found.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

Conditions = Sequence[tuple[str, DynamoType]]

_answer, _all_items = Table.query, Table.all_items
_asked = threading.local()


@contextmanager
def quick_tables() -> Iterator[None]:
    """Queries work like this for as long as the context is open."""
    with (
        patch.object(Table, "query", _query),
        patch.object(Table, "all_items", _items_in_question),
    ):
        yield


def _query(table: Table, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401  as moto has them
    _asked.conditions = named.get("hash_key_conditions")
    try:
        return _answer(table, *arguments, **named)
    finally:
        _asked.conditions = None


def _items_in_question(table: Table) -> list[Item]:
    """The rows with the hash key that a query asks for, unsorted; else all, as moto does it."""
    conditions: Conditions | None = getattr(_asked, "conditions", None)
    # A row below a hash key of its own table may be one of many; ours have one.
    if not conditions or table.range_key_attr:
        return _all_items(table)
    rows: Any = table.items.values()
    return [row for row in rows if all(_has(row, name, key=key) for name, key in conditions)]


def _has(row: Item, name: str, *, key: DynamoType) -> bool:
    found = row.attrs.get(name)
    if found is None or found.type != key.type:
        return False
    return bool(found.value == key.value if key.type == "S" else found == key)
