"""What is said of a meeting that has begun or is over, instead of what was to happen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.decision import Decision
from shared.domain.ending import ENDED, Ending, ending_of
from shared.domain.meeting import Assignment, Meeting
from shared.pages.verdict import Verdict, verdict_of, vote_of
from tests.unit.core_values import HOUR, JOIN, NOW, SKIP, START, event, meeting

OVER = Decision(join=False, reason=ENDED)
OFF = Decision(join=False, reason="override.off")
AFTER = START + 2 * HOUR
MINUTE = HOUR / 60


def bot(**facts: Any) -> Assignment:
    asked = {"bot_id": "b", "deduplication_key": "k", "fingerprint": "f", "join_at": START}
    return Assignment(**asked, **facts)


def row(decision: Decision = JOIN, *, wanted: bool = True, **facts: Any) -> Meeting:
    return replace(meeting(), event=event(), decision=decision, wanted=wanted, **facts)


DONE, MISSED = bot(state="done"), bot(state="fatal", missed="bot_failed")


@pytest.mark.parametrize(
    ("found", "ending", "said"),
    [
        (row(assignment=DONE), Ending.JOINED, "Joined, because all meetings are joined"),
        (row(OVER, assignment=DONE), Ending.JOINED, "Joined"),
        (
            row(OFF, assignment=DONE),
            Ending.SENT_AWAY,
            "Joined and was sent away, because somebody switched it off",
        ),
        (
            row(OVER, assignment=MISSED),
            Ending.MISSED,
            "Missed, because the bot failed before it was in",
        ),
        (
            row(problem="recall_refused"),
            Ending.REFUSED,
            "No bot came, because Recall refused the bot",
        ),
        (row(), Ending.ABSENT, "No bot came"),
        (row(assignment=bot()), Ending.ABSENT, "No bot came"),
        (row(OVER, setback="never_heard_of"), Ending.ABSENT, "No bot came, because never_heard_of"),
        (
            row(setback="budget"),
            Ending.ABSENT,
            "No bot came, because the Recall workspace has no credit left",
        ),
        (
            row(SKIP, wanted=False),
            Ending.UNWANTED,
            "Did not join, because the invitation is not answered as the rules ask",
        ),
        (row(OVER, wanted=False), Ending.UNWANTED, "Over, and no bot was to join"),
        # Rules that are only tried out, say.
        (row(wanted=False), Ending.UNWANTED, "Over, and no bot was to join"),
    ],
)
def test_a_meeting_that_is_over(found: Meeting, ending: Ending, said: str) -> None:
    assert ending is ending_of(found, now=AFTER)
    assert said == sentence(verdict_of(found, now=AFTER))


@pytest.mark.parametrize(
    ("found", "now", "said"),
    [
        (row(), NOW, "Will join, because all meetings are joined"),
        (
            row(SKIP, wanted=False),
            NOW,
            "Won't join, because the invitation is not answered as the rules ask",
        ),
        # Nobody knows yet: it may still come.
        (row(assignment=MISSED), START + MINUTE, "Will join, because all meetings are joined"),
        (
            row(assignment=bot(state="in_call_recording")),
            START + MINUTE,
            "Joined, because all meetings are joined",
        ),
        (
            row(OFF, assignment=bot(state="in_call_recording")),
            START + MINUTE,
            "Joined and was sent away, because somebody switched it off",
        ),
    ],
)
def test_before_the_end(found: Meeting, now: Any, said: str) -> None:
    assert said == sentence(verdict_of(found, now=now))


def test_a_vote_is_told_in_its_time() -> None:
    assert "For a bot, because all meetings are joined" == sentence(vote_of(JOIN, over=False))
    assert "Was for a bot, because all meetings are joined" == sentence(vote_of(JOIN, over=True))
    assert sentence(vote_of(OFF, over=True)) == "Was against, because somebody switched it off"
    assert "Over" == sentence(vote_of(OVER, over=True))


def sentence(verdict: Verdict) -> str:
    return verdict.said if verdict.why is None else f"{verdict.said}, because {verdict.why}"
