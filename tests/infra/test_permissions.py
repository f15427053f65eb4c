"""Each role allows exactly the calls that its function makes, and no other."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlsplit

import boto3
import pytest
from moto import mock_aws

from functions.authorizer import app as authorizer
from infra.local.emulators.http import Fault, FaultKind, Request, Response
from infra.local.emulators.recall.switches import Switches
from shared.domain.calendar import CalendarStatus
from shared.domain.claim import Wanted
from shared.domain.erasure import Erasure
from shared.domain.meeting import Override
from shared.domain.message import WorkDue, encode
from shared.domain.rules import BotSettings, Choice, Scheduling
from shared.domain.scope import Scope
from shared.domain.series import Series
from shared.flows.erase import ErasureDoors, ask_for_erasure
from shared.flows.keep import Keeper
from shared.flows.rules import RulesDoors, RulesPut, put_rules
from shared.observability import Log
from shared.storage import settings
from tests.connect_stage import ADA, GOOGLE, OUTLOOK, Answer
from tests.console import bury, let_in, offer_google
from tests.infra.template import Template, referred
from tests.infra.watch import Permission, Watch
from tests.infra.watched import WatchedConsole, WatchedPerson, WatchedStack, WatchedStage
from tests.integration.storage_values import session
from tests.integration.test_calendars_api import meeting
from tests.stack import START
from tests.tables import REGION, create_tables

MEET = "https://meet.google.com/qkr-wzpn-abt"
GUEST = "guest@globex.example"

Refresh = Callable[[WatchedStage, str], None]

# Made in a function's name by Lambda itself, so no handler is seen making them.
MADE_BY_LAMBDA = {
    "logs:CreateLogStream": "the sandbox opens its stream",
    "logs:PutLogEvents": "the sandbox writes what the function prints",
}
MADE_BY_THE_EVENT_SOURCE = {
    "sqs:ReceiveMessage": "the event source polls with the function's role",
    "sqs:DeleteMessage": "the event source deletes what was answered",
    "sqs:GetQueueAttributes": "the event source reads the visibility timeout",
}


@pytest.fixture(scope="module")
def made() -> dict[str, set[Permission]]:
    """What every function asked of AWS in all scenarios."""
    watch = Watch()
    with watch.everywhere():
        for scenario in SCENARIOS:
            with mock_aws():
                scenario(watch)
            assert set() == watch.waiting, scenario
    return watch.made


@pytest.mark.parametrize(
    "function",
    [
        "AuthorizerFunction",
        "CalendarsFunction",
        "ConsoleFunction",
        "OauthFunction",
        "ReconcilerFunction",
        "SchedulerFunction",
        "WebhooksFunction",
    ],
)
def test_a_role_allows_what_its_function_does_and_no_more(
    template: Template, made: dict[str, set[Permission]], function: str
) -> None:
    allowed = _allowed(template, function)
    done = {(action, _logical(template, function, touched)) for action, touched in made[function]}

    assert {"missing": set(), "unused": set()} == {
        "missing": done - allowed,
        "unused": allowed - done,
    }


def test_every_function_is_watched(template: Template, made: dict[str, set[Permission]]) -> None:
    assert set(template.functions()) == set(made)


# Scenarios. Each starts from an AWS without anything in it.


def keys_are_looked_up(watch: Watch) -> None:
    environment = {"AWS_REGION": REGION, "API_KEYS_TABLE": str(create_tables().api_keys)}
    event = {"routeKey": "GET /v1/calendars", "headers": {"authorization": "Bearer rk_none_none"}}
    with watch.acting("AuthorizerFunction", environment):
        answer = authorizer.authorize(event, authorizer.compose(environment))
    assert answer == {"isAuthorized": False}


def operators_look_around(watch: Watch) -> None:
    stack, browser = _console(watch)
    _add(stack.recall.account(GOOGLE, "owner@acme.example"), "Kickoff", series="weekly")
    calendar_id = stack.connect()
    stack.run(10)
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    for page, status in (
        ("/console", 200),
        ("/console/calendars", 200),
        ("/console/calendars?tenant_id=default", 200),
        (f"/console/calendars/{calendar_id}", 200),
        (f"/console/meetings/{row.event.event_id}", 200),
        (f"/console/copies?key={quote(row.meeting_key or '', safe='')}", 200),
        (f"/console/find?q={quote(MEET, safe='')}", 303),
        ("/console/find?q=somebody@elsewhere.example", 404),
        (f"/console/bots/{row.assignment.bot_id}", 303),
        ("/console/rules/versions", 200),
        ("/console/repair", 200),
        ("/console/erase?entity_id=u1", 200),
    ):
        assert browser.get(page).status == status, page


def operators_send_every_form(watch: Watch) -> None:
    stack, browser = _console(watch)
    _add(stack.recall.account(GOOGLE, "owner@acme.example"), "Kickoff", series="weekly")
    calendar_id = stack.connect()
    stack.run(10)
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    own = replace(row.assignment, by=Scheduling.SELF_MANAGED)
    shared = replace(row, shared=True, problem="recall_refused", due=False, assignment=own)
    stack.stores.meetings.save(shared)
    bury(stack, "{}", encode(WorkDue(received_at=START)))
    one, meetings = f"/console/calendars/{calendar_id}", "/console/meetings"
    dead = {"message_id": "none"}
    rules = {"scope": "default", "version": "0", "rules": "{}"}
    word = {"choice": "auto", "calendar_id": calendar_id}
    for page, path, form, status in (
        ("/console/repair", "/console/repair/replay", {}, 303),
        (one, f"{one}/resync", {}, 303),
        (one, f"{meetings}/{row.event.event_id}/override", word, 303),
        (one, f"{meetings}/{row.event.event_id}/override", word | {"scope": "series"}, 303),
        ("/console/rules", "/console/rules/preview", rules, 200),
        ("/console/rules", "/console/rules/save", rules, 303),
        ("/console/rules", "/console/rules/save", rules | {"version": "1"}, 303),
        (one, f"{one}/reconnect", {"return_url": "https://host.example/done"}, 200),
        ("/console/erase?entity_id=u", "/console/erase", _erased("u"), 303),
        ("/console/rules", "/console/repair/redrive", {}, 303),
        ("/console/rules", "/console/repair/discard", dead, 404),
        (f"{one}/delete", f"{one}/delete", {}, 303),
    ):
        assert browser.submit(page, path, form).status == status, path


def _erased(entity_id: str) -> dict[str, str]:
    return {"tenant_id": "default", "entity_id": entity_id, "typed": entity_id}


def _console(watch: Watch) -> tuple[WatchedStack, WatchedConsole]:
    stack = WatchedStack(watch)
    let_in(stack.stores.api_keys, now=START)
    offer_google(stack.environment["SECRET_ID"])
    browser = WatchedConsole(stack, watch)
    assert browser.sign_in().status == 303
    return stack, browser


def people_use_their_links(watch: Watch) -> None:
    stage = WatchedStage(watch)
    person = WatchedPerson(stage, watch)
    calendar_id = stage.connect().json["calendar_id"]
    stage.settle(calendar_id)
    _share(stage, calendar_id)
    stage.stores.meetings.save(meeting(calendar_id, "e1", series="s1"))
    page = _path(stage.call("POST", "/v1/entities/default/u_1/page-link"))
    for word in ("occurrence off", "series off"):
        form = {"word": f"{word} {calendar_id} e1"}
        assert person.submit(page, f"{page}/override", form).status == 303
    preview = person.submit(f"{page}/rules", f"{page}/rules", {"base": "off"})
    assert preview.status == 200
    saved = {"base": "off", "save": "1", "version": "0"}
    assert person.submit(f"{page}/rules", f"{page}/rules", saved).status == 303
    for scope in ("occurrence", "series"):
        path = f"/v1/calendars/{calendar_id}/meetings/e1/opt-out-link"
        link = _path(stage.call("POST", path, {"scope": scope}))
        assert person.submit(link, link, {"word": "out"}).status == 303
    _reconnect(stage, person, page, calendar_id=calendar_id)
    disconnected = person.submit(page, f"{page}/disconnect", {"calendar": calendar_id})
    assert disconnected.status == 303


def people_reconnect_what_recall_has_lost(watch: Watch) -> None:
    stage = WatchedStage(watch)
    calendar_id = stage.connect().json["calendar_id"]
    stage.settle(calendar_id)
    _share(stage, calendar_id)
    stage.recall.handle(_deletion(stage, calendar_id))
    page = _path(stage.call("POST", "/v1/entities/default/u_1/page-link"))
    _reconnect(stage, WatchedPerson(stage, watch), page, calendar_id=calendar_id)
    assert stage.stores.calendars.get(calendar_id) is None


def _reconnect(stage: WatchedStage, person: WatchedPerson, page: str, *, calendar_id: str) -> None:
    stage.stores.calendars.change(
        calendar_id,
        status=CalendarStatus.DISCONNECTED,
        status_reason="gone",
        updated_at=stage.clock.now(),
    )
    pressed = person.submit(page, f"{page}/reconnect", {"calendar": calendar_id})
    browser = stage.browser()
    at_provider = browser.get(pressed.location.removesuffix("/about"))
    home = browser.get(stage.consent(at_provider.location))
    # A calendar that Recall has lost is made anew.
    assert re.search("done=(re)?connected", person.get(home.location).location)


def _path(made: Answer) -> str:
    assert made.status == 201
    return urlsplit(made.json["url"]).path


def _deletion(stage: WatchedStage, calendar_id: str) -> Request:
    url = f"{stage.environment['RECALL_BASE_URL']}/api/v2/calendars/{calendar_id}/"
    return Request(method="DELETE", url=url, headers={"Authorization": "recall-key"}, body=b"")


def bots_without_events_are_claimed(watch: Watch) -> None:
    """The scheduler's part is played by the flow that it is made of."""
    stack = WatchedStack(watch)
    recall, claims = stack.scheduler.doors.recall, stack.stores.claims
    wish = _wish(START + timedelta(minutes=20))
    with watch.acting("SchedulerFunction", stack.environment):
        numbers = itertools.count()
        keeper = Keeper(
            recall,
            claims,
            clock=stack.clock.now,
            unique=lambda: f"intent-{next(numbers)}",
            log=Log("scheduler"),
        )
        keeper.keep(wish, previous_key=None)
        stack.clock.advance(timedelta(minutes=2))
        keeper.keep(wish, previous_key=None)
    recall.create_bot(
        meeting_url=MEET,
        join_at=wish.start,
        bot_config={"metadata": {"rollcall_mode": "self_managed"}},
        idempotency_key="stray",
    )
    assert [2] == [done["claims"] for done in stack.reconcile("preflight")]
    stack.clock.advance(timedelta(minutes=2))
    with watch.acting("SchedulerFunction", stack.environment):
        for claim in claims.due(now=stack.clock.now(), limit=10):
            keeper.release(claim.meeting_key)
    assert [] == stack.recall.live_bots()


