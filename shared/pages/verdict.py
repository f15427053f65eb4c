"""What pages say of a meeting in one sentence: what will happen, or what happened instead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from shared.domain.decision import Decision
from shared.domain.ending import ENDED, Ending, ending_of
from shared.domain.meeting import Meeting
from shared.pages.texts import because, text, words


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`said` stands out, `why` follows "because"; `good`: a bot will be there, or was."""

    said: str
    why: str | None = None
    good: bool = False


def verdict_of(meeting: Meeting, *, now: datetime) -> Verdict:
    """The one wording of all pages."""
    ending, outcome = ending_of(meeting, now=now), meeting.outcome
    why = _why(outcome)
    match ending:
        case Ending.AHEAD:
            said = text("will_join" if outcome.join else "wont_join")
            return Verdict(said=said, why=because_of(outcome), good=outcome.join)
        case Ending.JOINED:
            return Verdict(said=_said(ending), why=why if outcome.join else None, good=True)
        case Ending.SENT_AWAY:
            return Verdict(said=_said(ending), why=why, good=True)
        case Ending.MISSED:
            missed = meeting.assignment.missed if meeting.assignment else None
            return Verdict(said=_said(ending), why=words("missed", missed))
        case Ending.REFUSED:
            return Verdict(said=_said(ending), why=words("missed", meeting.problem))
        case Ending.ABSENT:
            known = words("missed", meeting.setback) or None
            return Verdict(said=_said(ending), why=known if outcome.join else why or known)
        case Ending.UNWANTED if outcome.join or why is None:
            return Verdict(said=text("ending.over"))
        case Ending.UNWANTED:
            return Verdict(said=_said(ending), why=why)
        case _:
            assert_never(ending)


def vote_of(decision: Decision, *, over: bool) -> Verdict:
    """What one copy is, or was, for."""
    if over and decision.reason == ENDED:
        return Verdict(said=text("vote.over"))
    key = ("vote.was" if over else "vote.is") + (".for" if decision.join else ".against")
    return Verdict(said=text(key), why=because_of(decision), good=decision.join)


def because_of(decision: Decision) -> str:
    return because(decision.reason, join=decision.join)


def _why(outcome: Decision) -> str | None:
    """None where only the end is known."""
    return None if outcome.reason == ENDED else because_of(outcome)


def _said(ending: Ending) -> str:
    return text(f"ending.{ending.value}")
