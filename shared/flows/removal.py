"""A calendar goes: at Recall, at its provider, and here."""

from __future__ import annotations

from datetime import datetime

from shared.domain.calendar import Calendar, CalendarStatus, Platform
from shared.domain.meeting import Meeting
from shared.domain.notice import BotCancelled, CalendarDeleted
from shared.domain.plan import SENT_OUT
from shared.domain.rules import Scheduling
from shared.domain.secret import Secret
from shared.errors import RollcallError, TransientError
from shared.flows.doors import CalendarDoors
from shared.observability import Log
from shared.providers.clients import OAuthClients
from shared.recall.errors import NotFound, Refused

PAGES_MAX = 30
PAGE_ROWS = 100
DELETING = "deleting"
CANCELLED = "calendar_deleted"


class Unfinished(TransientError):
    """So many rows are gone; there are more."""

    def __init__(self, rows: int) -> None:
        super().__init__("removal_unfinished", "There are more rows; repeat.", retry_after=1)
        self.rows = rows


def remove(
    doors: CalendarDoors,
    calendar: Calendar,
    *,
    clients: OAuthClients,
    log: Log,
    now: datetime,
    pages_max: int = PAGES_MAX,
) -> int:
    """Delete at Recall, revoke where the provider can, forget the rows; answers how many.

    The row goes last, so that whoever repeats a call that broke off finishes it. Raises
    Unfinished after `pages_max` pages of rows.
    """
    disconnect(doors, calendar, now=now)
    access_token = _access_token(doors, calendar)
    delete_at_recall(doors, calendar.calendar_id)
    if access_token is not None:
        _revoke(doors, calendar, clients=clients, token=access_token, log=log)
    return forget(doors, calendar, now=now, pages_max=pages_max)


def disconnect(doors: CalendarDoors, calendar: Calendar, *, now: datetime) -> None:
    """From here on nothing is planned for the calendar, so no row comes back behind us."""
    doors.calendars.change(
        calendar.calendar_id,
        status=CalendarStatus.DISCONNECTED,
        status_reason=DELETING,
        updated_at=now,
    )


def delete_at_recall(doors: CalendarDoors, calendar_id: str) -> None:
    try:
        doors.recall.delete_calendar(calendar_id)
    except NotFound:
        return


def forget(
    doors: CalendarDoors, calendar: Calendar, *, now: datetime, pages_max: int = PAGES_MAX
) -> int:
    """Rows, what was said of series, claim and calendar, told to the host before each goes."""
    rows = _forget_meetings(doors, calendar, now=now, pages_max=pages_max)
    doors.settings.series.forget(calendar.calendar_id)
    if calendar.account_key is not None:
        _release_account(doors, calendar.account_key, calendar_id=calendar.calendar_id)
    doors.bus.publish((_deleted(calendar, now=now),))
    doors.calendars.delete(calendar.calendar_id)
    return rows


def _release_account(doors: CalendarDoors, key: str, *, calendar_id: str) -> None:
    """Also the claim of a connect that broke off before it noted this calendar.

    Its Idempotency-Key would have Recall repeat the calendar that is gone.
    """
    if not doors.accounts.release(key, calendar_id=calendar_id):
        doors.accounts.release(key, calendar_id=None)


def _forget_meetings(
    doors: CalendarDoors, calendar: Calendar, *, now: datetime, pages_max: int
) -> int:
    """At most 3,000 rows a call, in as many pages as a request has time for."""
    rows = 0
    for _ in range(pages_max):
        page = doors.meetings.of_calendar(calendar.calendar_id, limit=PAGE_ROWS)
        doors.bus.publish(
            tuple(
                notice
                for meeting in page.items
                if (notice := _cancelled(meeting, calendar, now=now)) is not None
            )
        )
        for meeting in page.items:
            # Before the row goes, for nobody knows its copies after it. Of a calendar that is
            # disconnected it counts for nothing already.
            _wake_copies(doors, meeting, now=now)
            doors.meetings.delete(meeting.event.event_id)
            _wake_claim(doors, meeting, now=now)
        rows += len(page.items)
        if page.next_cursor is None:
            return rows
    raise Unfinished(rows)


def _wake_claim(doors: CalendarDoors, meeting: Meeting, *, now: datetime) -> None:
    """A bot of our own goes when the scheduler finds no row that wants it."""
    assigned = meeting.assignment
    if assigned is not None and assigned.by is Scheduling.SELF_MANAGED:
        doors.claims.wake(assigned.deduplication_key, now=now)


def _wake_copies(doors: CalendarDoors, meeting: Meeting, *, now: datetime) -> None:
    """The meeting may need another owner, and its vote another count.

    Its bot may have gone with the calendar although the other copies still list it: they ask
    for it once more, which brings the same one or a new one.
    """
    if not meeting.shared or meeting.meeting_key is None:
        return
    doubtful = _had_bot_ahead(meeting, now=now)
    for event_id in doors.meetings.ids_of_key(meeting.meeting_key):
        doors.meetings.wake(event_id, now=now, asked=doubtful)


def _had_bot_ahead(meeting: Meeting, *, now: datetime) -> bool:
    assigned = meeting.assignment
    managed = assigned is not None and assigned.by is Scheduling.MANAGED
    return managed and meeting.event.start - now > SENT_OUT


def _cancelled(meeting: Meeting, calendar: Calendar, *, now: datetime) -> BotCancelled | None:
    if meeting.assignment is None or meeting.event.end <= now:
        return None
    return BotCancelled(
        tenant_id=calendar.tenant_id,
        entity_id=calendar.entity_id,
        calendar_id=calendar.calendar_id,
        occurred_at=now,
        event_id=meeting.event.event_id,
        bot_id=meeting.assignment.bot_id,
        reason=CANCELLED,
    )


def _deleted(calendar: Calendar, *, now: datetime) -> CalendarDeleted:
    return CalendarDeleted(
        tenant_id=calendar.tenant_id,
        entity_id=calendar.entity_id,
        calendar_id=calendar.calendar_id,
        occurred_at=now,
        platform=calendar.platform,
    )


def _access_token(doors: CalendarDoors, calendar: Calendar) -> Secret | None:
    """Only Google takes a grant back; a dead or missing calendar has nothing to take back."""
    if calendar.platform is not Platform.GOOGLE:
        return None
    try:
        return doors.recall.access_token(calendar.calendar_id)
    except (NotFound, Refused):
        return None


def _revoke(
    doors: CalendarDoors,
    calendar: Calendar,
    *,
    clients: OAuthClients,
    token: Secret,
    log: Log,
) -> None:
    """Best effort: the calendar is gone from Recall already, so nothing reads it any more."""
    try:
        if _account_in_use(doors, calendar):
            log.info("grant kept: another calendar uses it", calendar_id=calendar.calendar_id)
            return
        clients.ours(calendar.platform).door.revoke(token)
    except RollcallError as error:
        log.warning("grant not revoked", calendar_id=calendar.calendar_id, code=error.code)


def _account_in_use(doors: CalendarDoors, calendar: Calendar) -> bool:
    """Google ends all that an account granted a client, other entities' calendars included."""
    if calendar.email is None:
        return False
    page = doors.recall.list_calendars(email=calendar.email, platform=calendar.platform)
    address = calendar.email.casefold()
    return any(
        other.calendar_id != calendar.calendar_id and (other.email or "").casefold() == address
        for other in page.calendars
    )
