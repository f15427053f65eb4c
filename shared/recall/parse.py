"""Recall's JSON into domain values: calendars through an allow-list, events normalised.

Lenient where a provider may leave a key out, strict where a missing fact would harm: what
identifies an event, when it is, its link and its bots. An event that cannot be read is set
aside, because reading it as empty would take its bot away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar, assert_never

from shared.domain.calendar import CalendarStatus, Platform, RecallCalendar
from shared.domain.event import Answer, Attendee, Event, EventBot, ListedEvent

# DynamoDB keys end at 2,048 bytes; Recall's own limit for a deduplication key is 2,000.
IDENTITY_CHARACTERS_MAX = 2_000
TITLE_CHARACTERS_MAX = 500
REASON_CHARACTERS_MAX = 300
EMAIL_CHARACTERS_MAX = 320
# Google shows 200 guests, Microsoft 500; the rest would only swell the row.
ATTENDEES_MAX = 1_000
UNKNOWN_ID = "?"

Fields = Mapping[str, object]
Value = TypeVar("Value")
Word = TypeVar("Word", bound=StrEnum)

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Tuples, because what stands in a payload need not be hashable.
_PRIVATE = ("private", "confidential")
_RECURRING = ("occurrence", "exception", "seriesMaster")
_GOOGLE_ROOM = "@resource.calendar.google.com"


class Malformed(Exception):
    """A document that lacks what it is known by; `key` names what was wrong."""

    def __init__(self, key: str) -> None:
        super().__init__(f"malformed: {key}")
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallBot:
    """A bot as Recall's bot endpoints show it; `status` is the newest code, an open set."""

    bot_id: str
    status: str | None
    sub_code: str | None
    join_at: datetime | None
    metadata: Mapping[str, str]


def parse_each(
    results: Iterable[object], parse: Callable[[object], Value]
) -> tuple[tuple[Value, ...], tuple[str, ...]]:
    """What could be read, and the ids ("?" where even that is missing) of what could not."""
    values: list[Value] = []
    malformed: list[str] = []
    for document in results:
        try:
            values.append(parse(document))
        except Malformed:
            malformed.append(_id_of(document))
    return tuple(values), tuple(malformed)


def parse_calendar(document: object) -> RecallCalendar:
    """The fields without secrets; the document also echoes the OAuth client and its token."""
    fields = _fields(document, key="calendar")
    status = _word(fields, "status", words=CalendarStatus)
    return RecallCalendar(
        calendar_id=_id(fields, "id"),
        platform=_word(fields, "platform", words=Platform),
        email=_email(fields.get("platform_email")),
        status=status,
        status_reason=_status_reason(fields, status),
        created_at=_moment(fields, "created_at"),
        updated_at=_moment(fields, "updated_at"),
    )


def parse_event(document: object) -> ListedEvent:
    """One element of List Calendar Events; raises Malformed."""
    fields = _fields(document, key="event")
    return ListedEvent(
        event=_event(fields),
        bots=tuple(_event_bot(entry) for entry in _list(fields, "bots")),
        updated_at=_moment(fields, "updated_at"),
    )


def parse_bot(document: object) -> RecallBot:
    """A bot; `metadata` keeps its texts only."""
    fields = _fields(document, key="bot")
    newest = _newest(fields.get("status_changes"))
    metadata = _mapping(fields.get("metadata"))
    return RecallBot(
        bot_id=_id(fields, "id"),
        status=_text(newest.get("code")),
        sub_code=_text(newest.get("sub_code")),
        join_at=_moment(fields, "join_at") if fields.get("join_at") is not None else None,
        metadata={key: value for key, value in metadata.items() if isinstance(value, str)},
    )


