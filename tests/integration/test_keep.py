"""Bots that we schedule ourselves, over an emulated Recall and a table in moto."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from infra.local.emulators.clock import VirtualClock
from infra.local.emulators.http import Fault, FaultKind, Request, Response, WorldAdapter
from infra.local.emulators.recall.fleet import LiveBot
from infra.local.emulators.recall.switches import Switches, Timings
from infra.local.emulators.recall.world import RecallWorld
from shared.domain.claim import SETTLED_AFTER, Held, Wanted
from shared.domain.rules import BotSettings
from shared.domain.secret import Secret
from shared.errors import RollcallError, TransientError
from shared.flows.keep import Keeper
from shared.observability import Log
from shared.recall import (
    Conflicted,
    OutOfCredit,
    PoolEmpty,
    RecallClient,
    Refused,
    Throttled,
    Unavailable,
    new_session,
)
from shared.storage import ClaimStore, open_stores
from tests.tables import create_tables

START = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
API_KEY = "workspace-key"
NOON = START + timedelta(hours=3)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
KEY = "r1|default|meet:qkrwzpnabt|2027-03-01T12:00Z"
MEET = "https://meet.google.com/qkr-wzpn-abt"
OTHER_MEET = "https://meet.google.com/tpc-rdqo-vhs"


class Free:
    """No budget: the emulator's own limits are far away."""

    def spend(self, endpoint: str) -> None: ...

    def block(self, endpoint: str, *, seconds: float) -> None: ...


class Scene:
    """A keeper, its claims, and the workspace in which its bots live."""

    def __init__(self, claims: ClaimStore) -> None:
        self.clock = VirtualClock(START)
        self.recall = RecallWorld(self.clock, api_key=API_KEY)
        self.adapter = WorldAdapter(self.recall.handle)
        self.claims = claims
        self.budget = Free()
        session = new_session(1)
        session.mount(self.recall.base_url, self.adapter)
        numbers = itertools.count(1)
        self.client = RecallClient(
            session,
            base_url=self.recall.base_url,
            api_key=lambda: Secret(API_KEY),
            budget=self.budget,
            clock=self.clock.now,
        )
        self.keeper = Keeper(
            self.client,
            claims,
            clock=self.clock.now,
            unique=lambda: f"intent-{next(numbers)}",
            log=Log("scheduler"),
        )

    def keep(self, wanted: Wanted, previous_key: str | None = None) -> Held:
        return self.keeper.keep(wanted, previous_key=previous_key)

    def at(self, moment: datetime) -> None:
        self.clock.advance_to(moment)
        self.recall.run_due()

    def fail(self, kind: FaultKind, *, method: str = "POST", times: int = 1) -> None:
        left = itertools.count(times, -1)

        def fate(request: Request) -> Fault | None:
            if request.method != method or next(left) <= 0:
                return None
            return Fault(kind=kind)

        self.adapter.faults = fate

    def refuse(self, status: int, *, method: str = "POST") -> None:
        def fate(request: Request) -> Fault | None:
            if request.method != method:
                return None
            return Fault(kind=FaultKind.ANSWER, answer=Response(status=status))

        self.adapter.faults = fate

    @property
    def live(self) -> list[LiveBot]:
        return self.recall.live_bots()

    @property
    def bot(self) -> LiveBot:
        (bot,) = self.live
        return bot


@pytest.fixture(scope="module")
def tables() -> Iterator[ClaimStore]:
    with mock_aws():
        yield open_stores(create_tables()).claims


@pytest.fixture
def scene(tables: ClaimStore) -> Iterator[Scene]:
    yield Scene(tables)
    for claim in tables.starting(start=START - 24 * HOUR, end=START + 72 * HOUR):
        tables.remove(claim)


def wanted(**changes: Any) -> Wanted:
    facts = {
        "meeting_key": KEY,
        "event_id": "event-1",
        "meeting_url": MEET,
        "start": NOON,
        "end": NOON + HOUR,
        "bot": BotSettings(),
        **changes,
    }
    facts["fingerprint"] = facts["bot"].fingerprint(facts["meeting_url"])
    return Wanted(**facts)


def renamed(name: str, **changes: Any) -> Wanted:
    return wanted(bot=BotSettings(bot_name=name), **changes)


