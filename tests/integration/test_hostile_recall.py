"""Recall gone hostile: whatever it answers, the scheduler stays whole and serves the rest."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from moto import mock_aws

from infra.local.emulators.http import Request, Response
from tests.stack import GOOGLE, OUTLOOK, RECALL, START, Stack

MEET = "https://meet.google.com/qkr-wzpn-abt"
LATE_MEET = "https://meet.google.com/abc-defg-hij"
OTHER_MEET = "https://meet.google.com/tpc-rdqo-vhs"
LIST = "/api/v2/calendar-events/"
Bend = Callable[[dict[str, Any]], None]


class Hostile:
    """A stack whose event lists pass through `bend`; every asked address is kept."""

    def __init__(self, platform: str = GOOGLE) -> None:
        self.stack = Stack()
        self.asked: list[str] = []
        self.bend: Bend | None = None
        self.instead: Callable[[Request], Response | None] | None = None
        self._honest = self.stack.adapter._handle
        self.stack.adapter._handle = self._answer
        account = self.stack.recall.account(platform, "owner@acme.example")
        guests = {"attendees": ["guest@globex.example"]}
        self.bad = account.add_event(
            "Bad", start=START + timedelta(hours=3), link=OTHER_MEET, **guests
        )
        account.add_event("Good", start=START + timedelta(hours=4), link=MEET, **guests)
        self.platform = platform

    def connect(self) -> str:
        return self.stack.connect(platform=self.platform)

    @property
    def links(self) -> set[str]:
        return {bot.meeting_url for bot in self.stack.recall.live_bots()}

    def _answer(self, request: Request) -> Response:
        self.asked.append(request.url)
        is_list = request.method == "GET" and urlsplit(request.url).path == LIST
        if is_list and self.instead is not None:
            answer = self.instead(request)
            if answer is not None:
                return answer
        answer = self._honest(request)
        if is_list and self.bend is not None and answer.status == 200:
            page = json.loads(answer.body)
            self.bend(page)
            headers = {k: v for k, v in answer.headers.items() if k.lower() != "content-length"}
            return replace(answer, headers=headers, body=json.dumps(page).encode())
        return answer


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with mock_aws():
        yield Hostile()


def bugs(out: str) -> list[str]:
    return [line for line in out.splitlines() if "on a bug" in line]


def only_bad(change: Callable[[dict[str, Any]], None]) -> Bend:
    def bend(page: dict[str, Any]) -> None:
        for event in page["results"]:
            title = event["raw"].get("summary") or event["raw"].get("subject")
            if title == "Bad":
                change(event)

    return bend


ABSURD = {
    "year one": {"start_time": "0001-01-01T00:00:00Z", "end_time": "0001-01-01T01:00:00Z"},
    "year one, west": {"start_time": "0001-01-01T00:00:00-23:59", "end_time": None},
    "before year one": {"start_time": "0001-01-01T00:00:00+14:00"},
    "the last year": {"start_time": "9999-12-31T23:00:00Z", "end_time": "9999-12-31T23:59:59Z"},
    "an end of days": {"end_time": "9999-12-31T23:59:59.999999Z"},
    "a start of days": {"start_time": "0001-01-01T00:00:00Z"},
    "backwards": {"end_time": "2020-01-01T00:00:00Z"},
    "no times": {"start_time": None, "end_time": None},
    "half a surrogate": {"id": "\ud800", "ical_uid": "\ud800", "platform_id": "\udfff"},
    "a megabyte of name": {"ical_uid": "x" * 1_000_000, "platform_id": "x" * 1_000_000},
    "a link of a megabyte": {"meeting_url": "https://meet.google.com/" + "x" * 1_000_000},
    "a link that is none": {"meeting_url": "http://[", "meeting_platform": "\x00"},
    "a link with a half": {"meeting_url": "https://meet.google.com/\ud800"},
    "a link with a port": {"meeting_url": "https://zoom.us:99999999/j/1"},
    "many bots": {"bots": [{"bot_id": f"b{n}", "start_time": "2027-03-01T12:00:00Z",
                            "deduplication_key": "k" * 3_000, "meeting_url": "x"}
                           for n in range(500)]},
    "a bot of year one": {"bots": [{"bot_id": "b", "start_time": "0001-01-01T00:00:00Z",
                                    "deduplication_key": "k", "meeting_url": ""}]},
    "a bot of the last year": {"bots": [{"bot_id": "b", "start_time": "9999-12-31T23:59:59Z",
                                         "deduplication_key": "k", "meeting_url": ""}]},
    "updated in year one": {"updated_at": "0001-01-01T00:00:00Z"},
    "updated in the last year": {"updated_at": "9999-12-31T23:59:59Z"},
    "another calendar": {"calendar_id": "nobody-s"},
    "a calendar of surrogates": {"calendar_id": "\ud800"},
    "nothing": dict.fromkeys(
        ("id", "calendar_id", "platform", "platform_id", "ical_uid", "start_time", "end_time",
         "meeting_url", "meeting_platform", "is_deleted", "bots", "raw", "updated_at")
    ),
}  # fmt: skip


@pytest.mark.parametrize("facts", ABSURD.values(), ids=ABSURD.keys())
def test_one_absurd_event_never_stops_the_others(
    hostile: Hostile, capsys: pytest.CaptureFixture[str], facts: dict[str, Any]
) -> None:
    hostile.bend = only_bad(lambda event: event.update(facts))
    hostile.connect()
    hostile.stack.run(70, ticks=True)
    assert MEET in hostile.links
    assert [] == bugs(capsys.readouterr().out)
    assert hostile.stack.stores.workspace.feed().swept_at is not None


def test_absurd_facts_reach_the_parser(hostile: Hostile) -> None:
    """Or the tests above would prove nothing."""
    hostile.bend = only_bad(lambda event: event.update(end_time="9999-12-31T23:59:59Z"))
    calendar_id = hostile.connect()
    hostile.stack.run(10)
    rows = hostile.stack.stores.meetings.of_calendar(calendar_id).items
    assert {9999, 2027} == {row.event.end.year for row in rows}


def raw_junk(chance: random.Random) -> Any:
    junk: tuple[Any, ...] = (
        None, True, 0, -1, 1e308, 10**30, "", "x" * 1_000_000, "\ud800", "\x00", [], {}, [None],
        [[[]]], {"email": None}, {"emailAddress": "x"}, [{"email": 7}], "9999-12-31T23:59:59Z",
        {"dateTime": "0001-01-01T00:00:00", "timeZone": "Nowhere/None"}, {"timeZone": "../../etc"},
        [{"email": f"guest{n}@globex.example"} for n in range(10_000)],
        [{"emailAddress": {"address": f"g{n}@globex.example"}} for n in range(10_000)],
        "https://zoom.us/j/1?pwd=" + "%25" * 10_000, "<a href='https://" * 20_000,
    )  # fmt: skip
    return chance.choice(junk)


@pytest.mark.parametrize("platform", [GOOGLE, OUTLOOK])
@pytest.mark.parametrize("seed", range(2))
def test_a_malformed_payload_of_a_provider_never_stops_the_others(
    capsys: pytest.CaptureFixture[str], platform: str, seed: int
) -> None:
    chance = random.Random(seed)

    def change(event: dict[str, Any]) -> None:
        raw = event["raw"]
        for key in chance.sample(sorted(raw), 6):
            if key not in {"summary", "subject"}:
                raw[key] = raw_junk(chance)

    with mock_aws():
        hostile = Hostile(platform)
        hostile.bend = only_bad(change)
        hostile.connect()
        hostile.stack.run(130, ticks=True)
        assert MEET in hostile.links
        assert [] == bugs(capsys.readouterr().out)


def page_of(results: list[Any], *, next_page: object = None) -> Response:
    body = json.dumps({"next": next_page, "previous": None, "results": results}).encode()
    headers = {"Content-Type": "application/json", "Date": "Mon, 01 Mar 2027 09:00:00 GMT"}
    return Response(status=200, headers=headers, body=body)


def cursor_of(request: Request) -> str | None:
    return parse_qs(urlsplit(request.url).query).get("cursor", [None])[0]


def linked(cursor: object) -> str:
    return f"{RECALL}{LIST}?cursor={cursor}"


@pytest.mark.parametrize("length", [1, 2, 3])
def test_pages_in_a_circle_are_left_soon(hostile: Hostile, length: int) -> None:
    hostile.connect()
    hostile.stack.run(10)
    before = hostile.stack.stores.workspace.feed().cursor
    hostile.asked.clear()
    hostile.instead = lambda request: page_of(
        [], next_page=linked((int(cursor_of(request) or 0) + 1) % length)
    )
    hostile.stack.tick()
    hostile.stack.run(4)
    assert before == hostile.stack.stores.workspace.feed().cursor
    assert len(hostile.asked) <= length + 1
    hostile.instead = None
    hostile.stack.run(400, ticks=True)
    assert before < hostile.stack.stores.workspace.feed().cursor


FOREIGN = (
    "https://evil.example/api/v2/calendar-events/?cursor=1",
    "http://us-east-1.recall.ai/api/v2/calendar-events/?cursor=1",
    "https://key@us-east-1.recall.ai/api/v2/calendar-events/?cursor=1",
    "https://us-east-1.recall.ai.evil.example/api/v2/calendar-events/",
    "//evil.example/api/v2/calendar-events/",
    "?cursor=1",
    "/api/v2/calendar-events/?cursor=1",
    "javascript:alert(1)",
    "https://[",
    "\ud800",
)


@pytest.mark.parametrize("link", FOREIGN)
@pytest.mark.parametrize("pages", [1, 20])
def test_a_link_that_leads_away_is_not_followed_and_not_kept(
    hostile: Hostile, link: str, pages: int
) -> None:
    """Twenty pages are one run: the twenty-first link would be what the next run starts with."""
    hostile.connect()
    hostile.stack.run(10)
    before = hostile.stack.stores.workspace.feed().cursor

    def answer(request: Request) -> Response:
        number = int(cursor_of(request) or 0) + 1
        return page_of([], next_page=link if number == pages else linked(number))

    hostile.instead = answer
    hostile.stack.tick()
    hostile.stack.run(10)
    assert before == hostile.stack.stores.workspace.feed().cursor
    assert {"us-east-1.recall.ai"} == {urlsplit(url).netloc for url in hostile.asked}
    hostile.instead = None
    hostile.stack.run(400, ticks=True)
    assert before < hostile.stack.stores.workspace.feed().cursor


def test_a_calendar_that_cannot_be_read_does_not_keep_the_others_waiting(hostile: Hostile) -> None:
    """And no run looks at more pages than it may, however many there are."""
    first = hostile.connect()
    other = hostile.stack.recall.account(GOOGLE, "dana@acme.example")
    other.add_event(
        "Dana's", start=START + timedelta(hours=5), link=OTHER_MEET, attendees=["g@globex.example"]
    )
    second = hostile.stack.connect("dana@acme.example", entity_id="u2")
    hostile.stack.run(10)
    for calendar_id in (first, second):
        hostile.stack.stores.calendars.change(
            calendar_id,
            read_since=START - timedelta(days=9),
            updated_at=hostile.stack.clock.now(),
        )
    poisoned = min(first, second)
    hostile.instead = lambda request: (
        page_of([], next_page="https://evil.example/") if poisoned in request.url else None
    )
    hostile.stack.run(130, ticks=True)
    healthy = hostile.stack.stores.calendars.get(max(first, second))
    assert healthy is not None
    assert healthy.read_since is None
    assert healthy.read_next is None


def test_pages_without_end_are_paced_and_what_they_hold_is_served(hostile: Hostile) -> None:
    def answer(request: Request) -> Response | None:
        number = int(cursor_of(request) or 0)
        if number == 0:
            page = json.loads(hostile._honest(request).body)
            return page_of(page["results"], next_page=linked(1))
        return page_of([], next_page=linked(number + 1))

    hostile.connect()
    hostile.stack.run(10)
    hostile.stack.recall.account(GOOGLE, "owner@acme.example").add_event(
        "Late", start=START + timedelta(hours=6), link=LATE_MEET, attendees=["g@globex.example"]
    )
    hostile.stack.lose_webhooks = True
    hostile.stack.run(5)
    hostile.asked.clear()
    hostile.instead = answer
    hostile.stack.run(120, ticks=True)
    assert {MEET, OTHER_MEET, LATE_MEET} == hostile.links
    assert len([url for url in hostile.asked if urlsplit(url).path == LIST]) <= 3 * 60
    hostile.instead = None
    hostile.stack.run(400, ticks=True)
    assert hostile.stack.stores.workspace.feed().open is None


def test_a_page_of_100_000_events_takes_bounded_memory_and_names_what_it_sets_aside(
    hostile: Hostile,
) -> None:
    hostile.connect()
    hostile.stack.run(10)
    client = hostile.stack.scheduler.doors.recall
    hostile.instead = lambda _request: page_of([{"id": f"event-{n}"} for n in range(100_000)])
    tracemalloc.start()
    page = client.list_events()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (0, 100_000) == (len(page.events), len(page.malformed))
    assert ("event-0", "event-99999") == (page.malformed[0], page.malformed[-1])
    assert peak < 200_000_000


BODIES = {
    "html": b"<html>busy</html>",
    "empty": b"",
    "cut": b'{"next": null, "results": [',
    "error with 200": b'{"code": "error", "detail": "no"}',
    "a number": b"7",
    "null": b"null",
    "results null": b'{"next": null, "results": null}',
    "results an object": b'{"next": null, "results": {}}',
    "next a number": b'{"next": 7, "results": []}',
    "deep": b'{"next": null, "results": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "long number": b'{"next": null, "results": [' + b"1" * 10_000 + b"]}",
    "not utf-8": b"\xff\xfe",
    "too long": b'{"next": null, "results": [' + b" " * (17 * 1024 * 1024) + b"]}",
}


ANSWERS = {name: (200, body) for name, body in BODIES.items()} | {
    f"{status} {name}": (status, BODIES[name])
    for status in (302, 418, 503)
    for name in ("html", "deep", "too long")
}


@pytest.mark.parametrize(("status", "body"), ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_that_is_no_page_moves_nothing(
    hostile: Hostile, capsys: pytest.CaptureFixture[str], status: int, body: bytes
) -> None:
    hostile.connect()
    hostile.stack.run(10)
    bots = hostile.links
    before = hostile.stack.stores.workspace.feed().cursor
    headers = {"Location": "https://evil.example/", "Content-Type": "application/json"}
    hostile.instead = lambda _request: Response(status=status, headers=headers, body=body)
    hostile.stack.tick()
    hostile.stack.run(4)
    assert [] == bugs(capsys.readouterr().out)
    assert bots == hostile.links
    assert {"us-east-1.recall.ai"} == {urlsplit(url).netloc for url in hostile.asked}
    feed = hostile.stack.stores.workspace.feed()
    assert before == feed.cursor
