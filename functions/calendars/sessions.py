"""Routes of connect sessions: a link for the browser, and the host's completion."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from functions.calendars.bodies import CompleteBody, ConnectSessionBody
from functions.calendars.service import Service
from functions.calendars.views import Json, calendar_view
from shared.domain.moment import moment_text
from shared.domain.secret import Secret
from shared.entrypoints.http import read_body, reply
from shared.flows import connect
from shared.flows.connect import ConnectRequest


def add_session_routes(app: APIGatewayHttpResolver, service: Service) -> None:
    @app.post("/v1/connect-sessions")
    def _start() -> Response[str]:
        body = read_body(app.current_event, ConnectSessionBody)
        doors = service.connect_doors()
        started = service.idempotency.once(
            app.current_event, app.lambda_context, work=lambda: _started(service, body)
        )
        # The link opens the session, so it is derived again rather than remembered.
        url = connect.connect_url(doors.browser, str(started["session_id"]))
        return reply(201, {**started, "connect_url": url})

    @app.post("/v1/connect-sessions/<session_id>/complete")
    def _complete(session_id: str) -> Response[str]:
        body = read_body(app.current_event, CompleteBody)
        landed = connect.complete(
            service.connect_doors(),
            session_id,
            code=Secret(body.completion_code),
            now=service.clock(),
        )
        return reply(201 if landed.created else 200, calendar_view(landed.calendar))


def _started(service: Service, body: ConnectSessionBody) -> Json:
    request = ConnectRequest(
        tenant_id=body.tenant_id,
        entity_id=body.entity_id,
        platform=body.platform,
        return_url=body.return_url,
        metadata=body.metadata,
        confirm=body.confirm,
        calendar_id=body.calendar_id,
    )
    session = connect.start(service.connect_doors(), request, now=service.clock())
    return {"session_id": session.session_id, "expires_at": moment_text(session.expires_at)}
