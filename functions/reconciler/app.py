"""EventBridge wakes it: pre-flight, states of calendars, audit, and consents that still wait."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Final

import boto3

from shared.config import AWS_LIMITS, chosen, require
from shared.domain.drift import Drift
from shared.errors import PermanentError, TransientError
from shared.events import EventBus
from shared.flows.calendars import refresh
from shared.flows.claims import is_of
from shared.flows.connect import BrowserDoors, ConnectDoors, finish_waiting
from shared.flows.coverage import count_coverage
from shared.flows.doors import CalendarDoors
from shared.flows.observe import Observer
from shared.flows.orphans import Looked, OrphanSweep
from shared.flows.overview import keep_overview
from shared.flows.reconcile import PREFLIGHT_TO, Reconciler, ReconcileTools
from shared.observability import Log
from shared.providers.clients import OAuthClients, providers_of
from shared.queue import Queue
from shared.recall import RATE_BUDGET, new_session, open_recall
from shared.secrets import Seal, SecretStore
from shared.storage import Stores, Tables, open_stores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from requests import Session

    from shared.flows.neighbours import Workers

CALLS_IN_FLIGHT: Final = 1
CONSENTS_MAX: Final = 50
UNIQUE_BYTES: Final = 16
# The sweeps come first: what the reconciler reads can wait.
BUDGET_SHARE: Final = 0.5
# As far ahead as Recall lists events.
WINDOW_AHEAD: Final = timedelta(days=28)
NEEDED: Final = (
    "AWS_REGION",
    "CONNECT_SESSIONS_TABLE",
    "ACCOUNTS_TABLE",
    "CALENDARS_TABLE",
    "CLAIMS_TABLE",
    "MEETINGS_TABLE",
    "SETTINGS_TABLE",
    "WORKSPACE_TABLE",
    "QUEUE_URL",
    "BUS_NAME",
    "SECRET_ID",
    "SEAL_KEY_ID",
    "RECALL_BASE_URL",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the function is made of."""

    reconciler: Reconciler
    orphans: OrphanSweep
    connect: ConnectDoors
    stores: Stores
    queue: Queue
    log: Log
    clock: Callable[[], datetime]
    unique: Callable[[], str]

    def perform(self, task: object) -> dict[str, int]:
        """One task by its name in the template; PermanentError `task_unknown` for another.

        Without rate budget it is put off to the next wake-up: the sweeps need it more.
        """
        try:
            return self._perform(task)
        except TransientError as error:
            if error.code != RATE_BUDGET:
                raise
            self.log.warning("task put off: no rate budget left", code=error.code)
            self.log.count("TaskPutOff")
            return {"put_off": 1}

    def _perform(self, task: object) -> dict[str, int]:
        match task:
            case "preflight":
                landed = finish_waiting(self.connect, limit=CONSENTS_MAX, now=self.clock())
                due = self.reconciler.preflight()
                looked = self.look(ahead=PREFLIGHT_TO)
                return {"landed": landed, "due": due, "claims": looked.marked}
            case "calendars":
                return {"refreshed": self.reconciler.refresh_calendars()}
            case "audit":
                walk = self.reconciler.audit()
                if walk is not None and walk.finished_at is not None:
                    self.reconciler.report_own(self.look(ahead=WINDOW_AHEAD))
                return {"events": walk.events if walk else 0}
            case "coverage":
                days = count_coverage(self.stores.meetings, self.stores.workspace, now=self.clock())
                return {"days": days}
            case "overview":
                overview = keep_overview(self.stores, now=self.clock())
                return {"calendars": sum(overview.calendars.values())}
            case _:
                raise PermanentError("task_unknown", "The schedule names no task we know.")

    def look(self, *, ahead: timedelta) -> Looked:
        """Compare the self-managed bots with their claims, and ring for those it marked."""
        looked = self.orphans.look(ahead=ahead)
        if looked.marked:
            self.queue.ring_work(now=self.clock(), unique=self.unique())
        return looked


@cache
def service() -> Service:
    return compose(
        os.environ,
        client=partial(boto3.client, config=AWS_LIMITS),
        session=new_session(CALLS_IN_FLIGHT),
        clock=partial(datetime.now, UTC),
        chance=token_urlsafe,
    )


def compose(
    environment: Mapping[str, str],
    *,
    client: Callable[[str], Any],
    session: Session,
    clock: Callable[[], datetime],
    chance: Callable[[int], str],
    workers: Workers = ThreadPoolExecutor,
) -> Service:
    """The function's parts; time, chance, and the ways to AWS and Recall are given."""
    settings = require(environment, *NEEDED)
    heal = frozenset(map(Drift, chosen(environment, "DRIFT_HEAL", known=list(Drift))))
    log = Log("reconciler")
    stores = open_stores(Tables.from_settings(settings))
    secrets = SecretStore(client("secretsmanager"), settings["SECRET_ID"])
    recall = open_recall(
        environment,
        session,
        secrets=secrets,
        store=stores.workspace,
        clock=clock,
        share=BUDGET_SHARE,
    )
    queue = Queue(client("sqs"), settings["QUEUE_URL"])
    bus = EventBus(client("events"), settings["BUS_NAME"])
    doors = CalendarDoors.over(stores, recall=recall, queue=queue, bus=bus)
    tools = ReconcileTools(
        recall=recall,
        stores=stores,
        queue=queue,
        observer=Observer(stores, bus, clock=clock, log=log, workers=workers),
        refresh=lambda calendar_id: refresh(doors, calendar_id, now=clock()),
        clock=clock,
        unique=partial(chance, UNIQUE_BYTES),
        log=log,
        heal=heal,
    )
    browser = BrowserDoors(
        sessions=stores.sessions,
        # Consents that wait were exchanged before: no provider is asked from here.
        clients=OAuthClients(providers_of({}), secrets, session=session),
        secrets=secrets,
        seal=Seal(client("kms"), settings["SEAL_KEY_ID"]),
        public_url="",
        chance=chance,
    )
    return Service(
        reconciler=Reconciler(tools),
        orphans=OrphanSweep(
            recall,
            stores.claims,
            known=lambda meeting_key: any(
                is_of(row.assignment, meeting_key) for row in stores.meetings.of_key(meeting_key)
            ),
            clock=clock,
            unique=partial(chance, UNIQUE_BYTES),
            log=log,
            heal=heal,
        ),
        connect=ConnectDoors(browser=browser, calendar=doors, log=log),
        stores=stores,
        queue=queue,
        log=log,
        clock=clock,
        unique=partial(chance, UNIQUE_BYTES),
    )


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """`{"task": ...}` in, one of the names in `_perform`; counts out; errors show as failures."""
    parts = service()
    parts.log.begin(context.aws_request_id)
    return parts.perform(event.get("task"))
