"""The short way to moto's DynamoDB answers as the long one does, refusals included."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra.local.moto_tables import quick_tables
from tests.short_cut import DATA_OPERATIONS, all_the_way
from tests.tables import client, create_tables

ROW = {
    "event_id": {"S": "e1"},
    "calendar_id": {"S": "c1"},
    "start_time": {"S": "2027-03-01T09:00:00Z"},
    "attempts": {"N": "3"},
    "sealed": {"B": b"\x00\xff"},
    "blobs": {"BS": [b"a", b"b"]},
    "released": {"SS": ["x", "y"]},
    "event": {"M": {"title": {"S": ""}, "cancelled": {"BOOL": False}, "link": {"NULL": True}}},
    "bots": {"L": [{"M": {"bot_id": {"S": "b1"}}}]},
}
KEY = {"event_id": {"S": "e1"}}
GONE = {"event_id": {"S": "e9"}}
BY_CALENDAR = {
    "IndexName": "by_calendar",
    "KeyConditionExpression": "calendar_id = :c",
    "ExpressionAttributeValues": {":c": {"S": "c1"}},
}
NEW = {"ConditionExpression": "attribute_not_exists(event_id)"}
COUNTED = {
    "UpdateExpression": "SET attempts = attempts + :n, sealed = :b REMOVE bots",
    "ExpressionAttributeValues": {":n": {"N": "1"}, ":b": {"B": b"\x01"}},
}

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "a row": ("get_item", {"Key": KEY, "ConsistentRead": True}),
    "no row": ("get_item", {"Key": GONE}),
    "what it cost": ("get_item", {"Key": KEY, "ReturnConsumedCapacity": "TOTAL"}),
    "an empty key": ("get_item", {"Key": {"event_id": {"S": ""}}}),
    "another key": ("get_item", {"Key": {"name": {"S": "x"}}}),
    "an index": ("query", BY_CALENDAR),
    "a page": ("query", {**BY_CALENDAR, "Limit": 1, "ReturnConsumedCapacity": "TOTAL"}),
    "a filter": ("query", {**BY_CALENDAR, "FilterExpression": "event_id <> :c"}),
    "no such index": ("query", {**BY_CALENDAR, "IndexName": "by_moon"}),
    "every row": ("scan", {}),
    "a put": ("put_item", {"Item": ROW | {"event_id": {"S": "e3"}}}),
    "a put that replaces": ("put_item", {"Item": ROW, "ReturnValues": "ALL_OLD"}),
    "a put that is refused": ("put_item", {"Item": ROW, **NEW}),
    "a refusal with its row": (
        "put_item",
        {"Item": ROW, **NEW, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"},
    ),
    "an empty set": ("put_item", {"Item": {**KEY, "released": {"SS": []}}}),
    "an update": ("update_item", {"Key": KEY, **COUNTED, "ReturnValues": "ALL_NEW"}),
    "an update of nothing": ("update_item", {"Key": GONE, **COUNTED}),
    "an update that is refused": ("update_item", {"Key": KEY, **COUNTED, **NEW}),
    "a bad expression": ("update_item", {"Key": KEY, "UpdateExpression": "SET SET"}),
    "a delete": ("delete_item", {"Key": KEY, "ReturnValues": "ALL_OLD"}),
    "a delete that is refused": ("delete_item", {"Key": KEY, **NEW}),
}
BATCHES: dict[str, list[dict[str, Any]]] = {
    "several rows": [KEY, GONE, {"event_id": {"S": "e2"}}],
    "a row twice": [KEY, KEY],
    "too many": [{"event_id": {"S": f"e{number}"}} for number in range(101)],
}


@pytest.fixture
def table() -> Iterator[str]:
    with mock_aws():
        name = str(create_tables().meetings)
        with all_the_way():
            for row in (ROW, ROW | {"event_id": {"S": "e2"}}):
                client("dynamodb").put_item(TableName=name, Item=row)
        yield name


@pytest.mark.parametrize("case", CALLS)
def test_a_call_is_answered_alike(table: str, case: str) -> None:
    operation, asked = CALLS[case]
    with all_the_way():
        expected = answer(operation, TableName=table, **asked)
        left = rows(table)
        restore(table)
    assert expected == answer(operation, TableName=table, **asked)
    with all_the_way():
        assert left == rows(table)


QUERIES = {case: asked for case, (operation, asked) in CALLS.items() if operation == "query"} | {
    "backwards": {**BY_CALENDAR, "ScanIndexForward": False},
    "from a time on": {
        **BY_CALENDAR,
        "KeyConditionExpression": "calendar_id = :c AND start_time >= :t",
        "ExpressionAttributeValues": {":c": {"S": "c1"}, ":t": {"S": "2027-03-01T10:00:00Z"}},
    },
    "the next page": {
        **BY_CALENDAR,
        "Limit": 1,
        "ExclusiveStartKey": {
            "event_id": {"S": "e1"},
            "calendar_id": {"S": "c1"},
            "start_time": {"S": "2027-03-01T09:00:00Z"},
        },
    },
    "nobody's": {**BY_CALENDAR, "ExpressionAttributeValues": {":c": {"S": "c9"}}},
    "by the table's own key": {
        "KeyConditionExpression": "event_id = :e",
        "ExpressionAttributeValues": {":e": {"S": "e1"}},
    },
}


@pytest.mark.parametrize("case", QUERIES)
def test_a_quick_table_answers_queries_alike(table: str, case: str) -> None:
    later = {"event_id": {"S": "e3"}, "start_time": {"S": "2027-03-01T11:00:00Z"}}
    of_others = {"event_id": {"S": "e4"}, "calendar_id": {"S": "c2"}}
    for row in (later, of_others):
        answer("put_item", TableName=table, Item=ROW | row)
    answer("put_item", TableName=table, Item=GONE)  # in no index
    expected = answer("query", TableName=table, **QUERIES[case])
    with quick_tables():
        assert expected == answer("query", TableName=table, **QUERIES[case])
        assert rows(table) == sorted(rows(table), key=lambda row: row["event_id"]["S"])


@pytest.mark.parametrize("case", BATCHES)
def test_a_batch_is_answered_alike(table: str, case: str) -> None:
    asked = {"RequestItems": {table: {"Keys": BATCHES[case]}}}
    with all_the_way():
        expected = answer("batch_get_item", **asked)
    assert expected == answer("batch_get_item", **asked)


@pytest.mark.parametrize("operation", ["get_item", "delete_item"])
def test_a_table_that_is_gone_is_told_alike(table: str, operation: str) -> None:
    with all_the_way():
        expected = answer(operation, TableName="none", Key=KEY)
    assert "ResourceNotFoundException" == expected["Error"]["Code"]
    assert expected == answer(operation, TableName="none", Key=KEY)


def test_the_way_is_short_and_can_be_made_long(table: str) -> None:
    signed: list[str] = []
    events = client("dynamodb").meta.events
    events.register("before-sign.dynamodb", lambda **_: signed.append("signed"))
    answer("get_item", TableName=table, Key=KEY)
    assert [] == signed
    with all_the_way():
        answer("get_item", TableName=table, Key=KEY)
    assert ["signed"] == signed


def test_every_short_way_is_compared() -> None:
    compared = {operation for operation, _ in CALLS.values()} | {"batch_get_item"}
    assert DATA_OPERATIONS == {name.title().replace("_", "") for name in compared}


def answer(operation: str, **asked: Any) -> dict[str, Any]:
    """What the caller of boto3 sees, but for the envelope."""
    try:
        told = getattr(client("dynamodb"), operation)(**asked)
    except ClientError as error:
        told = error.response
    return {name: value for name, value in told.items() if name != "ResponseMetadata"}


def rows(table: str) -> list[dict[str, Any]]:
    return client("dynamodb").scan(TableName=table)["Items"]


def restore(table: str) -> None:
    for row in rows(table):
        client("dynamodb").delete_item(TableName=table, Key={"event_id": row["event_id"]})
    for row in (ROW, ROW | {"event_id": {"S": "e2"}}):
        client("dynamodb").put_item(TableName=table, Item=row)
