"""The vote: copies of one meeting decide together whether it gets a bot, and whose it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from shared.domain.decision import Decision
from shared.domain.event import Answer
from shared.domain.meeting import VETOED, Meeting
from shared.domain.rules import Mode, Rules, Veto, Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """What one copy brings: its own decision, and what makes it heard.

    `refuses`: a person said off or opted out, which is more than a rule that does not apply.
    """

    event_id: str
    calendar_id: str
    connected_since: datetime
    organizes: bool
    declined: bool
    refuses: bool
    decision: Decision
    rules: Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The outcome: the copy whose bot it is, or why none is wanted.

    `overruled` is the reason for copies that would join; None where nobody would.
    """

    owner: Ballot | None
    overruled: str | None = None


DENIED = "vote.denied"


def tally(ballots: Sequence[Ballot]) -> Tally:
    """Combine the copies under the rules of the first among them, whatever their order.

    A copy that is not eligible, for example of a disconnected calendar, has no vote; what is
    denied to one copy is denied to all.
    """
    voters = sorted((each for each in ballots if _may_vote(each)), key=_rank)
    joining = [each for each in voters if each.decision.join]
    if not joining:
        return Tally(owner=None)
    if any(each.decision.reason.startswith("denied.") for each in voters):
        return Tally(owner=None, overruled=DENIED)
    rules = voters[0].rules
    if _vetoed(voters, rules.veto):
        return Tally(owner=None, overruled=VETOED)
    if not _passed(voters, rules.vote):
        return Tally(owner=None, overruled=f"vote.{rules.vote.value}")
    live = (each for each in joining if each.rules.mode is Mode.LIVE)
    return Tally(owner=next(live, None))


def bringers_of(copies: Iterable[Meeting]) -> list[Meeting]:
    """The copies of which one is the owner of the vote, as far as the rows alone tell.

    Of several it is the one whose calendar was connected first. The meeting may be over.
    """
    wanting = [copy for copy in copies if copy.wanted]
    first = min(map(_standing, wanting), default=None)
    return [copy for copy in wanting if _standing(copy) == first]


def _standing(copy: Meeting) -> tuple[bool, bool]:
    return (copy.event.owner_answer is Answer.DECLINED, not copy.event.owner_is_organizer)


def _may_vote(ballot: Ballot) -> bool:
    return not ballot.decision.reason.startswith("ineligible.")


def _rank(ballot: Ballot) -> tuple[bool, bool, datetime, str, str]:
    """The organizer's copy, else the calendar connected first, else the lowest id."""
    first = (ballot.declined, not ballot.organizes)
    return (*first, ballot.connected_since, ballot.calendar_id, ballot.event_id)


def _vetoed(voters: Sequence[Ballot], veto: Veto) -> bool:
    match veto:
        case Veto.NONE:
            return False
        case Veto.ORGANIZER:
            return any(each.refuses and each.organizes for each in voters)
        case Veto.ANY:
            return any(each.refuses for each in voters)
        case never:
            assert_never(never)


def _passed(voters: Sequence[Ballot], vote: Vote) -> bool:
    match vote:
        case Vote.ANY:
            return True
        case Vote.ORGANIZER_FIRST:
            # The organizer who declined comes last among the owners, and decides all the same.
            host = next((each for each in voters if each.organizes), None)
            return host is None or host.decision.join
        case Vote.ALL_AGREE:
            return all(each.decision.join for each in voters)
        case never:
            assert_never(never)
