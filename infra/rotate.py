"""A new client secret for every calendar of a platform: `python -m infra.rotate --platform ...`.

The secret is asked for without echo, or read from the standard input; it is never an argument.
Exit status: 0 every calendar has it and is as connected as before, 1 not (repeat the same
command to go on), 2 the arguments make no sense, 130 Ctrl-C (the same).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from getpass import getpass
from typing import Any, Final, Self, TextIO

import boto3
from requests import Session
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from infra.rotation import BUDGET_SHARE, Display, Doors, Lost, Outcome, Rotation
from infra.stack import VARIABLES, Stack, StackSecret, find_stack, refusals, stack_name, stack_of
from shared.config import AWS_LIMITS
from shared.domain.calendar import Platform
from shared.domain.secret import Secret
from shared.errors import PermanentError, RollcallError, TransientError
from shared.recall import RecallClient, SharedBudget, Unauthorized, new_session, parse_limits
from shared.storage import Refused, Tables, open_stores

CHARACTERS_MIN: Final = 8
CHARACTERS_MAX: Final = 2_000
PLAIN_LINES: Final = 10
INTERRUPTED: Final = 130

_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the command touches; `ask` reads a line from the terminal without echo."""

    environment: Mapping[str, str]
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    ask: Callable[[str], str]
    client: Callable[..., Any]
    session: Session
    clock: Callable[[], datetime]
    pause: Callable[[float], None]


def rotate(arguments: Sequence[str], around: Surroundings) -> int:
    """The exit status; everything to say has been said."""
    options = _parser().parse_args(arguments)
    try:
        outcome = _run(options, around, display=_display(around.stdout))
    except KeyboardInterrupt:
        print("\nStopped; nothing is lost. Repeat the command to go on.", file=around.stderr)
        return INTERRUPTED
    except RollcallError as error:
        print(_advice(error), file=around.stderr)
        return 1
    _tell(outcome, options.platform, stream=around.stdout)
    return 0 if outcome.complete else 1


def _run(options: argparse.Namespace, around: Surroundings, *, display: _Shown) -> Outcome:
    stack = _stack(options, around)
    platform = Platform(options.platform)
    client_id, secret = _read(around, platform=platform, new_client=options.new_client)
    doors = _doors(stack, around, display=display)
    with display:
        return Rotation(doors, platform=platform, secret=secret, client_id=client_id).run()


def _stack(options: argparse.Namespace, around: Surroundings) -> Stack:
    """Named by --environment or --stack; else by a function's variables where they are set."""
    name = options.stack
    if name is None and options.environment is None:
        if any(around.environment.get(variable) for variable in VARIABLES[1:]):
            return stack_of(around.environment)
        options.environment = "default"
    with refusals("CloudFormation"):
        client = around.client("cloudformation")
    return find_stack(client, name or stack_name(options.environment))


def _doors(stack: Stack, around: Surroundings, *, display: Display) -> Doors:
    secret = StackSecret(around.client("secretsmanager", region_name=stack.region), stack.secret_id)
    tables = Tables(region=stack.region, workspace=stack.workspace_table)
    workspace = open_stores(tables).workspace
    api_key = Secret(secret.texts().get("recall_api_key", ""))
    budget = SharedBudget(
        workspace, parse_limits(stack.recall_limits), clock=around.clock, share=BUDGET_SHARE
    )
    recall = RecallClient(
        around.session,
        base_url=stack.recall_base_url,
        api_key=lambda: api_key,
        budget=budget,
        clock=around.clock,
    )
    return Doors(
        recall=recall,
        workspace=workspace,
        secret=secret,
        clock=around.clock,
        pause=around.pause,
        display=display,
    )


# What the operator enters.


def _read(
    around: Surroundings, *, platform: Platform, new_client: bool
) -> tuple[str | None, Secret]:
    """The id of a new client, if there is one, and the new secret."""
    client_id = None
    if new_client:
        client_id = _line(around, f"Id of the new client of {platform.value}: ")
        _check(client_id, what="client id")
    secret = _line(around, f"New client secret of {platform.value} (does not show): ")
    _check(secret, what="client secret")
    if secret.endswith(".apps.googleusercontent.com") or _GUID.fullmatch(secret):
        message = (
            "That is an id, not a client secret. Copy the secret's value; nothing was changed."
        )
        raise PermanentError("secret_malformed", message)
    return client_id, Secret(secret)


