"""Keep: one bot per meeting key by Create, Update and Delete Bot, whatever crashes in between.

Every step is one call or one conditional write. What a call may bring about is stored before
the call, and what it brought about after, so a repeat always finds every bot again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, assert_never

from shared.domain.claim import (
    CLAIM,
    ORPHAN,
    Cancel,
    Claim,
    Create,
    Drop,
    Find,
    HandOver,
    Held,
    Intend,
    Move,
    Parting,
    Reclaim,
    Release,
    Replace,
    Update,
    Wait,
    Wanted,
    adopted,
    answered,
    begun,
    bot_metadata,
    doubted,
    handed_over,
    intended,
    lost,
    next_move,
    next_parting,
    postponed,
    reclaimed,
    released,
    settled,
    unfound,
    updated,
    without,
)
from shared.errors import RollcallError, TransientError
from shared.recall import (
    AlreadyDispatched,
    NotFound,
    OutOfCredit,
    PoolEmpty,
    Refused,
)
from shared.storage import Conflict

if TYPE_CHECKING:
    from shared.observability import Log
    from shared.recall import RecallBot, RecallClient
    from shared.storage import ClaimStore

MOVES_MAX = 16
FIND_PAGES_MAX = 3
UNSTARTED_RETRY_SECONDS = 15.0
UNSETTLED_RETRY_SECONDS = 5.0
RETRY = timedelta(seconds=30)

TOO_LATE = "update_bot_failed"
COMPLETED = "cannot_command_completed_bot"
UNSTARTED = "cannot_command_unstarted_bot"


class Keeper:
    """Makes Recall's bots match what is wanted under each meeting key.

    Both `keep` and `release` may raise TransientError (retry_after) and what the Recall client
    raises; the claim then remembers how far they came, and calling again goes on from there.
    """

    def __init__(
        self,
        recall: RecallClient,
        claims: ClaimStore,
        *,
        clock: Callable[[], datetime],
        unique: Callable[[], str],
        log: Log,
    ) -> None:
        self._recall = recall
        self._claims = claims
        self._clock = clock
        self._unique = unique
        self._log = log

    def holds(self, meeting_key: str) -> Claim | None:
        return self._claims.get(meeting_key)

    def keep(self, wanted: Wanted, *, previous_key: str | None) -> Held:
        """The bot of the meeting, made or changed where it must be.

        `previous_key` names a claim that nobody wants any more since the meeting moved: its bot
        moves along, or goes where the new key has one of its own.
        """
        if previous_key is not None and previous_key != wanted.meeting_key:
            self._take_over(previous_key, wanted.meeting_key)
        with self._postponing(wanted.meeting_key):
            claim = self._claims.get(wanted.meeting_key) or self._begin(wanted)
            for _ in range(MOVES_MAX):
                move = next_move(claim, wanted, now=self._clock())
                if move is None:
                    return self._held(claim, wanted)
                claim = self._carry_out(move, claim, wanted=wanted)
        raise _unsettled(UNSETTLED_RETRY_SECONDS)

    def release(self, meeting_key: str) -> None:
        """No bot and no claim: bots that wait are deleted, others are asked to leave.

        TransientError while unfinished; the claim stays due until it is finished.
        """
        with self._postponing(meeting_key):
            claim = self._claims.get(meeting_key)
            for _ in range(MOVES_MAX):
                if claim is None:
                    return
                claim = self._part(next_parting(claim), claim)
        raise _unsettled(UNSETTLED_RETRY_SECONDS)

    @contextmanager
    def _postponing(self, meeting_key: str) -> Iterator[None]:
        """A claim that is due and cannot be settled now is due later."""
        try:
            yield
        except Conflict:
            raise
        except RollcallError as error:
            claim = self._claims.get(meeting_key)
            if claim is not None and claim.due:
                retry_after = error.retry_after if isinstance(error, TransientError) else None
                wait = RETRY if retry_after is None else timedelta(seconds=retry_after)
                with suppress(Conflict):
                    self._claims.save(postponed(claim, until=self._clock() + wait))
            raise

    # Towards a bot.

    def _carry_out(self, move: Move, claim: Claim, *, wanted: Wanted) -> Claim:
        match move:
            case HandOver():
                self._hand_over(claim)
                return self._begin(wanted)
            case Reclaim():
                key, now = self._unique(), self._clock()
                return self._claims.save(reclaimed(claim, wanted, idempotency_key=key, now=now))
            case Cancel():
                self._cancel(move.bot_id, claim)
                return self._claims.save(without(claim, move.bot_id))
            case Intend() | Replace():
                return self._intend(claim, wanted)
            case Create():
                return self._create(claim, wanted)
            case Find():
                return self._find_or_forget(claim)
            case Update():
                return self._update(claim, wanted, timed=move.timed)
            case never:
                assert_never(never)

    def _begin(self, wanted: Wanted) -> Claim:
        key, now = self._unique(), self._clock()
        return self._claims.save(begun(wanted, idempotency_key=key, now=now))

    def _intend(self, claim: Claim, wanted: Wanted) -> Claim:
        key, now = self._unique(), self._clock()
        return self._claims.save(intended(claim, wanted, idempotency_key=key, now=now))

    def _held(self, claim: Claim, wanted: Wanted) -> Held:
        """A claim stays due for a while after each change; whoever asks then confirms it."""
        if claim.bot_id is None:
            message = "a claim without a bot holds nothing"
            raise AssertionError(message)
        if claim.due and claim.next_attempt is not None and claim.next_attempt <= self._clock():
            self._claims.save(settled(claim))
        return Held(bot_id=claim.bot_id, fingerprint=wanted.fingerprint, join_at=wanted.start)

    def _create(self, claim: Claim, wanted: Wanted) -> Claim:
        """Refusals of Create itself mean that no bot was made, and are replayed to their key.

        All other errors leave that open: the key stays, and brings the same bot.
        """
        try:
            bot = self._recall.create_bot(
                meeting_url=wanted.meeting_url,
                join_at=wanted.start if wanted.start > self._clock() else None,
                bot_config=_config(wanted, idempotency_key=claim.idempotency_key),
                idempotency_key=claim.idempotency_key,
            )
        except (PoolEmpty, OutOfCredit, Refused):
            self._claims.save(self._lost(claim))
            raise
        held = answered(claim, wanted, bot_id=bot.bot_id, metadata=bot.metadata)
        return self._claims.save(held)

    def _lost(self, claim: Claim) -> Claim:
        return lost(claim, idempotency_key=self._unique(), now=self._clock())

    def _find_or_forget(self, claim: Claim) -> Claim:
        found = self._find(claim)
        if found is None:
            return self._claims.save(self._lost(claim))
        self._log.info("bot found again", event_id=claim.event_id)
        return self._claims.save(adopted(claim, bot_id=found.bot_id, metadata=found.metadata))

    def _update(self, claim: Claim, wanted: Wanted, *, timed: bool) -> Claim:
        """The bot may be the old or the new until the answer is stored, so that comes first."""
        bot_id = claim.bot_id or ""
        changes = _changes(claim, wanted, timed=timed)
        in_doubt = self._claims.save(doubted(claim, wanted, timed=timed))
        try:
            self._recall.update_bot(bot_id, changes=changes)
        except NotFound:
            self._log.info("bot is gone", event_id=wanted.event_id)
            return self._claims.save(self._lost(in_doubt))
        except Refused as error:
            if error.detail_code != TOO_LATE:
                raise
            return self._intend(in_doubt, wanted)
        return self._claims.save(updated(in_doubt, wanted))

    # Moves.

    def _take_over(self, previous_key: str, meeting_key: str) -> None:
        previous = self._claims.get(previous_key)
        if previous is None or previous.end <= self._clock():
            return
        if previous.moving_to is None:
            previous = self._claims.save(replace(previous, moving_to=meeting_key))
        self._hand_over(previous)

    def _hand_over(self, claim: Claim) -> None:
        """The new claim is stored before the old one goes, so that one always knows the bot.

        From the note in the old claim on there is only this way: whoever finds it goes on with
        it. Where the new key has a claim of its own, the old one is released.
        """
        if claim.moving_to is None:
            return
        now = self._clock()
        try:
            self._claims.save(handed_over(claim, claim.moving_to, now=now))
        except Conflict:
            standing = self._claims.get(claim.moving_to)
            if standing is None:
                raise
            if not _shares(standing, claim):
                self._claims.save(released(replace(claim, moving_to=None), now=now))
                return
        self._claims.remove(claim)

    # Towards no bot.

    def _part(self, parting: Parting, claim: Claim) -> Claim | None:
        match parting:
            case HandOver():
                self._hand_over(claim)
                return self._claims.get(claim.meeting_key)
            case Release():
                return self._claims.save(released(claim, now=self._clock()))
            case Cancel():
                if not self._serves_elsewhere(parting.bot_id, claim):
                    self._cancel(parting.bot_id, claim)
                return self._gone(without(claim, parting.bot_id))
            case Find():
                return self._find_to_cancel(claim)
            case Wait():
                raise _unsettled((parting.until - self._clock()).total_seconds())
            case Drop():
                return self._gone(claim)
            case never:
                assert_never(never)

    def _gone(self, claim: Claim) -> Claim | None:
        if not claim.empty:
            return self._claims.save(claim)
        self._claims.remove(claim)
        return None

    def _find_to_cancel(self, claim: Claim) -> Claim | None:
        found = self._find(claim)
        if found is not None:
            return self._claims.save(replace(claim, bot_id=found.bot_id))
        settled_or_not = unfound(claim, now=self._clock())
        if isinstance(settled_or_not, Drop):
            return self._gone(replace(claim, intended_at=None))
        return self._part(settled_or_not, claim)

    def _serves_elsewhere(self, bot_id: str, claim: Claim) -> bool:
        """An orphan may have found its claim while it waited."""
        if claim.event_id != ORPHAN:
            return False
        others = self._claims.of_bot(bot_id)
        return any(other.meeting_key != claim.meeting_key for other in others)

    def _cancel(self, bot_id: str, claim: Claim) -> None:
        """Returns when the bot is deleted, told to leave, or was over already.

        One in between, too late to delete and too early to leave, is asked again until the
        meeting's end.
        """
        try:
            self._recall.delete_bot(bot_id)
        except NotFound:
            return
        except AlreadyDispatched:
            self._tell_to_leave(bot_id, claim)

    def _tell_to_leave(self, bot_id: str, claim: Claim) -> None:
        try:
            self._recall.leave_call(bot_id)
        except NotFound:
            return
        except Refused as error:
            if error.detail_code == COMPLETED:
                return
            if error.detail_code != UNSTARTED:
                raise
            if self._clock() < claim.end:
                message = "The bot can neither be deleted any more nor leave yet."
                raise TransientError(
                    "bot_unstarted", message, retry_after=UNSTARTED_RETRY_SECONDS
                ) from None

    # What both need.

    def _find(self, claim: Claim) -> RecallBot | None:
        """The bot that the claim's key made, among those that carry the key."""
        page = self._recall.list_bots(metadata={CLAIM: claim.idempotency_key})
        for _ in range(FIND_PAGES_MAX):
            for bot in page.bots:
                if bot.metadata.get(CLAIM) == claim.idempotency_key:
                    return bot
            if page.next_page is None:
                return None
            page = self._recall.list_bots(next_page=page.next_page)
        raise _unsettled(UNSETTLED_RETRY_SECONDS)


