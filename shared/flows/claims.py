"""Claims that are due: self-managed bots that no row's turn has settled or still can settle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.claim import Wanted, settled
from shared.domain.consider import wish_for
from shared.domain.meeting import Assignment
from shared.domain.plan import Wish
from shared.domain.rules import Scheduling
from shared.errors import TransientError
from shared.recall import RATE_BUDGET, Blocked, Refused
from shared.storage import Conflict

if TYPE_CHECKING:
    from shared.domain.claim import Claim, Held
    from shared.domain.meeting import Meeting
    from shared.flows.keep import Keeper
    from shared.flows.neighbours import Neighbours
    from shared.observability import Log
    from shared.storage import Stores

CLAIMS_PER_SLICE = 32


def wanted_by(wish: Wish) -> Wanted:
    """The bot of a wish, as the keeper takes it."""
    return Wanted(
        meeting_key=wish.meeting_key,
        event_id=wish.event_id,
        meeting_url=wish.meeting_url,
        start=wish.start,
        end=wish.end,
        bot=wish.bot,
        fingerprint=wish.fingerprint,
    )


def assignment_of(held: Held, wish: Wish) -> Assignment:
    return Assignment(
        bot_id=held.bot_id,
        deduplication_key=wish.meeting_key,
        fingerprint=wish.fingerprint,
        join_at=held.join_at,
        by=Scheduling.SELF_MANAGED,
    )


def bot_of(claim: Claim) -> Assignment | None:
    """The bot that a claim knows, as a row that never heard of it takes it over."""
    if claim.bot_id is None:
        return None
    return Assignment(
        bot_id=claim.bot_id,
        deduplication_key=claim.meeting_key,
        fingerprint=claim.fingerprint,
        join_at=claim.start,
        by=Scheduling.SELF_MANAGED,
    )


class DueClaims:
    """Settles claims one after the other: their meetings' rows say whether a bot is wanted."""

    def __init__(
        self,
        keeper: Keeper,
        stores: Stores,
        *,
        neighbours: Neighbours,
        clock: Callable[[], datetime],
        log: Log,
    ) -> None:
        self._keeper = keeper
        self._stores = stores
        self._neighbours = neighbours
        self._clock = clock
        self._log = log

    def settle(self, *, until: datetime) -> TransientError | None:
        """At most CLAIMS_PER_SLICE; answers the error of a limit that stopped it."""
        for claim in self._stores.claims.due(now=self._clock(), limit=CLAIMS_PER_SLICE):
            if self._clock() >= until:
                return None
            try:
                self._settle_one(claim)
            except Conflict:
                self._log.info("claim changed during its turn", event_id=claim.event_id)
            except TransientError as error:
                self._log.info("claim not settled yet", event_id=claim.event_id, code=error.code)
                if error.code == RATE_BUDGET:
                    return error
            except (Refused, Blocked) as error:
                self._log.warning("claim refused", event_id=claim.event_id, code=error.code)
                self._log.count("BotCallRefused")
        return None

    def _settle_one(self, claim: Claim) -> None:
        rows = self._stores.meetings.of_key(claim.meeting_key)
        wish = self._wish(rows)
        if wish is not None and wish.scheduling is Scheduling.SELF_MANAGED:
            held = self._keeper.keep(wanted_by(wish), previous_key=None)
            self._wake_others_of(held, claim, rows=rows)
        elif not claim.releasing and self._is_left_alone(claim, rows):
            self._stores.claims.save(settled(claim))
        elif not self._is_handed_to_row(claim):
            self._keeper.release(claim.meeting_key)

    def _is_left_alone(self, claim: Claim, rows: Sequence[Meeting]) -> bool:
        """A bot in its call, which may last longer than planned, or one that a row will end."""
        held = (is_of(row.assignment, claim.meeting_key) for row in rows)
        return any(held) or (bool(rows) and claim.start <= self._clock())

    def _is_handed_to_row(self, claim: Claim) -> bool:
        """A row that never heard of its bot ends it itself, so that the host is told."""
        now = self._clock()
        row = self._stores.meetings.get(claim.event_id)
        unheard = row is not None and row.assignment is None and row.event.end > now
        bot = bot_of(claim)
        if row is None or not unheard or bot is None:
            return False
        self._stores.meetings.save(replace(row, assignment=bot, due=True, next_attempt=now))
        return True

    def _wish(self, rows: Sequence[Meeting]) -> Wish | None:
        around = self._neighbours.surroundings(rows)
        found = (wish_for(row, near) for row, near in zip(rows, around, strict=True))
        return next((wish for wish in found if wish is not None), None)

    def _wake_others_of(self, held: Held, claim: Claim, *, rows: Sequence[Meeting]) -> None:
        """Rows that still name a bot that was lost: without it their turn finds the new one.

        So does the turn of a row that was set aside before the claim got its bot.
        """
        for row in rows:
            if row.set_aside:
                self._stores.meetings.replay(row.event.event_id, now=self._clock())
            assigned = row.assignment
            if assigned is None or not is_of(assigned, claim.meeting_key):
                continue
            if assigned.bot_id != held.bot_id:
                self._stores.meetings.forget_bot(row.event.event_id, now=self._clock())


def is_of(assigned: Assignment | None, meeting_key: str) -> bool:
    """Whether a row holds the bot of that claim."""
    if assigned is None or assigned.by is not Scheduling.SELF_MANAGED:
        return False
    return assigned.deduplication_key == meeting_key
