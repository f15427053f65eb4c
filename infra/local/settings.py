"""What the developer chose: options of the command line and variables of the environment."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.domain.calendar import Platform
from shared.domain.rules import Scheduling
from shared.domain.secret import Secret

STORY_TICK_SECONDS = 5.0
SERVE_TICK_SECONDS = 60.0
PORT_MAX = 65_535

_PROVIDER_PREFIX = {Platform.GOOGLE: "GOOGLE", Platform.MICROSOFT: "MICROSOFT"}
_URL_WORDS = ("AUTHORIZE_URL", "TOKEN_URL", "REVOKE_URL", "USERINFO_URL", "ISSUER")
_URL_VARIABLES = (
    "RECALL_BASE_URL",
    "PUBLIC_URL",
    *(f"{prefix}_{word}" for prefix in _PROVIDER_PREFIX.values() for word in _URL_WORDS[:4]),
)


class SettingsError(Exception):
    """The settings do not fit together; the message names every variable at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line; `tick_seconds` None: nobody said. `mode`: how the story begins."""

    port: int
    exits: bool
    tells_story: bool
    tick_seconds: float | None
    mode: Scheduling = Scheduling.MANAGED


@dataclass(frozen=True, slots=True, kw_only=True)
class RealRecall:
    """A Recall that is not the emulator."""

    base_url: str
    api_key: Secret
    webhook_secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """An OAuth client at a provider that is not the emulated one."""

    client_id: str
    client_secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`clients` holds the providers that are not emulated; None or absent: emulate.

    `variables` are the environment's own, for the template parameters of the same names.
    """

    options: Options
    api_key: Secret | None
    public_url: str | None
    webhook_secret: Secret | None
    recall: RealRecall | None
    clients: Mapping[Platform, OAuthClient] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_emulated(self) -> bool:
        return self.recall is None and not self.clients

    @property
    def tells_story(self) -> bool:
        return self.options.exits or (self.options.tells_story and self.all_emulated)

    @property
    def tick_seconds(self) -> float:
        """A minute is short while a story is told, unless somebody said otherwise."""
        if self.options.tick_seconds is not None:
            return self.options.tick_seconds
        return STORY_TICK_SECONDS if self.tells_story else SERVE_TICK_SECONDS


def parse_options(arguments: Sequence[str]) -> Options:
    """Ends the process with status 2 and the usage when the arguments make no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.local",
        description="Rollcall on this machine: API, emulated Recall, Google and Microsoft.",
    )
    parser.add_argument("--port", type=_port, default=8000, help="0 picks a free one (%(default)s)")
    parser.add_argument("--exit", action="store_true", help="tell the story, then exit")
    parser.add_argument("--no-story", action="store_true", help="only serve")
    parser.add_argument(
        "--tick-seconds",
        type=_period,
        help="period of the minute tick; the other schedules scale with it "
        f"({SERVE_TICK_SECONDS:g}; with the story {STORY_TICK_SECONDS:g})",
    )
    parser.add_argument(
        "--mode",
        type=Scheduling,
        choices=list(Scheduling),
        default=Scheduling.MANAGED,
        help="how the bots of the story are scheduled at first (%(default)s)",
    )
    given = parser.parse_args(arguments)
    if given.exit and given.no_story:
        parser.error("--exit tells the story and --no-story does not: choose one")
    return Options(
        port=given.port,
        exits=given.exit,
        tells_story=not given.no_story,
        tick_seconds=given.tick_seconds,
        mode=given.mode,
    )


def read_settings(options: Options, environment: Mapping[str, str]) -> Settings:
    """Check the variables all at once, so that one message names all that is wrong."""
    variables = {name: value.strip() for name, value in environment.items() if value.strip()}
    problems = [*_missing(variables), *_malformed(variables)]
    if problems:
        raise SettingsError("\n".join(problems))
    settings = Settings(
        options=options,
        api_key=_secret(variables, "ROLLCALL_API_KEY"),
        public_url=variables.get("PUBLIC_URL", "").rstrip("/") or None,
        webhook_secret=_secret(variables, "RECALL_WEBHOOK_SECRET"),
        recall=_recall(variables),
        clients={
            platform: OAuthClient(
                client_id=variables[f"{prefix}_CLIENT_ID"],
                client_secret=Secret(variables[f"{prefix}_CLIENT_SECRET"]),
            )
            for platform, prefix in _PROVIDER_PREFIX.items()
            if _is_real(variables, prefix)
        },
        variables=variables,
    )
    if options.exits and not settings.all_emulated:
        raise SettingsError(
            "The story plays with the emulated Recall and providers; "
            "without their variables --exit works, with them --no-story does."
        )
    return settings


def _missing(variables: Mapping[str, str]) -> list[str]:
    needed: list[str] = []
    if "RECALL_BASE_URL" in variables or "RECALL_API_KEY" in variables:
        needed += ["RECALL_BASE_URL", "RECALL_API_KEY", "RECALL_WEBHOOK_SECRET"]
    for prefix in _PROVIDER_PREFIX.values():
        if _is_real(variables, prefix):
            needed += [f"{prefix}_CLIENT_ID", f"{prefix}_CLIENT_SECRET"]
    missing = [name for name in needed if name not in variables]
    return [f"Settings missing: {', '.join(missing)}"] if missing else []


def _malformed(variables: Mapping[str, str]) -> list[str]:
    wrong = [
        f"{name} must be an http or https address"
        for name in _URL_VARIABLES
        if name in variables and not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", variables[name])
    ]
    secrets = variables.get("RECALL_WEBHOOK_SECRET", "whsec_").split(",")
    if not all(secret.strip().startswith("whsec_") for secret in secrets):
        wrong.append("RECALL_WEBHOOK_SECRET must be whsec_..., or several with commas between")
    return wrong


def _is_real(variables: Mapping[str, str], prefix: str) -> bool:
    names = ("CLIENT_ID", "CLIENT_SECRET", *_URL_WORDS)
    return any(f"{prefix}_{word}" in variables for word in names)


def _recall(variables: Mapping[str, str]) -> RealRecall | None:
    if "RECALL_BASE_URL" not in variables:
        return None
    return RealRecall(
        base_url=variables["RECALL_BASE_URL"].rstrip("/"),
        api_key=Secret(variables["RECALL_API_KEY"]),
        webhook_secret=Secret(variables["RECALL_WEBHOOK_SECRET"]),
    )


def _secret(variables: Mapping[str, str], name: str) -> Secret | None:
    return Secret(variables[name]) if name in variables else None


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= PORT_MAX:
        raise argparse.ArgumentTypeError(f"a port is a number up to {PORT_MAX}")
    return port


def _period(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("a period is a positive number of seconds")
    return seconds
