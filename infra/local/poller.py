"""The event source mapping: takes messages from a queue and calls the function with batches.

Follows Lambda's rules: batches in the order of arrival, one invocation per message group at a time
(the queue itself holds the rest of a group back), failed messages stay until their visibility ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from infra.local.cloud import client
from infra.local.lambdas import InvocationError
from infra.local.template import REGION, EventSource, Queue

IDLE_SECONDS = 0.25
# After an empty look: a storm of bells must not become a storm of looks.
BREATH_SECONDS = 0.05
CONCURRENCY_DEFAULT = 2
BATCH_MAX = 10

Invoke = Callable[[str, Mapping[str, Any]], Any]


class Poller:
    """Drains one queue into one function until it is stopped."""

    def __init__(self, source: EventSource, queue: Queue, *, invoke: Invoke) -> None:
        self._source = source
        self._queue = queue
        self._invoke = invoke
        self._sqs = client("sqs")
        self._rung = threading.Event()
        self._stopping = threading.Event()
        self._concurrency = source.concurrency_max or CONCURRENCY_DEFAULT
        self._free = threading.Semaphore(self._concurrency)
        self._workers = ThreadPoolExecutor(self._concurrency, thread_name_prefix="poller")
        self._thread = threading.Thread(target=self._poll, name="poller")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._rung.set()
        self._thread.join()
        self._workers.shutdown(wait=True)

    def ring(self) -> None:
        """Look at once; without it the poller looks every quarter of a second."""
        self._rung.set()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._rung.clear()
            if not self._take_batch():
                self._stopping.wait(BREATH_SECONDS)
                self._rung.wait(IDLE_SECONDS)

    def _take_batch(self) -> bool:
        if not self._free.acquire(timeout=IDLE_SECONDS):
            return False
        messages = self._receive()
        if not messages or self._stopping.is_set():
            self._free.release()
            return False
        self._workers.submit(self._serve, messages)
        return True

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._queue.url,
            MaxNumberOfMessages=min(self._source.batch_size, BATCH_MAX),
            WaitTimeSeconds=0,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages", ()))

    def _serve(self, messages: list[dict[str, Any]]) -> None:
        try:
            event = {"Records": [_record(message, self._queue) for message in messages]}
            failed = self._failures(event)
            for message in messages:
                if message["MessageId"] not in failed:
                    self._delete(message)
        finally:
            self._free.release()
            self._rung.set()

    def _failures(self, event: Mapping[str, Any]) -> frozenset[str]:
        everything = frozenset(record["messageId"] for record in event["Records"])
        try:
            answer = self._invoke(self._source.function, event)
        except InvocationError:
            return everything
        if not self._source.reports_failures or not answer:
            return frozenset()
        try:
            failed = frozenset(each["itemIdentifier"] for each in answer["batchItemFailures"])
        except (KeyError, TypeError):
            return everything
        # An identifier that Lambda does not know fails the whole batch.
        return failed if failed.issubset(everything) else everything

    def _delete(self, message: Mapping[str, Any]) -> None:
        self._sqs.delete_message(QueueUrl=self._queue.url, ReceiptHandle=message["ReceiptHandle"])


def _record(message: Mapping[str, Any], queue: Queue) -> dict[str, Any]:
    """An SQS message as Lambda passes it on."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
        "awsRegion": REGION,
    }
