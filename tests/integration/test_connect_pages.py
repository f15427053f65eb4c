"""Pages around a consent: what will be read, why it did not work, and reconnecting by oneself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest

from functions.console import app as console_app
from functions.oauth import app as oauth_app
from functions.oauth.pages import refusal_page
from shared.domain.calendar import CalendarStatus
from shared.domain.connect import ConnectStatus
from shared.domain.page_link import LinkRefusal
from shared.domain.refusal import Refusal
from shared.flows.connect import connect_url
from shared.pages.texts import TEXTS
from tests.connect_stage import (
    ADA,
    BOB,
    GOOGLE,
    OUTLOOK,
    Answer,
    Browser,
    Stage,
    gateway_event,
    open_stage,
)
from tests.people import Person
from tests.tables import client


@pytest.fixture
def stage() -> Iterator[Stage]:
    with open_stage() as stage:
        yield stage


def about(stage: Stage, token: str) -> Answer:
    event = gateway_event("GET /connect/{token}/about", path=f"/connect/{token}/about")
    event["pathParameters"] = {"token": token}
    return Answer(oauth_app.answer(event, stage.oauth))


def token_of(stage: Stage, **changes: object) -> str:
    return str(stage.start(**changes).json["connect_url"]).rsplit("/", 1)[1]


# Before the consent.


@pytest.mark.parametrize(("platform", "company"), [(GOOGLE, "Google"), (OUTLOOK, "Microsoft")])
def test_the_page_says_what_is_read_and_leads_to_the_provider(
    stage: Stage, platform: str, company: str
) -> None:
    token = token_of(stage, platform=platform)
    answer = about(stage, token)

    assert 200 == answer.status
    for words in ("What we read", "What we do not", "How to stop", f"Continue to {company}"):
        assert words in answer.body
    assert f'href="/connect/{token}"' in answer.body


def test_it_tells_no_other_site_of_the_link(stage: Stage) -> None:
    assert about(stage, token_of(stage)).headers["referrer-policy"] == "no-referrer"


def test_reading_it_does_not_use_the_link_up(stage: Stage) -> None:
    token = token_of(stage)
    for _ in range(3):
        about(stage, token)
    session = stage.stores.sessions.get(token.partition(".")[0])

    assert session is not None
    assert ConnectStatus.CREATED is session.status
    assert 302 == Browser(stage).get(f"https://rollcall.example/connect/{token}").status


def test_an_unknown_or_old_link_says_so(stage: Stage) -> None:
    token = token_of(stage)

    assert 404 == about(stage, "nonsense").status
    stage.pass_time(3_600)
    assert 410 == about(stage, token).status


def test_a_link_whose_session_is_long_gone_has_expired(stage: Stage) -> None:
    url = connect_url(stage.oauth.connect.browser, "cs_" + "a" * 22)
    assert 410 == about(stage, url.rsplit("/", 1)[1]).status


# Why it did not work.


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_says_what_happened_and_what_comes_next(refusal: Refusal) -> None:
    answer = Answer(refusal_page(refusal, status=410))

    assert 410 == answer.status
    for key in (f"refused.{refusal}.title", f"refused.{refusal}", f"refused.{refusal}.next"):
        assert TEXTS[key] in unescape(answer.body)
    assert f"<code>{refusal}</code>" in answer.body
    assert "no-store" == answer.headers["cache-control"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("refusal", LinkRefusal)
def test_so_does_every_refusal_of_a_link(refusal: LinkRefusal) -> None:
    assert {f"refused.{refusal}{part}" for part in ("", ".title", ".next")} <= TEXTS.keys()


@pytest.mark.parametrize(
    ("route", "path", "status"),
    [
        ("GET /connect/{token}", "connect/nonsense", 404),
        ("GET /oauth/{platform}/callback", "oauth/google_calendar/callback", 400),
        ("GET /oauth/{platform}/callback", "oauth/yahoo/callback", 404),
    ],
)
def test_the_statuses_are_as_before(stage: Stage, route: str, path: str, status: int) -> None:
    answer = Browser(stage).get(f"https://rollcall.example/{path}")

    assert status == answer.status, route
    assert "<h1>" in answer.body


def test_a_prefetch_is_put_off_with_words(stage: Stage) -> None:
    token = token_of(stage)
    answer = Browser(stage).get(f"https://rollcall.example/connect/{token}", sec_purpose="prefetch")

    assert 503 == answer.status
    assert "retry-after" in answer.headers
    assert "reload the page" in answer.body


# Reconnecting by oneself.


class Reconnecting:
    """A calendar that was cut off, and its person on their own page."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.calendar_id = str(stage.connect().json["calendar_id"])
        stage.settle(self.calendar_id)
        self.cut_off()
        environment = stage.environment | {"API_KEYS_TABLE": str(stage.tables.api_keys)}
        self.service = console_app.compose(
            environment,
            client=client,
            session=stage.session,
            clock=stage.clock.now,
            chance=stage.calendars.chance,
        )
        self.person = Person(self.service)
        made = stage.call("POST", "/v1/entities/default/u_1/page-link", {})
        self.page = urlsplit(made.json["url"]).path

    def cut_off(self) -> None:
        self.stage.stores.calendars.change(
            self.calendar_id,
            status=CalendarStatus.DISCONNECTED,
            status_reason="invalid_grant",
            updated_at=self.stage.clock.now(),
        )

    @property
    def calendar(self) -> Any:
        return self.stage.stores.calendars.get(self.calendar_id)

    def press(self) -> Answer:
        form = {"calendar": self.calendar_id}
        return self.person.submit(self.page, f"{self.page}/reconnect", form)

    def consent(self, about_path: str, browser: Browser, **answer: Any) -> str:
        """Through the page before the consent and the provider; where the browser lands."""
        link = about_path.removesuffix("/about")
        at_provider = browser.get(f"https://rollcall.example{urlsplit(link).path}")
        home = browser.get(self.stage.consent(at_provider.location, **answer))
        return str(home.location)