def _line(around: Surroundings, prompt: str) -> str:
    asked = around.ask(prompt) if around.stdin.isatty() else around.stdin.readline()
    return asked.strip()


def _check(text: str, *, what: str) -> None:
    if not text:
        message = f"The {what} is empty. Enter it, or give it on the standard input."
        raise PermanentError("secret_empty", message)
    fits = CHARACTERS_MIN <= len(text) <= CHARACTERS_MAX
    if not fits or not _PRINTABLE.fullmatch(text):
        message = (
            f"The {what} has the wrong shape: {CHARACTERS_MIN} to {CHARACTERS_MAX} characters "
            "without blanks are wanted. Nothing was changed."
        )
        raise PermanentError("secret_malformed", message)


# What the operator reads.


def _advice(error: RollcallError) -> str:
    match error:
        case Unauthorized():
            return (
                "Recall does not accept the API key. Check recall_api_key in the stack's secret "
                "and the stack's RecallRegion, then repeat the command."
            )
        case Refused(reason=reason):
            return (
                f"DynamoDB answered {reason} for the stack's Workspace table. Give the stack that "
                "was deployed, and your AWS identity dynamodb:GetItem and dynamodb:PutItem on it."
            )
        case TransientError():
            return f"{error.message} Nothing is lost; repeat the command to go on."
        case _:
            return error.message


def _tell(outcome: Outcome, platform: str, *, stream: TextIO) -> None:
    say = partial(print, file=stream)
    say(f"{platform}: {outcome.connected} connected, {outcome.patched} given the new secret now.")
    if outcome.others:
        say(f"{outcome.others} left alone: they use another OAuth client than the stack's.")
    for heading, calendars in (
        ("Disconnected before the rotation, and still:", outcome.lost_before),
        ("Lost their connection:", outcome.lost),
        ("Not settled yet:", outcome.unsettled),
    ):
        _list(heading, calendars, say=say)
    if outcome.complete:
        say("Done. The old secret can be removed at the provider.")
    else:
        say("Not done: keep the old secret at the provider and repeat the command.")


def _list(heading: str, calendars: Sequence[Lost], *, say: Callable[[str], None]) -> None:
    if calendars:
        say(heading)
    for each in calendars:
        say(f"  {each.calendar_id}  {each.reason}")


class PlainDisplay:
    """Lines for a log: every tenth of a task, and each sentence."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._task, self._total, self._done = "", 0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is open."""

    def begin(self, task: str, *, total: int, done: int = 0) -> None:
        self._task, self._total, self._done = task, total, done
        self._write()

    def advance(self) -> None:
        self._done += 1
        step = max(self._total // PLAIN_LINES, 1)
        if self._done == self._total or self._done % step == 0:
            self._write()

    def say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def _write(self) -> None:
        self.say(f"{self._task}: {self._done} of {self._total}")


class BarDisplay:
    """A bar for each task; sentences go above it."""

    def __init__(self, stream: TextIO) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(file=stream, highlight=False),
        )
        self._current: Any = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def begin(self, task: str, *, total: int, done: int = 0) -> None:
        self._current = self._progress.add_task(task, total=total, completed=done)

    def advance(self) -> None:
        self._progress.advance(self._current)

    def say(self, text: str) -> None:
        self._progress.console.print(text, markup=False)


_Shown = PlainDisplay | BarDisplay


def _display(stream: TextIO) -> _Shown:
    return BarDisplay(stream) if stream.isatty() else PlainDisplay(stream)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.rotate",
        description="Give every calendar of a platform the new secret of the stack's OAuth client.",
        epilog="Make the new secret at the provider beside the old one, and remove the old one "
        "only when this says so. The new one is asked for, or read from the standard input.",
    )
    parser.add_argument("--platform", required=True, choices=[each.value for each in Platform])
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--environment", help="of samconfig.toml, as for make deploy")
    where.add_argument("--stack", help="name of the stack, where it has another")
    parser.add_argument(
        "--new-client",
        action="store_true",
        help="ask for another client's id first: new calendars use it, those of the former client "
        "stay with that one, since a token works only with the client it was given to",
    )
    return parser


def main() -> int:
    return rotate(
        sys.argv[1:],
        Surroundings(
            environment=os.environ,
            stdin=sys.stdin,
            stdout=sys.stdout,
            stderr=sys.stderr,
            ask=getpass,
            client=partial(boto3.client, config=AWS_LIMITS),
            session=new_session(1),
            clock=partial(datetime.now, UTC),
            pause=time.sleep,
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
