"""Reports of a bot in any order: its life only goes forward."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.bot_state import SCHEDULED, moves_forward

LIFE = [
    SCHEDULED,
    "joining_call",
    "in_waiting_room",
    "in_call_not_recording",
    "in_call_recording",
    "call_ended",
    "done",
]
CODES = [*LIFE, "recording_permission_denied", "recording_permission_allowed", "fatal"]


def test_a_usual_life_goes_forward_and_never_back() -> None:
    for earlier, later in itertools.combinations(LIFE, 2):
        assert moves_forward(earlier, later)
        assert not moves_forward(later, earlier)


@pytest.mark.parametrize("code", CODES)
def test_a_report_that_comes_twice_is_no_news(code: str) -> None:
    assert not moves_forward(code, code)


@pytest.mark.parametrize("end", ["done", "fatal"])
@pytest.mark.parametrize("code", [*CODES, "never_heard_of"])
def test_the_end_is_the_end(end: str, code: str) -> None:
    assert not moves_forward(end, code)


def test_a_code_that_recall_adds_is_news_while_the_bot_lives() -> None:
    assert moves_forward("in_call_recording", "never_heard_of")
    assert moves_forward("never_heard_of", "in_call_recording")
    assert moves_forward("never_heard_of", "done")


@given(st.permutations(LIFE))
def test_whatever_the_order_the_last_state_is_the_furthest(order: list[str]) -> None:
    state = SCHEDULED
    for code in order:
        state = code if moves_forward(state, code) else state
    assert "done" == state
