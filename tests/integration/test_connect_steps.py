"""The steps of a connect: how long each lasts, what it keeps, and two who take it at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import boto3
import pytest

from infra.local.emulators.http import Fault, FaultKind, Response
from shared.domain.connect import ConnectStatus
from shared.domain.refusal import SENTENCES, Refusal
from shared.domain.secret import Secret
from shared.flows.connect import ProviderAnswer, Redirect, finish_waiting
from tests.connect_stage import ADA, BOB, GOOGLE, OUTLOOK, RETURN, Browser, Stage, open_stage
from tests.tables import REGION

HOUR, WEEK = 3600, 7 * 24 * 3600
REFUSED = Response(status=400, body=b'{"code":"invalid_request_data"}')


@pytest.fixture
def stage() -> Iterator[Stage]:
    with open_stage() as stage:
        yield stage


@pytest.fixture
def unconfirmed() -> Iterator[Stage]:
    with open_stage(ALLOW_UNCONFIRMED="true") as stage:
        yield stage


def opened(stage: Stage) -> tuple[str, str, Browser, str]:
    """The session, its link, its browser, and what the provider will send the browser back to."""
    session = stage.start().json
    browser = Browser(stage)
    answer = stage.consent(browser.get(session["connect_url"]).location)
    return session["session_id"], session["connect_url"], browser, answer


def waiting(stage: Stage) -> tuple[str, str]:
    """A session whose token Recall could not take yet, and its completion code."""
    session_id, home = stage.come_home()
    stage.recall.outage = 503
    assert stage.complete(session_id, home.query["completion_code"]).status == 503
    return session_id, home.query["completion_code"]


def told(answer) -> tuple[int, str]:
    return answer.status, answer.json["code"]


def finish(stage: Stage) -> int:
    return finish_waiting(stage.calendars.connect_doors(), limit=10, now=stage.clock.now())


def tell_no_address(stage: Stage) -> None:
    """Google says nothing of whose account it is."""
    stage.worlds[GOOGLE].add_account(ADA, "Ada", email_claim=False)
    stage.provider_adapters[GOOGLE].faults = lambda request: (
        Fault(kind=FaultKind.READ_TIMEOUT) if request.url.endswith("/userinfo") else None
    )


def at_chance(stage: Stage, act) -> None:
    """`act` happens once, in the midst of the next step that asks for chance."""
    browser = stage.oauth.connect.browser
    acts = [act]

    def chance(size: int) -> str:
        if acts:
            acts.pop()()
        return browser.chance(size)

    connect = replace(stage.oauth.connect, browser=replace(browser, chance=chance))
    stage.oauth = replace(stage.oauth, connect=connect)


# How long.


def test_a_session_that_nobody_opens_ends_with_its_link(stage):
    session = stage.start().json
    assert session["expires_at"] == "2027-03-01T10:00:00Z"
    stage.pass_time(HOUR - 1)
    assert told(stage.complete(session["session_id"], "x")) == (409, "consent_pending")
    assert Browser(stage).get(session["connect_url"]).status == 302


def test_a_session_without_a_consent_expires_with_its_link(stage):
    session = stage.start().json
    stage.pass_time(HOUR)
    assert told(stage.complete(session["session_id"], "x")) == (410, "session_expired")


def test_a_link_that_is_opened_early_stays_open_for_its_hour(stage):
    session_id, *_ = opened(stage)
    stage.pass_time(HOUR - 1)
    assert told(stage.complete(session_id, "x")) == (409, "consent_pending")


def test_a_link_that_is_opened_late_leaves_ten_minutes_for_the_consent(stage):
    session = stage.start().json
    stage.pass_time(HOUR - 1)
    browser = Browser(stage)
    answer = stage.consent(browser.get(session["connect_url"]).location)
    stage.pass_time(599)
    assert told(stage.complete(session["session_id"], "x")) == (409, "consent_pending")
    home = browser.get(answer)
    assert stage.complete(session["session_id"], home.query["completion_code"]).status == 201


def test_a_completion_code_is_good_for_five_minutes(stage):
    session_id, home = stage.come_home()
    stage.pass_time(299)
    assert stage.complete(session_id, home.query["completion_code"]).status == 201


def test_an_exchange_is_left_alone_for_half_a_minute(stage):
    session_id, home = stage.come_home()
    code = home.query["completion_code"]

    def crash(_request):
        raise RuntimeError("the sandbox died")

    stage.provider_adapters[GOOGLE].faults = crash
    stage.complete(session_id, code)
    stage.provider_adapters[GOOGLE].faults = None
    stage.pass_time(29)
    busy = stage.complete(session_id, code)
    assert (busy.json["code"], busy.headers["retry-after"]) == ("session_busy", "2")


def test_a_consent_waits_for_recall_for_a_week(stage):
    session_id, code = waiting(stage)
    stage.pass_time(WEEK - 1)
    stage.recall.outage = None
    assert finish(stage) == 1
    assert stage.complete(session_id, code).status == 200


def test_all_consents_that_wait_land_together(stage):
    waiting(stage)
    stage.recall.outage = None
    session_id, home = stage.come_home(email=BOB)
    stage.recall.outage = 503
    stage.complete(session_id, home.query["completion_code"])
    stage.recall.outage = None
    assert finish(stage) == 2


def test_a_consent_of_last_week_is_over(stage):
    session_id, code = waiting(stage)
    stage.recall.outage = None
    stage.pass_time(WEEK)
    assert finish(stage) == 0
    assert told(stage.complete(session_id, code)) == (410, "session_expired")
    assert stage.recall.calendars == {}


def test_a_consent_that_is_over_holds_up_no_other_one(stage):
    waiting(stage)
    stage.recall.outage = None
    stage.pass_time(WEEK)
    session_id, code = waiting(stage)
    stage.recall.outage = None
    assert finish(stage) == 1
    assert stage.complete(session_id, code).status == 200


def test_a_completed_session_answers_for_another_hour(stage):
    session_id, home = stage.come_home()
    code = home.query["completion_code"]
    stage.complete(session_id, code)
    stage.pass_time(HOUR - 1)
    assert stage.complete(session_id, code).status == 200
    stage.pass_time(1)
    assert told(stage.complete(session_id, code)) == (410, "session_expired")


# What is kept, and what is said.


def test_a_code_and_a_token_open_only_for_their_own_session_and_purpose(stage):
    session_id, home = stage.come_home()
    session = stage.stores.sessions.get(session_id)
    seal = stage.calendars.seal
    context = {"session_id": session_id, "purpose": "code"}
    assert seal.open(session.sealed_code, context=context).reveal()
    stage.recall.outage = 503
    stage.complete(session_id, home.query["completion_code"])
    session = stage.stores.sessions.get(session_id)
    token = seal.open(session.sealed_token, context=context | {"purpose": "token"})
    assert token.reveal() in stage.worlds[GOOGLE]._ledger.refresh_tokens


def test_nothing_that_a_browser_carries_shows():
    carried = ProviderAnswer(
        state="state-1", code="code-1", error="access_denied", issuer=None, scope=None
    )
    redirect = Redirect(location="https://host.example/?x=1", cookie=Secret("cookie-1"))
    shown = f"{carried!r} {redirect!r}"
    assert "access_denied" in shown
    assert not any(text in shown for text in ("state-1", "code-1", "host.example", "cookie-1"))


def test_a_refusal_goes_home_with_its_sentence(stage):
    session_id, _, browser, answer = opened(stage)
    home = browser.get(answer.partition("?")[0] + "?error=access_denied&" + state_in(answer))
    assert home.query == {
        "tab": "calendars",
        "session_id": session_id,
        "error": "consent_refused",
        "error_description": SENTENCES[Refusal.CONSENT_REFUSED],
    }


def state_in(answer: str) -> str:
    return next(part for part in answer.partition("?")[2].split("&") if part.startswith("state="))


@pytest.mark.parametrize(
    ("scope", "outcome"),
    [
        ("openid", "scope_missing"),
        ("https://www.googleapis.com/auth/calendar.readonly", "completion_code"),
    ],
)
def test_what_google_says_was_ticked_decides_at_once(stage, scope, outcome):
    _, _, browser, answer = opened(stage)
    said = f"{answer.partition('&scope=')[0]}&scope={scope}"
    home = browser.get(said)
    assert outcome in {home.query.get("error"), *home.query}


def test_a_code_beside_an_error_is_not_taken(stage):
    _, _, browser, answer = opened(stage)
    assert browser.get(f"{answer}&error=server_error").query["error"] == "provider_error"


def test_the_longest_code_is_taken(stage):
    session = stage.start().json
    browser = Browser(stage)
    state = browser.get(session["connect_url"]).query["state"]
    code = "c" * 8192
    home = browser.get(
        f"https://rollcall.example/oauth/{GOOGLE}/callback?state={state}&code={code}"
    )
    assert "completion_code" in home.query


def test_a_session_that_is_opened_again_forgets_its_failure(stage):
    session = stage.start().json
    browser = Browser(stage)
    browser.get(stage.consent(browser.get(session["connect_url"]).location, allow=False))
    failed = stage.stores.sessions.get(session["session_id"])
    assert (failed.status, failed.failure) == (ConnectStatus.FAILED, "consent_refused")
    browser.get(session["connect_url"])
    again = stage.stores.sessions.get(session["session_id"])
    assert (again.status, again.failure) == (ConnectStatus.OPENED, None)


def test_an_old_code_is_no_consent_once_the_link_was_opened_again(stage):
    session_id, url, browser, answer = opened(stage)
    old = browser.get(answer).query["completion_code"]
    for _ in range(5):
        stage.complete(session_id, "wrong")
    at_provider = browser.get(url)
    for _ in range(2):
        assert told(stage.complete(session_id, "wrong")) == (403, "completion_code_invalid")
    assert told(stage.complete(session_id, old)) == (409, "consent_pending")
    new = browser.get(stage.consent(at_provider.location)).query["completion_code"]
    assert told(stage.complete(session_id, old)) == (403, "completion_code_invalid")
    assert new != old


def test_a_refused_account_may_be_put_right_at_once(stage):
    calendar_id = stage.connect().json["calendar_id"]
    session = stage.start(calendar_id=calendar_id).json
    browser = Browser(stage)

    def complete_as(email: str):
        at_provider = browser.get(session["connect_url"])
        home = browser.get(stage.consent(at_provider.location, email=email))
        return stage.complete(session["session_id"], home.query["completion_code"])

    assert told(complete_as(BOB)) == (409, "account_mismatch")
    assert complete_as(ADA).json["calendar_id"] == calendar_id


def test_an_account_is_the_same_in_any_case(stage):
    calendar_id = stage.connect().json["calendar_id"]
    stage.worlds[GOOGLE].add_account(ADA.title(), "Ada")
    again = stage.connect(calendar_id=calendar_id, email=ADA.title())
    assert (again.status, again.json["calendar_id"]) == (200, calendar_id)


def test_a_consent_that_tells_no_account_becomes_a_calendar_of_its_own(stage):
    calendar_id = stage.connect().json["calendar_id"]
    tell_no_address(stage)
    again = stage.connect(calendar_id=calendar_id)
    assert (again.status, again.json["email"]) == (201, None)
    assert again.json["calendar_id"] != calendar_id


def test_a_calendar_whose_account_is_not_known_takes_the_one_that_reconnects_it(stage):
    tell_no_address(stage)
    calendar_id = stage.connect().json["calendar_id"]
    stage.provider_adapters[GOOGLE].faults = None
    again = stage.connect(calendar_id=calendar_id)
    assert (again.status, again.json["calendar_id"]) == (200, calendar_id)
    assert stage.stores.calendars.get(calendar_id).email == ADA


def test_a_new_calendar_is_owed_a_full_read(stage):
    calendar_id = stage.connect().json["calendar_id"]
    (due,) = stage.stores.calendars.due(limit=10)
    assert (due.calendar_id, due.read_since) == (calendar_id, stage.clock.now())
    assert (due.created_at, due.updated_at) == (stage.clock.now(), stage.clock.now())


def test_recall_is_told_whose_calendar_it_is_and_nothing_of_the_host(stage):
    calendar_id = stage.connect(metadata={"plan": "pro"}).json["calendar_id"]
    kept = stage.recall.calendars[calendar_id].metadata
    assert kept == {"tenant_id": "default", "entity_id": "u_1"}


def test_a_reconnect_without_metadata_keeps_what_there_is(stage):
    stage.connect(metadata={"plan": "pro"})
    assert stage.connect().json["metadata"] == {"plan": "pro"}
    assert stage.connect(metadata={"plan": "free"}).json["metadata"] == {"plan": "free"}


def test_guesses_end_no_session_whose_code_was_right(stage):
    session_id, code = waiting(stage)
    for _ in range(6):
        assert told(stage.complete(session_id, "wrong")) == (403, "completion_code_invalid")
    stage.recall.outage = None
    assert stage.complete(session_id, code).status == 201


def test_a_refusal_of_recall_is_kept_and_its_token_is_not(stage):
    session_id, home = stage.come_home()
    code = home.query["completion_code"]
    stage.recall_adapter.faults = lambda _: Fault(kind=FaultKind.ANSWER, answer=REFUSED)
    stage.complete(session_id, code)
    assert told(stage.complete(session_id, code)) == (409, "recall_refused")
    assert stage.stores.sessions.get(session_id).sealed_token is None


def test_a_completed_session_whose_calendar_is_gone_says_so(stage):
    session_id, home = stage.come_home()
    code = home.query["completion_code"]
    calendar_id = stage.complete(session_id, code).json["calendar_id"]
    stage.call("DELETE", f"/v1/calendars/{calendar_id}")
    assert told(stage.complete(session_id, code)) == (404, "calendar_not_found")


@pytest.mark.parametrize("platform", [GOOGLE, OUTLOOK])
def test_a_provider_without_a_client_of_ours_is_not_offered(stage, platform):
    offer_nothing(stage)
    answer = stage.start(platform=platform)
    assert told(answer) == (400, "platform_not_offered")
    assert answer.json["field"] == "platform"


def offer_nothing(stage: Stage) -> None:
    client = boto3.client("secretsmanager", region_name=REGION)
    secret = json.loads(client.get_secret_value(SecretId="rollcall")["SecretString"])
    blank = {"google_client_secret": "", "microsoft_client_id": ""}
    client.put_secret_value(SecretId="rollcall", SecretString=json.dumps(secret | blank))


@pytest.mark.parametrize(
    ("changes", "begin"),
    [
        ({"return_url": "http://host.example/"}, "Use an absolute https address"),
        ({"confirm": False}, "This stack finishes a connect only through"),
        ({"calendar_id": "unknown"}, "There is no such calendar"),
        ({"platform": OUTLOOK, "calendar_id": "known"}, "The calendar is the other provider's."),
    ],
)
def test_a_refused_start_says_why_in_words(stage, changes, begin):
    calendar_id = stage.connect().json["calendar_id"]
    if changes.get("calendar_id") == "known":
        changes = changes | {"calendar_id": calendar_id}
    assert stage.start(**changes).json["detail"].startswith(begin)


def test_a_refused_completion_says_why_in_words(stage):
    session_id, _ = stage.come_home()
    refused = stage.complete(session_id, "wrong")
    assert refused.json["detail"] == SENTENCES[Refusal.COMPLETION_CODE_INVALID]
    for _ in range(4):
        stage.complete(session_id, "wrong")
    over = stage.complete(session_id, "wrong")
    assert over.json["detail"] == SENTENCES[Refusal.COMPLETION_CODE_INVALID]


# Without confirmation.


def test_an_unconfirmed_session_has_no_code_to_complete_it(unconfirmed):
    session_id, _ = unconfirmed.come_home(confirm=False)
    assert told(unconfirmed.complete(session_id, "x")) == (409, "consent_pending")


def test_an_unconfirmed_session_says_that_recall_refused(unconfirmed):
    unconfirmed.recall_adapter.faults = lambda _: Fault(kind=FaultKind.ANSWER, answer=REFUSED)
    _, home = unconfirmed.come_home(confirm=False)
    assert home.query["error"] == "recall_refused"


def test_an_unconfirmed_consent_that_the_provider_does_not_redeem_is_an_error(unconfirmed, caplog):
    fault = Fault(kind=FaultKind.CONNECT_TIMEOUT)
    unconfirmed.provider_adapters[GOOGLE].faults = lambda request: (
        fault if request.url.endswith("/token") else None
    )
    session_id, home = unconfirmed.come_home(confirm=False)
    assert home.query["error"] == "provider_error"
    said = ("oauth", "WARNING", "consent not finished", session_id, "oauth_unreachable")
    assert said in lines(caplog)


def test_an_unconfirmed_consent_that_waits_is_logged(unconfirmed, caplog):
    unconfirmed.recall.outage = 503
    session_id, home = unconfirmed.come_home(confirm=False)
    assert home.location == f"{RETURN}&session_id={session_id}"
    said = ("oauth", "WARNING", "consent not finished", session_id, "recall_unavailable")
    assert said in lines(caplog)


def lines(caplog) -> list[tuple[str, str, str, str | None, str | None]]:
    return [
        (
            each.name,
            each.levelname,
            each.message,
            getattr(each, "session_id", None),
            getattr(each, "code", None),
        )
        for each in caplog.records
    ]


# Without anybody asking.


def test_a_consent_that_still_waits_is_logged(stage, caplog):
    session_id, _ = waiting(stage)
    assert finish(stage) == 0
    said = ("calendars", "WARNING", "consent still waits", session_id, "recall_unavailable")
    assert said in lines(caplog)


def test_a_consent_that_cannot_land_is_logged_and_counted(stage, caplog, capsys):
    session_id, _ = waiting(stage)
    stage.recall.outage = None
    stage.recall_adapter.faults = lambda _: Fault(kind=FaultKind.ANSWER, answer=REFUSED)
    assert finish(stage) == 0
    said = ("calendars", "ERROR", "consent stuck", session_id, "recall_refused")
    assert said in lines(caplog)
    assert '"ConsentStuck"' in capsys.readouterr().out


# Two at once.


def test_two_browsers_that_open_a_link_at_once_do_not_share_it(stage):
    session = stage.start().json
    first, second = Browser(stage), Browser(stage)
    opened = []
    at_chance(stage, lambda: opened.append(first.get(session["connect_url"])))
    late = second.get(session["connect_url"])
    assert [302] == [answer.status for answer in opened]
    assert (late.status, "link_used" in late.body) == (410, True)


def test_an_answer_that_comes_twice_at_once_counts_once(stage):
    _, _, browser, answer = opened(stage)
    homes = []
    at_chance(stage, lambda: homes.append(browser.get(answer)))
    homes.append(browser.get(answer))
    assert "completion_code" in homes[0].query
    assert homes[1].query["error"] == "state_replayed"


def test_two_calls_that_land_one_consent_answer_one_calendar(stage):
    session_id, code = waiting(stage)
    stage.recall.outage = None
    answers = []

    def during(_request):
        stage.recall_adapter.faults = None
        answers.append(stage.complete(session_id, code))

    stage.recall_adapter.faults = during
    answers.append(stage.complete(session_id, code))
    assert [201, 200] == [answer.status for answer in answers]
    assert answers[0].json["calendar_id"] == answers[1].json["calendar_id"]
    assert len(stage.recall.calendars) == 1
