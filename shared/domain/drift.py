"""Drift: in which way Recall's bots differ from what should be."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from shared.domain.meeting import Meeting
from shared.domain.plan import Schedule, Unschedule, coming, matching_bot, plan
from shared.domain.rules import BotSettings


class Drift(StrEnum):
    """The classes of the drift report."""

    MISSING = "missing"
    ORPHAN = "orphan"
    MISTIMED = "mistimed"
    MISCONFIGURED = "misconfigured"
    DUPLICATE = "duplicate"


def drift_of(row: Meeting, *, bot: BotSettings, now: datetime) -> Drift | None:
    """The class of the difference between a decided row and the bots listed on it."""
    match plan(row, bot=bot, now=now):
        case None:
            return None
        case Unschedule():
            return Drift.ORPHAN
        case Schedule() as wanted:
            return _drift_of_wanted(row, wanted, now=now)


def _drift_of_wanted(row: Meeting, wanted: Schedule, *, now: datetime) -> Drift:
    ours = matching_bot(row, deduplication_key=wanted.deduplication_key)
    bots = coming(row, now=now)
    if len(bots) > 1:
        return Drift.DUPLICATE
    if ours is not None:
        return Drift.MISCONFIGURED
    return Drift.MISTIMED if bots else Drift.MISSING
