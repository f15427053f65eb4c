"""The quick DynamoDB answers as moto does, as AWS where moto errs, and fails as AWS may."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
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

from shared.domain.calendar import CalendarStatus
from shared.domain.claim import Claim
from shared.domain.connect import ConnectStatus
from shared.domain.feed import Feed
from shared.domain.meeting import Assignment, Override
from shared.domain.rules import Choice
from shared.domain.series import Series
from shared.entrypoints.idempotency import Idempotency
from shared.errors import CallerError, PermanentError, TransientError
from shared.storage import Page, StorageUnavailable, Stores, Tables, open_stores
from shared.storage.tables import MEETINGS
from tests.deliveries import gateway_event
from tests.integration.storage_values import NOW, calendar, event, meeting, session
from tests.simulation.dynamo import Call, DynamoWorld, Fate
from tests.tables import REGION, STORED, client, create_tables

STEPS = 200
FULL = pytest.mark.full
SECOND = timedelta(seconds=1)
LAG = timedelta(seconds=10)
SHORT = ("a", "b", "c")
AWKWARD = ("日本", "x" * 1_024)


@dataclass(kw_only=True)
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


@dataclass(kw_only=True)
class Stage:
    """A world with all tables, installed, and what the project opens on it."""

    clock: Clock = field(default_factory=Clock)
    world: DynamoWorld = field(init=False)
    stores: Stores = field(init=False)
    names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.world = DynamoWorld(clock=self.clock, chance=Random(1))
        self.names = self.world.create_tables()
        self.stores = self.another_process()

    def another_process(self) -> Stores:
        """Which remembers nothing of what this one wrote."""
        return open_stores(Tables.from_settings({"AWS_REGION": REGION} | self.names))

    @property
    def meetings(self) -> str:
        return self.names["MEETINGS_TABLE"]


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    with made.world.installed():
        yield made


# The stores on moto and here


class Walk:
    """Random statements of every store; equal seeds draw equal statements."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)

    def step(self) -> Callable[[Stores], object]:
        kinds = (
            self.calendar_change,
            self.calendar_read,
            self.meeting_change,
            self.meeting_change,
            self.meeting_read,
            self.claim,
            self.session,
            self.account,
            self.settings,
            self.workspace,
        )
        return self.chance.choice(kinds)()

    def name(self) -> str:
        """Of a row; moto takes empty and long ones too easily, which has a test of its own."""
        awkward = self.chance.random() < 0.03
        return self.chance.choice(AWKWARD if awkward else SHORT)

    def word(self) -> str:
        """Of an attribute that some index may have for a key."""
        return "" if self.chance.random() < 0.03 else self.name()

    def moment(self) -> datetime:
        return NOW + timedelta(minutes=self.chance.randrange(8))

    def maybe(self, value: Any) -> Any:
        return self.chance.choice((None, value))

    def calendar_change(self) -> Callable[[Stores], object]:
        name, at = self.name(), self.moment()
        fields: dict[str, Any] = {
            "entity_id": self.name(),
            "email": self.maybe("ada@example.com"),
            "status": self.chance.choice(list(CalendarStatus)),
            "metadata": {"k": self.word()},
            "read_since": at,
        }
        some = {key: fields[key] for key in self.chance.sample(sorted(fields), 2)}
        fresh = calendar(name, tenant_id=self.word(), status=fields["status"])
        return self.chance.choice(
            (
                lambda s: s.calendars.add(fresh),
                lambda s: s.calendars.add(fresh),
                lambda s: s.calendars.change(name, updated_at=at, **some),
                lambda s: s.calendars.begin_read(name),
                lambda s: s.calendars.pause_read(name, read_next="p"),
                lambda s: s.calendars.finish_read(name, swept_at=at),
                lambda s: s.calendars.spare_read(name, read_since=at),
                lambda s: s.calendars.delete(name),
            )
        )

    def calendar_read(self) -> Callable[[Stores], object]:
        name, other, limit = self.name(), self.name(), self.chance.randrange(1, 4)
        status = self.chance.choice(list(CalendarStatus))
        wanted = self.chance.choice(
            (
                {},
                {"tenant_id": name},
                {"tenant_id": name, "entity_id": other},
                {"status": status},
                {"status": status, "entity_id": name},
                {"entity_id": name},
            )
        )
        return self.chance.choice(
            (
                lambda s: s.calendars.get(name),
                lambda s: s.calendars.get_many([name, other, "none"]),
                lambda s: every(lambda at: s.calendars.find(cursor=at, limit=limit, **wanted)),
                lambda s: every(lambda at: s.calendars.every(cursor=at, limit=limit)),
                lambda s: s.calendars.due(limit=9),
                lambda s: sorted(s.calendars.by_status(status, limit=9), key=repr),
            )
        )

    def meeting_change(self) -> Callable[[Stores], object]:
        name, at = self.name(), self.moment()
        fresh = meeting(
            event=event(name, calendar_id=self.word(), series_id=self.maybe(self.word()), start=at),
            meeting_key=self.maybe(self.word()),
            due=self.chance.random() < 0.5,
            next_attempt=self.maybe(self.moment()),
            wake_at=self.maybe(self.moment()),
            released=frozenset(self.chance.sample(SHORT, self.chance.randrange(3))),
            override=Override(choice=self.chance.choice(list(Choice))),
            assignment=self.maybe(
                Assignment(bot_id="b", deduplication_key="k", fingerprint="f", join_at=at)
            ),
        )
        flag = self.chance.random() < 0.5
        return self.chance.choice(
            (
                lambda s: s.meetings.save(fresh),
                lambda s: s.meetings.save(replace(fresh, version=1)),
                lambda s: rewritten(s, name, changes={"due": flag, "wake_at": at}),
                lambda s: rewritten(s, name, changes={"event": fresh.event}),
                lambda s: s.meetings.set_override(name, fresh.override, now=at),
                lambda s: s.meetings.set_opt_out(name, opted_out=flag, now=at),
                lambda s: s.meetings.wake(name, now=at, shared=flag),
                lambda s: s.meetings.forget_bot(name, now=at),
                lambda s: s.meetings.delete(name),
            )
        )

    def meeting_read(self) -> Callable[[Stores], object]:
        name, limit = self.name(), self.chance.randrange(1, 4)
        start, end = self.maybe(self.moment()), self.maybe(self.moment())
        series = Series(name, self.name() or "s")
        return self.chance.choice(
            (
                lambda s: s.meetings.get(name),
                lambda s: s.meetings.get_many(list(SHORT)),
                lambda s: s.meetings.due(now=NOW + 4 * 60 * SECOND, limit=9),
                lambda s: every(
                    lambda at: s.meetings.of_calendar(
                        name, start=start, end=end, cursor=at, limit=limit
                    )
                ),
                lambda s: sorted(s.meetings.of_series(series), key=repr),
                lambda s: sorted(s.meetings.of_key(name), key=repr),
            )
        )

    def claim(self) -> Callable[[Stores], object]:
        name, at = self.name(), self.moment()
        fresh = Claim(
            meeting_key=name,
            event_id="e",
            meeting_url="https://meet.google.com/abc",
            start=at,
            end=at + timedelta(hours=1),
            fingerprint="f",
            keys=frozenset(self.chance.sample(SHORT, self.chance.randrange(3))),
            idempotency_key="i",
            bot_id=self.maybe(self.word()),
            due=self.chance.random() < 0.5,
            next_attempt=self.maybe(self.moment()),
            version=self.chance.choice((None, None, 1, 2)),
        )
        return self.chance.choice(
            (
                lambda s: s.claims.save(fresh),
                lambda s: s.claims.save(fresh),
                lambda s: s.claims.remove(fresh),
                lambda s: s.claims.wake(name, now=at),
                lambda s: s.claims.due(now=at, limit=9),
                lambda s: sorted(s.claims.of_bot(name), key=repr),
                lambda s: sorted(s.claims.starting(start=NOW, end=at), key=repr),
            )
        )

    def session(self) -> Callable[[Stores], object]:
        fresh = session(
            self.name(),
            tenant_id=self.word(),
            status=self.chance.choice(list(ConnectStatus)),
            created_at=self.moment(),
            sealed_code=self.maybe(b"\x00\xff"),
            version=self.chance.choice((None, 1, 2)),
        )
        tenant, entity = fresh.tenant_id, fresh.entity_id
        return self.chance.choice(
            (
                lambda s: s.sessions.add(fresh),
                lambda s: s.sessions.save(fresh),
                lambda s: s.sessions.get(fresh.session_id),
                lambda s: s.sessions.waiting(limit=9),
                lambda s: s.sessions.delete(fresh.session_id),
                lambda s: every(
                    lambda at: s.sessions.of_entity(tenant, entity, cursor=at, limit=1)
                ),
            )
        )

    def account(self) -> Callable[[Stores], object]:
        key, word, now = self.name(), self.word(), NOW + timedelta(hours=self.chance.randrange(4))
        holder = self.maybe(word)
        return self.chance.choice(
            (
                lambda s: s.accounts.get(key),
                lambda s: s.accounts.claim(key, claim_id=word, now=now),
                lambda s: s.accounts.assign(key, claim_id=word, calendar_id=word),
                lambda s: s.accounts.release(key, calendar_id=holder),
            )
        )

    def settings(self) -> Callable[[Stores], object]:
        scope, word, flag = self.name(), self.name(), self.chance.random() < 0.5
        series = Series(word, self.chance.choice(("s", "s_R20270301", "t")))
        rules = {"n": self.chance.choice((0, -1, 2.5, 1e20, 1e-7)), "l": [word, None, {"": []}]}
        return self.chance.choice(
            (
                lambda s: s.settings.rules(scope),
                lambda s: s.settings.rules_of([scope, "none"]),
                lambda s: s.settings.put_rules(scope, rules, by="b", at=NOW),
                lambda s: s.settings.put_rules(scope, {"n": rules["n"]}, by="b", at=NOW),
                lambda s: s.settings.forget_rules(scope),
                lambda s: s.settings.series.put_opt_out(series, opted_out=flag),
                lambda s: s.settings.series.put_override(series, Override(choice=Choice.ON)),
                lambda s: s.settings.series.of([series]),
                lambda s: s.settings.series.forget(word),
            )
        )

    def workspace(self) -> Callable[[Stores], object]:
        name, version = self.name(), self.chance.randrange(3)
        return self.chance.choice(
            (
                lambda s: s.workspace.feed(),
                lambda s: s.workspace.save_feed(Feed(cursor=NOW)),
                lambda s: s.workspace.read_budget(name),
                lambda s: s.workspace.write_budget(name, {1: 2, 30: 4}, version=version),
                lambda s: s.workspace.report(name),
                lambda s: s.workspace.put_report(name, {"at": 1.50, "of": [True, None]}),
            )
        )


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(s, marks=FULL) for s in range(3, 40))])
def test_stores_cannot_tell_it_from_moto(seed: int) -> None:
    world = DynamoWorld(clock=lambda: NOW, chance=Random(1))
    with mock_aws():
        there, walk = create_tables(), Walk(seed)
        names = {name: getattr(there, name) for name in STORED}
        for name, schema in STORED.items():
            world.add_table(names[name], schema)
        theirs, ours = open_stores(there), open_stores(there)
        for number in range(STEPS):
            step = walk.step()
            expected = outcome(step, theirs)
            with world.installed():
                assert expected == outcome(step, ours), number
        for name in names.values():
            assert moto_rows(name) == sorted(map(readable, world.rows(name).values()), key=repr)


