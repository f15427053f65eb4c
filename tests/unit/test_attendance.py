"""Was the bot in the meeting? Every sub code that Recall publishes, and those it will add."""

from __future__ import annotations

import pytest

from shared.domain.attendance import Attendance, attendance, missed_reason
from shared.domain.bot_state import ABSENT, SCHEDULED

NOT_ADMITTED = [
    "call_ended_by_platform_waiting_room_timeout",
    "timeout_exceeded_waiting_room",
    "bot_kicked_from_waiting_room",
    "google_meet_some_waiting_room_rule",
]
WERE_IN = [
    "call_ended_by_host",
    "call_ended_by_platform_idle",
    "call_ended_by_platform_max_length",
    "timeout_exceeded_noone_joined",
    "timeout_exceeded_everyone_left",
    "timeout_exceeded_silence_detected",
    "timeout_exceeded_only_bots_detected_using_participant_names",
    "timeout_exceeded_only_bots_detected_using_participant_events",
    "timeout_exceeded_in_call_not_recording",
    "timeout_exceeded_in_call_recording",
    "timeout_exceeded_recording_permission_denied",
    "timeout_exceeded_max_duration",
    "bot_kicked_from_call",
]
FATAL = [
    "bot_errored",
    "meeting_not_found",
    "meeting_not_started",
    "meeting_requires_registration",
    "meeting_requires_sign_in",
    "meeting_link_expired",
    "meeting_link_invalid",
    "meeting_password_incorrect",
    "meeting_locked",
    "meeting_full",
    "meeting_ended",
    "failed_to_launch_in_time",
    "zoom_never_heard_of",
    "google_meet_never_heard_of",
    "microsoft_teams_never_heard_of",
    "webex_never_heard_of",
    None,
]
OUTSIDE = [SCHEDULED, "joining_call", "in_waiting_room"]
INSIDE = ["in_call_not_recording", "recording_permission_denied", "in_call_recording"]
ENDED = ["call_ended", "done", "fatal"]


@pytest.mark.parametrize("state", OUTSIDE)
@pytest.mark.parametrize("sub_code", NOT_ADMITTED)
def test_nobody_let_it_in(state: str, sub_code: str) -> None:
    assert "bot_not_admitted" == missed_reason(state, code="call_ended", sub_code=sub_code)


@pytest.mark.parametrize("state", OUTSIDE)
@pytest.mark.parametrize("sub_code", FATAL)
def test_it_failed_on_the_way(state: str, sub_code: str | None) -> None:
    assert "bot_failed" == missed_reason(state, code="fatal", sub_code=sub_code)


@pytest.mark.parametrize("state", OUTSIDE)
@pytest.mark.parametrize("sub_code", WERE_IN)
def test_it_was_in_even_if_the_report_of_that_is_late(state: str, sub_code: str) -> None:
    assert Attendance.JOINED == attendance(state, code="call_ended", sub_code=sub_code)
    assert None is missed_reason(state, code="call_ended", sub_code=sub_code)


@pytest.mark.parametrize("sub_code", [*NOT_ADMITTED, *WERE_IN])
def test_the_end_of_a_call_may_come_after_the_end_of_its_bot(sub_code: str) -> None:
    expected = "bot_not_admitted" if sub_code in NOT_ADMITTED else None
    assert expected == missed_reason("done", code="call_ended", sub_code=sub_code)


@pytest.mark.parametrize("state", [*INSIDE, *ENDED, ABSENT])
@pytest.mark.parametrize("sub_code", [*NOT_ADMITTED, *WERE_IN, *FATAL])
@pytest.mark.parametrize("code", ["call_ended", "fatal"])
def test_who_was_in_or_was_told_of_is_not_missed(
    state: str, sub_code: str | None, code: str
) -> None:
    overtaken = (state, code) == ("done", "call_ended")
    if not overtaken:
        assert None is missed_reason(state, code=code, sub_code=sub_code)


@pytest.mark.parametrize("state", [*OUTSIDE, *INSIDE])
def test_who_was_sent_away_is_not_missed(state: str) -> None:
    assert None is missed_reason(state, code="call_ended", sub_code="bot_received_leave_call")


@pytest.mark.parametrize(
    ("state", "expected"),
    [(SCHEDULED, None), ("joining_call", None), ("in_waiting_room", "bot_not_admitted")],
)
@pytest.mark.parametrize("sub_code", [None, "never_heard_of"])
def test_an_unknown_word_at_the_end_of_a_call(
    state: str, sub_code: str | None, expected: str | None
) -> None:
    assert expected == missed_reason(state, code="call_ended", sub_code=sub_code)


@pytest.mark.parametrize("code", ["joining_call", "in_call_recording", "done", "never_heard_of"])
def test_only_an_end_can_be_a_miss(code: str) -> None:
    assert None is missed_reason("in_waiting_room", code=code, sub_code="meeting_not_found")


@pytest.mark.parametrize("state", INSIDE)
def test_being_in_the_call_settles_it(state: str) -> None:
    found = attendance(state, code="call_ended", sub_code="bot_kicked_from_waiting_room")
    assert Attendance.JOINED is found


def test_who_was_told_to_leave_is_neither() -> None:
    found = attendance("in_waiting_room", code="call_ended", sub_code="bot_received_leave_call")
    assert Attendance.DISMISSED is found
