"""Pages of rows, and the cursors that lead from one to the next."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from shared.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

T = TypeVar("T")

Key = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some rows and, unless they were the last, where to go on.

    A page may hold fewer rows than asked for, even none, and still have a successor.
    """

    items: tuple[T, ...]
    next_cursor: str | None = None


def cursor_of(key: Key) -> str:
    """The key of the last row read, as an opaque text fit for a URL."""
    plain = {name: value["S"] for name, value in key.items()}
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def key_of(cursor: str, *, names: Collection[str], fixed: Mapping[str, str]) -> Key:
    """The key inside `cursor`, which must carry exactly `names`, and `fixed` to the letter.

    Raises CallerError("cursor_invalid").
    """
    plain = _decoded(cursor)
    if not isinstance(plain, dict) or set(plain) != set(names):
        raise cursor_invalid()
    if any(not isinstance(value, str) or not value for value in plain.values()):
        raise cursor_invalid()
    if any(plain[name] != value for name, value in fixed.items()):
        raise cursor_invalid()
    return {name: {"S": value} for name, value in plain.items()}


def cursor_invalid() -> CallerError:
    return CallerError("cursor_invalid", "the cursor does not belong to this list", field="cursor")


def _decoded(cursor: str) -> object:
    padding = "=" * (-len(cursor) % 4)
    try:
        decoded: object = json.loads(base64.urlsafe_b64decode(cursor + padding))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise cursor_invalid() from error
    return decoded
