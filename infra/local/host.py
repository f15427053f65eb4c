"""The stack in one process: template, emulated cloud, functions, gateway, clock, outside world."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import standardwebhooks.webhooks

from infra.local.cloud import EventTap, Meter, client, emulated_cloud
from infra.local.emulators.clock import JumpingClock, datetime_by
from infra.local.gateway import Gateway, Server
from infra.local.index_page import index_page
from infra.local.intrinsics import TemplateError, load
from infra.local.lambdas import InvocationError, Lambdas
from infra.local.outside import Outside, open_outside
from infra.local.play import PATH, Play, play_page
from infra.local.poller import Poller
from infra.local.product import Backend
from infra.local.schedules import MINUTE_SECONDS, ScheduleClock
from infra.local.settings import Settings, SettingsError
from infra.local.template import REGION, Schedule, Stack, read_stack
from infra.local.terminal import Terminal
from shared.domain.api_key import KEY_BYTES, SCOPES, fingerprint, key_text
from shared.domain.calendar import Platform
from shared.domain.secret import Secret
from shared.storage.api_keys import ApiKey
from shared.storage.stores import open_stores
from shared.storage.tables import Tables

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


@dataclass(slots=True, kw_only=True)
class LocalHost:
    """A running stack and the handles by which the story plays with it.

    `time` is what everything here goes by, `clock` what fires the schedules. `crashes`: what
    Lambda would have logged of invocations that raised or ran out of time.
    """

    url: str
    public_url: str
    api_key: Secret
    stack: Stack
    outside: Outside
    lambdas: Lambdas
    meter: Meter
    events: EventTap
    time: JumpingClock
    clock: ScheduleClock
    crashes: list[str]
    tick_seconds: float


@contextmanager
def local_host(settings: Settings, terminal: Terminal) -> Iterator[LocalHost]:
    """Run the stack for as long as the context is open."""
    with ExitStack() as cleanup:
        server = Server.open(settings.options.port, _not_ready)
        cleanup.callback(server.stop)
        url = f"http://127.0.0.1:{server.port}"
        public_url = settings.public_url or url
        now = JumpingClock()
        outside = open_outside(settings, loopback_url=url, public_url=public_url, clock=now)
        stack = _stack(settings, outside, public_url=public_url)
        meter = Meter()
        cleanup.enter_context(_surroundings(stack, outside, meter=meter, clock=now))
        api_key = _seed_api_key(stack, settings)
        crashes: list[str] = []
        say = partial(_report, crashes=crashes, terminal=terminal)
        lambdas = Lambdas(stack, say=say, clock=now)
        lambdas.warm_up()
        gateway = Gateway(stack.routes, lambdas.invoke)
        cleanup.callback(gateway.close)
        gateway.page("/", index_page(public_url, emulated=outside.emulated_names))
        outside.mount(gateway)
        backend = Backend(url, api_key)
        cleanup.callback(backend.close)
        gateway.mount(PATH, play_page(_play(outside, backend, public_url=public_url, clock=now)))
        server.start(gateway)
        clock = _start_clockwork(
            cleanup, stack, lambdas=lambdas, meter=meter, scale=_scale(settings), time=now
        )
        outside.start()
        cleanup.callback(outside.stop)
        yield LocalHost(
            url=url,
            public_url=public_url,
            api_key=api_key,
            stack=stack,
            outside=outside,
            lambdas=lambdas,
            meter=meter,
            events=EventTap(),
            time=now,
            clock=clock,
            crashes=crashes,
            tick_seconds=settings.tick_seconds,
        )


@contextmanager
def _surroundings(
    stack: Stack, outside: Outside, *, meter: Meter, clock: JumpingClock
) -> Iterator[None]:
    """AWS by the clock, and the library that verifies webhooks, which takes none."""
    told = patch.object(standardwebhooks.webhooks, "datetime", datetime_by(clock))
    with told, emulated_cloud(stack, secret=outside.secret, meter=meter, clock=clock):
        yield


def _play(
    outside: Outside, backend: Backend, *, public_url: str, clock: JumpingClock
) -> Play | None:
    """Only where the whole outside world is emulated."""
    if outside.recall is None or len(outside.providers) < len(Platform):
        return None
    return Play(
        outside.recall,
        providers=outside.providers,
        backend=backend,
        public_url=public_url,
        clock=clock,
    )


def _report(text: str, *, crashes: list[str], terminal: Terminal) -> None:
    crashes.append(text)
    terminal.say(text, colour="red")


def _not_ready(environ: object, start_response: Any) -> list[bytes]:  # noqa: ANN401  WSGI
    del environ
    start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
    return [b"starting"]


def _stack(settings: Settings, outside: Outside, *, public_url: str) -> Stack:
    """The template with the parameters that the environment and the emulators give."""
    declared = load(TEMPLATE).get("Parameters", {})
    given = {
        name: settings.variables[_variable(name)]
        for name in declared
        if _variable(name) in settings.variables
    }
    parameters = {**given, **outside.parameters, "PublicUrl": public_url}
    try:
        return read_stack(TEMPLATE, parameters=parameters)
    except TemplateError as error:
        raise SettingsError(f"template.yaml: {error}") from error


def _variable(parameter: str) -> str:
    """`RecallBaseUrl` is RECALL_BASE_URL in the environment."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter).upper()


