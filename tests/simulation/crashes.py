"""`python -m tests.simulation.crashes`: every scenario, with a process that dies at every place.

    [--pairs [--share 0.96]]            and dies again at every place of what comes after
    [--scenario move] [--workers 2]     last line: crashes: 30 scenarios, 5,000 single points ...
    --scenario move --at 17:dies_after [--at 5:dies_before]     one of them, told in full

At every call of a function to the outside this very process forks, once for each way in which
the call may go wrong. The copy goes on with that until the world is at rest, is judged, and
reports; the original waits for it and goes on as if nothing had happened. So what came before is
played once, and no run can disturb another.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from tests.simulation import log_lines
from tests.simulation.climate import Climate, Weather
from tests.simulation.crash_peace import picture
from tests.simulation.crash_scenes import SCENES, Scene, Stage
from tests.simulation.process import Fate, Io, Process, process_of_task

BLOWS: Final = (Fate.DIES_BEFORE, Fate.DIES_AFTER, Fate.UNHEARD, Fate.LOST)
# A message comes back after 70 s, and then there is a tick within the minute.
AFTERMATH: Final = timedelta(seconds=100)
READS: Final = frozenset(
    {"BatchGetItem", "Decrypt", "GetItem", "GetQueueAttributes", "GetSecretValue", "Query", "Scan"}
)
SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """What becomes of a call; `at` counts from the last blow, or from the scenario's start."""

    at: int
    fate: Fate

    def __str__(self) -> str:
        return f"{self.at}:{self.fate.name.lower()}"

    @staticmethod
    def read(text: str) -> Blow:
        at, _, fate = text.partition(":")
        return Blow(at=int(at), fate=Fate[fate.upper()])


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of a scenario, or of one branch of it.

    `left` counts pairs that nobody tried, `cut` runs that
    came to a world whose way was known.
    """

    calls: int = 0
    points: int = 0
    pairs: int = 0
    left: int = 0
    cut: int = 0
    failed: list[tuple[tuple[Blow, ...], list[str]]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.calls += other.calls
        self.points += other.points
        self.pairs += other.pairs
        self.left += other.left
        self.cut += other.cut
        self.failed += other.failed


class Blows(Weather):
    """A calm climate in which the planned blows fall."""

    def __init__(
        self, chance: Random, *, now: Callable[[], datetime], plan: Iterable[Blow] = ()
    ) -> None:
        super().__init__(Climate(cold=0.0), chance, now=now)
        self.fallen: tuple[Blow, ...] = ()
        self.last: datetime | None = None
        self.pictures: dict[datetime, str] = {}
        self._until: datetime | None = None
        self._count = 0
        self._plan = list(plan)
        self._serving: dict[Process, datetime] = {}

    def begin(self, seconds: float) -> None:
        """From now on calls count, for so long."""
        self._until = self.last = self._now() + timedelta(seconds=seconds)

    def fate(self, io: Io) -> Fate:
        is_first = self._is_first()
        if self._until is None or self._now() > self._until:
            return Fate.WELL
        self._count += 1
        return self._decided(io, is_first=is_first)

    def _decided(self, io: Io, *, is_first: bool) -> Fate:
        if self._plan and self._plan[0].at == self._count:
            return self._falls(self._plan.pop(0).fate)
        return Fate.WELL

    def _falls(self, fate: Fate) -> Fate:
        self.fallen += (Blow(at=self._count, fate=fate),)
        self._count = 0
        self._until = max(self._until or self._now(), self._now() + AFTERMATH)
        self.last = max(self._now(), self.last or self._now())
        return fate

    def is_known_from_here(self, now: datetime, shown: str | None) -> bool:
        """Whether the rest of the way has been seen already; `shown` is the world's picture."""
        if shown is not None:
            self.pictures[now] = shown
        return False

    def _is_first(self) -> bool:
        """Whether it is the first call since the process was given what it serves."""
        process = process_of_task()
        if process is None or process._deadline is None:
            raise AssertionError("only functions call over the wire")
        before, self._serving[process] = self._serving.get(process), process._deadline
        return before != process._deadline


