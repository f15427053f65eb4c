"""Says before every /v1 route whether an API key is good for it.

HTTP API Lambda authorizer, payload 2.0, simple response. The gateway may keep an answer, per key
and route, for as long as the template says.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from shared.config import require
from shared.domain.api_key import may_call
from shared.domain.secret import Secret
from shared.flows.api_keys import known_key
from shared.observability import Log
from shared.storage.stores import open_stores
from shared.storage.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.storage.api_keys import ApiKeyStore

SCHEME: Final = "bearer"

Answer: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the function is made of."""

    api_keys: ApiKeyStore
    log: Log


@cache
def service() -> Service:
    return compose(os.environ)


def compose(environment: Mapping[str, str]) -> Service:
    """The function's parts."""
    settings = require(environment, "API_KEYS_TABLE", "AWS_REGION")
    tables = Tables(region=settings["AWS_REGION"], api_keys=settings["API_KEYS_TABLE"])
    return Service(api_keys=open_stores(tables).api_keys, log=Log("authorizer"))


def handler(event: dict[str, Any], context: object) -> Answer:
    """`{"isAuthorized": bool, "context": {"key_prefix", "scopes"}}`; scopes by spaces."""
    return authorize(event, service())


def authorize(event: dict[str, Any], service: Service) -> Answer:
    """Storage errors pass through: the gateway answers 500, and nobody is let in."""
    api_key = known_key(_bearer(event), api_keys=service.api_keys)
    if api_key is None or not may_call(api_key.scopes, route=event["routeKey"]):
        service.log.count("CallRefused")
        return {"isAuthorized": False}
    return {
        "isAuthorized": True,
        "context": {"key_prefix": api_key.prefix, "scopes": " ".join(sorted(api_key.scopes))},
    }


def _bearer(event: dict[str, Any]) -> Secret | None:
    """The key of `Authorization: Bearer <key>`, from the gateway's lower-case headers."""
    scheme, _, key = event.get("headers", {}).get("authorization", "").partition(" ")
    return Secret(key.strip()) if scheme.lower() == SCHEME else None
