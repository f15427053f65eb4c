"""Drift: in which way Recall's bots differ from what should be."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import assert_never

from shared.domain.meeting import Meeting
from shared.domain.plan import (
    Action,
    Keep,
    Leave,
    Look,
    Release,
    Schedule,
    Unschedule,
    Wait,
    Wish,
    coming,
    matching_bot,
)


class Drift(StrEnum):
    """The classes of the drift report."""

    MISSING = "missing"
    ORPHAN = "orphan"
    MISTIMED = "mistimed"
    MISCONFIGURED = "misconfigured"
    DUPLICATE = "duplicate"


def drift_of(row: Meeting, action: Action | None, *, now: datetime) -> Drift | None:
    """The class of the difference that `action`, the next step for a decided row, would mend."""
    match action:
        case None | Wait() | Look() | Release(used=True):
            return None
        case Unschedule() | Release() | Leave():
            return Drift.ORPHAN
        case Keep(wish=wish):
            return _drift_of_own(row, wish)
        case Schedule(wish=wish):
            return _drift_of_wanted(row, wish, now=now)
        case never:
            assert_never(never)


def _drift_of_own(row: Meeting, wish: Wish) -> Drift:
    if row.assignment is None:
        return Drift.MISSING
    same = row.assignment.deduplication_key == wish.meeting_key
    return Drift.MISCONFIGURED if same else Drift.MISTIMED


def _drift_of_wanted(row: Meeting, wish: Wish, *, now: datetime) -> Drift:
    ours = matching_bot(row, deduplication_key=wish.meeting_key)
    bots = coming(row, now=now)
    if len(bots) > 1:
        return Drift.DUPLICATE
    if ours is not None:
        return Drift.MISCONFIGURED
    return Drift.MISTIMED if bots else Drift.MISSING
