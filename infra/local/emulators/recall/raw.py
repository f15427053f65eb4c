"""Provider payloads: the same appointment as Google Calendar v3 and as Microsoft Graph say it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from infra.local.emulators.recall.links import link_of

Answer = Literal["accepted", "declined", "tentative", "none"]
_GOOGLE_ANSWERS = {
    "accepted": "accepted", "declined": "declined", "tentative": "tentative",
    "none": "needsAction",
}  # fmt: skip
_MICROSOFT_ANSWERS = {
    "accepted": "accepted", "declined": "declined", "tentative": "tentativelyAccepted",
    "none": "none",
}  # fmt: skip
_WINDOWS_ZONES = {
    "Europe/Berlin": "W. Europe Standard Time", "America/New_York": "Eastern Standard Time",
    "Europe/London": "GMT Standard Time", "Asia/Tokyo": "Tokyo Standard Time",
}  # fmt: skip
_NEVER = "0001-01-01T00:00:00Z"
_ITEM = "AAMkAGVmMDEzMTM4LTZmYWUtNDdkNC1hMDZiLTU1OGY5OTZhYmY4OABG"
_GLOBAL_ID = "040000008200E00074C5B7101A82E008"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Somebody invited; `answer` is what they said."""

    email: str
    answer: Answer = "none"
    name: str | None = None
    optional: bool = False
    resource: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """One appointment in one account's calendar, in neither provider's words.

    `attendees` are the others (neither the owner nor the organizer); `answer` is the owner's.
    `link_in` says where the link stands; "auto" is the join button where the provider has one.
    """

    id: str
    ical_uid: str
    title: str
    start: datetime
    end: datetime
    created: datetime
    updated: datetime
    organizer: Guest | None = None
    answer: Answer = "none"
    attendees: tuple[Guest, ...] = ()
    link: str | None = None
    link_in: Literal["auto", "conference", "location", "description"] = "auto"
    description: str | None = None
    location: str | None = None
    series: str | None = None
    original_start: datetime | None = None
    private: bool = False
    all_day: bool = False
    hidden_guests: bool = False
    owner_invited: bool = True
    show_as: Literal["busy", "free", "tentative", "oof"] = "busy"
    sequence: int = 0
    cancelled: bool = False
    minimal: bool = False

    @property
    def organized(self) -> bool:
        """Whether the owner of the calendar is the organizer."""
        return self.organizer is None

    @property
    def moved(self) -> bool:
        return self.original_start is not None and self.original_start != self.start


def google_raw(appointment: Appointment, *, owner: str, zone: str) -> dict[str, Any]:
    """An Event resource of Google Calendar v3; keys without a value are left out."""
    event_id = appointment.id
    if appointment.minimal:
        return {"kind": "calendar#event", "id": event_id, "status": "cancelled"}
    person = _google_organizer(appointment, owner)
    found: dict[str, Any] = {
        "kind": "calendar#event",
        "etag": f'"{_digest(event_id, str(appointment.sequence), str(appointment.updated))[:16]}"',
        "id": event_id,
        "status": "cancelled" if appointment.cancelled else "confirmed",
        "htmlLink": f"https://www.google.com/calendar/event?eid={_digest(event_id)}",
        "created": _google_stamp(appointment.created),
        "updated": _google_stamp(appointment.updated),
        "summary": appointment.title,
        "description": _description(appointment, "google"),
        "location": _location(appointment, "google"),
        "creator": person,
        "organizer": person,
        "start": _google_time(appointment.start, zone, all_day=appointment.all_day),
        "end": _google_time(appointment.end, zone, all_day=appointment.all_day),
        "transparency": "transparent" if appointment.show_as == "free" else None,
        "visibility": "private" if appointment.private else None,
        "iCalUID": appointment.ical_uid,
        "sequence": appointment.sequence,
        "attendees": _google_attendees(appointment, owner),
        "reminders": {"useDefault": not appointment.all_day},
        "eventType": "default",
    }
    found |= _google_series(appointment, zone) | _google_conference(appointment)
    if appointment.hidden_guests:
        found |= {"guestsCanSeeOtherGuests": False, "guestsCanInviteOthers": False}
    return {key: value for key, value in found.items() if value not in (None, [])}


