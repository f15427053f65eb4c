"""The doors to SQS, Secrets Manager, KMS and EventBridge speak those systems' language."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from shared.domain.calendar import Platform
from shared.domain.message import BotEvent, FeedChanged, Tick, WorkDue
from shared.domain.notice import CalendarDeleted, notice_detail
from shared.domain.secret import Secret
from shared.errors import PermanentError, TransientError
from shared.events import EventBus
from shared.queue import Queue, parse
from shared.secrets import Seal, SecretStore

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _aws():
    with mock_aws():
        yield


@pytest.fixture
def sqs():
    return boto3.client("sqs")


@pytest.fixture
def url(sqs):
    answer = sqs.create_queue(
        QueueName="doorbell.fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"},
    )
    return answer["QueueUrl"]


def received(sqs, url):
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
    return answer.get("Messages", [])


def test_bells_arrive_in_one_group_and_in_order(sqs, url):
    queue = Queue(sqs, url)
    queue.ring(received_at=NOON, reason_id="msg_1", calendar_id="c")
    queue.ring(received_at=NOON)
    queue.ring_work(now=NOON, unique="u1")
    queue.send(Tick(scheduled_at=NOON))
    messages = received(sqs, url)
    assert [parse(message["Body"]) for message in messages] == [
        FeedChanged(received_at=NOON, calendar_id="c"),
        FeedChanged(received_at=NOON),
        WorkDue(received_at=NOON),
        Tick(scheduled_at=NOON),
    ]
    assert {message["Attributes"]["MessageGroupId"] for message in messages} == {"feed"}
    assert messages[0]["Attributes"]["MessageDeduplicationId"] == "msg_1"


def test_no_bell_swallows_the_next(sqs, url):
    queue = Queue(sqs, url)
    queue.ring_work(now=NOON, unique="u1")
    queue.ring_work(now=NOON, unique="u2")
    assert queue.depth() == 2


def test_ids_that_sqs_would_refuse_are_hashed(sqs, url):
    bot = BotEvent(event="bot.done", bot_id="é" * 200, code="done", sub_code=None, updated_at=NOON)
    Queue(sqs, url).send(bot, unique="a b")
    (message,) = received(sqs, url)
    assert parse(message["Body"]) == bot
    assert len(message["Attributes"]["MessageGroupId"]) == 64


@pytest.mark.parametrize(("seconds", "depth"), [(0, 1), (-3, 1), (0.2, 0), (1e9, 0)])
def test_a_deferred_message_comes_back_when_told(sqs, url, *, seconds, depth):
    queue = Queue(sqs, url)
    queue.ring(received_at=NOON)
    (message,) = received(sqs, url)
    queue.defer(message["ReceiptHandle"], seconds=seconds)
    assert len(received(sqs, url)) == depth
    assert queue.depth() == 1


def test_a_queue_that_is_gone_is_unavailable(sqs, url):
    queue = Queue(sqs, url)
    sqs.delete_queue(QueueUrl=url)
    for call in (
        lambda: queue.ring(received_at=NOON),
        lambda: queue.ring_work(now=NOON, unique="u"),
        lambda: queue.defer("handle", seconds=1),
        queue.depth,
    ):
        with pytest.raises(TransientError) as caught:
            call()
        assert caught.value.code == "queue_unavailable"


def secret_store(text, **options):
    client = boto3.client("secretsmanager")
    client.create_secret(Name="stack", SecretString=text)
    return SecretStore(client, "stack", **options)


def test_the_secret_is_read_whole():
    store = secret_store(json.dumps({
        "recall_api_key": " key ", "recall_webhook_secret": "whsec_a, whsec_b,",
        "google_client_id": "gid", "google_client_secret": "gsecret",
        "link_secret": "link", "unknown": 1,
    }))  # fmt: skip
    secrets = store.get()
    assert secrets.recall_api_key == Secret("key")
    assert secrets.webhook_secrets == (Secret("whsec_a"), Secret("whsec_b"))
    assert (secrets.google_client_id, secrets.google_client_secret) == ("gid", Secret("gsecret"))
    assert (secrets.microsoft_client_id, secrets.microsoft_client_secret) == ("", Secret(""))
    assert "gsecret" not in repr(secrets)


def test_everything_missing_is_named_at_once():
    with pytest.raises(PermanentError, match="recall_api_key, link_secret") as caught:
        secret_store('{"recall_api_key": " ", "link_secret": null}').get()
    assert caught.value.code == "secrets_missing"


def test_a_function_depends_only_on_what_it_needs():
    store = secret_store('{"recall_webhook_secret": "whsec_a"}', required=["recall_webhook_secret"])
    assert store.get().webhook_secrets == (Secret("whsec_a"),)


@pytest.mark.parametrize("text", ["no json token-1", "[]", "7"])
def test_a_secret_that_is_no_object_is_malformed_and_not_quoted(text):
    with pytest.raises(PermanentError) as caught:
        secret_store(text).get()
    assert caught.value.code == "secrets_malformed"
    assert "token-1" not in caught.value.message


def test_the_secret_is_kept_for_a_while():
    store = secret_store('{"recall_api_key": "1", "link_secret": "l"}')
    store.get()
    boto3.client("secretsmanager").put_secret_value(SecretId="stack", SecretString="{}")
    assert store.get().recall_api_key == Secret("1")


def test_a_secret_that_cannot_be_read_is_transient():
    with pytest.raises(TransientError) as caught:
        SecretStore(boto3.client("secretsmanager"), "none").get()
    assert caught.value.code == "secrets_unavailable"


@pytest.fixture
def kms():
    return boto3.client("kms")


@pytest.fixture
def seal(kms):
    return Seal(kms, kms.create_key()["KeyMetadata"]["KeyId"])


@pytest.mark.parametrize("length", [16, 4095, 4096, 10_000])
def test_a_sealed_secret_opens_in_its_context(seal, length):
    secret = Secret(("é" * length).encode()[:length].decode(errors="ignore") + "x")
    sealed = seal.seal(secret, context={"session": "s"})
    assert secret.reveal().encode() not in sealed
    assert seal.open(sealed, context={"session": "s"}) == secret


def test_a_sealed_secret_opens_nowhere_else(seal):
    sealed = seal.seal(Secret("code"), context={"session": "s"})
    long = seal.seal(Secret("c" * 5000), context={"session": "s"})
    first = long[: 2 + int.from_bytes(long[:2], "big")]
    swapped = long[len(first) :] + first
    for blob, session in [
        (sealed, "other"), (first, "s"), (swapped, "s"), (sealed[:-1], "s"), (b"\x00\x00", "s"),
        (b"\x00\x05hello", "s"), (b"x", "s"),
    ]:  # fmt: skip
        with pytest.raises(PermanentError) as caught:
            seal.open(blob, context={"session": session})
        assert caught.value.code == "seal_broken"


def test_kms_that_refuses_is_transient(kms):
    with pytest.raises(TransientError) as caught:
        Seal(kms, "00000000-0000-0000-0000-000000000000").seal(Secret("x"), context={})
    assert caught.value.code == "seal_unavailable"


def deleted(number):
    return CalendarDeleted(
        tenant_id="t",
        entity_id="e",
        calendar_id=f"c{number}",
        occurred_at=NOON,
        platform=Platform.GOOGLE,
    )


def test_every_notice_reaches_the_bus(sqs):
    events = boto3.client("events")
    events.create_event_bus(Name="bus")
    target = sqs.create_queue(QueueName="host")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=target, AttributeNames=["QueueArn"])["Attributes"]
    events.put_rule(Name="all", EventBusName="bus", EventPattern='{"source":["rollcall"]}')
    events.put_targets(
        Rule="all", EventBusName="bus", Targets=[{"Id": "host", "Arn": arn["QueueArn"]}]
    )
    EventBus(events, "bus").publish(deleted(number) for number in range(25))
    heard = []
    while messages := received(sqs, target):
        heard += [json.loads(message["Body"]) for message in messages]
    assert [notice_detail(deleted(number)) for number in range(25)] == sorted(
        (event["detail"] for event in heard), key=lambda detail: int(detail["calendar_id"][1:])
    )
    assert {event["detail-type"] for event in heard} == {"calendar.deleted"}


def test_nothing_to_publish_is_no_call():
    EventBus(boto3.client("events", endpoint_url="http://127.0.0.1:9"), "bus").publish(())


def test_a_refused_entry_is_transient():
    class Refusing:
        def put_events(self, **_):
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}

    class Silent:
        def put_events(self, **_):
            raise EndpointConnectionError(endpoint_url="x")

    for client in (Refusing(), Silent()):
        with pytest.raises(TransientError) as caught:
            EventBus(client, "bus").publish([deleted(1)])
        assert caught.value.code == "events_unavailable"
