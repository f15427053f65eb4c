"""Which class of drift a difference is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.consider import action_for
from shared.domain.drift import Drift, drift_of
from shared.domain.event import EventBot
from shared.domain.meeting import Assignment, Meeting
from shared.domain.rules import BotSettings, Rules
from tests.unit import core_values
from tests.unit.core_values import HOUR, MEET, NOW, SKIP, START, around, bot, event, key, meeting

BOT = BotSettings()
OURS = Assignment(
    bot_id="bot-1", deduplication_key=key(), fingerprint=BOT.fingerprint(MEET), join_at=START
)
STALE = bot("stale", start=START + HOUR)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (meeting(bot(), assignment=OURS), None),
        (meeting(decision=SKIP), None),
        (meeting(assignment=OURS), Drift.MISSING),
        (meeting(bot(), decision=SKIP), Drift.ORPHAN),
        (meeting(bot(), event=event(start=NOW - 2 * HOUR)), Drift.ORPHAN),
        (meeting(STALE, assignment=OURS), Drift.MISTIMED),
        (meeting(bot()), Drift.MISCONFIGURED),
        (meeting(bot(), STALE, assignment=OURS), Drift.DUPLICATE),
        (meeting(STALE, bot("other", start=START + 2 * HOUR)), Drift.DUPLICATE),
    ],
)
def test_each_difference_has_a_class(row: Meeting, expected: Drift | None) -> None:
    assert expected == drift_of(row, action_for(row, around()), now=NOW)


def test_another_configuration_is_misconfigured() -> None:
    row = meeting(bot(), assignment=OURS)
    action = action_for(row, around(rules=Rules(bot=BotSettings(bot_name="Scribe"))))
    assert Drift.MISCONFIGURED is drift_of(row, action, now=NOW)


@given(st.lists(core_values.bots, max_size=3), st.booleans())
def test_there_is_drift_exactly_where_a_call_is_due(entries: list[EventBot], join: bool) -> None:
    row = meeting(*entries, decision=core_values.JOIN if join else SKIP)
    action = action_for(row, around())
    assert (action is not None) == (drift_of(row, action, now=NOW) is not None)
