"""The rules in force for one calendar."""

from typing import Any

DEFAULTS: dict[str, Any] = {
    "mode": "live",
    "base": "all",
    "rsvp": "not_declined",
    "private": "deny",
    "min_others": 1,
    "hidden_guests": "skip",
    "internal_domains": [],
    "include": {},
    "exclude": {},
    "attendees": {},
    "duration_minutes": {},
    "hours": None,
    "recurrence": "any",
    "vote": "any",
    "veto": "organizer",
    "dedupe": "tenant",
    "scheduling": "managed",
    "horizon_hours": None,
    "bot": {},
}


def rules_for(documents: dict[str, dict[str, Any]], tenant_id: str, entity_id: str) -> dict:
    """Tenant locked, entity, tenant, default; key by key. Only `deny` adds up."""
    default = documents.get("default", {})
    tenant = documents.get(f"tenant:{_quoted(tenant_id)}", {})
    entity = documents.get(f"entity:{_quoted(tenant_id)}:{_quoted(entity_id)}", {})
    locked = tenant.get("locked") or []
    free = {key: value for key, value in entity.items() if key not in locked}
    return {**DEFAULTS, **default, **tenant, **free, "deny": _sum(default, tenant, free)}


def _sum(*documents: dict[str, Any]) -> dict[str, list[str]]:
    kinds = ("keywords", "people", "domains", "platforms")
    return {
        kind: [entry for one in documents for entry in (one.get("deny") or {}).get(kind) or []]
        for kind in kinds
    }


def _quoted(name: str) -> str:
    return name.replace("%", "%25").replace(":", "%3A")
