"""The page at /play, without a browser: who may play, and what a form does to the world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from infra.local.emulators.clock import VirtualClock
from infra.local.emulators.providers import ProviderWorld
from infra.local.emulators.recall import RecallWorld
from infra.local.play import Play, play_page
from infra.local.product import Backend
from shared.domain.calendar import Platform
from shared.domain.secret import Secret

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HERE = "http://127.0.0.1:8000"
PERSON = {"platform": "google_calendar", "email": "robin@acme.example"}
ACCOUNT = "google_calendar robin@acme.example"
MEETING = {"account": ACCOUNT, "title": "Demo", "starts_in": "60", "minutes": "30", "link": "zoom"}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


@pytest.fixture
def recall(clock: VirtualClock) -> RecallWorld:
    return RecallWorld(clock, api_key="key", webhook_secret="")


@pytest.fixture
def browser(recall: RecallWorld, clock: VirtualClock) -> Client:
    providers = {
        platform: ProviderWorld(
            clock,
            base_url=f"{HERE}/emulators/{platform}",
            platform=platform.value,
            client_id="client",
            client_secret="secret",
            redirect_uris={f"{HERE}/callback"},
        )
        for platform in Platform
    }
    backend = Backend(HERE, Secret("rk_never_used"))
    play = Play(recall, providers=providers, backend=backend, public_url=HERE, clock=clock)
    return Client(Request.application(play_page(play)), Response)


def send(browser: Client, action: str, form: dict[str, str], **headers: str) -> Response:
    return browser.post(f"/play/{action}", base_url=HERE, data=form, headers=headers)


def test_a_meeting_is_made_moved_declined_and_cancelled(
    browser: Client, recall: RecallWorld
) -> None:
    assert send(browser, "person", PERSON).status_code == 303
    assert send(browser, "add", MEETING).status_code == 303
    account = recall.account(Platform.GOOGLE, PERSON["email"])
    ((event_id, stored),) = account.events.items()
    begun = stored.appointment.start
    for what in ("later", "decline", "cancel"):
        form = {"account": ACCOUNT, "event": event_id, "what": what}
        assert send(browser, "change", form).status_code == 303
    found = account.appointment(event_id)
    assert (3600, "declined", True) == (
        (found.start - begun).total_seconds(),
        found.answer,
        found.cancelled,
    )
    page = browser.get("/play", base_url=HERE).text
    assert "Demo" in page
    assert "Cancelled" in page


def test_a_title_is_only_text(browser: Client) -> None:
    send(browser, "person", PERSON)
    send(browser, "add", {**MEETING, "title": "<script>alert(1)</script>"})
    assert "<script>alert" not in browser.get("/play", base_url=HERE).text


def test_the_clock_is_put_forward(browser: Client, clock: VirtualClock) -> None:
    send(browser, "person", PERSON)
    send(browser, "add", MEETING)
    assert "Demo" in browser.get("/play", base_url=HERE).text

    assert send(browser, "jump", {"minutes": "120"}).status_code == 303

    assert NOW + timedelta(hours=2) == clock.now()
    assert "Demo" not in browser.get("/play", base_url=HERE).text


def test_recall_goes_down_and_up(browser: Client, recall: RecallWorld) -> None:
    send(browser, "outage", {"state": "down"})
    assert recall.outage == 503
    send(browser, "outage", {"state": "up"})
    assert recall.outage is None


@pytest.mark.parametrize(
    ("action", "form"),
    [
        ("add", {**MEETING, "starts_in": "soon"}),
        ("add", {**MEETING, "title": " "}),
        ("add", {**MEETING, "account": "google_calendar nobody@acme.example"}),
        ("change", {"account": ACCOUNT, "event": "none", "what": "later"}),
        ("person", {**PERSON, "platform": "paper"}),
        ("person", {**PERSON, "email": "robin"}),
        ("end", {"bot": "none"}),
        ("lose", {"count": "101"}),
        ("jump", {"minutes": "0"}),
        ("jump", {"minutes": "10081"}),
    ],
)
def test_what_makes_no_sense_is_told(browser: Client, action: str, form: dict[str, str]) -> None:
    send(browser, "person", PERSON)
    answer = send(browser, action, form)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Host": "tunnel.example"}],
)
def test_only_this_machine_plays(
    browser: Client, recall: RecallWorld, headers: dict[str, str]
) -> None:
    assert send(browser, "outage", {"state": "down"}, **headers).status_code == 403
    assert recall.outage is None


def test_with_something_real_there_is_nothing_to_play_with() -> None:
    browser = Client(Request.application(play_page(None)), Response)
    assert browser.get("/play", base_url=HERE).status_code == 404
