"""An own page in a frame: of an origin that the stack names, and of no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from tests.e2e.pages.conftest import visit
from tests.e2e.pages.stage import DANA, MEET, TITLE_OF_REVIEW, Stage, open_stage

pytestmark = pytest.mark.full
LINK = f"{MEET}nwd-qrtr-rev"
HOST_PAGE = """<!doctype html><html lang="en"><title>A product</title><h1>A product</h1>
<iframe title="Meetings" src="{}" width="1000" height="700"></iframe></html>"""


@contextmanager
def product() -> Iterator[str]:
    """The origin of a product whose page frames whatever its query names."""

    @Request.application
    def page(request: Request) -> Response:
        shown = HOST_PAGE.format(unquote(request.query_string.decode()))
        return Response(shown, content_type="text/html")

    server = make_server("127.0.0.1", 0, page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def ours() -> Iterator[str]:
    with product() as origin:
        yield origin


@pytest.fixture(scope="module")
def stranger() -> Iterator[str]:
    with product() as origin:
        yield origin


@pytest.fixture(scope="module")
def stage(ours: str) -> Iterator[Stage]:
    with open_stage(EMBED_ORIGINS=ours) as found:
        found.connect(found.dana, "dana")
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Without the watch of other tests: here the browser is to refuse something."""
    with visit(browser) as context:
        yield context.new_page()


def framed(page: Page, origin: str, link: str) -> FrameLocator:
    page.goto(f"{origin}/?{link}")
    return page.frame_locator("iframe")


def test_a_meeting_is_switched_off_in_a_frame(page: Page, stage: Stage, ours: str) -> None:
    inside = framed(page, ours, stage.page_link("dana", embed=True))
    line = inside.get_by_role("listitem").filter(has_text=TITLE_OF_REVIEW)
    line.get_by_role("button", name="Off").click()
    expect(inside.get_by_role("status").first).to_contain_text("Switched off")
    stage.until(lambda: stage.bots_at(LINK) == 0, "no bot for what is off")
    inside.get_by_role("link", name="My rules").click()
    expect(inside.get_by_role("heading", level=1)).to_have_text("My rules")


def test_a_frame_connects_in_a_window_of_its_own(page: Page, stage: Stage, ours: str) -> None:
    """Providers refuse frames."""
    inside = framed(page, ours, stage.page_link("dana", embed=True, connect=True))
    with page.expect_popup() as opened:
        inside.get_by_role("button", name="Connect Google Calendar").click()
    window = opened.value
    window.get_by_role("link", name="Continue to Google").click()
    window.get_by_text("Dana Doe").click()
    window.get_by_role("button", name="Allow").click()
    window.wait_for_url("**/my/*?done=reconnected")
    expect(window.get_by_role("status").first).to_contain_text("connected again")


def test_no_other_origin_and_no_other_link_is_framed(
    page: Page, stage: Stage, ours: str, stranger: str
) -> None:
    for origin, link in (
        (stranger, stage.page_link("dana", embed=True)),
        (ours, stage.page_link("dana")),
        (ours, f"{stage.url}/console/sign-in"),
        (ours, stage.opt_out_link(TITLE_OF_REVIEW)),
    ):
        refusals: list[str] = []
        page.on("console", lambda message: refusals.append(message.text))  # noqa: B023
        inside = framed(page, origin, link)
        page.wait_for_timeout(300)
        assert any("frame-ancestors" in each for each in refusals), (origin, refusals)
        expect(inside.get_by_role("heading", level=1)).to_have_count(0)
    assert DANA in stage.calendars
