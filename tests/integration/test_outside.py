"""The project from outside: what a host says over HTTP, and which bots Recall then has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from tests.stack import GOOGLE, OUTLOOK, START, Stack
from tests.stack_api import StackApi

ADA, BOB, GUEST = "ada@acme.example", "bob@acme.example", "guest@globex.example"
MEET = "https://meet.google.com/qkr-wzpn-abt"
PEOPLE = {ADA: GOOGLE, BOB: OUTLOOK}
TENANT, ENTITY = "tenant:acme", "entity:acme:ada"


class Host:
    """A host with one customer, Acme, in which Ada and Bob are connected."""

    def __init__(self) -> None:
        self.stack = Stack()
        self.api = StackApi(self.stack)
        self.calendars: dict[str, str] = {}
        self.events: list[str] = []

    def invite(self, title: str = "Kickoff", **facts: Any) -> None:
        """A meeting that Ada organizes; Bob has a copy of his own when he is invited."""
        people = facts.pop("people", [ADA])
        wanted = {"start": START + timedelta(hours=3), "link": MEET, "organizer": ADA, **facts}
        wanted.setdefault("attendees", [*people, GUEST])
        for email in people:
            account = self.stack.recall.account(PEOPLE[email], email)
            self.events.append(account.add_event(title, **wanted))

    def connect(self, *people: str) -> None:
        for email in people or (ADA,):
            name = email.partition("@")[0]
            self.calendars[email] = self.stack.connect(
                email, platform=PEOPLE[email], tenant_id="acme", entity_id=name
            )
        self.stack.run(10)

    def put(self, scope: str, rules: dict[str, Any]) -> None:
        answer = self.api.call("PUT", f"/v1/rules/{scope}", rules)
        assert 200 == answer.status, answer.body
        self.stack.run(5)

    def shown(self, email: str = ADA) -> list[dict[str, Any]]:
        path = f"/v1/calendars/{self.calendars[email]}/meetings"
        items: list[dict[str, Any]] = self.api.call("GET", path).json["items"]
        return items

    def reasons(self, email: str = ADA) -> list[str]:
        return [meeting["decision"]["reason"] for meeting in self.shown(email)]

    def say(self, choice: str, scope: str = "occurrence", *, number: int = 0) -> None:
        meeting = self.shown()[number]
        path = f"/v1/calendars/{meeting['calendar_id']}/meetings/{meeting['event_id']}/override"
        answer = self.api.call("PUT", path, {"choice": choice, "scope": scope})
        assert (200, choice) == (answer.status, answer.json["override"])
        self.stack.run(5)

    def names(self) -> list[str]:
        return [bot.bot_name for bot in self.stack.recall.live_bots()]


@pytest.fixture
def host() -> Iterator[Host]:
    with mock_aws():
        yield Host()


@pytest.mark.parametrize("scheduling", ["managed", "self_managed"])
def test_what_a_mode_means(host: Host, scheduling: str) -> None:
    host.put("default", {"scheduling": scheduling})
    host.invite()
    host.connect()
    assert 1 == len(host.names())
    host.put(TENANT, {"mode": "preview"})
    (shown,) = host.shown()
    assert (True, None, []) == (shown["decision"]["join"], shown["bot"], host.names())
    host.put(TENANT, {"mode": "paused"})
    (shown,) = host.shown()
    paused = {"join": False, "reason": "ineligible.paused", "rule": "mode"}
    assert (paused, None, []) == (shown["decision"], shown["bot"], host.names())
    host.put(TENANT, {"mode": "live"})
    (shown,) = host.shown()
    assert (True, 1) == (shown["decision"]["join"], len(host.names()))
    assert {"bot_id", "state", "deduplication_key", "join_at"} == set(shown["bot"])


def test_a_copy_in_preview_has_no_part_in_the_bot_of_the_others(host: Host) -> None:
    host.put(ENTITY, {"mode": "preview"})
    host.invite(people=[ADA, BOB])
    host.connect(ADA, BOB)
    (adas,), (bobs,) = host.shown(), host.shown(BOB)
    assert (True, None) == (adas["decision"]["join"], adas["bot"])
    assert bobs["bot"] is not None
    assert 1 == len(host.names())


@pytest.mark.parametrize("scheduling", ["managed", "self_managed"])
def test_only_what_lies_within_the_horizon_has_a_bot(host: Host, scheduling: str) -> None:
    host.put("default", {"scheduling": scheduling, "horizon_hours": 2})
    host.invite()
    host.connect()
    assert (["ineligible.horizon"], []) == (host.reasons(), host.names())
    host.stack.run(3600 + 120, ticks=True)
    assert (["base.all"], 1) == (host.reasons(), len(host.names()))


@pytest.mark.parametrize("scheduling", ["managed", "self_managed"])
def test_name_and_configuration_reach_recall_as_they_are(host: Host, scheduling: str) -> None:
    config = {
        "automatic_leave": {"waiting_room_timeout": 600, "noone_joined_timeout": 300},
        "recording_config": {"transcript": {"provider": {"meeting_captions": {}}}},
        "variant": {"zoom": "web_4_core"},
        "metadata": {"team": "sales"},
    }
    bot = {"bot_name": "{owner} of {tenant}: {title}", "config": config}
    host.put("default", {"scheduling": scheduling, "bot": bot})
    host.invite("Q3 plan")
    host.connect()
    assert ["ada of acme: Q3 plan"] == host.names()
    (made,) = host.stack.recall.live_bots()
    sent = host.stack.recall.core.bots[made.bot_id].config
    assert config == {
        **{key: sent[key] for key in config if key != "metadata"},
        "metadata": {"team": sent["metadata"]["team"]},
    }
    host.put("default", {"scheduling": scheduling, "bot": {"bot_name": "Scribe"}})
    assert ["Scribe"] == host.names()


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        ({}, "Notetaker"),
        ({"default": "D"}, "D"),
        ({"default": "D", TENANT: "T"}, "T"),
        ({"default": "D", TENANT: "T", ENTITY: "E"}, "E"),
        ({"default": "D", ENTITY: "E"}, "E"),
    ],
)
def test_the_nearest_scope_prevails(host: Host, rules: dict[str, str], name: str) -> None:
    for scope, bot_name in rules.items():
        host.put(scope, {"bot": {"bot_name": bot_name}})
    host.invite()
    host.connect()
    assert [name] == host.names()


def test_what_a_tenant_locks_beats_what_an_entity_had_said(host: Host) -> None:
    host.put(ENTITY, {"bot": {"bot_name": "E"}, "base": "off"})
    host.put(TENANT, {"bot": {"bot_name": "T"}})
    host.invite()
    host.connect()
    assert (["base.off"], []) == (host.reasons(), host.names())
    host.put(TENANT, {"bot": {"bot_name": "T"}, "locked": ["bot", "base"]})
    assert (["base.all"], ["T"]) == (host.reasons(), host.names())
    host.put(TENANT, {"bot": {"bot_name": "T"}, "locked": ["base"]})
    assert ["E"] == host.names()


VOTES: list[tuple[dict[str, Any], dict[str, Any], tuple[str, str], int]] = [
    ({}, {"base": "off"}, ("base.off", "base.all"), 1),
    ({"vote": "organizer_first"}, {"base": "off"}, ("base.off", "vote.organizer_first"), 0),
    ({"vote": "all_agree"}, {"base": "off"}, ("base.off", "vote.all_agree"), 0),
    ({"vote": "all_agree"}, {}, ("base.all", "base.all"), 1),
    ({"dedupe": "calendar"}, {"base": "off"}, ("base.off", "base.all"), 1),
    ({"dedupe": "calendar"}, {}, ("base.all", "base.all"), 2),
    ({"dedupe": "domain"}, {}, ("base.all", "base.all"), 1),
]


@pytest.mark.parametrize("scheduling", ["managed", "self_managed"])
@pytest.mark.parametrize(("tenant", "entity", "reasons", "bots"), VOTES)
def test_copies_of_one_meeting(
    host: Host,
    scheduling: str,
    tenant: dict[str, Any],
    entity: dict[str, Any],
    reasons: tuple[str, str],
    bots: int,
) -> None:
    host.put(TENANT, {**tenant, "scheduling": scheduling})
    host.put(ENTITY, entity)
    host.invite(people=[ADA, BOB])
    host.connect(ADA, BOB)
    assert (*reasons, bots) == (*host.reasons(), *host.reasons(BOB), len(host.names()))


VETOES = [("organizer", "vote.veto", 0), ("none", "base.all", 1), ("any", "vote.veto", 0)]


@pytest.mark.parametrize(("veto", "reason", "bots"), VETOES)
def test_the_organizer_s_off(host: Host, veto: str, reason: str, bots: int) -> None:
    host.put(TENANT, {"veto": veto})
    host.invite(people=[ADA, BOB])
    host.connect(ADA, BOB)
    host.say("off")
    assert ("override.off", reason, bots) == (
        *host.reasons(),
        *host.reasons(BOB),
        len(host.names()),
    )


def moved(host: Host) -> None:
    account = host.stack.recall.account(GOOGLE, ADA)
    account.move(host.events[0], START + timedelta(hours=6))


def retitled(host: Host) -> None:
    host.put("default", {"rsvp": "any", "base": "internal", "include": {"keywords": ["kickoff"]}})


@pytest.mark.parametrize("scheduling", ["managed", "self_managed"])
@pytest.mark.parametrize("change", [moved, retitled])
def test_an_off_outlives_every_change(
    host: Host, scheduling: str, change: Callable[[Host], None]
) -> None:
    host.put(TENANT, {"scheduling": scheduling})
    host.invite()
    host.connect()
    host.say("off")
    assert [] == host.names()
    change(host)
    host.stack.run(90, ticks=True)
    assert (["override.off"], []) == (host.reasons(), host.names())
    host.say("auto")
    assert 1 == len(host.names())


@pytest.mark.parametrize("rules", [{"base": "off"}, {"exclude": {"keywords": ["kickoff"]}}])
def test_an_on_outlives_rules_against_it(host: Host, rules: dict[str, Any]) -> None:
    host.invite(attendees=[ADA], answer="declined")
    host.connect()
    assert [] == host.names()
    host.say("on")
    host.put("default", rules)
    assert (["override.on"], 1) == (host.reasons(), len(host.names()))
    host.put("default", {"deny": {"keywords": ["kickoff"]}})
    assert (["denied.keyword"], []) == (host.reasons(), host.names())


MEETING = {
    "calendar_id",
    "event_id",
    "title",
    "start_time",
    "end_time",
    "meeting_url",
    "platform",
    "series_id",
    "decision",
    "override",
    "bot",
}


def test_a_preview_shows_meetings_as_their_list_does(host: Host) -> None:
    host.invite(people=[ADA, BOB])
    host.connect(ADA, BOB)
    before = (host.shown(), host.shown(BOB))
    body = {"scope": TENANT, "rules": {"base": "off"}}
    told = host.api.call("POST", "/v1/rules/preview", body).json
    assert {"added": 0, "removed": 2, "changed": 0, "unchanged": 0} == {
        name: len(meetings) for name, meetings in told.items()
    }
    for meeting in told["removed"]:
        assert set(meeting) == MEETING
    assert before == (host.shown(), host.shown(BOB))
    host.put(TENANT, body["rules"])
    after = [*host.shown(), *host.shown(BOB)]
    decisions = {each["event_id"]: each["decision"] for each in after}
    assert decisions == {each["event_id"]: each["decision"] for each in told["removed"]}


@pytest.mark.parametrize("scheduling", ["managed", "self_managed"])
@pytest.mark.parametrize("seconds", [0, 1, 2, 5])
def test_an_entity_may_be_erased_while_its_calendar_syncs(
    host: Host, scheduling: str, seconds: float
) -> None:
    host.put(TENANT, {"scheduling": scheduling})
    host.invite(people=[ADA, BOB])
    host.connect(BOB)
    host.stack.connect(ADA, tenant_id="acme", entity_id="ada")
    host.stack.run(seconds)
    for _ in range(2):
        assert 202 == host.api.call("DELETE", "/v1/entities/acme/ada").status
    host.stack.run(90, ticks=True)
    known = host.api.call("GET", "/v1/calendars").json["items"]
    assert [BOB] == [each["email"] for each in known]
    assert list(host.calendars.values()) == list(host.stack.recall.calendars)
    assert 1 == len(host.names()), "Bob's copy wants it still"
