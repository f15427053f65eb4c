"""The page at /play: whatever happens outside, the bots follow, and the page says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.pages.conftest import sign_in
from tests.e2e.pages.stage import DANA, PARTNER, Stage

pytestmark = pytest.mark.full
MAIL = "robin@acme.example"


def test_a_day_with_somebody_new(page: Page, stage: Stage) -> None:
    page.goto(stage.url)
    page.get_by_role("link", name="Play the outside world").click()
    page.get_by_label("E-mail").fill(MAIL)
    page.get_by_label("Name").fill("Robin Roe")
    page.get_by_role("button", name="Make an account").click()
    card = page.get_by_role("region", name=MAIL)
    card.get_by_role("button", name="Connect the calendar").click()
    page.get_by_role("link", name="Continue to Google").click()
    page.get_by_text("Robin Roe").click()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("status").first).to_contain_text("Connected")
    card.locator("summary").click()
    card.get_by_label("Title").fill("Played by hand")
    card.get_by_role("button", name="Add").click()
    (link,) = [each.appointment.link for each in account(stage).events.values()]
    assert link is not None
    stage.until(lambda: stage.bots_at(link) == 1, "a bot for the new meeting")
    for button, bots in (("Decline", 0), ("Accept", 1), ("Cancel", 0), ("Restore", 1)):
        card.get_by_role("button", name=button, exact=True).click()
        stage.until(lambda: stage.bots_at(link) == bots, f"{bots} bots after {button}")  # noqa: B023
    page.get_by_role("button", name="Lose the next ones").click()
    card.get_by_role("button", name="1 day later").click()
    soon = datetime.now(UTC) + timedelta(hours=23)
    stage.until(
        lambda: any(bot.join_at > soon for bot in stage.recall.live_bots()), "the bot a day later"
    )
    card.get_by_role("button", name="Open my page").click()
    expect(page.get_by_role("listitem").filter(has_text="Played by hand")).to_be_visible()


def test_recall_goes_down_and_comes_back(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/play")
    page.get_by_role("button", name="Take it down").click()
    assert stage.recall.outage is not None
    page.get_by_role("button", name="Take it up again").click()
    assert stage.recall.outage is None


def test_a_call_is_ended(page: Page, stage: Stage) -> None:
    stage.connect(stage.dana, "dana")
    begins = datetime.now(UTC) + timedelta(seconds=3)
    link = "https://meet.google.com/now-soon-bot"
    stage.dana.add_event("Right now", start=begins, link=link, attendees=["guest@fabrikam.example"])

    def in_call() -> bool:
        return any(
            bot.meeting_url == link and bot.state == "in_call_recording"
            for bot in stage.recall.live_bots()
        )

    stage.until(in_call, "a bot that records")
    page.goto(f"{stage.url}/play")
    page.get_by_role("button", name="End the call").click()
    expect(page.get_by_role("status").first).to_contain_text("removed the bot")
    stage.until(lambda: stage.bots_at(link) == 0, "no bot in a call that ended")


def test_the_clock_jumps_over_a_meeting(page: Page, stage: Stage) -> None:
    if DANA not in stage.calendars:
        stage.connect(stage.dana, "dana")
    link, begins = "https://meet.google.com/jmp-over-bot", datetime.now(UTC) + timedelta(minutes=30)
    stage.dana.add_event("Jumped over", start=begins, link=link, attendees=[PARTNER])
    stage.until(lambda: stage.bots_at(link) == 1, "a bot for the meeting")
    page.goto(f"{stage.url}/play")
    page.get_by_label("Minutes forward").fill("120")
    page.get_by_role("button", name="Jump the clock").click()
    expect(page.get_by_text("ahead of the clock on the wall")).to_be_visible()
    stage.until(lambda: stage.bots_at(link) == 0, "no bot once the meeting is over")

    def state() -> str:
        return str(stage.meeting("Jumped over")["bot"]["state"])

    stage.until(lambda: state() == "done", "a bot of which all is told")
    row = stage.stores().meetings.get(stage.meeting("Jumped over")["event_id"])
    assert row is not None
    assert row.assignment is not None
    assert row.assignment.state_at is not None
    assert abs(row.assignment.state_at - row.event.end) < timedelta(minutes=1)
    sign_in(page, stage)
    page.goto(f"{stage.url}/console/meetings/{row.event.event_id}")
    expect(page.get_by_role("heading", level=2).first).to_have_text("Joined.")
    expect(page.get_by_role("button", name="Off")).to_have_count(0)


def test_nobody_else_plays(page: Page, stage: Stage) -> None:
    for headers in ({"Origin": "https://elsewhere.example"}, {"Host": "elsewhere.example"}):
        url = f"{stage.url}/play/outage"
        answer = page.request.post(url, form={"state": "down"}, headers=headers)
        assert answer.status == 403
    assert stage.recall.outage is None


def account(stage: Stage):
    return stage.recall.account("google_calendar", MAIL)
