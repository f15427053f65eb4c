"""Typed reading of JSON that others wrote: `..._at` insists, raising Malformed; the rest doubts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

IDENTITY_CHARACTERS_MAX = 4_000
TEXT_CHARACTERS_MAX = 1_000
EMAIL_CHARACTERS_MAX = 320

Fields = Mapping[str, object]
Word = TypeVar("Word", bound=StrEnum)

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Malformed(Exception):
    """A document that lacks what it is known by; `key` names what was wrong."""

    def __init__(self, key: str) -> None:
        super().__init__(f"malformed: {key}")
        self.key = key


def fields_of(document: object, *, key: str) -> Fields:
    if not isinstance(document, Mapping):
        raise Malformed(key)
    return document


def id_at(fields: Fields, key: str) -> str:
    """An id of Recall's, which also becomes part of paths."""
    identity = identity_at(fields, key)
    if not ID.fullmatch(identity):
        raise Malformed(key)
    return identity


def identity_at(fields: Fields, key: str, *, characters_max: int = IDENTITY_CHARACTERS_MAX) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= characters_max:
        raise Malformed(key)
    # Half a surrogate pair goes into no store.
    if text(value, characters_max=characters_max) != value:
        raise Malformed(key)
    return value


def word_at(fields: Fields, key: str, *, words: type[Word]) -> Word:
    try:
        return words(identity_at(fields, key))
    except ValueError:
        raise Malformed(key) from None


def moment_at(fields: Fields, key: str) -> datetime:
    value = fields.get(key)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None or moment.tzinfo is None:
            raise Malformed(key)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed(key) from None


def list_at(fields: Fields, key: str) -> list[object]:
    value = fields.get(key)
    if not isinstance(value, list):
        raise Malformed(key)
    return value


def mapping(value: object) -> Fields:
    return value if isinstance(value, Mapping) else {}


def mappings(value: object) -> list[Fields]:
    entries = value if isinstance(value, list) else []
    return [entry for entry in entries if isinstance(entry, Mapping)]


def text(value: object, *, characters_max: int = TEXT_CHARACTERS_MAX) -> str | None:
    """A text that can be stored, or None; JSON may carry halves of surrogate pairs."""
    if not isinstance(value, str) or not value:
        return None
    return value[:characters_max].encode("utf-8", "replace").decode()


def email(value: object) -> str | None:
    """Addresses are compared, so they are kept in one form."""
    address = (text(value) or "").strip().lower()
    return address if 0 < len(address) <= EMAIL_CHARACTERS_MAX else None
