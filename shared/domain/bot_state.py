"""The life of a bot in Recall's codes: reports may come late or twice, but never turn it back."""

from __future__ import annotations

SCHEDULED = "scheduled"

_ORDER = {
    SCHEDULED: 0,
    "joining_call": 1,
    "in_waiting_room": 2,
    "in_call_not_recording": 3,
    "recording_permission_denied": 4,
    "recording_permission_allowed": 5,
    "in_call_recording": 6,
    "call_ended": 7,
    "done": 8,
    "fatal": 8,
}


def moves_forward(current: str, reported: str) -> bool:
    """Recall adds codes without notice: an unknown one is news unless the bot's life is over."""
    if current == reported:
        return False
    now = _ORDER.get(current, 0)
    last = max(_ORDER.values())
    return now < last if reported not in _ORDER else _ORDER[reported] > now


def is_over(state: str) -> bool:
    """The bot has left for good."""
    return _ORDER.get(state, 0) >= _ORDER["call_ended"]
