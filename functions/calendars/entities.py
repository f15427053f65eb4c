"""Routes of entities: a link to the own page, and erase."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from functions.calendars.bodies import PageLinkBody
from functions.calendars.service import Service
from functions.calendars.views import Json
from shared.domain.erasure import Erasure, record_name
from shared.domain.moment import moment_text, parse_moment
from shared.domain.page_link import OwnPageLink, own_page_token, whole_seconds
from shared.entrypoints.http import read_caller, read_optional_body, reply
from shared.errors import CallerError
from shared.flows.erase import ask_for_erasure

UNIQUE_BYTES = 16
ID_LENGTH_MAX = 256


def add_entity_routes(app: APIGatewayHttpResolver, service: Service) -> None:
    @app.post("/v1/entities/<tenant_id>/<entity_id>/page-link")
    def _link(tenant_id: str, entity_id: str) -> Response[str]:
        body = read_optional_body(app.current_event, PageLinkBody)
        tenant_id = _identity(tenant_id, field="tenant_id")
        entity_id = _identity(entity_id, field="entity_id")
        if body.embed and not service.embed_origins:
            message = "The stack names no origins whose frames the page may stand in."
            raise CallerError("embed_not_offered", message, field="embed")
        times = service.idempotency.once(
            app.current_event, app.lambda_context, work=lambda: _times(service, body)
        )
        # The link opens the page, so it is derived again rather than remembered.
        link = OwnPageLink(
            tenant_id=tenant_id,
            entity_id=entity_id,
            issued_at=_moment(times["issued_at"]),
            expires_at=_moment(times["expires_at"]),
            embed=body.embed,
            connect=body.connect,
        )
        token = own_page_token(link, link_secret=service.secrets.get().link_secret)
        url = f"{service.public_url}/my/{token.reveal()}"
        return reply(201, {"url": url, "expires_at": times["expires_at"]})

    @app.delete("/v1/entities/<tenant_id>/<entity_id>")
    def _erase(tenant_id: str, entity_id: str) -> Response[str]:
        tenant_id = _identity(tenant_id, field="tenant_id")
        entity_id = _identity(entity_id, field="entity_id")
        now, key = service.clock(), service.secrets.get().link_secret
        wanted = Erasure(
            tenant_id=tenant_id,
            entity_id=entity_id,
            record=record_name(tenant_id, entity_id, key=key, asked_at=now),
            asked_by=read_caller(app.current_event).key_prefix or None,
            asked_at=now,
        )
        ask_for_erasure(service.erasure_doors(), wanted, unique=service.chance(UNIQUE_BYTES))
        return reply(202, {})


def _times(service: Service, body: PageLinkBody) -> Json:
    now = whole_seconds(service.clock())
    expires_at = now + timedelta(minutes=body.expires_in_minutes)
    return {"issued_at": moment_text(now), "expires_at": moment_text(expires_at)}


def _moment(text: object) -> datetime:
    moment = parse_moment(text)
    if moment is None:
        raise ValueError("no moment of ours")
    return moment


def _identity(quoted: str, *, field: str) -> str:
    """Encoded as in a scope, so that an id may hold a slash."""
    identity = unquote(quoted)
    if not identity.isprintable() or not 0 < len(identity) <= ID_LENGTH_MAX:
        raise CallerError("path_invalid", "At most 256 printable characters.", field=field)
    return identity
