"""Meeting links: which one Recall takes from an event, and how bots show it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_TAIL = r"[^\s\"'<>]"
_PLATFORMS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("zoom", rf"https://(?:[\w-]+\.)*zoom(?:gov)?\.(?:us|com)/(?:j|my|w|s|wc)/{_TAIL}+"),
        ("google_meet", rf"https://meet\.google\.com/(?:lookup/)?[\w-]+(?:\?{_TAIL}*)?"),
        ("microsoft_teams", rf"https://teams\.microsoft\.com/(?:l/meetup-join|meet)/{_TAIL}+"),
        ("microsoft_teams_live", rf"https://teams\.live\.com/meet/{_TAIL}+"),
        ("webex", rf"https://[\w-]+\.webex\.com/{_TAIL}+"),
        (
            "goto_meeting",
            rf"https://(?:meet\.goto\.com|(?:app|global|www)\.gotomeeting\.com){_TAIL}+",
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a supported platform."""

    url: str
    platform: str


def link_of(url: str | None) -> Link | None:
    """The link when it is, as a whole, one of a supported platform."""
    for platform, pattern in _PLATFORMS:
        if url and pattern.fullmatch(url):
            return Link(url, platform)
    return None


def link_in(text: str) -> Link | None:
    """The first link by the documented order: Zoom, Meet, Teams, Webex, GoTo."""
    for platform, pattern in _PLATFORMS:
        if found := pattern.search(text):
            return Link(found[0], platform)
    return None


def link_of_raw(raw: Mapping[str, Any]) -> Link | None:
    """The link Recall takes from a provider payload; survives malformed payloads."""
    for url in _conference_urls(raw):
        if found := link_of(url):
            return found
    return next((found for text in _texts(raw) if (found := link_in(text))), None)


def _conference_urls(raw: Mapping[str, Any]) -> list[str]:
    conference = _mapping(raw.get("conferenceData"))
    points = conference.get("entryPoints")
    urls = [
        _mapping(point).get("uri")
        for point in (points if isinstance(points, list) else [])
        if _mapping(point).get("entryPointType") == "video"
    ]
    urls += [raw.get("hangoutLink"), _mapping(raw.get("onlineMeeting")).get("joinUrl")]
    return [url for url in urls if isinstance(url, str)]


def _texts(raw: Mapping[str, Any]) -> list[str]:
    location = raw.get("location")
    found = [
        location if isinstance(location, str) else _mapping(location).get("displayName"),
        raw.get("description"),
        _mapping(raw.get("body")).get("content"),
    ]
    return [text for text in found if isinstance(text, str)]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def meeting_object(url: str) -> dict[str, Any] | None:
    """The parsed form in which bots return their link; None for an unknown platform."""
    link = link_of(url)
    if link is None:
        return None
    match link.platform:
        case "zoom":
            return _zoom(url)
        case "microsoft_teams" | "microsoft_teams_live":
            return _teams(link)
        case "webex":
            return _webex(url)
        case platform:
            return {"meeting_id": urlsplit(url).path.rsplit("/", 1)[-1], "platform": platform}


def _zoom(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "meeting_id": parts.path.rsplit("/", 1)[-1],
        "meeting_password": parse_qs(parts.query).get("pwd", [None])[0],
        "platform": "zoom",
    }


def _teams(link: Link) -> dict[str, Any]:
    parts = urlsplit(link.url)
    query = parse_qs(parts.query)
    found: dict[str, Any] = dict.fromkeys(
        (
            "meeting_id", "meeting_password", "organizer_id", "tenant_id", "message_id",
            "thread_id", "business_meeting_id", "business_meeting_password",
        )
    )  # fmt: skip
    if "/meetup-join/" in parts.path:
        steps = unquote(parts.path).split("/")
        context = query.get("context", [""])[0]
        found |= {
            "thread_id": steps[3],
            "message_id": steps[4] if len(steps) > 4 else None,  # noqa: PLR2004
            "tenant_id": _quoted(context, "Tid"),
            "organizer_id": _quoted(context, "Oid"),
        }
    else:
        found["meeting_id"] = parts.path.rsplit("/", 1)[-1]
        found["meeting_password"] = query.get("p", [None])[0]
    return found | {"platform": link.platform}


def _quoted(text: str, key: str) -> str | None:
    found = re.search(rf'"{key}"\s*:\s*"([^"]*)"', text)
    return found[1] if found else None


def _webex(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    subdomain = (parts.hostname or "").split(".", maxsplit=1)[0]
    if room := re.search(r"/(?:meet|join)/([^/]+)", parts.path):
        return {
            "meeting_subdomain": subdomain,
            "meeting_personal_room_id": room[1],
            "platform": "webex",
        }
    return {
        "meeting_subdomain": subdomain,
        "meeting_mtid": parse_qs(parts.query).get("MTID", [""])[0],
        "meeting_path": parts.path,
        "platform": "webex",
    }
