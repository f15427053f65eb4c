"""Attendance: what the end of a bot says about whether it was in its meeting at all.

The codes are those of Recall's sub code page; it adds others without notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from shared.domain.bot_state import ABSENT, Phase, phase_of

FAILED: Final = "bot_failed"
NOT_ADMITTED: Final = "bot_not_admitted"


class Attendance(StrEnum):
    """DISMISSED: it was told to leave, so nobody misses it wherever it was."""

    JOINED = "joined"
    NEVER_JOINED = "never_joined"
    DISMISSED = "dismissed"


_BY_SUB_CODE: Final[Mapping[str, Attendance]] = {
    # call_ended
    "call_ended_by_host": Attendance.JOINED,
    "call_ended_by_platform_idle": Attendance.JOINED,
    "call_ended_by_platform_max_length": Attendance.JOINED,
    "call_ended_by_platform_waiting_room_timeout": Attendance.NEVER_JOINED,
    "timeout_exceeded_waiting_room": Attendance.NEVER_JOINED,
    "timeout_exceeded_noone_joined": Attendance.JOINED,
    "timeout_exceeded_everyone_left": Attendance.JOINED,
    "timeout_exceeded_silence_detected": Attendance.JOINED,
    "timeout_exceeded_only_bots_detected_using_participant_names": Attendance.JOINED,
    "timeout_exceeded_only_bots_detected_using_participant_events": Attendance.JOINED,
    "timeout_exceeded_in_call_not_recording": Attendance.JOINED,
    "timeout_exceeded_in_call_recording": Attendance.JOINED,
    "timeout_exceeded_recording_permission_denied": Attendance.JOINED,
    "timeout_exceeded_max_duration": Attendance.JOINED,
    "bot_kicked_from_call": Attendance.JOINED,
    "bot_kicked_from_waiting_room": Attendance.NEVER_JOINED,
    "bot_received_leave_call": Attendance.DISMISSED,
    # fatal; bot_errored and the codes of platforms say nothing about when
    "meeting_not_found": Attendance.NEVER_JOINED,
    "meeting_not_started": Attendance.NEVER_JOINED,
    "meeting_requires_registration": Attendance.NEVER_JOINED,
    "meeting_requires_sign_in": Attendance.NEVER_JOINED,
    "meeting_link_expired": Attendance.NEVER_JOINED,
    "meeting_link_invalid": Attendance.NEVER_JOINED,
    "meeting_password_incorrect": Attendance.NEVER_JOINED,
    "meeting_locked": Attendance.NEVER_JOINED,
    "meeting_full": Attendance.NEVER_JOINED,
    "meeting_ended": Attendance.NEVER_JOINED,
    "failed_to_launch_in_time": Attendance.NEVER_JOINED,
}


def attendance(state: str, *, code: str, sub_code: str | None) -> Attendance:
    """Whether a bot that reports its end (`call_ended` or `fatal`) had been in the call.

    `state` is what it had reported before, and being in the call settles it. Without that and
    without a known sub code, a fatal bot never joined; one that left did, unless it was last
    seen in the waiting room.
    """
    # `done` says nothing of the way there, and may have overtaken the report of the call's end.
    overtaken = state == "done" and code == "call_ended"
    if phase_of(state) >= Phase.IN_CALL and not overtaken:
        return Attendance.JOINED
    known = _BY_SUB_CODE.get(sub_code or "")
    if known is not None:
        return known
    outside = state == "in_waiting_room" or "waiting_room" in (sub_code or "")
    return Attendance.NEVER_JOINED if code == "fatal" or outside else Attendance.JOINED


def missed_reason(state: str, *, code: str, sub_code: str | None) -> str | None:
    """The reason of `meeting.missed` when a bot ends so; None when it is not to be told.

    A bot that is absent was told of already, and one that had ended before ends no second time.
    """
    if code not in {"call_ended", "fatal"} or state == ABSENT:
        return None
    if attendance(state, code=code, sub_code=sub_code) is not Attendance.NEVER_JOINED:
        return None
    return FAILED if code == "fatal" else NOT_ADMITTED