def _google_organizer(appointment: Appointment, owner: str) -> dict[str, Any]:
    if appointment.organizer is None:
        return {"email": owner, "self": True}
    name = appointment.organizer.name
    return {"email": appointment.organizer.email} | ({"displayName": name} if name else {})


def _google_attendees(appointment: Appointment, owner: str) -> list[dict[str, Any]]:
    own: dict[str, Any] = {"email": owner, "self": True}
    others = [_google_attendee(guest) for guest in appointment.attendees]
    if appointment.organized:
        if not appointment.attendees:
            return []
        # An organizer has accepted until they say no in so many words.
        declined = appointment.answer == "declined"
        own |= {"organizer": True, "responseStatus": "declined" if declined else "accepted"}
        return [own, *others]
    own["responseStatus"] = _GOOGLE_ANSWERS[appointment.answer]
    if appointment.hidden_guests:
        return [own]
    host = _google_organizer(appointment, owner) | {"organizer": True, "responseStatus": "accepted"}
    if not appointment.owner_invited:
        return [host, *others] if others else []
    return [host, own, *others]


def _google_attendee(guest: Guest) -> dict[str, Any]:
    found: dict[str, Any] = {"email": guest.email}
    found |= {"displayName": guest.name} if guest.name else {}
    found |= {"optional": True} if guest.optional else {}
    found |= {"resource": True} if guest.resource else {}
    return found | {"responseStatus": _GOOGLE_ANSWERS[guest.answer]}


def _google_series(appointment: Appointment, zone: str) -> dict[str, Any]:
    if appointment.series is None:
        return {}
    original = appointment.original_start or appointment.start
    return {
        "recurringEventId": appointment.series,
        "originalStartTime": _google_time(original, zone, all_day=appointment.all_day),
    }


def _google_conference(appointment: Appointment) -> dict[str, Any]:
    link = appointment.link
    if link is None or _place(appointment, "google") != "conference":
        return {}
    known = link_of(link)
    meet = known is not None and known.platform == "google_meet"
    bare = link.removeprefix("https://").split("?")[0]
    solution = {
        "key": {"type": "hangoutsMeet" if meet else "addOn"},
        "name": "Google Meet" if meet else "Video Meeting",
        "iconUri": "https://static.example.com/meet-icon.png",
    }
    found: dict[str, Any] = {
        "conferenceData": {
            "entryPoints": [{"entryPointType": "video", "uri": link, "label": bare}],
            "conferenceSolution": solution,
            "conferenceId": bare.rsplit("/", 1)[-1],
        }
    }
    return found | ({"hangoutLink": link} if meet else {})


def _google_time(moment: datetime, zone: str, *, all_day: bool) -> dict[str, str]:
    local = moment.astimezone(ZoneInfo(zone))
    if all_day:
        return {"date": moment.astimezone(UTC).date().isoformat()}
    return {"dateTime": local.isoformat(timespec="seconds"), "timeZone": zone}


def _google_stamp(moment: datetime) -> str:
    return (
        moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
    )


