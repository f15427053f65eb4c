"""Events out: what we say is what docs/events describes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from shared.domain.calendar import Platform
from shared.domain.notice import (
    BotCancelled,
    BotRescheduled,
    BotScheduled,
    BotStatus,
    CalendarConnected,
    CalendarDeleted,
    CalendarDisconnected,
    MeetingMissed,
    notice_detail,
)

SCHEMAS = Path(__file__).parents[2] / "docs" / "events"
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
CALENDAR = {"tenant_id": "t", "entity_id": "e", "calendar_id": "c", "occurred_at": NOON}
BOT = {**CALENDAR, "event_id": "v", "bot_id": "b"}
GOOGLE = Platform.GOOGLE
NOTICES = [
    CalendarConnected(**CALENDAR, platform=GOOGLE),
    CalendarDisconnected(**CALENDAR, platform=GOOGLE, reason=None),
    CalendarDeleted(**CALENDAR, platform=Platform.MICROSOFT),
    BotScheduled(**BOT, start_time=NOON, join_at=NOON, reason="base.all"),
    BotRescheduled(**BOT, start_time=NOON, join_at=NOON),
    BotCancelled(**BOT, reason="rsvp"),
    BotStatus(**BOT, code="fatal", sub_code="meeting_not_found"),
    BotStatus(**BOT, code="recording.done", sub_code=None, recording_id="r"),
    MeetingMissed(**CALENDAR, event_id="v", start_time=NOON, reason="recall_refused"),
    MeetingMissed(
        **CALENDAR, event_id="v", start_time=NOON, reason="bot_failed", detail="meeting_locked"
    ),
]


@pytest.mark.parametrize("notice", NOTICES, ids=lambda notice: notice.TYPE)
def test_the_detail_is_what_its_schema_says(notice):
    schema = json.loads((SCHEMAS / f"{notice.TYPE}.json").read_text())
    detail = json.loads(json.dumps(notice_detail(notice)))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(detail, schema, cls=jsonschema.Draft202012Validator)
    assert set(schema["properties"]) == set(detail)
    assert set(schema["required"]) == set(detail)


def test_every_schema_has_its_notice():
    assert {path.stem for path in SCHEMAS.glob("*.json")} == {notice.TYPE for notice in NOTICES}


def test_a_repetition_has_the_same_id_and_another_fact_another():
    first = CalendarDeleted(**CALENDAR, platform=GOOGLE)
    again = CalendarDeleted(**CALENDAR, platform=GOOGLE)
    other = CalendarDeleted(**{**CALENDAR, "calendar_id": "d"}, platform=GOOGLE)
    assert notice_detail(first)["id"] == notice_detail(again)["id"]
    assert notice_detail(first)["id"] != notice_detail(other)["id"]
