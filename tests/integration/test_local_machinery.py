"""Functions, queue poller, clock and settings of the local host keep AWS's rules."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from moto.sqs.models import Queue as MotoQueue

from infra.local.cloud import EventTap, Meter, client, emulated_cloud
from infra.local.emulators.clock import JumpingClock
from infra.local.emulators.recall import LiveBot
from infra.local.lambdas import InvocationError, Lambdas
from infra.local.moto_queues import quick_queues
from infra.local.poller import Poller
from infra.local.rules_scenes import Moments
from infra.local.schedules import ScheduleClock, payload
from infra.local.settings import SettingsError, parse_options, read_settings
from infra.local.template import EventSource, Function, Schedule, Stack, read_stack
from shared.domain.calendar import Platform
from shared.domain.rules import Scheduling
from tests.short_cut import all_the_way

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)

HANDLER = """
import os, time
from functools import cache

@cache
def service():
    return {"environment": dict(os.environ), "made": object()}

def handler(event, context):
    made = id(service()["made"])
    match event.get("do"):
        case "crash":
            raise KeyError("lost")
        case "sleep":
            time.sleep(event["seconds"])
    return {
        "environment": service()["environment"],
        "made": made,
        "remaining": context.get_remaining_time_in_millis(),
        "request": context.aws_request_id,
    }
"""

TEMPLATE = """
Resources:
  Work:
    Type: AWS::SQS::Queue
    Properties:
      FifoQueue: true
      ContentBasedDeduplication: true
      VisibilityTimeout: 30
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 5}
  Dead: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true}}
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: bus}}
  Key: {Type: AWS::KMS::Key}
  Secret: {Type: AWS::SecretsManager::Secret}
  Rows:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      TimeToLiveSpecification: {AttributeName: ends, Enabled: true}
