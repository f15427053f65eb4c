"""`make mutants`: how many planted bugs the tests see, per part of the code.

Parts, their tests and their targets stand in pyproject.toml. Verdicts are kept in
build/mutants: an interrupted run goes on where it was, and what survived is shown only to tests
of a new or changed file. The first to be asked are the test that saw a bug last time and those
that saw another one in the same function.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import os
import random
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.mutation.judge import (
    BROKEN,
    KILLED,
    PYTEST,
    SURVIVED,
    TIMED_OUT,
    Survey,
    end_alike,
    judged_anew,
    judged_in_place,
)
from tests.mutation.operators import Mutant, mutants_of
from tests.mutation.verdicts import Reach, Verdict, Verdicts

EQUIVALENT = Path("tests/mutation/equivalent.toml")


@dataclass(frozen=True, kw_only=True)
class Part:
    name: str
    sources: tuple[str, ...]
    tests: tuple[str, ...]
    target: float


def main() -> int:
    options = _options()
    # Each mutant that needs a fresh import would load all of them.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    equivalent = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))
    lines, good = [], True
    for part in _parts():
        if options.part and part.name not in options.part:
            continue
        started = time.monotonic()
        bench = Bench(part, options, equivalent.get(part.name, {}))
        bench.run()
        line, reached = bench.score(time.monotonic() - started)
        lines.append(line)
        good &= reached
    print("\n".join(lines))
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--part", action="append", help="only this part")
    parser.add_argument("--only", action="append", help="only mutants whose name holds this text")
    parser.add_argument("--survivors", action="store_true", help="only those not seen last time")
    parser.add_argument("--sample", type=int, help="so many of them, drawn at random")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def _parts() -> Iterator[Part]:
    settings = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    for name, part in settings["tool"]["mutants"].items():
        files = sorted(str(path) for glob in part["sources"] for path in Path().glob(glob))
        yield Part(
            name=name, sources=tuple(files), tests=tuple(part["tests"]), target=part["target"]
        )


class Bench:
    """One part: its mutants, their verdicts, and the processes that find them."""

    def __init__(self, part: Part, options: argparse.Namespace, equivalent: dict[str, str]):
        self.part = part
        self.jobs = options.jobs
        self.equivalent = equivalent
        self.mutants = {m.name: m for path in part.sources for m in mutants_of(path)}
        self.state = Verdicts(part.name, part.tests)
        if unknown := equivalent.keys() - self.mutants.keys():
            raise SystemExit(f"{EQUIVALENT} names mutants that are not there: {sorted(unknown)}")
        self.wanted = [
            m
            for m in self.mutants.values()
            if any(text in m.name for text in options.only or [""])
            and m.name not in self.state.now
            and not (options.survivors and self.state.saw(m.name))
        ]
        if options.sample and len(self.wanted) > options.sample:
            # Always the same ones, so that two runs compare.
            self.wanted = random.Random(self.part.name).sample(self.wanted, options.sample)
        self.done, self.started = 0, time.monotonic()

    def run(self) -> None:
        if not self.wanted:
            return
        reach = self._surveyed()
        for path in {*self.part.sources, *(name.partition("::")[0] for name in reach.seconds)}:
            _imported(path)
        # Once, so that a mutant that needs a fresh import does not pay for them.
        for name in reach.foreign:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        self._run_all(
            (m for m in self.wanted if m.name not in self.state.now),
            lambda mutant, told: self._anew(mutant, reach, told=told),
        )
        self.state.save()
        print(file=sys.stderr)

    def _surveyed(self) -> Reach:
        """In a process of its own, which the project's imports do not leave."""
        if (child := os.fork()) == 0:
            os._exit(self._in_place())
        try:
            status = os.waitpid(child, 0)[1]
        except KeyboardInterrupt:
            os.kill(child, signal.SIGTERM)
            raise
        if status != 0:
            raise SystemExit(f"{self.part.name}: the tests fail without any mutant")
        self.state.load()
        return self.state.load_reach()

    def _in_place(self) -> int:
        """Surveys the tests, then judges the mutants that live in functions."""

        def then(reach: Reach, items: dict[str, pytest.Item]) -> None:
            self.state.save_reach(reach)
            inside = [m for m in self.wanted if m.scope and reach.of_lines(m.path, m.lines)]
            self._run_all(inside, lambda m, told: self._planted(m, reach, items, told=told))
            self.state.save()

        self._say(f"{len(self.wanted)} mutants of {len(self.mutants)}; surveying the tests")
        plugin = Survey(self.part.sources, self.state.load_reach(), then)
        return int(pytest.main([*PYTEST, *self.part.tests], plugins=[plugin]))

    def _planted(self, mutant: Mutant, reach: Reach, items: dict[str, pytest.Item], *, told: int):
        names = self._order(mutant, reach.of_lines(mutant.path, mutant.lines), reach)
        chosen = [items[name] for name in names]
        judged_in_place(mutant, chosen, allowed=reach.seconds, told=told)

    def _anew(self, mutant: Mutant, reach: Reach, *, told: int) -> None:
        """First the tests that saw it before or have the file's name, then all that reach it."""
        names = reach.of_files([mutant.path, *_importers(mutant.path, self.part.sources)])
        # A test may compare a constant and run nothing of its module.
        files = {name.partition("::")[0] for name in reach.seconds}
        comparing = set(_importers(mutant.path, files))
        names |= {name for name in reach.seconds if name.partition("::")[0] in comparing}
        order = self._order(mutant, names or set(reach.seconds), reach)
        if (child := os.fork()) == 0:
            first = [name for name in order if _stem(name) == f"test_{Path(mutant.path).stem}"]
            judged_anew(mutant, first or order[:1], allowed=reach.seconds, told=told)
        status = os.waitpid(child, 0)[1]
        if _outcome(status) != "survived":
            end_alike(status)
        judged_anew(mutant, order, allowed=reach.seconds, told=told)

    def _order(self, mutant: Mutant, names: set[str], reach: Reach) -> list[str]:
        """Those that may see it, the likeliest first and then the quickest."""
        before, nearby = self.state.last_seen_by(mutant.name), self.state.seers_near(mutant.name)
        blind = self.state.blind(mutant.name)
        return sorted(
            (name for name in names if name.partition("::")[0] not in blind),
            key=lambda name: (name != before, -nearby[name], reach.seconds[name], name),
        )

    def _run_all(self, mutants: Iterable[Mutant], judge: Callable[[Mutant, int], None]) -> None:
        running: dict[int, tuple[Mutant, int]] = {}
        waiting = iter(mutants)
        while True:
            while len(running) < self.jobs and (mutant := next(waiting, None)) is not None:
                told = os.memfd_create("told")
                if (child := os.fork()) == 0:
                    try:
                        judge(mutant, told)
                    finally:
                        os._exit(BROKEN)
                running[child] = (mutant, told)
            if not running:
                return
            child, status = os.wait()
            mutant, told = running.pop(child)
            by = os.pread(told, 1000, 0).decode().strip()
            os.close(told)
            self.state.add(mutant.name, Verdict(outcome=_outcome(status), by=by))
            self.done += 1
            self._say(f"{self.done} of {len(self.wanted)}")

    def _say(self, text: str) -> None:
        passed = time.monotonic() - self.started
        survivors = sum(v["outcome"] == "survived" for v in self.state.now.values())
        line = f"{self.part.name}: {text}, {survivors} survive, {passed:.0f} s"
        end = "\r" if sys.stderr.isatty() else "\n"
        if sys.stderr.isatty() or self.done % 200 == 0:
            print(line.ljust(78), end=end, file=sys.stderr, flush=True)

    def score(self, seconds: float) -> tuple[str, bool]:
        known = {name: self.state.now[name] for name in self.mutants if name in self.state.now}
        count = dict.fromkeys(("killed", "timed out", "survived", "broken"), 0)
        for name, verdict in known.items():
            if verdict["outcome"] in {"survived", "broken"} and name not in self.equivalent:
                print(f"{verdict['outcome']}: {self.mutants[name].line}: {name}")
            count[verdict["outcome"]] += 1
        wrong = [n for n in self.equivalent if known.get(n, {}).get("outcome") == "killed"]
        for name in wrong:
            print(f"called equivalent, but seen by {known[name]['by']}: {name}")
        seen, total = count["killed"] + count["timed out"], len(known) or 1
        set_aside = sum(name in self.equivalent for name in known)
        share = 100 * seen / total
        line = (
            f"mutants: {self.part.name}: {share:.1f} % (target {self.part.target:.0f} %): "
            f"{count['killed']} killed + {count['timed out']} timed out of {total}, "
            f"{count['survived'] + count['broken'] - set_aside} survive, "
            f"{set_aside} equivalent, {seconds:.0f} s"
        )
        if len(known) < len(self.mutants):
            line += f" ({len(self.mutants) - len(known)} not judged)"
        return line, share >= self.part.target and not wrong


def _outcome(status: int) -> str:
    if os.WIFSIGNALED(status):
        return "timed out" if os.WTERMSIG(status) in TIMED_OUT else "killed"
    return {SURVIVED: "survived", KILLED: "killed"}.get(os.WEXITSTATUS(status), "broken")


def _stem(name: str) -> str:
    return Path(name.partition("::")[0]).stem


def _importers(path: str, sources: Iterable[str]) -> list[str]:
    module = path.removesuffix(".py").replace("/", ".")
    return [source for source in sources if module in _imported(source)]


@cache
def _imported(source: str) -> frozenset[str]:
    tree = ast.parse(Path(source).read_text(encoding="utf-8"))
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module)
    names = {(node.module, alias.name) for node in nodes for alias in node.names}
    return frozenset(each for module, name in names for each in (module, f"{module}.{name}"))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
