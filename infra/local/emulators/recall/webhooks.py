"""Signed webhooks with retries, and the ways in which they go wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import requests
from svix.webhooks import Webhook

from infra.local.emulators.clock import Clock
from infra.local.emulators.recall.agenda import Agenda
from infra.local.emulators.recall.switches import Switches, Timings

TIMEOUT_SECONDS = 15.0
RETRY_SECONDS = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0)
_FAMILIES = {"webhook": ("webhook",), "svix": ("svix",), "both": ("webhook", "svix"), "none": ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One attempt to deliver a webhook; `id` is the same in every attempt."""

    id: str
    headers: Mapping[str, str]
    body: bytes
    url: str | None = None


Deliver = Callable[[Delivery], int]


def deliver_to(url: str, *, timeout: float = TIMEOUT_SECONDS) -> Deliver:
    """A `deliver` that posts over HTTP; raises like `requests` when nobody answers."""
    session = requests.Session()

    def deliver(delivery: Delivery) -> int:
        answer = session.post(
            url,
            data=delivery.body,
            headers=dict(delivery.headers),
            timeout=timeout,
            allow_redirects=False,
        )
        return answer.status_code

    return deliver


@dataclass(slots=True, kw_only=True)
class Message:
    """A webhook on its way; `attempts` holds (time, status), status 0 when nobody answered."""

    id: str
    event: str
    body: bytes
    created_at: datetime
    attempts: list[tuple[datetime, int]] = field(default_factory=list)
    state: str = "pending"

    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Outbox:
    """Sends messages when they are due; the lock is the world's, `deliver` runs outside it."""

    def __init__(
        self,
        clock: Clock,
        *,
        secrets: Iterable[str],
        deliver: Deliver | None,
        chance: random.Random,
        switches: Callable[[], Switches],
        timings: Callable[[], Timings],
    ) -> None:
        self.deliver = deliver
        self.secrets = list(secrets)
        self.messages: list[Message] = []
        self.subscribed: frozenset[str] | None = None
        self.url: str | None = None
        self._clock = clock
        self._chance = chance
        self._switches = switches
        self._timings = timings
        self._agenda = Agenda()
        self._ready: list[Message] = []
        self._lose: list[str | None] = []
        self._duplicate = 0
        self._held: list[Message] = []
        self._hold = 0

    def lose(self, count: int = 1, *, event: str | None = None) -> None:
        """The next `count` messages (of the type `event`) never arrive."""
        self._lose += [event] * count

    def duplicate(self, count: int = 1) -> None:
        """The next `count` messages are delivered twice, with the same id."""
        self._duplicate += count

    def reorder(self, count: int) -> None:
        """The next `count` messages wait for each other and arrive last one first."""
        self._hold = count

    def calm(self) -> None:
        """Nothing more goes wrong: what was to be is forgotten, what waits is on its way."""
        self._lose.clear()
        self._duplicate = self._hold = 0
        for held in self._held:
            self._plan(held, self._clock.now())
        self._held.clear()

    def send(self, event: str, data: Mapping[str, Any], *, at: datetime) -> Message | None:
        """Queue a webhook; None when the endpoint is not subscribed to the event."""
        if self.subscribed is not None and event not in self.subscribed:
            return None
        body = json.dumps({"event": event, "data": data}, separators=(",", ":")).encode()
        message = Message(id=self._id(), event=event, body=body, created_at=at)
        self.messages.append(message)
        if self._lost(event):
            message.state = "lost"
        elif self._hold:
            self._hold_back(message, at=at)
        else:
            self._plan(message, at + self._jitter())
            self._plan_twice(message, at=at)
        return message

    def replay(self, message: Message) -> None:
        """Deliver a message again, as from the dashboard."""
        self._plan(message, self._clock.now())

    def next_due(self) -> datetime | None:
        return self._agenda.next_due()

    def due(self, now: datetime) -> list[Message]:
        """Messages to attempt now; the caller delivers each and calls `attempted`."""
        while found := self._agenda.pop(now):
            found[1]()
        ready, self._ready = self._ready, []
        return ready

    def delivery(self, message: Message) -> Delivery:
        """The signed attempt; each attempt has its own timestamp and signature."""
        now = self._clock.now()
        headers = {"Content-Type": "application/json", "User-Agent": "Svix-Webhooks/1.0"}
        for family in _FAMILIES[self._switches().webhook_headers] if self.secrets else ():
            headers |= {
                f"{family}-id": message.id,
                f"{family}-timestamp": str(int(now.timestamp())),
                f"{family}-signature": self._signatures(message, now),
            }
        return Delivery(id=message.id, headers=headers, body=message.body, url=self.url)

    def attempted(self, message: Message, status: int) -> None:
        """Note the outcome and plan the next attempt after a failure."""
        now = self._clock.now()
        message.attempts.append((now, status))
        if 200 <= status < 300:  # noqa: PLR2004
            message.state = "delivered"
        elif message.state != "delivered":
            self._plan_retry(message, now)

    def _plan_retry(self, message: Message, now: datetime) -> None:
        tried = len(message.attempts)
        if tried >= len(RETRY_SECONDS):
            message.state = "failed"
            return
        wait = RETRY_SECONDS[tried] * self._timings().retry_scale
        self._plan(message, now + timedelta(seconds=wait))

    def _plan(self, message: Message, due: datetime) -> None:
        self._agenda.add(due, lambda: self._ready.append(message))

    def _plan_twice(self, message: Message, *, at: datetime) -> None:
        if self._duplicate:
            self._duplicate -= 1
            self._plan(message, at + self._jitter())

    def _hold_back(self, message: Message, *, at: datetime) -> None:
        self._held.append(message)
        self._hold -= 1
        if not self._hold:
            for held in reversed(self._held):
                self._plan(held, at)
            self._held.clear()

    def _lost(self, event: str) -> bool:
        for index, wanted in enumerate(self._lose):
            if wanted in {None, event}:
                del self._lose[index]
                return True
        return False

    def _jitter(self) -> timedelta:
        if not self._switches().webhooks_unordered:
            return timedelta(0)
        return timedelta(seconds=self._chance.uniform(0, self._timings().webhook_jitter))

    def _signatures(self, message: Message, now: datetime) -> str:
        text = message.body.decode()
        return " ".join(Webhook(each).sign(message.id, now, text) for each in self.secrets)

    def _id(self) -> str:
        letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        return "msg_" + "".join(self._chance.choices(letters, k=27))
