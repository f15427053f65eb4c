"""Every operation of the Recall door against the emulated workspace."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from infra.local.emulators.clock import VirtualClock
from infra.local.emulators.http import Fault, FaultKind, Request, Response, WorldAdapter
from infra.local.emulators.recall.contract import published
from infra.local.emulators.recall.switches import Switches
from infra.local.emulators.recall.world import RecallWorld
from shared.domain.calendar import CalendarStatus, Platform, RecallCalendar
from shared.domain.event import Answer, ListedEvent
from shared.domain.secret import Secret
from shared.errors import PermanentError, TransientError
from shared.recall.budget import DEFAULT_LIMITS, SharedBudget
from shared.recall.client import EventPage, RecallClient
from shared.recall.errors import (
    AlreadyDispatched,
    Blocked,
    Conflicted,
    NotFound,
    OutOfCredit,
    PoolEmpty,
    Refused,
    Throttled,
    Unauthorized,
    Unavailable,
)
from shared.recall.transport import new_session

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
KEY = "workspace-key"
OWNER = "owner@acme.example"
MEET = "https://meet.google.com/qkr-wzpn-abt"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Free:
    """No budget at all: the emulator's own limits are what is tried."""

    def spend(self, endpoint: str) -> None: ...

    def block(self, endpoint: str, *, seconds: float) -> None: ...


class Memory:
    """The Workspace table, as far as the budget uses it."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[dict[int, int], int]] = {}

    def read_budget(self, endpoint: str) -> tuple[dict[int, int], int]:
        return self.rows.get(endpoint, ({}, 0))

    def write_budget(self, endpoint: str, slots: dict[int, int], *, version: int) -> bool:
        self.rows[endpoint] = (slots, version + 1)
        return True


class Workspace:
    """The emulated Recall with a client, one connected calendar, and a hand on the clock."""

    def __init__(self) -> None:
        self.clock = VirtualClock(NOW)
        self.world = RecallWorld(self.clock, api_key=KEY)
        self.adapter = WorldAdapter(self.world.handle)
        self.client = self.connect()

    def connect(self, *, api_key: str = KEY, budget: SharedBudget | None = None) -> RecallClient:
        session = new_session(2)
        session.mount(self.world.base_url, self.adapter)
        return RecallClient(
            session,
            base_url=self.world.base_url,
            api_key=lambda: Secret(api_key),
            budget=budget or Free(),
            clock=self.clock.now,
        )

    def pass_time(self, **delta: float) -> None:
        self.clock.advance(timedelta(**delta))
        self.world.run_due()

    def create(self, *, token: str = "token-1", key: str = "claim-1") -> RecallCalendar:
        self.world.grant(token, platform="google_calendar", email=OWNER)
        return self.client.create_calendar(
            platform=Platform.GOOGLE,
            client_id="client",
            client_secret=Secret("client-secret"),
            refresh_token=Secret(token),
            email=OWNER,
            metadata={"tenant": "acme"},
            idempotency_key=key,
        )

    def connected(self) -> str:
        calendar_id = self.create().calendar_id
        self.pass_time(seconds=10)
        return calendar_id

    def event(self, *, ahead: timedelta = timedelta(hours=2), link: str | None = MEET) -> str:
        """Recall's id of a new event of the connected calendar."""
        account = self.world.account("google_calendar", OWNER)
        account.add_event(
            "Kickoff", start=self.clock.now() + ahead, link=link, attendees=["guest@globex.example"]
        )
        before = set(self.world.events)
        self.pass_time(seconds=10)
        (event_id,) = set(self.world.events) - before
        return event_id

    def schedule(self, event_id: str, *, key: str = "key") -> ListedEvent:
        return self.client.schedule_bot(
            event_id, deduplication_key=key, bot_config={"bot_name": "Notetaker"}
        )

    def bot(self, *, ahead: timedelta = timedelta(hours=2), key: str = "bot-1") -> str:
        return self.client.create_bot(
            meeting_url=MEET,
            join_at=self.clock.now() + ahead,
            bot_config={"bot_name": "Notetaker", "metadata": {"event_id": "e-1"}},
            idempotency_key=key,
        ).bot_id


@pytest.fixture
def recall() -> Workspace:
    return Workspace()


def test_budgets_follow_the_published_limits():
    # Pages of two years name two limits for Create Bot; ours is the lower.
    assert {**published().limits(), "bot_create": 60} == DEFAULT_LIMITS


# Calendars


