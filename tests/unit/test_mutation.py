"""The bugs that `make mutants` plants: each operator, what is spared, and that a bug acts."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutation.operators import mutants_of


def bugs(path: Path, source: str) -> list[str]:
    """The module with each of its bugs, as text."""
    path.write_text(source, encoding="utf-8")
    found = []
    for index in range(len(mutants_of(str(path)))):
        # A tree takes one bug only.
        mutant = mutants_of(str(path))[index]
        mutant.code()
        found.append(ast.unparse(mutant.tree))
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["x = a <= b"]),
        ("x = a is b", ["x = a is not b"]),
        ("x = a not in b", ["x = a in b"]),
        ("x = a and b", ["x = a or b", "x = b", "x = a"]),
        ("x = a or b or c", ["x = a and b and c", "x = b or c", "x = a or c", "x = a or b"]),
        ("x = not a", ["x = a"]),
        ("x = -a", ["x = a"]),
        ("x = a + b", ["x = a - b"]),
        ("x = a | b", ["x = a & b"]),
        ("x = True", ["x = False"]),
        ("x = 7", ["x = 8", "x = 6"]),
        ("x = 'word'", ["x = 'XXwordXX'"]),
        ("x = b''", ["x = b'XX'"]),
        ("x = f(a)", ["x = f(None)"]),
        ("x = f(k=a)", ["x = f(k=None)", "x = f()"]),
        ("f(*a)", ["pass"]),
        ("raise Error", ["pass"]),
        ("x += a", ["x -= a", "x = a"]),
        ("x = [a for a in b if c]", ["x = [a for a in b]"]),
        ("x = lambda: a", ["x = lambda: None"]),
        ("if a:\n    pass", ["if not a:\n    pass"]),
        ("try:\n    pass\nexcept E:\n    pass", ["try:\n    pass\nexcept E:\n    raise"]),
        ("for a in b:\n    break", ["for a in b:\n    continue"]),
        ("match a:\n    case b.c:\n        pass\n    case _:\n        pass",
         ["match a:\n    case _:\n        pass", "match a:\n    case b.c:\n        pass"]),
        ("def f(a=1):\n    return a",
         ["def f(a=2):\n    return a", "def f(a=0):\n    return a",
          "def f(a=1):\n    return None"]),
        ("def f():\n    x = a", ["def f():\n    x = None"]),
    ],
)  # fmt: skip
def test_each_operator(tmp_path: Path, source: str, expected: list[str]) -> None:
    assert expected == bugs(tmp_path / "m.py", source)


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "import a",
        "x: Final",
        "x: TypeAlias = a | b",
        "__all__ = ['a']",
        "if TYPE_CHECKING:\n    x = 1",
        "@cache(1)\ndef f(a: int | None) -> int | None:\n    ...",
        "x = 'words for a person'",
        "f = g('words for a person')",
    ],
)
def test_what_is_spared(tmp_path: Path, source: str) -> None:
    assert [] == bugs(tmp_path / "m.py", source)


def test_a_bug_knows_when_it_acts_and_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("class A:\n    x = 1\n\n    def f(self, a=2):\n        return a < 3\n")
    names = [(each.scope, each.line) for each in mutants_of(str(path))]
    assert [(None, 2)] * 2 + [(None, 4)] * 2 + [("A.f", 5)] * 4 == names
    before = [each.name for each in mutants_of(str(path))]
    path.write_text("\n\n" + path.read_text())
    assert before == [each.name for each in mutants_of(str(path))]
    assert len(before) == len(set(before))
