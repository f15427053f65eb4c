"""What the load calls lost or wrong, on small worlds of which the answer is plain."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from infra.local.emulators.clock import VirtualClock
from infra.local.emulators.recall import RecallWorld
from tests.load.book import Book, Meeting, Person
from tests.load.clients import Answer
from tests.load.faults import OUTAGE, Faults, plan
from tests.load.ledger import Ledger
from tests.load.verdict import (
    Verdict,
    during,
    meetings_against_bots,
    over_budget,
    webhooks_without_sweep,
)

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
START = NOW + timedelta(hours=3)
LINK = "https://acme.zoom.us/j/9100000001"


@pytest.fixture
def world() -> RecallWorld:
    return RecallWorld(VirtualClock(NOW), api_key="key", webhook_secret="", deliver=lambda _: 204)


@pytest.fixture
def person(world: RecallWorld) -> Person:
    account = world.account("google_calendar", "user@acme.example")
    return Person(
        email=account.email,
        entity_id="user",
        platform=account.platform,
        account=account,
        steady=False,
        connected=True,
    )


@pytest.fixture
def meeting(person: Person) -> Meeting:
    return Meeting(link=LINK, start=START, copies=[(person, "event")])


def judged(meeting: Meeting, *bots: tuple[datetime, str], now: datetime = NOW) -> Verdict:
    return meetings_against_bots(Book(meetings=[meeting]), {LINK: list(bots)}, now=now)


def test_a_wanted_meeting_with_its_bot_is_clean(meeting: Meeting) -> None:
    assert judged(meeting, (START, "ready")).clean


def test_a_wanted_meeting_without_a_bot_is_lost(meeting: Meeting) -> None:
    assert len(judged(meeting).lost) == 1


@pytest.mark.parametrize(
    "bots",
    [
        [(START, "ready"), (START, "ready")],
        [(START + timedelta(minutes=1), "ready")],
        [(NOW, "in_call_recording")],
    ],
)
def test_two_bots_or_a_wrong_time_are_violations(
    meeting: Meeting, bots: list[tuple[datetime, str]]
) -> None:
    assert len(judged(meeting, *bots).violations) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"cancelled": True},
        {"declined": True},
        {"choice": "off"},
    ],
)
def test_a_bot_of_an_unwanted_meeting_is_a_violation(
    meeting: Meeting, change: dict[str, object]
) -> None:
    for name, value in change.items():
        setattr(meeting, name, value)
    assert judged(meeting).clean
    assert len(judged(meeting, (START, "ready")).violations) == 1


def test_nothing_is_wanted_of_who_left_or_refuses_all(meeting: Meeting, person: Person) -> None:
    person.refuses_all = True
    assert not meeting.wanted
    meeting.choice = "on"
    assert meeting.wanted
    person.connected = False
    assert not meeting.wanted


def test_one_of_two_calendars_is_enough(meeting: Meeting, person: Person) -> None:
    other = Person(
        email="other@acme.example",
        entity_id="other",
        platform=person.platform,
        account=person.account,
        steady=True,
        connected=True,
    )
    meeting.copies.append((other, "copy"))
    person.connected = False
    assert meeting.wanted


def test_a_bot_must_be_in_a_meeting_that_has_begun(meeting: Meeting) -> None:
    later = START + timedelta(minutes=2)
    assert judged(meeting, (START, "in_call_recording"), now=later).clean
    assert not judged(meeting, (START, "ready"), now=later).clean
    late = START + timedelta(minutes=1)
    assert not judged(meeting, (late, "in_call_recording"), now=later).clean


def test_two_bots_at_any_moment_are_remembered(world: RecallWorld) -> None:
    ledger = Ledger(world, Faults(world, seed=1))
    for key in ("one", "two"):
        world.fleet.create({}, meeting_url=LINK, join_at=START, key=key)
    ledger.look()
    for bot in world.bots.values():
        world.fleet.remove(bot)
    ledger.look()
    assert during(ledger) == [f"two bots at a time for {LINK}"]


def test_a_server_error_is_forbidden_unless_it_says_when_to_come_again(world: RecallWorld) -> None:
    ledger = Ledger(world, Faults(world, seed=1))
    ledger.requests.note(Answer("GET /x", 503, 0.1, retry_after="2"))
    ledger.requests.note(Answer("GET /x", 404, 0.1))
    assert during(ledger) == []
    for status in (0, 500, 503):
        ledger.requests.note(Answer("GET /x", status, 0.1))
    assert during(ledger) == ["1 x GET /x: 0", "1 x GET /x: 500", "1 x GET /x: 503"]


def test_an_accepted_doorbell_wants_a_sweep(world: RecallWorld) -> None:
    world.core.send_sync("calendar", NOW)
    assert world.run_due() == 1
    assert webhooks_without_sweep(world) == 1


def test_calls_beyond_the_published_limit_are_found() -> None:
    assert over_budget(Counter(calendar_events_list=60)) == []
    assert len(over_budget(Counter(calendar_events_list=61))) == 1


def test_the_plan_has_every_fault_and_hangs_on_the_seed_alone() -> None:
    spans = [(0.0, 100.0), (200.0, 300.0)]
    planned = plan(7, spans=spans, outage=(120.0, 150.0))
    assert planned == plan(7, spans=spans, outage=(120.0, 150.0))
    assert planned != plan(8, spans=spans, outage=(120.0, 150.0))
    assert len(planned) == 17
    assert [window.kind for window in planned].count(OUTAGE) == 1


def test_every_call_is_counted_even_those_that_break(world: RecallWorld) -> None:
    faults = Faults(world, seed=1)
    faults.turn_on(OUTAGE)
    assert world.fault is not None
    answers = [world.fault("calendar_events_list") for _ in range(3)]
    assert [503, 503, 503] == [answer.status for answer in answers if answer]
    faults.turn_off(OUTAGE)
    assert world.fault("calendar_events_list") is None
    assert faults.most["calendar_events_list"] == 4


def test_webhooks_go_their_way_when_the_fault_is_over(world: RecallWorld) -> None:
    faults = Faults(world, seed=1)
    for kind in ("lost webhooks", "doubled webhooks", "reordered webhooks"):
        faults.turn_on(kind)
    faults.stir()
    for _ in range(4):
        world.core.send_sync("calendar", NOW)
    assert world.run_due() == 0
    for kind in ("lost webhooks", "doubled webhooks", "reordered webhooks"):
        faults.turn_off(kind)
    assert world.run_due() == 1
    assert ["lost"] * 3 + ["delivered"] == [each.state for each in world.webhooks.messages]
