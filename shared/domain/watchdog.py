"""The watchdog: after a meeting's start somebody looks whether its bot is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.domain.attendance import NOT_ADMITTED, Attendance, attendance, missed_reason
from shared.domain.bot_state import ABSENT, Phase, is_known, phase_of

LOOK_AFTER_START: Final = timedelta(minutes=5)
LOOK_AGAIN: Final = timedelta(minutes=5)
# A bot that Recall has not even sent by then will not come in time.
SENT_BY: Final = timedelta(minutes=10)

UNKNOWN_TO_RECALL: Final = "bot_unknown"
NOT_SENT: Final = "bot_not_sent"
NOT_JOINED: Final = "bot_not_joined"


@dataclass(frozen=True, slots=True, kw_only=True)
class BotAnswer:
    """What GET of the bot said: its newest code (None: it has not moved yet) and sub code."""

    status: str | None
    sub_code: str | None = None


class Presence(StrEnum):
    JOINED = "joined"
    WAITING = "waiting"
    NEVER_JOINED = "never_joined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a look found.

    `state` is the assignment's from now on; `missed` and `detail` are the reason and the detail
    of `meeting.missed` when that is to be told; `look_at` is the next look, None for none.
    """

    presence: Presence
    state: str
    missed: str | None = None
    detail: str | None = None
    look_at: datetime | None = None


def look_at(state: str, *, start: datetime, end: datetime) -> datetime | None:
    """When to ask for the bot the first time; None when it has reported that it was in.

    `start` is when the bot is to join: the meeting's start, or when a bot was asked for later.
    """
    if phase_of(state) >= Phase.IN_CALL or state == ABSENT:
        return None
    return min(start + LOOK_AFTER_START, max(start, end))


def finding(
    state: str, answer: BotAnswer | None, *, start: datetime, end: datetime, now: datetime
) -> Finding:
    """What the answer means for an assignment in `state`; None is Recall's 404.

    It tells a miss once: the state becomes `absent`, from which any later report still moves it.
    """
    if phase_of(state) >= Phase.IN_CALL:
        return Finding(presence=Presence.JOINED, state=state)
    if answer is None:
        return _absent(state, UNKNOWN_TO_RECALL)
    status = answer.status or "ready"
    if not is_known(status):
        # A breakout room, expired media, a new word: no ground for an alarm.
        return Finding(presence=Presence.JOINED, state=state)
    phase = phase_of(status)
    if phase >= Phase.LEFT:
        return _ended(state, status, sub_code=answer.sub_code)
    if phase is Phase.IN_CALL:
        return Finding(presence=Presence.JOINED, state=status)
    return _outside(state, status, start=start, end=end, now=now)


def _outside(state: str, status: str, *, start: datetime, end: datetime, now: datetime) -> Finding:
    """Recall ends what waits too long by itself, and says so; we watch until the meeting's end."""
    sent = phase_of(status) > Phase.EXPECTED
    furthest = status if phase_of(status) > phase_of(state) else state
    if now < end and (sent or now < start + SENT_BY):
        again = min(now + LOOK_AGAIN, end)
        return Finding(presence=Presence.WAITING, state=furthest, look_at=again)
    if not sent:
        return _absent(state, NOT_SENT)
    return _absent(state, NOT_ADMITTED if furthest == "in_waiting_room" else NOT_JOINED)


def _ended(state: str, status: str, *, sub_code: str | None) -> Finding:
    """`done` alone says nothing of the way there; without a word of failure it had joined."""
    failed = status != "done" and (
        attendance(state, code=status, sub_code=sub_code) is Attendance.NEVER_JOINED
    )
    return Finding(
        presence=Presence.NEVER_JOINED if failed else Presence.JOINED,
        state=status,
        missed=missed_reason(state, code=status, sub_code=sub_code),
        detail=sub_code,
    )


def _absent(state: str, reason: str) -> Finding:
    told = state == ABSENT
    return Finding(presence=Presence.NEVER_JOINED, state=ABSENT, missed=None if told else reason)
