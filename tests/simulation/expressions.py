"""DynamoDB's conditions, filters and updates, each parsed once.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
What nobody here writes (`size`, places in lists) raises NotImplementedError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any, Final

from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from tests.simulation.values import Item, Refusal, Value, invalid, number, total

Values = Mapping[str, Value]
Names = tuple[tuple[str, str], ...]
Path = tuple[str, ...]
Test = Callable[[Item, Values], bool]
Operand = Callable[[Item, Values], Value | None]
Action = Callable[[Item, Item, Values], None]

TOKEN: Final = re.compile(r"\s*([#:]\w+|[A-Za-z_]\w*|\d+|<>|<=|>=|[=<>()+\-,.\[\]])|\s*$|(.)")
ORDERED: Final = frozenset({"S", "N", "B"})
SETS: Final = frozenset({"SS", "NS", "BS"})
COMPARISONS: Final = frozenset({"=", "<>", "<", "<=", ">", ">="})
CLAUSES: Final = ("SET", "REMOVE", "ADD", "DELETE")
JOINTS: Final = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN"})
RESERVED: Final = frozenset(ReservedKeywords.get_reserved_keywords())


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One comparison or function on a path; `values` are the placeholders it is given."""

    operator: str
    path: Path | None
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Condition:
    """`joints` are the words between the clauses; `names` and `values` the placeholders used."""

    holds: Test
    clauses: tuple[Clause, ...]
    joints: frozenset[str]
    names: frozenset[str]
    values: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """`touched` are the attributes of the row that change; `words` the clauses used."""

    actions: tuple[Action, ...]
    touched: frozenset[str]
    words: frozenset[str]
    names: frozenset[str]
    values: frozenset[str]

    def applied(self, item: Item, values: Values) -> Item:
        """A new item; every operand is read from the old one."""
        changed = dict(item)
        for action in self.actions:
            action(changed, item, values)
        return changed


@cache
def condition(text: str, names: Names) -> Condition:
    reader = _Reader(text, names)
    holds = _either(reader)
    reader.end()
    return Condition(
        holds=holds,
        clauses=tuple(reader.clauses),
        joints=frozenset(reader.joints),
        names=frozenset(reader.names_used),
        values=frozenset(reader.values_used),
    )


@cache
def update(text: str, names: Names) -> Update:
    reader = _Reader(text, names)
    actions: list[Action] = []
    words: list[str] = []
    paths: list[Path] = []
    while not reader.done():
        words.append(reader.word(*CLAUSES))
        actions += _section(reader, words[-1], paths=paths)
    if not words or len(words) != len(set(words)):
        raise invalid("Invalid UpdateExpression: each clause may be used once")
    if any(_overlap(*pair) for pair in combinations(paths, 2)):
        raise invalid("Invalid UpdateExpression: Two document paths overlap with each other")
    return Update(
        actions=tuple(actions),
        touched=frozenset(path[0] for path in paths),
        words=frozenset(words),
        names=frozenset(reader.names_used),
        values=frozenset(reader.values_used),
    )


def check(clauses: tuple[Clause, ...], values: Values) -> None:
    """What AWS refuses before it looks at any row."""
    for clause in clauses:
        given = [values[name] for name in clause.values]
        kinds = {kind for value in given for kind in value}
        if clause.operator in {"<", "<=", ">", ">=", "BETWEEN"} and not kinds <= ORDERED:
            raise _wrong_operand(clause.operator)
        if clause.operator == "begins_with" and not kinds <= {"S", "B"}:
            raise _wrong_operand(clause.operator)
        if clause.operator == "BETWEEN" and len(given) == 2 and not _in_order(*given):
            raise invalid("The BETWEEN operator requires upper bound to be greater than or equal")


