"""What the oracle is told of a world, and what else must hold in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from infra.local.emulators.recall.records import Bot, Event
from tests.simulation.crash_peace import is_under_way
from tests.simulation.oracle import (
    BotFact,
    CalendarFact,
    CopyFact,
    WordFact,
    WorldFacts,
    always,
    at_rest,
)
from tests.simulation.people import LINKS, OUTSIDERS, Cast, Person
from tests.simulation.world import START, World

LOOK_SECONDS: Final = 10.0
DELETED: Final = "deleted_at_recall"
LONG_AGO: Final = {"updated_at": START.isoformat()}


class Judge:
    """Looks at the worlds themselves, never at what the project stores, but for its own API."""

    def __init__(self, world: World, cast: Cast) -> None:
        self._world = world
        self._cast = cast
        self._bots_seen: object = None
        world.recall.on_served = self.look

    # At every step.

    def look(self) -> None:
        """After whatever Recall did for us: the statements that never bend."""
        shape = tuple(
            (bot.id, bot.state, bot.deleted, bot.join_at, *sorted(bot.events))
            for bot in self._world.recall.bots.values()
            if bot.live
        )
        if shape == self._bots_seen:
            return
        self._bots_seen = shape
        for line in always(self.facts()):
            self._world.never(line)

    # At rest.

    def rest(self) -> None:
        """After all have acted and nothing fails any more."""
        world = self._world
        facts = self.facts()
        for line in at_rest(facts):
            world.never(line)
        if self._cast.pending:
            world.never(f"{self._cast.pending} people still wait for an answer")
        if world.queue.dead:
            world.never(f"{len(world.queue.dead)} dead letters")
        self._budgets()
        self._calendars()

    def is_content(self, *, since: datetime, until: datetime) -> bool:
        """All is right without any grace, as it was at `since`, and nothing is due by `until`."""
        world = self._world
        if is_under_way(world, self._cast) or world.queue.dead:
            return False
        if world.has_changed(since) or world.owes(until=until):
            return False
        facts = self.facts()
        copies = tuple(replace(each, shown={**each.shown, **LONG_AGO}) for each in facts.copies)
        return not at_rest(replace(facts, copies=copies, disturbed_at=START))

    def _budgets(self) -> None:
        """7: whatever Recall turned away for its rate was ours to know before."""
        for call in self._world.recall.calls:
            if call.status == 429:
                self._world.never(f"7: {call.endpoint} exceeded its rate at {call.at:%H:%M:%S}")

    def _calendars(self) -> None:
        """What the API lists is what Recall has, and what each person was told last is in it."""
        theirs, listed = self._world.recall.calendars, self._listed()
        for calendar_id in theirs.keys() - listed:
            # One whose account nobody could name is not found again after a crash: it stays, and
            # the feed passes over it.
            if theirs[calendar_id].oauth_email is not None:
                self._world.never(f"calendar {calendar_id} lives at Recall, and nobody knows of it")
        for calendar_id in listed - theirs.keys():
            self._world.never(f"calendar {calendar_id} is listed and gone at Recall")
        for person in self._cast.people:
            left = self._of(person, listed)
            known = person.calendar_id
            # Two connects of one account become one; the notice says so.
            merged = bool(left) and known in self._told_deleted()
            if known not in {None, *listed} and not merged:
                self._world.never(f"{person.email} was told of a calendar that is gone")
            if len(left) > 1:
                self._world.never(f"{person.email} has {len(left)} calendars")
            if person.erased and left:
                self._world.never(f"{person.email} is erased, and a calendar is left")

    def _listed(self) -> set[str]:
        """As the host's backend sees them."""
        found: list[dict[str, Any]] = []
        self._world.hub.spawn(
            lambda: found.extend(self._world.ask("GET", "/v1/calendars").json["items"])
        )
        self._world.run(LOOK_SECONDS)
        return {each["calendar_id"] for each in found if each["status_reason"] != DELETED}

    def _told_deleted(self) -> set[str]:
        notices = self._world.bus.notices
        return {detail["calendar_id"] for name, detail in notices if name == "calendar.deleted"}

    def _of(self, person: Person, listed: set[str]) -> list[str]:
        theirs = self._world.recall.calendars
        here = (theirs[each] for each in listed if each in theirs)
        return [shown.id for shown in here if shown.platform_email == person.email]

    def read(self, lines: str) -> None:
        """8: nothing printed may hold a secret, a token, a code, a link or an address."""
        for kind, text in self._needles():
            if text in lines:
                self._world.never(f"8: a log line holds {kind}")

    def _needles(self) -> Iterator[tuple[str, str]]:
        world = self._world
        for name, value in world.secrets.items():
            if not name.endswith("_id"):
                yield from ((f"the secret {name}", part) for part in value.split(","))
        for person in self._cast.people:
            yield "an address", person.email
        yield from (("an address", each) for each in OUTSIDERS)
        yield from (("a link", each.partition("?")[0]) for each in LINKS)
        for provider in world.providers.values():
            yield from (("a token", each) for each in provider.issued())

    # Facts.

    def facts(self) -> WorldFacts:
        world, cast = self._world, self._cast
        calendars = self._calendar_facts()
        known = {each.calendar_id for each in calendars}
        events = [each for each in world.recall.events.values() if each.calendar_id in known]
        return WorldFacts(
            now=world.recall_clock.now(),
            calendars=calendars,
            copies=tuple(_copy(event) for event in events),
            rules=cast.rules,
            words=self._words(),
            bots=tuple(self._bot(bot) for bot in world.recall.bots.values()),
            disturbed_at=world.disturbed_at,
            dedupe_changing=cast.dedupe_changed,
        )

    def _calendar_facts(self) -> tuple[CalendarFact, ...]:
        """Whose a calendar is, Recall knows from the provider; every person has one address."""
        people = {(each.platform, each.email): each for each in self._cast.people}
        owned = [
            (shown, people.get((shown.platform, shown.platform_email or "")))
            for shown in self._world.recall.calendars.values()
        ]
        return tuple(
            CalendarFact(
                calendar_id=shown.id,
                tenant_id=person.tenant_id,
                entity_id=person.entity_id,
                platform=person.platform,
                email=person.email,
                connected=shown.status != "disconnected",
                created_at=shown.created_at,
            )
            for shown, person in owned
            if person is not None
        )

    def _words(self) -> tuple[WordFact, ...]:
        said = [
            WordFact(choice=choice, event_id=event_id)
            for event_id, choice in self._cast.words.items()
        ]
        return (*said, *(WordFact(choice="opt_out", event_id=e) for e in self._cast.opted_out))

    def _bot(self, bot: Bot) -> BotFact:
        metadata = bot.config.get("metadata") or {}
        direct = bot.key is None
        events = (str(metadata.get("rollcall_event")),) if direct else tuple(sorted(bot.events))
        return BotFact(
            bot_id=bot.id,
            meeting_url=bot.meeting_url,
            join_at=bot.join_at,
            state="over" if not bot.live else "waiting" if bot.waiting else "in_call",
            event_ids=events,
            deduplication_key=bot.key or metadata.get("rollcall_meeting"),
            direct=direct,
            bot_name=bot.config.get("bot_name"),
            tenant_id=_tenant(metadata) if direct else None,
            made_at=bot.created_at,
        )


def _tenant(metadata: Mapping[str, str]) -> str:
    """The second part of the meeting key, which stands in every bot of our own."""
    return unquote(metadata["rollcall_meeting"].split("|")[1])


def _copy(event: Event) -> CopyFact:
    return CopyFact(event_id=event.id, calendar_id=event.calendar_id, shown=_read(event.shown()))


@lru_cache(maxsize=1_000)
def _read(shown: bytes) -> Mapping[str, Any]:
    """The same until the event changes, and nobody who judges changes it."""
    event: Mapping[str, Any] = json.loads(shown)
    return event