"""


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    return read_stack(path, parameters={})


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def cloud(stack: Stack, meter: Meter) -> Iterator[Stack]:
    with all_the_way(), emulated_cloud(stack, secret={"link_secret": "x"}, meter=meter):
        yield stack


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def lambdas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Iterator[Lambdas]:
    (tmp_path / "handler_of_test.py").write_text(HANDLER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PRIVATE_TO_THE_DEVELOPER", "1")
    function = Function(
        logical_id="Thing",
        name="stack-Thing",
        arn="arn:thing",
        handler="handler_of_test.handler",
        environment={"ONLY": "this"},
        timeout_seconds=0.5,
        memory_megabytes=256,
    )
    nothing: dict[str, Any] = dict.fromkeys(
        ("tables", "queues", "routes", "sources", "schedules", "buses", "key_aliases", "secrets"),
        (),
    )
    yield Lambdas(Stack(functions=(function,), **nothing), say=said.append)
    sys.modules.pop("handler_of_test", None)


def test_a_function_sees_its_own_environment_only(lambdas: Lambdas) -> None:
    before = dict(os.environ)
    environment = lambdas.invoke("Thing", {})["environment"]
    assert environment["ONLY"] == "this"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "stack-Thing"
    assert "PRIVATE_TO_THE_DEVELOPER" not in environment
    assert dict(os.environ) == before


def test_an_environment_is_reused_and_never_shared(lambdas: Lambdas) -> None:
    first = lambdas.invoke("Thing", {})
    assert lambdas.invoke("arn:thing", {})["made"] == first["made"]
    answers: list[Any] = []
    event = {"do": "sleep", "seconds": 0.2}
    threads = [
        threading.Thread(target=lambda: answers.append(lambdas.invoke("Thing", event)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["made"] for answer in answers}) == 2
    assert len({answer["request"] for answer in answers}) == 2


def test_a_crash_is_reported_with_its_stack(lambdas: Lambdas, said: list[str]) -> None:
    with pytest.raises(InvocationError) as caught:
        lambdas.invoke("Thing", {"do": "crash"})
    assert caught.value.kind == "KeyError"
    assert said[0].startswith("Thing: Traceback")
    assert "handler_of_test.py" in said[0]


def test_a_timeout_is_reported(lambdas: Lambdas, said: list[str]) -> None:
    assert 0 < lambdas.invoke("Thing", {})["remaining"] <= 500
    with pytest.raises(InvocationError, match=r"Task timed out after 0\.50 seconds"):
        lambdas.invoke("Thing", {"do": "sleep", "seconds": 1})
    assert "timed out" in said[0]


def test_the_developers_credentials_are_out_of_reach(
    stack: Stack, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    monkeypatch.setenv("AWS_PROFILE", "real")
    with emulated_cloud(stack, secret={}, meter=meter):
        assert os.environ["AWS_ACCESS_KEY_ID"] != "real"
        assert "AWS_PROFILE" not in os.environ
    assert os.environ["AWS_ACCESS_KEY_ID"] == "real"


def test_what_the_template_names_exists(cloud: Stack) -> None:
    (name,) = cloud.secrets
    secret = client("secretsmanager").get_secret_value(SecretId=name)
    assert json.loads(secret["SecretString"]) == {"link_secret": "x"}
    (alias,) = cloud.key_aliases
    sealed = client("kms").encrypt(KeyId=f"alias/{alias}", Plaintext=b"x")["CiphertextBlob"]
    assert client("kms").decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    (table,) = cloud.tables
    expiry = client("dynamodb").describe_time_to_live(TableName=table.name)
    assert expiry["TimeToLiveDescription"]["AttributeName"] == "ends"


def test_writes_are_counted_by_table(cloud: Stack, meter: Meter) -> None:
    (table,) = cloud.tables
    client("dynamodb").put_item(TableName=table.name, Item={"id": {"S": "1"}})
    client("dynamodb").get_item(TableName=table.name, Key={"id": {"S": "1"}})
    assert meter.writes() == {table.name: 1}


def test_events_of_the_bus_are_heard(cloud: Stack) -> None:
    tap = EventTap()
    for source in ("rollcall", "somebody.else"):
        entry = {"EventBusName": "bus", "Source": source, "DetailType": "t", "Detail": "{}"}
        client("events").put_events(Entries=[entry])
    assert [event["source"] for event in tap.take()] == ["rollcall"]
    assert tap.take() == []


def test_queues_count_their_messages_only_when_asked(
    cloud: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """moto would look at every message for any attribute, and a storm would never end."""
    looks: list[str] = []
    counted = MotoQueue.approximate_number_of_messages.fget
    monkeypatch.setattr(
        MotoQueue,
        "approximate_number_of_messages",
        property(lambda queue: looks.append(queue.name) or counted(queue)),
    )
    queue = cloud.queues[0]
    sqs = client("sqs")
    for number in range(3):
        sqs.send_message(QueueUrl=queue.url, MessageBody=f"bell {number}", MessageGroupId="feed")
    sqs.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=1)
    assert looks == []
    asked = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])["Attributes"]
    assert asked["ApproximateNumberOfMessages"] == "2"
    assert looks


def test_attributes_of_queues_are_those_that_moto_tells() -> None:
    attributes = {
        "FifoQueue": "true",
        "ContentBasedDeduplication": "true",
        "VisibilityTimeout": "70",
        "RedrivePolicy": '{"deadLetterTargetArn": "%s", "maxReceiveCount": 5}',
    }
    with mock_aws():
        sqs = client("sqs")
        dead = sqs.create_queue(QueueName="dead.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
        attributes["RedrivePolicy"] %= arn["QueueArn"]
        url = sqs.create_queue(QueueName="work.fifo", Attributes=attributes)["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="bell", MessageGroupId="feed")
        told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        with quick_queues():
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert told == found
    assert found["ApproximateNumberOfMessages"] == "1"


class Scheduler:
    """Fails the messages whose body says so; keeps which bodies came together."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.crashes = False

    def invoke(self, name: str, event: Any) -> Any:
        del name
        self.batches.append([record["body"] for record in event["Records"]])
        if self.crashes:
            raise InvocationError("KeyError", "x")
        failed = [r["messageId"] for r in event["Records"] if "bad" in r["body"]]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def drained(cloud: Stack, scheduler: Scheduler, *, bodies: list[str]) -> int:
    """Send, poll for a moment; how many messages are left in the queue."""
    queue = next(each for each in cloud.queues if each.dead_letter_arn)
    source = EventSource(
        queue_arn=queue.arn, function="F", batch_size=10, reports_failures=True, concurrency_max=5
    )
    sqs = client("sqs")
    for body in bodies:
        sqs.send_message(QueueUrl=queue.url, MessageBody=body, MessageGroupId=body[0])
    poller = Poller(source, queue, invoke=scheduler.invoke)
    poller.start()
    time.sleep(0.5)
    poller.stop()
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    left = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)["Attributes"]
    return sum(map(int, left.values()))


