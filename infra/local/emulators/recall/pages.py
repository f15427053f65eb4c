"""Cursor pages: absolute `next` and `previous` links with the filters and an opaque cursor."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

Row = TypeVar("Row")
Mark = tuple[str, str]
Key = Callable[[Row], Mark]


class CursorError(Exception):
    """A cursor that this API never handed out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Row]):
    rows: Sequence[Row]
    next: str | None
    previous: str | None


def page_of(
    rows: Sequence[Row], *, key: Key[Row], size: int, url: str, cursor: str | None
) -> Page[Row]:
    """One page of `rows`; `key` gives (position, id), the order of the whole list.

    The cursor is the key of the neighbour row, not a number: rows that move between two
    calls can be missed or seen twice, as with the real thing.
    """
    marks = sorted((key(row), index) for index, row in enumerate(rows))
    first = _first(marks, cursor=cursor, size=size)
    shown = [rows[index] for _, index in marks[first : first + size]]
    more = first + size < len(marks)
    return Page(
        rows=shown,
        next=_link(url, _sealed(key(shown[-1]), "n")) if shown and more else None,
        previous=_link(url, _sealed(key(shown[0]), "r")) if shown and first else None,
    )


def _first(marks: Sequence[tuple[Mark, int]], *, cursor: str | None, size: int) -> int:
    if cursor is None:
        return 0
    backwards, mark = _opened(cursor)
    if backwards:
        return max(0, bisect_left(marks, (mark, -1)) - size)
    return bisect_right(marks, (mark, len(marks)))


def _sealed(mark: Mark, way: str) -> str:
    text = urlencode({"p": mark[0], "i": mark[1], "w": way})
    return base64.b64encode(text.encode()).decode()


def _opened(cursor: str) -> tuple[bool, Mark]:
    try:
        found = dict(parse_qsl(base64.b64decode(cursor, validate=True).decode()))
        return found["w"] == "r", (found["p"], found["i"])
    except (binascii.Error, UnicodeDecodeError, KeyError, ValueError) as error:
        raise CursorError from error


def _link(url: str, cursor: str) -> str:
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "cursor"]
    query.append(("cursor", cursor))
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode(query, quote_via=quote)}"
