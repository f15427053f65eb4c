"""The OAuth door against the emulated providers: every answer, every refusal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from infra.local.emulators.clock import VirtualClock
from infra.local.emulators.http import Fault, FaultKind, Request, Response, WorldAdapter
from infra.local.emulators.providers import NoRedirect, ProviderWorld, answer_consent
from shared.domain.secret import Secret
from shared.errors import CallerError, PermanentError, RollcallError, TransientError
from shared.providers import (
    authorize_location,
    code_challenge,
    google,
    granted_calendar,
    issuer_matches,
    microsoft,
)
from shared.providers.door import OAuthDoor

VERIFIER = "v" * 50
CALLBACK = "http://127.0.0.1:8000/oauth/callback"
EMAIL = "ada@acme.example"
CLIENT_SECRET = "client-secret-1"
GOOGLE_CALENDAR = "https://www.googleapis.com/auth/calendar.events.readonly"
GRAPH_CALENDAR = "https://graph.microsoft.com/Calendars.Read"


class Stage:
    """One world, one door to it, one person."""

    def __init__(self, platform: str) -> None:
        self.clock = VirtualClock(datetime(2027, 2, 1, 9, tzinfo=UTC))
        base_url = f"https://{platform.replace('_', '-')}.example/sign-in"
        self.world = ProviderWorld(
            self.clock,
            base_url=base_url,
            platform=platform,
            client_id="client-1",
            client_secret=CLIENT_SECRET,
            redirect_uris={CALLBACK},
            issuer=f"{base_url}/{{tenantid}}/v2.0",
        )
        addresses = {
            "authorize_url": self.world.authorize_url,
            "token_url": self.world.token_url,
            "userinfo_url": self.world.userinfo_url,
            "issuer": f"{base_url}/{{tenantid}}/v2.0",
        }
        self.provider = (
            google(**addresses, revoke_url=self.world.revoke_url)
            if platform == "google_calendar"
            else microsoft(**addresses)
        )
        self.adapter = WorldAdapter(self.world.handle)
        self.session = requests.Session()
        self.session.mount("https://", self.adapter)
        self.door = self.door_with()

    def door_with(self, *, client_id="client-1", client_secret=CLIENT_SECRET) -> OAuthDoor:
        return OAuthDoor(self.session, self.provider, client_id, Secret(client_secret))

    def location(self, **changes) -> str:
        asked = {
            "client_id": "client-1",
            "redirect_uri": CALLBACK,
            "state": "state-1",
            "code_challenge": code_challenge(VERIFIER),
        }
        return authorize_location(self.provider, **(asked | changes))

    def consent(self, *, location=None, **answer) -> dict[str, str]:
        """What the browser brings back."""
        sent_to = answer_consent(
            self.world.handle, location or self.location(), **({"email": EMAIL} | answer)
        )
        assert sent_to.startswith(CALLBACK)
        return {name: value for name, [value] in parse_qs(urlsplit(sent_to).query).items()}

    def exchange(self, code, *, redirect_uri=CALLBACK, verifier=VERIFIER):
        return self.door.exchange(
            Secret(code), redirect_uri=redirect_uri, verifier=Secret(verifier)
        )

    def grant(self, **answer):
        return self.exchange(self.consent(**answer)["code"])

    def answer_token_with(self, status, body, **headers):
        """The token endpoint answers this instead of what it should."""
        body = body if isinstance(body, bytes) else json.dumps(body).encode()

        def fault(request: Request) -> Fault | None:
            if not request.url.endswith("/token"):
                return None
            answer = Response(status=status, headers=headers, body=body)
            return Fault(kind=FaultKind.ANSWER, answer=answer)

        self.adapter.faults = fault


@pytest.fixture
def stage_google():
    return Stage("google_calendar")


@pytest.fixture
def stage_microsoft():
    return Stage("microsoft_outlook")


@pytest.fixture(params=["google_calendar", "microsoft_outlook"])
def stage(request):
    return Stage(request.param)


def refusal(kind, action) -> RollcallError:
    with pytest.raises(kind) as caught:
        action()
    return caught.value


def test_a_consent_becomes_a_grant(stage):
    back = stage.consent()
    assert back["state"] == "state-1"
    grant = stage.exchange(back["code"])
    assert grant.email == EMAIL
    assert grant.refresh_token is not None
    assert granted_calendar(stage.provider, grant.scopes)
    assert stage.door.account_of(grant.refresh_token).email == EMAIL


def test_google_names_itself_on_the_way_back(stage_google):
    assert issuer_matches(stage_google.provider, stage_google.consent()["iss"])


def test_nothing_of_a_grant_shows(stage):
    grant = stage.grant()
    shown = f"{grant!r} {stage.door!r}"
    secrets = (grant.refresh_token.reveal(), grant.access_token.reveal(), EMAIL, CLIENT_SECRET)
    assert not any(secret in shown for secret in secrets)


def test_cancel_comes_back_as_access_denied(stage):
    back = stage.consent(allow=False)
    assert back["error"] == "access_denied"
    assert back["state"] == "state-1"
    assert "code" not in back


def test_an_unticked_calendar_is_seen_in_the_scopes(stage):
    grant = stage.grant(scopes=[])
    assert not granted_calendar(stage.provider, grant.scopes)
    assert grant.email == EMAIL


def test_an_administrator_may_refuse_a_scope(stage):
    stage.world.refuse_scopes(GOOGLE_CALENDAR, GRAPH_CALENDAR)
    assert not granted_calendar(stage.provider, stage.grant().scopes)
    stage.world.refuse_scopes()
    assert granted_calendar(stage.provider, stage.grant().scopes)


def test_google_withholds_the_refresh_token_from_a_returning_user_without_consent(stage_google):
    stage = stage_google
    without_prompt = stage.location().replace("&prompt=consent", "")
    assert stage.grant(location=without_prompt).refresh_token is not None
    assert stage.grant(location=without_prompt).refresh_token is None
    assert stage.grant().refresh_token is not None
    online = stage.location().replace("&access_type=offline", "")
    assert stage.grant(location=online).refresh_token is None


def test_microsoft_gives_no_refresh_token_without_offline_access(stage_microsoft):
    location = stage_microsoft.location().replace("offline_access%20", "")
    assert stage_microsoft.grant(location=location).refresh_token is None


def test_a_withheld_refresh_token_is_none(stage):
    stage.world.withhold_refresh_tokens = True
    assert stage.grant().refresh_token is None


def test_only_microsoft_rotates(stage_google, stage_microsoft):
    held = stage_google.grant().refresh_token
    assert stage_google.door.account_of(held).refresh_token is None
    held = stage_microsoft.grant().refresh_token
    successor = stage_microsoft.door.account_of(held).refresh_token
    assert successor not in {None, held}
    assert stage_microsoft.door.account_of(held).email == EMAIL
    assert stage_microsoft.door.account_of(successor).email == EMAIL


def test_user_info_tells_what_the_id_token_does_not(stage):
    stage.world.add_account(EMAIL, "Ada", email_claim=False)
    assert stage.grant().email == EMAIL


@pytest.mark.parametrize("fault", [FaultKind.READ_TIMEOUT, FaultKind.ANSWER])
def test_a_failing_user_info_does_not_cost_the_grant(stage, fault):
    stage.world.add_account(EMAIL, "Ada", email_claim=False)
    code = stage.consent()["code"]
    stage.adapter.faults = lambda request: (
        Fault(kind=fault) if request.url.endswith("/userinfo") else None
    )
    grant = stage.exchange(code)
    assert grant.email is None
    assert grant.refresh_token is not None


def test_an_id_token_for_somebody_else_is_no_evidence(stage):
    held = stage.grant().refresh_token
    for claims in (
        {"iss": stage.world.issuer, "aud": "client-2", "email": "eve@evil.example"},
        {"iss": "https://evil.example", "aud": "client-1", "email": "eve@evil.example"},
    ):
        stage.answer_token_with(
            200, {"access_token": "unknown", "id_token": unsigned(claims), "scope": "openid"}
        )
        assert stage.door.account_of(held).email is None
    ours = {"iss": stage.world.issuer, "aud": ["client-1"], "email": "eve@acme.example"}
    stage.answer_token_with(200, {"access_token": "unknown", "id_token": unsigned(ours)})
    assert stage.door.account_of(held).email == "eve@acme.example"


@pytest.mark.parametrize("length", range(1, 13))
def test_an_id_token_of_any_length_is_read(stage, length):
    claims = {"iss": stage.world.issuer, "aud": "client-1", "email": "a" * length + "@b"}
    stage.answer_token_with(200, {"access_token": "unknown", "id_token": unsigned(claims)})
    assert stage.door.account_of(Secret("any")).email == claims["email"]


@pytest.mark.parametrize("id_token", ["", "a.b", "a.!.c", "a.bnVsbA.c", "ä.ö.ü", 7, "a.W10.c"])
def test_a_broken_id_token_leaves_the_account_open(stage, id_token):
    stage.answer_token_with(200, {"access_token": "unknown", "id_token": id_token})
    assert stage.door.account_of(Secret("any")).email is None


def unsigned(claims) -> str:
    from base64 import urlsafe_b64encode

    part = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{part}."


def test_scopes_left_out_mean_all_that_was_asked(stage):
    stage.answer_token_with(200, {"access_token": "a"})
    assert stage.exchange("any").scopes == " ".join(stage.provider.scopes)
    assert stage.door.account_of(Secret("any")).scopes == ""


def test_a_code_works_once_and_a_second_use_ends_its_tokens(stage):
    code = stage.consent()["code"]
    held = stage.exchange(code).refresh_token
    assert refusal(CallerError, lambda: stage.exchange(code)).code == "grant_invalid"
    assert refusal(CallerError, lambda: stage.door.account_of(held)).code == "grant_invalid"


def test_a_code_lives_ten_minutes(stage):
    code = stage.consent()["code"]
    stage.clock.advance(timedelta(minutes=10))
    assert refusal(CallerError, lambda: stage.exchange(code)).code == "grant_invalid"


def test_a_wrong_verifier_or_code_is_an_invalid_grant(stage):
    code = stage.consent()["code"]
    for action in (
        lambda: stage.exchange(code, verifier="w" * 50),
        lambda: stage.exchange("nonsense"),
        lambda: stage.door.account_of(Secret("nonsense")),
    ):
        assert refusal(CallerError, action).code == "grant_invalid"
    assert stage.exchange(code).email == EMAIL


@pytest.mark.parametrize("text", ["", "a b\n", "ä", "\ud800", "x" * 10_001])
def test_what_cannot_be_a_token_is_not_even_sent(stage, text):
    sent = []
    stage.adapter.faults = sent.append
    for action in (
        lambda: stage.exchange(text),
        lambda: stage.door.account_of(Secret(text)),
        lambda: Stage("google_calendar").door.revoke(Secret(text)),
    ):
        assert refusal(CallerError, action).code == "grant_invalid"
    assert sent == []


JSON_VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["a", "x@y", "a.e30.b", [], ["a"], {}, {"a": 1}])
)
EXPECTED_CODES = {
    "grant_invalid",
    "oauth_answer_malformed",
    "oauth_client_refused",
    "oauth_request_refused",
    "oauth_unavailable",
}
TOKEN_FIELDS = ("access_token", "refresh_token", "scope", "id_token", "error", "error_description")


@given(
    status=st.sampled_from([200, 201, 302, 400, 401, 403, 429, 500]),
    fields=st.dictionaries(st.sampled_from(TOKEN_FIELDS), JSON_VALUES),
)
def test_any_answer_is_a_grant_or_an_expected_error(status, fields):
    stage = Stage("google_calendar")
    stage.answer_token_with(status, fields)
    try:
        outcome = stage.exchange("code-1").access_token.reveal()
    except RollcallError as error:
        outcome = error.code
    expected = {fields.get("access_token")} if status == 200 and usable(fields) else EXPECTED_CODES
    assert outcome in expected


def usable(fields) -> bool:
    refresh_token = fields.get("refresh_token")
    tokens = [
        fields.get("access_token"),
        refresh_token if isinstance(refresh_token, str) and refresh_token else "none",
    ]
    return all(
        isinstance(text, str) and text.isascii() and text.isprintable() and text for text in tokens
    )


class Watch(WorldAdapter):
    """Keeps what each request was sent with."""

    def __init__(self, world):
        super().__init__(world.handle)
        self.sent = []

    def send(self, request, stream=False, timeout=None, **rest):
        self.sent.append((request, stream, timeout))
        return super().send(request, stream, timeout, **rest)


def test_the_door_waits_for_seconds_reads_piece_by_piece_and_asks_for_json(stage):
    stage.world.add_account(EMAIL, "Ada", email_claim=False)
    watch = Watch(stage.world)
    stage.session.mount("https://", watch)
    stage.grant()
    at_token, at_userinfo = (request for request, *_ in watch.sent)
    assert [[True, (3.05, 10.0)]] * 2 == [how for _, *how in watch.sent]
    assert {"application/json"} == {each.headers["Accept"] for each, *_ in watch.sent}
    assert "Authorization" not in at_token.headers
    assert at_userinfo.headers["Authorization"].startswith("Bearer ")
    assert (at_token.method, at_userinfo.method) == ("POST", "GET")


def test_a_provider_is_never_followed_elsewhere(stage):
    watch = Watch(stage.world)
    elsewhere = Response(status=307, headers={"Location": "https://evil.example/token"})
    watch.faults = lambda _: Fault(kind=FaultKind.ANSWER, answer=elsewhere)
    stage.session.mount("https://", watch)
    error = refusal(TransientError, lambda: stage.exchange("code-1"))
    assert error.code == "oauth_answer_malformed"
    assert [stage.world.token_url] == [request.url for request, *_ in watch.sent]


def test_the_longest_answer_is_64_kib(stage):
    body = b'{"access_token": "a"}'
    stage.answer_token_with(200, body.ljust(64 * 1024))
    assert stage.exchange("code-1").access_token.reveal() == "a"
    for longer in (body.ljust(64 * 1024 + 1), body.rjust(70_000)):
        stage.answer_token_with(200, longer)
        error = refusal(TransientError, lambda: stage.exchange("code-1"))
        assert error.code == "oauth_answer_malformed"


def test_a_failure_that_says_nothing_may_have_spent_the_code(stage):
    def fail(_request):
        raise requests.ConnectionError

    stage.adapter.faults = fail
    assert refusal(TransientError, lambda: stage.exchange("code-1")).code == "oauth_answer_lost"


def test_another_redirect_address_is_the_operators_fault(stage):
    code = stage.consent()["code"]
    action = lambda: stage.exchange(code, redirect_uri=CALLBACK + "/other")  # noqa: E731
    assert refusal(PermanentError, action).code == "oauth_client_refused"


@pytest.mark.parametrize("changes", [{"client_secret": "old"}, {"client_id": "client-2"}])
def test_a_wrong_client_is_the_operators_fault(stage, changes):
    held = stage.grant().refresh_token
    door = stage.door_with(**changes)
    error = refusal(PermanentError, lambda: door.account_of(held))
    assert error.code == "oauth_client_refused"
    assert held.reveal() not in f"{error} {error!r}"


def test_a_removed_app_ends_every_token(stage):
    held = stage.grant().refresh_token
    stage.world.revoke(EMAIL)
    assert refusal(CallerError, lambda: stage.door.account_of(held)).code == "grant_invalid"
    assert stage.grant().refresh_token is not None


def test_expired_grants_are_invalid(stage):
    held = stage.grant().refresh_token
    stage.world.expire_all()
    assert refusal(CallerError, lambda: stage.door.account_of(held)).code == "grant_invalid"


def test_google_revokes_the_whole_grant_and_does_so_twice_without_complaint(stage_google):
    stage = stage_google
    first, second = stage.grant(), stage.grant()
    assert stage.door.revoke(first.access_token) is True
    assert stage.door.revoke(first.access_token) is True
    assert refusal(CallerError, lambda: stage.door.account_of(second.refresh_token))


def test_microsoft_has_no_revocation(stage_microsoft):
    grant = stage_microsoft.grant()
    assert stage_microsoft.door.revoke(grant.access_token) is False
    assert stage_microsoft.door.account_of(grant.refresh_token).email == EMAIL


def test_a_revocation_that_fails_says_so(stage_google):
    stage_google.adapter.faults = lambda _: Fault(kind=FaultKind.ANSWER)
    error = refusal(TransientError, lambda: stage_google.door.revoke(Secret("any")))
    assert error.code == "oauth_unavailable"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FaultKind.CONNECT_TIMEOUT, "oauth_unreachable"),
        (FaultKind.READ_TIMEOUT, "oauth_answer_lost"),
        (FaultKind.RESET_AFTER_EFFECT, "oauth_answer_lost"),
    ],
)
def test_silence_is_transient_and_says_whether_the_code_may_be_spent(stage, kind, code):
    authorization = stage.consent()["code"]
    stage.adapter.faults = lambda _: Fault(kind=kind)
    error = refusal(TransientError, lambda: stage.exchange(authorization))
    assert error.code == code
    assert error.__suppress_context__
    stage.adapter.faults = None
    if code == "oauth_unreachable":
        assert stage.exchange(authorization).email == EMAIL


def test_a_refused_connection_was_never_sent():
    provider = google(token_url="http://127.0.0.1:1/token")
    door = OAuthDoor(requests.Session(), provider, "client-1", Secret("secret"))
    error = refusal(TransientError, lambda: door.account_of(Secret("any")))
    assert error.code == "oauth_unreachable"


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "code", "retry_after"),
    [
        (503, b"<html>", {}, TransientError, "oauth_unavailable", None),
        (500, {"error": "invalid_grant"}, {}, TransientError, "oauth_unavailable", None),
        (429, {}, {"Retry-After": "7"}, TransientError, "oauth_unavailable", 7.0),
        (503, b"", {"Retry-After": "999999"}, TransientError, "oauth_unavailable", 3600.0),
        (503, b"", {"Retry-After": "soon"}, TransientError, "oauth_unavailable", None),
        (400, {"error": "temporarily_unavailable"}, {}, TransientError, "oauth_unavailable", None),
        (200, b"{", {}, TransientError, "oauth_answer_malformed", None),
        (200, b"\xff", {}, TransientError, "oauth_answer_malformed", None),
        (200, b"[" * 60_000, {}, TransientError, "oauth_answer_malformed", None),
        (200, [], {}, TransientError, "oauth_answer_malformed", None),
        (200, {}, {}, TransientError, "oauth_answer_malformed", None),
        (200, {"access_token": ""}, {}, TransientError, "oauth_answer_malformed", None),
        (200, {"access_token": "\n"}, {}, TransientError, "oauth_answer_malformed", None),
        (200, {"access_token": "\ud800"}, {}, TransientError, "oauth_answer_malformed", None),
        (
            200,
            {"access_token": "a", "refresh_token": "ä"},
            {},
            TransientError,
            "oauth_answer_malformed",
            None,
        ),
        (200, {"access_token": 7}, {}, TransientError, "oauth_answer_malformed", None),
        (
            200,
            b'{"access_token": "a"}' + b" " * 70_000,
            {},
            TransientError,
            "oauth_answer_malformed",
            None,
        ),
        (302, b"", {"Location": "https://x"}, TransientError, "oauth_answer_malformed", None),
        (400, b"Bad", {}, TransientError, "oauth_answer_malformed", None),
        (400, {"error": "invalid_request"}, {}, PermanentError, "oauth_request_refused", None),
        (400, {"error": "unauthorized_client"}, {}, PermanentError, "oauth_client_refused", None),
        (401, {"error": "deleted_client"}, {}, PermanentError, "oauth_client_refused", None),
        (400, {"error": "interaction_required"}, {}, CallerError, "grant_invalid", None),
        (
            400,
            {"error": "invalid_grant", "error_description": "AADSTS7000222: The secret expired."},
            {},
            PermanentError,
            "oauth_client_refused",
            None,
        ),
    ],
)
def test_answers_name_who_acts_next(stage, status, body, headers, kind, code, retry_after):
    stage.answer_token_with(status, body, **headers)
    error = refusal(kind, lambda: stage.exchange("code-1"))
    assert error.code == code
    assert getattr(error, "retry_after", None) == retry_after
    assert "code-1" not in str(error)


def test_the_provider_never_sees_an_unregistered_address_get_a_redirect(stage):
    for changes in ({"redirect_uri": CALLBACK + "/"}, {"client_id": "client-2"}):
        with pytest.raises(NoRedirect) as caught:
            stage.consent(location=stage.location(**changes))
        assert caught.value.response.status == 400


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("response_type=code", "response_type=token", "unsupported_response_type"),
        ("code_challenge_method=S256", "code_challenge_method=plain", "invalid_request"),
        ("code_challenge=", "challenge=", "invalid_request"),
        ("email", "phone", "invalid_scope"),
    ],
)
def test_a_faulty_request_goes_back_with_its_error(stage, old, new, error):
    assert stage.consent(location=stage.location().replace(old, new))["error"] == error


def test_a_page_is_used_once_and_asks_again_for_an_account(stage):
    page = stage.world.handle(Request(method="GET", url=stage.location()))
    enquiry = page.body.decode().partition('name="enquiry" value="')[2].partition('"')[0]

    def press(**fields):
        body = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return stage.world.handle(
            Request(method="POST", url=stage.world.authorize_url, headers=headers, body=body)
        )

    assert press(enquiry=enquiry, decision="allow", account="other", email="").status == 400
    assert press(enquiry=enquiry, decision="allow", account="other", email=EMAIL).status == 303
    assert press(enquiry=enquiry, decision="allow", account="other", email=EMAIL).status == 400


def test_the_page_escapes_what_strangers_wrote(stage):
    stage.world.add_account("x@y.example", "<script>alert(1)</script>")
    page = stage.world.handle(
        Request(method="GET", url=stage.location(login_hint='"><script>alert(2)</script>'))
    )
    assert b"<script" not in page.body


def test_a_hint_chooses_the_account(stage):
    stage.world.add_account("bob@acme.example", "Bob")
    stage.world.add_account(EMAIL, "Ada")
    page = stage.world.handle(Request(method="GET", url=stage.location(login_hint=EMAIL)))
    assert f'value="{EMAIL}" checked' in page.body.decode()


def test_the_client_may_use_basic_authentication(stage):
    held = stage.grant().refresh_token.reveal()
    answer = stage.session.post(
        stage.world.token_url,
        data={"grant_type": "refresh_token", "refresh_token": held},
        auth=("client-1", CLIENT_SECRET),
    )
    assert answer.status_code == 200
    wrong = {"grant_type": "password", "client_id": "client-1", "client_secret": CLIENT_SECRET}
    answer = stage.session.post(stage.world.token_url, data=wrong)
    assert answer.json()["error"] == "unsupported_grant_type"


def test_recall_can_ask_whose_a_token_is(stage):
    held = stage.grant().refresh_token.reveal()
    client = {"client_id": "client-1", "client_secret": CLIENT_SECRET}
    email, scopes = stage.world.resolve(held, **client)
    assert email == EMAIL
    assert granted_calendar(stage.provider, scopes)
    assert stage.world.resolve(held, **(client | {"client_secret": "old"})) is None
    assert stage.world.resolve("nonsense", **client) is None
    assert stage.world.refusal_of(held, **client) is None
    assert stage.world.refusal_of(held, **(client | {"client_secret": "old"}))
    assert stage.world.refusal_of("nonsense", **client)
    access_token, expires_at = stage.world.access_token_for(held)
    assert expires_at == stage.clock.now() + timedelta(hours=1)
    headers = {"Authorization": f"Bearer {access_token}"}
    answer = stage.session.get(stage.world.userinfo_url, headers=headers)
    assert answer.json()["email"] == EMAIL
    stage.world.revoke(EMAIL)
    assert stage.world.resolve(held, **client) is None
    assert stage.world.access_token_for(held) is None
    google_words = "invalid_grant: Token has been expired or revoked."
    microsoft_words = "AADSTS65001: The user has not consented to use the app."
    assert stage.world.refusal_of(held, **client) in {google_words, microsoft_words}


def test_a_token_in_hand_needs_no_page(stage):
    held = stage.world.issue_refresh_token(EMAIL, ("openid", "email", GRAPH_CALENDAR))
    assert stage.door.account_of(Secret(held)).email == EMAIL
