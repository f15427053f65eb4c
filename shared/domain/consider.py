"""Consider: the next state of a meeting row, given what was seen and what should be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.bot_state import is_outside, is_over
from shared.domain.calendar import Calendar, CalendarStatus
from shared.domain.decision import Circumstances, Decision, decide
from shared.domain.event import Answer, Event, owned_by
from shared.domain.meeting import Assignment, Meeting
from shared.domain.plan import (
    ALONE,
    WARM_UP,
    Action,
    Company,
    Schedule,
    Wait,
    Wish,
    coming,
    is_sent_out,
    matching_bot,
    next_look,
    plan,
)
from shared.domain.room import key_of
from shared.domain.rules import Choice, Mode, Rules, Scheduling
from shared.domain.series import UNSAID, Words
from shared.domain.vote import Ballot, Tally, tally
from shared.domain.watchdog import Finding

if TYPE_CHECKING:
    from shared.domain.event import ListedEvent

FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(minutes=10)
HORIZON = "ineligible.horizon"
REFUSALS = frozenset({"override.off", "denied.opt_out"})
UNDECIDED = Decision(join=False, reason="undecided")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What stands around an event: its calendar, the rules in force, what was said of its series.

    `calendar` is None when the event has moved to a calendar that is not ours. `copies` are the
    other copies of the meeting, and those that share its bot; None when nobody looked, then the
    outcome of the last vote stands.
    """

    calendar: Calendar | None
    rules: Rules
    series: Words = UNSAID
    copies: tuple[Copy, ...] | None = ()
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Another person's copy of the meeting; its surroundings name no copies again."""

    row: Meeting
    around: Surroundings


def observed(row: Meeting | None, listed: ListedEvent, *, around: Surroundings) -> Meeting | None:
    """The row after Recall listed the event; None when there is nothing worth keeping."""
    if row is None:
        if around.calendar is None or listed.event.deleted or listed.event.end <= around.now:
            return None
        row = _first_row(listed.event, around.calendar, around=around)
    tenant_id = around.calendar.tenant_id if around.calendar else row.tenant_id
    seen = _adopting(_seen(replace(row, tenant_id=tenant_id), listed, around=around), around)
    fresh = row.version is None or (seen.event, seen.decision) != (row.event, row.decision)
    return _settled(seen, around, fresh=fresh)


def reconsidered(row: Meeting, around: Surroundings) -> Meeting:
    """The row decided anew from what is stored: an override, a rule, a copy or the time."""
    decided = _adopting(_decided(row, around), around)
    return _settled(decided, around, fresh=decided.verdict != row.verdict)


def _adopting(row: Meeting, around: Surroundings) -> Meeting:
    """The row with the bot that a call brought about whose answer, or the row after it, was lost.

    The host may have been told of it, so the row knows it while Recall lists it. Before it is
    sent out the same call again finds out its make; then it might bring a second one.
    """
    wish = wish_for(row, around) if row.assignment is None else None
    if wish is None or wish.scheduling is not Scheduling.MANAGED:
        return row
    ours = matching_bot(row, deduplication_key=wish.meeting_key)
    is_out = is_sent_out(wish, now=around.now)
    if ours is None or not (row.asked or is_out):
        return row
    assignment = Assignment(
        bot_id=ours.bot_id,
        deduplication_key=wish.meeting_key,
        fingerprint=wish.fingerprint if is_out else "",
        join_at=ours.start,
    )
    return replace(_assigned(row, assignment, around=around), asked=False)


def explained(row: Meeting, around: Surroundings) -> Meeting:
    """The row as people see it: until the meeting is over, with what is decided by now."""
    return row if row.event.end <= around.now else _decided(row, around)


def concerns_copies(before: Meeting | None, after: Meeting) -> bool:
    """The other copies of the meeting must look again: a voice came, went or changed."""
    if before is None:
        return after.meeting_key is not None
    return _gives_way(before, after) or _voice(before) != _voice(after)


def swings_vote(before: Meeting | None, after: Meeting, *, around: Surroundings) -> bool:
    """Whether this change alone gives the meeting another outcome, or may do so unseen.

    Most answers to a large invitation do not, and then nobody else needs to look.
    """
    if before is None or not around.copies or before.meeting_key != after.meeting_key:
        return True
    return _gives_way(before, after) or _outcome(before, around) != _outcome(after, around)