def _wish(start: datetime) -> Wanted:
    return Wanted(
        meeting_key="key",
        event_id="event-1",
        meeting_url=MEET,
        start=start,
        end=start + timedelta(hours=1),
        bot=BotSettings(),
        fingerprint="print",
    )


def bots_follow_their_meetings(watch: Watch) -> None:
    stack = WatchedStack(watch)
    owner = stack.recall.account(GOOGLE, "owner@acme.example")
    event = _add(owner, "Kickoff", series="weekly")
    calendar_id = stack.connect()
    stack.run(10)
    owner.move(event, START + timedelta(hours=2))
    stack.run(65, ticks=True)
    row = stack.stores.meetings.of_calendar(calendar_id).items[0]
    override = Override(choice=Choice.OFF, set_by="test", set_at=stack.clock.now())
    stack.stores.meetings.set_override(row.event.event_id, override, now=stack.clock.now())
    stack.scheduler.queue.ring_work(now=stack.clock.now(), unique="override")
    stack.run(5)
    owner.cancel(event)
    stack.run(3600, ticks=True)
    assert stack.recall.bots


def bots_report_what_they_do(watch: Watch) -> None:
    stack = WatchedStack(watch)
    _add(stack.recall.account(GOOGLE, "owner@acme.example"), "Kickoff")
    stack.connect()
    stack.run(3 * 3600 + 300)
    assert "bot.status" in dict(stack.notices)


