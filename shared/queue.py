"""The doorbell queue: the only door to SQS."""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from datetime import datetime
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

__all__ = [
    "BotEvent",
    "CalendarUpdate",
    "FeedChanged",
    "FeedMessage",
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

    def depth(self) -> int:
        """Messages waiting or in flight, approximately."""
        with _refusals():
            answer = self._client.get_queue_attributes(
                QueueUrl=self._url,
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
