"""Rooms and meeting keys: golden texts, because a key at Recall is forever."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.room import KEY_VERSION, key_of, meeting_key, room
from shared.domain.rules import Dedupe
from tests.unit.core_values import event as event_of

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


def key_of_link(url: str, *, tenant_id: str = "default", start: datetime = START) -> str:
    return meeting_key(tenant_id=tenant_id, meeting_url=url, start=start)


def with_link() -> dict[str, tuple[str, datetime]]:
    documents = {path.name[:2]: json.loads(path.read_text()) for path in PAYLOADS.glob("*.json")}
    return {
        number: (document["meeting_url"], datetime.fromisoformat(document["start_time"]))
        for number, document in documents.items()
        if document["meeting_url"]
    }


def test_the_key_of_every_example_is_what_it_always_was() -> None:
    keys = {number: key_of_link(url, start=start) for number, (url, start) in with_link().items()}
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
        "https://global.gotomeeting.com/join/123456789",
        "https://www.gotomeeting.com/join/123-456-789?c=guest",
        "https://app.gotomeeting.com/?meetingId=123456789",
        "https://app.goto.com/meeting/123456789?sessionTrackingId=x",
        "https://gotomeet.me/123456789",
    ],
}
# Spellings that came later, and what they have always been or are from now on.
SAME_ROOM_TOO = {
    "meet:qkrwzpnabt": [
        "https://meet.google.com/_meet/qkr-wzpn-abt",
        "meet.google.com/qkr-wzpn-abt?pli=1",
        "https://meet.google.com./qkr-wzpn-abt",
        "https://ada@meet.google.com/qkr-wzpn-abt",
        "https://www.google.com/url?q=https%3A%2F%2Fmeet.google.com%2Fqkr-wzpn-abt&sa=D&usg=x",
        "https://meet.google.com/linkredirect?dest=https%3A%2F%2Fmeet.google.com%2Fqkr-wzpn-abt",
    ],
    "meet.google.com/lookup/a1b2c3": [
        "https://meet.google.com/lookup/a1b2c3",
        "https://meet.google.com/lookup/A1B2C3?authuser=0",
    ],
    "zoom:81234567890": [
        "https://acme.zoom.us/j/81234567890?pwd=x#success",
        "https://acme.zoom.com/j/81234567890",
        "https://zoom.com/s/81234567890",
        "https://app.zoom.us/wc/81234567890/start?fromPWA=1",
        "https://us02web.zoom.us/launch/jc/81234567890",
        "zoommtg://acme.zoom.us/join?action=join&confno=81234567890&pwd=secret&uname=ada",
        (
            "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Facme.zoom.us%2Fj%2F"
            "81234567890%3Fpwd%3Dx&data=05%7C01%7Cada%40acme.example%7C0&reserved=0"
        ),
    ],
    "acme.zoom.us/my/ada": ["https://acme.zoom.us/my/ada/?pwd=x#top", "acme.zoom.us/my/ada"],
    "events.zoom.us/ev/AhBc9": ["https://events.zoom.us/ev/AhBc9?source=mail"],
    "events.zoom.us/ejl/sha256:" + hashlib.sha256(b"ticket-of-ada").hexdigest(): [
        "https://events.zoom.us/ejl/ticket-of-ada",
        "https://events.zoom.us/ejl/ticket-of-ada?lmt=1",
    ],
    "teams:19:meeting_AbC@thread.v2/0": [
        "https://teams.microsoft.com/l/meetup-join/19%253ameeting_AbC%2540thread.v2/0?context=%257b",
        "https://teams.microsoft.com/_#/l/meetup-join/19:meeting_AbC@thread.v2/0?context=%7b%7d",
        (
            "https://teams.microsoft.com/dl/launcher/launcher.html?url=%2F_%23%2Fl%2Fmeetup-join%2F"
            "19%3Ameeting_AbC%40thread.v2%2F0%3Fcontext%3D%257b%257d&type=meetup-join&deeplinkId=x"
        ),
        (
            "https://teams.microsoft.com/dl/launcher/launcher.html?url=%2F_%23%2Fl%2Fmeetup-join%2F"
            "19%253Ameeting_AbC%2540thread.v2%2F0&type=meetup-join"
        ),
        "https://gov.teams.microsoft.us/l/meetup-join/19%3ameeting_AbC%40thread.v2/0",
        "https://teams.cloud.microsoft/l/meetup-join/19%3ameeting_AbC%40thread.v2/0",
        "msteams://teams.microsoft.com/l/meetup-join/19:meeting_AbC@thread.v2/0",
    ],
    "teams:19:abc@thread.tacv2/1622745845733": [
        "https://teams.microsoft.com/l/meetup-join/19%3aabc%40thread.tacv2/1622745845733?context=x",
    ],
    "teams:9876543210123": [
        "https://teams.microsoft.com/v2/?meetingjoin=true#/meet/9876543210123?p=secret",
        "https://teams.live.com/dl/launcher/launcher.html?url=%2F_%23%2Fmeet%2F9876543210123%3Fp%3Dx",
    ],
    WEBEX: [
        "https://example.webex.com/example/j.php?mtid=m5f2c8a9d1e7b3046c8f0a2d4e6b8c0f1&pw=secret",
        (
            "https://example.webex.com/wbxmjs/joinservice/sites/example/meeting/download/"
            "0a1b?siteurl=example&MTID=m5f2c8a9d1e7b3046c8f0a2d4e6b8c0f1"
        ),
        "https://m.webex.com/j.php?siteurl=example&MTID=m5f2c8a9d1e7b3046c8f0a2d4e6b8c0f1",
    ],
    "example.webex.com/example/meeting/0a1b2c": [
        "https://example.webex.com/wbxmjs/joinservice/sites/example/meeting/download/0a1b2c",
        "https://example.webex.com/webappng/sites/example/meeting/info/0a1b2c?isPopupRegisterView=x",
    ],
    "example.webex.com/meet/ada": [
        "https://example.webex.com/meet/ada",
        "https://example.webex.com/join/ada",
    ],
    "gotomeet.me/ada": ["https://gotomeet.me/ada", "https://www.gotomeet.me/ada?x=1"],
    "talk.example/rooms/a%7Cb%25": ["https://talk.example/rooms/a%7Cb%25?utm_source=mail#chat"],
    "talk.example/a%3Fb%20c%0A%00": ["https://talk.example/a%3Fb c%0a%00"],
    "talk.example/\u4f1a": ["https://talk.example/%E4%BC%9A"],
    "[::1]/room": ["http://[::1]:8443/room"],
    "": ["", " ", "?"],
}


@pytest.mark.parametrize(
    ("name", "url"),
    [
        (name, url)
        for table in (SAME_ROOM, SAME_ROOM_TOO)
        for name, urls in table.items()
        for url in urls
    ],
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
        "https://other.zoom.us/my/ada",
        "https://zoom.us/j/8123456789012345",
        "https://events.zoom.us/ejl/one",
        "https://events.zoom.us/ejl/two",
        "https://teams.microsoft.com/_#/l/meetup-join/19:one@thread.v2/0",
        "https://teams.microsoft.com/_#/l/meetup-join/19:two@thread.v2/0",
        "https://teams.microsoft.com/l/meetup-join/19:one@thread.v2/5",
        "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Ftalk.example%2Fa",
        "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Ftalk.example%2Fb",
        "https://www.google.com/url?q=https%3A%2F%2Ftalk.example%2Fc",
        "https://example.webex.com/other/j.php?MTID=m1",
        "https://meet.goto.com/123456789",
        "https://meet.goto.com/123456780",
        "https://gotomeet.me/ada",
    ]
    assert len(urls) == len({room(url) for url in urls})


def test_one_moment_has_one_text_whatever_its_zone() -> None:
    berlin = START.astimezone(timezone(timedelta(hours=1)))
    assert key_of_link("https://zoom.us/j/81234567890") == key_of_link(
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
    mine = key_of_link(url, tenant_id=tenant, start=start)
    theirs = key_of_link(other_url, tenant_id=other, start=start)
    assert (mine == theirs) == (tenant == other and room(url) == room(other_url))


@given(words, st.text(alphabet=st.characters(categories=["L", "N"]), max_size=20))
def test_a_password_never_enters_a_key(path: str, password: str) -> None:
    bare = f"https://example.webex.com/{path}"
    secret = f"pw{password}word"
    assert secret not in key_of_link(f"https://us02web.zoom.us/j/81234567890?pwd={secret}")
    assert key_of_link(bare) == key_of_link(f"{bare}?pwd={secret}")


@given(minutes, minutes, urls)
def test_another_start_is_another_meeting(start: datetime, other: datetime, url: str) -> None:
    assert (start == other) == (key_of_link(url, start=start) == key_of_link(url, start=other))


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


def test_who_shares_a_bot_stands_last_in_the_key() -> None:
    meet = "https://meet.google.com/qkr-wzpn-abt"
    keys = [
        meeting_key(tenant_id="default", meeting_url=meet, start=START, share=share)
        for share in (None, "acme.example", "a|b:c", "")
    ]
    assert [
        "r1|default|meet:qkrwzpnabt|2027-03-02T15:00Z",
        "r1|default|meet:qkrwzpnabt|2027-03-02T15:00Z|acme.example",
        "r1|default|meet:qkrwzpnabt|2027-03-02T15:00Z|a%7Cb%3Ac",
        "r1|default|meet:qkrwzpnabt|2027-03-02T15:00Z|",
    ] == keys


LONG = "https://talk.example/" + "x" * 1_958


def test_a_key_beyond_what_recall_and_the_index_take_is_a_digest() -> None:
    longest = key_of_link(LONG)
    assert (2_000, f"r1|default|{LONG[8:]}|2027-03-02T15:00Z") == (len(longest), longest)
    assert (
        "r1|sha256:11b87723d75b220b7c6daa64074abfaa4cb40cdf332cbe470f3062b7aa0b523d|2027-03-02T15:00Z"
        == key_of_link(LONG + "x")
    )


@pytest.mark.parametrize(
    "longer",
    [
        {"meeting_url": LONG + "y"},
        {"tenant_id": "defaultx"},
        {"tenant_id": "\u4f1a" * 700},
        {"share": "s" * 2_000},
        {"share": "t" * 2_000},
        {"start": START + timedelta(minutes=1), "share": "t" * 2_000},
    ],
)
def test_long_keys_differ_in_every_part(longer: dict[str, Any]) -> None:
    parts = {"tenant_id": "default", "meeting_url": LONG, "start": START}
    key = meeting_key(**parts | longer)
    assert 2_000 >= len(key.encode())
    others = [meeting_key(**parts | {"meeting_url": LONG + "x"}), meeting_key(**parts)]
    assert key not in others


anything = st.text(max_size=30) | st.text("|:%/?#\\[]@. \n\x00\ud800ar1Z0-", max_size=20)
links = (
    anything
    | urls
    | anything.map(lambda text: f"https://talk.example/{text}")
    | anything.map(lambda text: f"https://teams.microsoft.com/l/meetup-join/{text}/0")
    | anything.map(lambda text: f"https://zoom.us/{text}")
    | anything.map(lambda text: f"https://{text}")
    | anything.map(lambda text: f"https://example.webex.com/example/j.php?MTID={text}")
)
shares = st.none() | anything


@given(anything, links, minutes, shares)
def test_no_part_of_a_key_reaches_into_another(
    tenant_id: str, link: str, start: datetime, share: str | None
) -> None:
    """Whoever reads a key gets back what went in, whatever the parts hold."""
    key = meeting_key(tenant_id=tenant_id, meeting_url=link, start=start, share=share)
    version, tenant, place, moment, *shared = key.split("|")
    assert ("r1", tenant_id, room(link)) == (version, unquoted(tenant), place)
    assert start == datetime.fromisoformat(moment)
    assert ([] if share is None else [share]) == [unquoted(part) for part in shared]


def unquoted(part: str) -> str:
    return unquote(part, errors="surrogatepass")


@given(links)
def test_a_room_holds_nothing_that_a_store_refuses(link: str) -> None:
    assert not re.search(r"[\x00-\x20\x7f|]", room(link))
    assert 3_000 >= len(room(link))


@given(st.sampled_from(["meet:", "zoom:", "teams:"]), anything, anything)
def test_only_a_platform_s_own_addresses_have_its_names(
    prefix: str, before: str, after: str
) -> None:
    """A bot sent to a crafted address must not be the bot of somebody else's meeting."""
    rooms = ("meet:qkrwzpnabt", "zoom:81234567890", "teams:9876543210123")
    for link in (f"{prefix}{after}", f"{before}{prefix}{after}", *rooms, f"x:{rooms[0]}?//"):
        assert room(link) not in rooms


