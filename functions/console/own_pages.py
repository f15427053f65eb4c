"""An entity's own page: its calendars and meetings, On / Auto / Off, reconnect and disconnect."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from itertools import groupby
from typing import Final

from functions.console.link import Holder, back, changed_by, holder_of, own_page, seen_by, told_well
from functions.console.service import Service
from shared.domain.calendar import Calendar, CalendarStatus, Platform
from shared.domain.hours import local_time
from shared.domain.link import SESSION_ID
from shared.domain.meeting import Override
from shared.domain.refusal import Refusal
from shared.domain.rules import Choice
from shared.domain.secret import Secret
from shared.errors import CallerError
from shared.flows import calendars, connect
from shared.flows.connect import ConnectRequest
from shared.flows.meetings import existing_meeting, override_occurrence, override_series
from shared.flows.own_page import OwnMeeting, OwnPage
from shared.pages.texts import text
from shared.pages.web import Answer, Page, Request, Routes, see_other

SOURCE: Final = "page"
RETURN: Final = "return"
COOKIE: Final = "__Host-rollcall-page"
# Browsers take `__Host-` only with Secure, and Secure only over https.
LOOPBACK_COOKIE: Final = "rollcall-page"
COOKIE_SECONDS: Final = 3_600
WORDS: Final = {"occurrence": override_occurrence, "series": override_series}


def add_own_pages(routes: Routes, service: Service) -> None:
    meetings = seen_by(service, lambda request, holder: _meetings(service, holder, request=request))
    came_home = _come_home(service)

    @routes.get("/my/{token}")
    def _page(request: Request) -> Answer:
        return (came_home if request.given["token"] == RETURN else meetings)(request)

    routes.get("/my/{token}/disconnect")(
        seen_by(
            service, lambda request, holder: _ask_to_disconnect(service, holder, request=request)
        )
    )
    routes.post("/my/{token}/disconnect")(
        changed_by(service, lambda _, holder, form: _disconnect(service, holder, form=form))
    )
    routes.post("/my/{token}/override")(
        changed_by(service, lambda _, holder, form: _override(service, holder, form=form))
    )
    routes.post("/my/{token}/connect")(
        changed_by(service, lambda _, holder, form: _connect(service, holder, form=form))
    )
    routes.post("/my/{token}/reconnect")(
        changed_by(service, lambda _, holder, form: _reconnect(service, holder, form=form))
    )


def _meetings(service: Service, holder: Holder, *, request: Request) -> Answer:
    page = service.own_pages().page(
        holder.link,
        calendar_id=request.asked("calendar"),
        cursor=request.asked("cursor"),
        now=service.clock(),
    )
    zone = _zone(page)
    return own_page(
        service,
        holder,
        template="own_page.html",
        page=page,
        zone=zone,
        days=_days(page, zone),
        cursor=request.asked("cursor") or "",
        offered=service.clients.offered() if holder.link.connect else (),
        done=_known(request.asked("done"), "own.done"),
        problem=_known(request.asked("problem"), "refused"),
    )


def _known(code: str | None, family: str) -> str | None:
    """What an address asks to be told, as far as there are words for it."""
    try:
        return text(f"{family}.{code}") if code else None
    except KeyError:
        return None


def _zone(page: OwnPage) -> str | None:
    """The zone that most meetings are in: as good as the viewer's, where no script tells it."""
    zones = Counter(each.meeting.event.time_zone for each in page.meetings)
    known = [zone for zone, _ in zones.most_common() if zone is not None]
    return known[0] if known else None


def _days(page: OwnPage, zone: str | None) -> list[tuple[date, list[OwnMeeting]]]:
    days = groupby(
        page.meetings, key=lambda each: local_time(each.meeting.event.start, zone=zone).date()
    )
    return [(day, list(meetings)) for day, meetings in days]


def _override(service: Service, holder: Holder, *, form: dict[str, str]) -> Answer:
    """The button says it all: `series off <calendar> <event>`."""
    reach, choice, calendar_id, event_id = _words(form.get("word", ""))
    doors = service.meeting_doors()
    calendar = service.own_pages().calendar(holder.link, calendar_id)
    meeting = existing_meeting(doors, calendar.calendar_id, event_id=event_id)
    at = service.moment()
    override = Override(choice=Choice(choice), set_at=at.now, source=SOURCE)
    shown = WORDS[reach](doors, meeting, override=override, at=at)
    granted = choice != Choice.ON or shown.meeting.outcome.join
    return back(
        holder,
        beside=event_id,
        calendar=calendar_id,
        cursor=form.get("cursor") or None,
        done=f"{reach}.{choice}" if granted else "not_granted",
    )


def _words(word: str) -> tuple[str, str, str, str]:
    parts = word.split(" ")
    if len(parts) != 4 or parts[0] not in WORDS or parts[1] not in set(Choice):  # noqa: PLR2004
        raise CallerError("form_invalid", text("own.form_stale"))
    return parts[0], parts[1], parts[2], parts[3]


