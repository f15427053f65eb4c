"""A calendar event as the rules see it: one person's copy of a meeting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.domain.address import canonical
from shared.domain.calendar import Platform


class Answer(StrEnum):
    """An invitee's answer, in words common to both providers."""

    NONE = "none"
    DECLINED = "declined"
    TENTATIVE = "tentative"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendee:
    """An invitee; `is_owner` marks the calendar's own account, `is_resource` a room or the like."""

    email: str
    answer: Answer
    is_owner: bool = False
    is_resource: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBot:
    """A bot that Recall lists on an event; `start` may be stale after a move."""

    bot_id: str
    start: datetime
    deduplication_key: str
    meeting_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The normalised facts of one event copy. Times are aware and in UTC.

    `platform_id` is the provider's id of the occurrence, `series_id` that of the series.
    `guests_hidden`: the guest list is incomplete or withheld. `time_zone`: where the organizer
    planned it, an IANA name. `link_in_body`: Recall found no link, but the payload holds one.
    """

    event_id: str
    calendar_id: str
    platform: Platform
    platform_id: str
    ical_uid: str
    series_id: str | None
    title: str
    start: datetime
    end: datetime
    all_day: bool
    cancelled: bool
    deleted: bool
    private: bool
    meeting_url: str | None
    meeting_platform: str | None
    organizer_email: str | None
    owner_is_organizer: bool
    owner_answer: Answer
    attendees: tuple[Attendee, ...]
    guests_hidden: bool
    time_zone: str | None = None
    link_in_body: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEvent:
    """An event in a Recall answer: its facts, its bots, and when Recall last touched it."""

    event: Event
    bots: tuple[EventBot, ...]
    updated_at: datetime


def owned_by(event: Event, email: str | None) -> Event:
    """The event with the calendar's account marked where the provider did not mark it."""
    own = {canonical(each.email) for each in event.attendees if each.is_owner}
    marked = bool(own)
    if email is not None:
        own.add(canonical(email))
    organizer = canonical(event.organizer_email or "")
    return replace(
        event,
        attendees=event.attendees if marked else _marked(event, own),
        owner_is_organizer=event.owner_is_organizer or organizer in own,
        owner_answer=event.owner_answer if marked else _answered(event, own),
    )


def _marked(event: Event, own: set[str]) -> tuple[Attendee, ...]:
    """Microsoft marks nobody as the owner."""
    return tuple(
        replace(each, is_owner=True) if canonical(each.email) in own else each
        for each in event.attendees
    )


def _answered(event: Event, own: set[str]) -> Answer:
    """Google tells the answer with the attendee alone, Microsoft beside the list."""
    if event.platform is not Platform.GOOGLE:
        return event.owner_answer
    answers = (each.answer for each in event.attendees if canonical(each.email) in own)
    found = next(answers, Answer.NONE)
    return event.owner_answer if found is Answer.NONE else found
