"""The room behind a meeting link, and the key of the meeting held in it.

A room is named by what tells it alone: passwords, what belongs to one invitee, and tracking
never enter. Names are golden texts, for a key at Recall is forever.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, assert_never
from urllib.parse import quote, unquote

from shared.domain.rules import Dedupe
from shared.domain.web_address import Address, address_of, escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.domain.event import Event

KEY_VERSION = "r1"
# Recall takes 2,000 characters, an index of DynamoDB 2,048 bytes.
KEY_BYTES_MAX: Final = 2_000

_BEFORE_QUERY = re.compile(r"[?#]")
_MEET_CODE = re.compile(r"^/(?:lookup/|_meet/)?([a-z]{3}-?[a-z]{4}-?[a-z]{3})/?$")
_ZOOM_NUMBER = re.compile(r"/(?:j|s|w|wc/join|wc|launch/jc)/([0-9]{9,12})(?![0-9])")
_ZOOM_NAME = re.compile(r"^/(?:my|ev)/[^/]")
_ZOOM_TICKET = re.compile(r"^/ejl/([^/]+)")
_TEAMS_HOSTS = (
    "teams.microsoft.com",
    "teams.live.com",
    "teams.cloud.microsoft",
    "teams.microsoft.us",
)
_TEAMS_THREAD = re.compile(r"/l/meetup-join/([^/]+)/([0-9]+)")
_TEAMS_NUMBER = re.compile(r"/meet/([0-9]{9,})")
_WEBEX_SITE = re.compile(r"^/([^/]+)/[a-z]+\.php$|/sites/([^/]+)/", re.IGNORECASE)
_WEBEX_PAGE = re.compile(r"/sites/[^/]+/meeting/(?:download|info|start)/(\w+)")
_WEBEX_PERSONAL = re.compile(r"^/(?:meet|join)/([^/]+)")
_GOTO_HOSTS = ("meet.goto.com", "app.goto.com", "gotomeeting.com", "gotomeet.me", "gotomeet.at")
_GOTO_NAMING_HOSTS = ("meet.goto.com", "gotomeet.me", "gotomeet.at")
_GOTO_NAME = re.compile(r"^/[^/]+/?$")
_GOTO_NUMBER = re.compile(r"^/(?:join/|meeting/|meet/)?([0-9]{3})-?([0-9]{3})-?([0-9]{3})/?$")


def key_of(event: Event, *, tenant_id: str, email: str | None, dedupe: Dedupe) -> str | None:
    """The meeting key of an event copy; None without a link.

    `email` is the address of the copy's calendar, whose domain shares a bot under `domain`.
    A calendar whose address nobody knows yet shares its bots with no other.
    """
    if event.meeting_url is None:
        return None
    return meeting_key(
        tenant_id=tenant_id,
        meeting_url=event.meeting_url,
        start=event.start,
        share=_share(event, email=email, dedupe=dedupe),
    )


def _share(event: Event, *, email: str | None, dedupe: Dedupe) -> str | None:
    match dedupe:
        case Dedupe.TENANT:
            return None
        case Dedupe.DOMAIN:
            domain = (email or "").strip().lower().rpartition("@")[2]
            return domain or event.calendar_id
        case Dedupe.CALENDAR:
            return event.calendar_id
        case never:
            assert_never(never)


def meeting_key(
    *, tenant_id: str, meeting_url: str, start: datetime, share: str | None = None
) -> str:
    """Same tenant, same room, same start: one meeting. Also the deduplication key at Recall.

    `share` narrows who has the bot in common: a domain, a calendar. No part can hold a bar, and
    only a start holds a colon beside the room, so that nobody reaches into another part.
    """
    moment = start.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
    parts = [KEY_VERSION, _quoted(tenant_id), room(meeting_url), moment]
    if share is not None:
        parts.append(_quoted(share))
    key = "|".join(parts)
    if len(key.encode(errors="surrogatepass")) <= KEY_BYTES_MAX:
        return key
    return f"{KEY_VERSION}|sha256:{_digest(key)}|{moment}"


def room(meeting_url: str) -> str:
    """A stable name of the room; an unknown platform falls back to host and path.

    What is no address at all names itself: who invites writes it, and it must not stop the feed.
    """
    address = address_of(meeting_url)
    if address is None:
        return escaped(_BEFORE_QUERY.split(meeting_url.strip(), maxsplit=1)[0])
    known = _known(address)
    return _plain(address) if known is None else known[1]


def room_digest(meeting_url: str) -> str:
    """The room as a key of an index: 64 hex digits that tell nothing of the link."""
    return hashlib.sha256(room(meeting_url).encode(errors="surrogatepass")).hexdigest()


def platform_of(link: str) -> str | None:
    """The platform, in Recall's words, that has a room behind the link; None for any other."""
    address = address_of(link)
    known = _known(address) if address else None
    return known[0] if known else None