def microsoft_raw(appointment: Appointment, *, owner: str, zone: str) -> dict[str, Any]:
    """An event of Microsoft Graph; empty values are present."""
    text = _description(appointment, "microsoft") or ""
    change = _digest(appointment.id, str(appointment.updated))[:22] + "=="
    windows = _WINDOWS_ZONES.get(zone, "UTC")
    answer = "organizer" if appointment.organized else _microsoft_own_answer(appointment)
    place = _microsoft_location(_location(appointment, "microsoft"))
    online = _place(appointment, "microsoft") == "conference" and appointment.link is not None
    known = link_of(appointment.link) if online else None
    teams = known is not None and known.platform.startswith("microsoft_teams")
    return {
        "@odata.type": "#microsoft.graph.event",
        "@odata.etag": f'W/"{change}"',
        "id": appointment.id,
        "createdDateTime": _microsoft_stamp(appointment.created),
        "lastModifiedDateTime": _microsoft_stamp(appointment.updated),
        "changeKey": change,
        "categories": [],
        "transactionId": None,
        "originalStartTimeZone": windows,
        "originalEndTimeZone": windows,
        "iCalUId": appointment.ical_uid,
        "uid": _microsoft_uid(appointment),
        "reminderMinutesBeforeStart": 15,
        "isReminderOn": not appointment.all_day,
        "hasAttachments": False,
        "subject": ("Canceled: " if appointment.cancelled else "") + appointment.title,
        "bodyPreview": text[:255],
        "importance": "normal",
        "sensitivity": "private" if appointment.private else "normal",
        "isAllDay": appointment.all_day,
        "isCancelled": appointment.cancelled,
        "isOrganizer": appointment.organized,
        "responseRequested": True,
        "seriesMasterId": appointment.series,
        "showAs": "free" if appointment.cancelled else appointment.show_as,
        "type": _microsoft_type(appointment),
        "webLink": f"https://outlook.office365.example/owa/?itemid={_digest(appointment.id)}"
        "&exvsurl=1&path=/calendar/item",
        "onlineMeetingUrl": None,
        "isOnlineMeeting": online,
        "onlineMeetingProvider": "teamsForBusiness" if teams else "unknown",
        "allowNewTimeProposals": True,
        "occurrenceId": _microsoft_occurrence(appointment),
        "isDraft": False,
        "hideAttendees": appointment.hidden_guests,
        "originalStart": _seconds(appointment.original_start) if appointment.series else None,
        "responseStatus": {
            "response": answer,
            "time": _NEVER
            if answer in {"organizer", "none", "notResponded"}
            else _seconds(appointment.updated),
        },
        "body": {
            "contentType": "html",
            "content": f"<html><body>{text or '&nbsp;'}</body></html>",
        },
        "start": _microsoft_time(appointment.start),
        "end": _microsoft_time(appointment.end),
        "location": place,
        "locations": [place] if place["displayName"] else [],
        "recurrence": None,
        "attendees": _microsoft_attendees(appointment, owner),
        "organizer": {"emailAddress": _microsoft_organizer(appointment, owner)},
        "onlineMeeting": {"joinUrl": appointment.link} if online else None,
    }


def _microsoft_own_answer(appointment: Appointment) -> str:
    found = _MICROSOFT_ANSWERS[appointment.answer]
    return "notResponded" if found == "none" else found


def _microsoft_organizer(appointment: Appointment, owner: str) -> dict[str, str]:
    if appointment.organizer is None:
        return {"name": "Calendar Owner", "address": owner}
    host = appointment.organizer
    return {"name": host.name or host.email, "address": host.email}


def _microsoft_attendees(appointment: Appointment, owner: str) -> list[dict[str, Any]]:
    found = [_microsoft_attendee(guest, appointment.updated) for guest in appointment.attendees]
    if appointment.organizer is None:
        return found
    own = Guest(email=owner, name="Calendar Owner", answer=appointment.answer)
    shown = _microsoft_attendee(own, appointment.updated)
    if appointment.hidden_guests:
        return [shown]
    host = Guest(email=appointment.organizer.email, name=appointment.organizer.name)
    hosted = [_microsoft_attendee(host, appointment.updated)]
    return [*hosted, *([shown] if appointment.owner_invited else []), *found]


def _microsoft_attendee(guest: Guest, answered: datetime) -> dict[str, Any]:
    kind = "resource" if guest.resource else "optional" if guest.optional else "required"
    answer = _MICROSOFT_ANSWERS[guest.answer]
    return {
        "type": kind,
        "status": {
            "response": answer,
            "time": _NEVER if answer == "none" else _seconds(answered),
        },
        "emailAddress": {"name": guest.name or guest.email, "address": guest.email},
    }


