"""The whole: the real functions in processes that die, between the emulated worlds around them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from random import Random
from types import SimpleNamespace
from typing import Any, Final
from unittest import mock

import boto3
from botocore.client import BaseClient
from pynamodb.connection import Connection

from functions.calendars import app as calendars_app
from functions.oauth import app as oauth_app
from functions.reconciler import app as reconciler_app
from functions.scheduler import app as scheduler_app
from functions.webhooks import app as webhooks_app
from infra.local.emulators.clock import VirtualClock
from infra.local.emulators.providers import ProviderWorld
from infra.local.emulators.recall import AccessToken, GrantFailure, GrantResult, RecallWorld
from infra.local.emulators.recall.switches import Switches, Timings
from infra.local.emulators.recall.webhooks import Delivery
from shared.domain.message import Tick, encode
from shared.entrypoints.queue import answer
from shared.errors import RollcallError
from shared.recall import new_session
from shared.storage.attributes import stored_moment
from tests.connect_stage import Answer, Context, gateway_event
from tests.simulation import readings, shortcuts
from tests.simulation.climate import Climate, Weather, refusal
from tests.simulation.cloud import SECRET_ID, Bus, Events, Http, Kms, Secrets, Sqs, aws_failure
from tests.simulation.dynamo import DynamoWorld
from tests.simulation.hub import Hub
from tests.simulation.process import InTurn, Killed, Process, process_of_task
from tests.virtual_queue import VirtualQueue

START: Final = datetime(2027, 3, 1, 9, tzinfo=UTC)
PUBLIC: Final = "https://rollcall.example"
RECALL: Final = "https://us-west-2.recall.ai"
GOOGLE: Final = "google_calendar"
OUTLOOK: Final = "microsoft_outlook"
PLATFORMS: Final = (GOOGLE, OUTLOOK)
# As in the template.
TIMEOUTS: Final = {
    "calendars": 29.0,
    "oauth": 29.0,
    "webhooks": 10.0,
    "scheduler": 60.0,
    "reconciler": 240.0,
}
VISIBILITY: Final = timedelta(seconds=70)
RECEIVES_MAX: Final = 10
TASKS: Final = {"preflight": 300.0, "calendars": 900.0, "audit": 300.0}
TICK_SECONDS: Final = 60.0
BACK_SECONDS: Final = 3.0
TRIES_MAX: Final = 400


class RingingQueue(VirtualQueue):
    """Tells whoever polls it that something changed; remembers every deduplication id."""

    def __init__(self, clock: VirtualClock, *, changed: Callable[[], None]) -> None:
        super().__init__(clock, visibility=VISIBILITY, receives_max=RECEIVES_MAX)
        self.taken: set[str] = set()
        self._changed = changed

    def send_message(self, **given: Any) -> dict[str, Any]:
        answered = super().send_message(**given)
        self.taken.add(given.get("MessageDeduplicationId") or "")
        self._changed()
        return answered

    def change_message_visibility(self, **given: Any) -> dict[str, Any]:
        answered = super().change_message_visibility(**given)
        self._changed()
        return answered

    def settle(self, event: dict[str, Any], failed: set[str]) -> None:
        super().settle(event, failed)
        self._changed()


class World:
    """One deployment under one climate; everything in it follows from `seed`.

    `violations` collects, as it happens, whatever must never be. `round_at`: after how many
    seconds the reconciler compares the calendars for the first time.
    """

    def __init__(
        self,
        seed: int | str,
        climate: Climate,
        *,
        switches: Switches | None = None,
        feed_mode: str = "workspace",
        limits: Mapping[str, int] | None = None,
        timings: Timings | None = None,
        round_at: float = TASKS["calendars"],
    ) -> None:
        self.seed = seed
        self._rounds_at = {**TASKS, "calendars": round_at}
        self.violations: list[str] = []
        self.story: list[str] = []
        self.disturbed_at: datetime | None = None
        self.clock = VirtualClock(START)
        self.hub = Hub(self.clock)
        self.weather = Weather(climate, self.chance("weather"), now=self.clock.now)
        self.bus = Bus()
        self.queue = RingingQueue(self.clock, changed=self._queue_changed)
        self._ids = self.chance("ids")
        self._climate_chance = self.chance("deliveries")
        self.secrets = self._secrets()
        recall_ahead = timedelta(seconds=climate.recall_ahead)
        self.recall_clock = SimpleNamespace(now=lambda: self.clock.now() + recall_ahead)
        self._recall_ahead = recall_ahead
        self.providers = {platform: self._provider(platform) for platform in PLATFORMS}
        self.recall = RecallWorld(
            self.recall_clock,
            base_url=RECALL,
            api_key=self.secrets["recall_api_key"],
            webhook_secret=self.secrets["recall_webhook_secret"],
            deliver=self._deliver,
            switches=switches,
            timings=timings,
            limits=limits,
            seed=self.chance("recall").getrandbits(32),
            resolve_account=self._resolve,
            mint_access_token=self._mint,
        )
        self.recall.latency = self._busy_at_recall
        self.dynamo = DynamoWorld(
            clock=self.clock.now,
            chance=self.chance("indexes"),
            index_lag=timedelta(seconds=climate.index_lag),
            shares_rows=True,
        )
        self._dynamo_client = dynamo_client()
        self.environment = self.dynamo.create_tables() | self._environment(feed_mode, limits)
        # Written again and again in a world in which nothing happens.
        self._passing = {
            self.environment[f"{name}_TABLE"] for name in ("WORKSPACE", "IDEMPOTENCY", "CALENDARS")
        }
        self._pools: dict[str, list[Process]] = {name: [] for name in TIMEOUTS}
        self._processes = self.chance("processes")
        self._refusal = refusal(self.chance("refusals"))
        self._polling: datetime | None = None
        self._recall_wake: datetime | None = None

    def chance(self, name: str) -> Random:
        """A stream of its own, so that one more draw here changes nothing there."""
        return Random(f"{self.seed}/{name}")

    # Time.

    @contextmanager
    def open(self) -> Iterator[World]:
        """Starts ticks and schedules; DynamoDB is this world's as long as it is open."""
        with (
            mock.patch.object(BaseClient, "_make_api_call", self._ask_dynamo()),
            # Making a client takes 20 ms, and there are many cold starts.
            mock.patch.object(Connection, "client", dynamo_client()),
            shortcuts.taken(),
            readings.remembered(),
        ):
            self._tick_on(START)
            for task, seconds in self._rounds_at.items():
                self.hub.after(seconds, partial(self._wake_reconciler, task))
            yield self

    def _ask_dynamo(self) -> Callable[..., Any]:
        """Over the wire of whoever asks; the world's own looks always go well."""

        def ask(client: Any, operation: str, params: dict[str, Any]) -> Any:
            effect = partial(self.dynamo.answer, client, operation, params=params)
            process = process_of_task()
            if process is None:
                return effect()
            failure = aws_failure(operation, code="ThrottlingException")
            return process.through("dynamodb", operation, effect, failure=failure)

        return ask

    def run(self, seconds: float) -> None:
        self._watch_recall()
        self.hub.run(self.clock.now() + timedelta(seconds=seconds))

    def calm(self) -> None:
        """Nothing fails any more."""
        self.weather.calm()
        self.disturbed_at = self.recall_clock.now()
        self.tell("all is calm")

    def has_changed(self, since: datetime) -> bool:
        """Whether anybody changed anything that decides something."""
        tables = {name for key, name in self.environment.items() if key.endswith("_TABLE")}
        written = map(self.dynamo.written, tables - self._passing)
        asked = (
            call.method != "GET"
            for call in self.recall.calls
            if call.at > since + self._recall_ahead
        )
        return any(moment and moment > since for moment in written) or any(asked)

    def owes(self, *, until: datetime) -> bool:
        """Whether anybody has left something to do, or will do something by then."""
        due = self.recall.next_due()
        if due is not None and due <= until + self._recall_ahead:
            return True
        if any(map(_is_unfinished, self.dynamo.look(self.environment["WORKSPACE_TABLE"]).values())):
            return True
        late = stored_moment(until)
        return any(
            "due" in row or ("wake_at" in row and row["wake_at"]["S"] <= late)
            for variable, table in self.environment.items()
            if variable.endswith("_TABLE")
            for row in self.dynamo.look(table).values()
        )

    def tell(self, sentence: str) -> None:
        """A line of what happened, for whoever replays the seed."""
        self.story.append(f"{self.clock.now():%H:%M:%S} {sentence}")

    def never(self, sentence: str) -> None:
        if sentence not in self.violations:
            self.tell(f"VIOLATION {sentence}")
            self.violations.append(sentence)

    # Functions.

    def process(self, function: str) -> Process:
        """An idle process of the function, or a new one."""
        pool = self._pools[function]
        pool[:] = [each for each in pool if each.alive]
        idle = [each for each in pool if not each.busy]
        if idle and self._processes.random() >= self.weather.climate.cold:
            return idle[0]
        for each in idle:
            pool.remove(each)
        return self._cold_start(function)

    def processes(self, function: str) -> list[Process]:
        """Those that live, busy ones included."""
        return [each for each in self._pools[function] if each.alive]

    def _cold_start(self, function: str) -> Process:
        skew = self.weather.climate.skew
        process = Process(
            function,
            hub=self.hub,
            weather=self.weather,
            ahead=timedelta(seconds=self._processes.uniform(-skew, skew)),
            timeout=TIMEOUTS[function],
        )
        process.service = self._composed(process)
        self._pools[function].append(process)
        return process

    def _composed(self, process: Process) -> Any:
        if process.function == "webhooks":
            return webhooks_app.compose(
                self.environment, client=partial(self._client, process), clock=process.now
            )
        parts: dict[str, Any] = {
            "client": partial(self._client, process),
            "session": self._session(process),
            "clock": process.now,
            "chance": self.random_text,
        }
        match process.function:
            case "scheduler":
                return scheduler_app.compose(self.environment, **parts, workers=InTurn)
            case "reconciler":
                return reconciler_app.compose(self.environment, **parts, workers=InTurn)
            case "oauth":
                return oauth_app.compose(self.environment, **parts)
            case _:
                service = calendars_app.compose(self.environment, **parts, workers=InTurn)
                return service, calendars_app.application(service)

    def _client(self, process: Process, name: str) -> Any:
        match name:
            case "sqs":
                return Sqs(process, self.queue)
            case "events":
                return Events(process, self.bus)
            case "kms":
                return Kms(process)
            case "secretsmanager":
                return Secrets(process, self.secrets)
            case _:
                return self._dynamo_client

    def _session(self, process: Process) -> Any:
        session = new_session(1)
        worlds = [("recall", RECALL, self.recall.handle)]
        worlds += [("provider", each.base_url, each.handle) for each in self.providers.values()]
        for system, url, handle in worlds:
            session.mount(url, Http(process, handle, system=system, refusal=self._refusal))
        return session

    def _busy_at_recall(self, _: object) -> None:
        """A call takes its time inside Recall, too, and others meet it there."""
        self.hub.sleep(0.02)

    # The queue.

    def _queue_changed(self) -> None:
        self._poll_at(self.clock.now() + timedelta(milliseconds=20))

    def _poll_at(self, moment: datetime) -> None:
        if self._polling is None or moment < self._polling:
            self._polling = moment
            self.hub.at(moment, partial(self._poll, moment))

    def _poll(self, moment: datetime) -> None:
        if self._polling != moment:
            return
        self._polling = None
        while (event := self.queue.receive()) is not None:
            self.hub.spawn(partial(self._schedule, event))
        visible = self.queue.next_visible()
        if visible is not None:
            self._poll_at(visible)

    def _schedule(self, event: dict[str, Any]) -> None:
        process = self.process("scheduler")
        service = process.service
        try:
            reply = process.serve(
                lambda: answer(
                    event,
                    feed=service.feed,
                    single=service.single,
                    queue=service.queue,
                    log=service.log,
                    seconds_left=process.seconds_left,
                )
            )
        except Killed:
            self._queue_changed()
            return
        failed = {item["itemIdentifier"] for item in reply["batchItemFailures"]}
        self.queue.settle(event, failed)

    def ring(self, body: str, *, group: str = "feed") -> None:
        """As EventBridge sends: with content-based deduplication."""
        self.queue.send_message(QueueUrl="", MessageBody=body, MessageGroupId=group)

    def redrive(self) -> int:
        """An operator sends all dead letters back, twice; SQS knows none of the new ids."""
        dead, self.queue.dead = self.queue.dead, []
        for message in dead:
            for copy in ("a", "b"):
                self.queue.send_message(
                    QueueUrl="",
                    MessageBody=message.body,
                    MessageGroupId=message.group,
                    MessageDeduplicationId=f"again-{copy}-{message.number}",
                )
        return len(dead)

    # EventBridge.

    def _tick_on(self, moment: datetime) -> None:
        self.hub.at(moment, partial(self._tick, moment))

    def _tick(self, moment: datetime) -> None:
        self._tick_on(moment + timedelta(seconds=TICK_SECONDS))
        climate, chance = self.weather.climate, self._climate_chance
        if chance.random() < climate.ticks_lost:
            return
        late = chance.uniform(0, 60) if chance.random() < climate.ticks_late else 0.0
        body = encode(Tick(scheduled_at=moment))
        self.hub.after(late, partial(self.ring, body))
        if chance.random() < climate.ticks_doubled:
            self.hub.after(late + chance.uniform(0, 30), partial(self.ring, body))

    def tick(self) -> None:
        """One that comes out of turn."""
        self.ring(encode(Tick(scheduled_at=self.clock.now())))

    def _wake_reconciler(self, task: str) -> None:
        self.hub.after(TASKS[task], partial(self._wake_reconciler, task))
        climate, chance = self.weather.climate, self._climate_chance
        if chance.random() < climate.ticks_lost:
            return
        self.hub.spawn(partial(self.reconcile, task))
        if chance.random() < climate.ticks_doubled:
            self.hub.spawn(partial(self.reconcile, task))

    def reconcile(self, task: str) -> dict[str, int] | None:
        """One wake-up; None when it failed, as Lambda's own log would show."""
        process = self.process("reconciler")
        try:
            return process.serve(lambda: process.service.perform(task))
        except Killed:
            return None
        except RollcallError as error:
            self.tell(f"reconciler: {task} failed with {error.code}")
            return None

    # Recall calls.

    def _watch_recall(self) -> None:
        """Let Recall do by itself what is due, and come back for the next."""
        for message in self.recall.due_messages():
            self.hub.spawn(partial(self.recall.attempt, message))
        due = self.recall.next_due()
        wake = self.clock.now() + timedelta(seconds=5)
        if due is not None:
            wake = min(wake, max(due - self._recall_ahead, self.clock.now()))
        self._wake_at(max(wake, self.clock.now() + timedelta(milliseconds=50)))

    def _wake_at(self, moment: datetime) -> None:
        if self._recall_wake is None or not (self.clock.now() < self._recall_wake <= moment):
            self._recall_wake = moment
            self.hub.at(moment, partial(self._wake_recall, moment))

    def _wake_recall(self, moment: datetime) -> None:
        if self._recall_wake == moment:
            self._recall_wake = None
            self._watch_recall()

    def _deliver(self, delivery: Delivery) -> int:
        """The status as Svix hears it; 0 when it hears nothing."""
        climate, chance = self.weather.climate, self._climate_chance
        kind = json.loads(delivery.body)["event"]
        if chance.random() < climate.webhooks_lost:
            # Svix believes that it arrived: nothing but the tick tells of the change.
            return 204
        status = self._received(delivery)
        if status == 204 and kind.startswith(("calendar.", "bot.")):
            self._must_be_durable(delivery, kind)
        doubled = chance.random() < climate.webhooks_doubled
        return 0 if doubled else status

    def _received(self, delivery: Delivery) -> int:
        event = {
            "version": "2.0",
            "routeKey": "POST /webhooks/recall",
            "headers": {name.lower(): value for name, value in delivery.headers.items()},
            "body": delivery.body.decode(),
            "isBase64Encoded": False,
        }
        process = self.process("webhooks")
        try:
            reply = process.serve(lambda: webhooks_app.receive(event, process.service))
        except Killed:
            return 502
        return int(reply["statusCode"])

    def _must_be_durable(self, delivery: Delivery, kind: str) -> None:
        if delivery.id not in self.queue.taken and kind in WEBHOOKS_TAKEN:
            self.never(f"4: a webhook {kind} was acknowledged and is nowhere")

    # The API, as the host's backend calls it.

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer | None:
        """One request; None when the gateway gave up on the function."""
        event: dict[str, Any] = gateway_event(f"{method} {path}", path=path, headers=headers)
        if body is not None:
            event["body"] = json.dumps(body)
        process = self.process("calendars")
        try:
            return Answer(process.serve(lambda: process.service[1].resolve(event, Context())))
        except Killed:
            return None

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """A client that goes on until it is answered; every try bears the same key."""
        key = self.random_text(16)
        for _ in range(TRIES_MAX):
            answered = self.call(method, path, body, idempotency_key=key)
            if answered is not None and answered.status < 500 and not _in_progress(answered):
                return answered
            self.hub.sleep(BACK_SECONDS)
        raise AssertionError(f"{method} {path} was never answered")

    def in_api(self, work: Callable[[Any, Process], Any]) -> Any:
        """Something inside the API's function for which there is no route, until it is done."""
        for _ in range(TRIES_MAX):
            process = self.process("calendars")
            try:
                return process.serve(partial(work, process.service[0], process))
            except (Killed, RollcallError):
                self.hub.sleep(BACK_SECONDS)
        raise AssertionError("the API never did it")

    # Scenery.

    def random_text(self, size: int) -> str:
        data = self._ids.getrandbits(8 * size).to_bytes(size, "big")
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def _secrets(self) -> dict[str, str]:
        signing = base64.b64encode(self._ids.randbytes(24)).decode()
        return {
            "recall_api_key": self._ids.randbytes(20).hex(),
            "recall_webhook_secret": f"whsec_{signing}",
            "google_client_id": "client-google",
            "google_client_secret": f"secret-{self.random_text(12)}",
            "microsoft_client_id": "client-microsoft",
            "microsoft_client_secret": f"secret-{self.random_text(12)}",
            "link_secret": self.random_text(32),
        }

    def _provider(self, platform: str) -> ProviderWorld:
        name = platform.partition("_")[0]
        return ProviderWorld(
            self.recall_clock,
            base_url=f"https://{name}.example/sign-in",
            platform=platform,
            client_id=self.secrets[f"{name}_client_id"],
            client_secret=self.secrets[f"{name}_client_secret"],
            redirect_uris={f"{PUBLIC}/oauth/{platform}/callback"},
            new_text=partial(self.random_text, 32),
        )

    def _resolve(
        self, *, platform: str, client_id: str, client_secret: str, refresh_token: str
    ) -> GrantResult | GrantFailure:
        found = self.providers[platform].resolve(
            refresh_token, client_id=client_id, client_secret=client_secret
        )
        if found is None:
            return GrantFailure(reason="invalid_grant")
        return GrantResult(email=found[0], scopes=tuple(found[1].split()))

    def _mint(self, calendar: Any) -> AccessToken | GrantFailure:
        found = self.providers[calendar.platform].access_token_for(calendar.live_token)
        if found is None:
            return GrantFailure(reason="invalid_grant")
        return AccessToken(token=found[0], expires_at=found[1])

    def _environment(self, feed_mode: str, limits: Mapping[str, int] | None) -> dict[str, str]:
        google, microsoft = self.providers[GOOGLE], self.providers[OUTLOOK]
        return {
            "AWS_REGION": "us-east-1",
            "QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/doorbell.fifo",
            "DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/dead.fifo",
            "BUS_NAME": "rollcall",
            "SECRET_ID": SECRET_ID,
            "SEAL_KEY_ID": "alias/rollcall",
            "RECALL_BASE_URL": RECALL,
            "RECALL_LIMITS": json.dumps(dict(limits)) if limits else "",
            "FEED_MODE": feed_mode,
            "PUBLIC_URL": PUBLIC,
            "ALLOW_UNCONFIRMED": "true",
            "GOOGLE_AUTHORIZE_URL": google.authorize_url,
            "GOOGLE_TOKEN_URL": google.token_url,
            "GOOGLE_REVOKE_URL": google.revoke_url,
            "GOOGLE_USERINFO_URL": google.userinfo_url,
            "GOOGLE_ISSUER": google.base_url,
            "MICROSOFT_AUTHORIZE_URL": microsoft.authorize_url,
            "MICROSOFT_TOKEN_URL": microsoft.token_url,
            "MICROSOFT_USERINFO_URL": microsoft.userinfo_url,
            "MICROSOFT_ISSUER": microsoft.base_url,
        }


WEBHOOKS_TAKEN: Final = frozenset(
    {"calendar.sync_events", "calendar.update", "bot.done", "bot.fatal", "bot.joining_call"}
)


def _is_unfinished(row: Mapping[str, Any]) -> bool:
    """Of the workspace's rows: an open sweep, rules not gone through yet, somebody to erase."""
    document = row["document"]["M"]
    match row["name"]["S"]:
        case "feed":
            return "NULL" not in document["open"]
        case "rules":
            return "NULL" in document["finished_at"]
        case "erasures":
            return bool(document["waiting"]["L"])
        case _:
            return False


def _in_progress(answered: Answer) -> bool:
    return answered.status == 409 and answered.json.get("code") == "idempotency_key_in_use"


@cache
def dynamo_client() -> Any:
    """One for all processes: it only gives its name to what the world answers."""
    return boto3.client("dynamodb", region_name="us-east-1")
