"""From a link to a calendar, through real handlers: the good way and every refusal."""

from __future__ import annotations

import io
import json
import logging
import secrets
from collections.abc import Iterator
from functools import partial

import boto3
import pytest

from functions.calendars import app as calendars_app
from infra.local.emulators.http import Fault, FaultKind, Response
from shared.domain.connect import ConnectStatus
from shared.flows.connect import finish_waiting
from tests.connect_stage import ADA, BOB, GOOGLE, OUTLOOK, RETURN, Browser, Stage, open_stage
from tests.tables import REGION


@pytest.fixture
def stage() -> Iterator[Stage]:
    with open_stage() as stage:
        yield stage


def session_of(stage: Stage, session_id: str):
    return stage.stores.sessions.get(session_id)


def status_of(stage: Stage, session_id: str) -> ConnectStatus:
    return session_of(stage, session_id).status


@pytest.mark.parametrize("platform", [GOOGLE, OUTLOOK])
def test_a_consent_becomes_a_calendar(stage, platform):
    created = stage.connect(platform=platform, metadata={"plan": "pro"})
    assert created.status == 201
    calendar = created.json
    assert (calendar["email"], calendar["status"]) == (ADA, "connecting")
    assert (calendar["tenant_id"], calendar["entity_id"]) == ("default", "u_1")
    assert calendar["metadata"] == {"plan": "pro"}
    assert [calendar["calendar_id"]] == list(stage.recall.calendars)
    assert [bell["calendar_id"] for bell in stage.bells()] == [calendar["calendar_id"]]

    connected = stage.settle(calendar["calendar_id"])
    assert connected.status == "connected"
    ((kind, detail),) = stage.notices()
    assert (kind, detail["reconnected"]) == ("calendar.connected", False)


def test_the_redirects_carry_what_they_must_and_no_more(stage):
    session = stage.start().json
    browser = Browser(stage)
    at_provider = browser.get(session["connect_url"])
    assert at_provider.status == 302
    assert at_provider.query["code_challenge_method"] == "S256"
    assert at_provider.query["access_type"] == "offline"
    assert at_provider.query["prompt"] == "consent"
    (cookie,) = at_provider.cookies
    assert cookie.startswith("__Host-rollcall=")
    for attribute in ("Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=3600"):
        assert attribute in cookie

    home = browser.get(stage.consent(at_provider.location))
    assert home.location.startswith(RETURN + "&")
    assert set(home.query) == {"tab", "session_id", "completion_code"}
    assert home.headers["referrer-policy"] == "no-referrer"
    assert home.headers["cache-control"] == "no-store"


def test_nothing_that_opens_a_session_is_stored_in_clear(stage):
    session_id, home = stage.come_home()
    row = repr(session_of(stage, session_id))
    assert home.query["completion_code"] not in row
    stage.recall.outage = 503
    stage.complete(session_id, home.query["completion_code"])
    waiting = session_of(stage, session_id)
    world = stage.worlds[GOOGLE]
    tokens = list(world._ledger.refresh_tokens)
    assert tokens
    assert not any(token.encode() in waiting.sealed_token for token in tokens)
    assert waiting.sealed_code is None


# The link.


def test_a_link_opens_once_but_its_browser_may_come_back(stage):
    url = stage.start().json["connect_url"]
    browser, stranger = Browser(stage), Browser(stage)
    first = browser.get(url)
    assert first.status == 302
    refused = stranger.get(url)
    assert (refused.status, "link_used" in refused.body) == (410, True)
    again = browser.get(url)
    assert again.status == 302
    assert again.query["state"] != first.query["state"]


def test_a_link_dies_after_an_hour(stage):
    url = stage.start().json["connect_url"]
    stage.pass_time(3600)
    page = Browser(stage).get(url)
    assert (page.status, "link_expired" in page.body) == (410, True)