def test_a_calendar_connects(recall):
    created = recall.create()
    assert (created.status, created.email) == (CalendarStatus.CONNECTING, None)

    recall.pass_time(seconds=10)

    connected = recall.client.get_calendar(created.calendar_id)
    assert (connected.status, connected.email) == (CalendarStatus.CONNECTED, OWNER)
    assert connected.created_at == NOW


@pytest.mark.parametrize(("secret", "holds"), [("client-secret", True), ("another", False)])
def test_a_list_tells_the_client_and_compares_its_secret(recall, secret, holds):
    created = recall.create()

    page = recall.client.list_calendar_clients(platform=Platform.GOOGLE, secret=Secret(secret))

    assert [(created.calendar_id, "client", holds)] == [
        (each.calendar.calendar_id, each.client_id, each.holds) for each in page.clients
    ]
    assert "client-secret" not in repr(page)
    other = recall.client.list_calendar_clients(platform=Platform.MICROSOFT, secret=Secret("s"))
    assert () == other.clients


def test_a_repeated_create_is_one_calendar(recall):
    first, again, other = recall.create(), recall.create(), recall.create(key="claim-2")

    assert again.calendar_id == first.calendar_id
    assert other.calendar_id != first.calendar_id


def test_a_lost_grant_tells_why(recall):
    calendar_id = recall.connected()

    recall.world.account("google_calendar", OWNER).revoke_grant()
    recall.pass_time(hours=1)

    calendar = recall.client.get_calendar(calendar_id)
    assert calendar.status is CalendarStatus.DISCONNECTED
    assert calendar.status_reason


def test_calendars_are_listed_page_by_page(recall):
    recall.world.switches = Switches(calendars_page_size=1)
    created = {recall.create(key=f"claim-{n}").calendar_id for n in range(3)}

    found = []
    page = recall.client.list_calendars()
    found += page.calendars
    while page.next_page:
        page = recall.client.list_calendars(next_page=page.next_page)
        found += page.calendars

    assert {calendar.calendar_id for calendar in found} == created
    assert len(found) == 3


def test_calendars_are_filtered(recall):
    calendar_id = recall.connected()

    def ids(**filters: object) -> list[str]:
        return [c.calendar_id for c in recall.client.list_calendars(**filters).calendars]

    assert ids(email=OWNER, status=CalendarStatus.CONNECTED) == [calendar_id]
    assert ids(status=CalendarStatus.DISCONNECTED) == []
    assert ids(platform=Platform.MICROSOFT) == []
    assert ids(email="owner+other@acme.example") == []


def test_an_empty_change_reconnects_and_a_new_token_is_taken(recall):
    calendar_id = recall.connected()
    assert recall.client.update_calendar(calendar_id).status is CalendarStatus.CONNECTING

    recall.world.grant("token-2", platform="google_calendar", email=OWNER)
    recall.client.update_calendar(
        calendar_id,
        client_id="client-2",
        client_secret=Secret("client-secret-2"),
        refresh_token=Secret("token-2"),
        email=OWNER,
        metadata={"tenant": "globex"},
    )

    assert recall.client.reveal_refresh_token(calendar_id) == Secret("token-2")
    stored = recall.world.calendars[calendar_id]
    assert stored.oauth_client_secret == "client-secret-2"
    assert stored.metadata == {"tenant": "globex"}


def test_a_deleted_calendar_is_gone(recall):
    calendar_id = recall.connected()

    recall.client.delete_calendar(calendar_id)

    for call in (recall.client.get_calendar, recall.client.delete_calendar):
        with pytest.raises(NotFound):
            call(calendar_id)


def test_an_access_token_of_the_provider(recall):
    calendar_id = recall.connected()

    assert recall.client.access_token(calendar_id).reveal().startswith("access-")


def test_no_access_token_from_a_dead_grant(recall):
    calendar_id = recall.connected()
    recall.world.account("google_calendar", OWNER).revoke_grant()
    recall.pass_time(hours=1)

    with pytest.raises(Refused) as refused:
        recall.client.access_token(calendar_id)

    assert refused.value.detail_code == "bad_refresh_token"


# Events


def walk(client: RecallClient, **filters: object) -> tuple[list[ListedEvent], list[EventPage]]:
    pages = [client.list_events(**filters)]
    while pages[-1].next_page:
        pages.append(client.list_events(next_page=pages[-1].next_page))
    return [entry for page in pages for entry in page.events], pages


