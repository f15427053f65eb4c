"""Copies of one meeting decide together: who is heard, who prevails, whose bot it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.decision import Decision
from shared.domain.event import Answer
from shared.domain.meeting import Meeting
from shared.domain.rules import Mode, Rules, Veto, Vote
from shared.domain.vote import Ballot, bringers_of, tally
from tests.unit.core_values import JOIN, NOW, SKIP, event, meeting

OFF = Decision(join=False, reason="override.off")
DENIED = Decision(join=False, reason="denied.person", rule="deny.people:ceo@acme.example")
GONE = Decision(join=False, reason="ineligible.calendar_disconnected")


def ballot(name: str, **changes: Any) -> Ballot:
    facts: dict[str, Any] = {
        "event_id": f"event-{name}",
        "calendar_id": f"calendar-{name}",
        "connected_since": NOW,
        "organizes": False,
        "declined": False,
        "refuses": False,
        "decision": JOIN,
        "rules": Rules(),
    }
    return Ballot(**{**facts, **changes})


def off(name: str, **changes: Any) -> Ballot:
    return ballot(name, decision=OFF, refuses=True, **changes)


def under(rules: Rules, *ballots: Ballot) -> tuple[str | None, str | None]:
    """The owner's event and the reason of a vote that all hold under these rules."""
    outcome = tally(
        [
            Ballot(**{**{name: getattr(each, name) for name in Ballot.__slots__}, "rules": rules})
            for each in ballots
        ]
    )
    return (outcome.owner and outcome.owner.event_id, outcome.overruled)


def rows_of(*ballots: Ballot) -> list[Meeting]:
    """What is stored behind these ballots."""
    answer = {True: Answer.DECLINED, False: Answer.ACCEPTED}
    return [
        meeting(
            event=event(
                event_id=each.event_id,
                calendar_id=each.calendar_id,
                owner_is_organizer=each.organizes,
                owner_answer=answer[each.declined],
            ),
            wanted=each.decision.join and each.rules.mode is Mode.LIVE,
        )
        for each in ballots
    ]


@given(
    st.lists(
        st.builds(
            ballot,
            st.sampled_from("abcde"),
            organizes=st.booleans(),
            declined=st.booleans(),
            connected_since=st.sampled_from([NOW, NOW - timedelta(days=1)]),
            decision=st.sampled_from([JOIN, SKIP]),
            rules=st.sampled_from([Rules(), Rules(mode=Mode.PREVIEW)]),
        ),
        max_size=5,
        unique_by=lambda each: each.event_id,
    )
)
def test_rows_tell_whose_bot_it_is_as_the_vote_did(ballots: list[Ballot]) -> None:
    owner = tally(ballots).owner
    bringers = [each.event.event_id for each in bringers_of(rows_of(*ballots))]
    assert bool(bringers) is (owner is not None)
    assert owner is None or owner.event_id in bringers


def test_only_copies_that_are_alike_are_told_together() -> None:
    host, guest = ballot("h", organizes=True), ballot("g")
    told = [each.event.event_id for each in bringers_of(rows_of(guest, host, ballot("i")))]
    assert ["event-h"] == told
    assert 2 == len(bringers_of(rows_of(guest, ballot("i"), ballot("n", declined=True))))


A, B = ballot("a"), ballot("b")
HOST = ballot("h", organizes=True)
HOST_SKIPS = ballot("h", organizes=True, decision=SKIP)


