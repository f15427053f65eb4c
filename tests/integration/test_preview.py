"""The preview of rules: what it says is what then happens, and it writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from shared.domain.meeting import Meeting
from shared.domain.plan import GRACE
from shared.flows import preview
from tests.stack import GOOGLE, OUTLOOK, START, Stack
from tests.stack_api import StackApi

GUEST = "guest@globex.example"
MEET = "https://meet.google.com/qkr-wzpn-abt"


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws():
        yield Stack()


@pytest.fixture
def api(stack: Stack) -> StackApi:
    return StackApi(stack)


def add(stack: Stack, title: str, *, email: str = "owner@acme.example", **facts: Any) -> str:
    number = sum(title.encode()) % 900 + 100
    link = f"https://zoom.us/j/{number}5551234"
    wanted = {"start": START + timedelta(hours=3), "link": link, "attendees": [GUEST], **facts}
    return stack.recall.account(GOOGLE, email).add_event(title, **wanted)


def asked(api: StackApi, rules: dict[str, Any], *, scope: str = "default"):
    answer = api.call("POST", "/v1/rules/preview", {"scope": scope, "rules": rules})
    assert 200 == answer.status, answer.body
    return answer.json


def titles(told: dict[str, Any]) -> dict[str, list[str]]:
    return {name: sorted(each["title"] for each in told[name]) for name in told}


def test_each_list_has_its_meetings(stack, api):
    add(stack, "Guest")
    add(stack, "Alone", attendees=[])
    stack.connect()
    stack.run(10)
    nothing = {"added": [], "removed": [], "changed": [], "unchanged": []}
    cases = [
        ({}, {"unchanged": ["Alone", "Guest"]}),
        ({"min_others": 0}, {"added": ["Alone"], "unchanged": ["Guest"]}),
        ({"min_others": 2}, {"removed": ["Guest"], "unchanged": ["Alone"]}),
        ({"bot": {"bot_name": "Scribe"}}, {"changed": ["Guest"], "unchanged": ["Alone"]}),
        ({"scheduling": "self_managed"}, {"changed": ["Guest"], "unchanged": ["Alone"]}),
        ({"mode": "preview"}, {"removed": ["Guest"], "unchanged": ["Alone"]}),
        ({"mode": "paused"}, {"removed": ["Guest"], "unchanged": ["Alone"]}),
    ]
    for rules, expected in cases:
        assert nothing | expected == titles(asked(api, rules)), rules


def test_meetings_are_shown_as_they_would_be(stack, api):
    add(stack, "Guest")
    stack.connect()
    stack.run(10)
    (shown,) = asked(api, {"min_others": 2})["removed"]
    assert {"join": False, "reason": "bounds.min_others", "rule": "min_others"} == shown["decision"]
    assert shown["bot"] is not None


def test_a_preview_writes_nothing(stack, api):
    add(stack, "Guest")
    calendar_id = stack.connect()
    stack.run(10)
    before = stack.stores.meetings.of_calendar(calendar_id)
    asked(api, {"mode": "paused"})
    assert before == stack.stores.meetings.of_calendar(calendar_id)
    assert {} == api.call("GET", "/v1/rules/default").json
    assert stack.stores.workspace.redecision() is None


def test_a_scope_shows_its_own_meetings(stack, api):
    for name in ("ada", "bob"):
        email = f"{name}@acme.example"
        add(stack, name, email=email)
        stack.connect(email, tenant_id="acme", entity_id=name)
    stack.run(10)
    expected = {
        "default": ["ada", "bob"],
        "tenant:acme": ["ada", "bob"],
        "entity:acme:bob": ["bob"],
    }
    for scope, removed in {**expected, "tenant:other": []}.items():
        assert removed == titles(asked(api, {"mode": "paused"}, scope=scope))["removed"]


def test_another_entitys_copy_is_shown_if_the_vote_takes_its_bot(stack, api):
    people = ["ada@acme.example", "bob@acme.example"]
    for email in people:
        add(stack, email, email=email, link=MEET, organizer="ada@acme.example", attendees=people)
        stack.connect(email, tenant_id="acme", entity_id=email.partition("@")[0])
    stack.run(10)
    api.call("PUT", "/v1/rules/tenant:acme", {"vote": "all_agree"})
    stack.run(5)
    told = titles(asked(api, {"base": "off"}, scope="entity:acme:ada"))
    assert people == told["removed"]
    assert [] == told["unchanged"]


def test_another_owner_whose_bot_is_the_same_changes_nothing(stack, api):
    people = ["ada@acme.example", "bob@acme.example"]
    for email in people:
        add(stack, email, email=email, link=MEET, organizer="ada@acme.example", attendees=people)
        stack.connect(email, tenant_id="acme", entity_id=email.partition("@")[0])
    stack.run(10)
    told = titles(asked(api, {"base": "off"}, scope="entity:acme:ada"))
    assert {"added": [], "removed": people[:1], "changed": [], "unchanged": []} == told


def test_a_bot_in_its_call_stays_there(stack, api):
    add(stack, "Guest", start=START + timedelta(minutes=20))
    stack.connect()
    stack.run(25 * 60)
    assert ["Guest"] == titles(asked(api, {"base": "off"}))["unchanged"]
    assert [] == asked(api, {"base": "off"})["removed"]


def test_a_preview_has_an_end(stack, api, monkeypatch):
    monkeypatch.setattr(preview, "MEETINGS_MAX", 1)
    add(stack, "One")
    stack.connect()
    stack.run(10)
    asked(api, {})
    add(stack, "Two")
    stack.run(10)
    answer = api.call("POST", "/v1/rules/preview", {"scope": "default", "rules": {}})
    assert (400, "preview_too_large") == (answer.status, answer.json["code"])


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"scope": "x", "rules": {}}, "scope_invalid", "scope"),
        ({"scope": "default"}, "body_invalid", "rules"),
        ({"rules": {}}, "body_invalid", "scope"),
        ({"scope": "default", "rules": {"rsvp": "x"}}, "body_invalid", "rules.rsvp"),
        ({"scope": "default", "rules": {"locked": ["rsvp"]}}, "body_invalid", "locked"),
        ({"scope": "entity:t:e", "rules": {"base": "off"}}, "rules_locked", "base"),
    ],
)
def test_bad_rules_are_refused_as_when_they_are_put(stack, api, body, code, field):
    api.call("PUT", "/v1/rules/tenant:t", {"locked": ["base"]})
    answer = api.call("POST", "/v1/rules/preview", body)
    assert (400, code, field) == (answer.status, answer.json["code"], answer.json["field"])


# What it says is what then happens.

# Whose calendar it is at which provider; two domains, so that `dedupe: domain` parts them.
PEOPLE = {
    "ada@acme.example": GOOGLE,
    "bob@acme.example": OUTLOOK,
    "eve@initech.example": GOOGLE,
}

rules = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["live", "live", "preview", "paused"]),
        "base": st.sampled_from(["all", "off", "external", "organizer"]),
        "rsvp": st.sampled_from(["any", "not_declined", "accepted"]),
        "min_others": st.integers(0, 2),
        "vote": st.sampled_from(["any", "organizer_first", "all_agree"]),
        "veto": st.sampled_from(["none", "organizer", "any"]),
        "dedupe": st.sampled_from(["tenant", "domain", "calendar"]),
        "scheduling": st.sampled_from(["managed", "self_managed"]),
        "horizon_hours": st.just(5),
        "exclude": st.just({"keywords": ["secret"]}),
        "bot": st.sampled_from([{"bot_name": "Scribe"}, {"bot_name": "Clerk of {owner}"}]),
    },
)
scopes = st.sampled_from(["default", "tenant:acme", "entity:acme:ada", "entity:acme:eve"])
put = st.tuples(scopes, rules)
choices = st.dictionaries(st.sampled_from(sorted(PEOPLE)), st.sampled_from(["on", "off"]))
meetings = st.lists(
    st.fixed_dictionaries(
        {
            "title": st.sampled_from(["Weekly", "Secret plans"]),
            "people": st.sets(st.sampled_from(sorted(PEOPLE)), min_size=1),
            "organizer": st.sampled_from([*sorted(PEOPLE), GUEST]),
            "guest": st.booleans(),
            "answer": st.sampled_from(["none", "accepted", "declined"]),
            "said": choices,
        }
    ),
    min_size=1,
    max_size=3,
)


def invite(stack: Stack, number: int, meeting: dict[str, Any]) -> None:
    guests = [GUEST] if meeting["guest"] else []
    for email in sorted(meeting["people"]):
        own = meeting["organizer"] == email
        stack.recall.account(PEOPLE[email], email).add_event(
            meeting["title"],
            start=START + timedelta(hours=3 + number),
            link=f"https://zoom.us/j/{number}999123456",
            attendees=[*sorted(meeting["people"]), *guests],
            organizer=meeting["organizer"],
            answer="none" if own else meeting["answer"],
        )


def say(api: StackApi, row: Meeting, choice: str) -> None:
    event = row.event
    path = f"/v1/calendars/{event.calendar_id}/meetings/{event.event_id}/override"
    answer = api.call("PUT", path, {"choice": choice, "scope": "occurrence"})
    assert 200 == answer.status, answer.body


def rows_of(stack: Stack, calendar_ids: Iterable[str]) -> list[Meeting]:
    return [
        row
        for calendar_id in calendar_ids
        for row in stack.stores.meetings.of_calendar(calendar_id).items
    ]


def bots(rows: Iterable[Meeting]) -> dict[str, tuple[str, ...] | None]:
    """What each copy has: the key and the make of its bot, and whose the bot is."""
    return {
        row.event.event_id: (held.deduplication_key, held.fingerprint, held.by)
        if (held := row.assignment)
        else None
        for row in rows
    }


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(meetings=meetings, first=st.tuples(put, put), then=put)
def test_what_it_says_is_what_then_happens(meetings, first, then):
    with mock_aws():
        stack = Stack()
        api = StackApi(stack)
        for number, meeting in enumerate(meetings, start=1):
            invite(stack, number, meeting)
        calendars = {
            stack.connect(
                email, platform=platform, tenant_id="acme", entity_id=email.partition("@")[0]
            ): email
            for email, platform in PEOPLE.items()
        }
        for scope, document in first:
            assert 200 == api.call("PUT", f"/v1/rules/{scope}", document).status
        stack.run(15)
        for row in rows_of(stack, calendars):
            meeting = meetings[(row.event.start - START) // timedelta(hours=1) - 4]
            choice = meeting["said"].get(calendars[row.event.calendar_id])
            if choice is not None:
                say(api, row, choice)
        stack.run(60)
        before = bots(rows_of(stack, calendars))
        told = asked(api, then[1], scope=then[0])
        listed = {name: {each["event_id"] for each in told[name]} for name in told}
        assert 200 == api.call("PUT", f"/v1/rules/{then[0]}", then[1]).status
        # A copy whose key changed waits for the others before it takes a bot of its own.
        stack.run((GRACE + timedelta(minutes=1)).total_seconds(), ticks=True)
        rows = rows_of(stack, calendars)
        after = bots(rows)
    for event_id, has in after.items():
        had = before[event_id]
        expected = {
            "added": had is None and has is not None,
            "removed": had is not None and has is None,
            "changed": had is not None and has is not None and had != has,
        }
        assert expected == {name: event_id in listed[name] for name in expected}
    shown = {each["event_id"]: each["decision"] for name in told for each in told[name]}
    verdicts = {row.event.event_id: row.verdict for row in rows}
    for event_id, decision in shown.items():
        verdict = verdicts[event_id]
        expected = {"join": verdict.join, "reason": verdict.reason, "rule": verdict.rule}
        assert expected == decision
