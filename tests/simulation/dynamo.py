"""A DynamoDB in memory, behind botocore's clients: quick, and as hostile as the real one may be.

It does what the project sends and raises NotImplementedError for anything else. Of one thing it
says nothing: consumed capacity. test_dynamo_*.py compare it with moto.
"""

from __future__ import annotations

import marshal
import zlib
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from heapq import heappop, heappush
from random import Random
from typing import Any, Final
from unittest import mock

from botocore.client import BaseClient
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from shared.storage.tables import ALL, KEYS_ONLY, SCHEMAS, Index, Schema
from tests.simulation.expressions import Condition, Values, check, condition, update
from tests.simulation.values import Item, Refusal, Value, invalid, private, settle

Params = dict[str, Any]
Answer = dict[str, Any]
# Hash key, range key, and a place among equals.
Position = tuple[str, str, int, str]

ITEM_BYTES_MAX: Final = 400 * 1024
PAGE_BYTES_MAX: Final = 1024 * 1024
BATCH_BYTES_MAX: Final = 16 * 1024 * 1024
BATCH_KEYS_MAX: Final = 100
HASH_BYTES_MAX: Final = 2048
RANGE_BYTES_MAX: Final = 1024
EXPIRY_DELAY_MAX: Final = timedelta(hours=48)
EXPIRY_AGE_MAX: Final = timedelta(days=5 * 365)
NO_TIME: Final = timedelta(0)
ENDPOINT: Final = "https://dynamodb.us-east-1.amazonaws.com/"
THE_TABLE: Final = ""
RANGE_OPERATORS: Final = frozenset({"=", "<", "<=", ">", ">=", "BETWEEN", "begins_with"})
FAILED: Final = "ConditionalCheckFailedException"


class Fate(Enum):
    """What becomes of a call after botocore has repeated it as often as it was told to."""

    THROTTLED = "refused for want of capacity, nothing done"
    LOST_BEFORE = "no connection or no answer, nothing done"
    LOST_AFTER = "done, but the answer never came"
    UNPROCESSED = "a batch of which some keys are left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`keys` of the rows named; a query and a scan name none."""

    operation: str
    table: str
    keys: tuple[str, ...]
    writes: bool

    @property
    def key(self) -> str | None:
        return self.keys[0] if self.keys else None


def spare(call: Call) -> Fate | None:
    return None


def watch(call: Call) -> None:
    pass


