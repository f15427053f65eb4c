"""A grant becomes a calendar, or gives the account's own calendar a new token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.domain.calendar import (
    Calendar,
    CalendarStatus,
    Platform,
    RecallCalendar,
    account_key,
)
from shared.domain.secret import Secret
from shared.flows.doors import CalendarDoors
from shared.flows.removal import disconnect, forget
from shared.recall.errors import NotFound, Refused
from shared.storage import Claim

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RECONNECTING = "reconnecting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What Recall reads a calendar with; the token is bound to the client. None: as it was."""

    client_id: str | None = None
    client_secret: Secret | None = None
    refresh_token: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A grant in hand and whom it is for.

    `claim_id`: the Idempotency-Key of Create Calendar, equal whenever the same arrival is tried
    again. `reconnects`: the calendar that the grant was asked for. `metadata` None: as it was.
    """

    tenant_id: str
    entity_id: str
    platform: Platform
    email: str | None
    client_id: str
    client_secret: Secret
    refresh_token: Secret
    claim_id: str
    metadata: Mapping[str, str] | None = None
    reconnects: str | None = None

    @property
    def account_key(self) -> str | None:
        if self.email is None:
            return None
        return account_key(self.tenant_id, self.entity_id, platform=self.platform, email=self.email)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """The calendar, and whether it is new."""

    calendar: Calendar
    created: bool


def land(doors: CalendarDoors, arrival: Arrival, *, now: datetime) -> Landed:
    """Create the calendar, or renew the one that the account already has.

    After a crash anywhere the same calls have the same outcome: the claim keeps the
    Idempotency-Key, and rows are only added where absent. An account nobody named has no
    claim; the first sync names it, and a double is merged then.
    """
    claim, known = _holder(doors, arrival, claim=_claim(doors, arrival, now=now), now=now)
    calendar = _renewed(doors, known, arrival=arrival, now=now) if known else None
    if known is not None and calendar is None:
        # Should we die meanwhile, a refresh finishes it.
        disconnect(doors, known, now=now)
        forget(doors, known, now=now)
        claim = _claim(doors, arrival, now=now)
    if calendar is not None:
        landed = Landed(calendar=calendar, created=False)
    else:
        claim, landed = _created(doors, arrival, claim=claim, now=now)
    _settle(doors, arrival, claim=claim, landed=landed)
    # The feed passes over calendars that have no row yet, so a new row rings for its own read.
    doors.queue.ring(received_at=now, calendar_id=landed.calendar.calendar_id)
    return landed


def renew(
    doors: CalendarDoors, calendar_id: str, *, credentials: Credentials, now: datetime
) -> Calendar | None:
    """New credentials at Recall under the same id; None when it is gone there or here."""
    try:
        shown = doors.recall.update_calendar(
            calendar_id,
            client_id=credentials.client_id,
            client_secret=credentials.client_secret,
            refresh_token=credentials.refresh_token,
        )
    except NotFound:
        return None
    return doors.calendars.change(
        calendar_id,
        status=shown.status,
        status_reason=RECONNECTING if shown.status is CalendarStatus.CONNECTING else None,
        # Recall took the bots off while it was cut off; only a full read shows them missing.
        read_since=EPOCH,
        updated_at=now,
    )


def recall_metadata(tenant_id: str, entity_id: str) -> dict[str, str]:
    """What an operator sees on the calendar at Recall; the host's own metadata stays here."""
    return {"tenant_id": tenant_id, "entity_id": entity_id}


def _claim(doors: CalendarDoors, arrival: Arrival, *, now: datetime) -> Claim | None:
    key = arrival.account_key
    return doors.accounts.claim(key, claim_id=arrival.claim_id, now=now) if key else None


