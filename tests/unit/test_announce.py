"""What the host hears of a step of a row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.announce import Step, notices
from shared.domain.decision import Decision
from shared.domain.meeting import Assignment, Meeting
from shared.domain.notice import BotCancelled, BotRescheduled, BotScheduled, MeetingMissed, Notice
from tests.unit.core_values import HOUR, JOIN, NOW, SKIP, START, calendar, event, key, meeting

ASSIGNED = Assignment(bot_id="bot-1", deduplication_key=key(), fingerprint="f", join_at=START)
BARE = meeting()
OWED = meeting(due=True)
WITH_BOT = meeting(assignment=ASSIGNED)
OF_UNKNOWN_MAKE = meeting(assignment=replace(ASSIGNED, fingerprint=""))
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
        (OF_UNKNOWN_MAKE, WITH_BOT, []),
        (OF_UNKNOWN_MAKE, MOVED, [BotRescheduled]),
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


def test_a_bot_that_came_is_told_whole() -> None:
    (came,) = heard(OWED, WITH_BOT)
    assert (
        BotScheduled(**ABOUT, bot_id="bot-1", start_time=START, join_at=START, reason="base.all")
        == came
    )
    (went,) = heard(WITH_BOT, replace(BARE, decision=SKIP))
    assert BotCancelled(**ABOUT, bot_id="bot-1", reason="rsvp") == went
    (moved,) = heard(WITH_BOT, MOVED)
    assert START + HOUR == moved.start_time


ABOUT: dict[str, Any] = {
    "tenant_id": "default",
    "entity_id": "u1",
    "calendar_id": "calendar-1",
    "occurred_at": NOW,
    "event_id": "event-1",
}
END = START + HOUR


@pytest.mark.parametrize(
    ("missed", "before", "now"),
    [
        (["no_bot_in_time"], OWED, END),
        ([], OWED, END - HOUR / 60),
        ([], replace(OWED, due=False), END),
        ([], replace(OWED, decision=SKIP), END),
        ([], replace(WITH_BOT, due=True), END),
        (["bot_pool_empty"], replace(OWED, setback="bot_pool_empty"), END),
        (["recall_refused"], replace(OWED, problem="recall_refused"), END),
    ],
)
def test_a_bot_is_missed_at_the_end_of_a_meeting_that_was_owed_one(
    missed: list[str], before: Meeting, now: Any
) -> None:
    after = replace(before, due=False)
    assert missed == [notice.reason for notice in heard(before, after, now=now)]


@pytest.mark.parametrize(
    ("told", "missed", "decision"),
    [(True, "bot_failed", JOIN), (False, None, JOIN), (False, "bot_failed", SKIP)],
)
def test_a_bot_given_up_is_told_with_its_detail(
    told: bool, missed: str | None, decision: Decision
) -> None:
    given_up = replace(ASSIGNED, missed=missed, missed_detail="meeting_locked")
    after = replace(WITH_BOT, assignment=given_up, decision=decision)
    expected = MeetingMissed(
        **ABOUT, start_time=START, reason="bot_failed", detail="meeting_locked"
    )
    assert ((expected,) if told else ()) == heard(WITH_BOT, after)
    assert () == heard(after, after)


def test_a_bot_that_is_missed_at_its_first_sight_is_told() -> None:
    after = replace(WITH_BOT, assignment=replace(ASSIGNED, missed="bot_failed"))
    assert [MeetingMissed, BotScheduled] == [type(notice) for notice in heard(OWED, after)]
