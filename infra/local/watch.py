"""Watching the world: what bots there are, what it cost, and waiting until something holds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from infra.local.cloud import client
from infra.local.emulators.recall import Call, LiveBot, RecallWorld
from infra.local.host import LocalHost
from infra.local.template import Queue
from shared.domain.rules import Scheduling

POLL_SECONDS = 0.05
QUIET_SECONDS = 0.8
QUIET_LIMIT_SECONDS = 30.0
HTTP_ERROR = 400
LIST_EVENTS = "calendar_events_list"
# What changes bots, in either way of scheduling.
BOT_CALLS = (
    "calendar_events_bot_create",
    "calendar_events_bot_destroy",
    "bot_create",
    "bot_partial_update",
    "bot_destroy",
    "bot_leave_call_create",
)


class StepFailedError(Exception):
    """The world is not as the story says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What was spent: calls to Recall, and row writes by table."""

    lists: int
    full_read_lists: int
    bot_calls: int
    row_writes: Mapping[str, int]

    def since(self, before: Costs) -> Costs:
        writes = Counter(self.row_writes)
        writes.subtract(before.row_writes)
        return Costs(
            lists=self.lists - before.lists,
            full_read_lists=self.full_read_lists - before.full_read_lists,
            bot_calls=self.bot_calls - before.bot_calls,
            row_writes=+writes,
        )


class Watch:
    """Looks at a running host from outside."""

    def __init__(self, host: LocalHost, world: RecallWorld) -> None:
        self._host = host
        self._world = world
        self._sqs = client("sqs")
        self._workspace_table = host.stack.function("SchedulerFunction").environment[
            "WORKSPACE_TABLE"
        ]
        self.heard: list[dict[str, Any]] = []

    def bots(self, link: str) -> list[LiveBot]:
        return [bot for bot in self._world.live_bots() if bot.meeting_url == link]

    def has_one_bot(self, link: str, start: datetime, *, by: Scheduling | None = None) -> bool:
        """Whether one bot waits for the meeting; `by`: on that side of Recall."""
        found = [(bot.join_at, side_of(bot)) for bot in self.bots(link)]
        return found == [(start, by or (found[0][1] if found else None))]

    def all_bots(self) -> set[tuple[str, datetime]]:
        return {(bot.meeting_url, bot.join_at) for bot in self._world.live_bots()}

    @contextmanager
    def at_every_moment(self, look: Callable[[list[LiveBot]], None]) -> Iterator[None]:
        """Meanwhile `look` sees the bots after each single call that Recall serves."""
        self._world.on_served = lambda: look(self._world.live_bots())
        try:
            yield
        finally:
            self._world.on_served = None

    def costs(self) -> Costs:
        lists = [call for call in list(self._world.calls) if call.endpoint == LIST_EVENTS]
        return Costs(
            lists=len(lists),
            full_read_lists=sum(
                "calendar_id" in parse_qs(urlsplit(call.url).query) for call in lists
            ),
            bot_calls=sum(self._world.count(name) for name in BOT_CALLS),
            row_writes=self._host.meter.writes(),
        )

    def writes_beyond_workspace(self, costs: Costs) -> int:
        """Row writes outside the table that holds the cursor."""
        return sum(
            count for table, count in costs.row_writes.items() if table != self._workspace_table
        )

    def workspace_writes(self, costs: Costs) -> int:
        return costs.row_writes.get(self._workspace_table, 0)

    def listen(self) -> list[dict[str, Any]]:
        """Events that came over the bus since the last look; all are kept in `heard`."""
        news = self._host.events.take()
        self.heard += news
        return news

    def has_heard(self, name: str, **detail: object) -> bool:
        """Whether an event of this type with these detail fields came over the bus."""
        self.listen()
        return any(
            event["detail-type"] == name
            and all(event["detail"].get(key) == value for key, value in detail.items())
            for event in self.heard
        )

    def until_quiet(self) -> None:
        """Wait until nobody has called Recall for a moment and the queue is empty.

        The queue is asked last: counting its messages keeps the emulated cloud from its work.
        """
        limit = time.monotonic() + QUIET_LIMIT_SECONDS
        while not self._was_calm() or self.queued():
            if time.monotonic() > limit:
                raise StepFailedError("the stack does not come to rest")

    def _was_calm(self) -> bool:
        """Whether a moment passes without a call."""
        calls = len(self._world.calls)
        end = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < end:
            if len(self._world.calls) != calls:
                return False
            time.sleep(POLL_SECONDS)
        return len(self._world.calls) == calls

    def until_listed(self) -> None:
        """Wait for a sweep that begins from now on, and for what follows from it."""
        lists = self.costs().lists
        until(
            lambda: self.costs().lists > lists,
            wanted="another sweep",
            limit_seconds=QUIET_LIMIT_SECONDS,
        )
        time.sleep(QUIET_SECONDS)

    def queued(self) -> int:
        """Messages in the queues that functions drain, taken ones included."""
        sources = (source.queue_arn for source in self._host.stack.sources)
        return sum(self._depth(self._host.stack.queue(arn)) for arn in sources)

    def dead_letters(self) -> int:
        dead = {queue.dead_letter_arn for queue in self._host.stack.queues}
        return sum(self._depth(queue) for queue in self._host.stack.queues if queue.arn in dead)

    def refused_calls(self) -> list[Call]:
        """Calls that Recall answered with an error; each would be a fault of ours."""
        return [call for call in list(self._world.calls) if call.status >= HTTP_ERROR]

    def _depth(self, queue: Queue) -> int:
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
        ]
        answer = self._sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)


def side_of(bot: LiveBot) -> Scheduling:
    """Bots of calendar events have a deduplication key."""
    return Scheduling.SELF_MANAGED if bot.key is None else Scheduling.MANAGED


def until(holds: Callable[[], bool], *, wanted: str, limit_seconds: float) -> float:
    """Seconds until `holds`; StepFailedError naming what was wanted when it never did."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > limit_seconds:
            raise StepFailedError(f"not within {limit_seconds:g} s: {wanted}")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


def check(holds: bool, *, wanted: str) -> None:
    if not holds:
        raise StepFailedError(wanted)
