"""Dead letters: shown without their bodies, sent again, or discarded by an operator.

SQS can redrive by itself (StartMessageMoveTask, FIFO too), but takes everything or nothing, poison
included, and answers nothing about single letters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from shared.errors import CallerError, PermanentError, TransientError
from shared.queue import parse

if TYPE_CHECKING:
    from shared.observability import Log
    from shared.queue import DeadLetterQueue, Letter, Queue

# Longer than a request may last, so that nobody else takes what we have in hand.
HIDDEN_SECONDS: Final = 60
SEARCHED_MAX: Final = 500
MALFORMED: Final = "message_malformed"
TRIES_USED_UP: Final = "tries_used_up"
UNKNOWN: Final = "unknown"
TYPES: Final = frozenset({"feed.changed", "tick", "work.due", "calendar.update", "bot.event"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterDoors:
    """Both queues; `unique` is fresh chance."""

    dead: DeadLetterQueue
    queue: Queue
    unique: Callable[[], str]
    log: Log


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLetter:
    """A letter as an operator sees it: `group` names a bot or a calendar by its id."""

    message_id: str
    type: str
    group: str
    reason: str
    receives: int
    redriven: int
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """How many letters went back, how many stay because they are malformed, what is left."""

    redriven: int
    kept: int
    left: int


def shown_letters(doors: DeadLetterDoors, *, limit: int) -> list[ShownLetter]:
    """The first letters of each group, at most `limit`; SQS cannot turn pages."""
    with _in_hand(doors) as held:
        for letter in _taken(doors, limit=limit):
            held.append(letter)
        return [_shown(letter) for letter in held]


def redrive(doors: DeadLetterDoors, *, limit: int) -> Redriven:
    """Send at most `limit` letters back to their queue; malformed ones stay.

    Each is removed after it was sent: a crash in between sends it twice, never not at all. So
    every message must stand being answered twice.
    """
    count = 0
    with _in_hand(doors) as held:
        for letter in _taken(doors, limit=limit):
            if _reason(letter) == MALFORMED:
                held.append(letter)
                continue
            doors.queue.send_again(letter, unique=doors.unique())
            doors.dead.remove(letter)
            count += 1
    doors.log.info("dead letters redriven", count=count)
    return Redriven(redriven=count, kept=len(held), left=doors.dead.depth())


def discard(doors: DeadLetterDoors, message_id: str) -> None:
    """Remove one letter for good; CallerError `dead_letter_not_found` (404).

    Of each group only the first ten letters can be reached.
    """
    with _in_hand(doors) as held:
        for letter in _taken(doors, limit=SEARCHED_MAX):
            if letter.message_id == message_id:
                doors.dead.remove(letter)
                doors.log.info("dead letter discarded", message_id=message_id)
                return
            held.append(letter)
    raise CallerError("dead_letter_not_found", "No such letter can be reached.", status=404)


def _taken(doors: DeadLetterDoors, *, limit: int) -> Iterator[Letter]:
    """Letters taken in hand until there are no more or `limit` is reached."""
    missing = limit
    while missing > 0:
        letters = doors.dead.receive(limit=missing, hidden_seconds=HIDDEN_SECONDS)
        if not letters:
            return
        missing -= len(letters)
        yield from letters


@contextmanager
def _in_hand(doors: DeadLetterDoors) -> Iterator[list[Letter]]:
    """A list whose letters go back at the end; the last first, so that each group is in order."""
    held: list[Letter] = []
    try:
        yield held
    finally:
        for letter in reversed(held):
            _release(doors, letter)


def _release(doors: DeadLetterDoors, letter: Letter) -> None:
    try:
        doors.dead.release(letter)
    except TransientError as error:
        # It comes back by itself, only later.
        doors.log.warning("dead letter not released", code=error.code)


def _shown(letter: Letter) -> ShownLetter:
    return ShownLetter(
        message_id=letter.message_id,
        type=_type(letter),
        group=letter.group,
        reason=_reason(letter),
        receives=letter.receives,
        redriven=letter.redriven,
        sent_at=letter.sent_at,
    )


def _reason(letter: Letter) -> str:
    """What failed otherwise is in the scheduler's log, under the letter's id."""
    try:
        parse(letter.body)
    except PermanentError:
        return MALFORMED
    return TRIES_USED_UP


def _type(letter: Letter) -> str:
    """Of a malformed letter too, but only a word that we know: the rest may be anything."""
    try:
        facts = json.loads(letter.body)
    except (ValueError, RecursionError):
        return UNKNOWN
    stated = facts.get("type") if isinstance(facts, dict) else None
    return stated if isinstance(stated, str) and stated in TYPES else UNKNOWN