def _event(fields: Fields) -> Event:
    platform = _word(fields, "platform", words=Platform)
    deleted = fields.get("is_deleted") is True
    facts = _facts(platform, _raw(fields, deleted=deleted))
    ical_uid = _text(fields.get("ical_uid")) or ""
    return Event(
        event_id=_id(fields, "id"),
        calendar_id=_id(fields, "calendar_id"),
        platform=platform,
        platform_id=_identity(fields, "platform_id"),
        ical_uid=ical_uid,
        series_id=facts.series_id or (facts.recurring and ical_uid) or None,
        title=facts.title,
        start=_moment(fields, "start_time"),
        end=_moment(fields, "end_time"),
        all_day=facts.all_day,
        cancelled=facts.cancelled,
        deleted=deleted,
        private=facts.private,
        meeting_url=_link(fields),
        meeting_platform=_text(fields.get("meeting_platform")),
        organizer_email=facts.organizer_email,
        owner_is_organizer=facts.owner_is_organizer,
        owner_answer=facts.owner_answer,
        attendees=facts.attendees,
        guests_hidden=facts.guests_hidden,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
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


def _facts(platform: Platform, raw: Fields) -> _Facts:
    match platform:
        case Platform.GOOGLE:
            return _google(raw)
        case Platform.MICROSOFT:
            return _microsoft(raw)
        case never:
            assert_never(never)


def _google(raw: Fields) -> _Facts:
    """An Event of the Google Calendar API v3; keys without a value are left out."""
    organizer = _mapping(raw.get("organizer"))
    invited = _mappings(raw.get("attendees"))
    own = next((entry for entry in invited if entry.get("self") is True), {})
    owns = organizer.get("self") is True or own.get("organizer") is True
    start = _mapping(raw.get("start"))
    withheld = raw.get("guestsCanSeeOtherGuests") is False or not invited
    return _Facts(
        title=_title(raw.get("summary")),
        series_id=_text(raw.get("recurringEventId")),
        recurring=bool(raw.get("recurrence") or raw.get("originalStartTime")),
        all_day="date" in start and "dateTime" not in start,
        cancelled=raw.get("status") == "cancelled",
        private=raw.get("visibility") in _PRIVATE,
        organizer_email=_email(organizer.get("email")),
        owner_is_organizer=owns,
        owner_answer=_own_answer(own.get("responseStatus"), owns=owns),
        attendees=_attendees(invited, _google_attendee),
        guests_hidden=_hidden(invited, withheld=withheld, owns=owns)
        or raw.get("attendeesOmitted") is True,
    )


def _google_attendee(entry: Fields) -> Attendee | None:
    email = _email(entry.get("email"))
    if email is None:
        return None
    return Attendee(
        email=email,
        answer=_answer(entry.get("responseStatus")),
        is_owner=entry.get("self") is True,
        is_resource=entry.get("resource") is True or email.endswith(_GOOGLE_ROOM),
    )


def _microsoft(raw: Fields) -> _Facts:
    """An event of Microsoft Graph; nothing marks the owner among the attendees."""
    organizer_email = _graph_address(raw.get("organizer"))
    invited = _mappings(raw.get("attendees"))
    response = _mapping(raw.get("responseStatus")).get("response")
    owns = raw.get("isOrganizer") is True or response == "organizer"
    owner_email = organizer_email if owns else None
    withheld = raw.get("hideAttendees") is True or not invited
    return _Facts(
        title=_title(raw.get("subject")),
        series_id=_text(raw.get("seriesMasterId")),
        recurring=_recurring_in_graph(raw),
        all_day=raw.get("isAllDay") is True,
        cancelled=raw.get("isCancelled") is True,
        private=raw.get("sensitivity") in _PRIVATE,
        organizer_email=organizer_email,
        owner_is_organizer=owns,
        owner_answer=_own_answer(response, owns=owns),
        attendees=_attendees(invited, lambda entry: _graph_attendee(entry, owner_email)),
        guests_hidden=_hidden(invited, withheld=withheld, owns=owns),
    )


def _recurring_in_graph(raw: Fields) -> bool:
    return bool(raw.get("recurrence")) or raw.get("type") in _RECURRING


def _graph_attendee(entry: Fields, owner_email: str | None) -> Attendee | None:
    email = _graph_address(entry)
    if email is None:
        return None
    return Attendee(
        email=email,
        answer=_answer(_mapping(entry.get("status")).get("response")),
        is_owner=email == owner_email,
        is_resource=entry.get("type") == "resource",
    )


def _graph_address(person: object) -> str | None:
    return _email(_mapping(_mapping(person).get("emailAddress")).get("address"))


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


def _event_bot(entry: object) -> EventBot:
    fields = _fields(entry, key="bots")
    return EventBot(
        bot_id=_id(fields, "bot_id"),
        start=_moment(fields, "start_time"),
        deduplication_key=_identity(fields, "deduplication_key"),
        meeting_url=_text(fields.get("meeting_url")) or "",
    )


def _link(fields: Fields) -> str | None:
    """The key must be there: an event whose link went unread would lose its bot."""
    if "meeting_url" not in fields:
        raise Malformed("meeting_url")
    return _identity(fields, "meeting_url") if fields["meeting_url"] else None


def _raw(fields: Fields, *, deleted: bool) -> Fields:
    """Without the payload nobody knows whether a meeting is private; the deleted need none."""
    raw = fields.get("raw")
    return {} if deleted and raw is None else _fields(raw, key="raw")


def _status_reason(fields: Fields, status: CalendarStatus) -> str | None:
    """Recall's code, else its text, for a calendar that lost its connection."""
    newest = _newest(fields.get("status_changes"))
    if status is not CalendarStatus.DISCONNECTED or newest.get("status") != status:
        return None
    reason = _text(newest.get("sub_code")) or _text(newest.get("message"))
    return reason[:REASON_CHARACTERS_MAX] if reason else None


def _newest(changes: object) -> Fields:
    """The order of the list is not promised; times in one format sort as text."""
    return max(_mappings(changes), key=lambda change: str(change.get("created_at")), default={})


def _id_of(document: object) -> str:
    identity = _mapping(document).get("id")
    readable = isinstance(identity, str) and _ID.fullmatch(identity)
    return str(identity) if readable else UNKNOWN_ID


def _fields(document: object, *, key: str) -> Fields:
    if not isinstance(document, Mapping):
        raise Malformed(key)
    return document


def _mapping(value: object) -> Fields:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Fields]:
    entries = value if isinstance(value, list) else []
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _list(fields: Fields, key: str) -> list[object]:
    value = fields.get(key)
    if not isinstance(value, list):
        raise Malformed(key)
    return value


