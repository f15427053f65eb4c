"""`python -m tests.simulation.planted`: each planted bug must turn a seed or a test red.

    --only NAME      that bug alone (may be given several times)
    --known          only what is known to notice it: its seed, else its test
    --hunt           seeds from --first on, then the test, also where one is known
    --seeds 300      so many seeds at most for each bug

Each bug lives in a process of its own, forked before any of the project's modules is loaded.
Last line: planted: 43 bugs, 43 caught.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.bugs import BUGS
from tests.simulation.planting import ROOT, Bug, plant

if TYPE_CHECKING:
    from types import FrameType

SEEDS: Final = 300
# A seed takes a third of a second; with a bug in it, the world may never come to rest.
SEED_SECONDS: Final = 60.0
TEST_SECONDS: Final = 600.0
# Slow to load, and without anything of ours in them.
COMMON: Final = (
    "boto3",
    "botocore.client",
    "pynamodb.models",
    "requests",
    "time_machine",
    "greenlet",
    "pydantic",
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "pytest",
    "hypothesis",
    "moto.core",
    "moto.dynamodb.models",
)
# Nothing here goes to AWS; botocore wants to be told so.
NOWHERE: Final = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How far to look for what notices a bug; `known`: only where it is known to be noticed."""

    first: int = 0
    seeds: int = SEEDS
    known: bool = False
    hunt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What noticed the bug (None: nothing did), after how many seeds, and what it said."""

    bug: str
    by: str | None
    seeds: int = 0
    said: str = ""
    seconds: float = 0.0


class TookTooLong(BaseException):
    """Nothing catches this."""


def found(bug: Bug, search: Search) -> Finding:
    """Look for what notices the bug, in this process, which has it from now on."""
    plant(bug)
    started = time.process_time()
    seeds = _seeds(bug, search)
    for tried, seed in enumerate(seeds, start=1):
        said = _played(seed)
        if said is not None:
            seconds = time.process_time() - started
            return Finding(bug=bug.name, by=f"seed {seed}", seeds=tried, said=said, seconds=seconds)
    failed = _tested(bug.test) if bug.test is not None else None
    seconds = time.process_time() - started
    by = None if failed is None else bug.test
    return Finding(bug=bug.name, by=by, seeds=len(seeds), said=failed or "", seconds=seconds)


def _seeds(bug: Bug, search: Search) -> Sequence[int]:
    if not search.hunt and bug.seed is not None:
        return [bug.seed]
    if not search.hunt and (search.known or bug.test is not None):
        return []
    return range(search.first, search.first + search.seeds)


def _played(seed: int) -> str | None:
    """The first violation, or what the world broke on."""
    from tests.simulation.seeds import play

    try:
        with _at_most(SEED_SECONDS):
            outcome = play(seed)
    except TookTooLong:
        return f"no rest within {SEED_SECONDS:.0f} s of work"
    except Exception as error:  # noqa: BLE001  a bug may break anything, and that is a find
        return f"{type(error).__name__}: {error}"
    return outcome.violations[0] if outcome.violations else None


def _tested(test: str) -> str | None:
    """The first that fails."""
    import pytest

    failures = _Failures()
    arguments = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not full", str(ROOT / test)]
    with contextlib.redirect_stdout(io.StringIO()), _at_most(TEST_SECONDS):
        pytest.main(arguments, plugins=[failures])
    return failures.first


class _Failures:
    """A plugin of pytest's that keeps the name of the first failure."""

    def __init__(self) -> None:
        self.first: str | None = None

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and self.first is None:
            self.first = report.nodeid.partition("::")[2]


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _found(task: tuple[Bug, Search]) -> Finding:
    return found(*task)


def search_all(bugs: Sequence[Bug], search: Search, *, workers: int) -> Iterator[Finding]:
    """In the order in which they are found."""
    os.environ |= NOWHERE
    for name in COMMON:
        importlib.import_module(name)
    context = multiprocessing.get_context("fork")
    with context.Pool(workers, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(_found, [(bug, search) for bug in bugs], chunksize=1)


def main() -> int:
    given = _arguments()
    bugs = [bug for bug in BUGS if given.only is None or bug.name in given.only]
    search = Search(first=given.first, seeds=given.seeds, known=given.known, hunt=given.hunt)
    caught = 0
    for done, finding in enumerate(search_all(bugs, search, workers=given.workers), start=1):
        caught += finding.by is not None
        print(_line(finding, place=f"{done}/{len(bugs)}"), flush=True)
    print(f"planted: {len(bugs)} bugs, {caught} caught")
    return 0 if bugs and caught == len(bugs) else 1


def _line(finding: Finding, *, place: str) -> str:
    seeds = f"{finding.seeds} seed{'' if finding.seeds == 1 else 's'}"
    by = finding.by or "NOTHING"
    cost = f"{finding.seconds:5.1f} s"
    return f"{place:>7}  {finding.bug:34} {by:38} {seeds:>9} {cost}  {finding.said[:110]}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.planted",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", action="append", choices=[bug.name for bug in BUGS])
    parser.add_argument("--known", action="store_true")
    parser.add_argument("--hunt", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
