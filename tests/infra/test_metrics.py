"""Metrics: what the code counts is what it says it counts, and alarms watch nothing else."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from moto import mock_aws

from infra.packaging import ROOT
from shared.observability import NAMESPACE, MetricName
from tests.infra.template import Template, referred
from tests.stack import GOOGLE, START, Stack

KNOWN = set(get_args(MetricName))
DECLARED_IN = ROOT / "shared" / "observability.py"


def test_names_have_one_style() -> None:
    assert set() == {name for name in KNOWN if not re.fullmatch(r"([A-Z][a-z]+)+", name)}


def test_every_name_counted_is_known() -> None:
    """The type checker holds names that come from elsewhere than the call to the same list."""
    assert set() == {name for _, name in _counted()} - KNOWN


def test_every_name_known_is_counted() -> None:
    mentioned = {text for source in _sources() for text in _texts(source)}

    assert set() == KNOWN - mentioned


def test_alarms_watch_metrics_that_their_function_can_count(template: Template) -> None:
    services = _services()
    for name, stated in _own_alarms(template).items():
        ((dimension, service),) = ((each["Name"], each["Value"]) for each in stated["Dimensions"])

        assert stated["MetricName"] in KNOWN, name
        assert (dimension, service in services) == ("service", True), name


def test_what_a_person_must_know_has_an_alarm(template: Template) -> None:
    watched = {stated["MetricName"] for stated in _own_alarms(template).values()}

    assert {"CursorAge", "DeliveryUnverifiable", "EventSetAside", "MessageFailed"} == watched


def test_errors_of_every_function_raise_an_alarm(template: Template) -> None:
    watched = {
        referred(dimension["Value"])
        for stated in template.of_type("AWS::CloudWatch::Alarm").values()
        for metric in _metrics(stated)
        if metric["MetricName"] == "Errors"
        for dimension in metric["Dimensions"]
    }

    assert set(template.functions()) == watched


@mock_aws()
def test_each_tick_tells_how_old_the_cursor_is(capsys: pytest.CaptureFixture[str]) -> None:
    stack = Stack()
    stack.recall.account(GOOGLE, "owner@acme.example")
    stack.connect()
    stack.run(10)
    capsys.readouterr()
    cursor = stack.stores.workspace.feed().cursor
    assert cursor is not None
    stack.recall.outage = 503
    stack.run(600, ticks=True)

    ages = _values("CursorAge", capsys.readouterr().out)

    assert (START + timedelta(minutes=1) - cursor).total_seconds() == ages[0]
    assert max(ages) > 600


@mock_aws()
def test_the_age_is_told_calendar_by_calendar_too(capsys: pytest.CaptureFixture[str]) -> None:
    stack = Stack(feed_mode="calendar")
    stack.connect()
    stack.run(130, ticks=True)
    ages = _values("CursorAge", capsys.readouterr().out)

    assert ages
    assert max(ages) < 120


def _sources() -> Iterator[Path]:
    for folder in ("functions", "shared"):
        yield from (path for path in (ROOT / folder).rglob("*.py") if path != DECLARED_IN)


def _counted() -> Iterator[tuple[Path, str]]:
    """Names that stand in a call such as `log.count("MessageFailed")`."""
    for source in _sources():
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="count", value=counted),
                    args=[ast.Constant(value=str(name)), *_],
                ) if ast.unparse(counted).endswith("log"):
                    yield source, name


def _texts(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _services() -> set[str]:
    """What the functions call themselves: `Log("scheduler")`."""
    apps = (ROOT / "functions").glob("*/app.py")
    return {name for app in apps for name in re.findall(r'Log\("(\w+)"\)', app.read_text())}


def _own_alarms(template: Template) -> dict[str, dict[str, Any]]:
    alarms = template.of_type("AWS::CloudWatch::Alarm")
    return {name: each for name, each in alarms.items() if each.get("Namespace") == NAMESPACE}


def _metrics(alarm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "MetricName" in alarm:
        yield alarm
    for query in alarm.get("Metrics", ()):
        if "MetricStat" in query:
            yield query["MetricStat"]["Metric"]


def _values(name: str, printed: str) -> list[float]:
    lines = (line for line in printed.splitlines() if f'"{name}":' in line)
    return [value for line in lines for value in json.loads(line)[name]]
