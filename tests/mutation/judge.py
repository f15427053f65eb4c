"""A pytest plugin that plays the tests of one part against mutants, each in a process of its own.

A bug inside a function is planted into the function as it stands in memory, so a mutant costs a
fork and the tests that reach its lines. A bug that acts at import needs a process that has not
imported the project yet: `Reimport` serves those.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.abc
import importlib.util
import json
import os
import resource
import signal
import sys
import threading
import time
import types
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings

from tests.mutation.operators import Mutant
from tests.mutation.verdicts import Reach

# Of one test: its share of a mutant's time, and how far a mutant may slow it down.
SECONDS_MIN = 5.0
SLOWER_MAX = 10.0
FOLLOWED_CALLS_MAX = 100
MEMORY_BYTES_MAX = 4 * 1024**3
SURVIVED, KILLED, BROKEN = 0, 1, 3
OURS = frozenset({"__main__", "conftest", "functions", "infra", "shared", "tests"})
TIMED_OUT = (signal.SIGALRM, signal.SIGVTALRM)


class Session:
    """What both plugins share: quiet, no shrinking, and the tests in our order."""

    def pytest_configure(self, config: pytest.Config) -> None:
        config.option.tbstyle = "no"
        quick = settings(settings.default, phases=(Phase.explicit, Phase.generate), database=None)
        settings.register_profile("mutants", quick)
        settings.load_profile("mutants")


class Survey(Session):
    """Plays each test once that `known` lacks, following the lines of the judged files.

    Then `then` goes on with what is known of all.
    """

    def __init__(
        self,
        paths: Iterable[str],
        known: Reach,
        then: Callable[[Reach, dict[str, pytest.Item]], None],
    ) -> None:
        self.paths = {str(Path(path).resolve()): path for path in paths}
        self.known, self.then = known, then

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        items = {item.nodeid: item for item in session.items}
        _warm_up(session.items)
        living_functions()
        cached_functions()
        # A fork then shares its parent's memory until it writes to it.
        gc.collect()
        gc.freeze()
        new = [item for item in session.items if item.nodeid not in self.known.seconds]
        self.known.add(_forked_reach(self.paths, new))
        self.known.foreign = [n for n in sys.modules if n.partition(".")[0] not in OURS]
        self.then(self.known, items)
        return True


class Reimport(Session):
    """Plays the chosen tests against a bug that acts at import."""

    def __init__(self, mutant: Mutant, order: list[str], allowed: dict[str, float], told: int):
        self.mutant, self.order, self.allowed, self.told = mutant, order, allowed, told

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        found = [items[name] for name in self.order if name in items]
        if len(found) < len(self.order):
            tell(self.told, "a test that is gone")
        play(found, allowed=self.allowed, told=self.told)
        return True


def judged_in_place(
    mutant: Mutant, items: list[pytest.Item], *, allowed: dict[str, float], told: int
) -> None:
    """In a fork of the surveyed session. Never returns."""
    limit()
    plant(mutant)
    play(items, allowed=allowed, told=told)


def judged_anew(mutant: Mutant, order: list[str], *, allowed: dict[str, float], told: int) -> None:
    """In a fork of a process that never imported the project. Never returns."""
    limit()
    sys.meta_path.insert(0, Planted(mutant))
    plugin = Reimport(mutant, order, allowed, told)
    files = list(dict.fromkeys(name.partition("::")[0] for name in order))
    _clock(SECONDS_MIN * 12)
    quiet()
    pytest.main([*PYTEST, *files], plugins=[plugin])
    tell(told, "collecting")


PYTEST = [
    "-p",
    "no:terminal",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:faulthandler",
    "--assert=plain",
    "-o",
    "addopts=",
]


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the mutant's module as it stands in the tree, and runs it with the bug."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.module = mutant.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    def find_spec(self, fullname, path=None, target=None):
        if fullname != self.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self.mutant.path, loader=self)

    def exec_module(self, module: types.ModuleType) -> None:
        exec(self.mutant.code(), module.__dict__)


def plant(mutant: Mutant) -> None:
    """Gives the living functions of the mutant's scope the code with the bug."""
    new = {(c.co_qualname, c.co_firstlineno): c for c in _codes(mutant.code())}
    planted = 0
    for function in living_functions().get(str(Path(mutant.path).resolve()), []):
        key = (function.__code__.co_qualname, function.__code__.co_firstlineno)
        if key in new and key[0].split(".<locals>")[0] == mutant.scope:
            function.__code__ = new[key]
            planted += 1
    if not planted:
        os._exit(BROKEN)
    forget_answers()


