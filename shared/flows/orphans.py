"""Orphans: compares the bots that Recall lists with the claims, and marks what differs.

It changes no bot: claims that it finds wrong become due, for the scheduler to settle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from shared.domain.claim import (
    CLAIM,
    MAKE,
    MEETING,
    MODE,
    SELF_MANAGED,
    SETTLED_AFTER,
    UNKNOWN,
    Claim,
    adopted,
    lost,
    orphaned,
)
from shared.domain.drift import Drift
from shared.errors import TransientError
from shared.recall import RATE_BUDGET, NotFound
from shared.storage import Conflict

if TYPE_CHECKING:
    from shared.observability import Log, MetricName
    from shared.recall import RecallBot, RecallClient
    from shared.storage import ClaimStore

PAGES_MAX = 20
SUSPECTS_MAX = 50
# Recall may round a time to whole seconds.
PUNCTUAL = timedelta(minutes=1)
DRIFT_METRICS: Final[Mapping[Drift, MetricName]] = {
    Drift.MISSING: "DriftMissing",
    Drift.ORPHAN: "DriftOrphan",
    Drift.MISTIMED: "DriftMistimed",
    Drift.MISCONFIGURED: "DriftMisconfigured",
    Drift.DUPLICATE: "DriftDuplicate",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look came to; `marked` claims are due now or soon, `found` counts the drift.

    `complete`: the list was read to its end, so that what it lacks was looked for too.
    """

    bots: int
    marked: int
    complete: bool
    found: Mapping[Drift, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Spot:
    """One bot or claim as it was found: the class of its drift, and whether it was marked."""

    drift: Drift | None = None
    marked: bool = False


NOTHING: Final = _Spot()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """Waiting bots by id, and whether these are all."""

    bots: Mapping[str, RecallBot] = field(default_factory=dict)
    complete: bool


class OrphanSweep:
    """Looks at the self-managed bots that join from now on.

    `known` says whether any event copy holds the bot of the meeting key: rows may have gone with
    their calendar. `heal`: the classes of drift that are marked; others are only counted.
    """

    def __init__(
        self,
        recall: RecallClient,
        claims: ClaimStore,
        *,
        known: Callable[[str], bool],
        clock: Callable[[], datetime],
        unique: Callable[[], str],
        log: Log,
        heal: frozenset[Drift] = frozenset(Drift),
    ) -> None:
        self._recall = recall
        self._claims = claims
        self._known = known
        self._clock = clock
        self._unique = unique
        self._log = log
        self._heal = heal

    def look(self, *, ahead: timedelta) -> Looked:
        """Compare the bots and claims of the meetings that start within `ahead`.

        Claims are read before the bots: whatever changes meanwhile has another version, and is
        left to the next look.
        """
        now = self._clock()
        before = {
            claim.meeting_key: claim for claim in self._claims.starting(start=now, end=now + ahead)
        }
        listed = self._listed(now, until=now + ahead)
        spots = list(self._check_bots(listed.bots, before))
        if listed.complete:
            spots += self._check_claims(list(before.values()), listed.bots)
        return Looked(
            bots=len(listed.bots),
            marked=sum(spot.marked for spot in spots),
            complete=listed.complete,
            found=Counter(spot.drift for spot in spots if spot.drift is not None),
        )

    def _listed(self, now: datetime, *, until: datetime) -> _Listed:
        """At most PAGES_MAX pages, as far as the rate budget reaches."""
        bots: dict[str, RecallBot] = {}
        try:
            page = self._recall.list_bots(
                join_from=now, join_to=until, metadata={MODE: SELF_MANAGED}
            )
            for _ in range(PAGES_MAX):
                bots |= {bot.bot_id: bot for bot in page.bots}
                if page.next_page is None:
                    return _Listed(bots=bots, complete=not page.malformed)
                page = self._recall.list_bots(next_page=page.next_page)
        except TransientError as error:
            if error.code != RATE_BUDGET:
                raise
        self._log.warning("look at bots did not reach the end", count=len(bots))
        return _Listed(bots=bots, complete=False)

    def _check_bots(
        self, bots: Mapping[str, RecallBot], before: Mapping[str, Claim]
    ) -> Iterator[_Spot]:
        """Claims are read again: what a listed bot belongs to was stored before or after it."""
        claims = self._claims.get_many(
            key for bot in bots.values() if (key := bot.metadata.get(MEETING))
        )
        for bot in bots.values():
            claim = claims.get(bot.metadata.get(MEETING, ""))
            if claim is None or not claim.mentions(bot.bot_id):
                yield self._claim_stray(bot, claim)
            elif not claim.due:
                steady = before.get(claim.meeting_key) == claim
                yield self._check_held(bot, claim, steady=steady)

    def _check_held(self, bot: RecallBot, claim: Claim, *, steady: bool) -> _Spot:
        now = self._clock()
        if not self._known(claim.meeting_key):
            return self._spot(Drift.ORPHAN, replace(claim, due=True, next_attempt=now))
        if not steady or bot.bot_id != claim.bot_id:
            return NOTHING
        if not _punctual(bot, claim):
            late = replace(claim, time_doubted=True, due=True, next_attempt=now)
            return self._spot(Drift.MISTIMED, late)
        if not _of_its_make(bot, claim):
            odd = replace(claim, fingerprint=UNKNOWN, due=True, next_attempt=now)
            return self._spot(Drift.MISCONFIGURED, odd)
        return NOTHING

    def _claim_stray(self, bot: RecallBot, claim: Claim | None) -> _Spot:
        """A bot that its claim does not know: the answer to its Create was lost, or an orphan.

        An orphan has two minutes until it is taken off: another claim may be about to show.
        """
        ours = claim is not None and claim.idempotency_key == bot.metadata.get(CLAIM)
        if claim is not None and ours and claim.bot_id is None and claim.intended_at is not None:
            found = adopted(claim, bot_id=bot.bot_id, metadata=bot.metadata)
            return _Spot(marked=self._mark(found))
        if self._claims.of_bot(bot.bot_id):
            return NOTHING
        now = self._clock()
        stray = orphaned(bot.bot_id, join_at=bot.join_at or now, now=now)
        beside = claim is not None and claim.bot_id is not None and not claim.releasing
        return self._spot(Drift.DUPLICATE if beside else Drift.ORPHAN, stray)

    def _check_claims(
        self, claims: Sequence[Claim], bots: Mapping[str, RecallBot]
    ) -> Iterator[_Spot]:
        suspects = [
            claim for claim in claims if self._is_suspect(claim) and claim.bot_id not in bots
        ]
        for claim in suspects[:SUSPECTS_MAX]:
            yield self._check_suspect(claim)

    def _is_suspect(self, claim: Claim) -> bool:
        """One that changed a moment ago may not be listed yet; one that joins is not any more."""
        now = self._clock()
        return (
            claim.bot_id is not None
            and not claim.releasing
            and (claim.intended_at is None or claim.intended_at + SETTLED_AFTER <= now)
            and claim.start > now + SETTLED_AFTER
        )

    def _check_suspect(self, claim: Claim) -> _Spot:
        """A list may leave a bot out; only its own page proves that it is gone."""
        now = self._clock()
        try:
            bot = self._recall.get_bot(claim.bot_id or "")
        except NotFound:
            without = lost(claim, idempotency_key=self._unique(), now=now)
            return self._spot(Drift.MISSING, without)
        if _punctual(bot, claim):
            return NOTHING
        late = replace(claim, time_doubted=True, due=True, next_attempt=now)
        return self._spot(Drift.MISTIMED, late)

    def _spot(self, drift: Drift, claim: Claim) -> _Spot:
        """Count the drift, and mark the claim where its class is healed."""
        healed = drift in self._heal
        if healed and not self._mark(claim):
            return NOTHING
        self._log.count(DRIFT_METRICS[drift])
        return _Spot(drift, marked=healed)

    def _mark(self, claim: Claim) -> bool:
        """False when the claim changed meanwhile, or the orphan is marked already."""
        with suppress(Conflict):
            self._claims.save(claim)
            return True
        return False


def _of_its_make(bot: RecallBot, claim: Claim) -> bool:
    """Whether the bot says that it was made as the claim last asked."""
    return UNKNOWN in {claim.fingerprint, claim.meeting_url} or bot.metadata.get(MAKE) in {
        None,
        claim.make,
    }


def _punctual(bot: RecallBot, claim: Claim) -> bool:
    """A bot without a time has joined already."""
    return claim.time_doubted or bot.join_at is None or abs(bot.join_at - claim.start) <= PUNCTUAL
