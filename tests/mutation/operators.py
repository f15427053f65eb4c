"""Small bugs, one at a time: what each place in a module could wrongly say instead.

Not judged: annotations, type aliases, imports, decorators, docstrings, and the words of prose (a
text with two spaces or more), which is for people to read.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Div,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
JUDGED_THEMSELVES = (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Constant)
NOT_JUDGED = {"annotation", "returns", "decorator_list", "bases", "keywords"}
SNIPPET = 70


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One bug. `scope`: the outermost function that holds it; None: it acts at import.

    `name` outlives edits elsewhere in the file; `lines` are those of its statement.
    """

    name: str
    path: str
    line: int
    lines: range
    scope: str | None
    tree: ast.Module
    plant: Callable[[], None]

    def code(self) -> object:
        """The module with the bug; once only, because the tree is changed."""
        self.plant()
        return compile(ast.fix_missing_locations(self.tree), self.path, "exec")


def mutants_of(path: str) -> list[Mutant]:
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    seen: Counter[str] = Counter()
    return [
        _mutant(site, said=said, new=new, path=path, tree=tree, seen=seen)
        for site in _sites(tree)
        for said, new in _changes(site.node, inside=site.scope is not None)
    ]


@dataclass(frozen=True, kw_only=True)
class Site:
    node: ast.AST
    put: Callable[[ast.AST], None]
    scope: str | None
    lines: range


def _mutant(
    site: Site, *, said: str, new: ast.AST, path: str, tree: ast.Module, seen: Counter[str]
) -> Mutant:
    line = getattr(site.node, "lineno", site.lines.start)
    name = f"{path} {site.scope or 'at import'}: {said}"
    seen[name] += 1
    if seen[name] > 1:
        name += f" ({seen[name]})"
    if hasattr(site.node, "lineno"):
        ast.copy_location(new, site.node)
    return Mutant(
        name=name,
        path=path,
        line=line,
        lines=site.lines,
        scope=site.scope,
        tree=tree,
        plant=lambda: site.put(new),
    )


def _sites(tree: ast.Module) -> Iterator[Site]:
    yield from _under(tree, scope=None, prefix="", lines=range(0))


def _under(node: ast.AST, *, scope: str | None, prefix: str, lines: range) -> Iterator[Site]:
    for field, value in ast.iter_fields(node):
        if field in NOT_JUDGED and not isinstance(node, ast.Call):
            continue
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if not isinstance(child, ast.AST) or _is_silent(child):
                continue
            where = _lines(child, lines)
            inner_scope, inner_prefix = _scope(child, node, field, scope=scope, prefix=prefix)
            put = _putter(node, field, index if isinstance(value, list) else None)
            yield Site(node=child, put=put, scope=inner_scope, lines=where)
            yield from _under(child, scope=inner_scope, prefix=inner_prefix, lines=where)


def _scope(
    child: ast.AST, parent: ast.AST, field: str, *, scope: str | None, prefix: str
) -> tuple[str | None, str]:
    """Only the body of a function runs later; its defaults are evaluated at import."""
    if scope is None and isinstance(parent, ast.FunctionDef) and field == "body":
        return prefix, prefix
    if scope is None and isinstance(child, ast.FunctionDef | ast.ClassDef):
        return None, f"{prefix}.{child.name}".lstrip(".")
    return scope, prefix


def _putter(parent: ast.AST, field: str, index: int | None) -> Callable[[ast.AST], None]:
    def put(new: ast.AST) -> None:
        if index is None:
            setattr(parent, field, new)
        else:
            getattr(parent, field)[index] = new

    return put


def _lines(node: ast.AST, around: range) -> range:
    """A statement's own lines, without those of the block it opens."""
    if isinstance(node, ast.match_case):
        return range(node.pattern.lineno, node.body[0].lineno + 1)
    if not isinstance(node, ast.stmt | ast.ExceptHandler):
        return around
    block = getattr(node, "body", None) or getattr(node, "cases", None)
    if not block or isinstance(node, ast.FunctionDef | ast.ClassDef):
        return range(node.lineno, (node.end_lineno or node.lineno) + 1)
    first = block[0].pattern if isinstance(block[0], ast.match_case) else block[0]
    return range(node.lineno, max(first.lineno, node.lineno + 1))


def _is_silent(node: ast.AST) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.expr_context():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def _changes(node: ast.AST, *, inside: bool) -> Iterator[tuple[str, ast.AST]]:
    for new in _new(node, inside=inside):
        yield f"{_snippet(node, new)} -> {_snippet(new, node)}", new