def _id(fields: Fields, key: str) -> str:
    """An id of Recall's, which also becomes part of paths."""
    identity = _identity(fields, key)
    if not _ID.fullmatch(identity):
        raise Malformed(key)
    return identity


def _identity(fields: Fields, key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= IDENTITY_CHARACTERS_MAX:
        raise Malformed(key)
    if _text(value) != value:  # half a surrogate pair, which no store takes
        raise Malformed(key)
    return value


def _word(fields: Fields, key: str, *, words: type[Word]) -> Word:
    try:
        return words(_identity(fields, key))
    except ValueError:
        raise Malformed(key) from None


def _moment(fields: Fields, key: str) -> datetime:
    value = fields.get(key)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None or moment.tzinfo is None:
            raise Malformed(key)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed(key) from None


def _text(value: object) -> str | None:
    """A text that can be stored, or None; JSON may carry halves of surrogate pairs."""
    if not isinstance(value, str) or not value:
        return None
    return value.encode("utf-8", "replace").decode()


def _title(value: object) -> str:
    return (_text(value) or "")[:TITLE_CHARACTERS_MAX]


def _email(value: object) -> str | None:
    """Addresses are compared, so they are kept in one form."""
    email = (_text(value) or "").strip().lower()
    return email if 0 < len(email) <= EMAIL_CHARACTERS_MAX else None
