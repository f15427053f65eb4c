"""The look at self-managed bots: strays, losses, lateness, and claims that nobody knows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from infra.local.emulators.http import Fault, FaultKind, Request
from infra.local.emulators.recall.switches import Switches
from shared.domain.claim import SELF_MANAGED as MODE
from shared.domain.claim import SETTLED_AFTER, bot_metadata
from shared.domain.drift import Drift
from shared.errors import TransientError
from shared.flows.orphans import Looked, OrphanSweep
from shared.observability import Log
from shared.recall import Unavailable
from shared.storage import ClaimStore, open_stores
from tests.integration.test_keep import HOUR, KEY, MEET, NOON, Scene, clean, moved, wanted
from tests.tables import create_tables

AHEAD = 5 * HOUR


class Watched(Scene):
    """A scene with somebody who looks."""

    def __init__(self, claims: ClaimStore) -> None:
        super().__init__(claims)
        self.unknown: set[str] = set()
        numbers = itertools.count(1)
        self.sweep = OrphanSweep(
            self.client,
            claims,
            known=lambda meeting_key: meeting_key not in self.unknown,
            clock=self.clock.now,
            unique=lambda: f"sweep-{next(numbers)}",
            log=Log("reconciler"),
        )

    def look(self) -> Looked:
        return self.sweep.look(ahead=AHEAD)

    def rest(self, **changes: Any) -> None:
        """A bot whose claim has come to rest."""
        self.keep(wanted(**changes))
        self.at(self.clock.now() + SETTLED_AFTER)
        self.keep(wanted(**changes))

    def stray(self, **metadata: str) -> str:
        return self.client.create_bot(
            meeting_url=MEET,
            join_at=NOON,
            bot_config={"metadata": {"rollcall_mode": MODE, **metadata}},
            idempotency_key="stray",
        ).bot_id

    def due(self) -> list[str]:
        later = self.clock.now() + SETTLED_AFTER
        return [claim.meeting_key for claim in self.claims.due(now=later, limit=10)]

    def release_due(self) -> None:
        self.at(self.clock.now() + SETTLED_AFTER)
        for key in self.due():
            self.keeper.release(key)


@pytest.fixture(scope="module")
def tables() -> Iterator[ClaimStore]:
    with mock_aws():
        yield open_stores(create_tables()).claims


@pytest.fixture
def scene(tables: ClaimStore) -> Iterator[Watched]:
    watched = Watched(tables)
    yield watched
    clean(watched)


def test_a_sound_world_is_left_alone(scene: Watched) -> None:
    scene.rest()
    before = scene.claims.get(KEY)
    assert Looked(bots=1, marked=0, complete=True) == scene.look()
    assert before == scene.claims.get(KEY)


def test_a_stray_is_taken_off(scene: Watched) -> None:
    scene.rest()
    stray = scene.stray(rollcall_meeting=KEY)
    assert (1, 0) == (scene.look().marked, scene.look().marked)
    assert [] == scene.claims.due(now=scene.clock.now(), limit=10)
    scene.release_due()
    assert [False] == [bot.bot_id == stray for bot in scene.live]


@pytest.mark.parametrize("metadata", [{}, {"rollcall_meeting": "nobody's"}])
def test_a_bot_of_no_claim_is_a_stray(scene: Watched, metadata: dict[str, str]) -> None:
    scene.stray(**metadata)
    assert 1 == scene.look().marked
    scene.release_due()
    assert [] == scene.live


def test_a_bot_of_another_mode_is_none_of_ours(scene: Watched) -> None:
    scene.stray(rollcall_mode="other")
    assert Looked(bots=0, marked=0, complete=True) == scene.look()


def test_a_lost_answer_is_found(scene: Watched) -> None:
    scene.fail(FaultKind.TIMEOUT_AFTER_EFFECT)
    with pytest.raises(Unavailable):
        scene.keep(wanted())
    assert 1 == scene.look().marked
    calls = scene.recall.count("bot_create")
    assert scene.keep(wanted()).bot_id == scene.bot.bot_id
    assert calls == scene.recall.count("bot_create")


def test_a_bot_on_its_way_to_another_claim_is_no_stray(scene: Watched) -> None:
    """The move was stored, and the bot does not say so yet."""
    scene.rest()
    later = moved(NOON + HOUR)
    scene.refuse(503, method="PATCH")
    with pytest.raises(Unavailable):
        scene.keep(later, KEY)
    assert KEY == scene.bot.metadata["rollcall_meeting"]
    assert 0 == scene.look().marked


def test_a_stray_whose_claim_shows_in_time_stays(scene: Watched) -> None:
    metadata = bot_metadata(wanted(), idempotency_key="intent-0")
    stray = scene.stray(**metadata)
    assert 1 == scene.look().marked
    scene.rest()
    claim = scene.claims.get(KEY)
    assert claim is not None
    assert claim.bot_id is not None
    scene.client.delete_bot(claim.bot_id)
    scene.claims.save(replace(claim, bot_id=stray))
    scene.release_due()
    assert [stray] == [bot.bot_id for bot in scene.live]


def test_a_lost_bot_is_made_again(scene: Watched) -> None:
    scene.rest()
    scene.client.delete_bot(scene.bot.bot_id)
    assert (1, [KEY]) == (scene.look().marked, scene.due())
    assert scene.keep(wanted()).bot_id == scene.bot.bot_id


def test_a_list_that_leaves_a_bot_out_proves_nothing(scene: Watched) -> None:
    scene.rest()
    scene.recall.core.bots[scene.bot.bot_id].config["metadata"] = {}
    assert 0 == scene.look().marked


@pytest.mark.parametrize("later", [timedelta(minutes=5), 24 * HOUR])
def test_a_bot_at_another_time_is_put_right(scene: Watched, later: timedelta) -> None:
    scene.rest()
    bot_id = scene.bot.bot_id
    scene.client.update_bot(bot_id, changes={"join_at": (NOON + later).isoformat()})
    assert (1, [KEY]) == (scene.look().marked, scene.due())
    scene.keep(wanted())
    assert (bot_id, NOON) == (scene.bot.bot_id, scene.bot.join_at)


def test_a_claim_that_no_event_knows_is_due(scene: Watched) -> None:
    scene.rest()
    scene.unknown = {KEY}
    assert (1, [KEY]) == (scene.look().marked, scene.due())


def test_an_unfinished_list_proves_no_loss(scene: Watched) -> None:
    scene.rest()
    scene.client.delete_bot(scene.bot.bot_id)
    scene.recall.switches = Switches(bots_page_size=1)
    for number in range(2):
        scene.client.create_bot(
            meeting_url=MEET,
            join_at=NOON,
            bot_config={"metadata": {"rollcall_mode": MODE, "rollcall_meeting": KEY}},
            idempotency_key=f"other-{number}",
        )
    asked = itertools.count()

    def spend(endpoint: str) -> None:
        if endpoint == "bot_list" and next(asked) > 0:
            raise TransientError("rate_budget", "used up", retry_after=30)

    scene.budget.spend = spend  # type: ignore[method-assign]
    found = {Drift.DUPLICATE: 1}
    assert Looked(bots=1, marked=1, complete=False, found=found) == scene.look()
    claim = scene.claims.get(KEY)
    assert claim is not None
    assert claim.bot_id is not None


def test_an_outage_marks_nothing(scene: Watched) -> None:
    scene.rest()

    def down(_: Request) -> Fault:
        return Fault(kind=FaultKind.CONNECT_ERROR)

    scene.adapter.faults = down
    with pytest.raises(Unavailable):
        scene.look()
    assert [] == scene.due()