@pytest.mark.parametrize("tail", ["x", "", "é", "cs_" + "a" * 22 + "." + "b" * 43])
def test_a_foreign_link_is_unknown(stage, tail):
    page = Browser(stage).get(f"https://rollcall.example/connect/{tail}")
    assert (page.status, "link_unknown" in page.body) == (404, True)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_a_prefetch_does_not_use_the_link_up(stage):
    url = stage.start().json["connect_url"]
    browser = Browser(stage)
    assert browser.get(url, sec_purpose="prefetch;prerender").status == 503
    assert browser.get(url).status == 302


def test_a_used_link_stays_used_after_the_consent(stage):
    session = stage.start().json
    browser = Browser(stage)
    browser.get(stage.consent(browser.get(session["connect_url"]).location))
    assert "link_used" in browser.get(session["connect_url"]).body


def test_two_links_in_one_browser_do_not_break_each_other(stage):
    browser = Browser(stage)
    first = stage.start().json
    second = stage.start(platform=OUTLOOK).json
    to_google = browser.get(first["connect_url"]).location
    to_outlook = browser.get(second["connect_url"]).location
    assert "completion_code" in browser.get(stage.consent(to_google)).query
    assert "completion_code" in browser.get(stage.consent(to_outlook)).query


# The provider's answer.


def test_a_refused_consent_goes_home_and_may_be_tried_again(stage):
    session = stage.start().json
    browser = Browser(stage)
    at_provider = browser.get(session["connect_url"]).location
    home = browser.get(stage.consent(at_provider, allow=False))
    assert home.query["error"] == "consent_refused"
    assert home.query["error_description"]
    assert home.query["session_id"] == session["session_id"]
    assert stage.complete(session["session_id"], "x" * 43).json["code"] == "consent_refused"

    second = browser.get(stage.consent(browser.get(session["connect_url"]).location))
    assert stage.complete(session["session_id"], second.query["completion_code"]).status == 201


def test_an_unticked_calendar_is_told_at_once(stage):
    session = stage.start().json
    browser = Browser(stage)
    at_provider = browser.get(session["connect_url"]).location
    scopes = ["openid", "https://www.googleapis.com/auth/userinfo.email"]
    home = browser.get(stage.consent(at_provider, scopes=scopes))
    if "completion_code" in home.query:  # a provider that does not say it in the redirect
        answer = stage.complete(session["session_id"], home.query["completion_code"])
        assert (answer.status, answer.json["code"]) == (409, "scope_missing")
    else:
        assert home.query["error"] == "scope_missing"
    assert stage.recall.count("calendars_create") == 0


def test_granted_scopes_are_checked_before_recall_hears_of_it(stage):
    stage.worlds[OUTLOOK].refuse_scopes("https://graph.microsoft.com/Calendars.Read")
    session_id, home = stage.come_home(platform=OUTLOOK)
    if "error" in home.query:
        assert home.query["error"] in {"scope_missing", "provider_error"}
    else:
        answer = stage.complete(session_id, home.query["completion_code"])
        assert (answer.status, answer.json["code"]) == (409, "scope_missing")
    assert stage.recall.count("calendars_create") == 0


def test_a_state_dies_after_ten_minutes(stage):
    browser = Browser(stage)
    answer = stage.consent(browser.get(stage.start().json["connect_url"]).location)
    stage.pass_time(600)
    assert browser.get(answer).query["error"] == "state_expired"


def test_a_state_works_once(stage):
    browser = Browser(stage)
    answer = stage.consent(browser.get(stage.start().json["connect_url"]).location)
    assert "completion_code" in browser.get(answer).query
    assert browser.get(answer).query["error"] == "state_replayed"


def test_a_consent_from_another_browser_is_refused_and_its_state_burnt(stage):
    browser = Browser(stage)
    answer = stage.consent(browser.get(stage.start().json["connect_url"]).location)
    assert Browser(stage).get(answer).query["error"] == "wrong_browser"
    assert browser.get(answer).query["error"] == "state_replayed"


