"""The rules: what a tenant or entity has chosen about its bots."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


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


class Choice(StrEnum):
    """A person's override; `auto` leaves the decision to the rules."""

    ON = "on"
    OFF = "off"
    AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSettings:
    """How the bot looks and records; `config` is passed to Recall as it is."""

    bot_name: str = "Notetaker"
    config: Mapping[str, object] = field(default_factory=dict)

    def fingerprint(self, meeting_url: str) -> str:
        """Changes whenever a bot already scheduled would have to be configured anew."""
        facts = [self.bot_name, self.config, meeting_url]
        canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules in force for one calendar, every default filled in."""

    rsvp: Rsvp = Rsvp.NOT_DECLINED
    private: Private = Private.DENY
    min_others: int = 1
    bot: BotSettings = field(default_factory=BotSettings)


def rules_in_force(*documents: Mapping[str, object] | None) -> Rules:
    """The rules of the documents given, the later ones overriding the earlier, key by key.

    Documents come from storage, where only checked ones are put.
    """
    merged: dict[str, object] = {}
    for document in documents:
        merged |= document or {}
    bot = merged.get("bot") or {}
    if not isinstance(bot, dict):
        message = "rules.bot must be an object"
        raise TypeError(message)
    return Rules(
        rsvp=Rsvp(str(merged.get("rsvp", Rsvp.NOT_DECLINED))),
        private=Private(str(merged.get("private", Private.DENY))),
        min_others=int(str(merged.get("min_others", 1))),
        bot=BotSettings(**bot),
    )
