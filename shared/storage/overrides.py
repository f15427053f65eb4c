"""How a person's override is written, in meetings as in series."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.domain.meeting import Override
from shared.domain.rules import Choice
from shared.storage.attributes import stored_moment


def override_map(override: Override) -> dict[str, Any]:
    return {
        "choice": override.choice.value,
        "set_by": override.set_by,
        "set_at": None if override.set_at is None else stored_moment(override.set_at),
        "source": override.source,
    }


def override_from(stored: dict[str, Any]) -> Override:
    set_at = stored["set_at"]
    return Override(
        choice=Choice(stored["choice"]),
        set_by=stored["set_by"],
        set_at=None if set_at is None else datetime.fromisoformat(set_at),
        source=stored.get("source"),
    )
