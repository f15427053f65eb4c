"""The Claims table: one row for each meeting key with a self-managed bot; rows expire."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pynamodb.attributes import (
    BooleanAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.models import Model

from shared.domain.claim import Claim
from shared.storage.attributes import EpochAttribute, ListOf, MomentAttribute
from shared.storage.errors import Conflict
from shared.storage.table import Selection, Table
from shared.storage.tables import CLAIMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pynamodb.connection import Connection
    from pynamodb.expressions.condition import Condition

DUE: Final = "1"
DAY: Final = timedelta(days=1)
OF_BOT_MAX: Final = 10
OF_DAY_MAX: Final = 5_000


class ClaimRow(Model):
    """`due` exists while somebody should look; `day` is the UTC date of the start."""

    meeting_key = UnicodeAttribute(hash_key=True)
    event_id = UnicodeAttribute()
    meeting_url = UnicodeAttribute()
    start_time = MomentAttribute()
    end_time = MomentAttribute()
    day = UnicodeAttribute()
    fingerprint = UnicodeAttribute()
    keys = UnicodeSetAttribute(null=True)
    idempotency_key = UnicodeAttribute()
    intended_at = MomentAttribute(null=True)
    bot_id = UnicodeAttribute(null=True)
    time_doubted = BooleanAttribute()
    leaving = ListOf()
    moving_to = UnicodeAttribute(null=True)
    releasing = BooleanAttribute()
    due = UnicodeAttribute(null=True)
    next_attempt = MomentAttribute(null=True)
    version = NumberAttribute()
    expires_at = EpochAttribute()


class ClaimStore:
    """Claims in and out; see Table for what every method may raise.

    A claim lives only while nothing else than its version stands in the way: every write
    and every removal is conditional on the version that was read.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._table = Table(ClaimRow, connection=connection, name=name, schema=CLAIMS)

    def get(self, meeting_key: str) -> Claim | None:
        row = self._table.get(meeting_key)
        return None if row is None else _claim(row)

    def get_many(self, meeting_keys: Iterable[str]) -> dict[str, Claim]:
        return {row.meeting_key: _claim(row) for row in self._table.get_many(meeting_keys)}

    def save(self, claim: Claim) -> Claim:
        """Writes the row if nobody wrote since `claim` was read, else raises Conflict.

        Without a version the key must be free. Returns the claim with its new version.
        """
        version = (claim.version or 0) + 1
        self._table.put(_row(claim, version=version), condition=_unchanged(claim))
        return replace(claim, version=version)

    def remove(self, claim: Claim) -> None:
        """Removes the row if nobody wrote since `claim` was read, else raises Conflict."""
        self._table.delete(claim.meeting_key, condition=_unchanged(claim))

    def due(self, *, now: datetime, limit: int) -> list[Claim]:
        """Claims that somebody should look at by `now`, longest waiting first."""
        selection = Selection(index="by_due", value=DUE, within=ClaimRow.next_attempt <= now)
        found = self._read(self._table.select(selection, limit=limit).items)
        ready = [claim for claim in found if claim.due and _attempt(claim) <= now]
        return sorted(ready, key=lambda claim: (_attempt(claim), claim.meeting_key))

    def wake(self, meeting_key: str, *, now: datetime) -> bool:
        """Makes the claim due at once; False when there is none."""
        actions = [
            ClaimRow.due.set(DUE),
            ClaimRow.next_attempt.set(now),
            ClaimRow.version.set(ClaimRow.version + 1),
        ]
        try:
            self._table.update(meeting_key, actions, condition=ClaimRow.meeting_key.exists())
        except Conflict:
            return False
        return True

    def of_bot(self, bot_id: str) -> list[Claim]:
        """The claims that hold a bot; the index behind it lags by moments."""
        page = self._table.select(Selection(index="by_bot", value=bot_id), limit=OF_BOT_MAX)
        return [claim for claim in self._read(page.items) if claim.bot_id == bot_id]

    def starting(self, *, start: datetime, end: datetime) -> list[Claim]:
        """Claims whose meetings start in [start, end], at most OF_DAY_MAX of each day."""
        within = ClaimRow.start_time.between(start, end)
        claims: list[Claim] = []
        for day in _days(start, end):
            selection = Selection(index="by_day", value=day, within=within)
            claims += self._read(self._table.select(selection, limit=OF_DAY_MAX).items)
        return [claim for claim in claims if start <= claim.start <= end]

    def _read(self, hints: Iterable[ClaimRow]) -> list[Claim]:
        return list(self.get_many(hint.meeting_key for hint in hints).values())


def _unchanged(claim: Claim) -> Condition:
    if claim.version is None:
        return ClaimRow.meeting_key.does_not_exist()
    return ClaimRow.version == claim.version


def _attempt(claim: Claim) -> datetime:
    return claim.next_attempt or claim.start


def _days(start: datetime, end: datetime) -> Iterator[str]:
    day = start.astimezone(UTC).date()
    while day <= end.astimezone(UTC).date():
        yield day.isoformat()
        day += DAY


def _row(claim: Claim, *, version: int) -> ClaimRow:
    return ClaimRow(
        meeting_key=claim.meeting_key,
        event_id=claim.event_id,
        meeting_url=claim.meeting_url,
        start_time=claim.start,
        end_time=claim.end,
        day=claim.start.astimezone(UTC).date().isoformat(),
        fingerprint=claim.fingerprint,
        keys=set(claim.keys) or None,
        idempotency_key=claim.idempotency_key,
        intended_at=claim.intended_at,
        bot_id=claim.bot_id,
        time_doubted=claim.time_doubted,
        leaving=list(claim.leaving),
        moving_to=claim.moving_to,
        releasing=claim.releasing,
        due=DUE if claim.due else None,
        next_attempt=claim.next_attempt,
        version=version,
        expires_at=claim.expires_at,
    )


def _claim(row: ClaimRow) -> Claim:
    return Claim(
        meeting_key=row.meeting_key,
        event_id=row.event_id,
        meeting_url=row.meeting_url,
        start=row.start_time,
        end=row.end_time,
        fingerprint=row.fingerprint,
        keys=frozenset(row.keys or ()),
        idempotency_key=row.idempotency_key,
        intended_at=row.intended_at,
        bot_id=row.bot_id,
        time_doubted=row.time_doubted,
        leaving=tuple(row.leaving),
        moving_to=row.moving_to,
        releasing=row.releasing,
        due=row.due == DUE,
        next_attempt=row.next_attempt,
        version=int(row.version),
    )
