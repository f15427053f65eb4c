"""The stage of the browser's tests: a host on a free port, two people, a week of meetings."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from infra.local.emulators.recall import RecallWorld
from infra.local.emulators.recall.accounts import Account
from infra.local.host import LocalHost, local_host
from infra.local.settings import parse_options, read_settings
from infra.local.template import REGION
from infra.local.terminal import Terminal
from shared.domain.calendar import Platform
from shared.storage import Stores, Tables, open_stores

DANA, SAM = "dana@acme.example", "sam@acme.example"
GUEST, PARTNER = "guest@fabrikam.example", "kim@northwind.example"
CALENDAR_SCOPE = "https://www.googleapis.com/auth/calendar.events.readonly"
TENANT = "acme"
TICK_SECONDS = 2
WAIT_SECONDS = 30.0
ZOOM = "https://acme.zoom.us/j/"
MEET = "https://meet.google.com/"
TEAMS = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_{}%40thread.v2/0?context=%7b%7d"
TITLE_OF_REVIEW = "Northwind quarterly review"
# A title is whatever somebody typed.
HOSTILE = "<script>document.title='taken'</script> \"quoted\" \u202eturned\u202c " + "long " * 60


@dataclass(slots=True, kw_only=True)
class Stage:
    """`events` is the provider's event id by title, `calendars` our id by e-mail."""

    host: LocalHost
    recall: RecallWorld
    dana: Account
    sam: Account
    events: dict[str, str] = field(default_factory=dict)
    calendars: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.host.url

    def api(self, method: str, path: str, body: object = None) -> Any:
        answer = requests.request(
            method,
            self.url + path,
            json=body,
            headers={"Authorization": f"Bearer {self.host.api_key.reveal()}"},
            timeout=WAIT_SECONDS,
        )
        assert answer.ok, (path, answer.status_code, answer.text)
        return answer.json()

    def connect_url(self, entity_id: str, platform: Platform = Platform.GOOGLE) -> str:
        return str(self.connect_session(entity_id, platform)["connect_url"])

    def connect_session(self, entity_id: str, platform: Platform = Platform.GOOGLE) -> Any:
        body = {
            "tenant_id": TENANT,
            "entity_id": entity_id,
            "platform": platform,
            "return_url": f"{self.url}/",
        }
        return self.api("POST", "/v1/connect-sessions", body)

    def connect(self, account: Account, entity_id: str) -> str:
        """A calendar without a browser, until its meetings are decided."""
        platform = Platform(account.platform)
        scope = CALENDAR_SCOPE if platform is Platform.GOOGLE else "Calendars.Read"
        provider = self.host.outside.providers[platform]
        body = {
            "tenant_id": TENANT,
            "entity_id": entity_id,
            "platform": platform,
            "oauth_refresh_token": provider.issue_refresh_token(account.email, ("openid", scope)),
        }
        calendar_id = str(self.api("POST", "/v1/calendars", body)["calendar_id"])
        self.calendars[account.email] = calendar_id
        self.until(lambda: self.settled(calendar_id), "a calendar whose meetings are decided")
        return calendar_id

    def settled(self, calendar_id: str) -> bool:
        """Every wanted meeting has its bot."""
        meetings = self.meetings(calendar_id)
        return bool(meetings) and all(
            each["bot"] is not None for each in meetings if each["decision"]["join"]
        )

    def meetings(self, calendar_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api(
            "GET", f"/v1/calendars/{calendar_id}/meetings?limit=100"
        )["items"]
        return found

    def meeting(self, title: str, *, email: str = DANA) -> dict[str, Any]:
        listed = self.meetings(self.calendars[email])
        return next(each for each in listed if each["title"] == title)

    def page_link(self, entity_id: str, **body: object) -> str:
        return str(self.api("POST", f"/v1/entities/{TENANT}/{entity_id}/page-link", body)["url"])

    def opt_out_link(self, title: str, **body: object) -> str:
        meeting = self.meeting(title)
        path = f"/v1/calendars/{meeting['calendar_id']}/meetings/{meeting['event_id']}"
        return str(self.api("POST", f"{path}/opt-out-link", body)["url"])

    def bots_at(self, link: str) -> int:
        return sum(bot.meeting_url == link for bot in self.recall.live_bots())

    def stores(self) -> Stores:
        """The host's own tables."""
        environment = self.host.stack.function("ConsoleFunction").environment
        return open_stores(Tables.from_settings({"AWS_REGION": REGION, **environment}))

    def until(self, holds: Callable[[], bool], wanted: str) -> None:
        ends = time.monotonic() + WAIT_SECONDS
        while not holds():
            assert time.monotonic() < ends, f"after {WAIT_SECONDS:g} s there is not: {wanted}"
            time.sleep(0.05)


@contextmanager
def open_stage(
    *, hostile: bool = False, tick_seconds: int = TICK_SECONDS, **variables: str
) -> Iterator[Stage]:
    """A host without a story whose people have meetings, and no calendar connected yet.

    `variables`: what the host finds in its environment.
    """
    options = parse_options(["--no-story", "--port", "0", "--tick-seconds", str(tick_seconds)])
    terminal = Terminal(io.StringIO(), environment={})
    with local_host(read_settings(options, variables), terminal) as host:
        recall = host.outside.recall
        assert recall is not None
        host.outside.providers[Platform.GOOGLE].add_account(DANA, "Dana Doe")
        host.outside.providers[Platform.MICROSOFT].add_account(SAM, "Sam Sample")
        stage = Stage(
            host=host,
            recall=recall,
            dana=recall.account(Platform.GOOGLE, DANA),
            sam=recall.account(Platform.MICROSOFT, SAM),
        )
        fill(stage)
        if hostile:
            place(stage, HOSTILE, hours=50, link=f"{ZOOM}91000000666")
        yield stage
        assert not host.crashes, "\n".join(host.crashes)


def fill(stage: Stage) -> None:
    """A week as people have it: wanted, declined, private, alone, and without a link."""
    place(stage, TITLE_OF_REVIEW, hours=0, link=f"{MEET}nwd-qrtr-rev")
    place(
        stage,
        "Standup",
        hours=1,
        link=f"{ZOOM}91000000001",
        series="standup",
        attendees=[SAM, GUEST],
        minutes=15,
    )
    place(stage, "Kickoff with Fabrikam", hours=2, link=TEAMS.format("kickoff"), minutes=60)
    place(stage, "Salary talk", hours=4, link=f"{MEET}sal-aryt-alk", private=True)
    place(
        stage,
        "All hands",
        hours=5,
        link=f"{ZOOM}91000000002",
        organizer=SAM,
        answer="declined",
        minutes=45,
    )
    place(stage, "Focus time", hours=6, link=f"{ZOOM}91000000003", attendees=[])
    place(stage, "Lunch with Sam", hours=7, link=None, attendees=[SAM])
    place(stage, "Design review", hours=24, link=f"{MEET}dsg-nrev-iew", minutes=60)
    place(
        stage,
        "Standup",
        hours=25,
        link=f"{ZOOM}91000000001",
        series="standup",
        attendees=[SAM, GUEST],
        minutes=15,
    )
    place(stage, "Contract walk-through", hours=27, link=TEAMS.format("contract"), minutes=45)


def place(
    stage: Stage,
    title: str,
    *,
    hours: float,
    link: str | None,
    minutes: int = 30,
    **details: Any,
) -> None:
    """Into Dana's calendar, some hours after eight o'clock tomorrow."""
    start = tomorrow() + timedelta(hours=hours)
    details.setdefault("attendees", [PARTNER, GUEST])
    event_id = stage.dana.add_event(
        title, start=start, end=start + timedelta(minutes=minutes), link=link, **details
    )
    stage.events.setdefault(title, event_id)


def tomorrow() -> datetime:
    today = datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0)
    return today + timedelta(days=1)