class DynamoWorld:
    """Tables, what befalls the calls to them, and how late their indexes are.

    `faults` is asked before each call. `before` and `after` are told of each that reaches the
    tables, also of one refused; what they raise goes through, so a process can die there.
    `index_lag`: how long at most a write stays unseen by index queries; `base_lag`: by reads
    of a table that do not ask for consistency. Both may be changed at any time.
    `shares_rows`: answers hold the rows themselves, which then nobody may change; else copies.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        chance: Random,
        index_lag: timedelta = NO_TIME,
        base_lag: timedelta = NO_TIME,
        shares_rows: bool = False,
    ) -> None:
        self.clock = clock
        self.index_lag = index_lag
        self.base_lag = base_lag
        self.faults: Callable[[Call], Fate | None] = spare
        self.before: Callable[[Call], None] = watch
        self.after: Callable[[Call], None] = watch
        self._own: Callable[[Any], Any] = _as_it_is if shares_rows else _copied
        self._chance = chance
        self._tables: dict[str, _Table] = {}

    @contextmanager
    def installed(self) -> Iterator[DynamoWorld]:
        """Meanwhile every botocore client of DynamoDB asks this world."""
        onward: Callable[..., Answer] = vars(BaseClient)["_make_api_call"]
        standing = True

        def ask(client: Any, operation: str, params: Params) -> Answer:
            # Whoever patched over this and undoes it late would bring it back.
            if not standing or client.meta.service_model.service_name != "dynamodb":
                return onward(client, operation, params)
            return self.answer(client, operation, params=params)

        with mock.patch.object(BaseClient, "_make_api_call", ask):
            try:
                yield self
            finally:
                standing = False

    def create_tables(self) -> dict[str, str]:
        """All tables of the project; returns their names under the variables of functions."""
        names = {schema.variable: schema.variable.lower() for schema in SCHEMAS}
        for schema in SCHEMAS:
            self.add_table(names[schema.variable], schema)
        return names

    def add_table(self, name: str, schema: Schema) -> None:
        if name in self._tables:
            raise ValueError(f"the table {name} exists")
        self._tables[name] = _Table(schema)

    def rows(self, table: str) -> dict[str, Item]:
        """Copies of all rows by key, as they are and not as some index knows them."""
        return {key: row.copy() for key, row in self._tables[table].truth.rows.items()}

    def written(self, table: str) -> datetime | None:
        """When anything in it was written the last time."""
        return self._tables[table].written

    def look(self, table: str) -> Mapping[str, Item]:
        """As `rows`, but not to be changed."""
        return {key: row.item for key, row in self._tables[table].truth.rows.items()}

    def expire(self, now: datetime) -> int:
        """Deletes, by chance, rows that are over; 48 hours later surely. Returns how many."""
        over = [
            (table, key)
            for table in self._tables.values()
            for key, row in table.truth.rows.items()
            if table.schema.expires and self._is_taken(row.item.get(table.schema.expires), now=now)
        ]
        for table, key in over:
            self._write(table, key, row=None)
        return len(over)

    def answer(self, client: Any, operation: str, *, params: Params) -> Answer:
        """Stands in for `client._make_api_call(operation, params)`."""
        if operation in ADMINISTRATION:
            return _enveloped(ADMINISTRATION[operation](self, params))
        try:
            known, do = OPERATIONS[operation]
        except KeyError:
            raise NotImplementedError(operation) from None
        if not params.keys() <= known:
            raise NotImplementedError(f"{operation} with {sorted(params.keys() - known)}")
        if params.get("ReturnConsumedCapacity", "NONE") not in {"NONE", "TOTAL"}:
            raise NotImplementedError("capacity of each index")
        try:
            if (self.faults, self.before, self.after) == (spare, watch, watch):
                return _enveloped(self._own(do(self, params)))
            return self._fulfilled(self._call(operation, params), do=lambda: do(self, params))
        except Refusal as refusal:
            if refusal.item is not None:
                refusal.item = self._own(refusal.item)
            raise _client_error(client, operation, refusal) from None

    def _call(self, operation: str, params: Params) -> Call:
        if operation == "BatchGetItem":
            if len(params["RequestItems"]) != 1:
                raise NotImplementedError("a batch of several tables")
            ((table, wanted),) = params["RequestItems"].items()
            keys = tuple(text for key in wanted["Keys"] for text in _texts(key))
            return Call(operation=operation, table=table, keys=keys, writes=False)
        table = params["TableName"]
        key = params.get("Key", {})
        if "Item" in params and table in self._tables:
            name = self._tables[table].schema.hash_key
            key = {name: params["Item"].get(name, {})}
        return Call(operation=operation, table=table, keys=_texts(key), writes=operation in WRITES)

    def _fulfilled(self, call: Call, *, do: Callable[[], Answer]) -> Answer:
        fate = self.faults(call)
        if fate is Fate.UNPROCESSED and call.operation != "BatchGetItem":
            raise ValueError(f"{call.operation} has no keys to leave out")
        self.before(call)
        if fate is Fate.THROTTLED or (fate is Fate.UNPROCESSED and len(call.keys) == 1):
            raise self._throttled()
        if fate is Fate.LOST_BEFORE:
            raise self._lost()
        try:
            answer = do()
        except Refusal:
            self.after(call)
            if fate is Fate.LOST_AFTER:
                raise ReadTimeoutError(endpoint_url=ENDPOINT) from None
            raise
        if fate is Fate.UNPROCESSED:
            answer = self._shortened(call, answer)
        self.after(call)
        if fate is Fate.LOST_AFTER:
            raise ReadTimeoutError(endpoint_url=ENDPOINT)
        return _enveloped(self._own(answer))

    def _throttled(self) -> Refusal:
        codes = ("ProvisionedThroughputExceededException", "ThrottlingException")
        return Refusal(self._chance.choice(codes), "Rate exceeded")

    def _lost(self) -> Exception:
        way = self._chance.choice(("read", "connect", "endpoint"))
        if way == "read":
            return ReadTimeoutError(endpoint_url=ENDPOINT)
        if way == "connect":
            return ConnectTimeoutError(endpoint_url=ENDPOINT)
        return EndpointConnectionError(endpoint_url=ENDPOINT)

    def _shortened(self, call: Call, answer: Answer) -> Answer:
        """At least one key is read: AWS throttles a batch of which it can read none."""
        key_name = self._table(call.table).schema.hash_key
        left = set(self._chance.sample(call.keys, self._chance.randrange(1, len(call.keys))))
        told = answer["Responses"][call.table]
        kept = [item for item in told if item[key_name]["S"] not in left]
        unread = [key for key in call.keys if key in left]
        before = answer["UnprocessedKeys"].get(call.table, {"Keys": []})["Keys"]
        keys = [key for key in before if key[key_name]["S"] not in left]
        keys += [{key_name: {"S": key}} for key in unread]
        return {"Responses": {call.table: kept}, "UnprocessedKeys": {call.table: {"Keys": keys}}}

    def _table(self, name: str) -> _Table:
        try:
            return self._tables[name]
        except KeyError:
            message = f"Requested resource not found: Table: {name} not found"
            raise Refusal("ResourceNotFoundException", message) from None

    def _write(self, table: _Table, key: str, *, row: _Row | None) -> None:
        table.written = now = self.clock()
        table.truth.tell(key, row, at=now)
        table.stale.tell(key, row, at=now + self._delay(self.base_lag))
        table.stale.catch_up(now)
        for view in table.views.values():
            view.tell(key, row, at=now + self._delay(self.index_lag))
            view.catch_up(now)

    def _delay(self, longest: timedelta) -> timedelta:
        return longest * self._chance.random() if longest else NO_TIME

    def _seen(self, view: _View) -> _View:
        view.catch_up(self.clock())
        return view

    def _is_taken(self, expires: Value | None, *, now: datetime) -> bool:
        if expires is None or "N" not in expires:
            return False
        age = now - datetime.fromtimestamp(float(expires["N"]), UTC)
        if not NO_TIME < age < EXPIRY_AGE_MAX:
            return False
        return self._chance.random() < age / EXPIRY_DELAY_MAX

    def _get(self, params: Params) -> Answer:
        table = self._table(params["TableName"])
        row = self._base(table, params).rows.get(table.key(params["Key"]))
        return {} if row is None else {"Item": row.shown()}

    def _base(self, table: _Table, params: Params) -> _View:
        return table.truth if params.get("ConsistentRead") else self._seen(table.stale)

    def _batch_get(self, params: Params) -> Answer:
        ((name, wanted),) = params["RequestItems"].items()
        if not wanted.keys() <= {"Keys", "ConsistentRead"}:
            raise NotImplementedError(f"a batch with {sorted(wanted)}")
        table = self._table(name)
        keys = [table.key(key) for key in wanted["Keys"]]
        if not 0 < len(keys) <= BATCH_KEYS_MAX:
            raise invalid("Too many items requested for the BatchGetItem call")
        if len(keys) != len(set(keys)):
            raise invalid("Provided list of item keys contains duplicates")
        view = self._base(table, wanted)
        items: list[Item] = []
        unread: list[Item] = []
        size = 0
        # In whatever order, says AWS.
        for key in sorted(keys, key=_place):
            row = view.rows.get(key)
            size += row.size if row else 0
            if size > BATCH_BYTES_MAX:
                unread.append({table.schema.hash_key: {"S": key}})
            elif row:
                items.append(row.shown())
        left = {name: {"Keys": unread}} if unread else {}
        return {"Responses": {name: items}, "UnprocessedKeys": left}

    def _put(self, params: Params) -> Answer:
        table = self._table(params["TableName"])
        item = private(params["Item"])
        key = table.key_in(item)
        before = table.truth.rows.get(key)
        row = table.checked(item)
        _Expressions(params).demand(before)
        self._write(table, key, row=row)
        return _returned(params, before=before)

    def _update(self, params: Params) -> Answer:
        table = self._table(params["TableName"])
        key = table.key(params["Key"])
        before = table.truth.rows.get(key)
        expressions = _Expressions(params)
        change = update(params["UpdateExpression"], expressions.names)
        expressions.settle(change.names, change.values)
        if table.schema.hash_key in change.touched:
            raise invalid("Cannot update attribute. This attribute is part of the key")
        expressions.demand(before)
        if before is None and not change.words & {"SET", "ADD"}:
            raise NotImplementedError("an update of a row that is not there, without a value")
        if before is None:
            item = change.applied({table.schema.hash_key: {"S": key}}, expressions.values)
            after = table.checked(item)
        else:
            item = change.applied(before.item, expressions.values)
            after = table.changed(before, item, touched=change.touched)
        self._write(table, key, row=after)
        return _returned(params, before=before, after=after)

    def _delete(self, params: Params) -> Answer:
        table = self._table(params["TableName"])
        key = table.key(params["Key"])
        before = table.truth.rows.get(key)
        _Expressions(params).demand(before)
        if before is not None:
            self._write(table, key, row=None)
        return _returned(params, before=before)

    def _query(self, params: Params) -> Answer:
        table = self._table(params["TableName"])
        if "IndexName" not in params:
            raise NotImplementedError("a query of a table")
        if params["IndexName"] not in table.views:
            raise invalid("The table does not have the specified index")
        if params.get("ConsistentRead"):
            raise invalid("Consistent reads are not supported on global secondary indexes")
        view = self._seen(table.views[params["IndexName"]])
        expressions = _Expressions(params)
        wanted = expressions.condition("KeyConditionExpression")
        if wanted is None:
            raise invalid("Either the KeyConditions or KeyConditionExpression must be specified")
        value = _hash_wanted(view.index, wanted, values=expressions.values)
        return expressions.page(view, value, wanted=wanted)

    def _scan(self, params: Params) -> Answer:
        table = self._table(params["TableName"])
        return _Expressions(params).page(self._base(table, params), THE_TABLE)

    def _create(self, params: Params) -> Answer:
        """The keys are texts, as everywhere in the project; only capacity goes unread."""
        known = {"TableName", "BillingMode", "KeySchema", "AttributeDefinitions"}
        if not params.keys() <= known | {"GlobalSecondaryIndexes"}:
            raise NotImplementedError(f"CreateTable with {sorted(params)}")
        if any(each["AttributeType"] != "S" for each in params["AttributeDefinitions"]):
            raise NotImplementedError("a key that is no text")
        (key,) = params["KeySchema"]
        indexes = tuple(_index(each) for each in params.get("GlobalSecondaryIndexes", ()))
        schema = Schema(variable="", hash_key=key["AttributeName"], indexes=indexes)
        self.add_table(params["TableName"], schema)
        return {"TableDescription": {"TableName": params["TableName"], "TableStatus": "ACTIVE"}}

    def _drop(self, params: Params) -> Answer:
        del self._tables[params["TableName"]]
        return {}

    def _set_expiry(self, params: Params) -> Answer:
        wanted = params["TimeToLiveSpecification"]
        table = self._tables[params["TableName"]]
        table.schema = replace(
            table.schema, expires=wanted["AttributeName"] if wanted["Enabled"] else None
        )
        return {"TimeToLiveSpecification": wanted}


class Shown(dict[str, Value]):
    """A row in an answer.

    `memo` is for readers who remember what they made of the row; it goes with the row.
    """

    __slots__ = ("memo",)

    def __init__(self, item: Item, memo: dict[Any, Any]) -> None:
        super().__init__(item)
        self.memo = memo


class _Row:
    """Never changed."""

    __slots__ = ("_memo", "item", "size")

    def __init__(self, item: Item, size: int) -> None:
        self.item = item
        self.size = size
        self._memo: dict[Any, Any] = {}

    def shown(self) -> Item:
        return Shown(self.item, self._memo)

    def copy(self) -> Item:
        """For whoever wants to change it."""
        item: Item = marshal.loads(marshal.dumps(self.item))
        return item


class _View:
    """Rows in the order of a table or of one of its indexes, as far as word has come there."""

    def __init__(self, index: Index | None, *, key_name: str) -> None:
        self.index = index
        self.rows: dict[str, _Row] = {}
        self._positions: dict[str, Position] = {}
        self._order: dict[str, list[Position]] = {}
        self._key_name = key_name
        self._names = _projected(index, key_name)
        self._told: dict[str, _Row] = {}
        self._news: list[tuple[datetime, int, str, _Row | None]] = []
        self._last: dict[str, datetime] = {}
        self._count = 0

    def tell(self, key: str, row: _Row | None, *, at: datetime) -> None:
        """To be seen from `at` on; of one row news never overtake each other."""
        told = self._told.get(key)
        item = None if row is None else self._projection(row.item)
        if item is None or row is None:
            if told is None:
                return
            row = None
            del self._told[key]
        else:
            if told is not None and item == told.item:
                return
            if item is not row.item:
                row = _Row(item, sum(_size(name, item) for name in item))
            self._told[key] = row
        self._last[key] = at = max(at, self._last.get(key, at))
        self._count += 1
        heappush(self._news, (at, self._count, key, row))

    def catch_up(self, now: datetime) -> None:
        while self._news and self._news[0][0] <= now:
            _, _, key, row = heappop(self._news)
            self._show(key, row)

    def after(self, value: str, start: Item | None, *, forward: bool) -> Iterator[_Row]:
        """The rows under a hash key from `start` on, which need not exist any more."""
        order = self._order.get(value, [])
        if start is not None:
            place = bisect_right(order, self._position(start))
            if not forward and place and order[place - 1] == self._position(start):
                place -= 1
            order = order[place:] if forward else order[:place]
        for *_, key in order if forward else reversed(order):
            yield self.rows[key]

    def start(self, given: Item, value: str) -> Item:
        """The start key, which must be one of this view and under `value`."""
        if given.keys() != self.start_names() or any(not _is_text(each) for each in given.values()):
            raise invalid("The provided starting key is invalid")
        if self.index is not None and given[self.index.hash_key]["S"] != value:
            raise invalid("The provided starting key is outside query boundaries")
        return given

    def start_names(self) -> set[str]:
        if self.index is None:
            return {self._key_name}
        return {self._key_name, self.index.hash_key, self.index.range_key}

    def start_at(self, row: _Row) -> Item:
        return {name: dict(row.item[name]) for name in sorted(self.start_names())}

    def _projection(self, item: Item) -> Item | None:
        """A sparse index holds rows with both of its keys."""
        if self.index is None:
            return item
        if self.index.hash_key not in item or self.index.range_key not in item:
            return None
        if self._names is None:
            return item
        return {name: item[name] for name in self._names if name in item}

    def _show(self, key: str, row: _Row | None) -> None:
        standing = self._positions.get(key)
        fresh = None if row is None else self._position(row.item)
        if standing != fresh:
            if standing is not None:
                self._order[standing[0]].remove(standing)
                del self._positions[key]
            if fresh is not None:
                insort(self._order.setdefault(fresh[0], []), fresh)
                self._positions[key] = fresh
        if row is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = row

    def _position(self, item: Item) -> Position:
        """Rows with the same range key, and those of a table, come in an order of no meaning."""
        key = item[self._key_name]["S"]
        if self.index is None:
            return THE_TABLE, "", *_place(key)
        return item[self.index.hash_key]["S"], item[self.index.range_key]["S"], *_place(key)


class _Table:
    """`truth` is what was written, `stale` what an inconsistent read may still see."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.written: datetime | None = None
        self.truth = _Truth(None, key_name=schema.hash_key)
        self.stale = _View(None, key_name=schema.hash_key)
        self.views = {
            index.name: _View(index, key_name=schema.hash_key) for index in schema.indexes
        }
        limits = [
            limit
            for index in schema.indexes
            for limit in ((index.hash_key, HASH_BYTES_MAX), (index.range_key, RANGE_BYTES_MAX))
        ]
        # Of a key with two uses the stricter limit holds.
        self._index_keys = sorted(set(limits))

    def key(self, given: Item) -> str:
        if given.keys() != {self.schema.hash_key} or not _is_text(given[self.schema.hash_key]):
            raise invalid("The provided key element does not match the schema")
        return _key_text(given[self.schema.hash_key]["S"], HASH_BYTES_MAX)

    def key_in(self, item: Item) -> str:
        name = self.schema.hash_key
        if name not in item:
            raise invalid(f"One or more parameter values were invalid: Missing the key {name}")
        return self.key({name: item[name]})

    def checked(self, item: Item) -> _Row:
        """The row, unless DynamoDB cannot hold it; `item` is put into its notation."""
        return self._fitting(item, sum(_size(name, item) for name in item))

    def changed(self, before: _Row, item: Item, *, touched: frozenset[str]) -> _Row:
        """As `checked`, where only `touched` differs from the row before."""
        grown = sum(_size(name, item) - _size(name, before.item) for name in touched)
        return self._fitting(item, before.size + grown)

    def _fitting(self, item: Item, size: int) -> _Row:
        if size > ITEM_BYTES_MAX:
            raise invalid("Item size has exceeded the maximum allowed size")
        for name, most in self._index_keys:
            if name in item:
                if not _is_text(item[name]):
                    raise invalid(f"Type mismatch for Index Key {name} Expected: S")
                _key_text(item[name]["S"], most)
        return _Row(item, size)


