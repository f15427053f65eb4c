"""Routes of meetings: what is known of them, overrides, and links to opt out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from functions.calendars.bodies import OptOutLinkBody, OverrideBody, Scope
from functions.calendars.service import Service
from functions.calendars.views import Json, meeting_view
from shared.domain.meeting import Meeting, Override
from shared.domain.moment import moment_text
from shared.domain.page_link import OptOutLink, opt_out_token, whole_seconds
from shared.entrypoints.http import (
    read_body,
    read_caller,
    read_cursor,
    read_limit,
    read_moment,
    read_optional_body,
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
from shared.flows.opt_out import check_series

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

    @app.post("/v1/calendars/<calendar_id>/meetings/<event_id>/opt-out-link")
    def _opt_out_link(calendar_id: str, event_id: str) -> Response[str]:
        body = read_optional_body(app.current_event, OptOutLinkBody)
        calendar = existing(service.stores.calendars, calendar_id)
        meeting = existing_meeting(service.meeting_doors(), calendar.calendar_id, event_id=event_id)
        return reply(201, _opt_out_link_of(service, meeting, body=body))


def _opt_out_link_of(service: Service, meeting: Meeting, *, body: OptOutLinkBody) -> Json:
    """Made of nothing but its own text, so a repeated request does no harm."""
    if body.scope is Scope.SERIES:
        check_series(meeting)
    link = OptOutLink(
        calendar_id=meeting.event.calendar_id,
        event_id=meeting.event.event_id,
        series=body.scope is Scope.SERIES,
        expires_at=whole_seconds(service.clock()) + timedelta(minutes=body.expires_in_minutes),
    )
    token = opt_out_token(link, link_secret=service.secrets.get().link_secret)
    url = f"{service.public_url}/opt-out/{token.reveal()}"
    return {"url": url, "expires_at": moment_text(link.expires_at)}


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
