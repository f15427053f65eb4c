"""The API of the host's backend: connect sessions, calendars, meetings, rules, status."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache, partial
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.calendars.calendars import add_calendar_routes
from functions.calendars.entities import add_entity_routes
from functions.calendars.meetings import add_meeting_routes
from functions.calendars.repair import add_repair_routes
from functions.calendars.rules import add_rules_routes
from functions.calendars.service import Service
from functions.calendars.sessions import add_session_routes
from functions.calendars.workspace import add_workspace_routes
from shared.config import AWS_LIMITS, flag, listed, require
from shared.entrypoints.http import routes
from shared.entrypoints.idempotency import Idempotency
from shared.events import EventBus
from shared.observability import Log
from shared.providers.clients import OAuthClients, providers_of
from shared.queue import DeadLetterQueue, Queue
from shared.recall import new_session, open_recall, parse_limits
from shared.secrets import Seal, SecretStore
from shared.storage import Tables, open_stores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from requests import Session

    from shared.flows.neighbours import Workers

CALLS_IN_FLIGHT = 1
NEEDED = (
    "AWS_REGION",
    "PUBLIC_URL",
    "CONNECT_SESSIONS_TABLE",
    "ACCOUNTS_TABLE",
    "CALENDARS_TABLE",
    "CLAIMS_TABLE",
    "MEETINGS_TABLE",
    "SETTINGS_TABLE",
    "WORKSPACE_TABLE",
    "IDEMPOTENCY_TABLE",
    "QUEUE_URL",
    "DEAD_LETTER_QUEUE_URL",
    "BUS_NAME",
    "SECRET_ID",
    "SEAL_KEY_ID",
    "RECALL_BASE_URL",
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """An HTTP API event (payload 2.0) in, its answer out."""
    service().log.begin(context.aws_request_id)
    return _resolver().resolve(event, context)


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
    secrets = SecretStore(client("secretsmanager"), settings["SECRET_ID"])
    return Service(
        stores=stores,
        queue=Queue(client("sqs"), settings["QUEUE_URL"]),
        dead=DeadLetterQueue(client("sqs"), settings["DEAD_LETTER_QUEUE_URL"]),
        bus=EventBus(client("events"), settings["BUS_NAME"]),
        secrets=secrets,
        seal=Seal(client("kms"), settings["SEAL_KEY_ID"]),
        clients=OAuthClients(providers_of(environment), secrets, session=session),
        recall=open_recall(
            environment, session, secrets=secrets, store=stores.workspace, clock=clock
        ),
        limits=parse_limits(environment.get("RECALL_LIMITS", "")),
        idempotency=Idempotency(settings["IDEMPOTENCY_TABLE"], client=client("dynamodb")),
        log=Log("calendars"),
        clock=clock,
        chance=chance,
        workers=workers,
        public_url=settings["PUBLIC_URL"].rstrip("/"),
        return_urls=listed(environment, "RETURN_URLS"),
        allow_unconfirmed=flag(environment, "ALLOW_UNCONFIRMED"),
        embed_origins=listed(environment, "EMBED_ORIGINS"),
    )


def application(service: Service) -> APIGatewayHttpResolver:
    """All routes over one set of doors."""
    app = routes(service.log)
    add_session_routes(app, service)
    add_calendar_routes(app, service)
    add_meeting_routes(app, service)
    add_repair_routes(app, service)
    add_rules_routes(app, service)
    add_entity_routes(app, service)
    add_workspace_routes(app, service)
    return app


@cache
def _resolver() -> APIGatewayHttpResolver:
    return application(service())
