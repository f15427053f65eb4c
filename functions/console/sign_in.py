"""Signing in with an API key, and out."""

from __future__ import annotations

from functions.console.service import Service
from functions.console.session import SIGN_IN, sign_in, sign_out
from shared.errors import CallerError
from shared.pages.texts import text
from shared.pages.web import Answer, Request, Routes, page_answer, see_other


def add_sign_in(routes: Routes, service: Service) -> None:
    @routes.get(SIGN_IN)
    def _show(request: Request) -> Answer:
        problem = text("console.session_over") if request.asked("over") else None
        return page_answer(service.kit.render("sign_in.html", problem=problem))

    @routes.post(SIGN_IN)
    def _sign_in(request: Request) -> Answer:
        try:
            cookie = sign_in(service, request.form().get("key", ""))
        except CallerError as error:
            body = service.kit.render("sign_in.html", problem=error.message)
            return page_answer(body, status=error.status)
        return see_other("/console", cookies=(cookie,))

    @routes.post("/console/sign-out")
    def _sign_out(request: Request) -> Answer:
        del request
        return see_other(SIGN_IN, cookies=(sign_out(service),))
