"""What a calendar's row and the host learn when Recall's view of it changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.domain.calendar import Calendar, CalendarStatus, Platform, RecallCalendar
from shared.flows.calendars import DELETED_AT_RECALL, status_changes, status_notices
from shared.flows.landing import EPOCH, RECONNECTING

NOW = datetime(2027, 3, 1, tzinfo=UTC)
CONNECTING, CONNECTED, DISCONNECTED = CalendarStatus
KNOWN = Calendar(
    calendar_id="c",
    tenant_id="t",
    entity_id="e",
    platform=Platform.GOOGLE,
    email=None,
    status=CONNECTED,
    created_at=NOW,
    updated_at=NOW,
)


def shown(status: CalendarStatus, reason: str | None = None) -> RecallCalendar:
    return RecallCalendar(
        calendar_id="c",
        platform=Platform.GOOGLE,
        email=None,
        status=status,
        status_reason=reason,
        created_at=NOW,
        updated_at=NOW,
    )


@pytest.mark.parametrize(
    ("before", "reason", "after", "notices", "full_read"),
    [
        (CONNECTED, None, shown(CONNECTED), [], False),
        (CONNECTING, None, shown(CONNECTED), ["calendar.connected"], False),
        (CONNECTING, RECONNECTING, shown(CONNECTED), ["calendar.connected"], True),
        (DISCONNECTED, "x", shown(CONNECTED), ["calendar.connected"], True),
        (CONNECTED, None, shown(DISCONNECTED, "x"), ["calendar.disconnected"], True),
        (CONNECTING, None, shown(DISCONNECTED, "x"), ["calendar.disconnected"], True),
        (DISCONNECTED, "x", shown(DISCONNECTED, "y"), [], False),
        (DISCONNECTED, "x", shown(CONNECTING), [], False),
        (CONNECTING, RECONNECTING, shown(CONNECTING), [], False),
        (CONNECTED, None, None, ["calendar.disconnected"], True),
        (DISCONNECTED, DELETED_AT_RECALL, None, [], False),
    ],
)
def test_changes_and_notices(before, reason, after, notices, full_read):
    known = replace(KNOWN, status=before, status_reason=reason)
    changes = status_changes(known, after)
    told = status_notices(known, changes, now=NOW) if changes else ()
    assert [notice.TYPE for notice in told] == notices
    assert (changes.get("read_since") == EPOCH) is full_read
    settled = replace(known, **changes) if changes else known
    assert status_changes(settled, after) == {}


def test_a_reconnect_that_recall_still_works_on_keeps_its_mark():
    known = replace(KNOWN, status=CONNECTING, status_reason=RECONNECTING)
    assert status_changes(known, shown(CONNECTING)) == {}


def test_a_disconnect_during_a_reconnect_is_still_cut_off():
    known = replace(KNOWN, status=DISCONNECTED, status_reason="x")
    assert status_changes(known, shown(CONNECTING))["status_reason"] == RECONNECTING