@pytest.mark.parametrize(
    ("dedupe", "email", "share"),
    [
        (Dedupe.TENANT, "ada@acme.example", ""),
        (Dedupe.DOMAIN, "ada@acme.example", "|acme.example"),
        (Dedupe.DOMAIN, " Ada@ACME.example ", "|acme.example"),
        (Dedupe.DOMAIN, None, "|calendar-1"),
        (Dedupe.DOMAIN, "ada@", "|calendar-1"),
        (Dedupe.CALENDAR, "ada@acme.example", "|calendar-1"),
    ],
)
def test_the_rules_say_who_shares_a_bot(dedupe: Dedupe, email: str | None, share: str) -> None:
    event = event_of(
        meeting_url="https://meet.google.com/qkr-wzpn-abt", start=START, calendar_id="calendar-1"
    )
    key = key_of(event, tenant_id="default", email=email, dedupe=dedupe)
    assert f"r1|default|meet:qkrwzpnabt|2027-03-02T15:00Z{share}" == key


def test_without_a_link_there_is_no_key() -> None:
    event = event_of(meeting_url=None)
    assert key_of(event, tenant_id="default", email=None, dedupe=Dedupe.TENANT) is None


def test_a_host_that_only_sounds_like_zoom_is_not_zoom() -> None:
    assert "zoom:81234567890" == room("https://zoom.us/j/81234567890")
    assert "notzoom.us/j/81234567890" == room("https://notzoom.us/j/81234567890")
    assert "teams.evil.example/meet/9876543210123" == room(
        "https://teams.evil.example/meet/9876543210123"
    )


@pytest.mark.parametrize(
    "link",
    ["https://[zoom.us/j/81234567890", "https://meet.google.com]/a", "https://zoom.us\u2100/j/1"],
)
def test_a_link_that_is_no_address_is_a_room_of_its_own(link: str) -> None:
    assert link == room(f" {link} ")
