"""What bots report, from Recall's delivery to the row and the host."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from moto import mock_aws

from shared.domain.decision import Decision
from shared.domain.meeting import Assignment, Meeting
from tests.deliveries import PAYLOADS, compact, headers, payload
from tests.stack import GOOGLE, START, WEBHOOK_SECRET, Stack

OWNER = "owner@acme.example"
GUEST = "guest@globex.example"
MEET = "https://meet.google.com/qkr-wzpn-abt"
NINE = START + timedelta(hours=3)


def add(stack: Stack, email: str = OWNER, **facts: Any) -> None:
    wanted = {"start": NINE, "link": MEET, "attendees": [GUEST], **facts}
    stack.recall.account(GOOGLE, email).add_event("Kickoff", **wanted)


def rows(stack: Stack) -> list[Meeting]:
    calendars = stack.stores.calendars.every(limit=100).items
    return [
        row
        for calendar in calendars
        for row in stack.stores.meetings.of_calendar(calendar.calendar_id, limit=100).items
    ]


def assigned(row: Meeting) -> Assignment:
    assert row.assignment is not None
    return row.assignment


class Scene:
    """One meeting with its bot, put back to `scheduled` before each report."""

    def __init__(self) -> None:
        self.stack = Stack()
        add(self.stack)
        self.calendar_id = self.stack.connect()
        self.stack.run(10)
        (self.row,) = rows(self.stack)
        self.assignment = assigned(self.row)
        (self.bot,) = self.stack.recall.live_bots()
        self._deliveries = itertools.count(1)

    def reset(self) -> None:
        self.stack.recall.outage = None
        self.put(assignment=self.assignment, released=frozenset())
        self.stack.notices.clear()
        self.stack.recall.calls.clear()

    def put(self, **changes: Any) -> None:
        """The row as it was at first, but for these."""
        now = self.stack.stores.meetings.get(self.row.event.event_id)
        version = None if now is None else now.version
        self.stack.stores.meetings.save(replace(self.row, version=version, **changes))

    def deliver(self, body: bytes) -> None:
        now = self.stack.clock.now()
        name = f"msg_{next(self._deliveries)}"
        signed = headers(body, secret=WEBHOOK_SECRET, delivery_id=name, now=now)
        assert 204 == self.stack._deliver(SimpleNamespace(headers=signed, body=body))

    def report(self, code: str, **facts: Any) -> None:
        """A report of the bot, from now unless told otherwise."""
        at = facts.get("at") or self.stack.clock.now()
        bot_id = facts.get("bot_id", self.bot.bot_id)
        status = {"code": code, "sub_code": facts.get("sub_code"), "updated_at": at.isoformat()}
        metadata = facts.get("metadata", self.bot.metadata)
        bot = {"id": bot_id, "metadata": dict(metadata)}
        self.deliver(compact({"event": f"bot.{code}", "data": {"data": status, "bot": bot}}))

    def legacy_report(self, code: str, *, bot_id: str) -> None:
        at = self.stack.clock.now().isoformat()
        status = {"code": code, "sub_code": None, "message": None, "created_at": at}
        body = {"event": "bot.status_change", "data": {"bot_id": bot_id, "status": status}}
        self.deliver(compact(body))

    def state(self) -> str | None:
        row = self.stack.stores.meetings.get(self.row.event.event_id)
        return row.assignment.state if row and row.assignment else None

    def told(self) -> list[str]:
        return [detail.get("code", detail.get("reason")) for _, detail in self.stack.notices]

    def asked(self) -> list[str | None]:
        return [call.endpoint for call in self.stack.recall.calls]

    def at_rest(self) -> bool:
        return [] == self.stack.queue.messages == self.stack.queue.dead


@pytest.fixture(scope="module")
def shared_scene() -> Iterator[Scene]:
    with mock_aws():
        yield Scene()


@pytest.fixture
def scene(shared_scene: Scene) -> Scene:
    shared_scene.reset()
    return shared_scene


def in_state(code: str, *, told: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"state": code, "told": [code, *told]}


def recorded(code: str) -> dict[str, Any]:
    return {"recording": code, "told": [f"recording.{code}"]}


def told_only(code: str) -> dict[str, Any]:
    return {"told": [code]}


# What each delivery of the reference does to a meeting whose bot is scheduled.
EFFECTS: dict[str, dict[str, Any]] = {
    "bot.breakout_room_closed": told_only("breakout_room_closed"),
    "bot.breakout_room_entered": told_only("breakout_room_entered"),
    "bot.breakout_room_left": told_only("breakout_room_left"),
    "bot.breakout_room_opened": told_only("breakout_room_opened"),
    "bot.call_ended": in_state("call_ended"),
    "bot.done": in_state("done"),
    "bot.fatal": in_state("fatal", told=("bot_failed",)),
    "bot.in_call_not_recording": in_state("in_call_not_recording"),
    "bot.in_call_recording": in_state("in_call_recording"),
    "bot.in_waiting_room": in_state("in_waiting_room"),
    "bot.joining_call": in_state("joining_call"),
    "bot.recording_permission_allowed": in_state("recording_permission_allowed"),
    "bot.recording_permission_denied": in_state("recording_permission_denied"),
    "calendar.sync_events": {"asked": ["calendar_events_list"]},
    "calendar.update": {"asked": ["calendars_retrieve"]},
    "legacy.bot.log": {},
    "legacy.bot.output_log": {},
    "legacy.bot.status_change": {**in_state("done"), "asked": ["bot_retrieve"]},
    "recording.deleted": recorded("deleted"),
    "recording.done": recorded("done"),
    "recording.failed": recorded("failed"),
    "recording.paused": recorded("paused"),
    "recording.processing": recorded("processing"),
}
NO_EFFECT = {"state": "scheduled", "recording": None, "told": [], "asked": []}


def of_ours(name: str, scene: Scene) -> bytes:
    """The reference payload about our calendar and bot."""
    body = json.loads(payload(name))
    data = body["data"]
    if "calendar_id" in data:
        data["calendar_id"] = scene.calendar_id
    if "bot_id" in data:
        data["bot_id"] = scene.bot.bot_id
    if "bot" in data:
        data["bot"] = {"id": scene.bot.bot_id, "metadata": dict(scene.bot.metadata)}
    return compact(body)


def test_every_payload_of_the_reference_has_its_effect() -> None:
    assert {path.stem for path in PAYLOADS.glob("*.json")} == set(EFFECTS)


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_what_a_delivery_does(scene: Scene, name: str) -> None:
    scene.deliver(of_ours(name, scene))
    scene.stack.run()
    row = scene.stack.stores.meetings.get(scene.row.event.event_id)
    assert row is not None
    assert {**NO_EFFECT, **EFFECTS[name]} == {
        "state": assigned(row).state,
        "recording": assigned(row).recording,
        "told": scene.told(),
        "asked": scene.asked(),
    }
    assert scene.at_rest()


@pytest.mark.parametrize("name", ["recording.failed", "bot.recording_permission_denied"])
def test_the_host_hears_why_and_of_which_recording(scene: Scene, name: str) -> None:
    scene.deliver(of_ours(name, scene))
    scene.stack.run()
    ((_, detail),) = scene.stack.notices
    data = json.loads(payload(name))["data"]
    error = data["data"].get("error", {}).get("code")
    expected = (data["data"]["sub_code"] or error, data.get("recording", {}).get("id"))
    assert expected == (detail["sub_code"], detail["recording_id"])


def test_a_report_before_its_assignment_waits_for_it(scene: Scene) -> None:
    scene.put(assignment=None)
    scene.report("joining_call")
    scene.report("in_call_recording")
    scene.stack.run(7)
    assert [] == scene.told()
    scene.put(assignment=scene.assignment)
    scene.stack.run(5)
    assert ["joining_call", "in_call_recording"] == scene.told()
    assert "in_call_recording" == scene.state()
    assert scene.at_rest()


@pytest.mark.parametrize("ahead", [-100, 0, 100])
def test_a_report_whose_assignment_never_comes_is_let_go(scene: Scene, ahead: int) -> None:
    scene.put(assignment=None)
    for _ in range(5):
        scene.report("joining_call", at=scene.stack.clock.now() + timedelta(seconds=ahead))
        scene.stack.run(20)
    scene.stack.run(600)
    assert [] == scene.told()
    assert scene.at_rest()


@pytest.mark.parametrize("minutes", [-3, 3, 60 * 24 * 365])
def test_a_report_from_another_time_is_not_waited_for(scene: Scene, minutes: int) -> None:
    scene.put(assignment=None)
    scene.report("joining_call", at=scene.stack.clock.now() + timedelta(minutes=minutes))
    scene.stack.run()
    assert scene.at_rest()


def test_a_bot_that_was_replaced_is_ignored(scene: Scene) -> None:
    other = replace(scene.assignment, bot_id="another-bot")
    scene.put(assignment=other, released=frozenset({scene.bot.bot_id}))
    scene.report("in_call_recording")
    scene.stack.run()
    assert ("scheduled", []) == (scene.state(), scene.told())
    assert scene.at_rest()


def test_a_bot_under_an_older_key_is_found_by_its_event(scene: Scene) -> None:
    scene.put(assignment=replace(scene.assignment, deduplication_key="r1|default|other|now"))
    scene.report("in_call_recording")
    scene.stack.run()
    assert ("in_call_recording", ["in_call_recording"]) == (scene.state(), scene.told())


def test_a_bot_posted_for_another_copy_is_found_by_its_key(scene: Scene) -> None:
    metadata = {**scene.bot.metadata, "rollcall_event": "of-another-calendar"}
    scene.report("in_call_recording", metadata=metadata)
    scene.stack.run()
    assert "in_call_recording" == scene.state()


@pytest.mark.parametrize(
    "metadata",
    [{}, {"workspace": "demo"}, {"rollcall_meeting": ""}, {"rollcall_meeting": "x" * 5_000},
     {"rollcall_meeting": "r1|no|such|meeting", "rollcall_event": "no-such-event"}],
)  # fmt: skip
def test_bots_that_are_not_ours_are_ignored(scene: Scene, metadata: dict[str, str]) -> None:
    scene.report("in_call_recording", bot_id="stranger", metadata=metadata)
    scene.stack.run()
    assert ("scheduled", [], []) == (scene.state(), scene.told(), scene.asked())
    assert scene.at_rest()


def test_a_stranger_of_the_older_api_is_looked_up_and_ignored(scene: Scene) -> None:
    scene.legacy_report("done", bot_id="2bfb5078-80b1-52da-80a2-b7db870259ae")
    scene.stack.run()
    assert (["bot_retrieve"], []) == (scene.asked(), scene.told())
    assert scene.at_rest()


def test_a_report_of_the_older_api_outlives_an_outage(scene: Scene) -> None:
    scene.stack.recall.outage = 503
    scene.legacy_report("in_waiting_room", bot_id=scene.bot.bot_id)
    scene.stack.run(60)
    assert [] == scene.told()
    scene.stack.recall.outage = None
    scene.stack.run(120)
    assert ["in_waiting_room"] == scene.told()
    assert scene.at_rest()


def test_a_meeting_that_nobody_wants_is_not_missed(scene: Scene) -> None:
    scene.put(decision=replace(scene.row.decision, join=False))
    scene.report("fatal", sub_code="meeting_locked")
    scene.stack.run()
    assert ["fatal"] == scene.told()


@pytest.mark.parametrize("wanted", [True, False])
def test_a_report_that_comes_after_a_look_at_the_end(scene: Scene, wanted: bool) -> None:
    """By then the row says only that the meeting is over, and whether a bot was wanted."""
    scene.put(decision=Decision(join=False, reason="ineligible.ended"), wanted=wanted)
    scene.report("fatal", sub_code="meeting_locked")
    scene.stack.run()
    assert ["fatal", *["bot_failed"] * wanted] == sorted(scene.told(), reverse=True)
    row = scene.stack.stores.meetings.get(scene.row.event.event_id)
    assert row is not None
    assert ("bot_failed" if wanted else None) == assigned(row).missed


# Who was in, for the count of the day.


def test_a_bot_that_was_not_let_in_is_remembered_as_missed(scene: Scene) -> None:
    scene.report("in_waiting_room")
    scene.stack.run(1)
    for code, sub_code in (("call_ended", "timeout_exceeded_waiting_room"), ("done", None)):
        scene.report(code, sub_code=sub_code)
        scene.stack.run(1)
    row = scene.stack.stores.meetings.get(scene.row.event.event_id)
    assert row is not None
    assert ("done", "bot_not_admitted", "timeout_exceeded_waiting_room") == (
        assigned(row).state,
        assigned(row).missed,
        assigned(row).missed_detail,
    )


def test_a_bot_that_comes_after_all_is_missed_no_more(scene: Scene) -> None:
    absent = replace(scene.assignment, state="absent", missed="bot_not_joined")
    scene.put(assignment=absent)
    scene.report("in_call_recording")
    scene.stack.run(1)
    row = scene.stack.stores.meetings.get(scene.row.event.event_id)
    assert row is not None
    assert ("in_call_recording", None) == (assigned(row).state, assigned(row).missed)
