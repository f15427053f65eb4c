"""The rules: what a tenant or entity has chosen about its bots."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import time, timedelta
from enum import StrEnum
from typing import Any, Self

# Recall's limit (1 to 100 characters).
BOT_NAME_CHARACTERS_MAX = 100
DEFAULT_BOT_NAME = "Notetaker"
# What a bot's name may ask for, with the ending of a possessive.
PLACEHOLDER = re.compile(r"\{(owner|tenant|title)\}(['\u2019]s\b)?")
_MISSING = "\0"
_JOINTS = " -\u2013\u2014|/,;:\u00b7"


class Mode(StrEnum):
    """Live; preview decides and shows, but schedules nothing; paused wants no bot at all."""

    LIVE = "live"
    PREVIEW = "preview"
    PAUSED = "paused"


class Base(StrEnum):
    """The choice where no rule above decides."""

    OFF = "off"
    ALL = "all"
    EXTERNAL = "external"
    INTERNAL = "internal"
    ORGANIZER = "organizer"


class Rsvp(StrEnum):
    """The least answer of the calendar's owner that lets a bot join."""

    ANY = "any"
    NOT_DECLINED = "not_declined"
    TENTATIVE_OR_ACCEPTED = "tentative_or_accepted"
    ACCEPTED = "accepted"


class Private(StrEnum):
    """What happens to meetings that the provider marks private or confidential."""

    DENY = "deny"
    ALLOW = "allow"


class HiddenGuests(StrEnum):
    """What a withheld guest list means where the answer needs the list."""

    SKIP = "skip"
    EXTERNAL = "external"


class Recurrence(StrEnum):
    """Which meetings the base choice is for."""

    ANY = "any"
    RECURRING = "recurring"
    ONE_OFF = "one_off"


class Vote(StrEnum):
    """How the copies of one meeting are combined."""

    ANY = "any"
    ORGANIZER_FIRST = "organizer_first"
    ALL_AGREE = "all_agree"


class Veto(StrEnum):
    """Whose explicit `off` ends the matter for all copies."""

    NONE = "none"
    ORGANIZER = "organizer"
    ANY = "any"


class Dedupe(StrEnum):
    """Who shares one bot in one meeting."""

    TENANT = "tenant"
    DOMAIN = "domain"
    CALENDAR = "calendar"


class Scheduling(StrEnum):
    """Which of Recall's two ways: bots of calendar events, or bots that we create ourselves."""

    MANAGED = "managed"
    SELF_MANAGED = "self_managed"


class Choice(StrEnum):
    """A person's override; `auto` leaves the decision to the rules."""

    ON = "on"
    OFF = "off"
    AUTO = "auto"