def test_an_answer_for_the_other_provider_is_refused(stage):
    browser = Browser(stage)
    answer = stage.consent(browser.get(stage.start().json["connect_url"]).location)
    crossed = answer.replace("/oauth/google_calendar/", "/oauth/microsoft_outlook/")
    assert browser.get(crossed).query["error"] == "platform_mismatch"


def test_an_answer_of_another_issuer_is_refused(stage):
    browser = Browser(stage)
    answer = stage.consent(browser.get(stage.start().json["connect_url"]).location)
    base = answer.partition("&iss=")[0]
    assert browser.get(base + "&iss=https%3A%2F%2Fevil.example").query["error"] == "issuer_mismatch"


@pytest.mark.parametrize("said", ["error=server_error", "nothing=1", "code=" + "c" * 8193])
def test_an_answer_without_a_code_is_a_provider_error(stage, said):
    session = stage.start().json
    browser = Browser(stage)
    state = browser.get(session["connect_url"]).query["state"]
    home = browser.get(f"https://rollcall.example/oauth/{GOOGLE}/callback?state={state}&{said}")
    assert home.query["error"] == "provider_error"


@pytest.mark.parametrize("state", ["", "x", "cs_" + "a" * 22 + "." + "b" * 43, "a.b.c"])
def test_an_unknown_state_is_a_plain_page(stage, state):
    page = Browser(stage).get(
        f"https://rollcall.example/oauth/{GOOGLE}/callback?code=1&state={state}"
    )
    assert (page.status, "state_unknown" in page.body) == (400, True)
    assert "location" not in page.headers


def test_a_forged_state_of_a_known_session_is_a_plain_page(stage):
    session = stage.start().json
    browser = Browser(stage)
    browser.get(session["connect_url"])
    forged = f"{session['session_id']}.{'b' * 43}"
    page = browser.get(f"https://rollcall.example/oauth/{GOOGLE}/callback?code=1&state={forged}")
    assert page.status == 400


def test_an_unknown_platform_is_a_plain_page(stage):
    page = Browser(stage).get("https://rollcall.example/oauth/zoom/callback?state=x")
    assert page.status == 404


# Completion.


def test_a_wrong_completion_code_is_refused_and_five_end_the_session(stage):
    session_id, home = stage.come_home()
    for _ in range(4):
        answer = stage.complete(session_id, "wrong")
        assert (answer.status, answer.json["code"]) == (403, "completion_code_invalid")
        assert answer.json["field"] == "completion_code"
    stage.complete(session_id, "wrong")
    late = stage.complete(session_id, home.query["completion_code"])
    assert (late.status, late.json["code"]) == (409, "completion_code_invalid")
    assert session_of(stage, session_id).sealed_code is None


def test_a_completion_code_dies_after_five_minutes(stage):
    session_id, home = stage.come_home()
    stage.pass_time(300)
    answer = stage.complete(session_id, home.query["completion_code"])
    assert (answer.status, answer.json["code"]) == (410, "session_expired")


def test_completing_before_the_consent_or_an_unknown_session(stage):
    session_id = stage.start().json["session_id"]
    answer = stage.complete(session_id, "x")
    assert (answer.status, answer.json["code"]) == (409, "consent_pending")
    for foreign in ("cs_" + "a" * 22, "x", "a" * 3000):
        answer = stage.complete(foreign, "x")
        assert (answer.status, answer.json["code"]) == (404, "session_not_found")


def test_a_repeated_complete_answers_the_same_calendar(stage):
    session_id, home = stage.come_home()
    first = stage.complete(session_id, home.query["completion_code"])
    second = stage.complete(session_id, home.query["completion_code"])
    assert (first.status, second.status) == (201, 200)
    assert first.json["calendar_id"] == second.json["calendar_id"]
    assert len(stage.recall.calendars) == 1
    assert stage.complete(session_id, "wrong").status == 403


