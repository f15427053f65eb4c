"""Operations on calendar events and their bots."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from infra.local.emulators.http import Response
from infra.local.emulators.recall.answers import invalid_data, json_answer, unconfirmed
from infra.local.emulators.recall.contract import Ask
from infra.local.emulators.recall.core import RETENTION, WINDOW_AHEAD, Core
from infra.local.emulators.recall.fleet import Fleet, PoolEmptyError
from infra.local.emulators.recall.links import link_of
from infra.local.emulators.recall.pages import page_of
from infra.local.emulators.recall.records import Event
from infra.local.emulators.recall.times import parse_time, stamp

# Bot fields of the API before 1.11, refused inside bot_config.
OLD_FIELDS = frozenset(
    {
        "recording_mode", "recording_mode_options", "transcription_options", "real_time_media",
        "real_time_transcription", "include_bot_in_recording", "mp4_mode", "rtmp_url",
    }
)  # fmt: skip
_TIME_FILTERS = ("start_time", "start_time__gte", "start_time__lte", "updated_at__gte")


class EventsApi:
    """List, read, schedule, unschedule."""

    def __init__(self, core: Core, *, fleet: Fleet) -> None:
        self._core = core
        self._fleet = fleet

    def page(self, ask: Ask, *, url: str) -> Response:
        if self._core.switches.unfiltered_list_refused and "calendar_id" not in ask.query:
            return invalid_data({"calendar_id": ["This filter is needed."]})
        found = page_of(
            self._matching(ask.query),
            key=self._position,
            size=self._core.switches.events_page_size,
            url=url,
            cursor=ask.query.get("cursor"),
        )
        links = json.dumps({"next": found.next, "previous": found.previous})[:-1].encode()
        rows = b",".join(event.shown() for event in found.rows)
        return json_answer(200, links + b', "results": [' + rows + b"]}")

    def read(self, ask: Ask) -> Response:
        event = self.find(ask.id)
        return json_answer(200, event.shown()) if event else self._unknown()

    def schedule(self, ask: Ask) -> Response:
        event = self.find(ask.id)
        if event is None:
            return self._unknown()
        config = dict(ask.body["bot_config"])
        url = config.get("meeting_url") or (event.link.url if event.link else None)
        if refused := self._refused(event, config, url=url):
            return refused
        if url is None:
            return json_answer(200, event.shown())
        if self._core.switches.join_at_in_bot_config == "ignored":
            config.pop("join_at", None)
        try:
            self._fleet.schedule(event, key=ask.body["deduplication_key"], config=config, url=url)
        except PoolEmptyError:
            return pool_empty(self._core)
        self._bump(event)
        return json_answer(200, event.shown())

    def unschedule(self, ask: Ask) -> Response:
        event = self.find(ask.id)
        if event is None:
            return self._unknown()
        if self._fleet.unschedule(event):
            self._bump(event)
        return json_answer(200, event.shown())

    def find(self, event_id: str) -> Event | None:
        event = self._core.events.get(event_id)
        return event if event and self._visible(event) else None

    def keys(self, event_id: str) -> set[str]:
        """Deduplication keys of the event's live bots."""
        event = self._core.events.get(event_id)
        entries = event.bots if event else []
        return {entry.key for entry in entries if self._core.bots[entry.bot_id].live}

    def _refused(
        self, event: Event, config: Mapping[str, Any], *, url: str | None
    ) -> Response | None:
        switches = self._core.switches
        if event.is_deleted and switches.post_deleted_event == "not_found":
            return self._unknown()
        if message := self._objection(event, url):
            return invalid_data({"non_field_errors": [message]})
        old = OLD_FIELDS & set(config)
        if switches.join_at_in_bot_config == "refused":
            old |= {"join_at"} & set(config)
        errors = {f"bot_config.{name}": ["This field is not allowed."] for name in sorted(old)}
        if url is not None and link_of(url) is None:
            errors["bot_config.meeting_url"] = ["Not a link of a supported platform."]
        return invalid_data(errors) if errors else None

    def _objection(self, event: Event, url: str | None) -> str | None:
        now = self._core.now()
        switches = self._core.switches
        if event.is_deleted:
            return "The calendar event is deleted."
        if event.end_time <= now:
            return "The calendar event is already over."
        if event.start_time <= now and switches.post_running_event == "refused":
            return "The calendar event has already begun."
        if url is None and switches.post_without_url == "refused":
            return "The calendar event has no meeting link."
        calendar = self._core.calendars[event.calendar_id]
        if calendar.status == "disconnected" and switches.post_while_disconnected == "refused":
            return "The calendar is disconnected."
        return None

    def _bump(self, event: Event) -> None:
        if self._core.switches.bot_change_bumps_event:
            now = self._core.now()
            self._core.bump(event, now)
            self._core.announce(event.calendar_id, now)

    def _matching(self, query: Mapping[str, Any]) -> list[Event]:
        times = {name: parse_time(query[name]) for name in _TIME_FILTERS if name in query}
        rows: Iterable[Event] = self._core.events.values()
        if "calendar_id" in query:
            rows = self._core.by_calendar.get(query["calendar_id"].lower(), {}).values()
        elif "updated_at__gte" in times:
            rows = self._core.updated_since(times["updated_at__gte"])
        if since := times.get("updated_at__gte"):
            rows = (event for event in rows if event.updated_at >= since)
        if first := times.get("start_time__gte"):
            rows = (event for event in rows if event.start_time >= first)
        if last := times.get("start_time__lte"):
            rows = (event for event in rows if event.start_time <= last)
        if exact := times.get("start_time"):
            rows = (event for event in rows if event.start_time == exact)
        if prefix := query.get("ical_uid"):
            rows = (event for event in rows if event.ical_uid.startswith(prefix))
        if "is_deleted" in query:
            rows = (event for event in rows if event.is_deleted is query["is_deleted"])
        return [event for event in rows if self._visible(event)]

    def _visible(self, event: Event) -> bool:
        now = self._core.now()
        hidden = self._core.switches.moved_beyond_window == "hidden"
        too_far = hidden and event.start_time > now + WINDOW_AHEAD
        return event.end_time >= now - RETENTION and not too_far

    def _position(self, event: Event) -> tuple[str, str]:
        match self._core.switches.list_order:
            case "start_time":
                return stamp(event.start_time), event.id
            case "updated_at":
                return stamp(event.updated_at), event.id
            case "id":
                return event.id, event.id

    def _unknown(self) -> Response:
        return unconfirmed(self._core.switches, 404, code="not_found")


def pool_empty(core: Core) -> Response:
    """507: no ad-hoc bot is free."""
    wait = core.switches.retry_after_on_507
    headers = {} if wait is None else {"Retry-After": str(wait)}
    return unconfirmed(core.switches, 507, code="adhoc_pool_depleted", headers=headers)
