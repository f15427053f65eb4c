"""The queue edge: an SQS FIFO event in, the messages that must come back out.

Powertools' batch processor takes one record at a time; doorbells are answered together, so the
few lines here are our own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from shared.domain.message import FeedMessage, Message, SingleMessage
from shared.errors import PermanentError, TransientError
from shared.queue import parse as parse_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.observability import Log

BACKOFF_SECONDS: Final = 5.0
BACKOFF_SECONDS_MAX: Final = 300.0
# A doorbell that waits holds up all the others.
FEED_SECONDS_MAX: Final = 30.0
SINGLE_SECONDS: Final = 10.0

Answer: TypeAlias = dict[str, list[dict[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A doorbell as SQS delivered it; `receives` counts this time too."""

    message: FeedMessage
    message_id: str
    receipt_handle: str
    receives: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of the doorbells of a batch: all answered, or all again in so many seconds."""

    retry_in: float | None = None


class Deferring(Protocol):
    """The part of the queue that is needed here."""

    def defer(self, receipt_handle: str, *, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    message: Message | None
    message_id: str
    receipt_handle: str
    group: str
    receives: int


def answer(
    event: dict[str, Any],
    *,
    feed: Callable[[tuple[Heard, ...]], Verdict],
    single: Callable[[SingleMessage], None],
    queue: Deferring,
    log: Log,
    parse: Callable[[str], Message] = parse_message,
    seconds_left: Callable[[], float] | None = None,
) -> Answer:
    """Answer a batch; returns `{"batchItemFailures": [{"itemIdentifier": ...}]}`.

    `feed` gets all doorbells at once, `single` each other message. What fails comes back after
    the error's `retry_after` or a growing wait, and with it everything later of its group, as
    FIFO demands; an error of one group never touches another. With `seconds_left`, messages for
    which no time remains come back at once.
    """
    records = [_record(raw, parse=parse, log=log) for raw in event["Records"]]
    batch = _Batch(records=records, queue=queue, log=log)
    batch.answer_feed(feed)
    batch.answer_singles(single, seconds_left=seconds_left)
    return {"batchItemFailures": [{"itemIdentifier": item} for item in batch.failed]}


@dataclass(slots=True, kw_only=True)
class _Batch:
    """One batch on its way; `failed` collects the ids of what must come back."""

    records: Sequence[_Record]
    queue: Deferring
    log: Log
    failed: list[str] = field(default_factory=list)

    def answer_feed(self, feed: Callable[[tuple[Heard, ...]], Verdict]) -> None:
        bells = [record for record in self.records if isinstance(record.message, FeedMessage)]
        if not bells:
            return
        heard = tuple(map(_heard, bells))
        wait = self._attempt(lambda: feed(heard).retry_in, of=bells[0])
        if wait is not None:
            for record in bells:
                self._fail(record, seconds=min(wait, FEED_SECONDS_MAX))

    def answer_singles(
        self, single: Callable[[SingleMessage], None], *, seconds_left: Callable[[], float] | None
    ) -> None:
        """In order; `waits` holds the groups in which one failed."""
        waits: dict[str, float] = {}
        for record in self.records:
            if isinstance(record.message, FeedMessage):
                continue
            wait = waits.get(record.group)
            if wait is None:
                wait = self._answer_single(record, single=single, seconds_left=seconds_left)
            if wait is not None:
                waits[record.group] = wait
                self._fail(record, seconds=wait)

    def _answer_single(
        self,
        record: _Record,
        *,
        single: Callable[[SingleMessage], None],
        seconds_left: Callable[[], float] | None,
    ) -> float | None:
        message = record.message
        if not isinstance(message, SingleMessage):
            # Malformed: back at once, to reach the dead letters soon and free its group.
            return 0.0
        if seconds_left is not None and seconds_left() < SINGLE_SECONDS:
            return 0.0
        return self._attempt(lambda: single(message), of=record)

    def _attempt(self, work: Callable[[], float | None], *, of: _Record) -> float | None:
        """Seconds until it should be tried again; None when it is done.

        The log names the message (of doorbells the first), so that a dead letter can be explained.
        """
        receives = of.receives
        try:
            return work()
        except TransientError as error:
            self.log.warning(
                "message deferred", code=error.code, receives=receives, message_id=of.message_id
            )
            return _backoff(receives) if error.retry_after is None else error.retry_after
        except PermanentError as error:
            self.log.crash("message failed until an operator acts", error, message_id=of.message_id)
        except Exception as error:  # noqa: BLE001 - a bug with one message must not stop the others
            self.log.crash("message failed on a bug", error, message_id=of.message_id)
        self.log.count("MessageFailed")
        return _backoff(receives)

    def _fail(self, record: _Record, *, seconds: float) -> None:
        self.failed.append(record.message_id)
        try:
            self.queue.defer(record.receipt_handle, seconds=seconds)
        except TransientError as error:
            # The visibility timeout brings it back anyway, only later.
            self.log.warning("message not deferred", code=error.code)


def _record(raw: dict[str, Any], *, parse: Callable[[str], Message], log: Log) -> _Record:
    attributes = raw["attributes"]
    try:
        message = parse(raw["body"])
    except PermanentError as error:
        log.crash("message cannot be read", error, message_id=raw["messageId"])
        log.count("MessageMalformed")
        message = None
    return _Record(
        message=message,
        message_id=raw["messageId"],
        receipt_handle=raw["receiptHandle"],
        group=attributes.get("MessageGroupId", ""),
        receives=int(attributes["ApproximateReceiveCount"]),
    )


def _heard(record: _Record) -> Heard:
    if not isinstance(record.message, FeedMessage):
        raise TypeError("only doorbells are heard")
    return Heard(
        message=record.message,
        message_id=record.message_id,
        receipt_handle=record.receipt_handle,
        receives=record.receives,
    )


def _backoff(receives: int) -> float:
    """5 s, 10 s, 20 s, ... up to five minutes."""
    doublings = min(receives - 1, 10)
    return min(BACKOFF_SECONDS * 2.0**doublings, BACKOFF_SECONDS_MAX)