def every(ask: Callable[[str | None], Page[Any]]) -> list[Any]:
    """All pages, in no order: neither a scan has one nor rows of one range key.

    Where a page ends with the last row, AWS tells a cursor all the same, and moto does not.
    """
    page = ask(None)
    found = list(page.items)
    while page.next_cursor:
        page = ask(page.next_cursor)
        found += page.items
    return sorted(found, key=repr)


def rewritten(stores: Stores, name: str, *, changes: dict[str, Any]) -> object:
    standing = stores.meetings.get(name)
    return standing and stores.meetings.save(replace(standing, **changes))


def outcome(step: Callable[[Stores], object], stores: Stores) -> object:
    try:
        return step(stores)
    except (CallerError, PermanentError, TransientError) as error:
        return type(error), error.code, str(error)


def moto_rows(table: str) -> list[Any]:
    pages = client("dynamodb").get_paginator("scan").paginate(TableName=table)
    return sorted((readable(item) for page in pages for item in page["Items"]), key=repr)


def readable(value: Any) -> Any:
    """As DynamoDB would tell it: moto keeps numbers as they were written, and sets in any order."""
    match value:
        case {"N": number}:
            return {"N": float(number)}
        case {"SS": texts}:
            return {"SS": sorted(texts)}
        case {"NS": numbers}:
            return {"NS": sorted(map(float, numbers))}
        case dict():
            return {name: readable(inner) for name, inner in sorted(value.items())}
        case list():
            return [readable(inner) for inner in value]
        case _:
            return value