def test_events_of_all_calendars_come_page_by_page(recall):
    calendar_id = recall.connected()
    recall.world.switches = Switches(events_page_size=2)
    made = {recall.event(ahead=timedelta(hours=n)) for n in range(1, 6)}

    entries, pages = walk(recall.client)

    assert {entry.event.event_id for entry in entries} == made
    assert {entry.event.calendar_id for entry in entries} == {calendar_id}
    assert len(pages) == 3
    assert all(page.answered_at == recall.clock.now() for page in pages)
    assert all(page.malformed == () for page in pages)


def test_events_are_filtered(recall):
    calendar_id = recall.connected()
    near, far = recall.event(), recall.event(ahead=timedelta(days=3))
    later = recall.clock.now() + timedelta(days=1)

    def ids(**filters: object) -> set[str]:
        return {entry.event.event_id for entry in walk(recall.client, **filters)[0]}

    assert ids(calendar_id=calendar_id) == {near, far}
    assert ids(calendar_id=UNKNOWN) == set()
    assert ids(start_from=later) == {far}
    assert ids(start_to=later) == {near}
    changed_at = recall.client.get_event(far).updated_at
    assert ids(updated_since=changed_at) == {far}
    assert ids(updated_since=changed_at + timedelta(microseconds=1)) == set()


def test_an_event_is_read_as_the_rules_need_it(recall):
    recall.connected()
    event_id = recall.event()

    event = recall.client.get_event(event_id).event

    assert (event.title, event.meeting_url, event.meeting_platform) == (
        "Kickoff", MEET, "google_meet",
    )  # fmt: skip
    assert (event.owner_is_organizer, event.owner_answer) == (True, Answer.ACCEPTED)
    assert "guest@globex.example" in {attendee.email for attendee in event.attendees}
    with pytest.raises(NotFound):
        recall.client.get_event(UNKNOWN)


def test_a_hostile_page_link_is_not_followed(recall):
    recall.connected()
    recall.event()
    recall.event()
    recall.world.switches = Switches(events_page_size=1, next_host="evil.example")
    page = recall.client.list_events()

    with pytest.raises(PermanentError) as refused:
        recall.client.list_events(next_page=page.next_page)

    assert refused.value.code == "recall_next_foreign"


def test_an_unfiltered_list_may_be_refused(recall):
    calendar_id = recall.connected()
    recall.world.switches = Switches(unfiltered_list_refused=True)

    with pytest.raises(Refused):
        recall.client.list_events()

    assert recall.client.list_events(calendar_id=calendar_id).events == ()


# Bots of events


def test_a_bot_is_scheduled_shared_and_unscheduled(recall):
    recall.connected()
    event_id = recall.event()

    first = recall.schedule(event_id)
    again = recall.schedule(event_id)

    (bot,) = first.bots
    assert (bot.deduplication_key, bot.meeting_url, bot.start) == ("key", MEET, first.event.start)
    assert [entry.bot_id for entry in again.bots] == [bot.bot_id]
    assert [live.bot_id for live in recall.world.live_bots()] == [bot.bot_id]
    for _ in range(2):
        assert recall.client.unschedule_bot(event_id).bots == ()
    assert recall.world.live_bots() == []


def test_an_event_that_is_over_gets_no_bot(recall):
    recall.connected()
    event_id = recall.event()
    recall.pass_time(hours=4)

    with pytest.raises(Refused) as refused:
        recall.schedule(event_id)

    assert refused.value.detail_code == "invalid_request_data"
    assert refused.value.fields == ("non_field_errors",)


def test_an_empty_pool_says_when_to_come_back(recall):
    recall.connected()
    event_id = recall.event(ahead=timedelta(minutes=5))
    recall.world.ad_hoc_free = 0

    with pytest.raises(PoolEmpty) as refused:
        recall.schedule(event_id)
    assert refused.value.retry_after == 30

    recall.world.ad_hoc_free = 1
    assert len(recall.schedule(event_id).bots) == 1


def test_a_busy_key_is_a_conflict(recall):
    recall.connected()
    event_id = recall.event()
    recall.world.hold_key("key", seconds=5)

    with pytest.raises(Conflicted):
        recall.schedule(event_id)

    recall.pass_time(seconds=6)
    recall.schedule(event_id)


def test_bots_of_unknown_events(recall):
    with pytest.raises(NotFound):
        recall.schedule(UNKNOWN)
    with pytest.raises(NotFound):
        recall.client.unschedule_bot(UNKNOWN)


# Bots without events


