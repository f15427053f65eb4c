"""What travels on the doorbell queue: tagged messages and their JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeAlias, assert_never

from shared.domain.moment import moment_text, parse_moment

FEED_GROUP = "feed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedChanged:
    """Something changed at Recall; `calendar_id` is a hint and None for the whole workspace."""

    received_at: datetime
    calendar_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The minute tick; its time keeps two ticks from having the same body."""

    scheduled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDue:
    """Our own bell: rows owe work."""

    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarUpdate:
    """Something about the calendar itself changed: read it again."""

    calendar_id: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BotEvent:
    """A bot or its recording reached a state; `event` is for example bot.done or recording.done.

    `updated_at` is Recall's clock. `metadata` is None where the payload has no place for it
    (API 1.10).
    """

    event: str
    bot_id: str
    code: str
    sub_code: str | None
    updated_at: datetime
    metadata: Mapping[str, str] | None = field(default_factory=dict)
    recording_id: str | None = None

    @property
    def about_recording(self) -> bool:
        return self.event.startswith("recording.")


FeedMessage: TypeAlias = FeedChanged | Tick | WorkDue
SingleMessage: TypeAlias = CalendarUpdate | BotEvent
Message: TypeAlias = FeedMessage | SingleMessage


def message_group(message: Message) -> str:
    """The FIFO group: doorbells share one, messages with a payload never block it."""
    match message:
        case FeedChanged() | Tick() | WorkDue():
            return FEED_GROUP
        case CalendarUpdate():
            return f"calendar:{message.calendar_id}"
        case BotEvent():
            return f"bot:{message.bot_id}"
        case never:
            assert_never(never)


def encode(message: Message) -> str:
    """One line of ASCII JSON, so that no character is one that SQS refuses."""
    facts: dict[str, object] = {"type": _type_of(message)}
    for item in fields(message):
        value = getattr(message, item.name)
        facts[item.name] = moment_text(value) if isinstance(value, datetime) else value
    return json.dumps(facts, separators=(",", ":"))


def decode(body: str) -> Message:
    """The message in a queue body; ValueError when there is none."""
    facts = json.loads(body)
    if not isinstance(facts, dict):
        raise ValueError("type")  # noqa: TRY004 - to the caller it is one malformed body
    return _read(facts)


def _type_of(message: Message) -> str:
    match message:
        case FeedChanged():
            return "feed.changed"
        case Tick():
            return "tick"
        case WorkDue():
            return "work.due"
        case CalendarUpdate():
            return "calendar.update"
        case BotEvent():
            return "bot.event"
        case never:
            assert_never(never)


def _read(facts: dict[str, Any]) -> Message:
    match facts.get("type"):
        case "feed.changed":
            return FeedChanged(
                received_at=_moment(facts, "received_at"),
                calendar_id=_optional_text(facts, "calendar_id"),
            )
        case "tick":
            return Tick(scheduled_at=_moment(facts, "scheduled_at"))
        case "work.due":
            return WorkDue(received_at=_moment(facts, "received_at"))
        case "calendar.update":
            return CalendarUpdate(
                calendar_id=_text(facts, "calendar_id"),
                received_at=_moment(facts, "received_at"),
            )
        case "bot.event":
            return _read_bot_event(facts)
        case _:
            raise ValueError("type")


def _read_bot_event(facts: dict[str, Any]) -> BotEvent:
    return BotEvent(
        event=_text(facts, "event"),
        bot_id=_text(facts, "bot_id"),
        code=_text(facts, "code"),
        sub_code=_optional_text(facts, "sub_code"),
        updated_at=_moment(facts, "updated_at"),
        metadata=None if facts.get("metadata") is None else text_items(facts["metadata"]),
        recording_id=_optional_text(facts, "recording_id"),
    )


def text_items(value: object) -> dict[str, str]:
    """The entries of a JSON object whose values are text; anything else is left out."""
    if not isinstance(value, dict):
        return {}
    return {key: item for key, item in value.items() if isinstance(item, str)}


def _text(facts: dict[str, Any], name: str) -> str:
    value = facts.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(name)
    return value


def _optional_text(facts: dict[str, Any], name: str) -> str | None:
    return None if facts.get(name) is None else _text(facts, name)


def _moment(facts: dict[str, Any], name: str) -> datetime:
    moment = parse_moment(facts.get(name))
    if moment is None:
        raise ValueError(name)
    return moment
