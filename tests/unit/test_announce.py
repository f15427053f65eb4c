"""What the host hears of a step of a row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.announce import Step, notices
from shared.domain.meeting import Assignment, Meeting
from shared.domain.notice import BotCancelled, BotRescheduled, BotScheduled, MeetingMissed, Notice
from tests.unit.core_values import HOUR, NOW, SKIP, START, calendar, event, key, meeting

ASSIGNED = Assignment(bot_id="bot-1", deduplication_key=key(), fingerprint="f", join_at=START)
BARE = meeting()
OWED = meeting(due=True)
WITH_BOT = meeting(assignment=ASSIGNED)
MOVED = meeting(event=event(start=START + HOUR), assignment=replace(ASSIGNED, join_at=START + HOUR))


def heard(before: Meeting, after: Meeting, **changes: Any) -> tuple[Notice, ...]:
    facts: dict[str, Any] = {"calendar": calendar(), "now": NOW, **changes}
    return notices(Step(before=before, after=after, **facts))


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        (BARE, BARE, []),
        (BARE, OWED, []),
        (OWED, WITH_BOT, [BotScheduled]),
        (WITH_BOT, WITH_BOT, []),
        (WITH_BOT, replace(WITH_BOT, decision=SKIP), []),
        (WITH_BOT, MOVED, [BotRescheduled]),
        (WITH_BOT, replace(BARE, decision=SKIP), [BotCancelled]),
        (OWED, replace(OWED, due=False, problem="recall_refused"), [MeetingMissed]),
        (replace(OWED, problem="recall_refused"), replace(OWED, problem="recall_refused"), []),
        (OWED, replace(OWED, decision=SKIP, problem="recall_refused"), []),
    ],
)
def test_each_step_is_told_once(before: Meeting, after: Meeting, kinds: list[type[Notice]]) -> None:
    assert kinds == [type(notice) for notice in heard(before, after)]


def test_what_the_bot_itself_reports_is_told_elsewhere() -> None:
    reports = {"state": "in_call_recording", "state_at": NOW, "recording": "processing"}
    joined = replace(WITH_BOT, assignment=replace(ASSIGNED, recording_at=NOW, **reports))
    assert () == heard(WITH_BOT, joined)


def test_a_replaced_bot_is_named_and_a_moved_one_is_not() -> None:
    (moved,) = heard(WITH_BOT, MOVED)
    assert isinstance(moved, BotRescheduled)
    assert (None, START + HOUR) == (moved.previous_bot_id, moved.join_at)
    other = replace(WITH_BOT, assignment=replace(ASSIGNED, bot_id="bot-2"))
    (replaced,) = heard(WITH_BOT, other)
    assert isinstance(replaced, BotRescheduled)
    assert ("bot-2", "bot-1") == (replaced.bot_id, replaced.previous_bot_id)


def test_a_notice_says_whose_it_is_and_why() -> None:
    (cancelled,) = heard(WITH_BOT, replace(BARE, decision=SKIP))
    assert isinstance(cancelled, BotCancelled)
    assert ("default", "u1", "calendar-1", "event-1", NOW, "rsvp") == (
        cancelled.tenant_id,
        cancelled.entity_id,
        cancelled.calendar_id,
        cancelled.event_id,
        cancelled.occurred_at,
        cancelled.reason,
    )


def test_a_meeting_that_ended_while_its_bot_was_owed_was_missed() -> None:
    over = replace(OWED, decision=SKIP, due=False)
    (missed,) = heard(OWED, over, now=START + 2 * HOUR)
    assert isinstance(missed, MeetingMissed)
    assert ("no_bot_in_time", START) == (missed.reason, missed.start_time)
    assert () == heard(replace(OWED, decision=SKIP), over, now=START + 2 * HOUR)


def test_nobody_is_told_of_a_calendar_that_is_not_ours() -> None:
    assert () == heard(WITH_BOT, replace(BARE, decision=SKIP), calendar=None)