def _known(address: Address) -> tuple[str, str] | None:
    """Platform and room."""
    for platform, named in _ROOMS.items():
        name = named(address)
        if name is not None:
            return platform, name
    return None


def _zoom(address: Address) -> str | None:
    if not address.at("zoom.us", "zoom.com", "zoomgov.com"):
        return None
    # The application's own links name the meeting in the query.
    application = f"/j/{address.query.get('confno', '')}"
    if number := _ZOOM_NUMBER.search(address.path) or _ZOOM_NUMBER.match(application):
        return f"zoom:{number[1]}"
    if ticket := _ZOOM_TICKET.match(address.path):
        # A ticket to an event lets its holder in, and a key is no place for it.
        return _place(address, f"/ejl/sha256:{_digest(ticket[1])}")
    # The same name means another room at every host.
    return _plain(address) if _ZOOM_NAME.match(address.path) else None


def _meet(address: Address) -> str | None:
    if not address.at("meet.google.com"):
        return None
    path = address.path.lower()
    if code := _MEET_CODE.match(path):
        return f"meet:{code[1].replace('-', '')}"
    return _place(address, path) if path.startswith("/lookup/") else None


def _teams(address: Address) -> str | None:
    if not address.at(*_TEAMS_HOSTS):
        return None
    # The launcher and older clients carry the link's path behind the address of a page.
    for text in (address.path, address.query.get("url", ""), address.fragment):
        path = unquote(text)
        if thread := _TEAMS_THREAD.search(path):
            return f"teams:{escaped(unquote(thread[1]))}/{thread[2]}"
        if number := _TEAMS_NUMBER.search(path):
            return f"teams:{number[1]}"
    return None


def _webex(address: Address) -> str | None:
    """By site and MTID whatever page starts it, by the id of its page, or by whose room it is."""
    if not address.at("webex.com"):
        return None
    site = _webex_site(address)
    if site and (meeting := address.query.get("mtid")):
        # The page for phones serves every site.
        host = f"{site}.webex.com" if address.host == "m.webex.com" else address.host
        return f"{host}/{site}/j.php?{escaped(meeting)}"
    if page := _WEBEX_PAGE.search(address.path):
        return f"{address.host}/{site}/meeting/{page[1]}"
    if personal := _WEBEX_PERSONAL.match(address.path):
        return _place(address, f"/meet/{personal[1]}")
    return None


def _webex_site(address: Address) -> str | None:
    found = _WEBEX_SITE.search(address.path)
    site = (found[1] or found[2]) if found else address.query.get("siteurl")
    return escaped(site) if site else None


def _goto(address: Address) -> str | None:
    if not address.at(*_GOTO_HOSTS):
        return None
    wanted = f"/{address.query['meetingid']}" if "meetingid" in address.query else address.path
    number = _GOTO_NUMBER.match(wanted)
    if number:
        return f"meet.goto.com/{''.join(number.groups())}"
    named = address.at(*_GOTO_NAMING_HOSTS) and _GOTO_NAME.match(address.path)
    return _plain(address) if named else None


# In the order in which Recall looks for a link where an event holds several.
_ROOMS: Final[Mapping[str, Callable[[Address], str | None]]] = {
    "zoom": _zoom,
    "google_meet": _meet,
    "microsoft_teams": _teams,
    "webex": _webex,
    "goto_meeting": _goto,
}
PLATFORMS: Final = tuple(_ROOMS)


def _plain(address: Address) -> str:
    """By host and path, for a query may hold anything; an MTID is a meeting wherever it stands."""
    name = _place(address, address.path)
    meeting = address.query.get("mtid")
    return f"{name}?{escaped(meeting)}" if meeting else name


def _place(address: Address, path: str) -> str:
    return f"{address.host.removeprefix('www.')}{escaped(path).rstrip('/')}"


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="surrogatepass")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
