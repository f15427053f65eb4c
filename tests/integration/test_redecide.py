"""A change of rules reaches the meetings that are stored, without a List at Recall."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from moto import mock_aws

from shared.flows import redecide
from shared.storage import MeetingStore
from shared.storage.settings import SettingsStore
from tests.stack import GOOGLE, START, Stack
from tests.stack_api import StackApi

GUEST = "guest@globex.example"


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws():
        yield Stack()


@pytest.fixture
def api(stack: Stack) -> StackApi:
    return StackApi(stack)


def add(stack: Stack, title: str, *, email: str = "owner@acme.example", **facts) -> str:
    number = sum(title.encode()) % 900 + 100
    link = f"https://zoom.us/j/{number}5551234"
    wanted = {"start": START + timedelta(hours=3), "link": link, "attendees": [GUEST], **facts}
    return stack.recall.account(GOOGLE, email).add_event(title, **wanted)


def rows(stack: Stack, calendar_id: str):
    found = stack.stores.meetings.of_calendar(calendar_id).items
    return {row.event.title: row for row in found}


def live(stack: Stack) -> set[str]:
    return {str(bot.bot_id) for bot in stack.recall.live_bots()}


def settled(stack: Stack, **facts) -> str:
    calendar_id = stack.connect(**facts)
    stack.run(10)
    return calendar_id


def test_a_change_takes_bots_off_and_puts_them_back(stack, api):
    add(stack, "With a guest")
    add(stack, "Alone", attendees=[])
    calendar_id = settled(stack)
    assert 1 == len(live(stack))
    lists = stack.recall.count("calendar_events_list")
    # Recall rings for our own calls, and a sweep answers that.
    stack.lose_webhooks = True

    api.call("PUT", "/v1/rules/default", {"min_others": 2})
    stack.run(1)
    assert "bounds.min_others" == rows(stack, calendar_id)["With a guest"].decision.reason
    assert set() == live(stack)

    api.call("PUT", "/v1/rules/default", {"min_others": 0})
    stack.run(1)
    assert 2 == len(live(stack))
    assert lists == stack.recall.count("calendar_events_list")


def test_the_progress_is_told(stack, api):
    add(stack, "One")
    add(stack, "Two")
    settled(stack)
    api.call("PUT", "/v1/rules/default", {"min_others": 5})
    stack.run(1)
    told = api.call("GET", "/v1/status").json["rules"]
    assert ("default", 1, 2, 2) == (
        told["scope"],
        told["version"],
        told["meetings_seen"],
        told["meetings_changed"],
    )
    assert told["finished_at"] is not None


@pytest.mark.parametrize(
    ("scope", "reached"),
    [
        ("default", {"ada", "bob", "eve"}),
        ("tenant:acme", {"ada", "bob"}),
        ("entity:acme:ada", {"ada"}),
        ("entity:acme:nobody", set()),
        ("tenant:other", set()),
    ],
)
def test_a_scope_reaches_its_calendars_and_no_others(stack, api, scope, reached):
    people = {"ada": "acme", "bob": "acme", "eve": "evil"}
    calendars = {}
    for name, tenant_id in people.items():
        email = f"{name}@{tenant_id}.example"
        add(stack, name, email=email)
        calendars[name] = stack.connect(email, tenant_id=tenant_id, entity_id=name)
    stack.run(10)
    api.call("PUT", f"/v1/rules/{scope}", {"min_others": 5})
    stack.run(1)
    skipping = {
        name
        for name, calendar_id in calendars.items()
        if not rows(stack, calendar_id)[name].decision.join
    }
    assert reached == skipping
    assert len(reached) == stack.stores.workspace.redecision().meetings_seen


def test_another_look_of_the_bot_reaches_bots_that_are_scheduled(stack, api):
    add(stack, "Kickoff")
    calendar_id = settled(stack)
    before = rows(stack, calendar_id)["Kickoff"].assignment
    api.call("PUT", "/v1/rules/default", {"bot": {"bot_name": "Scribe"}})
    stack.run(1)
    after = rows(stack, calendar_id)["Kickoff"].assignment
    assert before.fingerprint != after.fingerprint
    assert {"Scribe"} == {bot.bot_name for bot in stack.recall.live_bots()}


def test_a_bot_that_recall_refused_is_tried_anew_under_new_rules(stack, api):
    add(stack, "Kickoff")
    outdated = {"bot": {"config": {"recording_mode": "speaker_view"}}}
    stack.stores.settings.put_rules("default", outdated, by="test", at=START)
    calendar_id = settled(stack)
    assert rows(stack, calendar_id)["Kickoff"].problem is not None
    api.call("PUT", "/v1/rules/default", {"bot": {"bot_name": "Scribe"}})
    stack.run(1)
    assert 1 == len(live(stack))
    assert rows(stack, calendar_id)["Kickoff"].problem is None


def test_a_meeting_that_is_over_is_left_alone(stack, api):
    add(stack, "Over", start=START + timedelta(minutes=20))
    calendar_id = settled(stack)
    stack.run(3600, ticks=True)
    before = rows(stack, calendar_id)["Over"]
    api.call("PUT", "/v1/rules/default", {"min_others": 5})
    stack.run(1)
    assert before == rows(stack, calendar_id)["Over"]


def test_a_walk_is_cut_into_slices_and_goes_on(stack, api, monkeypatch):
    """One row a step, and a step a slice."""
    monkeypatch.setattr(redecide, "ROWS_PER_STEP", 1)
    slices = []
    genuine = redecide.Redecider.go_on

    def impatient(redecider, until):
        slices.append(1)
        job = stack.stores.workspace.redecision()
        if job is not None and job.next_scope(stack.clock.now()):
            redecider._step(job, scope=job.next_scope(stack.clock.now()))
        return genuine(redecider, stack.clock.now())

    for number in range(3):
        add(stack, f"Meeting {number}", start=START + timedelta(hours=number + 2))
    first = settled(stack)
    add(stack, "Other", email="b@acme.example")
    other = settled(stack, email="b@acme.example", entity_id="u2")
    monkeypatch.setattr(redecide.Redecider, "go_on", impatient)
    stack.scheduler = stack.cold_start()
    api.call("PUT", "/v1/rules/tenant:default", {"min_others": 5})
    stack.run(1)
    assert len(slices) >= 4
    assert set() == live(stack)
    found = [*rows(stack, first).values(), *rows(stack, other).values()]
    assert [False] * 4 == [row.decision.join for row in found]
    assert 4 == stack.stores.workspace.redecision().meetings_seen


def test_rules_put_during_a_walk_start_it_over(stack, api, monkeypatch):
    """The first page of the walk was decided under rules that are no longer in force."""
    monkeypatch.setattr(redecide, "ROWS_PER_STEP", 1)
    for number in range(3):
        add(stack, f"Meeting {number}", start=START + timedelta(hours=number + 2))
    calendar_id = settled(stack)
    genuine = redecide.Redecider._step
    steps = []

    def interrupted(redecider, job, *, scope):
        steps.append(scope)
        if len(steps) == 3:
            api.call("PUT", "/v1/rules/default", {"bot": {"bot_name": "Scribe"}})
        genuine(redecider, job, scope=scope)

    monkeypatch.setattr(redecide.Redecider, "_step", interrupted)
    api.call("PUT", "/v1/rules/default", {"min_others": 5})
    stack.run(1)
    assert [True] * 3 == [row.decision.join for row in rows(stack, calendar_id).values()]
    assert ["Scribe"] * 3 == [bot.bot_name for bot in stack.recall.live_bots()]
    assert 2 == stack.stores.workspace.redecision().version


def test_a_row_that_changes_meanwhile_is_decided_by_its_turn(stack, api, monkeypatch):
    event_id = add(stack, "Kickoff")
    calendar_id = settled(stack)
    row = rows(stack, calendar_id)["Kickoff"]
    genuine = MeetingStore.save
    meddled = []

    def late(store, meeting):
        if not meddled:
            meddled.append(event_id)
            store.wake(meeting.event.event_id, now=stack.clock.now())
        return genuine(store, meeting)

    monkeypatch.setattr(MeetingStore, "save", late)
    api.call("PUT", "/v1/rules/default", {"min_others": 5})
    stack.run(1)
    assert row.decision.join
    assert set() == live(stack)


def test_rules_that_were_never_stored_cost_a_walk_and_change_nothing(stack, api, monkeypatch):
    add(stack, "Kickoff")
    calendar_id = settled(stack)
    before = rows(stack, calendar_id)
    with monkeypatch.context() as patch:
        patch.setattr(SettingsStore, "put_rules", lambda *_, **__: {}["crash"])
        api.call("PUT", "/v1/rules/default", {"min_others": 5})
    stack.run(130, ticks=True)
    assert stack.stores.workspace.redecision().finished_at is not None
    assert before == rows(stack, calendar_id)


def test_rules_whose_request_died_after_storing_them_reach_the_meetings(stack, api, monkeypatch):
    add(stack, "Kickoff")
    settled(stack)
    genuine = SettingsStore.put_rules

    def dying(*given, **how):
        genuine(*given, **how)
        raise KeyError

    with monkeypatch.context() as patch:
        patch.setattr(SettingsStore, "put_rules", dying)
        assert 500 == api.call("PUT", "/v1/rules/default", {"min_others": 5}).status
    stack.run(130, ticks=True)
    assert set() == live(stack)


def test_the_same_rules_again_write_no_row(stack, api):
    add(stack, "Kickoff")
    calendar_id = settled(stack)
    api.call("PUT", "/v1/rules/default", {"min_others": 1})
    stack.run(1)
    before = rows(stack, calendar_id)
    api.call("PUT", "/v1/rules/default", {"min_others": 1})
    stack.run(1)
    assert before == rows(stack, calendar_id)
    assert 0 == stack.stores.workspace.redecision().meetings_changed
