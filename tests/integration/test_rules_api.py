"""The rules API through its handler: scopes, versions, locks, and what a change sets going."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote

import pytest

from shared.storage import Conflict
from shared.storage.settings import SettingsStore
from tests.connect_stage import KEY_PREFIX, START, Stage, open_stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    with open_stage() as stage:
        yield stage


def put(stage: Stage, scope: str, rules: object, **headers: str):
    return stage.call("PUT", f"/v1/rules/{scope}", rules, **headers)


def get(stage: Stage, scope: str):
    return stage.call("GET", f"/v1/rules/{scope}")


@pytest.mark.parametrize(
    "scope",
    ["default", "tenant:acme", "entity:acme:u_1", "entity:a%3Ab:u%2F1", "tenant:Zo\u00eb"],
)
def test_what_was_put_is_read(stage, scope):
    nothing = get(stage, scope)
    assert (200, {}, '"0"') == (nothing.status, nothing.json, nothing.headers["etag"])
    assert "last-modified" not in nothing.headers
    answer = put(stage, scope, {"rsvp": "accepted"})
    read = get(stage, scope)
    for each in (answer, read):
        assert (200, {"rsvp": "accepted"}) == (each.status, each.json)
        assert '"1"' == each.headers["etag"]
        assert "Mon, 01 Mar 2027 09:00:00 GMT" == each.headers["last-modified"]


def test_one_scope_is_written_in_many_ways(stage):
    put(stage, "tenant:a%2fb", {"rsvp": "any"})
    assert {"rsvp": "any"} == get(stage, "tenant:a%2Fb").json
    assert {} == get(stage, "tenant:a").json


def test_long_names_are_scopes_too(stage):
    scope = f"entity:{quote('租' * 256)}:{quote('人' * 256)}"
    put(stage, scope, {"rsvp": "any"})
    put(stage, scope, {"rsvp": "accepted"})
    versions = stage.call("GET", f"/v1/rules/{scope}/versions").json["items"]
    assert {"rsvp": "accepted"} == get(stage, scope).json
    assert [{"rsvp": "accepted"}, {"rsvp": "any"}] == [each["rules"] for each in versions]


@pytest.mark.parametrize(
    "scope",
    [
        "tenant",
        "default:x",
        "tenant:",
        "tenant:a:b",
        "entity:a",
        "series:c:s",
        "x",
        "version:1:a",
        "tenant:" + "a" * 257,
        "tenant:a%00b",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_wrong_scope_is_refused_with_the_remedy(stage, scope, method):
    answer = stage.call(method, f"/v1/rules/{scope}", {} if method == "PUT" else None)
    assert (400, "scope_invalid", "scope") == (
        answer.status,
        answer.json["code"],
        answer.json["field"],
    )
    assert "entity:<tenant_id>:<entity_id>" in answer.json["detail"]


@pytest.mark.parametrize(
    ("scope", "rules", "field"),
    [
        ("default", {"rsvp": "perhaps"}, "rsvp"),
        ("default", {"colour": "red"}, "colour"),
        ("default", {"locked": ["rsvp"]}, "locked"),
        ("entity:acme:u_1", {"locked": ["rsvp"]}, "locked"),
    ],
)
def test_bad_rules_are_refused_by_key(stage, scope, rules, field):
    answer = put(stage, scope, rules)
    assert (400, field) == (answer.status, answer.json["field"])
    assert '"0"' == get(stage, scope).headers["etag"]
    assert [] == stage.bells()


def test_an_entity_cannot_change_what_its_tenant_locked(stage):
    put(stage, "tenant:acme", {"rsvp": "accepted", "locked": ["rsvp"]})
    answer = put(stage, "entity:acme:u_1", {"private": "allow", "rsvp": "any"})
    assert (400, "rules_locked", "rsvp") == (
        answer.status,
        answer.json["code"],
        answer.json["field"],
    )
    assert 200 == put(stage, "entity:acme:u_1", {"private": "allow"}).status
    assert 200 == put(stage, "entity:other:u_1", {"rsvp": "any"}).status


# Versions.


def test_each_version_is_kept_with_who_and_when(stage):
    put(stage, "default", {"rsvp": "any"})
    stage.pass_time(60)
    put(stage, "default", {"rsvp": "accepted"})
    put(stage, "tenant:acme", {"rsvp": "any"})
    listed = stage.call("GET", "/v1/rules/default/versions")
    assert listed.json == {
        "items": [
            {
                "version": 2,
                "rules": {"rsvp": "accepted"},
                "set_by": KEY_PREFIX,
                "set_at": "2027-03-01T09:01:00Z",
            },
            {
                "version": 1,
                "rules": {"rsvp": "any"},
                "set_by": KEY_PREFIX,
                "set_at": "2027-03-01T09:00:00Z",
            },
        ],
        "next_cursor": None,
    }
    nothing = stage.call("GET", "/v1/rules/tenant:none/versions").json
    assert {"items": [], "next_cursor": None} == nothing


def test_versions_are_listed_in_pages(stage):
    for number in range(5):
        put(stage, "default", {"min_others": number})
    found, query = [], {"limit": "2"}
    while query:
        page = stage.call("GET", "/v1/rules/default/versions", query=query).json
        found += [item["version"] for item in page["items"]]
        cursor = page["next_cursor"]
        query = {"limit": "2", "cursor": cursor} if cursor else {}
    assert [5, 4, 3, 2, 1] == found


@pytest.mark.parametrize("cursor", ["x", "eyJ2ZXJzaW9uIjogIngifQ", "eyJ2ZXJzaW9uIjogIi0xIn0"])
def test_a_foreign_cursor_is_refused(stage, cursor):
    answer = stage.call("GET", "/v1/rules/default/versions", query={"cursor": cursor})
    assert (400, "cursor_invalid") == (answer.status, answer.json["code"])


def test_only_the_last_versions_are_kept(stage, monkeypatch):
    monkeypatch.setattr("shared.storage.settings.VERSIONS_KEPT", 2)
    for number in range(5):
        put(stage, "default", {"min_others": number})
    page = stage.call("GET", "/v1/rules/default/versions", query={"limit": "3"}).json
    assert [5, 4, 3] == [item["version"] for item in page["items"]]
    assert page["next_cursor"] is None
    stage.stores.settings.forget_rules("default")
    assert {} == stage.stores.settings.rules_at({"default": 5})


@pytest.mark.parametrize(
    ("if_match", "status"),
    [('"1"', 200), ("*", 200), ('"7", "1"', 200), ('"0"', 412), ('W/"1"', 412), ("1", 412)],
)
def test_a_put_may_name_the_version_it_follows(stage, if_match, status):
    put(stage, "default", {"rsvp": "any"})
    answer = put(stage, "default", {"rsvp": "accepted"}, if_match=if_match)
    assert status == answer.status
    if status == 412:
        assert "rules_changed" == answer.json["code"]
        assert {"rsvp": "any"} == get(stage, "default").json


def test_the_first_put_may_insist_on_being_the_first(stage):
    assert 200 == put(stage, "default", {"rsvp": "any"}, if_match='"0"').status
    assert 412 == put(stage, "default", {"rsvp": "any"}, if_match='"0"').status


def overtaken(stage: Stage, monkeypatch, *, times: int) -> None:
    """Another's rules are stored just before ours, so many times."""
    genuine = SettingsStore.put_rules
    left = iter(range(times))

    def late(store, scope, document, **how):
        if next(left, None) is not None:
            genuine(store, scope, {"min_others": 9}, by="other", at=stage.clock.now())
        return genuine(store, scope, document, **how)

    monkeypatch.setattr(SettingsStore, "put_rules", late)


