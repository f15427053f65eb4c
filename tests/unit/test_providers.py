"""The providers as values: what is sent to them, what is accepted from them."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from shared.domain.secret import Secret
from shared.providers import (
    answer_from,
    authorize_location,
    code_challenge,
    google,
    granted_calendar,
    issuer_matches,
    microsoft,
)
from shared.providers.identity import email_of_claims

GOOGLE_ROOT = "https://www.googleapis.com/auth/"
TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"


def query(provider, **changes):
    asked = {
        "client_id": "client-1",
        "redirect_uri": "https://host.example/oauth/x/callback?a=b c",
        "state": "state&1",
        "code_challenge": "c" * 43,
        **changes,
    }
    location = authorize_location(provider, **asked)
    parts = urlsplit(location)
    assert " " not in location
    assert "+" not in parts.query
    return location.partition("?")[0], {
        name: value for name, [value] in parse_qs(parts.query).items()
    }


def test_google_is_asked_for_offline_access_with_consent():
    address, sent = query(google(), login_hint="ada@acme.example")
    assert address == "https://accounts.google.com/o/oauth2/v2/auth"
    assert sent == {
        "response_type": "code",
        "client_id": "client-1",
        "redirect_uri": "https://host.example/oauth/x/callback?a=b c",
        "scope": f"openid {GOOGLE_ROOT}userinfo.email {GOOGLE_ROOT}calendar.events.readonly",
        "state": "state&1",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "consent",
        "login_hint": "ada@acme.example",
    }


def test_microsoft_is_asked_for_offline_access_without_forcing_consent():
    address, sent = query(microsoft())
    assert address == "https://login.microsoftonline.com/common/oauth2/v2.0/authorize"
    assert sent["scope"] == "offline_access openid email https://graph.microsoft.com/Calendars.Read"
    assert sent["prompt"] == "select_account"
    _, hinted = query(microsoft(), login_hint="ada@acme.example")
    assert hinted["login_hint"] == "ada@acme.example"
    assert "prompt" not in hinted


def test_an_address_with_a_query_is_continued():
    provider = google(authorize_url="http://127.0.0.1:8000/google/authorize?world=1")
    address, sent = query(provider)
    assert address == "http://127.0.0.1:8000/google/authorize"
    assert sent["world"] == "1"
    assert sent["client_id"] == "client-1"


def test_code_challenge_of_rfc_7636_appendix_b():
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    ("provider", "scope", "expected"),
    [
        (google(), f"openid {GOOGLE_ROOT}calendar.events.readonly", True),
        (google(), f"{GOOGLE_ROOT}calendar.readonly", True),
        (google(), f"{GOOGLE_ROOT}calendar.events\t{GOOGLE_ROOT}userinfo.email", True),
        (google(), f"{GOOGLE_ROOT}calendar", True),
        (google(), f"openid {GOOGLE_ROOT}userinfo.email", False),
        (google(), f"{GOOGLE_ROOT}calendar.freebusy", False),
        (google(), "calendar", False),
        (google(), "", False),
        (microsoft(), "openid https://graph.microsoft.com/Calendars.Read", True),
        (microsoft(), "Calendars.Read email", True),
        (microsoft(), "HTTPS://GRAPH.MICROSOFT.COM/calendars.readwrite", True),
        (microsoft(), "Calendars.ReadWrite.Shared", True),
        (microsoft(), "Calendars.ReadBasic openid", False),
        (microsoft(), "https://elsewhere.example/Calendars.Read", False),
        (microsoft(), f"{GOOGLE_ROOT}calendar", False),
    ],
)
def test_granted_calendar(provider, scope, expected):
    assert granted_calendar(provider, scope) is expected


@pytest.mark.parametrize(
    ("provider", "issuer", "expected"),
    [
        (google(), "https://accounts.google.com", True),
        (google(), "https://accounts.google.com/", False),
        (google(), "https://accounts-google.com", False),
        (google(), "", False),
        (microsoft(), f"https://login.microsoftonline.com/{TENANT}/v2.0", True),
        (microsoft(), f"https://login.microsoftonline.com/{TENANT}/v2.0\n", False),
        (microsoft(), f"https://loginXmicrosoftonline.com/{TENANT}/v2.0", False),
        (microsoft(), "https://login.microsoftonline.com/common/v2.0", False),
        (microsoft(), f"https://login.microsoftonline.com/evil/{TENANT}/v2.0", False),
        (google(token_url="http://127.0.0.1/t"), "http://127.0.0.1", True),
        (google(token_url="http://127.0.0.1/t", issuer="http://a"), "http://b", False),
    ],
)
def test_issuer_matches(provider, issuer, expected):
    assert issuer_matches(provider, issuer) is expected


@pytest.mark.parametrize(
    ("issuer", "expected"),
    [
        ("https://accounts.google.com", True),
        ("http://127.0.0.1:9", True),
        ("http://127.0.0.1:9/realm", True),
        ("https://evil.example", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_an_answer_of_a_stand_in_that_nobody_named(issuer, expected):
    stand_in = google(
        authorize_url="http://127.0.0.1:9/authorize", token_url="http://127.0.0.1:9/token"
    )
    assert answer_from(stand_in, issuer) is expected


def test_a_stand_in_never_falls_back_to_the_real_provider():
    stand_in = google(token_url="http://127.0.0.1:8000/token")
    assert stand_in.revoke_url is None
    assert stand_in.userinfo_url is None
    assert microsoft(authorize_url="http://127.0.0.1:8000/a").userinfo_url is None
    assert google().revoke_url == "https://oauth2.googleapis.com/revoke"


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"email": "a@b"}, "a@b"),
        ({"email": "@b"}, None),
        ({"email": "a@"}, None),
        ({"email": " ada@acme.example "}, "ada@acme.example"),
        ({"email": "ada@acme.example", "email_verified": True}, "ada@acme.example"),
        ({"email": "ada@acme.example", "email_verified": False}, None),
        ({"email": "ada@acme.example", "email_verified": "false"}, None),
        ({"email": "ada@acme.example", "email_verified": []}, "ada@acme.example"),
        ({"preferred_username": "ada@acme.example"}, None),
        ({"email": "nobody"}, None),
        ({"email": "a b@acme.example"}, None),
        ({"email": "ada@acme.example\n\n.example"}, None),
        ({"email": "a" * 307 + "@acme.example"}, "a" * 307 + "@acme.example"),
        ({"email": "a" * 308 + "@acme.example"}, None),
        ({"email": ["ada@acme.example"]}, None),
        ({}, None),
    ],
)
def test_email_of_claims(claims, expected):
    assert email_of_claims(claims) == expected


def test_a_secret_does_not_show():
    secret = Secret("hunter2")
    shown = [repr(secret), str(secret), f"{secret}", f"{[secret]}"]
    assert not any("hunter2" in text for text in shown)
    assert secret == Secret("hunter2")
    assert secret != Secret("hunter3")
    assert secret != "hunter2"
    assert secret.reveal() == "hunter2"