def _outcome(row: Meeting, around: Surroundings) -> tuple[str | None, str | None]:
    found = _tally(row, around)
    return (found.owner.event_id if found.owner else None, found.overruled)


def _voice(row: Meeting) -> tuple[object, ...]:
    return (row.decision, row.meeting_key, row.override.choice, row.opted_out)


def _gives_way(before: Meeting, after: Meeting) -> bool:
    """It gave up a bot that it still wants in the other way: others wait for that."""
    return after.shared and after.verdict.join and _side(before) not in {None, _side(after)}


def _side(row: Meeting) -> Scheduling | None:
    return row.assignment.by if row.assignment else None


def woken(row: Meeting, *, now: datetime) -> Meeting:
    """The row of a meeting in which something changed for another copy."""
    return replace(row, shared=True, due=True, next_attempt=now)


def action_for(row: Meeting, around: Surroundings) -> Action | None:
    """The one step that brings Recall closer to what the row wants, or None."""
    wish = wish_for(row, around)
    return plan(row, wish=wish, company=_company(row, wish, around=around), now=around.now)


def wish_for(row: Meeting, around: Surroundings) -> Wish | None:
    """The bot that this copy should have: the meeting's, if the copy wants one itself."""
    wants = row.verdict.join and row.event.end > around.now and around.rules.mode is Mode.LIVE
    owner = _tally(row, around).owner if wants else None
    if owner is None or row.meeting_key is None:
        return None
    return _wish(row.meeting_key, owner=owner.event_id, row=row, around=around)


def scheduled(
    row: Meeting, answer: ListedEvent, *, asked: Schedule, around: Surroundings
) -> Meeting:
    """The row after Recall answered a Schedule; an answer that does not match stays owed."""
    heard = replace(postponed(row, now=around.now), asked=False)
    tried = _seen(heard, answer, around=around)
    key = asked.wish.meeting_key
    # A bot that we had released may serve again, but a new one beside it goes first.
    again = replace(tried, released=frozenset())
    ours = matching_bot(tried, deduplication_key=key) or matching_bot(again, deduplication_key=key)
    if ours is not None:
        assignment = Assignment(
            bot_id=ours.bot_id,
            deduplication_key=key,
            fingerprint=asked.wish.fingerprint,
            join_at=ours.start,
        )
        released = row.released - {ours.bot_id}
        tried = _assigned(replace(tried, released=released), assignment, around=around)
    return _settled(tried, around, fresh=False)


def is_unheard(row: Meeting) -> bool:
    """A bot was asked for, the host may have been told of it, and the row does not know it."""
    return row.asked and row.assignment is None


def heard(row: Meeting, answer: ListedEvent, *, around: Surroundings) -> Meeting:
    """The row after Recall was asked what became of a call whose answer was lost."""
    seen = _seen(replace(row, asked=False), answer, around=around)
    # One that has begun since is not coming any more, and may have to leave.
    ours = matching_bot(seen, deduplication_key=seen.meeting_key or "")
    for entry in [ours] if ours else coming(seen, now=around.now)[-1:]:
        assignment = Assignment(
            bot_id=entry.bot_id,
            deduplication_key=entry.deduplication_key,
            fingerprint="",
            join_at=entry.start,
        )
        seen = _assigned(seen, assignment, around=around)
    return _settled(seen, around, fresh=True)


def unscheduled(row: Meeting, answer: ListedEvent, *, around: Surroundings) -> Meeting:
    """The row after Recall answered an Unschedule; bots it goes on listing are not ours."""
    tried = replace(
        _seen(row, answer, around=around),
        asked=False,
        released=frozenset(entry.bot_id for entry in answer.bots),
    )
    managed = row.assignment is None or row.assignment.by is Scheduling.MANAGED
    if managed:
        tried = _assigned(tried, None, around=around)
    # What comes next was not tried yet, and waits for nothing.
    return _settled(tried, around, fresh=True)