class _Truth(_View):
    """What was written, at once."""

    def tell(self, key: str, row: _Row | None, *, at: datetime) -> None:
        self._show(key, row)


class _Expressions:
    """The expressions of one call, with their placeholders; all given must be used."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._used_names: set[str] = set()
        self._used_values: set[str] = set()
        self.names = tuple(params.get("ExpressionAttributeNames", {}).items())
        self.values: Values = {}
        if "ExpressionAttributeValues" in params:
            self.values = private(params["ExpressionAttributeValues"])
            for value in self.values.values():
                settle(value)

    def condition(self, kind: str) -> Condition | None:
        text = self._params.get(kind)
        if text is None:
            return None
        found = condition(text, self.names)
        self.settle(found.names, found.values)
        check(found.clauses, self.values)
        return found

    def settle(self, names: frozenset[str], values: frozenset[str]) -> None:
        if not values <= self.values.keys():
            raise invalid("An expression attribute value used in expression is not defined")
        self._used_names |= names
        self._used_values |= values

    def demand(self, row: _Row | None) -> None:
        """The condition of a write, on the row as it stands."""
        wanted = self.condition("ConditionExpression")
        self._all_used()
        if wanted is None or wanted.holds({} if row is None else row.item, self.values):
            return
        tell = self._params.get("ReturnValuesOnConditionCheckFailure", "NONE")
        item = row.shown() if row is not None and tell == "ALL_OLD" else None
        raise Refusal(FAILED, "The conditional request failed", item=item)

    def page(self, view: _View, value: str, *, wanted: Condition | None = None) -> Answer:
        """Limit counts the rows looked at; the filter comes after it."""
        matching = self.condition("FilterExpression")
        self._all_used()
        if view.index is not None and matching is not None:
            _refuse_keys(view.index, matching)
        start = self._start(view, value, wanted=wanted)
        limit = self._params.get("Limit")
        if limit is not None and limit < 1:
            raise invalid("Limit must be greater than or equal to 1")
        found: list[Item] = []
        looked, size = 0, 0
        answer: Answer = {}
        for row in view.after(value, start, forward=self._params.get("ScanIndexForward", True)):
            if wanted is not None and not wanted.holds(row.item, self.values):
                continue
            looked += 1
            size += row.size
            if matching is None or matching.holds(row.item, self.values):
                found.append(row.shown())
            # As AWS: also where nothing follows.
            if looked == limit or size >= PAGE_BYTES_MAX:
                answer = {"LastEvaluatedKey": view.start_at(row)}
                break
        return {"Items": found, "Count": len(found), "ScannedCount": looked, **answer}

    def _start(self, view: _View, value: str, *, wanted: Condition | None) -> Item | None:
        given = self._params.get("ExclusiveStartKey")
        if given is None:
            return None
        start = view.start(given, value)
        if wanted is not None and not wanted.holds(start, self.values):
            raise invalid("The provided starting key does not match the range key predicate")
        return start

    def _all_used(self) -> None:
        names = self._params.get("ExpressionAttributeNames", {})
        if names.keys() != self._used_names or self.values.keys() != self._used_values:
            raise invalid("Value provided in ExpressionAttributes unused in expressions")


def _hash_wanted(index: Index | None, wanted: Condition, *, values: Values) -> str:
    """The hash key's value; the rest may be one condition on the range key."""
    assert index is not None
    wanted_hash, ranges = _keys_wanted(index, wanted)
    if not all(_is_text(values[name]) for name in (*wanted_hash, *ranges)):
        raise invalid("Condition parameter type does not match schema type")
    for name in ranges:
        _key_text(values[name]["S"], RANGE_BYTES_MAX)
    return _key_text(values[wanted_hash[0]]["S"], HASH_BYTES_MAX)


