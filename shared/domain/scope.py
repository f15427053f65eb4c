"""Whom rules are for: everybody, one tenant, or one entity of a tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, unquote

from shared.domain.rules import Document, Rules, rules_in_force

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Scope:
    """`default` without a tenant, `tenant:<id>`, or `entity:<tenant>:<id>`."""

    tenant_id: str | None = None
    entity_id: str | None = None

    @property
    def name(self) -> str:
        """The scope as text; ids are percent-encoded, so that none can hold a colon."""
        if self.tenant_id is None:
            return "default"
        if self.entity_id is None:
            return f"tenant:{_quoted(self.tenant_id)}"
        return f"entity:{_quoted(self.tenant_id)}:{_quoted(self.entity_id)}"

    @classmethod
    def from_name(cls, name: str) -> Self | None:
        """The scope of such a text, None for any other."""
        kind, *quoted = name.split(":")
        ids = [unquote(each) for each in quoted]
        known = {"default": 0, "tenant": 1, "entity": 2}.get(kind)
        return cls(*ids) if known == len(ids) and all(ids) else None

    def covers(self, tenant_id: str, entity_id: str) -> bool:
        return self.tenant_id in {None, tenant_id} and self.entity_id in {None, entity_id}


def scopes_of(tenant_id: str, entity_id: str) -> tuple[str, str, str]:
    """Where rules for an entity may stand, the widest scope first."""
    return (Scope().name, Scope(tenant_id).name, Scope(tenant_id, entity_id).name)


def rules_from(documents: Mapping[str, Document], scopes: tuple[str, str, str]) -> Rules:
    """The rules in force, from the documents stored under the scopes of `scopes_of`."""
    default, tenant, entity = (documents.get(scope) for scope in scopes)
    return rules_in_force(default, tenant=tenant, entity=entity)


def _quoted(identity: str) -> str:
    return quote(identity, safe=" @+")
