"""What a verified delivery says, as the message that it becomes on the queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from shared.domain.message import BotEvent, CalendarUpdate, FeedChanged, Message, text_items
from shared.domain.moment import parse_moment

if TYPE_CHECKING:
    from datetime import datetime

# Every event that moves a bot, tells of a breakout room, or moves a recording.
REPORTS: Final = frozenset(
    {
        "bot.joining_call",
        "bot.in_waiting_room",
        "bot.in_call_not_recording",
        "bot.recording_permission_allowed",
        "bot.recording_permission_denied",
        "bot.in_call_recording",
        "bot.call_ended",
        "bot.done",
        "bot.fatal",
        "bot.breakout_room_entered",
        "bot.breakout_room_left",
        "bot.breakout_room_opened",
        "bot.breakout_room_closed",
        "recording.processing",
        "recording.paused",
        "recording.done",
        "recording.failed",
        "recording.deleted",
    }
)


class UnreadableError(Exception):
    """A signed delivery that is no JSON or lacks what its event must have."""


def message_of(body: bytes, *, received_at: datetime) -> Message | None:
    """The message to queue; None for an event that means nothing to us. Raises UnreadableError."""
    content = _content(body)
    event, data = content.get("event"), content.get("data")
    if not isinstance(event, str) or not isinstance(data, dict):
        raise UnreadableError
    match event:
        case "calendar.sync_events":
            return FeedChanged(received_at=received_at, calendar_id=_text(data, "calendar_id"))
        case "calendar.update":
            return CalendarUpdate(calendar_id=_text(data, "calendar_id"), received_at=received_at)
        case "bot.status_change":
            return _legacy_bot_event(data, received_at=received_at)
        case _ if event in REPORTS:
            return _bot_event(event, data, received_at=received_at)
        case _ if event.startswith(("bot.", "recording.")):
            return _perhaps_bot_event(event, data, received_at=received_at)
        case _:
            return None


def _content(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableError from None
    if not isinstance(content, dict):
        raise UnreadableError
    return content


def _perhaps_bot_event(
    event: str, data: dict[str, Any], *, received_at: datetime
) -> BotEvent | None:
    """Recall adds events without notice: news when it reads like the others (bot.log does not)."""
    try:
        return _bot_event(event, data, received_at=received_at)
    except UnreadableError:
        return None


def _bot_event(event: str, data: dict[str, Any], *, received_at: datetime) -> BotEvent:
    bot, status = _object(data, "bot"), _object(data, "data")
    recording = _object(data, "recording") if event.startswith("recording.") else None
    return BotEvent(
        event=event,
        bot_id=_text(bot, "id"),
        code=_text(status, "code"),
        sub_code=_sub_code(status),
        updated_at=parse_moment(status.get("updated_at")) or received_at,
        metadata=text_items(bot.get("metadata")),
        recording_id=_text(recording, "id") if recording is not None else None,
    )


def _sub_code(status: dict[str, Any]) -> str | None:
    """Why, in a word; a recording that failed keeps it in `error`."""
    if status.get("sub_code"):
        return _text(status, "sub_code")
    error = status.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and code else None


def _legacy_bot_event(data: dict[str, Any], *, received_at: datetime) -> BotEvent:
    """Workspaces of API 1.10 send one event for all states."""
    status = _object(data, "status")
    code = _text(status, "code")
    return BotEvent(
        event=f"bot.{code}",
        bot_id=_text(data, "bot_id"),
        code=code,
        sub_code=_text(status, "sub_code") if status.get("sub_code") else None,
        updated_at=parse_moment(status.get("created_at")) or received_at,
        metadata=None,
    )


def _object(data: dict[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name)
    if not isinstance(value, dict):
        raise UnreadableError
    return value


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise UnreadableError
    return value