def test_served_messages_go_and_failed_ones_stay(cloud: Stack) -> None:
    scheduler = Scheduler()
    assert drained(cloud, scheduler, bodies=["a fine", "b bad", "c fine"]) == 1
    assert sorted(body for batch in scheduler.batches for body in batch) == [
        "a fine",
        "b bad",
        "c fine",
    ]


def test_a_crash_keeps_the_whole_batch(cloud: Stack) -> None:
    scheduler = Scheduler()
    scheduler.crashes = True
    assert drained(cloud, scheduler, bodies=["a", "b"]) == 2
    assert len(scheduler.batches) == 1


TICK = Schedule(
    name="Tick",
    period_seconds=60.0,
    target_arn="arn",
    input_text='{"at": "<aws.scheduler.scheduled-time>"}',
    message_group="feed",
)


def test_a_firing_carries_its_scheduled_time() -> None:
    moment = datetime(2027, 3, 1, 9, 0, 0, 250_000, tzinfo=UTC)
    assert json.loads(payload(TICK, moment)) == {"at": "2027-03-01T09:00:00.250000Z"}


def test_the_clock_is_scaled_and_stops() -> None:
    fired: list[str] = []
    clock = ScheduleClock((TICK,), scale=0.001, fire=lambda _, text: fired.append(text))
    clock.start()
    time.sleep(0.3)
    clock.stop()
    count = len(fired)
    assert count >= 2
    assert len(set(fired)) == count
    time.sleep(0.1)
    assert len(fired) == count


def test_a_paused_clock_fires_nothing_and_goes_on_afterwards() -> None:
    fired: list[str] = []
    clock = ScheduleClock((TICK,), scale=0.001, fire=lambda _, text: fired.append(text))
    with clock.paused():
        clock.start()
        time.sleep(0.2)
        assert [] == fired
    time.sleep(0.2)
    clock.stop()
    assert fired


def test_a_jump_fires_once_what_came_due_meanwhile() -> None:
    fired: list[str] = []
    now = JumpingClock()
    clock = ScheduleClock((TICK,), scale=1, fire=lambda _, text: fired.append(text), clock=now)
    clock.start()
    time.sleep(0.1)
    assert [] == fired
    jumped = now.advance(timedelta(hours=2))
    time.sleep(0.7)
    clock.stop()
    (text,) = fired
    assert datetime.fromisoformat(json.loads(text)["at"]) - jumped < timedelta(seconds=1)


def test_queues_go_by_the_clock() -> None:
    now = JumpingClock()
    with mock_aws(), quick_queues(now):
        sqs = client("sqs")
        url = sqs.create_queue(QueueName="work")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=600)
        assert "Messages" not in sqs.receive_message(QueueUrl=url)
        now.advance(timedelta(minutes=11))
        assert 1 == len(sqs.receive_message(QueueUrl=url)["Messages"])


def test_everything_is_emulated_unless_the_environment_says_otherwise() -> None:
    settings = read_settings(parse_options([]), {"HOME": "/"})
    assert settings.all_emulated
    assert settings.tells_story
    assert settings.options.port == 8000


