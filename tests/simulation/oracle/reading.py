"""An event of either provider, read into what the rules ask about."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from tests.simulation.oracle.facts import CalendarFact, CopyFact
from tests.simulation.oracle.rooms import is_meeting_link

NONE, DECLINED, TENTATIVE, ACCEPTED = 1, 0, 2, 3
ANSWERS = {
    "declined": DECLINED,
    "tentative": TENTATIVE,
    "tentativelyAccepted": TENTATIVE,
    "accepted": ACCEPTED,
    "organizer": ACCEPTED,
}
# What Outlook calls the zones that appear in the tests.
WINDOWS_ZONES = {
    "W. Europe Standard Time": "Europe/Berlin",
    "GMT Standard Time": "Europe/London",
    "Eastern Standard Time": "America/New_York",
    "Pacific Standard Time": "America/Los_Angeles",
    "Tokyo Standard Time": "Asia/Tokyo",
    "India Standard Time": "Asia/Kolkata",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    address: str
    answer: int

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """`others`: whoever is invited or organizes, without the owner and without resources.

    `owner`: the calendar's address, else the one that the provider marks as the owner's.
    """

    event_id: str
    owner: str
    start: datetime
    end: datetime
    title: str
    deleted: bool
    cancelled: bool
    all_day: bool
    private: bool
    link: str | None
    link_elsewhere: bool
    platform: str | None
    owner_organizes: bool
    owner_answer: int
    organizer: str | None
    others: tuple[Person, ...]
    hidden: bool
    recurs: bool
    series_id: str | None
    uid: str | None
    zone: str | None
    updated_at: datetime | None


def read(copy: CopyFact, calendar: CalendarFact) -> Copy:
    raw = copy.shown.get("raw") or {}
    platform = copy.shown.get("platform") or calendar.platform
    reader = _google if platform == "google_calendar" else _microsoft
    own = reader(raw, address(calendar.email))
    link = copy.shown.get("meeting_url") or None
    updated = copy.shown.get("updated_at")
    return Copy(
        event_id=copy.event_id,
        start=moment(copy.shown["start_time"]),
        end=moment(copy.shown["end_time"]),
        deleted=bool(copy.shown.get("is_deleted")),
        link=link,
        link_elsewhere=link is None and any(map(is_meeting_link, own.pop("links"))),
        platform=copy.shown.get("meeting_platform"),
        updated_at=moment(updated) if updated else None,
        **{key: value for key, value in own.items() if key != "links"},
    )


def moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def address(text: str | None) -> str:
    """Lower case; googlemail.com is gmail.com, and nothing else is anything else."""
    plain = (text or "").strip().lower()
    name, at, domain = plain.rpartition("@")
    return f"{name}@gmail.com" if at and domain == "googlemail.com" else plain


def _google(raw: dict[str, Any], owner: str) -> dict[str, Any]:
    invited = raw.get("attendees") or []
    organizer = raw.get("organizer") or {}
    mine = [one for one in invited if one.get("self")]
    mine = mine or [one for one in invited if owner and address(one.get("email")) == owner]
    mine_at = {owner} | {address(one.get("email")) for one in mine}
    marked = bool(organizer.get("self")) or any(
        one.get("self") and one.get("organizer") for one in mine
    )
    organizes = marked or address(organizer.get("email")) in mine_at - {""}
    if organizer.get("self"):
        mine_at.add(address(organizer.get("email")))
    # The organizer sees a list that is hidden from guests, but nobody sees what was left out.
    omitted = bool(raw.get("attendeesOmitted"))
    withheld = not marked and (raw.get("guestsCanSeeOtherGuests") is False or not invited)
    zone = (raw.get("start") or {}).get("timeZone")
    entries = (raw.get("conferenceData") or {}).get("entryPoints") or []
    return {
        "title": raw.get("summary") or "",
        "cancelled": raw.get("status") == "cancelled",
        "all_day": "date" in (raw.get("start") or {}),
        "private": raw.get("visibility") in {"private", "confidential"},
        "owner_organizes": organizes,
        "owner_answer": _own_answer(mine[0].get("responseStatus") if mine else None, organizes),
        "organizer": address(organizer.get("email")) or None,
        "others": _others(
            [
                (address(one.get("email")), one.get("responseStatus"), bool(one.get("resource")))
                for one in invited
            ],
            address(organizer.get("email")),
            mine_at,
        ),
        "hidden": omitted or withheld,
        "owner": owner or next((at for at in sorted(mine_at) if at), ""),
        "recurs": bool(raw.get("recurringEventId") or raw.get("originalStartTime")),
        "series_id": raw.get("recurringEventId") or None,
        "uid": raw.get("iCalUID"),
        "zone": zone,
        "links": _links(
            raw.get("hangoutLink"),
            *(one.get("uri") for one in entries if one.get("entryPointType") == "video"),
            raw.get("location"),
            raw.get("description"),
        ),
    }


def _microsoft(raw: dict[str, Any], owner: str) -> dict[str, Any]:
    invited = raw.get("attendees") or []
    organizer = address(((raw.get("organizer") or {}).get("emailAddress") or {}).get("address"))
    response = (raw.get("responseStatus") or {}).get("response")
    marked = bool(raw.get("isOrganizer")) or response == "organizer"
    organizes = marked or bool(owner and organizer == owner)
    zone = raw.get("originalStartTimeZone")
    return {
        "title": raw.get("subject") or "",
        "cancelled": bool(raw.get("isCancelled")),
        "all_day": bool(raw.get("isAllDay")),
        "private": raw.get("sensitivity") in {"private", "confidential"},
        "owner_organizes": organizes,
        "owner_answer": _own_answer(response, organizes),
        "organizer": organizer or None,
        "others": _others(
            [
                (
                    address((one.get("emailAddress") or {}).get("address")),
                    (one.get("status") or {}).get("response"),
                    one.get("type") == "resource",
                )
                for one in invited
            ],
            organizer,
            {owner} | ({organizer} if marked else set()),
        ),
        "hidden": not marked and (bool(raw.get("hideAttendees")) or not invited),
        "owner": owner or (organizer if marked else ""),
        "recurs": bool(raw.get("seriesMasterId")) or raw.get("type") in {"occurrence", "exception"},
        "series_id": raw.get("seriesMasterId") or None,
        "uid": raw.get("uid") or raw.get("iCalUId"),
        "zone": WINDOWS_ZONES.get(zone, zone),
        "links": _links(
            (raw.get("onlineMeeting") or {}).get("joinUrl"),
            raw.get("onlineMeetingUrl"),
            (raw.get("location") or {}).get("displayName"),
            (raw.get("body") or {}).get("content"),
        ),
    }


def _own_answer(word: str | None, organizes: bool) -> int:
    """An organizer has accepted, unless declined in so many words."""
    answer = ANSWERS.get(word or "", NONE)
    return ACCEPTED if organizes and answer != DECLINED else answer


def _others(
    invited: list[tuple[str, str | None, bool]], organizer: str, mine: set[str]
) -> tuple[Person, ...]:
    found: dict[str, Person] = {}
    rooms = {at for at, _, resource in invited if resource}
    for at, answer, _ in invited:
        if at not in mine | rooms and _is_human(at):
            found.setdefault(at, Person(address=at, answer=ANSWERS.get(answer or "", NONE)))
    if organizer not in mine | rooms | {""} and _is_human(organizer):
        found.setdefault(organizer, Person(address=organizer, answer=ACCEPTED))
    return tuple(found.values())


def _is_human(at: str) -> bool:
    return "@" in at and not at.endswith("calendar.google.com")


def _links(*texts: str | None) -> list[str]:
    """Every link in the texts, and what stands inside a link that redirects."""
    outer = [link for text in texts for link in re.findall(r"https?://[^\s<>\"']+", text or "")]
    inner = [part for link in outer for part in re.findall(r"https?://[^&\s]+", unquote(link)[8:])]
    return outer + inner
