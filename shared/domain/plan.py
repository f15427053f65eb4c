"""The plan: the one step, if any, that brings a copy's bot closer to what the meeting wants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from shared.domain.bot_state import is_outside, is_over
from shared.domain.event import EventBot
from shared.domain.meeting import Assignment, Meeting
from shared.domain.rules import BotSettings, Scheduling
from shared.domain.watchdog import look_at

# Recall begins to start a bot so long before it joins: from then on little can be changed.
WARM_UP = timedelta(minutes=10)
# So long a copy that moved first waits for the others, unless the meeting is near.
GRACE = timedelta(minutes=5)
NEAR = WARM_UP + GRACE
DRAIN_RETRY = timedelta(seconds=5)
# A bot that Recall has sent out may be doubled by a second POST with its key, and Recall's clock
# may be two minutes ahead of ours.
SENT_OUT = timedelta(minutes=2, seconds=30)

# A denial, a person's word or the meeting's own end takes a bot out of a call; that some other
# rule changed does not.
LEAVE_REASONS = (
    "denied.",
    "ineligible.deleted",
    "ineligible.cancelled",
    "override.off",
    "rsvp",
    "vote.denied",
    "vote.veto",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The bot that a copy should have, alike for all copies of a meeting that join.

    Event, times, link and bot are those of the meeting's owner, every placeholder filled.
    """

    meeting_key: str
    event_id: str
    start: datetime
    end: datetime
    meeting_url: str
    bot: BotSettings
    fingerprint: str
    scheduling: Scheduling

    @property
    def make(self) -> tuple[str, str, Scheduling]:
        """Differs where it takes another bot; whose copy asks for it does not."""
        return (self.meeting_key, self.fingerprint, self.scheduling)


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """What the other copies mean for a row.

    `using`: they want the bot that the row has; `behind`: and they still stand where the row
    stood before it moved; `draining`: they have the meeting's bot of the other way of scheduling;
    `served`: they have the very bot that the row wants.
    """

    using: bool = False
    behind: bool = False
    draining: bool = False
    served: bool = False


ALONE = Company()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Schedule, re-schedule or re-configure the event's bot; `clear_first` removes strays."""

    wish: Wish
    clear_first: bool = False


@dataclass(frozen=True, slots=True)
class Unschedule:
    """Take the bot off the event; Recall keeps it while another event shares it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Have one bot of our own under the meeting's claim; `previous_key`: the claim moves."""

    wish: Wish
    previous_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """End the claim, and its bot with it; `used`: only let go of it, for others want the bot."""

    meeting_key: str
    used: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """Ask a bot that may have started to leave the call."""

    bot_id: str


@dataclass(frozen=True, slots=True)
class Look:
    """Ask Recall for a bot that should be there by now and has said nothing."""

    bot_id: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing yet: the other copies come first."""

    until: datetime


Call = Schedule | Unschedule | Keep | Release | Leave | Look
Action = Call | Wait


def plan(row: Meeting, *, wish: Wish | None, company: Company, now: datetime) -> Action | None:
    """What to do next for this copy, or None when reality matches the wish."""
    if wish is None:
        return _plan_none(row, company=company, now=now) or _farewell(row)
    match wish.scheduling:
        case Scheduling.MANAGED:
            step = _plan_managed(row, wish, company=company, now=now)
        case Scheduling.SELF_MANAGED:
            step = _plan_own(row, wish, company=company, now=now)
        case never:
            assert_never(never)
    return step or _farewell(row) or _watch(row, now=now)


def _farewell(row: Meeting) -> Leave | None:
    return Leave(row.leaving[0]) if row.leaving else None


def _watch(row: Meeting, *, now: datetime) -> Look | None:
    when = next_look(row)
    if row.assignment is None or when is None or not when <= now < row.event.end:
        return None
    return Look(row.assignment.bot_id)


def next_look(row: Meeting) -> datetime | None:
    """When the watchdog asks for the row's bot, unless it reports before."""
    assigned = row.assignment
    if assigned is None:
        return None
    first = look_at(assigned.state, start=assigned.join_at, end=row.event.end)
    return first and max(first, row.look_at or first)


