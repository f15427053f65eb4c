"""The console's pages: what they show, what they cost, and what their forms do."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from moto import mock_aws

from functions.console import app
from shared.domain.calendar import Calendar, CalendarStatus, Platform
from shared.domain.message import WorkDue, encode
from shared.domain.rotation import Step, Walk
from shared.domain.rules import Choice
from shared.domain.secret import Secret
from shared.domain.series import series_of
from tests.console import ConsoleBrowser, bury, let_in, offer_google
from tests.infra.watch import BEFORE_EACH_REQUEST
from tests.integration.test_calendars_api import meeting
from tests.stack import GOOGLE, START, Stack
from tests.unit.core_values import calendar

READER = Secret("rk_only_reads_0123456789abcdefghijklmnopqrstu")
MEET = "https://meet.google.com/qkr-wzpn-abt"
HOSTILE = "<script>alert(1)</script> \"quoted\" 'too' \u202eRTL &amp; " + "x" * 1000
REQUESTS_MAX = 3
BYTES_MAX = 100_000


class Console(ConsoleBrowser):
    """A browser beside a stack, which counts what DynamoDB and Recall are asked."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        environment = stack.environment | {
            "API_KEYS_TABLE": str(stack.tables.api_keys),
            "PUBLIC_URL": "https://rollcall.example",
            "GOOGLE_AUTHORIZE_URL": "https://google.example/authorize",
        }
        super().__init__(app.compose(environment, **stack._given()))
        self.asked: list[str] = []

    def counted(self, url: str) -> tuple[Any, list[str]]:
        self.asked.clear()
        answer = self.get(url)
        return answer, list(self.asked)

    def note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.service_model.service_name == "dynamodb":
            self.asked.append(f"{model.name} {params.get('IndexName', '')}".strip())


@pytest.fixture
def stack() -> Iterator[Stack]:
    from botocore import handlers

    heard: list[Any] = []

    def note(**how: Any) -> None:
        for each in heard:
            each(**how)

    handler = (BEFORE_EACH_REQUEST, note)
    handlers.BUILTIN_HANDLERS.append(handler)
    boto3.DEFAULT_SESSION = None
    try:
        with mock_aws():
            stack = Stack()
            stack.heard = heard
            let_in(stack.stores.api_keys, now=START)
            offer_google(stack.environment["SECRET_ID"])
            let_in(stack.stores.api_keys, READER, now=START, scopes=frozenset({"read"}))
            yield stack
    finally:
        handlers.BUILTIN_HANDLERS.remove(handler)
        boto3.DEFAULT_SESSION = None


@pytest.fixture
def console(stack: Stack) -> Console:
    console = Console(stack)
    stack.heard.append(console.note)
    console.sign_in()
    return console


def add(stack: Stack, title: str = "Kickoff", **facts: Any) -> tuple[str, str]:
    """A calendar with one meeting that has its bot; their ids."""
    owner = stack.recall.account(GOOGLE, "owner@acme.example")
    wanted = {"start": START + timedelta(hours=3), "link": MEET, "attendees": ["guest@b.example"]}
    owner.add_event(title, **(wanted | facts))
    calendar_id = stack.connect()
    stack.run(10)
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    return calendar_id, row.event.event_id


