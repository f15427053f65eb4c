"""More that must hold than a look at Recall's bots tells: doorbells, the feed, and the host."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from infra.local.emulators.http import Request, Response
from infra.local.emulators.recall.webhooks import Delivery
from tests.simulation.world import World

LIST: Final = "/api/v2/calendar-events/"
LOOK_SECONDS: Final = 10.0
# So often a doorbell comes back before it is left to the tick: then the cursor stands still.
GIVEN_UP_AFTER: Final = 8
COMES: Final = frozenset({"bot.scheduled", "bot.rescheduled"})


class Monitors:
    """Listens at the queue and at Recall's door; make it before anything happens."""

    def __init__(self, world: World, *, by_calendar: bool) -> None:
        self._world = world
        self._by_calendar = by_calendar
        self._shown: dict[str, str] = {}
        self._listed_at: datetime | None = None
        self._open = False
        self._rung_at: dict[str, datetime] = {}
        self._bells: dict[str, datetime] = {}
        self._listen()

    def _listen(self) -> None:
        world = self._world
        handle, deliver = world.recall.handle, world.recall.webhooks.deliver
        send, settle = world.queue.send_message, world.queue.settle

        def handled(request: Request) -> Response:
            answer = handle(request)
            self._hear_list(request, answer)
            return answer

        def delivered(delivery: Delivery) -> int:
            self._rung_at.setdefault(delivery.id, world.clock.now())
            return deliver(delivery) if deliver else 200

        def sent(**given: Any) -> dict[str, Any]:
            answered = send(**given)
            rung_at = self._rung_at.get(given.get("MessageDeduplicationId") or "")
            if rung_at is not None:
                self._bells[answered["MessageId"]] = rung_at
            return answered

        def settled(event: dict[str, Any], failed: set[str]) -> None:
            if max(map(_receives, event["Records"])) < GIVEN_UP_AFTER:
                for record in event["Records"]:
                    if record["messageId"] not in failed:
                        self._check_bell(record)
            settle(event, failed)

        # Processes and Svix take these as they are made, and none is made yet.
        vars(world.recall)["handle"] = handled
        world.recall.webhooks.deliver = delivered
        vars(world.queue).update(send_message=sent, settle=settled)

    def _hear_list(self, request: Request, answer: Response) -> None:
        """Remember what the feed, or a calendar's own read, showed of each event."""
        parts = urlsplit(request.url)
        if request.method != "GET" or parts.path != LIST or answer.status != 200:
            return
        query = parse_qs(parts.query)
        if "start_time__gte" in query:
            return
        document = json.loads(answer.body)
        self._shown |= {each["id"]: each["updated_at"] for each in document["results"]}
        if "calendar_id" not in query:
            self._open = document["next"] is not None
            if "cursor" not in query:
                self._listed_at = self._world.clock.now()

    def _check_bell(self, record: Mapping[str, Any]) -> None:
        """5: what is acknowledged was answered by a List that began after it rang."""
        rung_at = self._bells.get(record["messageId"])
        body = json.loads(record["body"])
        if rung_at is None or body["type"] != "feed.changed" or self._by_calendar or self._open:
            return
        if self._listed_at is None or self._listed_at < rung_at:
            late = f"rung at {rung_at:%H:%M:%S.%f}, listed at {self._listed_at}"
            self._world.never(f"5: a doorbell was acknowledged without a covering sweep: {late}")

    def rest(self) -> None:
        """After all have acted and nothing fails any more."""
        self._check_feed()
        self._check_host()

    def has_seen_all(self) -> bool:
        """Whether every change was listed; one that is committed late shows in nothing else."""
        return not any(self._unseen())

    def _check_feed(self) -> None:
        """5: the cursor is ahead of no change that nobody saw."""
        for event_id in self._unseen():
            self._world.never(f"5: {event_id} changed, and no sweep has seen it")

    def _unseen(self) -> Iterator[str]:
        for event in self._world.recall.events.values():
            calendar = self._world.recall.calendars.get(event.calendar_id)
            if calendar is None or calendar.status != "connected":
                continue
            if self._shown.get(event.id) != json.loads(event.shown())["updated_at"]:
                yield event.id

    def _check_host(self) -> None:
        """What the host was told of each coming meeting's bot is what it is shown.

        Except the end of a bot that was told before a crash and gone before anybody looked.
        """
        live = {bot.id for bot in self._world.recall.bots.values() if bot.live}
        told: dict[str, str | None] = {}
        for name, detail in self._world.bus.notices:
            if name in COMES:
                told[detail["event_id"]] = detail["bot_id"]
            elif name == "bot.cancelled":
                told[detail["event_id"]] = None
        for meeting in self._meetings():
            shown = (meeting["bot"] or {}).get("bot_id")
            heard = told.get(meeting["event_id"])
            if shown != heard and (shown is not None or heard in live):
                about = f"{meeting['event_id']} has the bot {shown}, and the host knows {heard}"
                self._world.never(f"told: {about}")

    def _meetings(self) -> list[dict[str, Any]]:
        """Those to come, as the API lists them."""
        found: list[dict[str, Any]] = []
        now = self._world.clock.now()

        def look() -> None:
            for calendar in self._world.ask("GET", "/v1/calendars").json["items"]:
                path = f"/v1/calendars/{calendar['calendar_id']}/meetings"
                found.extend(self._world.ask("GET", path).json["items"])

        self._world.hub.spawn(look)
        self._world.run(LOOK_SECONDS)
        return [each for each in found if _moment(each["start_time"]) > now]


def _receives(record: Mapping[str, Any]) -> int:
    return int(record["attributes"]["ApproximateReceiveCount"])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
