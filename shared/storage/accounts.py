"""The Accounts table: one live calendar per tenant, entity, platform and account address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pynamodb.attributes import UnicodeAttribute
from pynamodb.models import Model

from shared.storage.attributes import MomentAttribute
from shared.storage.errors import Conflict
from shared.storage.table import Table
from shared.storage.tables import ACCOUNTS

if TYPE_CHECKING:
    from datetime import datetime

    from pynamodb.connection import Connection
    from pynamodb.expressions.condition import Condition

CLAIM_ATTEMPTS_MAX: Final = 3
# Twice as long as Recall replays what it answered to the claim's idempotency key.
CLAIM_LIFE: Final = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who connects an account; `claim_id` is the idempotency key of Create Calendar at Recall."""

    account_key: str
    claim_id: str
    calendar_id: str | None = None


class AccountRow(Model):
    """`calendar_id` is missing until Recall has answered."""

    account_key = UnicodeAttribute(hash_key=True)
    claim_id = UnicodeAttribute()
    claimed_at = MomentAttribute(null=True)
    calendar_id = UnicodeAttribute(null=True)


class AccountStore:
    """Claims on accounts; see Table for what every method may raise."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._table = Table(AccountRow, connection=connection, name=name, schema=ACCOUNTS)

    def get(self, account_key: str) -> Claim | None:
        row = self._table.get(account_key)
        return None if row is None else _claim(row)

    def claim(
        self,
        account_key: str,
        *,
        claim_id: str,
        now: datetime,
        left_after: timedelta = CLAIM_LIFE,
    ) -> Claim:
        """Claims the account unless it is claimed; returns whichever claim stands.

        A claim that got no calendar within `left_after` was left by a crash and is taken over.
        """
        row = AccountRow(account_key=account_key, claim_id=claim_id, claimed_at=now)
        free = AccountRow.account_key.does_not_exist() | _left_behind(now - left_after)
        for _ in range(CLAIM_ATTEMPTS_MAX):
            try:
                self._table.put(row, condition=free)
            except Conflict:
                standing = self.get(account_key)
                if standing is not None:
                    return standing
            else:
                return _claim(row)
        raise Conflict

    def assign(self, account_key: str, *, claim_id: str, calendar_id: str) -> None:
        """Notes the calendar under its claim; raises Conflict when the claim is another's."""
        actions = [AccountRow.calendar_id.set(calendar_id)]
        self._table.update(account_key, actions, condition=AccountRow.claim_id == claim_id)

    def release(self, account_key: str, *, calendar_id: str | None) -> bool:
        """Frees the account if that calendar holds it (None: a claim that got none)."""
        try:
            self._table.delete(account_key, condition=_holds(calendar_id))
        except Conflict:
            return False
        return True


def _left_behind(since: datetime) -> Condition:
    undated = AccountRow.claimed_at.does_not_exist()
    old = undated | (AccountRow.claimed_at < since)
    left: Condition = AccountRow.calendar_id.does_not_exist() & old
    return left


def _holds(calendar_id: str | None) -> Condition:
    holds: Condition = AccountRow.calendar_id == calendar_id
    if calendar_id is None:
        holds = AccountRow.account_key.exists() & AccountRow.calendar_id.does_not_exist()
    return holds


def _claim(row: AccountRow) -> Claim:
    return Claim(account_key=row.account_key, claim_id=row.claim_id, calendar_id=row.calendar_id)
