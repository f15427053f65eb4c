"""Stories that chance hardly ever tells."""

from __future__ import annotations

from tests.simulation import log_lines
from tests.simulation.climate import Climate
from tests.simulation.crash_scenes import Stage
from tests.simulation.people import SCOPES, Cast
from tests.simulation.process import Fate, Io
from tests.simulation.world import GOOGLE, World


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


def befalls_once(world: World, operation: str, fate: Fate) -> None:
    """The first call whose operation begins like that, and no other."""
    due = [fate]

    def decide(io: Io) -> Fate:
        return due.pop() if due and io.operation.startswith(operation) else Fate.WELL

    vars(world.weather)["fate"] = decide