def moved(start: datetime, **changes: Any) -> Wanted:
    key = f"r1|default|meet:qkrwzpnabt|{start:%Y-%m-%dT%H:%MZ}"
    return wanted(**{"meeting_key": key, "start": start, "end": start + HOUR, **changes})


# Making.


def test_a_meeting_gets_one_bot_that_says_whose_it_is(scene: Scene) -> None:
    rules = BotSettings(bot_name="Ada's", config={"metadata": {"team": "x"}})
    held = scene.keep(wanted(bot=rules))
    assert (held.bot_id, NOON) == (scene.bot.bot_id, held.join_at)
    assert ("Ada's", MEET, NOON) == (scene.bot.bot_name, scene.bot.meeting_url, scene.bot.join_at)
    assert {
        "team": "x",
        "rollcall_meeting": KEY,
        "rollcall_event": "event-1",
        "rollcall_claim": "intent-1",
        "rollcall_make": f"{held.fingerprint}@2027-03-01T12:00:00Z",
        "rollcall_mode": "self_managed",
    } == scene.bot.metadata


def test_what_is_held_costs_nothing_more(scene: Scene) -> None:
    first = scene.keep(wanted())
    calls = len(scene.recall.calls)
    assert first == scene.keep(wanted())
    assert calls == len(scene.recall.calls)


def test_a_claim_is_due_until_somebody_looks_again(scene: Scene) -> None:
    scene.keep(wanted())
    assert [] == scene.claims.due(now=scene.clock.now(), limit=10)
    scene.at(START + SETTLED_AFTER)
    assert [KEY] == [
        claim.meeting_key for claim in scene.claims.due(now=scene.clock.now(), limit=9)
    ]
    scene.keep(wanted())
    assert [] == scene.claims.due(now=NOON, limit=10)


@pytest.mark.parametrize("ahead", [timedelta(minutes=5), timedelta(0), -timedelta(minutes=5)])
def test_a_near_or_running_meeting_is_joined(scene: Scene, ahead: timedelta) -> None:
    scene.keep(wanted(start=START + ahead))
    scene.at(START + max(ahead, timedelta(0)) + MINUTE)
    assert "in_call_recording" == scene.bot.state
    assert scene.bot.join_at == max(START + ahead, START)


@pytest.mark.parametrize(
    "kind",
    [FaultKind.TIMEOUT_AFTER_EFFECT, FaultKind.READ_TIMEOUT, FaultKind.RESET_AFTER_EFFECT],
)
@pytest.mark.parametrize("later", [timedelta(seconds=5), timedelta(minutes=54), HOUR])
def test_a_lost_answer_leaves_one_bot(scene: Scene, kind: FaultKind, later: timedelta) -> None:
    scene.fail(kind)
    with pytest.raises(Unavailable):
        scene.keep(wanted())
    scene.at(START + later)
    assert scene.keep(wanted()).bot_id == scene.bot.bot_id


@pytest.mark.parametrize("later", [timedelta(seconds=5), HOUR])
def test_a_change_while_the_answer_is_lost_reaches_the_bot(scene: Scene, later: timedelta) -> None:
    scene.fail(FaultKind.TIMEOUT_AFTER_EFFECT)
    with pytest.raises(Unavailable):
        scene.keep(renamed("Old"))
    scene.at(START + later)
    scene.keep(renamed("New"))
    assert "New" == scene.bot.bot_name


def test_a_bot_found_late_is_changed_where_it_differs(scene: Scene) -> None:
    scene.fail(FaultKind.READ_TIMEOUT)
    with pytest.raises(Unavailable):
        scene.keep(renamed("Old"))
    scene.fail(FaultKind.TIMEOUT_AFTER_EFFECT)
    with pytest.raises(Unavailable):
        scene.keep(renamed("New"))
    scene.at(START + HOUR)
    scene.keep(renamed("Old"))
    assert "Old" == scene.bot.bot_name


def test_a_change_back_while_an_answer_is_lost_reaches_the_bot(scene: Scene) -> None:
    scene.keep(renamed("Old"))
    scene.fail(FaultKind.TIMEOUT_AFTER_EFFECT, method="PATCH")
    with pytest.raises(Unavailable):
        scene.keep(renamed("New"))
    scene.keep(renamed("Old"))
    assert "Old" == scene.bot.bot_name


