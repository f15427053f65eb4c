"""Stories that chance hardly ever tells."""

from __future__ import annotations

from tests.simulation import log_lines
from tests.simulation.climate import Climate
from tests.simulation.people import SCOPES, Cast
from tests.simulation.process import Fate, Io
from tests.simulation.world import GOOGLE, World


def test_a_second_request_finds_the_calendar_that_the_first_died_over() -> None:
    world = World(0, Climate())
    dying = ["POST /api/v2/calendars/"]

    def fate(io: Io) -> Fate:
        if io.operation not in dying:
            return Fate.WELL
        dying.clear()
        return Fate.DIES_AFTER

    vars(world.weather)["fate"] = fate
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
