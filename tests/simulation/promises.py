"""Promises with a time or a count in them, measured: `python -m tests.simulation.promises`.

Prints one line for each; exit 1 when one is broken.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Final

from infra.local.emulators.http import Request, Response
from infra.local.emulators.recall.accounts import Account
from infra.local.emulators.recall.switches import Timings
from tests.simulation import log_lines
from tests.simulation.climate import Climate, Outage
from tests.simulation.judge import Judge
from tests.simulation.monitors import Monitors
from tests.simulation.oracle import at_rest
from tests.simulation.people import OUTSIDERS, Cast
from tests.simulation.world import GOOGLE, OUTLOOK, START, TICK_SECONDS, World

REPAIRED_WITHIN: Final = TICK_SECONDS + 15
CONVERGED_WITHIN: Final = 120.0
LINK: Final = "https://meet.google.com/qkr-wzpn-abt"
STEP_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 900.0
SETTLE_SECONDS: Final = 30.0
BOT_CALLS_A_MINUTE: Final = 600
STORM_CALENDARS: Final = 40
STORM_SECONDS: Final = 60.0
REAL_CHANGES: Final = 20
LATE: Final = timedelta(hours=27)
SYNC: Final = "calendar.sync_events"


@dataclass(slots=True)
class Stage:
    """A world with connected people, and what watches over it."""

    world: World
    cast: Cast
    judge: Judge
    monitors: Monitors

    @property
    def accounts(self) -> list[Account]:
        return [person.account for person in self.cast.people]

    def bots(self) -> dict[str, datetime]:
        """Those that wait, and for when."""
        return {bot.id: bot.join_at for bot in self.world.recall.bots.values() if bot.waiting}

    def seconds_until(self, is_so: Callable[[], bool]) -> float:
        began = self.world.clock.now()
        while not is_so():
            passed = (self.world.clock.now() - began).total_seconds()
            if passed > PATIENCE_SECONDS:
                return passed
            self.world.run(STEP_SECONDS)
        return (self.world.clock.now() - began).total_seconds()

    def is_right(self) -> bool:
        return not at_rest(self.judge.facts())


@contextmanager
def stage(seed: str, climate: Climate, *, people: int = 1, commit: float = 0.0) -> Iterator[Stage]:
    """People of one tenant, connected; at Recall a change shows up to `commit` seconds late."""
    world = World(seed, climate, timings=Timings(commit=commit))
    monitors = Monitors(world, by_calendar=False)
    with log_lines.captured(), world.open():
        cast = Cast(world, world.chance("people"))
        judge = Judge(world, cast)
        for number in range(people):
            person = cast.add("t0", f"u{number}", (GOOGLE, OUTLOOK)[number % 2])
            cast.at(1 + number / 10, partial(cast.connect, person))
        world.run(150)
        if cast.pending or len(world.recall.calendars) != people:
            raise AssertionError("not everybody could connect")
        yield Stage(world, cast, judge, monitors)
        if world.violations:
            raise AssertionError(f"{seed}: {world.violations}")


def meet(account: Account, start: datetime, *, link: str) -> str:
    """A meeting with somebody from outside; answers its id at the provider."""
    return account.add_event("Review", start=start, link=link, attendees=[OUTSIDERS[0]])


# A lost webhook is repaired within one tick and a little.


def repairs(seed: int, *, recall_ahead: float = 0.0, commit: float = 0.0) -> list[float]:
    """Seconds from a change in somebody's calendar to the bot that follows it, webhooks lost."""
    climate = Climate(webhooks_lost=1.0, recall_ahead=recall_ahead)
    with stage(f"repair {seed}", climate, commit=commit) as there:
        chance, world, (account,) = there.world.chance("changes"), there.world, there.accounts
        taken: list[float] = []
        for number in range(4):
            at = START + timedelta(hours=3 + 3 * number)
            event_id = meet(account, at, link=LINK)
            taken.append(there.seconds_until(lambda at=at: at in there.bots().values()))
            world.run(chance.uniform(0, TICK_SECONDS))
            later = at + timedelta(hours=1)
            account.move(event_id, later)
            taken.append(
                there.seconds_until(
                    lambda at=at, later=later: (
                        later in (now := there.bots().values()) and at not in now
                    )
                )
            )
            world.run(chance.uniform(0, TICK_SECONDS))
            # Recall takes the bot off by itself, so that nothing is measured here.
            account.cancel(event_id)
            world.run(chance.uniform(0, TICK_SECONDS))
        return taken


