"""The calendars API through its handler: every route, every refusal, crashes and repetitions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from infra.local.emulators.http import Fault, FaultKind, Response
from shared.domain.calendar import CalendarStatus, Platform, account_key
from shared.domain.decision import Decision
from shared.domain.event import Answer as Rsvp
from shared.domain.event import Attendee, Event
from shared.domain.meeting import Assignment, Meeting, Override
from shared.domain.rotation import Walk, rotation_name
from shared.domain.rules import Choice
from shared.domain.series import Series
from shared.flows.calendars import AccountBusy
from shared.flows.landing import EPOCH
from shared.storage.accounts import AccountStore
from tests.connect_stage import ADA, BOB, GOOGLE, OUTLOOK, START, Stage, open_stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    with open_stage() as stage:
        yield stage


def kinds(stage: Stage) -> list[str]:
    return [kind for kind, _ in stage.notices()]


def connected(stage: Stage, **changes) -> str:
    calendar_id = stage.add(**changes).json["calendar_id"]
    stage.settle(calendar_id)
    stage.notices()
    stage.bells()
    return calendar_id


def meeting(calendar_id: str, event_id: str, *, hours: float = 2, series: str | None = None):
    start = START + timedelta(hours=hours)
    return Meeting(
        event=Event(
            event_id=event_id,
            calendar_id=calendar_id,
            platform=Platform.GOOGLE,
            platform_id=f"p-{event_id}",
            ical_uid=f"{event_id}@google.com",
            series_id=series,
            title="Planning",
            start=start,
            end=start + timedelta(minutes=30),
            all_day=False,
            cancelled=False,
            deleted=False,
            private=False,
            meeting_url="https://meet.google.com/abc-defg-hij",
            meeting_platform="google_meet",
            organizer_email=ADA,
            owner_is_organizer=True,
            owner_answer=Rsvp.ACCEPTED,
            attendees=(Attendee(email=BOB, answer=Rsvp.ACCEPTED),),
            guests_hidden=False,
        ),
        tenant_id="default",
        decision=Decision(join=True, reason="base.all", rule="base"),
        assignment=Assignment(
            bot_id=f"bot-{event_id}",
            deduplication_key="key",
            fingerprint="f",
            join_at=start,
        ),
    )


# A token in hand.


@pytest.mark.parametrize("platform", [GOOGLE, OUTLOOK])
def test_a_token_in_hand_becomes_a_calendar(stage, platform):
    answer = stage.add(platform=platform, metadata={"a": "b"}, tenant_id="t_1")
    assert answer.status == 201
    assert answer.json == {
        "calendar_id": next(iter(stage.recall.calendars)),
        "tenant_id": "t_1",
        "entity_id": "u_1",
        "platform": platform,
        "email": ADA,
        "status": "connecting",
        "status_reason": None,
        "metadata": {"a": "b"},
        "created_at": "2027-03-01T09:00:00Z",
        "updated_at": "2027-03-01T09:00:00Z",
    }
    assert [bell["calendar_id"] for bell in stage.bells()] == [answer.json["calendar_id"]]


def test_the_same_account_again_updates_its_calendar(stage):
    first = stage.add(metadata={"a": "b"})
    second = stage.add()
    assert (first.status, second.status) == (201, 200)
    assert first.json["calendar_id"] == second.json["calendar_id"]
    assert second.json["metadata"] == {"a": "b"}
    assert stage.recall.count("calendars_partial_update") == 1


def test_a_repeated_post_with_its_key_is_carried_out_once(stage):
    body = {"entity_id": "u_1", "platform": GOOGLE, "oauth_refresh_token": stage.token()}
    first = stage.call("POST", "/v1/calendars", body, idempotency_key="k")
    second = stage.call("POST", "/v1/calendars", body, idempotency_key="k")
    assert (first.status, second.status) == (201, 201)
    assert first.json == second.json
    assert stage.recall.count("calendars_create") == 1
    assert stage.recall.count("calendars_partial_update") == 0


@pytest.mark.parametrize(
    ("first", "second", "made"),
    [("k", "k", 1), ("k", "other", 2), (None, None, 2)],
)
def test_a_crash_after_create_makes_no_second_calendar_under_the_key(stage, first, second, made):
    """Nobody can name the account of a host's own client, so no claim keeps Recall's key."""
    body = {
        "entity_id": "u_1",
        "platform": GOOGLE,
        "oauth_refresh_token": "theirs",
        "oauth_client_id": "theirs",
        "oauth_client_secret": "theirs",
    }
    create = f"{stage.recall.base_url}/api/v2/calendars/"
    stage.recall_adapter.faults = lambda request: (
        Fault(kind=FaultKind.RESET_AFTER_EFFECT) if request.url == create else None
    )
    keys = [{} if key is None else {"idempotency_key": key} for key in (first, second)]
    assert stage.call("POST", "/v1/calendars", body, **keys[0]).status == 503
    stage.recall_adapter.faults = None

    answer = stage.call("POST", "/v1/calendars", body, **keys[1])

    assert (201, made) == (answer.status, len(stage.recall.calendars))


def test_another_body_under_a_key_that_failed_is_another_calendar(stage):
    body = {"entity_id": "u_1", "platform": GOOGLE, "oauth_refresh_token": "first"}
    own = {"oauth_client_id": "theirs", "oauth_client_secret": "theirs"}
    stage.recall_adapter.faults = lambda _: Fault(kind=FaultKind.RESET_AFTER_EFFECT)
    assert stage.call("POST", "/v1/calendars", body | own, idempotency_key="k").status == 503
    stage.recall_adapter.faults = None

    changed = body | own | {"oauth_refresh_token": "second"}
    answer = stage.call("POST", "/v1/calendars", changed, idempotency_key="k")

    made = stage.recall.calendars[answer.json["calendar_id"]]
    assert "second" == made.oauth_refresh_token


def test_an_account_whose_connect_crashed_connects_two_hours_later(stage):
    calendar_id = stage.add().json["calendar_id"]
    row = stage.stores.calendars.get(calendar_id)
    stage.stores.accounts.release(row.account_key, calendar_id=calendar_id)
    stage.stores.accounts.claim(row.account_key, claim_id="crashed", now=stage.clock.now())
    stage.stores.calendars.change(calendar_id, updated_at=START, email=None)

    with pytest.raises(AccountBusy):
        stage.settle(calendar_id)
    assert stage.stores.calendars.get(calendar_id).email is None
    stage.pass_time(2 * 3600)

    assert ADA == stage.refresh(calendar_id).email
    assert calendar_id == stage.stores.accounts.get(row.account_key).calendar_id


def test_two_calendars_without_a_claim_between_them_become_one(stage):
    older = stage.add().json["calendar_id"]
    row = stage.stores.calendars.get(older)
    stage.settle(older)
    # As after a connect that stored its row and no claim, and one that could not name the account.
    stage.stores.accounts.release(row.account_key, calendar_id=older)
    stage.pass_time(60)
    stage.provider_adapters[GOOGLE].faults = lambda _: Fault(kind=FaultKind.READ_TIMEOUT)
    younger = stage.add().json["calendar_id"]
    stage.provider_adapters[GOOGLE].faults = None

    stage.settle(younger)
    stage.answer_updates()

    assert [older] == list(stage.recall.calendars)
    assert stage.stores.calendars.get(younger) is None
    assert older == stage.stores.accounts.get(row.account_key).calendar_id


def test_what_comes_after_a_deletion_is_a_calendar_of_its_own(stage):
    first = stage.add().json["calendar_id"]
    row = stage.stores.calendars.get(first)
    claim_id = stage.stores.accounts.get(row.account_key).claim_id
    # As after a connect that stored its row and broke off before the claim knew of it.
    stage.stores.accounts.release(row.account_key, calendar_id=first)
    stage.stores.accounts.claim(row.account_key, claim_id=claim_id, now=stage.clock.now())
    assert stage.call("DELETE", f"/v1/calendars/{first}").status == 204

    again = stage.add().json["calendar_id"]

    assert [again] == list(stage.recall.calendars)


def test_a_claim_left_behind_brings_no_calendar_back_that_is_gone(stage):
    """The first try claims the account and fails; its repeat cannot ask whose account it is."""
    body = {"entity_id": "u_1", "platform": GOOGLE, "oauth_refresh_token": stage.token()}
    stage.recall.outage = 503
    assert stage.call("POST", "/v1/calendars", body, idempotency_key="k").status == 503
    stage.recall.outage = None
    stage.provider_adapters[GOOGLE].faults = lambda _: Fault(kind=FaultKind.CONNECT_TIMEOUT)
    gone = stage.call("POST", "/v1/calendars", body, idempotency_key="k").json["calendar_id"]
    stage.provider_adapters[GOOGLE].faults = None
    assert stage.call("DELETE", f"/v1/calendars/{gone}").status == 204

    again = stage.add()

    assert [again.json["calendar_id"]] == list(stage.recall.calendars)


def test_a_post_that_failed_may_be_repeated_with_its_key(stage):
    body = {"entity_id": "u_1", "platform": GOOGLE, "oauth_refresh_token": stage.token()}
    stage.recall.outage = 503
    assert stage.call("POST", "/v1/calendars", body, idempotency_key="k").status == 503
    stage.recall.outage = None
    assert stage.call("POST", "/v1/calendars", body, idempotency_key="k").status == 201
    assert len(stage.recall.calendars) == 1


def test_recall_has_the_last_word_on_a_dead_token(stage):
    answer = stage.add(oauth_refresh_token="dead")
    assert (201, "connecting") == (answer.status, answer.json["status"])
    stage.settle(answer.json["calendar_id"])
    calendar = stage.call("GET", f"/v1/calendars/{answer.json['calendar_id']}").json
    assert ("disconnected", "invalid_grant") == (calendar["status"], calendar["status_reason"])


def test_a_token_that_does_not_open_the_calendar_is_refused(stage):
    token = stage.worlds[GOOGLE].issue_refresh_token(ADA, ("openid", "email"))
    answer = stage.add(oauth_refresh_token=token)
    assert (answer.status, answer.json["code"]) == (400, "scope_missing")


@pytest.mark.parametrize("secret", ["client-secret-1", "wrong"])
def test_a_client_of_the_hosts_own_goes_to_recall(stage, secret):
    own = {"oauth_client_id": "client-1", "oauth_client_secret": secret}
    assert 201 == stage.add(**own).status


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"oauth_client_id": "x"}, "oauth_client_secret"),
        ({"oauth_client_secret": "x"}, "oauth_client_id"),
        ({"oauth_refresh_token": ""}, "oauth_refresh_token"),
        ({"oauth_refresh_token": 1}, "oauth_refresh_token"),
        ({"oauth_refresh_token": "x" * 10_001}, "oauth_refresh_token"),
        ({"entity_id": None}, "entity_id"),
        ({"platform": "ical"}, "platform"),
        ({"email": "x@y.z"}, "email"),
    ],
)
def test_bad_input_is_named(stage, given, field):
    answer = stage.add(**given)
    assert (answer.status, answer.json["field"]) == (400, field)
    assert "x" * 100 not in answer.body


def test_malformed_and_oversized_bodies(stage):
    assert stage.call("POST", "/v1/calendars", "{").json["code"] == "body_malformed"
    assert stage.call("POST", "/v1/calendars", "[]").status == 400
    assert stage.call("POST", "/v1/calendars", '"' + "x" * 70_000 + '"').status == 413


def test_unknown_routes_and_methods(stage):
    assert stage.call("GET", "/v1/nothing").json["code"] == "route_not_found"
    assert stage.call("DELETE", "/v1/calendars").status == 405


def test_a_new_calendar_is_read_from_its_beginning(stage):
    row = stage.stores.calendars.get(stage.add().json["calendar_id"])
    assert row.read_since == row.created_at == stage.clock.now()


# An account that nobody names.


def nameless(stage: Stage, token: str | None = None):
    """Connect while the provider is down, so that the address comes with the first sync."""
    token = token or stage.token()
    stage.provider_adapters[GOOGLE].faults = lambda _: Fault(kind=FaultKind.CONNECT_TIMEOUT)
    answer = stage.add(oauth_refresh_token=token)
    stage.provider_adapters[GOOGLE].faults = None
    assert (answer.status, answer.json["email"]) == (201, None)
    return answer.json["calendar_id"]


def test_the_first_sync_names_the_account(stage):
    calendar_id = nameless(stage)
    assert stage.settle(calendar_id).email == ADA
    assert stage.add().json["calendar_id"] == calendar_id


def test_a_double_is_merged_into_the_older_calendar(stage):
    older = stage.add().json["calendar_id"]
    stage.settle(older)
    stage.pass_time(60)
    newer = nameless(stage)
    stage.notices()
    survivor = stage.settle(newer)
    stage.answer_updates()
    assert survivor.calendar_id == older
    assert list(stage.recall.calendars) == [older]
    assert stage.call("GET", f"/v1/calendars/{newer}").status == 404
    assert "calendar.deleted" in kinds(stage)
    assert stage.settle(older).status is CalendarStatus.CONNECTED
    assert stage.add().json["calendar_id"] == older


def test_a_merge_takes_the_tokens_own_client_along(stage):
    older = connected(stage)
    stage.recall.calendars[older].oauth_client_id = "retired"
    stage.pass_time(60)
    stage.settle(nameless(stage))
    assert stage.recall.calendars[older].oauth_client_id == "client-1"
    assert stage.settle(older).status is CalendarStatus.CONNECTED


def test_the_older_calendar_stays_even_when_the_newer_had_its_name_first(stage):
    older = nameless(stage)
    stage.pass_time(0.5)
    newer = stage.add().json["calendar_id"]
    assert newer != older
    survivor = stage.settle(older)
    stage.answer_updates()
    assert survivor.calendar_id == older
    assert list(stage.recall.calendars) == [older]
    assert stage.stores.calendars.get(older).email == ADA


def test_a_merge_that_broke_off_is_finished_by_the_next_refresh(stage):
    older = connected(stage)
    stage.pass_time(60)
    newer = nameless(stage)
    stage.pass_time(2)

    def no_deletes(request):
        return Fault(kind=FaultKind.CONNECT_ERROR) if request.method == "DELETE" else None

    stage.recall_adapter.faults = no_deletes
    stage.refresh(newer)
    with pytest.raises(Exception, match="Recall"):
        stage.refresh(newer)
    stage.recall_adapter.faults = None
    assert stage.refresh(newer) is None
    assert list(stage.recall.calendars) == [older]
    assert stage.stores.calendars.get(newer) is None


def test_a_calendar_whose_account_is_being_connected_is_refreshed_again(stage):
    calendar_id = nameless(stage)
    stage.pass_time(2)
    key = account_key("default", "u_1", platform=Platform.GOOGLE, email=ADA)
    stage.stores.accounts.claim(key, claim_id="somebody", now=stage.clock.now())
    with pytest.raises(AccountBusy) as busy:
        stage.refresh(calendar_id)
    assert busy.value.retry_after == 20
    assert stage.stores.calendars.get(calendar_id).status is CalendarStatus.CONNECTED
    stage.pass_time(121)
    assert stage.refresh(calendar_id).email == ADA


@pytest.mark.parametrize("first", ["older", "newer"])
@pytest.mark.parametrize("last", range(1, 6))
def test_a_merge_that_crashes_leaves_one_calendar(stage, monkeypatch, first, last):
    pair = {"older": nameless(stage)}
    stage.pass_time(0.5)
    pair["newer"] = stage.add().json["calendar_id"]
    stage.pass_time(2)
    store = type(stage.stores.calendars)
    crash_after(monkeypatch, last, (store, "change"), (store, "delete"), (AccountStore, "assign"))
    with suppress(Crash):
        stage.refresh(pair["older"])
    monkeypatch.undo()
    stage.answer_updates()
    for name in (first, *pair, *pair):
        stage.refresh(pair[name])
    assert list(stage.recall.calendars) == [pair["older"]]
    assert [(pair["older"], ADA)] == [
        (calendar.calendar_id, calendar.email) for calendar in stage.stores.calendars.every().items
    ]


class Crash(BaseException):
    """The process is gone; nothing catches this."""


def crash_after(monkeypatch, last: int, *doors: tuple[type, str]) -> None:
    """Die right after the `last`-th effect that goes through one of the doors."""
    effects = itertools.count(1)

    def mortal(effect):
        def done(*given, **named):
            answer = effect(*given, **named)
            if next(effects) == last:
                raise Crash
            return answer

        return done

    for store, name in doors:
        monkeypatch.setattr(store, name, mortal(getattr(store, name)))


# Following Recall.


def test_a_revoked_grant_disconnects_and_a_new_consent_restores(stage):
    calendar_id = connected(stage)
    stage.stores.calendars.change(calendar_id, updated_at=START, status=CalendarStatus.CONNECTED)
    stage.worlds[GOOGLE].revoke(ADA)
    stage.recall.account(GOOGLE, ADA).revoke_grant()
    stage.pass_time(10)
    assert stage.refresh(calendar_id).status is CalendarStatus.DISCONNECTED
    ((kind, detail),) = stage.notices()
    assert kind == "calendar.disconnected"
    assert detail["reason"]
    assert detail["reconnect"]
    assert stage.refresh(calendar_id).status is CalendarStatus.DISCONNECTED
    assert kinds(stage) == []

    again = stage.connect()
    assert (again.status, again.json["calendar_id"]) == (200, calendar_id)
    restored = stage.settle(calendar_id)
    assert restored.status is CalendarStatus.CONNECTED
    assert restored.read_since == EPOCH
    ((kind, detail),) = stage.notices()
    assert (kind, detail["reconnected"]) == ("calendar.connected", True)
    assert stage.bells()


def test_a_calendar_gone_from_recall_is_disconnected_with_its_reason(stage):
    calendar_id = connected(stage)
    stage.recall.core.calendars.pop(calendar_id)
    assert stage.refresh(calendar_id).status_reason == "deleted_at_recall"
    assert kinds(stage) == ["calendar.disconnected"]


def test_refreshing_a_foreign_calendar_does_nothing(stage):
    assert stage.refresh("foreign") is None
    assert stage.recall.count("calendars_retrieve") == 0


# Reading.


def test_lists_filter_and_page(stage):
    for entity in ("u_1", "u_2", "u_3"):
        stage.add(entity_id=entity)
    stage.add(BOB, tenant_id="t_2")
    listed = stage.call("GET", "/v1/calendars", query={"tenant_id": "default", "limit": "2"})
    assert [item["entity_id"] for item in listed.json["items"]] == ["u_1", "u_2"]
    rest = stage.call(
        "GET",
        "/v1/calendars",
        query={"tenant_id": "default", "limit": "2", "cursor": listed.json["next_cursor"]},
    )
    assert [item["entity_id"] for item in rest.json["items"]] == ["u_3"]
    assert rest.json["next_cursor"] is None
    by_entity = stage.call(
        "GET", "/v1/calendars", query={"tenant_id": "default", "entity_id": "u_2"}
    )
    assert len(by_entity.json["items"]) == 1
    everyone = stage.call("GET", "/v1/calendars")
    assert len(everyone.json["items"]) == 4
    anywhere = stage.call("GET", "/v1/calendars", query={"entity_id": "u_2"})
    assert [item["entity_id"] for item in anywhere.json["items"]] == ["u_2"]
    by_status = stage.call("GET", "/v1/calendars", query={"status": "connected"})
    assert by_status.json["items"] == []


def test_calendars_of_an_address_are_found_in_any_tenant(stage):
    for entity in ("u_1", "u_2"):
        stage.add(entity_id=entity)
    stage.add(BOB, tenant_id="t_2")

    def entities(**query: str) -> list[str]:
        found = stage.call("GET", "/v1/calendars", query=query).json["items"]
        return sorted(item["entity_id"] for item in found)

    assert entities(email=ADA.upper()) == ["u_1", "u_2"]
    assert entities(email=ADA, entity_id="u_2") == ["u_2"]
    assert entities(email=BOB, tenant_id="default") == []
    assert entities(email="nobody@acme.example") == []
    assert entities(email="") == ["u_1", "u_1", "u_2"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "broken"}, "status"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"cursor": "???"}, "cursor"),
        ({"cursor": "e30"}, "cursor"),
        ({"tenant_id": "x" * 257}, "tenant_id"),
    ],
)
def test_bad_queries_are_named(stage, query, field):
    answer = stage.call("GET", "/v1/calendars", query=query)
    assert (answer.status, answer.json["field"]) == (400, field)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("calendar_id", ["unknown", "x" * 300])
def test_unknown_calendars_are_not_found(stage, method, calendar_id):
    body = {} if method == "PATCH" else None
    answer = stage.call(method, f"/v1/calendars/{calendar_id}", body)
    assert (answer.status, answer.json["code"]) == (404, "calendar_not_found")


def test_other_routes_of_unknown_calendars(stage):
    assert stage.call("POST", "/v1/calendars/x/resync").status == 404
    assert stage.call("GET", "/v1/calendars/x/meetings").status == 404


# Changing.


def test_metadata_is_replaced(stage):
    calendar_id = connected(stage, metadata={"a": "b"})
    answer = stage.call("PATCH", f"/v1/calendars/{calendar_id}", {"metadata": {"c": "d"}})
    assert (answer.status, answer.json["metadata"]) == (200, {"c": "d"})
    assert stage.bells() == []


def test_a_calendar_moves_to_another_entity_with_its_account(stage):
    calendar_id = connected(stage)
    path = f"/v1/calendars/{calendar_id}"
    assert stage.call("PATCH", path, {"entity_id": "u_2"}).json["entity_id"] == "u_2"
    assert stage.stores.calendars.get(calendar_id).read_since == EPOCH
    assert stage.add(entity_id="u_2").json["calendar_id"] == calendar_id
    other = stage.add(entity_id="u_1")
    assert other.status == 201
    conflict = stage.call("PATCH", path, {"entity_id": "u_1"})
    assert (conflict.status, conflict.json["code"], conflict.json["field"]) == (
        409,
        "account_taken",
        "entity_id",
    )


def test_a_claim_that_outlived_a_move_gives_no_calendar_away(stage):
    calendar_id = connected(stage)
    # The crash: the row moved, the old claim was not released.
    stage.stores.calendars.change(calendar_id, updated_at=START, entity_id="u_2")
    answer = stage.add(entity_id="u_1")
    assert answer.status == 201
    assert answer.json["calendar_id"] != calendar_id


def test_a_new_token_reconnects(stage):
    calendar_id = connected(stage)
    path = f"/v1/calendars/{calendar_id}"
    answer = stage.call("PATCH", path, {"oauth_refresh_token": stage.token()})
    assert (answer.status, answer.json["status"]) == (200, "connecting")
    foreign = stage.call("PATCH", path, {"oauth_refresh_token": stage.token(BOB)})
    assert (foreign.status, foreign.json["code"]) == (409, "account_mismatch")
    assert foreign.json["field"] == "oauth_refresh_token"
    lonely = stage.call("PATCH", path, {"oauth_client_id": "x"})
    assert (lonely.status, lonely.json["field"]) == (400, "oauth_refresh_token")


def patched_blindly(stage: Stage, calendar_id: str, email: str) -> None:
    """Reconnect while the provider is down, so that nobody knows whose token it is."""
    body = {"oauth_refresh_token": stage.token(email)}
    stage.provider_adapters[GOOGLE].faults = lambda _: Fault(kind=FaultKind.CONNECT_TIMEOUT)
    answer = stage.call("PATCH", f"/v1/calendars/{calendar_id}", body)
    stage.provider_adapters[GOOGLE].faults = None
    assert (answer.status, answer.json["status"]) == (200, "connecting")


def test_a_token_that_turns_out_to_be_anothers_cuts_the_calendar_off(stage):
    calendar_id = connected(stage)
    patched_blindly(stage, calendar_id, BOB)
    for _ in range(2):
        stage.settle(calendar_id)
        shown = stage.call("GET", f"/v1/calendars/{calendar_id}").json
        assert (shown["status"], shown["status_reason"]) == ("disconnected", "account_mismatch")
        assert shown["email"] == ADA
    ((kind, detail),) = stage.notices()
    assert (kind, detail["reason"]) == ("calendar.disconnected", "account_mismatch")

    patched_blindly(stage, calendar_id, ADA)
    assert stage.settle(calendar_id).status is CalendarStatus.CONNECTED
    assert kinds(stage) == ["calendar.connected"]


def test_an_address_that_was_proved_is_not_compared_with_recalls(stage):
    calendar_id = connected(stage)
    stage.stores.calendars.change(calendar_id, updated_at=START, email="ada@acme.onmicrosoft.com")
    patched_blindly(stage, calendar_id, ADA)
    assert stage.settle(calendar_id).status is CalendarStatus.CONNECTED

    stage.stores.calendars.change(calendar_id, updated_at=START, email=ADA)
    patched_blindly(stage, calendar_id, BOB)
    stage.settle(calendar_id)
    path = f"/v1/calendars/{calendar_id}"
    assert 200 == stage.call("PATCH", path, {"oauth_refresh_token": stage.token()}).status
    assert stage.stores.calendars.get(calendar_id).expected_email is None
    assert stage.settle(calendar_id).status is CalendarStatus.CONNECTED


def test_a_rotated_client_secret_goes_to_recall_without_a_token(stage):
    calendar_id = connected(stage)
    answer = stage.call("PATCH", f"/v1/calendars/{calendar_id}", {"oauth_client_secret": "next"})
    assert (answer.status, answer.json["status"]) == (200, "connecting")
    assert stage.recall.count("calendars_partial_update") == 1


def test_resync_owes_a_full_read(stage):
    calendar_id = connected(stage)
    answer = stage.call("POST", f"/v1/calendars/{calendar_id}/resync")
    assert (answer.status, answer.json) == (202, {})
    assert stage.stores.calendars.get(calendar_id).read_since == EPOCH
    assert [bell["calendar_id"] for bell in stage.bells()] == [calendar_id]


# Deleting.


def test_delete_leaves_nothing_behind(stage):
    calendar_id = connected(stage)
    stage.stores.meetings.save(meeting(calendar_id, "e1"))
    stage.stores.meetings.save(meeting(calendar_id, "e2", hours=-2))
    grants = stage.worlds[GOOGLE]
    assert any(not p.ended for p in grants._ledger.refresh_tokens.values())

    answer = stage.call("DELETE", f"/v1/calendars/{calendar_id}")
    assert (answer.status, answer.body) == (204, "")
    assert stage.recall.calendars == {}
    assert all(p.ended for p in grants._ledger.refresh_tokens.values())
    assert stage.stores.meetings.get("e1") is None
    notices = stage.notices()
    assert [kind for kind, _ in notices] == ["bot.cancelled", "calendar.deleted"]
    assert notices[0][1]["bot_id"] == "bot-e1"
    assert stage.call("DELETE", f"/v1/calendars/{calendar_id}").status == 404
    assert stage.add().status == 201


def test_copies_hear_of_a_deletion_that_dies_with_its_first_row(stage, monkeypatch):
    calendar_id = connected(stage)
    for owner, event_id in ((calendar_id, "goes"), ("another", "stays")):
        row = replace(meeting(owner, event_id), meeting_key="key", shared=True)
        stage.stores.meetings.save(row)
    crash_after(monkeypatch, 1, (type(stage.stores.meetings), "delete"))
    with suppress(Crash):
        stage.call("DELETE", f"/v1/calendars/{calendar_id}")
    assert stage.stores.meetings.get("goes") is None
    copy = stage.stores.meetings.get("stays")
    assert (copy.due, copy.asked) == (True, True)


def test_what_was_said_of_a_series_goes_with_the_calendar(stage):
    calendar_id, other = connected(stage), "another"
    for each in (calendar_id, other):
        stage.stores.settings.series.put_override(Series(each, "s1"), Override(choice=Choice.OFF))
    assert stage.call("DELETE", f"/v1/calendars/{calendar_id}").status == 204
    both = [Series(calendar_id, "s1"), Series(other, "s1")]
    assert [Series(other, "s1")] == list(stage.stores.settings.series.of(both))


def test_delete_keeps_a_grant_that_another_calendar_needs(stage):
    first = connected(stage)
    other = connected(stage, entity_id="u_2")
    stage.call("DELETE", f"/v1/calendars/{first}")
    assert any(not p.ended for p in stage.worlds[GOOGLE]._ledger.refresh_tokens.values())
    stage.call("DELETE", f"/v1/calendars/{other}")
    assert all(p.ended for p in stage.worlds[GOOGLE]._ledger.refresh_tokens.values())


def test_delete_works_when_the_provider_does_not(stage):
    calendar_id = connected(stage)
    stage.provider_adapters[GOOGLE].faults = lambda _: Fault(
        kind=FaultKind.ANSWER, answer=Response(status=500)
    )
    assert stage.call("DELETE", f"/v1/calendars/{calendar_id}").status == 204
    assert stage.recall.calendars == {}


def test_delete_waits_for_recall_and_is_finished_by_repeating(stage):
    calendar_id = connected(stage)
    stage.recall.outage = 503
    down = stage.call("DELETE", f"/v1/calendars/{calendar_id}")
    assert (down.status, down.json["code"]) == (503, "recall_unavailable")
    stage.recall.outage = None
    stage.recall_adapter.faults = lambda request: (
        Fault(kind=FaultKind.TIMEOUT_AFTER_EFFECT) if request.method == "DELETE" else None
    )
    assert stage.call("DELETE", f"/v1/calendars/{calendar_id}").status == 503
    assert stage.recall.calendars == {}
    stage.recall_adapter.faults = None
    assert stage.call("DELETE", f"/v1/calendars/{calendar_id}").status == 204
    assert kinds(stage)[-1] == "calendar.deleted"


def test_a_deletion_that_nobody_repeats_is_finished_by_the_next_refresh(stage):
    calendar_id = connected(stage)
    stage.recall_adapter.faults = lambda request: (
        Fault(kind=FaultKind.TIMEOUT_AFTER_EFFECT) if request.method == "DELETE" else None
    )
    assert stage.call("DELETE", f"/v1/calendars/{calendar_id}").status == 503
    stage.recall_adapter.faults = None
    assert stage.refresh(calendar_id) is None
    assert kinds(stage) == ["calendar.deleted"]
    assert stage.call("GET", f"/v1/calendars/{calendar_id}").status == 404


def test_a_deletion_that_recall_never_heard_of_is_undone_by_the_next_refresh(stage):
    calendar_id = connected(stage)
    stage.recall.outage = 503
    assert stage.call("DELETE", f"/v1/calendars/{calendar_id}").status == 503
    stage.recall.outage = None
    assert stage.refresh(calendar_id).status is CalendarStatus.CONNECTED


def test_deleting_an_outlook_calendar_asks_nobody_to_revoke(stage):
    calendar_id = connected(stage, platform=OUTLOOK)
    assert stage.call("DELETE", f"/v1/calendars/{calendar_id}").status == 204
    assert stage.recall.count("calendars_access_token_create") == 0


# Meetings.


def test_a_window_may_start_at_the_end_of_time(stage):
    calendar_id = stage.add().json["calendar_id"]
    for name, text in (("from", "9999-12-31T23:59:59Z"), ("from", "0001-01-01T00:00:00Z")):
        answer = stage.call("GET", f"/v1/calendars/{calendar_id}/meetings", query={name: text})
        assert (answer.status, answer.json["items"]) == (200, [])


def test_meetings_of_the_window_with_page_and_override(stage):
    calendar_id = connected(stage)
    for number in range(3):
        stage.stores.meetings.save(meeting(calendar_id, f"e{number}", hours=number + 1))
    stage.stores.meetings.save(meeting(calendar_id, "far", hours=29 * 24))
    stage.stores.meetings.save(meeting("another", "foreign"))
    path = f"/v1/calendars/{calendar_id}/meetings"
    page = stage.call("GET", path, query={"limit": "2"})
    assert [item["event_id"] for item in page.json["items"]] == ["e0", "e1"]
    rest = stage.call("GET", path, query={"limit": "2", "cursor": page.json["next_cursor"]})
    assert [item["event_id"] for item in rest.json["items"]] == ["e2"]
    assert page.json["items"][0] == {
        "calendar_id": calendar_id,
        "event_id": "e0",
        "title": "Planning",
        "start_time": "2027-03-01T10:00:00Z",
        "end_time": "2027-03-01T10:30:00Z",
        "meeting_url": "https://meet.google.com/abc-defg-hij",
        "platform": "google_calendar",
        "series_id": None,
        "decision": {"join": True, "reason": "base.all", "rule": "base"},
        "override": "auto",
        "bot": {
            "bot_id": "bot-e0",
            "state": "scheduled",
            "deduplication_key": "key",
            "join_at": "2027-03-01T10:00:00Z",
        },
    }
    far = stage.call("GET", path, query={"from": "2027-03-20T00:00:00Z"})
    assert [item["event_id"] for item in far.json["items"]] == ["far"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2027-13-01T00:00:00Z"}, "to"),
        ({"from": "2027-03-02T00:00:00Z", "to": "2027-03-01T00:00:00Z"}, "to"),
        ({"cursor": "x"}, "cursor"),
    ],
)
def test_bad_windows_are_named(stage, query, field):
    calendar_id = connected(stage)
    answer = stage.call("GET", f"/v1/calendars/{calendar_id}/meetings", query=query)
    assert (answer.status, answer.json["field"]) == (400, field)


def override(stage: Stage, calendar_id: str, event_id: str, **body: object):
    path = f"/v1/calendars/{calendar_id}/meetings/{event_id}/override"
    return stage.call("PUT", path, {"choice": "off", "scope": "occurrence"} | body)


def test_an_override_of_an_occurrence_wakes_the_scheduler(stage):
    calendar_id = connected(stage)
    stage.stores.meetings.save(meeting(calendar_id, "e1"))
    answer = override(stage, calendar_id, "e1")
    assert (answer.status, answer.json["override"]) == (200, "off")
    # The answer explains itself before the scheduler has run.
    assert answer.json["decision"] == {"join": False, "reason": "override.off", "rule": None}
    row = stage.stores.meetings.get("e1")
    assert (row.override.choice, row.override.set_by, row.due) == (Choice.OFF, "rk_0123", True)
    assert row.override.source == "api"
    assert [bell["type"] for bell in stage.bells()] == ["work.due"]


def test_an_override_of_a_series_reaches_all_but_those_with_their_own_word(stage):
    calendar_id = connected(stage)
    for event_id in ("e1", "e2", "e3"):
        stage.stores.meetings.save(meeting(calendar_id, event_id, series="s1"))
    stage.stores.meetings.save(meeting(calendar_id, "single"))
    override(stage, calendar_id, "e3", choice="on")
    answer = override(stage, calendar_id, "e1", scope="series")
    assert (answer.status, answer.json["override"]) == (200, "off")
    listed = stage.call("GET", f"/v1/calendars/{calendar_id}/meetings").json["items"]
    assert {item["event_id"]: item["override"] for item in listed} == {
        "e1": "off",
        "e2": "off",
        "e3": "on",
        "single": "auto",
    }
    assert stage.stores.meetings.get("e2").due
    assert not stage.stores.meetings.get("single").due
    assert [item["decision"]["reason"] for item in listed if item["event_id"] != "single"] == [
        "override.off",
        "override.off",
        "override.on",
    ]
    back = override(stage, calendar_id, "e3", choice="auto")
    assert back.json["override"] == "off"
    assert back.json["decision"]["reason"] == "override.off"


def test_overrides_that_make_no_sense(stage):
    calendar_id = connected(stage)
    stage.stores.meetings.save(meeting(calendar_id, "e1"))
    stage.stores.meetings.save(meeting("another", "foreign"))
    alone = override(stage, calendar_id, "e1", scope="series")
    assert (alone.status, alone.json["field"]) == (400, "scope")
    assert override(stage, calendar_id, "e1", choice="maybe").json["field"] == "choice"
    assert override(stage, calendar_id, "foreign").json["code"] == "meeting_not_found"
    assert override(stage, "unknown", "e1").json["code"] == "calendar_not_found"


# The workspace.


def test_a_rotation_is_told(stage):
    assert {"items": []} == stage.call("GET", "/v1/rotations").json
    walk = Walk(fingerprint="never told", started_at=START, total=3, done=2, failed={"c": "odd"})
    stage.stores.workspace.put_report(rotation_name(Platform.GOOGLE, "walk"), walk.report())

    (told,) = stage.call("GET", "/v1/rotations").json["items"]

    assert ("google_calendar", 3, 1) == (told["platform"], told["calendars"], told["given"])
    assert {"c": "odd"} == told["failed"]
    assert "never told" not in str(told)


def test_status_and_drift(stage):
    connected(stage)
    stage.add(entity_id="u_2")
    stage.bells()
    status = stage.call("GET", "/v1/status").json
    assert status["cursor_age_seconds"] is None
    assert status["queue_depth"] == 0
    assert status["calendars"] == {"connecting": 1, "connected": 1, "disconnected": 0}
    assert 2 <= status["budget"]["calendars_create"]["used"] <= 300
    none = stage.call("GET", "/v1/drift")
    assert (none.status, none.json["code"]) == (404, "no_audit_yet")
    stage.stores.workspace.put_report("drift", {"missing": []})
    answer = stage.call("GET", "/v1/drift").json
    nothing = {"should_have_joined": 0, "joined": 0, "missed": 0, "ratio": None}
    empty = {"today": nothing, "last_day": nothing, "last_7_days": nothing}
    assert answer == {"missing": [], "coverage": {"counted_at": None, **empty}}
    assert answer["coverage"] == status["coverage"]
