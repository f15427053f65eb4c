"""The decision: should a bot be on this meeting, and why (recording rules, evaluation order)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, assert_never

from shared.domain.calendar import CalendarStatus
from shared.domain.event import Answer, Event, other_people
from shared.domain.rules import Choice, Private, Rsvp, Rules

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Join or skip with a stable reason code; `rule` names the rules key that decided."""

    join: bool
    reason: str
    rule: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Everything besides the event that a decision depends on."""

    rules: Rules
    override: Choice
    status: CalendarStatus
    now: datetime


def decide(event: Event, circumstances: Circumstances) -> Decision:
    """The first decisive step wins; every step yields a reason code."""
    for step in _STEPS:
        decision = step(event, circumstances)
        if decision is not None:
            return decision
    return Decision(join=True, reason="base.all", rule="base")


def _eligibility(event: Event, circumstances: Circumstances) -> Decision | None:
    obstacles = (
        ("deleted", event.deleted),
        ("cancelled", event.cancelled),
        ("all_day", event.all_day),
        ("ended", event.end <= circumstances.now),
        ("no_link", event.meeting_url is None),
        ("calendar_disconnected", circumstances.status is CalendarStatus.DISCONNECTED),
    )
    for name, applies in obstacles:
        if applies:
            return Decision(join=False, reason=f"ineligible.{name}")
    return None


def _hard_deny(event: Event, circumstances: Circumstances) -> Decision | None:
    if event.private and circumstances.rules.private is Private.DENY:
        return Decision(join=False, reason="denied.private", rule="private")
    return None


def _override(_event: Event, circumstances: Circumstances) -> Decision | None:
    match circumstances.override:
        case Choice.ON:
            return Decision(join=True, reason="override.on")
        case Choice.OFF:
            return Decision(join=False, reason="override.off")
        case Choice.AUTO:
            return None
        case never:
            assert_never(never)


def _rsvp(event: Event, circumstances: Circumstances) -> Decision | None:
    answer = event.owner_answer
    if event.owner_is_organizer and answer is not Answer.DECLINED:
        answer = Answer.ACCEPTED
    if answer in _ACCEPTABLE[circumstances.rules.rsvp]:
        return None
    return Decision(join=False, reason="rsvp", rule="rsvp")


def _bounds(event: Event, circumstances: Circumstances) -> Decision | None:
    if other_people(event) < circumstances.rules.min_others:
        return Decision(join=False, reason="bounds.min_others", rule="min_others")
    return None


_STEPS: tuple[Callable[[Event, Circumstances], Decision | None], ...] = (
    _eligibility,
    _hard_deny,
    _override,
    _rsvp,
    _bounds,
)

_ACCEPTABLE = {
    Rsvp.ANY: frozenset(Answer),
    Rsvp.NOT_DECLINED: frozenset(Answer) - {Answer.DECLINED},
    Rsvp.TENTATIVE_OR_ACCEPTED: frozenset({Answer.TENTATIVE, Answer.ACCEPTED}),
    Rsvp.ACCEPTED: frozenset({Answer.ACCEPTED}),
}