def test_a_minute_is_short_while_a_story_is_told() -> None:
    def period(*arguments: str) -> float:
        return read_settings(parse_options(arguments), {}).tick_seconds

    assert period("--exit") == 5
    assert period("--no-story") == 60
    assert period("--exit", "--tick-seconds", "60") == 60


def test_a_real_recall_and_a_real_provider_can_be_used() -> None:
    settings = read_settings(
        parse_options([]),
        {
            "RECALL_BASE_URL": "https://us-west-2.recall.ai/",
            "RECALL_API_KEY": "hidden",
            "RECALL_WEBHOOK_SECRET": "whsec_a,whsec_b",
            "GOOGLE_CLIENT_ID": "id",
            "GOOGLE_CLIENT_SECRET": "secret",
        },
    )
    assert settings.recall is not None
    assert settings.recall.base_url == "https://us-west-2.recall.ai"
    assert set(settings.clients) == {Platform.GOOGLE}
    assert not settings.tells_story
    assert "hidden" not in repr(settings.recall)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"RECALL_API_KEY": "x"}, ["RECALL_BASE_URL", "RECALL_WEBHOOK_SECRET"]),
        ({"MICROSOFT_TOKEN_URL": "https://x"}, ["MICROSOFT_CLIENT_ID", "MICROSOFT_CLIENT_SECRET"]),
        ({"RECALL_WEBHOOK_SECRET": "plain"}, ["RECALL_WEBHOOK_SECRET must be whsec_"]),
        ({"PUBLIC_URL": "rollcall.example"}, ["PUBLIC_URL must be"]),
        (
            {"RECALL_BASE_URL": "ftp://x", "GOOGLE_CLIENT_ID": "x"},
            ["RECALL_API_KEY", "GOOGLE_CLIENT_SECRET", "RECALL_BASE_URL must be"],
        ),
    ],
)
def test_what_is_missing_or_wrong_is_named_at_once(
    environment: dict[str, str], named: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(parse_options(["--no-story"]), environment)
    for words in named:
        assert words in str(caught.value)


def test_the_story_needs_the_emulators() -> None:
    with pytest.raises(SettingsError, match="emulated"):
        read_settings(
            parse_options(["--exit"]), {"GOOGLE_CLIENT_ID": "x", "GOOGLE_CLIENT_SECRET": "y"}
        )


@pytest.mark.parametrize(
    "arguments",
    [["--port", "70000"], ["--port", "x"], ["--tick-seconds", "0"], ["--exit", "--no-story"]],
)
def test_nonsense_on_the_command_line_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_options(arguments)
    assert caught.value.code == 2


def test_a_story_begins_in_either_mode() -> None:
    assert Scheduling.MANAGED is parse_options([]).mode
    assert Scheduling.SELF_MANAGED is parse_options(["--mode", "self_managed"]).mode
    with pytest.raises(SystemExit):
        parse_options(["--mode", "both"])


def test_moments_that_double_or_lose_a_bot_are_found() -> None:
    rooms = {"near": NOON, "far": NOON + timedelta(hours=3)}
    near, far = (live_bot(link, start) for link, start in rooms.items())
    seen = {
        (): [near, far],
        ("2 bots at far",): [near, far, far],
        ("no bot at near",): [far],
        ("2 bots at far", "no bot at near"): [far, far],
    }
    for faults, bots in seen.items():
        moments = Moments(promised=frozenset({"near"}))
        moments.look([near, far])
        moments.look(bots)
        assert (2, set(faults)) == (moments.looks, moments.faults)


def test_one_link_at_two_times_is_no_double() -> None:
    moments = Moments(promised=frozenset())
    moments.look([live_bot("room", NOON), live_bot("room", NOON + timedelta(hours=1))])
    assert set() == moments.faults


def live_bot(link: str, start: datetime) -> LiveBot:
    return LiveBot(
        bot_id="b",
        key=None,
        meeting_url=link,
        join_at=start,
        state="ready",
        event_ids=(),
        calendar_ids=(),
        bot_name="",
        metadata={},
    )
