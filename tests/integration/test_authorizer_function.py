"""The authorizer and the command that makes its keys, on DynamoDB's stand-in."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import boto3
import pytest
from moto import mock_aws

from functions.authorizer import app
from infra.keys import main
from shared.domain.api_key import fingerprint
from shared.domain.secret import Secret
from shared.errors import RollcallError
from shared.storage.api_keys import ApiKey
from shared.storage.stores import open_stores
from shared.storage.tables import Tables

TABLE = "api-keys"
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def store(monkeypatch):
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "prefix", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "prefix", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        monkeypatch.setenv("API_KEYS_TABLE", TABLE)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        app.service.cache_clear()
        yield open_stores(Tables(region="us-east-1", api_keys=TABLE)).api_keys
        app.service.cache_clear()


def put(store, key, *, scopes=("read",), **changes):
    prefix, digest = fingerprint(Secret(key))
    facts = {"prefix": prefix, "digest": digest, "name": "host", "created_at": NOON, **changes}
    store.put(ApiKey(scopes=frozenset(scopes), **facts))
    return prefix


def ask(authorization, *, route="GET /v1/calendars"):
    """The gateway's request, format 2.0."""
    method, _, path = route.partition(" ")
    headers = {} if authorization is None else {"authorization": authorization}
    return app.handler(
        {
            "version": "2.0",
            "type": "REQUEST",
            "routeArn": f"arn:aws:execute-api:eu-west-1:123456789012:api/$default/{method}{path}",
            "identitySource": [authorization, route],
            "routeKey": route,
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"accept": "*/*", **headers},
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "api",
                "http": {"method": method, "path": path, "protocol": "HTTP/1.1"},
                "requestId": "id",
                "routeKey": route,
                "stage": "$default",
            },
        },
        None,
    )


@pytest.mark.parametrize("key", ["rk_" + "a" * 43, "anything", "ключ к двери"])
def test_a_known_key_of_any_format_is_let_in(store, key):
    prefix = put(store, key, scopes=("read", "write"))
    assert ask(f"Bearer {key}") == {
        "isAuthorized": True,
        "context": {"key_prefix": prefix, "scopes": "read write"},
    }
    assert ask(f"bearer  {key} ")["isAuthorized"] is True


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Basic key", "key", "Bearer other", "Bearer key2", "Bearer KEY",
     "Bearer " + "k" * 600, "Bearer é"],
)  # fmt: skip
def test_everything_else_is_not(store, authorization):
    put(store, "key")
    assert ask(authorization) == {"isAuthorized": False}


def test_a_revoked_key_is_not(store):
    put(store, "key", revoked_at=NOON)
    assert ask("Bearer key") == {"isAuthorized": False}


def test_the_same_prefix_with_another_digest_is_not(store):
    put(store, "key", digest="0" * 64)
    assert ask("Bearer key") == {"isAuthorized": False}


@pytest.mark.parametrize(
    ("scope", "route", "allowed"),
    [
        ("read", "GET /v1/calendars/{calendar_id}", True),
        ("read", "POST /v1/calendars", False),
        ("write", "PATCH /v1/calendars/{calendar_id}", True),
        ("write", "DELETE /v1/entities/{tenant_id}/{entity_id}", False),
        ("admin", "DELETE /v1/entities/{tenant_id}/{entity_id}", True),
    ],
)
def test_the_scope_must_cover_the_route(store, scope, route, allowed):
    put(store, "key", scopes=(scope,))
    assert ask("Bearer key", route=route)["isAuthorized"] is allowed


def test_storage_that_is_gone_lets_nobody_in():
    boto3.client("dynamodb").delete_table(TableName=TABLE)
    with pytest.raises(RollcallError) as caught:
        ask("Bearer key-text")
    assert "key-text" not in repr(caught.value)


def created(capsys, *, name="host", scopes="read,write"):
    code = main(["create", "--table", TABLE, "--name", name, "--scopes", scopes])
    return code, capsys.readouterr()


def test_a_created_key_opens_the_door_until_it_is_revoked(capsys):
    code, printed = created(capsys)
    key = printed.out.strip()
    assert code == 0
    assert re.fullmatch(r"rk_[A-Za-z0-9_-]{43}", key)
    answer = ask(f"Bearer {key}")
    prefix = answer["context"]["key_prefix"]
    assert prefix in printed.err
    assert main(["revoke", "--table", TABLE, "--prefix", prefix]) == 0
    assert ask(f"Bearer {key}") == {"isAuthorized": False}
    assert main(["revoke", "--table", TABLE, "--prefix", prefix]) == 0


def test_the_key_itself_is_nowhere_in_the_table(capsys):
    _, printed = created(capsys)
    rows = boto3.client("dynamodb").scan(TableName=TABLE)["Items"]
    assert printed.out.strip() not in json.dumps(rows)


def test_two_keys_of_a_name_live_at_once_and_a_third_is_told_what_to_do(capsys):
    first, _ = created(capsys), created(capsys)
    code, printed = created(capsys)
    assert code == 1
    assert printed.out == ""
    prefix = fingerprint(Secret(first[1].out.strip()))[0]
    assert f"revoke --table TABLE --prefix {prefix}" in printed.err
    assert created(capsys, name="another")[0] == 0
    main(["revoke", "--table", TABLE, "--prefix", prefix])
    assert created(capsys)[0] == 0


def test_the_list_shows_every_key_and_no_secret(capsys):
    keys = [created(capsys)[1].out.strip(), created(capsys, scopes="admin")[1].out.strip()]
    prefix = fingerprint(Secret(keys[0]))[0]
    main(["revoke", "--table", TABLE, "--prefix", prefix])
    capsys.readouterr()
    assert main(["list", "--table", TABLE]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [fingerprint(Secret(key))[0] for key in keys]
    assert "read,write" in lines[0]
    assert "revoked" in lines[0]
    assert lines[1].endswith("live")
    assert not any(key in line for key in keys for line in lines)


def test_an_unknown_prefix_or_scope_is_said(capsys):
    assert main(["revoke", "--table", TABLE, "--prefix", "nothing"]) == 1
    assert "nothing" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["create", "--table", TABLE, "--name", "host", "--scopes", "root"])


def test_a_table_that_is_gone_is_said(capsys):
    boto3.client("dynamodb").delete_table(TableName=TABLE)
    assert main(["list", "--table", TABLE]) == 1
    assert created(capsys)[0] == 1