def _plan_none(row: Meeting, *, company: Company, now: datetime) -> Action | None:
    if coming(row, now=now) or _may_have_bot(row, now=now):
        return Unschedule()
    assigned = row.assignment
    if assigned is None or not _must_go(row, assigned, now=now):
        return None
    begun = assigned.join_at <= now
    if company.using and begun:
        return None
    if assigned.by is Scheduling.SELF_MANAGED:
        return Release(meeting_key=assigned.deduplication_key, used=company.using)
    return Leave(assigned.bot_id) if begun else None


def _may_have_bot(row: Meeting, *, now: datetime) -> bool:
    """One was asked for, and whoever asked did not live to hear the answer.

    One that the row knows and that has begun hears nothing but a word to leave.
    """
    begun = row.assignment is not None and row.assignment.join_at <= now
    return row.asked and row.event.end > now and not begun


def _must_go(row: Meeting, assigned: Assignment, *, now: datetime) -> bool:
    """A bot ahead of its meeting goes, one in the call only on a person's word.

    One that ended ahead of its meeting goes as well: it may have reported its end to the row
    before the row could say that we took it off.
    """
    if assigned.join_at > now:
        return True
    if is_over(assigned.state):
        return False
    return row.event.end > now and row.verdict.reason.startswith(LEAVE_REASONS)


def _plan_managed(row: Meeting, wish: Wish, *, company: Company, now: datetime) -> Action | None:
    ours = matching_bot(row, deduplication_key=wish.meeting_key)
    if is_sent_out(wish, now=now) and (ours is not None or company.served):
        return None
    assigned = row.assignment
    if assigned is not None and assigned.by is Scheduling.SELF_MANAGED and ours is None:
        if _serves(assigned, wish, now=now):
            return None
        if assigned.join_at > now and not company.behind:
            return Release(meeting_key=assigned.deduplication_key)
    if (wait := _wait(row, company=company, now=now)) and ours is None:
        return wait
    strays = [entry for entry in coming(row, now=now) if entry is not ours]
    # A bot that matches but was never recorded (a crash after the call) is of unknown make.
    made = (wish.meeting_key, wish.fingerprint)
    known = (
        assigned is not None
        and made == (assigned.deduplication_key, assigned.fingerprint)
        and not row.asked
    )
    if ours is not None and not strays and known:
        return None
    return Schedule(wish=wish, clear_first=ours is not None and bool(strays))


def _plan_own(row: Meeting, wish: Wish, *, company: Company, now: datetime) -> Action | None:
    assigned = row.assignment
    managed = assigned is not None and assigned.by is Scheduling.MANAGED
    if assigned is not None and managed and _serves(assigned, wish, now=now):
        return None
    if coming(row, now=now) or _may_have_bot(row, now=now):
        return Unschedule()
    if assigned is not None and not managed and _known(assigned, wish):
        return None
    if wait := _wait(row, company=company, now=now):
        return wait
    moves = assigned is not None and not managed and not company.using and _ahead(assigned, now=now)
    previous = assigned.deduplication_key if assigned is not None and moves else None
    return Keep(wish=wish, previous_key=None if previous == wish.meeting_key else previous)


def _ahead(assigned: Assignment, *, now: datetime) -> bool:
    """One that waits at the door of a meeting that moved on comes along as well."""
    return assigned.join_at > now or is_outside(assigned.state)


def _known(assigned: Assignment, wish: Wish) -> bool:
    mine = (assigned.deduplication_key, assigned.fingerprint)
    return mine == (wish.meeting_key, wish.fingerprint)


def _serves(assigned: Assignment, wish: Wish, *, now: datetime) -> bool:
    """The meeting's bot of the other way has begun to start, or was there: no other comes."""
    same = assigned.deduplication_key == wish.meeting_key
    return same and assigned.join_at - now <= WARM_UP


def _wait(row: Meeting, *, company: Company, now: datetime) -> Wait | None:
    if company.draining:
        return Wait(now + DRAIN_RETRY)
    assigned = row.assignment
    if not company.behind or assigned is None or row.keyed_at is None:
        return None
    until = row.keyed_at + GRACE
    near = min(row.event.start, assigned.join_at) - now <= NEAR
    return None if near or now >= until else Wait(until)


def is_sent_out(wish: Wish, *, now: datetime) -> bool:
    """The meeting's bot, if there is one, may be on its way already."""
    return wish.start - now <= SENT_OUT


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
