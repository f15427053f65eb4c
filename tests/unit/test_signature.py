"""The verdict on a delivery: who may ring, and that nothing hostile gets further than a no."""

from __future__ import annotations

import base64
import importlib.util
import sys
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.webhooks.signature import verified_delivery
from functions.webhooks.svix_library import webhook_class
from shared.domain.secret import Secret
from shared.errors import PermanentError
from tests.deliveries import NOW, OTHER_SECRET, SECRET, headers, library_clock, signature

BODY = b'{"event":"calendar.update","data":{"calendar_id":"c"}}'
STAMP = str(int(NOW.timestamp()))


@pytest.fixture(autouse=True)
def _library_clock():
    with library_clock(lambda: NOW):
        yield


def verdict(body=BODY, sent=None, *, secrets=(SECRET,), now=NOW):
    sent = headers(body) if sent is None else sent
    return verified_delivery(body, sent, secrets=[Secret(text) for text in secrets], now=now)


def test_the_published_vector():
    body = (
        b'{"event":"calendar.update","data":{"calendar_id":"0512a606-f31c-58ad-8692-f62ffc95b96f"}}'
    )
    sent = {
        "webhook-id": "msg_2exampleExample01",
        "webhook-timestamp": "1803891600",
        "webhook-signature": "v1,UwUDjJAPyXJkPg6CvDiJdZubMLXVPpBKh2PhZQ9k2jQ=",
    }
    assert verdict(body, sent) == "msg_2exampleExample01"


@pytest.mark.parametrize("family", ["svix", "webhook"])
def test_both_header_families(family):
    assert verdict(sent=headers(BODY, family=family)) == "msg_1"


@pytest.mark.parametrize("signer", [SECRET, OTHER_SECRET])
def test_any_of_several_secrets(signer):
    sent = headers(BODY, secret=signer)
    assert verdict(sent=sent, secrets=[OTHER_SECRET, "whsec_%%%", SECRET]) == "msg_1"


def test_any_of_several_signatures_and_unknown_versions_are_skipped():
    sent = headers(BODY)
    sent["webhook-signature"] = f"v1a,AAAA v1,AAAA {sent['webhook-signature']}"
    assert verdict(sent=sent) == "msg_1"


def test_the_raw_bytes_count():
    assert verdict(BODY + b" ", headers(BODY)) is None


@pytest.mark.parametrize("secrets", [[], [""], ["whsec_"], ["whsec_%%%", "whsec_a"], ["ключ"]])
def test_without_a_usable_secret_nothing_is_believed(secrets):
    with pytest.raises(PermanentError) as caught:
        verdict(secrets=secrets)
    assert caught.value.code == "webhook_secret_unusable"


@pytest.mark.parametrize(
    ("seconds", "accepted"),
    [(0, True), (300, True), (-300, True), (301, False), (-301, False), (86_400, False)],
)
def test_five_minutes_either_way(seconds, accepted):
    sent = headers(BODY, now=NOW + timedelta(seconds=seconds))
    assert (verdict(sent=sent) is not None) is accepted


def test_our_clock_decides_before_the_library_is_asked():
    assert verdict(now=NOW + timedelta(seconds=301)) is None


HOSTILE = {
    "no headers": {},
    "no id": {"webhook-id": None},
    "empty id": {"webhook-id": ""},
    "no timestamp": {"webhook-timestamp": None},
    "no signature": {"webhook-signature": None},
    "empty signature": {"webhook-signature": ""},
    "no comma": {"webhook-signature": "v1"},
    "two commas": {"webhook-signature": "v1,AAAA,BBBB"},
    "joined headers": {"webhook-signature": "v1,AAAA,v1,BBBB"},
    "not ascii": {"webhook-signature": "v1,é"},
    "bad base64": {"webhook-signature": "v1,A"},
    "unknown version": {"webhook-signature": "v2,AAAA"},
    "spaces only": {"webhook-signature": "   "},
    "timestamp words": {"webhook-timestamp": "now"},
    "timestamp empty": {"webhook-timestamp": ""},
    "timestamp nan": {"webhook-timestamp": "nan"},
    "timestamp infinite": {"webhook-timestamp": "inf"},
    "timestamp huge": {"webhook-timestamp": "9" * 400},
    "timestamp exponent": {"webhook-timestamp": "1e300"},
    "timestamp negative": {"webhook-timestamp": "-" + STAMP},
    "timestamp old": {"webhook-timestamp": "0"},
    "timestamp null byte": {"webhook-timestamp": STAMP + "\x00"},
    "other delivery": {"webhook-id": "msg_2"},
    "other family's id": {"svix-id": "msg_2"},
}


