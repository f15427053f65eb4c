"""`python -m infra.local`: the stack on this machine, with a story to watch.

Exit status: 0 served to the end or every step of the story held, 1 the story or the stack
failed, 2 the settings do not fit.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import NoReturn, TextIO

from infra.local.gateway import PortTakenError
from infra.local.host import LocalHost, local_host
from infra.local.lambdas import StartError
from infra.local.settings import (
    Settings,
    SettingsError,
    parse_options,
    read_settings,
)
from infra.local.story import tell_story
from infra.local.terminal import Terminal

LOG_FILE = Path("build/local-host.log")


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    began = time.monotonic()
    signal.signal(signal.SIGTERM, _interrupt)
    terminal = Terminal(sys.stdout, environment=environment)
    try:
        settings = read_settings(parse_options(arguments), environment)
        with _function_output(settings, terminal), local_host(settings, terminal) as host:
            return _serve(host, settings, terminal=terminal, began=began)
    except (SettingsError, PortTakenError) as error:
        print(error, file=sys.stderr)
        return 2
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _serve(host: LocalHost, settings: Settings, *, terminal: Terminal, began: float) -> int:
    terminal.say(f"ready: {host.url}", colour="green")
    if settings.api_key is None and not settings.options.exits:
        # The operator's only chance to learn it; it dies with this process.
        terminal.say(f"API key for /v1 (good until this process ends): {host.api_key.reveal()}")
    for line in _notes(host, settings):
        terminal.paragraph(line, mark="")
    mode = settings.options.mode
    held = tell_story(host, terminal, mode=mode, began=began) if settings.tells_story else True
    if settings.options.exits:
        return 0 if held else 1
    terminal.say(f"\nserving {host.public_url} until Ctrl-C", colour="green")
    _wait_for_signal()
    terminal.say("stopped")
    return 0 if held else 1


def _notes(host: LocalHost, settings: Settings) -> Iterator[str]:
    emulated = ", ".join(host.outside.emulated_names)
    yield f"Emulated: AWS{', ' + emulated if emulated else ''}. A tick is {host.tick_seconds:g} s."
    if settings.options.tells_story and not settings.tells_story:
        yield "No story: it plays with the emulated Recall and providers only."
    if settings.recall is not None and settings.public_url is None:
        yield "PUBLIC_URL is not set: no webhook of Recall can arrive, the tick finds changes."


def _wait_for_signal() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return


def _interrupt(number: int, frame: object) -> NoReturn:
    """SIGTERM ends the process as Ctrl-C does, through every clean-up."""
    del number, frame
    raise KeyboardInterrupt


@contextmanager
def _function_output(settings: Settings, terminal: Terminal) -> Iterator[None]:
    """What functions print goes where CloudWatch would be: a file, or stderr without a story."""
    if not settings.tells_story:
        with redirect_stdout(sys.stderr):
            yield
        return
    LOG_FILE.parent.mkdir(exist_ok=True)
    with LOG_FILE.open("w") as log:
        terminal.say(f"Logs of the functions: {LOG_FILE}")
        with redirect_stdout(_line_buffered(log)):
            yield


def _line_buffered(log: TextIO) -> TextIO:
    log.reconfigure(line_buffering=True)  # type: ignore[attr-defined]
    return log


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
