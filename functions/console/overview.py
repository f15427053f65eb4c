"""The first page: is all well, and if not, what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from functions.console.service import Service
from functions.console.session import Visit, seen_by
from shared.domain.coverage import Coverage, coverage_between
from shared.domain.feed import Feed
from shared.domain.overview import Hour, Overview, overview_from
from shared.flows.coverage import COVERAGE
from shared.flows.overview import OVERVIEW
from shared.flows.reconcile import DRIFT
from shared.pages.chart import Point
from shared.pages.texts import text
from shared.pages.web import Answer, Routes
from shared.recall.budget import used_in_window
from shared.storage.workspace import FEED, RULES, budget_name, feed_from, redecision_from

Tone = Literal["bad", "warn"]

SWEEP_LATE: Final = timedelta(minutes=5)
COUNT_LATE: Final = timedelta(minutes=20)
BUDGET_TIGHT: Final = 0.9
SOON_HOURS: Final = 2
WEEK: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is not well, and where to look."""

    tone: Tone
    text: str
    href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A rate budget that was used in the last minute."""

    endpoint: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the page is made of; None is what nobody has counted yet."""

    now: datetime
    feed: Feed
    overview: Overview | None
    today: Coverage
    week: tuple[Point, ...]
    drift: Mapping[str, Any] | None
    budget: Sequence[Spent]
    queue_depth: int
    dead_letters: int

    @property
    def drifts(self) -> int:
        return sum(map(int, self.drift["counts"].values())) if self.drift else 0

    @property
    def sweep_age(self) -> timedelta | None:
        """Since the moment up to which every change was read."""
        return None if self.feed.cursor is None else max(self.now - self.feed.cursor, timedelta())


def add_overview(routes: Routes, service: Service) -> None:
    routes.get("/console")(seen_by(service, _show))


def _show(visit: Visit) -> Answer:
    service = visit.service
    documents = service.stores.workspace.documents(_names(service))
    facts = _facts(service, documents, now=service.clock())
    job = documents.get(RULES)
    return visit.page(
        "overview.html",
        here="overview",
        facts=facts,
        problems=sorted(_problems(facts), key=lambda problem: problem.tone),
        ahead=_points(facts.overview.ahead if facts.overview else ()),
        behind=_points(facts.overview.behind if facts.overview else ()),
        job=redecision_from(job) if job else None,
    )


def _names(service: Service) -> list[str]:
    return [FEED, OVERVIEW, COVERAGE, DRIFT, RULES, *map(budget_name, service.limits)]


def _facts(service: Service, documents: Mapping[str, dict[str, Any]], *, now: datetime) -> Facts:
    coverage, feed = documents.get(COVERAGE), documents.get(FEED)
    today = now.astimezone(UTC).date()
    return Facts(
        now=now,
        feed=feed_from(feed) if feed else Feed(),
        overview=overview_from(documents.get(OVERVIEW)),
        today=coverage_between(coverage, first=today, last=today),
        week=tuple(_week(coverage, now=now)),
        drift=documents.get(DRIFT),
        budget=_budget(service.limits, documents, now=now),
        queue_depth=service.queue.depth(),
        dead_letters=service.dead.depth(),
    )


def _problems(facts: Facts) -> Iterator[Problem]:
    age = facts.sweep_age
    if age is None or age > SWEEP_LATE:
        yield Problem(tone="bad", text=text("overview.problem.sweep"))
    if facts.dead_letters:
        words = text("overview.problem.dead_letters", count=facts.dead_letters)
        yield Problem(tone="bad", text=words, href="/console/repair")
    if facts.today.missed:
        words = text("overview.problem.missed", count=facts.today.missed)
        yield Problem(tone="bad", text=words)
    if facts.drifts:
        words = text("overview.problem.drift", count=facts.drifts)
        yield Problem(tone="warn", text=words, href="/console/drift")
    for spent in facts.budget:
        if spent.used > BUDGET_TIGHT * spent.limit:
            words = text("overview.problem.budget", endpoint=spent.endpoint)
            yield Problem(tone="warn", text=words)
    yield from _counted_problems(facts.overview, now=facts.now)


def _counted_problems(overview: Overview | None, *, now: datetime) -> Iterator[Problem]:
    if overview is None or now - overview.counted_at > COUNT_LATE:
        yield Problem(tone="warn", text=text("overview.problem.count"))
        return
    missing = sum(hour.wanted - hour.good for hour in overview.ahead[:SOON_HOURS])
    if missing:
        yield Problem(tone="warn", text=text("overview.problem.soon", count=missing))
    disconnected = overview.calendars.get("disconnected", 0)
    if disconnected:
        words = text("overview.problem.disconnected", count=disconnected)
        href = "/console/calendars?status=disconnected"
        yield Problem(tone="warn", text=words, href=href)
    if overview.set_aside:
        words = text("overview.problem.set_aside", count=overview.set_aside)
        yield Problem(tone="warn", text=words, href="/console/repair")


def _week(document: Mapping[str, Any] | None, *, now: datetime) -> Iterator[Point]:
    today = now.astimezone(UTC).date()
    for back in reversed(range(WEEK)):
        day = today - timedelta(days=back)
        found = coverage_between(document, first=day, last=day)
        yield Point(
            label=f"{day:%a} {day.day} {day:%b}", whole=found.should_have_joined, part=found.joined
        )


def _points(hours: Sequence[Hour]) -> tuple[Point, ...]:
    return tuple(
        Point(label=f"{hour.start:%H}:00 UTC", whole=hour.wanted, part=hour.good) for hour in hours
    )


def _budget(
    limits: Mapping[str, int], documents: Mapping[str, dict[str, Any]], *, now: datetime
) -> list[Spent]:
    """Only endpoints that were called in the last minute, the tightest first."""
    spent = [
        Spent(
            endpoint=endpoint,
            used=used_in_window(documents.get(budget_name(endpoint), {}), now=now),
            limit=limit,
        )
        for endpoint, limit in limits.items()
    ]
    return sorted((each for each in spent if each.used), key=lambda each: -each.used / each.limit)
