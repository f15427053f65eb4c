"""A fixed share of the crash points, and what the search itself must find."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import pytest

from shared.recall import RecallClient
from tests.simulation.crash_peace import picture
from tests.simulation.crash_scenes import GOOGLE, SCENES, Scene, Script, Stage
from tests.simulation.crashes import Blow, Blows, search
from tests.simulation.crashes import replay as played_again
from tests.simulation.process import Fate

# A prime, so that the places are others in every scene.
EVERY = 31


@pytest.mark.parametrize("name", SCENES)
def test_a_death_in_a_scene_is_made_good(name: str) -> None:
    tally = search(SCENES[name], blows=(Fate.DIES_AFTER,), every=EVERY, whole=0.0)
    assert tally.failed == []
    assert tally.points == tally.calls // EVERY > 0


def test_after_a_death_there_is_a_second_one() -> None:
    def dislikes_pairs(stage: Stage) -> Script:
        yield from SCENES["lose_webhooks"].script(stage)
        if len(_fallen(stage)) == 2:
            yield "two deaths"

    scene = Scene(name="dislikes_pairs", script=dislikes_pairs)
    tally = search(scene, blows=(Fate.DIES_AFTER,), every=5, pairs=True, share=0.1)
    assert tally.points == tally.calls // 5 > 0
    assert len(tally.failed) == tally.pairs > 2
    assert tally.left > 2 * tally.pairs


def test_a_calendar_made_twice_is_found_and_its_replay_finds_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = count()
    create = RecallClient.create_calendar

    def forgetful(client: RecallClient, **given: Any) -> Any:
        given["idempotency_key"] += str(next(keys))
        return create(client, **given)

    monkeypatch.setattr(RecallClient, "create_calendar", forgetful)
    scene = replace(SCENES["connect"], seconds=1)
    failed = search(scene, blows=(Fate.UNHEARD,), whole=0.0).failed
    assert failed
    for blows, wrong in failed[:2]:
        _, fallen, again = played_again(scene, blows)
        assert fallen.fallen == blows
        assert [text.partition(" ")[0] for text in again] == [w.partition(" ")[0] for w in wrong]


def test_a_run_that_breaks_down_is_a_finding() -> None:
    def stumbles(stage: Stage) -> Script:
        dana = stage.connected("dana", GOOGLE)
        stage.settle()
        yield
        stage.soon(partial(stage.connect, dana))
        yield
        if _fallen(stage):
            raise RuntimeError("stumbled")

    scene = Scene(name="stumbles", script=stumbles, seconds=10)
    tally = search(scene, blows=(Fate.LOST,), every=10)
    assert len(tally.failed) == tally.points > 0
    assert all("stumbled" in wrong[0] for _, wrong in tally.failed)


def test_a_blow_is_written_as_it_is_read() -> None:
    assert Blow.read("17:dies_after") == Blow(at=17, fate=Fate.DIES_AFTER)
    assert str(Blow.read("17:dies_after")) == "17:dies_after"


def _fallen(stage: Stage) -> tuple[Blow, ...]:
    blows = stage.world.weather
    assert isinstance(blows, Blows)
    return blows.fallen


def test_a_world_that_was_struck_becomes_the_one_that_was_not() -> None:
    tally = search(SCENES["move"], blows=(Fate.DIES_AFTER,), every=15, whole=0.0)
    assert (tally.cut, tally.points) == (4, 4)


def test_a_picture_shows_what_matters_and_nothing_while_something_is_under_way() -> None:
    stage, _, _ = played_again(SCENES["switch_over"], ())
    world = stage.world
    before = picture(world, stage.cast)
    assert before == picture(world, stage.cast) is not None
    for change in (_bot_goes, _row_goes, _word_is_said):
        change(stage)
        after = picture(world, stage.cast)
        assert after not in {before, None}
        before = after
    world.queue.send_message(QueueUrl="", MessageBody="{}", MessageGroupId="feed")
    assert picture(world, stage.cast) is None


def _bot_goes(stage: Stage) -> None:
    stage.world.recall.fleet.remove(next(b for b in stage.world.recall.bots.values() if b.live))


def _row_goes(stage: Stage) -> None:
    stage.world.dynamo._tables["meetings_table"].truth.rows.popitem()


def _word_is_said(stage: Stage) -> None:
    stage.cast.words["anything"] = "off"
