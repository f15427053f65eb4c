"""Whether what is said on the bus is what docs/events describes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS = Path(__file__).parents[1] / "docs" / "events"


def check_notice(name: str, detail: dict[str, Any]) -> None:
    """Raises jsonschema.ValidationError, also for keys that the schema does not name."""
    _validator(name).validate(detail)


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    return jsonschema.Draft202012Validator({**schema, "additionalProperties": False})
