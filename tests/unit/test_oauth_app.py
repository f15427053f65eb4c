"""The browser's pages without a cloud: what is answered, logged and counted when nothing works."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from datetime import UTC

import pytest
from botocore.exceptions import ClientError
from requests import Session

from functions.oauth import app
from functions.oauth.pages import page, redirect, refusal_page
from shared.config import AWS_LIMITS
from shared.domain.refusal import Refusal
from shared.errors import PermanentError, TransientError
from tests.deliveries import NOW

ENVIRONMENT = {name: name.lower() for name in app.NEEDED} | {
    "AWS_REGION": "us-east-1",
    "PUBLIC_URL": "https://rollcall.example/",
    "RECALL_BASE_URL": "https://recall.example",
}
SECURE = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
}
HTML = SECURE | {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "content-type": "text/html; charset=utf-8",
    "x-robots-tag": "noindex",
}
LINK = "GET /connect/{token}"
CALLBACK = "GET /oauth/{platform}/callback"


class SecretsManager:
    """Holds one secret, or refuses."""

    def __init__(self, text):
        self.text = text

    def get_secret_value(self, *, SecretId):
        if self.text is None:
            raise ClientError({"Error": {"Code": "InternalServiceError"}}, "GetSecretValue")
        return {"SecretString": self.text}


@pytest.fixture(autouse=True)
def _lasting_stream():
    """The first log of a name keeps its stream, and capsys closes the one that it lends."""
    yield
    for handler in logging.getLogger("oauth").handlers:
        handler.stream = sys.__stdout__


@pytest.fixture
def composed():
    def make(secret=None):
        clients = {"secretsmanager": SecretsManager(secret)}
        return app.compose(
            ENVIRONMENT,
            client=clients.get,
            session=None,
            clock=lambda: NOW,
            chance=lambda size: "c" * size,
        )

    return make


@pytest.fixture
def written(caplog, capsys):
    def read():
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        counts = [
            (metric["Name"], line["service"])
            for line in lines
            if "_aws" in line
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
        ]
        logged = [(each.name, each.levelname, each.message, each.code) for each in caplog.records]
        return logged, counts

    return read


def opened(service, route=LINK, **changes):
    return app.answer({"routeKey": route, "pathParameters": {"token": "t"}, **changes}, service)


def test_a_browser_that_looks_ahead_is_asked_to_come_again(composed, written):
    answer = opened(composed(), headers={"sec-purpose": "prefetch;prerender"})
    expected = page(
        503,
        code="prefetched",
        title="The calendar was not connected",
        sentence="This did not work just now. Nothing is lost.",
        step="Please reload the page in a moment.",
        headers={"retry-after": "5"},
    )
    assert expected == answer
    said = ("oauth", "WARNING", "browser asked to come again", "prefetched")
    assert ([said], []) == written()


class Busy:
    def get(self):
        raise TransientError("secrets_unavailable", "Not now.", retry_after=7.2)


def test_a_wait_is_told_in_whole_seconds(composed):
    service = composed()
    browser = replace(service.connect.browser, secrets=Busy())
    busy = replace(service, connect=replace(service.connect, browser=browser))
    assert "8" == opened(busy)["headers"]["retry-after"]


def test_what_an_operator_must_mend_is_logged_and_counted(composed, written):
    answer = opened(composed("{}"))
    expected = page(
        500,
        code="secrets_missing",
        title="The calendar was not connected",
        sentence="This service needs its operator.",
        step=(
            "Trying again will not help now. Please tell whoever sent you here, "
            "with the code below."
        ),
    )
    assert expected == answer
    said = ("oauth", "ERROR", "browser sent away until an operator acts", "secrets_missing")
    assert ([said], [("ConnectFailed", "oauth")]) == written()


@pytest.mark.parametrize(
    ("route", "given"),
    [
        (CALLBACK, {"platform": "zoom"}),
        (CALLBACK, None),
        ("GET /elsewhere", {"platform": "google_calendar", "token": "t"}),
    ],
)
def test_what_is_not_ours_is_not_found(composed, route, given):
    answer = opened(composed(), route, pathParameters=given)
    assert (404, HTML) == (answer["statusCode"], answer["headers"])
    assert "<code>link_unknown</code>" in answer["body"]


SECRET = json.dumps({"recall_api_key": "k", "link_secret": "l" * 44})


@pytest.mark.parametrize("given", [{"token": "t"}, {}, None])
def test_a_link_that_nobody_made_is_not_found(composed, given):
    answer = opened(composed(SECRET), pathParameters=given)
    assert (404, "link_unknown" in answer["body"]) == (answer["statusCode"], True)


@pytest.mark.parametrize("query", [{"state": "x", "code": "c"}, {}, None])
def test_an_answer_without_a_session_is_a_bad_request(composed, query):
    given = {"platform": "microsoft_outlook"}
    answer = opened(composed(), CALLBACK, pathParameters=given, queryStringParameters=query)
    assert (400, "state_unknown" in answer["body"]) == (answer["statusCode"], True)


def test_a_page_is_a_whole_document_that_escapes_what_it_is_given():
    answer = page(
        503,
        code="<code>",
        title="<title>",
        sentence="<&>",
        step="<step>",
        headers={"retry-after": "1"},
    )
    assert (503, HTML | {"retry-after": "1"}) == (answer["statusCode"], answer["headers"])
    body = answer["body"]
    assert body.startswith('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">')
    assert body.endswith("</html>")
    assert "<title>&lt;title&gt; · Rollcall</title>" in body
    assert (
        "<h1>&lt;title&gt;</h1>\n<p>&lt;&amp;&gt;</p>\n<p>&lt;step&gt;</p>"
        '<p class="quiet"><code>&lt;code&gt;</code></p></section>'
    ) in body


def test_a_refusal_is_a_page_with_its_sentence():
    expected = page(
        410,
        code="link_used",
        title="This link was already used",
        sentence="A link to connect a calendar works once, and in one browser.",
        step=(
            "If your calendar is connected, there is nothing left to do. If not: Go back to where "
            "you started and press \N{LEFT DOUBLE QUOTATION MARK}Connect"
            "\N{RIGHT DOUBLE QUOTATION MARK} once more."
        ),
    )
    assert expected == refusal_page(Refusal.LINK_USED, status=410)


def test_a_redirect_carries_its_cookies_and_nothing_to_keep():
    expected = {
        "statusCode": 302,
        "headers": SECURE | {"location": "https://host.example"},
        "cookies": ["a=1"],
        "body": "",
    }
    assert expected == redirect("https://host.example", cookies=("a=1",))
    assert [] == redirect("https://host.example")["cookies"]


def test_every_setting_that_is_missing_is_named():
    with pytest.raises(PermanentError) as caught:
        app.compose({}, client=None, session=None, clock=None, chance=None)
    assert all(name in str(caught.value) for name in app.NEEDED)
    assert 14 == len(app.NEEDED)


def test_public_addresses_have_one_slash(composed):
    assert "https://rollcall.example" == composed().connect.browser.public_url


@pytest.mark.parametrize(("text", "allowed"), [("true", True), ("false", False), ("", False)])
def test_unconfirmed_sessions_are_the_operator_s_choice(text, allowed):
    service = app.compose(
        ENVIRONMENT | {"ALLOW_UNCONFIRMED": text},
        client=lambda _: None,
        session=None,
        clock=lambda: NOW,
        chance=str,
    )
    assert allowed is service.connect.allow_unconfirmed


@pytest.fixture
def _deployed(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    app.service.cache_clear()
    yield
    app.service.cache_clear()


@pytest.mark.usefixtures("_deployed")
def test_the_deployed_function_answers():
    event = {"routeKey": LINK, "pathParameters": {"token": "t"}}
    answer = app.handler(event | {"headers": {"sec-purpose": "prefetch"}}, None)
    assert (503, "prefetched" in answer["body"]) == (answer["statusCode"], True)


def test_the_link_of_a_page_does_not_show():
    assert "token-1" not in repr(app.About(session=None, token="token-1"))


@pytest.mark.usefixtures("_deployed")
def test_the_deployed_function_keeps_its_limits_and_the_time_of_the_world():
    service = app.service()
    config = service.connect.calendar.queue._client.meta.config
    limits = (AWS_LIMITS.connect_timeout, AWS_LIMITS.read_timeout)
    assert limits == (config.connect_timeout, config.read_timeout)
    assert UTC is service.clock().tzinfo
    session = service.connect.browser.clients._session
    assert isinstance(session, Session)
    assert 1 == session.get_adapter("https://recall.example")._pool_maxsize
    assert 22 == len(service.connect.browser.chance(16))
