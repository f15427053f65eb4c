"""The webhooks function on stand-ins for SQS and Secrets Manager, called as Lambda calls it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws

from functions.webhooks import app
from shared.errors import PermanentError
from tests.deliveries import (
    NOW,
    OTHER_SECRET,
    PAYLOADS,
    SECRET,
    compact,
    gateway_event,
    headers,
    library_clock,
    payload,
)

ROUTE = "POST /webhooks/recall"


@pytest.fixture
def aws(monkeypatch):
    with mock_aws():
        queue = boto3.client("sqs").create_queue(
            QueueName="doorbell.fifo",
            Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"},
        )
        boto3.client("secretsmanager").create_secret(Name="stack", SecretString="{}")
        monkeypatch.setenv("QUEUE_URL", queue["QueueUrl"])
        monkeypatch.setenv("SECRET_ID", "stack")
        keep_secret(f"{SECRET}, {OTHER_SECRET}")
        app.service.cache_clear()
        yield queue["QueueUrl"]
        app.service.cache_clear()


def keep_secret(text):
    value = json.dumps({"recall_webhook_secret": text})
    boto3.client("secretsmanager").put_secret_value(SecretId="stack", SecretString=value)


def deliver(body, *, is_base64=False, **signing):
    sent = headers(body, now=datetime.now(UTC), **signing)
    return app.handler(gateway_event(ROUTE, headers=sent, body=body, is_base64=is_base64), None)


def queued(url):
    answer = boto3.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]
    )
    return answer.get("Messages", [])


EXPECTED = {
    "calendar.sync_events": ("feed.changed", "feed"),
    "calendar.update": ("calendar.update", "calendar:0512a606-f31c-58ad-8692-f62ffc95b96f"),
    "legacy.bot.status_change": ("bot.event", "bot:2bfb5078-80b1-52da-80a2-b7db870259ae"),
}
BOT_MESSAGE = EXPECTED["legacy.bot.status_change"]


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("*.json")))
def test_every_payload_is_acknowledged_and_queued_once_or_not_at_all(aws, name):
    body = payload(name)
    assert deliver(body, delivery_id="msg_9")["statusCode"] == 204
    is_report = name.startswith(("bot.", "recording."))
    expected = BOT_MESSAGE if is_report else EXPECTED.get(name)
    sent = [
        (json.loads(message["Body"])["type"], message["Attributes"]["MessageGroupId"])
        for message in queued(aws)
    ]
    assert sent == ([] if expected is None else [expected])


def test_a_repeated_delivery_is_one_message(aws):
    for _ in range(3):
        assert deliver(payload("calendar.sync_events"))["statusCode"] == 204
    (message,) = queued(aws)
    assert message["Attributes"]["MessageDeduplicationId"] == "msg_1"


def test_two_deliveries_of_one_calendar_are_two_messages(aws):
    for delivery_id in ("msg_1", "msg_2"):
        deliver(payload("calendar.sync_events"), delivery_id=delivery_id)
    assert boto3.client("sqs").get_queue_attributes(
        QueueUrl=aws, AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"] == {"ApproximateNumberOfMessages": "2"}


@pytest.mark.parametrize("delivery_id", ["m" * 129, "msg 1", "msg_é"])
def test_any_delivery_id_is_good_for_the_queue(aws, delivery_id):
    assert deliver(payload("bot.done"), delivery_id=delivery_id)["statusCode"] == 204
    (message,) = queued(aws)
    assert len(message["Attributes"]["MessageDeduplicationId"]) == 64


@pytest.mark.parametrize("family", ["svix", "webhook"])
@pytest.mark.parametrize("is_base64", [False, True])
@pytest.mark.parametrize("secret", [SECRET, OTHER_SECRET])
def test_each_way_to_sign_and_to_carry(aws, *, family, is_base64, secret):
    body = payload("calendar.update")
    reply = deliver(body, family=family, is_base64=is_base64, secret=secret)
    assert reply["statusCode"] == 204
    assert len(queued(aws)) == 1


def test_the_signed_bytes_are_taken_as_they_are(aws):
    body = (
        '{ "event":"bot.done","data":{"bot":{"id":"b","metadata":{"t":"é\\ud800"}},'
        '"data":{"code":"done"}} }\r\n'.encode()
    )
    assert deliver(body)["statusCode"] == 204
    assert deliver(body, delivery_id="msg_2", is_base64=True)["statusCode"] == 204


def hostile_events():
    body = payload("calendar.update")
    good = headers(body, now=datetime.now(UTC))
    late = headers(body, now=datetime.now(UTC) - timedelta(minutes=6))
    fraction = headers(body, timestamp=f"{datetime.now(UTC).timestamp():.3f}")
    wrong = headers(body, secret="whsec_" + base64.b64encode(b"x" * 24).decode())
    yield "unsigned", gateway_event(ROUTE, body=body)
    yield "no headers", {**gateway_event(ROUTE, body=body), "headers": None}
    yield "no body", gateway_event(ROUTE, headers=good)
    yield "late", gateway_event(ROUTE, headers=late, body=body)
    yield "fraction", gateway_event(ROUTE, headers=fraction, body=body)
    yield "wrong secret", gateway_event(ROUTE, headers=wrong, body=body)
    yield "other body", gateway_event(ROUTE, headers=good, body=body + b" ")
    yield "no base64", {**gateway_event(ROUTE, headers=good), "body": "%é", "isBase64Encoded": True}
    signed_nothing = headers(b"", now=datetime.now(UTC))
    yield (
        "no base64, signed empty",
        {**gateway_event(ROUTE, headers=signed_nothing), "body": "%", "isBase64Encoded": True},
    )
    yield "lone surrogate", {**gateway_event(ROUTE, headers=good), "body": "\ud800"}
    yield "large", gateway_event(ROUTE, body=b"x" * 1_000_000)
    for index, text in enumerate(["v1", "v1,", ",", "v1,é", "v1,A", "v1,a,b", " "]):
        yield (
            f"signature {index}",
            gateway_event(ROUTE, headers={**good, "webhook-signature": text}, body=body),
        )


@pytest.mark.parametrize("event", [pytest.param(e, id=name) for name, e in hostile_events()])
def test_what_is_not_signed_is_401_and_not_queued(aws, event):
    answer = app.handler(event, None)
    assert answer["statusCode"] == 401
    assert answer["headers"] == {"content-type": "application/problem+json"}
    assert json.loads(answer["body"])["code"] == "signature_invalid"
    assert queued(aws) == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"event":"calendar.update","data":{}}'])
def test_signed_nonsense_is_acknowledged_and_counted(aws, body, capsys):
    assert deliver(body)["statusCode"] == 204
    assert queued(aws) == []
    assert "DeliveryUnreadable" in capsys.readouterr().out


def sized(size, *, letter="x"):
    empty = {"event": "bot.done", "data": {"bot": {"id": "b", "metadata": {"t": ""}},
                                           "data": {"code": "done"}}}  # fmt: skip
    empty["data"]["bot"]["metadata"]["t"] = letter * (size - len(compact(empty)))
    return compact(empty)


def test_a_signed_body_too_large_to_queue_is_413(aws):
    ignored = compact({"event": "transcript.done", "data": {}}).ljust(256 * 1024)
    assert deliver(ignored)["statusCode"] == 204
    assert deliver(ignored + b" ")["statusCode"] == 413
    assert deliver(sized(200_000))["statusCode"] == 204
    swollen = sized(200_000).replace(b"x" * 100_000, "é".encode() * 50_000)
    assert deliver(swollen, delivery_id="msg_2")["statusCode"] == 413
    assert len(queued(aws)) == 1


@pytest.mark.parametrize("text", ["", " , ", "whsec_", "whsec_%%%"])
def test_without_a_usable_secret_nothing_is_accepted(aws, text, capsys):
    keep_secret(text)
    body = payload("calendar.update")
    sent = headers(body, now=datetime.now(UTC))
    assert app.handler(gateway_event(ROUTE, headers=sent, body=body), None)["statusCode"] == 500
    assert queued(aws) == []
    assert "DeliveryUnverifiable" in capsys.readouterr().out


def test_an_unreachable_secret_means_deliver_again(aws):
    boto3.client("secretsmanager").delete_secret(SecretId="stack", ForceDeleteWithoutRecovery=True)
    assert deliver(payload("calendar.update"))["statusCode"] == 503


def test_a_queue_that_refuses_means_deliver_again(aws):
    boto3.client("sqs").delete_queue(QueueUrl=aws)
    assert deliver(payload("calendar.update"))["statusCode"] == 503


def test_health_needs_nothing(monkeypatch):
    monkeypatch.delenv("QUEUE_URL", raising=False)
    reply = app.handler(gateway_event("GET /health"), None)
    assert (reply["statusCode"], reply["body"]) == (200, '{"status":"ok"}')


def test_nothing_secret_is_logged(aws, capsys):
    body = payload("calendar.update")
    deliver(body)
    deliver(body, secret="whsec_" + base64.b64encode(b"x" * 24).decode())
    keep_secret("whsec_%secret%")
    app.service.cache_clear()
    deliver(body)
    out = "".join(capsys.readouterr())
    for leak in ("whsec", "ZXhhbXBsZS", "v1,", "%secret%"):
        assert leak not in out


MODULES = """
import sys
import functions.webhooks.app
from functions.webhooks.svix_library import webhook_class
webhook_class()
heavy = {"svix.api", "svix", "pydantic", "httpx"} & set(sys.modules)
assert not heavy, heavy
assert webhook_class() is webhook_class()
svix = [name for name in sys.modules if name.split(".")[0] in ("svix", "standardwebhooks")]
print(len(svix))
import svix
assert svix.Webhook is webhook_class()
assert svix.Svix
"""


def test_the_function_never_loads_the_svix_client():
    """And whoever imports svix afterwards gets the whole package."""
    done = subprocess.run(
        [sys.executable, "-c", MODULES], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert int(done.stdout) <= 5


def test_it_runs_in_any_time_that_is_given(aws):
    service = app.compose(
        {"QUEUE_URL": aws, "SECRET_ID": "stack"}, client=boto3.client, clock=lambda: NOW
    )
    body = payload("calendar.sync_events")
    event = gateway_event(ROUTE, headers=headers(body), body=body)
    with library_clock(lambda: NOW):
        assert app.receive(event, service)["statusCode"] == 204
    (message,) = queued(aws)
    assert json.loads(message["Body"])["received_at"] == "2027-03-01T09:00:00Z"


def test_settings_that_are_missing_are_named_together():
    with pytest.raises(PermanentError, match="QUEUE_URL, SECRET_ID"):
        app.compose({}, client=boto3.client, clock=lambda: NOW)
