"""Links, states, cookies and return addresses: what a browser carries."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.connect import return_url_refusal
from shared.domain.link import (
    code_verifier,
    cookie_among,
    hashed,
    link_token,
    matches,
    new_state,
    session_of_link,
    session_of_state,
    set_cookie,
    with_query,
)
from shared.domain.refusal import SENTENCES, Refusal
from shared.domain.secret import Secret

KEY = Secret("k" * 32)
SESSION = "cs_" + "a" * 22
CHANCE = "c" * 43


def test_a_link_opens_its_session_and_no_other():
    token = link_token(SESSION, link_secret=KEY).reveal()
    assert session_of_link(token, link_secret=KEY) == SESSION
    other = "cs_" + "b" * 22
    assert session_of_link(token.replace(SESSION, other), link_secret=KEY) is None
    assert session_of_link(token, link_secret=Secret("another")) is None


@given(st.text(max_size=200))
def test_whatever_is_not_a_link_opens_nothing(text):
    assert session_of_link(text, link_secret=KEY) is None
    assert session_of_state(text) is None
    assert cookie_among([text]) is None


def test_every_prefix_and_change_of_a_link_is_refused():
    token = link_token(SESSION, link_secret=KEY).reveal()
    for at in range(len(token)):
        assert session_of_link(token[:at], link_secret=KEY) is None
        changed = token[:at] + ("x" if token[at] != "x" else "y") + token[at + 1 :]
        assert session_of_link(changed, link_secret=KEY) is None


def test_a_state_names_its_session():
    assert session_of_state(new_state(SESSION, chance=CHANCE).reveal()) == SESSION
    assert session_of_state(f"{SESSION}.short") is None


def test_a_verifier_fits_rfc_7636_and_belongs_to_one_state():
    verifier = code_verifier(hashed(Secret("one")), link_secret=KEY).reveal()
    assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier)
    assert verifier != code_verifier(hashed(Secret("two")), link_secret=KEY).reveal()


def test_only_the_right_value_matches_a_hash():
    assert matches(Secret("x"), hashed(Secret("x")))
    assert not matches(Secret("y"), hashed(Secret("x")))
    assert not matches(None, hashed(Secret("x")))
    assert not matches(Secret("x"), None)


def test_our_cookie_is_found_among_others():
    value = Secret(CHANCE)
    sent = set_cookie(value, max_age_seconds=60).partition(";")[0]
    assert cookie_among(["a=b", sent]) == value
    assert cookie_among(["__Host-rollcall=short"]) is None
    assert cookie_among(["x__Host-rollcall=" + CHANCE]) is None


@given(st.dictionaries(st.sampled_from(["session_id", "error"]), st.text(max_size=20)))
def test_answers_are_added_behind_the_hosts_own_query(answers):
    url = with_query("https://host.example/done?tab=a%20b&x=", answers)
    found = parse_qs(urlsplit(url).query, keep_blank_values=True, encoding="utf-8")
    assert found == {"tab": ["a b"], "x": [""]} | {k: [v] for k, v in answers.items()}
    assert url.isascii()


@pytest.mark.parametrize(
    "url",
    [
        "https://host.example",
        "https://host.example:8443/done?x=1",
        "http://localhost:3000/",
        "http://127.0.0.1/",
        "https://host.example:1",
        "http://[::1]:3000/",
    ],
)
def test_people_may_be_sent_to(url):
    assert return_url_refusal(url, allowed=()) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host.example",
        "//host.example",
        "http://host.example",
        "http://localhost.evil.example",
        "ftp://host.example",
        "https://",
        "https://user@host.example",
        "https://host.example/#part",
        "https://host.example:99999",
        "https://host.example:0",
        "ftp://localhost",
        "https://host.example\\@evil.example",
        "https://host.example/\r\nset-cookie:x",
        "https://host.example/a b",
        " https://host.example",
        "https://[",
        "https://" + "h" * 2000,
    ],
)
def test_people_are_never_sent_to(url):
    assert return_url_refusal(url, allowed=()) == "return_url_invalid"


@given(st.text(max_size=60))
def test_any_text_gets_a_verdict(text):
    assert return_url_refusal(text, allowed=("https://a.example",)) in {
        None,
        "return_url_invalid",
        "return_url_not_allowed",
    }


def test_every_refusal_has_a_sentence_for_people():
    assert set(SENTENCES) == set(Refusal)


def test_only_the_addresses_of_the_list_are_allowed_if_there_is_one():
    allowed = ("https://a.example", "https://b.example")
    assert return_url_refusal("https://b.example", allowed=allowed) is None
    assert return_url_refusal("https://c.example", allowed=allowed) == "return_url_not_allowed"
    assert return_url_refusal("http://c.example", allowed=allowed) == "return_url_invalid"


def test_a_link_of_a_session_with_a_foreign_alphabet_opens_nothing():
    known = session_of_link(link_token(SESSION, link_secret=KEY).reveal(), link_secret=KEY)
    assert known == SESSION
    assert session_of_link(f"{SESSION}.é", link_secret=KEY) is None