def _shares(standing: Claim, claim: Claim) -> bool:
    """Whether a claim knows already what another one hands over."""
    if claim.bot_id is not None and standing.mentions(claim.bot_id):
        return True
    return standing.idempotency_key == claim.idempotency_key


def _config(wanted: Wanted, *, idempotency_key: str) -> dict[str, object]:
    """The whole body besides link and time; metadata of the rules stay beside ours."""
    ours = bot_metadata(wanted, idempotency_key=idempotency_key)
    return {
        **wanted.bot.config,
        "bot_name": wanted.bot.bot_name,
        "metadata": {**wanted.bot.metadata, **ours},
    }


def _changes(claim: Claim, wanted: Wanted, *, timed: bool) -> dict[str, object]:
    """A PATCH leaves out what did not change and takes back what the rules dropped."""
    changes: dict[str, object] = dict.fromkeys(claim.keys - set(wanted.bot.config))
    changes |= _config(wanted, idempotency_key=claim.idempotency_key)
    if claim.meeting_url != wanted.meeting_url:
        changes["meeting_url"] = wanted.meeting_url
    if timed:
        changes["join_at"] = wanted.start.isoformat()
    return changes


def _unsettled(seconds: float) -> TransientError:
    message = "A bot of this meeting is not settled yet."
    return TransientError("claim_unsettled", message, retry_after=max(seconds, 1.0))
