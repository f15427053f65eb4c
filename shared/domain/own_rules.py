"""The rules that people set for themselves on their own page: a few keys, simply put."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from shared.domain.rules import (
    Base,
    Document,
    Matches,
    Recurrence,
    Rsvp,
    Rules,
    rules_in_force,
)

Value = str | int | tuple[str, ...]


class Control(StrEnum):
    """How a key is shown."""

    CHOICE = "choice"
    NUMBER = "number"
    LIST = "list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A key of the rules, or a part of one (`exclude`, `keywords`)."""

    key: str
    part: str | None = None
    control: Control
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.key if self.part is None else f"{self.key}.{self.part}"

    def of(self, rules: Rules) -> Value:
        """Its value in these rules."""
        found = getattr(rules, self.key)
        if self.part is not None:
            return tuple(getattr(found, self.part))
        return int(found) if self.control is Control.NUMBER else str(found)


def _choice(key: str, options: type[StrEnum]) -> Setting:
    return Setting(key=key, control=Control.CHOICE, options=tuple(options))


SETTINGS: Final = (
    _choice("base", Base),
    _choice("rsvp", Rsvp),
    _choice("recurrence", Recurrence),
    Setting(key="min_others", control=Control.NUMBER),
    Setting(key="include", part="keywords", control=Control.LIST),
    Setting(key="exclude", part="keywords", control=Control.LIST),
    Setting(key="exclude", part="people", control=Control.LIST),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A setting with its value in force; `own`: the person set it, `locked`: the tenant did."""

    setting: Setting
    value: Value
    own: bool
    locked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """The rules of the three scopes, as stored."""

    default: Document
    tenant: Document
    entity: Document

    @property
    def locked(self) -> frozenset[str]:
        return frozenset(self.tenant.get("locked", ()))

    def in_force(self, entity: Document) -> Rules:
        return rules_in_force(self.default, tenant=self.tenant, entity=entity)


def shown_settings(documents: Documents) -> tuple[Shown, ...]:
    rules = documents.in_force(documents.entity)
    return tuple(
        Shown(
            setting=each,
            value=each.of(rules),
            own=each.key in documents.entity and each.key not in documents.locked,
            locked=each.key in documents.locked,
        )
        for each in SETTINGS
    )


def own_document(documents: Documents, wanted: Mapping[str, Value]) -> dict[str, Any]:
    """The entity's document with these settings, by name; all else in it stays.

    What was left alone is not touched, and a key that says what holds without it goes, so that
    it follows the tenant again.
    """
    document: dict[str, Any] = {
        key: value for key, value in documents.entity.items() if key not in documents.locked
    }
    now, without = documents.in_force(documents.entity), documents.in_force({})
    for key in dict.fromkeys(each.key for each in SETTINGS if each.key not in documents.locked):
        parts = [each for each in SETTINGS if each.key == key and each.name in wanted]
        if all(each.of(now) == wanted[each.name] for each in parts):
            continue
        value = _value(key, parts=parts, now=now, wanted=wanted)
        document[key] = value
        if getattr(documents.in_force({key: value}), key) == getattr(without, key):
            del document[key]
    return document


def _value(key: str, *, parts: list[Setting], now: Rules, wanted: Mapping[str, Value]) -> Any:  # noqa: ANN401
    """A list takes along the parts of its key that have no control."""
    standing = getattr(now, key)
    if not isinstance(standing, Matches):
        return wanted[parts[0].name]
    kept = {name: list(getattr(standing, name)) for name in ("keywords", "people", "domains")}
    return kept | {each.part or "": list(_texts(wanted[each.name])) for each in parts}


def _texts(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()
