"""An operator in the console: connect, look up, switch, change rules; and what is refused."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.pages.conftest import Browser, sign_in, visit, watched
from tests.e2e.pages.stage import DANA, GUEST, MEET, TITLE_OF_REVIEW, Stage

pytestmark = pytest.mark.full
LINK = f"{MEET}nwd-qrtr-rev"


def connect_by_clicks(page: Page, stage: Stage) -> str:
    """Connect link, consent page, and the product's backend at the end of it."""
    if DANA in stage.calendars:
        return stage.calendars[DANA]
    session = stage.connect_session("dana")
    page.goto(f"{session['connect_url']}/about")
    page.get_by_role("link", name="Continue to Google").click()
    page.get_by_text("Dana Doe").click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{stage.url}/?*")
    code = page.evaluate("new URLSearchParams(location.search).get('completion_code')")
    path = f"/v1/connect-sessions/{session['session_id']}/complete"
    calendar = stage.api("POST", path, {"completion_code": code})
    stage.calendars[DANA] = calendar["calendar_id"]
    stage.until(lambda: stage.settled(calendar["calendar_id"]), "meetings that are decided")
    return str(calendar["calendar_id"])


@pytest.fixture
def calendar(page: Page, stage: Stage) -> str:
    return connect_by_clicks(page, stage)


