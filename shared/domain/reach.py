"""What a person's word can still do for a meeting: everything, little, or nothing any more."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from shared.domain.bot_state import Phase, is_over, phase_of
from shared.domain.meeting import Meeting
from shared.domain.plan import LEAVE_REASONS, WARM_UP

# Nothing below these revives a meeting, a person's "on" included.
_FINAL = ("ineligible.", "denied.", "vote.denied")


class Reach(StrEnum):
    """`late`: the bot has set off, so that off asks it to leave. `leaving`: it was asked to."""

    FREE = "free"
    LATE = "late"
    LEAVING = "leaving"
    LEFT = "left"
    FIXED = "fixed"
    OVER = "over"


def reach_of(meeting: Meeting, *, now: datetime) -> Reach:
    """For a meeting as it is explained to people."""
    if meeting.event.end <= now:
        return Reach.OVER
    if _is_leaving(meeting, now=now):
        return Reach.LEAVING
    if meeting.outcome.reason.startswith(_FINAL):
        return Reach.FIXED
    if meeting.assignment is not None and is_over(meeting.assignment.state):
        return Reach.LEFT
    return Reach.LATE if _has_set_off(meeting, now=now) else Reach.FREE


def is_in_call(meeting: Meeting) -> bool:
    assigned = meeting.assignment
    return assigned is not None and phase_of(assigned.state) is Phase.IN_CALL


def _is_leaving(meeting: Meeting, *, now: datetime) -> bool:
    """Within ten minutes of the start nobody can take a bot off; it can only be asked."""
    asked = not meeting.outcome.join and meeting.outcome.reason.startswith(LEAVE_REASONS)
    return bool(meeting.leaving) or (asked and _has_set_off(meeting, now=now))


def _has_set_off(meeting: Meeting, *, now: datetime) -> bool:
    assigned = meeting.assignment
    if assigned is None or is_over(assigned.state):
        return False
    return assigned.join_at - now <= WARM_UP
