"""Settings from the environment: what is missing is named all at once, before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botocore.config import Config

from shared.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ALL: Final = "all"
NONE: Final = "none"

# boto's own 60 s and five attempts outlive any handler here.
AWS_LIMITS: Final = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"total_max_attempts": 3, "mode": "standard"},
)


def require(environment: Mapping[str, str], *names: str) -> dict[str, str]:
    """The named settings; PermanentError `settings_missing` names all absent or blank ones."""
    found = {name: environment.get(name, "").strip() for name in names}
    missing = [name for name, value in found.items() if not value]
    if missing:
        message = f"These settings are missing: {', '.join(missing)}."
        raise PermanentError("settings_missing", message)
    return found


def flag(environment: Mapping[str, str], name: str) -> bool:
    """A setting that is `true` or `false`; absent is false."""
    value = environment.get(name, "").strip().lower()
    if value not in {"", "true", "false"}:
        raise PermanentError("settings_invalid", f"{name} must be true or false.")
    return value == "true"


def chosen(environment: Mapping[str, str], name: str, *, known: Collection[str]) -> frozenset[str]:
    """A setting that is `all`, `none` or a comma separated part of `known`; absent is all."""
    words = listed(environment, name)
    if words in {(), (ALL,)}:
        return frozenset(known)
    if words == (NONE,):
        return frozenset()
    if not set(words) <= set(known):
        message = f"{name} must be all, none, or a list of {', '.join(sorted(known))}."
        raise PermanentError("settings_invalid", message)
    return frozenset(words)


def listed(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """A comma separated setting; absent or blank is empty."""
    parts = (part.strip() for part in environment.get(name, "").split(","))
    return tuple(part for part in parts if part)
