"""What Recall stores: calendars, events, bots; and how the API shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from infra.local.emulators.recall.links import Link, meeting_object
from infra.local.emulators.recall.times import api_time, stamp

LIVE_STATES = frozenset(
    {
        "ready", "joining_call", "in_waiting_room", "in_call_not_recording",
        "recording_permission_allowed", "recording_permission_denied", "in_call_recording",
    }
)  # fmt: skip
WARM_UP = timedelta(minutes=10)
_LINK_LIFE = timedelta(days=3)


@dataclass(slots=True, kw_only=True)
class StatusChange:
    status: str
    at: datetime
    message: str | None = None
    sub_code: str | None = None


@dataclass(slots=True, kw_only=True)
class Calendar:
    """A connected account; `attempt` numbers connection attempts so that old ones lapse."""

    id: str
    platform: str
    oauth_client_id: str
    oauth_client_secret: str
    oauth_refresh_token: str
    created_at: datetime
    updated_at: datetime
    oauth_email: str | None = None
    webhook_url: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    platform_email: str | None = None
    status: str = "connecting"
    changes: list[StatusChange] = field(default_factory=list)
    attempt: int = 0
    live_token: str = ""
    sync_due: bool = False
    next_entry: datetime | None = None
    seen: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Entry:
    """One line of an event's `bots[]`."""

    bot_id: str
    start_time: datetime
    key: str
    meeting_url: str

    def shown(self) -> dict[str, str]:
        return {
            "bot_id": self.bot_id,
            "start_time": api_time(self.start_time),
            "deduplication_key": self.key,
            "meeting_url": self.meeting_url,
        }


@dataclass(slots=True, kw_only=True)
class Event:
    """Recall's copy of one provider event; call `touch` after any change."""

    id: str
    calendar_id: str
    platform: str
    platform_id: str
    ical_uid: str
    start_time: datetime
    end_time: datetime
    raw: Mapping[str, Any]
    link: Link | None
    created_at: datetime
    updated_at: datetime
    is_deleted: bool = False
    bots: list[Entry] = field(default_factory=list)
    _text: bytes | None = None

    def touch(self) -> None:
        self._text = None

    def shown(self) -> bytes:
        """The JSON of the event, built once per change."""
        if self._text is None:
            self._text = json.dumps(self._body(), separators=(",", ":")).encode()
        return self._text

    def _body(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "start_time": api_time(self.start_time),
            "end_time": api_time(self.end_time),
            "calendar_id": self.calendar_id,
            "raw": self.raw,
            "platform": self.platform,
            "platform_id": self.platform_id,
            "ical_uid": self.ical_uid,
            "meeting_platform": self.link.platform if self.link else None,
            "meeting_url": self.link.url if self.link else None,
            "created_at": stamp(self.created_at),
            "updated_at": stamp(self.updated_at),
            "is_deleted": self.is_deleted,
            "bots": [entry.shown() for entry in self.bots],
        }


@dataclass(slots=True, kw_only=True)
class Bot:
    """A bot; `key` is None for one made without a calendar event."""

    id: str
    key: str | None
    config: dict[str, Any]
    meeting_url: str
    join_at: datetime
    created_at: datetime
    ad_hoc: bool
    state: str = "ready"
    events: set[str] = field(default_factory=set)
    changes: list[dict[str, Any]] = field(default_factory=list)
    recordings: list[dict[str, Any]] = field(default_factory=list)
    deleted: bool = False
    plan: int = 0

    @property
    def live(self) -> bool:
        return not self.deleted and self.state in LIVE_STATES

    @property
    def waiting(self) -> bool:
        return not self.deleted and self.state == "ready"

    def shown(self, now: datetime) -> dict[str, Any]:
        writable = (
            "recording_config", "output_media", "automatic_video_output", "chat",
            "automatic_audio_output", "automatic_leave", "variant", "zoom", "google_meet",
            "breakout_room",
        )  # fmt: skip
        return {
            "id": self.id,
            "meeting_url": None if self._link_cleared(now) else meeting_object(self.meeting_url),
            "bot_name": self.config.get("bot_name", "Meeting Notetaker"),
            "join_at": api_time(self.join_at) if self.waiting else None,
            "status_changes": self.changes,
            "recordings": self.recordings,
            "calendar_meetings": [],
            "slack_team": None,
            "metadata": self.config.get("metadata") or {},
            **{name: self.config.get(name) for name in writable},
        }

    def _link_cleared(self, now: datetime) -> bool:
        return not self.live and now - self.join_at > _LINK_LIFE
