"""The plan: the one call, if any, that makes Recall's bots match the decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.domain.event import EventBot
from shared.domain.meeting import Meeting
from shared.domain.room import meeting_key
from shared.domain.rules import BotSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Schedule, re-schedule or re-configure the bot; `clear_first` removes strays before."""

    deduplication_key: str
    bot: BotSettings
    meeting_url: str
    fingerprint: str
    clear_first: bool = False


@dataclass(frozen=True, slots=True)
class Unschedule:
    """Take the bot off the event; Recall keeps it while another event shares it."""


Action = Schedule | Unschedule


def plan(meeting: Meeting, *, bot: BotSettings, now: datetime) -> Action | None:
    """What to ask of Recall for this event, or None when reality matches the decision."""
    if meeting.decision.join and meeting.event.end > now:
        return _plan_join(meeting, bot=bot, now=now)
    return Unschedule() if coming(meeting, now=now) else None


def _plan_join(meeting: Meeting, *, bot: BotSettings, now: datetime) -> Schedule | None:
    url = meeting.event.meeting_url
    if url is None:
        message = "a decision to join needs a meeting link"
        raise AssertionError(message)
    key = meeting_key(tenant_id=meeting.tenant_id, meeting_url=url, start=meeting.event.start)
    fingerprint = bot.fingerprint(url)
    ours = matching_bot(meeting, deduplication_key=key)
    strays = [entry for entry in coming(meeting, now=now) if entry is not ours]
    # A bot that matches but was never recorded (a crash after the call) is of unknown make.
    assigned = meeting.assignment
    known = assigned is not None and (key, fingerprint) == (
        assigned.deduplication_key,
        assigned.fingerprint,
    )
    if ours is not None and not strays and known:
        return None
    return Schedule(
        deduplication_key=key,
        bot=bot,
        meeting_url=url,
        fingerprint=fingerprint,
        clear_first=ours is not None and bool(strays),
    )


def matching_bot(meeting: Meeting, *, deduplication_key: str) -> EventBot | None:
    """The listed bot that serves this event as it is now: same key, same start, not released."""
    for entry in reversed(meeting.bots):
        same = (entry.deduplication_key, entry.start) == (deduplication_key, meeting.event.start)
        if same and entry.bot_id not in meeting.released:
            return entry
    return None


def coming(meeting: Meeting, *, now: datetime) -> list[EventBot]:
    """Listed bots that have not started; finished ones stay listed and mean nothing."""
    return [
        entry
        for entry in meeting.bots
        if entry.start > now and entry.bot_id not in meeting.released
    ]