def test_a_wrong_key_opens_nothing(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/console/calendars")
    expect(page).to_have_url(f"{stage.url}/console/sign-in")
    page.get_by_label("API key").fill("rk_not_one_of_ours")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.goto(f"{stage.url}/console")
    expect(page).to_have_url(f"{stage.url}/console/sign-in")


def test_connected_meetings_say_what_was_decided_and_why(
    page: Page, stage: Stage, calendar: str
) -> None:
    sign_in(page, stage)
    page.get_by_role("link", name="Calendars", exact=True).click()
    page.get_by_role("row").filter(has_text=DANA).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(DANA)
    for title, verdict in (
        (TITLE_OF_REVIEW, "Will join"),
        ("Salary talk", "Won't join"),
        ("All hands", "Won't join"),
        ("Focus time", "Won't join"),
        ("Lunch with Sam", "Won't join"),
    ):
        expect(page.get_by_role("listitem").filter(has_text=title)).to_contain_text(verdict)
    page.get_by_role("link", name="Salary talk").click()
    expect(page.locator("main")).to_contain_text("denied.private")


def test_off_and_back_by_clicks_and_the_bot_follows(
    page: Page, stage: Stage, calendar: str
) -> None:
    sign_in(page, stage)
    page.goto(f"{stage.url}/console/calendars/{calendar}")
    line = page.get_by_role("listitem").filter(has_text=TITLE_OF_REVIEW)
    line.get_by_role("button", name="Off").click()
    expect(line).to_contain_text("Won't join")
    stage.until(lambda: stage.bots_at(LINK) == 0, "no bot for what is off")
    line.get_by_role("button", name="Auto").click()
    expect(line).to_contain_text("Will join")
    stage.until(lambda: stage.bots_at(LINK) == 1, "the bot again")


def test_why_no_bot_is_told_for_a_pasted_link(page: Page, stage: Stage, calendar: str) -> None:
    sign_in(page, stage)
    page.get_by_label("Meeting link").fill(f"{MEET}sal-aryt-alk")
    page.get_by_role("button", name="Look up").click()
    expect(page.locator("main")).to_contain_text("Salary talk")
    expect(page.locator("main")).to_contain_text("Won't join")
    page.goto(f"{stage.url}/console")
    page.get_by_label("Meeting link").fill(f"{MEET}nobody-has-this")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing found")


def test_rules_are_shown_as_a_difference_before_they_are_saved(
    page: Page, stage: Stage, calendar: str
) -> None:
    sign_in(page, stage)
    page.goto(f"{stage.url}/console/rules?tenant_id=acme")
    page.get_by_label("Rules as JSON").fill('{"exclude": {"keywords": ["review"]}, "bas": 1}')
    page.get_by_role("button", name="Show the difference").click()
    expect(page.get_by_role("alert")).to_contain_text("bas")
    page.get_by_label("Rules as JSON").fill('{"exclude": {"keywords": ["review"]}}')
    page.get_by_role("button", name="Show the difference").click()
    expect(page.locator("main")).to_contain_text(TITLE_OF_REVIEW)
    assert stage.bots_at(LINK) == 1, "a look changes nothing"
    page.get_by_role("button", name="Save these rules").click()
    expect(page.get_by_role("status").first).to_contain_text("Saved")
    stage.until(lambda: stage.bots_at(LINK) == 0, "no bot for what the rules exclude")
    page.get_by_label("Rules as JSON").fill("{}")
    page.get_by_role("button", name="Show the difference").click()
    page.get_by_role("button", name="Save these rules").click()
    stage.until(lambda: stage.bots_at(LINK) == 1, "the bot again")


def test_a_form_without_its_token_changes_nothing(page: Page, stage: Stage, calendar: str) -> None:
    sign_in(page, stage)
    meeting = stage.meeting(TITLE_OF_REVIEW)
    form = {"calendar_id": calendar, "choice": "off", "scope": "occurrence"}
    path = f"{stage.url}/console/meetings/{meeting['event_id']}/override"
    for csrf in ({}, {"csrf": "0" * 64}):
        answer = page.request.post(path, form={**form, **csrf})
        assert answer.status == 403
    assert stage.meeting(TITLE_OF_REVIEW)["override"] == "auto"


def test_after_signing_out_the_console_is_shut(page: Page, stage: Stage) -> None:
    sign_in(page, stage)
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{stage.url}/console")
    expect(page).to_have_url(f"{stage.url}/console/sign-in")


def test_everything_works_without_scripts(browser: Browser, stage: Stage) -> None:
    with visit(browser, java_script_enabled=False) as context:
        page = context.new_page()
        faults = watched(page)
        calendar = stage.calendars.get(DANA) or stage.connect(stage.dana, "dana")
        sign_in(page, stage)
        page.goto(f"{stage.url}/console/calendars/{calendar}")
        line = page.get_by_role("listitem").filter(has_text="Design review")
        expect(line).to_contain_text("08:00")  # UTC, for nobody told the zone
        line.get_by_role("button", name="Off").click()
        expect(page.get_by_role("status").first).to_contain_text("Switched off")
        link = f"{MEET}dsg-nrev-iew"
        stage.until(lambda: stage.bots_at(link) == 0, "no bot for what is off")
        page.goto(stage.page_link("dana"))
        line = page.get_by_role("listitem").filter(has_text="Design review")
        line.get_by_role("button", name="Auto").first.click()
        stage.until(lambda: stage.bots_at(link) == 1, "the bot again")
        assert not faults


DAYS = """() => [...document.querySelectorAll("section[data-day]")].map((each) => [
  each.querySelector("h2").textContent,
  new Set([...each.querySelectorAll("li.meeting")].map((line) =>
    new Date(line.querySelector("time").dateTime).toDateString())).size,
  each.querySelectorAll("li.meeting").length])"""


def test_days_are_those_of_the_viewer(browser: Browser, stage: Stage) -> None:
    """Eight to eleven o'clock UTC is the evening in Auckland, and what follows the next day."""
    calendar = stage.calendars.get(DANA) or stage.connect(stage.dana, "dana")
    with visit(browser, timezone_id="Pacific/Auckland") as context:
        page = context.new_page()
        faults = watched(page)
        sign_in(page, stage)
        page.goto(f"{stage.url}/console/calendars/{calendar}")
        days = page.evaluate(DAYS)
        assert [1, 1, 1] == [dates for _, dates, _ in days]
        assert [3, 6, 1] == [lines for *_, lines in days]
        assert not any("UTC" in heading for heading, *_ in days)
        card = page.get_by_role("region", name=days[1][0])
        expect(card).to_contain_text("Salary talk")
        card.get_by_role("listitem").filter(has_text="Salary talk").get_by_role(
            "button", name="Auto"
        ).click()
        expect(page.get_by_role("status").first).to_contain_text("The rules decide again")
        assert days == page.evaluate(DAYS)
        assert not faults


def test_days_say_utc_where_no_script_tells_the_zone(browser: Browser, stage: Stage) -> None:
    calendar = stage.calendars.get(DANA) or stage.connect(stage.dana, "dana")
    with visit(browser, java_script_enabled=False) as context:
        page = context.new_page()
        sign_in(page, stage)
        page.goto(f"{stage.url}/console/calendars/{calendar}")
        headings = page.locator("section[data-day] h2").all_text_contents()
        assert 2 == len(headings)
        assert all(heading.endswith(" UTC") for heading in headings)


def test_somebody_invited_is_named_but_never_linked(
    page: Page, stage: Stage, calendar: str
) -> None:
    sign_in(page, stage)
    page.goto(f"{stage.url}/console/meetings/{stage.meeting(TITLE_OF_REVIEW)['event_id']}")
    page.locator("summary").filter(has_text="invited").click()
    expect(page.locator("main")).to_contain_text(GUEST)
    assert page.locator(f"main a[href*='{MEET}']").count() == 0