@pytest.fixture
def cut(stage: Stage) -> Reconnecting:
    return Reconnecting(stage)


def test_reconnecting_leads_through_the_consent_and_back(cut: Reconnecting) -> None:
    pressed = cut.press()
    assert 303 == pressed.status
    assert pressed.location.endswith("/about")
    (cookie,) = pressed.cookies
    assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/"} <= set(cookie.split("; "))

    landed = cut.consent(pressed.location, Browser(cut.stage))
    assert landed.startswith("https://rollcall.example/my/return?")
    home = cut.person.get(landed)

    assert (303, f"{cut.page}?done=reconnected") == (home.status, home.location)
    assert CalendarStatus.DISCONNECTED is not cut.calendar.status
    assert "connected again" in cut.person.get(home.location).body
    assert "" == cut.person.cookies["__Host-rollcall-page"]


def test_no_stored_row_holds_the_link(cut: Reconnecting) -> None:
    cut.press()
    token = cut.page.rsplit("/", 1)[1]
    rows = client("dynamodb").scan(TableName=cut.stage.tables.sessions)["Items"]

    assert 2 <= len(rows)
    assert token not in str(rows)


def test_the_consent_of_another_browser_ends_nowhere(cut: Reconnecting) -> None:
    landed = cut.consent(cut.press().location, Browser(cut.stage))
    stranger = Person(cut.service)
    answer = stranger.get(landed)

    assert 400 == answer.status
    assert "wrong_browser" in answer.body
    assert CalendarStatus.DISCONNECTED is cut.calendar.status


def test_another_session_s_code_ends_nowhere(cut: Reconnecting) -> None:
    cut.press()
    answer = cut.person.get("/my/return?session_id=cs_0123456789abcdefghijkl&completion_code=x")

    assert 400 == answer.status