def recall_refuses_lists_without_a_calendar(watch: Watch) -> None:
    stack = WatchedStack(watch, switches=Switches(unfiltered_list_refused=True))
    owner = stack.recall.account(GOOGLE, "owner@acme.example")
    _add(owner, "Kickoff")
    stack.connect()
    stack.run(130, ticks=True)
    assert stack.stores.workspace.feed().refused
    assert stack.recall.live_bots()


def many_pages_are_read_in_several_runs(watch: Watch) -> None:
    stack = WatchedStack(watch, switches=Switches(events_page_size=1))
    owner = stack.recall.account(GOOGLE, "owner@acme.example")
    for number in range(12):
        _add(owner, f"Meeting {number}", attendees=[], start=START + timedelta(hours=number + 1))
    calendar_id = stack.connect()
    stack.run(60, ticks=True)
    assert stack.stores.calendars.get(calendar_id).read_next is None


def a_row_changes_while_it_is_read(watch: Watch, *, reader: str) -> None:
    """It is read once more."""
    stack = WatchedStack(watch)
    owner = stack.recall.account(GOOGLE, "owner@acme.example")
    event = _add(owner, "Kickoff", start=START + timedelta(minutes=20))
    calendar_id = stack.connect()
    stack.run(10)
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    stack.lose_webhooks = True
    owner.rename(event, "Kick-off")
    stack.run(3)
    watch.once_before(
        ("dynamodb:PutItem", "MEETINGS_TABLE"),
        lambda: stack.stores.meetings.wake(row.event.event_id, now=stack.clock.now()),
    )
    if reader == "reconciler":
        stack.reconcile("preflight")
    else:
        stack.tick()
        stack.run(60)