def test_an_empty_pool_is_asked_again_with_another_key(scene: Scene) -> None:
    scene.recall.ad_hoc_free = 0
    soon = wanted(start=START + MINUTE)
    with pytest.raises(PoolEmpty) as caught:
        scene.keep(soon)
    assert 30 == caught.value.retry_after
    scene.recall.ad_hoc_free = 1
    scene.at(START + timedelta(seconds=30))
    assert scene.keep(soon).bot_id == scene.bot.bot_id


def test_a_refusal_is_not_replayed_to_what_comes_after(scene: Scene) -> None:
    with pytest.raises(Refused):
        scene.keep(wanted(meeting_url="https://example.com/no-room"))
    assert scene.keep(wanted()).bot_id == scene.bot.bot_id


def test_credit_that_comes_back_is_used(scene: Scene) -> None:
    scene.recall.out_of_credit = True
    with pytest.raises(OutOfCredit):
        scene.keep(wanted())
    scene.recall.out_of_credit = False
    assert scene.keep(wanted()).bot_id == scene.bot.bot_id


@pytest.mark.parametrize(
    ("status", "error"), [(409, Conflicted), (429, Throttled), (503, Unavailable)]
)
def test_a_refused_repeat_says_nothing_of_the_first_try(
    scene: Scene, status: int, error: type[TransientError]
) -> None:
    scene.fail(FaultKind.TIMEOUT_AFTER_EFFECT)
    with pytest.raises(Unavailable):
        scene.keep(wanted())
    scene.refuse(status)
    with pytest.raises(error):
        scene.keep(wanted())
    scene.adapter.faults = None
    assert scene.keep(wanted()).bot_id == scene.bot.bot_id


# Changing.


def test_a_change_in_time_keeps_the_bot(scene: Scene) -> None:
    before = scene.keep(wanted(bot=BotSettings(config={"automatic_leave": {}, "chat": None})))
    other = wanted(meeting_url=OTHER_MEET, start=NOON + 5 * MINUTE, bot=BotSettings(bot_name="New"))
    after = scene.keep(other)
    assert before.bot_id == after.bot_id == scene.bot.bot_id
    assert (OTHER_MEET, NOON + 5 * MINUTE, "New") == (
        scene.bot.meeting_url,
        scene.bot.join_at,
        scene.bot.bot_name,
    )


def test_what_the_rules_drop_is_taken_back(scene: Scene) -> None:
    scene.keep(wanted(bot=BotSettings(config={"automatic_leave": {"noone_joined_timeout": 60}})))
    scene.keep(wanted())
    body = scene.recall.core.bots[scene.bot.bot_id].config
    assert body["automatic_leave"] is None


LATE = [
    pytest.param(wanted(meeting_url=OTHER_MEET), id="link"),
    pytest.param(wanted(start=NOON + 5 * MINUTE), id="near to near"),
    pytest.param(wanted(start=NOON + HOUR), id="near to far"),
]


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("before", [timedelta(minutes=9), timedelta(minutes=10), timedelta(0)])
def test_a_late_change_brings_another_bot(scene: Scene, late: Wanted, before: timedelta) -> None:
    first = scene.keep(wanted())
    scene.at(NOON - before)
    second = scene.keep(late)
    assert first.bot_id != second.bot_id == scene.bot.bot_id
    assert (late.meeting_url, max(late.start, scene.clock.now())) == (
        scene.bot.meeting_url,
        scene.bot.join_at,
    )


def test_a_meeting_pulled_near_gets_an_ad_hoc_bot(scene: Scene) -> None:
    first = scene.keep(wanted())
    second = scene.keep(wanted(start=START + 5 * MINUTE))
    assert first.bot_id != second.bot_id == scene.bot.bot_id


@pytest.mark.parametrize(("answer", "same"), [("accepted", True), ("refused", False)])
def test_a_late_name_is_patched_where_recall_takes_it(
    scene: Scene, answer: Any, same: bool
) -> None:
    first = scene.keep(renamed("Old"))
    scene.recall.switches = Switches(late_patch=answer)
    scene.at(NOON - 5 * MINUTE)
    second = scene.keep(renamed("New"))
    assert (same, "New") == (first.bot_id == second.bot_id, scene.bot.bot_name)


