"""One seed, one story: a world, its climate, its people, and what they do."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from random import Random
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from infra.local.emulators.recall.switches import Switches, Timings
from tests.simulation import log_lines
from tests.simulation.climate import drawn
from tests.simulation.judge import Judge
from tests.simulation.monitors import Monitors
from tests.simulation.people import Cast
from tests.simulation.world import GOOGLE, OUTLOOK, START, World

# How long people act while things fail, at least and at most.
FAULTS_SECONDS: Final = (240.0, 720.0)
# Six minutes of grace for copies that move apart, and a tick to notice that it is over.
CALM_SECONDS: Final = 540.0
# By then the reconciler has made its round and the tick after it has come; then every minute.
ROUND_SECONDS: Final = 90.0
LOOK_SECONDS: Final = 60.0
# Of the worlds that are at rest before: these go on to the end all the same.
WHOLE: Final = 0.05
SETTLE_SECONDS: Final = 120.0
SWITCHED: Final = 0.08
# Calls a minute, where every single one counts.
TIGHT: Final = {
    "calendar_events_list": 20,
    "calendar_events_bot_create": 6,
    "calendar_events_bot_destroy": 6,
    "bot_create": 4,
    "bot_list": 6,
}
# Not open points of Recall's, or no way to be right in them.
FIXED: Final = frozenset(
    {
        "calendars_page_size", "bots_page_size", "events_page_size", "next_host",
        "webhook_headers", "refuse_unknown_parameters", "retry_after_on_507",
        "status_detail_field", "status_sub_code_field", "credentials_checked_on_create",
        "duplicate_calendars", "webhooks_unordered",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a seed went; `faults` counts what befell it, by kind."""

    seed: str
    violations: tuple[str, ...]
    story: tuple[str, ...]
    faults: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    bots: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How Recall is set up, and how much goes on.

    For how long people act while things fail, events in a page, calls a minute, seconds at most
    until a change shows.
    """

    seconds: float
    page_size: int
    limits: dict[str, int] | None
    commit: float
    crowded: bool


def _shape(chance: Random) -> Shape:
    page_size = chance.choice([100, 100, 100, 2])
    limits = chance.choice([None, None, None, None, TIGHT])
    return Shape(
        seconds=chance.uniform(*FAULTS_SECONDS),
        # Many small pages would eat up a small limit.
        page_size=page_size if limits is None else 100,
        limits=limits,
        commit=chance.choice([0.0, 0.0, 0.0, 45.0]),
        crowded=chance.random() < 0.3,
    )


def play(seed: int | str) -> Outcome:
    """From START on: people act while things fail, then all is calm, then it must be right.

    A story that breaks down is a violation like any other.
    """
    try:
        return _played(seed)
    except Exception:  # noqa: BLE001  its seed is told, and the others go on
        broken = f"it broke down: {traceback.format_exc(limit=-3)}"
        return Outcome(seed=str(seed), violations=(broken,), story=())


def _played(seed: int | str) -> Outcome:
    chance = Random(f"{seed}/setting")
    shape = _shape(Random(f"{seed}/shape"))
    climate = drawn(chance, start=START, end=START + timedelta(seconds=shape.seconds))
    switches = _switches(chance, unordered=climate.webhooks_unordered)
    feed_mode = chance.choice(["workspace"] * 5 + ["calendar"])
    if shape.limits is not None:
        # A call that travels for seconds arrives in a minute that nobody reckoned with.
        climate = replace(climate, slow=0.0)
    world = World(
        seed,
        climate,
        switches=replace(switches, events_page_size=shape.page_size),
        feed_mode=feed_mode,
        limits=shape.limits,
        timings=Timings(commit=shape.commit),
        # What only the reconciler mends, it mends in the calm.
        round_at=shape.seconds + SETTLE_SECONDS,
    )
    by_calendar = feed_mode == "calendar" or switches.unfiltered_list_refused
    monitors = Monitors(world, by_calendar=by_calendar)
    with log_lines.captured() as lines, world.open():
        cast = Cast(world, world.chance("people"))
        judge = Judge(world, cast)
        _people(cast, chance)
        _acts(cast, chance, until=shape.seconds)
        if shape.crowded:
            _crowd(cast, world.chance("crowd"), until=shape.seconds)
        world.run(shape.seconds)
        world.calm()
        world.run(SETTLE_SECONDS)
        _redrive(world)
        _come_to_rest(world, cast, judge, monitors)
        # What failed nine times before the calm may have waited until now.
        if _redrive(world):
            world.run(SETTLE_SECONDS)
        judge.rest()
        monitors.rest()
        judge.read(lines())
    return Outcome(
        seed=str(seed),
        violations=tuple(world.violations),
        story=(f"{climate}", *world.story),
        faults=world.weather.faults,
        calls=len(world.recall.calls),
        bots=len(world.recall.bots),
    )


def _come_to_rest(world: World, cast: Cast, judge: Judge, monitors: Monitors) -> None:
    """Until the end of the calm, or until a minute has changed nothing in a world that is right.

    What a person did in the calm and Recall shows late must have its sweep as well.
    """
    end = world.clock.now() + timedelta(seconds=CALM_SECONDS)
    if world.chance("whole").random() < WHOLE:
        world.run(CALM_SECONDS)
        return
    world.run(ROUND_SECONDS)
    while (now := world.clock.now()) < end:
        since = now - timedelta(seconds=LOOK_SECONDS)
        if monitors.has_seen_all() and judge.is_content(since=since, until=end):
            return
        world.run(min(LOOK_SECONDS, (end - now).total_seconds()))


def _redrive(world: World) -> bool:
    if not world.queue.dead:
        return False
    world.tell(f"an operator redrives {world.redrive()} dead letters, each twice")
    return True


def _people(cast: Cast, chance: Random) -> None:
    tenants = chance.choice([1, 1, 2])
    for number in range(chance.randint(1, 4)):
        cast.add(f"t{number % tenants}", f"u{number}", chance.choice([GOOGLE, OUTLOOK]))
    for person in cast.people:
        cast.at(chance.uniform(0, 60), partial(cast.connect, person))


def _acts(cast: Cast, chance: Random, *, until: float) -> None:
    for _ in range(chance.randint(1, 5)):
        cast.at(chance.uniform(0, until / 2), cast.invite)
    person: Callable[[], Any] = lambda: chance.choice(cast.people)  # noqa: E731
    usual = [cast.edit, cast.edit, cast.edit, cast.invite, cast.override, cast.rule]
    rare: list[Callable[[], object]] = [
        cast.transfer,
        cast.opt_out,
        partial(cast.revoke, person()),
        partial(cast.disconnect, person()),
        partial(cast.erase, person()),
        cast.rotate,
        cast.rotate_key,
    ]
    for _ in range(chance.randint(2, 8)):
        acts = rare if chance.random() < 0.2 else usual
        cast.at(chance.uniform(60, until), chance.choice(acts))


def _crowd(cast: Cast, chance: Random, *, until: float) -> None:
    """Many more meetings, and something about them all the time."""
    for _ in range(chance.randint(5, 10)):
        cast.at(chance.uniform(0, until / 2), cast.invite)
    for _ in range(chance.randint(10, 25)):
        act = chance.choice([cast.edit, cast.edit, cast.override, cast.rule, cast.opt_out])
        cast.at(chance.uniform(60, until), act)


@cache
def _kinds() -> dict[str, Any]:
    return get_type_hints(Switches)


def _switches(chance: Random, *, unordered: bool) -> Switches:
    """What nobody outside the vendor knows for sure, this way or that."""
    said: dict[str, Any] = {"webhooks_unordered": unordered}
    for name, kind in _kinds().items():
        if name in FIXED or chance.random() >= SWITCHED:
            continue
        if kind is bool:
            said[name] = not getattr(Switches(), name)
        elif get_origin(kind) is Literal:
            said[name] = chance.choice(get_args(kind))
    return Switches(**said)