def the_world_differs_from_what_we_know(watch: Watch) -> None:
    """Bots are lost behind our back; pre-flight and audit see it and ring."""
    stack = WatchedStack(watch)
    owner = stack.recall.account(GOOGLE, "owner@acme.example")
    _add(owner, "Kickoff", start=START + timedelta(minutes=20))
    stack.connect()
    stack.run(10)
    stack.lose_webhooks = True
    _add(owner, "Added in silence", start=START + timedelta(minutes=21), link=MEET[:-1] + "u")
    stack.run(2)
    stack.reconcile("calendars", "audit", "preflight", "audit", "coverage", "overview")


def a_host_uses_every_route(watch: Watch) -> None:
    stage = WatchedStage(watch)
    body = {"entity_id": "u_1", "platform": GOOGLE, "oauth_refresh_token": stage.token()}
    calendar_id = stage.call("POST", "/v1/calendars", body, idempotency_key="k").json["calendar_id"]
    assert stage.call("POST", "/v1/calendars", body, idempotency_key="k").status == 201
    stage.recall.outage = 503
    assert stage.call("POST", "/v1/calendars", body, idempotency_key="l").status == 503
    stage.recall.outage = None
    stage.settle(calendar_id)
    path = f"/v1/calendars/{calendar_id}"
    _look_around(stage, path)
    _change_minds(stage, path, calendar_id)
    assert stage.call("POST", f"{path}/resync").status == 202
    assert stage.call("PATCH", path, {"metadata": {"a": "b"}}).status == 200
    assert stage.call("PATCH", path, {"oauth_refresh_token": stage.token()}).status == 200
    assert stage.call("PATCH", path, {"entity_id": "u_2"}).status == 200
    _repair(stage, path, calendar_id)
    _share(stage, calendar_id)
    assert stage.call("DELETE", path).status == 204
    assert stage.call("DELETE", "/v1/entities/default/u_1").status == 202


