"""Rules: read, changed after a look at the difference, and followed while they take effect."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.console.calendars import read_cursor
from functions.console.service import Service
from functions.console.session import Visit, changed_by, seen_by
from shared.domain.scope import Scope
from shared.entrypoints.http import parse_body
from shared.entrypoints.rules_body import RulesBody, may_lock, read_scope, rules_document
from shared.errors import CallerError
from shared.flows.meetings import ShownMeeting
from shared.flows.preview import Preview
from shared.flows.rules import RulesPut, check_locks, put_rules
from shared.pages.texts import text
from shared.pages.web import Answer, Request, Routes, see_other
from shared.storage.workspace import RULES, redecision_from

HOME: Final = "/console/rules"
VERSIONS_PAGE: Final = 10
LISTED_MAX: Final = 20
# As the reference of rules orders them.
KEYS: Final = (
    "mode", "base", "rsvp", "private", "min_others", "hidden_guests", "internal_domains",
    "include", "exclude", "deny", "attendees", "duration_minutes", "hours", "recurrence", "vote",
    "veto", "dedupe", "scheduling", "horizon_hours", "locked", "bot",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What the editor sent: rules as text, to follow a version."""

    scope: Scope
    rules: str
    version: int

    def document(self) -> dict[str, Any]:
        """CallerError that names the wrong field."""
        body = parse_body(self.rules.encode(errors="replace"), RulesBody)
        return rules_document(body, may_lock=may_lock(self.scope))


def add_rules(routes: Routes, service: Service) -> None:
    previews, puts = "POST /v1/rules/preview", "PUT /v1/rules/{scope}"
    routes.get(HOME)(seen_by(service, _show))
    routes.get(f"{HOME}/versions")(seen_by(service, _versions))
    routes.post(f"{HOME}/preview")(changed_by(service, _preview, like=previews))
    routes.post(f"{HOME}/save")(changed_by(service, _save, like=puts))


def _show(visit: Visit) -> Answer:
    scope = _asked_scope(visit.request)
    found = visit.service.stores.settings.rules_version(scope.name)
    document = visit.service.stores.workspace.documents([RULES]).get(RULES)
    return visit.page(
        "rules.html",
        here="rules",
        scope=scope,
        rules=pretty(found.document),
        version=found.version,
        set_by=found.set_by,
        set_at=found.set_at,
        job=redecision_from(document) if document else None,
        problem=None,
        keys=KEYS,
        done=visit.request.asked("done"),
    )


def _versions(visit: Visit) -> Answer:
    scope = _asked_scope(visit.request)
    page = visit.service.stores.settings.rules_versions(
        scope.name, cursor=read_cursor(visit.request), limit=VERSIONS_PAGE
    )
    return visit.page("rules_versions.html", here="rules", scope=scope, page=page, pretty=pretty)


def _preview(visit: Visit) -> Answer:
    """The difference that the rules would make, and only then the button that saves them."""
    sent, service = _sent(visit.form), visit.service
    try:
        document = sent.document()
        check_locks(service.stores.settings, sent.scope, document=document)
        found = _found(service, sent.scope, document=document)
    except CallerError as error:
        return _refused(visit, sent, problem=error)
    return visit.page(
        "rules_preview.html",
        here="rules",
        scope=sent.scope,
        rules=json.dumps(document, separators=(",", ":")),
        shown=pretty(document),
        version=sent.version,
        preview=found,
        next_change=None if found is None else _next_change(found),
        now=visit.service.clock(),
        listed_max=LISTED_MAX,
    )


def _save(visit: Visit) -> Answer:
    sent, service = _sent(visit.form), visit.service
    try:
        wanted = RulesPut(
            scope=sent.scope,
            document=sent.document(),
            by=visit.session.api_key.prefix,
            expected=frozenset({sent.version}),
        )
        at = service.moment()
        put_rules(service.rules_doors(), wanted, now=at.now, unique=at.unique)
    except CallerError as error:
        return _refused(visit, sent, problem=error)
    return see_other(HOME, scope=sent.scope.name, done="rules_saved")


def _refused(visit: Visit, sent: Sent, *, problem: CallerError) -> Answer:
    """The editor again, with what was typed and what is wrong with it."""
    return visit.page(
        "rules.html",
        here="rules",
        status=problem.status,
        scope=sent.scope,
        rules=sent.rules,
        version=sent.version,
        set_by=None,
        set_at=None,
        job=None,
        problem=problem,
        keys=KEYS,
        done=None,
    )


def _found(service: Service, scope: Scope, *, document: dict[str, Any]) -> Preview | None:
    """None where the scope holds more meetings than a preview covers."""
    try:
        found = service.previewer().preview(scope, document, now=service.clock())
    except CallerError as error:
        if error.code != "preview_too_large":
            raise
        return None
    return Preview(
        added=_once(found.added),
        removed=_once(found.removed),
        changed=_once(found.changed),
        unchanged=_once(found.unchanged),
    )


def _once(copies: Iterable[ShownMeeting]) -> list[ShownMeeting]:
    """One copy of each meeting, by start: copies share their bot."""
    first: dict[str, ShownMeeting] = {}
    for copy in copies:
        first.setdefault(copy.meeting.meeting_key or copy.meeting.event.event_id, copy)
    return sorted(first.values(), key=lambda copy: copy.meeting.event.start)


def _sent(form: Mapping[str, str]) -> Sent:
    version = form.get("version", "")
    if not (version.isascii() and version.isdigit()):
        raise CallerError("form_invalid", text("rules.version_unknown"), field="version")
    scope = read_scope(form.get("scope", ""))
    return Sent(scope=scope, rules=form.get("rules", ""), version=int(version))


def _asked_scope(request: Request) -> Scope:
    """A scope by its name, or by the fields of the form that chooses one."""
    tenant_id, entity_id = request.asked("tenant_id"), request.asked("entity_id")
    if tenant_id is not None:
        return read_scope(Scope(tenant_id, entity_id).name)
    return read_scope(request.asked("scope") or Scope().name)


def _next_change(preview: Preview) -> datetime | None:
    """When the first meeting begins whose bot would change."""
    changing = (*preview.added, *preview.removed, *preview.changed)
    return min((shown.meeting.event.start for shown in changing), default=None)


def pretty(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