# An outage of Recall, and what comes after.


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """After an outage: changes meanwhile, bots that nobody touched and that are the same still."""

    changes: int
    untouched: int
    kept: int
    cancelled_meanwhile: int
    seconds: float
    calls: int

    @property
    def allowed(self) -> float:
        """Two minutes, and what the budgeted calls take."""
        return CONVERGED_WITHIN + self.calls / BOT_CALLS_A_MINUTE * 60


def recovery(hours: float, *, silent: bool, seed: int = 0) -> Recovery:
    """Recall is down for so long, while 120 meetings come, move and go."""
    start = START + timedelta(minutes=10)
    end = start + timedelta(hours=hours)
    outage = Outage(system="recall", start=start, end=end, silent=silent)
    with stage(f"outage {seed}", Climate(outages=(outage,)), people=6) as there:
        world, accounts = there.world, there.accounts
        after = end + timedelta(hours=2)
        known = [
            (account, meet(account, after + timedelta(hours=n), link=_link(n)))
            for n, account in enumerate(accounts * 15)
        ]
        world.run((start - world.clock.now()).total_seconds() - 1)
        before = there.bots()
        moved, cancelled, untouched = known[:40], known[40:60], known[60:]
        acts: list[Callable[[], object]] = [
            *(
                partial(a.move, e, after + timedelta(hours=200 + n))
                for n, (a, e) in enumerate(moved)
            ),
            *(partial(account.cancel, event_id) for account, event_id in cancelled),
            *(
                partial(meet, accounts[n % 6], after + timedelta(hours=n), link=_link(500 + n))
                for n in range(60)
            ),
        ]
        quiet = timedelta(minutes=8)  # the oracle asks nothing of what changed a moment ago
        for n, act in enumerate(acts):
            world.hub.at(start + (end - quiet - start) * (n / len(acts)), act)
        world.run((end - world.clock.now()).total_seconds())
        gone = sum(name == "bot.cancelled" for name, _ in world.bus.notices)
        calls = len(world.recall.calls)
        seconds = there.seconds_until(there.is_right)
        wanted = {after + timedelta(hours=60 + n) for n in range(len(untouched))}
        same = before.items() & there.bots().items()
        return Recovery(
            changes=len(acts),
            untouched=len(untouched),
            kept=sum(join_at in wanted for _, join_at in same),
            cancelled_meanwhile=gone,
            seconds=seconds,
            calls=len(world.recall.calls) - calls,
        )


def _link(number: int) -> str:
    return f"https://us02web.zoom.us/j/{84000000000 + number}"


def kept_through_trouble(seed: int) -> tuple[int, int]:
    """Bots before and after twenty minutes in which every second call to Recall fails."""
    trouble = Climate(refused={"recall": 0.3}, lost={"recall": 0.15}, unheard={"recall": 0.05})
    with stage(f"trouble {seed}", Climate(), people=4) as there:
        for number, account in enumerate(there.accounts * 5):
            at = START + timedelta(hours=3 + number)
            meet(account, at, link=_link(number))
        there.world.run(SETTLE_SECONDS)
        before = there.bots()
        there.world.weather.climate = trouble
        there.world.run(1200)
        return len(before), len(before.items() & there.bots().items())


def bot_calls_refused(seconds: float) -> bool:
    """Lists are answered, bot calls are not, for longer than a List overlaps: is all right then?"""
    with stage("bot calls", Climate()) as there:
        world, handle = there.world, there.world.recall.handle
        until = world.clock.now() + timedelta(seconds=seconds)

        def handled(request: Request) -> Response:
            if request.url.endswith("/bot/") and world.clock.now() < until:
                return Response(status=503, headers={}, body=b"{}")
            return handle(request)

        vars(world.recall)["handle"] = handled
        for pool in world._pools.values():
            pool.clear()  # whoever runs has the door of before
        meet(there.accounts[0], START + timedelta(hours=3), link=LINK)
        world.run(seconds + CONVERGED_WITHIN)
        return [START + timedelta(hours=3)] == list(there.bots().values())