def _microsoft_type(appointment: Appointment) -> str:
    if appointment.series is None:
        return "singleInstance"
    return "exception" if appointment.moved else "occurrence"


def _microsoft_occurrence(appointment: Appointment) -> str | None:
    if appointment.series is None:
        return None
    original = appointment.original_start or appointment.start
    return f"OID.{appointment.series}.{original.astimezone(UTC).date().isoformat()}"


def _microsoft_uid(appointment: Appointment) -> str:
    """Shared by a series, while `iCalUId` differs per occurrence."""
    if appointment.series is None:
        return appointment.ical_uid
    known = appointment.ical_uid
    return f"{known[:32]}{'0' * 8}{known[40:]}" if known.startswith(_GLOBAL_ID) else known


def _microsoft_location(text: str | None) -> dict[str, str]:
    if not text:
        return {"displayName": "", "locationType": "default", "uniqueIdType": "unknown"}
    return {
        "displayName": text,
        "locationType": "default",
        "uniqueIdType": "private",
        "uniqueId": text,
    }


def _microsoft_time(moment: datetime) -> dict[str, str]:
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return {"dateTime": f"{text}.{moment.microsecond:06}0", "timeZone": "UTC"}


def _microsoft_stamp(moment: datetime) -> str:
    return _microsoft_time(moment)["dateTime"] + "Z"


def _seconds(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def _place(appointment: Appointment, provider: Literal["google", "microsoft"]) -> str:
    """Where the link stands; a join button exists for the provider's own rooms only."""
    if appointment.link_in != "auto":
        return appointment.link_in
    known = link_of(appointment.link)
    own = {"google": ("google_meet", "zoom"), "microsoft": ("microsoft_teams",)}[provider]
    if known and known.platform in own:
        return "conference"
    return "location" if known else "description"


def _location(appointment: Appointment, provider: Literal["google", "microsoft"]) -> str | None:
    place = _place(appointment, provider)
    if appointment.link and place == "location":
        return appointment.link
    known = link_of(appointment.link)
    if provider == "microsoft" and place == "conference" and known and "teams" in known.platform:
        return appointment.location or "Microsoft Teams Meeting"
    return appointment.location


def _description(appointment: Appointment, provider: Literal["google", "microsoft"]) -> str | None:
    if appointment.link and _place(appointment, provider) == "description":
        return "\n".join(filter(None, (appointment.description, f"Join: {appointment.link}")))
    return appointment.description


def google_event_id(*parts: str) -> str:
    """26 characters of base32hex, as Google makes them."""
    number = int(_digest(*parts), 16)
    return "".join("0123456789abcdefghijklmnopqrstuv"[number >> 5 * n & 31] for n in range(26))


def microsoft_event_id(*parts: str) -> str:
    return f"{_ITEM}{_digest(*parts)}AAAAAAENAAA="


def global_object_id(series: str, occurrence: datetime | None = None) -> str:
    """Outlook's global object id; an occurrence's carries its date."""
    day = (
        f"{occurrence.year:04X}{occurrence.month:02X}{occurrence.day:02X}"
        if occurrence
        else "0" * 8
    )
    left, right = _digest(series, "left"), _digest(series, "right")
    return f"{_GLOBAL_ID}{day}{left[:16]}{'0' * 16}10000000{right}".upper()


def _digest(*parts: str) -> str:
    return hashlib.md5("\0".join(parts).encode(), usedforsecurity=False).hexdigest()


def raw_of(appointment: Appointment, *, platform: str, owner: str, zone: str) -> Mapping[str, Any]:
    """The payload in the words of the platform."""
    build = google_raw if platform == "google_calendar" else microsoft_raw
    return build(appointment, owner=owner, zone=zone)