def test_a_missing_refresh_token_is_told(stage):
    stage.worlds[GOOGLE].withhold_refresh_tokens = True
    session_id, home = stage.come_home()
    answer = stage.complete(session_id, home.query["completion_code"])
    assert (answer.status, answer.json["code"]) == (409, "refresh_token_missing")
    assert stage.recall.count("calendars_create") == 0


def test_a_code_that_the_provider_no_longer_knows_is_told(stage):
    session_id, home = stage.come_home()
    stage.worlds[GOOGLE].revoke(ADA)
    answer = stage.complete(session_id, home.query["completion_code"])
    assert (answer.status, answer.json["code"]) == (409, "grant_invalid")
    assert stage.complete(session_id, home.query["completion_code"]).json["code"] == "grant_invalid"


def test_a_provider_that_is_down_keeps_the_code(stage):
    session_id, home = stage.come_home()
    adapter = stage.provider_adapters[GOOGLE]
    adapter.faults = lambda _: Fault(kind=FaultKind.CONNECT_TIMEOUT)
    down = stage.complete(session_id, home.query["completion_code"])
    assert (down.status, down.json["code"]) == (503, "oauth_unreachable")
    assert int(down.headers["retry-after"]) > 0
    adapter.faults = None
    assert stage.complete(session_id, home.query["completion_code"]).status == 201


def test_a_second_complete_while_the_first_redeems_waits(stage):
    session_id, home = stage.come_home()
    code = home.query["completion_code"]
    nested = []

    def during(_request):
        if not nested:
            nested.append(stage.complete(session_id, code))

    stage.provider_adapters[GOOGLE].faults = during
    first = stage.complete(session_id, code)
    assert first.status == 201
    assert (nested[0].status, nested[0].json["code"]) == (503, "session_busy")
    assert stage.complete(session_id, code).json == first.json
    assert len(stage.recall.calendars) == 1


def test_a_guess_during_the_exchange_does_not_lose_the_consent(stage):
    session_id, home = stage.come_home()
    guesses = []

    def during(_request):
        if not guesses:
            guesses.append(stage.complete(session_id, "guess"))

    stage.provider_adapters[GOOGLE].faults = during
    assert stage.complete(session_id, home.query["completion_code"]).status == 201
    assert [403] == [guess.status for guess in guesses]


def test_a_crash_during_the_exchange_frees_the_session_after_its_lease(stage):
    session_id, home = stage.come_home()
    code = home.query["completion_code"]

    def crash(_request):
        raise RuntimeError("the sandbox died")

    stage.provider_adapters[GOOGLE].faults = crash
    assert stage.complete(session_id, code).status == 500
    stage.provider_adapters[GOOGLE].faults = None
    assert stage.complete(session_id, code).json["code"] == "session_busy"
    stage.pass_time(30)
    assert stage.complete(session_id, code).status == 201


# Recall is down.


