"""Planting a bug: a module is loaded with one piece of its source replaced, in memory alone.

A piece that is not found exactly once is an error, so that no planted bug rots in silence.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Edit:
    """In `file` (from the root of the repository), `before` becomes `after`."""

    file: str
    before: str
    after: str

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").replace("/", ".")

    def applied(self, source: str) -> str:
        if source.count(self.before) != 1:
            found = source.count(self.before)
            raise ValueError(f"{self.file}: found {found} times, not once: {self.before!r}")
        return source.replace(self.before, self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """One defence taken away.

    `takes` says which, `breaks` names the statements (1 to 10 of what must always hold; 0: the
    host is told wrongly). `seed` and `test` (or a file of tests) are known to notice it.
    """

    name: str
    takes: str
    breaks: tuple[int, ...]
    edits: tuple[Edit, ...]
    seed: int | None = None
    test: str | None = None


def planted_sources(bug: Bug) -> dict[str, str]:
    """By module: its source with the bug in it. Raises ValueError for a piece that is gone."""
    sources: dict[str, str] = {}
    for edit in bug.edits:
        source = sources.get(edit.module) or (ROOT / edit.file).read_text(encoding="utf-8")
        sources[edit.module] = edit.applied(source)
    return sources


def plant(bug: Bug) -> None:
    """From here on this process knows the modules with the bug alone; none may be loaded yet."""
    sources = planted_sources(bug)
    early = sources.keys() & sys.modules.keys()
    if early:
        raise RuntimeError(f"loaded too early to plant a bug in: {sorted(early)}")
    sys.meta_path.insert(0, _Finder(sources))


class _Finder(MetaPathFinder):
    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._sources:
            return None
        file = ROOT / (fullname.replace(".", "/") + ".py")
        loader: Loader = _Planted(fullname, str(file), source=self._sources[fullname])
        return spec_from_file_location(fullname, file, loader=loader)


class _Planted(SourceFileLoader):
    """Compiles what it was given, past all byte code of the file."""

    def __init__(self, fullname: str, path: str, *, source: str) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self._source, self.path, "exec", dont_inherit=True)
        return code
