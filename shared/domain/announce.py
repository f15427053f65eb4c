"""Announce: what the host should hear when a meeting row goes from one state to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

from shared.domain.calendar import Calendar
from shared.domain.meeting import Assignment, Meeting
from shared.domain.notice import BotCancelled, BotRescheduled, BotScheduled, MeetingMissed, Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a row; `calendar` is None when the event left for one that is not ours."""

    before: Meeting
    after: Meeting
    calendar: Calendar | None
    now: datetime


class _About(TypedDict):
    tenant_id: str
    entity_id: str
    calendar_id: str
    occurred_at: datetime
    event_id: str


def notices(step: Step) -> tuple[Notice, ...]:
    """Bots that came, moved or went in this step, and a meeting that was given up."""
    if step.calendar is None:
        return ()
    about = _About(
        tenant_id=step.calendar.tenant_id,
        entity_id=step.calendar.entity_id,
        calendar_id=step.calendar.calendar_id,
        occurred_at=step.now,
        event_id=step.after.event.event_id,
    )
    found = (_missed(step, about), _bot_change(step, about))
    return tuple(notice for notice in found if notice is not None)


def _missed(step: Step, about: _About) -> MeetingMissed | None:
    """A refusal, a bot given up, or a meeting that ended while a bot was still owed."""
    before, after = step.before, step.after
    if (given_up := _given_up(step)) is not None:
        return MeetingMissed(
            **about,
            start_time=after.event.start,
            reason=given_up.missed or "",
            detail=given_up.missed_detail,
        )
    newly_refused = after.verdict.join and after.problem is not None and before.problem is None
    owed = before.due and before.verdict.join and before.assignment is None
    if not newly_refused and not (owed and after.event.end <= step.now):
        return None
    reason = after.problem or before.setback or "no_bot_in_time"
    return MeetingMissed(**about, start_time=after.event.start, reason=reason)


def _given_up(step: Step) -> Assignment | None:
    """The bot that the watchdog gave up in this step."""
    before, after = step.before.assignment, step.after.assignment
    if after is None or after.missed is None or not step.after.verdict.join:
        return None
    known = before is not None and (before.bot_id, before.missed) == (after.bot_id, after.missed)
    return None if known else after


def _bot_change(step: Step, about: _About) -> BotScheduled | BotRescheduled | BotCancelled | None:
    before, after = step.before.assignment, step.after.assignment
    reason = step.after.verdict.reason
    start = step.after.event.start
    if after is None:
        return BotCancelled(**about, bot_id=before.bot_id, reason=reason) if before else None
    if before is None:
        return BotScheduled(
            **about, bot_id=after.bot_id, start_time=start, join_at=after.join_at, reason=reason
        )
    # Finding out the make of a bot that was only seen in a list changes nothing.
    known = replace(before, fingerprint=before.fingerprint or after.fingerprint)
    if known.asked() == after.asked():
        return None
    return BotRescheduled(
        **about,
        bot_id=after.bot_id,
        start_time=start,
        join_at=after.join_at,
        previous_bot_id=before.bot_id if before.bot_id != after.bot_id else None,
    )
