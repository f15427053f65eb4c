"""Why no bot? One box that takes whatever somebody has in hand, and leads to the answer."""

from __future__ import annotations

import re
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from functions.console.service import Service
from functions.console.session import Visit, seen_by
from shared.domain.claim import EVENT, MEETING
from shared.domain.room import platform_of
from shared.domain.scope import Scope
from shared.pages.web import Answer, Routes, see_other
from shared.recall.errors import NotFound

DEFAULT_TENANT: Final = "default"
TEXT_LENGTH_MAX: Final = 2_000
LOOK_BACK: Final = timedelta(days=1)
FOUND_MAX: Final = 25
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", flags=re.IGNORECASE)
_LINK: Final = re.compile(r"(https?://|[\w-]+(\.[\w-]+)+/)\S*", flags=re.IGNORECASE)


def add_find(routes: Routes, service: Service) -> None:
    routes.get("/console/find")(seen_by(service, _find))
    routes.get("/console/bots/{bot_id}")(seen_by(service, _by_bot))


def _find(visit: Visit) -> Answer:
    wanted = (visit.request.asked("q") or "")[:TEXT_LENGTH_MAX]
    if _LINK.fullmatch(wanted):
        return _by_link(visit, wanted)
    if _ID.fullmatch(wanted):
        return _by_id(visit, wanted.lower())
    if "@" in wanted and (found := _of_email(visit, wanted)):
        return found
    return _by_entity(visit, wanted)


def _by_id(visit: Visit, identity: str) -> Answer:
    """An event's, a calendar's or a bot's; Recall alone knows all bots, and is asked last."""
    if visit.service.stores.meetings.get(identity) is not None:
        return see_other(f"/console/meetings/{identity}")
    if visit.service.stores.calendars.get(identity) is not None:
        return see_other(f"/console/calendars/{identity}")
    return see_other(f"/console/bots/{identity}")


def _by_bot(visit: Visit) -> Answer:
    """By the marks that each of our bots carries at Recall."""
    bot_id = visit.request.given["bot_id"]
    try:
        marks = visit.service.recall.get_bot(bot_id).metadata if _ID.fullmatch(bot_id) else {}
    except NotFound:
        marks = {}
    if event_id := marks.get(EVENT):
        return see_other(f"/console/meetings/{quote(event_id, safe='')}")
    if meeting_key := marks.get(MEETING):
        return see_other("/console/copies", key=meeting_key)
    return _nothing(visit, bot_id)


def _by_link(visit: Visit, link: str) -> Answer:
    now = visit.service.clock()
    found = visit.service.stores.meetings.of_room(link, since=now - LOOK_BACK, limit=FOUND_MAX)
    if not found:
        return _nothing(visit, link)
    if len(found) == 1:
        return see_other(f"/console/meetings/{found[0].event.event_id}")
    return visit.page(
        "found.html",
        here="overview",
        wanted=link,
        platform=platform_of(link),
        meetings=found,
        now=now,
    )


def _of_email(visit: Visit, email: str) -> Answer | None:
    """The calendars of an account, whosever they are; None without any."""
    found = visit.service.stores.calendars.find(email=email, limit=FOUND_MAX).items
    if len(found) == 1:
        return see_other(f"/console/calendars/{found[0].calendar_id}")
    return visit.page("accounts.html", here="calendars", calendars=found) if found else None


def _by_entity(visit: Visit, wanted: str) -> Answer:
    """`entity`, `tenant / entity`, or the scope of an entity."""
    scope = Scope.from_name(wanted)
    if scope is not None and scope.entity_id is not None:
        tenant_id, entity_id = scope.tenant_id or DEFAULT_TENANT, scope.entity_id
    else:
        tenant, slash, entity = wanted.partition(" / ")
        tenant_id, entity_id = (tenant, entity) if slash else (DEFAULT_TENANT, wanted)
    found = (
        visit.service.stores.calendars.find(tenant_id=tenant_id, entity_id=entity_id, limit=2).items
        if tenant_id and entity_id
        else ()
    )
    if not found:
        return _nothing(visit, wanted)
    if len(found) == 1:
        return see_other(f"/console/calendars/{found[0].calendar_id}")
    return see_other("/console/calendars", tenant_id=tenant_id, entity_id=entity_id)


def _nothing(visit: Visit, wanted: str) -> Answer:
    return visit.page(
        "nothing_found.html", here="overview", status=HTTPStatus.NOT_FOUND, wanted=wanted
    )
