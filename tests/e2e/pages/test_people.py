"""People with a link: their own page, opting out, and the errors of connecting a calendar."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from shared.domain.calendar import Platform
from shared.domain.connect import LINK_LIFE
from tests.e2e.pages.stage import DANA, MEET, SAM, TITLE_OF_REVIEW, Stage

pytestmark = pytest.mark.full
LINK = f"{MEET}nwd-qrtr-rev"


@pytest.fixture
def dana(stage: Stage) -> str:
    """Dana's own link."""
    if DANA not in stage.calendars:
        stage.connect(stage.dana, "dana")
    return stage.page_link("dana")


def test_one_click_switches_a_meeting_off(page: Page, stage: Stage, dana: str) -> None:
    page.goto(dana)
    line = page.get_by_role("listitem").filter(has_text=TITLE_OF_REVIEW)
    expect(line).to_contain_text("Will join")
    expect(line).to_contain_text("09:00")  # in Berlin, where this browser is
    line.get_by_role("button", name="Off").click()
    expect(page.get_by_role("status").first).to_contain_text("Switched off")
    stage.until(lambda: stage.bots_at(LINK) == 0, "no bot for what is off")
    line = page.get_by_role("listitem").filter(has_text=TITLE_OF_REVIEW)
    line.get_by_role("button", name="Auto").click()
    stage.until(lambda: stage.bots_at(LINK) == 1, "the bot again")


def test_a_whole_series_is_switched_off_at_once(page: Page, stage: Stage, dana: str) -> None:
    page.goto(dana)
    line = page.get_by_role("listitem").filter(has_text="Standup").first
    line.locator("summary").click()
    series = line.get_by_role("group").filter(has=page.locator("[value^='series']"))
    series.get_by_role("button", name="Off").click()
    expect(page.get_by_role("status").first).to_contain_text("whole series")
    standup = "https://acme.zoom.us/j/91000000001"
    stage.until(lambda: stage.bots_at(standup) == 0, "no bot in the series")


def test_a_form_without_its_token_changes_nothing(page: Page, stage: Stage, dana: str) -> None:
    meeting = stage.meeting(TITLE_OF_REVIEW)
    word = f"occurrence off {meeting['calendar_id']} {meeting['event_id']}"
    answer = page.request.post(f"{dana}/override", form={"word": word})
    assert answer.status == 403
    answer = page.request.post(stage.opt_out_link(TITLE_OF_REVIEW), form={"word": "out"})
    assert answer.status == 403
    assert stage.bots_at(LINK) == 1


def test_somebody_invited_opts_out_and_comes_back(page: Page, stage: Stage, dana: str) -> None:
    del dana
    page.goto(stage.opt_out_link(TITLE_OF_REVIEW))
    assert stage.bots_at(LINK) == 1, "a look changes nothing"
    page.get_by_role("button", name="Opt out").click()
    expect(page.get_by_role("status").first).to_be_visible()
    stage.until(lambda: stage.bots_at(LINK) == 0, "no bot where somebody opted out")
    page.get_by_role("button", name="Take it back").click()
    stage.until(lambda: stage.bots_at(LINK) == 1, "the bot again")


def test_links_that_are_none_say_what_to_do(page: Page, stage: Stage, dana: str) -> None:
    for path in ("/my/none-of-ours", "/opt-out/none-of-ours", "/connect/none-of-ours/about"):
        answer = page.goto(stage.url + path)
        assert answer is not None
        assert answer.status == 404
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    answer = page.goto(dana[:-4] + "AAAA")
    assert answer is not None
    assert answer.status == 404


def test_a_refused_consent_leads_back_with_its_reason(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.connect_url('robin')}/about")
    page.get_by_role("link", name="Continue to Google").click()
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_url("**/?*error=consent_refused*")