class Weekday(StrEnum):
    """Days in the order of `datetime.weekday()`."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Words of the title, and people or domains among attendees and organizer."""

    keywords: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Denials(Matches):
    """Matches that nothing revives; `platforms` are Recall's meeting platforms."""

    platforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Both ends belong to the range; None is no limit."""

    min: int | None = None
    max: int | None = None

    def admit(self, value: float) -> bool:
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A weekly window in the meeting's own time zone; `end` is not part of it."""

    days: frozenset[Weekday]
    start: time
    end: time


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSettings:
    """How the bot looks and records; `config` is passed to Recall as it is."""

    bot_name: str = DEFAULT_BOT_NAME
    config: Mapping[str, object] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, object]:
        """What the configuration itself tells the bot to carry along."""
        given = self.config.get("metadata")
        return dict(given) if isinstance(given, Mapping) else {}

    def rendered(self, *, owner: str | None, tenant: str | None, title: str | None) -> Self:
        """With the placeholders of the name filled, and the name cut to what Recall takes.

        A placeholder without a value goes, with what joined it to the rest; of a name that had
        nothing else the default is left.
        """
        values = {"owner": owner, "tenant": tenant, "title": title}
        filled = PLACEHOLDER.sub(lambda found: _filled(found, values), self.bot_name)
        whole = filled.strip(_MISSING + _JOINTS) if _MISSING in filled else filled
        name = " ".join(whole.replace(_MISSING, " ").split())[:BOT_NAME_CHARACTERS_MAX].rstrip()
        return replace(self, bot_name=name or DEFAULT_BOT_NAME)

    def fingerprint(self, meeting_url: str) -> str:
        """Changes whenever a bot already scheduled would have to be configured anew."""
        facts = [self.bot_name, self.config, meeting_url]
        canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _filled(found: re.Match[str], values: Mapping[str, str | None]) -> str:
    value = (values[found[1]] or "").replace(_MISSING, "").strip()
    return f"{value}{found[2] or ''}" if value else _MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules in force for one calendar, every default filled in."""

    mode: Mode = Mode.LIVE
    base: Base = Base.ALL
    rsvp: Rsvp = Rsvp.NOT_DECLINED
    private: Private = Private.DENY
    min_others: int = 1
    hidden_guests: HiddenGuests = HiddenGuests.SKIP
    internal_domains: tuple[str, ...] = ()
    include: Matches = Matches()
    exclude: Matches = Matches()
    deny: Denials = Denials()
    attendees: Bounds = Bounds()
    duration_minutes: Bounds = Bounds()
    hours: tuple[Window, ...] | None = None
    recurrence: Recurrence = Recurrence.ANY
    vote: Vote = Vote.ANY
    veto: Veto = Veto.ORGANIZER
    dedupe: Dedupe = Dedupe.TENANT
    scheduling: Scheduling = Scheduling.MANAGED
    horizon: timedelta | None = None
    bot: BotSettings = field(default_factory=BotSettings)


Document = Mapping[str, Any]


def rules_in_force(
    default: Document | None = None,
    *,
    tenant: Document | None = None,
    entity: Document | None = None,
) -> Rules:
    """The rules of the three scopes, key by key: tenant's locked, entity, tenant, default.

    What a tenant denies, an entity can only add to. Documents come from storage, where only
    checked ones are put.
    """
    locked = set((tenant or {}).get("locked", ()))
    free = {key: value for key, value in (entity or {}).items() if key not in locked}
    merged: dict[str, Any] = {**(default or {}), **(tenant or {}), **free}
    denials = [scope.get("deny") or {} for scope in (default or {}, tenant or {}, free)]
    merged["deny"] = {name: _joined(denials, name) for name in _DENY}
    return _rules(merged)


_DENY = ("keywords", "people", "domains", "platforms")


def _joined(documents: Sequence[Document], name: str) -> list[str]:
    return list(dict.fromkeys(text for document in documents for text in document.get(name, ())))


def _rules(merged: Document) -> Rules:
    hours = merged.get("hours")
    horizon = merged.get("horizon_hours")
    return Rules(
        mode=Mode(merged.get("mode", Mode.LIVE)),
        base=Base(merged.get("base", Base.ALL)),
        rsvp=Rsvp(merged.get("rsvp", Rsvp.NOT_DECLINED)),
        private=Private(merged.get("private", Private.DENY)),
        min_others=int(merged.get("min_others", 1)),
        hidden_guests=HiddenGuests(merged.get("hidden_guests", HiddenGuests.SKIP)),
        internal_domains=tuple(merged.get("internal_domains", ())),
        include=_matches(merged.get("include")),
        exclude=_matches(merged.get("exclude")),
        deny=Denials(**{name: tuple(values) for name, values in merged["deny"].items()}),
        attendees=_bounds(merged.get("attendees")),
        duration_minutes=_bounds(merged.get("duration_minutes")),
        hours=None if hours is None else tuple(_window(entry) for entry in hours),
        recurrence=Recurrence(merged.get("recurrence", Recurrence.ANY)),
        vote=Vote(merged.get("vote", Vote.ANY)),
        veto=Veto(merged.get("veto", Veto.ORGANIZER)),
        dedupe=Dedupe(merged.get("dedupe", Dedupe.TENANT)),
        scheduling=Scheduling(merged.get("scheduling", Scheduling.MANAGED)),
        horizon=None if horizon is None else timedelta(hours=float(horizon)),
        bot=BotSettings(**(merged.get("bot") or {})),
    )


def _matches(document: Document | None) -> Matches:
    found = document or {}
    return Matches(**{name: tuple(found.get(name, ())) for name in _DENY[:3]})


def _bounds(document: Document | None) -> Bounds:
    found = document or {}
    return Bounds(min=_whole(found.get("min")), max=_whole(found.get("max")))


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _window(document: Document) -> Window:
    return Window(
        days=frozenset(Weekday(day) for day in document["days"]),
        start=time.fromisoformat(document["from"]),
        end=time.fromisoformat(document["to"]),
    )
