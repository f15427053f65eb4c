"""The decision: should a bot be on this meeting, and why; docs/rules.md tells it in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple, assert_never

from shared.domain.address import domain_of, domains_from, people_from
from shared.domain.calendar import CalendarStatus
from shared.domain.event import Answer, Event
from shared.domain.hours import is_within
from shared.domain.keywords import first_keyword
from shared.domain.people import (
    Audience,
    Guests,
    audience,
    guests_of,
    internal_domains,
    organizes,
    owner_address,
)
from shared.domain.rules import (
    Base,
    Choice,
    Denials,
    HiddenGuests,
    Matches,
    Mode,
    Private,
    Recurrence,
    Rsvp,
    Rules,
)

# Every reason that a decision, the vote of a meeting's copies or the budget can give.
REASONS: Final = {
    "ineligible.deleted": "The event was deleted.",
    "ineligible.cancelled": "The meeting was cancelled.",
    "ineligible.all_day": "All-day events are not joined.",
    "ineligible.ended": "The meeting is over.",
    "ineligible.horizon": "The meeting is further ahead than bots are scheduled.",
    "ineligible.no_link": "The event has no meeting link.",
    "ineligible.link_in_body": "The link stands in a form that Recall does not read.",
    "ineligible.unsupported_link": "Bots cannot join meetings of this platform.",
    "ineligible.calendar_disconnected": "The calendar is disconnected.",
    "ineligible.paused": "Recording is paused.",
    "denied.person": "Somebody is invited who must not be recorded.",
    "denied.domain": "A company is invited that must not be recorded.",
    "denied.keyword": "Meetings with this title must not be recorded.",
    "denied.organizer_domain": "The organizer's company must not be recorded.",
    "denied.platform": "Meetings of this platform must not be recorded.",
    "denied.private": "The meeting is private.",
    "denied.opt_out": "Somebody invited has opted out.",
    "override.on": "Somebody switched the bot on.",
    "override.off": "Somebody switched the bot off.",
    "rsvp": "The invitation is not answered as the rules ask.",
    "excluded.keyword": "The title is excluded.",
    "excluded.person": "Somebody invited is excluded.",
    "excluded.domain": "A company invited is excluded.",
    "included.keyword": "The title is included.",
    "included.person": "Somebody invited is included.",
    "included.domain": "A company invited is included.",
    "audience_unknown": "The guest list is hidden, and the rules depend on it.",
    "base.off": "Only meetings that a rule or a person includes are joined.",
    "base.all": "All meetings are joined.",
    "base.external": "Meetings with people from outside are joined.",
    "base.internal": "Meetings among one's own people are joined.",
    "base.organizer": "Meetings that the calendar's owner organizes are joined.",
    "bounds.min_others": "Too few other people are invited.",
    "bounds.attendees": "Too few or too many people are invited.",
    "bounds.duration": "The meeting is too short or too long.",
    "bounds.hours": "The meeting starts outside the hours.",
    "bounds.recurrence": "Only recurring, or only one-off, meetings are joined.",
    "vote.organizer_first": "The organizer's copy of the meeting wants no bot.",
    "vote.all_agree": "Not every copy of the meeting wants a bot.",
    "vote.denied": "Somebody else's copy of the meeting must not be recorded.",
    "vote.veto": "Somebody else in the meeting switched the bot off.",
    "budget": "The Recall workspace has no credit left for a bot.",
}
BUDGET: Final = "budget"

# Recall gives a link of these, but its bots join none of them as guests.
_NOT_JOINED = frozenset({"chime_sdk", "webrtc", "zoom_rtms", "google_meet_media_api"})
_NOT_JOINED_PREFIX = "slack_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Join or skip with a stable reason code; `rule` names the rules key that decided.

    Where a list decided, `rule` ends in the entry that matched: `exclude.keywords:standup`.
    """

    join: bool
    reason: str
    rule: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Everything besides the event that a decision depends on.

    `owner_email`: the address of the calendar's account, where known. `opted_out`: a signed
    opt-out for the meeting or its series was received.
    """

    rules: Rules
    override: Choice
    status: CalendarStatus
    now: datetime
    owner_email: str | None = None
    opted_out: bool = False


def decide(event: Event, circumstances: Circumstances) -> Decision:
    """The first decisive step wins; every step yields a reason code of REASONS."""
    ineligible = _ineligible(event, circumstances)
    if ineligible is not None:
        return ineligible
    case = _case_of(event, circumstances)
    for step in (_denied, _overridden, _rsvp, _excluded):
        decision = step(case)
        if decision is not None:
            return decision
    wanted = _included(case) or _base(case)
    return (_bounds(case) or wanted) if wanted.join else wanted


class _Case(NamedTuple):
    """One event under its circumstances, and what several steps ask of it."""

    event: Event
    circumstances: Circumstances
    rules: Rules
    guests: Guests
    organizes: bool
    answer: Answer


def _case_of(event: Event, circumstances: Circumstances) -> _Case:
    """An organizer has accepted unless declined in so many words."""
    owns = organizes(event, circumstances.owner_email)
    answer = event.owner_answer
    return _Case(
        event=event,
        circumstances=circumstances,
        rules=circumstances.rules,
        guests=guests_of(event, circumstances.owner_email),
        organizes=owns,
        answer=Answer.ACCEPTED if owns and answer is not Answer.DECLINED else answer,
    )


def _ineligible(event: Event, circumstances: Circumstances) -> Decision | None:
    horizon = circumstances.rules.horizon
    if event.deleted:
        return _skip("ineligible.deleted")
    if event.cancelled:
        return _skip("ineligible.cancelled")
    if event.all_day:
        return _skip("ineligible.all_day")
    if event.end <= circumstances.now:
        return _skip("ineligible.ended")
    if horizon is not None and event.start - circumstances.now > horizon:
        return _skip("ineligible.horizon", "horizon_hours")
    return _link(event) or _state(circumstances)


def _link(event: Event) -> Decision | None:
    if event.meeting_url is None:
        return _skip("ineligible.link_in_body" if event.link_in_body else "ineligible.no_link")
    platform = event.meeting_platform or ""
    if platform in _NOT_JOINED or platform.startswith(_NOT_JOINED_PREFIX):
        return _skip("ineligible.unsupported_link")
    return None


def _state(circumstances: Circumstances) -> Decision | None:
    if circumstances.status is CalendarStatus.DISCONNECTED:
        return _skip("ineligible.calendar_disconnected")
    if circumstances.rules.mode is Mode.PAUSED:
        return _skip("ineligible.paused", "mode")
    return None


def _denied(case: _Case) -> Decision | None:
    deny, platform = case.rules.deny, case.event.meeting_platform
    if rule := _person(deny, case.guests.everybody):
        return _skip("denied.person", f"deny.{rule}")
    if rule := _denied_guest(deny, case.guests):
        return _skip("denied.domain", f"deny.{rule}")
    if rule := _keyword(deny, case.event.title):
        return _skip("denied.keyword", f"deny.{rule}")
    if rule := _domain(deny, case.guests.domains):
        return _skip("denied.organizer_domain", f"deny.{rule}")
    if platform in deny.platforms:
        return _skip("denied.platform", f"deny.platforms:{platform}")
    if case.event.private and case.rules.private is Private.DENY:
        return _skip("denied.private", "private")
    return _skip("denied.opt_out") if case.circumstances.opted_out else None


def _denied_guest(deny: Denials, guests: Guests) -> str | None:
    """A denied domain among the attendees, the organizer left out."""
    if not deny.domains:
        return None
    return _domain(deny, frozenset(map(domain_of, guests.invited)))


def _overridden(case: _Case) -> Decision | None:
    match case.circumstances.override:
        case Choice.ON:
            return _join("override.on")
        case Choice.OFF:
            return _skip("override.off")
        case Choice.AUTO:
            return None
        case never:
            assert_never(never)


def _rsvp(case: _Case) -> Decision | None:
    return None if case.answer in _ACCEPTABLE[case.rules.rsvp] else _skip("rsvp", "rsvp")


def _excluded(case: _Case) -> Decision | None:
    found = _match(case.rules.exclude, case)
    return found and _skip(f"excluded.{found[0]}", f"exclude.{found[1]}")


def _included(case: _Case) -> Decision | None:
    found = _match(case.rules.include, case)
    return found and _join(f"included.{found[0]}", f"include.{found[1]}")


def _match(matches: Matches, case: _Case) -> tuple[str, str] | None:
    """What kind of entry matches, and the entry, as `keywords:standup`."""
    if rule := _keyword(matches, case.event.title):
        return "keyword", rule
    if rule := _person(matches, case.guests.everybody):
        return "person", rule
    if rule := _domain(matches, case.guests.domains):
        return "domain", rule
    return None


def _keyword(matches: Matches, title: str) -> str | None:
    if not matches.keywords:
        return None
    keyword = first_keyword(matches.keywords, title)
    return None if keyword is None else f"keywords:{keyword}"


def _person(matches: Matches, people: frozenset[str]) -> str | None:
    if not matches.people:
        return None
    places = people_from(matches.people)
    place = min((places[person] for person in places.keys() & people), default=None)
    return None if place is None else f"people:{matches.people[place]}"


def _domain(matches: Matches, domains: frozenset[str]) -> str | None:
    if not matches.domains:
        return None
    place = domains_from(matches.domains).first(domains)
    return None if place is None else f"domains:{matches.domains[place]}"


def _base(case: _Case) -> Decision:
    base = case.rules.base
    match base:
        case Base.OFF:
            return _skip("base.off", "base")
        case Base.ALL:
            return _join("base.all", "base")
        case Base.ORGANIZER:
            return _decision(case.organizes, "base.organizer", rule="base")
        case Base.EXTERNAL | Base.INTERNAL:
            return _by_audience(case, wanted=Audience(base))
        case never:
            assert_never(never)


def _by_audience(case: _Case, *, wanted: Audience) -> Decision:
    found = _audience(case)
    if found is Audience.UNKNOWN:
        if not case.event.guests_hidden:
            return _skip("audience_unknown", "internal_domains")
        if case.rules.hidden_guests is HiddenGuests.SKIP:
            return _skip("audience_unknown", "hidden_guests")
        found = Audience.EXTERNAL
    return _decision(found is wanted, f"base.{wanted}", rule="base")


def _audience(case: _Case) -> Audience:
    owner = owner_address(case.event, case.circumstances.owner_email)
    return audience(
        case.guests,
        internal=internal_domains(case.rules.internal_domains, owner),
        guests_hidden=case.event.guests_hidden,
    )


def _bounds(case: _Case) -> Decision | None:
    event, rules, others = case.event, case.rules, len(case.guests.others)
    if others < rules.min_others:
        return _skip("bounds.min_others", "min_others")
    if not rules.attendees.admit(others + (case.answer is not Answer.DECLINED)):
        return _skip("bounds.attendees", "attendees")
    if not rules.duration_minutes.admit((event.end - event.start).total_seconds() / 60):
        return _skip("bounds.duration", "duration_minutes")
    if rules.hours is not None and not is_within(rules.hours, event.start, zone=event.time_zone):
        return _skip("bounds.hours", "hours")
    if rules.recurrence not in {Recurrence.ANY, _recurrence(event)}:
        return _skip("bounds.recurrence", "recurrence")
    return None


def _recurrence(event: Event) -> Recurrence:
    return Recurrence.ONE_OFF if event.series_id is None else Recurrence.RECURRING


def _join(reason: str, rule: str | None = None) -> Decision:
    return _decision(True, reason, rule=rule)


def _skip(reason: str, rule: str | None = None) -> Decision:
    return _decision(False, reason, rule=rule)


@lru_cache(maxsize=1_024)
def _decision(join: bool, reason: str, *, rule: str | None) -> Decision:
    """There are few, and they are asked for often."""
    return Decision(join=join, reason=reason, rule=rule)


_ACCEPTABLE = {
    Rsvp.ANY: frozenset(Answer),
    Rsvp.NOT_DECLINED: frozenset(Answer) - {Answer.DECLINED},
    Rsvp.TENTATIVE_OR_ACCEPTED: frozenset({Answer.TENTATIVE, Answer.ACCEPTED}),
    Rsvp.ACCEPTED: frozenset({Answer.ACCEPTED}),
}