# Expressions on moto and here


NUMBERS: tuple[dict[str, Any], ...] = ({"N": "1"}, {"N": "10"}, {"N": "-2.50"})
TEXTS: tuple[dict[str, Any], ...] = ({"S": "ab"}, {"S": "b"}, {"S": ""}, {"S": "日本"})
OTHERS: tuple[dict[str, Any], ...] = (
    {"BOOL": True},
    {"B": b"ab"},
    {"SS": ["a", "b"]},
    {"SS": ["c", "b"]},
    {"NS": ["1", "2"]},
    {"L": [{"S": "b"}, {"N": "1"}]},
)
MAPS: tuple[dict[str, Any], ...] = ({"M": {"q": {"N": "1"}, "s": {"S": "b"}}}, {"M": {}})
# Each attribute keeps to its types: comparing the order of two types is a TypeError in moto,
# and false at AWS; so is looking into what is no map. A NULL is left out as moto takes it for
# a missing attribute.
ATTRIBUTES = {"m": MAPS, "p": NUMBERS, "q": TEXTS, "r": OTHERS}


class Phrases:
    """Random expressions, the names and values of which are all used."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.names: dict[str, str] = {}
        self.values: dict[str, Any] = {}

    def placeholders(self) -> dict[str, Any]:
        given = {}
        if self.names:
            given["ExpressionAttributeNames"] = self.names
        if self.values:
            given["ExpressionAttributeValues"] = self.values
        return given

    def path(self, name: str) -> str:
        self.names[f"#{name}"] = name
        return f"#{name}"

    def value(self, among: tuple[dict[str, Any], ...]) -> str:
        name = f":v{len(self.values)}"
        self.values[name] = self.chance.choice(among)
        return name

    def condition(self, depth: int = 2) -> str:
        if depth and self.chance.random() < 0.6:
            joint = self.chance.choice((" AND ", " OR "))
            both = joint.join(self.condition(depth - 1) for _ in range(2))
            return self.chance.choice((both, f"({both})", f"NOT ({both})"))
        name = self.chance.choice(sorted(ATTRIBUTES))
        fitting = ATTRIBUTES[name]
        order = self.chance.choice(("<", "<=", ">", ">="))
        tests = [
            lambda: f"attribute_exists ({self.path(name)})",
            lambda: f"attribute_not_exists({self.path('m')}.s)",
            lambda: f"begins_with({self.path('q')}, {self.value(TEXTS)})",
            lambda: f"contains({self.path('q')}, {self.value(TEXTS)})",
            lambda: f"contains({self.path('r')}, {self.value(TEXTS[:2])})",
            lambda: f"{self.path('m')}.s = {self.value(TEXTS)}",
            lambda: f"{self.path(name)} = {self.value(fitting)}",
            lambda: f"{self.path(name)} <> {self.value(fitting)}",
            lambda: f"{self.path(name)} IN ({self.value(fitting)}, {self.value(fitting)})",
            lambda: f"{self.path('p')} {order} {self.value(NUMBERS)}",
            lambda: f"{self.path('q')} {order} {self.value(TEXTS)}",
            lambda: (
                f"{self.path('p')} BETWEEN {self.value(NUMBERS[2:3])} AND {self.value(NUMBERS)}"
            ),
        ]
        return self.chance.choice(tests)()

    def update(self) -> str:
        """Each attribute is changed once, in one clause or another."""
        clauses: dict[str, list[str]] = {}
        for name in self.chance.sample(sorted(ATTRIBUTES), self.chance.randrange(1, 4)):
            word, text = self._action(self.path(name), fitting=ATTRIBUTES[name])
            clauses.setdefault(word, []).append(text)
        return " ".join(f"{word} {', '.join(texts)}" for word, texts in clauses.items())

    def _action(self, name: str, *, fitting: tuple[dict[str, Any], ...]) -> tuple[str, str]:
        sets, lists = OTHERS[2:5], OTHERS[5:6]
        actions = [
            lambda: ("SET", f"{name} = {self.value(fitting)}"),
            lambda: ("SET", f"{name} = if_not_exists({name}, {self.value(fitting)})"),
        ]
        if fitting is MAPS:
            actions += [
                lambda: ("SET", f"{name}.s = {self.value(TEXTS)}"),
                lambda: ("REMOVE", f"{name}.s"),
            ]
        else:
            actions.append(lambda: ("REMOVE", name))
        if fitting is NUMBERS:
            actions += [
                lambda: ("SET", f"{name} = {name} + {self.value(NUMBERS)}"),
                lambda: ("SET", f"{name} = {name} - {self.value(NUMBERS)}"),
                lambda: ("ADD", f"{name} {self.value(NUMBERS)}"),
            ]
        if fitting is OTHERS:
            actions += [
                lambda: ("SET", f"{name} = list_append({name}, {self.value(lists)})"),
                lambda: ("ADD", f"{name} {self.value(sets)}"),
                lambda: ("DELETE", f"{name} {self.value(sets)}"),
            ]
        return self.chance.choice(actions)()


@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(s, marks=FULL) for s in range(2, 20))])
def test_expressions_mean_what_they_mean_to_moto(seed: int) -> None:
    chance = Random(seed)
    world = DynamoWorld(clock=lambda: NOW, chance=Random(1))
    with mock_aws():
        name = str(create_tables().meetings)
        world.add_table(name, MEETINGS)
        for key in SHORT:
            put(name, {"event_id": {"S": key}, "m": {"M": {}}}, world=world)
        for number in range(STEPS):
            asked = statement(chance, name)
            expected = told(asked)
            with world.installed():
                assert expected == told(asked), (number, asked)
            if expected == "ValidationException":
                # moto keeps the first half of an update that failed in the second.
                put(name, world.rows(name)[asked["Key"]["event_id"]["S"]], world=world)
        assert moto_rows(name) == sorted(map(readable, world.rows(name).values()), key=repr)


def put(table: str, item: dict[str, Any], *, world: DynamoWorld) -> None:
    client("dynamodb").put_item(TableName=table, Item=item)
    with world.installed():
        client("dynamodb").put_item(TableName=table, Item=item)


def statement(chance: Random, table: str) -> dict[str, Any]:
    phrases = Phrases(chance)
    asked: dict[str, Any] = {
        "TableName": table,
        "Key": {"event_id": {"S": chance.choice(SHORT)}},
        "UpdateExpression": phrases.update(),
        "ReturnValues": "ALL_NEW",
    }
    if chance.random() < 0.7:
        asked["ConditionExpression"] = phrases.condition()
    return asked | phrases.placeholders()


def told(asked: dict[str, Any]) -> Any:
    try:
        answer = client("dynamodb").update_item(**asked)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return readable(answer["Attributes"])


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


def ask(operation: str, table: str, **asked: Any) -> Any:
    return getattr(client("dynamodb"), operation)(TableName=table, **asked)


# Lag, faults and time


def test_an_index_lags_and_the_table_does_not(stage: Stage) -> None:
    stage.world.index_lag = LAG
    stage.stores.meetings.save(meeting("e", meeting_key="k"))
    reader = stage.another_process()
    assert reader.meetings.get("e") is not None
    assert [] == reader.meetings.ids_of_key("k")
    stage.clock.move(LAG)
    assert ["e"] == reader.meetings.ids_of_key("k")


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
