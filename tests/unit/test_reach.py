"""What a person's word can still do for a meeting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.decision import Decision
from shared.domain.meeting import Assignment
from shared.domain.reach import Reach, reach_of
from tests.unit.core_values import JOIN, NOW, START, meeting

MINUTE = timedelta(minutes=1)
OFF = Decision(join=False, reason="override.off")
RULE = Decision(join=False, reason="base.off", rule="base")


def bot(state: str = "scheduled") -> Assignment:
    return Assignment(
        bot_id="b1", deduplication_key="key", fingerprint="f", join_at=START, state=state
    )


@pytest.mark.parametrize(
    ("facts", "now", "reach"),
    [
        ({"decision": JOIN}, NOW, Reach.FREE),
        ({"decision": JOIN, "assignment": bot()}, START - 11 * MINUTE, Reach.FREE),
        ({"decision": JOIN, "assignment": bot()}, START - 10 * MINUTE, Reach.LATE),
        ({"decision": JOIN, "assignment": bot("in_call_recording")}, START, Reach.LATE),
        ({"decision": RULE, "assignment": bot("in_call_recording")}, START, Reach.LATE),
        ({"decision": OFF, "assignment": bot()}, START - 11 * MINUTE, Reach.FREE),
        ({"decision": OFF, "assignment": bot()}, START - 10 * MINUTE, Reach.LEAVING),
        ({"decision": OFF, "leaving": ("b1",)}, START, Reach.LEAVING),
        ({"decision": JOIN, "assignment": bot("done")}, START, Reach.LEFT),
        ({"decision": OFF, "assignment": bot("done")}, START, Reach.LEFT),
        ({"decision": Decision(join=False, reason="denied.private")}, NOW, Reach.FIXED),
        ({"decision": Decision(join=False, reason="ineligible.no_link")}, NOW, Reach.FIXED),
        ({"decision": JOIN, "overruled": "vote.denied"}, NOW, Reach.FIXED),
        ({"decision": JOIN, "overruled": "vote.veto"}, NOW, Reach.FREE),
        ({"decision": JOIN, "assignment": bot()}, START + timedelta(days=1), Reach.OVER),
    ],
)
def test_reach(facts: dict[str, Any], now: Any, reach: Reach) -> None:
    assert reach is reach_of(meeting(**facts), now=now)