def rules_are_put_and_read(watch: Watch) -> None:
    """Often enough that the oldest version goes."""
    stage = WatchedStage(watch)
    with patch.object(settings, "VERSIONS_KEPT", 1):
        for number in range(3):
            assert stage.call("PUT", "/v1/rules/default", {"min_others": number}).status == 200
    calendar_id = stage.add().json["calendar_id"]
    shared = replace(meeting(calendar_id, "e1"), shared=True, meeting_key="key")
    stage.stores.meetings.save(shared)
    body = {"scope": "entity:default:u_1", "rules": {}}
    assert stage.call("POST", "/v1/rules/preview", body).status == 200
    for path in ("/v1/rules/default", "/v1/rules/default/versions"):
        assert stage.call("GET", path).status == 200


def new_rules_reach_meetings(watch: Watch) -> None:
    """Also one that somebody changes at that moment."""
    stack = WatchedStack(watch)
    _add(stack.recall.account(GOOGLE, "owner@acme.example"), "Kickoff")
    calendar_id = stack.connect()
    stack.run(10)
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    doors = RulesDoors(
        settings=stack.stores.settings,
        workspace=stack.stores.workspace,
        queue=stack.scheduler.queue,
    )
    for scope, name in ((Scope(), "Clerk"), (Scope("default"), "Scribe")):
        wanted = RulesPut(scope=scope, document={"bot": {"bot_name": name}}, by="test")
        put_rules(doors, wanted, now=stack.clock.now(), unique=name)
        watch.once_before(
            ("dynamodb:PutItem", "MEETINGS_TABLE"),
            lambda: stack.stores.meetings.wake(row.event.event_id, now=stack.clock.now()),
        )
        stack.run(5)
    assert stack.stores.workspace.redecision().finished_at is not None


def an_entity_is_erased(watch: Watch) -> None:
    stack = WatchedStack(watch)
    _add(stack.recall.account(GOOGLE, "owner@acme.example"), "Kickoff")
    stack.connect()
    stack.run(10)
    stack.stores.sessions.add(session(entity_id="u1", tenant_id="default"))
    stack.stores.settings.put_rules("entity:default:u1", {}, by="test", at=stack.clock.now())
    wanted = Erasure(
        tenant_id="default",
        entity_id="u1",
        record="erased#1",
        asked_by="test",
        asked_at=stack.clock.now(),
    )
    doors = ErasureDoors(
        workspace=stack.stores.workspace,
        settings=stack.stores.settings,
        queue=stack.scheduler.queue,
    )
    ask_for_erasure(doors, wanted, unique="erasure")
    stack.run(61, ticks=True)
    assert stack.stores.workspace.report("erased#1")["calendars"] == 1


def a_person_connects_with_a_code(watch: Watch) -> None:
    stage = WatchedStage(watch)
    for platform in (GOOGLE, OUTLOOK):
        first = stage.connect(platform=platform)
        assert first.status == 201
        stage.settle(first.json["calendar_id"])
        assert stage.connect(platform=platform).status == 200


def a_person_connects_without_a_code(watch: Watch) -> None:
    stage = WatchedStage(watch, ALLOW_UNCONFIRMED="true")
    stage.come_home(confirm=False)
    (first,) = stage.recall.calendars
    stage.come_home(confirm=False)
    _meet(stage, first)
    stage.recall.core.calendars.clear()
    stage.come_home(confirm=False)
    assert stage.stores.calendars.get(first) is None
    _recall_refuses(stage, "POST")
    stage.come_home(confirm=False, entity_id="u_3")


