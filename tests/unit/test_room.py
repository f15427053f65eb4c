"""Rooms and meeting keys: golden texts, because a key at Recall is forever."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.room import KEY_VERSION, meeting_key, room

PAYLOADS = Path(__file__).parent.parent / "payloads" / "events"
THREAD = "19:meeting_{}@thread.v2/0"
WEBEX = "example.webex.com/example/j.php?m5f2c8a9d1e7b3046c8f0a2d4e6b8c0f1"
GOLDEN = {
    "01": "meet:qkrwzpnabt|2027-03-02T15:00Z",
    "02": "meet:hdmytuvcqe|2027-03-03T09:00Z",
    "03": "meet:fnexokarsd|2027-03-02T10:00Z",
    "06": "zoom:81234567890|2027-03-05T14:00Z",
    "07": "meet:mwsilptbzx|2027-03-04T16:00Z",
    "08": f"{WEBEX}|2027-03-03T14:30Z",
    "09": "meet:tpcrdqovhs|2027-03-05T10:00Z",
    "10": "zoom:84561237890|2027-03-05T14:00Z",
    "11": "meet:bvakloigqp|2027-03-02T11:00Z",
    "12": f"teams:{THREAD.format('ZDk0YzQyYjEtMGQ2Zi00YjAz')}|2027-03-02T09:00Z",
    "13": f"teams:{THREAD.format('NmE3ZTlkMzItYjE1OS00OGU2')}|2027-03-03T08:15Z",
    "14": f"teams:{THREAD.format('YzFkMmUzZjQtYTViNi00Yzdk')}|2027-03-04T10:00Z",
    "17": "zoom:87654321098|2027-03-05T07:00Z",
    "18": "zoom:84561237890|2027-03-05T14:00Z",
    "19": f"teams:{THREAD.format('ODg3NmY1ZTQtZDNjMi00MWIw')}|2027-03-03T13:00Z",
    "20": "example.webex.com/meet/procurement|2027-03-04T15:00Z",
    "21": f"teams:{THREAD.format('MTIzNDU2NzgtOTBhYi00Y2Rl')}|2027-03-05T13:00Z",
    "23": "teams:9876543210123|2027-03-02T16:30Z",
}
START = datetime(2027, 3, 2, 15, tzinfo=UTC)


def key_of(url: str, *, tenant_id: str = "default", start: datetime = START) -> str:
    return meeting_key(tenant_id=tenant_id, meeting_url=url, start=start)


def with_link() -> dict[str, tuple[str, datetime]]:
    documents = {path.name[:2]: json.loads(path.read_text()) for path in PAYLOADS.glob("*.json")}
    return {
        number: (document["meeting_url"], datetime.fromisoformat(document["start_time"]))
        for number, document in documents.items()
        if document["meeting_url"]
    }


def test_the_key_of_every_example_is_what_it_always_was() -> None:
    keys = {number: key_of(url, start=start) for number, (url, start) in with_link().items()}
    assert {number: f"r1|default|{rest}" for number, rest in GOLDEN.items()} == keys
    assert "r1" == KEY_VERSION


SAME_ROOM = {
    "meet:qkrwzpnabt": [
        "https://meet.google.com/qkr-wzpn-abt",
        "https://MEET.google.com/QKR-WZPN-ABT",
        "https://meet.google.com/qkr-wzpn-abt/",
        "https://meet.google.com/qkrwzpnabt",
        "https://meet.google.com/qkr-wzpn-abt?authuser=1&hs=122",
        "https://meet.google.com/lookup/qkr-wzpn-abt",
        " https://meet.google.com/qkr-wzpn-abt ",
        "http://meet.google.com:443/qkr-wzpn-abt#top",
    ],
    "zoom:81234567890": [
        "https://zoom.us/j/81234567890",
        "https://us02web.zoom.us/j/81234567890?pwd=RXhhbXBsZQ.1",
        "https://us02web.zoom.us/j/81234567890?pwd=another",
        "https://acme.zoom.us/s/81234567890?zak=token",
        "https://acme.zoom.us/w/81234567890?tk=token&uuid=x",
        "https://app.zoom.us/wc/81234567890/join",
        "https://app.zoom.us/wc/join/81234567890",
        "https://acme.zoomgov.com/j/81234567890",
    ],
    "teams:19:meeting_AbC@thread.v2/0": [
        "https://teams.microsoft.com/l/meetup-join/19%3ameeting_AbC%40thread.v2/0?context=%7b%7d",
        "https://teams.microsoft.com/l/meetup-join/19:meeting_AbC@thread.v2/0",
        "https://Teams.Microsoft.com/l/meetup-join/19%3Ameeting_AbC%40thread.v2/0?context=other",
    ],
    "teams:9876543210123": [
        "https://teams.live.com/meet/9876543210123?p=AbCd",
        "https://teams.microsoft.com/meet/9876543210123?p=other",
    ],
    WEBEX: [
        "https://example.webex.com/example/j.php?MTID=m5f2c8a9d1e7b3046c8f0a2d4e6b8c0f1",
        "https://EXAMPLE.webex.com/example/j.php?MTID=m5f2c8a9d1e7b3046c8f0a2d4e6b8c0f1&RGID=r1",
    ],
    "acme.zoom.us/my/ada": [
        "https://acme.zoom.us/my/ada",
        "https://acme.zoom.us/my/ada?pwd=secret",
    ],
    "meet.goto.com/123456789": [
        "https://meet.goto.com/123456789",
        "https://www.meet.goto.com/123456789/",
    ],
}


@pytest.mark.parametrize(
    ("name", "url"), [(name, url) for name, urls in SAME_ROOM.items() for url in urls]
)
def test_passwords_context_and_spelling_never_split_a_meeting(name: str, url: str) -> None:
    assert name == room(url)


def test_different_rooms_stay_apart() -> None:
    urls = [
        "https://teams.microsoft.com/l/meetup-join/19%3ameeting_abc%40thread.v2/0",
        "https://teams.microsoft.com/l/meetup-join/19%3ameeting_ABC%40thread.v2/0",
        "https://example.webex.com/example/j.php?MTID=m1",
        "https://example.webex.com/example/j.php?MTID=m2",
        "https://example.webex.com/meet/ada",
        "https://other.webex.com/meet/ada",
        "https://zoom.us/j/81234567890",
        "https://zoom.us/j/81234567891",
        "https://acme.zoom.us/my/ada",
        "https://acme.zoom.us/my/bob",
    ]
    assert len(urls) == len({room(url) for url in urls})


def test_one_moment_has_one_text_whatever_its_zone() -> None:
    berlin = START.astimezone(timezone(timedelta(hours=1)))
    assert key_of("https://zoom.us/j/81234567890") == key_of(
        "https://zoom.us/j/81234567890", start=berlin
    )


words = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
meet_codes = st.from_regex(r"[a-z]{3}-[a-z]{4}-[a-z]{3}", fullmatch=True)
urls = (
    meet_codes.map(lambda code: f"https://meet.google.com/{code}")
    | st.integers(10**8, 10**12 - 1).map(lambda number: f"https://zoom.us/j/{number}")
    | st.text(max_size=40).map(lambda path: f"https://example.webex.com/{path}")
    | words.map(lambda host: f"https://{host}.example/room")
)
minutes = st.integers(0, 10**6).map(lambda count: START + timedelta(minutes=count))


@given(words, words, urls, urls, minutes)
def test_tenants_never_share_a_key(
    tenant: str, other: str, url: str, other_url: str, start: datetime
) -> None:
    mine = key_of(url, tenant_id=tenant, start=start)
    theirs = key_of(other_url, tenant_id=other, start=start)
    assert (mine == theirs) == (tenant == other and room(url) == room(other_url))


@given(words, st.text(alphabet=st.characters(categories=["L", "N"]), max_size=20))
def test_a_password_never_enters_a_key(path: str, password: str) -> None:
    bare = f"https://example.webex.com/{path}"
    secret = f"pw{password}word"
    assert secret not in key_of(f"https://us02web.zoom.us/j/81234567890?pwd={secret}")
    assert key_of(bare) == key_of(f"{bare}?pwd={secret}")


@given(minutes, minutes, urls)
def test_another_start_is_another_meeting(start: datetime, other: datetime, url: str) -> None:
    assert (start == other) == (key_of(url, start=start) == key_of(url, start=other))


def test_no_tenant_name_reaches_into_the_room() -> None:
    start = datetime(2027, 3, 2, 15, tzinfo=UTC)
    keys = {
        meeting_key(tenant_id=tenant_id, meeting_url=url, start=start)
        for tenant_id, url in (("a", "https://b.example/c|d"), ("a|b.example/c", "https://d"))
    }
    assert 2 == len(keys)
    assert "r1|a%7Cb|meet:qkrwzpnabt|2027-03-02T15:00Z" == meeting_key(
        tenant_id="a|b", meeting_url="https://meet.google.com/qkr-wzpn-abt", start=start
    )


def test_a_host_that_only_sounds_like_zoom_is_not_zoom() -> None:
    assert "zoom:81234567890" == room("https://zoom.us/j/81234567890")
    assert "notzoom.us/j/81234567890" == room("https://notzoom.us/j/81234567890")


@pytest.mark.parametrize(
    "link",
    ["https://[zoom.us/j/81234567890", "https://meet.google.com]/a", "https://zoom.us\u2100/j/1"],
)
def test_a_link_that_is_no_address_is_a_room_of_its_own(link: str) -> None:
    assert link == room(f" {link} ")
