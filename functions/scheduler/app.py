"""The queue in, bots right: answers doorbells, re-reads calendars, takes what bots report."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Final, assert_never

import boto3

from shared.config import AWS_LIMITS, require
from shared.entrypoints.queue import Answer, Heard, Verdict, answer
from shared.errors import RollcallError
from shared.events import EventBus
from shared.flows.act import CALLS_IN_FLIGHT, Actor
from shared.flows.bots import BotReports
from shared.flows.calendars import refresh
from shared.flows.doors import CalendarDoors
from shared.flows.erase import Eraser
from shared.flows.keep import Keeper
from shared.flows.observe import Observer
from shared.flows.redecide import Redecider
from shared.flows.sweep import Sweeper, SweepSettings
from shared.observability import Log
from shared.providers.clients import OAuthClients, providers_of
from shared.queue import BotEvent, CalendarUpdate, Queue, SingleMessage
from shared.recall import new_session, open_recall
from shared.secrets import SecretStore
from shared.storage import Tables, open_stores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from requests import Session

    from shared.flows.neighbours import Workers

# Fewer than the queue's maxReceiveCount: a doorbell is no dead letter, for the cursor stands
# still until a sweep succeeds, and the tick rings every minute.
DOORBELL_RECEIVES_MAX: Final = 8
UNIQUE_BYTES: Final = 16
NEEDED: Final = (
    "AWS_REGION",
    "ACCOUNTS_TABLE",
    "CALENDARS_TABLE",
    "CLAIMS_TABLE",
    "CONNECT_SESSIONS_TABLE",
    "MEETINGS_TABLE",
    "SETTINGS_TABLE",
    "WORKSPACE_TABLE",
    "QUEUE_URL",
    "BUS_NAME",
    "SECRET_ID",
    "RECALL_BASE_URL",
    "FEED_MODE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the function is made of."""

    sweeper: Sweeper
    bots: BotReports
    doors: CalendarDoors
    queue: Queue
    log: Log
    clock: Callable[[], datetime]

    def feed(self, heard: tuple[Heard, ...]) -> Verdict:
        try:
            return Verdict(retry_in=self.sweeper.answer([bell.message for bell in heard]))
        except RollcallError as error:
            if max(bell.receives for bell in heard) < DOORBELL_RECEIVES_MAX:
                raise
            self.log.warning("doorbells left to the next tick", code=error.code)
            return Verdict()

    def single(self, message: SingleMessage) -> None:
        match message:
            case CalendarUpdate():
                refresh(self.doors, message.calendar_id, now=self.clock())
            case BotEvent():
                self.bots.receive(message)
            case never:
                assert_never(never)


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
    log = Log("scheduler")
    stores = open_stores(Tables.from_settings(settings))
    secrets = SecretStore(
        client("secretsmanager"), settings["SECRET_ID"], required=["recall_api_key"]
    )
    recall = open_recall(environment, session, secrets=secrets, store=stores.workspace, clock=clock)
    queue = Queue(client("sqs"), settings["QUEUE_URL"])
    bus = EventBus(client("events"), settings["BUS_NAME"])
    doors = CalendarDoors.over(stores, recall=recall, queue=queue, bus=bus)
    observer = Observer(stores, bus, clock=clock, log=log, workers=workers)
    keeper = Keeper(
        recall, stores.claims, clock=clock, unique=partial(chance, UNIQUE_BYTES), log=log
    )
    redecider = Redecider(stores, observer, bus=bus, clock=clock, log=log)
    revoking = {"GOOGLE_REVOKE_URL": environment.get("GOOGLE_REVOKE_URL", "")}
    clients = OAuthClients(providers_of(revoking), secrets, session=session)
    eraser = Eraser(stores, doors, clients=clients, clock=clock, log=log)
    sweeper = Sweeper(
        recall,
        stores,
        queue=queue,
        observer=observer,
        chores=(redecider.go_on, eraser.go_on),
        actor=Actor(
            recall, stores, keeper=keeper, observer=observer, bus=bus, clock=clock, log=log
        ),
        refresh=lambda calendar_id: refresh(doors, calendar_id, now=clock()),
        clock=clock,
        unique=partial(chance, UNIQUE_BYTES),
        log=log,
        settings=SweepSettings(by_calendar=settings["FEED_MODE"] == "calendar"),
    )
    return Service(
        sweeper=sweeper,
        bots=BotReports(recall, stores, bus=bus, clock=clock),
        doors=doors,
        queue=queue,
        log=log,
        clock=clock,
    )


def handler(event: dict[str, Any], context: LambdaContext) -> Answer:
    """An SQS batch in; `{"batchItemFailures": [...]}` names what must come back."""
    parts = service()
    parts.log.begin(context.aws_request_id)
    return answer(
        event,
        feed=parts.feed,
        single=parts.single,
        queue=parts.queue,
        log=parts.log,
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
