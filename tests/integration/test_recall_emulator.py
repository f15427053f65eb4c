"""The Recall emulator keeps the promises of the published API, and can be as unkind as it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
from svix.webhooks import Webhook, WebhookVerificationError

from infra.local.emulators.clock import RealClock, VirtualClock
from infra.local.emulators.http import Fault, FaultKind, Request, Response, WorldAdapter
from infra.local.emulators.recall import (
    GOOGLE,
    MICROSOFT,
    GrantResult,
    Guest,
    RecallWorld,
    Switches,
    Timings,
)
from infra.local.emulators.recall.contract import published
from infra.local.emulators.recall.fleet import Fate

PAYLOADS = Path(__file__).parents[1] / "payloads"
START = datetime(2027, 3, 1, 9, tzinfo=UTC)
SECRET = "whsec_ZXhhbXBsZS1zaWduaW5nLWtleS0wMTIzNDU2Nzg5YWI="
OTHER_SECRET = "whsec_YW5vdGhlci1zaWduaW5nLWtleS0wMTIzNDU2Nzg5YWI="
KEY = "a-key"
MEET = "https://meet.google.com/qkr-wzpn-abt"
ZOOM = "https://us06web.zoom.us/j/84561237890?pwd=U2hhcmVkTWVldGluZw"
TEAMS = (
    "https://teams.microsoft.com/l/meetup-join/19%3ameeting_ZDk0%40thread.v2/0"
    "?context=%7b%22Tid%22%3a%221f0c%22%2c%22Oid%22%3a%22b0c1%22%7d"
)
OWNER = "owner@acme.example"
DOCUMENTED_LIMITS = {
    "calendars_list": 60, "calendars_create": 300, "calendars_retrieve": 300,
    "calendars_partial_update": 300, "calendars_destroy": 300,
    "calendars_access_token_create": 300, "calendar_events_list": 60,
    "calendar_events_retrieve": 300, "calendar_events_bot_create": 600,
    "calendar_events_bot_destroy": 600, "bot_list": 60, "bot_create": 120, "bot_retrieve": 300,
    "bot_partial_update": 300, "bot_destroy": 300, "bot_leave_call_create": 300,
}  # fmt: skip


class Stage:
    """A world, a client that checks each answer against the contract, and a mailbox."""

    def __init__(self, clock=None, **options):
        self.clock = clock or VirtualClock(START)
        self.mail = []
        self.status = 204
        options.setdefault("webhook_secret", SECRET)
        self.world = RecallWorld(self.clock, api_key=KEY, deliver=self._receive, **options)
        self.adapter = WorldAdapter(self.world.handle)
        self.session = requests.Session()
        self.session.mount(self.world.base_url, self.adapter)
        self.session.headers["Authorization"] = f"Token {KEY}"

    def _receive(self, delivery):
        self.mail.append(delivery)
        if isinstance(self.status, Exception):
            raise self.status
        return self.status

    def call(self, method, path, **options):
        url = path if path.startswith("http") else self.world.base_url + path
        answer = self.session.request(method, url, **options)
        found = published().on_path(urlsplit(url).path)
        if found and method in found and answer.headers.get("Content-Type") == "application/json":
            operation = found[method][0]
            assert [] == published().answer_errors(
                operation, answer.status_code, body=answer.content
            )
        return answer

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, json=body, **options)

    def passes(self, seconds=0.0, **delta):
        """Let time pass, stopping wherever something is due."""
        end = self.clock.now() + timedelta(seconds=seconds, **delta)
        while (due := self.world.next_due()) and due <= end:
            self.clock.advance_to(due)
            self.world.run_due()
        self.clock.advance_to(end)
        self.world.run_due()

    def connect(self, email=OWNER, platform=GOOGLE, token=None, **fields):
        calendar_id = self.create_calendar(email, platform, token, **fields)
        self.passes(seconds=2)
        return calendar_id

    def create_calendar(self, email=OWNER, platform=GOOGLE, token=None, **fields):
        token = token or f"token-of-{email}"
        self.world.grant(token, platform=platform, email=email)
        body = {
            "platform": platform, "oauth_client_id": "client", "oauth_client_secret": "secret",
            "oauth_refresh_token": token, **fields,
        }  # fmt: skip
        answer = self.post("/api/v2/calendars/", body)
        assert 201 == answer.status_code, answer.text
        return answer.json()["id"]

    def account(self, email=OWNER, platform=GOOGLE):
        return self.world.account(platform, email)

    def events(self, **query):
        url, rows = "/api/v2/calendar-events/", []
        answer = self.get(url, params=query).json()
        rows += answer["results"]
        while answer["next"]:
            answer = self.get(answer["next"]).json()
            rows += answer["results"]
        return rows

    def event(self, **query):
        (found,) = self.events(**query)
        return found

    def schedule(self, event, key=None, **config):
        body = {
            "deduplication_key": key or f"{event['start_time']}-{event['meeting_url']}",
            "bot_config": {"bot_name": "Notetaker", **config},
        }
        return self.post(f"/api/v2/calendar-events/{event['id']}/bot/", body)

    def unschedule(self, event):
        return self.call("DELETE", f"/api/v2/calendar-events/{event['id']}/bot/")

    def mailed(self, event=None):
        found = [json.loads(each.body) for each in self.mail]
        return [each for each in found if event in {None, each["event"]}]


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def meeting(stage):
    """A connected calendar with one meeting in three hours."""
    stage.account().add_event("Kick-off", start=START + timedelta(hours=3), link=MEET)
    stage.connect()
    return stage.event()


class TestDoor:
    @pytest.mark.parametrize(
        ("header", "code"),
        [
            (None, "not_authenticated"),
            ("Token wrong", "authentication_failed"),
            ("Token", "authentication_failed"),
            (f"Bearer {KEY}", "authentication_failed"),
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_bad_keys(self, stage, header, code, method):
        answer = stage.call(method, "/api/v2/calendars/", headers={"Authorization": header})
        assert (401, code) == (answer.status_code, answer.json()["code"])
        assert "Token" == answer.headers["WWW-Authenticate"]
        assert "GET, POST" == answer.headers["Allow"]

    def test_the_word_token_may_be_left_out(self, stage):
        answer = stage.get("/api/v2/calendars/", headers={"Authorization": KEY})
        assert 200 == answer.status_code

    def test_unknown_path_is_html_even_without_a_key(self, stage):
        answer = stage.get("/api/v2/nothing/", headers={"Authorization": None})
        assert 404 == answer.status_code
        assert answer.headers["Content-Type"].startswith("text/html")

    def test_unsupported_method_with_a_good_key(self, stage):
        assert 405 == stage.call("PUT", "/api/v2/calendars/").status_code

    def test_get_with_a_body_is_blocked(self, stage):
        answer = stage.get("/api/v2/calendars/", data="null")
        assert (403, "request_blocked") == (answer.status_code, answer.json()["code"])

    def test_localhost_in_a_payload_is_blocked(self, stage):
        answer = stage.post("/api/v2/calendars/", {"webhook_url": "http://localhost:8000/x"})
        assert 403 == answer.status_code

    def test_localhost_in_the_address_is_not(self):
        stage = Stage(base_url="http://localhost:8000/recall")
        assert 200 == stage.get("/api/v2/calendars/").status_code

    def test_a_read_without_the_last_slash_is_redirected(self, stage):
        assert 301 == stage.get("/api/v2/calendars", allow_redirects=False).status_code
        assert 200 == stage.get("/api/v2/calendars").status_code

    @pytest.mark.parametrize(
        ("switch", "status"), [("redirected", 301), ("served", 400), ("not_found", 404)]
    )
    def test_a_write_without_the_last_slash(self, switch, status):
        stage = Stage(switches=Switches(slashless_write=switch))
        assert status == stage.post("/api/v2/calendars", {}, allow_redirects=False).status_code

    def test_date_header_tells_the_time_of_the_world(self, stage):
        stage.passes(seconds=61.9)
        assert "Mon, 01 Mar 2027 09:01:01 GMT" == stage.get("/api/v1/bot/").headers["Date"]

    def test_outage(self, stage):
        stage.world.outage = 503
        assert 503 == stage.get("/api/v2/calendars/").status_code

    def test_a_fault_of_one_operation(self, stage):
        broken = Response(status=500)
        stage.world.fault = lambda name: broken if name == "bot_list" else None
        assert 500 == stage.get("/api/v1/bot/").status_code
        assert 200 == stage.get("/api/v2/calendars/").status_code

    def test_out_of_credit(self, stage, meeting):
        stage.world.out_of_credit = True
        assert 402 == stage.schedule(meeting).status_code

    def test_the_ledger(self, stage):
        stage.get("/api/v2/calendars/?status=connected")
        stage.post("/api/v2/calendars/", {})
        (listed, created) = stage.world.calls
        assert ("GET", "/api/v2/calendars/", "calendars_list", 200, START) == (
            listed.method, listed.path, listed.endpoint, listed.status, listed.at,
        )  # fmt: skip
        assert 400 == created.status
        assert 1 == stage.world.count("calendars_create")


class TestChecks:
    @pytest.mark.parametrize(
        "query",
        [
            "calendar_id=42", "start_time__gte=yesterday", "is_deleted=maybe", "updated_at__gte=",
            "updated_at__gte=2027-02-25T17:31:54.602199+00:00",
        ],
    )  # fmt: skip
    def test_bad_parameters(self, stage, query):
        answer = stage.get(f"/api/v2/calendar-events/?{query}")
        assert 400 == answer.status_code
        assert [query.split("=")[0]] == list(answer.json())

    def test_an_encoded_plus_is_understood(self, stage):
        moment = quote("2027-02-25T17:31:54.602199+00:00", safe="")
        answer = stage.get(f"/api/v2/calendar-events/?updated_at__gte={moment}")
        assert 200 == answer.status_code

    def test_unknown_parameters_are_refused_and_recorded(self, stage):
        assert 400 == stage.get("/api/v2/calendars/?platform_email=x").status_code
        stage.world.switches = Switches(refuse_unknown_parameters=False)
        assert 200 == stage.get("/api/v2/calendars/?platform_email=x").status_code
        assert 2 == len(stage.world.warnings)

    def test_missing_and_unknown_fields(self, stage):
        answer = stage.post("/api/v2/calendars/", {"platform": "yahoo", "colour": "red"})
        assert {"oauth_client_id", "oauth_client_secret", "oauth_refresh_token", "platform",
                "non_field_errors"} == set(answer.json())  # fmt: skip

    def test_event_bot_errors_have_their_own_shape(self, stage, meeting):
        answer = stage.post(f"/api/v2/calendar-events/{meeting['id']}/bot/", {"bot_config": {}})
        assert "invalid_request_data" == answer.json()["code"]
        assert ["deduplication_key"] == list(answer.json()["errors"])

    @pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"[]", 400), (b"", 400)])
    def test_broken_bodies(self, stage, body, status):
        headers = {"Content-Type": "application/json"}
        answer = stage.call("POST", "/api/v1/bot/", data=body, headers=headers)
        assert status == answer.status_code

    def test_other_media(self, stage):
        headers = {"Content-Type": "text/plain"}
        url = stage.world.base_url + "/api/v1/bot/"
        assert 415 == stage.session.post(url, data=b"x", headers=headers).status_code

    def test_forms_are_accepted(self, stage):
        assert 201 == stage.call("POST", "/api/v1/bot/", data={"meeting_url": MEET}).status_code

    @pytest.mark.parametrize("field", ["recording_mode", "transcription_options", "join_at"])
    def test_old_bot_fields_are_refused(self, stage, meeting, field):
        answer = stage.schedule(meeting, **{field: "2027-03-01T12:00:00Z"})
        assert 400 == answer.status_code
        assert [f"bot_config.{field}"] == list(answer.json()["errors"])

    @pytest.mark.parametrize("shape", ["detail", "message", "html", "empty"])
    def test_undocumented_bodies(self, shape):
        stage = Stage(switches=Switches(error_body=shape))
        url = stage.world.base_url + "/api/v2/calendars/0512a606-f31c-58ad-8692-f62ffc95b96f/"
        answer = stage.session.get(url)
        assert 404 == answer.status_code
        assert {"detail": b"{", "message": b"{", "html": b"<", "empty": b""}[
            shape
        ] == answer.content[:1]


class TestLimits:
    def test_the_table_is_the_published_one(self):
        assert DOCUMENTED_LIMITS == published().limits()

    def test_sliding_window(self, stage):
        for _ in range(30):
            assert 200 == stage.get("/api/v2/calendar-events/").status_code
        stage.passes(seconds=20)
        for _ in range(30):
            assert 200 == stage.get("/api/v2/calendar-events/").status_code
        stage.passes(seconds=20.5)
        answer = stage.get("/api/v2/calendar-events/")
        assert (429, "20") == (answer.status_code, answer.headers["Retry-After"])
        stage.passes(seconds=19.4)
        assert "1" == stage.get("/api/v2/calendar-events/").headers["Retry-After"]
        stage.passes(seconds=1)
        codes = Counter(stage.get("/api/v2/calendar-events/").status_code for _ in range(31))
        assert {200: 30, 429: 1} == codes

    def test_limits_can_be_lowered(self):
        stage = Stage(limits={"calendars_list": 1})
        assert [200, 429] == [stage.get("/api/v2/calendars/").status_code for _ in range(2)]
        assert 200 == stage.get("/api/v1/bot/").status_code


class TestIdempotency:
    def create(self, stage, key):
        return stage.post("/api/v1/bot/", {"meeting_url": MEET}, headers={"Idempotency-Key": key})

    def test_first_answer_is_kept_for_an_hour(self, stage):
        first = self.create(stage, "a")
        stage.passes(seconds=3599)
        assert first.json() == self.create(stage, "a").json()
        assert first.json() != self.create(stage, "b").json()
        stage.passes(seconds=2)
        assert first.json()["id"] != self.create(stage, "a").json()["id"]

    def test_errors_are_kept_too(self, stage):
        stage.world.ad_hoc_free = 0
        answer = self.create(stage, "a")
        assert (507, "30") == (answer.status_code, answer.headers["Retry-After"])
        stage.world.ad_hoc_free = None
        assert 507 == self.create(stage, "a").status_code
        assert 201 == self.create(stage, "b").status_code

    def test_parallel_duplicate_is_a_conflict(self, stage):
        inner = []

        def overlap(_request):
            stage.world.latency = None
            inner.append(self.create(stage, "a").status_code)

        stage.world.latency = overlap
        assert 201 == self.create(stage, "a").status_code
        assert [409] == inner

    def test_the_path_is_part_of_the_identity(self, stage, meeting):
        assert 201 == self.create(stage, "a").status_code
        headers = {"Idempotency-Key": "a"}
        path = f"/api/v2/calendar-events/{meeting['id']}/bot/"
        body = {"deduplication_key": "k", "bot_config": {}}
        assert 200 == stage.post(path, body, headers=headers).status_code


class TestCalendars:
    def test_connecting_takes_a_moment(self, stage):
        stage.account().add_event("Kick-off", start=START + timedelta(hours=3), link=MEET)
        stage.world.grant("t", platform=GOOGLE, email=OWNER)
        made = stage.post(
            "/api/v2/calendars/",
            {
                "platform": GOOGLE, "oauth_client_id": "c", "oauth_client_secret": "s",
                "oauth_refresh_token": "t", "oauth_email": OWNER, "metadata": {"user": "u"},
            },
        ).json()  # fmt: skip
        assert ("connecting", None, "t") == (
            made["status"], made["platform_email"], made["oauth_refresh_token"],
        )  # fmt: skip
        assert [] == stage.events()
        stage.passes(seconds=1)
        read = stage.get(f"/api/v2/calendars/{made['id']}/").json()
        assert ("connected", OWNER) == (read["status"], read["platform_email"])
        assert ["connecting", "connected"] == [each["status"] for each in read["status_changes"]]
        assert ["calendar.update", "calendar.sync_events"] == [
            each["event"] for each in stage.mailed()
        ]

    def test_first_sync_tells_the_time_of_its_events(self, stage, meeting):
        (sync,) = stage.mailed("calendar.sync_events")
        since = sync["data"]["last_updated_ts"]
        assert since.endswith("+00:00")
        assert [meeting["id"]] == [each["id"] for each in stage.events(updated_at__gte=since)]

    def test_a_dead_token_is_noticed_later(self, stage):
        calendar_id = stage.connect(token="dead")
        stage.world.grants.clear()
        stage.call("PATCH", f"/api/v2/calendars/{calendar_id}/", json={})
        assert "connecting" == stage.get(f"/api/v2/calendars/{calendar_id}/").json()["status"]
        stage.passes()
        stage.mail.clear()
        stage.passes(seconds=1)
        read = stage.get(f"/api/v2/calendars/{calendar_id}/").json()
        assert "disconnected" == read["status"]
        last = read["status_changes"][-1]
        assert last["message"].startswith("invalid_grant")
        assert "invalid_grant" == last["sub_code"]
        assert 1 == len(stage.mailed("calendar.update"))

    def test_a_missing_scope_disconnects(self, stage):
        calendar_id = stage.connect()
        stage.world.grant("narrow", platform=GOOGLE, email=OWNER, scopes=["openid", "email"])
        stage.call(
            "PATCH", f"/api/v2/calendars/{calendar_id}/", json={"oauth_refresh_token": "narrow"}
        )
        stage.passes(seconds=1)
        read = stage.get(f"/api/v2/calendars/{calendar_id}/").json()
        assert "invalid_scope(openid email)" == read["status_changes"][-1]["message"]

    def test_revoked_grant_then_reconnect(self, stage, meeting):
        stage.schedule(meeting)
        stage.account().revoke_grant()
        stage.passes(seconds=4)
        calendar = stage.get("/api/v2/calendars/").json()["results"][0]
        assert "connected" == calendar["status"]
        assert 1 == len(stage.world.live_bots())
        stage.passes(seconds=2)
        assert [] == stage.world.live_bots()
        assert [] == stage.event()["bots"]
        assert (
            calendar["id"]
            == stage.get("/api/v2/calendars/?status=disconnected").json()["results"][0]["id"]
        )
        stage.account().rename(stage.account().events.copy().popitem()[0], "While away")
        stage.world.grant("new", platform=GOOGLE, email=OWNER)
        stage.call(
            "PATCH", f"/api/v2/calendars/{calendar['id']}/", json={"oauth_refresh_token": "new"}
        )
        stage.passes(seconds=2)
        back = stage.event()
        assert (meeting["id"], "While away") == (back["id"], back["raw"]["summary"])

    def test_metadata_alone_does_not_reconnect(self, stage):
        calendar_id = stage.connect()
        answer = stage.call(
            "PATCH", f"/api/v2/calendars/{calendar_id}/", json={"metadata": {"a": "b"}}
        )
        assert ("connected", {"a": "b"}) == (answer.json()["status"], answer.json()["metadata"])

    def test_delete(self, stage, meeting):
        other = stage.account("colleague@acme.example")
        other.add_event("Kick-off", start=START + timedelta(hours=3), link=MEET)
        kept = stage.connect("colleague@acme.example")
        stage.schedule(meeting)
        stage.schedule(stage.event(calendar_id=kept))
        stage.passes(seconds=5)
        stage.mail.clear()
        path = f"/api/v2/calendars/{meeting['calendar_id']}/"
        assert 204 == stage.call("DELETE", path).status_code
        assert 404 == stage.call("DELETE", path).status_code
        assert 404 == stage.get(f"/api/v2/calendar-events/{meeting['id']}/").status_code
        stage.passes(seconds=5)
        assert [] == stage.mail
        (bot,) = stage.world.live_bots()
        assert (kept,) == bot.calendar_ids

    def test_second_calendar_of_one_account(self, stage, meeting):
        stage.connect(token="another")
        found = stage.events()
        assert 2 == len({each["id"] for each in found})
        stage.world.switches = Switches(duplicate_calendars="refused")
        stage.world.grant("third", platform=GOOGLE, email=OWNER)
        body = {"platform": GOOGLE, "oauth_client_id": "c", "oauth_client_secret": "s",
                "oauth_refresh_token": "third"}  # fmt: skip
        assert 400 == stage.post("/api/v2/calendars/", body).status_code

    def test_another_account_on_reconnect_buries_the_old_events(self, stage, meeting):
        stage.world.grant("else", platform=GOOGLE, email="else@acme.example")
        path = f"/api/v2/calendars/{meeting['calendar_id']}/"
        stage.call("PATCH", path, json={"oauth_refresh_token": "else"})
        stage.passes(seconds=2)
        assert stage.event()["is_deleted"]
        assert "else@acme.example" == stage.get(path).json()["platform_email"]

    def test_filters_and_pages(self):
        stage = Stage(switches=Switches(calendars_page_size=2))
        for number in range(5):
            stage.connect(f"u{number}@acme.example")
        first = stage.get("/api/v2/calendars/?status=connected").json()
        assert "connected" == parse_qs(urlsplit(first["next"]).query)["status"][0]
        second = stage.get(first["next"]).json()
        third = stage.get(second["next"]).json()
        assert None is third["next"]
        assert second["results"] == stage.get(third["previous"]).json()["results"]
        found = stage.get("/api/v2/calendars/", params={"email": "u3@acme.example"}).json()
        assert ["u3@acme.example"] == [each["platform_email"] for each in found["results"]]

    def test_access_token(self, stage):
        calendar_id = stage.connect()
        path = f"/api/v2/calendars/{calendar_id}/access-token/"
        answer = stage.post(path)
        assert 200 == answer.status_code
        stage.world.grants.clear()
        refused = stage.post(path)
        assert (400, "bad_refresh_token") == (refused.status_code, refused.json()["code"])

    def test_status_details_may_be_named_otherwise(self):
        stage = Stage(
            switches=Switches(status_detail_field="detail", status_changes_order="descending")
        )
        calendar_id = stage.connect()
        changes = stage.get(f"/api/v2/calendars/{calendar_id}/").json()["status_changes"]
        assert "connected" == changes[0]["status"]
        assert "detail" in changes[0]


class TestEvents:
    def test_window_slides(self, stage):
        account = stage.account()
        account.add_event("over", start=START - timedelta(days=3))
        account.add_event("yesterday", start=START - timedelta(hours=20))
        account.add_event("far", start=START + timedelta(days=29))
        stage.connect()
        assert ["yesterday"] == [each["raw"]["summary"] for each in stage.events()]
        stage.mail.clear()
        stage.passes(hours=23, minutes=58)
        assert [] == stage.mail
        stage.passes(minutes=3)
        assert 1 == len(stage.mailed("calendar.sync_events"))
        assert {"yesterday", "far"} == {each["raw"]["summary"] for each in stage.events()}

    def test_kept_for_sixty_days(self, stage, meeting):
        stage.passes(days=60)
        assert meeting["id"] == stage.event()["id"]
        stage.passes(hours=4)
        assert [] == stage.events()

    def test_pages_of_a_hundred_by_start(self, stage):
        account = stage.account()
        for number in range(250):
            account.add_event(f"e{number}", start=START + timedelta(hours=250 - number, days=1))
        calendar_id = stage.connect()
        first = stage.get("/api/v2/calendar-events/", params={"calendar_id": calendar_id}).json()
        assert 100 == len(first["results"])
        assert first["next"].startswith(stage.world.base_url + "/api/v2/calendar-events/?")
        assert calendar_id in first["next"]
        found = stage.events(calendar_id=calendar_id)
        assert 250 == len({each["id"] for each in found})
        assert sorted(each["start_time"] for each in found) == [
            each["start_time"] for each in found
        ]

    def test_foreign_cursor(self, stage):
        assert 400 == stage.get("/api/v2/calendar-events/?cursor=abc").status_code

    def test_filters(self, stage):
        account = stage.account()
        account.add_event("a", start=START + timedelta(hours=1), ical_uid="One-1")
        account.add_event("b", start=START + timedelta(hours=2), ical_uid="one-2")
        gone = account.add_event("c", start=START + timedelta(hours=3), ical_uid="One-3")
        stage.connect()
        stage.passes(seconds=5)
        account.cancel(gone)
        stage.passes(seconds=5)

        def titles(**query):
            return [each["raw"]["summary"] for each in stage.events(**query)]

        assert ["a", "c"] == titles(ical_uid="One")
        assert ["a", "b"] == titles(is_deleted="false")
        assert ["c"] == titles(is_deleted="true")
        assert ["b"] == titles(start_time="2027-03-01T11:00:00Z")
        assert ["b", "c"] == titles(start_time__gte="2027-03-01T12:00:00+01:00")
        assert ["a"] == titles(start_time__lte="2027-03-01T10:59:59Z")
        assert ["c"] == titles(updated_at__gte="2027-03-01T09:00:05Z")
        assert [] == titles(calendar_id="0512a606-f31c-58ad-8692-f62ffc95b96f")

    def test_many_changes_share_a_webhook(self, stage):
        account = stage.account()
        names = [account.add_event(f"e{n}", start=START + timedelta(days=1)) for n in range(20)]
        stage.connect()
        stage.mail.clear()
        for name in names:
            account.rename(name, "new")
        stage.passes(seconds=3)
        (sync,) = stage.mailed("calendar.sync_events")
        found = stage.events(updated_at__gte=sync["data"]["last_updated_ts"])
        assert 20 == len(found)
        assert 1 == len({each["updated_at"] for each in found})

    def test_unfiltered_list_may_be_refused(self, stage, meeting):
        stage.world.switches = Switches(unfiltered_list_refused=True)
        assert 400 == stage.get("/api/v2/calendar-events/").status_code
        assert 1 == len(stage.events(calendar_id=meeting["calendar_id"]))

    def test_hostile_next(self):
        stage = Stage(switches=Switches(next_host="evil.example", events_page_size=1))
        for _ in range(2):
            stage.account().add_event("x", start=START + timedelta(hours=1))
        stage.connect()
        found = stage.get("/api/v2/calendar-events/").json()["next"]
        assert "evil.example" == urlsplit(found).hostname

    def test_rows_may_become_visible_after_their_updated_at(self):
        stage = Stage(timings=Timings(commit=30))
        account = stage.account()
        for number in range(20):
            account.add_event(f"e{number}", start=START + timedelta(days=1))
        stage.connect()
        seen = len(stage.events())
        assert 0 < 20 - seen
        stage.passes(seconds=40)
        assert 20 == len(stage.events())
        assert 1 == len({each["updated_at"] for each in stage.events()})

    def test_ownership_moves(self, stage, meeting):
        other = stage.account("heir@acme.example")
        home = stage.connect("heir@acme.example")
        stage.schedule(meeting)
        stage.passes(seconds=5)
        stage.mail.clear()
        source = stage.account()
        (name,) = source.events
        source.transfer(name, other)
        stage.passes(seconds=5)
        moved = stage.event()
        assert (meeting["id"], home) == (moved["id"], moved["calendar_id"])
        assert {home, meeting["calendar_id"]} == {
            each["data"]["calendar_id"] for each in stage.mailed("calendar.sync_events")
        }
        assert 1 == len(stage.world.live_bots())

    @pytest.mark.parametrize("last", ["third@acme.example", None])
    def test_what_was_handed_on_before_recall_noticed_is_where_it_went(self, stage, meeting, last):
        second = stage.account("heir@acme.example")
        stage.connect("heir@acme.example")
        home = stage.connect(last) if last else meeting["calendar_id"]
        source = stage.account()
        (name,) = source.events
        source.transfer(name, second)
        second.transfer(name, stage.account(last) if last else source)
        stage.passes(seconds=10)
        (held,) = [each for each in stage.events() if not each["is_deleted"]]
        assert home == held["calendar_id"]

    def test_one_meeting_in_several_accounts(self, stage):
        guest = stage.account("guest@globex.example", MICROSOFT)
        stage.world.invite(
            "Review", organizer=stage.account(), guests=[guest, "third@initech.example"],
            start=START + timedelta(hours=3), link=ZOOM,
        )  # fmt: skip
        stage.connect()
        stage.connect("guest@globex.example", MICROSOFT)
        left, right = stage.events()
        assert left["platform"] != right["platform"]
        for name in ("ical_uid", "meeting_url", "start_time", "meeting_platform"):
            assert left[name] == right[name]

    def test_malformed_raw_is_passed_on(self, stage):
        raw = {"id": "broken", "status": "confirmed", "attendees": "nobody", "start": 7}
        stage.account().add_raw(raw, start=START + timedelta(hours=1))
        stage.connect()
        url = stage.world.base_url + "/api/v2/calendar-events/"
        assert raw == stage.session.get(url).json()["results"][0]["raw"]

    def test_real_raw_is_taken_as_it_is(self, stage):
        for file in sorted((PAYLOADS / "events").glob("*google*.json")):
            known = json.loads(file.read_text())
            if not known["is_deleted"]:
                stage.account().add_raw(known["raw"])
        stage.connect()
        for event in stage.events():
            file = next(
                each
                for each in (PAYLOADS / "events").glob("*.json")
                if json.loads(each.read_text())["platform_id"] == event["platform_id"]
            )
            known = json.loads(file.read_text())
            for name in ("start_time", "end_time", "meeting_url", "meeting_platform", "ical_uid"):
                assert known[name] == event[name], file.name

    @pytest.mark.parametrize(
        ("switch", "deleted"), [("listed", False), ("deleted", True), ("hidden", None)]
    )
    def test_moved_far_ahead(self, switch, deleted):
        stage = Stage(switches=Switches(moved_beyond_window=switch))
        account = stage.account()
        name = account.add_event("x", start=START + timedelta(days=1))
        stage.connect()
        account.move(name, START + timedelta(days=40))
        stage.passes(seconds=3)
        found = [each["is_deleted"] for each in stage.events()]
        assert ([] if deleted is None else [deleted]) == found

    def test_five_thousand_events(self, stage):
        for number in range(5000):
            stage.account().add_event(f"e{number}", start=START + timedelta(minutes=number))
        stage.connect()
        assert 5000 == len(stage.events())
        assert 50 == stage.world.count("calendar_events_list")


class TestEventBots:
    def test_schedule_and_unschedule(self, stage, meeting):
        stage.mail.clear()
        answer = stage.schedule(meeting, metadata={"event_id": meeting["id"]})
        assert 200 == answer.status_code
        (entry,) = answer.json()["bots"]
        assert {
            "bot_id": entry["bot_id"],
            "start_time": meeting["start_time"],
            "deduplication_key": f"{meeting['start_time']}-{MEET}",
            "meeting_url": MEET,
        } == entry
        (bot,) = stage.world.live_bots()
        assert (START + timedelta(hours=3), {"event_id": meeting["id"]}) == (
            bot.join_at, bot.metadata,
        )  # fmt: skip
        assert [] == stage.unschedule(meeting).json()["bots"]
        assert 200 == stage.unschedule(meeting).status_code
        assert [] == stage.world.live_bots()
        stage.passes(seconds=5)
        assert 1 == len(stage.mailed("calendar.sync_events"))

    def test_own_changes_may_stay_silent(self, meeting, stage):
        stage.world.switches = Switches(bot_change_bumps_event=False)
        stage.mail.clear()
        assert meeting["updated_at"] == stage.schedule(meeting).json()["updated_at"]
        stage.passes(seconds=5)
        assert [] == stage.mail

    def test_last_call_replaces_the_configuration(self, stage, meeting):
        first = stage.schedule(meeting, metadata={"a": "b"}).json()["bots"]
        assert first == stage.schedule(meeting, bot_name="Other").json()["bots"]
        (bot,) = stage.world.live_bots()
        assert ("Other", {}) == (bot.bot_name, bot.metadata)

    def test_one_key_one_bot(self, stage):
        for email in ("a@acme.example", "b@acme.example"):
            stage.account(email).add_event("x", start=START + timedelta(hours=3), link=MEET)
            stage.connect(email)
        left, right = stage.events()
        stage.schedule(left)
        stage.schedule(right)
        (bot,) = stage.world.live_bots()
        assert {left["id"], right["id"]} == set(bot.event_ids)
        stage.unschedule(left)
        (bot,) = stage.world.live_bots()
        assert (right["id"],) == bot.event_ids
        stage.unschedule(right)
        assert [] == stage.world.live_bots()

    def test_a_move_leaves_the_bot_behind(self, stage, meeting):
        stage.schedule(meeting)
        (name,) = stage.account().events
        stage.account().move(name, START + timedelta(hours=5))
        stage.passes(seconds=3)
        moved = stage.event()
        assert "2027-03-01T14:00:00Z" == moved["start_time"]
        assert meeting["start_time"] == moved["bots"][0]["start_time"]
        (bot,) = stage.world.live_bots()
        assert START + timedelta(hours=3) == bot.join_at
        answer = stage.schedule(moved)
        assert [moved["start_time"]] == [each["start_time"] for each in answer.json()["bots"]]
        (bot,) = stage.world.live_bots()
        assert START + timedelta(hours=5) == bot.join_at

    def test_automatic_follow(self, stage, meeting):
        stage.world.switches = Switches(automatic_follow=True)
        stage.schedule(meeting)
        (name,) = stage.account().events
        stage.account().move(name, START + timedelta(hours=5))
        stage.account().relink(name, ZOOM)
        stage.passes(seconds=3)
        (bot,) = stage.world.live_bots()
        assert (START + timedelta(hours=5), ZOOM) == (bot.join_at, bot.meeting_url)
        assert ZOOM == stage.event()["bots"][0]["meeting_url"]

    @pytest.mark.parametrize(("switch", "entries"), [("emptied", 0), ("kept", 1)])
    def test_a_cancelled_event_loses_its_bot(self, stage, meeting, switch, entries):
        stage.world.switches = Switches(deleted_event_bots=switch)
        stage.schedule(meeting)
        (name,) = stage.account().events
        stage.account().cancel(name)
        stage.passes(seconds=3)
        found = stage.event()
        assert (True, entries) == (found["is_deleted"], len(found["bots"]))
        assert [] == stage.world.live_bots()
        assert 400 == stage.schedule(meeting).status_code

    def test_over_is_over(self, stage, meeting):
        stage.passes(hours=3, minutes=30)
        answer = stage.schedule(meeting)
        assert 400 == answer.status_code
        assert ["non_field_errors"] == list(answer.json()["errors"])

    def test_running_event_needs_an_ad_hoc_bot(self, stage, meeting):
        stage.passes(hours=3, minutes=5)
        stage.world.ad_hoc_free = 0
        assert 507 == stage.schedule(meeting).status_code
        stage.world.ad_hoc_free = 1
        assert 200 == stage.schedule(meeting).status_code
        stage.passes(seconds=10)
        (bot,) = stage.world.live_bots()
        assert "in_call_recording" == bot.state

    def test_eleven_minutes_ahead_never_507(self, stage, meeting):
        stage.world.ad_hoc_free = 0
        stage.passes(hours=2, minutes=48)
        assert 200 == stage.schedule(meeting).status_code
        stage.passes(minutes=2)
        assert 200 == stage.schedule(meeting, bot_name="Late").status_code

    def test_pulled_forward_needs_an_ad_hoc_bot(self, stage, meeting):
        stage.schedule(meeting)
        (name,) = stage.account().events
        stage.account().move(name, START + timedelta(minutes=5))
        stage.passes(seconds=3)
        stage.world.ad_hoc_free = 0
        moved = stage.event()
        assert 507 == stage.schedule(moved).status_code
        assert 1 == len(stage.world.live_bots())
        stage.world.ad_hoc_free = 1
        assert 200 == stage.schedule(moved).status_code
        (bot,) = stage.world.live_bots()
        assert START + timedelta(minutes=5) == bot.join_at

    def test_retry_after_may_be_missing(self, stage, meeting):
        stage.world.switches = Switches(retry_after_on_507=None)
        stage.world.ad_hoc_free = 0
        stage.passes(hours=3)
        assert "Retry-After" not in stage.schedule(meeting).headers

    def test_no_link_no_bot(self, stage):
        stage.account().add_event("x", start=START + timedelta(hours=1))
        stage.connect()
        event = stage.event()
        assert 400 == stage.schedule(event).status_code
        assert 200 == stage.schedule(event, meeting_url=ZOOM).status_code
        stage.world.switches = Switches(post_without_url="served")
        assert 200 == stage.schedule(event).status_code

    def test_parallel_calls_with_one_key(self, stage, meeting):
        inner = []

        def overlap(_request):
            stage.world.latency = None
            inner.append(stage.schedule(meeting).status_code)

        stage.world.latency = overlap
        assert 200 == stage.schedule(meeting).status_code
        stage.world.latency = overlap
        assert 200 == stage.unschedule(meeting).status_code
        assert [409, 409] == inner

    def test_threads_really_overlap(self, stage, meeting):
        barrier = threading.Barrier(2, timeout=10)
        codes = []

        def wait(_request):
            stage.world.latency = None
            barrier.wait()
            barrier.wait()

        stage.world.latency = wait
        first = threading.Thread(target=lambda: codes.append(stage.schedule(meeting).status_code))
        first.start()
        barrier.wait()
        codes.append(stage.schedule(meeting).status_code)
        barrier.wait()
        first.join(10)
        assert [409, 200] == codes

    def test_a_key_can_be_held(self, stage, meeting):
        stage.world.hold_key(f"{meeting['start_time']}-{MEET}", seconds=10)
        assert 409 == stage.schedule(meeting).status_code
        stage.passes(seconds=10)
        assert 200 == stage.schedule(meeting).status_code

    def test_event_used_again_and_again(self, stage, meeting):
        stage.schedule(meeting)
        stage.passes(hours=4)
        (name,) = stage.account().events
        stage.account().move(name, START + timedelta(days=7))
        stage.passes(seconds=3)
        again = stage.event()
        assert 2 == len(stage.schedule(again).json()["bots"])
        assert 1 == len(stage.world.live_bots())

    def test_a_bot_in_the_call_stays(self, stage, meeting):
        stage.schedule(meeting)
        stage.passes(hours=3, minutes=1)
        assert 1 == len(stage.unschedule(meeting).json()["bots"])
        assert ["in_call_recording"] == [each.state for each in stage.world.live_bots()]

    def test_a_sent_bot_is_not_deduplicated(self, stage, meeting):
        stage.schedule(meeting)
        stage.passes(hours=3, minutes=1)
        assert 2 == len(stage.schedule(meeting).json()["bots"])
        assert 2 == len(stage.world.live_bots())

    def test_unknown_event(self, stage):
        path = "/api/v2/calendar-events/0512a606-f31c-58ad-8692-f62ffc95b96f/bot/"
        assert 404 == stage.call("DELETE", path).status_code


class TestBots:
    def create(self, stage, ahead=timedelta(hours=1), **fields):
        join_at = (stage.clock.now() + ahead).isoformat()
        body = {"meeting_url": MEET, "join_at": join_at, **fields}
        return stage.post("/api/v1/bot/", body).json()

    def test_life_of_a_bot(self, stage):
        bot = self.create(stage, metadata={"a": "b"})
        assert {"meeting_id": "qkr-wzpn-abt", "platform": "google_meet"} == bot["meeting_url"]
        path = f"/api/v1/bot/{bot['id']}/"
        stage.passes(hours=1)
        assert None is stage.get(path).json()["join_at"]
        stage.passes(hours=2)
        read = stage.get(path).json()
        assert ["joining_call", "in_waiting_room", "in_call_recording", "call_ended", "done"] == [
            each["code"] for each in read["status_changes"]
        ]
        assert "done" == read["recordings"][0]["status"]["code"]
        done = stage.mailed("bot.done")[0]
        assert {"id": bot["id"], "metadata": {"a": "b"}} == done["data"]["bot"]
        assert [] == stage.world.live_bots()

    def test_fatal(self, stage):
        stage.world.fleet.fates[MEET] = "meeting_not_found"
        self.create(stage)
        stage.passes(hours=1, minutes=1)
        (fatal,) = stage.mailed("bot.fatal")
        assert "meeting_not_found" == fatal["data"]["data"]["sub_code"]

    @pytest.mark.parametrize(
        ("fate", "codes"),
        [
            (Fate("joining", "meeting_full"), ["fatal"]),
            (Fate("waiting_room", "timeout_exceeded_waiting_room"),
             ["in_waiting_room", "call_ended", "done"]),
            (Fate("permission", "zoom_host_not_present"),
             ["in_waiting_room", "in_call_not_recording", "recording_permission_denied",
              "call_ended", "done"]),
            (Fate("recording", "recording_errored"),
             ["in_waiting_room", "in_call_recording", "processing", "call_ended", "failed",
              "done"]),
        ],
    )  # fmt: skip
    def test_what_can_go_wrong(self, stage, fate, codes):
        stage.world.fleet.fates[MEET] = fate
        self.create(stage)
        stage.passes(hours=4)
        heard = [body["data"]["data"] for body in stage.mailed() if "bot" in body["data"]]
        assert ["joining_call", *codes] == [each["code"] for each in heard]
        assert fate.word in {each["sub_code"] or each.get("error", {}).get("code")
                             for each in heard}  # fmt: skip

    def test_a_bot_is_turned_away_at_the_door(self, stage):
        bot = self.create(stage, ahead=timedelta(hours=1))
        stage.passes(hours=1, seconds=3)
        stage.world.fleet.kick(bot["id"])
        stage.passes()
        (ended,) = stage.mailed("bot.call_ended")
        assert "bot_kicked_from_waiting_room" == ended["data"]["data"]["sub_code"]

    def test_patch_rules(self, stage):
        bot = self.create(stage)
        path = f"/api/v1/bot/{bot['id']}/"

        def patch(**body):
            return stage.call("PATCH", path, json=body)

        later = (START + timedelta(hours=2)).isoformat()
        assert "2027-03-01T11:00:00Z" == patch(join_at=later, bot_name="New").json()["join_at"]
        soon = (START + timedelta(minutes=9)).isoformat()
        assert "update_bot_failed" == patch(join_at=soon).json()["code"]
        stage.passes(hours=1, minutes=51)
        assert 400 == patch(join_at=(START + timedelta(hours=4)).isoformat()).status_code
        assert "Newer" == patch(bot_name="Newer").json()["bot_name"]
        stage.passes(minutes=10)
        assert "update_bot_failed" == patch(bot_name="Newest").json()["code"]

    def test_late_changes_and_early_leaves_may_be_refused(self, stage):
        path = f"/api/v1/bot/{self.create(stage)['id']}/"
        stage.world.switches = Switches(late_patch="refused", leave_before_join="refused")
        stage.passes(minutes=51)
        late = stage.call("PATCH", path, json={"bot_name": "Newer"})
        assert (400, "update_bot_failed") == (late.status_code, late.json()["code"])
        early = stage.post(path + "leave_call/")
        assert (400, "cannot_command_unstarted_bot") == (early.status_code, early.json()["code"])
        stage.passes(minutes=10)
        assert 200 == stage.post(path + "leave_call/").status_code

    def test_delete_and_leave_rules(self, stage):
        bot = self.create(stage)
        path = f"/api/v1/bot/{bot['id']}/"
        early = stage.post(path + "leave_call/")
        assert "cannot_command_unstarted_bot" == early.json()["code"]
        stage.passes(minutes=51)
        late = stage.call("DELETE", path)
        assert (405, "cannot_delete_bot") == (late.status_code, late.json()["code"])
        assert 200 == stage.post(path + "leave_call/").status_code
        stage.passes(hours=1)
        again = stage.post(path + "leave_call/")
        assert "cannot_command_completed_bot" == again.json()["code"]
        assert ["call_ended", "done"] == [
            each["code"] for each in stage.get(path).json()["status_changes"]
        ]

    def test_delete(self, stage):
        path = f"/api/v1/bot/{self.create(stage)['id']}/"
        assert 204 == stage.call("DELETE", path).status_code
        assert 404 == stage.get(path).status_code

    def test_bots_of_events_are_not_for_patching(self, stage, meeting):
        (entry,) = stage.schedule(meeting).json()["bots"]
        path = f"/api/v1/bot/{entry['bot_id']}/"
        assert "update_bot_failed" == stage.call("PATCH", path, json={}).json()["code"]
        assert 204 == stage.call("DELETE", path).status_code
        assert [entry] == stage.event()["bots"]

    def test_list(self):
        stage = Stage(switches=Switches(bots_page_size=2))
        for number in range(5):
            self.create(stage, ahead=timedelta(hours=number), metadata={"n": str(number)})
        first = stage.get("/api/v1/bot/").json()
        assert (5, 2) == (first["count"], len(first["results"]))
        second = stage.get(first["next"]).json()
        assert "page" not in urlsplit(second["previous"]).query
        assert "page=3" in second["next"]
        stage.passes(seconds=10)
        names = {"join_at_after": START.isoformat(), "status": ["ready", "done"]}
        assert 4 == stage.get("/api/v1/bot/", params=names).json()["count"]
        assert 1 == stage.get("/api/v1/bot/", params={"metadata__n": "3"}).json()["count"]
        assert 0 == stage.get("/api/v1/bot/", params={"platform": "zoom"}).json()["count"]
        assert "count" not in stage.get("/api/v1/bot/?use_cursor=1").json()

    @pytest.mark.parametrize(
        "link",
        [
            ZOOM, TEAMS, "https://teams.live.com/meet/9876543210123?p=AbCd",
            "https://example.webex.com/example/j.php?MTID=m5f2c",
            "https://example.webex.com/meet/procurement", "https://meet.goto.com/123456789",
        ],
    )  # fmt: skip
    def test_links_of_all_platforms(self, stage, link):
        assert None is not self.create(stage, meeting_url=link)["meeting_url"]

    def test_strange_link(self, stage):
        answer = stage.post("/api/v1/bot/", {"meeting_url": "https://example.com/x"})
        assert (400, ["meeting_url"]) == (answer.status_code, list(answer.json()))


class TestWebhooks:
    def test_signed_by_both_families_and_all_secrets(self):
        stage = Stage(
            clock=VirtualClock(datetime.now(UTC)),
            webhook_secret=f"{SECRET}, {OTHER_SECRET}",
            switches=Switches(webhook_headers="both"),
        )
        stage.connect()
        delivery = stage.mail[0]
        for family in ("webhook-", "svix-"):
            headers = {k: v for k, v in delivery.headers.items() if k.startswith(family)}
            assert 3 == len(headers)
            for secret in (SECRET, OTHER_SECRET):
                Webhook(secret).verify(delivery.body, headers)
            with pytest.raises(WebhookVerificationError):
                Webhook("whsec_d3Jvbmc=").verify(delivery.body, headers)

    def test_no_secret_no_signature(self):
        stage = Stage(webhook_secret="")
        stage.connect()
        assert not [name for name in stage.mail[0].headers if "signature" in name]

    @pytest.mark.parametrize("failure", [500, 301, TimeoutError(), requests.ReadTimeout()])
    def test_retries_keep_the_id(self, stage, failure):
        stage.status = failure
        stage.world.webhooks.subscribed = frozenset({"calendar.update"})
        stage.connect()
        stage.passes(days=2)
        (message,) = stage.world.webhooks.messages
        times = [at for at, _ in message.attempts]
        waits = [round((later - sooner).total_seconds()) for sooner, later in pairwise(times)]
        assert [5, 300, 1800, 7200, 18000, 36000, 36000] == waits
        assert "failed" == message.state
        assert 1 == len({each.id for each in stage.mail})
        assert 8 == len({each.headers["webhook-timestamp"] for each in stage.mail})
        stage.status = 200
        stage.world.webhooks.replay(message)
        stage.world.run_due()
        assert "delivered" == message.state

    def test_scaled_retries(self):
        stage = Stage(timings=Timings(retry_scale=0.01))
        stage.status = 500
        stage.connect()
        stage.passes(minutes=30)
        assert {8} == {len(each.attempts) for each in stage.world.webhooks.messages}

    def test_lost(self, stage):
        stage.world.webhooks.lose(event="calendar.sync_events")
        stage.account().add_event("x", start=START + timedelta(hours=1))
        stage.connect()
        assert ["calendar.update"] == [each["event"] for each in stage.mailed()]

    def test_duplicated(self, stage):
        stage.world.webhooks.duplicate()
        stage.connect()
        assert [1, 2] == [len({each.id for each in stage.mail}), len(stage.mail)]

    def test_reordered(self, stage):
        stage.world.webhooks.reorder(2)
        stage.account().add_event("x", start=START + timedelta(hours=1))
        stage.connect()
        assert ["calendar.sync_events", "calendar.update"] == [
            each["event"] for each in stage.mailed()
        ]

    def test_calm_lets_go_of_what_waits(self, stage):
        stage.connect()
        known = len(stage.mailed())
        stage.world.webhooks.reorder(5)
        stage.world.core.send_update("x")
        stage.passes(seconds=1)
        assert known == len(stage.mailed())
        stage.world.webhooks.calm()
        stage.passes(seconds=1)
        assert known + 1 == len(stage.mailed())

    @pytest.mark.parametrize("legacy", [False, True])
    def test_bodies_have_the_published_shape(self, legacy):
        stage = Stage(switches=Switches(legacy_bot_webhooks=legacy))
        stage.account().add_event("x", start=START + timedelta(hours=1), link=MEET)
        stage.connect()
        stage.schedule(stage.event(), metadata={"event_id": "x", "workspace": "y"})
        stage.world.fleet.fates[MEET] = Fate("recording", "recording_errored")
        stage.passes(hours=1, minutes=1)
        (bot,) = stage.world.live_bots()
        stage.world.fleet.pause(bot.bot_id)
        for step in ("opened", "entered", "left", "closed"):
            stage.world.fleet.break_out(bot.bot_id, step)
        stage.passes(hours=1)
        stage.world.fleet.delete_recording(bot.bot_id)
        stage.passes()
        bodies = stage.mailed()
        sent = {body["event"] for body in bodies}
        assert {"bot.breakout_room_left", "recording.failed", "recording.deleted"} <= sent
        for body in bodies:
            event = body["event"]
            name = f"legacy.{event}" if event == "bot.status_change" else event
            known = json.loads((PAYLOADS / "webhooks" / f"{name}.json").read_text())
            # A sub code is null or text, whatever the state.
            assert _shape(known, null="str") == _shape(body, null="str")

    def test_the_vector_of_the_fact_sheet(self):
        body = (
            '{"event":"calendar.update","data":'
            '{"calendar_id":"0512a606-f31c-58ad-8692-f62ffc95b96f"}}'
        )
        moment = datetime.fromtimestamp(1803891600, UTC)
        signed = Webhook(SECRET).sign("msg_2exampleExample01", moment, body)
        assert "v1,UwUDjJAPyXJkPg6CvDiJdZubMLXVPpBKh2PhZQ9k2jQ=" == signed


class TestAdapter:
    @pytest.mark.parametrize(
        ("kind", "error", "applied"),
        [
            (FaultKind.CONNECT_ERROR, requests.ConnectionError, False),
            (FaultKind.CONNECT_TIMEOUT, requests.ConnectTimeout, False),
            (FaultKind.READ_TIMEOUT, requests.ReadTimeout, False),
            (FaultKind.TIMEOUT_AFTER_EFFECT, requests.ReadTimeout, True),
            (FaultKind.RESET_AFTER_EFFECT, requests.ConnectionError, True),
        ],
    )
    def test_faults(self, stage, meeting, kind, error, applied):
        stage.adapter.faults = lambda request: Fault(kind=kind) if request.body else None
        with pytest.raises(error):
            stage.schedule(meeting)
        assert applied is bool(stage.world.live_bots())

    def test_headers_match_in_any_case(self):
        request = Request(method="GET", url="http://x/", headers={"X-Thing": "1"})
        assert "1" == request.headers["x-thing"]


class TestRealTime:
    def test_the_thread_delivers(self):
        stage = Stage(clock=RealClock(), timings=Timings(connect=0.0, sync=0.0))
        arrived = threading.Event()
        stage.world.webhooks.deliver = lambda _delivery: arrived.set() or 204
        stage.world.start()
        try:
            stage.create_calendar()
            assert arrived.wait(10)
        finally:
            stage.world.stop()


class TestSwitches:
    """The other side of each open point that no test above turns."""

    def meeting(self, **switches):
        stage = Stage(switches=Switches(**switches))
        stage.account().add_event("Kick-off", start=START + timedelta(hours=3), link=MEET)
        stage.connect()
        return stage, stage.event()

    def name(self, stage):
        (name,) = stage.account().events
        return name

    @pytest.mark.parametrize("bumped", [False, True])
    def test_disconnect_bumps_events(self, bumped):
        stage, meeting = self.meeting(disconnect_bumps_events=bumped, bot_change_bumps_event=False)
        stage.schedule(meeting)
        stage.account().revoke_grant()
        stage.passes(seconds=6)
        assert bumped is (stage.event()["updated_at"] != meeting["updated_at"])

    @pytest.mark.parametrize("touched", [False, True])
    def test_reconnect_touches_events(self, touched):
        stage, meeting = self.meeting(reconnect_touches_events=touched)
        stage.call("PATCH", f"/api/v2/calendars/{meeting['calendar_id']}/", json={})
        stage.passes(seconds=2)
        assert touched is (stage.event()["updated_at"] != meeting["updated_at"])

    @pytest.mark.parametrize("order", ["id", "updated_at", "start_time"])
    def test_list_order(self, order):
        stage = Stage(switches=Switches(list_order=order, events_page_size=2))
        for hours in (3, 1, 2, 5, 4):
            stage.account().add_event("x", start=START + timedelta(hours=hours))
        stage.connect()
        found = [each[order] for each in stage.events()]
        assert sorted(found) == found
        assert 5 == len(found)

    @pytest.mark.parametrize(("switch", "entries"), [("removed", 0), ("kept", 1)])
    def test_unscheduled_entries(self, switch, entries):
        stage, meeting = self.meeting(unscheduled_bot_entry=switch)
        stage.schedule(meeting)
        assert entries == len(stage.unschedule(meeting).json()["bots"])
        assert [] == stage.world.live_bots()

    @pytest.mark.parametrize(("switch", "bots"), [("dropped", 1), ("kept", 2)])
    def test_old_bot_on_key_change(self, switch, bots):
        stage, meeting = self.meeting(old_bot_on_key_change=switch)
        stage.schedule(meeting, key="one")
        assert bots == len(stage.schedule(meeting, key="two").json()["bots"])
        assert bots == len(stage.world.live_bots())

    def test_credentials_checked_on_create(self):
        stage = Stage(switches=Switches(credentials_checked_on_create=True))
        body = {"platform": GOOGLE, "oauth_client_id": "c", "oauth_client_secret": "s",
                "oauth_refresh_token": "dead"}  # fmt: skip
        assert 400 == stage.post("/api/v2/calendars/", body).status_code

    @pytest.mark.parametrize(("switch", "deleted"), [("listed", False), ("deleted", True)])
    def test_declined_events(self, switch, deleted):
        stage, _ = self.meeting(declined_events=switch)
        stage.account().set_response(self.name(stage), "declined")
        stage.passes(seconds=3)
        assert deleted is stage.event()["is_deleted"]

    @pytest.mark.parametrize(("switch", "deleted"), [("listed", False), ("deleted", True)])
    def test_cancelled_by_organizer(self, switch, deleted):
        stage, _ = self.meeting(cancelled_by_organizer=switch, cancelled_raw="minimal")
        stage.account().cancel(self.name(stage))
        stage.passes(seconds=3)
        found = stage.event()
        assert deleted is found["is_deleted"]
        assert {"id", "kind", "status"} == set(found["raw"])

    def test_all_day_start(self):
        stage = Stage(switches=Switches(all_day_start="local_midnight"))
        stage.account().add_event("x", start=START + timedelta(hours=14), all_day=True)
        stage.connect()
        assert "2027-03-01T23:00:00Z" == stage.event()["start_time"]

    def test_refusals_of_posts(self):
        stage, meeting = self.meeting(
            post_running_event="refused",
            post_deleted_event="not_found",
            post_while_disconnected="refused",
        )
        stage.passes(hours=3, minutes=1)
        assert 400 == stage.schedule(meeting).status_code
        stage.account().move(self.name(stage), START + timedelta(hours=9))
        stage.account().revoke_grant()
        stage.passes(seconds=10)
        assert 400 == stage.schedule(meeting).status_code
        stage.world.grant("new", platform=GOOGLE, email=OWNER)
        path = f"/api/v2/calendars/{meeting['calendar_id']}/"
        stage.call("PATCH", path, json={"oauth_refresh_token": "new"})
        stage.account().cancel(self.name(stage))
        stage.passes(seconds=3)
        assert 404 == stage.schedule(meeting).status_code

    @pytest.mark.parametrize(("switch", "hours"), [("ignored", 3), ("honoured", 2)])
    def test_join_at_in_bot_config(self, switch, hours):
        stage, meeting = self.meeting(join_at_in_bot_config=switch)
        stage.schedule(meeting, join_at=(START + timedelta(hours=2)).isoformat())
        (bot,) = stage.world.live_bots()
        assert START + timedelta(hours=hours) == bot.join_at

    def test_delete_after_dispatch(self):
        stage, meeting = self.meeting(delete_after_dispatch="leaves")
        stage.schedule(meeting)
        stage.passes(hours=3, minutes=1)
        stage.unschedule(meeting)
        assert [] == stage.world.live_bots()
        stage.passes(seconds=10)
        assert (
            "bot_received_leave_call"
            == stage.mailed("bot.call_ended")[0]["data"]["data"]["sub_code"]
        )

    def test_last_ten_minutes(self):
        stage, meeting = self.meeting(late_delete="joins_anyway", late_config="ignored")
        stage.schedule(meeting, bot_name="Old")
        stage.passes(hours=2, minutes=55)
        stage.schedule(meeting, bot_name="New")
        assert ["Old"] == [each.bot_name for each in stage.world.live_bots()]
        stage.unschedule(meeting)
        stage.passes(minutes=6)
        assert ["in_call_recording"] == [each.state for each in stage.world.live_bots()]

    def test_dispatched_key(self):
        stage, meeting = self.meeting(dispatched_key="same_bot")
        stage.schedule(meeting)
        stage.passes(hours=3, minutes=1)
        stage.schedule(meeting)
        assert 1 == len(stage.world.live_bots())

    def test_shared_bot_on_calendar_delete(self):
        stage, meeting = self.meeting(shared_bot_on_calendar_delete="removed")
        stage.account("b@acme.example").add_event("x", start=START + timedelta(hours=3), link=MEET)
        other = stage.connect("b@acme.example")
        stage.schedule(meeting)
        stage.schedule(stage.event(calendar_id=other))
        stage.call("DELETE", f"/api/v2/calendars/{other}/")
        assert [] == stage.world.live_bots()

    def test_a_shared_bot_follows_nobody(self):
        stage, meeting = self.meeting(automatic_follow=True)
        stage.account("b@acme.example").add_event("x", start=START + timedelta(hours=3), link=MEET)
        other = stage.connect("b@acme.example")
        stage.schedule(meeting)
        stage.schedule(stage.event(calendar_id=other))
        (name,) = stage.account().events
        stage.account().move(name, START + timedelta(hours=5))
        stage.passes(seconds=3)
        assert [START + timedelta(hours=3)] == [each.join_at for each in stage.world.live_bots()]

    @pytest.mark.parametrize(
        ("switch", "status", "entries"), [("clean", 204, 0), ("refused", 400, 1)]
    )
    def test_delete_event_bot(self, switch, status, entries):
        stage, meeting = self.meeting(
            delete_event_bot=switch, late_delete_status=400, patch_event_bot="served"
        )
        (entry,) = stage.schedule(meeting).json()["bots"]
        url = f"{stage.world.base_url}/api/v1/bot/{entry['bot_id']}/"
        assert 200 == stage.session.patch(url, json={"bot_name": "x"}).status_code
        assert status == stage.session.delete(url).status_code
        assert entries == len(stage.event()["bots"])

    @pytest.mark.parametrize(("shown", "token"), [(False, "first"), (True, "second")])
    def test_rotated_token(self, shown, token):
        grant = GrantResult(email=OWNER, scopes=("Calendars.Read",), rotated_token="second")
        stage = Stage(
            switches=Switches(rotated_token_shown=shown), resolve_account=lambda **_: grant
        )
        calendar_id = stage.connect(platform=MICROSOFT, token="first")
        read = stage.get(f"/api/v2/calendars/{calendar_id}/").json()
        assert token == read["oauth_refresh_token"]

    def test_quiet_calendar_updates(self):
        stage = Stage(
            switches=Switches(update_webhook_on_connecting=False, update_webhook_on_connected=False)
        )
        calendar_id = stage.connect()
        stage.call("PATCH", f"/api/v2/calendars/{calendar_id}/", json={})
        stage.passes(seconds=3)
        assert [] == stage.mail

    def test_email_filter(self):
        stage = Stage(switches=Switches(email_filter="oauth_email"))
        stage.connect(oauth_email="other@acme.example")
        found = stage.get("/api/v2/calendars/", params={"email": "other@acme.example"})
        assert 1 == len(found.json()["results"])

    @pytest.mark.parametrize(("stored", "status"), [(True, 409), (False, 200)])
    def test_idempotency_stores_conflicts(self, stored, status):
        stage, meeting = self.meeting(idempotency_stores_conflicts=stored)
        stage.world.hold_key("k", seconds=5)
        path = f"/api/v2/calendar-events/{meeting['id']}/bot/"
        options = {"headers": {"Idempotency-Key": "once"}}
        body = {"deduplication_key": "k", "bot_config": {}}
        assert 409 == stage.post(path, body, **options).status_code
        stage.passes(seconds=5)
        assert status == stage.post(path, body, **options).status_code

    def test_webhooks_unordered(self):
        stage = Stage(switches=Switches(webhooks_unordered=True))
        for number in range(10):
            stage.connect(f"u{number}@acme.example")
        stage.passes(minutes=2)
        sent = [each.id for each in stage.world.webhooks.messages]
        arrived = [each.id for each in stage.mail]
        assert sorted(sent) == sorted(arrived)
        assert sent != arrived

    def test_no_recording_webhooks(self):
        stage, meeting = self.meeting(recording_webhooks=False)
        stage.schedule(meeting)
        stage.passes(hours=4)
        assert not [each for each in stage.mailed() if each["event"].startswith("recording")]


# Each reference file as add_event makes it: (file, platform, arguments).
HOST = Guest(email="host@globex.example", name="Globex Host")
VARIANTS = [
    ("01", {"link": MEET, "attendees": [Guest(email="a@x.y", answer="accepted"),
                                        Guest(email="b@x.y", optional=True)],
            "description": "Agenda"}),
    ("02", {"link": MEET, "organizer": HOST, "answer": "accepted", "series": "weekly",
            "attendees": ["c@x.y"]}),
    ("03", {"link": MEET, "organizer": "h@x.y", "answer": "accepted", "cancelled": True}),
    ("04", {"location": "Globex, Example Street 1", "attendees": ["a@x.y"]}),
    ("05", {"all_day": True, "organizer": "h@x.y", "owner_invited": False, "show_as": "free"}),
    ("06", {"link": ZOOM, "link_in": "location"}),
    ("07", {"link": MEET, "organizer": HOST, "answer": "declined", "attendees": ["c@x.y"]}),
    ("08", {"link": "https://example.webex.com/example/j.php?MTID=m5", "link_in": "description",
            "organizer": "h@x.y", "answer": "tentative"}),
    ("09", {"link": MEET, "series": "weekly", "attendees": ["a@x.y"], "moved": True}),
    ("10", {"link": ZOOM, "organizer": HOST, "hidden_guests": True, "attendees": ["c@x.y"],
            "description": "Join Zoom Meeting"}),
    ("11", {"link": MEET, "attendees": ["c@x.y"]}),
    ("12", {"link": TEAMS, "attendees": [Guest(email="a@x.y", answer="accepted")]}),
    ("13", {"link": TEAMS, "organizer": HOST, "answer": "accepted", "series": "daily"}),
    ("14", {"link": TEAMS, "organizer": HOST, "answer": "accepted", "cancelled": True}),
    ("15", {"location": "Canteen", "attendees": ["a@x.y"]}),
    ("16", {"all_day": True, "show_as": "oof"}),
    ("17", {"link": ZOOM, "link_in": "description"}),
    ("18", {"link": ZOOM, "link_in": "description", "organizer": HOST, "answer": "accepted"}),
    ("19", {"link": TEAMS, "organizer": HOST, "answer": "declined", "show_as": "free"}),
    ("20", {"link": "https://example.webex.com/meet/procurement", "organizer": HOST,
            "answer": "tentative", "show_as": "tentative"}),
    ("21", {"link": TEAMS, "series": "steering", "attendees": ["a@x.y"], "moved": True}),
    ("22", {"link": "https://links.fabrikam.example/go?u=x", "link_in": "conference",
            "organizer": HOST}),
    ("23", {"link": "https://teams.live.com/meet/9876543210123?p=Ab", "private": True,
            "attendees": ["a@x.y"]}),
]  # fmt: skip
_SAME = ("type", "status", "isCancelled", "isOrganizer", "isAllDay", "showAs", "visibility",
         "transparency", "isOnlineMeeting", "onlineMeetingProvider", "hideAttendees",
         "guestsCanSeeOtherGuests", "guestsCanInviteOthers")  # fmt: skip


@pytest.mark.parametrize(("number", "details"), VARIANTS, ids=[each[0] for each in VARIANTS])
def test_reference_events_are_reproduced(number, details):
    (file,) = (PAYLOADS / "events").glob(f"{number}-*.json")
    known = json.loads(file.read_text())
    stage = Stage()
    account = stage.account(platform=known["platform"])
    options = dict(details)
    cancelled, moved = options.pop("cancelled", False), options.pop("moved", False)
    start = datetime(2027, 3, 3 if options.get("all_day") else 2, 0, tzinfo=UTC)
    name = account.add_event("A title", start=start, **options)
    stage.connect(platform=known["platform"])
    if moved:
        account.move(name, start + timedelta(days=1))
    if cancelled:
        account.cancel(name)
    stage.passes(seconds=3)
    made = stage.event()
    assert set(known) == set(made)
    assert set(known["raw"]) == set(made["raw"])
    for key in ("is_deleted", "meeting_platform"):
        assert known[key] == made[key]
    assert bool(known["meeting_url"]) == bool(made["meeting_url"])
    for key in _SAME:
        assert known["raw"].get(key) == made["raw"].get(key), key
    for key in ("start", "end", "originalStartTime", "organizer", "responseStatus", "location",
                "body", "onlineMeeting", "reminders"):  # fmt: skip
        assert _shape(known["raw"].get(key)) == _shape(made["raw"].get(key)), key
    assert _owners_answer(known) == _owners_answer(made)


def _owners_answer(event):
    if event["platform"] == MICROSOFT:
        return event["raw"]["responseStatus"]["response"]
    own = [each for each in event["raw"].get("attendees", []) if each.get("self")]
    return own[0]["responseStatus"] if own else None


def _shape(value, *, null=None):
    """Keys and kinds, without the values."""
    match value:
        case dict():
            return {key: _shape(each, null=null) for key, each in value.items()}
        case list():
            return [_shape(each, null=null) for each in value[:1]]
        case None:
            return null
        case _:
            return type(value).__name__
