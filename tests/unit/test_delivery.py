"""What each kind of delivery becomes on the queue."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.webhooks.delivery import REPORTS, UnreadableError, message_of
from shared.domain.message import BotEvent, CalendarUpdate, FeedChanged
from tests.deliveries import NOW, PAYLOADS, compact, payload

CALENDAR = "0512a606-f31c-58ad-8692-f62ffc95b96f"
BOT = "2bfb5078-80b1-52da-80a2-b7db870259ae"
METADATA = {"event_id": "8fb0aabf-5b91-5dd0-b9f8-286dc6c62a6d", "workspace": "demo"}


def read(body):
    return message_of(body, received_at=NOW)


def test_calendar_events():
    assert read(payload("calendar.sync_events")) == FeedChanged(
        received_at=NOW, calendar_id=CALENDAR
    )
    assert read(payload("calendar.update")) == CalendarUpdate(received_at=NOW, calendar_id=CALENDAR)


def test_a_bot_event():
    assert read(payload("bot.fatal")) == BotEvent(
        event="bot.fatal",
        bot_id=BOT,
        code="fatal",
        sub_code="meeting_not_found",
        updated_at=datetime(2027, 3, 3, 9, 0, 33, 290_771, tzinfo=UTC),
        metadata=METADATA,
    )


def test_the_older_status_change_means_the_same():
    assert read(payload("legacy.bot.status_change")) == BotEvent(
        event="bot.done",
        bot_id=BOT,
        code="done",
        sub_code=None,
        updated_at=datetime(2027, 3, 3, 9, 33, 40, 18_265, tzinfo=UTC),
        metadata=None,
    )


def test_a_recording_event():
    assert read(payload("recording.failed")) == BotEvent(
        event="recording.failed",
        bot_id=BOT,
        code="failed",
        sub_code="recording_errored",
        updated_at=datetime(2027, 3, 3, 9, 33, 13, 500_500, tzinfo=UTC),
        metadata=METADATA,
        recording_id="487f94bb-3999-56fb-9c4c-ef90077525f7",
    )


REPORT_FILES = sorted([*PAYLOADS.glob("bot.*.json"), *PAYLOADS.glob("recording.*.json")])


@pytest.mark.parametrize("path", REPORT_FILES, ids=lambda path: path.stem)
def test_every_known_report_is_queued(path):
    message = read(path.read_bytes())
    assert isinstance(message, BotEvent)
    kind, _, code = path.stem.partition(".")
    assert (message.event, message.code) == (path.stem, code)
    assert message.about_recording == (kind == "recording")


def test_every_known_report_has_a_payload_here():
    assert {path.stem for path in REPORT_FILES} == REPORTS


@pytest.mark.parametrize("name", ["legacy.bot.log", "legacy.bot.output_log"])
def test_events_that_mean_nothing_to_us(name):
    assert read(payload(name)) is None


@pytest.mark.parametrize("event", ["bot.invented", "recording.invented"])
def test_a_report_that_recall_adds_is_news_when_it_reads_like_one(event):
    body = json.loads(payload("recording.done"))
    message = read(compact(body | {"event": event}))
    assert isinstance(message, BotEvent)
    assert message.event == event


@pytest.mark.parametrize(
    "event", ["transcript.done", "bot.invented", "recording.invented", "calendar.delete", ""]
)
def test_events_that_nobody_has_heard_of(event):
    assert read(compact({"event": event, "data": {}})) is None


@pytest.mark.parametrize("error", [None, "text", {}, {"code": 7}, {"code": ""}])
def test_a_recording_may_fail_without_a_word(error):
    body = json.loads(payload("recording.failed"))
    body["data"]["data"]["error"] = error
    assert read(compact(body)).sub_code is None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b"{}", b'{"event":"calendar.update"}',
        b'{"event":7,"data":{}}', b'{"event":"calendar.update","data":[]}',
        b'{"event":"calendar.update","data":{}}',
        b'{"event":"calendar.sync_events","data":{"calendar_id":null}}',
        b'{"event":"calendar.sync_events","data":{"calendar_id":""}}',
        b'{"event":"bot.done","data":{"bot":{"id":"b"}}}',
        b'{"event":"bot.done","data":{"bot":{},"data":{"code":"done"}}}',
        b'{"event":"bot.done","data":{"bot":"b","data":{"code":"done"}}}',
        b'{"event":"bot.done","data":{"bot":{"id":"b"},"data":{"code":"done","sub_code":7}}}',
        b'{"event":"bot.status_change","data":{"bot_id":"b"}}',
        b'{"event":"recording.done","data":{"bot":{"id":"b"},"data":{"code":"done"}}}',
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_so(body):
    with pytest.raises(UnreadableError):
        read(body)


def test_a_bot_event_without_a_time_counts_from_when_it_came():
    body = compact(
        {
            "event": "bot.done",
            "data": {"bot": {"id": "b"}, "data": {"code": "done", "updated_at": 7}},
        }
    )
    assert read(body).updated_at == NOW


@given(st.sampled_from(sorted(REPORTS | {"bot.status_change", "calendar.update"})),
       st.recursive(st.none() | st.booleans() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(
                        st.sampled_from(["bot", "data", "id", "code", "status", "calendar_id"])
                        | st.text(), inner)))  # fmt: skip
def test_any_data_is_a_message_or_unreadable(event, data):
    try:
        read(json.dumps({"event": event, "data": data}).encode())
    except UnreadableError:
        return
