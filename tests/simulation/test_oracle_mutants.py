"""Errors planted in the oracle, each of which its tests by hand must notice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

# File, what stands there, what the error makes of it.
MUTANTS = [
    ("copies", "(copy.end <= now", "(copy.start <= now"),
    ("copies", 'rules["mode"] == "paused"', "False"),
    ("copies", "not calendar.connected", "False"),
    ("copies", "copy.start > now + timedelta", "copy.start >= now + timedelta"),
    ("copies", "_ineligible(copy, calendar, rules, now) or _denied(", "_denied("),
    ("copies", 'and rules["private"] == "deny"', ""),
    ("copies", '"not_declined": NONE', '"not_declined": DECLINED'),
    ("copies", "if join else None", "if reason.startswith('base') else None"),
    ("copies", "if one.answer != DECLINED", ""),
    ("copies", "+ (copy.owner_answer != DECLINED)", "+ 1"),
    ("copies", "and own[0] in FREE_MAIL", "and False"),
    ("copies", 'rules["hidden_guests"] == "external"', "False"),
    ("copies", 'return "unknown" if own == [""] else "internal"', 'return "internal"'),
    ("words", "said_at >= here_at", "said_at == here_at"),
    ("words", 'and word.choice != "auto"', ""),
    ("words", "nearest = max(", "nearest = min("),
    ("words", "word.calendar_id != calendar.calendar_id", "False"),
    ("meetings", "self.copy.owner_answer == DECLINED,", ""),
    ("meetings", "not self.copy.owner_organizes,", ""),
    ("meetings", "self.calendar.created_at,", ""),
    ("meetings", 'not self.own[1].startswith("ineligible.")', "True"),
    ("meetings", "tenant_id=voter.calendar.tenant_id,", 'tenant_id="",'),
    (
        "meetings",
        "start=voter.copy.start.replace(second=0, microsecond=0)",
        "start=voter.copy.start",
    ),
    ("meetings", '"organizer": organizers', '"organizer": copies'),
    ("meetings", 'if any(one.own[1].startswith("denied.") for one in copies):', "if False:"),
    ("meetings", 'one.own[1] == "override.off"', "not one.own[0]"),
    ("meetings", 'enough = all if rules["vote"] == "all_agree" else any', "enough = any"),
    ("meetings", 'and one.rules["mode"] == "live"', ""),
    ("meetings", "asked = organizers[:1]", "pass"),
    ("meetings", "world.now - at < GRACE", "False"),
    ("rules", "if key not in locked", ""),
    ("rules", "for one in documents for entry", "for one in documents[-1:] for entry"),
    ("rules", "**default, **tenant, **free", "**default, **free, **tenant"),
    ("matching", "opens <= now < closes", "opens <= now <= closes"),
    ("matching", "(yesterday and now < closes)", "False"),
    ("matching", "domain.endswith(plain[1:])", "domain.endswith(plain[2:])"),
    ("matching", "heard[:-1] == sought[:-1]", "True"),
    ("reading", "if organizes and answer != DECLINED", "if organizes"),
    ("reading", 'not marked and (raw.get("guestsCan', '(raw.get("guestsCan'),
    ("reading", 'raw.get("sensitivity") in {"private", "confidential"}', "False"),
    ("reading", 'one.get("type") == "resource"', "False"),
    ("reading", 'domain == "googlemail.com"', "False"),
    ("rooms", 'r"\\d{9,11}"', 'r"\\d{12}"'),
    ("rooms", 'removesuffix("/0")', 'rstrip("/0123456789")'),
    ("rooms", '.replace("-", "")\n    if len', '.replace("+", "")\n    if len'),
    ("checks", 'bot.state != "over"', "True"),
    ("checks", "_minute(bot.join_at) == _minute(wish.start)", "True"),
    ("checks", "if len(tenants := _tenants(bot, events)) > 1", "if False"),
    ("checks", "if wish is None or not meeting.settled:", "if wish is None:"),
    ("checks", "if right:", "if served:"),
    ("checks", "+ IN_FLIGHT", ""),
    ("checks", "if not there:", "if False:"),
]


def tried(folder: Path) -> int:
    """The exit code of the tests by hand, against the oracle in this folder."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    target = folder / "tests" / "simulation" / "test_oracle.py"
    return subprocess.run(
        [*command, "-c", os.devnull, "--rootdir", str(folder), str(target)],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
    ).returncode


@pytest.fixture
def oracle(tmp_path: Path) -> Path:
    """The oracle and its tests by hand, alone in a folder."""
    simulation = tmp_path / "tests" / "simulation"
    shutil.copytree(HERE / "oracle", simulation / "oracle", ignore=shutil.ignore_patterns("*.pyc"))
    for package in (tmp_path / "tests", simulation):
        (package / "__init__.py").touch()
    shutil.copy(HERE / "test_oracle.py", simulation)
    return tmp_path


@pytest.mark.full
def test_the_oracle_as_it_is_passes(oracle: Path) -> None:
    assert 0 == tried(oracle)


@pytest.mark.full
@pytest.mark.parametrize(("name", "before", "after"), MUTANTS)
def test_an_error_is_noticed(oracle: Path, name: str, before: str, after: str) -> None:
    source = oracle / "tests" / "simulation" / "oracle" / f"{name}.py"
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace(before, after), encoding="utf-8")
    assert 1 == tried(oracle)


@pytest.mark.parametrize(("name", "before", "after"), MUTANTS)
def test_an_error_stands_where_it_is_planted(name: str, before: str, after: str) -> None:
    source = (HERE / "oracle" / f"{name}.py").read_text(encoding="utf-8")
    mutant = source.replace(before, after)
    assert mutant != source
    compile(mutant, name, "exec")
