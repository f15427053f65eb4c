"""Step 9: the copies of one meeting, their vote, and the bot they should have."""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.simulation.oracle.copies import Decision, decide
from tests.simulation.oracle.facts import (
    BotWish,
    CalendarFact,
    CopyVerdict,
    MeetingFact,
    MeetingKey,
    WorldFacts,
)
from tests.simulation.oracle.reading import DECLINED, Copy, address, read
from tests.simulation.oracle.rooms import room_of
from tests.simulation.oracle.rules import rules_for

LATE = timedelta(minutes=11)
GRACE = timedelta(minutes=6)
NEAR_HORIZON = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Voter:
    copy: Copy
    calendar: CalendarFact
    rules: dict[str, Any]
    own: Decision

    @property
    def votes(self) -> bool:
        return not self.own[1].startswith("ineligible.")

    @property
    def rank(self) -> tuple:
        """Organizer, earliest connected, lowest id; who declined comes last."""
        return (
            self.copy.owner_answer == DECLINED,
            not self.copy.owner_organizes,
            self.calendar.created_at,
            self.calendar.calendar_id,
            self.copy.event_id,
        )


def wanted(world: WorldFacts) -> tuple[MeetingFact, ...]:
    groups: dict[MeetingKey, list[Voter]] = defaultdict(list)
    for voter in _voters(world):
        groups[key_of(voter)].append(voter)
    return tuple(_meeting(world, key, groups[key]) for key in sorted(groups))


def _voters(world: WorldFacts) -> list[Voter]:
    calendars = {one.calendar_id: one for one in world.calendars}
    voters = []
    for fact in world.copies:
        calendar = calendars.get(fact.calendar_id)
        if calendar is None:
            continue
        copy = read(fact, calendar)
        rules = rules_for(world.rules, calendar.tenant_id, calendar.entity_id)
        own = decide(copy, calendar, rules, world.words, world.now)
        voters.append(Voter(copy=copy, calendar=calendar, rules=rules, own=own))
    return sorted(voters, key=lambda voter: voter.rank)


def key_of(voter: Voter) -> MeetingKey:
    link = voter.copy.link
    return MeetingKey(
        tenant_id=voter.calendar.tenant_id,
        scope=_scope(voter.calendar, voter.rules["dedupe"]),
        room=room_of(link) if link else f"none:{voter.copy.event_id}",
        start=voter.copy.start.replace(second=0, microsecond=0),
    )


def _scope(calendar: CalendarFact, dedupe: str) -> str:
    if dedupe == "tenant":
        return ""
    domain = address(calendar.email).rpartition("@")[2]
    return f"@{domain}" if dedupe == "domain" and domain else f"#{calendar.calendar_id}"


def _meeting(world: WorldFacts, key: MeetingKey, copies: list[Voter]) -> MeetingFact:
    verdict = vote([one for one in copies if one.votes])
    live = [one for one in copies if one.own[0] and one.rules["mode"] == "live"]
    joining = live if verdict == "join" else []
    return MeetingFact(
        key=key,
        copies=tuple(_verdict(one, verdict) for one in copies),
        verdict=verdict,
        bot=_bot(joining[0]) if joining else None,
        unsettled=_unsettled(world, copies),
    )


def _verdict(voter: Voter, verdict: str) -> CopyVerdict:
    join, reason = voter.own
    refused = join and verdict != "join"
    return CopyVerdict(
        event_id=voter.copy.event_id,
        calendar_id=voter.calendar.calendar_id,
        join=join,
        reason=reason,
        final_join=join and not refused,
        final_reason=verdict if refused else reason,
        mode=voter.rules["mode"],
    )


def vote(copies: list[Voter]) -> str:
    """`join`, `nobody`, or why those who would join do not. The first copy's rules say how.

    A copy in preview votes like any other; it only gets no bot.
    """
    if not copies:
        return "nobody"
    rules = copies[0].rules
    organizers = [one for one in copies if one.copy.owner_organizes]
    if any(one.own[1].startswith("denied.") for one in copies):
        return "vote.denied"
    vetoers = {"none": [], "organizer": organizers, "any": copies}[rules["veto"]]
    if any(one.own[1] == "override.off" for one in vetoers):
        return "vote.veto"
    asked = copies
    if rules["vote"] == "organizer_first" and organizers:
        asked = organizers[:1]
    enough = all if rules["vote"] == "all_agree" else any
    if enough(one.own[0] for one in asked):
        return "join"
    return "nobody" if rules["vote"] == "any" else f"vote.{rules['vote']}"


def _bot(owner: Voter) -> BotWish:
    bot = owner.rules["bot"] or {}
    return BotWish(
        owner_event_id=owner.copy.event_id,
        start=owner.copy.start,
        meeting_url=owner.copy.link or "",
        bot_name=_named(bot.get("bot_name") or "Notetaker", owner),
        config=bot.get("config") or {},
        scheduling=owner.rules["scheduling"],
    )


def _named(template: str, owner: Voter) -> str:
    """Placeholders filled in; one without a value goes with what joined it to the rest."""
    calendar = owner.calendar
    values = {
        "owner": (calendar.email or "").strip().partition("@")[0] or calendar.entity_id,
        "tenant": calendar.tenant_id,
        "title": owner.copy.title.strip(),
    }
    for name, value in values.items():
        if not value:
            template = re.sub(rf"\W*{{{name}}}$|^{{{name}}}\W*", "", template)
    filled = re.sub(r"{(owner|tenant|title)}", lambda found: values[found[1]], template)
    return " ".join(filled.split())[:100].strip() or "Notetaker"


def _unsettled(world: WorldFacts, copies: list[Voter]) -> str | None:
    changes = [one.copy.updated_at for one in copies] + [_last_word(world, one) for one in copies]
    start = copies[0].copy.start
    if start - LATE <= world.now and not _quiet_since(world, changes, start - LATE):
        return "changed near its start"
    if any(at is not None and world.now - at < GRACE for at in changes):
        return "changed a moment ago"
    for one in copies:
        hours = one.rules["horizon_hours"]
        edge = world.now + timedelta(hours=hours) if hours is not None else None
        if edge and abs(one.copy.start - edge) < NEAR_HORIZON:
            return "at the edge of the horizon"
    return None


def _last_word(world: WorldFacts, voter: Voter) -> datetime | None:
    return max(
        (
            word.at
            for word in world.words
            if word.at is not None
            and (
                word.event_id == voter.copy.event_id
                or word.calendar_id == voter.calendar.calendar_id
            )
        ),
        default=None,
    )


def _quiet_since(world: WorldFacts, changes: list[datetime | None], moment: datetime) -> bool:
    if world.disturbed_at is None or world.disturbed_at > moment:
        return False
    return all(at is None or at <= moment for at in changes)