def _ask_to_disconnect(service: Service, holder: Holder, *, request: Request) -> Answer:
    calendar = service.own_pages().calendar(holder.link, request.asked("calendar") or "")
    return own_page(service, holder, template="own_disconnect.html", calendar=calendar)


def _disconnect(service: Service, holder: Holder, *, form: dict[str, str]) -> Answer:
    calendar = service.own_pages().calendar(holder.link, form.get("calendar", ""))
    calendars.delete(
        service.calendar_doors(),
        calendar.calendar_id,
        clients=service.clients,
        log=service.log,
        now=service.clock(),
    )
    return back(holder, done="disconnected")


def _connect(service: Service, holder: Holder, *, form: dict[str, str]) -> Answer:
    """Another account of the entity's, if the link was made for that."""
    link, platform = holder.link, form.get("platform")
    # Read for its mark: an entity that was erased connects nothing.
    service.own_pages().rules(link)
    if not link.connect:
        raise CallerError("connect_not_offered", text("own.connect.refused"), status=403)
    if platform not in service.clients.offered():
        raise CallerError("form_invalid", text("own.form_stale"))
    wanted = ConnectRequest(
        tenant_id=link.tenant_id,
        entity_id=link.entity_id,
        platform=Platform(platform),
        return_url=_home(service),
    )
    return _to_consent(service, holder, wanted=wanted)


def _reconnect(service: Service, holder: Holder, *, form: dict[str, str]) -> Answer:
    calendar = service.own_pages().calendar(holder.link, form.get("calendar", ""))
    _check_reconnectable(calendar)
    wanted = ConnectRequest(
        tenant_id=calendar.tenant_id,
        entity_id=calendar.entity_id,
        platform=calendar.platform,
        return_url=_home(service),
        metadata=calendar.metadata,
        calendar_id=calendar.calendar_id,
    )
    return _to_consent(service, holder, wanted=wanted)


def _home(service: Service) -> str:
    """Without the token, for this address is stored."""
    return f"{service.public_url}/my/{RETURN}"


def _to_consent(service: Service, holder: Holder, *, wanted: ConnectRequest) -> Answer:
    """A connect session whose consent this page completes, in this browser and no other."""
    # The stack's list of addresses is for hosts; this one is our own.
    doors = replace(service.connect_doors(), return_urls=())
    session = connect.start(doors, wanted, now=service.clock())
    told = connect.connect_url(doors.browser, session.session_id)
    cookie = _cookie(service, f"{session.session_id}~{holder.token.reveal()}")
    return see_other(f"{told}/about", cookies=(cookie,))


def _check_reconnectable(calendar: Calendar) -> None:
    """Only a calendar whose account is known: else the link proves nothing."""
    if calendar.status is not CalendarStatus.DISCONNECTED or calendar.email is None:
        raise CallerError("not_reconnectable", text("own.not_reconnectable"), status=409)


def _come_home(service: Service) -> Page:
    def page(request: Request) -> Answer:
        return told_well(service, request, page=lambda: _completed(service, request))

    return page


def _completed(service: Service, request: Request) -> Answer:
    """Back from the provider: only the browser that pressed the button holds the cookie."""
    kept = request.cookies.get(_cookie_name(service), "")
    session_id, _, token = kept.partition("~")
    if not SESSION_ID.fullmatch(session_id) or request.asked("session_id") != session_id:
        raise CallerError(Refusal.WRONG_BROWSER.value, "Another browser began.", status=400)
    holder = holder_of(service, request.with_given({"token": token}))
    # Read for its mark: an entity erased meanwhile gets no calendar back.
    service.own_pages().rules(holder.link)
    done, problem = None, request.asked("error")
    if problem is None:
        done, problem = _completion(service, request, session_id=session_id)
    answer = back(holder, done=done, problem=problem)
    gone = _cookie(service, "", seconds=0)
    return Answer(status=answer.status, headers=answer.headers, cookies=(gone,))


def _completion(
    service: Service, request: Request, *, session_id: str
) -> tuple[str | None, str | None]:
    """What was done, or the code of what was the matter."""
    code, doors = Secret(request.asked("completion_code") or ""), service.connect_doors()
    try:
        landed = connect.complete(doors, session_id, code=code, now=service.clock())
    except CallerError as error:
        return None, error.code
    return "connected" if landed.created else "reconnected", None


def _cookie_name(service: Service) -> str:
    return COOKIE if service.public_url.startswith("https://") else LOOPBACK_COOKIE


def _cookie(service: Service, value: str, *, seconds: int = COOKIE_SECONDS) -> str:
    """Lax: it comes along when the provider sends the browser back."""
    name = _cookie_name(service)
    secure = "; Secure" if name == COOKIE else ""
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
