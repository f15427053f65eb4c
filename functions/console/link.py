"""Whoever holds the link to an entity's own page, and the forms that only its pages can send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from functions.console.service import Service
from shared.domain.page_link import LinkRefusal, OwnPageLink, form_seal, is_form_seal
from shared.domain.refusal import Refusal
from shared.domain.secret import Secret
from shared.errors import CallerError
from shared.flows.own_page import admitted
from shared.pages.headers import page_headers
from shared.pages.texts import text
from shared.pages.web import Answer, Page, Request, page_answer, see_other

FORMS = "own-page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Somebody with a link; `token` is its text in the address, `csrf` what its forms bear."""

    link: OwnPageLink
    token: Secret
    csrf: str

    @property
    def path(self) -> str:
        return f"/my/{self.token.reveal()}"


View = Callable[[Request, Holder], Answer]
Change = Callable[[Request, Holder, dict[str, str]], Answer]


def seen_by(service: Service, view: View) -> Page:
    """A page for whoever holds a good link; others are told what is the matter with theirs."""

    def page(request: Request) -> Answer:
        return told_well(service, request, page=lambda: view(request, holder_of(service, request)))

    return page


def changed_by(service: Service, change: Change) -> Page:
    """A form that a page behind the link sent."""

    def page(request: Request) -> Answer:
        return told_well(service, request, page=lambda: _changed(service, request, change=change))

    return page


def holder_of(service: Service, request: Request) -> Holder:
    """CallerError `page_link_unknown` (404), `page_link_expired` (410)."""
    token, secret = request.given.get("token", ""), service.link_secret()
    link = admitted(token, link_secret=secret, now=service.clock())
    csrf = form_seal(token, form=FORMS, link_secret=secret)
    return Holder(link=link, token=Secret(token), csrf=csrf)


def own_page(
    service: Service, holder: Holder, *, template: str, status: int = 200, **values: object
) -> Answer:
    """A page behind the link, which a frame of the host's may hold if the link says so."""
    framed_by = service.embed_origins if holder.link.embed else ()
    body = service.kit.render(
        template, holder=holder, now=service.clock(), framed=holder.link.embed, **values
    )
    return page_answer(body, status=status, headers=page_headers(framed_by=framed_by))


def back(holder: Holder, *, beside: str | None = None, **query: str | None) -> Answer:
    """To the meetings, beside the one that was changed."""
    answer = see_other(holder.path, cookies=(), **query)
    if beside is None:
        return answer
    location = f"{answer.headers['location']}#m-{beside}"
    return Answer(status=answer.status, headers={**answer.headers, "location": location})


def _changed(service: Service, request: Request, *, change: Change) -> Answer:
    holder, form = holder_of(service, request), request.form()
    secret, seal = service.link_secret(), form.pop("csrf", "")
    if not is_form_seal(seal, holder.token.reveal(), form=FORMS, link_secret=secret):
        raise CallerError("form_stale", text("own.form_stale"), status=403)
    return change(request, holder, form)


def told_well(service: Service, request: Request, *, page: Callable[[], Answer]) -> Answer:
    """Codes with words of their own in the texts get a page that says what to do next."""
    try:
        return page()
    except CallerError as error:
        if not _is_told(error.code):
            raise
        key = f"refused.{error.code}"
        body = service.kit.render(
            "message.html",
            title=text(f"{key}.title"),
            sentence=text(key),
            next=text(f"{key}.next"),
            code=error.code,
            link=_way_back(request, error.code),
            link_label=text("own.back"),
        )
        return page_answer(body, status=error.status)


def _is_told(code: str) -> bool:
    try:
        text(f"refused.{code}.next")
    except KeyError:
        return False
    return True


def _way_back(request: Request, code: str) -> str | None:
    """To the start of the pages, where the link itself is good."""
    if code in set(LinkRefusal) | set(Refusal):
        return None
    start = "/".join(request.path.split("/")[:3])
    return start if start.startswith(("/my/", "/opt-out/")) else None
