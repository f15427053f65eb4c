"""Hypothesis chooses what people and the weather do next, and shrinks what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from infra.local.emulators.recall.switches import Switches
from tests.simulation import log_lines
from tests.simulation.climate import SYSTEMS, Climate, Outage
from tests.simulation.judge import Judge
from tests.simulation.monitors import Monitors
from tests.simulation.people import Cast, Person
from tests.simulation.seeds import CALM_SECONDS, SETTLE_SECONDS
from tests.simulation.world import GOOGLE, OUTLOOK, World

PEOPLE = 3
SCENES_MAX = 15
people = st.integers(0, PEOPLE - 1)
systems = st.sampled_from(SYSTEMS)
SWITCHABLE = ("automatic_follow", "disconnect_bumps_events", "reconnect_touches_events")


class Life(RuleBasedStateMachine):
    """People of two tenants, the systems around them, and Lambda's processes."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()

    @initialize(seed=st.integers(0, 2**16), lag=st.sampled_from([0.0, 1.8]), data=st.data())
    def open(self, seed: int, lag: float, data: st.DataObject) -> None:
        switches = {name: data.draw(st.booleans(), label=name) for name in SWITCHABLE}
        self.world = World(seed, Climate(index_lag=lag), switches=Switches(**switches))
        self.monitors = Monitors(self.world, by_calendar=False)
        self.lines = self.stack.enter_context(log_lines.captured())
        self.stack.enter_context(self.world.open())
        self.cast = Cast(self.world, self.world.chance("people"))
        self.judge = Judge(self.world, self.cast)
        for number in range(PEOPLE):
            platform = (GOOGLE, OUTLOOK)[number % 2]
            self.cast.add(f"t{number // 2}", f"u{number}", platform)

    def teardown(self) -> None:
        """All have acted and nothing fails any more: now all must be right."""
        try:
            if hasattr(self, "judge"):
                self._rest()
        finally:
            self.stack.close()

    def _rest(self) -> None:
        self.world.calm()
        self.world.run(SETTLE_SECONDS)
        self.world.redrive()
        self.world.run(CALM_SECONDS)
        self.judge.rest()
        self.monitors.rest()
        self.judge.read(self.lines())
        assert [] == self.world.violations, "\n".join(self.world.story)

    @invariant()
    def nothing_that_must_never_be(self) -> None:
        if hasattr(self, "world"):
            assert [] == self.world.violations, "\n".join(self.world.story)

    def act(self, act: Callable[[], object]) -> None:
        """Somebody begins to act now; what goes on meanwhile is up to the next rules."""
        self.cast.at(0, act)
        self.world.run(0.5)

    # People.

    def person(self, number: int) -> Person:
        return self.cast.people[number]

    @rule(who=people)
    def connect(self, who: int) -> None:
        self.act(partial(self.cast.connect, self.person(who)))

    @rule()
    def invite(self) -> None:
        self.act(self.cast.invite)

    @rule()
    def edit(self) -> None:
        self.act(self.cast.edit)

    @rule()
    def override(self) -> None:
        self.act(self.cast.override)

    @rule()
    def opt_out(self) -> None:
        self.act(self.cast.opt_out)

    @rule()
    def change_rules(self) -> None:
        """Modes and ways of scheduling among them."""
        self.act(self.cast.rule)

    @rule()
    def transfer(self) -> None:
        self.act(self.cast.transfer)

    @rule(who=people)
    def revoke(self, who: int) -> None:
        self.act(partial(self.cast.revoke, self.person(who)))

    @rule(who=people)
    def disconnect(self, who: int) -> None:
        self.act(partial(self.cast.disconnect, self.person(who)))

    # Weather.

    def weather(self, **changes: object) -> None:
        weather = self.world.weather
        weather.climate = replace(weather.climate, **changes)

    @rule(system=systems, silent=st.booleans())
    def fail(self, system: str, silent: bool) -> None:
        now = self.world.clock.now()
        end = now + timedelta(minutes=5)
        self.weather(outages=(Outage(system=system, start=now, end=end, silent=silent),))

    @rule(system=systems, kind=st.sampled_from(["refused", "lost", "unheard"]))
    def stutter(self, system: str, kind: str) -> None:
        self.weather(**{kind: {system: 0.3}})

    @rule()
    def mend(self) -> None:
        self.weather(refused={}, lost={}, unheard={}, outages=(), webhooks_lost=0.0,
                     webhooks_doubled=0.0)  # fmt: skip

    @rule(lost=st.sampled_from([0.3, 1.0]))
    def lose_webhooks(self, lost: float) -> None:
        self.weather(webhooks_lost=lost)

    @rule()
    def double_webhooks(self) -> None:
        self.weather(webhooks_doubled=0.5)

    @precondition(lambda self: hasattr(self, "world"))
    @rule(function=st.sampled_from(["scheduler", "reconciler", "calendars", "webhooks", "oauth"]))
    def kill(self, function: str) -> None:
        """Whatever runs of the function dies at its next call."""
        for process in self.world.processes(function):
            process.alive = False

    # Time.

    @rule()
    def tick(self) -> None:
        self.world.tick()
        self.world.run(1)

    @rule(task=st.sampled_from(["preflight", "calendars", "audit"]))
    def reconcile(self, task: str) -> None:
        self.world.hub.spawn(partial(self.world.reconcile, task))
        self.world.run(1)

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 30.0, 130.0]))
    def wait(self, seconds: float) -> None:
        self.world.run(seconds)


def play(examples: int, *, scenes: int, phases: tuple[Phase, ...]) -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=examples,
            stateful_step_count=scenes,
            deadline=None,
            database=None,
            derandomize=phases == (Phase.generate,),
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_few_lives_go_well() -> None:
    play(8, scenes=SCENES_MAX, phases=(Phase.generate,))


@pytest.mark.full
def test_many_lives_go_well() -> None:
    play(1_000, scenes=40, phases=(Phase.generate, Phase.shrink))
