"""Reports of a bot in any order: its life only goes forward, and ends where it ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.bot_state import (
    ABSENT,
    SCHEDULED,
    Phase,
    is_known,
    is_news,
    is_outside,
    is_over,
    moved,
    phase_of,
)
from shared.domain.meeting import Assignment
from shared.domain.message import BotEvent

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
FRESH = Assignment(bot_id="b", deduplication_key="k", fingerprint="f", join_at=NOON)
IN_CALL = [
    "in_call_not_recording",
    "recording_permission_denied",
    "recording_permission_allowed",
    "in_call_recording",
]
PHASES = [["joining_call"], ["in_waiting_room"], IN_CALL, ["call_ended"], ["done", "fatal"]]
CODES = [code for phase in PHASES for code in phase]
ASIDES = ["breakout_room_opened", "breakout_room_entered", "never_heard_of", "analysis_done"]


def report(code: str, *, second: int = 0, event: str = "", sub_code: str | None = None) -> BotEvent:
    return BotEvent(
        event=event or f"bot.{code}",
        bot_id="b",
        code=code,
        sub_code=sub_code,
        updated_at=NOON + timedelta(seconds=second),
    )


def of_recording(code: str, *, second: int = 0) -> BotEvent:
    return report(code, second=second, event=f"recording.{code}")


def at(state: str, *, second: int = 0) -> Assignment:
    return replace(FRESH, state=state, state_at=NOON + timedelta(seconds=second))


def later_pairs() -> list[tuple[str, str]]:
    return [
        (early, late)
        for number, phase in enumerate(PHASES)
        for early in [SCHEDULED, *phase]
        for late in (code for after in PHASES[number + 1 :] for code in after)
    ]


@pytest.mark.parametrize(("early", "late"), later_pairs())
def test_a_later_phase_wins_whatever_the_clocks_say(early: str, late: str) -> None:
    assert at(late, second=-60) == moved(at(early), report(late, second=-60))
    assert at(late) == moved(at(late), report(early, second=60))
    assert not is_news(at(late), report(early, second=60))


@pytest.mark.parametrize("before", IN_CALL)
@pytest.mark.parametrize("after", IN_CALL)
def test_within_a_call_the_newer_report_wins(before: str, after: str) -> None:
    assert at(after, second=1) == moved(at(before), report(after, second=1))
    assert at(before) == moved(at(before), report(after, second=-1))


@pytest.mark.parametrize("code", CODES)
def test_a_report_that_comes_twice_is_no_news(code: str) -> None:
    once = moved(FRESH, report(code))
    assert code == once.state
    assert not is_news(once, report(code))


@pytest.mark.parametrize("end", ["done", "fatal"])
@pytest.mark.parametrize("code", [*CODES, *ASIDES])
def test_the_end_is_the_end(end: str, code: str) -> None:
    assert at(end) == moved(at(end), report(code, second=60))
    assert not is_news(at(end), report(code, second=60))


@pytest.mark.parametrize("code", ASIDES)
@pytest.mark.parametrize("state", [SCHEDULED, *CODES[:-2]])
def test_what_has_no_phase_is_told_and_moves_nothing(state: str, code: str) -> None:
    assert at(state) == moved(at(state), report(code, second=60))
    assert is_news(at(state), report(code, second=60))


def test_a_recording_refused_in_the_waiting_room_is_no_sign_of_being_in() -> None:
    refusal = report("recording_permission_denied", sub_code="zoom_bot_in_waiting_room")
    assert at("in_waiting_room") == moved(at("in_waiting_room"), refusal)
    assert is_news(at("in_waiting_room"), refusal)
    inside = report("recording_permission_denied", sub_code="zoom_host_not_present")
    assert "recording_permission_denied" == moved(at("in_waiting_room"), inside).state


@pytest.mark.parametrize("code", [*IN_CALL, "call_ended", "done", "fatal"])
def test_an_absent_bot_may_still_come(code: str) -> None:
    assert code == moved(replace(FRESH, state=ABSENT), report(code)).state


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("processing", "paused"), ("paused", "processing"), ("processing", "done"),
        ("paused", "failed"), ("done", "deleted"), ("failed", "deleted"),
    ],
)  # fmt: skip
def test_a_recording_goes_forward(earlier: str, later: str) -> None:
    first = moved(FRESH, of_recording(earlier))
    second = moved(first, of_recording(later, second=1))
    assert (earlier, later) == (first.recording, second.recording)
    assert second == moved(second, of_recording(earlier))


def test_a_recording_has_its_own_life() -> None:
    over = at("done")
    deleted = moved(over, of_recording("deleted", second=60))
    assert ("done", "deleted") == (deleted.state, deleted.recording)
    assert is_news(over, of_recording("deleted"))
    assert FRESH == moved(FRESH, of_recording("never_heard_of"))
    assert is_news(deleted, of_recording("processing"))


LIFE = [
    report("joining_call", second=0),
    report("in_waiting_room", second=1),
    report("in_call_not_recording", second=2),
    report("recording_permission_allowed", second=3),
    report("in_call_recording", second=4),
    of_recording("processing", second=4),
    report("breakout_room_entered", second=5),
    of_recording("paused", second=6),
    report("in_call_not_recording", second=6),
    of_recording("processing", second=7),
    report("in_call_recording", second=7),
    report("call_ended", second=8, sub_code="call_ended_by_host"),
    of_recording("done", second=9),
    report("done", second=9),
]


@given(st.permutations(LIFE), st.integers(min_value=1, max_value=len(LIFE)))
def test_every_order_of_delivery_ends_alike(order: list[BotEvent], length: int) -> None:
    heard = sorted(order[:length], key=LIFE.index)
    in_order = out_of_order = FRESH
    for entry in heard:
        in_order = moved(in_order, entry)
    for entry in order[:length]:
        out_of_order = moved(out_of_order, entry)
    assert in_order == out_of_order


@pytest.mark.parametrize(
    ("phase", "outside", "over", "states"),
    [
        (Phase.EXPECTED, True, False, [SCHEDULED, "ready", "never_heard_of"]),
        (Phase.JOINING, True, False, ["joining_call"]),
        (Phase.WAITING, True, False, ["in_waiting_room", ABSENT]),
        (Phase.IN_CALL, False, False, [*IN_CALL, "recording_done"]),
        (Phase.LEFT, False, True, ["call_ended"]),
        (Phase.OVER, False, True, ["done", "fatal"]),
    ],
)
def test_every_state_has_its_phase(
    phase: Phase, outside: bool, over: bool, states: list[str]
) -> None:
    for state in states:
        assert (phase, outside, over) == (phase_of(state), is_outside(state), is_over(state))
        assert (state != "never_heard_of") is is_known(state)


@pytest.mark.parametrize("code", CODES)
def test_what_moves_a_bot_is_news(code: str) -> None:
    assert is_news(FRESH, report(code))


def test_a_state_without_a_time_gives_way_to_another_code_only() -> None:
    inside = replace(FRESH, state="in_call_recording")
    assert inside == moved(inside, report("in_call_recording"))
    assert at("in_call_not_recording") == moved(inside, report("in_call_not_recording"))


def test_of_two_codes_at_one_moment_the_alphabet_decides() -> None:
    first, last = "in_call_not_recording", "recording_permission_denied"
    assert at(last) == moved(at(first), report(last))
    assert at(last) == moved(at(last), report(first))


def test_a_recording_follows_its_newest_report() -> None:
    done = moved(FRESH, of_recording("done", second=5))
    assert done == moved(done, of_recording("failed", second=4))
    failed = moved(done, of_recording("failed", second=6))
    assert ("failed", NOON + timedelta(seconds=6)) == (failed.recording, failed.recording_at)


@pytest.mark.parametrize(("early", "late"), [("processing", "done"), ("failed", "deleted")])
def test_a_later_phase_of_a_recording_wins_whatever_the_clocks_say(early: str, late: str) -> None:
    first = moved(FRESH, of_recording(early, second=60))
    assert late == moved(first, of_recording(late)).recording
