"""What nobody outside the vendor knows for sure: whichever way it is, the bots come right."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from moto import mock_aws

from infra.local.emulators.recall.accounts import Account
from infra.local.emulators.recall.switches import Switches
from shared.domain.secret import Secret
from tests.stack import GOOGLE, OUTLOOK, START, Stack

OWNER = "owner@acme.example"
DANA = "dana@acme.example"
GUEST = "guest@globex.example"
MEET = "https://meet.google.com/qkr-wzpn-abt"
OTHER_MEET = "https://meet.google.com/tpc-rdqo-vhs"
SOLO_MEET = "https://meet.google.com/bva-kloi-gqp"
HOUR = timedelta(hours=1)
TEN = START + HOUR
NOON = START + 3 * HOUR
# A tick, the page that it reads, and the calls that follow.
PATIENCE_SECONDS = 75.0
# What Recall's answer leaves open waits for the next tick when no webhook rings.
LONG_PATIENCE_SECONDS = 140.0

# Switches of doors that the scheduler never opens, each tested where they are met.
NOT_MET = {
    "bots_page_size": "lists no bots",
    "calendars_page_size": "lists no calendars",
    "credentials_checked_on_create": "creates no calendars",
    "delete_event_bot": "never uses the bot endpoints on an event's bot",
    "duplicate_calendars": "creates no calendars",
    "email_filter": "lists no calendars",
    "join_at_in_bot_config": "never sends join_at",
    "late_delete_status": "never uses the bot endpoints on an event's bot",
    "next_host": "an attack, not an open point: the client refuses the link",
    "patch_event_bot": "never uses the bot endpoints on an event's bot",
    "rotated_token_shown": "reads no tokens",
    "shared_bot_on_calendar_delete": "deletes no calendars",
    "status_detail_field": "parsed by the client, which has its own tests",
    "status_sub_code_field": "parsed by the client, which has its own tests",
}
PAGE_SIZES = (1, 2)
PLAIN = Switches()


def other_values(name: str) -> list[Any]:
    """Every value that a switch can take besides its default."""
    kind = get_type_hints(Switches)[name]
    default = getattr(PLAIN, name)
    if kind is bool:
        return [not default]
    if kind is int and name.endswith("_page_size"):
        return list(PAGE_SIZES)
    if get_origin(kind) is Literal:
        return [value for value in get_args(kind) if value != default]
    if NoneType in get_args(kind):
        return [None]
    raise AssertionError(f"say in NOT_MET or here what {name} can be")


MET = [item.name for item in fields(Switches) if item.name not in NOT_MET]
SINGLES = [{name: value} for name in MET for value in other_values(name)]
NASTY = [
    {"unscheduled_bot_entry": "kept"},
    {"old_bot_on_key_change": "kept"},
    {"automatic_follow": True},
    {"bot_change_bumps_event": False},
    {"deleted_event_bots": "kept"},
    {"unfiltered_list_refused": True},
]
PAIRS = [first | second for first, second in itertools.combinations(NASTY, 2)]
WORLDS_EACH_TIME = 8


def together(singles: list[dict[str, Any]], *, worlds: int) -> list[dict[str, Any]]:
    """Every value once: dealt out like cards, each to the next world without its switch."""
    dealt: list[dict[str, Any]] = [{} for _ in range(worlds)]
    for place, single in enumerate(singles):
        turns = (dealt[(place + turn) % worlds] for turn in range(worlds))
        next(world for world in turns if not world.keys() & single).update(single)
    return dealt


ALL_NASTY = {name: value for values in NASTY for name, value in values.items()}
# Without webhooks every second look takes a minute more than the stories wait.
ALONE = {"webhook_headers": "none"}
IN_COMPANY = [values for values in SINGLES if values != ALONE]
EACH_TIME = [{}, ALONE, ALL_NASTY, *together(IN_COMPANY, worlds=WORLDS_EACH_TIME)]

MANAGED = {"scheduling": "managed"}
OWN = {"scheduling": "self_managed"}
# The doors of our own bots: the event's bots are none of our business there.
OWN_EACH_TIME = [{}, ALONE, *together(IN_COMPANY, worlds=3)]
READS = {"bot_list", "bot_retrieve"}


def named(values: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in values.items()) or "as assumed"


def worlds(
    managed: list[dict[str, Any]], own: list[dict[str, Any]], *, in_full: list[dict[str, Any]]
) -> list[Any]:
    """Worlds and rules: the first two lists each time, everything else one by one in full."""
    played = [*((each, MANAGED) for each in managed), *((each, OWN) for each in own)]
    full = [(each, rules) for each in in_full for rules in (MANAGED, OWN)]
    return [
        *(pytest.param(*each, id=f"{way(each[1])}:{named(each[0])}") for each in played),
        *(
            pytest.param(*each, id=f"{way(each[1])}:{named(each[0])}", marks=pytest.mark.full)
            for each in full
        ),
    ]


def way(rules: dict[str, Any]) -> str:
    return str(rules["scheduling"])


@pytest.mark.parametrize("single", SINGLES, ids=named)
def test_every_value_is_met_each_time(single: dict[str, Any]) -> None:
    assert any(single.items() <= world.items() for world in EACH_TIME)


def test_the_list_of_what_is_not_met_is_no_older_than_the_switches() -> None:
    assert NOT_MET.keys() <= {item.name for item in fields(Switches)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Two colleagues at one meeting that a guest organizes, and one meeting of the owner alone."""

    stack: Stack
    owner: Account
    dana: Account
    shared: tuple[str, str]
    owner_calendar: str

    def both(self, change: str, *values: Any) -> None:
        for account, event in zip((self.owner, self.dana), self.shared, strict=True):
            getattr(account, change)(event, *values)

    def settle(self, seconds: float = PATIENCE_SECONDS) -> None:
        self.stack.run(seconds, ticks=True)

    def bots(self) -> list[tuple[datetime, str]]:
        return [(bot.join_at, bot.meeting_url) for bot in self.stack.recall.live_bots()]

    def counts(self) -> dict[str, int]:
        names = {call.endpoint for call in self.stack.recall.calls}
        return {name: self.stack.recall.count(name) for name in names}


