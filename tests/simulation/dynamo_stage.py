"""A quick DynamoDB with all tables, and what the tests ask of it and of moto."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from shared.storage import Stores, Tables, open_stores
from tests.integration.storage_values import NOW
from tests.simulation.dynamo import DynamoWorld
from tests.tables import REGION, client

SECOND = timedelta(seconds=1)
LAG = timedelta(seconds=10)


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


def ask(operation: str, table: str, **asked: Any) -> Any:
    return getattr(client("dynamodb"), operation)(TableName=table, **asked)


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
