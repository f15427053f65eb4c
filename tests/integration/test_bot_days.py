"""A day with every kind of meeting, watched from its end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from moto import mock_aws

from infra.local.emulators.recall.fleet import Fate
from infra.local.emulators.recall.switches import Switches
from shared.domain.meeting import Meeting
from tests.stack import GOOGLE, START, Stack

OWNER = "owner@acme.example"
GUEST = "guest@globex.example"
NOON = START + timedelta(hours=3)

FATES = {
    "well": None,
    "no room": Fate("joining", "meeting_not_found"),
    "turned away": Fate("waiting_room", "bot_kicked_from_waiting_room"),
    "left waiting": Fate("waiting_room", "timeout_exceeded_waiting_room"),
    "no consent": Fate("permission", "zoom_local_recording_request_denied_by_host"),
    "lost tape": Fate("recording", "recording_errored"),
}
ENDS = {
    "well": ("done", "done", None),
    "no room": ("fatal", None, ("bot_failed", "meeting_not_found")),
    "turned away": ("done", None, ("bot_not_admitted", "bot_kicked_from_waiting_room")),
    "left waiting": ("done", None, ("bot_not_admitted", "timeout_exceeded_waiting_room")),
    "no consent": ("done", None, None),
    "lost tape": ("done", "failed", None),
}
LINKS = {
    title: f"https://meet.google.com/qkr-wzpn-ab{letter}"
    for title, letter in zip(FATES, "abcdef", strict=True)
}
WORLDS = {
    "new payloads": Switches(),
    "old payloads": Switches(legacy_bot_webhooks=True),
    "out of order": Switches(webhooks_unordered=True),
}


@pytest.fixture(scope="module", params=sorted(WORLDS))
def day(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with mock_aws():
        stack = Stack(switches=WORLDS[request.param])
        owner = stack.recall.account(GOOGLE, OWNER)
        for title, fate in FATES.items():
            owner.add_event(title, start=NOON, link=LINKS[title], attendees=[GUEST])
            if fate is not None:
                stack.recall.fleet.fates[LINKS[title]] = fate
        stack.connect()
        stack.run(5 * 3600)
        yield stack


def named(stack: Stack, title: str) -> Meeting:
    (calendar,) = stack.stores.calendars.every(limit=100).items
    found = stack.stores.meetings.of_calendar(calendar.calendar_id, limit=100).items
    (row,) = [row for row in found if row.event.title == title]
    return row


@pytest.mark.parametrize("title", sorted(FATES))
def test_how_a_bot_ends(day: Stack, title: str) -> None:
    row = named(day, title)
    missed = [
        (detail["reason"], detail["detail"])
        for name, detail in day.notices
        if name == "meeting.missed" and detail["event_id"] == row.event.event_id
    ]
    state, recording, expected = ENDS[title]
    assert row.assignment is not None
    assert (state, recording) == (row.assignment.state, row.assignment.recording)
    assert ([] if expected is None else [expected]) == missed


def test_a_day_leaves_nothing_behind(day: Stack) -> None:
    assert [] == day.queue.messages
    assert [] == day.queue.dead
