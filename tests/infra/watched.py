"""Both test worlds with a watch on every handler in them."""

from __future__ import annotations

import secrets
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import boto3

from functions.console import app as console
from functions.reconciler import app as reconciler
from functions.scheduler import app as scheduler
from infra.local.emulators.http import WorldAdapter
from infra.local.emulators.recall.webhooks import Delivery
from shared.queue import CalendarUpdate
from shared.recall import new_session
from tests.connect_stage import Answer, Browser, Stage
from tests.console import ConsoleBrowser
from tests.infra.watch import Watch, answered_by
from tests.people import Person
from tests.stack import RECALL, Stack
from tests.tables import REGION


class WatchedStack(Stack):
    """Scheduler, webhooks and reconciler in virtual time, with real clients of boto3."""

    def __init__(self, watch: Watch, **how: Any) -> None:
        self._watch = watch
        super().__init__(**how)

    def cold_start(self) -> scheduler.Service:
        with self._watch.acting("SchedulerFunction", self.environment):
            return super().cold_start()

    def reconcile(self, *tasks: str) -> list[dict[str, int]]:
        """The tasks, by a sandbox of their own."""
        sessions = {"CONNECT_SESSIONS_TABLE": str(self.tables.sessions), "SEAL_KEY_ID": "key"}
        environment = self.environment | sessions
        session = new_session(1)
        session.mount(RECALL, WorldAdapter(self.recall.handle))
        with self._watch.acting("ReconcilerFunction", environment):
            service = reconciler.compose(
                environment,
                client=self._client,
                session=session,
                clock=self.clock.now,
                chance=secrets.token_urlsafe,
            )
            return [service.perform(task) for task in tasks]

    def _invoke(self, event: dict[str, Any]) -> None:
        with self._watch.acting("SchedulerFunction", self.environment):
            super()._invoke(event)

    def _deliver(self, delivery: Delivery) -> int:
        with self._watch.acting("WebhooksFunction", self.environment):
            return super()._deliver(delivery)

    def _client(self, name: str) -> Any:
        client = boto3.client(name, region_name=REGION)
        match name:
            case "sqs":
                return answered_by(client, self.queue)
            case "events":
                return answered_by(client, SimpleNamespace(put_events=self._put_events))
            case _:
                return client


class WatchedStage(Stage):
    """API, browser pages and reconciler over one deployment, with AWS as moto has it."""

    def __init__(self, watch: Watch, **environment: str) -> None:
        self._watch = watch
        super().__init__(FEED_MODE="workspace", **environment)

    def _client(self, name: str) -> Any:
        return boto3.client(name, region_name=REGION)

    def call(self, method: str, path: str, body: object = None, **more: Any) -> Answer:
        with self._watch.acting("CalendarsFunction", self.environment):
            return super().call(method, path, body, **more)

    def browser(self) -> Browser:
        return WatchedBrowser(self, self._watch)

    def come_home(self, *, email: str = "ada@acme.example", **changes: Any) -> tuple[str, Answer]:
        session = self.start(**changes).json
        browser = self.browser()
        at_provider = browser.get(session["connect_url"])
        home = browser.get(self.consent(at_provider.location, email=email))
        return session["session_id"], home

    def refresh(self, calendar_id: str) -> None:
        """As Recall's webhook about a calendar makes the scheduler do it."""
        now: datetime = self.clock.now()
        with self._watch.acting("SchedulerFunction", self.environment):
            service = scheduler.compose(self.environment, **self._parts())
            service.single(CalendarUpdate(calendar_id=calendar_id, received_at=now))

    def reconcile(self, *tasks: str) -> list[dict[str, int]]:
        with self._watch.acting("ReconcilerFunction", self.environment):
            service = reconciler.compose(self.environment, **self._parts())
            return [service.perform(task) for task in tasks]

    def _parts(self) -> dict[str, Any]:
        return {
            "client": self._client,
            "session": self.session,
            "clock": self.clock.now,
            "chance": secrets.token_urlsafe,
        }


class WatchedBrowser(Browser):
    def __init__(self, stage: WatchedStage, watch: Watch) -> None:
        super().__init__(stage)
        self._watch = watch

    def get(self, url: str, **headers: str) -> Answer:
        with self._watch.acting("OauthFunction", self._stage.environment):
            return super().get(url, **headers)


class WatchedConsole(ConsoleBrowser):
    """An operator's browser beside a stack."""

    def __init__(self, stack: WatchedStack, watch: Watch) -> None:
        self._watch = watch
        more = {"API_KEYS_TABLE": str(stack.tables.api_keys), "PUBLIC_URL": "https://r.example"}
        self._environment = stack.environment | more
        super().__init__(console.compose(self._environment, **stack._given()))

    def _ask(self, method: str, url: str, **how: Any) -> Answer:
        with self._watch.acting("ConsoleFunction", self._environment):
            return super()._ask(method, url, **how)


class WatchedPerson(Person):
    """The browser of somebody with a link, beside a stage."""

    def __init__(self, stage: WatchedStage, watch: Watch) -> None:
        self._watch = watch
        more = {"API_KEYS_TABLE": str(stage.tables.api_keys)}
        self._environment = stage.environment | more
        super().__init__(console.compose(self._environment, **stage._parts()))

    def _ask(self, method: str, url: str, **how: Any) -> Answer:
        with self._watch.acting("ConsoleFunction", self._environment):
            return super()._ask(method, url, **how)
