"""The one call that is due: when to schedule, when to clear first, when to leave alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from shared.domain.consider import action_for
from shared.domain.event import EventBot
from shared.domain.meeting import Assignment, Meeting
from shared.domain.plan import Schedule, Unschedule, coming, matching_bot
from shared.domain.rules import BotSettings, Rules
from tests.unit.core_values import (
    HOUR,
    MEET,
    NOW,
    OTHER_MEET,
    SKIP,
    START,
    around,
    bot,
    event,
    key,
    meeting,
    wish,
)

BOT = BotSettings()


def assigned(*bots: EventBot, url: str = MEET, **changes: Any) -> Meeting:
    """A row that we scheduled as its event is now."""
    assignment = Assignment(
        bot_id="bot-1", deduplication_key=key(), fingerprint=BOT.fingerprint(url), join_at=START
    )
    return meeting(*bots, assignment=assignment, **changes)


def wanted(*, clear_first: bool = False, url: str = MEET, start: datetime = START) -> Schedule:
    return Schedule(wish=wish(start, url=url), clear_first=clear_first)


STALE = bot("stale", start=START + HOUR)
FINISHED = bot("finished", start=NOW - 24 * HOUR)
ENDED = event(start=NOW - 2 * HOUR)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(meeting(), wanted(), id="nothing yet"),
        pytest.param(assigned(bot()), None, id="as it should be"),
        pytest.param(meeting(bot()), wanted(), id="a bot of unknown configuration"),
        pytest.param(
            assigned(bot(start=START + HOUR), event=event(start=START + HOUR)),
            wanted(start=START + HOUR),
            id="a bot that followed, but by nobody we remember",
        ),
        pytest.param(assigned(), wanted(), id="lost"),
        pytest.param(assigned(STALE), wanted(), id="stale, which Recall drops by itself"),
        pytest.param(assigned(bot(), STALE), wanted(clear_first=True), id="a stray beside ours"),
        pytest.param(assigned(bot(), bot("twin")), wanted(clear_first=True), id="twins"),
        pytest.param(assigned(FINISHED, bot()), None, id="finished ones mean nothing"),
        pytest.param(assigned(bot(), released=frozenset({"bot-1"})), wanted(), id="released"),
        pytest.param(assigned(bot(), STALE, released=frozenset({"stale"})), None, id="let go"),
        pytest.param(
            assigned(bot(), event=event(meeting_url=OTHER_MEET)),
            wanted(url=OTHER_MEET),
            id="another link",
        ),
        pytest.param(meeting(decision=SKIP), None, id="unwanted and without"),
        pytest.param(assigned(bot(), decision=SKIP), Unschedule(), id="unwanted"),
        pytest.param(meeting(FINISHED, decision=SKIP), None, id="unwanted, was there before"),
        pytest.param(meeting(event=ENDED), None, id="over"),
        pytest.param(meeting(bot(start=ENDED.start), event=ENDED), None, id="over, with its bot"),
        pytest.param(meeting(bot(), event=ENDED), Unschedule(), id="moved into the past"),
    ],
)
def test_the_call_that_is_due(row: Meeting, expected: object) -> None:
    assert expected == action_for(row, around())


def test_another_configuration_is_scheduled_anew() -> None:
    renamed = BotSettings(bot_name="Scribe", config={"a": {"b": 1}})
    found = action_for(assigned(bot()), around(rules=Rules(bot=renamed)))
    assert Schedule(wish=wish(settings=renamed)) == found


def test_the_fingerprint_covers_all_that_a_bot_is_made_with() -> None:
    makes = [
        BotSettings().fingerprint(MEET),
        BotSettings(bot_name="Scribe").fingerprint(MEET),
        BotSettings(config={"a": 1}).fingerprint(MEET),
        BotSettings(config={"a": 2}).fingerprint(MEET),
        BotSettings().fingerprint(f"{MEET}?pwd=1"),
    ]
    assert len(makes) == len(set(makes))


def test_the_fingerprint_does_not_depend_on_the_order_of_keys() -> None:
    one = BotSettings(config={"a": 1, "b": {"c": 2, "d": 3}})
    other = BotSettings(config={"b": {"d": 3, "c": 2}, "a": 1})
    assert one.fingerprint(MEET) == other.fingerprint(MEET)
    assert one.fingerprint(MEET) != one.fingerprint(f"{MEET}?pwd=1")


def test_a_running_meeting_is_not_scheduled_again_for_its_own_bot() -> None:
    start = NOW - HOUR / 2
    running = event(start=start)
    row = meeting(
        bot(start=start),
        event=running,
        assignment=Assignment(
            bot_id="bot-1",
            deduplication_key=key(start),
            fingerprint=BOT.fingerprint(MEET),
            join_at=start,
            state="in_call_recording",
        ),
    )
    assert action_for(row, around()) is None


def test_of_two_entries_the_later_one_that_is_not_released_is_ours() -> None:
    row = meeting(bot("old"), bot("new"))
    assert bot("new") == matching_bot(row, deduplication_key=key())
    let_go = meeting(bot("old"), bot("new"), released=frozenset({"new"}))
    assert bot("old") == matching_bot(let_go, deduplication_key=key())
    assert matching_bot(meeting(STALE), deduplication_key=key()) is None


def test_coming_are_those_ahead_that_we_did_not_let_go() -> None:
    row = meeting(bot(), STALE, FINISHED, released=frozenset({"bot-1"}))
    assert [STALE] == coming(row, now=NOW)
