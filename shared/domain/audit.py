"""The audit: how far the slow walk over the whole window has come, and what it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.domain.drift import Drift
from shared.domain.moment import moment_text, parse_moment

ITEMS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditItem:
    """One difference; `reason` is the decision's code."""

    drift: Drift
    calendar_id: str
    event_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """A walk, finished or not; `items` holds the first differences, `counts` all of them."""

    started_at: datetime
    finished_at: datetime | None = None
    next_page: str | None = None
    events: int = 0
    counts: Mapping[Drift, int] = field(default_factory=lambda: dict.fromkeys(Drift, 0))
    items: tuple[AuditItem, ...] = ()

    def with_page(self, events: int, found: Iterable[AuditItem]) -> Audit:
        items = tuple(found)
        counts = {
            drift: self.counts[drift] + sum(item.drift is drift for item in items)
            for drift in Drift
        }
        kept = (*self.items, *items)[:ITEMS_MAX]
        return replace(self, events=self.events + events, counts=counts, items=kept)


def audit_document(audit: Audit) -> dict[str, object]:
    """The walk as the JSON that is stored."""
    return {
        "started_at": moment_text(audit.started_at),
        "finished_at": moment_text(audit.finished_at) if audit.finished_at else None,
        "next_page": audit.next_page,
        "events": audit.events,
        "counts": {drift.value: count for drift, count in audit.counts.items()},
        "items": [
            {
                "class": item.drift.value,
                "calendar_id": item.calendar_id,
                "event_id": item.event_id,
                "reason": item.reason,
            }
            for item in audit.items
        ],
    }


def drift_document(audit: Audit, *, healing: Iterable[Drift]) -> dict[str, object]:
    """What a finished walk reports; `self_managed` is added by the look at bots of our own."""
    classes = sorted(drift.value for drift in healing)
    return {**audit_document(audit), "healing": classes, "self_managed": None}


def audit_from(document: Mapping[str, Any] | None) -> Audit | None:
    """The walk that was stored, or None for the first one."""
    started_at = parse_moment(document["started_at"]) if document else None
    if document is None or started_at is None:
        return None
    return Audit(
        started_at=started_at,
        finished_at=parse_moment(document["finished_at"]),
        next_page=document["next_page"],
        events=int(document["events"]),
        counts={drift: int(document["counts"][drift.value]) for drift in Drift},
        items=tuple(
            AuditItem(
                drift=Drift(item["class"]),
                calendar_id=item["calendar_id"],
                event_id=item["event_id"],
                reason=item["reason"],
            )
            for item in document["items"]
        ),
    )
