"""SQS FIFO in virtual time: groups in order, visibility, deduplication, dead letters."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

from infra.local.emulators.clock import Clock

DEDUPLICATION = timedelta(minutes=5)
BATCH_MAX = 10
DEAD_LETTERS = "dead-letters.fifo"


@dataclass(slots=True)
class Stored:
    number: int
    body: str
    group: str
    sent_at: datetime
    visible_at: datetime
    receives: int = 0
    receipt: str = ""
    carried: dict[str, Any] = field(default_factory=dict)


class VirtualQueue:
    """Looks like boto3's SQS client to a sender, and like a FIFO queue to a poller."""

    def __init__(self, clock: Clock, *, visibility: timedelta, receives_max: int) -> None:
        self._clock = clock
        self._visibility = visibility
        self._receives_max = receives_max
        self._numbers = itertools.count(1)
        self._lock = RLock()
        self._sent: dict[str, datetime] = {}
        self.messages: list[Stored] = []
        self.dead: list[Stored] = []
        self.refusing = False
        self.refusing_deletes = False

    # What the handlers call.

    def send_message(
        self,
        *,
        QueueUrl: str,
        MessageBody: str,
        MessageGroupId: str,
        MessageDeduplicationId: str | None = None,
        MessageAttributes: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        if self.refusing:
            raise _refusal("SendMessage")
        unique = MessageDeduplicationId or hashlib.sha256(MessageBody.encode()).hexdigest()
        now = self._clock.now()
        with self._lock:
            if unique in self._sent and now < self._sent[unique] + DEDUPLICATION:
                return {"MessageId": "duplicate"}
            self._sent[unique] = now
            self.messages.append(
                Stored(
                    number=next(self._numbers),
                    body=MessageBody,
                    group=MessageGroupId,
                    sent_at=now,
                    visible_at=now,
                    carried=MessageAttributes or {},
                )
            )
        return {"MessageId": str(self.messages[-1].number)}

    def change_message_visibility(
        self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int
    ) -> dict[str, Any]:
        with self._lock:
            for message in self._at(QueueUrl):
                if message.receipt == ReceiptHandle:
                    message.visible_at = self._clock.now() + timedelta(seconds=VisibilityTimeout)
        return {}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(len(self._at(QueueUrl))),
                "ApproximateNumberOfMessagesNotVisible": "0",
            }
        }

    def receive_message(
        self, *, QueueUrl: str, MaxNumberOfMessages: int, VisibilityTimeout: int, **_: Any
    ) -> dict[str, Any]:
        """Dead letters alone are taken so; groups with letters in hand hand out no others."""
        assert QueueUrl.endswith(DEAD_LETTERS)
        now = self._clock.now()
        with self._lock:
            blocked = {each.group for each in self.dead if each.visible_at > now}
            free = [each for each in self.dead if each.group not in blocked]
            taken = free[:MaxNumberOfMessages]
            return {"Messages": [self._taken(m, now, VisibilityTimeout) for m in taken]}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> dict[str, Any]:
        if self.refusing_deletes:
            raise _refusal("DeleteMessage")
        with self._lock:
            letters = self._at(QueueUrl)
            letters[:] = [each for each in letters if each.receipt != ReceiptHandle]
        return {}

    def _at(self, url: str) -> list[Stored]:
        return self.dead if url.endswith(DEAD_LETTERS) else self.messages

    def _taken(self, message: Stored, now: datetime, hidden_seconds: int) -> dict[str, Any]:
        record = self._handed_out(message, now)
        message.visible_at = now + timedelta(seconds=hidden_seconds)
        return {
            "MessageId": record["messageId"],
            "ReceiptHandle": record["receiptHandle"],
            "Body": message.body,
            "Attributes": record["attributes"],
            "MessageAttributes": message.carried,
        }

    # What the event source mapping does.

    def receive(self) -> dict[str, Any] | None:
        """An SQS event as Lambda gets it, of one group, or None when nothing is visible."""
        now = self._clock.now()
        with self._lock:
            for group in dict.fromkeys(message.group for message in self.messages):
                waiting = [message for message in self.messages if message.group == group]
                if any(message.visible_at > now for message in waiting):
                    continue
                batch = [m for m in waiting if not self._buried(m)][:BATCH_MAX]
                if batch:
                    return {"Records": [self._handed_out(message, now) for message in batch]}
        return None

    def settle(self, event: dict[str, Any], failed: set[str]) -> None:
        """Delete what was answered; the rest comes back when it becomes visible."""
        answered = {record["messageId"] for record in event["Records"]} - failed
        with self._lock:
            self.messages = [m for m in self.messages if str(m.number) not in answered]

    def next_visible(self) -> datetime | None:
        """When the next group can be handed out: all its messages are visible by then."""
        free: dict[str, datetime] = {}
        for message in self.messages:
            free[message.group] = max(
                free.get(message.group, message.visible_at), message.visible_at
            )
        return min(free.values(), default=None)

    def _buried(self, message: Stored) -> bool:
        if message.receives < self._receives_max:
            return False
        self.messages.remove(message)
        message.visible_at = self._clock.now()
        self.dead.append(message)
        return True

    def _handed_out(self, message: Stored, now: datetime) -> dict[str, Any]:
        message.receives += 1
        message.receipt = f"{message.number}-{message.receives}"
        message.visible_at = now + self._visibility
        return {
            "messageId": str(message.number),
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": str(message.receives),
                "SentTimestamp": str(int(message.sent_at.timestamp() * 1000)),
                "MessageGroupId": message.group,
                "SequenceNumber": f"{message.number:020d}",
            },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:doorbell.fifo",
            "awsRegion": "us-east-1",
        }


def _refusal(operation: str) -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "no"}}, operation)
