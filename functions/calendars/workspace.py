"""Routes about the workspace as a whole: status, drift, and how a secret's rotation fares."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from functions.calendars.service import Service
from functions.calendars.views import Json, coverage_view, feed_view, redecision_view, rotation_view
from shared.domain.calendar import CalendarStatus
from shared.domain.rotation import WALKS, walks_from
from shared.entrypoints.http import reply
from shared.errors import CallerError
from shared.flows.coverage import COVERAGE
from shared.recall.budget import used_in_window
from shared.storage import CalendarStore, WorkspaceStore

COUNTED_MAX = 10_000


def add_workspace_routes(app: APIGatewayHttpResolver, service: Service) -> None:
    @app.get("/v1/status")
    def _status() -> Response[str]:
        now = service.clock()
        workspace = service.stores.workspace
        return reply(
            200,
            {
                **feed_view(workspace.feed(), now=now),
                "queue_depth": service.queue.depth(),
                "budget": _budget(workspace, service.limits, now=now),
                "rules": redecision_view(workspace.redecision()),
                "calendars": _counts(service.stores.calendars),
                "coverage": coverage_view(workspace.report(COVERAGE), now=now),
            },
        )

    @app.get("/v1/drift")
    def _drift() -> Response[str]:
        workspace = service.stores.workspace
        report = workspace.report("drift")
        if report is None:
            raise CallerError("no_audit_yet", "No audit has finished yet.", status=404)
        coverage = coverage_view(workspace.report(COVERAGE), now=service.clock())
        return reply(200, {**report, "coverage": coverage})

    @app.get("/v1/rotations")
    def _rotations() -> Response[str]:
        items = [
            rotation_view(*each) for each in walks_from(_reports(service.stores.workspace)).items()
        ]
        return reply(200, {"items": items})


def _reports(workspace: WorkspaceStore) -> dict[str, Json]:
    found = {name: workspace.report(name) for name in WALKS}
    return {name: report for name, report in found.items() if report is not None}


def _budget(workspace: WorkspaceStore, limits: Mapping[str, int], *, now: datetime) -> Json:
    """Calls paid for in the last minute; leased ones count before they are made."""
    budget: Json = {}
    for endpoint, limit in limits.items():
        slots, _ = workspace.read_budget(endpoint)
        budget[endpoint] = {"limit": limit, "used": used_in_window(slots, now=now)}
    return budget


def _counts(calendars: CalendarStore) -> Json:
    """At most 10,000 of each are counted."""
    return {
        status.value: len(calendars.by_status(status, limit=COUNTED_MAX))
        for status in CalendarStatus
    }
