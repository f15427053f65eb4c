"""A whole stack without sockets: moto for AWS, emulated Recall, virtual time, real handlers."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import time_machine

from functions.reconciler import app as reconciler
from functions.scheduler import app as scheduler
from functions.webhooks import app as webhooks
from infra.local.emulators.clock import VirtualClock
from infra.local.emulators.http import WorldAdapter
from infra.local.emulators.recall.switches import Switches, Timings
from infra.local.emulators.recall.webhooks import Delivery
from infra.local.emulators.recall.world import RecallWorld
from shared.domain.calendar import Calendar, CalendarStatus, Platform
from shared.domain.message import Tick, encode
from shared.domain.secret import Secret
from shared.entrypoints.queue import answer
from shared.observability import Log
from shared.recall import new_session
from shared.secrets import SecretStore
from shared.storage import open_stores
from tests.notices import check_notice
from tests.tables import REGION, client, create_tables
from tests.virtual_queue import VirtualQueue

START = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
RECALL = "https://us-east-1.recall.ai"
WEBHOOK_SECRET = "whsec_ZXhhbXBsZS1zaWduaW5nLWtleS0wMTIzNDU2Nzg5YWI="
GOOGLE = "google_calendar"
OUTLOOK = "microsoft_outlook"
STEPS_MAX = 10_000
RUNS_MAX = 500
RECEIVES_MAX = 10


class ShiftedClock:
    """Another machine's clock: always so much ahead of (or, when negative, behind) ours."""

    def __init__(self, clock: VirtualClock, *, ahead: timedelta) -> None:
        self._clock = clock
        self._ahead = ahead

    def now(self) -> datetime:
        return self._clock.now() + self._ahead


