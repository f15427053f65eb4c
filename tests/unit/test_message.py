"""Queue messages: their JSON, their groups, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.message import (
    BotEvent,
    CalendarUpdate,
    FeedChanged,
    Tick,
    WorkDue,
    encode,
    message_group,
)
from shared.errors import PermanentError
from shared.queue import parse

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
BOT = BotEvent(
    event="bot.done",
    bot_id="b1",
    code="done",
    sub_code=None,
    updated_at=NOON.replace(microsecond=18265),
    metadata={"meeting": "é\ud800"},
)
LEGACY = replace(BOT, metadata=None)
RECORDING = replace(BOT, event="recording.done", recording_id="r1")
MESSAGES = [
    FeedChanged(received_at=NOON, calendar_id="c1"),
    FeedChanged(received_at=NOON),
    Tick(scheduled_at=NOON),
    WorkDue(received_at=NOON),
    CalendarUpdate(calendar_id="c1", received_at=NOON),
    BOT,
    LEGACY,
    RECORDING,
]


ENDED = replace(BOT, sub_code="call_ended_by_host")


@pytest.mark.parametrize("message", [*MESSAGES, ENDED], ids=lambda message: type(message).__name__)
def test_a_message_survives_the_queue_in_plain_ascii(message):
    body = encode(message)
    assert body.isascii()
    assert message == parse(body)


def test_the_json_is_what_the_template_and_other_senders_write():
    assert json.loads(encode(MESSAGES[0])) == {
        "type": "feed.changed",
        "received_at": "2027-03-01T12:00:00Z",
        "calendar_id": "c1",
    }
    assert Tick(scheduled_at=NOON) == parse('{"type":"tick","scheduled_at":"2027-03-01T12:00:00Z"}')


def test_doorbells_share_a_group_and_payloads_do_not():
    assert [message_group(message) for message in MESSAGES] == [
        "feed", "feed", "feed", "feed", "calendar:c1", "bot:b1", "bot:b1", "bot:b1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "[]", "null", '"tick"', "{}", '{"type":"nonsense"}', '{"type":["tick"]}',
        '{"type":"tick"}', '{"type":"tick","scheduled_at":"yesterday"}',
        '{"type":"tick","scheduled_at":1}', '{"type":"tick","scheduled_at":"2027-03-01T12:00:00"}',
        '{"type":"calendar.update","calendar_id":"","received_at":"2027-03-01T12:00:00Z"}',
        '{"type":"feed.changed","calendar_id":7,"received_at":"2027-03-01T12:00:00Z"}',
        '{"type":"bot.event","bot_id":"b"}', "[" * 100_000,
    ],
)  # fmt: skip
def test_malformed_bodies_are_for_an_operator(body):
    with pytest.raises(PermanentError) as caught:
        parse(body)
    assert caught.value.code == "message_malformed"


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_json_is_a_message_or_malformed(value):
    with suppress(PermanentError):
        parse(json.dumps(value))


def test_a_message_of_an_older_sender_names_no_recording():
    body = json.loads(encode(BOT))
    del body["recording_id"]
    assert BOT == parse(json.dumps(body))
