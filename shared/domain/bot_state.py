"""The life of a bot in Recall's codes: reports may come late or twice, but never turn it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import IntEnum
from typing import Final

from shared.domain.meeting import Assignment
from shared.domain.message import BotEvent


class Phase(IntEnum):
    """How far a bot has come; the codes of one phase follow each other in any order."""

    EXPECTED = 0
    JOINING = 1
    WAITING = 2
    IN_CALL = 3
    LEFT = 4
    OVER = 5


SCHEDULED: Final = "scheduled"
# Our own word: the host was told that the bot is not in its meeting. It may still come.
ABSENT: Final = "absent"

_PHASES: Final[Mapping[str, Phase]] = {
    SCHEDULED: Phase.EXPECTED,
    "ready": Phase.EXPECTED,
    "joining_call": Phase.JOINING,
    "in_waiting_room": Phase.WAITING,
    ABSENT: Phase.WAITING,
    "in_call_not_recording": Phase.IN_CALL,
    "recording_permission_denied": Phase.IN_CALL,
    "recording_permission_allowed": Phase.IN_CALL,
    "in_call_recording": Phase.IN_CALL,
    "recording_done": Phase.IN_CALL,
    "call_ended": Phase.LEFT,
    "done": Phase.OVER,
    "fatal": Phase.OVER,
}
_RECORDING: Final[Mapping[str, int]] = {
    "processing": 0,
    "paused": 0,
    "done": 1,
    "failed": 1,
    "deleted": 2,
}
# Zoom refuses the recording of a bot that it has not let in yet.
_OUTSIDE_STILL: Final = "zoom_bot_in_waiting_room"


def phase_of(state: str) -> Phase:
    """The phase of a stored state; one that nobody knows stands for the beginning."""
    return _PHASES.get(state, Phase.EXPECTED)


def is_over(state: str) -> bool:
    """The bot has left for good."""
    return phase_of(state) >= Phase.LEFT


def is_outside(state: str) -> bool:
    """The bot is not in the call yet; it may wait for its time, join, or knock at the door."""
    return phase_of(state) < Phase.IN_CALL


def is_known(code: str) -> bool:
    """Whether a code says how far a bot has come."""
    return code in _PHASES


def moved(assignment: Assignment, report: BotEvent) -> Assignment:
    """The assignment after a report, in whatever order reports come.

    A later phase wins, within a phase the newer report, and nothing wins over the end. Codes
    without a phase (breakout rooms, what Recall adds without notice) move nothing.
    """
    return (
        _recording_moved(assignment, report)
        if report.about_recording
        else _bot_moved(assignment, report)
    )


def is_news(assignment: Assignment, report: BotEvent) -> bool:
    """Whether the host should hear of it.

    Every report on a recording is (a bot may make several), and while the bot's life lasts what
    moves it and codes without a phase.
    """
    if report.about_recording or moved(assignment, report) != assignment:
        return True
    aside = not is_known(report.code) or report.sub_code == _OUTSIDE_STILL
    return aside and phase_of(assignment.state) < Phase.OVER


def _bot_moved(assignment: Assignment, report: BotEvent) -> Assignment:
    reported = _PHASES.get(report.code)
    current = phase_of(assignment.state)
    if reported is None or report.sub_code == _OUTSIDE_STILL or current is Phase.OVER:
        return assignment
    if reported == current and not _newer(
        (assignment.state, assignment.state_at), (report.code, report.updated_at)
    ):
        return assignment
    if reported < current:
        return assignment
    return replace(assignment, state=report.code, state_at=report.updated_at)


def _recording_moved(assignment: Assignment, report: BotEvent) -> Assignment:
    reported = _RECORDING.get(report.code)
    if reported is None:
        return assignment
    current = _RECORDING.get(assignment.recording or "", -1)
    last = (assignment.recording or "", assignment.recording_at)
    newer = _newer(last, (report.code, report.updated_at))
    if reported < current or (reported == current and not newer):
        return assignment
    return replace(assignment, recording=report.code, recording_at=report.updated_at)


def _newer(last: tuple[str, datetime | None], reported: tuple[str, datetime]) -> bool:
    """Of two codes at one moment the alphabet decides, so that every order ends alike."""
    code, at = last
    if at is None:
        return code != reported[0]
    return (reported[1], reported[0]) > (at, code)