def a_consent_waits_for_recall(watch: Watch) -> None:
    """It lands later: as a new calendar, on its account's own, and on one that Recall lost."""
    stage = WatchedStage(watch)
    lost = stage.connect(entity_id="u_lost").json["calendar_id"]
    _meet(stage, lost)
    kept = stage.connect(entity_id="u_kept").json["calendar_id"]
    waiting = [stage.come_home(entity_id=each) for each in ("u_new", "u_kept", "u_lost")]
    stage.recall.outage = 503
    for session_id, home in waiting:
        assert stage.complete(session_id, home.query["completion_code"]).status == 503
    stage.recall.outage = None
    stage.recall.core.calendars.pop(lost)
    (done,) = stage.reconcile("preflight")
    assert done["landed"] == 3
    assert stage.stores.calendars.get(lost) is None
    assert stage.stores.calendars.get(kept) is not None


def one_account_twice(watch: Watch, *, refresh: Refresh) -> None:
    """Two calendars of one account are merged by whoever sees its name first."""
    stage = WatchedStage(watch)
    older = stage.add().json["calendar_id"]
    stage.settle(older)
    stage.pass_time(60)
    newer = _nameless(stage)
    _meet(stage, newer)
    stage.pass_time(2)
    refresh(stage, newer)
    stage.answer_updates()
    assert stage.stores.calendars.get(newer) is None
    assert stage.stores.calendars.get(older).email == ADA


def a_calendar_is_cut_off(watch: Watch, *, refresh: Refresh) -> None:
    stage = WatchedStage(watch)
    calendar_id = _nameless(stage)
    stage.pass_time(2)
    refresh(stage, calendar_id)
    stage.worlds[GOOGLE].revoke(ADA)
    stage.recall.account(GOOGLE, ADA).revoke_grant()
    stage.pass_time(10)
    refresh(stage, calendar_id)
    assert stage.stores.calendars.get(calendar_id).status == "disconnected"


def _scheduler_refreshes(stage: WatchedStage, calendar_id: str) -> None:
    stage.refresh(calendar_id)


def _reconciler_refreshes(stage: WatchedStage, _: str) -> None:
    stage.reconcile("calendars")


SCENARIOS: list[Callable[[Watch], None]] = [
    keys_are_looked_up,
    operators_look_around,
    operators_send_every_form,
    people_use_their_links,
    people_reconnect_what_recall_has_lost,
    bots_follow_their_meetings,
    bots_without_events_are_claimed,
    bots_report_what_they_do,
    recall_refuses_lists_without_a_calendar,
    many_pages_are_read_in_several_runs,
    partial(a_row_changes_while_it_is_read, reader="scheduler"),
    partial(a_row_changes_while_it_is_read, reader="reconciler"),
    the_world_differs_from_what_we_know,
    a_host_uses_every_route,
    rules_are_put_and_read,
    new_rules_reach_meetings,
    an_entity_is_erased,
    a_person_connects_with_a_code,
    a_person_connects_without_a_code,
    a_consent_waits_for_recall,
    partial(one_account_twice, refresh=_scheduler_refreshes),
    partial(one_account_twice, refresh=_reconciler_refreshes),
    partial(a_calendar_is_cut_off, refresh=_scheduler_refreshes),
    partial(a_calendar_is_cut_off, refresh=_reconciler_refreshes),
]


def _add(account: Any, title: str, **facts: Any) -> str:
    wanted = {"start": START + timedelta(hours=3), "link": MEET, "attendees": [GUEST], **facts}
    return account.add_event(title, **wanted)


def _look_around(stage: WatchedStage, path: str) -> None:
    for route, query in (
        (path, None),
        ("/v1/calendars", None),
        ("/v1/calendars", {"tenant_id": "default", "entity_id": "u_1"}),
        ("/v1/calendars", {"status": "connected"}),
        ("/v1/calendars", {"email": ADA}),
        (f"{path}/meetings", None),
        ("/v1/status", None),
        ("/v1/rotations", None),
    ):
        assert stage.call("GET", route, query=query).status == 200
    assert stage.call("GET", "/v1/drift").status == 404


