"""The room behind a meeting link, so that passwords and tracking never split a meeting."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, unquote, urlsplit

KEY_VERSION = "r1"

_MEET_CODE = re.compile(r"^/(?:lookup/)?([a-z]{3}-?[a-z]{4}-?[a-z]{3})/?$")
_ZOOM_NUMBER = re.compile(r"/(?:j|s|w|wc/join|wc)/(\d{9,12})")
_TEAMS_THREAD = re.compile(r"/l/meetup-join/([^/]+)/(\d+)")
_TEAMS_NUMBER = re.compile(r"/(?:meet|v2/meet)/(\d{9,})")


def meeting_key(*, tenant_id: str, meeting_url: str, start: datetime) -> str:
    """Same tenant, same room, same start: one meeting. Also the deduplication key at Recall.

    The tenant is percent-encoded, so that no name can reach into the parts beside it.
    """
    moment = start.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
    return f"{KEY_VERSION}|{quote(tenant_id, safe='')}|{room(meeting_url)}|{moment}"


def room(meeting_url: str) -> str:
    """A stable name of the room; an unknown platform falls back to host and path.

    What is no address at all names itself: who invites writes it, and it must not stop the feed.
    """
    try:
        url = urlsplit(meeting_url.strip())
    except ValueError:
        return meeting_url.strip()
    host = (url.hostname or "").removeprefix("www.")
    path = unquote(url.path)
    for platform in (_meet, _zoom, _teams):
        name = platform(host, path)
        if name is not None:
            return name
    return _plain(host, path, query=url.query)


def _meet(host: str, path: str) -> str | None:
    code = _MEET_CODE.match(path.lower()) if host == "meet.google.com" else None
    return f"meet:{code[1].replace('-', '')}" if code else None


def _zoom(host: str, path: str) -> str | None:
    if not f".{host}".endswith((".zoom.us", ".zoom.com", ".zoomgov.com")):
        return None
    number = _ZOOM_NUMBER.search(path)
    return f"zoom:{number[1]}" if number else None


def _teams(host: str, path: str) -> str | None:
    if not host.startswith("teams."):
        return None
    if thread := _TEAMS_THREAD.search(path):
        return f"teams:{thread[1]}/{thread[2]}"
    number = _TEAMS_NUMBER.search(path)
    return f"teams:{number[1]}" if number else None


def _plain(host: str, path: str, *, query: str) -> str:
    """Webex names a meeting in its query (MTID); everything else by its path."""
    meeting_number = parse_qs(query).get("MTID", [""])[0]
    return f"{host}{path.rstrip('/')}" + (f"?{meeting_number}" if meeting_number else "")