# A new calendar with many meetings.


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """Seconds until all bots were there, and until one was that became urgent meanwhile.

    `swaps`: how often a bot was made before one of a nearer start.
    """

    meetings: int
    bots: int
    seconds: float
    urgent: float
    swaps: int


def imported(meetings: int = 200) -> Import:
    """Meetings of one calendar, all new at once, and one in between; nothing else rings."""
    with stage("import", Climate()) as there:
        world, (account,) = there.world, there.accounts
        world.weather.climate = Climate(ticks_lost=1.0, webhooks_lost=1.0)
        world.recall.on_served = None  # the judge would look at each pair of them each time
        soon = world.clock.now() + timedelta(minutes=20)
        began = world.clock.now()
        starts = [START + timedelta(hours=3, minutes=15 * number) for number in range(meetings)]
        for number, at in enumerate(reversed(starts)):
            meet(account, at, link=_link(number))
        world.run(3)
        world.tick()
        world.run(5)
        meet(account, soon, link=LINK)
        world.run(2)
        world.tick()
        urgent = there.seconds_until(lambda: soon in there.bots().values())
        there.seconds_until(lambda: len(there.bots()) > meetings)
        made = [bot.join_at for bot in world.recall.bots.values() if bot.join_at != soon]
        return Import(
            meetings=meetings,
            bots=len(there.bots()) - 1,
            seconds=(world.clock.now() - began).total_seconds(),
            urgent=urgent,
            swaps=sum(later < earlier for earlier, later in pairwise(made)),
        )


# A storm of webhooks.


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What so many webhooks in a minute cost and lost."""

    webhooks: int
    lists: int
    acknowledged: int
    changes: int
    followed: int


def storm(webhooks: int, *, seed: int = 0) -> Storm:
    """Webhooks of many calendars, through the webhooks function, real changes among them."""
    with stage(f"storm {seed}", Climate(), people=STORM_CALENDARS) as there:
        world, accounts = there.world, there.accounts
        # Between the reconciler's wake-ups, whose own lists do not count.
        world.run((START + timedelta(seconds=200) - world.clock.now()).total_seconds())
        began = world.clock.now()
        calendars = sorted(world.recall.calendars)
        sent = webhooks - REAL_CHANGES
        for number in range(sent):
            calendar_id = calendars[number % len(calendars)]
            moment = began + timedelta(seconds=STORM_SECONDS) * (number / sent)
            world.hub.at(moment, partial(_ring, world, calendar_id))
        starts = [START + timedelta(hours=3 + number) for number in range(REAL_CHANGES)]
        for number, at in enumerate(starts):
            moment = began + timedelta(seconds=STORM_SECONDS) * (number / REAL_CHANGES)
            account = accounts[number % len(accounts)]
            world.hub.at(moment, partial(meet, account, at, link=_link(number)))
        world.run(STORM_SECONDS + SETTLE_SECONDS)
        lists = sum(
            call.endpoint == "calendar_events_list" and call.at >= began
            for call in world.recall.calls
        )
        messages = [
            message
            for message in world.recall.webhooks.messages
            if message.event == SYNC and message.created_at >= began
        ]
        joined = there.bots().values()
        return Storm(
            webhooks=sum(m.created_at < began + timedelta(seconds=STORM_SECONDS) for m in messages),
            lists=lists,
            acknowledged=sum(message.state == "delivered" for message in messages),
            changes=REAL_CHANGES,
            followed=sum(at in joined for at in starts),
        )


def _ring(world: World, calendar_id: str) -> None:
    world.recall.core.send_sync(calendar_id, world.recall_clock.now())
    world._watch_recall()


# Deliveries that come a day late.


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Webhooks delivered again 27 hours late; bots changed and notices never told before."""

    deliveries: int
    bots_changed: int
    notices: int
    wrong: tuple[str, ...]


