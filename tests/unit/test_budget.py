"""The rate budget: no 60 s window over the limit, and no token wasted needlessly."""

from __future__ import annotations

import bisect
import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Lock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import PermanentError, TransientError
from shared.recall.budget import (
    DEFAULT_LIMITS,
    LEASED_LIFE_SECONDS,
    LIFE_SECONDS,
    MARGIN_SECONDS,
    SLOT_SECONDS,
    WRITES_MAX,
    SharedBudget,
    Window,
    parse_limits,
)

START = datetime(2027, 3, 1, 12, 0, 3, 500_000, tzinfo=UTC)
LIST = "calendar_events_list"
BOT = "calendar_events_bot_create"


class Clock:
    def __init__(self, *, skew: float = 0.0) -> None:
        self.elapsed = 0.0
        self.skew = skew

    def __call__(self) -> datetime:
        return START + timedelta(seconds=self.elapsed + self.skew)


class Store:
    """What the Workspace table promises: consistent reads, compare-and-set writes."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[dict[int, int], int]] = {}
        self.writes = 0
        self.lock = Lock()
        self.before_write = lambda: None

    def read_budget(self, endpoint: str) -> tuple[dict[int, int], int]:
        slots, version = self.rows.get(endpoint, ({}, 0))
        return dict(slots), version

    def write_budget(self, endpoint: str, slots: dict[int, int], *, version: int) -> bool:
        interfere, self.before_write = self.before_write, lambda: None
        interfere()
        with self.lock:
            self.writes += 1
            if self.rows.get(endpoint, ({}, 0))[1] != version:
                return False
            self.rows[endpoint] = (dict(slots), version + 1)
            return True


def spend_all(budget: SharedBudget, endpoint: str, *, tries: int = 10_000) -> int:
    for spent in range(tries):
        try:
            budget.spend(endpoint)
        except TransientError:
            return spent
    return tries


def fullest_minute(moments: list[float]) -> int:
    moments = sorted(moments)
    ends = (bisect.bisect_right(moments, moment + 60) for moment in moments)
    return max((end - begin for begin, end in enumerate(ends)), default=0)


@pytest.mark.parametrize("endpoint", DEFAULT_LIMITS)
def test_a_burst_gets_the_whole_limit_and_then_a_wait(endpoint):
    budget = SharedBudget(Store(), clock=Clock())

    assert spend_all(budget, endpoint) == DEFAULT_LIMITS[endpoint]

    with pytest.raises(TransientError) as refused:
        budget.spend(endpoint)
    assert refused.value.code == "rate_budget"
    assert 60 < refused.value.retry_after <= 80


def test_waiting_as_told_is_enough():
    clock = Clock()
    budget = SharedBudget(Store(), clock=clock)
    spend_all(budget, LIST)
    with pytest.raises(TransientError) as refused:
        budget.spend(LIST)

    clock.elapsed += refused.value.retry_after

    assert spend_all(budget, LIST) == DEFAULT_LIMITS[LIST]


def test_endpoints_have_budgets_of_their_own():
    budget = SharedBudget(Store(), clock=Clock())
    spend_all(budget, LIST)

    budget.spend(BOT)


def test_a_lone_call_costs_one_token_and_a_crowd_few_writes():
    clock, store = Clock(), Store()
    budget = SharedBudget(store, clock=clock)

    budget.spend(BOT)
    assert sum(store.rows[BOT][0].values()) == 1

    for _ in range(500):
        budget.spend(BOT)
    assert store.writes < 35


def test_a_lease_dies_with_its_ten_seconds():
    clock, store = Clock(), Store()
    budget = SharedBudget(store, clock=clock)
    for _ in range(4):  # leases of 1, 2 and 4 tokens; three tokens are left
        budget.spend(BOT)

    clock.elapsed += LEASED_LIFE_SECONDS
    budget.spend(BOT)

    assert sum(store.rows[BOT][0].values()) == 7 + 1


def test_a_store_slower_than_a_token_lives_gives_no_stale_token():
    clock, store = Clock(), Store()
    budget = SharedBudget(store, clock=clock)

    def pause():
        clock.elapsed += LIFE_SECONDS

    store.before_write = pause
    budget.spend(LIST)

    assert sum(store.rows[LIST][0].values()) == 2


def test_a_share_leaves_room_for_nearer_work():
    clock, store = Clock(), Store()
    audit = SharedBudget(store, clock=clock, share=0.5)
    scheduler = SharedBudget(store, clock=clock)

    assert spend_all(audit, LIST) == 30
    assert spend_all(scheduler, LIST) == 30


@pytest.mark.parametrize("endpoint", [LIST, BOT])
@pytest.mark.parametrize("seconds", [0.5, 7, 30, 60])
def test_a_429_stops_every_instance_for_as_long_as_recall_says(endpoint, seconds):
    clock, store = Clock(), Store()
    first, second = SharedBudget(store, clock=clock), SharedBudget(store, clock=clock)
    for _ in range(4):
        first.spend(endpoint)

    first.block(endpoint, seconds=seconds)

    for budget in (first, second):
        with pytest.raises(TransientError) as refused:
            budget.spend(endpoint)
        assert seconds <= refused.value.retry_after <= seconds + 10
    clock.elapsed += refused.value.retry_after
    second.spend(endpoint)


def test_losing_every_race_gives_up_soon():
    class Contended(Store):
        def write_budget(self, endpoint, slots, *, version):
            self.writes += 1
            return False

    store = Contended()
    budget = SharedBudget(store, clock=Clock())

    with pytest.raises(TransientError) as refused:
        budget.spend(LIST)
    budget.block(LIST, seconds=5)

    assert (refused.value.code, refused.value.retry_after) == ("rate_budget", 1.0)
    assert store.writes == 2 * WRITES_MAX


def test_threads_share_an_instance():
    store = Store()
    budget = SharedBudget(store, clock=Clock())

    with ThreadPoolExecutor(8) as pool:
        spent = sum(pool.map(lambda _: spend_all(budget, BOT), range(8)))

    assert spent == DEFAULT_LIMITS[BOT]


@pytest.mark.parametrize("life", [LIFE_SECONDS, LEASED_LIFE_SECONDS])
def test_a_full_window_frees_nothing_while_a_late_call_may_share_a_minute(life):
    window = Window(limit=3, life=life)
    reach = 60 + life + MARGIN_SECONDS
    for spent_at, later in itertools.product(range(20), range(200)):  # in half seconds
        slots = window.spent({}, 3, now=spent_at / 2)
        free = window.free(slots, now=(spent_at + later) / 2)
        if later / 2 <= reach:
            assert free == 0
        if later / 2 >= reach + 2 * SLOT_SECONDS:
            assert free == 3


def test_old_slots_do_not_pile_up():
    clock, store = Clock(), Store()
    budget = SharedBudget(store, clock=clock)
    for _ in range(100):
        budget.spend(LIST)
        clock.elapsed += 50

    assert len(store.rows[LIST][0]) <= 2 * 2 * Window(limit=1).length


STEP = st.tuples(
    st.integers(0, 1),  # which instance
    st.one_of(st.floats(0, 3), st.floats(0, 70)),  # seconds since the last step
    st.integers(1, 40),  # calls
    st.booleans(),  # the other instance writes in between
)


@given(
    steps=st.lists(STEP, max_size=60),
    endpoint=st.sampled_from([LIST, BOT]),
    limit=st.integers(1, 40),
    skews=st.tuples(st.floats(0, 1.5), st.floats(0, 1.5)),
    delays=st.lists(st.floats(0, MARGIN_SECONDS - 1.5), min_size=1, max_size=20),
)
@settings(deadline=None, max_examples=300)
def test_no_minute_at_recall_exceeds_the_limit(steps, endpoint, limit, skews, delays):
    """Two instances, clocks apart, calls delayed: together never more than the margin."""
    store = Store()
    clocks = [Clock(skew=skew) for skew in skews]
    budgets = [SharedBudget(store, {endpoint: limit}, clock=clock) for clock in clocks]
    arrivals: list[float] = []

    def call(instance: int) -> None:
        try:
            budgets[instance].spend(endpoint)
        except TransientError:
            return
        delay = delays[len(arrivals) % len(delays)]
        arrivals.append(clocks[instance].elapsed + delay)

    for instance, pause, calls, raced in steps:
        for clock in clocks:
            clock.elapsed += pause
        for _ in range(calls):
            if raced:
                store.before_write = lambda: call(1 - instance)  # noqa: B023 - runs at once
            call(instance)
            store.before_write = lambda: None

    assert fullest_minute(arrivals) <= limit


@given(gaps=st.lists(st.floats(0.0, 5.0), min_size=200, max_size=400))
@settings(deadline=None, max_examples=20)
def test_a_steady_caller_gets_most_of_the_limit(gaps):
    clock = Clock()
    budget = SharedBudget(Store(), clock=clock)
    refused = 0
    for gap in gaps:
        clock.elapsed += max(gap, 75 / 60)
        try:
            budget.spend(LIST)
        except TransientError:
            refused += 1

    assert refused == 0


def test_limits_can_be_raised_one_by_one():
    assert parse_limits("") == DEFAULT_LIMITS
    assert parse_limits('{"bot_create": 240}') == {**DEFAULT_LIMITS, "bot_create": 240}


@pytest.mark.parametrize(
    "text", ["{", "[]", "7", '{"bots": 3}', '{"bot_create": 0}', '{"bot_create": true}']
)
def test_limits_that_cannot_be_meant_are_refused(text):
    with pytest.raises(PermanentError) as refused:
        parse_limits(text)
    assert refused.value.code == "settings_invalid"
