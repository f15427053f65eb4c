"""DynamoDB's values: which it holds, how it writes them, how much room they take."""

from __future__ import annotations

import marshal
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache
from typing import Any, Final

Value = dict[str, Any]
Item = dict[str, Value]

LEVELS_MAX: Final = 32
DIGITS_MAX: Final = 38
LARGEST: Final = Decimal("9.9999999999999999999999999999999999999E+125")
SMALLEST: Final = Decimal("1E-130")
EXACT: Final = Context(prec=DIGITS_MAX, traps=[Inexact])
ROUNDED: Final = Context(prec=DIGITS_MAX)


class Refusal(Exception):
    """What DynamoDB answers instead: an error code of AWS, and perhaps the row as it stands."""

    def __init__(self, code: str, message: str, *, item: Item | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.item = item


def invalid(message: str) -> Refusal:
    return Refusal("ValidationException", message)


def private(given: Item) -> Item:
    """A copy that shares nothing with what the caller may go on changing."""
    try:
        copied: Item = marshal.loads(marshal.dumps(given))
    except ValueError:
        # Members of a StrEnum go over the wire as their text.
        copied = _plain(given)
    return copied


def _plain(given: Any) -> Any:
    match given:
        case dict():
            return {_plain(name): _plain(value) for name, value in given.items()}
        case list():
            return [_plain(value) for value in given]
        case str():
            return str.__str__(given)
        case bool() | bytes():
            return given
        case _:
            raise NotImplementedError(f"to send {type(given).__name__}")


def settle(value: Value, *, level: int = 1) -> int:
    """The bytes a value takes; numbers and sets in it are put the way DynamoDB returns them.

    Raises Refusal for what it would not hold. `level`: how deep it stands, the row being 1.
    """
    try:
        ((kind, content),) = value.items()
    except ValueError:
        raise invalid(
            "AttributeValue must contain exactly one of the supported datatypes"
        ) from None
    if kind == "S":
        if type(content) is not str:
            raise NotImplementedError(f"a text of {type(content).__name__}")
        return len(content) if content.isascii() else len(content.encode())
    if kind == "M":
        if level > LEVELS_MAX:
            raise invalid("Nesting Levels have exceeded supported limits")
        size = 3
        for name, inner in content.items():
            size += 1 + len(name.encode())
            size += settle(inner, level=level + 1)
        return size
    if kind == "L":
        if level > LEVELS_MAX:
            raise invalid("Nesting Levels have exceeded supported limits")
        return 3 + sum(1 + settle(inner, level=level + 1) for inner in content)
    return _settle_plain(value, kind, content=content)


def _settle_plain(value: Value, kind: str, *, content: Any) -> int:
    match kind:
        case "BOOL" | "NULL":
            if (kind == "NULL" and content is not True) or type(content) is not bool:
                raise invalid(f"{kind} attribute value types must have a right value")
            return 1
        case "N":
            value["N"] = number_text(content)
            return _number_size(value["N"])
        case "B" if type(content) is bytes:
            return len(content)
        case "SS" | "BS" | "NS":
            settled = [number_text(each) for each in content] if kind == "NS" else content
            value[kind] = sorted(set(settled))
            if not settled:
                raise invalid("One or more parameter values were invalid: a set may not be empty")
            if len(value[kind]) < len(settled):
                raise invalid("One or more parameter values were invalid: duplicates in a set")
            return sum(settle({kind[0]: each}) for each in settled)
        case _:
            raise NotImplementedError(f"a value of the type {kind}")


def number(text: str) -> Any:
    """To compare and to add."""
    return int(text) if text.isdecimal() else _decimal(text)


def total(one: str, other: str, *, sign: str) -> str:
    """`one` plus or minus `other`, to the 38 digits that DynamoDB keeps."""
    if one.isdecimal() and other.isdecimal():
        return number_text(str(int(one) + int(other) if sign == "+" else int(one) - int(other)))
    do = ROUNDED.add if sign == "+" else ROUNDED.subtract
    return number_text(str(do(_decimal(one), _decimal(other))))


def number_text(text: str) -> str:
    """Without an exponent, without zeros that say nothing."""
    if text.isdecimal() and len(text) <= DIGITS_MAX and text[0] != "0":
        return text
    return _number_text(text)


@lru_cache(maxsize=10_000)
def _number_text(text: str) -> str:
    found = _decimal(text)
    size = abs(found)
    if size > LARGEST:
        raise invalid("Number overflow. Attempting to store a number with too large a magnitude")
    if size and size < SMALLEST:
        raise invalid("Number underflow. Attempting to store a number with too small a magnitude")
    try:
        plain = format(EXACT.create_decimal(found), "f")
    except Inexact:
        raise invalid("Attempting to store more than 38 significant digits in a Number") from None
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain in {"", "-0"} else plain


@lru_cache(maxsize=10_000)
def _decimal(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise invalid("The parameter cannot be converted to a numeric value")
    return found


def _number_size(text: str) -> int:
    """About a byte for two digits, one more, and one for a minus."""
    digits = text.lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + text.startswith("-")
