"""Every page as a browser gets it: readable by all, light, quick, and without inline code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from shared.domain.calendar import Platform
from shared.domain.rotation import Walk, rotation_name
from tests.e2e.pages.conftest import WIDTHS, sign_in, visit, watched
from tests.e2e.pages.stage import DANA, HOSTILE, TITLE_OF_REVIEW, Stage, open_stage

pytestmark = pytest.mark.full
BYTES_MAX = 100_000
FIRST_PAINT_MS_MAX = 1_000
SERIOUS = {"serious", "critical"}
INLINE = re.compile(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|<style|javascript:", re.IGNORECASE)
MEASURE = """async () => {
  const paint = await new Promise((found) => new PerformanceObserver((list) => {
    for (const each of list.getEntriesByName('first-contentful-paint')) found(each.startTime);
  }).observe({ type: 'paint', buffered: true }));
  const entries = [...performance.getEntriesByType('navigation'),
                   ...performance.getEntriesByType('resource')];
  return [entries.reduce((sum, each) => sum + each.transferSize, 0), paint,
          document.documentElement.scrollWidth > innerWidth];
}"""
Address = Callable[[Stage], str]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a page weighs (bytes), when it painted first (ms), and what axe found."""

    name: str
    size: int
    first_paint: float
    findings: int


PAGES: dict[str, Address] = {
    "sign-in": lambda stage: "/console/sign-in",
    "overview": lambda stage: "/console",
    "calendars": lambda stage: "/console/calendars?tenant_id=acme",
    "calendar": lambda stage: f"/console/calendars/{stage.calendars[DANA]}",
    "meeting": lambda stage: f"/console/meetings/{stage.meeting(TITLE_OF_REVIEW)['event_id']}",
    "hostile title": lambda stage: f"/console/meetings/{hostile(stage)}",
    "copies": lambda stage: f"/console/copies?{copies(stage)}",
    "delete": lambda stage: f"/console/calendars/{stage.calendars[DANA]}/delete",
    "nothing found": lambda stage: "/console/find?q=nothing",
    "rules": lambda stage: "/console/rules?scope=tenant%3Aacme",
    "versions": lambda stage: "/console/rules/versions?scope=default",
    "repair": lambda stage: "/console/repair",
    "drift": lambda stage: "/console/drift",
    "erase": lambda stage: "/console/erase",
    "secrets": lambda stage: "/console/secrets",
    "my meetings": lambda stage: path_of(stage, stage.page_link("dana")),
    "my calendars": lambda stage: path_of(stage, stage.page_link("dana", connect=True)),
    "my rules": lambda stage: path_of(stage, stage.page_link("dana")) + "/rules",
    "disconnect": lambda stage: (
        path_of(stage, stage.page_link("dana")) + f"/disconnect?calendar={stage.calendars[DANA]}"
    ),
    "opt out": lambda stage: path_of(stage, stage.opt_out_link(TITLE_OF_REVIEW)),
    "connect": lambda stage: path_of(stage, stage.connect_url("robin")) + "/about",
    "link unknown": lambda stage: "/connect/none-of-ours/about",
    "play": lambda stage: "/play",
    "page unknown": lambda stage: "/console/none-of-ours",
}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with open_stage(hostile=True) as found:
        found.connect(found.dana, "dana")
        now = datetime.now(UTC)
        walk = Walk(fingerprint="", started_at=now, moved_at=now, total=9, done=4, failed={"c": ""})
        name = rotation_name(Platform.GOOGLE, "walk")
        found.stores().workspace.put_report(name, walk.report())
        yield found


@pytest.fixture(scope="module")
def table() -> Iterator[list[Looked]]:
    rows: list[Looked] = []
    yield rows
    print(f"\n{'page':<16}{'bytes':>8}{'first paint':>13}{'axe':>5}")
    for row in rows:
        print(f"{row.name:<16}{row.size:>8}{row.first_paint:>10.0f} ms{row.findings:>5}")


@pytest.mark.parametrize("name", PAGES)
def test_a_page(name: str, browser: Browser, stage: Stage, table: list[Looked]) -> None:
    url = stage.url + PAGES[name](stage)
    findings: list[str] = []
    size, first_paint = 0, 0.0
    with visit(browser, color_scheme="light") as context:
        page = context.new_page()
        faults = watched(page)
        if "/console" in url and name != "sign-in":
            sign_in(page, stage)
        cookies = context.cookies()
        for width, (across, down) in WIDTHS.items():
            for scheme in ("light", "dark"):
                with visit(browser, width, color_scheme=scheme) as fresh:
                    fresh.add_cookies(cookies)
                    looked = fresh.new_page()
                    faults_here = watched(looked)
                    looked.goto(url, wait_until="load")
                    assert not INLINE.search(looked.content())
                    weight, painted, too_wide = looked.evaluate(MEASURE)
                    assert not too_wide, f"scrolls sideways at {across} x {down}"
                    size, first_paint = max(size, weight), max(first_paint, painted)
                    findings += [f"{width} {scheme}: {each}" for each in serious(looked)]
                    assert not faults_here, faults_here
        assert not faults, faults
    table.append(Looked(name, size, first_paint, len(findings)))
    assert not findings, "\n".join(findings)
    assert size < BYTES_MAX
    assert first_paint < FIRST_PAINT_MS_MAX


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']} {[node['target'] for node in each['nodes']][:3]}"
        for each in found
        if each["impact"] in SERIOUS
    ]


def hostile(stage: Stage) -> str:
    listed = stage.meetings(stage.calendars[DANA])
    return next(str(each["event_id"]) for each in listed if each["title"] == HOSTILE)


def copies(stage: Stage) -> str:
    row = stage.stores().meetings.get(stage.meeting(TITLE_OF_REVIEW)["event_id"])
    assert row is not None
    return urlencode({"key": row.meeting_key})


def path_of(stage: Stage, url: str) -> str:
    return url.removeprefix(stage.url)