class Stack:
    """Drives the scheduler as SQS and Svix do, over an emulated Recall."""

    def __init__(
        self,
        *,
        switches: Switches | None = None,
        timings: Timings | None = None,
        feed_mode: str = "workspace",
        recall_ahead: timedelta = timedelta(0),
    ) -> None:
        self.clock = VirtualClock(START)
        self._recall_ahead = recall_ahead
        self.recall = RecallWorld(
            ShiftedClock(self.clock, ahead=recall_ahead),
            base_url=RECALL,
            api_key="key-of-the-workspace",
            webhook_secret=WEBHOOK_SECRET,
            deliver=self._deliver,
            switches=switches,
            timings=timings,
        )
        self.adapter = WorldAdapter(self.recall.handle)
        self.queue = VirtualQueue(
            self.clock, visibility=timedelta(seconds=70), receives_max=RECEIVES_MAX
        )
        self.lose_webhooks = False
        self.scheduler_crashes = False
        self._next_tick = START + timedelta(minutes=1)
        self.notices: list[tuple[str, dict[str, Any]]] = []
        self.tables = create_tables()
        self.stores = open_stores(self.tables)
        self.environment = self._environment(feed_mode)
        self._numbers = itertools.count(1)
        self.scheduler = self.cold_start()
        self._webhooks = webhooks.Service(
            queue=self.scheduler.queue,
            secrets=SecretStore(
                self._client("secretsmanager"),
                self.environment["SECRET_ID"],
                required=["recall_webhook_secret"],
            ),
            log=Log("webhooks"),
            clock=self.clock.now,
        )

    def cold_start(self) -> scheduler.Service:
        return scheduler.compose(self.environment, **self._given())

    def reconciler(self) -> reconciler.Service:
        """A reconciler as it wakes up: a process of its own with a share of the budget."""
        return reconciler.compose(self.environment, **self._given())

    def _given(self) -> dict[str, Any]:
        session = new_session(8)
        session.mount(RECALL, self.adapter)
        return {
            "client": self._client,
            "session": session,
            "clock": self.clock.now,
            "chance": lambda _bytes: f"chance-{next(self._numbers)}",
        }

    # The outside world.

    def connect(
        self,
        email: str = "owner@acme.example",
        *,
        platform: str = GOOGLE,
        tenant_id: str = "default",
        entity_id: str = "u1",
    ) -> str:
        """A calendar connected at Recall and mapped here; answers its id."""
        token = f"token-{next(self._numbers)}"
        self.recall.grant(token, platform=platform, email=email)
        shown = self.scheduler.doors.recall.create_calendar(
            platform=Platform(platform),
            client_id="client",
            client_secret=Secret("client-secret"),
            refresh_token=Secret(token),
            metadata={},
            idempotency_key=token,
        )
        self.stores.calendars.add(
            Calendar(
                calendar_id=shown.calendar_id,
                tenant_id=tenant_id,
                entity_id=entity_id,
                platform=Platform(platform),
                email=email,
                status=CalendarStatus.CONNECTING,
                created_at=shown.created_at,
                updated_at=shown.updated_at,
                read_since=shown.created_at,
            )
        )
        self.scheduler.queue.ring(received_at=self.clock.now())
        return shown.calendar_id

    def tick(self) -> None:
        body = encode(Tick(scheduled_at=self.clock.now()))
        self.queue.send_message(QueueUrl="", MessageBody=body, MessageGroupId="feed")

    def run(self, seconds: float = 0, *, ticks: bool = False) -> None:
        """Let so much time pass, with everything that happens meanwhile."""
        end = self.clock.now() + timedelta(seconds=seconds)
        for _ in range(STEPS_MAX):
            self.recall.run_due()
            self._answer_queue()
            if self.clock.now() >= end:
                return
            self.clock.advance_to(min([end, *self._coming(self._next_tick if ticks else None)]))
            while self.clock.now() >= self._next_tick:
                self._next_tick += timedelta(minutes=1)
                if ticks:
                    self.tick()
        raise AssertionError("the stack does not come to rest")

    def _answer_queue(self) -> None:
        for _ in range(RUNS_MAX):
            event = self.queue.receive()
            if event is None:
                return
            self._invoke(event)
        raise AssertionError("the scheduler rings its own bell without end")

    def _coming(self, next_tick: datetime | None) -> list[datetime]:
        at_recall = self.recall.next_due()
        due = None if at_recall is None else at_recall - self._recall_ahead
        moments = (due, self.queue.next_visible(), next_tick)
        now = self.clock.now()
        return [moment for moment in moments if moment is not None and moment > now]

    def _invoke(self, event: dict[str, Any]) -> None:
        if self.scheduler_crashes:
            self.queue.settle(event, {record["messageId"] for record in event["Records"]})
            return
        service = self.scheduler
        reply = answer(
            event,
            feed=service.feed,
            single=service.single,
            queue=service.queue,
            log=service.log,
            seconds_left=lambda: 60.0,
        )
        self.queue.settle(event, {item["itemIdentifier"] for item in reply["batchItemFailures"]})

    def _deliver(self, delivery: Delivery) -> int:
        if self.lose_webhooks:
            return 204
        event = {
            "version": "2.0",
            "routeKey": "POST /webhooks/recall",
            "headers": {name.lower(): value for name, value in delivery.headers.items()},
            "body": delivery.body.decode(),
            "isBase64Encoded": False,
        }
        # The svix library looks at the clock on the wall.
        with time_machine.travel(self.clock.now(), tick=False):
            return int(webhooks.receive(event, self._webhooks)["statusCode"])

    def _client(self, name: str) -> Any:
        match name:
            case "sqs":
                return self.queue
            case "events":
                return SimpleNamespace(put_events=self._put_events)
            case _:
                return client(name)

    def _put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        for entry in Entries:
            name, detail = entry["DetailType"], json.loads(entry["Detail"])
            check_notice(name, detail)
            self.notices.append((name, detail))
        return {"FailedEntryCount": 0, "Entries": [{} for _ in Entries]}

    def _environment(self, feed_mode: str) -> dict[str, str]:
        secret = {
            "recall_api_key": "key-of-the-workspace",
            "recall_webhook_secret": WEBHOOK_SECRET,
            "link_secret": "l" * 43,
        }
        made = client("secretsmanager").create_secret(
            Name="rollcall", SecretString=json.dumps(secret)
        )
        names = {
            "ACCOUNTS_TABLE": self.tables.accounts,
            "CALENDARS_TABLE": self.tables.calendars,
            "CLAIMS_TABLE": self.tables.claims,
            "CONNECT_SESSIONS_TABLE": self.tables.sessions,
            "MEETINGS_TABLE": self.tables.meetings,
            "SETTINGS_TABLE": self.tables.settings,
            "WORKSPACE_TABLE": self.tables.workspace,
        }
        return {
            **{name: value or "" for name, value in names.items()},
            "AWS_REGION": REGION,
            "QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/doorbell.fifo",
            "DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/dead-letters.fifo",
            "BUS_NAME": "rollcall",
            "SECRET_ID": made["ARN"],
            "SEAL_KEY_ID": "alias/rollcall",
            "RECALL_BASE_URL": RECALL,
            "FEED_MODE": feed_mode,
        }
