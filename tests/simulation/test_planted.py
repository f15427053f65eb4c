"""Planted bugs: all stand where they say, and the simulation notices those that it should."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.planting import ROOT, Bug, Edit, planted_sources

# Some of each kind, a second of work each; `make planted` plays them all.
KNOWN = (
    "no-overlap",
    "cover-by-end-of-sweep",
    "acknowledged-without-sending",
    "deduplicated-by-calendar",
    "tenant-not-in-the-key",
)


def named(bug: Bug) -> str:
    return bug.name


def test_there_are_forty_bugs_of_different_names() -> None:
    assert 40 <= len({bug.name for bug in BUGS}) == len(BUGS)


def test_every_statement_has_a_bug_that_breaks_it() -> None:
    assert set(range(1, 11)) <= {number for bug in BUGS for number in bug.breaks}


@pytest.mark.parametrize("bug", BUGS, ids=named)
def test_a_bug_stands_where_it_is_planted(bug: Bug) -> None:
    for module, source in planted_sources(bug).items():
        compile(source, module, "exec")


@pytest.mark.parametrize("before", ["def no_such_function", "import"])
def test_a_piece_that_is_not_there_once_is_an_error(before: str) -> None:
    edit = Edit("shared/domain/feed.py", before, "")
    source = (ROOT / edit.file).read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="not once"):
        edit.applied(source)


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.test], ids=named)
def test_the_test_that_notices_a_bug_exists(bug: Bug) -> None:
    file, _, name = str(bug.test).partition("::")
    assert f"def {name}" in (ROOT / file).read_text(encoding="utf-8")


def test_the_simulation_notices_what_it_did_before() -> None:
    only = [part for name in KNOWN for part in ("--only", name)]
    # Seeds tell other stories whenever the code does something else: any that notices will do.
    told = run("--hunt", "--seeds", "40", "--workers", "1", *only)
    assert f"planted: {len(KNOWN)} bugs, {len(KNOWN)} caught" == told.splitlines()[-1], told


@pytest.mark.full
def test_every_bug_is_noticed() -> None:
    told = run("--known")
    assert f"planted: {len(BUGS)} bugs, {len(BUGS)} caught" == told.splitlines()[-1], told


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.simulation.planted", *arguments]
    done = subprocess.run(command, cwd=Path(ROOT), capture_output=True, text=True, check=False)
    return done.stdout or done.stderr
