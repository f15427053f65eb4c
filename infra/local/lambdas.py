"""Runs the handlers that Lambda runs: same module, same environment, same rules of reuse.

An *execution environment* is an own copy of the handler's module, so that `service()` is made
once per environment and never shared by two invocations at a time, as on Lambda.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from infra.local.emulators.clock import Clock, datetime_by
from infra.local.template import REGION, Function, Stack
from shared.errors import RollcallError

Json = Any
Say = Callable[[str], None]

_COLD_START = threading.Lock()


class InvocationError(Exception):
    """The handler raised, or did not come back in time; `kind` is Lambda's word for it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class StartError(Exception):
    """A function cannot be put together from what the template gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What Lambda passes beside the event."""

    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_limit_in_mb: str
    aws_request_id: str
    log_group_name: str
    log_stream_name: str
    deadline: float
    identity: None = None
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.deadline - time.monotonic()) * 1000))


@dataclass(slots=True)
class _Outcome:
    value: Any = None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Lambdas:
    """All functions of the stack, by logical id or ARN; `say` hears of crashes.

    `clock`: what the functions tell the time by, else the clock on the wall.
    """

    def __init__(self, stack: Stack, *, say: Say, clock: Clock | None = None) -> None:
        self._by_name: dict[str, _Lambda] = {}
        for function in stack.functions:
            runner = _Lambda(function, say, clock=clock)
            self._by_name[function.logical_id] = runner
            self._by_name[function.arn] = runner

    def warm_up(self) -> None:
        """One environment of each function, so that broken wiring shows at the start."""
        for runner in dict.fromkeys(self._by_name.values()):
            runner.warm_up()

    def invoke(self, name: str, event: Mapping[str, Any]) -> Json:
        """The handler's answer; InvocationError when it crashed or took too long."""
        return self._by_name[name].invoke(event)


class _Lambda:
    """One function and its idle execution environments."""

    def __init__(self, function: Function, say: Say, *, clock: Clock | None) -> None:
        self._function = function
        self._clock = clock
        self._say = say
        self._idle: list[ModuleType] = []
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        try:
            self._idle.append(self._cold_start())
        except RollcallError as error:
            raise StartError(f"{self._function.logical_id}: {error.message}") from error

    def invoke(self, event: Mapping[str, Any]) -> Json:
        outcome = _Outcome()
        context = self._context()
        threading.Thread(
            target=self._run,
            args=(event, context),
            kwargs={"outcome": outcome},
            name=context.function_name,
            daemon=True,
        ).start()
        if not outcome.done.wait(self._function.timeout_seconds):
            message = f"Task timed out after {self._function.timeout_seconds:.2f} seconds"
            self._report(f"{context.aws_request_id} {message}")
            raise InvocationError("Sandbox.Timedout", message)
        if outcome.error is not None:
            self._report("".join(traceback.format_exception(outcome.error)))
            raise InvocationError(type(outcome.error).__name__, str(outcome.error))
        return outcome.value

    def _run(self, event: Mapping[str, Any], context: Context, *, outcome: _Outcome) -> None:
        try:
            module = self._take()
            outcome.value = module.handler(event, context)
            # After a crash Lambda keeps the environment, but a fresh one hides fewer faults.
            self._idle.append(module)
        except BaseException as error:  # noqa: BLE001  everything a handler raises is reported
            outcome.error = error
        outcome.done.set()

    def _take(self) -> ModuleType:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._cold_start()

    def _cold_start(self) -> ModuleType:
        module_name, _, _ = self._function.handler.rpartition(".")
        with _COLD_START, _environment_of(self._function):
            module = _own_copy(module_name)
            if self._clock is not None and "datetime" in vars(module):
                # Only `service` reads the time, and this copy of the module is ours.
                vars(module)["datetime"] = datetime_by(self._clock)
            module.service()
        return module

    def _context(self) -> Context:
        function = self._function
        return Context(
            function_name=function.name,
            function_version="$LATEST",
            invoked_function_arn=function.arn,
            memory_limit_in_mb=str(function.memory_megabytes),
            aws_request_id=str(uuid.uuid4()),
            log_group_name=f"/aws/lambda/{function.name}",
            log_stream_name="local",
            deadline=time.monotonic() + function.timeout_seconds,
        )

    def _report(self, text: str) -> None:
        self._say(f"{self._function.logical_id}: {text.rstrip()}")


def _own_copy(module_name: str) -> ModuleType:
    """The module loaded anew; whoever has it already keeps theirs."""
    package, _, name = module_name.rpartition(".")
    theirs = sys.modules.pop(module_name, None)
    module = importlib.import_module(module_name)
    if theirs is not None:
        sys.modules[module_name] = theirs
        if package:
            setattr(sys.modules[package], name, theirs)
    return module


@contextmanager
def _environment_of(function: Function) -> Iterator[None]:
    """os.environ as the function finds it on Lambda, and nothing of the developer's."""
    kept = dict(os.environ)
    credentials = {name: value for name, value in kept.items() if name.startswith("AWS_")}
    _become(
        {
            **credentials,
            **function.environment,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_megabytes),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "LAMBDA_TASK_ROOT": os.getcwd(),  # noqa: PTH109
            "PATH": kept.get("PATH", ""),
            "TZ": "UTC",
            "_HANDLER": function.handler,
        }
    )
    try:
        yield
    finally:
        _become(kept)


def _become(wanted: Mapping[str, str]) -> None:
    """Name by name: another thread may look for the credentials, which never change, just now."""
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)
