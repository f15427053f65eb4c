"""The planner of self-managed bots: what comes next, and that it comes to an end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.claim import (
    NOTICE,
    ORPHAN_LASTS,
    REPLAYED_FOR,
    SETTLED_AFTER,
    UNKNOWN,
    Cancel,
    Claim,
    Create,
    Drop,
    Find,
    HandOver,
    Intend,
    Move,
    Reclaim,
    Release,
    Replace,
    Update,
    Wait,
    Wanted,
    adopted,
    answered,
    begun,
    bot_metadata,
    doubted,
    handed_over,
    intended,
    lost,
    next_move,
    next_parting,
    orphaned,
    postponed,
    reclaimed,
    released,
    settled,
    unfound,
    updated,
    without,
)
from shared.domain.rules import BotSettings

NOW = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
FAR = NOW + NOTICE + SECOND
NEAR = NOW + NOTICE
PAST = NOW - HOUR
MEET = "https://meet.google.com/qkr-wzpn-abt"
OTHER_MEET = "https://meet.google.com/tpc-rdqo-vhs"


def wanted(**changes: Any) -> Wanted:
    facts = {
        "meeting_key": "key",
        "event_id": "event-1",
        "meeting_url": MEET,
        "start": FAR,
        "end": FAR + HOUR,
        "bot": BotSettings(),
        "fingerprint": "print",
        **changes,
    }
    return Wanted(**facts)


def held(bot_id: str | None = "bot-1", **changes: Any) -> Claim:
    """A claim that matches `wanted()` unless told otherwise."""
    claim = begun(wanted(), idempotency_key="intent-1", now=NOW)
    return replace(claim, bot_id=bot_id, **changes)


@pytest.mark.parametrize(
    ("move", "claim", "wish"),
    [
        pytest.param(None, held(), wanted(), id="held"),
        pytest.param(None, held(), wanted(event_id="event-2"), id="another copy"),
        pytest.param(Intend(), held(None, intended_at=None), wanted(), id="unused"),
        pytest.param(Create(), held(None), wanted(), id="intent"),
        pytest.param(
            Create(), held(None, intended_at=NOW - REPLAYED_FOR + SECOND), wanted(), id="replayed"
        ),
        pytest.param(Find(), held(None, intended_at=NOW - REPLAYED_FOR), wanted(), id="expired"),
        pytest.param(Cancel(bot_id="b"), held(None, leaving=("b", "c")), wanted(), id="leaving"),
        pytest.param(Reclaim(), held(releasing=True, leaving=("b",)), wanted(), id="releasing"),
        pytest.param(HandOver(), held(releasing=True, moving_to="k"), wanted(), id="moving"),
        pytest.param(Update(timed=True), held(), wanted(start=FAR + HOUR), id="later"),
        pytest.param(Update(timed=True), held(time_doubted=True), wanted(), id="doubted"),
        pytest.param(Replace(), held(start=NEAR), wanted(), id="was near"),
        pytest.param(Replace(), held(), wanted(start=NEAR), id="pulled near"),
        pytest.param(Replace(), held(start=PAST), wanted(), id="was sent"),
        pytest.param(Update(timed=False), held(), wanted(meeting_url=OTHER_MEET), id="link"),
        pytest.param(
            Replace(), held(start=NEAR), wanted(start=NEAR, meeting_url=OTHER_MEET), id="near link"
        ),
        pytest.param(
            Replace(), held(start=PAST), wanted(start=PAST, meeting_url=OTHER_MEET), id="late link"
        ),
        pytest.param(Update(timed=False), held(), wanted(fingerprint="other"), id="rules"),
        pytest.param(
            Update(timed=False),
            held(start=NEAR, fingerprint=UNKNOWN),
            wanted(start=NEAR),
            id="near rules",
        ),
        pytest.param(
            None, held(start=PAST), wanted(start=PAST, fingerprint="other"), id="rules in the call"
        ),
        pytest.param(
            None, held(start=NOW), wanted(start=NOW, fingerprint="other"), id="rules at the start"
        ),
    ],
)
def test_next_move(move: Move | None, claim: Claim, wish: Wanted) -> None:
    assert move == next_move(claim, wish, now=NOW)


@pytest.mark.parametrize(
    ("parting", "claim"),
    [
        pytest.param(HandOver(), held(moving_to="k"), id="moving"),
        pytest.param(Release(), held(), id="held"),
        pytest.param(Cancel(bot_id="b"), held(releasing=True, leaving=("b", "c")), id="leaving"),
        pytest.param(Cancel(bot_id="bot-1"), held(releasing=True), id="bot"),
        pytest.param(Find(), held(None, releasing=True), id="no answer"),
        pytest.param(Drop(), held(None, releasing=True, intended_at=None), id="nothing"),
    ],
)
def test_next_parting(parting: object, claim: Claim) -> None:
    assert parting == next_parting(claim)


@pytest.mark.parametrize(
    ("left", "outcome"),
    [(SECOND, Wait(until=NOW + SECOND)), (timedelta(0), Drop())],
)
def test_an_intent_is_given_time_to_show(left: timedelta, outcome: object) -> None:
    claim = held(None, intended_at=NOW - SETTLED_AFTER + left)
    assert outcome == unfound(claim, now=NOW)
    assert Drop() == unfound(replace(claim, intended_at=None), now=NOW)


def test_a_bot_of_another_body_is_not_taken_for_what_is_wanted() -> None:
    claim = begun(wanted(fingerprint="old"), idempotency_key="i", now=NOW)
    wish = wanted(fingerprint="new")

    def after(fingerprint: str) -> str:
        metadata = bot_metadata(wanted(fingerprint=fingerprint), idempotency_key="i")
        return answered(claim, wish, bot_id="b", metadata=metadata).fingerprint

    assert ["old", "new", UNKNOWN] == [after(each) for each in ("old", "new", "third")]


def test_an_answer_without_metadata_is_taken_at_its_word() -> None:
    claim = begun(wanted(), idempotency_key="i", now=NOW)
    assert "print" == answered(claim, wanted(), bot_id="b", metadata={}).fingerprint


def test_an_orphan_is_given_time_to_find_its_claim() -> None:
    claim = orphaned("bot-1", join_at=FAR, now=NOW)
    assert ("orphan|bot-1", NOW + SETTLED_AFTER) == (claim.meeting_key, claim.next_attempt)
    assert Cancel(bot_id="bot-1") == next_parting(claim)


def test_postponing_never_hastens() -> None:
    claim = held(next_attempt=FAR)
    assert FAR == postponed(claim, until=NOW).next_attempt
    assert FAR + HOUR == postponed(claim, until=FAR + HOUR).next_attempt


MOMENTS = st.sampled_from([PAST, NOW, NEAR, FAR, FAR + HOUR])
CLAIMS = st.builds(
    held,
    st.sampled_from([None, "bot-1"]),
    meeting_url=st.sampled_from([MEET, OTHER_MEET, UNKNOWN]),
    fingerprint=st.sampled_from(["print", "other", UNKNOWN]),
    start=MOMENTS,
    intended_at=st.sampled_from([None, NOW, NOW - REPLAYED_FOR]),
    time_doubted=st.booleans(),
    leaving=st.sampled_from([(), ("b",), ("b", "c")]),
    moving_to=st.sampled_from([None, "key-2"]),
    releasing=st.booleans(),
)
WISHES = st.builds(
    wanted,
    start=MOMENTS,
    meeting_url=st.sampled_from([MEET, OTHER_MEET]),
    fingerprint=st.sampled_from(["print", "new"]),
)


class World:
    """The bots that live, and a hand that carries out what the planner says."""

    def __init__(self, claim: Claim, *, made: bool) -> None:
        self.claim: Claim | None = claim
        self.bots = {bot for bot in (claim.bot_id, *claim.leaving) if bot}
        self.moved: list[Claim] = []
        # Whether the Create of an intent went through before its answer was lost.
        self.made = made and claim.bot_id is None and claim.intended_at is not None
        if self.made:
            self.bots.add("unseen")

    def step(self, wish: Wanted) -> bool:
        """False when nothing is left to do."""
        claim = self.claim or begun(wish, idempotency_key="new", now=NOW)
        move = next_move(claim, wish, now=NOW)
        self.claim = claim if move is None else self._after(move, claim, wish=wish)
        return move is not None

    def part(self) -> bool:
        if self.claim is None:
            return False
        match next_parting(self.claim):
            case HandOver():
                self._hand_over(self.claim)
            case Release():
                self.claim = released(self.claim, now=NOW)
            case Cancel(bot_id=bot_id):
                self.bots.discard(bot_id)
                self.claim = without(self.claim, bot_id)
            case Find() if self.made:
                self.made, self.claim = False, replace(self.claim, bot_id="unseen")
            case Find() | Drop() | Wait():
                self.claim = None
        return True

    def _hand_over(self, claim: Claim) -> None:
        self.moved.append(handed_over(claim, claim.moving_to or "", now=NOW))
        self.claim = None

    def _after(self, move: Move, claim: Claim, *, wish: Wanted) -> Claim | None:
        match move:
            case HandOver():
                self._hand_over(claim)
                return None
            case Reclaim():
                return reclaimed(claim, wish, idempotency_key="new", now=NOW)
            case Cancel(bot_id=bot_id):
                self.bots.discard(bot_id)
                return without(claim, bot_id)
            case Intend() | Replace():
                return intended(claim, wish, idempotency_key="new", now=NOW)
            case Create():
                bot_id = "unseen" if self.made else "made"
                self.made = False
                self.bots.add(bot_id)
                # Recall replays what it was first asked for.
                told = {} if bot_id == "made" else {"rollcall_make": claim.make}
                return answered(claim, wish, bot_id=bot_id, metadata=told)
            case Find():
                if not self.made:
                    return lost(claim, idempotency_key="new", now=NOW)
                self.made = False
                return adopted(claim, bot_id="unseen", metadata={})
            case Update(timed=timed):
                return updated(doubted(claim, wish, timed=timed), wish)


@given(claim=CLAIMS, wish=WISHES, made=st.booleans())
def test_a_plan_carried_out_leaves_one_bot_and_nothing_to_plan(
    claim: Claim,
    wish: Wanted,
    made: bool,
) -> None:
    world = World(claim, made=made)
    steps = 0
    while world.step(wish):
        steps += 1
        assert steps < 16
    assert world.claim is not None
    kept = {world.claim.bot_id}
    moved = {bot for each in world.moved for bot in (each.bot_id, *each.leaving) if bot}
    unseen = {"unseen"} if world.moved and world.made else set()
    assert kept | moved | unseen == world.bots
    assert settled(world.claim).due is False


@given(claim=CLAIMS, made=st.booleans())
def test_a_parting_carried_out_leaves_no_bot(claim: Claim, made: bool) -> None:
    world = World(claim, made=made)
    for _ in range(16):
        if not world.part():
            break
    moved = {bot for each in world.moved for bot in (each.bot_id, *each.leaving) if bot}
    unseen = {"unseen"} if world.moved and world.made else set()
    assert (None, moved | unseen) == (world.claim, world.bots)


# The rows themselves: what each step stores, whole.

BEGUN = Claim(
    meeting_key="key",
    event_id="event-1",
    meeting_url=MEET,
    start=FAR,
    end=FAR + HOUR,
    fingerprint="print",
    keys=frozenset({"recording_config"}),
    idempotency_key="intent-1",
    intended_at=NOW,
    due=True,
    next_attempt=NOW + timedelta(minutes=2),
)
RECORDING = BotSettings(config={"recording_config": {}})
OTHER = wanted(
    event_id="event-2",
    meeting_url=OTHER_MEET,
    start=FAR + HOUR,
    end=FAR + 3 * HOUR,
    bot=BotSettings(config={"zoom": {}}),
    fingerprint="other",
)
AS_OTHER = {
    "event_id": "event-2",
    "meeting_url": OTHER_MEET,
    "start": FAR + HOUR,
    "end": FAR + 3 * HOUR,
    "fingerprint": "other",
    "keys": frozenset({"zoom"}),
}
HOLDING = replace(BEGUN, bot_id="bot-1", leaving=("b",), version=7)


def test_a_claim_begins_due_with_all_that_will_be_sent() -> None:
    assert BEGUN == begun(wanted(bot=RECORDING), idempotency_key="intent-1", now=NOW)


def test_a_new_intent_lets_the_bot_leave_first() -> None:
    fresh = replace(BEGUN, **AS_OTHER, idempotency_key="i-2", leaving=("b", "bot-1"), version=7)
    assert fresh == intended(HOLDING, OTHER, idempotency_key="i-2", now=NOW)
    nobody = replace(HOLDING, bot_id=None)
    assert ("b",) == intended(nobody, OTHER, idempotency_key="i-2", now=NOW).leaving


def test_a_lost_bot_leaves_an_unused_key() -> None:
    gone = replace(HOLDING, bot_id=None, idempotency_key="i-2", intended_at=None, next_attempt=PAST)
    doubtful = replace(HOLDING, time_doubted=True, due=False)
    assert gone == lost(doubtful, idempotency_key="i-2", now=PAST)


def test_a_reclaimed_bot_is_replaced_and_an_unanswered_create_is_not() -> None:
    releasing = replace(HOLDING, releasing=True)
    assert intended(HOLDING, OTHER, idempotency_key="i-2", now=NOW) == reclaimed(
        releasing, OTHER, idempotency_key="i-2", now=NOW
    )
    unanswered = replace(releasing, bot_id=None)
    assert replace(unanswered, releasing=False) == reclaimed(
        unanswered, OTHER, idempotency_key="i-2", now=NOW
    )


def test_a_bot_that_went_is_mentioned_no_more() -> None:
    assert replace(HOLDING, leaving=()) == without(HOLDING, "b")
    assert replace(HOLDING, bot_id=None, intended_at=None) == without(HOLDING, "bot-1")
    twice = replace(HOLDING, leaving=("b", "bot-1"))
    assert ("b",) == without(twice, "bot-1").leaving
    assert [True, True, False] == [HOLDING.mentions(each) for each in ("bot-1", "b", "c")]


@pytest.mark.parametrize("timed", [True, False])
def test_before_an_update_nothing_sent_is_trusted(timed: bool) -> None:
    expected = replace(
        HOLDING,
        event_id="event-2",
        end=FAR + 3 * HOUR,
        fingerprint=UNKNOWN,
        meeting_url=UNKNOWN,
        keys=frozenset({"recording_config", "zoom"}),
        time_doubted=timed,
    )
    assert expected == doubted(HOLDING, OTHER, timed=timed)
    same_link = replace(OTHER, meeting_url=MEET)
    assert MEET == doubted(HOLDING, same_link, timed=timed).meeting_url
    assert doubted(replace(HOLDING, time_doubted=True), OTHER, timed=False).time_doubted


def test_an_answered_update_is_what_was_asked() -> None:
    expected = replace(HOLDING, **AS_OTHER)
    assert expected == updated(replace(HOLDING, time_doubted=True), OTHER)


def test_an_answered_create_is_believed_as_far_as_its_make_says() -> None:
    unanswered = replace(HOLDING, bot_id=None)
    third = wanted(fingerprint="third", start=PAST)

    def after(make: Wanted) -> Claim:
        metadata = bot_metadata(make, idempotency_key="i")
        return answered(unanswered, OTHER, bot_id="bot-1", metadata=metadata)

    assert replace(HOLDING, **AS_OTHER) == after(OTHER)
    assert HOLDING == after(wanted())
    assert doubtful(HOLDING) == after(third)


def doubtful(claim: Claim) -> Claim:
    return replace(claim, fingerprint=UNKNOWN, meeting_url=UNKNOWN, time_doubted=True)


def test_a_found_bot_is_believed_when_its_make_is_ours() -> None:
    unanswered = replace(HOLDING, bot_id=None)
    ours = bot_metadata(wanted(), idempotency_key="i")
    assert HOLDING == adopted(unanswered, bot_id="bot-1", metadata=ours)
    assert doubtful(HOLDING) == adopted(unanswered, bot_id="bot-1", metadata={})


def test_a_release_is_due_at_once_and_a_settled_claim_never() -> None:
    idle = replace(HOLDING, due=False, next_attempt=None)
    assert replace(idle, releasing=True, due=True, next_attempt=PAST) == released(idle, now=PAST)
    assert idle == settled(HOLDING)
    assert PAST == postponed(idle, until=PAST).next_attempt


def test_a_claim_moves_with_all_that_it_holds() -> None:
    moving = replace(HOLDING, moving_to="key-2", due=False, next_attempt=None)
    expected = replace(
        HOLDING,
        meeting_key="key-2",
        moving_to=None,
        due=True,
        next_attempt=PAST + SETTLED_AFTER,
        version=None,
    )
    assert expected == handed_over(moving, "key-2", now=PAST)


def test_an_orphan_is_a_claim_that_lets_go() -> None:
    expected = Claim(
        meeting_key="orphan|bot-1",
        event_id="orphan",
        meeting_url=UNKNOWN,
        start=FAR,
        end=FAR + ORPHAN_LASTS,
        fingerprint=UNKNOWN,
        idempotency_key="orphan",
        bot_id="bot-1",
        releasing=True,
        due=True,
        next_attempt=NOW + timedelta(minutes=2),
    )
    assert expected == orphaned("bot-1", join_at=FAR, now=NOW)
    assert timedelta(days=1) == ORPHAN_LASTS


def test_a_bot_says_whose_it_is() -> None:
    assert {
        "rollcall_meeting": "key",
        "rollcall_event": "event-1",
        "rollcall_claim": "intent-1",
        "rollcall_make": "print@2027-03-01T09:10:31Z",
        "rollcall_mode": "self_managed",
    } == bot_metadata(wanted(), idempotency_key="intent-1")


def test_a_claim_outlives_its_meeting_by_a_week() -> None:
    assert FAR + HOUR + timedelta(days=7) == BEGUN.expires_at
    last = datetime(9999, 12, 31, 23, tzinfo=UTC)
    assert last > replace(BEGUN, end=last).expires_at - timedelta(days=7)


@pytest.mark.parametrize(
    ("empty", "claim"),
    [
        (True, replace(BEGUN, intended_at=None)),
        (False, BEGUN),
        (False, replace(BEGUN, intended_at=None, bot_id="bot-1")),
        (False, replace(BEGUN, intended_at=None, leaving=("b",))),
    ],
)
def test_a_claim_is_empty_when_nothing_at_recall_can_be_its(empty: bool, claim: Claim) -> None:
    assert empty is claim.empty


def test_the_limits_are_those_of_recall() -> None:
    assert timedelta(minutes=10, seconds=30) == NOTICE
    assert timedelta(minutes=55) == REPLAYED_FOR
    assert timedelta(minutes=2) == SETTLED_AFTER
