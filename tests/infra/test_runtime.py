"""The built functions answer in Lambda's own runtime, with the template's variables alone."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer
from standardwebhooks.webhooks import Webhook
from werkzeug.wrappers import Request

from infra.local.emulators.clock import VirtualClock
from infra.local.emulators.recall.world import RecallWorld
from infra.local.gateway import Server, emulator_page
from shared.domain.api_key import fingerprint
from shared.domain.calendar import Calendar, CalendarStatus, Platform
from shared.domain.message import Tick, encode
from shared.domain.secret import Secret
from shared.recall import RecallClient, new_session
from shared.storage import Stores, open_stores
from shared.storage.api_keys import ApiKey
from shared.storage.tables import IDEMPOTENCY
from tests.connect_stage import gateway_event
from tests.infra.artefacts import Artefacts
from tests.infra.runtime_api import RuntimeApi
from tests.infra.template import Template
from tests.tables import REGION, STORED, create_tables, table_definition

WEBHOOK_SECRET = "whsec_" + "c2VjcmV0" * 4
RECALL_KEY = "key-of-the-workspace"
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
OWNER = "owner@acme.example"
SYNC = timedelta(seconds=10)

Run = Callable[[str], AbstractContextManager[RuntimeApi]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """AWS with the stack's resources in it, behind one address; Recall behind another."""

    aws: str
    variables: dict[str, str]
    stores: Stores
    recall: RecallWorld


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an AWS without anything in it; boto3 goes there too."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    requests.post(f"{address}/moto-api/reset", timeout=10)
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    yield address
    server.stop()


@pytest.fixture
def recall() -> Iterator[RecallWorld]:
    """An emulated Recall on loopback, whose calendars were read by the time anybody asks."""
    server = Server.open(0, None)
    world = RecallWorld(
        VirtualClock(datetime.now(UTC) - SYNC),
        base_url=f"http://127.0.0.1:{server.port}",
        api_key=RECALL_KEY,
        webhook_secret=WEBHOOK_SECRET,
    )
    server.start(_application(world))
    yield world
    server.stop()


@pytest.fixture
def deployment(aws: str, recall: RecallWorld) -> Deployment:
    tables = create_tables(host=aws)
    names = {schema.variable: str(getattr(tables, field)) for field, schema in STORED.items()}
    return Deployment(
        aws=aws,
        variables=names
        | _resources()
        | {"FEED_MODE": "workspace", "PUBLIC_URL": "https://a.test"}
        | {"RECALL_BASE_URL": recall.base_url},
        stores=open_stores(tables),
        recall=recall,
    )


@pytest.fixture
def run(artefacts: Artefacts, deployment: Deployment, template: Template) -> Run:
    """A built function in a sandbox that knows what the template gives it, and nothing else."""

    def running(function: str) -> AbstractContextManager[RuntimeApi]:
        given = {
            name: deployment.variables.get(name, "") for name in template.environment(function)
        }
        return artefacts.running(function, _given_by_lambda(deployment.aws) | given)

    return running


@pytest.fixture
def webhooks(run: Run) -> Iterator[RuntimeApi]:
    with run("WebhooksFunction") as api:
        yield api


def test_an_unsigned_delivery_is_refused_in_the_real_runtime(webhooks: RuntimeApi) -> None:
    assert webhooks.invoke(_http_event("{}"))["statusCode"] == 401


def test_a_sandbox_answers_again_after_a_bad_delivery(webhooks: RuntimeApi) -> None:
    webhooks.invoke(_http_event("not json", {"svix-signature": "v1,\u00e4"}))

    assert webhooks.invoke(_http_event("{}"))["statusCode"] == 401


def test_a_signed_delivery_rings_the_doorbell_in_the_real_runtime(
    webhooks: RuntimeApi, deployment: Deployment
) -> None:
    body = json.dumps({"event": "calendar.sync_events", "data": {"calendar_id": "cal-1"}})

    answer = webhooks.invoke(_http_event(body, _signed(body)))

    received = boto3.client("sqs").receive_message(QueueUrl=deployment.variables["QUEUE_URL"])
    assert answer["statusCode"] == 204
    assert json.loads(received["Messages"][0]["Body"])["type"] == "feed.changed"


def test_a_known_key_is_let_in_and_another_is_not(run: Run, deployment: Deployment) -> None:
    prefix, digest = fingerprint(Secret("rk_known"))
    facts = {"name": "host", "created_at": NOON, "scopes": frozenset({"read"})}
    deployment.stores.api_keys.put(ApiKey(prefix=prefix, digest=digest, **facts))
    with run("AuthorizerFunction") as authorizer:
        known = authorizer.invoke(_authorizer_event("rk_known"))
        unknown = authorizer.invoke(_authorizer_event("rk_other"))

    assert {"key_prefix": prefix, "scopes": "read"} == known["context"]
    assert [True, False] == [known["isAuthorized"], unknown["isAuthorized"]]


def test_the_api_lists_calendars(run: Run, deployment: Deployment) -> None:
    _connect(deployment)
    with run("CalendarsFunction") as calendars:
        event = gateway_event("GET /v1/calendars", path="/v1/calendars")
        answer = calendars.invoke(event)

    assert 200 == answer["statusCode"], answer
    assert [OWNER] == [item["email"] for item in json.loads(answer["body"])["items"]]