def replay(seed: int = 0) -> Replay:
    """A meeting is over and another to come when all that was ever sent comes again."""
    with stage(f"late {seed}", Climate(), people=2) as there:
        world = there.world
        for account in there.accounts:
            meet(account, START + timedelta(minutes=20), link=_link(1))
            later = meet(account, START + timedelta(hours=40), link=_link(2))
        world.run(300)
        there.accounts[-1].move(later, START + timedelta(hours=41))
        world.run(7200)
        world.weather.climate = Climate(ticks_lost=1.0)
        world.run((START + LATE - world.clock.now()).total_seconds())
        world.weather.climate = Climate()
        world.run(180)
        bots, told = there.bots(), list(world.bus.notices)
        messages = list(world.recall.webhooks.messages)
        for message in messages:
            world.recall.webhooks.replay(message)
        world.run(180)
        return Replay(
            deliveries=len(messages),
            bots_changed=len(bots.items() ^ there.bots().items()),
            notices=sum(notice not in told for notice in world.bus.notices),
            wrong=tuple(at_rest(there.judge.facts())),
        )


def main() -> int:
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    promises = (_repair, _outage, _import, _storms, _late)
    kept = sum(promise() for promise in promises)
    print(f"promises: {kept} of {len(promises)} kept")
    return 0 if kept == len(promises) else 1


def _repair() -> bool:
    taken = [seconds for seed in range(20) for seconds in repairs(seed)]
    print(
        f"lost webhooks: {len(taken)} changes, repaired after {max(taken):.1f} s at most, "
        f"{sum(taken) / len(taken):.1f} s on average (at most {REPAIRED_WITHIN:.0f} s)",
        flush=True,
    )
    return max(taken) <= REPAIRED_WITHIN


def _outage() -> bool:
    good = True
    for silent in (False, True):
        found = recovery(24, silent=silent)
        print(
            f"24 hours without Recall ({'silent' if silent else 'refusing'}): {found.changes} "
            f"changes meanwhile, right after {found.seconds:.1f} s and {found.calls} calls (at "
            f"most {found.allowed:.0f} s); {found.kept} of {found.untouched} untouched bots are "
            f"the same, {found.cancelled_meanwhile} cancelled meanwhile",
            flush=True,
        )
        good &= found.seconds <= found.allowed and found.kept == found.untouched
        good &= found.cancelled_meanwhile == 0
    pairs = [kept_through_trouble(seed) for seed in range(10)]
    before, after = (sum(each) for each in zip(*pairs, strict=True))
    print(f"every second call fails for 20 minutes: {after} of {before} bots are the same")
    return good and before == after > 0


def _import() -> bool:
    found = imported()
    print(
        f"{found.meetings} new meetings at once, without webhooks and ticks: {found.bots} bots "
        f"after {found.seconds:.0f} s, {found.swaps} out of order; one that comes meanwhile and is "
        f"near has its bot after {found.urgent:.0f} s",
        flush=True,
    )
    return (found.bots, found.swaps) == (found.meetings, 0) and found.urgent <= SETTLE_SECONDS


def _storms() -> bool:
    good = True
    for webhooks, lists in ((500, 8), (5000, 12)):
        found = storm(webhooks)
        print(
            f"{found.webhooks} webhooks in 60 s: {found.lists} lists (at most {lists}), "
            f"{found.acknowledged} acknowledged, {found.followed} of {found.changes} changes "
            "followed",
            flush=True,
        )
        good &= found.lists <= lists and found.followed == found.changes
        good &= found.acknowledged >= found.webhooks >= webhooks
    return good


def _late() -> bool:
    found = replay()
    print(
        f"{found.deliveries} deliveries again 27 hours late: {found.bots_changed} bots changed, "
        f"{found.notices} new notices, {len(found.wrong)} things wrong"
    )
    return (found.bots_changed, found.notices, found.wrong) == (0, 0, ())


if __name__ == "__main__":
    sys.exit(main())
