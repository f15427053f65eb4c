"""The quick DynamoDB refuses as AWS does where moto errs, and lags and fails as AWS may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from moto import mock_aws

from shared.entrypoints.idempotency import Idempotency
from shared.storage import StorageUnavailable
from tests.deliveries import gateway_event
from tests.integration.storage_values import NOW, calendar, event, meeting
from tests.simulation.dynamo import Call, DynamoWorld, Fate
from tests.simulation.dynamo_stage import LAG, SECOND, Stage, ask
from tests.tables import client


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    with made.world.installed():
        yield made


# Refusals, some of which moto does not know


ROW = {"event_id": {"S": "e"}}
DUE = {"due": {"S": "1"}, "start_time": {"S": "t"}}
BY_DUE = {
    "IndexName": "by_due",
    "KeyConditionExpression": "due = :d",
    "ExpressionAttributeValues": {":d": {"S": "1"}},
}
START = {"event_id": {"S": "e"}, "due": {"S": "1"}, "start_time": {"S": "t"}}
LONG = {"S": "x" * 2_049}


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"M": {}}
    for _ in range(levels - 1):
        value = {"L": [value]}
    return value


def setting(text: str, **values: Any) -> dict[str, Any]:
    given = {f":{name}": value for name, value in values.items()}
    return {"Key": ROW, "UpdateExpression": text} | (
        {"ExpressionAttributeValues": given} if given else {}
    )


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "an empty key, got": ("get_item", {"Key": {"event_id": {"S": ""}}}),
    "an empty key, put": ("put_item", {"Item": {"event_id": {"S": ""}}}),
    "an empty key, updated": (
        "update_item",
        {**setting("REMOVE p"), "Key": {"event_id": {"S": ""}}},
    ),
    "an empty key, deleted": ("delete_item", {"Key": {"event_id": {"S": ""}}}),
    "a long key, deleted": ("delete_item", {"Key": {"event_id": LONG}}),
    "a long key, put": ("put_item", {"Item": {"event_id": LONG}}),
    "another key": ("get_item", {"Key": {"name": {"S": "e"}}}),
    "a number for a key": ("get_item", {"Key": {"event_id": {"N": "1"}}}),
    "no key": ("put_item", {"Item": {"p": {"S": "e"}}}),
    "an empty key of an index": ("put_item", {"Item": {**ROW, "due": {"S": ""}}}),
    "an empty key of an index, set": ("update_item", setting("SET due = :v", v={"S": ""})),
    "a number as key of an index": ("put_item", {"Item": {**ROW, "due": {"N": "1"}}}),
    "a long hash key of an index": ("put_item", {"Item": {**ROW, "due": LONG}}),
    "a long range key of an index": (
        "put_item",
        {"Item": {**ROW, "start_time": {"S": "x" * 1_025}}},
    ),
    "a large row": ("put_item", {"Item": {**ROW, "p": {"S": "x" * 409_591}}}),
    "a row grown large": ("update_item", setting("SET p = :v", v={"S": "x" * 409_600})),
    "a deep row": ("put_item", {"Item": {**ROW, "p": deep(32)}}),
    "an empty set": ("put_item", {"Item": {**ROW, "p": {"SS": []}}}),
    "a set with a member twice": ("put_item", {"Item": {**ROW, "p": {"NS": ["1", "1.0"]}}}),
    "a value of two types": ("put_item", {"Item": {**ROW, "p": {"S": "a", "N": "1"}}}),
    "a number that is none": ("put_item", {"Item": {**ROW, "p": {"N": "one"}}}),
    "a number of 39 digits": ("put_item", {"Item": {**ROW, "p": {"N": "1" * 39}}}),
    "a number too large": ("put_item", {"Item": {**ROW, "p": {"N": "1E126"}}}),
    "a number too small": ("put_item", {"Item": {**ROW, "p": {"N": "1E-131"}}}),
    "the key changed": ("update_item", setting("SET event_id = :v", v={"S": "f"})),
    "a sum with what is missing": ("update_item", setting("SET p = q + :v", v={"N": "1"})),
    "a sum with a text": ("update_item", setting("SET p = event_id + :v", v={"N": "1"})),
    "a place in what is no map": ("update_item", setting("SET event.p = :v", v={"N": "1"})),
    "two changes of one place": ("update_item", setting("SET p = :v REMOVE p.q", v={"N": "1"})),
    "a clause twice": ("update_item", setting("REMOVE p REMOVE q")),
    "no clause": ("update_item", setting("SET SET")),
    "a reserved word": ("update_item", setting("REMOVE status")),
    "a value that is not used": ("update_item", setting("REMOVE p", v={"N": "1"})),
    "a value that is not given": ("update_item", setting("SET p = :v")),
    "a name that is not given": ("update_item", setting("REMOVE #p")),
    "a range upside down": (
        "query",
        {
            **BY_DUE,
            "KeyConditionExpression": "due = :d AND start_time BETWEEN :b AND :a",
            "ExpressionAttributeValues": {":d": {"S": "1"}, ":a": {"S": "a"}, ":b": {"S": "b"}},
        },
    ),
    "a consistent index": ("query", {**BY_DUE, "ConsistentRead": True}),
    "no such index": ("query", {**BY_DUE, "IndexName": "by_moon"}),
    "no hash key": ("query", {**BY_DUE, "KeyConditionExpression": "start_time = :d"}),
    "a hash key in a range": ("query", {**BY_DUE, "KeyConditionExpression": "due > :d"}),
    "another attribute": ("query", {**BY_DUE, "KeyConditionExpression": "due = :d AND p = :d"}),
    "keys joined by or": (
        "query",
        {**BY_DUE, "KeyConditionExpression": "due = :d OR start_time = :d"},
    ),
    "an empty key asked for": (
        "query",
        {**BY_DUE, "ExpressionAttributeValues": {":d": {"S": ""}}},
    ),
    "a filter on a key": ("query", {**BY_DUE, "FilterExpression": "start_time = :d"}),
    "no limit": ("query", {**BY_DUE, "Limit": 0}),
    "a start under another key": (
        "query",
        {**BY_DUE, "ExclusiveStartKey": START | {"due": {"S": "2"}}},
    ),
    "a start without a key": ("query", {**BY_DUE, "ExclusiveStartKey": ROW}),
    "a start outside the range": (
        "query",
        {
            **BY_DUE,
            "KeyConditionExpression": "due = :d AND start_time < :d",
            "ExclusiveStartKey": START,
        },
    ),
}
UNKNOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "an operation": ("transact_write_items", {}),
    "a parameter": ("get_item", {"Key": ROW, "ProjectionExpression": "p"}),
    "a function": (
        "update_item",
        setting("SET p = :v", v={"N": "1"}) | {"ConditionExpression": "size(p) > :v"},
    ),
    "a place in a list": ("update_item", setting("REMOVE p[0]")),
    "a query of a table": ("query", {"KeyConditionExpression": "event_id = :d"}),
    "what an update touched": (
        "update_item",
        setting("SET p = :v", v={"N": "1"}) | {"ReturnValues": "UPDATED_NEW"},
    ),
    "nothing set in no row": (
        "update_item",
        setting("REMOVE p") | {"Key": {"event_id": {"S": "f"}}},
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_aws_refuses_is_refused_and_changes_nothing(stage: Stage, case: str) -> None:
    operation, asked = REFUSED[case]
    ask("put_item", stage.meetings, Item=ROW)
    with pytest.raises(ClientError) as caught:
        ask(operation, stage.meetings, **asked)
    assert "ValidationException" == caught.value.response["Error"]["Code"]
    assert {"e": ROW} == stage.world.rows(stage.meetings)


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_it_does_not_know_it_does_not_do(stage: Stage, case: str) -> None:
    operation, asked = UNKNOWN[case]
    ask("put_item", stage.meetings, Item=ROW)
    with pytest.raises(NotImplementedError):
        stage.world.answer(
            client("dynamodb"),
            operation.title().replace("_", ""),
            params={"TableName": stage.meetings, **asked},
        )


def test_the_largest_row_fits(stage: Stage) -> None:
    """The names count: 409,600 bytes less "event_id", "e" and "p"."""
    ask("put_item", stage.meetings, Item={**ROW, "p": {"S": "x" * 409_590}})
    ask("put_item", stage.meetings, Item={**ROW, "p": deep(31)})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("007", "7"),
        ("-0", "0"),
        ("0.0", "0"),
        ("1.50", "1.5"),
        ("+1E2", "100"),
        ("1e-7", "0.0000001"),
        ("-12", "-12"),
        ("100", "100"),
    ],
)
def test_numbers_come_back_plain(stage: Stage, written: str, read: str) -> None:
    ask("put_item", stage.meetings, Item={**ROW, "p": {"N": written}})
    assert {"N": read} == stage.world.rows(stage.meetings)["e"]["p"]


def test_what_goes_in_and_out_is_nobody_elses(stage: Stage) -> None:
    item: dict[str, Any] = {**ROW, "p": {"L": [{"S": "a"}]}}
    ask("put_item", stage.meetings, Item=item)
    item["p"]["L"].append({"S": "b"})
    got = ask("get_item", stage.meetings, Key=ROW)["Item"]
    got["p"]["L"].clear()
    assert {**ROW, "p": {"L": [{"S": "a"}]}} == ask("get_item", stage.meetings, Key=ROW)["Item"]


def test_an_index_holds_what_it_projects(stage: Stage) -> None:
    more = {"next_attempt": {"S": "n"}, "p": {"S": "x"}}
    ask("put_item", stage.meetings, Item=START | more)
    ask("put_item", stage.meetings, Item={"event_id": {"S": "f"}, "due": {"S": "1"}})
    assert [START | {"next_attempt": {"S": "n"}}] == ask("query", stage.meetings, **BY_DUE)["Items"]


def test_a_limit_counts_before_the_filter_and_ends_with_a_key(stage: Stage) -> None:
    for start in ("1", "2", "3"):
        item = {"event_id": {"S": start}, "due": {"S": "1"}, "start_time": {"S": start}}
        ask("put_item", stage.meetings, Item=item)
    late = {"FilterExpression": "event_id >= :e", "Limit": 2} | BY_DUE
    late["ExpressionAttributeValues"] = {":d": {"S": "1"}, ":e": {"S": "2"}}
    for forward, first, second in ((True, ["2"], ["3"]), (False, ["3", "2"], [])):
        page = ask("query", stage.meetings, **late, ScanIndexForward=forward)
        assert first == [item["event_id"]["S"] for item in page["Items"]]
        more = {"ScanIndexForward": forward, "ExclusiveStartKey": page["LastEvaluatedKey"]}
        page = ask("query", stage.meetings, **late, **more)
        assert second == [item["event_id"]["S"] for item in page["Items"]]
        assert "LastEvaluatedKey" not in page


def test_a_scan_goes_on_where_a_row_was_deleted(stage: Stage) -> None:
    for key in "abcdef":
        ask("put_item", stage.meetings, Item={"event_id": {"S": key}})
    whole = [item["event_id"]["S"] for item in ask("scan", stage.meetings)["Items"]]
    page = ask("scan", stage.meetings, Limit=3)
    ask("delete_item", stage.meetings, Key=page["LastEvaluatedKey"])
    rest = ask("scan", stage.meetings, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert whole[3:] == [item["event_id"]["S"] for item in rest["Items"]]


def test_a_page_ends_at_a_megabyte(stage: Stage) -> None:
    for key in "abcd":
        ask("put_item", stage.meetings, Item={"event_id": {"S": key}, "p": {"S": "x" * 400_000}})
    assert 3 == ask("scan", stage.meetings)["Count"]


# Lag, faults and time


def test_an_index_lags_and_the_table_does_not(stage: Stage) -> None:
    stage.world.index_lag = LAG
    stage.stores.meetings.save(meeting("e", meeting_key="k"))
    reader = stage.another_process()
    assert reader.meetings.get("e") is not None
    assert [] == reader.meetings.ids_of_key("k")
    stage.clock.move(LAG)
    assert ["e"] == reader.meetings.ids_of_key("k")


def test_an_address_that_changed_a_moment_ago_names_nobody_else(stage: Stage) -> None:
    stage.stores.calendars.add(calendar(calendar_id="c", email="old@acme.example"))
    stage.world.index_lag = LAG
    stage.stores.calendars.change("c", email="new@acme.example", updated_at=NOW)
    assert () == stage.stores.calendars.find(email="old@acme.example").items


def test_who_wrote_a_copy_finds_it_before_the_index_does(stage: Stage) -> None:
    stage.world.index_lag = LAG
    stage.stores.meetings.save(meeting("e", meeting_key="k"))
    assert ["e"] == stage.stores.meetings.ids_of_key("k")
    assert ["e"] == [each.event.event_id for each in stage.stores.meetings.of_key("k")]
    stage.clock.move(LAG)
    assert ["e"] == stage.stores.meetings.ids_of_key("k")


def test_who_wrote_a_copy_that_moved_or_went_reads_the_rows(stage: Stage) -> None:
    stage.world.index_lag = LAG
    for name in ("moved", "gone"):
        row = stage.stores.meetings.save(meeting(name, meeting_key="k"))
        if name == "moved":
            stage.stores.meetings.save(replace(row, meeting_key="other"))
    stage.stores.meetings.delete("gone")
    assert [] == stage.stores.meetings.of_key("k")
    assert ["moved"] == [each.event.event_id for each in stage.stores.meetings.of_key("other")]


def test_an_index_shows_what_is_gone_until_word_has_come(stage: Stage) -> None:
    stage.stores.meetings.save(meeting("e", meeting_key="k"))
    stage.world.index_lag = LAG
    stage.stores.meetings.delete("e")
    reader = stage.another_process()
    assert ["e"] == reader.meetings.ids_of_key("k")
    assert [] == reader.meetings.of_key("k")
    stage.clock.move(LAG)
    assert [] == reader.meetings.ids_of_key("k")


def test_news_of_one_row_never_overtake_each_other(stage: Stage) -> None:
    stage.world.index_lag = LAG
    seen = []
    for number in range(20):
        standing = stage.stores.meetings.get("e") or meeting("e")
        at = NOW + number * SECOND
        stage.stores.meetings.save(replace(standing, event=event("e", start=at)))
    for _ in range(100):
        stage.clock.move(LAG / 100)
        seen += [each.version for each in stage.stores.meetings.of_calendar("calendar-1").items]
    assert sorted(seen) == seen
    assert 20 == seen[-1]
    assert len(set(seen)) > 1


def test_a_read_that_asks_for_no_consistency_may_lag(stage: Stage) -> None:
    stage.world.base_lag = LAG
    ask("put_item", stage.meetings, Item=ROW)
    assert "Item" not in ask("get_item", stage.meetings, Key=ROW)
    assert "Item" in ask("get_item", stage.meetings, Key=ROW, ConsistentRead=True)
    assert 0 == ask("scan", stage.meetings)["Count"]
    stage.clock.move(LAG)
    assert "Item" in ask("get_item", stage.meetings, Key=ROW)


@pytest.mark.parametrize(
    ("fate", "done"), [(Fate.THROTTLED, False), (Fate.LOST_BEFORE, False), (Fate.LOST_AFTER, True)]
)
def test_a_fault_reaches_the_stores_as_a_matter_of_time(
    stage: Stage, fate: Fate, done: bool
) -> None:
    for number in range(12):
        stage.world.faults = lambda call: fate
        with pytest.raises(StorageUnavailable):
            stage.stores.meetings.save(meeting(f"e{number}"))
        stage.world.faults = lambda call: None
        assert done == (stage.stores.meetings.get(f"e{number}") is not None)


def test_lost_calls_are_lost_in_every_way(stage: Stage) -> None:
    stage.world.faults = lambda call: Fate.LOST_BEFORE
    ways = set()
    for _ in range(20):
        try:
            ask("get_item", stage.meetings, Key=ROW)
        except (ReadTimeoutError, ConnectTimeoutError, EndpointConnectionError) as error:
            ways.add(type(error))
    assert {ReadTimeoutError, ConnectTimeoutError, EndpointConnectionError} == ways


def test_keys_left_out_are_asked_for_again(stage: Stage) -> None:
    for key in "abcdefgh":
        stage.stores.meetings.save(meeting(key))
    fates = iter([Fate.UNPROCESSED, Fate.UNPROCESSED, None])
    stage.world.faults = lambda call: next(fates)
    assert set("abcdefgh") == set(stage.stores.meetings.get_many("abcdefgh"))
    stage.world.faults = lambda call: Fate.UNPROCESSED
    with pytest.raises(StorageUnavailable):
        stage.stores.meetings.get_many("abcdefgh")


def test_only_a_batch_has_keys_to_leave_out(stage: Stage) -> None:
    stage.world.faults = lambda call: Fate.UNPROCESSED
    with pytest.raises(ValueError, match="PutItem"):
        ask("put_item", stage.meetings, Item=ROW)
    assert {} == stage.world.rows(stage.meetings)


def test_each_call_is_told_with_its_rows(stage: Stage) -> None:
    calls: list[Call] = []
    stage.world.before = calls.append
    stage.stores.meetings.save(meeting("e", meeting_key="k"))
    stage.stores.meetings.of_key("k")
    told = [(call.operation, call.key, call.writes) for call in calls]
    assert [("PutItem", "e", True), ("Query", None, False), ("BatchGetItem", "e", False)] == told
    assert {stage.meetings} == {call.table for call in calls}


class Killed(BaseException):
    pass


@pytest.mark.parametrize(("moment", "done"), [("before", False), ("after", True)])
def test_a_process_can_die_on_either_side_of_a_call(stage: Stage, moment: str, done: bool) -> None:
    def die(call: Call) -> None:
        raise Killed

    setattr(stage.world, moment, die)
    with pytest.raises(Killed):
        stage.stores.meetings.save(meeting("e"))
    assert done == ("e" in stage.world.rows(stage.meetings))


def test_rows_that_are_over_vanish_within_two_days(stage: Stage) -> None:
    for number in range(40):
        stage.stores.meetings.save(meeting(f"e{number}"))
    (over,) = {row["expires_at"]["N"] for row in stage.world.rows(stage.meetings).values()}
    end = datetime.fromtimestamp(int(over), UTC)
    assert 0 == stage.world.expire(end)
    early = stage.world.expire(end + timedelta(hours=24))
    assert 0 < early < 40
    assert 40 - early == len(stage.world.rows(stage.meetings))
    stage.world.expire(end + timedelta(hours=48))
    assert {} == stage.world.rows(stage.meetings)


def test_requests_are_remembered_as_powertools_sends_them(stage: Stage) -> None:
    runs: list[int] = []

    def work() -> dict[str, int]:
        runs.append(1)
        return {"runs": len(runs)}

    request = gateway_event(
        "POST /v1/calendars",
        headers={"idempotency-key": "k"},
        body=b"{}",
        authorizer={"key_prefix": "abc", "scopes": "write"},
    )
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 5_000)
    for _ in range(2):
        memory = Idempotency(stage.names["IDEMPOTENCY_TABLE"], client=client("dynamodb"))
        assert {"runs": 1} == memory.once(APIGatewayProxyEventV2(request), context, work=work)
    ((_, row),) = stage.world.rows(stage.names["IDEMPOTENCY_TABLE"]).items()
    assert {"S": "COMPLETED"} == row["status"]


def test_other_services_and_later_calls_go_on_as_before(stage: Stage) -> None:
    with mock_aws():
        assert [] == boto3.client("sqs").list_queues().get("QueueUrls", [])
    ask("put_item", stage.meetings, Item=ROW)
    with DynamoWorld(clock=stage.clock, chance=Random(1)).installed() as other:
        other.create_tables()
        assert 0 == ask("scan", stage.meetings)["Count"]
    assert 1 == ask("scan", stage.meetings)["Count"]