def _holder(
    doors: CalendarDoors, arrival: Arrival, *, claim: Claim | None, now: datetime
) -> tuple[Claim | None, Calendar | None]:
    """The calendar to renew: the account's own, else the one that the link was made for.

    On an account that nobody named the link proves nothing, so it starts as a new calendar.
    """
    if claim is None:
        return None, None
    calendar_id = claim.calendar_id or arrival.reconnects
    calendar = doors.calendars.get(calendar_id) if calendar_id else None
    if calendar is not None and _is_for(calendar, arrival):
        return claim, calendar
    if claim.calendar_id is None:
        return claim, None
    # A crash left the claim behind when its calendar went, or moved to another entity.
    doors.accounts.release(claim.account_key, calendar_id=claim.calendar_id)
    return _claim(doors, arrival, now=now), None


def _is_for(calendar: Calendar, arrival: Arrival) -> bool:
    """The same entity, and the same account unless the calendar's is not known yet."""
    same_account = calendar.account_key in {None, arrival.account_key}
    return same_account and calendar.belongs_to(arrival.tenant_id, arrival.entity_id)


def _renewed(
    doors: CalendarDoors, known: Calendar, *, arrival: Arrival, now: datetime
) -> Calendar | None:
    credentials = Credentials(
        client_id=arrival.client_id,
        client_secret=arrival.client_secret,
        refresh_token=arrival.refresh_token,
    )
    calendar = renew(doors, known.calendar_id, credentials=credentials, now=now)
    if calendar is None or arrival.metadata is None:
        return calendar
    return doors.calendars.change(
        known.calendar_id, metadata=dict(arrival.metadata), updated_at=now
    )


def _created(
    doors: CalendarDoors, arrival: Arrival, *, claim: Claim | None, now: datetime
) -> tuple[Claim | None, Landed]:
    """A new calendar, and the claim that it was made under.

    Under a claim that somebody else left behind Recall repeats what it answered then, maybe a
    calendar that has gone since; then the arrival starts under a claim of its own.
    """
    shown = _create_at_recall(doors, arrival, claim=claim)
    left_behind = claim is not None and claim.claim_id != arrival.claim_id
    if claim is not None and left_behind and _is_gone(doors, shown.calendar_id):
        doors.accounts.release(claim.account_key, calendar_id=None)
        claim = _claim(doors, arrival, now=now)
        shown = _create_at_recall(doors, arrival, claim=claim)
    return claim, Landed(calendar=doors.calendars.add(_row(arrival, shown)), created=True)


def _is_gone(doors: CalendarDoors, calendar_id: str) -> bool:
    try:
        doors.recall.get_calendar(calendar_id)
    except NotFound:
        return True
    return False


def _create_at_recall(
    doors: CalendarDoors, arrival: Arrival, *, claim: Claim | None
) -> RecallCalendar:
    try:
        return doors.recall.create_calendar(
            platform=arrival.platform,
            client_id=arrival.client_id,
            client_secret=arrival.client_secret,
            refresh_token=arrival.refresh_token,
            email=arrival.email,
            metadata=recall_metadata(arrival.tenant_id, arrival.entity_id),
            idempotency_key=claim.claim_id if claim else arrival.claim_id,
        )
    except Refused:
        # Recall repeats a refusal for an hour under the same key; the next try needs its own.
        if claim is not None:
            doors.accounts.release(claim.account_key, calendar_id=None)
        raise


def _row(arrival: Arrival, shown: RecallCalendar) -> Calendar:
    return Calendar(
        calendar_id=shown.calendar_id,
        tenant_id=arrival.tenant_id,
        entity_id=arrival.entity_id,
        platform=arrival.platform,
        email=arrival.email,
        status=shown.status,
        status_reason=shown.status_reason,
        metadata=dict(arrival.metadata or {}),
        created_at=shown.created_at,
        updated_at=shown.updated_at,
        read_since=shown.created_at,
    )


def _settle(doors: CalendarDoors, arrival: Arrival, *, claim: Claim | None, landed: Landed) -> None:
    """The account now belongs to this calendar."""
    calendar = landed.calendar
    if claim is None or claim.calendar_id == calendar.calendar_id:
        return
    doors.accounts.assign(
        claim.account_key, claim_id=claim.claim_id, calendar_id=calendar.calendar_id
    )
    if calendar.email is None:
        doors.calendars.change(
            calendar.calendar_id, email=arrival.email, updated_at=calendar.updated_at
        )
