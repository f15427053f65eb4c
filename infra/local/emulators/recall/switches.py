"""What nobody outside the vendor knows for sure, as switches; defaults follow the fact sheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """One line per open point; where the sheet is silent the default is the unkind choice."""

    automatic_follow: bool = False
    """A bot that waits follows its event's new time and link by itself."""
    bot_change_bumps_event: bool = True
    """POST and DELETE of an event bot bump `updated_at` and send calendar.sync_events."""
    disconnect_bumps_events: bool = False
    """Bots lost in a disconnect bump `updated_at` of their events."""
    reconnect_touches_events: bool = False
    """A reconnect bumps every event of the window, not only the changed ones."""
    list_order: Literal["start_time", "id", "updated_at"] = "start_time"
    """Order of List Calendar Events."""
    events_page_size: int = 100
    """Events in a page (the documented limit)."""
    calendars_page_size: int = 100
    """Calendars in a page."""
    bots_page_size: int = 100
    """Bots in a page."""
    unfiltered_list_refused: bool = False
    """List Calendar Events without `calendar_id` is a 400."""
    unscheduled_bot_entry: Literal["removed", "kept"] = "removed"
    """What DELETE of an event bot leaves in `bots[]`."""
    deleted_event_bots: Literal["emptied", "kept"] = "emptied"
    """`bots[]` of an event that was deleted at the provider."""
    old_bot_on_key_change: Literal["dropped", "kept"] = "dropped"
    """The waiting bot of the old key when POST brings a new one."""
    duplicate_calendars: Literal["allowed", "refused"] = "allowed"
    """A second calendar for one account: created, or a 400."""
    credentials_checked_on_create: bool = False
    """A dead token is a 400 on create or patch instead of a later `disconnected`."""
    declined_events: Literal["listed", "deleted"] = "listed"
    """Events the owner declined: `is_deleted` stays false, or becomes true."""
    cancelled_by_organizer: Literal["deleted", "listed"] = "deleted"
    """A cancelled event becomes `is_deleted`, or stays listed with a cancelled `raw`."""
    cancelled_raw: Literal["full", "minimal"] = "full"
    """`raw` of a cancelled Google event: everything, or only id and status."""
    moved_beyond_window: Literal["listed", "hidden", "deleted"] = "listed"
    """A known event that moves more than 28 days ahead."""
    all_day_start: Literal["utc_midnight", "local_midnight"] = "utc_midnight"
    """`start_time` of an all-day event."""
    post_running_event: Literal["joins", "refused"] = "joins"
    """POST of a bot for an event that runs now: an ad-hoc bot, or a 400."""
    post_without_url: Literal["refused", "served"] = "refused"
    """POST of a bot for an event without any link: a 400, or a 200 without a bot."""
    post_deleted_event: Literal["refused", "not_found"] = "refused"
    """POST of a bot for a deleted event: a 400, or a 404."""
    post_while_disconnected: Literal["served", "refused"] = "served"
    """POST of a bot for an event of a disconnected calendar."""
    join_at_in_bot_config: Literal["refused", "ignored", "honoured"] = "refused"
    """`join_at` inside `bot_config` of an event bot."""
    delete_after_dispatch: Literal["stays", "leaves"] = "stays"
    """DELETE of an event bot that is in the call: it stays, or leaves."""
    late_delete: Literal["removed", "joins_anyway"] = "removed"
    """DELETE of an event bot in its last ten minutes."""
    late_config: Literal["applied", "ignored"] = "applied"
    """POST for an event whose bot starts within ten minutes: new `bot_config` counts or not."""
    dispatched_key: Literal["second_bot", "same_bot"] = "second_bot"
    """POST with the key of a bot already sent: another bot, or the same one again."""
    shared_bot_on_calendar_delete: Literal["survives", "removed"] = "survives"
    """A bot shared with an event of another calendar when a calendar is deleted."""
    patch_event_bot: Literal["refused", "served"] = "refused"
    """`PATCH /bot/{id}/` on the bot of an event."""
    delete_event_bot: Literal["dangling", "clean", "refused"] = "dangling"
    """`DELETE /bot/{id}/` on the bot of an event: what becomes of `bots[]`."""
    late_delete_status: Literal[405, 400] = 405
    """Status of `DELETE /bot/{id}/` after dispatch (`cannot_delete_bot`)."""
    late_patch: Literal["accepted", "refused"] = "accepted"
    """PATCH of a bot that joins within ten minutes, without `join_at`: taken, or a 400."""
    leave_before_join: Literal["ends", "refused"] = "ends"
    """leave_call for a bot that joins within ten minutes: it ends, or it is too early still."""
    error_body: Literal["detail", "message", "html", "empty"] = "detail"
    """Body of 404, 409, 429 and 507."""
    retry_after_on_507: int | None = 30
    """Seconds in `Retry-After` of a 507; None leaves the header out."""
    slashless_write: Literal["redirected", "served", "not_found"] = "redirected"
    """A write whose path lacks the last slash (a GET is always redirected)."""
    refuse_unknown_parameters: bool = True
    """Unknown query parameters are a 400; the real API ignores them. Recorded either way."""
    rotated_token_shown: bool = False
    """`oauth_refresh_token` shows the token that the provider handed out last."""
    status_changes_order: Literal["ascending", "descending", "shuffled"] = "ascending"
    """Order of a calendar's `status_changes`."""
    status_detail_field: str = "message"
    """Name of the field with the reason in `status_changes`."""
    status_sub_code_field: str = "sub_code"
    """Name of the field with the short reason in `status_changes`."""
    update_webhook_on_connecting: bool = True
    """calendar.update also when a PATCH sends a calendar back to `connecting`."""
    update_webhook_on_connected: bool = True
    """calendar.update when a calendar becomes `connected`."""
    email_filter: Literal["platform_email", "oauth_email", "either"] = "platform_email"
    """What the `email` filter of List Calendars compares."""
    idempotency_stores_conflicts: bool = True
    """A 409 for a busy deduplication key is replayed for the hour, too."""
    webhooks_unordered: bool = False
    """Each webhook waits up to `Timings.webhook_jitter` seconds, so they overtake each other."""
    webhook_headers: Literal["webhook", "svix", "both", "none"] = "webhook"
    """Header family of the signature; `none` is a workspace without a secret."""
    legacy_bot_webhooks: bool = False
    """Bot webhooks of API 1.10: bot.status_change."""
    recording_webhooks: bool = True
    """recording.* webhooks accompany a bot that recorded."""
    next_host: str | None = None
    """Hostile: host that `next` links point to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How long the world takes, in seconds."""

    connect: float = 1.0
    """From create or reconnect to connected or disconnected."""
    sync: float = 1.0
    """From a change in the provider's calendar to Recall's record and its webhook."""
    commit: float = 0.0
    """Up to so much later than its `updated_at` an event becomes visible (by seeded chance)."""
    revocation: float = 5.0
    """From a revoked grant to `disconnected` (hours in reality)."""
    webhook_jitter: float = 30.0
    """Longest extra wait of a webhook when they are unordered."""
    waiting_room: float = 2.0
    """From joining_call to in_waiting_room."""
    recording: float = 3.0
    """From in_waiting_room to in_call_recording."""
    shutdown: float = 5.0
    """From call_ended to done."""
    direct_call: float = 3600.0
    """Length of the call of a bot without a calendar event."""
    retry_scale: float = 1.0
    """Factor on the webhook retry schedule."""