def _change_minds(stage: WatchedStage, path: str, calendar_id: str) -> None:
    for event_id in ("e1", "e2"):
        stage.stores.meetings.save(meeting(calendar_id, event_id, series="s1"))
    for scope in ("occurrence", "series"):
        wanted = {"choice": "off", "scope": scope}
        assert stage.call("PUT", f"{path}/meetings/e1/override", wanted).status == 200
    assert stage.call("GET", f"{path}/meetings").status == 200


def _repair(stage: WatchedStage, path: str, calendar_id: str) -> None:
    refused = replace(meeting(calendar_id, "e1"), problem="recall_blocked")
    stage.stores.meetings.delete("e1")
    stage.stores.meetings.save(refused)
    for number, body in enumerate(("{}", encode(WorkDue(received_at=stage.clock.now())))):
        boto3.client("sqs", region_name=REGION).send_message(
            QueueUrl=stage.environment["DEAD_LETTER_QUEUE_URL"],
            MessageBody=body,
            MessageGroupId=f"group-{number}",
        )
    for method, route, status in (
        ("GET", "/v1/meetings/set-aside", 200),
        ("POST", "/v1/meetings/set-aside/replay", 202),
        ("POST", f"{path}/meetings/e1/replay", 202),
        ("GET", "/v1/dead-letters", 200),
        ("POST", "/v1/dead-letters/redrive", 200),
        ("DELETE", "/v1/dead-letters/none", 404),
    ):
        assert stage.call(method, route).status == status


def _meet(stage: WatchedStage, calendar_id: str) -> None:
    _share(stage, calendar_id)
    stage.stores.meetings.save(meeting(calendar_id, "e1", series="s1"))
    stage.stores.settings.series.put_override(
        Series(calendar_id, "s1"), Override(choice=Choice.OFF)
    )


def _share(stage: WatchedStage, calendar_id: str) -> None:
    """A meeting with a copy in another calendar, and a bot of our own."""
    for own, event_id in ((calendar_id, "here"), ("elsewhere", "there")):
        row = meeting(own, event_id)
        bot = replace(row.assignment, by=Scheduling.SELF_MANAGED)
        stage.stores.meetings.save(replace(row, shared=True, meeting_key="key", assignment=bot))


def _nameless(stage: WatchedStage) -> str:
    """Connected while the provider is down, so that the address comes with the first sync."""
    token = stage.token()
    stage.provider_adapters[GOOGLE].faults = lambda _: Fault(kind=FaultKind.CONNECT_TIMEOUT)
    answer = stage.add(oauth_refresh_token=token)
    stage.provider_adapters[GOOGLE].faults = None
    return answer.json["calendar_id"]


def _recall_refuses(stage: WatchedStage, method: str) -> None:
    refusal = Response(status=400, body=b'{"code":"invalid_request_data"}')
    stage.recall_adapter.faults = lambda request: (
        Fault(kind=FaultKind.ANSWER, answer=refusal) if request.method == method else None
    )


def _allowed(template: Template, function: str) -> set[Permission]:
    """What the role states, without what Lambda does in the function's name."""
    stated = template.functions()[function]
    polls = any(event["Type"] == "SQS" for event in stated.get("Events", {}).values())
    unseen = MADE_BY_LAMBDA | (MADE_BY_THE_EVENT_SOURCE if polls else {})
    return {
        (action, resource)
        for statement in template.statements_of(function)
        for action in statement.actions
        for resource in statement.touched()
        if action not in unseen
    }


def _logical(template: Template, function: str, touched: str) -> str:
    """The resource that the template puts behind a variable."""
    variable, _, index = touched.partition("/")
    named = referred(template.environment(function).get(variable)) or touched
    return f"{named}/{index}" if index else named