def test_a_bot_of_its_own_is_made_read_changed_and_deleted(recall):
    join_at = NOW + timedelta(hours=2)
    bot_id = recall.bot()
    assert recall.bot() == bot_id  # the same key, the same bot

    bot = recall.client.get_bot(bot_id)
    assert (bot.join_at, bot.metadata) == (join_at, {"event_id": "e-1"})

    later = (join_at + timedelta(hours=1)).isoformat()
    changed = recall.client.update_bot(bot_id, changes={"join_at": later})
    assert changed.join_at == join_at + timedelta(hours=1)

    recall.client.delete_bot(bot_id)
    for call in (recall.client.get_bot, recall.client.delete_bot):
        with pytest.raises(NotFound):
            call(bot_id)


def test_bots_are_found_by_time_status_and_metadata(recall):
    bot_id = recall.bot()

    def ids(**filters: object) -> list[str]:
        return [bot.bot_id for bot in recall.client.list_bots(**filters).bots]

    assert ids() == [bot_id]
    assert ids(metadata={"event_id": "e-1"}) == [bot_id]
    assert ids(metadata={"event_id": "e-2"}) == []
    assert ids(join_from=NOW, join_to=NOW + timedelta(hours=3)) == [bot_id]
    assert ids(join_from=NOW + timedelta(hours=3)) == []
    assert ids(statuses=["ready", "joining_call"]) == [bot_id]
    assert ids(statuses=["done"]) == []


def test_bots_are_listed_page_by_page(recall):
    recall.world.switches = Switches(bots_page_size=1)
    made = {recall.bot(key=f"bot-{n}") for n in range(3)}

    page = recall.client.list_bots()
    found = [bot.bot_id for bot in page.bots]
    while page.next_page:
        page = recall.client.list_bots(next_page=page.next_page)
        found += [bot.bot_id for bot in page.bots]

    assert sorted(found) == sorted(made)


@pytest.mark.parametrize("status", [405, 400])
def test_a_dispatched_bot_leaves_its_call_instead(recall, status):
    recall.world.switches = Switches(late_delete_status=status)
    bot_id = recall.bot(ahead=timedelta(minutes=20))
    with pytest.raises(Refused) as refused:
        recall.client.leave_call(bot_id)
    assert refused.value.detail_code == "cannot_command_unstarted_bot"

    recall.pass_time(minutes=21)
    with pytest.raises(AlreadyDispatched):
        recall.client.delete_bot(bot_id)
    with pytest.raises(Refused) as refused:
        recall.client.update_bot(bot_id, changes={"bot_name": "Late"})
    assert refused.value.detail_code == "update_bot_failed"

    left = recall.client.leave_call(bot_id)
    assert (left.status, left.sub_code) == ("call_ended", "bot_received_leave_call")

    recall.pass_time(minutes=1)
    with pytest.raises(Refused) as refused:
        recall.client.leave_call(bot_id)
    assert refused.value.detail_code == "cannot_command_completed_bot"


def test_a_507_is_replayed_to_its_key_only(recall):
    recall.world.ad_hoc_free = 0
    with pytest.raises(PoolEmpty):
        recall.bot(ahead=timedelta(minutes=1))
    recall.world.ad_hoc_free = 1

    with pytest.raises(PoolEmpty):
        recall.bot(ahead=timedelta(minutes=1))

    assert recall.bot(ahead=timedelta(minutes=1), key="bot-2")


# Every operation meets every common refusal

OPERATIONS: dict[str, Callable[[RecallClient], object]] = {
    "calendars_list": lambda client: client.list_calendars(),
    "calendars_create": lambda client: client.create_calendar(
        platform=Platform.MICROSOFT,
        client_id="client",
        client_secret=Secret("s"),
        refresh_token=Secret("t"),
        metadata={},
        idempotency_key="k",
    ),
    "calendars_retrieve": lambda client: client.get_calendar(UNKNOWN),
    "calendars_partial_update": lambda client: client.update_calendar(UNKNOWN),
    "calendars_destroy": lambda client: client.delete_calendar(UNKNOWN),
    "calendars_access_token_create": lambda client: client.access_token(UNKNOWN),
    "calendar_events_list": lambda client: client.list_events(),
    "calendar_events_retrieve": lambda client: client.get_event(UNKNOWN),
    "calendar_events_bot_create": lambda client: client.schedule_bot(
        UNKNOWN, deduplication_key="key", bot_config={}
    ),
    "calendar_events_bot_destroy": lambda client: client.unschedule_bot(UNKNOWN),
    "bot_list": lambda client: client.list_bots(),
    "bot_create": lambda client: client.create_bot(
        meeting_url=MEET, join_at=None, bot_config={}, idempotency_key="k"
    ),
    "bot_retrieve": lambda client: client.get_bot(UNKNOWN),
    "bot_partial_update": lambda client: client.update_bot(UNKNOWN, changes={}),
    "bot_destroy": lambda client: client.delete_bot(UNKNOWN),
    "bot_leave_call_create": lambda client: client.leave_call(UNKNOWN),
}
PAID = {"calendars_create", "calendar_events_bot_create", "bot_create"}