@functools.cache
def living_functions() -> dict[str, list[types.FunctionType]]:
    """Those of the project, by file; asked once all tests are imported."""
    found: dict[str, list[types.FunctionType]] = {}
    for each in gc.get_objects():
        if isinstance(each, types.FunctionType):
            found.setdefault(each.__code__.co_filename, []).append(each)
    return found


@functools.cache
def cached_functions() -> list[functools._lru_cache_wrapper]:
    return [
        each
        for each in gc.get_objects()
        if isinstance(each, functools._lru_cache_wrapper)
        and (each.__module__ or "").partition(".")[0] in {"shared", "functions"}
    ]


def forget_answers() -> None:
    """What a cached function answered before the bug does not count."""
    for each in cached_functions():
        each.cache_clear()


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def play(items: list[pytest.Item], *, allowed: dict[str, float], told: int) -> None:
    """Ends the process at the first test that fails. Never returns."""
    quiet()
    for item, following in zip(items, [*items[1:], None], strict=False):
        _clock(SECONDS_MIN + SLOWER_MAX * allowed[item.nodeid])
        os.pwrite(told, item.nodeid.encode().ljust(1000)[:1000], 0)
        try:
            reports = runtestprotocol(item, nextitem=following, log=False)
        except BaseException:  # noqa: BLE001 - whatever a mutant raises, it was seen
            os._exit(KILLED)
        if any(report.failed for report in reports):
            os._exit(KILLED)
    os._exit(SURVIVED)


def tell(told: int, by: str) -> None:
    os.pwrite(told, by.encode().ljust(1000)[:1000], 0)
    os._exit(KILLED)


def end_alike(status: int) -> None:
    """Ends this process as another one ended."""
    if os.WIFSIGNALED(status):
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.setrecursionlimit(1000)


def quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _clock(seconds: float) -> None:
    """Ends the process by a signal: counted in its own time, and, six times later, in anyone's."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds * 6)


def _warm_up(items: list[pytest.Item]) -> None:
    """Plays a test of each file, so that no fork loads anew what all of them need.

    The models of AWS's services alone take longer than most tests.
    """
    for item in {item.path: item for item in reversed(items)}.values():
        runtestprotocol(item, nextitem=None, log=False)


def _forked_reach(paths: dict[str, str], items: list[pytest.Item]) -> Reach:
    """In a fork, so that no mutant meets what the tests left behind."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.close(read)
        try:
            reach = _reach(paths, items)
        except BaseException as error:  # noqa: BLE001 - told to the parent, which ends
            os.write(2, f"survey: {error!r}\n".encode())
            os._exit(1)
        with os.fdopen(write, "w") as out:
            json.dump(
                {"tests": {k: sorted(v) for k, v in reach.tests.items()}, "seconds": reach.seconds},
                out,
            )
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        text = told.read()
    os.waitpid(child, 0)
    if not text:
        raise pytest.UsageError("the tests fail without any mutant")
    found = json.loads(text)
    return Reach({k: set(v) for k, v in found["tests"].items()}, found["seconds"])


def _reach(paths: dict[str, str], items: list[pytest.Item]) -> Reach:
    reach = Reach()
    for item, following in zip(items, [*items[1:], None], strict=False):
        forget_answers()
        lines: set[tuple[str, int]] = set()
        started = time.process_time()
        with _following(paths, lines):
            reports = runtestprotocol(item, nextitem=following, log=False)
        if any(report.failed for report in reports):
            raise AssertionError(item.nodeid)
        reach.seconds[item.nodeid] = time.process_time() - started
        for file, line in lines:
            reach.tests.setdefault(f"{paths[file]}:{line}", set()).add(item.nodeid)
    return reach


@contextlib.contextmanager
def _following(paths: dict[str, str], lines: set[tuple[str, int]]) -> Iterator[None]:
    calls: Counter[types.CodeType] = Counter()

    def within(frame, event, _):
        lines.add((frame.f_code.co_filename, frame.f_lineno))
        return within

    def enter(frame, event, _):
        code = frame.f_code
        if code.co_filename not in paths:
            return None
        calls[code] += 1
        if calls[code] > FOLLOWED_CALLS_MAX:
            # Generated examples: taken to reach every line.
            if calls[code] == FOLLOWED_CALLS_MAX + 1:
                lines.update((code.co_filename, line) for *_, line in code.co_lines() if line)
            return None
        return within(frame, event, _)

    threading.settrace(enter)
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)