def cleared(row: Meeting, answer: ListedEvent) -> Meeting:
    """The row after strays were taken off; those that Recall goes on listing are none any more."""
    return replace(row, released=row.released | {entry.bot_id for entry in answer.bots})


def kept(row: Meeting, assignment: Assignment, *, around: Surroundings) -> Meeting:
    """The row after the meeting's claim holds a bot as wished."""
    tried = _assigned(postponed(row, now=around.now), assignment, around=around)
    return _settled(tried, around, fresh=False)


def handed(row: Meeting, assignment: Assignment, *, around: Surroundings) -> Meeting:
    """The row with the bot of a claim that it never heard of, or whose copies it did not see."""
    return _settled(_assigned(row, assignment, around=around), around, fresh=True)


def released(row: Meeting, *, around: Surroundings) -> Meeting:
    """The row after its claim has ended: the bot is gone, or has been asked to leave."""
    tried = replace(postponed(row, now=around.now), assignment=None)
    return _settled(tried, around, fresh=True)


def looked(row: Meeting, found: Finding, *, around: Surroundings) -> Meeting:
    """The row after Recall was asked for its bot."""
    assigned = row.assignment and replace(
        row.assignment,
        state=found.state,
        missed=found.missed or row.assignment.missed,
        missed_detail=found.detail or row.assignment.missed_detail,
    )
    tried = replace(postponed(row, now=around.now), assignment=assigned, look_at=found.look_at)
    return _settled(tried, around, fresh=False)


def left(row: Meeting, bot_id: str, *, around: Surroundings) -> Meeting:
    """The row after a bot was asked to leave its call, or turned out to be gone."""
    leaving = tuple(each for each in row.leaving if each != bot_id)
    tried = replace(postponed(row, now=around.now), leaving=leaving)
    if row.assignment is not None and row.assignment.bot_id == bot_id:
        tried = replace(tried, assignment=None)
    return _settled(tried, around, fresh=True)


def gone(row: Meeting, around: Surroundings) -> Meeting:
    """The row of an event that Recall does not know any more."""
    vanished = replace(row, event=replace(row.event, deleted=True), bots=(), asked=False)
    return _settled(_decided(vanished, around), around, fresh=False)


def refused(
    row: Meeting, problem: str, *, now: datetime | None = None, detail: str | None = None
) -> Meeting:
    """The row set aside: Recall refused the call, and only changed facts make it worth another."""
    return replace(
        row,
        due=False,
        attempts=row.attempts + 1,
        next_attempt=None,
        wake_at=None,
        problem=problem,
        problem_detail=detail,
        problem_at=now,
    )


def renewed(row: Meeting, *, now: datetime) -> Meeting:
    """The row due at once, as if nothing had been tried."""
    return replace(
        row,
        due=True,
        attempts=0,
        next_attempt=now,
        problem=None,
        problem_detail=None,
        problem_at=None,
    )


def postponed(
    row: Meeting,
    *,
    now: datetime,
    retry_after: float | None = None,
    setback: str | None = None,
) -> Meeting:
    """The row after a try that may succeed later; `retry_after` in seconds overrides backoff."""
    backoff = min(FIRST_RETRY * 2 ** min(row.attempts, 10), LONGEST_RETRY)
    delay = backoff if retry_after is None else timedelta(seconds=retry_after)
    return replace(
        row, due=True, attempts=row.attempts + 1, next_attempt=now + delay, setback=setback
    )


def _seen(row: Meeting, listed: ListedEvent, *, around: Surroundings) -> Meeting:
    """The row with the facts of a Recall answer, and what they decide."""
    event = owned_by(listed.event, around.calendar.email if around.calendar else None)
    # One that was moved into the past never took place.
    moved_away = event.start != row.event.start and event.end <= around.now
    wanted = row.wanted and not moved_away
    return _decided(replace(row, event=event, bots=listed.bots, wanted=wanted), around)


def _first_row(event: Event, calendar: Calendar, *, around: Surroundings) -> Meeting:
    row = Meeting(event=event, tenant_id=calendar.tenant_id, decision=UNDECIDED)
    return replace(row, decision=_decide(row, around))


