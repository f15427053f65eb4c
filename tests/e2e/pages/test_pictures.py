"""Writes docs/images: a believable customer, some days into using Rollcall."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser

from infra.local.watch import Watch
from shared.domain.calendar import Platform
from shared.domain.meeting import Meeting
from tests.e2e.pages.conftest import ROOT, WIDTHS, sign_in, visit
from tests.e2e.pages.stage import DANA, PARTNER, Stage, open_stage

pytestmark = pytest.mark.full
IMAGES = ROOT / "docs" / "images"
BYTES_MAX = 150_000
COLLEAGUES = ("alex", "jo", "mika", "noor", "robin", "toni")
# Hours from now at which the colleagues meet, so that the charts have a shape.
DAY = (1, 2, 2, 4, 5, 5, 5, 6, 6, 7, 7, 7, 8, 8, 9, 10, 10, 11, 12, 13, 14, 16, 19, 22)
MISSED_EVERY = 23
TITLES = ("Contoso renewal", "Fabrikam onboarding", "Tailspin demo", "Wingtip check-in")
RULES = {
    "base": "external",
    "include": {"keywords": ["standup"]},
    "exclude": {"keywords": ["contract"]},
}
HEIGHT = 760


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    if not request.config.getoption("pictures", default=False):
        pytest.skip("pictures are taken with make e2e PICTURES=1")
    # No audit of its own accord: it would miss the remembered meetings at Recall.
    with open_stage(tick_seconds=60) as found:
        live_a_week(found)
        yield found


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        ("console-overview", "desktop", "light"),
        ("console-overview-dark", "desktop", "dark"),
        ("console-calendar", "desktop", "light"),
        ("console-meeting", "desktop", "light"),
        ("console-phone", "phone", "light"),
        ("my-meetings", "desktop", "light"),
        ("my-meetings-phone", "phone", "light"),
        ("my-meetings-phone-dark", "phone", "dark"),
        ("play", "desktop", "light"),
    ],
)
def test_a_picture(name: str, width: str, scheme: str, browser: Browser, stage: Stage) -> None:
    with visit(browser, width, color_scheme=scheme) as context:
        page = context.new_page()
        sign_in(page, stage)
        match name:
            case "my-meetings" | "my-meetings-phone" | "my-meetings-phone-dark":
                page.goto(stage.page_link("dana"))
            case "play":
                page.goto(f"{stage.url}/play")
            case "console-calendar":
                page.goto(f"{stage.url}/console/calendars/{stage.calendars[DANA]}")
            case "console-meeting":
                page.goto(f"{stage.url}/console/meetings/{stage.events['remembered']}")
        # Where a scroll bar would be there is none in a picture.
        page.evaluate("document.documentElement.style.scrollbarGutter = 'auto'")
        file = IMAGES / f"{name}.png"
        file.parent.mkdir(exist_ok=True)
        across = WIDTHS[width][0]
        page.screenshot(
            path=file,
            animations="disabled",
            clip={"x": 0, "y": 0, "width": across, "height": HEIGHT},
        )
        assert file.stat().st_size <= BYTES_MAX


def live_a_week(stage: Stage) -> None:
    """Connected people, rules, somebody's word, and what became of the last days."""
    stage.api("PUT", "/v1/rules/tenant%3Aacme", RULES)
    for number, name in enumerate(COLLEAGUES):
        account = stage.recall.account(Platform.GOOGLE, f"{name}@acme.example")
        stage.host.outside.providers[Platform.GOOGLE].add_account(account.email, name.title())
        for hour in DAY[number % 3 :: 3]:
            account.add_event(
                TITLES[hour % len(TITLES)],
                start=datetime.now(UTC) + timedelta(hours=hour, minutes=15),
                link=f"https://acme.zoom.us/j/95{number:04d}{hour:04d}",
                attendees=[PARTNER],
            )
        stage.connect(account, name)
    stage.connect(stage.dana, "dana")
    meeting = stage.meeting("Design review")
    path = f"/v1/calendars/{meeting['calendar_id']}/meetings/{meeting['event_id']}/override"
    stage.api("PUT", path, {"choice": "off", "scope": "occurrence"})
    Watch(stage.host, stage.recall).until_quiet()
    run(stage, "audit")
    remember(stage)
    run(stage, "coverage")
    run(stage, "overview")


def run(stage: Stage, task: str) -> None:
    """What a schedule does every some minutes."""
    (function,) = (
        schedule.target_arn
        for schedule in stage.host.stack.schedules
        if json.loads(schedule.input_text or "{}").get("task") == task
    )
    stage.host.lambdas.invoke(function, {"task": task})


def remember(stage: Stage) -> None:
    """Rows of meetings that are over, made from those to come."""
    count, stores = 0, stage.stores()
    for name in COLLEAGUES:
        for shown in stage.meetings(stage.calendars[f"{name}@acme.example"]):
            row = stores.meetings.get(shown["event_id"])
            assert row is not None
            for days in range(1, 7):
                count += 1
                gone = past(row, days=days, missed=count % MISSED_EVERY == 0)
                stores.meetings.save(gone)
                stage.events.setdefault("remembered", gone.event.event_id)


def past(row: Meeting, *, days: int, missed: bool) -> Meeting:
    assert row.assignment is not None
    back = timedelta(days=days)
    event = replace(
        row.event,
        event_id=str(uuid.uuid4()),
        start=row.event.start - back,
        end=row.event.end - back,
    )
    assignment = replace(
        row.assignment,
        bot_id=str(uuid.uuid4()),
        join_at=event.start,
        state="fatal" if missed else "done",
        state_at=event.end,
        recording=None if missed else "done",
        recording_at=None if missed else event.end,
        missed="bot_failed" if missed else None,
    )
    return replace(
        row,
        event=event,
        assignment=assignment,
        meeting_key=f"{event.event_id}",
        due=False,
        next_attempt=None,
        look_at=None,
        wake_at=None,
        version=None,
    )