def test_a_tick_brings_a_bot(run: Run, deployment: Deployment) -> None:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    deployment.recall.account("google_calendar", OWNER).add_event(
        "Kickoff",
        start=start,
        link="https://meet.google.com/qkr-wzpn-abt",
        attendees=["guest@globex.example"],
    )
    _connect(deployment)
    with run("SchedulerFunction") as scheduler:
        answer = scheduler.invoke(_queue_event(encode(Tick(scheduled_at=datetime.now(UTC)))))

    assert {"batchItemFailures": []} == answer
    assert [start] == [bot.join_at for bot in deployment.recall.live_bots()]


def _resources() -> dict[str, str]:
    """Everything but tables, and the one table that storage does not know."""
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    queue = boto3.client("sqs").create_queue(QueueName="doorbells.fifo", Attributes=fifo)
    secret = {
        "recall_api_key": RECALL_KEY,
        "recall_webhook_secret": WEBHOOK_SECRET,
        "link_secret": secrets.token_urlsafe(32),
    }
    made = boto3.client("secretsmanager").create_secret(
        Name="stack", SecretString=json.dumps(secret)
    )
    boto3.client("events").create_event_bus(Name="stack")
    boto3.client("dynamodb").create_table(**table_definition("idempotency", IDEMPOTENCY))
    return {
        "QUEUE_URL": queue["QueueUrl"],
        "DEAD_LETTER_QUEUE_URL": queue["QueueUrl"],
        "SECRET_ID": made["ARN"],
        "BUS_NAME": "stack",
        "SEAL_KEY_ID": boto3.client("kms").create_key()["KeyMetadata"]["KeyId"],
        "IDEMPOTENCY_TABLE": "idempotency",
    }


def _given_by_lambda(aws: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": aws,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def _connect(deployment: Deployment) -> None:
    """A calendar that Recall has read and nobody here has looked at yet."""
    world = deployment.recall
    world.grant("token", platform="google_calendar", email=OWNER)
    client = RecallClient(
        new_session(1),
        base_url=world.base_url,
        api_key=lambda: Secret(RECALL_KEY),
        budget=_Unlimited(),
        clock=world.core.clock.now,
    )
    shown = client.create_calendar(
        platform=Platform.GOOGLE,
        client_id="client",
        client_secret=Secret("client-secret"),
        refresh_token=Secret("token"),
        metadata={},
        idempotency_key="once",
    )
    deployment.stores.calendars.add(
        Calendar(
            calendar_id=shown.calendar_id,
            tenant_id="default",
            entity_id="u1",
            platform=Platform.GOOGLE,
            email=OWNER,
            status=CalendarStatus.CONNECTING,
            created_at=shown.created_at,
            updated_at=shown.updated_at,
            read_since=shown.created_at,
        )
    )
    world.core.clock.advance(SYNC)
    world.run_due()


class _Unlimited:
    def spend(self, endpoint: str) -> None:
        """One call is no storm."""

    def block(self, endpoint: str, *, seconds: float) -> None:
        raise AssertionError("an idle Recall refuses nobody")


def _application(world: RecallWorld) -> Any:
    page = emulator_page(world.handle)

    def application(environ: Any, start_response: Any) -> Any:
        return page(Request(environ))(environ, start_response)

    return application


def _authorizer_event(key: str) -> dict[str, Any]:
    """The gateway's question, payload 2.0."""
    event = gateway_event(
        "GET /v1/calendars", path="/v1/calendars", headers={"authorization": f"Bearer {key}"}
    )
    return {**event, "type": "REQUEST", "identitySource": [f"Bearer {key}", "GET /v1/calendars"]}


def _queue_event(body: str) -> dict[str, Any]:
    """One message of a FIFO queue, as the event source hands it over."""
    return {
        "Records": [
            {
                "messageId": "00000000-0000-4000-8000-000000000001",
                "receiptHandle": "receipt",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1795370400000",
                    "SequenceNumber": "18849496460467696128",
                    "MessageGroupId": "feed",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "MessageDeduplicationId": "1",
                    "ApproximateFirstReceiveTimestamp": "1795370400000",
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:doorbells.fifo",
                "awsRegion": "us-east-1",
            }
        ]
    }


def _signed(body: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(WEBHOOK_SECRET).sign("msg_1", now, body),
    }


def _http_event(body: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """An HTTP API event, payload 2.0, as the gateway sends it."""
    return {
        "version": "2.0",
        "routeKey": "POST /webhooks/recall",
        "rawPath": "/webhooks/recall",
        "rawQueryString": "",
        "headers": {
            "content-length": str(len(body)),
            "content-type": "application/json",
            "host": "abc123.execute-api.us-east-1.amazonaws.com",
            "user-agent": "Svix-Webhooks/1.0",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
            **(headers or {}),
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc123",
            "domainName": "abc123.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "abc123",
            "http": {
                "method": "POST",
                "path": "/webhooks/recall",
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "Svix-Webhooks/1.0",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "POST /webhooks/recall",
            "stage": "$default",
            "time": "22/Nov/2026:18:00:00 +0000",
            "timeEpoch": 1795370400000,
        },
        "body": body,
        "isBase64Encoded": False,
    }
