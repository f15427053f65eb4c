"""Claims: which bot is a self-managed meeting's, and the next step towards what is wanted.

Recall does not deduplicate bots without calendar events, so one row per meeting key does. It
always knows every bot that may live for the key: the one in `bot_id`, those in `leaving`, and
the one that a Create with `idempotency_key` may have made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.meeting import LAST_MOMENT
from shared.domain.moment import moment_text
from shared.domain.rules import BotSettings

# Recall takes a new time only more than ten minutes before the old one and the new one; its
# clock need not be ours.
NOTICE = timedelta(minutes=10, seconds=30)
# Recall answers a repeated Idempotency-Key with the first answer for one hour.
REPLAYED_FOR = timedelta(minutes=55)
# No request is on its way for so long.
SETTLED_AFTER = timedelta(minutes=2)
KEPT_AFTER_END = timedelta(days=7)
# How long we try to take off a bot whose meeting nobody can name.
ORPHAN_LASTS = timedelta(days=1)

MEETING = "rollcall_meeting"
EVENT = "rollcall_event"
CLAIM = "rollcall_claim"
MAKE = "rollcall_make"
MODE = "rollcall_mode"
SELF_MANAGED = "self_managed"

ORPHAN = "orphan"
# What we know of a bot whose last PATCH got no answer.
UNKNOWN = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The bot that a meeting should have; `bot` is rendered, `fingerprint` covers the link."""

    meeting_key: str
    event_id: str
    meeting_url: str
    start: datetime
    end: datetime
    bot: BotSettings
    fingerprint: str

    @property
    def make(self) -> str:
        return _make(self.fingerprint, self.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The bot that serves a meeting, and what it was asked to be."""

    bot_id: str
    fingerprint: str
    join_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One row of the Claims table.

    `fingerprint`, `meeting_url`, `start` and `keys` (of the configuration) are those last sent;
    UNKNOWN and `time_doubted` mean that an answer is missing. `intended_at`: when
    `idempotency_key` was first used (None: not yet). `leaving`: bots to take off before anything
    else. `moving_to`: the claim that takes everything over. `releasing`: nobody wants the bot.
    `due`: somebody should look from `next_attempt` on. `version` is the storage's lock.
    """

    meeting_key: str
    event_id: str
    meeting_url: str
    start: datetime
    end: datetime
    fingerprint: str
    keys: frozenset[str] = frozenset()
    idempotency_key: str
    intended_at: datetime | None = None
    bot_id: str | None = None
    time_doubted: bool = False
    leaving: tuple[str, ...] = ()
    moving_to: str | None = None
    releasing: bool = False
    due: bool = False
    next_attempt: datetime | None = None
    version: int | None = None

    @property
    def make(self) -> str:
        return _make(self.fingerprint, self.start)

    @property
    def expires_at(self) -> datetime:
        return min(self.end, LAST_MOMENT - KEPT_AFTER_END) + KEPT_AFTER_END

    @property
    def empty(self) -> bool:
        """Nothing at Recall can be this claim's."""
        return self.bot_id is None and self.intended_at is None and not self.leaving

    def mentions(self, bot_id: str) -> bool:
        return bot_id == self.bot_id or bot_id in self.leaving


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give everything to the claim that the meeting moved to."""


@dataclass(frozen=True, slots=True)
class Reclaim:
    """A release had begun, and the meeting wants a bot again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Take off a bot that is not wanted any more."""

    bot_id: str


@dataclass(frozen=True, slots=True)
class Intend:
    """Store a fresh Idempotency-Key before its first use."""


@dataclass(frozen=True, slots=True)
class Create:
    """Create Bot with the stored key: the first time, or again while Recall replays it."""


@dataclass(frozen=True, slots=True)
class Find:
    """Look for the bot that a Create without an answer may have made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """PATCH the waiting bot; `timed`: its time too."""

    timed: bool


@dataclass(frozen=True, slots=True)
class Replace:
    """Take the bot off, then create another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Ask again later: a Create may still be on its way."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """Note that nobody wants the bot, before the first call that takes it off."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Nothing is left at Recall: forget the claim."""


Move = HandOver | Reclaim | Cancel | Intend | Create | Find | Update | Replace
Parting = HandOver | Release | Cancel | Find | Wait | Drop


def next_move(claim: Claim, wanted: Wanted, *, now: datetime) -> Move | None:
    """The next step towards the wanted bot; None when the claim holds it."""
    if claim.moving_to is not None:
        return HandOver()
    if claim.releasing:
        return Reclaim()
    if claim.leaving:
        return Cancel(bot_id=claim.leaving[0])
    if claim.bot_id is None:
        return _move_of_intent(claim, now=now)
    return _move_of_bot(claim, wanted, now=now)


def next_parting(claim: Claim) -> Parting:
    """The next step towards no bot and no claim."""
    if claim.moving_to is not None:
        return HandOver()
    if not claim.releasing:
        return Release()
    if claim.leaving:
        return Cancel(bot_id=claim.leaving[0])
    if claim.bot_id is not None:
        return Cancel(bot_id=claim.bot_id)
    return Drop() if claim.intended_at is None else Find()


def unfound(claim: Claim, *, now: datetime) -> Wait | Drop:
    """What an unwanted Create without answer and without a listed bot calls for."""
    if claim.intended_at is not None and now < claim.intended_at + SETTLED_AFTER:
        return Wait(until=claim.intended_at + SETTLED_AFTER)
    return Drop()


def _move_of_intent(claim: Claim, *, now: datetime) -> Intend | Create | Find:
    if claim.intended_at is None:
        return Intend()
    return Create() if now < claim.intended_at + REPLAYED_FOR else Find()


def _move_of_bot(claim: Claim, wanted: Wanted, *, now: datetime) -> Update | Replace | None:
    near = wanted.start - now <= NOTICE
    if claim.time_doubted or claim.start != wanted.start:
        return Replace() if near or claim.start - now <= NOTICE else Update(timed=True)
    if claim.meeting_url != wanted.meeting_url:
        return Replace() if near else Update(timed=False)
    # A bot in its call takes no change, and another one would cut the recording in two.
    if claim.fingerprint != wanted.fingerprint and wanted.start > now:
        return Update(timed=False)
    return None


def begun(wanted: Wanted, *, idempotency_key: str, now: datetime) -> Claim:
    """The claim of a meeting that had none, as stored before its Create.

    It is due until somebody looks again: a crash may leave a bot that no row knows of.
    """
    return Claim(
        meeting_key=wanted.meeting_key,
        event_id=wanted.event_id,
        meeting_url=wanted.meeting_url,
        start=wanted.start,
        end=wanted.end,
        fingerprint=wanted.fingerprint,
        keys=frozenset(wanted.bot.config),
        idempotency_key=idempotency_key,
        intended_at=now,
        due=True,
        next_attempt=now + SETTLED_AFTER,
    )


def intended(claim: Claim, wanted: Wanted, *, idempotency_key: str, now: datetime) -> Claim:
    """The claim with a fresh key, of what is wanted now; a bot that it held must leave first."""
    fresh = begun(wanted, idempotency_key=idempotency_key, now=now)
    left = () if claim.bot_id is None else (claim.bot_id,)
    return replace(fresh, leaving=(*claim.leaving, *left), version=claim.version)


def lost(claim: Claim, *, idempotency_key: str, now: datetime) -> Claim:
    """The claim whose bot, if any, is known to be gone; its key is fresh and unused."""
    return replace(
        claim,
        bot_id=None,
        time_doubted=False,
        idempotency_key=idempotency_key,
        intended_at=None,
        due=True,
        next_attempt=now,
    )


def reclaimed(claim: Claim, wanted: Wanted, *, idempotency_key: str, now: datetime) -> Claim:
    """A bot whose release began is not to be trusted; a Create without answer still is."""
    if claim.bot_id is None:
        return replace(claim, releasing=False)
    return intended(claim, wanted, idempotency_key=idempotency_key, now=now)


def without(claim: Claim, bot_id: str) -> Claim:
    """The claim after that bot has gone."""
    left = tuple(leaving for leaving in claim.leaving if leaving != bot_id)
    if claim.bot_id != bot_id:
        return replace(claim, leaving=left)
    return replace(claim, bot_id=None, intended_at=None, leaving=left)


def doubted(claim: Claim, wanted: Wanted, *, timed: bool) -> Claim:
    """The claim before a PATCH: until its answer is stored, the bot may be the old or the new."""
    relinked = claim.meeting_url != wanted.meeting_url
    return replace(
        claim,
        event_id=wanted.event_id,
        end=wanted.end,
        fingerprint=UNKNOWN,
        meeting_url=UNKNOWN if relinked else claim.meeting_url,
        keys=claim.keys | frozenset(wanted.bot.config),
        time_doubted=claim.time_doubted or timed,
    )


def updated(claim: Claim, wanted: Wanted) -> Claim:
    """The claim after a PATCH was answered."""
    return replace(
        claim,
        event_id=wanted.event_id,
        meeting_url=wanted.meeting_url,
        start=wanted.start,
        end=wanted.end,
        fingerprint=wanted.fingerprint,
        keys=frozenset(wanted.bot.config),
        time_doubted=False,
    )


def answered(claim: Claim, wanted: Wanted, *, bot_id: str, metadata: Mapping[str, str]) -> Claim:
    """The claim with the bot that its Create made, which its metadata tell the make of.

    A repeated Create may answer with the bot of an earlier body.
    """
    held = replace(claim, bot_id=bot_id)
    make = metadata.get(MAKE, wanted.make)
    if make == wanted.make:
        return updated(held, wanted)
    return held if make == claim.make else _of_unknown_make(held)


def adopted(claim: Claim, *, bot_id: str, metadata: Mapping[str, str]) -> Claim:
    """The claim with a bot that was found by its metadata."""
    held = replace(claim, bot_id=bot_id)
    return held if metadata.get(MAKE) == claim.make else _of_unknown_make(held)


def released(claim: Claim, *, now: datetime) -> Claim:
    return replace(claim, releasing=True, due=True, next_attempt=now)


def postponed(claim: Claim, *, until: datetime) -> Claim:
    """Due not before `until`, but no sooner than it was."""
    before = claim.next_attempt
    return replace(claim, next_attempt=until if before is None else max(before, until))


def settled(claim: Claim) -> Claim:
    return replace(claim, due=False, next_attempt=None)


def handed_over(claim: Claim, meeting_key: str, *, now: datetime) -> Claim:
    """The claim of the meeting's new key, with all that the old one may have at Recall."""
    return replace(
        claim,
        meeting_key=meeting_key,
        moving_to=None,
        due=True,
        next_attempt=now + SETTLED_AFTER,
        version=None,
    )


def orphan_key(bot_id: str) -> str:
    return f"{ORPHAN}|{bot_id}"


def orphaned(bot_id: str, *, join_at: datetime, now: datetime) -> Claim:
    """A row for a bot that no claim holds, to be taken off once every claim had time to show."""
    return Claim(
        meeting_key=orphan_key(bot_id),
        event_id=ORPHAN,
        meeting_url=UNKNOWN,
        start=join_at,
        end=join_at + ORPHAN_LASTS,
        fingerprint=UNKNOWN,
        idempotency_key=ORPHAN,
        bot_id=bot_id,
        releasing=True,
        due=True,
        next_attempt=now + SETTLED_AFTER,
    )


def bot_metadata(wanted: Wanted, *, idempotency_key: str) -> dict[str, str]:
    """What every bot says of itself in lists and webhooks."""
    return {
        MEETING: wanted.meeting_key,
        EVENT: wanted.event_id,
        CLAIM: idempotency_key,
        MAKE: wanted.make,
        MODE: SELF_MANAGED,
    }


def _of_unknown_make(claim: Claim) -> Claim:
    return replace(claim, fingerprint=UNKNOWN, meeting_url=UNKNOWN, time_doubted=True)


def _make(fingerprint: str, start: datetime) -> str:
    return f"{fingerprint}@{moment_text(start)}"