class _Reader:
    """The tokens of one expression, and what was met among them."""

    def __init__(self, text: str, names: Names) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._at = 0
        self._names = dict(names)
        self.names_used: set[str] = set()
        self.values_used: set[str] = set()
        self.joints: set[str] = set()
        self.clauses: list[Clause] = []

    def peek(self, ahead: int = 0) -> str:
        place = self._at + ahead
        return self._tokens[place] if place < len(self._tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def skip(self, wanted: str) -> bool:
        """Words count in any case."""
        found = self.peek().upper() == wanted
        if found:
            self._at += 1
            if wanted in JOINTS:
                self.joints.add(wanted)
        return found

    def expect(self, wanted: str) -> None:
        if not self.skip(wanted):
            raise self.error()

    def word(self, *wanted: str) -> str:
        word = self.take().upper()
        if word not in wanted:
            raise self.error()
        return word

    def done(self) -> bool:
        return self._at >= len(self._tokens)

    def end(self) -> None:
        if not self.done():
            raise self.error()

    def error(self) -> Refusal:
        return invalid(f"Invalid expression: Syntax error; token: {self.peek()}, {self._text}")

    def path(self) -> Path:
        parts = [self._name()]
        while self.skip("."):
            parts.append(self._name())
        if self.peek() == "[":
            raise NotImplementedError(f"a place in a list: {self._text}")
        return tuple(parts)

    def placeholder(self) -> str:
        token = self.take()
        if not token.startswith(":"):
            raise self.error()
        self.values_used.add(token)
        return token

    def _name(self) -> str:
        token = self.take()
        if token.startswith("#"):
            self.names_used.add(token)
            if token not in self._names:
                raise invalid(f"An expression attribute name is not defined: {token}")
            return self._names[token]
        if not token.isidentifier():
            raise self.error()
        if token.upper() in RESERVED:
            raise invalid(f"Attribute name is a reserved keyword; reserved keyword: {token}")
        return token


def _tokens(text: str) -> list[str]:
    tokens = []
    for found in TOKEN.finditer(text):
        if found[2]:
            raise invalid(f"Invalid expression: Syntax error; token: {found[2]}, {text}")
        if found[1]:
            tokens.append(found[1])
    if not tokens:
        raise invalid("The expression can not be empty")
    return tokens


def _either(reader: _Reader) -> Test:
    tests = [_both(reader)]
    while reader.skip("OR"):
        tests.append(_both(reader))
    if len(tests) == 1:
        return tests[0]
    return lambda item, values: any(test(item, values) for test in tests)


def _both(reader: _Reader) -> Test:
    tests = [_negation(reader)]
    while reader.skip("AND"):
        tests.append(_negation(reader))
    if len(tests) == 1:
        return tests[0]
    return lambda item, values: all(test(item, values) for test in tests)


def _negation(reader: _Reader) -> Test:
    if reader.skip("NOT"):
        test = _negation(reader)
        return lambda item, values: not test(item, values)
    if reader.skip("("):
        test = _either(reader)
        reader.expect(")")
        return test
    if reader.peek(1) == "(":
        return _function(reader)
    return _comparison(reader)


def _function(reader: _Reader) -> Test:
    name = reader.take()
    if name not in FUNCTIONS:
        raise NotImplementedError(f"the function {name}")
    reader.expect("(")
    path = reader.path()
    read = _reading(path)
    if name.startswith("attribute_") and name != "attribute_type":
        reader.clauses.append(Clause(operator=name, path=path, values=()))
        other: Operand = _nothing
    else:
        reader.expect(",")
        _, other, used = _operand(reader)
        reader.clauses.append(Clause(operator=name, path=path, values=used))
    reader.expect(")")
    function = FUNCTIONS[name]
    return lambda item, values: function(read(item, values), other(item, values))


def _comparison(reader: _Reader) -> Test:
    path, left, used = _operand(reader)
    operator = reader.take().upper()
    if operator == "BETWEEN":
        reader.joints.add(operator)
        others = [_operand(reader)]
        reader.expect("AND")
        others.append(_operand(reader))
    elif operator == "IN":
        reader.joints.add(operator)
        reader.expect("(")
        others = _listed(reader, lambda: _operand(reader))
        reader.expect(")")
    elif operator in COMPARISONS:
        others = [_operand(reader)]
    else:
        raise reader.error()
    given = used + tuple(name for _, _, names in others for name in names)
    reader.clauses.append(Clause(operator=operator, path=path, values=given))
    return _test(operator, left, others=[other for _, other, _ in others])


def _test(operator: str, left: Operand, *, others: list[Operand]) -> Test:
    first = others[0]
    match operator:
        case "=":
            return lambda item, values: _same(left(item, values), first(item, values))
        case "<>":
            # Of a missing attribute, too, AWS says that it differs.
            return lambda item, values: not _same(left(item, values), first(item, values))
        case "<":
            return lambda item, values: _less(left(item, values), first(item, values))
        case ">":
            return lambda item, values: _less(first(item, values), left(item, values))
        case "<=":
            return lambda item, values: _in_order(left(item, values), first(item, values))
        case ">=":
            return lambda item, values: _in_order(first(item, values), left(item, values))
        case "BETWEEN":
            last = others[1]
            return lambda item, values: (
                _in_order(first(item, values), left(item, values))
                and _in_order(left(item, values), last(item, values))
            )
        case _:
            return lambda item, values: any(
                _same(left(item, values), other(item, values)) for other in others
            )


def _operand(reader: _Reader) -> tuple[Path | None, Operand, tuple[str, ...]]:
    if reader.peek(1) == "(":
        raise NotImplementedError(f"the function {reader.peek()} as an operand")
    if reader.peek().startswith(":"):
        name = reader.placeholder()
        return None, lambda _, values: values[name], (name,)
    path = reader.path()
    return path, _reading(path), ()


def _listed(reader: _Reader, read: Callable[[], Any]) -> list[Any]:
    found = [read()]
    while reader.skip(","):
        found.append(read())
    return found


def _reading(path: Path) -> Operand:
    name, *inner = path
    if not inner:
        return lambda item, _: item.get(name)
    return lambda item, _: _inside(item.get(name), inner)


def _inside(value: Value | None, names: list[str]) -> Value | None:
    for name in names:
        if value is None or "M" not in value:
            return None
        value = value["M"].get(name)
    return value


def _nothing(_: Item, __: Values) -> None:
    return None


def _same(left: Value | None, right: Value | None) -> bool:
    return left is not None and left == right


def _less(left: Value | None, right: Value | None) -> bool:
    return _in_order(left, right) and left != right


def _in_order(left: Value | None, right: Value | None) -> bool:
    """False unless both are of one type that has an order."""
    if left is None or right is None:
        return False
    ((kind, low),) = left.items()
    ((other, high),) = right.items()
    if kind != other or kind not in ORDERED:
        return False
    return bool(number(low) <= number(high) if kind == "N" else low <= high)


def _begins_with(value: Value | None, start: Value | None) -> bool:
    if value is None or start is None or value.keys() != start.keys():
        return False
    ((kind, whole),) = value.items()
    return kind in {"S", "B"} and bool(whole.startswith(start[kind]))


def _contains(value: Value | None, part: Value | None) -> bool:
    if value is None or part is None:
        return False
    ((kind, whole),) = value.items()
    ((part_kind, inner),) = part.items()
    if kind == "L":
        return part in whole
    if kind in SETS:
        return part_kind == kind[0] and inner in whole
    return kind == part_kind and kind in {"S", "B"} and inner in whole


def _has_type(value: Value | None, kind: Value | None) -> bool:
    return value is not None and kind is not None and kind.get("S") in value


FUNCTIONS: Final[dict[str, Callable[[Value | None, Value | None], bool]]] = {
    "attribute_exists": lambda value, _: value is not None,
    "attribute_not_exists": lambda value, _: value is None,
    "attribute_type": _has_type,
    "begins_with": _begins_with,
    "contains": _contains,
}


def _section(reader: _Reader, word: str, *, paths: list[Path]) -> list[Action]:
    def action() -> Action:
        path = reader.path()
        paths.append(path)
        match word:
            case "SET":
                reader.expect("=")
                return _setting(path, _sum(reader))
            case "REMOVE":
                return lambda new, _, __: _place(new, path, value=None)
            case _:
                return _gathering(path, reader.placeholder(), word=word)

    return _listed(reader, action)


def _setting(path: Path, read: Operand) -> Action:
    def act(new: Item, old: Item, values: Values) -> None:
        value = read(old, values)
        if value is None:
            raise invalid(
                "The provided expression refers to an attribute that does not exist in the item"
            )
        _place(new, path, value=value)

    return act


def _sum(reader: _Reader) -> Operand:
    left = _term(reader)
    for sign in ("+", "-"):
        if reader.skip(sign):
            right = _term(reader)
            return lambda item, values: _added(left(item, values), right(item, values), sign=sign)
    return left


def _term(reader: _Reader) -> Operand:
    if reader.peek(1) != "(":
        return _operand(reader)[1]
    name = reader.take()
    reader.expect("(")
    if name == "if_not_exists":
        first: Operand = _reading(reader.path())
    elif name == "list_append":
        first = _term(reader)
    else:
        raise NotImplementedError(f"the function {name}")
    reader.expect(",")
    second = _term(reader)
    reader.expect(")")
    if name == "list_append":
        return lambda item, values: _joined(first(item, values), second(item, values))
    return lambda item, values: first(item, values) or second(item, values)


def _added(left: Value | None, right: Value | None, *, sign: str) -> Value | None:
    if left is None or right is None:
        return None
    if "N" not in left or "N" not in right:
        raise _wrong_type()
    return {"N": total(left["N"], right["N"], sign=sign)}


def _joined(left: Value | None, right: Value | None) -> Value | None:
    if left is None or right is None:
        return None
    if "L" not in left or "L" not in right:
        raise _wrong_type()
    return {"L": left["L"] + right["L"]}


def _gathering(path: Path, name: str, *, word: str) -> Action:
    """ADD to a number or a set, DELETE from a set."""
    if len(path) > 1:
        raise NotImplementedError(f"{word} inside a map")

    def act(new: Item, old: Item, values: Values) -> None:
        given, standing = values[name], old.get(path[0])
        ((kind, content),) = given.items()
        if kind not in SETS and (kind != "N" or word == "DELETE"):
            raise _wrong_type()
        if standing is not None and kind not in standing:
            raise _wrong_type()
        if kind == "N":
            _place(new, path, value=_added(standing or {"N": "0"}, given, sign="+"))
            return
        have = set(standing[kind]) if standing else set()
        left = have | set(content) if word == "ADD" else have - set(content)
        _place(new, path, value={kind: sorted(left)} if left else None)

    return act


def _place(item: Item, path: Path, *, value: Value | None) -> None:
    """Changes copies only, down to the place; without a value the place is cleared."""
    *parents, last = path
    for name in parents:
        holder = item.get(name)
        if holder is None or "M" not in holder:
            raise invalid("The document path provided in the update expression is invalid")
        item[name] = {"M": dict(holder["M"])}
        item = item[name]["M"]
    if value is None:
        item.pop(last, None)
    else:
        item[last] = value


def _overlap(one: Path, other: Path) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def _wrong_operand(operator: str) -> Refusal:
    return invalid(f"Incorrect operand type for operator or function; operator: {operator}")


def _wrong_type() -> Refusal:
    return invalid("An operand in the update expression has an incorrect data type")
