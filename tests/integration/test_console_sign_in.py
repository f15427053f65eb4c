"""Signing in to the console, its refusals, and what every page tells the browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from moto import mock_aws

from functions.console import app
from functions.console.session import FORM_PURPOSE, PURPOSE
from shared.domain.secret import Secret
from shared.domain.signed import seal_of, sign
from tests.console import KEY, ConsoleBrowser, let_in
from tests.stack import START, Stack

OTHER = Secret("rk_another_key_of_the_console_456789abcdefghi")
PUBLIC = "https://rollcall.example"


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws():
        stack = Stack()
        let_in(stack.stores.api_keys, now=START)
        yield stack


@pytest.fixture
def browser(stack: Stack) -> ConsoleBrowser:
    environment = stack.environment | {
        "API_KEYS_TABLE": str(stack.tables.api_keys),
        "PUBLIC_URL": PUBLIC,
    }
    return ConsoleBrowser(app.compose(environment, **stack._given()))


def test_without_a_session_every_page_asks_to_sign_in(browser: ConsoleBrowser) -> None:
    answer = browser.get("/console")

    assert (303, "/console/sign-in") == (answer.status, answer.location)


def test_a_good_key_opens_the_console(browser: ConsoleBrowser) -> None:
    answer = browser.sign_in()

    assert (303, "/console") == (answer.status, answer.location)
    assert 200 == browser.get("/console").status


def test_the_cookie_is_kept_from_scripts_and_other_sites(browser: ConsoleBrowser) -> None:
    (cookie,) = browser.sign_in().cookies

    assert cookie.startswith("__Host-console=")
    assert {"Path=/", "Max-Age=3600", "HttpOnly", "Secure", "SameSite=Strict"} <= set(
        cookie.split("; ")
    )
    assert KEY.reveal() not in cookie


def test_on_plain_loopback_the_cookie_does_without_secure(browser: ConsoleBrowser) -> None:
    local = replace(browser.service, public_url="http://127.0.0.1:8000")
    (cookie,) = ConsoleBrowser(local).sign_in().cookies

    assert cookie.startswith("console=")
    assert "Secure" not in cookie


@pytest.mark.parametrize("key", ["", "   ", "rk_unknown", "é" * 20, "k" * 2000])
def test_a_wrong_key_is_refused_without_echo(browser: ConsoleBrowser, key: str) -> None:
    answer = browser.send("/console/sign-in", {"key": key})

    assert 403 == answer.status
    assert "unknown or was revoked" in answer.body
    assert not answer.cookies
    assert len(key.strip()) == 0 or key not in answer.body


def test_a_revoked_key_is_refused(browser: ConsoleBrowser, stack: Stack) -> None:
    let_in(stack.stores.api_keys, OTHER, now=START, revoked_at=START)

    assert 403 == browser.sign_in(OTHER).status


def test_a_key_that_may_not_read_is_refused(browser: ConsoleBrowser, stack: Stack) -> None:
    let_in(stack.stores.api_keys, OTHER, now=START, scopes=frozenset({"write"}))
    answer = browser.sign_in(OTHER)

    assert 403 == answer.status
    assert "lacks the scope" in answer.body


def test_a_key_revoked_meanwhile_is_out_at_once(browser: ConsoleBrowser, stack: Stack) -> None:
    browser.sign_in()
    let_in(stack.stores.api_keys, now=START, revoked_at=START)
    answer = browser.get("/console")

    assert (303, "/console/sign-in?over=1") == (answer.status, answer.location)
    assert "The session is over" in browser.get(answer.location).body


def test_a_session_lasts_an_hour(browser: ConsoleBrowser, stack: Stack) -> None:
    browser.sign_in()
    stack.clock.advance(timedelta(minutes=59, seconds=59))
    assert 200 == browser.get("/console").status
    stack.clock.advance(timedelta(seconds=1))

    assert 303 == browser.get("/console").status


def test_signing_out_forgets(browser: ConsoleBrowser) -> None:
    browser.sign_in()
    answer = browser.send("/console/sign-out")

    assert ["__Host-console=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"] == (
        answer.cookies
    )
    assert 303 == browser.get("/console").status


@pytest.mark.parametrize(
    "forged",
    [
        "nonsense",
        "a.b",
        ".",
        "é.é",
        "x" * 5000,
        sign(
            {"key": "0" * 12},
            purpose=PURPOSE,
            link_secret=Secret("guessed"),
            expires_at=START + timedelta(hours=1),
        ).reveal(),
        sign(
            {"key": "0" * 12},
            purpose="my-meetings",
            link_secret=Secret("l" * 43),
            expires_at=START + timedelta(hours=1),
        ).reveal(),
    ],
)
def test_a_forged_cookie_opens_nothing(browser: ConsoleBrowser, forged: str) -> None:
    browser.cookies["__Host-console"] = forged

    assert 303 == browser.get("/console").status


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_forms_of_other_sites_change_nothing(
    browser: ConsoleBrowser, headers: dict[str, str]
) -> None:
    answer = browser.send("/console/sign-in", {"key": KEY.reveal()}, **headers)

    assert 403 == answer.status
    assert not answer.cookies


def test_a_form_of_our_own_page_is_taken(browser: ConsoleBrowser) -> None:
    own = {"sec_fetch_site": "same-origin", "origin": PUBLIC}

    assert 303 == browser.send("/console/sign-in", {"key": KEY.reveal()}, **own).status


@pytest.mark.parametrize("path", ["/console/sign-in", "/console", "/console/nowhere"])
def test_every_page_tells_the_browser_what_to_refuse(browser: ConsoleBrowser, path: str) -> None:
    browser.sign_in()
    answer = browser.get(path)
    policy = answer.headers["content-security-policy"].split("; ")

    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert not [each for each in policy if "unsafe" in each]
    assert "no-store" == answer.headers["cache-control"]
    assert "nosniff" == answer.headers["x-content-type-options"]
    assert "same-origin" == answer.headers["referrer-policy"]
    assert "style=" not in answer.body
    assert "<script>" not in answer.body
    assert " on" not in {each[:3] for each in answer.body.split("<button")}


def test_unknown_pages_and_wrong_methods_say_so(browser: ConsoleBrowser) -> None:
    assert 404 == browser.get("/console/nowhere").status
    assert 405 == browser.send("/console").status


def test_files_keep_for_a_year_under_the_name_of_their_content(browser: ConsoleBrowser) -> None:
    body = browser.get("/console/sign-in").body
    for address in (part.split('"')[0] for part in body.split('="/pages/')[1:]):
        answer = browser.get(f"/pages/{address}")

        assert 200 == answer.status
        assert "immutable" in answer.headers["cache-control"]
    assert 404 == browser.get("/pages/pages.000000000000.css").status
    assert 404 == browser.get("/pages/..").status


@pytest.mark.parametrize("body", ["%zz=%ff", "a=1&" * 60, "key=" + "k" * 70_000])
def test_a_form_that_cannot_be_read_is_refused(browser: ConsoleBrowser, body: str) -> None:
    answer = browser._ask("POST", "/console/sign-in", headers={}, body=body)

    assert answer.status in {400, 403, 413}


def test_a_seal_is_good_for_its_purpose_and_text_alone() -> None:
    secret = Secret("l" * 43)
    seal = seal_of("text", purpose=FORM_PURPOSE, link_secret=secret)

    assert seal != seal_of("text", purpose=PURPOSE, link_secret=secret)
    assert seal != seal_of("other", purpose=FORM_PURPOSE, link_secret=secret)
