"""Verdicts on disk, each kept for as long as nothing that it rests on has changed."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STATE = Path("build/mutants")
CODE = ("functions", "infra", "shared")
TESTS = Path("tests")
SAVED_EVERY_SECONDS = 5.0
SEEN = frozenset({"killed", "timed out"})


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`outcome`: killed, timed out, survived or broken; `by`: the test that saw it."""

    outcome: str
    by: str = ""


@dataclass
class Reach:
    """Which tests reach which lines (`path:line`), and how long each takes.

    `foreign`: the modules of others that are loaded by then.
    """

    tests: dict[str, set[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)

    def of_lines(self, path: str, lines: Iterable[int]) -> set[str]:
        return set().union(*(self.tests.get(f"{path}:{line}", ()) for line in lines))

    def of_files(self, paths: Iterable[str]) -> set[str]:
        wanted = set(paths)
        found = (t for where, t in self.tests.items() if where.rpartition(":")[0] in wanted)
        return set().union(*found)

    def add(self, other: Reach) -> None:
        for where, names in other.tests.items():
            self.tests.setdefault(where, set()).update(names)
        self.seconds.update(other.seconds)


class Verdicts:
    """`now`: what holds of this very code; `before`: what was known of any earlier one.

    A killed mutant stays killed while the code and the file of the test that saw it are the
    same; a survivor is judged again once any test has changed, by the tests of changed files.
    """

    def __init__(self, part: str, tests: Iterable[str]) -> None:
        self.path = STATE / f"{part}.json"
        self.code = _digest([*_files(CODE), *_support()])
        self.files = {
            str(path): _digest([path]) for path in _files(tests) if path.name.startswith("test_")
        }
        self.saved = time.monotonic()
        stored = self.load()
        same_code = stored.get("code") == self.code
        self.survivors = {n for n, each in stored["now"].items() if each["outcome"] == "survived"}
        same = self.files.items() & stored["files"].items() if same_code else ()
        self.same = frozenset(file for file, _ in same)

    def load(self) -> dict[str, Any]:
        stored = {"now": {}, "before": {}, "files": {}}
        if self.path.exists():
            stored = json.loads(self.path.read_text())
        known, files = stored["now"], stored["files"]
        self.now: dict[str, dict[str, str]] = {}
        if stored.get("code") == self.code:
            self.now = {name: each for name, each in known.items() if self._holds(each, files)}
        self.before: dict[str, dict[str, str]] = stored["before"] | known
        self.seers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for name in filter(self.saw, self.before):
            self.seers[_place(name)][self.before[name]["by"]] += 1
        return stored

    def load_reach(self) -> Reach:
        """What the survey of the tests found, as far as these are the same."""
        path = self._reach_path
        stored = json.loads(path.read_text()) if path.exists() else {}
        if stored.get("code") != self.code:
            return Reach()
        same = {name for name, each in stored["files"].items() if self.files.get(name) == each}
        return Reach(
            {
                where: {name for name in names if name.partition("::")[0] in same}
                for where, names in stored["tests"].items()
            },
            {n: each for n, each in stored["seconds"].items() if n.partition("::")[0] in same},
            stored["foreign"],
        )

    def save_reach(self, reach: Reach) -> None:
        STATE.mkdir(parents=True, exist_ok=True)
        tests = {where: sorted(names) for where, names in reach.tests.items()}
        facts = {"tests": tests, "seconds": reach.seconds, "foreign": reach.foreign}
        self._reach_path.write_text(json.dumps({"code": self.code, "files": self.files, **facts}))

    @property
    def _reach_path(self) -> Path:
        return self.path.with_name(f"{self.path.stem}-reach.json")

    def saw(self, name: str) -> bool:
        return self.before.get(name, {}).get("outcome") in SEEN

    def last_seen_by(self, name: str) -> str | None:
        return self.before[name]["by"] if self.saw(name) else None

    def seers_near(self, name: str) -> Counter[str]:
        """The tests that saw a bug in the same function, and how many."""
        return self.seers[_place(name)]

    def blind(self, name: str) -> frozenset[str]:
        """The files whose tests this bug survived."""
        return self.same if name in self.survivors else frozenset()

    def add(self, name: str, verdict: Verdict) -> None:
        self.now[name] = asdict(verdict)
        if verdict.outcome in SEEN:
            self.seers[_place(name)][verdict.by] += 1
        if time.monotonic() - self.saved > SAVED_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        STATE.mkdir(parents=True, exist_ok=True)
        kept = {"code": self.code, "files": self.files, "now": self.now, "before": self.before}
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(kept))
        new.replace(self.path)
        self.saved = time.monotonic()

    def _holds(self, verdict: dict[str, str], files: dict[str, str]) -> bool:
        file = verdict["by"].partition("::")[0]
        if verdict["outcome"] in SEEN and file in self.files:
            return self.files[file] == files.get(file)
        return self.files == files


def _place(name: str) -> str:
    """The file and the function of a bug."""
    return name.partition(": ")[0]


def _files(places: Iterable[str]) -> list[Path]:
    found: set[Path] = set()
    for place in map(Path, places):
        found.update([place] if place.is_file() else place.rglob("*.py"))
    return sorted(found)


def _support() -> list[Path]:
    """What tests share, and this tool."""
    return [path for path in sorted(TESTS.rglob("*.py")) if not path.name.startswith("test_")]


def _digest(paths: Iterable[Path]) -> str:
    whole = hashlib.sha256()
    for path in paths:
        whole.update(str(path).encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()