def test_a_box_that_was_not_ticked_is_told_to_the_product(page: Page, stage: Stage) -> None:
    session = stage.connect_session("robin")
    page.goto(f"{session['connect_url']}/about")
    page.get_by_role("link", name="Continue to Google").click()
    page.get_by_text("Dana Doe").click()
    for box in page.get_by_role("checkbox").all():
        box.uncheck()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url("**/?*completion_code=*")
    code = page.evaluate("new URLSearchParams(location.search).get('completion_code')")
    path = f"{stage.url}/v1/connect-sessions/{session['session_id']}/complete"
    key = {"Authorization": f"Bearer {stage.host.api_key.reveal()}"}
    answer = page.request.post(path, data={"completion_code": code}, headers=key)
    assert answer.json()["code"] == "scope_missing"


def test_a_link_that_was_used_says_so(page: Page, stage: Stage) -> None:
    link = stage.connect_url("robin", Platform.MICROSOFT)
    page.goto(f"{link}/about")
    page.get_by_role("link", name="Continue to Microsoft").click()
    page.get_by_text("Sam Sample").click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url("**/?*completion_code=*")
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("This link was already used")


def test_a_link_that_is_too_old_says_so(page: Page, stage: Stage) -> None:
    session = stage.connect_session("robin")
    sessions = stage.stores().sessions
    stored = sessions.get(session["session_id"])
    assert stored is not None
    sessions.save(replace(stored, created_at=stored.created_at - LINK_LIFE))
    page.goto(session["connect_url"])
    expect(page.get_by_role("heading", level=1)).to_have_text("This link has expired")


def test_an_answer_that_nobody_asked_for_gets_a_page(page: Page, stage: Stage) -> None:
    answer = page.goto(f"{stage.url}/oauth/google/callback?state=unknown&code=made-up")
    assert answer is not None
    assert answer.status >= 400
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_another_calendar_is_connected_from_the_page(page: Page, stage: Stage, dana: str) -> None:
    del dana
    page.goto(stage.page_link("dana", connect=True))
    page.get_by_role("button", name="Connect Outlook Calendar").click()
    page.get_by_role("link", name="Continue to Microsoft").click()
    page.get_by_text("Sam Sample").click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url("**/my/*?done=connected")
    expect(page.get_by_role("status").first).to_contain_text("The calendar is connected")
    row = page.get_by_role("region", name="Calendars").get_by_role("listitem").filter(has_text=SAM)
    expect(row).to_contain_text("Outlook Calendar")
    stage.until(lambda: connected(stage, SAM), "a second calendar that is connected")
    page.reload()
    row.get_by_role("link", name="Disconnect").click()
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("status").first).to_contain_text("disconnected")


def test_somebody_cut_off_reconnects(page: Page, stage: Stage, dana: str) -> None:
    stage.dana.revoke_grant()
    stage.until(lambda: not connected(stage, DANA), "a calendar that is cut off")
    page.goto(dana)
    expect(page.get_by_role("alert")).to_contain_text("is disconnected")
    page.get_by_role("button", name="Reconnect").click()
    page.get_by_role("link", name="Continue to Google").click()
    page.get_by_text("Dana Doe").click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url("**/my/*?done=reconnected")
    expect(page.get_by_role("status").first).to_contain_text("connected again")
    stage.until(lambda: connected(stage, DANA), "a calendar that is connected again")
    stage.until(lambda: stage.bots_at(LINK) == 1, "its bots again")


def connected(stage: Stage, email: str) -> bool:
    shown = stage.api("GET", "/v1/calendars?tenant_id=acme")["items"]
    return any(each["email"] == email and each["status"] == "connected" for each in shown)


def test_disconnecting_is_asked_again_and_done(page: Page, stage: Stage, dana: str) -> None:
    page.goto(dana)
    page.get_by_role("link", name="Disconnect").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Disconnect")
    page.get_by_role("link", name="Keep").click()
    assert stage.bots_at(LINK) == 1
    page.get_by_role("link", name="Disconnect").click()
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("status").first).to_contain_text("disconnected")
    stage.until(lambda: not stage.recall.live_bots(), "no bot of a calendar that is gone")
    del stage.calendars[DANA]
