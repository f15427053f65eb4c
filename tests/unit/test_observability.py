"""Logs: only allowed fields, never the text of an error."""

from __future__ import annotations

import io
import json

import pytest

from shared.errors import PermanentError
from shared.observability import Log


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture
def log(stream, request):
    # Powertools keeps one logger, and its stream, per name; a test may be played twice.
    return Log(f"{request.node.name} {id(stream)}", stream=stream)


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_its_fields_and_the_request(log, stream):
    log.begin("r-1")
    log.info("done", calendar_id="c1", count=3)
    (line,) = lines(stream)
    assert line["message"] == "done"
    assert line["level"] == "INFO"
    assert line["service"].startswith("test_")
    assert (line["request_id"], line["calendar_id"], line["count"]) == ("r-1", "c1", 3)
    assert line["location"].startswith("test_a_line_has_its_fields")


@pytest.mark.parametrize("level", ["info", "warning"])
def test_a_field_outside_the_list_is_refused(log, level):
    with pytest.raises(ValueError, match="email"):
        getattr(log, level)("hello", email="someone")


def test_a_crash_says_where_and_not_what(log, stream):
    def fail():
        try:
            {}["token-1234"]
        except KeyError as error:
            raise PermanentError("recall_refused", "quoting token-1234") from error

    with pytest.raises(PermanentError) as caught:
        fail()
    log.crash("it failed", caught.value)
    (line,) = lines(stream)
    assert "token-1234" not in stream.getvalue()
    assert line["code"] == "recall_refused"
    assert line["error"] == "PermanentError < KeyError"
    assert line["trace"][-1].endswith(" fail")


def test_a_metric_is_written_at_once(log, capsys):
    log.count("EventSetAside", 2)
    written = json.loads(capsys.readouterr().out)
    assert written["EventSetAside"] == [2.0]
    assert written["service"].startswith("test_")
    (declared,) = written["_aws"]["CloudWatchMetrics"]
    assert declared["Namespace"] == "Rollcall"
    assert declared["Dimensions"] == [["service"]]
