"""Calendars: looked up by an index, shown with their meetings, resynced, reconnected, deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Final

from functions.console.service import Service
from functions.console.session import Visit, changed_by, seen_by
from shared.domain.calendar import Calendar, CalendarStatus
from shared.domain.meeting import Meeting
from shared.domain.scope import Scope
from shared.errors import CallerError
from shared.flows import calendars, connect
from shared.flows.connect import ConnectRequest
from shared.pages.texts import text
from shared.pages.web import Answer, Request, Routes, see_other
from shared.storage import Page

PAGE: Final = 50
MEETINGS_PAGE: Final = 30
LENGTH_MAX: Final = 256
CURSOR_LENGTH_MAX: Final = 2_048
HOME: Final = "/console/calendars"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What the list shows: a tenant's (or one entity's) calendars, or all of one status."""

    tenant_id: str | None
    entity_id: str | None
    status: CalendarStatus | None

    @property
    def query(self) -> dict[str, str]:
        named = {"tenant_id": self.tenant_id, "entity_id": self.entity_id, "status": self.status}
        return {name: str(value) for name, value in named.items() if value is not None}


def add_calendars(routes: Routes, service: Service) -> None:
    one, api = HOME + "/{calendar_id}", "/v1/calendars/{calendar_id}"
    connects = "POST /v1/connect-sessions"
    routes.get(HOME)(seen_by(service, _list))
    routes.get(one)(seen_by(service, _show))
    routes.post(f"{one}/resync")(changed_by(service, _resync, like=f"POST {api}/resync"))
    routes.post(f"{one}/reconnect")(changed_by(service, _reconnect, like=connects))
    routes.get(f"{one}/delete")(seen_by(service, _ask_to_delete))
    routes.post(f"{one}/delete")(changed_by(service, _delete, like=f"DELETE {api}"))


def _resync(visit: Visit) -> Answer:
    service, calendar_id = visit.service, visit.request.given["calendar_id"]
    calendars.resync(service.calendar_doors(), calendar_id, now=service.clock())
    return see_other(f"{HOME}/{calendar_id}", done="resync")


def _ask_to_delete(visit: Visit) -> Answer:
    return visit.page("delete_calendar.html", here="calendars", calendar=_calendar(visit))


def _delete(visit: Visit) -> Answer:
    service = visit.service
    calendars.delete(
        service.calendar_doors(),
        visit.request.given["calendar_id"],
        clients=service.clients,
        log=service.log,
        now=service.clock(),
    )
    return see_other(HOME, done="deleted")


def _calendar(visit: Visit) -> Calendar:
    """CallerError `calendar_not_found` (404)."""
    store = visit.service.stores.calendars
    return calendars.existing(store, visit.request.given["calendar_id"])


def _list(visit: Visit) -> Answer:
    """Always by an index: a tenant, else a status; of a tenant a status is picked from the page."""
    wanted = _filter(visit.request)
    page = _found(visit.service, wanted, cursor=read_cursor(visit.request))
    return visit.page(
        "calendars.html",
        here="calendars",
        wanted=wanted,
        statuses=list(CalendarStatus),
        page=page,
        done=visit.request.asked("done"),
    )


def _found(service: Service, wanted: Filter, *, cursor: str | None) -> Page[Calendar]:
    store = service.stores.calendars
    if wanted.tenant_id is None:
        status = wanted.status or CalendarStatus.CONNECTED
        return store.find(status=status, cursor=cursor, limit=PAGE)
    page = store.find(
        tenant_id=wanted.tenant_id, entity_id=wanted.entity_id, cursor=cursor, limit=PAGE
    )
    if wanted.status is None:
        return page
    items = tuple(each for each in page.items if each.status is wanted.status)
    return Page(items=items, next_cursor=page.next_cursor)


def _filter(request: Request) -> Filter:
    tenant_id, entity_id = read_text(request, "tenant_id"), read_text(request, "entity_id")
    status = request.asked("status")
    if status is not None and status not in set(CalendarStatus):
        raise CallerError("query_invalid", text("calendars.status_unknown"), field="status")
    return Filter(
        # An entity is looked up within a tenant.
        tenant_id="default" if tenant_id is None and entity_id is not None else tenant_id,
        entity_id=entity_id,
        status=None if status is None else CalendarStatus(status),
    )


def _show(visit: Visit) -> Answer:
    service, calendar = visit.service, _calendar(visit)
    now = service.clock()
    page = service.stores.meetings.of_calendar(
        calendar.calendar_id,
        start=now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0),
        cursor=read_cursor(visit.request),
        limit=MEETINGS_PAGE,
    )
    return visit.page(
        "calendar.html",
        here="calendars",
        calendar=calendar,
        scope=Scope(calendar.tenant_id, calendar.entity_id).name,
        days=list(_by_day(page.items)),
        next_cursor=page.next_cursor,
        now=now,
        done=visit.request.asked("done"),
        return_urls=service.return_urls,
    )


def _by_day(meetings: Sequence[Meeting]) -> Iterator[tuple[datetime, list[Meeting]]]:
    def day_of(meeting: Meeting) -> date:
        return meeting.event.start.astimezone(UTC).date()

    for day, some in groupby(meetings, key=day_of):
        yield datetime(day.year, day.month, day.day, 12, tzinfo=UTC), list(some)


def _reconnect(visit: Visit) -> Answer:
    """A link for the calendar's owner; the host finishes the connect as it does any other."""
    service, calendar = visit.service, _calendar(visit)
    doors = service.connect_doors()
    wanted = ConnectRequest(
        tenant_id=calendar.tenant_id,
        entity_id=calendar.entity_id,
        platform=calendar.platform,
        return_url=visit.form.get("return_url", "").strip(),
        metadata=calendar.metadata,
        calendar_id=calendar.calendar_id,
    )
    started = connect.start(doors, wanted, now=service.clock())
    return visit.page(
        "reconnect.html",
        here="calendars",
        calendar=calendar,
        link=connect.connect_url(doors.browser, started.session_id),
        expires_at=started.expires_at,
    )


def read_text(request: Request, name: str) -> str | None:
    """A query parameter of at most 256 printable characters."""
    value = request.asked(name)
    if value is not None and (len(value) > LENGTH_MAX or not value.isprintable()):
        raise CallerError("query_invalid", text("error.text_too_long"), field=name)
    return value


def read_cursor(request: Request) -> str | None:
    """Where a list goes on, as its last page said."""
    cursor = request.asked("cursor")
    if cursor is not None and len(cursor) > CURSOR_LENGTH_MAX:
        raise CallerError("cursor_invalid", text("error.cursor"), field="cursor")
    return cursor