@cache
def _keys_wanted(index: Index, wanted: Condition) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The placeholders that stand for the hash key and for the range key."""
    hashes = [each for each in wanted.clauses if each.path == (index.hash_key,)]
    ranges = [each for each in wanted.clauses if each.path == (index.range_key,)]
    if not wanted.joints <= {"AND", "BETWEEN"} or len(hashes) + len(ranges) < len(wanted.clauses):
        raise invalid("Query key condition not supported")
    if len(hashes) != 1 or hashes[0].operator != "=" or len(ranges) > 1:
        raise invalid("Query key condition not supported")
    if any(each.operator not in RANGE_OPERATORS for each in ranges):
        raise invalid("Query key condition not supported")
    return hashes[0].values, tuple(name for each in ranges for name in each.values)


def _refuse_keys(index: Index, matching: Condition) -> None:
    if any(each.path in {(index.hash_key,), (index.range_key,)} for each in matching.clauses):
        raise invalid("Filter Expression can only contain non-primary key attributes")


def _size(name: str, item: Item) -> int:
    """Of an attribute with its name, which DynamoDB counts too; nothing of one not there."""
    value = item.get(name)
    return 0 if value is None else len(name.encode()) + settle(value, level=2)


def _as_it_is(answer: Any) -> Any:
    return answer


def _copied(answer: Any) -> Any:
    match answer:
        case dict():
            return {name: _copied(value) for name, value in answer.items()}
        case list():
            return [_copied(value) for value in answer]
        case _:
            return answer


def _is_text(value: Value) -> bool:
    return len(value) == 1 and isinstance(value.get("S"), str)


def _key_text(text: str, most: int) -> str:
    if not text:
        raise invalid("A key attribute cannot contain an empty string value")
    if len(text.encode()) > most:
        raise invalid("A key has exceeded its maximum size limit")
    return text


def _place(key: str) -> tuple[int, str]:
    """As if by a hash: nobody may rely on the order of a scan."""
    return zlib.crc32(key.encode()), key


def _projected(index: Index | None, key_name: str) -> tuple[str, ...] | None:
    """Names of the attributes an index holds; None for all."""
    if index is None or index.projection == ALL:
        return None
    more = () if index.projection == KEYS_ONLY else tuple(index.projection)
    return tuple(dict.fromkeys((key_name, index.hash_key, index.range_key, *more)))


def _index(asked: Mapping[str, Any]) -> Index:
    hash_key, range_key = (each["AttributeName"] for each in asked["KeySchema"])
    kind = asked["Projection"]["ProjectionType"]
    named = tuple(asked["Projection"].get("NonKeyAttributes", ()))
    return Index(
        name=asked["IndexName"],
        hash_key=hash_key,
        range_key=range_key,
        projection=named if kind == "INCLUDE" else kind,
    )


def _returned(params: Params, *, before: _Row | None, after: _Row | None = None) -> Answer:
    match params.get("ReturnValues", "NONE"):
        case "NONE":
            return {}
        case "ALL_OLD":
            return {} if before is None else {"Attributes": before.shown()}
        case "ALL_NEW" if after is not None:
            return {"Attributes": after.shown()}
        case other:
            raise NotImplementedError(f"to return {other}")


def _texts(key: Item) -> tuple[str, ...]:
    return tuple(value["S"] for value in key.values() if "S" in value)


def _enveloped(answer: Answer) -> Answer:
    answer["ResponseMetadata"] = {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}
    return answer


def _client_error(client: Any, operation: str, refusal: Refusal) -> Exception:
    """Of the class that botocore would raise."""
    response: Answer = {
        "Error": {"Code": refusal.code, "Message": str(refusal)},
        "ResponseMetadata": {"HTTPStatusCode": 400, "HTTPHeaders": {}, "RetryAttempts": 0},
    }
    if refusal.item is not None:
        response["Item"] = refusal.item
    error: Exception = client.exceptions.from_code(refusal.code)(response, operation)
    return error


WRITES: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
ADMINISTRATION: Final[dict[str, Callable[[DynamoWorld, Params], Answer]]] = {
    "CreateTable": DynamoWorld._create,
    "DeleteTable": DynamoWorld._drop,
    "UpdateTimeToLive": DynamoWorld._set_expiry,
}
_ANY: Final = {"TableName", "ReturnConsumedCapacity"}
_PLACEHOLDERS: Final = {"ExpressionAttributeNames", "ExpressionAttributeValues"}
_CONDITIONAL: Final = {
    *_ANY,
    *_PLACEHOLDERS,
    "ConditionExpression",
    "ReturnValues",
    "ReturnValuesOnConditionCheckFailure",
}
_PAGED: Final = {
    *_ANY,
    *_PLACEHOLDERS,
    "ConsistentRead",
    "ExclusiveStartKey",
    "FilterExpression",
    "Limit",
}
OPERATIONS: Final[dict[str, tuple[set[str], Callable[[DynamoWorld, Params], Answer]]]] = {
    "GetItem": ({*_ANY, "Key", "ConsistentRead"}, DynamoWorld._get),
    "BatchGetItem": ({"RequestItems", "ReturnConsumedCapacity"}, DynamoWorld._batch_get),
    "PutItem": ({*_CONDITIONAL, "Item"}, DynamoWorld._put),
    "UpdateItem": ({*_CONDITIONAL, "Key", "UpdateExpression"}, DynamoWorld._update),
    "DeleteItem": ({*_CONDITIONAL, "Key"}, DynamoWorld._delete),
    "Query": (
        {*_PAGED, "IndexName", "KeyConditionExpression", "ScanIndexForward"},
        DynamoWorld._query,
    ),
    "Scan": (_PAGED, DynamoWorld._scan),
}
