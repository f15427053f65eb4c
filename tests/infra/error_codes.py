"""The codes of the errors that the API's code can raise, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from functions.webhooks.app import REFUSALS
from shared.domain.refusal import Refusal

ROOT = Path(__file__).parents[2]
RAISED = frozenset({"CallerError", "TransientError", "PermanentError", "Unexpected"})
# What these raise never leaves them: they run in other functions, or at the cold start.
ELSEWHERE = (
    "shared/config.py", "shared/flows/act.py", "shared/flows/bots.py", "shared/flows/coverage.py",
    "shared/flows/keep.py", "shared/flows/reconcile.py", "shared/flows/removal.py",
    "shared/flows/sweep.py", "shared/recall/budget.py",
)  # fmt: skip
# The same within a file that the API uses, too: the scheduler alone erases and keeps what it met,
# and a calendar is refreshed by the scheduler and the reconciler.
ELSEWHERE_CLASSES = frozenset({"AccountBusy", "Eraser"})
# Chosen at run time: why an address or a session is refused, what a door met, a delivery's fate.
CHOSEN = frozenset(
    {
        *(refusal.value for refusal in Refusal),
        *(refusal["code"] for refusal in REFUSALS.values()),
        "return_url_invalid",
        "return_url_not_allowed",
        "rate_budget",
        "oauth_unreachable",
        "oauth_answer_lost",
    }
)


def api_codes() -> set[str]:
    """Every code that can stand in a problem document of the API or of the webhook."""
    shared = {*(ROOT / "shared").rglob("*.py")} - {*(ROOT / "shared" / "pages").rglob("*.py")}
    files = [*shared, *(ROOT / "functions" / "calendars").glob("*.py")]
    found = {
        code
        for path in files
        if str(path.relative_to(ROOT)) not in ELSEWHERE
        for code in _codes(ast.parse(path.read_text()))
    }
    return found | CHOSEN


def _codes(tree: ast.Module) -> Iterator[str]:
    constants = dict(_constants(tree))
    for node in _walked(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        place = 1 if name == "problem" else 0
        if name in {*RAISED, "problem", "super().__init__"}:
            yield from _text(node.args[place : place + 1], constants)


def _walked(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.ClassDef) and node.name in ELSEWHERE_CLASSES:
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _walked(child)


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        value = getattr(node, "value", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(value, ast.Constant):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            yield ast.unparse(target), str(value.value)


def _text(arguments: list[ast.expr], constants: dict[str, str]) -> Iterator[str]:
    for argument in arguments:
        match argument:
            case ast.Constant(value=str(code)) if code.isidentifier():
                yield code
            case ast.Name(id=name) if name in constants:
                yield constants[name]
            case ast.Attribute() if ast.unparse(argument).startswith("Refusal."):
                yield Refusal[ast.unparse(argument).split(".")[1]].value
            case _:
                pass
