"""Erasing an entity: what will go is shown, and its id typed, before anything does."""

from __future__ import annotations

from typing import Final

from functions.console.calendars import read_text
from functions.console.service import UNIQUE_BYTES, Service
from functions.console.session import Visit, changed_by, seen_by
from shared.domain.erasure import Erasure, record_name
from shared.errors import CallerError
from shared.flows.erase import ask_for_erasure
from shared.pages.texts import text
from shared.pages.web import Answer, Routes, see_other

HOME: Final = "/console/erase"
SHOWN_MAX: Final = 20
LENGTH_MAX: Final = 256


def add_entities(routes: Routes, service: Service) -> None:
    like = "DELETE /v1/entities/{tenant_id}/{entity_id}"
    routes.get(HOME)(seen_by(service, _show))
    routes.post(HOME)(changed_by(service, _erase, like=like))


def _show(visit: Visit) -> Answer:
    service, request = visit.service, visit.request
    tenant_id = read_text(request, "tenant_id") or "default"
    entity_id = read_text(request, "entity_id")
    found = None
    if entity_id is not None:
        found = service.stores.calendars.find(
            tenant_id=tenant_id, entity_id=entity_id, limit=SHOWN_MAX
        ).items
    return visit.page(
        "erase.html",
        here="erase",
        tenant_id=tenant_id,
        entity_id=entity_id,
        found=found,
        waiting=service.stores.workspace.erasures().waiting,
        done=request.asked("done"),
    )


def _erase(visit: Visit) -> Answer:
    service, form = visit.service, visit.form
    tenant_id, entity_id = form.get("tenant_id", ""), form.get("entity_id", "")
    for name, value in (("tenant_id", tenant_id), ("entity_id", entity_id)):
        if not value.isprintable() or not 0 < len(value) <= LENGTH_MAX:
            raise CallerError("form_invalid", text("error.text_too_long"), field=name)
    if form.get("typed", "").strip() != entity_id:
        raise CallerError("not_confirmed", text("erase.not_confirmed"), field="typed")
    now, key = service.clock(), service.secrets.get().link_secret
    wanted = Erasure(
        tenant_id=tenant_id,
        entity_id=entity_id,
        record=record_name(tenant_id, entity_id, key=key, asked_at=now),
        asked_by=visit.session.api_key.prefix,
        asked_at=now,
    )
    ask_for_erasure(service.erasure_doors(), wanted, unique=service.chance(UNIQUE_BYTES))
    return see_other(HOME, done="erasing")