def _seed_api_key(stack: Stack, settings: Settings) -> Secret:
    key = settings.api_key or Secret(key_text(secrets.token_bytes(KEY_BYTES)))
    prefix, digest = fingerprint(key)
    table = stack.function("AuthorizerFunction").environment["API_KEYS_TABLE"]
    open_stores(Tables(region=REGION, api_keys=table)).api_keys.put(
        ApiKey(
            prefix=prefix,
            digest=digest,
            scopes=SCOPES,
            name="local host",
            created_at=datetime.now(UTC),
        )
    )
    return key


def _scale(settings: Settings) -> float:
    return settings.tick_seconds / MINUTE_SECONDS


def _start_clockwork(
    cleanup: ExitStack,
    stack: Stack,
    *,
    lambdas: Lambdas,
    meter: Meter,
    scale: float,
    time: JumpingClock,
) -> ScheduleClock:
    """Start what calls functions by itself: queue pollers and schedules."""
    for source in stack.sources:
        queue = stack.queue(source.queue_arn)
        poller = Poller(source, queue, invoke=lambdas.invoke)
        meter.listen(_Ringer(poller, queue.url).hear)
        poller.start()
        cleanup.callback(poller.stop)
    clock = ScheduleClock(
        stack.schedules, scale=scale, fire=_Firing(stack, lambdas).fire, clock=time
    )
    clock.start()
    cleanup.callback(clock.stop)
    return clock


@dataclass(slots=True)
class _Ringer:
    """Wakes a poller when a message goes into its queue, as long polling would."""

    poller: Poller
    queue_url: str

    def hear(self, service: str, operation: str, *, request: Mapping[str, Any]) -> None:
        sends = service == "sqs" and operation.startswith("SendMessage")
        if sends and request.get("QueueUrl") == self.queue_url:
            self.poller.ring()


class _Firing:
    """Carries out a schedule as EventBridge Scheduler does: a message, or an invocation."""

    def __init__(self, stack: Stack, lambdas: Lambdas) -> None:
        self._queues = {queue.arn: queue.url for queue in stack.queues}
        self._lambdas = lambdas
        self._sqs = client("sqs")

    def fire(self, schedule: Schedule, text: str) -> None:
        url = self._queues.get(schedule.target_arn)
        if url is not None:
            group = {"MessageGroupId": schedule.message_group} if schedule.message_group else {}
            self._sqs.send_message(QueueUrl=url, MessageBody=text, **group)
            return
        try:
            self._lambdas.invoke(schedule.target_arn, _decoded(text))
        except InvocationError:
            # Reported by the runner; the next firing does the same work on fresher facts.
            return


def _decoded(text: str) -> Any:  # noqa: ANN401  whatever the schedule's input holds
    return json.loads(text)