def scene(switches: Switches, *, rules: dict[str, Any], start: datetime = NOON) -> Scene:
    stack = Stack(switches=switches)
    put(stack, rules)
    owner = stack.recall.account(GOOGLE, OWNER)
    dana = stack.recall.account(OUTLOOK, DANA)
    owner.add_event("Solo", start=TEN, link=SOLO_MEET, attendees=[GUEST])
    placed = stack.recall.invite(
        "Kickoff", organizer=GUEST, guests=[owner, dana], start=start, link=MEET
    )
    owner_calendar = stack.connect()
    stack.connect(DANA, platform=OUTLOOK, entity_id="u2")
    return Scene(
        stack=stack,
        owner=owner,
        dana=dana,
        shared=(placed[OWNER], placed[DANA]),
        owner_calendar=owner_calendar,
    )


def put(stack: Stack, rules: dict[str, Any]) -> None:
    stack.stores.settings.put_rules("default", rules, by="test", at=stack.clock.now())


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.mark.parametrize(
    ("values", "rules"), worlds(EACH_TIME, OWN_EACH_TIME, in_full=SINGLES + PAIRS)
)
def test_bots_follow_whatever_recall_does(  # noqa: PLR0915 - one story, station by station
    values: dict[str, Any], rules: dict[str, Any]
) -> None:
    at = scene(replace(PLAIN, **values), rules=rules)
    at.settle()
    solo = (TEN, SOLO_MEET)
    assert [solo, (NOON, MEET)] == at.bots(), "connected"

    at.both("move", NOON + HOUR)
    at.settle()
    assert [solo, (NOON + HOUR, MEET)] == at.bots(), "moved"

    at.both("relink", OTHER_MEET)
    at.settle()
    wanted = [solo, (NOON + HOUR, OTHER_MEET)]
    assert wanted == at.bots(), "linked anew"

    at.owner.set_response(at.shared[0], "declined")
    at.settle()
    assert wanted == at.bots(), "declined by one"
    at.dana.set_response(at.shared[1], "declined")
    at.settle()
    assert [solo] == at.bots(), "declined by both"
    at.both("set_response", "accepted")
    at.settle()
    assert wanted == at.bots(), "accepted after all"

    at.both("cancel")
    at.settle()
    assert [solo] == at.bots(), "cancelled"
    at.both("restore")
    at.settle()
    assert wanted == at.bots(), "restored"

    at.stack.lose_webhooks = True
    at.both("move", NOON + 2 * HOUR)
    at.settle(LONG_PATIENCE_SECONDS)
    at.stack.lose_webhooks = False
    wanted = [solo, (NOON + 2 * HOUR, OTHER_MEET)]
    assert wanted == at.bots(), "moved while webhooks were lost"

    at.owner.revoke_grant()
    at.settle()
    if at.stack.recall.switches.webhook_headers == "none":
        at.stack.reconciler().perform("calendars")
        at.settle()
    assert [wanted[1]] == at.bots(), "disconnected"
    reconnect(at)
    at.settle()
    if at.stack.recall.switches.webhook_headers == "none":
        at.stack.reconciler().perform("calendars")
        at.settle()
    assert wanted == at.bots(), "reconnected"
    is_quiet(at)