class Search(Blows):
    """Every blow falls, each in a copy of this process.

    A pair is two deaths, each before an invocation's first call or after one that changes
    something: to die after a call or before the next is one and the same, and so is to die before
    or after a mere look. `share` of the second deaths is tried, drawn anew after each first one.

    A run ends early where its world is the one that nothing befell, whose pictures are `known`;
    but for a share, `whole`, drawn by chance, which goes on to the end all the same.
    """

    def __init__(
        self,
        chance: Random,
        *,
        now: Callable[[], datetime],
        blows: Iterable[Fate] = BLOWS,
        every: int = 1,
        pairs: bool = False,
        share: float = 1.0,
        known: Mapping[datetime, str] | None = None,
        whole: float = 1.0,
    ) -> None:
        super().__init__(chance, now=now)
        self._known = known or {}
        self._whole = whole
        self.tally = Tally()
        self.report_to: int | None = None
        self._blows = tuple(blows)
        self._every = every
        self._pairs = pairs
        self._share = share
        self._draws = Random()
        self._is_whole = True

    def _decided(self, io: Io, *, is_first: bool) -> Fate:
        if not self.fallen:
            self.tally.calls += 1
        gaps = (Fate.DIES_BEFORE,) if is_first else ()
        gaps += () if is_look(io) else (Fate.DIES_AFTER,)
        for fate in self._possible(gaps):
            if self._draws.random() >= self._share_now():
                self.tally.left += 1
            elif self._is_copied(fate, is_gap=fate in gaps):
                return fate
        return Fate.WELL

    def _possible(self, gaps: tuple[Fate, ...]) -> tuple[Fate, ...]:
        if not self.fallen:
            return self._blows if self._count % self._every == 0 else ()
        return gaps if self._pairs and len(self.fallen) == 1 else ()

    def _share_now(self) -> float:
        return self._share if self.fallen else 1.0

    def _is_copied(self, fate: Fate, *, is_gap: bool) -> bool:
        """True in the copy, in which the blow has fallen; the original has its report."""
        reading, writing = os.pipe()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self._become_copy(writing, fate, is_gap=is_gap)
            return True
        os.close(writing)
        with os.fdopen(reading, "rb") as stream:
            report = stream.read()
        os.waitpid(child, 0)
        if report:
            self.tally.add(pickle.loads(report))
        else:
            blow = Blow(at=self._count, fate=fate)
            self.tally.failed.append(((*self.fallen, blow), ["the run itself came to nothing"]))
        return False

    def _become_copy(self, writing: int, fate: Fate, *, is_gap: bool) -> None:
        self.report_to = writing
        self.tally = Tally()
        self._pairs = self._pairs and is_gap and not self.fallen
        self._falls(fate)
        self._draws.seed(str(self.fallen))
        self._is_whole = self._draws.random() < self._whole

    def is_known_from_here(self, now: datetime, shown: str | None) -> bool:
        if not self.fallen or self._is_whole or (self._pairs and now <= self._until):
            return False
        is_known = shown is not None and self._known.get(now) == shown
        self.tally.cut += is_known
        return is_known

    def report(self, wrong: list[str]) -> None:
        """In a copy: hand on what came of it, and be gone."""
        if self.report_to is None:
            return
        if len(self.fallen) == 1:
            self.tally.points += 1
        else:
            self.tally.pairs += 1
        if wrong:
            self.tally.failed.insert(0, (self.fallen, wrong))
        with os.fdopen(self.report_to, "wb") as stream:
            stream.write(pickle.dumps(self.tally))
        os._exit(0)


def is_look(io: Io) -> bool:
    """Whether the call changes nothing outside."""
    return io.operation in READS or io.operation.startswith("GET ")


def run(scene: Scene, weather: Callable[[Stage], Blows]) -> tuple[Stage, Blows, list[str]]:
    """The scene from its start until long after the last blow; answers what is wrong then."""
    with log_lines.captured() as lines:
        stage = Stage(scene.name)
        blows = stage.world.weather = weather(stage)
        try:
            with stage.world.open():
                _told(scene, stage, blows)
            stage.judge.read(lines())
        except Exception:  # noqa: BLE001  a run that breaks down is a finding like any other
            stage.world.never(f"it broke down: {traceback.format_exc(limit=-3)}")
    return stage, blows, stage.world.violations


def _told(scene: Scene, stage: Stage, blows: Blows) -> None:
    world = stage.world
    script = scene.script(stage)
    next(script)
    blows.begin(scene.seconds)
    stage.world.tell("what follows may fail")
    next(script)
    world.run(scene.seconds)
    while blows.last is not None and (end := blows.last + scene.rest) > world.clock.now():
        world.run((min(end, _half_past(world.clock.now())) - world.clock.now()).total_seconds())
        if blows.is_known_from_here(world.clock.now(), picture(world, stage.cast)):
            break
    stage.judge.rest()
    for wrong in script:
        world.never(wrong)


