"""Attribute types that keep rows readable in the AWS console."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pynamodb.attributes import Attribute
from pynamodb.constants import LIST, MAP, NUMBER, STRING

from shared.errors import CallerError

NUMBER_MAX = 1e125
INTEGER_MAX = 10**38

# DynamoDB's own limit is 32, the row included.
LEVELS_MAX = 30


class MomentAttribute(Attribute[datetime]):
    """A moment as an RFC 3339 text in UTC with microseconds, so that texts sort like times."""

    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        return stored_moment(value)

    def deserialize(self, value: str) -> datetime:
        return datetime.fromisoformat(value)


class EpochAttribute(Attribute[datetime]):
    """A moment in whole epoch seconds, rounded up: what time-to-live wants."""

    attr_type = NUMBER

    def serialize(self, value: datetime) -> str:
        return str(math.ceil(value.timestamp()))

    def deserialize(self, value: str) -> datetime:
        return datetime.fromtimestamp(int(value), UTC)


class MapOf(Attribute[dict[str, Any]]):
    """Any JSON object, stored as a map.

    PynamoDB's own MapAttribute takes keys for its arguments ("default", "null", "self"), and the
    keys of metadata and bot settings are chosen by callers.
    """

    attr_type = MAP

    def serialize(self, value: dict[str, Any]) -> dict[str, Any]:
        typed_map: dict[str, Any] = typed(value)["M"]
        return typed_map

    def deserialize(self, value: dict[str, Any]) -> dict[str, Any]:
        return {key: plain(item) for key, item in value.items()}


class ListOf(Attribute[list[Any]]):
    """Any JSON array, stored as a list."""

    attr_type = LIST

    def serialize(self, value: list[Any]) -> list[Any]:
        return [typed(item) for item in value]

    def deserialize(self, value: list[Any]) -> list[Any]:
        return [plain(item) for item in value]


def stored_moment(moment: datetime) -> str:
    """2026-11-22T18:15:00.000000Z; a moment without a zone is a bug."""
    if moment.tzinfo is None:
        raise ValueError("a stored moment needs a zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def typed(value: object, *, levels: int = LEVELS_MAX) -> dict[str, Any]:
    """A JSON value in DynamoDB's notation; raises CallerError for what it cannot hold."""
    if levels < 0:
        raise CallerError("document_too_deep", f"more than {LEVELS_MAX} levels cannot be stored")
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int() | float():
            return {"N": _number_text(value)}
        case str():
            return {"S": _whole(value)}
        case list() | tuple():
            return {"L": [typed(item, levels=levels - 1) for item in value]}
        case dict():
            return {
                "M": {_name(key): typed(item, levels=levels - 1) for key, item in value.items()}
            }
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON type")


def plain(value: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """The JSON value behind DynamoDB's notation; the reverse of `typed`."""
    ((kind, content),) = value.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return _number(content)
        case "L":
            return [plain(item) for item in content]
        case "M":
            return {key: plain(item) for key, item in content.items()}
        case _:
            return content


def _whole(text: str) -> str:
    """Half a surrogate pair, as in a title cut elsewhere, becomes a question mark."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _name(key: str) -> str:
    if not key:
        raise CallerError("name_empty", "an empty name cannot be stored")
    return _whole(key)


def _number_text(value: float) -> str:
    """DynamoDB holds 38 digits up to 1E+126; beyond that a document cannot be kept."""
    size = abs(value)
    limit = INTEGER_MAX if isinstance(value, int) else NUMBER_MAX
    if size != 0 and not 1 / NUMBER_MAX < size < limit:
        raise CallerError("number_out_of_range", "a number is too large or too small to store")
    return repr(value)


def _number(text: str) -> float:
    """DynamoDB does not tell 2 from 2.0: whole numbers come back as integers."""
    number = Decimal(text)
    whole = number == number.to_integral_value() and abs(number) < INTEGER_MAX
    return int(number) if whole else float(number)