def reconnect(at: Scene) -> None:
    at.stack.recall.grant("fresh-token", platform=GOOGLE, email=OWNER)
    at.stack.scheduler.doors.recall.update_calendar(
        at.owner_calendar,
        client_id="client",
        client_secret=Secret("client-secret"),
        refresh_token=Secret("fresh-token"),
    )


def is_quiet(at: Scene) -> None:
    """Ten minutes in which nothing happens cost nothing but what the ticks read."""
    at.stack.run(60)
    before = at.counts()
    at.stack.run(600)
    assert before == at.counts()
    at.stack.run(600, ticks=True)
    after = at.counts()
    lists = after.pop("calendar_events_list") - before.pop("calendar_events_list")
    assert before == after
    switches = at.stack.recall.switches
    pages = 5 if switches.unfiltered_list_refused else 2
    assert lists <= 11 * pages


@pytest.mark.parametrize(("values", "rules"), worlds(EACH_TIME, OWN_EACH_TIME, in_full=SINGLES))
def test_the_last_minutes_come_right_whatever_recall_does(  # noqa: PLR0915 - one story as well
    values: dict[str, Any], rules: dict[str, Any]
) -> None:
    """Ad-hoc bots, an empty pool, changes within ten minutes and during the call, and the end."""
    soon = START + timedelta(minutes=7)
    switches = replace(PLAIN, **values)
    stack = Stack(switches=switches)
    put(stack, rules)
    owner = stack.recall.account(GOOGLE, OWNER)
    event = owner.add_event("Kickoff", start=soon, link=MEET, attendees=[GUEST], organizer=GUEST)
    stack.recall.ad_hoc_free = 0
    stack.connect()
    stack.run(75, ticks=True)
    assert [] == stack.recall.live_bots()
    stack.recall.ad_hoc_free = None
    stack.run(75, ticks=True)
    assert [soon] == [bot.join_at for bot in stack.recall.live_bots()]

    owner.relink(event, OTHER_MEET)
    stack.run(75, ticks=True)
    links = [bot.meeting_url for bot in stack.recall.live_bots()]
    if switches.late_delete == "joins_anyway":
        assert OTHER_MEET in links
    elif rules == OWN and switches.leave_before_join == "refused":
        assert [MEET] == links, "the other comes when this one can be told to leave"
    else:
        assert [OTHER_MEET] == links

    stack.run(300, ticks=True)
    owner.move(event, soon, end=soon + HOUR)
    stack.run(75, ticks=True)
    states = {bot.state for bot in stack.recall.live_bots() if bot.meeting_url == OTHER_MEET}
    assert {"in_call_recording"} == states
    owner.set_response(event, "declined")
    stack.run(2 * 3600, ticks=True)
    assert [] == stack.recall.live_bots()
    calls = len(stack.recall.calls)
    stack.run(600)
    assert calls == len(stack.recall.calls)
    writes = [call for call in stack.recall.calls if "bot" in call.endpoint]
    assert len([call for call in writes if call.endpoint not in READS]) <= 20
