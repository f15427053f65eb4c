"""Recall's JSON into domain values: calendars through an allow-list, events normalised.

Lenient where a provider may leave a key out, strict where a missing fact would harm: what
identifies an event, when it is, its link and its bots. An event that cannot be read is set
aside, because reading it as empty would take its bot away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from shared.domain.calendar import CalendarStatus, Platform, RecallCalendar
from shared.domain.event import Event, EventBot, ListedEvent
from shared.domain.secret import Secret
from shared.recall.links import candidate_links
from shared.recall.provider_event import provider_facts
from shared.recall.reading import (
    ID,
    Fields,
    Malformed,
    email,
    fields_of,
    id_at,
    identity_at,
    list_at,
    mapping,
    mappings,
    moment_at,
    text,
    word_at,
)

# A DynamoDB key ends at 2,048 bytes and Recall's deduplication keys at 2,000 characters; the
# meeting key holds the link's path besides tenant and start.
LINK_CHARACTERS_MAX = 1_500
REASON_CHARACTERS_MAX = 300
UNKNOWN_ID = "?"

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallBot:
    """A bot as Recall's bot endpoints show it.

    `status` is the newest code, an open set (None: it has not moved yet).
    """

    bot_id: str
    status: str | None
    sub_code: str | None
    join_at: datetime | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarClient:
    """A calendar and the id of the OAuth client that Recall reads it with.

    `holds`: whether Recall has the secret that was asked about (None: it shows none). The secret
    itself is compared while reading and kept nowhere.
    """

    calendar: RecallCalendar
    client_id: str
    holds: bool | None


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
    fields = fields_of(document, key="calendar")
    status = word_at(fields, "status", words=CalendarStatus)
    return RecallCalendar(
        calendar_id=id_at(fields, "id"),
        platform=word_at(fields, "platform", words=Platform),
        email=email(fields.get("platform_email")),
        status=status,
        status_reason=_status_reason(fields, status),
        created_at=moment_at(fields, "created_at"),
        updated_at=moment_at(fields, "updated_at"),
    )


def parse_calendar_client(document: object, *, secret: Secret) -> CalendarClient:
    """As `parse_calendar`, with the client's id and whether its secret is `secret`."""
    fields = fields_of(document, key="calendar")
    shown = fields.get("oauth_client_secret")
    return CalendarClient(
        calendar=parse_calendar(document),
        client_id=identity_at(fields, "oauth_client_id"),
        holds=Secret(shown) == secret if isinstance(shown, str) and shown else None,
    )


def parse_event(document: object) -> ListedEvent:
    """One element of List Calendar Events; raises Malformed."""
    fields = fields_of(document, key="event")
    return ListedEvent(
        event=_event(fields),
        bots=tuple(_event_bot(entry) for entry in list_at(fields, "bots")),
        updated_at=moment_at(fields, "updated_at"),
    )


def parse_bot(document: object) -> RecallBot:
    """A bot; `metadata` keeps its texts only.

    Its status is the newest that says how it fared: `done` follows every end alike.
    """
    fields = fields_of(document, key="bot")
    changes = mappings(fields.get("status_changes"))
    newest = _newest([change for change in changes if change.get("code") != "done"] or changes)
    metadata = mapping(fields.get("metadata"))
    return RecallBot(
        bot_id=id_at(fields, "id"),
        status=text(newest.get("code")),
        sub_code=text(newest.get("sub_code")),
        join_at=moment_at(fields, "join_at") if fields.get("join_at") is not None else None,
        metadata={key: value for key, value in metadata.items() if isinstance(value, str)},
    )


def _event(fields: Fields) -> Event:
    platform = word_at(fields, "platform", words=Platform)
    deleted = fields.get("is_deleted") is True
    raw = _raw(fields, deleted=deleted)
    facts = provider_facts(platform, raw)
    link = _link(fields)
    ical_uid = text(fields.get("ical_uid")) or ""
    return Event(
        event_id=id_at(fields, "id"),
        calendar_id=id_at(fields, "calendar_id"),
        platform=platform,
        platform_id=identity_at(fields, "platform_id"),
        ical_uid=ical_uid,
        series_id=facts.series_id or (facts.recurring and ical_uid) or None,
        title=facts.title,
        start=moment_at(fields, "start_time"),
        end=moment_at(fields, "end_time"),
        all_day=facts.all_day,
        cancelled=facts.cancelled,
        deleted=deleted,
        private=facts.private,
        meeting_url=link,
        meeting_platform=text(fields.get("meeting_platform")),
        organizer_email=facts.organizer_email,
        owner_is_organizer=facts.owner_is_organizer,
        owner_answer=facts.owner_answer,
        attendees=facts.attendees,
        guests_hidden=facts.guests_hidden,
        time_zone=facts.time_zone,
        link_in_body=link is None and bool(candidate_links(raw)),
    )


def _event_bot(entry: object) -> EventBot:
    fields = fields_of(entry, key="bots")
    return EventBot(
        bot_id=id_at(fields, "bot_id"),
        start=moment_at(fields, "start_time"),
        deduplication_key=identity_at(fields, "deduplication_key"),
        meeting_url=text(fields.get("meeting_url")) or "",
    )


def _link(fields: Fields) -> str | None:
    """The key must be there: an event whose link went unread would lose its bot."""
    if "meeting_url" not in fields:
        raise Malformed("meeting_url")
    if fields["meeting_url"] in (None, ""):
        return None
    return identity_at(fields, "meeting_url", characters_max=LINK_CHARACTERS_MAX)


def _raw(fields: Fields, *, deleted: bool) -> Fields:
    """Without the payload nobody knows whether a meeting is private; the deleted need none."""
    raw = fields.get("raw")
    return {} if deleted and raw is None else fields_of(raw, key="raw")


def _status_reason(fields: Fields, status: CalendarStatus) -> str | None:
    """Recall's code, else its text, for a calendar that lost its connection."""
    if status is not CalendarStatus.DISCONNECTED:
        return None
    changes = mappings(fields.get("status_changes"))
    newest = _newest([change for change in changes if change.get("status") == status])
    reason = newest.get("sub_code") or newest.get("message")
    return text(reason, characters_max=REASON_CHARACTERS_MAX)


def _newest(changes: list[Fields]) -> Fields:
    """Nobody promises the order of the list; of two at the same time the later entry counts."""
    return max(reversed(changes), key=_created_at, default={})


def _created_at(change: Fields) -> datetime:
    try:
        return moment_at(change, "created_at")
    except Malformed:
        return datetime.min.replace(tzinfo=UTC)


def _id_of(document: object) -> str:
    identity = mapping(document).get("id")
    readable = isinstance(identity, str) and ID.fullmatch(identity)
    return str(identity) if readable else UNKNOWN_ID