def outage(stage: Stage) -> tuple[str, str]:
    session_id, home = stage.come_home()
    code = home.query["completion_code"]
    stage.recall.outage = 503
    answer = stage.complete(session_id, code)
    assert (answer.status, answer.json["code"]) == (503, "recall_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert status_of(stage, session_id) is ConnectStatus.WAITING
    return session_id, code


def test_a_consent_waits_sealed_until_recall_is_back(stage):
    session_id, code = outage(stage)
    stage.pass_time(3600)
    stage.recall.outage = None
    again = stage.complete(session_id, code)
    assert again.status == 201
    assert status_of(stage, session_id) is ConnectStatus.DONE
    assert session_of(stage, session_id).sealed_token is None


def test_a_waiting_consent_lands_without_anybody_asking(stage):
    session_id, code = outage(stage)
    doors = stage.calendars.connect_doors()
    assert finish_waiting(doors, limit=10, now=stage.clock.now()) == 0
    stage.recall.outage = None
    assert finish_waiting(doors, limit=10, now=stage.clock.now()) == 1
    assert finish_waiting(doors, limit=10, now=stage.clock.now()) == 0
    assert stage.complete(session_id, code).status == 200
    assert len(stage.recall.calendars) == 1


def test_a_provider_that_is_offered_no_more_holds_up_no_other_consent(stage):
    outage(stage)
    stage.pass_time(1)
    session_id, home = stage.come_home(platform=OUTLOOK, email=BOB)
    code = home.query["completion_code"]
    assert stage.complete(session_id, code).status == 503
    stage.recall.outage = None
    offer_no_google(stage)
    assert finish_waiting(stage.calendars.connect_doors(), limit=10, now=stage.clock.now()) == 1
    assert stage.complete(session_id, code).status == 200


def offer_no_google(stage):
    client = boto3.client("secretsmanager", region_name=REGION)
    secret = json.loads(client.get_secret_value(SecretId="rollcall")["SecretString"])
    blank = json.dumps(secret | {"google_client_id": ""})
    client.put_secret_value(SecretId="rollcall", SecretString=blank)
    parts = {
        "client": partial(boto3.client, region_name=REGION),
        "session": stage.session,
        "clock": stage.clock.now,
        "chance": secrets.token_urlsafe,
    }
    stage.calendars = calendars_app.compose(stage.environment, **parts)
    stage.api = calendars_app.application(stage.calendars)


def test_a_lost_answer_of_create_makes_no_second_calendar(stage):
    session_id, home = stage.come_home()
    code = home.query["completion_code"]
    stage.recall_adapter.faults = lambda _: Fault(kind=FaultKind.TIMEOUT_AFTER_EFFECT)
    assert stage.complete(session_id, code).status == 503
    stage.recall_adapter.faults = None
    assert stage.complete(session_id, code).status == 201
    assert len(stage.recall.calendars) == 1


def test_a_refusal_of_recall_ends_the_session_and_frees_the_account(stage):
    session_id, home = stage.come_home()
    refusal = Response(status=400, body=b'{"code":"invalid_request_data"}')
    stage.recall_adapter.faults = lambda _: Fault(kind=FaultKind.ANSWER, answer=refusal)
    answer = stage.complete(session_id, home.query["completion_code"])
    assert (answer.status, answer.json["code"]) == (502, "recall_refused")
    stage.recall_adapter.faults = None
    assert stage.connect().status == 201


# The same account again.


def test_a_second_connect_of_an_account_keeps_its_calendar(stage):
    first = stage.connect().json
    stage.settle(first["calendar_id"])
    stage.notices()
    second = stage.connect()
    assert second.status == 200
    assert second.json["calendar_id"] == first["calendar_id"]
    assert (second.json["status"], second.json["status_reason"]) == ("connecting", "reconnecting")
    stage.settle(first["calendar_id"])
    ((kind, detail),) = stage.notices()
    assert (kind, detail["reconnected"]) == ("calendar.connected", True)
    assert len(stage.recall.calendars) == 1


def test_other_entities_and_tenants_have_calendars_of_their_own(stage):
    ids = {
        stage.connect().json["calendar_id"],
        stage.connect(entity_id="u_2").json["calendar_id"],
        stage.connect(tenant_id="t_2").json["calendar_id"],
        stage.connect(platform=OUTLOOK).json["calendar_id"],
        stage.connect(email=BOB).json["calendar_id"],
    }
    assert len(ids) == 5


def test_a_calendar_deleted_at_recall_is_connected_anew(stage):
    first = stage.connect().json["calendar_id"]
    stage.recall.core.calendars.pop(first)
    second = stage.connect()
    assert second.status == 201
    assert second.json["calendar_id"] != first
    assert stage.call("GET", f"/v1/calendars/{first}").status == 404


def test_a_link_to_reconnect_hints_at_its_account_and_insists_on_it(stage):
    calendar_id = stage.connect().json["calendar_id"]
    session = stage.start(calendar_id=calendar_id).json
    at_provider = Browser(stage).get(session["connect_url"])
    assert at_provider.query["login_hint"] == ADA

    session_id, home = stage.come_home(calendar_id=calendar_id, email=BOB)
    answer = stage.complete(session_id, home.query["completion_code"])
    assert (answer.status, answer.json["code"]) == (409, "account_mismatch")

    same = stage.connect(calendar_id=calendar_id)
    assert (same.status, same.json["calendar_id"]) == (200, calendar_id)


def test_a_link_to_reconnect_needs_a_calendar_of_that_entity_and_provider(stage):
    calendar_id = stage.connect().json["calendar_id"]
    foreign = stage.start(calendar_id=calendar_id, entity_id="u_2")
    assert (foreign.status, foreign.json["field"]) == (404, "calendar_id")
    other = stage.start(calendar_id=calendar_id, platform=OUTLOOK)
    assert (other.status, other.json["code"], other.json["field"]) == (
        400,
        "platform_mismatch",
        "platform",
    )


# Without confirmation.


def test_without_permission_an_unconfirmed_session_is_refused(stage):
    answer = stage.start(confirm=False)
    assert (answer.status, answer.json["code"], answer.json["field"]) == (
        400,
        "confirm_required",
        "confirm",
    )


def test_an_unconfirmed_session_finishes_in_the_callback():
    with open_stage(ALLOW_UNCONFIRMED="true") as stage:
        session_id, home = stage.come_home(confirm=False)
        assert set(home.query) == {"tab", "session_id"}
        assert status_of(stage, session_id) is ConnectStatus.DONE
        assert len(stage.recall.calendars) == 1


def test_unconfirmed_sessions_renew_and_replace_calendars():
    with open_stage(ALLOW_UNCONFIRMED="true") as stage:
        stage.come_home(confirm=False)
        (first,) = stage.recall.calendars
        stage.come_home(confirm=False)
        assert list(stage.recall.calendars) == [first]
        stage.recall.core.calendars.clear()
        session_id, _ = stage.come_home(confirm=False)
        assert session_of(stage, session_id).calendar_id not in {None, first}
        assert stage.stores.calendars.get(first) is None


def test_an_unconfirmed_session_says_what_went_wrong():
    with open_stage(ALLOW_UNCONFIRMED="true") as stage:
        stage.worlds[GOOGLE].withhold_refresh_tokens = True
        _, home = stage.come_home(confirm=False)
        assert home.query["error"] == "refresh_token_missing"


def test_an_unconfirmed_consent_waits_for_recall_too():
    with open_stage(ALLOW_UNCONFIRMED="true") as stage:
        stage.recall.outage = 503
        session_id, home = stage.come_home(confirm=False)
        assert "error" not in home.query
        assert status_of(stage, session_id) is ConnectStatus.WAITING


# Starting.


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"return_url": "http://host.example/"}, "return_url_invalid", "return_url"),
        ({"return_url": "https://a@host.example/"}, "return_url_invalid", "return_url"),
        ({"return_url": "https://host.example/#x"}, "return_url_invalid", "return_url"),
        ({"return_url": "https://host.example:x/"}, "return_url_invalid", "return_url"),
        ({"return_url": "https://[::1"}, "return_url_invalid", "return_url"),
        ({"return_url": "https:\\\\host.example"}, "return_url_invalid", "return_url"),
        ({"return_url": "javascript:alert(1)"}, "return_url_invalid", "return_url"),
        ({"return_url": "/relative"}, "return_url_invalid", "return_url"),
        ({"return_url": ""}, "body_invalid", "return_url"),
        ({"platform": "zoom"}, "body_invalid", "platform"),
        ({"entity_id": ""}, "body_invalid", "entity_id"),
        ({"entity_id": 7}, "body_invalid", "entity_id"),
        ({"entity_id": "a\nb"}, "body_invalid", "entity_id"),
        ({"entity_id": "x" * 257}, "body_invalid", "entity_id"),
        ({"tenant_id": None}, "body_invalid", "tenant_id"),
        ({"confirm": "yes"}, "body_invalid", "confirm"),
        ({"metadata": {"a": 1}}, "body_invalid", "metadata.a"),
        ({"metadata": {str(n): "x" for n in range(51)}}, "body_invalid", "metadata"),
        ({"surprise": 1}, "body_invalid", "surprise"),
    ],
)
def test_bad_input_is_named(stage, changes, code, field):
    answer = stage.start(**changes)
    assert (answer.status, answer.json["code"], answer.json["field"]) == (400, code, field)
    assert answer.headers["content-type"] == "application/problem+json"


