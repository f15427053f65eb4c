"""The first page: is all well, and if not, what is not."""

from __future__ import annotations

from functions.console.service import Service
from functions.console.session import Session, seen_by
from shared.pages.web import Answer, Request, Routes, page_answer


def add_overview(routes: Routes, service: Service) -> None:
    def show(request: Request, session: Session) -> Answer:
        del request
        return page_answer(service.kit.render("overview.html", session=session, here="overview"))

    routes.get("/console")(seen_by(service, show))
