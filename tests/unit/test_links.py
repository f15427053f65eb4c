"""Links that stand in a payload although Recall found none, and which of several comes first."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.emulators.recall.links import link_of_raw
from shared.domain.room import PLATFORMS, platform_of, room
from shared.recall.links import LINKS_MAX, TEXT_CHARACTERS_MAX, candidate_links
from shared.recall.parse import parse_event

PAYLOADS = Path(__file__).parents[1] / "payloads" / "events"
DOCUMENTS = {path.name[:2]: json.loads(path.read_text()) for path in PAYLOADS.glob("*.json")}
LINKED = sorted(number for number, found in DOCUMENTS.items() if found["meeting_url"])

ZOOM = "https://us02web.zoom.us/j/81234567890?pwd=x"
MEET = "https://meet.google.com/qkr-wzpn-abt"
TEAMS = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_AbC%40thread.v2/0?context=%7b%7d"
WEBEX = "https://example.webex.com/meet/ada"
GOTO = "https://meet.goto.com/123456789"
SAFE_LINK = (
    "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fus02web.zoom.us%2Fj%2F"
    "81234567890%3Fpwd%3Dx&data=05%7C01%7Cada%40acme.example%7C0&reserved=0"
)
GOOGLE_LINK = "https://www.google.com/url?q=https%3A%2F%2Fmeet.google.com%2Fqkr-wzpn-abt&sa=D"


@pytest.mark.parametrize("number", LINKED)
def test_the_first_link_is_the_one_that_recall_found(number: str) -> None:
    document = DOCUMENTS[number]
    candidates = candidate_links(document["raw"])

    assert room(document["meeting_url"]) == room(candidates[0])
    assert room(candidates[0]) == room(link_of_raw(document["raw"]).url)


@pytest.mark.parametrize("number", sorted(DOCUMENTS))
def test_only_where_recall_found_none_a_link_counts_as_left_in_the_body(number: str) -> None:
    document = DOCUMENTS[number]
    without = document | {"meeting_url": None, "meeting_platform": None}

    assert parse_event(document).event.link_in_body is False
    assert (number in LINKED) == parse_event(without).event.link_in_body


@pytest.mark.parametrize(
    ("link", "platform"),
    [
        (ZOOM, "zoom"),
        ("https://acme.zoom.us/my/ada", "zoom"),
        ("https://events.zoom.us/ev/AhBc9", "zoom"),
        ("https://zoom.us/pricing", None),
        ("https://zoom.us/u/abc", None),
        (MEET, "google_meet"),
        ("https://meet.google.com/lookup/a1b2", "google_meet"),
        ("https://meet.google.com/", None),
        (TEAMS, "microsoft_teams"),
        ("https://teams.live.com/meet/9876543210123?p=x", "microsoft_teams"),
        ("https://teams.microsoft.com/meetingOptions/?organizerId=x", None),
        ("https://aka.ms/JoinTeamsMeeting", None),
        (WEBEX, "webex"),
        ("https://example.webex.com/example/j.php?MTID=m5f2c", "webex"),
        ("https://help.webex.com/", None),
        (GOTO, "goto_meeting"),
        ("https://gotomeet.me/ada", "goto_meeting"),
        ("https://www.gotomeeting.com/features", None),
        ("https://whereby.example/ada", None),
        ("https://[zoom.us/j/81234567890", None),
        (SAFE_LINK, "zoom"),
        (GOOGLE_LINK, "google_meet"),
    ],
)
def test_whose_link_it_is(link: str, platform: str | None) -> None:
    assert platform == platform_of(link)
    assert ((link,) if platform else ()) == candidate_links({"description": f"Join: <{link}>"})


@pytest.mark.parametrize(
    "raw",
    [
        {"location": ZOOM},
        {"location": {"displayName": f"Room 5; {ZOOM}"}},
        {"location": {"locationUri": ZOOM}},
        {"locations": [{"displayName": "Room 5"}, {"displayName": ZOOM}]},
        {"description": f'<a href="{ZOOM}">Join</a>'},
        {"body": {"contentType": "html", "content": f"<p>{ZOOM}</p>"}},
        {"hangoutLink": ZOOM},
        {"conferenceData": {"entryPoints": [{"entryPointType": "video", "uri": ZOOM}]}},
        {"onlineMeeting": {"joinUrl": ZOOM}},
        {"onlineMeetingUrl": ZOOM},
    ],
)
def test_wherever_it_stands(raw: dict[str, Any]) -> None:
    assert (ZOOM,) == candidate_links(raw)


@pytest.mark.parametrize(
    "wrapped",
    [
        SAFE_LINK,
        f"https://urldefense.com/v3/__{ZOOM}__;!!abc$",
        "https://links.acme.example/go?u=https%3A%2F%2Fzoom.us%2Fj%2F81234567890&id=7",
        "https://links.acme.example/go?u=https%253A%252F%252Fzoom.us%252Fj%252F81234567890",
        (
            "https://eur01.safelinks.protection.outlook.com/?data=x&url=https%3A%2F%2Fwww.google.com"
            "%2Furl%3Fq%3Dhttps%253A%252F%252Fzoom.us%252Fj%252F81234567890"
        ),
    ],
)
def test_a_redirect_around_a_link_is_seen_through(wrapped: str) -> None:
    as_html = f'<a href="{wrapped.replace("&", "&amp;")}">Join</a>'
    assert (wrapped,) == candidate_links({"body": {"content": as_html}})


def test_of_several_the_conference_comes_first_and_then_zoom() -> None:
    written = [GOTO, WEBEX, TEAMS, MEET, ZOOM]
    assert tuple(reversed(written)) == candidate_links({"description": "\n".join(written)})
    conference = {"entryPoints": [{"entryPointType": "video", "uri": WEBEX}]}
    assert (WEBEX, ZOOM, MEET) == candidate_links(
        {"conferenceData": conference, "description": f"{MEET} {WEBEX} {ZOOM}"}
    )
    assert ("zoom", "google_meet", "microsoft_teams", "webex", "goto_meeting") == PLATFORMS


def test_a_phone_number_s_page_is_no_meeting() -> None:
    phone = {"entryPointType": "phone", "uri": "tel:+1-555-0100"}
    assert () == candidate_links({"conferenceData": {"entryPoints": [phone]}})


@pytest.mark.parametrize(
    "body",
    [
        "https://" * 200_000,
        "https://a." + "a." * 500_000,
        "https://zoom.us/j/1 " * 100_000,
        "%25" * 500_000,
        "https://x.example/?" + "u=https%253A%252F%252F&" * 50_000,
        "https://x.example/" + "%2525" * 300_000,
        "https://teams.microsoft.com/" + "/l/meetup-join/" * 60_000,
        "https://example.webex.com" + "/sites/a" * 100_000,
    ],
)
def test_a_hostile_body_costs_little(body: str) -> None:
    started = time.process_time()

    candidate_links({"description": body, "body": {"content": body}})

    assert time.process_time() - started < 1


def test_the_search_has_an_end() -> None:
    assert () == candidate_links({"description": "x" * TEXT_CHARACTERS_MAX + ZOOM})
    noise = "https://talk.example/ " * LINKS_MAX
    assert () == candidate_links({"description": noise + ZOOM})
    assert (ZOOM,) == candidate_links({"description": noise[:-22] + ZOOM})


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just(ZOOM),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KEYS = ("location", "locations", "description", "body", "conferenceData", "onlineMeeting")


@given(st.dictionaries(st.sampled_from([*KEYS, "hangoutLink", "onlineMeetingUrl"]), junk))
def test_whatever_a_payload_holds_it_is_read(raw: dict[str, Any]) -> None:
    assert all(platform_of(link) for link in candidate_links(raw))


@given(st.text(max_size=60) | st.text("htps:/%25.?&=#[]@zomus\ud800j1", max_size=60))
def test_whatever_a_link_is_it_has_a_platform_or_none(text: str) -> None:
    for link in (text, f"https://{text}", f"https://zoom.us/{text}"):
        assert platform_of(link) in (None, *PLATFORMS)
        candidate_links({"description": link})
