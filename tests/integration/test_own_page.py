"""An entity's own page: who may see it, what it shows, and what its buttons do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from botocore.client import BaseClient
from moto import mock_aws

from shared.domain.calendar import CalendarStatus
from shared.domain.page_link import OwnPageLink, own_page_of, own_page_token
from shared.domain.rules import Choice
from shared.domain.secret import Secret
from tests.people import FRAMES, Person, console_beside, page_link, pressed
from tests.stack import GOOGLE, START, Stack
from tests.stack_api import StackApi

MEET = "https://meet.google.com/qkr-wzpn-abt"
OWNER = "owner@acme.example"
GUEST = "guest@globex.example"
HOUR = timedelta(hours=1)
SECRET = Secret("l" * 43)
HOSTILE = "<script>alert(\"x\")</script> \u202e & 'quoted' " + "w" * 1000


class Scene:
    """One connected calendar with a meeting in three hours and a series."""

    def __init__(self, **environment: str) -> None:
        self.stack = Stack()
        self.account = self.stack.recall.account(GOOGLE, OWNER)
        self.event = self.add("Kickoff", START + 3 * HOUR)
        self.calendar_id = self.stack.connect(OWNER)
        self.stack.run(10)
        environment = {"EMBED_ORIGINS": FRAMES, **environment}
        self.stack.environment |= environment
        self.api = StackApi(self.stack)
        self.person = Person(console_beside(self.stack))
        self.page = page_link(self.api)

    def add(self, title: str, start: Any, **facts: Any) -> str:
        wanted = {"start": start, "link": MEET, "attendees": [GUEST], **facts}
        return self.account.add_event(title, **wanted)

    def rows(self) -> list[Any]:
        return list(self.stack.stores.meetings.of_calendar(self.calendar_id, limit=100).items)

    def row(self) -> Any:
        return self.rows()[0]

    def bots(self) -> int:
        return sum(len(row.bots) for row in self.rows())

    def add_series(self) -> None:
        for week in range(3):
            start = START + 4 * HOUR + timedelta(weeks=week)
            self.add("Weekly", start, series="weekly", link="https://zoom.us/j/89912345678")
        self.stack.run(30, ticks=True)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with mock_aws():
        yield Scene()


def changed(token: str, place: int) -> str:
    other = "A" if token[place] != "A" else "B"
    return token[:place] + other + token[place + 1 :]


# The link.


def test_the_api_gives_a_link_that_opens_the_page(scene: Scene) -> None:
    made = scene.api.call("POST", "/v1/entities/default/u1/page-link", {"expires_in_minutes": 60})

    assert 201 == made.status
    assert made.json["url"].startswith("https://rollcall.example/my/")
    assert "2027-03-01T10:00:10Z" == made.json["expires_at"]
    assert "Kickoff" in scene.person.get(scene.page).body


def test_a_body_is_not_needed_and_a_wrong_one_is_refused(scene: Scene) -> None:
    path = "/v1/entities/default/u1/page-link"

    assert 201 == scene.api.call("POST", path).status
    for body in ({"expires_in_minutes": 4}, {"expires_in_minutes": 43_201}, {"more": 1}):
        refused = scene.api.call("POST", path, body)
        assert (400, "body_invalid") == (refused.status, refused.json["code"])


def test_a_repeated_request_gives_the_same_link(scene: Scene) -> None:
    path = "/v1/entities/default/u1/page-link"
    first = scene.api.call("POST", path, {}, idempotency_key="k-1").json
    scene.stack.clock.advance(timedelta(minutes=5))

    assert first == scene.api.call("POST", path, {}, idempotency_key="k-1").json


def test_long_ids_in_any_script_fit_into_a_link(scene: Scene) -> None:
    made = scene.api.call(
        "POST", f"/v1/entities/{'%F0%9F%98%80' * 256}/{'%E6%BC%A2' * 256}/page-link"
    )
    answer = scene.person.get(made.json["url"])

    assert 200 == answer.status
    assert "No calendar is connected" in answer.body


def test_an_expired_link_says_so(scene: Scene) -> None:
    scene.stack.clock.advance(timedelta(days=1, seconds=1))
    answer = scene.person.get(scene.page)

    assert 410 == answer.status
    assert "page_link_expired" in answer.body
    assert "Kickoff" not in answer.body


@pytest.mark.parametrize("place", [0, 5, -1, -40])
def test_a_changed_link_opens_nothing(scene: Scene, place: int) -> None:
    start, token = scene.page.rsplit("/", 1)
    place = place if place >= 0 else len(token) + place
    # The last character carries two bits that nobody reads.
    place = place - 1 if place == len(token) - 1 else place
    answer = scene.person.get(f"{start}/{changed(token, place)}")

    assert 404 == answer.status
    assert "page_link_unknown" in answer.body


@pytest.mark.parametrize("token", ["x", "a.b", "..", "%00", "é", "a" * 4_000, "return"])
def test_nonsense_opens_nothing(scene: Scene, token: str) -> None:
    assert scene.person.get(f"/my/{token}").status in {400, 404}


def test_a_link_of_another_purpose_opens_nothing(scene: Scene) -> None:
    path = f"/v1/calendars/{scene.calendar_id}/meetings/{scene.row().event.event_id}/opt-out-link"
    token = scene.api.call("POST", path, {}).json["url"].rsplit("/", 1)[1]

    assert 404 == scene.person.get(f"/my/{token}").status
    assert 404 == scene.person.get(scene.page.replace("/my/", "/opt-out/")).status


def test_an_erased_entity_shows_nothing_at_once(scene: Scene) -> None:
    assert 202 == scene.api.call("DELETE", "/v1/entities/default/u1").status
    for path in (scene.page, f"{scene.page}/rules", f"{scene.page}/disconnect"):
        answer = scene.person.get(path)
        assert 410 == answer.status
        assert "page_link_revoked" in answer.body
        assert "Kickoff" not in answer.body


def test_a_link_made_after_the_erasure_works_again(scene: Scene) -> None:
    scene.api.call("DELETE", "/v1/entities/default/u1")
    scene.stack.run(60, ticks=True)
    answer = scene.person.get(page_link(scene.api))

    assert 200 == answer.status
    assert "No calendar is connected" in answer.body


def test_the_mark_of_an_erasure_names_nobody(scene: Scene) -> None:
    scene.api.call("DELETE", "/v1/entities/default/u1")
    page = own_page_of(scene.page.rsplit("/", 1)[1], link_secret=SECRET)
    table = scene.stack.stores.settings._any
    (mark,) = [
        row.scope for row in table.select(_everything(), limit=50).items if "links:" in row.scope
    ]

    assert page is not None
    assert "u1" not in mark


def test_a_token_holds_what_it_was_made_of() -> None:
    link = OwnPageLink(
        tenant_id="t:%",
        entity_id="é/1",
        issued_at=START,
        expires_at=START + HOUR,
        embed=True,
        connect=True,
    )
    token = own_page_token(link, link_secret=SECRET)

    assert link == own_page_of(token.reveal(), link_secret=SECRET)
    assert own_page_of(token.reveal(), link_secret=Secret("other")) is None


# What is shown.


def test_each_meeting_says_what_happens_and_why(scene: Scene) -> None:
    scene.add("Focus", START + 5 * HOUR, link=None)
    scene.stack.run(10)
    body = _words(scene.person.get(scene.page).body)

    assert "Will join , because all meetings are joined." in body
    assert "Won't join , because the event has no meeting link." in body


def test_hostile_titles_stay_text(scene: Scene) -> None:
    scene.add(HOSTILE, START + 5 * HOUR)
    scene.stack.run(10)
    body = scene.person.get(scene.page).body

    assert "<script>alert" not in body
    assert "&lt;script&gt;alert" in body
    assert 1 == body.count("<script ")


def test_another_entity_s_calendar_is_not_shown(scene: Scene) -> None:
    other = scene.stack.connect("dana@acme.example", entity_id="dana")
    scene.stack.run(5)

    assert 404 == scene.person.get(f"{scene.page}?calendar={other}").status
    assert "dana@acme.example" not in scene.person.get(scene.page).body


def test_a_disconnected_calendar_counts_what_is_at_risk(scene: Scene) -> None:
    scene.add("Focus", START + 5 * HOUR, link=None)
    scene.add("Review", START + 6 * HOUR)
    scene.stack.run(10)
    _disconnect_row(scene)
    body = scene.person.get(scene.page).body

    assert "2 meetings are at risk" in body
    assert "Reconnect" in body


def test_a_meeting_about_to_start_says_what_off_does(scene: Scene) -> None:
    scene.stack.run((START + 3 * HOUR - scene.stack.clock.now()).total_seconds() - 300, ticks=True)
    before = scene.person.get(scene.page).body
    scene.person.press(scene.page, "occurrence off")
    after = scene.person.get(scene.page).body

    assert "Off asks it to leave" in before
    assert "Asking the bot to leave" in after


def test_a_shared_meeting_says_that_it_is_covered(scene: Scene) -> None:
    dana = scene.stack.recall.account(GOOGLE, "dana@acme.example")
    dana.add_event("Kickoff", start=START + 3 * HOUR, link=MEET, attendees=[OWNER])
    scene.stack.connect("dana@acme.example", entity_id="dana")
    scene.stack.run(30, ticks=True)

    assert "Already covered" in scene.person.get(scene.page).body


def test_times_name_their_zone_where_no_script_runs(scene: Scene) -> None:
    body = scene.person.get(scene.page).body

    assert '<time datetime="2027-03-01T12:00:00Z"' in body
    assert re.search(r">Times in [A-Za-z_/]+\.<", body)


def test_lists_are_paged(scene: Scene) -> None:
    for hour in range(45):
        scene.add(
            f"Call {hour}",
            START + (4 + hour) * HOUR,
            link=f"https://zoom.us/j/{90000000000 + hour}",
        )
    scene.stack.run(30, ticks=True)
    first = scene.person.get(scene.page).body
    (following,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = scene.person.get(unescape(following)).body

    assert "Kickoff" in first
    assert "Kickoff" not in second
    assert "Call 44" in second
    assert len(first.encode()) < 60_000


def test_a_bad_cursor_says_so(scene: Scene) -> None:
    answer = scene.person.get(f"{scene.page}?cursor=nonsense")

    assert 400 == answer.status
    assert "cursor_invalid" in answer.body


@pytest.mark.parametrize("part", ["", "/rules"])
def test_showing_costs_three_requests_at_most(
    scene: Scene, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.add_series()
    scene.stack.connect("owner@other.example")
    scene.stack.run(5)
    scene.person.get(scene.page)
    asked: list[str] = []
    call = BaseClient._make_api_call

    def counted(client: Any, operation: str, facts: Any) -> Any:
        asked.append(operation)
        return call(client, operation, facts)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    calls_before = (
        len(scene.stack.adapter.requests) if hasattr(scene.stack.adapter, "requests") else 0
    )
    answer = scene.person.get(scene.page + part)

    assert 200 == answer.status
    assert len(asked) <= 3, asked
    assert calls_before == (
        len(scene.stack.adapter.requests) if hasattr(scene.stack.adapter, "requests") else 0
    )


# What the buttons do.


def test_off_for_this_meeting_takes_its_bot_off(scene: Scene) -> None:
    answer = scene.person.press(scene.page, "occurrence off")
    shown = scene.person.get(answer.location.partition("#")[0])
    row = scene.row()
    scene.stack.run(5)

    assert 303 == answer.status
    assert answer.location.endswith(f"#m-{row.event.event_id}")
    assert (Choice.OFF, "page") == (row.override.choice, row.override.source)
    assert ["occurrence off"] == pressed(shown.body)
    assert "Switched off for this meeting." in shown.body
    assert 0 == scene.bots()


def test_auto_gives_the_word_back_to_the_rules(scene: Scene) -> None:
    scene.person.press(scene.page, "occurrence off")
    scene.stack.run(5)
    scene.person.press(scene.page, "occurrence auto")
    scene.stack.run(5)

    assert ["occurrence auto"] == pressed(scene.person.get(scene.page).body)
    assert 1 == scene.bots()


def test_off_for_the_series_holds_for_each_meeting_of_it(scene: Scene) -> None:
    scene.add_series()
    scene.person.press(scene.page, "series off")
    scene.stack.run(10, ticks=True)
    body = scene.person.get(scene.page).body

    assert 3 == body.count("Switched off for the whole series.")
    assert 1 == scene.bots()
    assert 6 == pressed(body).count("occurrence off") + pressed(body).count("series off")


def test_on_against_a_denial_says_that_no_bot_comes(scene: Scene) -> None:
    path = f"/v1/calendars/{scene.calendar_id}/meetings/{scene.row().event.event_id}"
    word = f"occurrence on {scene.calendar_id} {scene.row().event.event_id}"
    link = scene.api.call("POST", f"{path}/opt-out-link", {}).json["url"]
    scene.person.submit(link, link, {"word": "out"})
    answer = scene.person.submit(scene.page, f"{scene.page}/override", {"word": word})

    assert "done=not_granted" in answer.location
    body = _words(scene.person.get(scene.page).body)
    assert "Won't join , because somebody invited has opted out." in body


def test_a_word_about_somebody_else_s_meeting_is_refused(scene: Scene) -> None:
    dana = scene.stack.recall.account(GOOGLE, "dana@acme.example")
    dana.add_event("Secret", start=START + 5 * HOUR, link=MEET, attendees=[GUEST])
    other = scene.stack.connect("dana@acme.example", entity_id="dana")
    scene.stack.run(10)
    (row,) = scene.stack.stores.meetings.of_calendar(other).items
    words = (
        f"occurrence off {other} {row.event.event_id}",
        f"occurrence off {scene.calendar_id} {row.event.event_id}",
    )
    for word in words:
        answer = scene.person.submit(scene.page, f"{scene.page}/override", {"word": word})
        assert 404 == answer.status

    assert Choice.AUTO is scene.stack.stores.meetings.get(row.event.event_id).override.choice


@pytest.mark.parametrize(
    "word", ["", "occurrence", "occurrence maybe a b", "all off a b", "occurrence off a b c"]
)
def test_a_word_that_nobody_can_press_is_refused(scene: Scene, word: str) -> None:
    assert 400 == scene.person.submit(scene.page, f"{scene.page}/override", {"word": word}).status


@pytest.mark.parametrize("form", ["override", "rules", "disconnect", "reconnect", "connect"])
def test_a_form_needs_the_seal_of_its_own_page(scene: Scene, form: str) -> None:
    other = page_link(scene.api, entity_id="u2")
    seal = re.search(r'name="csrf" value="([^"]+)"', scene.person.get(f"{other}/rules").body)
    assert seal is not None
    for csrf in ("", "x", "é", seal[1]):
        answer = scene.person.send(
            f"{scene.page}/{form}", {"csrf": csrf, "calendar": scene.calendar_id}
        )
        assert 403 == answer.status
        assert "form_stale" in answer.body


def test_a_form_of_another_site_is_refused(scene: Scene) -> None:
    word = f"occurrence off {scene.calendar_id} {scene.row().event.event_id}"
    for headers in ({"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}):
        found = re.search(r'name="csrf" value="([^"]+)"', scene.person.get(scene.page).body)
        assert found is not None
        form = {"csrf": found[1], "word": word}
        assert 403 == scene.person.send(f"{scene.page}/override", form, **headers).status
    assert Choice.AUTO is scene.row().override.choice


def test_an_erased_entity_s_forms_change_nothing(scene: Scene) -> None:
    found = re.search(r'name="csrf" value="([^"]+)"', scene.person.get(scene.page).body)
    assert found is not None
    word = f"occurrence off {scene.calendar_id} {scene.row().event.event_id}"
    scene.api.call("DELETE", "/v1/entities/default/u1")
    form = {"csrf": found[1], "word": word, "calendar": scene.calendar_id}
    for name in ("override", "rules", "disconnect", "reconnect", "connect"):
        assert 410 == scene.person.send(f"{scene.page}/{name}", form).status
    assert Choice.AUTO is scene.row().override.choice


def test_disconnecting_asks_first_and_then_removes_everything(scene: Scene) -> None:
    asked = scene.person.get(f"{scene.page}/disconnect?calendar={scene.calendar_id}")
    assert "Disconnect owner@acme.example?" in asked.body
    assert 1 == len(scene.rows())

    path = f"{scene.page}/disconnect"
    answer = scene.person.submit(scene.page, path, {"calendar": scene.calendar_id})

    assert (303, True) == (answer.status, "done=disconnected" in answer.location)
    assert scene.stack.stores.calendars.get(scene.calendar_id) is None
    assert [] == scene.rows()
    assert "bots are cancelled" in scene.person.get(answer.location).body


# Frames.


def test_only_a_link_for_frames_may_stand_in_the_origins_of_the_stack(scene: Scene) -> None:
    framed = page_link(scene.api, embed=True)
    for page, ancestors in ((framed, FRAMES), (scene.page, "'none'")):
        for part in ("", "/rules", f"/disconnect?calendar={scene.calendar_id}"):
            policy = scene.person.get(page + part).headers["content-security-policy"]
            assert policy.endswith(f"frame-ancestors {ancestors}")


def test_without_origins_no_link_for_frames_is_made(scene: Scene) -> None:
    stack = scene.stack
    stack.environment["EMBED_ORIGINS"] = ""
    service = console_beside(stack)
    answer = Person(service).get(page_link(scene.api, embed=True))
    assert answer.headers["content-security-policy"].endswith("frame-ancestors 'none'")


def test_no_script_is_needed_and_none_stands_in_the_page(scene: Scene) -> None:
    body = scene.person.get(scene.page).body

    assert 1 == body.count("<script")
    assert "style=" not in body
    assert not re.search(r"\son[a-z]+=", body)


def _words(body: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def _disconnect_row(scene: Scene) -> None:
    scene.stack.stores.calendars.change(
        scene.calendar_id,
        status=CalendarStatus.DISCONNECTED,
        status_reason="invalid_grant",
        updated_at=scene.stack.clock.now(),
    )


def _everything() -> Any:
    from shared.storage.table import Selection

    return Selection()
