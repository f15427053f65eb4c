"""The opt-out page of somebody invited. Looking changes nothing: mail systems open links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from functions.console.link import told_well
from functions.console.service import Service
from shared.domain.page_link import form_seal, is_form_seal
from shared.errors import CallerError
from shared.flows.opt_out import OptOut, opt_out_behind, say_opt_out
from shared.pages.texts import text
from shared.pages.web import Answer, Page, Request, Routes, page_answer, see_other

FORM: Final = "opt-out"
WORDS: Final = {"out": True, "back": False}


def add_opt_out(routes: Routes, service: Service) -> None:
    routes.get("/opt-out/{token}")(_told(service, _show))
    routes.post("/opt-out/{token}")(_told(service, _say))


def _told(service: Service, page: Callable[[Service, Request], Answer]) -> Page:
    return lambda request: told_well(service, request, page=lambda: page(service, request))


def _show(service: Service, request: Request) -> Answer:
    token, secret = request.given["token"], service.link_secret()
    found = _behind(service, token)
    body = service.kit.render(
        "opt_out.html",
        found=found,
        event=found.meeting.event,
        over=found.meeting.event.end <= service.clock() and not found.link.series,
        csrf=form_seal(token, form=FORM, link_secret=secret),
        path=f"/opt-out/{token}",
        done=request.asked("done") if request.asked("done") in WORDS else None,
    )
    return page_answer(body)


def _say(service: Service, request: Request) -> Answer:
    token, secret, form = request.given["token"], service.link_secret(), request.form()
    found = _behind(service, token)
    if not is_form_seal(form.get("csrf", ""), token, form=FORM, link_secret=secret):
        raise CallerError("form_stale", text("own.form_stale"), status=403)
    word = form.get("word", "")
    if word not in WORDS:
        raise CallerError("form_invalid", text("own.form_stale"))
    say_opt_out(service.meeting_doors(), found, opted_out=WORDS[word], at=service.moment())
    return see_other(f"/opt-out/{token}", done=word)


def _behind(service: Service, token: str) -> OptOut:
    return opt_out_behind(
        service.meeting_doors(), token, link_secret=service.link_secret(), now=service.clock()
    )
