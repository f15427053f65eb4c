"""Who is signed in: a cookie that names an API key, and forms that only its pages can send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Final, TypeAlias

from functions.console.service import Service
from shared.domain.api_key import READ, scope_needed
from shared.domain.secret import Secret
from shared.domain.signed import is_seal_of, open_signed, seal_of, sign
from shared.errors import CallerError
from shared.flows.api_keys import known_key, standing_key
from shared.pages.texts import text
from shared.pages.web import Answer, Page, Request, page_answer, see_other
from shared.storage import ApiKey

SIGN_IN: Final = "/console/sign-in"
LIFE: Final = timedelta(hours=1)
PURPOSE: Final = "console-session"
FORM_PURPOSE: Final = "console-form"
# Browsers take `__Host-` only with Secure, and Secure only over https.
COOKIE: Final = "__Host-console"
LOOPBACK_COOKIE: Final = "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The key that somebody signed in with, and the code that their forms must bear."""

    api_key: ApiKey
    csrf: str

    def may(self, scope: str) -> bool:
        return scope in self.api_key.scopes

    def may_call(self, route: str) -> bool:
        return self.may(scope_needed(route))

    def must(self, scope: str) -> None:
        """CallerError `scope_missing` (403)."""
        if not self.may(scope):
            message = text("console.scope_missing", scope=scope)
            raise CallerError("scope_missing", message, status=403)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Somebody signed in who asks for a page, or sent the fields of a form."""

    service: Service
    request: Request
    session: Session
    form: Mapping[str, str] = field(default_factory=dict)

    def page(
        self, template: str, *, here: str, status: int = HTTPStatus.OK, **values: object
    ) -> Answer:
        """`here` is the part of the console that the page belongs to."""
        body = self.service.kit.render(template, session=self.session, here=here, **values)
        return page_answer(body, status=status)


View: TypeAlias = Callable[[Visit], Answer]


def seen_by(service: Service, view: View) -> Page:
    """A page for whoever is signed in; others are sent to sign in."""

    def page(request: Request) -> Answer:
        session = _session(service, request)
        if session is None:
            return see_other(SIGN_IN, over=_was_here(service, request))
        return view(Visit(service=service, request=request, session=session))

    return page


def changed_by(service: Service, view: View, *, like: str) -> Page:
    """A form of ours, sent by somebody whose key may call the route of the API that does it."""

    def page(request: Request) -> Answer:
        session = _session(service, request)
        if session is None:
            return see_other(SIGN_IN, over="1")
        form = request.form()
        secret = service.secrets.get().link_secret
        cookie = request.cookies[_cookie_name(service)]
        seal = form.pop("csrf", "")
        if not is_seal_of(seal, cookie, purpose=FORM_PURPOSE, link_secret=secret):
            raise CallerError("form_stale", text("console.form_stale"), status=403)
        session.must(scope_needed(like))
        return view(Visit(service=service, request=request, session=session, form=form))

    return page


def sign_in(service: Service, key: str) -> str:
    """The cookie for a good key; CallerError `key_refused` or `key_unreadable` (403)."""
    api_key = known_key(Secret(key.strip()), api_keys=service.stores.api_keys)
    if api_key is None:
        service.log.count("CallRefused")
        raise CallerError("key_refused", text("console.key_refused"), status=403)
    if READ not in api_key.scopes:
        raise CallerError("key_unreadable", text("console.key_unreadable"), status=403)
    token = sign(
        {"key": api_key.prefix},
        purpose=PURPOSE,
        link_secret=service.secrets.get().link_secret,
        expires_at=service.clock() + LIFE,
    )
    return _cookie(service, token.reveal(), seconds=int(LIFE.total_seconds()))


def sign_out(service: Service) -> str:
    """The cookie that forgets."""
    return _cookie(service, "", seconds=0)


def _session(service: Service, request: Request) -> Session | None:
    """Each time the key is looked up again: a revoked one is out at once."""
    cookie = request.cookies.get(_cookie_name(service), "")
    secret = service.secrets.get().link_secret
    facts = open_signed(cookie, purpose=PURPOSE, link_secret=secret, now=service.clock())
    if facts is None:
        return None
    api_key = standing_key(facts["key"], api_keys=service.stores.api_keys)
    if api_key is None or READ not in api_key.scopes:
        return None
    csrf = seal_of(cookie, purpose=FORM_PURPOSE, link_secret=secret)
    return Session(api_key=api_key, csrf=csrf)


def _was_here(service: Service, request: Request) -> str | None:
    return "1" if request.cookies.get(_cookie_name(service)) else None


def _cookie_name(service: Service) -> str:
    return COOKIE if service.public_url.startswith("https://") else LOOPBACK_COOKIE


def _cookie(service: Service, value: str, *, seconds: int) -> str:
    name = _cookie_name(service)
    secure = "; Secure" if name == COOKIE else ""
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