def test_every_published_operation_has_a_method(recall):
    assert {operation.name for operation in published().operations} == set(OPERATIONS)

    for name, call in OPERATIONS.items():
        with suppress(NotFound):
            call(recall.client)
        assert recall.world.count(name) == 1

    assert recall.world.warnings == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_foreign_key_is_refused(recall, name):
    with pytest.raises(Unauthorized):
        OPERATIONS[name](recall.connect(api_key="another-regions-key"))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_outage_is_a_matter_of_time(recall, name, status):
    recall.world.outage = status

    with pytest.raises(Unavailable):
        OPERATIONS[name](recall.client)


@pytest.mark.parametrize("name", sorted(PAID))
def test_a_workspace_without_credit(recall, name):
    recall.world.out_of_credit = True

    with pytest.raises(OutOfCredit):
        OPERATIONS[name](recall.client)


@pytest.mark.parametrize("body", ["detail", "message", "html", "empty"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_over_the_limit_the_budget_is_told(recall, name, body):
    told = []

    class Told(Free):
        def block(self, endpoint: str, *, seconds: float) -> None:
            told.append((endpoint, seconds))

    recall.world.throttle.limits[name] = 0
    recall.world.switches = Switches(error_body=body)

    with pytest.raises(Throttled) as refused:
        OPERATIONS[name](recall.connect(budget=Told()))

    assert refused.value.retry_after == 60
    assert told == [(name, 60)]


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.ANSWER])
def test_a_broken_connection_is_a_matter_of_time(recall, name, kind):
    recall.adapter.faults = lambda _: Fault(kind=kind)

    with pytest.raises(Unavailable):
        OPERATIONS[name](recall.client)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_success_that_says_nothing_is_no_success(recall, name):
    empty = Fault(kind=FaultKind.ANSWER, answer=Response(status=200, body=b"{}"))
    recall.adapter.faults = lambda _: empty

    if name in {"calendars_destroy", "bot_destroy"}:
        OPERATIONS[name](recall.client)
    else:
        with pytest.raises(PermanentError) as refused:
            OPERATIONS[name](recall.client)
        assert refused.value.code == "recall_answer_unexpected"


def test_the_firewall_stops_addresses_of_this_machine(recall):
    recall.connected()
    event_id = recall.event()

    with pytest.raises(Blocked):
        recall.client.schedule_bot(
            event_id,
            deduplication_key="key",
            bot_config={"metadata": {"back": "http://localhost:8000/"}},
        )


def test_a_path_in_the_base_url_is_kept():
    clock = VirtualClock(NOW)
    base_url = "http://127.0.0.1:8000/emulators/recall"
    world = RecallWorld(clock, base_url=base_url, api_key=KEY)
    session = new_session(1)
    asked: list[Request] = []

    def handle(request: Request) -> Response:
        asked.append(request)
        return world.handle(request)

    session.mount(base_url, WorldAdapter(handle))
    client = RecallClient(
        session,
        base_url=base_url + "/",
        api_key=lambda: Secret(KEY),
        budget=Free(),
        clock=clock.now,
    )

    assert client.list_events().events == ()
    assert asked[0].url == base_url + "/api/v2/calendar-events/"


def test_within_the_budget_recall_never_says_429(recall):
    store = Memory()
    clients = [
        recall.connect(budget=SharedBudget(store, clock=recall.clock.now, share=share))
        for share in (1.0, 0.5)
    ]
    refusals = set()
    names = ("calendar_events_list", "bot_create") * 3
    for second in range(300):
        for client, name in itertools.product(clients[: 1 + second % 2], names):
            try:
                OPERATIONS[name](client)
            except TransientError as error:
                refusals.add(error.code)
        recall.clock.advance(timedelta(seconds=1))

    assert refusals == {"rate_budget"}
    assert {call.status for call in recall.world.calls} <= {200, 201}
    assert recall.world.count("calendar_events_list") >= 200
    assert recall.world.count("bot_create") >= 200
