"""Expressions mean to the quick DynamoDB what they mean to moto."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
)
from moto import mock_aws

from shared.storage.tables import MEETINGS
from tests.integration.storage_values import NOW
from tests.simulation.dynamo import DynamoWorld
from tests.simulation.dynamo_stage import moto_rows, readable
from tests.tables import client, create_tables

STEPS = 200
FULL = pytest.mark.full
SHORT = ("a", "b", "c")


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
