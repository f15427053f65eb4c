"""The project's core, asked the same question as the oracle."""

from __future__ import annotations

from typing import Any

from shared.domain.calendar import CalendarStatus
from shared.domain.decision import Circumstances, Decision, decide
from shared.domain.event import Answer, Event, owned_by
from shared.domain.room import key_of
from shared.domain.rules import Choice, Rules
from shared.domain.scope import rules_from, scopes_of
from shared.domain.vote import Ballot, tally
from shared.recall.parse import parse_event
from tests.simulation.oracle import CalendarFact, CopyFact, WordFact, WorldFacts

Answered = dict[str, tuple[bool, str, bool, str]]
REFUSALS = {"override.off", "denied.opt_out"}


def decisions(world: WorldFacts) -> tuple[Answered, dict[frozenset[str], str | None]]:
    """Each copy's own and final decision; who stands together, with the owner of the bot."""
    calendars = {one.calendar_id: one for one in world.calendars}
    keys: dict[str, list[Ballot]] = {}
    for copy in world.copies:
        key, ballot = _ballot(world, copy, calendars[copy.calendar_id])
        keys.setdefault(key or copy.event_id, []).append(ballot)
    answers: Answered = {}
    owners = {}
    for ballots in keys.values():
        found = tally(ballots)
        owners[frozenset(each.event_id for each in ballots)] = (
            found.owner.event_id if found.owner else None
        )
        for each in ballots:
            overruled = found.overruled if each.decision.join else None
            answers[each.event_id] = (
                each.decision.join,
                each.decision.reason,
                each.decision.join and not overruled,
                overruled or each.decision.reason,
            )
    return answers, owners


def _ballot(world: WorldFacts, copy: CopyFact, calendar: CalendarFact) -> tuple[str | None, Ballot]:
    event = owned_by(parse_event(copy.shown).event, calendar.email)
    rules = rules_from(world.rules, scopes_of(calendar.tenant_id, calendar.entity_id))
    decision = _decision(world, event, calendar, rules)
    key = key_of(event, tenant_id=calendar.tenant_id, email=calendar.email, dedupe=rules.dedupe)
    return key, Ballot(
        event_id=event.event_id,
        calendar_id=event.calendar_id,
        connected_since=calendar.created_at,
        organizes=event.owner_is_organizer,
        declined=event.owner_answer is Answer.DECLINED,
        refuses=decision.reason in REFUSALS,
        decision=decision,
        rules=rules,
    )


def _decision(world: WorldFacts, event: Event, calendar: CalendarFact, rules: Rules) -> Decision:
    own = [word for word in world.words if word.event_id == event.event_id]
    series = [
        word
        for word in world.words
        if event.series_id
        and (word.calendar_id, word.series_id) == (calendar.calendar_id, event.series_id)
    ]
    return decide(
        event,
        Circumstances(
            rules=rules,
            override=Choice(_choice(own) or _choice(series) or "auto"),
            opted_out=any(word.choice == "opt_out" for word in own + series),
            status=CalendarStatus.CONNECTED if calendar.connected else CalendarStatus.DISCONNECTED,
            now=world.now,
            owner_email=calendar.email,
        ),
    )


def _choice(words: list[WordFact]) -> str | None:
    said: list[Any] = [word.choice for word in words if word.choice in {"on", "off"}]
    return said[0] if said else None