def test_return_addresses_come_from_the_list():
    with open_stage(RETURN_URLS=f"https://a.example/, {RETURN}") as stage:
        assert stage.start().status == 201
        answer = stage.start(return_url=RETURN + "&more=1")
        assert answer.json["code"] == "return_url_not_allowed"


def test_loopback_may_be_plain_http(stage):
    assert stage.start(return_url="http://127.0.0.1:3000/done").status == 201


def test_an_idempotency_key_starts_one_session(stage):
    wanted = {"entity_id": "u_1", "platform": GOOGLE, "return_url": RETURN}
    first = stage.call("POST", "/v1/connect-sessions", wanted, idempotency_key="k1")
    second = stage.call("POST", "/v1/connect-sessions", wanted, idempotency_key="k1")
    assert (first.status, first.json) == (201, second.json)
    other = stage.call(
        "POST", "/v1/connect-sessions", wanted | {"entity_id": "u_2"}, idempotency_key="k1"
    )
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")


def test_a_link_made_before_the_account_was_known_takes_no_other_account(stage):
    stage.provider_adapters[GOOGLE].faults = lambda _: Fault(kind=FaultKind.CONNECT_TIMEOUT)
    calendar_id = stage.add(BOB).json["calendar_id"]
    stage.provider_adapters[GOOGLE].faults = None
    session_id, home = stage.come_home(calendar_id=calendar_id, email=ADA)
    stage.settle(calendar_id)
    answer = stage.complete(session_id, home.query["completion_code"])
    assert answer.json["calendar_id"] != calendar_id
    assert stage.stores.calendars.get(calendar_id).email == BOB


