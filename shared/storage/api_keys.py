"""The ApiKeys table: digests of the keys that may call the API, never the keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pynamodb.attributes import UnicodeAttribute, UnicodeSetAttribute
from pynamodb.models import Model

from shared.storage.attributes import MomentAttribute
from shared.storage.table import Table
from shared.storage.tables import API_KEYS

if TYPE_CHECKING:
    from pynamodb.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What is known of an API key: its public `prefix` and the `digest` of the whole."""

    prefix: str
    digest: str
    scopes: frozenset[str]
    name: str
    created_at: datetime
    revoked_at: datetime | None = None


class ApiKeyRow(Model):
    """A revoked key keeps its row."""

    prefix = UnicodeAttribute(hash_key=True)
    digest = UnicodeAttribute()
    scopes = UnicodeSetAttribute(null=True)
    name = UnicodeAttribute()
    created_at = MomentAttribute()
    revoked_at = MomentAttribute(null=True)


class ApiKeyStore:
    """API keys in and out; see Table for what every method may raise."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._table = Table(ApiKeyRow, connection=connection, name=name, schema=API_KEYS)

    def get(self, prefix: str) -> ApiKey | None:
        """Read consistently, so that a revocation counts at once."""
        row = self._table.get(prefix)
        return None if row is None else _api_key(row)

    def put(self, api_key: ApiKey) -> None:
        self._table.put(
            ApiKeyRow(
                prefix=api_key.prefix,
                digest=api_key.digest,
                scopes=set(api_key.scopes) or None,
                name=api_key.name,
                created_at=api_key.created_at,
                revoked_at=api_key.revoked_at,
            )
        )


def _api_key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        prefix=row.prefix,
        digest=row.digest,
        scopes=frozenset(row.scopes or ()),
        name=row.name,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
