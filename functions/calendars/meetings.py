"""Routes of meetings: what is known of them, and overrides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from functions.calendars.bodies import OverrideBody, Scope
from functions.calendars.service import Service
from functions.calendars.views import meeting_view
from shared.domain.meeting import Meeting, Override
from shared.entrypoints.http import (
    read_body,
    read_caller,
    read_cursor,
    read_limit,
    read_moment,
    reply,
)
from shared.errors import CallerError
from shared.flows.calendars import existing
from shared.flows.meetings import (
    Moment,
    ShownMeeting,
    Span,
    existing_meeting,
    meetings_of,
    override_occurrence,
    override_series,
)

LOOK_BACK = timedelta(days=1)
LOOK_AHEAD = timedelta(days=28)
LAST = datetime.max.replace(tzinfo=UTC)
UNIQUE_BYTES = 16
SOURCE = "api"


def add_meeting_routes(app: APIGatewayHttpResolver, service: Service) -> None:
    @app.get("/v1/calendars/<calendar_id>/meetings")
    def _list(calendar_id: str) -> Response[str]:
        now = service.clock()
        span = _span(app.current_event, now=now)
        calendar = existing(service.stores.calendars, calendar_id)
        page = meetings_of(service.meeting_doors(), calendar, span=span, now=now)
        items = [meeting_view(shown) for shown in page.items]
        return reply(200, {"items": items, "next_cursor": page.next_cursor})

    @app.put("/v1/calendars/<calendar_id>/meetings/<event_id>/override")
    def _override(calendar_id: str, event_id: str) -> Response[str]:
        body = read_body(app.current_event, OverrideBody)
        calendar = existing(service.stores.calendars, calendar_id)
        meeting = existing_meeting(service.meeting_doors(), calendar.calendar_id, event_id=event_id)
        set_by = read_caller(app.current_event).key_prefix or None
        shown = _overridden(service, meeting, body=body, set_by=set_by)
        return reply(200, meeting_view(shown))


def _overridden(
    service: Service, meeting: Meeting, *, body: OverrideBody, set_by: str | None
) -> ShownMeeting:
    now = service.clock()
    act = {Scope.OCCURRENCE: override_occurrence, Scope.SERIES: override_series}[body.scope]
    return act(
        service.meeting_doors(),
        meeting,
        override=Override(choice=body.choice, set_by=set_by, set_at=now, source=SOURCE),
        at=Moment(now=now, unique=service.chance(UNIQUE_BYTES)),
    )


def _span(event: APIGatewayProxyEventV2, *, now: datetime) -> Span:
    """Recall's own window unless `from` or `to` say otherwise."""
    start = read_moment(event, "from") or now - LOOK_BACK
    # Also for a `from` at the end of time.
    end = read_moment(event, "to") or min(max(now, start), LAST - LOOK_AHEAD) + LOOK_AHEAD
    if end <= start:
        raise CallerError("query_invalid", "`to` lies after `from`.", field="to")
    return Span(start=start, end=end, cursor=read_cursor(event), limit=read_limit(event))
