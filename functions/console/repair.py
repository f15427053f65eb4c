"""What failed and what can be done about it: dead letters, meetings set aside, drift, secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from functions.console.calendars import read_cursor
from functions.console.service import Service
from functions.console.session import Visit, changed_by, seen_by
from shared.domain.rotation import WALKS, walks_from
from shared.flows.dead_letters import discard, redrive, shown_letters
from shared.flows.reconcile import AUDIT, DRIFT
from shared.flows.replay import SetAside, replay_all, set_aside
from shared.pages.web import Answer, Routes, see_other

HOME: Final = "/console/repair"
LETTERS_MAX: Final = 20
REDRIVE_MAX: Final = 50
MEETINGS_PAGE: Final = 25
REPLAY_MAX: Final = 100
ITEMS_MAX: Final = 100


def add_repair(routes: Routes, service: Service) -> None:
    letters, meetings = "/v1/dead-letters", "/v1/meetings/set-aside"
    discards = f"DELETE {letters}/{{message_id}}"
    routes.get(HOME)(seen_by(service, _show))
    routes.get("/console/drift")(seen_by(service, _drift))
    routes.get("/console/secrets")(seen_by(service, _secrets))
    routes.post(f"{HOME}/redrive")(changed_by(service, _redrive, like=f"POST {letters}/redrive"))
    routes.post(f"{HOME}/discard")(changed_by(service, _discard, like=discards))
    routes.post(f"{HOME}/replay")(changed_by(service, _replay, like=f"POST {meetings}/replay"))


def _redrive(visit: Visit) -> Answer:
    done = redrive(visit.service.dead_letter_doors(), limit=REDRIVE_MAX)
    return see_other(HOME, done="redriven", count=str(done.redriven))


def _discard(visit: Visit) -> Answer:
    discard(visit.service.dead_letter_doors(), visit.form.get("message_id", ""))
    return see_other(HOME, done="discarded")


def _replay(visit: Visit) -> Answer:
    service = visit.service
    which = SetAside(reason=None, cursor=None, limit=REPLAY_MAX)
    done = replay_all(service.meeting_doors(), which, at=service.moment())
    return see_other(HOME, done="replayed_all", count=str(done.replayed))


def _show(visit: Visit) -> Answer:
    service, now = visit.service, visit.service.clock()
    which = SetAside(reason=None, cursor=read_cursor(visit.request), limit=MEETINGS_PAGE)
    count = visit.request.asked("count") or ""
    return visit.page(
        "repair.html",
        here="repair",
        letters=shown_letters(service.dead_letter_doors(), limit=LETTERS_MAX),
        total=service.dead.depth(),
        meetings=set_aside(service.stores.meetings, which, now=now),
        now=now,
        done=visit.request.asked("done"),
        count=int(count) if count.isascii() and count.isdigit() else 0,
    )


def _drift(visit: Visit) -> Answer:
    documents = visit.service.stores.workspace.documents([DRIFT, AUDIT])
    report, walk = documents.get(DRIFT), documents.get(AUDIT)
    return visit.page(
        "drift.html",
        here="drift",
        report=report,
        items=report["items"][:ITEMS_MAX] if report else [],
        finished_at=_moment(report["finished_at"]) if report else None,
        walk=walk if walk and walk["finished_at"] is None else None,
    )


def _secrets(visit: Visit) -> Answer:
    """How far a rotation has come, platform by platform; the command itself runs at a shell."""
    service = visit.service
    return visit.page(
        "secrets.html",
        here="secrets",
        walks=walks_from(service.stores.workspace.documents(WALKS)),
        webhook_secrets=len(service.secrets.get().webhook_secrets),
        now=service.clock(),
    )


def _moment(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored)