def _new(  # noqa: C901, PLR0912, PLR0915 - one table of operators
    node: ast.AST, *, inside: bool
) -> Iterator[ast.AST]:
    match node:
        case ast.Compare():
            for index, operator in enumerate(node.ops):
                yield _with(node, "ops", index, SWAPS[type(operator)]())
        case ast.BoolOp():
            yield _copied(node, op=SWAPS[type(node.op)]())
            for index in range(len(node.values)):
                rest = [*node.values[:index], *node.values[index + 1 :]]
                yield _copied(rest[0]) if len(rest) == 1 else _copied(node, values=rest)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield _copied(node.operand)
        case ast.BinOp() if type(node.op) in SWAPS:
            yield _copied(node, op=SWAPS[type(node.op)]())
        case ast.AugAssign() if type(node.op) in SWAPS:
            yield _copied(node, op=SWAPS[type(node.op)]())
            yield ast.Assign(targets=[node.target], value=node.value)
        case ast.Constant():
            yield from map(ast.Constant, _other_values(node.value))
        case ast.Call():
            yield from _calls(node)
        case ast.comprehension():
            for index in range(len(node.ifs)):
                yield _without(node, "ifs", index)
        case ast.Match() if len(node.cases) > 1:
            for index in range(len(node.cases)):
                yield _without(node, "cases", index)
        case ast.ExceptHandler():
            yield _copied(node, body=[ast.Raise()])
        case ast.Lambda():
            yield _copied(node, body=ast.Constant(None))
        case ast.stmt():
            yield from _statements(node, inside=inside)
    for field in ("test", "guard"):
        test = getattr(node, field, None)
        if test is not None and not isinstance(test, JUDGED_THEMSELVES):
            yield _copied(node, **{field: ast.UnaryOp(op=ast.Not(), operand=test)})


def _statements(node: ast.stmt, *, inside: bool) -> Iterator[ast.AST]:
    match node:
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield ast.Return(value=ast.Constant(None))
        case ast.Expr() | ast.Raise() | ast.Delete():
            yield ast.Pass()
        case ast.Assign() | ast.AnnAssign(value=ast.expr()) if inside and not _is_none(node.value):
            yield _copied(node, value=ast.Constant(None))
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    for index, argument in enumerate(node.args):
        if not (isinstance(argument, ast.Starred) or _is_prose(argument) or _is_none(argument)):
            yield _with(node, "args", index, ast.Constant(None))
    for index, keyword in enumerate(node.keywords):
        if keyword.arg is None or _is_prose(keyword.value):
            continue
        if not _is_none(keyword.value):
            yield _with(node, "keywords", index, _copied(keyword, value=ast.Constant(None)))
        yield _without(node, "keywords", index)


def _other_values(value: object) -> Iterator[object]:
    match value:
        case bool():
            yield not value
        case int() | float():
            yield value + 1
            yield value - 1
        case str() if value.count(" ") < 2 or not value.strip():
            yield f"XX{value}XX"
        case bytes():
            yield b"XX" + value


def _is_none(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_prose(node: ast.AST) -> bool:
    if isinstance(node, ast.JoinedStr):
        return any(map(_is_prose, node.values))
    return (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.count(" ") > 1
    )


def _copied(node: ast.AST, **changes: object) -> ast.AST:
    new = copy.copy(node)
    for field, value in changes.items():
        setattr(new, field, value)
    return new


def _with(node: ast.AST, field: str, index: int, new: ast.AST) -> ast.AST:
    values = list(getattr(node, field))
    values[index] = new
    return _copied(node, **{field: values})


def _without(node: ast.AST, field: str, index: int) -> ast.AST:
    values = list(getattr(node, field))
    del values[index]
    return _copied(node, **{field: values})


def _snippet(node: ast.AST, other: ast.AST) -> str:
    """One short line; of two long texts, from where they part."""
    mine, theirs = (" ".join(ast.unparse(_shown(each)).split()) for each in (node, other))
    parting = next(
        (i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), len(theirs)
    )
    start = max(0, min(parting - SNIPPET // 2, len(mine) - SNIPPET))
    return ("..." if start else "") + mine[start : start + SNIPPET]


def _shown(node: ast.AST) -> ast.AST:
    """Without the block that a compound statement opens."""
    short = {"body": [ast.Expr(ast.Constant(...))], "orelse": []}
    if isinstance(node, ast.If | ast.While | ast.For | ast.ExceptHandler | ast.match_case):
        raised = isinstance(node.body[0], ast.Raise) and isinstance(node, ast.ExceptHandler)
        return (
            node
            if raised
            else _copied(node, **{k: v for k, v in short.items() if hasattr(node, k)})
        )
    return ast.fix_missing_locations(copy.deepcopy(node))