def test_a_client_taken_away_meanwhile_keeps_the_consent(stage):
    session_id, home = stage.come_home()
    refusal = Response(status=401, body=b'{"error":"invalid_client"}')
    adapter = stage.provider_adapters[GOOGLE]
    adapter.faults = lambda _: Fault(kind=FaultKind.ANSWER, answer=refusal)
    answer = stage.complete(session_id, home.query["completion_code"])
    assert (answer.status, answer.json["code"]) == (500, "oauth_client_refused")
    adapter.faults = None
    assert stage.complete(session_id, home.query["completion_code"]).status == 201


def test_the_log_carries_no_secret():
    logged_lines = io.StringIO()
    with open_stage(ALLOW_UNCONFIRMED="true") as stage:
        for name in ("oauth", "calendars"):
            for log in logging.getLogger(name).handlers:
                log.setStream(logged_lines)
        link = stage.start().json["connect_url"]
        session_id, code = outage(stage)
        stage.complete(session_id, "wrong")
        stage.come_home(confirm=False)
        stage.recall.outage = None
        stage.call(
            "DELETE", f"/v1/calendars/{stage.complete(session_id, code).json['calendar_id']}"
        )
        tokens = list(stage.worlds[GOOGLE]._ledger.refresh_tokens)
    logged = logged_lines.getvalue()
    assert "recall_unavailable" in logged
    for secret in (ADA, code, link, "client-secret-1", "recall-key", *tokens):
        assert secret not in logged