def test_of_two_puts_at_once_none_is_lost(stage, monkeypatch):
    overtaken(stage, monkeypatch, times=1)
    answer = put(stage, "default", {"rsvp": "any"})
    assert (200, '"2"') == (answer.status, answer.headers["etag"])
    versions = stage.call("GET", "/v1/rules/default/versions").json["items"]
    assert ["other", KEY_PREFIX] == [each["set_by"] for each in reversed(versions)]


def test_a_put_that_is_overtaken_fails_if_it_named_its_version(stage, monkeypatch):
    put(stage, "default", {})
    overtaken(stage, monkeypatch, times=1)
    assert 412 == put(stage, "default", {"rsvp": "any"}, if_match='"1"').status


def test_a_put_that_is_overtaken_all_the_time_gives_up(stage, monkeypatch):
    overtaken(stage, monkeypatch, times=100)
    answer = put(stage, "default", {"rsvp": "any"})
    assert (503, "rules_busy") == (answer.status, answer.json["code"])


def test_writers_who_read_the_same_version_cannot_both_win(stage):
    settings = stage.stores.settings
    settings.put_rules("default", {}, by="a", at=START, after=0)
    with pytest.raises(Conflict):
        settings.put_rules("default", {}, by="b", at=START, after=0)


# What a change sets going.


def test_a_change_is_announced_and_rung(stage):
    assert stage.call("GET", "/v1/status").json["rules"] is None
    put(stage, "tenant:acme", {"rsvp": "any"})
    assert ["work.due"] == [bell["type"] for bell in stage.bells()]
    assert stage.call("GET", "/v1/status").json["rules"] == {
        "scope": "tenant:acme",
        "version": 1,
        "started_at": "2027-03-01T09:00:00Z",
        "meetings_seen": 0,
        "meetings_changed": 0,
        "finished_at": None,
    }
    assert "tenant:acme" == stage.stores.workspace.redecision().next_scope(stage.clock.now())


def test_rules_whose_storing_broke_off_are_walked_all_the_same(stage, monkeypatch):
    """The job is there before the rules are, and waits until the request must be over."""
    monkeypatch.setattr(SettingsStore, "put_rules", lambda *_, **__: json.loads("{"))
    assert 500 == put(stage, "default", {"rsvp": "any"}).status
    job = stage.stores.workspace.redecision()
    assert job.next_scope(stage.clock.now()) is None
    assert "default" == job.next_scope(stage.clock.now() + timedelta(minutes=1))