def _decided(row: Meeting, around: Surroundings) -> Meeting:
    """The row with its key, its own decision, and the vote of all copies."""
    key = _key(row, around)
    keyed_at = row.keyed_at if key == row.meeting_key else around.now
    decision = _decide(row, around)
    own = replace(row, decision=decision, meeting_key=key, keyed_at=keyed_at)
    if around.copies is None:
        return own
    return replace(own, overruled=_tally(own, around).overruled if decision.join else None)


def _decide(row: Meeting, around: Surroundings) -> Decision:
    status = around.calendar.status if around.calendar else CalendarStatus.DISCONNECTED
    circumstances = Circumstances(
        rules=around.rules,
        override=choice_of(row, around),
        opted_out=row.opted_out or around.series.opted_out,
        status=status,
        now=around.now,
        owner_email=around.calendar.email if around.calendar else None,
    )
    return decide(row.event, circumstances)


def choice_of(row: Meeting, around: Surroundings) -> Choice:
    """The person's word in force: the occurrence's own, else that of its series."""
    if row.override.choice is Choice.AUTO and around.series.override is not None:
        return around.series.override.choice
    return row.override.choice


def _key(row: Meeting, around: Surroundings) -> str | None:
    email = around.calendar.email if around.calendar else None
    return key_of(row.event, tenant_id=row.tenant_id, email=email, dedupe=around.rules.dedupe)


def _tally(row: Meeting, around: Surroundings) -> Tally:
    """The vote of all copies that stand where the row stands."""
    present = [copy for copy in around.copies or () if copy.row.meeting_key == row.meeting_key]
    ballots = [_ballot(copy.row, copy.around) for copy in present]
    return tally([_ballot(row, around, decision=row.decision), *ballots])


def _ballot(row: Meeting, around: Surroundings, *, decision: Decision | None = None) -> Ballot:
    calendar = around.calendar
    own = decision or _decide(row, around)
    return Ballot(
        event_id=row.event.event_id,
        calendar_id=row.event.calendar_id,
        connected_since=calendar.created_at if calendar else around.now,
        organizes=row.event.owner_is_organizer,
        declined=row.event.owner_answer is Answer.DECLINED,
        refuses=own.reason in REFUSALS,
        decision=own,
        rules=around.rules,
    )


def _wish(key: str, *, owner: str, row: Meeting, around: Surroundings) -> Wish:
    """Name, configuration, link and way of scheduling are those of the owner's copy."""
    copies = {copy.row.event.event_id: copy for copy in around.copies or ()}
    owning = copies.get(owner) or Copy(row=row, around=around)
    event, rules = owning.row.event, owning.around.rules
    url = event.meeting_url or row.event.meeting_url or ""
    bot = rules.bot.rendered(
        owner=_name(owning.around.calendar), tenant=row.tenant_id, title=event.title
    )
    return Wish(
        meeting_key=key,
        event_id=event.event_id,
        start=event.start,
        end=event.end,
        meeting_url=url,
        bot=bot,
        fingerprint=bot.fingerprint(url),
        scheduling=rules.scheduling,
    )


def _name(calendar: Calendar | None) -> str | None:
    """Neither provider tells the name of a calendar's owner; an address begins with one."""
    if calendar is None:
        return None
    return (calendar.email or calendar.entity_id).partition("@")[0]


def _company(row: Meeting, wish: Wish | None, *, around: Surroundings) -> Company:
    if not around.copies:
        return ALONE
    used = row.assignment.deduplication_key if row.assignment else None
    users = [copy for copy in around.copies if copy.row.meeting_key == used]
    if used == row.meeting_key and _tally(row, around).overruled is not None:
        users = []
    using = any(_wants(copy, voted=used == row.meeting_key) for copy in users)
    return Company(
        using=using,
        behind=using and used != row.meeting_key,
        draining=wish is not None and any(_drains(copy, wish) for copy in around.copies),
        served=wish is not None and any(_has(copy, wish) for copy in around.copies),
    )


def _wants(copy: Copy, *, voted: bool) -> bool:
    """`voted`: the vote let it pass; that of another meeting is not ours to count."""
    decision = _decide(copy.row, copy.around)
    live = copy.around.rules.mode is Mode.LIVE
    return live and decision.join and (voted or copy.row.overruled is None)


