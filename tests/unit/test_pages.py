"""The kit of pages: texts for every code, templates that escape, files, requests, charts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter

import pytest

from shared.domain.bot_state import _PHASES, _RECORDING
from shared.domain.calendar import CalendarStatus, Platform
from shared.domain.decision import REASONS
from shared.domain.drift import Drift
from shared.domain.event import Answer
from shared.domain.rules import Choice, Scheduling
from shared.domain.secret import Secret
from shared.domain.signed import is_seal_of, open_signed, seal_of, sign
from shared.entrypoints.rules_body import RulesBody
from shared.errors import CallerError
from shared.pages.chart import HEIGHT, WIDTH, Point, bars
from shared.pages.headers import page_headers
from shared.pages.kit import OWN, Kit, span
from shared.pages.static import address_of, static_answer
from shared.pages.texts import TEXTS, because, text, words
from shared.pages.web import Request, Routes, page_answer, read_request

ROOT = Path(__file__).parents[2]
NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
SECRET = Secret("s" * 40)
HOSTILE = "<script>\"'&"


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("join", [True, False])
def test_every_reason_has_words(reason: str, join: bool) -> None:
    found = because(reason, join=join)

    assert found != reason
    assert not found.endswith(".")


def test_no_reason_has_words_that_nobody_can_give() -> None:
    told = {key.removeprefix("reason.") for key in TEXTS if key.startswith("reason.")}
    codes = {re.sub(r"\.(join|skip)$", "", each) for each in told}

    assert codes == set(REASONS)


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("state", _PHASES),
        ("recording", _RECORDING),
        ("status", CalendarStatus),
        ("platform", Platform),
        ("drift", Drift),
        ("answer", Answer),
        ("by", Scheduling),
        ("rules.field", RulesBody.model_fields),
    ],
)
def test_every_code_of_ours_has_words(kind: str, codes: object) -> None:
    assert [] == [code for code in codes if f"{kind}.{code}" not in TEXTS]


def test_choices_have_words() -> None:
    assert {"on", "auto", "off"} == {text(choice.value).lower() for choice in Choice}


def test_a_code_that_nobody_knows_is_shown_as_it_is() -> None:
    assert "brand_new" == words("state", "brand_new")
    assert "" == words("state", None)


def test_one_is_told_in_the_singular() -> None:
    assert text("overview.problem.missed.one") == text("overview.problem.missed", count=1)
    assert "2" in text("overview.problem.missed", count=2)


def test_templates_ask_only_for_texts_that_exist() -> None:
    folders = (OWN, ROOT / "functions" / "console" / "templates")
    asked = {
        key
        for folder in folders
        for path in folder.glob("*.html")
        for key in re.findall(r"""\bt\(["']([\w.]+)["'][,)]""", path.read_text())
    }

    assert len(asked) > 100
    assert asked <= set(TEXTS)


def test_templates_hold_no_style_script_or_unescaped_value() -> None:
    for path in (*OWN.glob("*.html"), *(ROOT / "functions/console/templates").glob("*.html")):
        source = path.read_text()

        assert not re.search(r"\|\s*safe|autoescape|style=|<style|\son\w+=", source), path.name
        assert not re.search(r"<script(?! src=)", source), path.name


def test_texts_are_plain() -> None:
    for key, value in TEXTS.items():
        if key != "rules.field.bot":
            names = {name for _, name, _, _ in Formatter().parse(value) if name is not None}
            assert all(names), key
        assert "<" not in value, key


def test_values_are_escaped_and_missing_ones_are_an_error() -> None:
    kit = Kit()
    body = kit.render(
        "message.html", title=HOSTILE, sentence=HOSTILE, code=HOSTILE, next=HOSTILE, link=None
    )

    assert "<script>" not in body
    assert 5 == body.count("&lt;script&gt;&#34;&#39;&amp;")
    with pytest.raises(Exception, match="undefined"):
        kit.render("message.html", title="t")


def test_a_file_is_served_under_the_hash_of_its_content() -> None:
    address = address_of("pages.css")
    answer = static_answer(address.removeprefix("/pages/"))

    assert re.fullmatch(r"/pages/pages\.[0-9a-f]{12}\.css", address)
    assert (200, "text/css; charset=utf-8") == (answer.status, answer.headers["content-type"])
    assert 404 == static_answer("pages.css").status


def test_a_page_may_be_framed_where_that_is_said() -> None:
    headers = page_headers(
        framed_by=("https://host.example",), forms_lead_to=("https://accounts.google.com",)
    )
    policy = headers["content-security-policy"].split("; ")

    assert "frame-ancestors https://host.example" in policy
    assert "form-action 'self' https://accounts.google.com" in policy


def test_a_token_is_good_for_its_purpose_and_time() -> None:
    token = sign(
        {"a": "b"}, purpose="p", link_secret=SECRET, expires_at=NOW + timedelta(minutes=1)
    ).reveal()
    more = {"purpose": "p", "link_secret": SECRET, "now": NOW}

    assert {"a": "b"} == open_signed(token, **more)
    assert open_signed(token, **more | {"purpose": "q"}) is None
    assert open_signed(token, **more | {"link_secret": Secret("other")}) is None
    assert open_signed(token, **more | {"now": NOW + timedelta(minutes=1)}) is None


@pytest.mark.parametrize(
    "change", [lambda token: token[:-1], lambda token: f"x{token}", lambda _: "", lambda _: "."]
)
def test_a_token_that_was_touched_is_refused(change) -> None:
    token = sign(
        {"a": "b"}, purpose="p", link_secret=SECRET, expires_at=NOW + timedelta(minutes=1)
    ).reveal()

    assert open_signed(change(token), purpose="p", link_secret=SECRET, now=NOW) is None


def test_a_seal_fits_its_text() -> None:
    seal = seal_of("text", purpose="p", link_secret=SECRET)

    assert is_seal_of(seal, "text", purpose="p", link_secret=SECRET)
    assert not is_seal_of(seal, "other", purpose="p", link_secret=SECRET)
    assert not is_seal_of("é", "text", purpose="p", link_secret=SECRET)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "60 min"), (7200, "2 h"), (200_000, "2 days")],
)
def test_lengths_of_time(seconds: int, said: str) -> None:
    assert said == span(timedelta(seconds=seconds))


def test_bars_fill_the_chart() -> None:
    found = bars([Point(label=str(n), whole=n, part=n // 2) for n in range(5)])

    assert WIDTH == pytest.approx(found[-1].x + found[-1].width, abs=0.1)
    assert HEIGHT == max(bar.height for bar in found)
    assert all(bar.filled <= bar.height for bar in found)
    assert () == bars([])


def test_routes_know_paths_and_methods() -> None:
    routes = Routes()
    routes.get("/a/{name}")(lambda request: page_answer(request.given["name"]))
    page, given = routes.find(_request("GET", "/a/b"))

    assert {"name": "b"} == given
    assert routes.find(_request("GET", "/a/b/c")) is None
    with pytest.raises(CallerError, match="Not like this"):
        routes.find(_request("POST", "/a/b"))
    assert "b" == page(_request("GET", "/a/b").with_given(given)).body


def _request(method: str, path: str) -> Request:
    return read_request({"requestContext": {"http": {"method": method, "path": path}}})