def hostile(change):
    if not change:
        return {}
    sent = {**headers(BODY), **change}
    return {name: value for name, value in sent.items() if value is not None}


def library_says(body, sent):
    try:
        webhook_class()(SECRET).verify(body, sent)
    except Exception:  # noqa: BLE001 - whatever it raises is a no
        return False
    return True


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_headers_are_refused_and_the_library_agrees(change):
    assert verdict(sent=hostile(change)) is None
    assert library_says(BODY, hostile(change)) is False


@pytest.mark.parametrize("body", [b"\xff", b"", b"\x00", "é\u2028".encode(), b"\xed\xa0\x80"])
def test_the_library_agrees_on_any_body(body):
    sent = headers(body)
    assert (verdict(body, sent) is not None) is library_says(body, sent)


@pytest.mark.parametrize("write", [str.title, str.upper])
@pytest.mark.parametrize("family", ["svix", "webhook"])
def test_the_names_of_headers_know_no_case(family, write):
    sent = {write(name): value for name, value in headers(BODY, family=family).items()}
    assert verdict(sent=sent) == "msg_1"


@pytest.mark.parametrize(
    "timestamp",
    [STAMP + ".0", STAMP + ".5", f" {STAMP}", STAMP[:-3] + "_" + STAMP[-3:], "0" + STAMP],
)
def test_only_the_timestamp_is_judged_more_strictly_than_by_the_library(timestamp):
    """The library reads a float and signs its whole seconds."""
    sent = {**headers(BODY), "webhook-timestamp": timestamp}
    assert library_says(BODY, sent) is True
    assert verdict(sent=sent) is None


@given(st.dictionaries(
    st.sampled_from([f"{family}-{name}" for family in ("svix", "webhook")
                     for name in ("id", "timestamp", "signature")]),
    st.text() | st.just(STAMP) | st.just("msg_1")
    | st.just(signature(SECRET, delivery_id="msg_1", timestamp=STAMP, body=BODY)),
))  # fmt: skip
def test_the_library_agrees_on_any_headers(sent):
    ours = verdict(sent=sent) is not None
    theirs = library_says(BODY, sent)
    assert ours is theirs or not ours


@given(st.binary(max_size=64), st.text(max_size=80))
def test_nothing_makes_it_crash(body, text):
    sent = {**headers(body), "webhook-signature": text, "svix-id": text}
    assert verdict(body, sent) is None


def test_every_byte_of_the_signature_counts():
    good = headers(BODY)["webhook-signature"]
    raw = base64.b64decode(good[3:])
    for position in range(len(raw)):
        bad = bytes(b ^ (index == position) for index, b in enumerate(raw))
        sent = {**headers(BODY), "webhook-signature": "v1," + base64.b64encode(bad).decode()}
        assert verdict(sent=sent) is None


def import_anew(monkeypatch):
    """As in a fresh process: nobody has imported svix, and nobody has asked for the class."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "svix"]:
        monkeypatch.delitem(sys.modules, name)
    return webhook_class.__wrapped__


def test_the_verifier_is_imported_without_its_package(monkeypatch):
    fresh = import_anew(monkeypatch)
    assert fresh().__module__ == "svix.webhooks"
    assert [name for name in sys.modules if name.startswith("svix.")] == ["svix.webhooks"]
    # Whoever imports svix later must find the whole package.
    assert "svix" not in sys.modules


def test_a_package_that_is_there_already_stays(monkeypatch):
    fresh = import_anew(monkeypatch)
    package = importlib.util.module_from_spec(importlib.util.find_spec("svix"))
    monkeypatch.setitem(sys.modules, "svix", package)
    assert fresh().__name__ == "Webhook"
    assert sys.modules["svix"] is package


def test_a_missing_library_is_named(monkeypatch):
    fresh = import_anew(monkeypatch)

    class Nothing:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return None

    monkeypatch.setattr(sys, "meta_path", [Nothing])
    with pytest.raises(ModuleNotFoundError, match=r"^svix$"):
        fresh()
    assert "svix" not in sys.modules
