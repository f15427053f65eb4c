"""Consider: the next state of a meeting row, given what was seen and what should be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.calendar import Calendar, CalendarStatus
from shared.domain.decision import Circumstances, Decision, decide
from shared.domain.event import Event, owned_by
from shared.domain.meeting import Assignment, Meeting, Override
from shared.domain.plan import Action, Schedule, matching_bot, plan
from shared.domain.rules import Choice, Rules

if TYPE_CHECKING:
    from shared.domain.event import ListedEvent

FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What stands around an event: its calendar, the rules in force, a series override.

    `calendar` is None when the event has moved to a calendar that is not ours.
    """

    calendar: Calendar | None
    rules: Rules
    series_override: Override | None = None
    now: datetime


def observed(row: Meeting | None, listed: ListedEvent, *, around: Surroundings) -> Meeting | None:
    """The row after Recall listed the event; None when there is nothing worth keeping."""
    if row is None:
        if around.calendar is None or listed.event.deleted or listed.event.end <= around.now:
            return None
        row = _first_row(listed.event, around.calendar, around=around)
    tenant_id = around.calendar.tenant_id if around.calendar else row.tenant_id
    seen = _seen(replace(row, tenant_id=tenant_id), listed, around=around)
    fresh = row.version is None or (seen.event, seen.decision) != (row.event, row.decision)
    return _settled(seen, around, fresh=fresh)


def reconsidered(row: Meeting, around: Surroundings) -> Meeting:
    """The row decided anew from what is stored: an override, a rule or a calendar changed."""
    decision = _decide(row.event, row.override, around=around)
    return _settled(replace(row, decision=decision), around, fresh=decision != row.decision)


def explained(row: Meeting, around: Surroundings) -> Meeting:
    """The row as people see it: until the meeting is over, with what is decided by now."""
    if row.event.end <= around.now:
        return row
    return replace(row, decision=_decide(row.event, row.override, around=around))


def action_for(row: Meeting, around: Surroundings) -> Action | None:
    """The one call that would make Recall match the row, or None."""
    return plan(row, bot=around.rules.bot, now=around.now)


def scheduled(
    row: Meeting, answer: ListedEvent, *, asked: Schedule, around: Surroundings
) -> Meeting:
    """The row after Recall answered a Schedule; an answer that does not match stays owed."""
    tried = _seen(postponed(row, now=around.now), answer, around=around)
    key = asked.deduplication_key
    # A bot that we had released may serve again, but a new one beside it goes first.
    again = replace(tried, released=frozenset())
    ours = matching_bot(tried, deduplication_key=key) or matching_bot(again, deduplication_key=key)
    if ours is not None:
        assignment = Assignment(
            bot_id=ours.bot_id,
            deduplication_key=key,
            fingerprint=asked.fingerprint,
            join_at=ours.start,
        )
        released = row.released - {ours.bot_id}
        tried = replace(tried, assignment=assignment.hearing(row.assignment), released=released)
    return _settled(tried, around, fresh=False)


def unscheduled(row: Meeting, answer: ListedEvent, *, around: Surroundings) -> Meeting:
    """The row after Recall answered an Unschedule; bots it goes on listing are not ours."""
    tried = replace(
        _seen(postponed(row, now=around.now), answer, around=around),
        released=frozenset(entry.bot_id for entry in answer.bots),
        assignment=None,
    )
    return _settled(tried, around, fresh=False)


def cleared(row: Meeting, answer: ListedEvent) -> Meeting:
    """The row after strays were taken off; those that Recall goes on listing are none any more."""
    return replace(row, released=row.released | {entry.bot_id for entry in answer.bots})


def gone(row: Meeting, around: Surroundings) -> Meeting:
    """The row of an event that Recall does not know any more."""
    event = replace(row.event, deleted=True)
    decision = _decide(event, row.override, around=around)
    return _settled(replace(row, event=event, bots=(), decision=decision), around, fresh=False)


def refused(row: Meeting, problem: str) -> Meeting:
    """The row set aside: Recall refused the call, and only changed facts make it worth another."""
    return replace(row, due=False, attempts=row.attempts + 1, next_attempt=None, problem=problem)


def postponed(row: Meeting, *, now: datetime, retry_after: float | None = None) -> Meeting:
    """The row after a try that may succeed later; `retry_after` in seconds overrides backoff."""
    backoff = min(FIRST_RETRY * 2 ** min(row.attempts, 10), LONGEST_RETRY)
    delay = backoff if retry_after is None else timedelta(seconds=retry_after)
    return replace(row, due=True, attempts=row.attempts + 1, next_attempt=now + delay)


def _seen(row: Meeting, listed: ListedEvent, *, around: Surroundings) -> Meeting:
    """The row with the facts of a Recall answer, and what they decide."""
    event = owned_by(listed.event, around.calendar.email if around.calendar else None)
    decision = _decide(event, row.override, around=around)
    return replace(row, event=event, bots=listed.bots, decision=decision)


def _first_row(event: Event, calendar: Calendar, *, around: Surroundings) -> Meeting:
    decision = _decide(event, Override(), around=around)
    return Meeting(event=event, tenant_id=calendar.tenant_id, decision=decision)


def _decide(event: Event, override: Override, *, around: Surroundings) -> Decision:
    choice = override.choice
    if choice is Choice.AUTO and around.series_override is not None:
        choice = around.series_override.choice
    status = around.calendar.status if around.calendar else CalendarStatus.DISCONNECTED
    circumstances = Circumstances(
        rules=around.rules, override=choice, status=status, now=around.now
    )
    return decide(event, circumstances)


def _settled(row: Meeting, around: Surroundings, *, fresh: bool) -> Meeting:
    """Mark the work owed; or clear it and let the assignment follow what Recall lists."""
    if action_for(row, around) is None:
        return replace(
            row,
            assignment=_confirmed(row, now=around.now),
            due=False,
            attempts=0,
            next_attempt=None,
            problem=None,
        )
    if fresh:
        return replace(row, due=True, attempts=0, next_attempt=around.now, problem=None)
    if row.due or row.problem is not None:
        return row
    return replace(row, due=True, next_attempt=around.now)


def _confirmed(row: Meeting, *, now: datetime) -> Assignment | None:
    """The assignment as Recall's list bears it out; that of a meeting that is over stays."""
    if row.assignment is None or row.event.end <= now:
        return row.assignment
    ours = matching_bot(row, deduplication_key=row.assignment.deduplication_key)
    if ours is None:
        return None
    confirmed = replace(row.assignment.asked(), bot_id=ours.bot_id, join_at=ours.start)
    return confirmed.hearing(row.assignment)
