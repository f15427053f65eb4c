"""Stories that chance hardly ever tells."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from tests.simulation import log_lines
from tests.simulation.climate import Climate
from tests.simulation.crash_scenes import NOON, Stage
from tests.simulation.monitors import Monitors
from tests.simulation.people import SCOPES, Cast
from tests.simulation.process import Fate, Io
from tests.simulation.world import GOOGLE, START, World


def test_a_second_request_finds_the_calendar_that_the_first_died_over() -> None:
    world = World(0, Climate())
    befalls_once(world, "POST /api/v2/calendars/", Fate.DIES_AFTER)
    answers = []
    with log_lines.captured(), world.open():
        person = Cast(world, world.chance("people")).add("t0", "u0", GOOGLE)
        token = world.providers[GOOGLE].issue_refresh_token(person.email, SCOPES[GOOGLE])
        wanted = {"entity_id": "u0", "platform": GOOGLE, "oauth_refresh_token": token}

        def connect_twice() -> None:
            for key in ("first", "second"):
                body = {**wanted, "tenant_id": "t0"}
                answers.append(world.call("POST", "/v1/calendars", body, idempotency_key=key))

        world.hub.spawn(connect_twice)
        world.run(30)
    assert (None, 201) == (answers[0], answers[1].status)
    assert [answers[1].json["calendar_id"]] == list(world.recall.calendars)


def test_a_call_that_was_put_off_is_logged_without_whom_it_is_about() -> None:
    with log_lines.captured() as lines:
        stage = Stage("put off")
        befalls_once(stage.world, "POST /api/v2/calendar-events/", Fate.REFUSED)
        with stage.world.open():
            stage.meeting(stage.connected("dana"))
            stage.settle()
        stage.judge.read(lines())
    assert "bot call postponed" in lines()
    assert [] == stage.world.violations


def test_the_end_of_a_bot_is_told_whose_row_was_lost_but_that_was_listed_since() -> None:
    stage = Stage("told and listed")
    world, monitors = stage.world, Monitors(stage.world, by_calendar=False)
    asked: list[str] = []
    told: list[str] = []

    def decide(io: Io) -> Fate:
        if io.operation.startswith("POST /api/v2/calendar-events/"):
            if told:
                return Fate.REFUSED
            asked.append(io.operation.split("/")[4])
        if io.operation == "PutEvents" and len(asked) > 1 and not told:
            told.append(asked[1])
            return Fate.DIES_AFTER
        return Fate.WELL

    vars(world.weather)["fate"] = decide
    with log_lines.captured(), world.open():
        dana, erin = stage.connected("dana"), stage.connected("erin")
        stage.settle(60)
        copies = stage.meeting(dana, erin)
        stage.settle()
        second = next(each for each in (dana, erin) if stage.event_id(each, copies) in told)
        second.account.cancel(copies[second.email])
        stage.settle()
        monitors.rest()
    assert len(world.recall.live_bots()) == 1
    assert [] == world.violations


def test_a_bot_taken_off_that_reports_its_end_before_the_row_says_so_is_gone() -> None:
    stage = Stage("taken off and ended")
    world, monitors = stage.world, Monitors(stage.world, by_calendar=False)
    with log_lines.captured(), world.open():
        stage.soon(partial(stage.rules, {"scheduling": "self_managed"}))
        dana = stage.connected("dana")
        stage.settle(60)
        copies = stage.meeting(dana, start=START + timedelta(minutes=9))
        stage.settle(60)
        befalls_once(world, "PutEvents", Fate.DIES_AFTER)
        stage.soon(partial(stage.override, dana, copies, "off"))
        stage.settle(120)
        dana.account.move(copies[dana.email], NOON)
        stage.settle()
        monitors.rest()
    assert [] == world.recall.live_bots()
    assert [] == world.violations


def befalls_once(world: World, operation: str, fate: Fate) -> None:
    """The first call whose operation begins like that, and no other."""
    due = [fate]

    def decide(io: Io) -> Fate:
        return due.pop() if due and io.operation.startswith(operation) else Fate.WELL

    vars(world.weather)["fate"] = decide
