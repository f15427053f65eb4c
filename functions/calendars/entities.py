"""Routes of entities: erase."""

from __future__ import annotations

from urllib.parse import unquote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from functions.calendars.service import Service
from shared.domain.erasure import Erasure, record_name
from shared.entrypoints.http import read_caller, reply
from shared.errors import CallerError
from shared.flows.erase import ask_for_erasure

UNIQUE_BYTES = 16
ID_LENGTH_MAX = 256


def add_entity_routes(app: APIGatewayHttpResolver, service: Service) -> None:
    @app.delete("/v1/entities/<tenant_id>/<entity_id>")
    def _erase(tenant_id: str, entity_id: str) -> Response[str]:
        tenant_id = _identity(tenant_id, field="tenant_id")
        entity_id = _identity(entity_id, field="entity_id")
        now, key = service.clock(), service.secrets.get().link_secret
        wanted = Erasure(
            tenant_id=tenant_id,
            entity_id=entity_id,
            record=record_name(tenant_id, entity_id, key=key, asked_at=now),
            asked_by=read_caller(app.current_event).key_prefix or None,
            asked_at=now,
        )
        ask_for_erasure(service.erasure_doors(), wanted, unique=service.chance(UNIQUE_BYTES))
        return reply(202, {})


def _identity(quoted: str, *, field: str) -> str:
    """Encoded as in a scope, so that an id may hold a slash."""
    identity = unquote(quoted)
    if not identity.isprintable() or not 0 < len(identity) <= ID_LENGTH_MAX:
        raise CallerError("path_invalid", "At most 256 printable characters.", field=field)
    return identity
