"""One run: the phases, who does what in them, the rest at the end, the table."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Any

import tests.short_cut  # noqa: F401  DynamoDB without its wire, else most of the work is moto's
from infra.local.emulators.recall import RecallWorld
from infra.local.emulators.recall.webhooks import Message
from infra.local.host import LocalHost, local_host
from infra.local.settings import parse_options, read_settings
from infra.local.terminal import Terminal
from infra.local.watch import LIST_EVENTS, Watch
from tests.load import clients, verdict
from tests.load.faults import Faults, follow, plan
from tests.load.ledger import Ledger, is_feed_list, keep_looking, memory_megabytes
from tests.load.people import Crowd, paced

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "build" / "load.json"
LOG = ROOT / "build" / "load.log"

FULL_MINUTES = 20.0
PROGRESS_SECONDS = 30.0
REST_SECONDS_MAX = 240.0
STABLE_SECONDS = 15.0
STORM_SECONDS = 60.0
STORM_REST_SECONDS = 45.0
EDITS_IN_A_STORM = 5
# What 500 and 5,000 doorbells in a minute may cost.
LISTS_MAX = {500: 8, 5_000: 12}

# Shares of the run.
CONNECTED = 0.35
OUTAGE_AT = 0.45
LULL = 0.58
FIRST_STORM = 0.70
SECOND_STORM = 0.79
AGAIN = 0.88
STORM_WAITS = 0.03


@dataclass(slots=True)
class Storm:
    """What a storm cost."""

    size: int
    seconds: float = 0.0
    delivered: int = 0
    strayed: int = 0
    feed_lists: int = 0
    other_lists: int = 0
    covered_after: float = 0.0
    queue: int = 0


@dataclass(slots=True, kw_only=True)
class Figures:
    """What is counted along the way."""

    began: str
    load_before: tuple[float, ...]
    memory_before: float
    queue_most: int = 0
    storms: list[Storm] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    rest_seconds: float = 0.0


class Run:
    """A running host with everything around it."""

    def __init__(self, host: LocalHost, crowd: Crowd, *, ledger: Ledger, faults: Faults,
                 options: argparse.Namespace, say: Callable[[str], None]) -> None:  # fmt: skip
        if host.outside.recall is None:
            raise AssertionError("the load needs the emulated Recall")
        self.host = host
        self.world: RecallWorld = host.outside.recall
        self.crowd = crowd
        self.ledger = ledger
        self.faults = faults
        self.options = options
        self.watch = Watch(host, self.world)
        self.figures = Figures(
            began=datetime.now(UTC).isoformat(timespec="seconds"),
            load_before=os.getloadavg(),
            memory_before=memory_megabytes(),
        )
        self.length = options.minutes * 60.0
        self._say = say
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._told = 0.0

    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def share(self) -> float:
        return self.elapsed() / self.length

    # ------------------------------------------------------------------ phases

    def go(self) -> None:
        """The load itself, to its end."""
        self._enter("connecting")
        self._start_everybody()
        stormed = 0
        while self.share() < 1:
            self._enter(self._phase())
            if stormed < 2 and self._storm_due((FIRST_STORM, SECOND_STORM)[stormed]):
                self._storm((500, 5_000)[stormed])
                stormed += 1
            self.look_around()
            time.sleep(1.0)
        self._enter("rest")
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _enter(self, phase: str) -> None:
        self.ledger.phase = phase

    def _phase(self) -> str:
        share = self.share()
        if share < CONNECTED:
            return "connecting"
        if share < LULL:
            return "mixed"
        return "calm" if share < AGAIN else "mixed again"

    def _busy(self, rate: float) -> float:
        """People rest in the lull, in which the storms are measured."""
        return 0.0 if self.ledger.phase == "calm" else rate

    def _start_everybody(self) -> None:
        options = self.options
        people = len(self.crowd.book.people)
        per_second = people / (self.length * CONNECTED * 0.85)
        for number in range(options.clients):
            chance = random.Random(options.seed * 1000 + number)
            self._start(
                partial(self.crowd.call, chance), lambda: options.requests / options.clients
            )
        for _ in range(2):
            self._start(self.crowd.connect_next, lambda: self._busy(per_second / 2))
        self._start(self.crowd.edit, lambda: self._busy(options.edits))
        self._start(self._come_and_go, lambda: self._busy(self._leaving()))
        spans = [
            (0.05 * self.length, 0.43 * self.length),
            (AGAIN * self.length, 0.98 * self.length),
        ]
        outage = (OUTAGE_AT * self.length, (OUTAGE_AT + 0.1) * self.length)
        windows = plan(options.seed, spans=spans, outage=outage)
        self._thread(follow, self.faults, windows, elapsed=self.elapsed, stopping=self._stopping)
        self._thread(keep_looking, self.ledger.look, self._stopping)

    def _leaving(self) -> float:
        return 0.0 if self.ledger.phase == "connecting" else 0.12

    def _come_and_go(self) -> None:
        person = self.crowd.disconnect_somebody()
        if person is None or random.Random(self.crowd.disconnects).random() < 0.2:
            return  # some stay away
        timer = threading.Timer(15.0, self.crowd.waiting.put, (person,))
        timer.daemon = True
        timer.start()

    def _start(self, work: Callable[[], object], rate: Callable[[], float]) -> None:
        self._thread(paced, work, per_second=rate, stopping=self._stopping)

    def _thread(self, work: Callable[..., object], *arguments: Any, **named: Any) -> None:
        def guarded() -> None:
            try:
                work(*arguments, **named)
            except Exception as error:  # noqa: BLE001  a dead thread must show
                self.crowd.troubles.append(f"{work.__qualname__}: {error!r}")

        thread = threading.Thread(target=guarded, daemon=True)
        self._threads.append(thread)
        thread.start()

    # ------------------------------------------------------------------ storms

    def _storm_due(self, share: float) -> bool:
        """From then on as soon as all is at rest, or a little later anyway."""
        return self.share() >= share and (self._settled() or self.share() >= share + STORM_WAITS)

    def _storm(self, full_size: int) -> None:
        """Doorbells for calendars of chance, evenly over the minute, and a few real changes."""
        scale = min(1.0, self.options.minutes / FULL_MINUTES)
        storm = Storm(size=max(50, int(full_size * scale)))
        lasts = STORM_SECONDS * scale
        calendars = [person.calendar_id for person in self.crowd.idle_connected()]
        calls, began = len(self.world.calls), time.monotonic()
        sent: list[Message] = []
        edited: list[None] = []
        while len(sent) < storm.size:
            due = int(min(1.0, (time.monotonic() - began) / lasts) * storm.size)
            with self.world.core.lock:
                for number in range(len(sent), due):
                    self._ring(sent, calendars[number % len(calendars)])
            if not edited and due > storm.size / 2:
                edited = [self.crowd.edit() for _ in range(EDITS_IN_A_STORM)]
            storm.queue = max(storm.queue, self.look_around())
            time.sleep(0.05)
        ended = time.monotonic()
        while (
            not self._over(storm, sent, calls=calls)
            and time.monotonic() < ended + STORM_REST_SECONDS
        ):
            storm.queue = max(storm.queue, self.look_around())
            time.sleep(0.2)
        storm.covered_after = time.monotonic() - ended
        storm.seconds = ended - began
        self.figures.storms.append(storm)

    def _ring(self, sent: list[Message], calendar_id: str) -> None:
        self.world.core.send_sync(calendar_id, self.world.core.now())
        sent.append(self.world.webhooks.messages[-1])

    def _over(self, storm: Storm, sent: list[Message], *, calls: int) -> bool:
        """All delivered, and then a List that began later; counts on the way."""
        storm.delivered = sum(message.state == "delivered" for message in sent)
        storm.strayed = sum(message.state == "lost" for message in sent)  # by the plan
        lists = [call for call in self.world.calls[calls:] if call.endpoint == LIST_EVENTS]
        feed = [call for call in lists if is_feed_list(call)]
        storm.feed_lists, storm.other_lists = len(feed), len(lists) - len(feed)
        if storm.delivered + storm.strayed < storm.size:
            return False
        last = max(message.attempts[-1][0] for message in sent if message.attempts)
        return (
            any(call.at > last + timedelta(seconds=1) for call in feed) and not self.watch.queued()
        )

    # ------------------------------------------------------------------ looking

    def look_around(self) -> int:
        """Messages in the queues now; says how things are every half minute."""
        queued = self.watch.queued()
        self.figures.queue_most = max(self.figures.queue_most, queued)
        if self.elapsed() >= self._told + PROGRESS_SECONDS:
            self._told += PROGRESS_SECONDS
            self.tell(queued)
        return queued

    def tell(self, queued: int) -> None:
        self.figures.memory.append(round(memory_megabytes(), 1))
        bots = sum(map(len, self.ledger.bots().values()))
        minutes, seconds = divmod(int(self.elapsed()), 60)
        broken = ", ".join(sorted(self.faults.on)) or "none"
        self._say(
            f"{minutes:02}:{seconds:02}  {self.ledger.phase:<11} "
            f"{self.ledger.requests.total:>7,} requests  "
            f"{len(self.crowd.book.connected()):>3} calendars  "
            f"{bots:>5,} bots, {len(self.crowd.book.wanted()):>5,} wanted  "
            f"queue {queued:>3}  faults: {broken}"
        )

    def come_to_rest(self) -> None:
        """Until what is wanted is there, and stays so for a while."""
        began, held_since = time.monotonic(), None
        while time.monotonic() - began < REST_SECONDS_MAX:
            self.ledger.look()
            if self._settled():
                held_since = held_since or time.monotonic()
                if time.monotonic() - held_since > STABLE_SECONDS:
                    self.figures.rest_seconds = held_since - began
                    return
            else:
                held_since = None
            time.sleep(1.0)
        self.figures.rest_seconds = time.monotonic() - began

    def _settled(self) -> bool:
        now = datetime.now(UTC)
        as_booked = verdict.meetings_against_bots(self.crowd.book, self.ledger.bots(), now=now)
        return not self.look_around() and as_booked.clean

    # ------------------------------------------------------------------ judging

    def judge(self) -> verdict.Verdict:
        now = datetime.now(UTC)
        found = verdict.meetings_against_bots(self.crowd.book, self.ledger.bots(), now=now)
        uncovered = verdict.webhooks_without_sweep(self.world)
        found.lost += [f"{uncovered} accepted webhooks without a sweep"] if uncovered else []
        found.violations += [
            *verdict.during(self.ledger),
            *verdict.over_budget(self.faults.most),
            *verdict.throttled(self.world, broken=self.faults.answered["429"]),
            *verdict.api_against_bots(self.crowd, self.world),
            *self.crowd.troubles,
            *(f"crash: {text.splitlines()[-1]}" for text in self.host.crashes),
        ]
        found.violations += [f"{len(self.world.warnings)} strange queries"] * bool(
            self.world.warnings
        )
        letters = self.watch.dead_letters()
        found.violations += [f"{letters} dead letters"] if letters else []
        for storm in self.figures.storms:
            self._judge_storm(storm, found)
        return found

    def _judge_storm(self, storm: Storm, found: verdict.Verdict) -> None:
        lost = storm.size - storm.delivered - storm.strayed
        found.lost += [f"{lost} webhooks of the storm of {storm.size:,}"] if lost else []
        # The smaller storms of a shorter run have no limit of their own.
        most = LISTS_MAX.get(storm.size, storm.size)
        if storm.feed_lists > most:
            found.violations.append(
                f"{storm.feed_lists} List calls for {storm.size:,} webhooks, {most} are allowed"
            )


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    terminal = Terminal(sys.stdout, environment=os.environ)
    LOG.parent.mkdir(exist_ok=True)
    terminal.say(
        f"{options.minutes:g} minutes of load, seed {options.seed}; logs: {LOG.relative_to(ROOT)}"
    )
    with LOG.open("w") as log, redirect_stdout(log), _running(options, terminal) as run:
        run.go()
        run.come_to_rest()
        found = run.judge()
        rows = _rows(run)
        REPORT.write_text(json.dumps(_report(run, found), indent=2) + "\n")
    for name, value in rows:
        terminal.say(f"{name:<58} {value}")
    for line in [*verdict.shown(found.lost), *verdict.shown(found.violations)]:
        terminal.say(f"  {line}", colour="red")
    terminal.say(f"written to {REPORT.relative_to(ROOT)}")
    terminal.say(
        f"load: {options.minutes:g} min, {run.ledger.requests.total:,} requests, "
        f"{len(found.lost)} lost, {len(found.violations)} violations"
    )
    return 0 if found.clean else 1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load")
    parser.add_argument("--minutes", type=float, default=FULL_MINUTES)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--people", type=int, default=215)
    parser.add_argument("--meetings", type=int, default=11, help="of each at the start")
    parser.add_argument("--requests", type=float, default=20.0, help="of the API a second")
    parser.add_argument("--edits", type=float, default=1.5, help="in calendars a second")
    parser.add_argument("--clients", type=int, default=8)
    return parser.parse_args(arguments)


@contextmanager
def _running(options: argparse.Namespace, terminal: Terminal) -> Iterator[Run]:
    settings = read_settings(parse_options(["--port", "0", "--no-story"]), {})
    with ExitStack() as cleanup:
        host = cleanup.enter_context(local_host(settings, Terminal(sys.stdout, environment={})))
        world = host.outside.recall
        if world is None:
            raise AssertionError("the load needs the emulated Recall")
        faults = Faults(world, seed=options.seed)
        ledger = Ledger(world, faults)
        api, browsers = (cleanup.enter_context(_processes(count, host)) for count in (4, 2))
        crowd = Crowd(
            world,
            host.outside.providers,
            ledger=ledger,
            api=api,
            browsers=browsers,
            seed=options.seed,
        )
        crowd.move_in(options.people, meetings=options.meetings, near=_near(options))
        say = partial(terminal.say)
        run = Run(host, crowd, ledger=ledger, faults=faults, options=options, say=say)
        try:
            yield run
        finally:
            run._stopping.set()


@contextmanager
def _processes(count: int, host: LocalHost) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(
        count,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=clients.begin,
        initargs=(host.url, host.api_key.reveal()),
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _near(options: argparse.Namespace) -> list[datetime]:
    """Meetings that begin between the outage and the end."""
    now = datetime.now(UTC)
    length = options.minutes * 60
    starts = (now + timedelta(seconds=length * (0.62 + 0.012 * number)) for number in range(30))
    return [start.replace(second=0, microsecond=0) for start in starts]


def _rows(run: Run) -> list[tuple[str, str]]:
    """The table, in the order in which it is told."""
    figures, ledger, crowd = run.figures, run.ledger, run.crowd
    report = _report(run, verdict.Verdict())
    rows = [
        (
            "requests over HTTP",
            f"{ledger.requests.total:,} ({report['requests_per_second']} a second)",
        ),
        ("calendars connected, events", f"{report['calendars']:,}, {report['events']:,}"),
        (
            "edits; disconnects, reconnects",
            f"{crowd.edits:,}; {crowd.disconnects}, {crowd.reconnects}",
        ),
        ("bots wanted at rest; made in all", f"{report['bots_wanted']:,}; {report['bots_made']:,}"),
        (
            "faults answered",
            ", ".join(f"{k}: {n:,}" for k, n in sorted(run.faults.answered.items())),
        ),
        ("rest after the end of load", f"{figures.rest_seconds:.0f} s"),
        ("queue depth at most", f"{figures.queue_most:,}"),
        (
            "memory of the host, start and end",
            f"{figures.memory_before:.0f} MB, {memory_megabytes():.0f} MB",
        ),
        ("execution environments at the end", f"{report['environments']}"),
        ("load average, start and end", f"{figures.load_before[0]:.2f}, {os.getloadavg()[0]:.2f}"),
    ]
    rows += [(f"change to bot, {name}", text) for name, text in report["reactions"].items()]
    rows += [
        (f"storm of {storm.size:,} webhooks in {storm.seconds:.0f} s",
         _cost(storm))
        for storm in figures.storms
    ]  # fmt: skip
    rows += [(f"most in any 60 s, {name}", text) for name, text in report["budgets"].items()]
    rows += [(route, text) for route, text in report["routes"].items()]
    return rows


def _cost(storm: Storm) -> str:
    return (
        f"{storm.feed_lists} List calls (and {storm.other_lists} of others), "
        f"{storm.delivered:,} delivered, covered {storm.covered_after:.0f} s later"
    )


def _report(run: Run, found: verdict.Verdict) -> dict[str, Any]:
    figures, ledger = run.figures, run.ledger
    limits = run.world.throttle.limits
    return {
        "minutes": run.options.minutes,
        "seed": run.options.seed,
        "began": figures.began,
        "requests": ledger.requests.total,
        "requests_per_second": round(ledger.requests.total / run.length, 1),
        "calendars": len(run.crowd.book.connected()),
        "events": len(run.crowd.book.meetings),
        "edits": run.crowd.edits,
        "disconnects": run.crowd.disconnects,
        "reconnects": run.crowd.reconnects,
        "bots_wanted": len(run.crowd.book.wanted()),
        "bots_made": len(run.world.bots),
        "faults": dict(run.faults.answered),
        "answers_of_recall": dict(verdict.answers_of_recall(run.world)),
        "fault_windows": [
            (name, round(begun - run._began), round((ended or time.monotonic()) - run._began))
            for name, begun, ended in run.faults.spans
        ],
        "rest_seconds": round(figures.rest_seconds, 1),
        "queue_most": figures.queue_most,
        "memory_megabytes": [round(figures.memory_before, 1), *figures.memory],
        "environments": sum(
            len(runner._idle) for runner in set(run.host.lambdas._by_name.values())
        ),
        "load_average": [figures.load_before[0], os.getloadavg()[0]],
        "reactions": _reactions(ledger),
        "storms": [
            {name: getattr(storm, name) for name in Storm.__slots__} for storm in figures.storms
        ],
        "budgets": {
            name: f"{most} of {limits[name]}" for name, most in sorted(run.faults.most.items())
        },
        "routes": {
            route: _spread(seconds, statuses=ledger.requests.statuses[route])
            for route, seconds in sorted(ledger.requests.seconds.items())
        },
        "lost": found.lost,
        "violations": found.violations,
    }


def _reactions(ledger: Ledger) -> dict[str, str]:
    kinds = {
        "nothing broken": [
            r.seconds for r in ledger.reactions if r.clear and r.phase != "connecting"
        ],
        "while all connect, nothing broken": [
            r.seconds for r in ledger.reactions if r.clear and r.phase == "connecting"
        ],
        "faults on": [r.seconds for r in ledger.reactions if not r.clear],
    }
    return {name: _spread(seconds, unit=1.0) for name, seconds in kinds.items() if seconds}


def _spread(
    seconds: list[float], *, statuses: dict[int, int] | None = None, unit: float = 1000
) -> str:
    word = "ms" if unit == 1000 else "s"
    cuts = quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else seconds * 20
    p50, p95, most = (value * unit for value in (cuts[9], cuts[18], max(seconds)))
    told = f"p50 {p50:,.1f}  p95 {p95:,.1f}  max {most:,.1f} {word}  n {len(seconds):,}"
    if statuses is None:
        return told
    return (
        told + "  " + " ".join(f"{status}:{count:,}" for status, count in sorted(statuses.items()))
    )