@pytest.mark.parametrize(
    ("rules", "ballots", "expected"),
    [
        (Rules(), [A], ("event-a", None)),
        (Rules(), [ballot("a", decision=SKIP)], (None, None)),
        (Rules(), [ballot("a", decision=SKIP), B], ("event-b", None)),
        (Rules(), [HOST_SKIPS, B], ("event-b", None)),
        (Rules(vote=Vote.ORGANIZER_FIRST), [HOST_SKIPS, B], (None, "vote.organizer_first")),
        (Rules(vote=Vote.ORGANIZER_FIRST), [HOST, ballot("b", decision=SKIP)], ("event-h", None)),
        (Rules(vote=Vote.ORGANIZER_FIRST), [A, ballot("b", decision=SKIP)], ("event-a", None)),
        (Rules(vote=Vote.ORGANIZER_FIRST), [ballot("a", decision=SKIP), B], ("event-b", None)),
        (
            Rules(vote=Vote.ORGANIZER_FIRST),
            [ballot("h", organizes=True, decision=GONE), B],
            ("event-b", None),
        ),
        (
            Rules(vote=Vote.ORGANIZER_FIRST),
            [ballot("h", organizes=True, declined=True, decision=SKIP), B],
            (None, "vote.organizer_first"),
        ),
        (
            Rules(vote=Vote.ORGANIZER_FIRST),
            [ballot("h", organizes=True, declined=True), ballot("b", decision=SKIP)],
            ("event-h", None),
        ),
        (Rules(vote=Vote.ALL_AGREE), [A, B], ("event-a", None)),
        (Rules(vote=Vote.ALL_AGREE), [A, ballot("b", decision=SKIP)], (None, "vote.all_agree")),
        (Rules(vote=Vote.ALL_AGREE), [A, ballot("b", decision=GONE)], ("event-a", None)),
        (Rules(), [off("h", organizes=True), B], (None, "vote.veto")),
        (Rules(), [HOST, off("b")], ("event-h", None)),
        (Rules(veto=Veto.ANY), [HOST, off("b")], (None, "vote.veto")),
        (Rules(veto=Veto.NONE), [HOST, ballot("b", decision=DENIED)], (None, "vote.denied")),
        (Rules(veto=Veto.NONE), [off("h", organizes=True), B], ("event-b", None)),
        (
            Rules(veto=Veto.ANY),
            [A, ballot("b", decision=GONE, refuses=True)],
            ("event-a", None),
        ),
    ],
)
def test_the_outcome(
    rules: Rules, ballots: list[Ballot], expected: tuple[str | None, str | None]
) -> None:
    assert expected == under(rules, *ballots)


@pytest.mark.parametrize(
    ("ballots", "owner"),
    [
        ([A, HOST], "event-h"),
        ([ballot("a", connected_since=NOW + timedelta(days=1)), B], "event-b"),
        ([B, A], "event-a"),
        ([ballot("h", organizes=True, declined=True), B], "event-b"),
        ([HOST_SKIPS, B], "event-b"),
        ([ballot("h", organizes=True, decision=GONE), B, A], "event-a"),
    ],
)
def test_the_owner(ballots: list[Ballot], owner: str) -> None:
    assert (owner, None) == under(Rules(), *ballots)


def test_the_first_copy_s_rules_hold_for_all() -> None:
    strict = Rules(vote=Vote.ALL_AGREE)
    others = [ballot("b", decision=SKIP)]
    assert "vote.all_agree" == tally([ballot("h", organizes=True, rules=strict), *others]).overruled
    assert tally([HOST, ballot("b", decision=SKIP, rules=strict)]).owner is HOST


def test_a_copy_in_preview_lends_no_bot() -> None:
    preview = ballot("h", organizes=True, rules=Rules(mode=Mode.PREVIEW))
    assert tally([preview, B]).owner is B
    outcome = tally([preview])
    assert (None, None) == (outcome.owner, outcome.overruled)


@given(st.data())
def test_the_order_of_copies_does_not_matter(data: st.DataObject) -> None:
    ballots = data.draw(
        st.lists(
            st.builds(
                ballot,
                st.sampled_from("abcdef"),
                organizes=st.booleans(),
                declined=st.booleans(),
                refuses=st.booleans(),
                decision=st.sampled_from([JOIN, SKIP, OFF, GONE]),
                rules=st.builds(Rules, vote=st.sampled_from(Vote), veto=st.sampled_from(Veto)),
            ),
            max_size=5,
            unique_by=lambda each: each.event_id,
        )
    )
    assert tally(ballots) == tally(data.draw(st.permutations(ballots)))
