"""The webhooks function over a queue and a secret in memory: what it answers, counts and logs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, timedelta

import pytest
from botocore.exceptions import ClientError

from functions.webhooks import app
from functions.webhooks.delivery import UnreadableError, message_of
from functions.webhooks.signature import verified_delivery
from shared.config import AWS_LIMITS
from shared.domain.message import BotEvent
from shared.domain.secret import Secret
from shared.errors import PermanentError
from tests.deliveries import NOW, SECRET, compact, gateway_event, headers, library_clock, payload

ROUTE = "POST /webhooks/recall"
QUEUE = "https://sqs.example/doorbell.fifo"
CHANGE = payload("calendar.sync_events")


class Cloud:
    """A FIFO queue that may be gone, and one secret."""

    def __init__(self) -> None:
        self.secrets = {"stack": json.dumps({"recall_webhook_secret": SECRET})}
        self.queues = {QUEUE: {}}

    def client(self, name):
        return {"sqs": Sqs, "secretsmanager": SecretsManager}[name](self)


class Sqs:
    def __init__(self, cloud):
        self.cloud = cloud

    def send_message(self, *, QueueUrl, MessageBody, MessageGroupId, MessageDeduplicationId):
        if QueueUrl not in self.cloud.queues:
            raise ClientError({"Error": {"Code": "QueueDoesNotExist"}}, "SendMessage")
        self.cloud.queues[QueueUrl].setdefault(MessageDeduplicationId, json.loads(MessageBody))


class SecretsManager:
    def __init__(self, cloud):
        self.cloud = cloud

    def get_secret_value(self, *, SecretId):
        if SecretId not in self.cloud.secrets:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetSecretValue")
        return {"SecretString": self.cloud.secrets[SecretId]}


@pytest.fixture(autouse=True)
def _lasting_stream():
    """The first log of a name keeps its stream, and capsys closes the one that it lends."""
    yield
    for handler in logging.getLogger("webhooks").handlers:
        handler.stream = sys.__stdout__


@pytest.fixture
def cloud():
    with library_clock(lambda: NOW):
        yield Cloud()


@pytest.fixture
def deliver(cloud):
    environment = {"QUEUE_URL": QUEUE, "SECRET_ID": "stack"}
    service = app.compose(environment, client=cloud.client, clock=lambda: NOW)

    def send(body, **signing):
        event = gateway_event(ROUTE, headers=headers(body, **signing), body=body)
        return app.receive(event, service)

    return send


@pytest.fixture
def written(caplog, capsys):
    """The log lines and the counts of a call: (log, level, message, code), (metric, service, 1)."""

    def read():
        lines = (json.loads(line) for line in capsys.readouterr().out.splitlines())
        counts = [
            (metric["Name"], line["service"], line[metric["Name"]])
            for line in lines
            if "_aws" in line
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
        ]
        logged = [(each.name, each.levelname, each.message, each.code) for each in caplog.records]
        return logged, counts

    return read


def test_a_delivery_taken_is_on_the_queue_and_says_nothing(cloud, deliver, written):
    assert {"statusCode": 204, "headers": {}, "body": ""} == deliver(CHANGE, delivery_id="msg_7")
    assert ["msg_7"] == list(cloud.queues[QUEUE])
    assert ([], []) == written()


@pytest.mark.parametrize(
    ("body", "signing", "status", "metric"),
    [
        (CHANGE, {"timestamp": "0"}, 401, "DeliveryRefused"),
        (b"{", {}, 204, "DeliveryUnreadable"),
        (compact({"event": "transcript.done", "data": {}}), {}, 204, "DeliveryIgnored"),
        (b" " * (256 * 1024 + 1), {}, 413, "DeliveryTooLarge"),
        (b"[" * 256 * 1024, {}, 204, "DeliveryUnreadable"),
    ],
)
def test_what_is_not_queued_is_counted(cloud, deliver, written, body, signing, status, metric):
    assert status == deliver(body, **signing)["statusCode"]
    assert ([], [(metric, "webhooks", [1.0])]) == written()
    assert {} == cloud.queues[QUEUE]


def report(size):
    """A report whose message on the queue has so many bytes."""
    body = {"event": "bot.done", "data": {"bot": {"id": "b"}, "data": {"code": "done"}}}
    body["data"]["bot"]["metadata"] = {"t": ""}
    empty = len(app.encode(message_of(compact(body), received_at=NOW)))
    # Two bytes as it is signed, six as the queue's JSON writes them.
    accents, letters = divmod(size - empty, 6)
    body["data"]["bot"]["metadata"]["t"] = "é" * accents + "x" * letters
    return json.dumps(body, ensure_ascii=False).encode()


def test_a_message_may_fill_the_queue_s_limit_and_no_byte_more(cloud, deliver, written):
    assert 204 == deliver(report(256 * 1024), delivery_id="msg_1")["statusCode"]
    assert 413 == deliver(report(256 * 1024 + 1), delivery_id="msg_2")["statusCode"]
    assert ["msg_1"] == list(cloud.queues[QUEUE])
    assert ([], [("DeliveryTooLarge", "webhooks", [1.0])]) == written()


@pytest.mark.parametrize(
    ("status", "title", "code", "level", "message", "metric", "cause"),
    [
        (
            503, "Service Unavailable", "delivery_not_taken",
            "WARNING", "delivery not taken", "DeliveryNotTaken", "queue_unavailable",
        ),
        (
            500, "Internal Server Error", "delivery_unverifiable",
            "ERROR", "delivery cannot be verified", "DeliveryUnverifiable", "secrets_missing",
        ),
    ],
)  # fmt: skip
def test_what_is_not_acknowledged_says_why(
    cloud, deliver, written, status, title, code, level, message, metric, cause
):
    if cause == "secrets_missing":
        cloud.secrets["stack"] = "{}"
    else:
        cloud.queues.clear()
    answer = deliver(CHANGE)
    problem = {"type": "about:blank", "title": title, "status": status, "code": code}
    assert (status, problem) == (answer["statusCode"], json.loads(answer["body"]))
    assert {"content-type": "application/problem+json"} == answer["headers"]
    assert ([("webhooks", level, message, cause)], [(metric, "webhooks", [1.0])]) == written()


@pytest.mark.parametrize(
    ("status", "title", "code"),
    [
        (401, "Unauthorized", "signature_invalid"),
        (413, "Request Entity Too Large", "body_too_large"),
    ],
)
def test_a_refusal_is_a_problem_document(deliver, status, title, code):
    answer = deliver(b" " * 300_000) if status == 413 else deliver(CHANGE, timestamp="0")
    problem = {"type": "about:blank", "title": title, "status": status, "code": code}
    assert problem == json.loads(answer["body"])


def test_health_is_json():
    answer = app.handler(gateway_event("GET /health"), None)
    assert {"content-type": "application/json"} == answer["headers"]


def test_the_deployed_function_keeps_its_limits_and_the_time_of_the_world(monkeypatch):
    monkeypatch.setenv("QUEUE_URL", QUEUE)
    monkeypatch.setenv("SECRET_ID", "stack")
    app.service.cache_clear()
    try:
        service = app.service()
    finally:
        app.service.cache_clear()
    config = service.queue._client.meta.config
    limits = (AWS_LIMITS.connect_timeout, AWS_LIMITS.read_timeout)
    assert limits == (config.connect_timeout, config.read_timeout)
    assert timedelta(0) == service.clock().utcoffset()
    assert UTC is service.clock().tzinfo


def read(event, data):
    return message_of(compact({"event": event, "data": data}), received_at=NOW)


STATUS = {"code": "done", "created_at": "2027-03-01T08:00:00Z"}


@pytest.mark.parametrize("sub_code", ["kicked", None])
def test_the_older_report_keeps_its_reason(sub_code):
    expected = BotEvent(
        event="bot.done",
        bot_id="b",
        code="done",
        sub_code=sub_code,
        updated_at=NOW - timedelta(hours=1),
        metadata=None,
    )
    data = {"bot_id": "b", "status": {**STATUS, "sub_code": sub_code}}
    assert expected == read("bot.status_change", data)


def test_the_older_report_without_a_time_counts_from_when_it_came():
    assert NOW == read("bot.status_change", {"bot_id": "b", "status": {"code": "done"}}).updated_at


@pytest.mark.parametrize("missing", ["code", "bot_id"])
def test_the_older_report_needs_a_bot_and_a_code(missing):
    data = {"bot_id": "b", "status": {"code": "done"}}
    data.pop(missing, None)
    data["status"].pop(missing, None)
    with pytest.raises(UnreadableError):
        read("bot.status_change", data)


def test_a_body_that_is_no_base64_is_not_read_around_its_faults(cloud):
    environment = {"QUEUE_URL": QUEUE, "SECRET_ID": "stack"}
    service = app.compose(environment, client=cloud.client, clock=lambda: NOW)
    event = gateway_event(ROUTE, headers=headers(CHANGE), body=CHANGE, is_base64=True)
    assert 401 == app.receive({**event, "body": "%" + event["body"]}, service)["statusCode"]
    assert 204 == app.receive(event, service)["statusCode"]


def test_a_new_report_without_a_time_counts_from_when_it_came():
    data = {"bot": {"id": "b"}, "data": {"code": "invented"}}
    assert NOW == read("bot.invented", data).updated_at


def test_an_operator_is_told_what_a_secret_looks_like():
    with pytest.raises(PermanentError, match="expected whsec_ and base64"):
        verified_delivery(CHANGE, headers(CHANGE), secrets=[Secret("")], now=NOW)
