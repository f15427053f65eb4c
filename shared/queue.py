"""The doorbell queue: the only door to SQS."""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shared.domain.message import (
    BotEvent,
    CalendarUpdate,
    FeedChanged,
    FeedMessage,
    Message,
    SingleMessage,
    Tick,
    WorkDue,
    decode,
    encode,
    message_group,
)
from shared.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

__all__ = [
    "BotEvent",
    "CalendarUpdate",
    "DeadLetterQueue",
    "FeedChanged",
    "FeedMessage",
    "Letter",
    "Message",
    "Queue",
    "SingleMessage",
    "Tick",
    "WorkDue",
    "encode",
    "parse",
]

# SQS hides a message for 12 hours at most, counted from when it was received.
DEFER_SECONDS_MAX = 11 * 3600
# The most that SQS hands out at once.
LETTERS_MAX = 10
REDRIVEN = "redriven"
_SQS_ID = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}", flags=re.ASCII)


def parse(body: str) -> Message:
    """The message in a queue body; PermanentError `message_malformed` when there is none."""
    try:
        return decode(body)
    except (ValueError, RecursionError):
        message = "The queue holds a message that cannot be read."
        raise PermanentError("message_malformed", message) from None


class Queue:
    """A FIFO queue with content-based deduplication.

    Every method raises TransientError `queue_unavailable` when SQS refuses or does not answer.
    """

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def ring(
        self, *, received_at: datetime, reason_id: str | None = None, calendar_id: str | None = None
    ) -> None:
        """Say that something changed; `reason_id` is the delivery that told us."""
        self.send(FeedChanged(received_at=received_at, calendar_id=calendar_id), unique=reason_id)

    def ring_work(self, *, now: datetime, unique: str) -> None:
        """Say that rows owe work; `unique` is fresh chance, so that no bell swallows the next."""
        self.send(WorkDue(received_at=now), unique=unique)

    def send(self, message: Message, *, unique: str | None = None) -> None:
        """Send once per `unique` within SQS's five minutes; without it, once per body.

        Never pass the id of a calendar or bot: the next real change would be swallowed.
        """
        with _refusals():
            if unique is None:
                self._client.send_message(
                    QueueUrl=self._url,
                    MessageBody=encode(message),
                    MessageGroupId=_sqs_id(message_group(message)),
                )
                return
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=encode(message),
                MessageGroupId=_sqs_id(message_group(message)),
                MessageDeduplicationId=_sqs_id(unique),
            )

    def defer(self, receipt_handle: str, *, seconds: float) -> None:
        """Let a received message come back after so many seconds (at most 11 hours)."""
        timeout = min(max(ceil(seconds), 0), DEFER_SECONDS_MAX)
        with _refusals():
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=timeout
            )

    def send_again(self, letter: Letter, *, unique: str) -> None:
        """Send a dead letter's body into its group; it carries how often that was done."""
        times = {"DataType": "Number", "StringValue": str(letter.redriven + 1)}
        with _refusals():
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=letter.body,
                MessageGroupId=letter.group,
                MessageDeduplicationId=_sqs_id(unique),
                MessageAttributes={REDRIVEN: times},  # type: ignore[dict-item]
            )

    def depth(self) -> int:
        """Messages waiting or in flight, approximately."""
        return _depth(self._client, self._url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter in hand; `receives` counts looks at it too, `redriven` earlier redrives."""

    message_id: str
    receipt_handle: str
    body: str
    group: str
    receives: int
    sent_at: datetime
    redriven: int = 0


class DeadLetterQueue:
    """The FIFO queue of what was given up; raises as Queue does."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def receive(self, *, limit: int, hidden_seconds: int) -> list[Letter]:
        """At most ten, in order within each group; nobody else gets them for that long.

        Of a group with letters in hand no others are handed out.
        """
        with _refusals():
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(limit, LETTERS_MAX),
                VisibilityTimeout=hidden_seconds,
                WaitTimeSeconds=0,
                AttributeNames=["ApproximateReceiveCount", "MessageGroupId", "SentTimestamp"],
                MessageAttributeNames=[REDRIVEN],
            )
        return [_letter(message) for message in answer.get("Messages", [])]

    def remove(self, letter: Letter) -> None:
        with _refusals():
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt_handle)

    def release(self, letter: Letter) -> None:
        """Let others have it at once."""
        with _refusals():
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=letter.receipt_handle, VisibilityTimeout=0
            )

    def depth(self) -> int:
        """Letters waiting or in hand, approximately."""
        return _depth(self._client, self._url)


def _letter(message: MessageTypeDef) -> Letter:
    attributes = message["Attributes"]
    carried = message.get("MessageAttributes", {}).get(REDRIVEN)
    return Letter(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message["Body"],
        group=attributes["MessageGroupId"],
        receives=int(attributes["ApproximateReceiveCount"]),
        sent_at=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
        redriven=0 if carried is None else int(carried.get("StringValue", "0")),
    )


def _depth(client: SQSClient, url: str) -> int:
    with _refusals():
        answer = client.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
            ],
        )
    return sum(int(count) for count in answer["Attributes"].values())


def _sqs_id(text: str) -> str:
    """SQS takes up to 128 printable ASCII characters; whatever is not so is hashed."""
    if _SQS_ID.fullmatch(text):
        return text
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise TransientError("queue_unavailable", "The queue did not take the call.") from error
