"""Is the bot there? What a look after the start finds, and what it tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.bot_state import ABSENT, SCHEDULED
from shared.domain.watchdog import BotAnswer, Finding, Presence, finding, look_at

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
END = NOON + timedelta(minutes=30)
OUTSIDE = [SCHEDULED, "joining_call", "in_waiting_room"]
INSIDE = ["in_call_not_recording", "recording_permission_denied", "in_call_recording"]
ENDED = ["call_ended", "done", "fatal"]


def look(
    state: str, status: str | None, *, sub_code: str | None = None, minutes: float = 5
) -> Finding:
    answer = BotAnswer(status=status, sub_code=sub_code)
    now = NOON + timedelta(minutes=minutes)
    return finding(state, answer, start=NOON, end=END, now=now)


def told(found: Finding) -> tuple[Presence, str, str | None]:
    return found.presence, found.state, found.missed


@pytest.mark.parametrize("state", OUTSIDE)
@pytest.mark.parametrize(("minutes", "expected"), [(30, 5), (5, 5), (3, 3), (0, 0), (-1, 0)])
def test_a_look_is_due_five_minutes_after_the_start(
    state: str, minutes: int, expected: int
) -> None:
    end = NOON + timedelta(minutes=minutes)
    assert NOON + timedelta(minutes=expected) == look_at(state, start=NOON, end=end)


@pytest.mark.parametrize("state", [*INSIDE, *ENDED, ABSENT])
def test_who_reported_being_in_needs_no_look(state: str) -> None:
    assert None is look_at(state, start=NOON, end=END)


@pytest.mark.parametrize("state", [*OUTSIDE, ABSENT])
@pytest.mark.parametrize("status", INSIDE)
def test_a_bot_whose_reports_were_lost_is_there(state: str, status: str) -> None:
    assert Finding(presence=Presence.JOINED, state=status) == look(state, status)


@pytest.mark.parametrize("state", [*INSIDE, *ENDED])
@pytest.mark.parametrize("status", [None, "ready", "in_waiting_room", "in_call_recording"])
def test_an_answer_turns_nothing_back(state: str, status: str | None) -> None:
    assert Finding(presence=Presence.JOINED, state=state) == look(state, status)
    assert Finding(presence=Presence.JOINED, state=state) == finding(
        state, None, start=NOON, end=END, now=END
    )


@pytest.mark.parametrize("state", OUTSIDE)
def test_a_bot_that_recall_does_not_know_is_missed_once(state: str) -> None:
    found = finding(state, None, start=NOON, end=END, now=NOON)
    assert (Presence.NEVER_JOINED, ABSENT, "bot_unknown") == told(found)
    again = finding(found.state, None, start=NOON, end=END, now=NOON)
    assert (Presence.NEVER_JOINED, ABSENT, None) == told(again)


@pytest.mark.parametrize(
    ("state", "status", "furthest", "reason"),
    [
        (SCHEDULED, "joining_call", "joining_call", "bot_not_joined"),
        (SCHEDULED, "in_waiting_room", "in_waiting_room", "bot_not_admitted"),
        ("in_waiting_room", "joining_call", "in_waiting_room", "bot_not_admitted"),
    ],
)
def test_a_bot_at_the_door_is_watched_until_the_end(
    state: str, status: str, furthest: str, reason: str
) -> None:
    for minutes, again in [(5, 10), (20, 25), (28, 30)]:
        found = look(state, status, minutes=minutes)
        assert (Presence.WAITING, furthest, None) == told(found)
        assert NOON + timedelta(minutes=again) == found.look_at
    last = look(state, status, minutes=30)
    assert (Presence.NEVER_JOINED, ABSENT, reason) == told(last)
    assert None is last.look_at


@pytest.mark.parametrize("status", ["never_heard_of", "media_expired", "breakout_room_entered"])
@pytest.mark.parametrize("minutes", [5, 30])
def test_a_word_that_nobody_knows_is_no_alarm(status: str, minutes: int) -> None:
    assert (Presence.JOINED, SCHEDULED, None) == told(look(SCHEDULED, status, minutes=minutes))


@pytest.mark.parametrize("status", [None, "ready"])
def test_a_bot_that_was_not_sent_gets_ten_minutes(status: str | None) -> None:
    assert Presence.WAITING == look(SCHEDULED, status, minutes=5).presence
    assert Presence.WAITING == look(SCHEDULED, status, minutes=9.9).presence
    late = look(SCHEDULED, status, minutes=10)
    assert (Presence.NEVER_JOINED, ABSENT, "bot_not_sent") == told(late)


@pytest.mark.parametrize(
    ("status", "sub_code", "presence", "missed"),
    [
        ("fatal", "meeting_locked", Presence.NEVER_JOINED, "bot_failed"),
        ("fatal", None, Presence.NEVER_JOINED, "bot_failed"),
        ("call_ended", "bot_kicked_from_waiting_room", Presence.NEVER_JOINED, "bot_not_admitted"),
        ("call_ended", "call_ended_by_host", Presence.JOINED, None),
        ("call_ended", "bot_received_leave_call", Presence.JOINED, None),
        ("done", None, Presence.JOINED, None),
    ],
)
def test_a_bot_that_has_ended(
    status: str, sub_code: str | None, presence: Presence, missed: str | None
) -> None:
    found = look("in_waiting_room", status, sub_code=sub_code)
    assert (presence, status, missed) == told(found)
    assert sub_code == found.detail
    once_told = look(ABSENT, status, sub_code=sub_code)
    assert (presence, status, None) == told(once_told)


def test_a_miss_is_told_once_whatever_is_found_later() -> None:
    for status in (None, "joining_call", "in_waiting_room"):
        again = look(ABSENT, status, minutes=30)
        assert (Presence.NEVER_JOINED, ABSENT, None) == told(again)


def test_a_bot_is_waited_for_by_that_word() -> None:
    assert "waiting" == look(SCHEDULED, "joining_call").presence
