"""Plain bookkeeping of what people did: which bots there must be, by rules of one line each.

Every meeting has a room of its own and somebody from outside in it, so by the default rules it
wants a bot unless somebody said otherwise.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from infra.local.emulators.recall.accounts import Account


@dataclass(slots=True, kw_only=True, eq=False)
class Person:
    """A user with one calendar; `steady` ones never disconnect and keep their rules."""

    email: str
    entity_id: str
    platform: str
    account: Account
    steady: bool
    connected: bool = False
    busy: bool = False
    refuses_all: bool = False
    calendar_id: str = ""
    connected_at: float = 0.0
    meetings: list[Meeting] = field(default_factory=list)
    lock: Any = field(default_factory=threading.RLock)


@dataclass(slots=True, kw_only=True, eq=False)
class Meeting:
    """One meeting; `copies` are its events: whose, and the provider's id.

    `near`: it begins during the run, and nobody touches it.
    """

    link: str
    start: datetime
    copies: list[tuple[Person, str]] = field(default_factory=list)
    invited_by_guest: bool = False
    near: bool = False
    cancelled: bool = False
    declined: bool = False
    choice: str = "auto"

    @property
    def wanted(self) -> bool:
        return not self.cancelled and any(self._wanted_by(person) for person, _ in self.copies)

    def _wanted_by(self, person: Person) -> bool:
        if not person.connected or self.choice == "off":
            return False
        return self.choice == "on" or not (self.declined or person.refuses_all)


@dataclass(slots=True)
class Book:
    """All people and meetings of a run."""

    people: list[Person] = field(default_factory=list)
    meetings: list[Meeting] = field(default_factory=list)

    def wanted(self) -> list[Meeting]:
        return [meeting for meeting in list(self.meetings) if meeting.wanted]

    def connected(self) -> list[Person]:
        return [person for person in self.people if person.connected]
