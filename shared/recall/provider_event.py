"""What only the provider's own payload tells of an event, read alike for Google and Microsoft."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import win_tz

from shared.domain.calendar import Platform
from shared.domain.event import Answer, Attendee
from shared.recall.reading import Fields, email, mapping, mappings, text

TITLE_CHARACTERS_MAX = 500
# Google shows 200 guests, Microsoft 500; more than a row keeps would decide otherwise later.
ATTENDEES_MAX = 500

# Tuples, because what stands in a payload need not be hashable.
_PRIVATE = ("private", "confidential")
_RECURRING = ("occurrence", "exception", "seriesMaster")
_GOOGLE_ROOM = "@resource.calendar.google.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFacts:
    """What only the provider's own payload tells."""

    title: str
    series_id: str | None
    recurring: bool
    all_day: bool
    cancelled: bool
    private: bool
    organizer_email: str | None
    owner_is_organizer: bool
    owner_answer: Answer
    attendees: tuple[Attendee, ...]
    guests_hidden: bool
    time_zone: str | None


def provider_facts(platform: Platform, raw: Fields) -> ProviderFacts:
    match platform:
        case Platform.GOOGLE:
            return _google(raw)
        case Platform.MICROSOFT:
            return _microsoft(raw)
        case never:
            assert_never(never)


def _google(raw: Fields) -> ProviderFacts:
    """An Event of the Google Calendar API v3; keys without a value are left out."""
    organizer = mapping(raw.get("organizer"))
    invited = mappings(raw.get("attendees"))
    own = next((entry for entry in invited if entry.get("self") is True), {})
    owns = organizer.get("self") is True or own.get("organizer") is True
    start = mapping(raw.get("start"))
    withheld = raw.get("guestsCanSeeOtherGuests") is False or not invited
    return ProviderFacts(
        title=_title(raw.get("summary")),
        series_id=text(raw.get("recurringEventId")),
        recurring=bool(raw.get("recurrence") or raw.get("originalStartTime")),
        all_day="date" in start and "dateTime" not in start,
        cancelled=raw.get("status") == "cancelled",
        private=raw.get("visibility") in _PRIVATE,
        organizer_email=email(organizer.get("email")),
        owner_is_organizer=owns,
        owner_answer=_own_answer(own.get("responseStatus"), owns=owns),
        attendees=_attendees(invited, _google_attendee),
        guests_hidden=_hidden(invited, withheld=withheld, owns=owns)
        or raw.get("attendeesOmitted") is True,
        time_zone=_time_zone(start.get("timeZone")),
    )


def _google_attendee(entry: Fields) -> Attendee | None:
    address = email(entry.get("email"))
    if address is None:
        return None
    return Attendee(
        email=address,
        answer=_answer(entry.get("responseStatus")),
        is_owner=entry.get("self") is True,
        is_resource=entry.get("resource") is True or address.endswith(_GOOGLE_ROOM),
    )


def _microsoft(raw: Fields) -> ProviderFacts:
    """An event of Microsoft Graph; nothing marks the owner among the attendees."""
    organizer_email = _graph_address(raw.get("organizer"))
    invited = mappings(raw.get("attendees"))
    response = mapping(raw.get("responseStatus")).get("response")
    owns = raw.get("isOrganizer") is True or response == "organizer"
    owner_email = organizer_email if owns else None
    withheld = raw.get("hideAttendees") is True or not invited
    return ProviderFacts(
        title=_title(raw.get("subject")),
        series_id=text(raw.get("seriesMasterId")),
        recurring=_recurring_in_graph(raw),
        all_day=raw.get("isAllDay") is True,
        cancelled=raw.get("isCancelled") is True,
        private=raw.get("sensitivity") in _PRIVATE,
        organizer_email=organizer_email,
        owner_is_organizer=owns,
        owner_answer=_own_answer(response, owns=owns),
        attendees=_attendees(invited, lambda entry: _graph_attendee(entry, owner_email)),
        guests_hidden=_hidden(invited, withheld=withheld, owns=owns),
        # Graph answers `start` in UTC unless asked otherwise; the other names where it was planned.
        time_zone=_time_zone(raw.get("originalStartTimeZone"))
        or _time_zone(mapping(raw.get("start")).get("timeZone")),
    )


def _recurring_in_graph(raw: Fields) -> bool:
    return bool(raw.get("recurrence")) or raw.get("type") in _RECURRING


def _graph_attendee(entry: Fields, owner_email: str | None) -> Attendee | None:
    email = _graph_address(entry)
    if email is None:
        return None
    return Attendee(
        email=email,
        answer=_answer(mapping(entry.get("status")).get("response")),
        is_owner=email == owner_email,
        is_resource=entry.get("type") == "resource",
    )


def _graph_address(person: object) -> str | None:
    return email(mapping(mapping(person).get("emailAddress")).get("address"))


def _attendees(
    invited: list[Fields], parse: Callable[[Fields], Attendee | None]
) -> tuple[Attendee, ...]:
    parsed = (parse(entry) for entry in invited[:ATTENDEES_MAX])
    return tuple(attendee for attendee in parsed if attendee is not None)


def _hidden(invited: list[Fields], *, withheld: bool, owns: bool) -> bool:
    """The organizer sees every guest, whatever the others may see."""
    return (withheld and not owns) or len(invited) > ATTENDEES_MAX


_ANSWERS = {
    "accepted": Answer.ACCEPTED,
    "organizer": Answer.ACCEPTED,
    "declined": Answer.DECLINED,
    "tentative": Answer.TENTATIVE,
    "tentativelyAccepted": Answer.TENTATIVE,
}


def _answer(word: object) -> Answer:
    return _ANSWERS.get(word, Answer.NONE) if isinstance(word, str) else Answer.NONE


def _own_answer(word: object, *, owns: bool) -> Answer:
    """An organizer who is not on the list has accepted."""
    return Answer.ACCEPTED if word is None and owns else _answer(word)


def _title(value: object) -> str:
    return text(value, characters_max=TITLE_CHARACTERS_MAX) or ""


def _time_zone(value: object) -> str | None:
    name = text(value)
    return None if name is None else _zone_name(name)


@lru_cache(maxsize=1_024)
def _zone_name(name: str) -> str | None:
    """An IANA name, from one or from a name of Windows; None for what is neither."""
    iana = win_tz.get(name, name)
    try:
        ZoneInfo(iana)
    except (KeyError, ValueError, OSError):
        return None
    return iana
