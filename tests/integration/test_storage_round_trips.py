"""Whatever the domain can say, the stores give back as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings

from shared.domain.calendar import Calendar
from shared.domain.connect import ConnectSession
from shared.domain.meeting import Meeting
from shared.storage import Stores
from tests.integration import storage_values as values

# The tables are shared by the examples of a test; each example overwrites or removes its row.
many = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@many
@given(calendar=values.calendars)
def test_calendars_return_unchanged(stores: Stores, calendar: Calendar) -> None:
    stores.calendars.delete(calendar.calendar_id)
    stores.calendars.add(calendar)

    assert calendar == stores.calendars.get(calendar.calendar_id)


@many
@given(meeting=values.meetings)
def test_meetings_return_unchanged(stores: Stores, meeting: Meeting) -> None:
    stores.meetings.delete(meeting.event.event_id)
    saved = stores.meetings.save(meeting)

    assert replace(meeting, version=1) == saved
    assert saved == stores.meetings.get(meeting.event.event_id)


@many
@given(session=values.sessions)
def test_sessions_return_unchanged(stores: Stores, session: ConnectSession) -> None:
    added = stores.sessions.get(session.session_id)
    stored = stores.sessions.save(replace(session, version=added.version if added else None))

    assert stored == stores.sessions.get(session.session_id)
    assert replace(stored, version=None) == session


@many
@given(document=values.documents)
def test_rules_documents_return_unchanged(stores: Stores, document: dict[str, Any]) -> None:
    stores.settings.put_rules("default", document, by="api", at=values.NOW)

    assert document == stores.settings.rules("default")
