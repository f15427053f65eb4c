"""The AWS side of the stack: moto in this process, filled from the template."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.handlers import BUILTIN_HANDLERS
from moto import mock_aws
from moto.core.models import botocore_stubber, responses_mock

from infra.local.emulators.clock import Clock
from infra.local.moto_queues import quick_queues
from infra.local.moto_tables import quick_tables
from infra.local.template import REGION, Queue, Stack, Table

CLIENT_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2})
WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})
EVENT_TAP = "local-host-events"
EVENTS_MAX = 10

Json = Any


class Listener(Protocol):
    """Hears of a call: `sqs`, `SendMessage`, and its request as the service's JSON has it."""

    def __call__(self, service: str, operation: str, *, request: Mapping[str, Any]) -> None: ...


class Meter:
    """Counts every AWS call of this process and tells listeners: service, operation, request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def writes(self) -> Counter[str]:
        """Row writes so far by table name."""
        found: Counter[str] = Counter()
        with self._lock:
            for (service, operation, target), count in self._counts.items():
                if service == "dynamodb" and operation in WRITES:
                    found[target] += count
        return found

    def hear(self, *, model: Json, params: Mapping[str, Any], **_: object) -> None:
        """Called by botocore before each call; it must answer None to let the call pass."""
        service = model.service_model.service_name
        text = params.get("body") or b"{}"
        request = json.loads(text) if model.metadata.get("protocol") == "json" else {}
        with self._lock:
            self._counts[service, model.name, str(request.get("TableName", ""))] += 1
        for listener in self._listeners:
            listener(service, model.name, request=request)


@contextmanager
def emulated_cloud(
    stack: Stack, *, secret: Mapping[str, str], meter: Meter, clock: Clock | None = None
) -> Iterator[None]:
    """AWS for as long as the context is open, with the template's resources in it.

    `clock`: what queues go by, else the clock on the wall.
    """
    with _throwaway_credentials(), _quick_moto(clock), _listening(meter):
        _create(stack, secret)
        yield


@contextmanager
def _throwaway_credentials() -> Iterator[None]:
    """The developer's own credentials are out of reach, even if moto let a call through."""
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(
        AWS_ACCESS_KEY_ID=f"AKIA{secrets.token_hex(8).upper()}",
        AWS_SECRET_ACCESS_KEY=secrets.token_urlsafe(30),
        AWS_SESSION_TOKEN=secrets.token_urlsafe(30),
        AWS_REGION=REGION,
        AWS_DEFAULT_REGION=REGION,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@contextmanager
def _moto() -> Iterator[None]:
    mock = mock_aws(config={"core": {"mock_credentials": False}})
    mock.start()
    # moto would also match every `requests` call against 1,400 patterns: tens of milliseconds.
    responses_mock.stop()
    answer = botocore_stubber.process_request
    lock = threading.RLock()

    def one_at_a_time(request: Json) -> Json:
        # A conditional write is a check and a change; threads must not come in between.
        with lock:
            return answer(request)

    botocore_stubber.process_request = one_at_a_time  # type: ignore[method-assign]
    try:
        yield
    finally:
        botocore_stubber.process_request = answer  # type: ignore[method-assign]
        mock.stop()


@contextmanager
def _quick_moto(clock: Clock | None) -> Iterator[None]:
    with _moto(), quick_queues(clock), quick_tables():
        yield


@contextmanager
def _listening(meter: Meter) -> Iterator[None]:
    handler = ("before-call", meter.hear)
    BUILTIN_HANDLERS.append(handler)
    try:
        yield
    finally:
        BUILTIN_HANDLERS.remove(handler)


def client(service: str) -> Json:
    """A client with bounded waits; boto's own defaults are 60 s and five attempts."""
    return boto3.client(service, region_name=REGION, config=CLIENT_CONFIG)  # type: ignore[call-overload]


def _create(stack: Stack, secret: Mapping[str, str]) -> None:
    for table in stack.tables:
        _create_table(table)
    # A queue names its dead letters by ARN, so those must exist first.
    for queue in sorted(stack.queues, key=lambda each: each.dead_letter_arn is not None):
        _create_queue(queue)
    for alias in stack.key_aliases:
        key = client("kms").create_key()["KeyMetadata"]["KeyId"]
        client("kms").create_alias(AliasName=f"alias/{alias}", TargetKeyId=key)
    for name in stack.secrets:
        client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(dict(secret)))
    for bus in stack.buses:
        client("events").create_event_bus(Name=bus)
        _tap_events(bus)


def _create_table(table: Table) -> None:
    dynamodb = client("dynamodb")
    dynamodb.create_table(TableName=table.name, **table.definition)
    if table.expiry_attribute:
        dynamodb.update_time_to_live(
            TableName=table.name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": table.expiry_attribute},
        )


def _create_queue(queue: Queue) -> None:
    client("sqs").create_queue(QueueName=queue.name, Attributes=dict(queue.attributes))


def _tap_events(bus: str) -> None:
    """A rule that copies every event of the bus into a queue, as a curious host would."""
    sqs = client("sqs")
    url = sqs.create_queue(QueueName=EVENT_TAP)["QueueUrl"]
    described = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    rule = {"Name": EVENT_TAP, "EventBusName": bus}
    client("events").put_rule(**rule, EventPattern=json.dumps({"source": ["rollcall"]}))
    target = {"Id": EVENT_TAP, "Arn": described["Attributes"]["QueueArn"]}
    client("events").put_targets(Rule=EVENT_TAP, EventBusName=bus, Targets=[target])


class EventTap:
    """Reads what came over the bus since the last look."""

    def __init__(self) -> None:
        self._sqs = client("sqs")
        self._url = self._sqs.get_queue_url(QueueName=EVENT_TAP)["QueueUrl"]

    def take(self) -> list[dict[str, Any]]:
        """Events in the shape EventBridge delivers, oldest first."""
        found: list[dict[str, Any]] = []
        while batch := self._receive():
            for message in batch:
                found.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=EVENTS_MAX, WaitTimeSeconds=0
        )
        return list(answer.get("Messages", ()))
