"""The scheduler's handler against an emulated Recall: does the world come right?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from moto import mock_aws

from tests.stack import GOOGLE, START, Stack

MEET = "https://meet.google.com/qkr-wzpn-abt"


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws():
        yield Stack()


def test_a_bot_appears_on_a_meeting_of_a_new_calendar(stack: Stack) -> None:
    account = stack.recall.account(GOOGLE, "owner@acme.example")
    start = START + timedelta(hours=3)
    account.add_event("Kickoff", start=start, link=MEET, attendees=["guest@globex.example"])
    stack.connect()
    stack.run(10)
    assert [start] == [bot.join_at for bot in stack.recall.live_bots()]
    assert ["calendar.connected", "bot.scheduled"] == [name for name, _ in stack.notices]
