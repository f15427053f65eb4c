"""What became of a meeting, once it has begun: told instead of what was to happen."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from shared.domain.coverage import was_in
from shared.domain.meeting import Meeting
from shared.domain.plan import LEAVE_REASONS

# What a look after the end says of every meeting: no reason why it had a bot or none.
ENDED = "ineligible.ended"


class Ending(StrEnum):
    """AHEAD: nothing to tell yet. SENT_AWAY: a bot was there, and nobody wanted it to stay.

    UNWANTED: no bot was to come. ABSENT: one was, and none did; why is not known to the row.
    """

    AHEAD = "ahead"
    JOINED = "joined"
    SENT_AWAY = "sent_away"
    MISSED = "missed"
    REFUSED = "refused"
    ABSENT = "absent"
    UNWANTED = "unwanted"


def ending_of(meeting: Meeting, *, now: datetime) -> Ending:
    """A bot in the call is told while the meeting lasts, that none came only after it."""
    if meeting.event.start > now:
        return Ending.AHEAD
    if was_in(meeting.assignment):
        return Ending.SENT_AWAY if _unwanted_since(meeting) else Ending.JOINED
    if meeting.event.end > now:
        return Ending.AHEAD
    if not meeting.wanted:
        return Ending.UNWANTED
    if meeting.assignment is not None and meeting.assignment.missed is not None:
        return Ending.MISSED
    return Ending.REFUSED if meeting.problem is not None else Ending.ABSENT


def _unwanted_since(meeting: Meeting) -> bool:
    outcome = meeting.outcome
    return not outcome.join and outcome.reason.startswith(LEAVE_REASONS)
