"""The opt-out of somebody invited: by a link, without an account, and never by looking."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.client import BaseClient
from moto import mock_aws

from shared.domain.page_link import OptOutLink, opt_out_of, opt_out_token
from shared.domain.secret import Secret
from tests.people import Person, console_beside
from tests.stack import GOOGLE, START, Stack
from tests.stack_api import StackApi

SECRET = Secret("l" * 43)
HOUR = timedelta(hours=1)


class Scene:
    def __init__(self) -> None:
        self.stack = Stack()
        self.account = self.stack.recall.account(GOOGLE, "owner@acme.example")
        facts: dict[str, Any] = {"attendees": ["guest@globex.example"]}
        self.account.add_event(
            "Kick <b>off</b>",
            start=START + 3 * HOUR,
            link="https://meet.google.com/qkr-wzpn-abt",
            **facts,
        )
        for week in range(2):
            start = START + 4 * HOUR + timedelta(weeks=week)
            link = "https://zoom.us/j/89912345678"
            self.account.add_event("Weekly", start=start, link=link, series="weekly", **facts)
        self.calendar_id = self.stack.connect("owner@acme.example")
        self.stack.run(20, ticks=True)
        self.api = StackApi(self.stack)
        self.person = Person(console_beside(self.stack))

    def rows(self) -> list[Any]:
        return list(self.stack.stores.meetings.of_calendar(self.calendar_id).items)

    def ask(self, place: int, **body: Any) -> Any:
        event_id = self.rows()[place].event.event_id
        path = f"/v1/calendars/{self.calendar_id}/meetings/{event_id}/opt-out-link"
        return self.api.call("POST", path, body)

    def link(self, place: int, **body: Any) -> str:
        return urlsplit(self.ask(place, **body).json["url"]).path

    def bots(self) -> list[int]:
        self.stack.run(10, ticks=True)
        return [len(row.bots) for row in self.rows()]

    def say(self, link: str, word: str) -> Any:
        return self.person.submit(link, link, {"word": word})


@pytest.fixture
def scene() -> Iterator[Scene]:
    with mock_aws():
        yield Scene()


def test_the_api_gives_a_link_with_its_end(scene: Scene) -> None:
    made = scene.ask(0, expires_in_minutes=90)

    assert 201 == made.status
    assert made.json["url"].startswith("https://rollcall.example/opt-out/")
    assert made.json["expires_at"].startswith("2027-03-01T10:30:")


def test_the_api_refuses_what_makes_no_sense(scene: Scene) -> None:
    assert (400, "series_missing") == _problem(scene.ask(0, scope="series"))
    assert (400, "body_invalid") == _problem(scene.ask(0, scope="all"))
    assert (400, "body_invalid") == _problem(scene.ask(0, expires_in_minutes=1))
    unknown = scene.api.call("POST", f"/v1/calendars/{scene.calendar_id}/meetings/no/opt-out-link")
    assert (404, "meeting_not_found") == _problem(unknown)


def test_looking_changes_nothing(scene: Scene) -> None:
    link = scene.link(0)
    for _ in range(3):
        answer = scene.person.get(link)
        assert 200 == answer.status
        assert "Kick &lt;b&gt;off&lt;/b&gt;" in answer.body
        assert "If you opt out" in answer.body

    assert not scene.rows()[0].opted_out
    assert [1, 1, 1] == scene.bots()


def test_opting_out_keeps_the_bot_away_and_can_be_taken_back(scene: Scene) -> None:
    link = scene.link(0)
    answer = scene.say(link, "out")

    assert (303, f"{link}?done=out") == (answer.status, answer.location)
    assert "You have opted out" in scene.person.get(link).body
    assert [0, 1, 1] == scene.bots()
    assert "denied.opt_out" == scene.rows()[0].decision.reason

    scene.say(link, "back")
    assert "Taken back" in scene.person.get(f"{link}?done=back").body
    assert [1, 1, 1] == scene.bots()


def test_saying_it_twice_does_no_harm(scene: Scene) -> None:
    link = scene.link(0)
    assert [303, 303] == [scene.say(link, "out").status for _ in range(2)]
    assert [0, 1, 1] == scene.bots()


def test_the_whole_series(scene: Scene) -> None:
    link = scene.link(1, scope="series")
    assert "Every meeting of this series" in scene.person.get(link).body
    scene.say(link, "out")

    assert [1, 0, 0] == scene.bots()
    assert "every meeting of this series" in scene.person.get(link).body
    scene.say(link, "back")
    assert [1, 1, 1] == scene.bots()


def test_nobody_overrules_an_opt_out(scene: Scene) -> None:
    scene.say(scene.link(0), "out")
    event_id = scene.rows()[0].event.event_id
    path = f"/v1/calendars/{scene.calendar_id}/meetings/{event_id}/override"
    scene.api.call("PUT", path, {"choice": "on", "scope": "occurrence"})

    assert [0, 1, 1] == scene.bots()


def test_a_bot_in_the_call_is_asked_to_leave(scene: Scene) -> None:
    link = scene.link(0)
    scene.stack.run(3 * 3600 + 120, ticks=True)
    scene.say(link, "out")
    scene.stack.run(120, ticks=True)

    bots = scene.stack.recall.fleet if hasattr(scene.stack.recall, "fleet") else None
    assert scene.rows()[0].opted_out
    assert bots is None or "denied.opt_out" == scene.rows()[0].decision.reason


@pytest.mark.parametrize("csrf", ["", "x", "é", None])
def test_only_the_form_of_the_page_counts(scene: Scene, csrf: str | None) -> None:
    link, other = scene.link(0), scene.link(1)
    found = re.search(r'name="csrf" value="([^"]+)"', scene.person.get(other).body)
    assert found is not None
    form = {"csrf": found[1] if csrf is None else csrf, "word": "out"}

    assert 403 == scene.person.send(link, form).status
    assert not scene.rows()[0].opted_out


def test_an_unknown_word_is_refused(scene: Scene) -> None:
    assert 400 == scene.say(scene.link(0), "maybe").status


def test_the_link_ends_with_its_time_and_with_its_meeting(scene: Scene) -> None:
    link = scene.link(0, expires_in_minutes=5)
    lasting = scene.link(0)
    scene.stack.clock.advance(timedelta(minutes=5))
    assert (410, True) == _page(scene.person.get(link), "page_link_expired")

    scene.api.call("DELETE", "/v1/entities/default/u1")
    scene.stack.run(60, ticks=True)
    assert (404, True) == _page(scene.person.get(lasting), "meeting_not_found")


def test_a_changed_link_opens_nothing(scene: Scene) -> None:
    start, token = scene.link(0).rsplit("/", 1)
    other = ("B" if token[0] != "B" else "C") + token[1:]

    assert (404, True) == _page(scene.person.get(f"{start}/{other}"), "page_link_unknown")


def test_a_token_holds_what_it_was_made_of() -> None:
    link = OptOutLink(calendar_id="c", event_id="e", series=True, expires_at=START)

    assert link == opt_out_of(opt_out_token(link, link_secret=SECRET).reveal(), link_secret=SECRET)


@pytest.mark.parametrize("series", [False, True])
def test_showing_costs_three_requests_at_most(
    scene: Scene, series: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = scene.link(1, scope="series" if series else "occurrence")
    scene.person.get(link)
    asked: list[str] = []
    call = BaseClient._make_api_call

    def counted(client: Any, operation: str, facts: Any) -> Any:
        asked.append(operation)
        return call(client, operation, facts)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    answer = scene.person.get(link)

    assert 200 == answer.status
    assert 1 <= len(asked) <= 3


def _problem(answer: Any) -> tuple[int, str]:
    return answer.status, answer.json["code"]


def _page(answer: Any, code: str) -> tuple[int, bool]:
    return answer.status, code in answer.body
