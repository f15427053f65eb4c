"""The pages that people look at: the console, an entity's own page, opt-outs, and their files."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache, partial
from math import ceil
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Final

import boto3

from functions.console.calendars import add_calendars
from functions.console.entities import add_entities
from functions.console.find import add_find
from functions.console.meetings import add_meetings
from functions.console.opt_out import add_opt_out
from functions.console.overview import add_overview
from functions.console.own_pages import add_own_pages
from functions.console.own_rules import add_own_rules
from functions.console.repair import add_repair
from functions.console.rules import add_rules
from functions.console.service import Service
from functions.console.sign_in import add_sign_in
from shared.config import AWS_LIMITS, listed, require
from shared.errors import CallerError, PermanentError, TransientError
from shared.events import EventBus
from shared.observability import Log
from shared.pages.kit import Kit
from shared.pages.static import static_answer
from shared.pages.texts import text
from shared.pages.web import Answer, Request, Routes, page_answer, read_request
from shared.providers.clients import OAuthClients, providers_of
from shared.queue import DeadLetterQueue, Queue
from shared.recall import new_session, open_recall, parse_limits
from shared.secrets import Seal, SecretStore
from shared.storage import Tables, open_stores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from requests import Session

    from shared.flows.neighbours import Workers

TEMPLATES: Final = Path(__file__).parent / "templates"
RETRY_SECONDS: Final = 5.0
CALLS_IN_FLIGHT: Final = 1
NEEDED: Final = (
    "AWS_REGION",
    "PUBLIC_URL",
    "API_KEYS_TABLE",
    "CONNECT_SESSIONS_TABLE",
    "ACCOUNTS_TABLE",
    "CALENDARS_TABLE",
    "CLAIMS_TABLE",
    "MEETINGS_TABLE",
    "SETTINGS_TABLE",
    "WORKSPACE_TABLE",
    "QUEUE_URL",
    "DEAD_LETTER_QUEUE_URL",
    "BUS_NAME",
    "SECRET_ID",
    "SEAL_KEY_ID",
    "RECALL_BASE_URL",
)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """An HTTP API event (payload 2.0) in, a page out."""
    return answer(event, service(), routes=_routes())


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
    workers: Workers = ThreadPoolExecutor,
) -> Service:
    """The function's parts; time, chance, and the ways to AWS, Recall and providers are given."""
    settings = require(environment, *NEEDED)
    stores = open_stores(Tables.from_settings(settings))
    secrets = SecretStore(client("secretsmanager"), settings["SECRET_ID"], required=["link_secret"])
    return Service(
        stores=stores,
        secrets=secrets,
        queue=Queue(client("sqs"), settings["QUEUE_URL"]),
        dead=DeadLetterQueue(client("sqs"), settings["DEAD_LETTER_QUEUE_URL"]),
        bus=EventBus(client("events"), settings["BUS_NAME"]),
        clients=OAuthClients(providers_of(environment), secrets, session=session),
        recall=open_recall(
            environment, session, secrets=secrets, store=stores.workspace, clock=clock
        ),
        seal=Seal(client("kms"), settings["SEAL_KEY_ID"]),
        limits=parse_limits(environment.get("RECALL_LIMITS", "")),
        kit=Kit(TEMPLATES),
        log=Log("console"),
        clock=clock,
        chance=chance,
        workers=workers,
        public_url=settings["PUBLIC_URL"].rstrip("/"),
        return_urls=listed(environment, "RETURN_URLS"),
        embed_origins=listed(environment, "EMBED_ORIGINS"),
    )


def pages(service: Service) -> Routes:
    """All pages over one set of doors."""
    routes = Routes()
    routes.get("/pages/{file}")(lambda request: static_answer(request.given["file"]))
    add_sign_in(routes, service)
    add_overview(routes, service)
    add_find(routes, service)
    add_calendars(routes, service)
    add_meetings(routes, service)
    add_rules(routes, service)
    add_repair(routes, service)
    add_entities(routes, service)
    add_own_pages(routes, service)
    add_own_rules(routes, service)
    add_opt_out(routes, service)
    return routes


@cache
def _routes() -> Routes:
    return pages(service())


def answer(event: Mapping[str, Any], service: Service, *, routes: Routes) -> dict[str, Any]:
    """Errors become pages that say what to do next; a bug is logged, and shows nothing of it."""
    try:
        return _answer(read_request(event), routes).event()
    except CallerError as error:
        return _refused(service, error).event()
    except TransientError as error:
        service.log.warning("browser asked to come again", code=error.code)
        wait = {"retry-after": str(ceil(error.retry_after or RETRY_SECONDS))}
        body = _message(service, "error.later.title", sentence=text("error.later"), code=error.code)
        return page_answer(body, status=503, headers=wait).event()
    except PermanentError as error:
        service.log.crash("page failed until an operator acts", error)
        service.log.count("RequestFailed")
        body = _message(service, "error.title", sentence=text("error.operator"), code=error.code)
        return page_answer(body, status=500).event()
    except Exception as error:  # noqa: BLE001  a person waits for a page, and the log has the rest
        service.log.crash("page failed on a bug", error)
        service.log.count("RequestFailed")
        body = _message(service, "error.title", sentence=text("error.bug"), code="internal_error")
        return page_answer(body, status=500).event()


def _answer(request: Request, routes: Routes) -> Answer:
    if request.method == "POST" and request.is_cross_site:
        raise CallerError("cross_site", text("error.cross_site"), status=403)
    found = routes.find(request)
    if found is None:
        raise CallerError("page_unknown", text("error.unknown"), status=404)
    page, given = found
    return page(request.with_given(given))


def _refused(service: Service, error: CallerError) -> Answer:
    title = "error.unknown.title" if error.status == 404 else "error.title"  # noqa: PLR2004
    return page_answer(
        _message(service, title, sentence=error.message, code=error.code), status=error.status
    )


def _message(service: Service, title: str, *, sentence: str, code: str) -> str:
    return service.kit.render(
        "message.html", title=text(title), sentence=sentence, code=code, next=None, link=None
    )
