"""Where providers are, and what each word of a refusal means to us."""

from __future__ import annotations

import pytest

from shared.domain.calendar import Platform
from shared.errors import CallerError, PermanentError, RollcallError, TransientError
from shared.providers import answer_from, google, granted_calendar, microsoft
from shared.providers.clients import providers_of
from shared.providers.refusal import Answer, is_token, raise_refusal

GOOGLE_PLACES = ("authorize_url", "token_url", "revoke_url", "userinfo_url", "issuer")
MICROSOFT_PLACES = ("authorize_url", "token_url", "userinfo_url", "issuer")


def settings(company: str, places: tuple[str, ...]) -> dict[str, str]:
    return {f"{company}_{place}".upper(): f"https://{company}.test/{place}" for place in places}


def test_without_settings_the_providers_are_the_real_ones():
    real = {Platform.GOOGLE: google(), Platform.MICROSOFT: microsoft()}
    assert real == providers_of({})


def test_every_address_may_be_set():
    given = settings("google", GOOGLE_PLACES) | settings("microsoft", MICROSOFT_PLACES)
    providers = providers_of(given)
    for company, platform, places in (
        ("google", Platform.GOOGLE, GOOGLE_PLACES),
        ("microsoft", Platform.MICROSOFT, MICROSOFT_PLACES),
    ):
        found = [getattr(providers[platform], place) for place in places]
        assert [f"https://{company}.test/{place}" for place in places] == found


def test_google_is_where_its_documents_say():
    found = [getattr(google(), place) for place in GOOGLE_PLACES]
    assert [
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com/revoke",
        "https://www.googleapis.com/oauth2/v3/userinfo",
        "https://accounts.google.com",
    ] == found


def test_microsoft_is_where_its_documents_say():
    found = [getattr(microsoft(), place) for place in MICROSOFT_PLACES]
    assert [
        "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        "https://graph.microsoft.com/oidc/userinfo",
        "https://login.microsoftonline.com/{tenantid}/v2.0",
    ] == found
    assert microsoft().revoke_url is None


@pytest.mark.parametrize("make", [google, microsoft])
@pytest.mark.parametrize("place", ["authorize_url", "token_url"])
def test_one_address_of_a_stand_in_keeps_the_others_off_the_real_provider(make, place):
    stand_in = make(**{place: "http://127.0.0.1:8000/x"})
    assert (stand_in.revoke_url, stand_in.userinfo_url, stand_in.issuer) == (None, None, None)
    assert getattr(stand_in, place) == "http://127.0.0.1:8000/x"


def test_a_stand_in_for_microsoft_may_answer_in_its_name():
    stand_in = microsoft(authorize_url="http://127.0.0.1:9/a", token_url="http://127.0.0.1:8/t")
    tenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
    assert answer_from(stand_in, f"https://login.microsoftonline.com/{tenant}/v2.0")
    assert answer_from(stand_in, "http://127.0.0.1:9")
    assert answer_from(stand_in, "http://127.0.0.1:8")
    assert not answer_from(stand_in, "https://accounts.google.com")


def refusal_of(status: int = 400, *, retry_after: str = "", **fields: object) -> RollcallError:
    with pytest.raises(RollcallError) as caught:
        raise_refusal(Answer(status=status, fields=fields, retry_after=retry_after))
    return caught.value


@pytest.mark.parametrize(
    ("word", "kind", "code"),
    [
        ("access_denied", CallerError, "grant_invalid"),
        ("consent_required", CallerError, "grant_invalid"),
        ("interaction_required", CallerError, "grant_invalid"),
        ("invalid_grant", CallerError, "grant_invalid"),
        ("invalid_scope", CallerError, "grant_invalid"),
        ("login_required", CallerError, "grant_invalid"),
        ("deleted_client", PermanentError, "oauth_client_refused"),
        ("disabled_client", PermanentError, "oauth_client_refused"),
        ("invalid_client", PermanentError, "oauth_client_refused"),
        ("org_internal", PermanentError, "oauth_client_refused"),
        ("redirect_uri_mismatch", PermanentError, "oauth_client_refused"),
        ("unauthorized_client", PermanentError, "oauth_client_refused"),
        ("server_error", TransientError, "oauth_unavailable"),
        ("temporarily_unavailable", TransientError, "oauth_unavailable"),
        ("rate_limit_exceeded", TransientError, "oauth_unavailable"),
        ("invalid_request", PermanentError, "oauth_request_refused"),
        ("unsupported_grant_type", PermanentError, "oauth_request_refused"),
    ],
)
def test_every_word_says_who_acts_next(word, kind, code):
    refusal = refusal_of(error=word)
    assert (kind, code) == (type(refusal), refusal.code)


NUMBERS = "7000215 7000222 7000218 7000112 700016 50011 500112 500113"


@pytest.mark.parametrize("number", NUMBERS.split())
def test_microsofts_number_says_that_the_client_is_refused(number):
    said = f"AADSTS{number}: some words"
    assert "oauth_client_refused" == refusal_of(error="x", error_description=said).code


@pytest.mark.parametrize("said", ["AADSTS50076: more", "see AADSTS50011", "50011", "AADSTS", 7])
def test_other_descriptions_leave_it_to_the_word(said):
    assert "grant_invalid" == refusal_of(error="invalid_grant", error_description=said).code


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (201, "oauth_answer_malformed"),
        (399, "oauth_answer_malformed"),
        (400, "oauth_request_refused"),
        (407, "oauth_request_refused"),
        (408, "oauth_unavailable"),
        (409, "oauth_request_refused"),
        (428, "oauth_request_refused"),
        (429, "oauth_unavailable"),
        (430, "oauth_request_refused"),
        (499, "oauth_request_refused"),
        (500, "oauth_unavailable"),
    ],
)
def test_a_status_says_whether_to_ask_again(status, code):
    assert code == refusal_of(status, error="invalid_request").code


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0.0),
        ("3600", 3600.0),
        ("3601", 3600.0),
        ("9" * 9, 3600.0),
        ("9" * 10, None),
        ("-1", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_a_wait_is_at_most_an_hour(said, seconds):
    assert seconds == refusal_of(503, retry_after=said).retry_after


def test_a_token_has_the_length_that_recall_takes():
    assert is_token("x")
    assert is_token("x" * 10_000)
    assert not is_token("x" * 10_001)
    assert not is_token("")


def test_an_answer_says_only_what_can_be_borne():
    answer = Answer(status=200, fields={"long": "x" * 16_384, "longer": "x" * 16_385, "none": ""})
    assert answer.text("long")
    assert [None] * 3 == [answer.text(name) for name in ("longer", "none", "missing")]
    assert "x" not in repr(answer).partition("(")[2]


@pytest.mark.parametrize(
    ("make", "root", "scopes"),
    [
        (
            google,
            "https://www.googleapis.com/auth/",
            ("calendar.events.readonly", "calendar.readonly", "calendar.events", "calendar"),
        ),
        (
            microsoft,
            "https://graph.microsoft.com/",
            (
                "Calendars.Read",
                "Calendars.ReadWrite",
                "Calendars.Read.Shared",
                "Calendars.ReadWrite.Shared",
            ),
        ),
    ],
)
def test_each_scope_that_recall_takes_is_enough(make, root, scopes):
    for scope in scopes:
        assert granted_calendar(make(), f"openid {root}{scope}"), scope
