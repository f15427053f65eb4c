"""The queue edge: what comes back, when, and that one group never harms another."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from shared.domain.message import BotEvent, CalendarUpdate, FeedChanged, Tick, encode, message_group
from shared.entrypoints.queue import Verdict, answer
from shared.errors import PermanentError, TransientError
from shared.observability import Log

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


class FakeQueue:
    """Remembers for how long each message was put off."""

    def __init__(self, *, refuses=False):
        self.waits = {}
        self.refuses = refuses

    def defer(self, receipt_handle, *, seconds):
        if self.refuses:
            raise TransientError("queue_unavailable", "no")
        self.waits[receipt_handle] = seconds


def record(message_id, message, *, receives=1, body=None, group=None):
    """As Lambda delivers it from a FIFO queue."""
    return {
        "messageId": message_id,
        "receiptHandle": message_id,
        "body": encode(message) if body is None else body,
        "attributes": {
            "ApproximateReceiveCount": str(receives),
            "SentTimestamp": "1803902400000",
            "SequenceNumber": "18849496460467696128",
            "MessageGroupId": message_group(message) if group is None else group,
            "SenderId": "AIDAIO23YVJENQZJOL4VO",
            "MessageDeduplicationId": "msg_1",
            "ApproximateFirstReceiveTimestamp": "1803902400001",
        },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:doorbell.fifo",
        "awsRegion": "eu-central-1",
    }


def bot(bot_id, code="done"):
    return BotEvent(event=f"bot.{code}", bot_id=bot_id, code=code, sub_code=None, updated_at=NOON)


BELL = record("f1", FeedChanged(received_at=NOON))
TICK = record("f2", Tick(scheduled_at=NOON), receives=3)


@pytest.fixture
def queue():
    return FakeQueue()


@pytest.fixture
def run(queue):
    def call(*records, feed=lambda heard: Verdict(), single=lambda message: None, **more):
        log = Log("queue-edge", stream=io.StringIO())
        reply = answer(
            {"Records": list(records)}, feed=feed, single=single, queue=queue, log=log, **more
        )
        return [failure["itemIdentifier"] for failure in reply["batchItemFailures"]]

    return call


def failing(error):
    def fail(_):
        raise error

    return fail


def test_doorbells_are_answered_together(run):
    calls = []

    def feed(heard):
        calls.append([(bell.message_id, bell.receives) for bell in heard])
        return Verdict()

    assert run(BELL, record("b1", bot("b")), TICK, feed=feed) == []
    assert calls == [[("f1", 1), ("f2", 3)]]


def test_without_doorbells_the_feed_is_left_alone(run):
    assert run(record("b1", bot("b")), feed=failing(AssertionError())) == []


def test_deferred_doorbells_all_come_back_at_one_time(run, queue):
    assert run(BELL, TICK, feed=lambda heard: Verdict(retry_in=2.5)) == ["f1", "f2"]
    assert queue.waits == {"f1": 2.5, "f2": 2.5}


def test_singles_are_answered_in_order(run):
    heard = []
    update = CalendarUpdate(calendar_id="c", received_at=NOON)
    run(record("b1", bot("b")), record("c1", update), record("b2", bot("b", "fatal")),
        single=heard.append)  # fmt: skip
    assert heard == [bot("b"), update, bot("b", "fatal")]


def test_after_a_failure_the_rest_of_its_group_comes_back_too(run, queue):
    heard = []

    def single(message):
        heard.append((message.bot_id, message.code))
        if message == bot("a", "joining_call"):
            raise TransientError("storage_unavailable", "no", retry_after=7)

    failed = run(
        record("a1", bot("a", "joining_call")),
        record("b1", bot("b")),
        record("a2", bot("a", "done")),
        BELL,
        single=single,
    )
    assert failed == ["a1", "a2"]
    assert heard == [("a", "joining_call"), ("b", "done")]
    assert queue.waits == {"a1": 7, "a2": 7}


@pytest.mark.parametrize(("receives", "wait"), [(1, 5), (2, 10), (4, 40), (7, 300), (5000, 300)])
def test_without_a_word_when_the_wait_grows(run, queue, *, receives, wait):
    error = TransientError("storage_unavailable", "no")
    assert run(record("b1", bot("b"), receives=receives), single=failing(error)) == ["b1"]
    assert queue.waits == {"b1": wait}


@pytest.mark.parametrize(
    "error", [PermanentError("recall_unauthorized", "no"), ZeroDivisionError("secret")]
)
def test_a_bug_or_an_operators_error_stays_with_its_message(run, queue, error, capsys):
    def single(message):
        if message == bot("a"):
            raise error

    failed = run(record("a1", bot("a")), BELL, record("b1", bot("b")), single=single)
    assert failed == ["a1"]
    assert queue.waits == {"a1": 5}
    assert "MessageFailed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "wait"),
    [(TransientError("recall_unavailable", "no", retry_after=30), 30), (KeyError("bug"), 5)],
)
def test_a_feed_that_fails_leaves_the_singles_alone(run, queue, *, error, wait):
    heard = []
    assert run(BELL, record("b1", bot("b")), feed=failing(error), single=heard.append) == ["f1"]
    assert queue.waits == {"f1": wait}
    assert heard == [bot("b")]


def test_a_malformed_message_comes_back_at_once_with_what_follows_it(run, queue, capsys):
    failed = run(
        record("a1", bot("a"), body="{"),
        record("a2", bot("a")),
        record("b1", bot("b")),
        record("f0", Tick(scheduled_at=NOON), body="[]"),
        BELL,
    )
    assert failed == ["a1", "a2", "f0"]
    assert queue.waits == {"a1": 0, "a2": 0, "f0": 0}
    assert capsys.readouterr().out.count('"MessageMalformed":[1.0]') == 2


def test_what_no_time_remains_for_comes_back_at_once(run, queue):
    left = iter([30.0, 9.0])
    heard = []
    failed = run(record("a1", bot("a")), record("b1", bot("b")), record("b2", bot("b")),
                 single=heard.append, seconds_left=lambda: next(left))  # fmt: skip
    assert failed == ["b1", "b2"]
    assert heard == [bot("a")]
    assert queue.waits == {"b1": 0, "b2": 0}


def test_a_queue_that_cannot_defer_still_gets_its_messages_back(run, queue):
    queue.refuses = True
    assert run(BELL, feed=lambda heard: Verdict(retry_in=2)) == ["f1"]