def _half_past(now: datetime) -> datetime:
    """The next middle of a minute: what its tick set going is over."""
    middle = now.replace(second=30, microsecond=0)
    return middle if middle > now else middle + timedelta(minutes=1)


def search(scene: Scene, **wanted: Any) -> Tally:
    """Every blow of a scene; `wanted` is what Search takes."""

    _, quiet, _ = replay(scene, ())

    def weather(stage: Stage) -> Search:
        chance, now = stage.world.chance("weather"), stage.world.clock.now
        return Search(chance, now=now, known=quiet.pictures, **wanted)

    _, found, wrong = run(scene, weather)
    if not isinstance(found, Search):
        raise TypeError("the weather has changed")
    # A copy ends here.
    found.report(wrong)
    if wrong:
        found.tally.failed.insert(0, ((), wrong))
    return found.tally


def replay(scene: Scene, plan: Iterable[Blow]) -> tuple[Stage, Blows, list[str]]:
    """One run with these blows alone."""

    def weather(stage: Stage) -> Blows:
        return Blows(stage.world.chance("weather"), now=stage.world.clock.now, plan=plan)

    return run(scene, weather)


def _searched(given: tuple[str, dict[str, Any]]) -> tuple[str, Tally, float]:
    """As a worker does it; seconds of processor time."""
    name, wanted = given
    # Collecting garbage would touch, and so copy, every page of each copy.
    gc.freeze()
    gc.disable()
    began = _processor_seconds()
    tally = search(SCENES[name], **wanted)
    return name, tally, _processor_seconds() - began


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> int:
    given = _arguments()
    # Nothing here goes to AWS; botocore wants to be told so.
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if given.at is not None:
        return _one(given.scenario[0], given.at)
    return _all(given)


def _one(name: str, plan: list[Blow]) -> int:
    stage, blows, wrong = replay(SCENES[name], plan)
    print(*stage.world.story, sep="\n")
    print(f"fallen: {' '.join(map(str, blows.fallen))}")
    print(*wrong or ("no violation",), sep="\n")
    return 1 if wrong else 0


def _all(given: argparse.Namespace) -> int:
    names = given.scenario or list(SCENES)
    wanted = {
        "pairs": given.pairs,
        "share": given.share,
        "every": given.every,
        "whole": given.whole,
    }
    began = time.monotonic()
    total, violations = Tally(), 0
    with multiprocessing.Pool(given.workers, maxtasksperchild=1) as pool:
        tasks = [(name, wanted) for name in names]
        for name, tally, seconds in pool.imap_unordered(_searched, tasks):
            total.add(tally)
            violations += _tell(name, tally, seconds)
    print(f"{time.monotonic() - began:.0f} s")
    print(_last_line(len(names), total, violations))
    return 1 if violations else 0


def _tell(name: str, tally: Tally, seconds: float) -> int:
    print(
        f"{name}: {tally.calls} calls, {tally.points} points, {tally.pairs} pairs, "
        f"{tally.cut} cut short, {len(tally.failed)} failed, {seconds:.1f} s of processor",
        flush=True,
    )
    for blows, wrong in tally.failed[:SHOWN_MAX]:
        print(f"  {' '.join(map(str, blows))}", *wrong, sep="\n    ")
        at = " ".join(f"--at {blow}" for blow in blows) or "--at 0:lost"
        print(f"    replay: python -m tests.simulation.crashes --scenario {name} {at}", flush=True)
    return len(tally.failed)


def _last_line(scenes: int, total: Tally, violations: int) -> str:
    """Pairs are counted among those whose first death was tried."""
    points = f"{total.points:,} single points ({_percent(total.points, total.calls * len(BLOWS))})"
    pairs = f"{total.pairs:,} pairs ({_percent(total.pairs, total.pairs + total.left)})"
    return f"crashes: {scenes} scenarios, {points}, {pairs}, {violations} violations"


def _percent(done: int, of: int) -> str:
    return f"{100 * done / of:.4g} %" if of else "none"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.crashes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenario", action="append", choices=SCENES)
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--share", type=float, default=1.0, help="of the pairs that are tried")
    parser.add_argument("--every", type=int, default=1, help="only every so-many-th call")
    parser.add_argument("--whole", type=float, default=0.05, help="of the runs: not cut short")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--at", type=Blow.read, action="append")
    given = parser.parse_args()
    if given.at is not None and len(given.scenario or ()) != 1:
        parser.error("--at needs one --scenario")
    return given


if __name__ == "__main__":
    sys.exit(main())
