"""The rules document that the API takes: every key optional, nothing unknown, all of it bounded."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    JsonValue,
    StringConstraints,
    field_validator,
    model_validator,
)

from shared.domain.address import PATTERN_PREFIX, canonical_domain
from shared.domain.keywords import CONTINUES, words_of
from shared.domain.rules import (
    PLACEHOLDER,
    Base,
    BotSettings,
    Dedupe,
    HiddenGuests,
    Mode,
    Private,
    Recurrence,
    Rsvp,
    Scheduling,
    Veto,
    Vote,
    Weekday,
)
from shared.domain.scope import Scope
from shared.entrypoints.http import Body, printable
from shared.errors import CallerError

HORIZON_HOURS_MAX: Final = 28 * 24
PEOPLE_MAX: Final = 10_000
DURATION_MINUTES_MAX: Final = 28 * 24 * 60
LIST_MAX: Final = 500
KEYWORDS_MAX: Final = 200
WINDOWS_MAX: Final = 50
ID_LENGTH_MAX: Final = 256
CONFIG_BYTES_MAX: Final = 50_000
# Of the 32 levels that DynamoDB holds some are taken by what stands around.
CONFIG_LEVELS_MAX: Final = 20

# Filled from the event, or by us.
_CONFIG_OURS = ("bot_name", "deduplication_key", "join_at", "meeting_url")
_METADATA_OURS = "rollcall_"

_ADDRESS = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+")
_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+")


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError("no e-mail address")
    return text


def _domain(text: str) -> str:
    if not _DOMAIN.fullmatch(canonical_domain(text.removeprefix(PATTERN_PREFIX))):
        raise ValueError("no domain: example.com, or *.example.com for all below it")
    return text


def _keyword(text: str) -> str:
    if not words_of(text):
        raise ValueError("a keyword needs a letter or a digit")
    if CONTINUES in text.removesuffix(CONTINUES) or text.endswith(f" {CONTINUES}"):
        raise ValueError("a * may only follow the last word")
    return text


def _bot_name(text: str) -> str:
    if set("{}") & set(PLACEHOLDER.sub("", text)):
        raise ValueError("braces only as {owner}, {tenant} and {title}")
    return text


def _config(config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for key in _CONFIG_OURS:
        if key in config:
            raise ValueError(f"{key} is set by Rollcall")
    metadata = config.get("metadata")
    if isinstance(metadata, dict) and any(key.startswith(_METADATA_OURS) for key in metadata):
        raise ValueError(f"metadata keys that start with {_METADATA_OURS} are set by Rollcall")
    _check_storable(config, levels=CONFIG_LEVELS_MAX)
    if len(json.dumps(config, ensure_ascii=False).encode()) > CONFIG_BYTES_MAX:
        raise ValueError(f"at most {CONFIG_BYTES_MAX} bytes")
    return config


def _check_storable(value: JsonValue, *, levels: int) -> None:
    """Raises ValueError for what DynamoDB cannot hold."""
    if levels < 0:
        raise ValueError(f"at most {CONFIG_LEVELS_MAX} levels")
    match value:
        case int() | float():
            _check_number(value)
        case list():
            for item in value:
                _check_storable(item, levels=levels - 1)
        case dict():
            for key, item in value.items():
                if not key:
                    raise ValueError("an empty name cannot be stored")
                _check_storable(item, levels=levels - 1)
        case _:
            pass


def _check_number(number: float) -> None:
    limits = (0, 1e38) if isinstance(number, int) else (1e-100, 1e100)
    if number != 0 and not limits[0] < abs(number) < limits[1]:
        raise ValueError("a number is too large or too small to be stored")


def _texts(characters_max: int) -> StringConstraints:
    return StringConstraints(min_length=1, max_length=characters_max, strip_whitespace=True)


Address = Annotated[str, _texts(320), AfterValidator(_address)]
Domain = Annotated[str, _texts(255), AfterValidator(_domain)]
Keyword = Annotated[str, _texts(100), AfterValidator(printable), AfterValidator(_keyword)]
BotName = Annotated[str, _texts(200), AfterValidator(printable), AfterValidator(_bot_name)]
Config = Annotated[dict[str, JsonValue], AfterValidator(_config)]
# Recall's words; whatever else stood here would never match.
Platform = Literal[
    "zoom",
    "google_meet",
    "goto_meeting",
    "microsoft_teams",
    "microsoft_teams_live",
    "webex",
    "chime_sdk",
    "webrtc",
    "zoom_rtms",
    "google_meet_media_api",
    "slack_authenticator",
    "slack_huddle_observer",
]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]

Addresses = Annotated[tuple[Address, ...], Field(max_length=LIST_MAX)]
Domains = Annotated[tuple[Domain, ...], Field(max_length=LIST_MAX)]
Keywords = Annotated[tuple[Keyword, ...], Field(max_length=KEYWORDS_MAX)]
People = Annotated[int, Field(ge=0, le=PEOPLE_MAX)]
Minutes = Annotated[int, Field(ge=0, le=DURATION_MINUTES_MAX)]
Hours = Annotated[float, Field(gt=0, le=HORIZON_HOURS_MAX)]


class MatchesBody(Body):
    keywords: Keywords = ()
    people: Addresses = ()
    domains: Domains = ()


class DenialsBody(MatchesBody):
    platforms: Annotated[tuple[Platform, ...], Field(max_length=LIST_MAX)] = ()


class AttendeesBody(Body):
    min: People | None = None
    max: People | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.min, self.max)
        return self


class DurationBody(Body):
    min: Minutes | None = None
    max: Minutes | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.min, self.max)
        return self


class WindowBody(Body):
    """One that ends before it starts, or as it starts, goes on into the next day."""

    days: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)]
    start: Clock = Field(alias="from")
    end: Clock = Field(alias="to")


class BotBody(Body):
    bot_name: BotName = BotSettings().bot_name
    config: Config = Field(default_factory=dict)


def _check_order(least: int | None, most: int | None) -> None:
    if least is not None and most is not None and least > most:
        raise ValueError("min is above max")


class RulesBody(Body):
    """A rules document; a key that is missing leaves the choice to the wider scope."""

    mode: Mode = Mode.LIVE
    base: Base = Base.ALL
    rsvp: Rsvp = Rsvp.NOT_DECLINED
    private: Private = Private.DENY
    min_others: People = 1
    hidden_guests: HiddenGuests = HiddenGuests.SKIP
    internal_domains: Domains = ()
    include: MatchesBody = MatchesBody()
    exclude: MatchesBody = MatchesBody()
    deny: DenialsBody = DenialsBody()
    attendees: AttendeesBody = AttendeesBody()
    duration_minutes: DurationBody = DurationBody()
    hours: Annotated[tuple[WindowBody, ...], Field(min_length=1, max_length=WINDOWS_MAX)] | None = (
        None
    )
    recurrence: Recurrence = Recurrence.ANY
    vote: Vote = Vote.ANY
    veto: Veto = Veto.ORGANIZER
    dedupe: Dedupe = Dedupe.TENANT
    scheduling: Scheduling = Scheduling.MANAGED
    horizon_hours: Hours | None = None
    locked: Annotated[tuple[str, ...], Field(max_length=LIST_MAX)] = ()
    bot: BotBody = Field(default_factory=BotBody)

    @field_validator("locked")
    @classmethod
    def _known(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        unknown = set(keys) - (cls.model_fields.keys() - {"locked"})
        if unknown:
            raise ValueError("only keys of the rules can be locked")
        return keys


def rules_document(body: RulesBody, *, may_lock: bool) -> dict[str, Any]:
    """The plain document to store: the keys that were set.

    Raises CallerError `body_invalid` for locks where they mean nothing (`may_lock`: the scope is
    a tenant).
    """
    if body.locked and not may_lock:
        message = "Only the rules of a tenant can lock keys."
        raise CallerError("body_invalid", message, field="locked")
    return body.model_dump(mode="json", by_alias=True, exclude_unset=True)


def read_scope(name: str) -> Scope:
    """CallerError `scope_invalid` for a text that names no scope."""
    scope = Scope.from_name(name)
    if scope is None or not all(_fits(each) for each in (scope.tenant_id, scope.entity_id)):
        message = (
            "A scope is default, tenant:<tenant_id> or entity:<tenant_id>:<entity_id>, each id "
            "percent-encoded (a colon is %3A)."
        )
        raise CallerError("scope_invalid", message, field="scope")
    return scope


def may_lock(scope: Scope) -> bool:
    """Only the rules of a tenant lock keys."""
    return scope.tenant_id is not None and scope.entity_id is None


def _fits(identity: str | None) -> bool:
    return identity is None or (len(identity) <= ID_LENGTH_MAX and identity.isprintable())
