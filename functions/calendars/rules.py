"""Routes of rules: read, put, and how they came about."""

from __future__ import annotations

import re
from email.utils import format_datetime
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from functions.calendars.service import Service
from functions.calendars.views import Json, preview_view, rules_version_view
from shared.domain.scope import Scope
from shared.entrypoints.http import (
    Body,
    header,
    read_body,
    read_caller,
    read_cursor,
    read_limit,
    reply,
)
from shared.entrypoints.rules_body import RulesBody, may_lock, read_scope, rules_document
from shared.flows.preview import too_large
from shared.flows.rules import RulesPut, check_locks, put_rules
from shared.storage import RulesVersion

UNIQUE_BYTES = 16
ANSWER_BYTES_MAX = 5_000_000
_ETAG = re.compile(r'"([0-9]{1,15})"', flags=re.ASCII)


def add_rules_routes(app: APIGatewayHttpResolver, service: Service) -> None:
    @app.get("/v1/rules/<scope>")
    def _read(scope: str) -> Response[str]:
        found = service.stores.settings.rules_version(read_scope(scope).name)
        return reply(200, found.document, headers=_headers(found))

    @app.put("/v1/rules/<scope>")
    def _put(scope: str) -> Response[str]:
        event, wanted_scope = app.current_event, read_scope(scope)
        wanted = RulesPut(
            scope=wanted_scope,
            document=_document(read_body(event, RulesBody), wanted_scope),
            by=read_caller(event).key_prefix or None,
            expected=_expected(header(event, "if-match")),
        )
        now, unique = service.clock(), service.chance(UNIQUE_BYTES)
        stored = put_rules(service.rules_doors(), wanted, now=now, unique=unique)
        return reply(200, stored.document, headers=_headers(stored))

    @app.post("/v1/rules/preview")
    def _preview() -> Response[str]:
        body = read_body(app.current_event, PreviewBody)
        scope = read_scope(body.scope)
        document = _document(body.rules, scope)
        check_locks(service.stores.settings, scope, document=document)
        found = service.previewer().preview(scope, document, now=service.clock())
        return _told(preview_view(found))

    @app.get("/v1/rules/<scope>/versions")
    def _versions(scope: str) -> Response[str]:
        event = app.current_event
        page = service.stores.settings.rules_versions(
            read_scope(scope).name, cursor=read_cursor(event), limit=read_limit(event)
        )
        items = [rules_version_view(version) for version in page.items]
        return reply(200, {"items": items, "next_cursor": page.next_cursor})


class PreviewBody(Body):
    scope: str
    rules: RulesBody


def _document(body: RulesBody, scope: Scope) -> dict[str, Any]:
    return rules_document(body, may_lock=may_lock(scope))


def _told(preview: Json) -> Response[str]:
    """Lambda refuses answers above 6 MB."""
    answer = reply(200, preview)
    if len(answer.body or "") > ANSWER_BYTES_MAX:
        raise too_large()
    return answer


def _expected(if_match: str | None) -> frozenset[int] | None:
    """Versions in an If-Match; None without one, or for `*`: any version will do (RFC 9110)."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = (_ETAG.fullmatch(each.strip()) for each in if_match.split(","))
    return frozenset(int(match[1]) for match in found if match is not None)


def _headers(version: RulesVersion) -> dict[str, str]:
    etag = {"etag": f'"{version.version}"'}
    if version.set_at is None:
        return etag
    return {**etag, "last-modified": format_datetime(version.set_at, usegmt=True)}
