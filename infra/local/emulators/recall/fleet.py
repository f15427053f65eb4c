"""Bots: shared by deduplication key, dispatched at the start, seen through to the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from infra.local.emulators.recall.core import Core
from infra.local.emulators.recall.records import WARM_UP, Bot, Entry, Event
from infra.local.emulators.recall.times import stamp, webhook_time

# How long a bot without permission to record stays (`automatic_leave`).
PERMISSION_SECONDS = 30.0


class PoolEmptyError(Exception):
    """No ad-hoc bot is free (507)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBot:
    """A bot that waits, joins or sits in a call: what a meeting's people would see."""

    bot_id: str
    key: str | None
    meeting_url: str
    join_at: datetime
    state: str
    event_ids: tuple[str, ...]
    calendar_ids: tuple[str, ...]
    bot_name: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fate:
    """What goes wrong for the bots of a link: where, and Recall's word for it.

    A word alone is fatal while joining; `waiting_room` ends the call there, `permission` keeps
    the bot from recording, `recording` breaks what it recorded.
    """

    at: Literal["joining", "waiting_room", "permission", "recording"]
    word: str


_WELL = Fate("joining", "")


class Fleet:
    """Creates, changes and runs bots. `ad_hoc_free` is the pool; None means it never ends."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.ad_hoc_free: int | None = None
        self.fates: dict[str, Fate | str] = {}

    def live(self) -> list[LiveBot]:
        """One row per live bot, nearest start first."""
        bots = [bot for bot in self._core.bots.values() if bot.live]
        return [self._row(bot) for bot in sorted(bots, key=lambda each: (each.join_at, each.id))]

    def create(
        self, config: Mapping[str, Any], *, meeting_url: str, join_at: datetime, key: str | None
    ) -> Bot:
        """A new bot; PoolEmptyError when it must be ad hoc and none is free."""
        now = self._core.now()
        ad_hoc = join_at - now <= WARM_UP
        if ad_hoc:
            self._take_ad_hoc()
        bot = Bot(
            id=self._core.new_id(),
            key=key,
            config=dict(config),
            meeting_url=meeting_url,
            join_at=max(join_at, now),
            created_at=now,
            ad_hoc=ad_hoc,
        )
        self._core.bots[bot.id] = bot
        if key is not None:
            self._core.by_key.setdefault(key, []).append(bot)
        self._plan(bot)
        return bot

    def reschedule(self, bot: Bot, join_at: datetime) -> None:
        """Move a waiting bot; pulled into the warm-up it must come from the ad-hoc pool."""
        now = self._core.now()
        if join_at == bot.join_at:
            return
        if not bot.ad_hoc and join_at - now <= WARM_UP:
            self._take_ad_hoc()
            bot.ad_hoc = True
        bot.join_at = max(join_at, now)
        self._plan(bot)

    def schedule(self, event: Event, *, key: str, config: Mapping[str, Any], url: str) -> None:
        """Put a bot on an event, or refresh the one that is there."""
        bot = self._by_key(key, event)
        join_at = self._join_at(event, config)
        if bot is None:
            bot = self.create(config, meeting_url=url, join_at=join_at, key=key)
        elif bot.waiting:
            self._reconfigure(bot, config, url=url, join_at=join_at)
        self._release_others(event, keep=bot)
        bot.events.add(event.id)
        entry = Entry(bot_id=bot.id, start_time=event.start_time, key=key, meeting_url=url)
        event.bots = [each for each in event.bots if each.bot_id != bot.id] + [entry]
        event.touch()

    def unschedule(self, event: Event) -> bool:
        """Take the event's waiting bots off; True when anything changed."""
        changed = False
        for entry in list(event.bots):
            bot = self._core.bots.get(entry.bot_id)
            if bot and bot.live:
                changed |= self._leave_event(event, bot)
        return changed

    def release(self, event: Event, *, survive: bool = True) -> bool:
        """Drop the event's waiting bots (event, calendar or grant gone); True on a change."""
        waiting = [bot for bot in self._of(event) if bot.waiting]
        for bot in waiting:
            bot.events.discard(event.id)
            if not bot.events or not survive:
                self.remove(bot)
        gone = {bot.id for bot in waiting}
        event.bots = [entry for entry in event.bots if entry.bot_id not in gone]
        event.touch()
        return bool(gone)

    def follow(self, event: Event, old_start: datetime) -> None:
        """Automatic follow-up of a moved or re-linked event; a bot that others share stays."""
        for entry in event.bots:
            bot = self._core.bots.get(entry.bot_id)
            if bot is None or not bot.waiting or bot.events != {event.id}:
                continue
            if entry.start_time == old_start and event.link:
                entry.start_time = event.start_time
                entry.meeting_url = bot.meeting_url = event.link.url
                bot.join_at = max(event.start_time, self._core.now())
                self._plan(bot)

    def remove(self, bot: Bot) -> None:
        bot.deleted = True
        bot.plan += 1

    def leave_call(self, bot: Bot) -> None:
        bot.plan += 1
        self._end(bot, "bot_received_leave_call")

    def kick(self, bot_id: str, sub_code: str | None = None) -> None:
        """Somebody in the meeting removes the bot, or turns it away at the door."""
        bot = self._core.bots[bot_id]
        bot.plan += 1
        place = "waiting_room" if bot.state == "in_waiting_room" else "call"
        self._end(bot, sub_code or f"bot_kicked_from_{place}")

    def pause(self, bot_id: str) -> None:
        """Somebody pauses the recording; the bot stays in the call."""
        self._enter(self._core.bots[bot_id], "in_call_not_recording")
        self._record_state(self._core.bots[bot_id], "paused")

    def resume(self, bot_id: str) -> None:
        self._enter(self._core.bots[bot_id], "in_call_recording")
        self._record_state(self._core.bots[bot_id], "processing")

    def delete_recording(self, bot_id: str) -> None:
        """Its time is over, or somebody deleted it."""
        self._record_state(self._core.bots[bot_id], "deleted")

    def break_out(self, bot_id: str, step: Literal["opened", "entered", "left", "closed"]) -> None:
        """A breakout room opens, takes the bot in, lets it go, closes."""
        bot = self._core.bots[bot_id]
        data = {
            "code": f"breakout_room_{step}",
            "sub_code": None,
            "updated_at": webhook_time(self._core.now()),
            "breakout_room": {"id": f"room-of-{bot_id}", "name": "Room 1"},
        }
        self._send(f"bot.breakout_room_{step}", {"data": data, "bot": _named(bot)})

    def _row(self, bot: Bot) -> LiveBot:
        events = [
            self._core.events[each] for each in sorted(bot.events) if each in self._core.events
        ]
        return LiveBot(
            bot_id=bot.id,
            key=bot.key,
            meeting_url=bot.meeting_url,
            join_at=bot.join_at,
            state=bot.state,
            event_ids=tuple(event.id for event in events),
            calendar_ids=tuple(sorted({event.calendar_id for event in events})),
            bot_name=bot.config.get("bot_name", "Meeting Notetaker"),
            metadata=dict(bot.config.get("metadata") or {}),
        )

    def _of(self, event: Event) -> list[Bot]:
        found = (self._core.bots.get(entry.bot_id) for entry in event.bots)
        return [bot for bot in found if bot]

    def _by_key(self, key: str, event: Event) -> Bot | None:
        same = [bot for bot in self._core.by_key.get(key, ()) if bot.live]
        for bot in same:
            if bot.waiting:
                return bot
        if self._core.switches.dispatched_key == "same_bot":
            return next((bot for bot in same if event.id in bot.events), None)
        return None

    def _join_at(self, event: Event, config: Mapping[str, Any]) -> datetime:
        wanted = config.get("join_at")
        if wanted and self._core.switches.join_at_in_bot_config == "honoured":
            return datetime.fromisoformat(wanted)
        return max(event.start_time, self._core.now())

    def _reconfigure(
        self, bot: Bot, config: Mapping[str, Any], *, url: str, join_at: datetime
    ) -> None:
        late = bot.join_at - self._core.now() <= WARM_UP
        self.reschedule(bot, join_at)
        bot.meeting_url = url
        if not late or self._core.switches.late_config == "applied":
            bot.config = dict(config)

    def _release_others(self, event: Event, *, keep: Bot) -> None:
        if self._core.switches.old_bot_on_key_change == "kept":
            return
        for bot in self._of(event):
            if bot.id != keep.id and bot.waiting:
                self._leave_event(event, bot, entry_goes=True)

    def _leave_event(self, event: Event, bot: Bot, *, entry_goes: bool | None = None) -> bool:
        switches = self._core.switches
        if not bot.waiting and switches.delete_after_dispatch == "stays":
            return False
        bot.events.discard(event.id)
        if not bot.waiting:
            self.leave_call(bot)
            return True
        late = bot.join_at - self._core.now() <= WARM_UP
        if not bot.events and not (late and switches.late_delete == "joins_anyway"):
            self.remove(bot)
        if entry_goes or switches.unscheduled_bot_entry == "removed":
            event.bots = [entry for entry in event.bots if entry.bot_id != bot.id]
        event.touch()
        return True

    def _take_ad_hoc(self) -> None:
        if self.ad_hoc_free is None:
            return
        if self.ad_hoc_free <= 0:
            raise PoolEmptyError
        self.ad_hoc_free -= 1

    def _plan(self, bot: Bot) -> None:
        bot.plan += 1
        self._step(bot, bot.join_at, then=lambda: self._join(bot))

    def _step(self, bot: Bot, due: datetime, *, then: Callable[[], None]) -> None:
        """Do `then` at `due` unless the bot's plan changed meanwhile."""
        plan = bot.plan

        def job() -> None:
            if bot.plan == plan and not bot.deleted:
                then()

        self._core.at(due, job)

    def _after(self, bot: Bot, seconds: float, *, then: Callable[[], None]) -> None:
        self._step(bot, self._core.now() + timedelta(seconds=seconds), then=then)

    def _join(self, bot: Bot) -> None:
        bot.join_at = self._core.now()
        self._enter(bot, "joining_call")
        fate = self._fate(bot, "joining")
        if fate:
            self._after(bot, 1.0, then=lambda: self._enter(bot, "fatal", sub_code=fate))
            return
        timings = self._core.timings
        self._after(bot, timings.waiting_room, then=lambda: self._wait(bot))

    def _wait(self, bot: Bot) -> None:
        self._enter(bot, "in_waiting_room")
        fate = self._fate(bot, "waiting_room")
        then = (lambda: self._end(bot, fate)) if fate else (lambda: self._let_in(bot))
        self._after(bot, self._core.timings.recording, then=then)

    def _let_in(self, bot: Bot) -> None:
        refused = self._fate(bot, "permission")
        if not refused:
            self._record(bot)
            return
        self._enter(bot, "in_call_not_recording")
        self._enter(bot, "recording_permission_denied", sub_code=refused)
        end = "timeout_exceeded_recording_permission_denied"
        self._after(bot, PERMISSION_SECONDS, then=lambda: self._end(bot, end))

    def _fate(self, bot: Bot, at: str) -> str:
        """Recall's word for what goes wrong there, or nothing."""
        fate = self.fates.get(bot.meeting_url, _WELL)
        fate = Fate("joining", fate) if isinstance(fate, str) else fate
        return fate.word if fate.at == at else ""

    def _record(self, bot: Bot) -> None:
        now = self._core.now()
        self._enter(bot, "in_call_recording")
        bot.recordings.append(
            {
                "id": self._core.new_id(),
                "created_at": stamp(now),
                "started_at": stamp(now),
                "completed_at": None,
                "expires_at": None,
                "status": {"code": "processing", "sub_code": None, "updated_at": stamp(now)},
                "media_shortcuts": None,
                "metadata": {},
            }
        )
        self._record_state(bot, "processing")
        self._step(bot, self._call_end(bot), then=lambda: self._end(bot, "call_ended_by_host"))

    def _call_end(self, bot: Bot) -> datetime:
        known = (self._core.events.get(each) for each in bot.events)
        ends = [event.end_time for event in known if event]
        default = bot.join_at + timedelta(seconds=self._core.timings.direct_call)
        return max([*ends, self._core.now()]) if ends else default

    def _end(self, bot: Bot, sub_code: str) -> None:
        self._enter(bot, "call_ended", sub_code=sub_code)
        self._after(bot, self._core.timings.shutdown, then=lambda: self._finish(bot))

    def _finish(self, bot: Bot) -> None:
        for recording in bot.recordings:
            recording["completed_at"] = stamp(self._core.now())
        if bot.recordings:
            broken = self._fate(bot, "recording")
            self._record_state(bot, "failed" if broken else "done", error=broken)
        self._enter(bot, "done")

    def _enter(self, bot: Bot, state: str, *, sub_code: str | None = None) -> None:
        now = self._core.now()
        bot.state = state
        bot.changes.append(
            {"code": state, "message": None, "created_at": stamp(now), "sub_code": sub_code}
        )
        if self._core.switches.legacy_bot_webhooks:
            status = {
                "code": state, "sub_code": sub_code, "message": None,
                "created_at": webhook_time(now),
            }  # fmt: skip
            self._send("bot.status_change", {"bot_id": bot.id, "status": status})
            return
        data = {"code": state, "sub_code": sub_code, "updated_at": webhook_time(now)}
        self._send(f"bot.{state}", {"data": data, "bot": _named(bot)})

    def _record_state(self, bot: Bot, code: str, *, error: str = "") -> None:
        now = self._core.now()
        status = {"code": code, "sub_code": None}
        bot.recordings[-1]["status"] = {**status, "updated_at": stamp(now)}
        if not self._core.switches.recording_webhooks:
            return
        data: dict[str, Any] = {**status, "updated_at": webhook_time(now)}
        if error:
            data["error"] = {"code": error, "message": "Recording could not be produced"}
        recording = {"id": bot.recordings[-1]["id"], "metadata": {}}
        body = {"data": data, "recording": recording, "bot": _named(bot)}
        self._send(f"recording.{code}", body)

    def _send(self, event: str, data: Mapping[str, Any]) -> None:
        self._core.outbox.send(event, data, at=self._core.now())


def _named(bot: Bot) -> dict[str, Any]:
    return {"id": bot.id, "metadata": bot.config.get("metadata") or {}}
