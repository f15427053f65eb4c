"""Act: carry out the work owed on meeting rows, nearest start first, within a time slice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, assert_never

from shared.domain.announce import Step, notices
from shared.domain.claim import EVENT, MEETING
from shared.domain.consider import (
    Surroundings,
    action_for,
    cleared,
    gone,
    handed,
    heard,
    is_unheard,
    kept,
    left,
    looked,
    postponed,
    reconsidered,
    refused,
    released,
    scheduled,
    unscheduled,
    woken,
)
from shared.domain.decision import BUDGET
from shared.domain.plan import (
    Call,
    Keep,
    Leave,
    Look,
    Release,
    Schedule,
    Unschedule,
    Wait,
    Wish,
    coming,
)
from shared.domain.room import room
from shared.domain.rules import Scheduling
from shared.domain.watchdog import BotAnswer, finding
from shared.errors import TransientError
from shared.flows.claims import DueClaims, assignment_of, bot_of, wanted_by
from shared.flows.observe import Change
from shared.recall import RATE_BUDGET, Blocked, NotFound, OutOfCredit, Refused, Throttled
from shared.storage import Conflict

if TYPE_CHECKING:
    from shared.domain.meeting import Assignment, Meeting
    from shared.events import EventBus
    from shared.flows.keep import Keeper
    from shared.flows.observe import Observer
    from shared.observability import Log
    from shared.recall import RecallClient
    from shared.storage import Stores

CALLS_IN_FLIGHT = 8
BATCH_ROWS = 64
TURNS_MAX = 3
UNSTARTED = "cannot_command_unstarted_bot"
COMPLETED = "cannot_command_completed_bot"
LEAVE_RETRY_SECONDS = 15.0
CREDIT_RETRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a slice of acting left behind; `retry_after` (seconds) when a limit stopped it."""

    unfinished: bool
    retry_after: float | None = None


@dataclass(slots=True, kw_only=True)
class _Slice:
    """One slice under way: how often rows had their turn, and what the workspace refused."""

    turns: Counter[str] = field(default_factory=Counter)
    halted: TransientError | None = None
    broke: OutOfCredit | None = None

    def note(self, wave: Sequence[Meeting], turns: Sequence[Turn]) -> None:
        self.turns.update(row.event.event_id for row in wave)
        for turn in turns:
            self.halted = self.halted or turn.halted
            self.broke = self.broke or turn.broke


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One row's turn: the row before and after, and what of the workspace stopped the call."""

    step: Step
    halted: TransientError | None = None
    broke: OutOfCredit | None = None