def test_a_name_changes_nothing_in_a_running_call(scene: Scene) -> None:
    scene.keep(renamed("Old"))
    scene.at(NOON + MINUTE)
    calls = len(scene.recall.calls)
    assert scene.keep(renamed("New")).fingerprint == renamed("New").fingerprint
    assert (calls, "Old") == (len(scene.recall.calls), scene.bot.bot_name)


def test_a_bot_deleted_behind_our_back_is_replaced(scene: Scene) -> None:
    first = scene.keep(renamed("Old"))
    scene.client.delete_bot(first.bot_id)
    second = scene.keep(renamed("New"))
    assert first.bot_id != second.bot_id == scene.bot.bot_id


# Moving.


def test_a_moved_meeting_takes_its_bot_along(scene: Scene) -> None:
    first = scene.keep(wanted())
    later = moved(NOON + HOUR)
    second = scene.keep(later, KEY)
    assert first.bot_id == second.bot_id == scene.bot.bot_id
    assert (NOON + HOUR, later.meeting_key) == (
        scene.bot.join_at,
        scene.bot.metadata["rollcall_meeting"],
    )
    assert scene.claims.get(KEY) is None


def test_a_move_to_a_meeting_with_a_bot_leaves_that_one(scene: Scene) -> None:
    scene.keep(wanted())
    later = moved(NOON + HOUR)
    standing = scene.keep(later)
    assert standing == scene.keep(later, KEY)
    for claim in scene.claims.due(now=scene.clock.now(), limit=10):
        scene.keeper.release(claim.meeting_key)
    assert standing.bot_id == scene.bot.bot_id


def test_a_bot_of_a_meeting_that_is_over_is_left_alone(scene: Scene) -> None:
    scene.recall.timings = Timings(direct_call=7200)
    scene.keep(wanted())
    scene.at(NOON + HOUR)
    scene.keep(moved(NOON + 5 * HOUR), KEY)
    assert ["in_call_recording", "ready"] == [bot.state for bot in scene.live]


# Releasing.


@pytest.mark.parametrize("early", ["ends", "refused"])
@pytest.mark.parametrize("status", [400, 405])
@pytest.mark.parametrize("left", [HOUR, 9 * MINUTE, timedelta(0), -MINUTE])
def test_a_released_meeting_has_no_bot(
    scene: Scene, left: timedelta, status: Any, early: Any
) -> None:
    scene.recall.switches = Switches(late_delete_status=status, leave_before_join=early)
    scene.keep(wanted())
    scene.at(NOON - left)
    for _ in range(60):
        if released(scene, retry_after=15):
            break
        scene.at(scene.clock.now() + timedelta(seconds=15))
    assert ([], None) == (scene.live, scene.claims.get(KEY))


def released(scene: Scene, *, retry_after: float) -> bool:
    """Whether the release is finished."""
    with suppress(TransientError):
        scene.keeper.release(KEY)
        return True
    (claim,) = scene.claims.due(now=scene.clock.now() + HOUR, limit=10)
    assert scene.clock.now() + timedelta(seconds=retry_after) == claim.next_attempt
    return False


def test_a_release_that_cannot_end_yet_is_due(scene: Scene) -> None:
    scene.recall.switches = Switches(leave_before_join="refused")
    scene.keep(wanted())
    scene.at(NOON - 5 * MINUTE)
    with pytest.raises(TransientError):
        scene.keeper.release(KEY)
    assert [] == scene.claims.due(now=scene.clock.now(), limit=10)
    (claim,) = scene.claims.due(now=scene.clock.now() + timedelta(seconds=15), limit=10)
    assert (KEY, True) == (claim.meeting_key, claim.releasing)


def test_a_bot_gone_already_is_released(scene: Scene) -> None:
    held = scene.keep(wanted())
    scene.client.delete_bot(held.bot_id)
    scene.keeper.release(KEY)
    assert scene.claims.get(KEY) is None