def _has(copy: Copy, wish: Wish) -> bool:
    assigned = copy.row.assignment
    return (
        assigned is not None
        and copy.row.meeting_key == wish.meeting_key
        and (assigned.by, assigned.deduplication_key) == (wish.scheduling, wish.meeting_key)
        and assigned.missed is None
        and not is_over(assigned.state)
    )


def _drains(copy: Copy, wish: Wish) -> bool:
    """The copy has a bot of the other way of scheduling for the very same meeting, or had it."""
    now, assigned = copy.around.now, copy.row.assignment
    if assigned is not None and assigned.deduplication_key == wish.meeting_key:
        own = assigned.by is Scheduling.SELF_MANAGED
        if assigned.by is not wish.scheduling and (own or assigned.join_at <= now):
            return True
    if wish.scheduling is not Scheduling.SELF_MANAGED:
        return False
    waiting = coming(copy.row, now=now)
    if copy.row.meeting_key == wish.meeting_key:
        return copy.row.asked or bool(waiting)
    # It has moved on, and its bot has not.
    place = (wish.meeting_key, wish.start)
    return any((entry.deduplication_key, entry.start) == place for entry in waiting)


def _assigned(row: Meeting, assignment: Assignment | None, *, around: Surroundings) -> Meeting:
    """The row with another bot, or none; one that had begun to start must be asked to leave."""
    before = row.assignment
    if before is not None and assignment is not None and before.bot_id == assignment.bot_id:
        return replace(row, assignment=assignment.hearing(before))
    leaving = row.leaving
    managed = before is not None and before.by is Scheduling.MANAGED
    if before is not None and managed and _may_join(before, now=around.now):
        company = _company(row, None, around=around)
        leaving = leaving if company.using else (*leaving, before.bot_id)
    return replace(row, assignment=assignment, leaving=leaving, look_at=None)


def _may_join(assigned: Assignment, *, now: datetime) -> bool:
    """It is about to start or knocks at the door; one inside the call ends with the call."""
    return assigned.join_at - now <= WARM_UP and is_outside(assigned.state)


def _settled(row: Meeting, around: Surroundings, *, fresh: bool) -> Meeting:
    """Mark the work owed; or clear it and let the assignment follow what Recall lists."""
    action = action_for(row, around)
    row = replace(
        row,
        wake_at=_next_look(row, action, around=around),
        wanted=_wanted(row, around),
        asked=row.asked or isinstance(action, Schedule),
    )
    if action is None or isinstance(action, Wait):
        return replace(
            row,
            assignment=_confirmed(row, around) if action is None else row.assignment,
            due=False,
            attempts=0,
            next_attempt=None,
            problem=None,
            problem_detail=None,
            problem_at=None,
            setback=None,
        )
    if fresh:
        return renewed(row, now=around.now)
    if row.due:
        return row
    if row.problem is not None:
        return replace(row, wake_at=None)
    return replace(row, due=True, next_attempt=around.now)


def _wanted(row: Meeting, around: Surroundings) -> bool:
    """Whether a bot should be there; after the end what was decided before stands."""
    if row.event.end <= around.now:
        return row.wanted
    return row.verdict.join and around.rules.mode is Mode.LIVE


def _next_look(row: Meeting, action: Action | None, *, around: Surroundings) -> datetime | None:
    """When time alone will change something."""
    if isinstance(action, Wait):
        return action.until
    horizon = around.rules.horizon
    if row.decision.reason == HORIZON and horizon is not None:
        return row.event.start - horizon
    return next_look(row) if row.event.end > around.now else None


def _confirmed(row: Meeting, around: Surroundings) -> Assignment | None:
    """The assignment as Recall's list bears it out; that of a meeting that is over stays."""
    assigned = row.assignment
    if assigned is None or row.event.end <= around.now:
        return assigned
    if assigned.by is Scheduling.SELF_MANAGED:
        return assigned
    ours = matching_bot(row, deduplication_key=assigned.deduplication_key)
    if ours is None:
        return None
    confirmed = replace(assigned.asked(), bot_id=ours.bot_id, join_at=ours.start)
    return confirmed.hearing(assigned)