def test_a_wrong_code_is_said_on_the_page(cut: Reconnecting) -> None:
    landed = cut.consent(cut.press().location, Browser(cut.stage))
    home = cut.person.get(re.sub(r"completion_code=[^&]+", "completion_code=wrong", landed))

    assert "problem=completion_code_invalid" in home.location
    assert "not the one we gave out" in cut.person.get(home.location).body


def test_another_account_is_not_taken(cut: Reconnecting) -> None:
    landed = cut.consent(cut.press().location, Browser(cut.stage), email=BOB)
    home = cut.person.get(landed)

    assert "problem=account_mismatch" in home.location
    assert ADA == cut.calendar.email
    assert CalendarStatus.DISCONNECTED is cut.calendar.status


def test_another_account_is_connected_where_the_link_says_so(cut: Reconnecting) -> None:
    made = cut.stage.call("POST", "/v1/entities/default/u_1/page-link", {"connect": True})
    page = urlsplit(made.json["url"]).path
    assert "Connect Google Calendar" in cut.person.get(page).body

    pressed = cut.person.submit(page, f"{page}/connect", {"platform": GOOGLE})
    assert pressed.location.endswith("/about")
    home = cut.person.get(cut.consent(pressed.location, Browser(cut.stage), email=BOB))

    assert (303, f"{page}?done=connected") == (home.status, home.location)
    shown = cut.person.get(home.location).body
    assert "The calendar is connected." in shown
    assert BOB in shown
    found = cut.stage.stores.calendars.find(tenant_id="default", entity_id="u_1").items
    assert {ADA, BOB} == {each.email for each in found}


def test_an_account_that_is_here_already_is_connected_again(cut: Reconnecting) -> None:
    made = cut.stage.call("POST", "/v1/entities/default/u_1/page-link", {"connect": True})
    page = urlsplit(made.json["url"]).path
    pressed = cut.person.submit(page, f"{page}/connect", {"platform": GOOGLE})
    home = cut.person.get(cut.consent(pressed.location, Browser(cut.stage)))

    assert f"{page}?done=reconnected" == home.location
    found = cut.stage.stores.calendars.find(tenant_id="default", entity_id="u_1").items
    assert [cut.calendar_id] == [each.calendar_id for each in found]


def test_any_other_link_connects_nothing(cut: Reconnecting) -> None:
    assert "Connect Google Calendar" not in cut.person.get(cut.page).body
    answer = cut.person.submit(cut.page, f"{cut.page}/connect", {"platform": GOOGLE})

    assert (403, True) == (answer.status, "connect_not_offered" in answer.body)


@pytest.mark.parametrize("platform", ["", "yahoo"])
def test_only_what_the_stack_offers_is_connected(cut: Reconnecting, platform: str) -> None:
    made = cut.stage.call("POST", "/v1/entities/default/u_1/page-link", {"connect": True})
    page = urlsplit(made.json["url"]).path

    assert 400 == cut.person.submit(page, f"{page}/connect", {"platform": platform}).status


def test_a_connected_calendar_is_not_reconnected(cut: Reconnecting) -> None:
    seal = re.search(r'name="csrf" value="([^"]+)"', cut.person.get(cut.page).body)
    assert seal is not None
    cut.stage.stores.calendars.change(
        cut.calendar_id,
        status=CalendarStatus.CONNECTED,
        status_reason=None,
        updated_at=cut.stage.clock.now(),
    )
    form = {"csrf": seal[1], "calendar": cut.calendar_id}
    answer = cut.person.send(f"{cut.page}/reconnect", form)

    assert (409, True) == (answer.status, "not_reconnectable" in answer.body)


def test_disconnecting_takes_the_grant_back(cut: Reconnecting) -> None:
    path = f"{cut.page}/disconnect"
    answer = cut.person.submit(cut.page, path, {"calendar": cut.calendar_id})

    assert 303 == answer.status
    assert cut.calendar is None