def test_after_the_meeting_nobody_waits_for_its_bot_to_leave(scene: Scene) -> None:
    scene.keep(wanted())
    scene.at(NOON + HOUR)
    unstarted = Response(status=400, body=b'{"code": "cannot_command_unstarted_bot"}')
    scene.adapter.faults = lambda request: (
        Fault(kind=FaultKind.ANSWER, answer=unstarted) if request.method == "POST" else None
    )
    scene.keeper.release(KEY)
    assert scene.claims.get(KEY) is None


def test_what_nobody_holds_is_released(scene: Scene) -> None:
    scene.keeper.release(KEY)
    assert [] == scene.recall.calls


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT_AFTER_EFFECT, FaultKind.READ_TIMEOUT])
def test_a_create_without_answer_is_released(scene: Scene, kind: FaultKind) -> None:
    scene.fail(kind)
    with pytest.raises(Unavailable):
        scene.keep(wanted())
    if kind is FaultKind.READ_TIMEOUT:
        with pytest.raises(TransientError) as caught:
            scene.keeper.release(KEY)
        assert 120 == caught.value.retry_after
        scene.at(START + SETTLED_AFTER)
    scene.keeper.release(KEY)
    assert ([], None) == (scene.live, scene.claims.get(KEY))


def test_a_create_without_answer_that_is_wanted_again_stays_one(scene: Scene) -> None:
    scene.fail(FaultKind.TIMEOUT_AFTER_EFFECT)
    with pytest.raises(Unavailable):
        scene.keep(wanted())
    scene.refuse(503, method="GET")
    with pytest.raises(Unavailable):
        scene.keeper.release(KEY)
    assert scene.keep(wanted()).bot_id == scene.bot.bot_id


def test_a_bot_wanted_again_while_it_leaves_is_replaced(scene: Scene) -> None:
    first = scene.keep(wanted())
    scene.fail(FaultKind.TIMEOUT_AFTER_EFFECT, method="DELETE")
    with pytest.raises(Unavailable):
        scene.keeper.release(KEY)
    second = scene.keep(wanted())
    assert first.bot_id != second.bot_id == scene.bot.bot_id


# Crashes: the process is gone right after any effect on Recall or the table.


class Crash(BaseException):
    """Nothing catches this."""


