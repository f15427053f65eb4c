"""Calendars after their birth: kept in step with Recall, changed, merged, deleted, read anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.calendar import (
    Calendar,
    CalendarStatus,
    Platform,
    RecallCalendar,
    account_key,
)
from shared.domain.message import CalendarUpdate
from shared.domain.notice import CalendarConnected, CalendarDisconnected, Notice
from shared.domain.secret import Secret
from shared.errors import CallerError, PermanentError, TransientError
from shared.flows.doors import CalendarDoors
from shared.flows.landing import (
    EPOCH,
    RECONNECTING,
    Arrival,
    Credentials,
    Landed,
    land,
    recall_metadata,
    renew,
)
from shared.flows.removal import DELETING, delete_at_recall, forget, remove
from shared.observability import Log
from shared.providers import granted_calendar
from shared.providers.clients import OAuthClient, OAuthClients
from shared.recall.errors import NotFound
from shared.storage.calendars import CalendarChanges, CalendarStore

DELETED_AT_RECALL = "deleted_at_recall"
CONNECT_LASTS_AT_MOST = timedelta(minutes=2)
TWINS_MAX = 100
MERGED = "merged"
ACCOUNT_MISMATCH = "account_mismatch"
MEETING_PAGES_MAX = 50
ID_LENGTH_MAX = 256
# A message may come back nine times, and that must outlast a connect.
BUSY_SECONDS = 20


class AccountBusy(TransientError):
    """Somebody is connecting this account now; whoever refreshes comes back."""

    def __init__(self) -> None:
        message = "The account of this calendar is being connected."
        super().__init__("account_busy", message, retry_after=BUSY_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInHand:
    """A host's own grant: the client is the host's or, when not given, the stack's."""

    refresh_token: Secret
    client_id: str | None = None
    client_secret: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCalendar:
    """Body of POST /v1/calendars.

    `claim_id` becomes Recall's Idempotency-Key: equal when the caller repeats a request, else
    fresh chance.
    """

    tenant_id: str
    entity_id: str
    platform: Platform
    grant: TokenInHand
    metadata: Mapping[str, str] | None
    claim_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Body of PATCH /v1/calendars/{id}; None leaves a thing as it is.

    `client_secret` without a grant: the client's secret was rotated, the token stays.
    """

    entity_id: str | None = None
    metadata: Mapping[str, str] | None = None
    grant: TokenInHand | None = None
    client_secret: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """Whose token it is, and the token to go on with (a provider may have rotated it)."""

    email: str | None = field(repr=False)
    refresh_token: Secret


def existing(calendars: CalendarStore, calendar_id: str) -> Calendar:
    """The calendar, or CallerError `calendar_not_found` (404)."""
    fits = 0 < len(calendar_id) <= ID_LENGTH_MAX
    calendar = calendars.get(calendar_id) if fits else None
    if calendar is None:
        raise not_found()
    return calendar


def not_found() -> CallerError:
    return CallerError("calendar_not_found", "There is no such calendar.", status=404)


def add(
    doors: CalendarDoors, wanted: NewCalendar, *, clients: OAuthClients, now: datetime
) -> Landed:
    """Connect with a refresh token in hand.

    Errors: CallerError `scope_missing`, `platform_not_offered`.
    """
    client = _client(clients, wanted.platform, grant=wanted.grant)
    account = _account(client, wanted.grant)
    arrival = Arrival(
        tenant_id=wanted.tenant_id,
        entity_id=wanted.entity_id,
        platform=wanted.platform,
        email=account.email,
        client_id=client.client_id,
        client_secret=client.client_secret,
        refresh_token=account.refresh_token,
        claim_id=wanted.claim_id,
        metadata=wanted.metadata,
    )
    return land(doors, arrival, now=now)


def edit(
    doors: CalendarDoors,
    calendar_id: str,
    *,
    changes: Edit,
    clients: OAuthClients,
    now: datetime,
) -> Calendar:
    """Move to another entity, replace the metadata, reconnect with another token.

    Errors: CallerError `calendar_not_found`, `account_taken` (409: the entity has this account
    already), `account_mismatch` (409: the token is another account's), and those of `add`.
    """
    calendar = existing(doors.calendars, calendar_id)
    if changes.grant is not None:
        calendar = _reconnected(doors, calendar, grant=changes.grant, clients=clients, now=now)
    elif changes.client_secret is not None:
        rotated = Credentials(client_secret=changes.client_secret)
        calendar = _renewed(doors, calendar, credentials=rotated, now=now)
    if changes.metadata is not None:
        calendar = _changed(doors, calendar, changes={"metadata": changes.metadata}, now=now)
    if changes.entity_id is not None and changes.entity_id != calendar.entity_id:
        calendar = _moved(doors, calendar, entity_id=changes.entity_id, now=now)
    return calendar


def delete(
    doors: CalendarDoors, calendar_id: str, *, clients: OAuthClients, log: Log, now: datetime
) -> None:
    """See `removal.remove`; 404 when it is gone already."""
    remove(doors, existing(doors.calendars, calendar_id), clients=clients, log=log, now=now)


def resync(doors: CalendarDoors, calendar_id: str, *, now: datetime) -> None:
    """Owe the calendar a full read and ring for it."""
    calendar = existing(doors.calendars, calendar_id)
    _changed(doors, calendar, changes={"read_since": EPOCH}, now=now)
    doors.queue.ring(received_at=now, calendar_id=calendar_id)


def refresh(doors: CalendarDoors, calendar_id: str, *, now: datetime) -> Calendar | None:
    """Take over what Recall says of a calendar now: status, reason, address of the account.

    None: not ours, or not any more. For calendar.update messages, for calendars that are
    connecting, and for the reconciler; repeating it is harmless, and needed after AccountBusy,
    when all is taken over but the address.
    """
    known = doors.calendars.get(calendar_id)
    if known is None:
        return None
    if known.status_reason == MERGED:
        _finish_merge(doors, known, now=now)
        return None
    shown = _shown(doors, calendar_id)
    if shown is None and known.status_reason == DELETING:
        forget(doors, known, now=now)  # a deletion broke off after Recall had done its part
        return None
    known = _follow(doors, known, shown=shown, now=now)
    if shown is None:
        _wake_meetings(doors, calendar_id, now=now)
    if known is None or known.email is not None or shown is None or shown.email is None:
        return known
    return _name_account(doors, known, email=shown.email, now=now)


def _shown(doors: CalendarDoors, calendar_id: str) -> RecallCalendar | None:
    try:
        return doors.recall.get_calendar(calendar_id)
    except NotFound:
        return None


def _wake_meetings(doors: CalendarDoors, calendar_id: str, *, now: datetime) -> None:
    """No list will ever show that these events are gone; the call that each owes will."""
    cursor: str | None = None
    for _ in range(MEETING_PAGES_MAX):
        page = doors.meetings.of_calendar(calendar_id, start=now, cursor=cursor, limit=100)
        for meeting in page.items:
            if meeting.assignment is not None:
                doors.meetings.wake(meeting.event.event_id, now=now)
        cursor = page.next_cursor
        if cursor is None:
            break
    doors.queue.ring(received_at=now, calendar_id=calendar_id)


def _follow(
    doors: CalendarDoors, known: Calendar, *, shown: RecallCalendar | None, now: datetime
) -> Calendar | None:
    changes = status_changes(known, shown)
    if not changes:
        return known
    # Told before it is written: after a crash it is told again, never forgotten.
    doors.bus.publish(status_notices(known, changes, now=now))
    changed = doors.calendars.change(known.calendar_id, updated_at=now, **changes)
    if "read_since" in changes:
        doors.queue.ring(received_at=now, calendar_id=known.calendar_id)
    return changed


def status_changes(known: Calendar, shown: RecallCalendar | None) -> CalendarChanges:
    """What to write so that the row agrees with Recall (None: Recall has it no longer)."""
    status, reason = _standing(known, shown)
    if (status, reason) == (known.status, known.status_reason):
        return {}
    changes: CalendarChanges = {"status": status, "status_reason": reason}
    cut_off = status is CalendarStatus.DISCONNECTED and status is not known.status
    if cut_off or (status is CalendarStatus.CONNECTED and _was_cut_off(known)):
        # Recall takes the bots off by itself; only a full read shows what became of them.
        changes["read_since"] = EPOCH
    return changes


def _standing(known: Calendar, shown: RecallCalendar | None) -> tuple[CalendarStatus, str | None]:
    """A calendar that came back as somebody else's counts as disconnected: nobody asked them."""
    if shown is None:
        return CalendarStatus.DISCONNECTED, DELETED_AT_RECALL
    if shown.status is CalendarStatus.CONNECTING:
        reconnecting = RECONNECTING if _was_cut_off(known) else None
        return shown.status, shown.status_reason or reconnecting
    if shown.status is CalendarStatus.CONNECTED and not _same_account(
        known.expected_email, shown.email
    ):
        return CalendarStatus.DISCONNECTED, ACCOUNT_MISMATCH
    return shown.status, shown.status_reason


def status_notices(
    known: Calendar, changes: CalendarChanges, *, now: datetime
) -> tuple[Notice, ...]:
    """What the host should hear; nothing when only the reason is worded differently."""
    status = changes["status"]
    if status is known.status:
        return ()
    about = {
        "tenant_id": known.tenant_id,
        "entity_id": known.entity_id,
        "calendar_id": known.calendar_id,
    }
    if status is CalendarStatus.CONNECTED:
        back = _was_cut_off(known)
        return (
            CalendarConnected(**about, occurred_at=now, platform=known.platform, reconnected=back),
        )
    if status is CalendarStatus.DISCONNECTED:
        reason = changes["status_reason"]
        return (
            CalendarDisconnected(**about, occurred_at=now, platform=known.platform, reason=reason),
        )
    return ()


def _was_cut_off(known: Calendar) -> bool:
    return known.status is CalendarStatus.DISCONNECTED or known.status_reason == RECONNECTING


def _name_account(
    doors: CalendarDoors, calendar: Calendar, *, email: str, now: datetime
) -> Calendar | None:
    """The first sync told the account: claim it, or merge with the calendar that has it."""
    key = account_key(
        calendar.tenant_id, calendar.entity_id, platform=calendar.platform, email=email
    )
    # This calendar is there already: no Create follows that somebody else's could double.
    claim = doors.accounts.claim(
        key, claim_id=calendar.calendar_id, now=now, left_after=CONNECT_LASTS_AT_MOST
    )
    if claim.calendar_id is None and claim.claim_id != calendar.calendar_id:
        raise AccountBusy
    if claim.calendar_id is None and (twin := _twin(doors, calendar, key=key)) is not None:
        return _merge(doors, (calendar, twin), email=email, now=now)
    if claim.calendar_id in {None, calendar.calendar_id}:
        doors.accounts.assign(key, claim_id=claim.claim_id, calendar_id=calendar.calendar_id)
        return doors.calendars.change(calendar.calendar_id, email=email, updated_at=now)
    holder = doors.calendars.get(claim.calendar_id or "")
    if holder is None or not holder.belongs_to(calendar.tenant_id, calendar.entity_id):
        doors.accounts.release(key, calendar_id=claim.calendar_id)
        raise AccountBusy  # a claim that outlived its calendar; whoever comes back takes it
    return _merge(doors, (calendar, holder), email=email, now=now)


def _twin(doors: CalendarDoors, calendar: Calendar, *, key: str) -> Calendar | None:
    """Another calendar of the account, whose connect broke off before it had its claim."""
    others = doors.calendars.find(
        tenant_id=calendar.tenant_id, entity_id=calendar.entity_id, limit=TWINS_MAX
    ).items
    return next(
        (
            other
            for other in others
            if other.calendar_id != calendar.calendar_id
            and other.account_key == key
            and other.status_reason != DELETING
        ),
        None,
    )


def _merge(
    doors: CalendarDoors, pair: tuple[Calendar, Calendar], *, email: str, now: datetime
) -> Calendar | None:
    """One account twice: the older calendar stays and gets the newer one's token."""
    older, newer = sorted(pair, key=lambda calendar: (calendar.created_at, calendar.calendar_id))
    credentials = _credentials_at_recall(doors, newer.calendar_id)
    if credentials is None:
        return doors.calendars.get(pair[0].calendar_id)
    if renew(doors, older.calendar_id, credentials=credentials, now=now) is None:
        older, newer = newer, older  # the older one is gone from Recall
    merged: CalendarChanges = {
        "status": CalendarStatus.DISCONNECTED,
        "status_reason": MERGED,
    }
    _changed(doors, newer, changes=merged, now=now)
    # This message finishes the merge; until it is sent the claim has us come back here.
    doors.queue.send(CalendarUpdate(calendar_id=newer.calendar_id, received_at=now))
    key = account_key(older.tenant_id, older.entity_id, platform=older.platform, email=email)
    doors.accounts.release(key, calendar_id=newer.calendar_id)
    claim = doors.accounts.claim(key, claim_id=older.calendar_id, now=now)
    doors.accounts.assign(key, claim_id=claim.claim_id, calendar_id=older.calendar_id)
    survivor = doors.calendars.change(older.calendar_id, email=email, updated_at=now)
    doors.queue.ring(received_at=now, calendar_id=older.calendar_id)
    return survivor


def _credentials_at_recall(doors: CalendarDoors, calendar_id: str) -> Credentials | None:
    """The token with its client, which may be the host's own and not ours."""
    token = doors.recall.reveal_refresh_token(calendar_id)
    client = doors.recall.reveal_client(calendar_id)
    if token is None or client is None:
        return None
    return Credentials(client_id=client[0], client_secret=client[1], refresh_token=token)


def _finish_merge(doors: CalendarDoors, merged: Calendar, *, now: datetime) -> None:
    delete_at_recall(doors, merged.calendar_id)
    forget(doors, merged, now=now)


def _changed(
    doors: CalendarDoors, calendar: Calendar, *, changes: CalendarChanges, now: datetime
) -> Calendar:
    changed = doors.calendars.change(calendar.calendar_id, updated_at=now, **changes)
    if changed is None:
        raise not_found()
    return changed


def _moved(doors: CalendarDoors, calendar: Calendar, *, entity_id: str, now: datetime) -> Calendar:
    """The new claim first and the old one last: a crash leaves one too many, not one too few."""
    if calendar.email is not None:
        _claim_for(doors, calendar, entity_id=entity_id, now=now)
    doors.recall.update_calendar(
        calendar.calendar_id, metadata=recall_metadata(calendar.tenant_id, entity_id)
    )
    # Another entity, other rules: its meetings are decided anew.
    moved = _changed(
        doors, calendar, changes={"entity_id": entity_id, "read_since": EPOCH}, now=now
    )
    if calendar.account_key is not None:
        doors.accounts.release(calendar.account_key, calendar_id=calendar.calendar_id)
    doors.queue.ring(received_at=now, calendar_id=calendar.calendar_id)
    return moved


def _claim_for(doors: CalendarDoors, calendar: Calendar, *, entity_id: str, now: datetime) -> None:
    key = account_key(
        calendar.tenant_id,
        entity_id,
        platform=calendar.platform,
        email=calendar.email or "",
    )
    claim = doors.accounts.claim(key, claim_id=calendar.calendar_id, now=now)
    ours = claim.claim_id == calendar.calendar_id
    if claim.calendar_id != calendar.calendar_id and not (ours and claim.calendar_id is None):
        message = "That entity has a calendar of this account already."
        raise CallerError("account_taken", message, status=409, field="entity_id")
    doors.accounts.assign(key, claim_id=claim.claim_id, calendar_id=calendar.calendar_id)


def _reconnected(
    doors: CalendarDoors,
    calendar: Calendar,
    *,
    grant: TokenInHand,
    clients: OAuthClients,
    now: datetime,
) -> Calendar:
    client = _client(clients, calendar.platform, grant=grant)
    account = _account(client, grant)
    if not _same_account(calendar.email, account.email):
        message = "The token is another account's."
        raise CallerError(ACCOUNT_MISMATCH, message, status=409, field="oauth_refresh_token")
    if account.email is None:
        _expect_same_account(doors, calendar, now=now)
    credentials = Credentials(
        client_id=client.client_id,
        client_secret=client.client_secret,
        refresh_token=account.refresh_token,
    )
    renewed = _renewed(doors, calendar, credentials=credentials, now=now)
    if account.email is None or renewed.expected_email is None:
        return renewed
    return _changed(doors, calendar, changes={"expected_email": None}, now=now)


def _expect_same_account(doors: CalendarDoors, calendar: Calendar, *, now: datetime) -> None:
    """Noted before the token is used, in Recall's own words: a provider may have others."""
    if calendar.expected_email is not None:
        return
    shown = _shown(doors, calendar.calendar_id)
    expected = (shown.email if shown else None) or calendar.email
    if expected is not None:
        _changed(doors, calendar, changes={"expected_email": expected}, now=now)


def _renewed(
    doors: CalendarDoors, calendar: Calendar, *, credentials: Credentials, now: datetime
) -> Calendar:
    renewed = renew(doors, calendar.calendar_id, credentials=credentials, now=now)
    if renewed is None:
        message = "Recall has this calendar no longer; connect it anew."
        raise CallerError("calendar_gone", message, status=409)
    doors.queue.ring(received_at=now, calendar_id=calendar.calendar_id)
    return renewed


def _same_account(known: str | None, told: str | None) -> bool:
    """Nobody can compare what is not known; the next sync settles it."""
    return known is None or told is None or known.casefold() == told.casefold()


def _client(clients: OAuthClients, platform: Platform, *, grant: TokenInHand) -> OAuthClient:
    if grant.client_id is None or grant.client_secret is None:
        return clients.ours(platform)
    return clients.given(platform, client_id=grant.client_id, client_secret=grant.client_secret)


def _account(client: OAuthClient, grant: TokenInHand) -> _Account:
    """Ask the provider whose token it is.

    Recall has the last word on a token: one that is dead or foreign to the provider we ask comes
    back as calendar.disconnected with Recall's reason, and the first sync names the account.
    """
    unknown = _Account(email=None, refresh_token=grant.refresh_token)
    try:
        answer = client.door.account_of(grant.refresh_token)
    except (TransientError, CallerError):
        return unknown
    except PermanentError:
        if grant.client_id is None:
            raise
        return unknown
    if answer.scopes and not granted_calendar(client.provider, answer.scopes):
        message = "The grant does not open the calendar."
        raise CallerError("scope_missing", message, field="oauth_refresh_token")
    return _Account(email=answer.email, refresh_token=answer.refresh_token or grant.refresh_token)
