"""Hostile browsers at /connect and /oauth: never a crash, never led astray, nothing told."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from functions.oauth import app
from tests.connect_stage import (
    ADA,
    GOOGLE,
    OUTLOOK,
    RETURN,
    Browser,
    Stage,
    gateway_event,
    open_stage,
)

CONNECT, CALLBACK = "GET /connect/{token}", "GET /oauth/{platform}/callback"
REQUESTS = 400
ODD = (
    "", " ", ".", "..", "\x00", "\r\nSet-Cookie: a=b", "\ud800", "\udfff\ud800", "é", "💣" * 50,
    "x" * 8_000, "%00", "%0d%0a", "null", "//evil.example", "https://evil.example/", "\\\\evil",
    "javascript:alert(1)", "<script>alert(1)</script>", "' or 1=1", "$title", "${code}", "a,b",
    "cs_" + "A" * 32 + "." + "A" * 43, "." * 100, "\u2028", "İ", "=", ";", "__Host-", "\ufeff",
)  # fmt: skip


class Raider:
    """One stage with sessions in all states, and requests made of their parts and of junk."""

    def __init__(self, stage: Stage, chance: random.Random) -> None:
        self.stage = stage
        self.chance = chance
        self.secrets = ["l" * 32, "bGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGw", "client-secret-1"]
        self.tokens: list[str] = []
        self.callbacks: list[dict[str, str]] = []
        self.cookies: list[str] = []
        self.hosts = {urlsplit(RETURN).netloc} | {
            urlsplit(world.base_url).netloc for world in stage.worlds.values()
        }
        self.refill()

    def refill(self) -> None:
        """A fresh link, and one that was opened and consented to."""
        fresh = self.stage.start().json
        opened = self.stage.start(platform=self.chance.choice((GOOGLE, OUTLOOK))).json
        browser = Browser(self.stage)
        home = self.stage.consent(browser.get(opened["connect_url"]).location, email=ADA)
        self.tokens += [fresh["connect_url"].rsplit("/", 1)[1]]
        self.tokens += [opened["connect_url"].rsplit("/", 1)[1]]
        self.callbacks.append(dict(parse_qsl(urlsplit(home).query)))
        self.cookies.append(str(browser.cookie))

    def request(self) -> dict[str, Any]:
        chance = self.chance
        is_callback = chance.random() < 0.7
        route = CALLBACK if is_callback else CONNECT
        event = gateway_event(route, path="/", query=self._query())
        platform = chance.choice((GOOGLE, OUTLOOK, GOOGLE, OUTLOOK, *ODD))
        event["pathParameters"] = {
            "token": self._bent(chance.choice((*self.tokens, *ODD))),
            "platform": platform,
        }
        event["cookies"] = [
            self._bent(chance.choice((*self.cookies, *ODD))) for _ in range(chance.randrange(4))
        ]
        event["headers"] = {
            name: chance.choice((*ODD, "prefetch"))
            for name in chance.sample(("host", "sec-purpose", "x-forwarded-host", "referer"), 2)
        }
        for key in ("pathParameters", "cookies", "headers", "queryStringParameters"):
            if chance.random() < 0.03:
                event.pop(key, None)
        return event

    def _query(self) -> dict[str, str]:
        chance = self.chance
        query = dict(chance.choice(self.callbacks))
        for name in ("state", "code", "error", "iss", "scope", "return_url", "redirect_uri"):
            if chance.random() < 0.25:
                query[name] = chance.choice((*ODD, *chance.choice(self.callbacks).values()))
            elif chance.random() < 0.1:
                query.pop(name, None)
        return {name: self._bent(value) for name, value in query.items()}

    def _bent(self, text: str) -> str:
        if not text or self.chance.random() < 0.85:
            return text
        at = self.chance.randrange(len(text))
        return text[:at] + self.chance.choice(ODD) + text[at + self.chance.randrange(2) :]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with open_stage() as stage:
        yield stage


def check(answer: dict[str, Any], *, raider: Raider) -> None:
    assert answer["statusCode"] in {302, 400, 404, 410, 503}
    told = f"{answer['headers']}{answer.get('cookies')}"
    assert not {"\r", "\n"} & set("".join(map(str, answer["headers"].values())))
    assert not [secret for secret in raider.secrets if secret in told + answer["body"]]
    if answer["statusCode"] == 302:
        location = urlsplit(answer["headers"]["location"])
        assert location.scheme == "https"
        assert location.netloc in raider.hosts
        return
    assert "location" not in answer["headers"]
    assert "<script>" not in answer["body"]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_a_browser_sends(
    stage: Stage, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    raider = Raider(stage, random.Random(seed))
    statuses = set()
    for number in range(REQUESTS):
        if number % 20 == 0:
            raider.refill()
        answer = app.answer(raider.request(), stage.oauth)
        check(answer, raider=raider)
        statuses.add(answer["statusCode"])
    assert {302, 400, 404, 410} <= statuses
    out = "".join(capsys.readouterr())
    known = [
        *raider.tokens,
        *(cookie.partition("=")[2] for cookie in raider.cookies),
        *(callback[name] for callback in raider.callbacks for name in ("state", "code")),
        *raider.secrets,
    ]
    assert [] == [secret for secret in known if secret in out]


@pytest.mark.parametrize("part", ["state", "code", "error", "iss", "scope"])
@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_one_odd_part_in_an_answer_that_is_right_otherwise(
    stage: Stage, part: str, text: str
) -> None:
    raider = Raider(stage, random.Random(0))
    event = gateway_event(CALLBACK, path="/", query={**raider.callbacks[0], part: text})
    event["cookies"] = raider.cookies
    for platform in (GOOGLE, OUTLOOK):
        event["pathParameters"] = {"platform": platform}
        check(app.answer(event, stage.oauth), raider=raider)