class Mortality:
    """Dies right after its `last`-th effect; `answered`: the answer of a call is lost first."""

    def __init__(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        self.effects = 0
        self.last = 0
        call, handle = BaseClient._make_api_call, scene.recall.handle

        def api_call(client: BaseClient, name: str, arguments: Any) -> Any:
            answer = call(client, name, arguments)
            if name in {"PutItem", "UpdateItem", "DeleteItem"}:
                self.had_effect()
            return answer

        def counted(request: Request) -> Response:
            answer = handle(request)
            if request.method != "GET":
                self.had_effect()
            return answer

        monkeypatch.setattr(BaseClient, "_make_api_call", api_call)
        monkeypatch.setattr(scene.adapter, "_handle", counted)

    def had_effect(self) -> None:
        self.effects += 1
        if self.effects == self.last:
            raise Crash


def survive(deed: Callable[[], object]) -> bool:
    """Whether it went through."""
    try:
        deed()
    except Crash:
        return False
    return True


def settle(scene: Scene, wanted_now: Wanted | None) -> None:
    """What the scheduler does with due claims: keep what is wanted, release the rest."""
    for _ in range(20):
        scene.at(scene.clock.now() + SETTLED_AFTER)
        due = scene.claims.due(now=scene.clock.now(), limit=50)
        if not due:
            return
        for claim in due:
            if wanted_now is not None and claim.meeting_key == wanted_now.meeting_key:
                scene.keep(wanted_now)
            else:
                scene.keeper.release(claim.meeting_key)
    raise AssertionError("claims stay due")


FIRST = wanted()
LATER = moved(NOON + HOUR)
LAST = moved(NOON + 2 * HOUR)
EFFECTS_MAX = 12
STORIES: dict[str, Callable[[Scene], object]] = {
    "make": lambda scene: scene.keep(FIRST),
    "change": lambda scene: scene.keep(renamed("New")),
    "move": lambda scene: scene.keep(LATER, KEY),
    "replace": lambda scene: scene.keep(wanted(start=START + 5 * MINUTE)),
    "release": lambda scene: scene.keeper.release(KEY),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_crash_after_any_effect_is_repeated_without_harm(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, story: str
) -> None:
    death = Mortality(scene, monkeypatch)
    for last in range(1, EFFECTS_MAX + 1):
        if story != "make":
            scene.keep(FIRST)
        death.effects, death.last = 0, last
        survived = survive(lambda: STORIES[story](scene))
        death.last = 0
        STORIES[story](scene)
        assert (0 if story == "release" else 1) == len(scene.live)
        for bot in scene.live:
            scene.keeper.release(bot.metadata["rollcall_meeting"])
        assert ([], None) == (scene.live, scene.claims.get(KEY))
        if survived:
            return
    raise AssertionError("more effects than were crashed")


@pytest.mark.parametrize("last", range(1, EFFECTS_MAX + 1))
@pytest.mark.parametrize("then", [FIRST, LATER, LAST, None], ids=["back", "on", "further", "off"])
def test_a_world_that_changes_after_a_crash_ends_with_what_is_wanted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, last: int, then: Wanted | None
) -> None:
    death = Mortality(scene, monkeypatch)
    scene.keep(FIRST)
    death.effects, death.last = 0, last
    moved_on = survive(lambda: scene.keep(LATER, KEY))
    death.last = 0
    # A row remembers the key that it last heard back from.
    before = LATER.meeting_key if moved_on else KEY
    if then is None:
        scene.keeper.release(before)
    else:
        scene.keep(then, before)
    settle(scene, then)
    names = [bot.metadata["rollcall_meeting"] for bot in scene.live]
    assert ([] if then is None else [then.meeting_key]) == names


KINDS = [None, *(kind for kind in FaultKind if kind is not FaultKind.ANSWER)]
DEEDS = st.tuples(
    st.sampled_from(["first", "renamed", "later", "pulled", "off"]),
    st.sampled_from(KINDS),
    st.sampled_from(["POST", "PATCH", "DELETE", "GET"]),
    st.integers(min_value=0, max_value=8),
    st.sampled_from([timedelta(0), MINUTE, 56 * MINUTE]),
)
WISHES: dict[str, Wanted | None] = {
    "first": FIRST,
    "renamed": renamed("New"),
    "later": LATER,
    "pulled": wanted(start=NOON - 30 * MINUTE),
    "off": None,
}


@given(deeds=st.lists(DEEDS, min_size=1, max_size=5))
@settings(max_examples=60)
def test_whatever_fails_there_is_one_bot_where_wanted(
    tables: ClaimStore, deeds: list[tuple[str, FaultKind | None, str, int, timedelta]]
) -> None:
    scene = Scene(tables)
    with pytest.MonkeyPatch.context() as monkeypatch:
        death = Mortality(scene, monkeypatch)
        held_under: str | None = None
        for wish, kind, method, last, pause in deeds:
            if kind is not None:
                scene.fail(kind, method=method)
            death.effects, death.last = 0, last
            held_under = attempt(scene, WISHES[wish], held_under)
            one_each(scene)
            scene.at(scene.clock.now() + pause)
        death.last, scene.adapter.faults = 0, None
        final = WISHES[deeds[-1][0]]
        attempt(scene, final, held_under, patient=True)
        settle(scene, final)
        names = [bot.metadata["rollcall_meeting"] for bot in scene.live]
        assert ([] if final is None else [final.meeting_key]) == names
        clean(scene)


def attempt(
    scene: Scene, wish: Wanted | None, held_under: str | None, *, patient: bool = False
) -> str | None:
    """One turn of a row, or as many as it takes; answers the key that the row remembers."""
    for _ in range(20 if patient else 1):
        try:
            if wish is None:
                if held_under is not None:
                    scene.keeper.release(held_under)
                return None
            scene.keep(wish, held_under)
        except (Crash, RollcallError):
            scene.at(scene.clock.now() + timedelta(seconds=15))
        else:
            return wish.meeting_key
    return held_under


def one_each(scene: Scene) -> None:
    keys = [bot.metadata["rollcall_meeting"] for bot in scene.live]
    assert len(set(keys)) == len(keys)


def clean(scene: Scene) -> None:
    for claim in scene.claims.starting(start=START - 24 * HOUR, end=START + 72 * HOUR):
        scene.claims.remove(claim)