def words(body: str) -> str:
    """What a person reads."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_every_page_is_light_and_asks_little(stack: Stack, console: Console) -> None:
    calendar_id, event_id = add(stack, HOSTILE, series="weekly")
    stack.reconciler().perform("overview")
    stack.reconciler().perform("audit")
    row = stack.stores.meetings.get(event_id)
    pages = (
        "/console",
        "/console/calendars",
        "/console/calendars?tenant_id=default&status=connected",
        "/console/calendars?tenant_id=default&entity_id=u1",
        f"/console/calendars/{calendar_id}",
        f"/console/calendars/{calendar_id}/delete",
        f"/console/meetings/{event_id}",
        f"/console/copies?key={quote(row.meeting_key, safe='')}",
        f"/console/find?q={event_id}",
        f"/console/find?q={calendar_id}",
        f"/console/find?q={quote(MEET, safe='')}",
        "/console/find?q=u1",
        f"/console/bots/{row.assignment.bot_id}",
        "/console/rules",
        "/console/rules/versions",
        "/console/repair",
        "/console/drift",
        "/console/secrets",
        "/console/erase",
        "/console/erase?entity_id=u1",
    )
    for page in pages:
        answer, asked = console.counted(page)

        assert answer.status in {200, 303}, page
        assert len(asked) <= REQUESTS_MAX, (page, asked)
        assert not [call for call in asked if call.startswith("Scan")], page
        assert len(answer.body.encode()) < BYTES_MAX, page
        assert "<script>alert" not in answer.body


def test_the_files_of_a_page_are_small(console: Console) -> None:
    body = console.get("/console").body
    files = {part.split('"')[0] for part in body.split('="/pages/')[1:]}
    sizes = [len(console.get(f"/pages/{name}").body) for name in files]

    assert sum(sizes) < 30_000


def test_a_full_calendar_still_fits(stack: Stack, console: Console) -> None:
    """Every row as long as it can be."""
    calendar_id, _ = add(stack)
    for number in range(40):
        row = meeting(calendar_id, f"e{number}")
        event = replace(
            row.event,
            title=HOSTILE,
            start=START + timedelta(hours=4, minutes=number),
            end=START + timedelta(hours=5, minutes=number),
        )
        stack.stores.meetings.save(replace(row, event=event))
    answer, asked = console.counted(f"/console/calendars/{calendar_id}")

    assert len(answer.body.encode()) < BYTES_MAX
    assert 3 == len(asked)
    assert "Next page" in answer.body


def test_thousands_of_calendars_cost_the_same(stack: Stack, console: Console) -> None:
    add(stack)
    before = console.counted("/console/calendars")[1]
    for number in range(400):
        stack.stores.calendars.add(
            Calendar(
                calendar_id=f"00000000-0000-4000-8000-{number:012d}",
                tenant_id="default",
                entity_id=f"e{number}",
                platform=Platform.GOOGLE,
                email=f"e{number}@acme.example",
                status=CalendarStatus.CONNECTED,
                created_at=START,
                updated_at=START,
            )
        )
    for page in ("/console/calendars", "/console/calendars?tenant_id=default"):
        answer, asked = console.counted(page)

        assert len(before) == len(asked)
        assert 50 == answer.body.count("<tr><td><a ")
        assert len(answer.body.encode()) < BYTES_MAX
        following = html.unescape(re.search(r'rel="next" href="([^"]+)"', answer.body)[1])
        assert 50 == console.get(following).body.count("<tr><td><a ")


def test_the_overview_says_that_all_is_well(stack: Stack, console: Console) -> None:
    add(stack)
    stack.run(60, ticks=True)
    stack.reconciler().perform("overview")
    text = words(console.get("/console").body)

    assert "All is well" in text
    assert "Bots, next 24 hours 1 of 1 wanted" in text


def test_the_overview_says_what_is_not_well(stack: Stack, console: Console) -> None:
    calendar_id, event_id = add(stack)
    stack.stores.calendars.change(calendar_id, status=CalendarStatus.DISCONNECTED, updated_at=START)
    row = stack.stores.meetings.get(event_id)
    stack.stores.meetings.save(replace(row, due=False, problem="recall_refused"))
    stack.reconciler().perform("overview")
    stack.recall.outage = 503
    stack.run(600, ticks=True)
    text = words(console.get("/console").body)

    assert "3 things need a look" in text
    assert "Changes wait" in text
    assert "A calendar is disconnected" in text
    assert "A meeting was refused by Recall" in text


def test_the_overview_says_when_nobody_counts(console: Console) -> None:
    assert "nobody has counted" in words(console.get("/console").body)


@pytest.mark.parametrize("wanted", ["event", "calendar", "link", "entity", "tenant / entity"])
def test_the_look_up_takes_what_somebody_has_in_hand(
    stack: Stack, console: Console, wanted: str
) -> None:
    calendar_id, event_id = add(stack)
    asked = {
        "event": event_id.upper(),
        "calendar": calendar_id,
        "link": f"  {MEET}?authuser=1 ",
        "entity": "u1",
        "tenant / entity": "default / u1",
    }[wanted]
    answer = console.get(f"/console/find?q={quote(asked)}")
    meeting_found = wanted in {"event", "link"}

    assert 303 == answer.status
    assert answer.location == (
        f"/console/meetings/{event_id}" if meeting_found else f"/console/calendars/{calendar_id}"
    )


def test_a_bot_is_found_by_its_marks_at_recall(stack: Stack, console: Console) -> None:
    _, event_id = add(stack)
    bot_id = stack.stores.meetings.get(event_id).assignment.bot_id
    first = console.get(f"/console/find?q={bot_id}")
    second = console.get(first.location)

    assert f"/console/meetings/{event_id}" == second.location


@pytest.mark.parametrize(
    "unknown",
    ["", "nobody", "https://meet.google.com/aaa-bbbb-ccc", "00000000-0000-4000-8000-000000000000"],
)
def test_what_is_not_found_is_said(console: Console, unknown: str) -> None:
    answer = console.get(f"/console/find?q={quote(unknown, safe='')}")
    if answer.status == 303:
        answer = console.get(answer.location)

    assert 404 == answer.status
    assert "Nothing found" in answer.body


def test_a_calendar_is_found_by_its_address(stack: Stack, console: Console) -> None:
    calendar_id, _ = add(stack)
    answer, asked = console.counted("/console/find?q=Owner@Acme.example")
    assert f"/console/calendars/{calendar_id}" == answer.location
    assert len(asked) <= REQUESTS_MAX

    stack.stores.calendars.add(calendar(calendar_id="other", email="OWNER@acme.example"))
    answer, asked = console.counted("/console/find?q=owner@acme.example")
    assert 2 == answer.body.count("@acme.example</bdi>")
    assert len(asked) <= REQUESTS_MAX

    answer, asked = console.counted("/console/find?q=nobody@acme.example")
    assert 404 == answer.status
    assert len(asked) <= REQUESTS_MAX


def test_an_address_that_changes_is_found_anew(stack: Stack) -> None:
    store, changed = stack.stores.calendars, {"updated_at": START}
    store.add(calendar(calendar_id="c"))
    for email in ("new@acme.example", None):
        store.change("c", email=email, **changed)
        assert () == store.find(email="owner@acme.example").items
    store.change("c", email="x" * 5_000, **changed)
    assert ["c"] == [each.calendar_id for each in store.find(email="X" * 5_000).items]


def test_several_meetings_behind_a_link_are_listed(stack: Stack, console: Console) -> None:
    calendar_id, _ = add(stack)
    row = meeting(calendar_id, "e2")
    event = replace(row.event, meeting_url=MEET, start=START + timedelta(days=1))
    stack.stores.meetings.save(replace(row, event=event))
    answer, asked = console.counted(f"/console/find?q={quote(MEET, safe='')}")

    assert 200 == answer.status
    assert "2 copies of meetings" in words(answer.body)
    assert len(asked) <= REQUESTS_MAX


def test_no_page_says_will_join_of_what_is_over(stack: Stack, console: Console) -> None:
    calendar_id, event_id = add(stack)
    other = meeting(calendar_id, "e2")
    later = replace(other.event, meeting_url=MEET, start=START + timedelta(days=1))
    stack.stores.meetings.save(replace(other, event=replace(later, end=START + timedelta(days=2))))
    stack.run(4.5 * 3600, ticks=True)
    console.sign_in()
    row = stack.stores.meetings.get(event_id)
    lists = (
        f"/console/calendars/{calendar_id}",
        f"/console/find?q={quote(MEET, safe='')}",
        f"/console/copies?key={quote(row.meeting_key, safe='')}",
        f"/console/meetings/{event_id}",
    )
    for page in lists:
        body = console.get(page).body
        lines = [each for each in re.findall(r"<li.*?</li>", body, re.DOTALL) if event_id in each]
        told = words(lines[0] if lines else body)

        assert "Joined" in told, page
        assert "Done" in told, page
        assert "Will join" not in told, page
        assert "Won't join" not in told, page


def test_a_meeting_says_will_join_and_why(stack: Stack, console: Console) -> None:
    calendar_id, event_id = add(stack)
    for page in (f"/console/calendars/{calendar_id}", f"/console/meetings/{event_id}"):
        text = words(console.get(page).body)

        assert "Will join , because all meetings are joined." in text
        assert "Scheduled" in text


def test_an_override_reaches_the_bot(stack: Stack, console: Console) -> None:
    calendar_id, event_id = add(stack)
    path = f"/console/meetings/{event_id}"
    form = {"choice": "off", "scope": "occurrence", "calendar_id": calendar_id}
    answer = console.submit(path, f"{path}/override", form)
    stack.run(10)

    assert (303, f"{path}?done=override_off") == (answer.status, answer.location)
    assert [] == stack.recall.live_bots()
    assert "Won't join , because somebody switched it off" in words(console.get(path).body)
    word = stack.stores.meetings.get(event_id).override
    assert ("page", Choice.OFF) == (word.source, word.choice)


def test_an_override_of_the_series(stack: Stack, console: Console) -> None:
    calendar_id, event_id = add(stack, series="weekly")
    path = f"/console/meetings/{event_id}"
    form = {"choice": "off", "scope": "series", "calendar_id": calendar_id, "back": "calendar"}
    answer = console.submit(path, f"{path}/override", form)
    series = series_of(stack.stores.meetings.get(event_id).event)

    assert answer.location.startswith(f"/console/calendars/{calendar_id}?")
    assert stack.stores.settings.series.of([series])[series].override.choice is Choice.OFF


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"choice": "maybe"}, 400),
        ({"choice": "on", "scope": "everything"}, 400),
        ({"choice": "on", "calendar_id": "another"}, 404),
        ({"choice": "on", "scope": "series"}, 400),
    ],
)
def test_an_override_that_makes_no_sense_is_refused(
    stack: Stack, console: Console, form: dict[str, str], status: int
) -> None:
    calendar_id, event_id = add(stack)
    path = f"/console/meetings/{event_id}"
    answer = console.submit(path, f"{path}/override", {"calendar_id": calendar_id} | form)

    assert status == answer.status
    assert stack.stores.meetings.get(event_id).override.choice is Choice.AUTO


def test_a_form_without_its_code_changes_nothing(stack: Stack, console: Console) -> None:
    calendar_id, event_id = add(stack)
    form = {"choice": "off", "calendar_id": calendar_id}
    for csrf in ({}, {"csrf": ""}, {"csrf": "é"}, {"csrf": "x" * 43}):
        answer = console.send(f"/console/meetings/{event_id}/override", form | csrf)

        assert 403 == answer.status
        assert "nothing was changed" in answer.body
    assert stack.stores.meetings.get(event_id).override.choice is Choice.AUTO


def test_the_code_of_another_session_is_refused(stack: Stack, console: Console) -> None:
    calendar_id, _ = add(stack)
    page = console.get(f"/console/calendars/{calendar_id}").body
    code = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    stack.clock.advance(timedelta(seconds=1))
    console.sign_in()
    answer = console.send(f"/console/calendars/{calendar_id}/resync", {"csrf": code})

    assert 403 == answer.status


def test_without_a_session_no_form_is_taken(stack: Stack, console: Console) -> None:
    calendar_id, _ = add(stack)
    console.cookies.clear()
    answer = console.send(f"/console/calendars/{calendar_id}/resync", {})

    assert (303, "/console/sign-in?over=1") == (answer.status, answer.location)


def test_a_key_that_only_reads_changes_nothing(stack: Stack, console: Console) -> None:
    from functions.console.session import FORM_PURPOSE
    from shared.domain.signed import seal_of

    calendar_id, event_id = add(stack)
    console.sign_in(READER)
    body = console.get(f"/console/calendars/{calendar_id}").body
    assert 'name="csrf"' not in body
    secret = console.service.secrets.get().link_secret
    cookie = console.cookies["__Host-console"]
    csrf = seal_of(cookie, purpose=FORM_PURPOSE, link_secret=secret)
    for path in (
        f"/console/calendars/{calendar_id}/resync",
        f"/console/calendars/{calendar_id}/reconnect",
        f"/console/calendars/{calendar_id}/delete",
        f"/console/meetings/{event_id}/override",
        f"/console/meetings/{event_id}/replay",
        "/console/rules/preview",
        "/console/rules/save",
        "/console/repair/redrive",
        "/console/repair/discard",
        "/console/repair/replay",
        "/console/erase",
    ):
        answer = console.send(path, {"csrf": csrf})

        assert 403 == answer.status, path
        assert "lacks the scope" in answer.body, path


def test_a_resync_is_owed(stack: Stack, console: Console) -> None:
    calendar_id, _ = add(stack)
    path = f"/console/calendars/{calendar_id}"
    answer = console.submit(path, f"{path}/resync")

    assert f"{path}?done=resync" == answer.location
    assert stack.stores.calendars.get(calendar_id).read_since is not None
    assert "read again in full" in console.get(answer.location).body


def test_a_calendar_is_deleted_after_a_question(stack: Stack, console: Console) -> None:
    calendar_id, _ = add(stack)
    path = f"/console/calendars/{calendar_id}/delete"
    assert "Delete this calendar?" in console.get(path).body
    answer = console.submit(path, path)

    assert "/console/calendars?done=deleted" == answer.location
    assert stack.stores.calendars.get(calendar_id) is None
    assert 404 == console.get(f"/console/calendars/{calendar_id}").status


def test_a_disconnected_calendar_says_why_and_what_to_do(stack: Stack, console: Console) -> None:
    calendar_id, _ = add(stack)
    stack.stores.calendars.change(
        calendar_id,
        status=CalendarStatus.DISCONNECTED,
        status_reason="deleted_at_recall",
        updated_at=START,
    )
    text = words(console.get(f"/console/calendars/{calendar_id}").body)

    assert "Recall has no such calendar any more." in text
    assert "Send the owner a link to reconnect." in text
    assert calendar_id in console.get("/console/calendars?status=disconnected").body


def test_a_link_to_reconnect_is_made_for_the_owner(stack: Stack, console: Console) -> None:
    calendar_id, _ = add(stack)
    path = f"/console/calendars/{calendar_id}"
    form = {"return_url": "https://host.example/done"}
    answer = console.submit(path, f"{path}/reconnect", form)
    (token,) = re.findall(r'value="https://rollcall.example/connect/([^"]+)"', answer.body)
    session = stack.stores.sessions.get(token.partition(".")[0])

    assert (calendar_id, "owner@acme.example") == (session.reconnects, session.email)


@pytest.mark.parametrize("address", ["", "http://evil.example", "javascript:alert(1)"])
def test_a_link_leads_to_good_addresses_only(stack: Stack, console: Console, address: str) -> None:
    calendar_id, _ = add(stack)
    path = f"/console/calendars/{calendar_id}"
    answer = console.submit(path, f"{path}/reconnect", {"return_url": address})

    assert 400 == answer.status


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ('{"base": "everything"}', "base"),
        ('{"unknown": 1}', "unknown"),
        ('{"include": {"people": ["nobody"]}}', "include.people.0"),
        ('{"locked": ["base"]}', "locked"),
        ("{", "not JSON"),
        ("", "not JSON"),
    ],
)
def test_rules_that_are_wrong_name_the_field_and_stay(
    console: Console, rules: str, field: str
) -> None:
    form = {"scope": "default", "version": "0", "rules": rules}
    answer = console.submit("/console/rules", "/console/rules/preview", form)

    assert 400 == answer.status
    assert field in answer.body
    assert html.escape(rules).replace("&quot;", "&#34;") in answer.body


def test_rules_are_saved_after_the_difference_was_seen(stack: Stack, console: Console) -> None:
    _, event_id = add(stack)
    form = {"scope": "tenant:default", "version": "0", "rules": '{"base": "off"}'}
    path = "/console/rules?scope=tenant:default"
    preview = console.submit(path, "/console/rules/preview", form)
    assert "+0 bots, -1, 0 changed, 0 unchanged. Next change:" in words(preview.body)
    assert stack.stores.settings.rules("tenant:default") is None
    hidden = dict(re.findall(r'name="(csrf|scope|version|rules)" value="([^"]*)"', preview.body))
    saved = console.send("/console/rules/save", {k: html.unescape(v) for k, v in hidden.items()})
    stack.run(10)

    assert "/console/rules?scope=tenant%3Adefault&done=rules_saved" == saved.location
    assert {"base": "off"} == stack.stores.settings.rules("tenant:default")
    assert stack.stores.meetings.get(event_id).assignment is None
    text = words(console.get(saved.location).body)
    assert "Finished: 1 meetings seen, 1 changed." in text
    assert "Version 1" in words(console.get("/console/rules/versions?scope=tenant:default").body)


def test_copies_of_one_meeting_lose_one_bot(stack: Stack, console: Console) -> None:
    for entity in ("ada", "bob"):
        account = stack.recall.account(GOOGLE, f"{entity}@acme.example")
        account.add_event(
            "All hands", start=START + timedelta(hours=3), link=MEET, attendees=["c@d.example"]
        )
        stack.connect(f"{entity}@acme.example", entity_id=entity)
    stack.run(30)
    assert 1 == len(stack.recall.live_bots())
    form = {"scope": "tenant:default", "version": "0", "rules": '{"base": "off"}'}
    preview = console.submit("/console/rules", "/console/rules/preview", form)

    assert "+0 bots, -1, 0 changed, 0 unchanged." in words(preview.body)


def test_copies_say_whose_bot_serves_them(stack: Stack, console: Console) -> None:
    invited = {"start": START + timedelta(hours=3), "link": MEET, "attendees": ["c@d.example"]}
    stack.recall.account(GOOGLE, "ada@acme.example").add_event("All", organizer="x@y.z", **invited)
    stack.recall.account(GOOGLE, "bob@acme.example").add_event("All", **invited)
    calendars = [stack.connect(f"{each}@acme.example", entity_id=each) for each in ("ada", "bob")]
    stack.run(30)
    (row,) = stack.stores.meetings.of_calendar(calendars[0]).items
    answer, asked = console.counted(f"/console/copies?key={quote(row.meeting_key, safe='')}")

    assert "The bot is that of bob@acme.example" in words(answer.body)
    assert "bob@acme.example · brings the bot" in words(answer.body)
    assert "ada@acme.example · brings the bot" not in words(answer.body)
    assert len(asked) <= REQUESTS_MAX


def test_rules_that_somebody_changed_meanwhile_are_not_overwritten(
    stack: Stack, console: Console
) -> None:
    stack.stores.settings.put_rules("default", {"base": "all"}, by="other", at=START)
    form = {"scope": "default", "version": "0", "rules": '{"base": "off"}'}
    answer = console.submit("/console/rules", "/console/rules/save", form)

    assert 412 == answer.status
    assert "Version 1 is in force" in answer.body
    assert {"base": "all"} == stack.stores.settings.rules("default")


@pytest.mark.parametrize("form", [{"scope": "nowhere"}, {"version": "x"}, {"version": ""}])
def test_a_rules_form_that_was_tampered_with(console: Console, form: dict[str, str]) -> None:
    sent = {"scope": "default", "version": "0", "rules": "{}"} | form

    assert 400 == console.submit("/console/rules", "/console/rules/save", sent).status


def test_rules_are_chosen_by_tenant_and_entity(console: Console) -> None:
    body = console.get("/console/rules?tenant_id=acme&entity_id=u%3A1").body

    assert "entity:acme:u%3A1" in body
    assert 400 == console.get("/console/rules?scope=nonsense").status


def test_a_refused_meeting_is_tried_again(stack: Stack, console: Console) -> None:
    _, event_id = add(stack)
    row = stack.stores.meetings.get(event_id)
    stack.stores.meetings.save(
        replace(row, due=False, problem="recall_refused", problem_detail="<b>", problem_at=START)
    )
    assert "Recall refused the bot." in words(console.get("/console/repair").body)
    answer = console.submit("/console/repair", "/console/repair/replay")

    assert "/console/repair?done=replayed_all&count=1" == answer.location
    assert "One meeting is tried again." in console.get(answer.location).body
    assert not stack.stores.meetings.get(event_id).set_aside
    answer = console.submit(f"/console/meetings/{event_id}", f"/console/meetings/{event_id}/replay")
    assert f"/console/meetings/{event_id}?done=not_set_aside" == answer.location


def test_dead_letters_are_sent_again_or_discarded(stack: Stack, console: Console) -> None:
    bury(stack, '{"type": "<script>"}', encode(WorkDue(received_at=START)))
    page = console.get("/console/repair").body
    assert "Nobody can read it: discard it" in words(page)
    assert "Failed ten times" in words(page)
    assert "&lt;script&gt;" not in page
    answer = console.submit("/console/repair", "/console/repair/redrive")
    assert "/console/repair?done=redriven&count=1" == answer.location
    stack.clock.advance(timedelta(minutes=2))
    (left,) = re.findall(r'name="message_id" value="([^"]+)"', console.get("/console/repair").body)
    stack.clock.advance(timedelta(minutes=2))
    answer = console.submit(
        "/console/repair", "/console/repair/discard", {"message_id": html.unescape(left)}
    )

    assert "/console/repair?done=discarded" == answer.location
    assert [] == stack.queue.dead
    assert 404 == console.submit("/console/rules", "/console/repair/discard").status


def test_an_entity_is_erased_only_when_its_id_was_typed(stack: Stack, console: Console) -> None:
    add(stack)
    page = "/console/erase?tenant_id=default&entity_id=u1"
    assert "owner@acme.example" in console.get(page).body
    form = {"tenant_id": "default", "entity_id": "u1"}
    wrong = console.submit(page, "/console/erase", form | {"typed": "u2"})
    assert (400, True) == (wrong.status, "Nothing was erased" in wrong.body)
    answer = console.submit(page, "/console/erase", form | {"typed": "u1"})

    assert "/console/erase?done=erasing" == answer.location
    assert "Being erased" in console.get("/console/erase").body
    (waiting,) = stack.stores.workspace.erasures().waiting
    assert ("default", "u1") == (waiting.tenant_id, waiting.entity_id)


def test_drift_is_shown_with_its_report(stack: Stack, console: Console) -> None:
    assert "No audit has finished yet" in console.get("/console/drift").body
    counts = {"missing": 1, "orphan": 0, "mistimed": 0, "misconfigured": 0, "duplicate": 0}
    stack.stores.workspace.put_report(
        "drift",
        {
            "started_at": "2027-03-01T08:00:00Z",
            "finished_at": "2027-03-01T08:10:00Z",
            "events": 12,
            "counts": counts,
            "items": [
                {"class": "missing", "calendar_id": "c", "event_id": "e<1>", "reason": "base.all"}
            ],
            "healing": ["missing"],
            "self_managed": None,
        },
    )
    body = console.get("/console/drift").body

    assert "12 events" in body
    assert "e&lt;1&gt;" in body
    assert "healed" in body


GOOGLE_WALK = Walk(fingerprint="never shown", started_at=START, moved_at=START)


def rotation(stack: Stack, console: Console, **facts: Any) -> str:
    """What the page says of a rotation that has come so far."""
    report = replace(GOOGLE_WALK, **facts).report()
    stack.stores.workspace.put_report("rotation#google_calendar#walk", report)
    body = str(console.get("/console/secrets").body)
    assert "never shown" not in body
    return words(body)


def test_a_rotation_is_followed(stack: Stack, console: Console) -> None:
    assert "No secret was rotated yet" in console.get("/console/secrets").body
    until = START + timedelta(minutes=6)
    walking = {"total": 50, "done": 42, "failed": {"cal-x": "recall_refused"}}

    told = rotation(stack, console, **walking, step=Step.CALENDARS, stale_until=until)
    assert "Under way" in told
    assert "41 of 50 calendars" in told
    assert "Giving it to one calendar after the other" in told
    assert "Still needed" in told
    assert "may use it until Mon 1 Mar 09:06 UTC" in told
    assert "cal-x recall_refused" in told

    told = rotation(stack, console, total=50, done=50, connected=48, step=Step.CONNECTIONS)
    assert "Connected with it 48" in told

    told = rotation(stack, console, total=50, done=50, lost={"cal-y": "still connecting"})
    assert "Repeat the command" in told
    assert "cal-y still connecting" in told

    told = rotation(stack, console, total=50, done=50, connected=50, finished_at=START)
    assert "Finished" in told
    assert "Nobody needs it any more" in told


def test_a_rotation_that_stopped_says_so(stack: Stack, console: Console) -> None:
    told = rotation(stack, console, moved_at=START - timedelta(minutes=19), total=3, done=1)
    assert "Under way" in told
    told = rotation(stack, console, moved_at=START - timedelta(minutes=21), total=3, done=1)
    assert "Stopped" in told
    assert "silent for twenty minutes" in told


def test_a_rotation_begun_before_there_were_steps_is_shown(stack: Stack, console: Console) -> None:
    report = {
        "fingerprint": "f",
        "started_at": "2027-03-01T08:00:00Z",
        "written_at": None,
        "position": "c",
        "done": 41,
        "failed": {},
        "finished_at": None,
    }
    stack.stores.workspace.put_report("rotation#google_calendar#walk", report)

    told = words(console.get("/console/secrets").body)

    assert "Have the new secret 41" in told
    assert "Stopped" in told


@pytest.mark.parametrize("title", [HOSTILE, "   ", "", "</title><h1>", "{{ 7 * 7 }}", "\u202e"])
def test_hostile_titles_are_only_text(stack: Stack, console: Console, title: str) -> None:
    calendar_id, event_id = add(stack, title)
    for page in (f"/console/calendars/{calendar_id}", f"/console/meetings/{event_id}"):
        answer = console.get(page)

        assert 200 == answer.status
        assert "<script>alert" not in answer.body
        assert "</title><h1>" not in answer.body
        assert "<bdi>" in answer.body
        assert " 49 " not in words(answer.body)


@pytest.mark.parametrize(
    "path",
    [
        "/console/calendars?status=x",
        "/console/calendars?tenant_id=" + "t" * 300,
        "/console/calendars?cursor=nonsense",
        "/console/calendars?cursor=" + "c" * 3000,
        "/console/calendars?entity_id=%00",
    ],
)
def test_a_query_that_makes_no_sense_is_refused(console: Console, path: str) -> None:
    assert 400 == console.get(path).status


@pytest.mark.parametrize(
    "path", ["/console/meetings/nobody", "/console/calendars/x", "/console/copies?key=x"]
)
def test_what_does_not_exist_is_404(console: Console, path: str) -> None:
    answer = console.get(path)

    assert 404 == answer.status
    assert "There is no such page" in answer.body


def test_a_failure_shows_a_page_without_its_cause(
    stack: Stack, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(names: Any) -> Any:
        raise ValueError("a secret thing")

    monkeypatch.setattr(console.service.stores.workspace, "documents", broken)
    answer = console.get("/console")

    assert 500 == answer.status
    assert "secret thing" not in answer.body
    assert "internal_error" in answer.body


def test_done_takes_only_our_own_words(console: Console) -> None:
    body = console.get("/console/calendars?done=<script>").body

    assert "script>" not in body.replace("</script>", "").replace("<script src", "")
