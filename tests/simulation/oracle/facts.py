"""What the oracle is told, and what it answers."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarFact:
    """`connected` is false only while Recall says `disconnected`; connecting ones may have bots."""

    calendar_id: str
    tenant_id: str
    entity_id: str
    platform: str
    email: str | None
    connected: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFact:
    """`shown` is the event as List Calendar Events shows it. `transferred`: from another tenant."""

    event_id: str
    calendar_id: str
    shown: dict[str, Any]
    transferred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WordFact:
    """What a person said of one event, or of (calendar, series).

    `choice` is on, off or auto, or opt_out. `uid` is the iCal UID of an event of the series, by
    which a later part is known where the provider's own series ids say nothing.
    """

    choice: str
    event_id: str | None = None
    calendar_id: str | None = None
    series_id: str | None = None
    uid: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotFact:
    """`state` is waiting, in_call or over; `join_at` is the start it was made for, kept for good.

    `event_ids`: the events whose `bots[]` name it; of a direct bot, the one in its metadata.
    """

    bot_id: str
    meeting_url: str
    join_at: datetime
    state: str
    event_ids: tuple[str, ...] = ()
    deduplication_key: str | None = None
    direct: bool = False
    bot_name: str | None = None
    tenant_id: str | None = None
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldFacts:
    """All that is true at one moment.

    `disturbed_at`: the last change of rules or calendars, or the end of the last fault that could
    keep a bot from its place; None where nobody knows. `dedupe_changing`: bots of a former
    `dedupe` may still be about.
    """

    now: datetime
    calendars: tuple[CalendarFact, ...]
    copies: tuple[CopyFact, ...] = ()
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    words: tuple[WordFact, ...] = ()
    bots: tuple[BotFact, ...] = ()
    disturbed_at: datetime | None = None
    dedupe_changing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyVerdict:
    """`join, reason`: steps 1 to 8 for this copy alone. `final_*`: after the vote, as shown."""

    event_id: str
    calendar_id: str
    join: bool
    reason: str
    final_join: bool
    final_reason: str
    mode: str


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class MeetingKey:
    tenant_id: str
    scope: str
    room: str
    start: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BotWish:
    owner_event_id: str
    start: datetime
    meeting_url: str
    bot_name: str
    config: dict[str, Any]
    scheduling: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingFact:
    """`settled` is false while either answer is right, for the reason `unsettled`."""

    key: MeetingKey
    copies: tuple[CopyVerdict, ...]
    verdict: str
    bot: BotWish | None
    unsettled: str | None = None

    @property
    def settled(self) -> bool:
        return self.unsettled is None
