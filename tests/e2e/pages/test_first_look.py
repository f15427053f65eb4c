"""The short way through the console: sign in, see how it is, and switch one meeting off."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.pages.conftest import sign_in
from tests.e2e.pages.stage import MEET, Stage

LINK = f"{MEET}nwd-qrtr-rev"
TITLE = "Northwind quarterly review"


def test_sign_in_look_and_switch_one_off(page: Page, stage: Stage) -> None:
    calendar_id = stage.connect(stage.dana, "dana")
    page.goto(f"{stage.url}/console")
    page.get_by_label("API key").fill("rk_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    sign_in(page, stage)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto(f"{stage.url}/console/calendars/{calendar_id}")
    line = page.get_by_role("listitem").filter(has_text=TITLE)
    expect(line).to_contain_text("Will join")
    assert stage.bots_at(LINK) == 1
    line.get_by_role("button", name="Off").click()
    line = page.get_by_role("listitem").filter(has_text=TITLE)
    expect(line).to_contain_text("Won't join")
    stage.until(lambda: stage.bots_at(LINK) == 0, "no bot for what is off")
