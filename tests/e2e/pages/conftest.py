"""A real browser, where there is one: Chromium from the path, driven by Playwright."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.pages.stage import Stage, open_stage

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ZONE = "Europe/Berlin"
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
VIOLATION = re.compile(r"content security policy|refused to|violates", re.IGNORECASE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", action="store_true", help="write docs/images/*.png anew")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium or Chrome in the path: the pages were not looked at in a browser")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with open_stage() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser of its own for each test, in which nothing may break the policy or a script."""
    with visit(browser) as context:
        found = context.new_page()
        faults = watched(found)
        yield found
        assert not faults, faults


def visit(browser: Browser, width: str = "desktop", **options: object) -> BrowserContext:
    across, down = WIDTHS[width]
    wanted = {"locale": "en-GB", "timezone_id": ZONE, **options}
    context = browser.new_context(
        viewport={"width": across, "height": down},
        is_mobile=width == "phone",
        has_touch=width == "phone",
        **wanted,
    )
    context.set_default_timeout(15_000)
    return context


def watched(page: Page) -> list[str]:
    """What the browser will complain about: broken policies and scripts that end in an error."""
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda message: faults.append(message.text) if VIOLATION.search(message.text) else None,
    )
    return faults


def sign_in(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/console")
    page.get_by_label("API key").fill(stage.host.api_key.reveal())
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{stage.url}/console")


ROOT = Path(__file__).parents[3]
