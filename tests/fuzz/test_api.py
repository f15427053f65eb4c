"""A short, seeded questioning of the HTTP API from its description."""

from __future__ import annotations

import pytest

from tests.fuzz.api import ask, open_site

SEED = 1
EXAMPLES = 8


@pytest.fixture(scope="module")
def findings():
    with open_site() as site:
        return ask(site, examples=EXAMPLES, seed=SEED)


def test_every_answer_is_one_that_the_description_promises(findings):
    assert {} == findings.wrong


def test_questions_reach_what_is_there(findings):
    assert findings.asked >= 150
    assert findings.statuses[200] >= 20
    assert findings.statuses[400] >= 20


def test_an_answer_that_is_not_described_is_seen(monkeypatch):
    from functions.calendars import calendars

    with open_site() as site:
        monkeypatch.setattr(calendars, "calendar_view", lambda _calendar: {"calendar_id": 7})
        site.document["paths"] = {
            path: operations
            for path, operations in site.document["paths"].items()
            if path == "/v1/calendars/{calendar_id}"
        }
        assert ask(site, examples=24, seed=SEED).wrong
