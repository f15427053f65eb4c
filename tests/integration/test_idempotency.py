"""Idempotency-Key against DynamoDB's stand-in."""

from __future__ import annotations

import json
from types import SimpleNamespace

import boto3
import pytest
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from moto import mock_aws

from shared.entrypoints.idempotency import Idempotency
from shared.errors import CallerError, TransientError
from tests.deliveries import gateway_event

TABLE = "idempotency"


@pytest.fixture
def client():
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


class Work:
    """Counts how often it really ran."""

    def __init__(self):
        self.runs = 0

    def __call__(self):
        self.runs += 1
        return {"session_id": f"s{self.runs}"}


def post(key="k1", *, body=b"{}", caller="abc", path="/v1/calendars"):
    headers = {} if key is None else {"idempotency-key": key}
    return APIGatewayProxyEventV2(
        gateway_event(
            f"POST {path}",
            headers=headers,
            body=body,
            authorizer={"key_prefix": caller, "scopes": "write"},
        )
    )


CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 5_000)


def once(client, event, work):
    return Idempotency(TABLE, client=client).once(event, CONTEXT, work=work)


def test_the_same_request_is_carried_out_once(client):
    work = Work()
    assert [once(client, post(), work) for _ in range(3)] == [{"session_id": "s1"}] * 3
    assert work.runs == 1


def test_without_the_header_every_request_counts(client):
    work = Work()
    once(client, post(None), work)
    once(client, post(None), work)
    assert work.runs == 2
    assert client.scan(TableName=TABLE)["Items"] == []


@pytest.mark.parametrize("other", [{"key": "k2"}, {"caller": "xyz"}, {"path": "/v1/rules/preview"}])
def test_another_key_caller_or_path_is_another_request(client, other):
    work = Work()
    once(client, post(), work)
    once(client, post(**other), work)
    assert work.runs == 2


def test_another_body_under_the_same_key_is_422(client):
    work = Work()
    once(client, post(), work)
    with pytest.raises(CallerError) as caught:
        once(client, post(body=b'{"a":1}'), work)
    assert (caught.value.code, caught.value.status) == ("idempotency_key_reused", 422)
    assert work.runs == 1


def test_a_request_still_running_is_409(client):
    def work():
        with pytest.raises(CallerError) as caught:
            once(client, post(), Work())
        assert (caught.value.code, caught.value.status) == ("idempotency_key_in_use", 409)
        return {}

    assert once(client, post(), work) == {}


def test_an_error_is_not_remembered(client):
    def fail():
        raise TransientError("recall_unavailable", "no")

    with pytest.raises(TransientError, match="no"):
        once(client, post(), fail)
    assert once(client, post(), Work()) == {"session_id": "s1"}


@pytest.mark.parametrize("key", ["k" * 256, "k" * 5000])
def test_a_long_key_is_refused(client, key):
    with pytest.raises(CallerError) as caught:
        once(client, post(key), Work())
    assert caught.value.field == "Idempotency-Key"


def test_the_row_holds_neither_the_key_nor_the_body_and_expires(client):
    once(client, post("key-text", body=b'{"token":"secret-text"}'), Work())
    (row,) = client.scan(TableName=TABLE)["Items"]
    assert "secret-text" not in json.dumps(row)
    assert "key-text" not in json.dumps(row)
    assert int(row["expiration"]["N"]) > 0


def test_a_table_that_is_gone_is_unavailable(client):
    client.delete_table(TableName=TABLE)
    with pytest.raises(TransientError) as caught:
        once(client, post(), Work())
    assert caught.value.code == "storage_unavailable"


def test_a_caller_error_passes_through(client):
    def fail():
        raise CallerError("return_url_invalid", "no", field="return_url")

    with pytest.raises(CallerError) as caught:
        once(client, post(), fail)
    assert caught.value.field == "return_url"
