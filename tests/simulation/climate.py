"""What may go wrong in one world, and how often: every seed has a climate of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final

import requests

from infra.local.emulators.http import Response
from tests.simulation.process import Fate, Io

# Climates are drawn as a swarm: each kind of fault is off in most worlds and frequent in some.
RARE, SOMETIMES, OFTEN = 0.004, 0.02, 0.08
OUTAGES_MAX: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A system answers nothing (`silent`) or only refusals, for a while."""

    system: str
    start: datetime
    end: datetime
    silent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """Chances of each fault, per call; seconds where a time is meant."""

    dies: float = 0.0
    refused: dict[str, float] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)
    unheard: dict[str, float] = field(default_factory=dict)
    stale: float = 0.0
    slow: float = 0.0
    cold: float = 0.1
    index_lag: float = 0.0
    recall_ahead: float = 0.0
    skew: float = 0.0
    webhooks_lost: float = 0.0
    webhooks_doubled: float = 0.0
    webhooks_unordered: bool = False
    ticks_lost: float = 0.0
    ticks_late: float = 0.0
    ticks_doubled: float = 0.0
    outages: tuple[Outage, ...] = ()

    def fault(self, system: str) -> float:
        """The chance that anything befalls a call."""
        befalls = (each.get(system, 0.0) for each in (self.refused, self.lost, self.unheard))
        return sum(befalls, self.dies)


SYSTEMS: Final = ("dynamodb", "recall", "provider", "sqs", "events", "secrets", "kms")


def drawn(chance: Random, *, start: datetime, end: datetime) -> Climate:
    """A climate of its own for a seed; faults end at `end`."""

    def rate() -> float:
        return chance.choice([0.0, 0.0, RARE, SOMETIMES, OFTEN])

    return Climate(
        dies=chance.choice([0.0, 0.0, RARE, SOMETIMES]),
        refused={system: rate() for system in SYSTEMS},
        lost={system: rate() for system in SYSTEMS},
        unheard={system: rate() for system in SYSTEMS},
        stale=chance.choice([0.0, 0.3]),
        slow=rate() / 4,
        cold=chance.choice([0.0, 0.1, 0.5]),
        # Sweeps are two seconds apart, and an index is never that late.
        index_lag=chance.choice([0.0, 0.5, 1.8]),
        recall_ahead=chance.choice([0.0, chance.uniform(-120, 120)]),
        skew=chance.choice([0.0, 0.5]),
        webhooks_lost=chance.choice([0.0, 0.0, 0.2, 1.0]),
        webhooks_doubled=chance.choice([0.0, 0.2]),
        webhooks_unordered=chance.random() < 0.3,
        ticks_lost=chance.choice([0.0, 0.3]),
        ticks_late=chance.choice([0.0, 0.3]),
        ticks_doubled=chance.choice([0.0, 0.3]),
        outages=tuple(_outage(chance, start, end) for _ in range(chance.randint(0, OUTAGES_MAX))),
    )


def _outage(chance: Random, start: datetime, end: datetime) -> Outage:
    begins = start + (end - start) * chance.random()
    lasts = timedelta(seconds=chance.choice([20, 90, 300]))
    return Outage(
        system=chance.choice(["recall", "recall", "dynamodb", "sqs", "events"]),
        start=begins,
        end=min(end, begins + lasts),
        silent=chance.random() < 0.5,
    )


class Weather:
    """A climate at work, until it is told to be `calm`."""

    def __init__(self, climate: Climate, chance: Random, *, now: Callable[[], datetime]) -> None:
        self.climate = climate
        self.faults: dict[str, int] = {}
        self._chance = chance
        self._now = now

    def latency(self, io: Io) -> float:
        """Seconds; a slow call may outlive the function's time."""
        if io.system in {"recall", "provider"}:
            usual = self._chance.uniform(0.05, 0.4)
        else:
            usual = self._chance.uniform(0.002, 0.02)
        if self._chance.random() < self.climate.slow:
            self._note("slow")
            return self._chance.choice([2.0, 9.0])
        return usual

    def fate(self, io: Io) -> Fate:
        climate, system = self.climate, io.system
        for outage in climate.outages:
            if outage.system == system and outage.start <= self._now() < outage.end:
                self._note(f"{system} down")
                return Fate.LOST if outage.silent else Fate.REFUSED
        if io.stale and self._chance.random() < climate.stale:
            self._note(f"{system} stale")
            return Fate.LOST
        draw = self._chance.random()
        if draw >= climate.fault(system):
            return Fate.WELL
        for fate, likely in (
            (Fate.DIES_BEFORE, climate.dies / 2),
            (Fate.DIES_AFTER, climate.dies / 2),
            (Fate.REFUSED, climate.refused.get(system, 0.0)),
            (Fate.LOST, climate.lost.get(system, 0.0)),
            (Fate.UNHEARD, climate.unheard.get(system, 0.0)),
        ):
            if draw < likely:
                self._note(f"{system} {fate.name.lower()}")
                return fate
            draw -= likely
        return Fate.WELL

    def calm(self) -> None:
        """Faults end; what clocks and indexes are like, stays."""
        before = self.climate
        self.climate = Climate(
            cold=before.cold,
            index_lag=before.index_lag,
            recall_ahead=before.recall_ahead,
            skew=before.skew,
            webhooks_unordered=before.webhooks_unordered,
        )

    def _note(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1


def refusal(chance: Random) -> Callable[[requests.PreparedRequest], Response]:
    """How Recall or a provider turns a call away; statuses of Recall's documentation."""

    def refuse(request: requests.PreparedRequest) -> Response:
        status = chance.choice([429, 500, 502, 503, 504])
        if request.method == "POST" and (request.url or "").endswith("/bot/"):
            status = chance.choice([status, 507])
        headers = {"Retry-After": str(chance.randint(1, 20))} if status in {429, 503, 507} else {}
        body = json.dumps({"detail": "emulated"}).encode()
        return Response(status=status, headers=headers, body=body)

    return refuse
