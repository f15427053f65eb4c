"""The door to DynamoDB: which calls it makes, how rows look, what its failures become."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from pynamodb.connection import Connection

from shared.domain.calendar import CalendarStatus
from shared.domain.connect import ConnectStatus
from shared.domain.meeting import Assignment, Override
from shared.domain.rules import Choice
from shared.domain.series import Series
from shared.errors import PermanentError, TransientError
from shared.storage import ApiKey, Refused, StorageUnavailable, Stores, Tables, open_stores
from shared.storage.attributes import stored_moment
from shared.storage.calendars import CalendarRow
from shared.storage.meetings import MeetingRow
from shared.storage.sessions import SessionRow
from shared.storage.tables import CALENDARS, MEETINGS, SESSIONS, Schema
from tests.integration.storage_values import NOW, calendar, event, meeting, session

# The statements of each method, for the policies of the functions that use it.
CALLS: dict[str, tuple[Callable[[Stores], object], dict[str, int]]] = {
    "calendars.get": (lambda s: s.calendars.get("x"), {"GetItem": 1}),
    "calendars.get_many": (lambda s: s.calendars.get_many(["x", "y"]), {"BatchGetItem": 1}),
    "calendars.add": (lambda s: s.calendars.add(calendar("new")), {"PutItem": 1}),
    "calendars.add, known": (
        lambda s: s.calendars.add(calendar()),
        {"PutItem": 1, "GetItem": 1},
    ),
    "calendars.change": (
        lambda s: s.calendars.change("calendar-1", updated_at=NOW),
        {"UpdateItem": 1},
    ),
    "calendars.finish_read": (
        lambda s: s.calendars.finish_read("calendar-1", swept_at=NOW),
        {"UpdateItem": 2},
    ),
    "calendars.find, by tenant": (lambda s: s.calendars.find(tenant_id="t"), {"Query": 1}),
    "calendars.find, all": (lambda s: s.calendars.find(), {"Scan": 1}),
    "calendars.by_status": (
        lambda s: s.calendars.by_status(CalendarStatus.CONNECTED, limit=5),
        {"Query": 1},
    ),
    "calendars.due": (lambda s: s.calendars.due(limit=5), {"Query": 1, "BatchGetItem": 1}),
    "calendars.every": (lambda s: s.calendars.every(limit=5), {"Scan": 1}),
    "calendars.delete": (lambda s: s.calendars.delete("x"), {"DeleteItem": 1}),
    "meetings.get": (lambda s: s.meetings.get("x"), {"GetItem": 1}),
    "meetings.get_many": (lambda s: s.meetings.get_many(["x"]), {"BatchGetItem": 1}),
    "meetings.save": (lambda s: s.meetings.save(meeting("new")), {"PutItem": 1}),
    "meetings.due": (
        lambda s: s.meetings.due(now=NOW, limit=5),
        {"Query": 2, "BatchGetItem": 1},
    ),
    "meetings.of_calendar": (lambda s: s.meetings.of_calendar("c"), {"Query": 1}),
    "meetings.of_series": (lambda s: s.meetings.of_series(Series("c", "s")), {"Query": 1}),
    "meetings.of_key, unknown": (lambda s: s.meetings.of_key("k"), {"Query": 1}),
    "meetings.set_override": (
        lambda s: s.meetings.set_override("x", Override(), now=NOW),
        {"UpdateItem": 1},
    ),
    "meetings.wake": (lambda s: s.meetings.wake("x", now=NOW), {"UpdateItem": 1}),
    "meetings.delete": (lambda s: s.meetings.delete("x"), {"DeleteItem": 1}),
    "settings.rules": (lambda s: s.settings.rules("default"), {"GetItem": 1}),
    "settings.rules_of": (lambda s: s.settings.rules_of(["default"]), {"BatchGetItem": 1}),
    "settings.put_rules": (
        lambda s: s.settings.put_rules("default", {}, by="b", at=NOW),
        {"GetItem": 1, "PutItem": 1},
    ),
    "settings.series.put_override": (
        lambda s: s.settings.series.put_override(Series("c", "s"), Override()),
        {"GetItem": 2, "PutItem": 2},
    ),
    "settings.series.of": (
        lambda s: s.settings.series.of([Series("c", "s_R20270301"), Series("c", "t")]),
        {"BatchGetItem": 1},
    ),
    "settings.series.put_opt_out": (
        lambda s: s.settings.series.put_opt_out(Series("c", "s"), opted_out=True),
        {"GetItem": 2, "PutItem": 2},
    ),
    "settings.series.forget": (
        lambda s: s.settings.series.forget("c"),
        {"Query": 1, "DeleteItem": 1},
    ),
    "sessions.add": (lambda s: s.sessions.add(session("new")), {"PutItem": 1}),
    "sessions.get": (lambda s: s.sessions.get("x"), {"GetItem": 1}),
    "sessions.waiting": (
        lambda s: s.sessions.waiting(limit=5),
        {"Query": 1, "BatchGetItem": 1},
    ),
    "accounts.get": (lambda s: s.accounts.get("a"), {"GetItem": 1}),
    "accounts.claim": (lambda s: s.accounts.claim("new", claim_id="1", now=NOW), {"PutItem": 1}),
    "accounts.claim, claimed": (
        lambda s: s.accounts.claim("a", claim_id="2", now=NOW),
        {"PutItem": 1, "GetItem": 1},
    ),
    "accounts.assign": (
        lambda s: s.accounts.assign("a", claim_id="1", calendar_id="c"),
        {"UpdateItem": 1},
    ),
    "accounts.release": (
        lambda s: s.accounts.release("a", calendar_id="c"),
        {"DeleteItem": 1},
    ),
    "workspace.feed": (lambda s: s.workspace.feed(), {"GetItem": 1}),
    "workspace.save_feed": (
        lambda s: s.workspace.save_feed(s.workspace.feed()),
        {"GetItem": 1, "PutItem": 1},
    ),
    "workspace.read_budget": (lambda s: s.workspace.read_budget("e"), {"GetItem": 1}),
    "workspace.write_budget": (
        lambda s: s.workspace.write_budget("e", {}, version=0),
        {"PutItem": 1},
    ),
    "workspace.report": (lambda s: s.workspace.report("drift"), {"GetItem": 1}),
    "workspace.put_report": (lambda s: s.workspace.put_report("drift", {}), {"PutItem": 1}),
    "api_keys.get": (lambda s: s.api_keys.get("p"), {"GetItem": 1}),
    "api_keys.put": (
        lambda s: s.api_keys.put(
            ApiKey(prefix="p", digest="d", scopes=frozenset(), name="n", created_at=NOW)
        ),
        {"PutItem": 1},
    ),
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts every call to AWS."""
    seen: Counter[str] = Counter()
    call = BaseClient._make_api_call

    def count(client: BaseClient, operation: str, arguments: object) -> object:
        seen[operation] += 1
        return call(client, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", count)
    return seen


@pytest.mark.parametrize("method", CALLS)
def test_a_method_makes_its_data_calls_and_no_other(
    tables: Tables, calls: Counter[str], method: str
) -> None:
    filled = open_stores(tables)
    filled.calendars.add(calendar(read_since=NOW))
    filled.meetings.save(meeting(due=True))
    filled.sessions.add(session(status=ConnectStatus.WAITING))
    filled.accounts.claim("a", claim_id="1", now=NOW)
    filled.settings.series.put_override(Series("c", "known"), Override())
    call, expected = CALLS[method]
    calls.clear()

    call(open_stores(tables))

    assert expected == dict(calls)


def test_two_stacks_in_one_process_do_not_mix(tables: Tables, other_tables: Tables) -> None:
    here, there = open_stores(tables), open_stores(other_tables)
    here.calendars.add(calendar(entity_id="here"))
    there.calendars.add(calendar(entity_id="there"))
    here.meetings.save(meeting())

    found = [stores.calendars.get("calendar-1") for stores in (here, there)]
    assert [item.entity_id for item in found if item] == ["here", "there"]
    assert there.meetings.get("event-1") is None


def test_a_store_without_a_table_names_it() -> None:
    stores = open_stores(Tables(region="us-east-1", calendars="c"))

    with pytest.raises(PermanentError, match="meetings") as caught:
        _ = stores.meetings

    assert caught.value.code == "settings_missing"


def test_a_missing_table_is_an_operators_matter(tables: Tables) -> None:
    stores = open_stores(replace(tables, calendars="nowhere"))

    with pytest.raises(Refused, match="ResourceNotFoundException") as caught:
        stores.calendars.get("c")

    assert caught.value.code == "storage_refused"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ProvisionedThroughputExceededException"),
        (400, "ThrottlingException"),
        (400, "RequestLimitExceeded"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailable"),
        (502, "Whatever"),
    ],
)
def test_a_busy_database_is_a_matter_of_time(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    _answer(stores, status=status, code=code, monkeypatch=monkeypatch)

    for call in (
        lambda: stores.calendars.get("c"),
        lambda: stores.calendars.find(tenant_id="t"),
        lambda: stores.calendars.every(limit=5),
        lambda: stores.calendars.get_many(["c"]),
        lambda: stores.calendars.change("c", updated_at=NOW),
        lambda: stores.calendars.add(calendar()),
        lambda: stores.calendars.delete("c"),
    ):
        with pytest.raises(StorageUnavailable) as caught:
            call()
        assert isinstance(caught.value, TransientError)
        assert caught.value.code == "storage_unavailable"


def test_a_missing_permission_is_an_operators_matter(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answer(stores, status=400, code="AccessDeniedException", monkeypatch=monkeypatch)

    with pytest.raises(Refused, match="AccessDeniedException"):
        stores.calendars.get("c")


def test_an_unreachable_database_is_a_matter_of_time(aws_settings: None) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{unused.getsockname()[1]}"
        stores = open_stores(Tables(region="us-east-1", host=host, calendars="c"))

        with pytest.raises(StorageUnavailable):
            stores.calendars.get("c")


def test_left_out_keys_are_asked_for_again(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        stores.calendars.add(calendar(f"c{number}"))
    ask = Connection.batch_get_item

    def one_at_a_time(self: Connection, table: str, keys: list[object], **more: object) -> object:
        answer = ask(self, table, keys[:1], **more)  # type: ignore[arg-type]
        return {**answer, "UnprocessedKeys": {table: {"Keys": keys[1:]}} if keys[1:] else {}}

    monkeypatch.setattr(Connection, "batch_get_item", one_at_a_time)

    assert {"c0", "c1", "c2"} == set(stores.calendars.get_many(["c0", "c1", "c2"]))
    with pytest.raises(StorageUnavailable):
        stores.calendars.get_many([f"c{number}" for number in range(9)])


def test_an_index_that_lags_behind_only_hints(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are settled, moved on or gone, and the index does not know it yet."""
    stores.calendars.add(calendar(read_since=NOW))
    waiting = stores.sessions.add(session(status=ConnectStatus.WAITING))
    settled, later, gone = (
        stores.meetings.save(meeting(name, due=True)) for name in ("settled", "later", "gone")
    )
    reads: list[Callable[[], list[object]]] = [
        lambda: [*stores.calendars.due(limit=9)],
        lambda: [*stores.sessions.waiting(limit=9)],
        lambda: [*stores.meetings.due(now=NOW, limit=9)],
    ]
    ask, answers = Connection.query, {}

    def remember(self: Connection, table: str, *more: object, **rest: object) -> object:
        answers[table] = ask(self, table, *more, **rest)  # type: ignore[arg-type]
        return answers[table]

    monkeypatch.setattr(Connection, "query", remember)
    assert [len(read()) for read in reads] == [1, 1, 3]
    stores.calendars.spare_read("calendar-1", read_since=NOW)
    stores.sessions.save(replace(waiting, status=ConnectStatus.DONE))
    stores.meetings.save(replace(settled, due=False))
    stores.meetings.save(replace(later, next_attempt=NOW + timedelta(seconds=1)))
    stores.meetings.delete(gone.event.event_id)

    monkeypatch.setattr(Connection, "query", lambda _, table, *more, **rest: answers[table])
    assert [read() for read in reads] == [[], [], []]


def test_rows_are_readable_in_the_console(tables: Tables) -> None:
    stores = open_stores(tables)
    stores.meetings.save(
        meeting(
            event=event(series_id="s"),
            due=True,
            next_attempt=NOW,
            override=Override(choice=Choice.ON, set_by="ada", set_at=NOW, source="api"),
            assignment=Assignment(bot_id="b", deduplication_key="k", fingerprint="f", join_at=NOW),
            released=frozenset({"old"}),
            meeting_key="k",
        )
    )
    client = boto3.client("dynamodb", region_name=tables.region, endpoint_url=tables.host)

    (row,) = client.scan(TableName=tables.meetings)["Items"]

    assert row["start_time"] == {"S": "2026-11-22T10:30:00.000000Z"}
    assert row["expires_at"] == {"N": str(int((NOW + timedelta(days=7, hours=2)).timestamp()))}
    assert row["override"] == {
        "M": {
            "choice": {"S": "on"},
            "set_by": {"S": "ada"},
            "set_at": {"S": "2026-11-22T09:30:00.000000Z"},
            "source": {"S": "api"},
        }
    }
    assert row["released"] == {"SS": ["old"]}
    assert row["version"] == {"N": "1"}
    assert row["event"]["M"]["title"] == {"S": "Planning"}
    assert row["attendees"]["L"][0]["M"]["is_owner"] == {"BOOL": True}
    assert (row["due"], row["meeting_key"]) == ({"S": "1"}, {"S": "k"})


def test_sealed_bytes_are_binary_and_sessions_expire(tables: Tables) -> None:
    stores = open_stores(tables)
    ends = NOW + timedelta(hours=1, microseconds=1)
    stores.sessions.add(session(sealed_token=b"\x00\x01", expires_at=ends))
    client = boto3.client("dynamodb", region_name=tables.region, endpoint_url=tables.host)

    (row,) = client.scan(TableName=tables.sessions)["Items"]

    assert row["sealed_token"] == {"B": b"\x00\x01"}
    assert row["expires_at"] == {"N": str(int(NOW.timestamp()) + 3601)}
    assert "waiting" not in row


def test_nothing_personal_is_logged_even_at_debug(
    tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stores = open_stores(tables)
    stores.meetings.save(meeting())
    stores.meetings.get("event-1")

    for word in ("Planning", "ada@example.com", "meet.google.com"):
        assert word not in caplog.text


@pytest.mark.parametrize(
    ("model", "schema"),
    [(CalendarRow, CALENDARS), (MeetingRow, MEETINGS), (SessionRow, SESSIONS)],
)
def test_every_key_is_a_text_attribute_of_its_model(model: type, schema: Schema) -> None:
    attributes = model.get_attributes()  # type: ignore[attr-defined]
    for index in schema.indexes:
        assert attributes[index.hash_key].attr_type == "S"
        assert attributes[index.range_key].attr_type == "S"
    assert attributes[schema.hash_key].is_hash_key
    if schema.expires:
        assert attributes[schema.expires].attr_type == "N"


def test_moments_sort_like_their_texts() -> None:
    zone = timezone(timedelta(hours=-7))
    moments = [
        datetime(999, 1, 1, tzinfo=UTC),
        NOW,
        (NOW + timedelta(microseconds=1)).astimezone(zone),
        NOW + timedelta(seconds=1),
    ]
    assert sorted(map(stored_moment, moments)) == [stored_moment(moment) for moment in moments]
    with pytest.raises(ValueError, match="zone"):
        stored_moment(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the mistake


def test_importing_reads_no_settings_and_needs_no_boto3() -> None:
    """boto3 costs more than PynamoDB and botocore together need."""
    script = "import sys, shared.storage; print('boto3' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], env={}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def _answer(stores: Stores, *, status: int, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets DynamoDB answer every request so, and PynamoDB repeat it without waiting."""
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}"}).encode()

    class Raw:
        def stream(self, **_: object) -> Iterator[bytes]:
            yield body

    def answer(**_: object) -> AWSResponse:
        return AWSResponse("http://x", status, {}, Raw())

    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    client = stores._connection.client
    client.meta.events.register_first("before-send.dynamodb.*", answer)
