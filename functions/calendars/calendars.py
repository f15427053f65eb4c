"""Routes of calendars."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from functions.calendars.bodies import CalendarBody, CalendarPatch
from functions.calendars.service import Service
from functions.calendars.views import Json, calendar_view
from shared.domain.calendar import Calendar, CalendarStatus
from shared.domain.secret import Secret
from shared.entrypoints.http import query, read_body, read_cursor, read_limit, reply
from shared.entrypoints.idempotency import request_digest
from shared.errors import CallerError
from shared.flows import calendars
from shared.flows.calendars import Edit, NewCalendar, TokenInHand
from shared.storage import Page

CLAIM_BYTES = 16
FILTER_LENGTH_MAX = 256


def add_calendar_routes(app: APIGatewayHttpResolver, service: Service) -> None:
    _add_collection(app, service)

    @app.get("/v1/calendars/<calendar_id>")
    def _read(calendar_id: str) -> Response[str]:
        return reply(200, calendar_view(calendars.existing(service.stores.calendars, calendar_id)))

    @app.patch("/v1/calendars/<calendar_id>")
    def _patch(calendar_id: str) -> Response[str]:
        calendar = calendars.edit(
            service.calendar_doors(),
            calendar_id,
            changes=_edit(read_body(app.current_event, CalendarPatch)),
            clients=service.clients,
            now=service.clock(),
        )
        return reply(200, calendar_view(calendar))

    @app.delete("/v1/calendars/<calendar_id>")
    def _delete(calendar_id: str) -> Response[str]:
        calendars.delete(
            service.calendar_doors(),
            calendar_id,
            clients=service.clients,
            log=service.log,
            now=service.clock(),
        )
        return reply(204)

    @app.post("/v1/calendars/<calendar_id>/resync")
    def _resync(calendar_id: str) -> Response[str]:
        calendars.resync(service.calendar_doors(), calendar_id, now=service.clock())
        return reply(202, {})


def _add_collection(app: APIGatewayHttpResolver, service: Service) -> None:
    @app.post("/v1/calendars")
    def _create() -> Response[str]:
        body = read_body(app.current_event, CalendarBody)
        claim_id = request_digest(app.current_event) or service.chance(CLAIM_BYTES)
        wanted = _wanted(body, claim_id=claim_id)
        made = service.idempotency.once(
            app.current_event, app.lambda_context, work=lambda: _created(service, wanted)
        )
        calendar = calendars.existing(service.stores.calendars, str(made["calendar_id"]))
        return reply(201 if made["created"] else 200, calendar_view(calendar))

    @app.get("/v1/calendars")
    def _list() -> Response[str]:
        page = _found(service, app.current_event)
        items = [calendar_view(calendar) for calendar in page.items]
        return reply(200, {"items": items, "next_cursor": page.next_cursor})


def _found(service: Service, event: APIGatewayProxyEventV2) -> Page[Calendar]:
    return service.stores.calendars.find(
        tenant_id=_filter(event, "tenant_id"),
        entity_id=_filter(event, "entity_id"),
        email=_filter(event, "email"),
        status=_status(event),
        cursor=read_cursor(event),
        limit=read_limit(event),
    )


def _created(service: Service, wanted: NewCalendar) -> Json:
    landed = calendars.add(
        service.calendar_doors(), wanted, clients=service.clients, now=service.clock()
    )
    return {"calendar_id": landed.calendar.calendar_id, "created": landed.created}


def _wanted(body: CalendarBody, *, claim_id: str) -> NewCalendar:
    return NewCalendar(
        tenant_id=body.tenant_id,
        entity_id=body.entity_id,
        platform=body.platform,
        grant=_grant(body, token=body.oauth_refresh_token),
        metadata=body.metadata,
        claim_id=claim_id,
    )


def _edit(patch: CalendarPatch) -> Edit:
    if patch.oauth_refresh_token is not None:
        grant = _grant(patch, token=patch.oauth_refresh_token)
        return Edit(entity_id=patch.entity_id, metadata=patch.metadata, grant=grant)
    if patch.oauth_client_id is not None:
        message = "A client comes with the refresh token that it was given."
        raise CallerError("body_invalid", message, field="oauth_refresh_token")
    secret = patch.oauth_client_secret
    return Edit(
        entity_id=patch.entity_id,
        metadata=patch.metadata,
        client_secret=None if secret is None else Secret(secret),
    )


def _grant(body: CalendarBody | CalendarPatch, *, token: str) -> TokenInHand:
    client_id, client_secret = body.oauth_client_id, body.oauth_client_secret
    if (client_id is None) != (client_secret is None):
        field = "oauth_client_id" if client_id is None else "oauth_client_secret"
        raise CallerError(
            "body_invalid", "Give the client's id and secret or neither.", field=field
        )
    return TokenInHand(
        refresh_token=Secret(token),
        client_id=client_id,
        client_secret=None if client_secret is None else Secret(client_secret),
    )


def _filter(event: APIGatewayProxyEventV2, name: str) -> str | None:
    text = query(event, name)
    if text is not None and len(text) > FILTER_LENGTH_MAX:
        raise CallerError("query_invalid", "At most 256 characters.", field=name)
    return text


def _status(event: APIGatewayProxyEventV2) -> CalendarStatus | None:
    text = query(event, "status")
    if text is None:
        return None
    if text not in set(CalendarStatus):
        message = f"One of {', '.join(CalendarStatus)}."
        raise CallerError("query_invalid", message, field="status")
    return CalendarStatus(text)