class Actor:
    """The only one that changes bots."""

    def __init__(
        self,
        recall: RecallClient,
        stores: Stores,
        *,
        keeper: Keeper,
        observer: Observer,
        bus: EventBus,
        clock: Callable[[], datetime],
        log: Log,
    ) -> None:
        self._recall = recall
        self._stores = stores
        self._keeper = keeper
        self._claims = DueClaims(
            keeper, stores, neighbours=observer.neighbours, clock=clock, log=log
        )
        self._observer = observer
        self._bus = bus
        self._clock = clock
        self._log = log

    def act(self, fresh: Iterable[Meeting], *, until: datetime) -> Outcome:
        """Work off due rows until none is left, the slice ends or a limit stops us.

        `fresh` rows were stored a moment ago and may be missing from the index still.
        Raises PermanentError when the workspace as a whole is refused (key, credit).
        """
        part = _Slice()
        finished = self._work(fresh, part, until=until)
        if finished:
            part.halted = self._claims.settle(until=until)
            finished = part.halted is None
        if part.broke is not None:
            raise part.broke
        retry_after = part.halted.retry_after if part.halted else None
        return Outcome(unfinished=not finished, retry_after=retry_after)

    def _work(self, fresh: Iterable[Meeting], part: _Slice, *, until: datetime) -> bool:
        """True when nothing is left that is due."""
        waiting = {row.event.event_id: row for row in fresh}
        with self._observer.workers(CALLS_IN_FLIGHT) as pool:
            while self._clock() < until:
                batch = self._next_batch(waiting, part.turns)
                if not batch:
                    return True
                for wave in _waves(batch):
                    if self._clock() >= until:
                        return False
                    part.note(wave, self._run_wave(wave, pool))
                    if part.halted is not None:
                        return False
        return False

    def _next_batch(self, waiting: dict[str, Meeting], turns: Counter[str]) -> list[Meeting]:
        indexed = self._stores.meetings.due(now=self._clock(), limit=BATCH_ROWS)
        rows = waiting | {row.event.event_id: row for row in indexed}
        waiting.clear()
        left = [row for event_id, row in rows.items() if turns[event_id] < TURNS_MAX]
        return sorted(left, key=lambda row: (row.event.start, row.event.event_id))

    def _run_wave(self, wave: Sequence[Meeting], pool: Executor) -> list[Turn]:
        """Call, tell, store, in this order: a crash in between repeats a harmless call."""
        rows = self._read_again(wave)
        surroundings = self._observer.neighbours.surroundings(rows)
        turns = list(pool.map(self._take_turn, rows, surroundings))
        self._bus.publish(notice for turn in turns for notice in notices(turn.step))
        met = self._observer.introduce(
            [
                Change(turn.step.before, turn.step.after, around)
                for turn, around in zip(turns, surroundings, strict=True)
            ]
        )
        list(pool.map(lambda turn: self._store(turn, met=met), turns))
        return turns

    def _read_again(self, wave: Sequence[Meeting]) -> list[Meeting]:
        """A copy may have met them a moment ago, or had its turn; what was deleted drops out."""
        found = self._stores.meetings.get_many(row.event.event_id for row in wave)
        known = (found.get(row.event.event_id) for row in wave)
        return [row for row in known if row is not None]

    def _take_turn(self, row: Meeting, around: Surroundings) -> Turn:
        decided = reconsidered(row, around)
        action = action_for(decided, around)
        halted = broke = None
        after = decided
        if action is not None and not isinstance(action, Wait):
            try:
                decided = self._noted(decided, action, before=row)
                after = self._carry_out(decided, action, around=around)
            except TransientError as error:
                after, halted = self._postpone(decided, error, around=around)
            except OutOfCredit as error:
                after, broke = _unpaid(decided, now=around.now), error
        step = Step(before=row, after=after, calendar=around.calendar, now=around.now)
        return Turn(step=step, halted=halted, broke=broke)

    def _noted(self, decided: Meeting, action: Call, *, before: Meeting) -> Meeting:
        """Before an event's bot is asked for, the row says so: the answer may never be heard."""
        if before.asked or not isinstance(action, Schedule):
            return decided
        return self._stores.meetings.save(decided)

    def _postpone(
        self, row: Meeting, error: TransientError, *, around: Surroundings
    ) -> tuple[Meeting, TransientError | None]:
        """A limit of the workspace stops the slice and is no fault of the row."""
        self._log.info("bot call postponed", event_id=row.event.event_id, code=error.code)
        later = postponed(row, now=around.now, retry_after=error.retry_after, setback=error.code)
        if isinstance(error, Throttled) or error.code == RATE_BUDGET:
            return replace(later, attempts=row.attempts), error
        return later, None

    def _carry_out(self, row: Meeting, call: Call, *, around: Surroundings) -> Meeting:
        try:
            match call:
                case Schedule():
                    return self._schedule(row, call, around=around)
                case Unschedule():
                    return self._unschedule(row, around)
                case Leave(bot_id):
                    self._leave(bot_id)
                    return left(row, bot_id, around=around)
                case Keep(wish=wish):
                    held = self._keeper.keep(wanted_by(wish), previous_key=call.previous_key)
                    return kept(row, assignment_of(held, wish), around=around)
                case Release(meeting_key=meeting_key, used=used):
                    if not used:
                        self._keeper.release(meeting_key)
                    return released(row, around=around)
                case Look(bot_id):
                    return self._look(row, bot_id, around=around)
                case never:
                    assert_never(never)
        except NotFound:
            return gone(row, around)
        except (Refused, Blocked) as error:
            self._log.warning("bot call refused", event_id=row.event.event_id, code=error.code)
            self._log.count("BotCallRefused")
            detail = error.detail_code if isinstance(error, Refused) else None
            row = replace(row, asked=row.asked and not isinstance(call, Schedule))
            return refused(row, error.code, now=around.now, detail=detail)

    def _unschedule(self, row: Meeting, around: Surroundings) -> Meeting:
        """A bot that the row does not know is looked up first, so that its end can be told."""
        event_id = row.event.event_id
        if is_unheard(row):
            return heard(row, self._recall.get_event(event_id), around=around)
        self._return_dragged(row, own=row.meeting_key)
        return unscheduled(row, self._recall.unschedule_bot(event_id), around=around)

    def _schedule(self, row: Meeting, call: Schedule, *, around: Surroundings) -> Meeting:
        event_id, wish = row.event.event_id, call.wish
        if (own_bot := self._own_bot(wish)) is not None:
            return handed(row, own_bot, around=around)
        self._return_dragged(row, own=wish.meeting_key)
        if call.clear_first:
            row = cleared(row, self._recall.unschedule_bot(event_id))
        ours = {MEETING: wish.meeting_key, EVENT: event_id}
        config: dict[str, object] = {
            **wish.bot.config,
            "bot_name": wish.bot.bot_name,
            "metadata": {**wish.bot.metadata, **ours},
        }
        if wish.meeting_url != row.event.meeting_url:
            config["meeting_url"] = wish.meeting_url
        answer = self._recall.schedule_bot(
            event_id, deduplication_key=wish.meeting_key, bot_config=config
        )
        return scheduled(row, answer, asked=call, around=around)

    def _own_bot(self, wish: Wish) -> Assignment | None:
        """The meeting's bot of our own, if there is one, must go before Recall makes another.

        No row need know of it: a crash or a late index may hide it, its claim never is. A claim
        that knows no bot, or lets go of it, is ended here.
        """
        claim = self._keeper.holds(wish.meeting_key)
        if claim is None:
            return None
        if claim.bot_id is None or claim.releasing:
            self._keeper.release(wish.meeting_key)
            return None
        return bot_of(claim)

    def _return_dragged(self, row: Meeting, *, own: str | None) -> None:
        """Have the copies of another meeting ask anew for their bot, if it stands at our start.

        An event that moves between our List and our call takes the bot that it joins along, and
        no list tells the others. Before the call, because after it nothing shows that any more.
        """
        keys = {
            entry.deduplication_key
            for entry in coming(row, now=self._clock())
            if entry.start == row.event.start and entry.deduplication_key != own
        }
        for key in sorted(keys):
            for copy in self._stores.meetings.of_key(key):
                managed = copy.assignment and copy.assignment.by is Scheduling.MANAGED
                if managed and copy.event.start != row.event.start:
                    self._stores.meetings.forget_bot(copy.event.event_id, now=self._clock())

    def _look(self, row: Meeting, bot_id: str, *, around: Surroundings) -> Meeting:
        """Ask for a bot that should be in the call by now and has not reported."""
        try:
            bot = self._recall.get_bot(bot_id)
        except NotFound:
            answer = None
        else:
            answer = BotAnswer(status=bot.status, sub_code=bot.sub_code)
        assigned = row.assignment
        found = finding(
            assigned.state if assigned else "",
            answer,
            start=assigned.join_at if assigned else row.event.start,
            end=row.event.end,
            now=around.now,
        )
        self._log.info("bot looked for", event_id=row.event.event_id, code=found.state)
        return looked(row, found, around=around)

    def _leave(self, bot_id: str) -> None:
        """Raises TransientError while the bot has not started: then it cannot hear us yet."""
        try:
            self._recall.leave_call(bot_id)
        except NotFound:
            return
        except Refused as error:
            if error.detail_code == UNSTARTED:
                message = "the bot has not started"
                raise TransientError(UNSTARTED, message, retry_after=LEAVE_RETRY_SECONDS) from error
            if error.detail_code != COMPLETED:
                raise

    def _store(self, turn: Turn, *, met: frozenset[str]) -> None:
        """A row that changed meanwhile stays due, and its next turn sees both changes."""
        step = turn.step
        others = step.after.event.event_id in met
        after = woken(step.after, now=step.now) if others else step.after
        if after == step.before:
            return
        try:
            self._stores.meetings.save(after)
        except Conflict:
            self._log.info("row changed during its turn", event_id=step.before.event.event_id)


def _unpaid(row: Meeting, *, now: datetime) -> Meeting:
    """Taking bots off costs nothing, so rows that owe that must not wait behind this one."""
    later = postponed(row, now=now, retry_after=CREDIT_RETRY_SECONDS, setback=BUDGET)
    return replace(later, attempts=row.attempts)


def _waves(batch: Sequence[Meeting]) -> Iterable[list[Meeting]]:
    """Nearest first, a few at a time, never two rows of one room at one start together.

    Recall answers 409 to parallel calls for one deduplication key.
    """
    left = list(batch)
    while left:
        wave: dict[tuple[str, datetime], Meeting] = {}
        later: list[Meeting] = []
        for row in left:
            place = (room(row.event.meeting_url or row.event.event_id), row.event.start)
            if len(wave) < CALLS_IN_FLIGHT and place not in wave:
                wave[place] = row
            else:
                later.append(row)
        yield list(wave.values())
        left = later
