"""The browser's way: GET /connect/{token} to the provider, GET /oauth/{platform}/callback home."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from math import ceil
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Final

import boto3

from functions.oauth.pages import about_page, page, redirect, refusal_page
from shared.config import AWS_LIMITS, flag, require
from shared.domain.calendar import Platform
from shared.domain.connect import LINK_LIFE, ConnectSession
from shared.domain.link import cookie_among, set_cookie
from shared.domain.refusal import Refusal
from shared.domain.secret import Secret
from shared.errors import CallerError, PermanentError, TransientError
from shared.events import EventBus
from shared.flows.connect import (
    BrowserDoors,
    ConnectDoors,
    PlainPage,
    ProviderAnswer,
    Redirect,
    open_link,
    session_behind,
    take_answer,
)
from shared.flows.doors import CalendarDoors
from shared.observability import Log
from shared.pages.texts import text
from shared.providers.clients import OAuthClients, providers_of
from shared.queue import Queue
from shared.recall import new_session, open_recall
from shared.secrets import Seal, SecretStore
from shared.storage import Tables, open_stores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from requests import Session

Event = dict[str, Any]
Reply = dict[str, Any]

CALLS_IN_FLIGHT: Final = 1
RETRY_SECONDS: Final = 5.0
NEEDED: Final = (
    "AWS_REGION",
    "PUBLIC_URL",
    "CONNECT_SESSIONS_TABLE",
    "ACCOUNTS_TABLE",
    "CALENDARS_TABLE",
    "CLAIMS_TABLE",
    "MEETINGS_TABLE",
    "SETTINGS_TABLE",
    "WORKSPACE_TABLE",
    "QUEUE_URL",
    "BUS_NAME",
    "SECRET_ID",
    "SEAL_KEY_ID",
    "RECALL_BASE_URL",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the function is made of."""

    connect: ConnectDoors
    log: Log
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The page before the consent."""

    session: ConnectSession
    token: str = field(repr=False)


def handler(event: Event, context: object) -> Reply:
    """An HTTP API event (payload 2.0) in, a redirect or a plain page out."""
    return answer(event, service())


@cache
def service() -> Service:
    return compose(
        os.environ,
        client=partial(boto3.client, config=AWS_LIMITS),
        session=new_session(CALLS_IN_FLIGHT),
        clock=partial(datetime.now, UTC),
        chance=token_urlsafe,
    )


def compose(
    environment: Mapping[str, str],
    *,
    client: Callable[[str], Any],
    session: Session,
    clock: Callable[[], datetime],
    chance: Callable[[int], str],
) -> Service:
    """The function's parts; time, chance, and the ways to AWS, Recall and providers are given."""
    settings = require(environment, *NEEDED)
    log = Log("oauth")
    stores = open_stores(Tables.from_settings(settings))
    secrets = SecretStore(client("secretsmanager"), settings["SECRET_ID"])
    browser = BrowserDoors(
        sessions=stores.sessions,
        clients=OAuthClients(providers_of(environment), secrets, session=session),
        secrets=secrets,
        seal=Seal(client("kms"), settings["SEAL_KEY_ID"]),
        public_url=settings["PUBLIC_URL"].removesuffix("/"),
        chance=chance,
    )
    connect = ConnectDoors(
        browser=browser,
        calendar=CalendarDoors.over(
            stores,
            recall=open_recall(
                environment, session, secrets=secrets, store=stores.workspace, clock=clock
            ),
            queue=Queue(client("sqs"), settings["QUEUE_URL"]),
            bus=EventBus(client("events"), settings["BUS_NAME"]),
        ),
        log=log,
        allow_unconfirmed=flag(environment, "ALLOW_UNCONFIRMED"),
    )
    return Service(connect=connect, log=log, clock=clock)


def answer(event: Event, service: Service) -> Reply:
    """What cannot be served now may be reloaded: nothing is used up until it is stored."""
    try:
        return _reply(_answer(event, service))
    except TransientError as error:
        service.log.warning("browser asked to come again", code=error.code)
        wait = str(ceil(error.retry_after or RETRY_SECONDS))
        return _later(error.code, headers={"retry-after": wait})
    except (CallerError, PermanentError) as error:
        service.log.crash("browser sent away until an operator acts", error)
        service.log.count("ConnectFailed")
        return page(
            500,
            code=error.code,
            title=text("connect.failed.title"),
            sentence=text("connect.operator"),
            step=text("connect.operator.next"),
        )


def _later(code: str, *, headers: dict[str, str]) -> Reply:
    return page(
        503,
        code=code,
        title=text("connect.failed.title"),
        sentence=text("connect.later"),
        step=text("connect.later.next"),
        headers=headers,
    )


def _answer(event: Event, service: Service) -> Redirect | PlainPage | About:
    cookie = cookie_among(event.get("cookies") or [])
    match event["routeKey"], event.get("pathParameters"):
        case "GET /connect/{token}", {"token": token} if not _is_prefetch(event):
            return open_link(service.connect.browser, token, cookie=cookie, now=service.clock())
        case "GET /connect/{token}/about", {"token": token}:
            session = session_behind(service.connect.browser, token, now=service.clock())
            if isinstance(session, PlainPage):
                return session
            return About(session=session, token=token)
        case "GET /oauth/{platform}/callback", {"platform": name} if name in set(Platform):
            return take_answer(
                service.connect,
                Platform(name),
                answer=_provider_answer(event.get("queryStringParameters") or {}),
                cookie=cookie,
                now=service.clock(),
            )
        case "GET /connect/{token}", {"token": _}:
            raise TransientError("prefetched", "A browser looked ahead; nobody has clicked yet.")
        case _:
            return PlainPage(refusal=Refusal.LINK_UNKNOWN, status=404)


def _provider_answer(query: Mapping[str, str]) -> ProviderAnswer:
    return ProviderAnswer(
        state=query.get("state", ""),
        code=query.get("code", ""),
        error=query.get("error"),
        issuer=query.get("iss"),
        scope=query.get("scope"),
    )


def _is_prefetch(event: Event) -> bool:
    """A browser that loads ahead of a click must not use the link up."""
    return "prefetch" in str((event.get("headers") or {}).get("sec-purpose"))


def _reply(outcome: Redirect | PlainPage | About) -> Reply:
    match outcome:
        case About(session=session, token=token):
            return about_page(session, token=token)
        case PlainPage(refusal=refusal, status=status):
            return refusal_page(refusal, status=status)
        case Redirect(location=location, cookie=Secret() as cookie):
            life = int(LINK_LIFE.total_seconds())
            return redirect(location, cookies=(set_cookie(cookie, max_age_seconds=life),))
        case Redirect(location=location):
            return redirect(location)
