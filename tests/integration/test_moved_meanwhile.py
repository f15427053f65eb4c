"""An event that moves between our List and our call drags the bot along that it then joins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from moto import mock_aws

from infra.local.emulators.http import Request, Response
from tests.stack import GOOGLE, START, Stack

OWNER, DANA = "owner@acme.example", "dana@acme.example"
LINK = "https://meet.google.com/qkr-wzpn-abt"
GUEST = "guest@globex.example"
IN_THREE_HOURS = START + timedelta(hours=3)
IN_FIVE_HOURS = START + timedelta(hours=5)


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws():
        yield Stack()


def before_the_next_call(stack: Stack, method: str, act: Callable[[], object]) -> None:
    """Just before Recall serves our next call to an event's bot, something happens there."""
    handle, done = stack.recall.handle, []

    def handled(request: Request) -> Response:
        if not done and request.method == method and request.url.endswith("/bot/"):
            done.append(act())
            # Recall has heard of it, and we have not.
            stack.clock.advance_to(stack.clock.now() + timedelta(seconds=2))
        return handle(request)

    stack.adapter._handle = handled


def starts(stack: Stack) -> list[datetime]:
    return sorted(bot.join_at for bot in stack.recall.live_bots())


@pytest.fixture
def shared(stack: Stack) -> Stack:
    """The owner's copy has its bot, Dana's has just come."""
    for email in (OWNER, DANA):
        stack.recall.account(GOOGLE, email)
    owner = stack.recall.account(GOOGLE, OWNER)
    owner.add_event("Kickoff", start=IN_THREE_HOURS, link=LINK, attendees=[GUEST])
    stack.connect(OWNER)
    stack.connect(DANA, entity_id="u2")
    stack.run(10)
    assert [IN_THREE_HOURS] == starts(stack)
    return stack


def test_the_bot_of_the_others_goes_back_to_its_time(shared: Stack) -> None:
    dana = shared.recall.account(GOOGLE, DANA)
    event_id = dana.add_event("Kickoff", start=IN_THREE_HOURS, link=LINK, attendees=[GUEST])
    before_the_next_call(shared, "POST", lambda: dana.move(event_id, IN_FIVE_HOURS))
    # The copy that moved first waits five minutes for the others.
    shared.run(400, ticks=True)
    assert [IN_THREE_HOURS, IN_FIVE_HOURS] == starts(shared)


def test_it_goes_back_also_when_the_copy_that_moved_wants_none_any_more(shared: Stack) -> None:
    dana = shared.recall.account(GOOGLE, DANA)
    event_id = dana.add_event("Kickoff", start=IN_THREE_HOURS, link=LINK, attendees=[GUEST])

    def moves_and_declines() -> None:
        dana.move(event_id, IN_FIVE_HOURS)
        dana.set_response(event_id, "declined")

    before_the_next_call(shared, "POST", moves_and_declines)
    shared.run(400, ticks=True)
    assert [IN_THREE_HOURS] == starts(shared)
