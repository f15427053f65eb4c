"""What the function is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.observability import Log
from shared.pages.kit import Kit
from shared.secrets import SecretStore
from shared.storage import Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Doors and settings."""

    stores: Stores
    secrets: SecretStore
    kit: Kit
    log: Log
    clock: Callable[[], datetime]
    public_url: str
