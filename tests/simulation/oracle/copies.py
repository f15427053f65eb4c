"""Steps 1 to 8: what one copy of a meeting says by itself."""

from datetime import datetime, timedelta
from typing import Any

from tests.simulation.oracle.facts import CalendarFact, WordFact
from tests.simulation.oracle.matching import (
    FREE_MAIL,
    comes_from,
    in_hours,
    is_named,
    says,
)
from tests.simulation.oracle.reading import (
    ACCEPTED,
    DECLINED,
    NONE,
    TENTATIVE,
    Copy,
    Person,
)
from tests.simulation.oracle.rooms import JOINABLE
from tests.simulation.oracle.words import opted_out, word_on

Decision = tuple[bool, str]
LEAST = {
    "any": DECLINED,
    "not_declined": NONE,
    "tentative_or_accepted": TENTATIVE,
    "accepted": ACCEPTED,
}


def decide(
    copy: Copy,
    calendar: CalendarFact,
    rules: dict[str, Any],
    words: tuple[WordFact, ...],
    now: datetime,
) -> Decision:
    reason = _ineligible(copy, calendar, rules, now) or _denied(copy, calendar, rules, words)
    if reason:
        return False, reason
    word = word_on(copy, calendar, words)
    if word != "auto":
        return word == "on", f"override.{word}"
    if copy.owner_answer < LEAST[rules["rsvp"]]:
        return False, "rsvp"
    join, reason = _chosen(copy, rules)
    bound = _out_of_bounds(copy, rules) if join else None
    return (False, bound) if bound else (join, reason)


def _ineligible(
    copy: Copy, calendar: CalendarFact, rules: dict[str, Any], now: datetime
) -> str | None:
    hours = rules["horizon_hours"]
    steps = (
        (copy.deleted, "deleted"),
        (copy.cancelled, "cancelled"),
        (copy.all_day, "all_day"),
        (copy.end <= now, "ended"),
        (hours is not None and copy.start > now + timedelta(hours=hours or 0), "horizon"),
        (copy.link_elsewhere, "link_in_body"),
        (copy.link is None, "no_link"),
        (copy.platform is not None and copy.platform not in JOINABLE, "unsupported_link"),
        (not calendar.connected, "calendar_disconnected"),
        (rules["mode"] == "paused", "paused"),
    )
    return next((f"ineligible.{reason}" for holds, reason in steps if holds), None)


def _denied(
    copy: Copy, calendar: CalendarFact, rules: dict[str, Any], words: tuple[WordFact, ...]
) -> str | None:
    deny = rules["deny"]
    guests = [one for one in copy.others if one.address != copy.organizer]
    organizer = [one for one in copy.others if one.address == copy.organizer]
    steps = (
        (any(is_named(one, deny["people"]) for one in copy.others), "person"),
        (any(comes_from(one.domain, deny["domains"]) for one in guests), "domain"),
        (any(says(copy.title, keyword) for keyword in deny["keywords"]), "keyword"),
        (any(comes_from(one.domain, deny["domains"]) for one in organizer), "organizer_domain"),
        (copy.platform in deny["platforms"], "platform"),
        (copy.private and rules["private"] == "deny", "private"),
        (opted_out(copy, calendar, words), "opt_out"),
    )
    return next((f"denied.{reason}" for holds, reason in steps if holds), None)


def _chosen(copy: Copy, rules: dict[str, Any]) -> Decision:
    excluded = _match(copy, rules["exclude"])
    if excluded:
        return False, f"excluded.{excluded}"
    included = _match(copy, rules["include"])
    if included:
        return True, f"included.{included}"
    return _base(copy, rules)


def _match(copy: Copy, lists: dict[str, list[str]]) -> str | None:
    if any(says(copy.title, keyword) for keyword in lists.get("keywords") or []):
        return "keyword"
    if any(is_named(one, lists.get("people") or []) for one in copy.others):
        return "person"
    if any(comes_from(one.domain, lists.get("domains") or []) for one in copy.others):
        return "domain"
    return None


def _base(copy: Copy, rules: dict[str, Any]) -> Decision:
    base = rules["base"]
    if base in {"all", "off"}:
        return base == "all", f"base.{base}"
    if base == "organizer":
        return copy.owner_organizes, "base.organizer"
    audience = _audience(copy, rules)
    if audience == "unknown":
        return False, "audience_unknown"
    return audience == base, f"base.{base}"


def _audience(copy: Copy, rules: dict[str, Any]) -> str:
    own = rules["internal_domains"] or [copy.owner.rpartition("@")[2]]
    people = expected(copy)
    if own != [""]:
        if not rules["internal_domains"] and own[0] in FREE_MAIL:
            own = []
        if not all(comes_from(one.domain, own) for one in people):
            return "external"
    if copy.hidden:
        return "external" if rules["hidden_guests"] == "external" else "unknown"
    if not people:
        return "nobody"
    # Whom to call internal is not known: `hidden_guests` is about another want.
    return "unknown" if own == [""] else "internal"


def expected(copy: Copy) -> list[Person]:
    """The others who have not declined."""
    return [one for one in copy.others if one.answer != DECLINED]


def _out_of_bounds(copy: Copy, rules: dict[str, Any]) -> str | None:
    others = len(expected(copy))
    attending = others + (copy.owner_answer != DECLINED)
    minutes = (copy.end - copy.start).total_seconds() / 60
    wanted = {"recurring": True, "one_off": False}.get(rules["recurrence"], copy.recurs)
    steps = (
        (others < rules["min_others"], "min_others"),
        (not _within(attending, rules["attendees"]), "attendees"),
        (not _within(minutes, rules["duration_minutes"]), "duration"),
        (bool(rules["hours"]) and not in_hours(copy.start, copy.zone, rules["hours"]), "hours"),
        (copy.recurs != wanted, "recurrence"),
    )
    return next((f"bounds.{reason}" for holds, reason in steps if holds), None)


def _within(value: float, bounds: dict[str, int | None]) -> bool:
    least, most = bounds.get("min"), bounds.get("max")
    return (least is None or value >= least) and (most is None or value <= most)
