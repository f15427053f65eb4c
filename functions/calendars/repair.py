"""Routes of operators: dead letters, and meetings that were set aside."""

from __future__ import annotations

from typing import Any, TypeVar

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from functions.calendars.bodies import RedriveBody, ReplayBody
from functions.calendars.service import Service
from functions.calendars.views import letter_view, set_aside_view
from shared.entrypoints.http import (
    Body,
    query,
    raw_body,
    read_body,
    read_cursor,
    read_limit,
    reply,
)
from shared.errors import CallerError
from shared.flows.calendars import existing
from shared.flows.dead_letters import discard, redrive, shown_letters
from shared.flows.meetings import Moment, existing_meeting
from shared.flows.replay import SetAside, replay, replay_all, set_aside

UNIQUE_BYTES = 16
REASON_LENGTH_MAX = 256
Model = TypeVar("Model", bound=Body)


def add_repair_routes(app: APIGatewayHttpResolver, service: Service) -> None:
    _add_dead_letters(app, service)
    _add_set_aside(app, service)


def _add_dead_letters(app: APIGatewayHttpResolver, service: Service) -> None:
    @app.get("/v1/dead-letters")
    def _list() -> Response[str]:
        doors, now = service.dead_letter_doors(), service.clock()
        letters = shown_letters(doors, limit=read_limit(app.current_event))
        items = [letter_view(letter, now=now) for letter in letters]
        return reply(200, {"items": items, "next_cursor": None, "total": doors.dead.depth()})

    @app.post("/v1/dead-letters/redrive")
    def _redrive() -> Response[str]:
        body = _body_or_default(app, RedriveBody)

        def work() -> dict[str, Any]:
            done = redrive(service.dead_letter_doors(), limit=body.limit)
            return {"redriven": done.redriven, "kept": done.kept, "left": done.left}

        return reply(200, service.once(app, work))

    @app.delete("/v1/dead-letters/<message_id>")
    def _discard(message_id: str) -> Response[str]:
        discard(service.dead_letter_doors(), message_id)
        return reply(204)


def _add_set_aside(app: APIGatewayHttpResolver, service: Service) -> None:
    @app.get("/v1/meetings/set-aside")
    def _list() -> Response[str]:
        event = app.current_event
        which = SetAside(reason=_reason(event), cursor=read_cursor(event), limit=read_limit(event))
        page = set_aside(service.stores.meetings, which, now=service.clock())
        items = [set_aside_view(row) for row in page.items]
        return reply(200, {"items": items, "next_cursor": page.next_cursor})

    @app.post("/v1/meetings/set-aside/replay")
    def _replay_all() -> Response[str]:
        body = _body_or_default(app, ReplayBody)
        which = SetAside(reason=body.reason, cursor=body.cursor, limit=body.limit)

        def work() -> dict[str, Any]:
            done = replay_all(service.meeting_doors(), which, at=_moment(service))
            return {"replayed": done.replayed, "next_cursor": done.next_cursor}

        return reply(202, service.once(app, work))

    @app.post("/v1/calendars/<calendar_id>/meetings/<event_id>/replay")
    def _replay(calendar_id: str, event_id: str) -> Response[str]:
        calendar = existing(service.stores.calendars, calendar_id)
        doors = service.meeting_doors()
        existing_meeting(doors, calendar.calendar_id, event_id=event_id)
        done = replay(doors, event_id, at=_moment(service))
        return reply(202, {"replayed": int(done)})


def _reason(event: APIGatewayProxyEventV2) -> str | None:
    text = query(event, "reason")
    if text is not None and len(text) > REASON_LENGTH_MAX:
        raise CallerError("query_invalid", "At most 256 characters.", field="reason")
    return text


def _moment(service: Service) -> Moment:
    return Moment(now=service.clock(), unique=service.chance(UNIQUE_BYTES))


def _body_or_default(app: APIGatewayHttpResolver, model: type[Model]) -> Model:
    """Every key has a default, and so has the whole body."""
    return read_body(app.current_event, model) if raw_body(app.current_event) else model()
