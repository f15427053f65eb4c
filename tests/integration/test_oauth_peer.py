"""The OAuth door against a provider that others wrote: npm's certified `oidc-provider`.

Optional: `npm ci --prefix tests/integration/oidc-peer` installs it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import requests

from shared.domain.secret import Secret
from shared.errors import CallerError, PermanentError
from shared.providers import (
    authorize_location,
    code_challenge,
    google,
    granted_calendar,
    issuer_matches,
)
from shared.providers.door import OAuthDoor

PEER = Path(__file__).with_name("oidc-peer")
CLIENT_ID = "client-1"
CLIENT_SECRET = "peer-secret-0123456789"
CALLBACK = "http://127.0.0.1:8000/oauth/google_calendar/callback"
EMAIL = "ada@acme.example"
VERIFIER = "v" * 50
HOPS_MAX = 12
TIMEOUT_SECONDS = 10

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed"),
    pytest.mark.skipif(
        not (PEER / "node_modules" / "oidc-provider").is_dir(),
        reason="oidc-provider is not installed: npm ci --prefix tests/integration/oidc-peer",
    ),
]


@pytest.fixture(scope="module", params=["claims-in-id-token", "claims-at-user-info"])
def base_url(request):
    command = ["node", "server.js", CLIENT_ID, CLIENT_SECRET, CALLBACK, request.param]
    with subprocess.Popen(
        command, cwd=PEER, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()


@pytest.fixture
def provider(base_url):
    return google(
        authorize_url=f"{base_url}/auth",
        token_url=f"{base_url}/token",
        userinfo_url=f"{base_url}/me",
        issuer=base_url,
    )


@pytest.fixture
def door(provider):
    return OAuthDoor(requests.Session(), provider, CLIENT_ID, Secret(CLIENT_SECRET))


def consent(provider) -> dict[str, str]:
    """Walk the peer's own pages as a browser would, up to our callback."""
    browser = requests.Session()
    url = authorize_location(
        provider,
        client_id=CLIENT_ID,
        redirect_uri=CALLBACK,
        state="state-1",
        code_challenge=code_challenge(VERIFIER),
    )
    answer = browser.get(url, allow_redirects=False, timeout=TIMEOUT_SECONDS)
    for _ in range(HOPS_MAX):
        if answer.is_redirect:
            url = urljoin(url, answer.headers["Location"])
            if url.startswith(CALLBACK):
                return {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}
            answer = browser.get(url, allow_redirects=False, timeout=TIMEOUT_SECONDS)
        else:
            url, form = filled(url, answer.text)
            answer = browser.post(url, data=form, allow_redirects=False, timeout=TIMEOUT_SECONDS)
    pytest.fail("the peer never came back to us")


def filled(url: str, page: str) -> tuple[str, dict[str, str]]:
    action = re.search(r'<form[^>]*action="([^"]+)"', page)
    assert action, page
    prompt = re.search(r'name="prompt" value="([^"]+)"', page)
    assert prompt, page
    form = {"prompt": prompt.group(1)}
    if form["prompt"] == "login":
        form |= {"login": EMAIL, "password": "any"}
    return urljoin(url, unescape(action.group(1))), form


def exchange(door, code, verifier=VERIFIER):
    return door.exchange(Secret(code), redirect_uri=CALLBACK, verifier=Secret(verifier))


def test_a_consent_becomes_a_grant_that_renews(provider, door):
    back = consent(provider)
    assert back["state"] == "state-1"
    assert issuer_matches(provider, back["iss"])
    grant = exchange(door, back["code"])
    assert grant.email == EMAIL
    assert granted_calendar(provider, grant.scopes)
    renewed = door.account_of(grant.refresh_token)
    assert renewed.email == EMAIL


def test_a_code_seen_twice_is_an_invalid_grant(provider, door):
    code = consent(provider)["code"]
    exchange(door, code)
    with pytest.raises(CallerError) as refused:
        exchange(door, code)
    assert refused.value.code == "grant_invalid"


def test_a_wrong_verifier_is_an_invalid_grant(provider, door):
    code = consent(provider)["code"]
    with pytest.raises(CallerError) as refused:
        exchange(door, code, verifier="w" * 50)
    assert refused.value.code == "grant_invalid"


def test_a_wrong_client_secret_is_the_operators_fault(provider):
    code = consent(provider)["code"]
    door = OAuthDoor(requests.Session(), provider, CLIENT_ID, Secret("old"))
    with pytest.raises(PermanentError) as refused:
        exchange(door, code)
    assert refused.value.code == "oauth_client_refused"
