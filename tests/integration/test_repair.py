"""What an operator repairs: dead letters go round again, refused meetings are tried again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from infra.local.emulators.http import Fault, FaultKind, Request, Response
from infra.local.emulators.recall.accounts import Account
from shared.domain.message import CalendarUpdate, WorkDue, encode
from tests.connect_stage import Stage, open_stage
from tests.integration.test_reconciler import GUEST, OTHER_MEET, OWNER, add, connected
from tests.stack import GOOGLE, RECEIVES_MAX, START, Stack
from tests.stack_api import StackApi
from tests.tables import client

HOUR = timedelta(hours=1)
UNTIL_DEAD = 70 * (RECEIVES_MAX + 1)
LINKS = [f"https://meet.google.com/qkr-wzpn-ab{letter}" for letter in "abcdef"]


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws():
        yield Stack()


@pytest.fixture
def owner(stack: Stack) -> Account:
    return stack.recall.account(GOOGLE, OWNER)


@pytest.fixture
def api(stack: Stack) -> StackApi:
    return StackApi(stack)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with open_stage(FEED_MODE="workspace") as opened:
        yield opened


# Dead letters.


def letters_of_a_bad_day(stack: Stack, owner: Account) -> None:
    """The scheduler crashes while a meeting takes place, another moves and a grant is revoked."""
    held = add(owner, START + timedelta(minutes=20))
    moved = add(owner, START + 5 * HOUR, link=OTHER_MEET)
    calendar_id = connected(stack)
    stack.connect("dana@acme.example", entity_id="u2")
    stack.run(60)
    stack.scheduler_crashes = True
    owner.rename(held, "Kick-off")
    owner.move(moved, START + 6 * HOUR)
    stack.recall.account(GOOGLE, "dana@acme.example").revoke_grant()
    update = CalendarUpdate(calendar_id=calendar_id, received_at=stack.clock.now())
    stack.scheduler.queue.send(update, unique="update")
    stack.run(3 * 3600 + UNTIL_DEAD)
    stack.scheduler_crashes = False


def types(stack: Stack) -> set[str]:
    return {body["type"] for body in map(read, stack.queue.dead)}


def read(letter: Any) -> dict[str, Any]:
    body = json.loads(letter.body)
    assert isinstance(body, dict)
    return body


def world(stack: Stack) -> tuple[object, ...]:
    """Everything but the versions of rows, which count writes."""
    calendars = stack.stores.calendars.every().items
    pages = [stack.stores.meetings.of_calendar(each.calendar_id) for each in calendars]
    rows = [replace(row, version=None) for page in pages for row in page.items]
    told = {(name, detail["id"]) for name, detail in stack.notices}
    stable = [replace(each, updated_at=START, swept_at=None) for each in calendars]
    return stack.recall.live_bots(), stable, rows, told


def redrive_all(api: StackApi) -> int:
    """Until none is left; how many went back."""
    count = 0
    while done := api.call("POST", "/v1/dead-letters/redrive", {}).json["redriven"]:
        count += done
    return count


def test_everything_redriven_twice_leaves_the_world_as_it_was(
    stack: Stack, owner: Account, api: StackApi
) -> None:
    letters_of_a_bad_day(stack, owner)
    assert {"feed.changed", "calendar.update", "bot.event"} == types(stack)
    letters = [(each.body, each.group) for each in stack.queue.dead]
    assert len(letters) == redrive_all(api)
    stack.run(120, ticks=True)
    assert ([], []) == (stack.queue.messages, stack.queue.dead)
    settled = world(stack)
    assert "done" in {row.assignment.state for row in settled[2] if row.assignment}
    assert ["disconnected"] == [each.status for each in settled[1] if each.entity_id == "u2"]
    for _ in range(2):
        for number, (body, group) in enumerate(letters):
            stack.queue.send_message(
                QueueUrl="",
                MessageBody=body,
                MessageGroupId=group,
                MessageDeduplicationId=f"{stack.clock.now()}-{number}",
            )
        stack.run(120, ticks=True)
        assert ([], []) == (stack.queue.messages, stack.queue.dead)
        assert settled == world(stack)


def test_a_crash_before_the_removal_sends_a_letter_twice_and_loses_none(
    stack: Stack, owner: Account, api: StackApi
) -> None:
    connected(stack)
    bury(stack, encode(WorkDue(received_at=START)), group="feed")
    stack.queue.refusing_deletes = True
    assert 503 == api.call("POST", "/v1/dead-letters/redrive", {}).status
    assert (1, 1) == (len(stack.queue.messages), len(stack.queue.dead))
    stack.queue.refusing_deletes = False
    stack.run(61)
    done = api.call("POST", "/v1/dead-letters/redrive", {})
    assert {"redriven": 1, "kept": 0, "left": 0} == done.json
    assert 1 == len(stack.queue.messages)


def bury(stack: Stack, body: str, *, group: str) -> None:
    stack.scheduler_crashes = True
    stack.queue.send_message(QueueUrl="", MessageBody=body, MessageGroupId=group)
    stack.run(UNTIL_DEAD)
    stack.scheduler_crashes = False


def test_letters_are_told_without_their_bodies(stack: Stack, api: StackApi) -> None:
    bury(stack, encode(WorkDue(received_at=START)), group="feed")
    (letter,) = api.call("GET", "/v1/dead-letters").json["items"]
    assert {
        "message_id": "1",
        "type": "work.due",
        "group": "feed",
        "reason": "tries_used_up",
        "receives": RECEIVES_MAX + 1,
        "redriven": 0,
        "sent_at": "2027-03-01T09:00:00Z",
        "age_seconds": UNTIL_DEAD,
    } == letter
    assert 1 == api.call("GET", "/v1/dead-letters").json["total"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [("{", "unknown"), ('{"type": "ada@acme.example"}', "unknown"), ('{"type":"tick"}', "tick")],
)
def test_a_malformed_letter_stays_dead_with_its_reason(
    stack: Stack, api: StackApi, body: str, kind: str
) -> None:
    stack.queue.send_message(QueueUrl="", MessageBody=body, MessageGroupId="bot:b1")
    stack.run(5)
    assert [] == stack.queue.messages
    done = api.call("POST", "/v1/dead-letters/redrive", {})
    assert {"redriven": 0, "kept": 1, "left": 1} == done.json
    (letter,) = api.call("GET", "/v1/dead-letters").json["items"]
    assert ("message_malformed", kind) == (letter["reason"], letter["type"])
    assert 204 == api.call("DELETE", f"/v1/dead-letters/{letter['message_id']}").status
    assert [] == api.call("GET", "/v1/dead-letters").json["items"]


def test_a_malformed_letter_does_not_hold_up_its_group(stack: Stack, api: StackApi) -> None:
    stack.queue.send_message(QueueUrl="", MessageBody="{", MessageGroupId="feed")
    stack.run(5)
    bury(stack, encode(WorkDue(received_at=START)), group="feed")
    done = api.call("POST", "/v1/dead-letters/redrive", {})
    assert {"redriven": 1, "kept": 1, "left": 1} == done.json


def test_a_poisonous_letter_comes_back_and_says_how_often(stack: Stack, api: StackApi) -> None:
    bury(stack, encode(WorkDue(received_at=START)), group="feed")
    for times in (1, 2):
        stack.scheduler_crashes = True
        assert 1 == api.call("POST", "/v1/dead-letters/redrive", {"limit": 1}).json["redriven"]
        stack.run(UNTIL_DEAD)
        (letter,) = api.call("GET", "/v1/dead-letters").json["items"]
        assert times == letter["redriven"]


def test_a_redrive_is_bounded(stack: Stack, api: StackApi) -> None:
    for number in range(3):
        body = encode(WorkDue(received_at=START + timedelta(seconds=number)))
        stack.queue.send_message(QueueUrl="", MessageBody=body, MessageGroupId="feed")
    stack.scheduler_crashes = True
    stack.run(UNTIL_DEAD)
    done = api.call("POST", "/v1/dead-letters/redrive", {"limit": 2})
    assert {"redriven": 2, "kept": 0, "left": 1} == done.json


@pytest.mark.parametrize("limit", [0, 101, "2"])
def test_a_bad_limit_is_refused(stack: Stack, api: StackApi, limit: object) -> None:
    refused = api.call("POST", "/v1/dead-letters/redrive", {"limit": limit})
    assert (400, "limit") == (refused.status, refused.json["field"])


def test_a_letter_that_nobody_has_cannot_be_discarded(stack: Stack, api: StackApi) -> None:
    missing = api.call("DELETE", "/v1/dead-letters/none")
    assert (404, "dead_letter_not_found") == (missing.status, missing.json["code"])


def test_redriving_under_one_idempotency_key_happens_once(stack: Stack, api: StackApi) -> None:
    bury(stack, encode(WorkDue(received_at=START)), group="feed")
    path = "/v1/dead-letters/redrive"
    first = api.call("POST", path, {}, **{"idempotency-key": "k"})
    bury(stack, encode(WorkDue(received_at=START)), group="feed")
    assert first.json == api.call("POST", path, {}, **{"idempotency-key": "k"}).json
    assert 1 <= len(stack.queue.dead)


def test_sqs_as_moto_has_it_takes_the_same_calls(stage: Stage) -> None:
    sqs, dead = client("sqs"), stage.environment["DEAD_LETTER_QUEUE_URL"]
    for group, body in (("a", "{"), ("feed", encode(WorkDue(received_at=START)))):
        sqs.send_message(QueueUrl=dead, MessageBody=body, MessageGroupId=group)
    listed = stage.call("GET", "/v1/dead-letters").json
    reasons = {letter["reason"] for letter in listed["items"]}
    assert ({"message_malformed", "tries_used_up"}, 2) == (reasons, listed["total"])
    done = stage.call("POST", "/v1/dead-letters/redrive").json
    assert {"redriven": 1, "kept": 1, "left": 1} == done
    assert ["work.due"] == [bell["type"] for bell in stage.bells()]
    (left,) = stage.call("GET", "/v1/dead-letters").json["items"]
    assert 204 == stage.call("DELETE", f"/v1/dead-letters/{left['message_id']}").status
    assert 0 == stage.call("GET", "/v1/dead-letters").json["total"]


# Meetings set aside.


def refuse(stack: Stack, status: int = 403, code: str = "no") -> None:
    """Recall refuses every bot, by its firewall or by its own word."""
    answer = Response(
        status=status,
        body=f'{{"code": "{code}"}}'.encode(),
        headers={"content-type": "application/json"},
    )

    def faults(request: Request) -> Fault | None:
        return Fault(kind=FaultKind.ANSWER, answer=answer) if request.method == "POST" else None

    stack.adapter.faults = faults


def refused_meetings(stack: Stack, owner: Account, *, count: int = 1) -> str:
    for number in range(count):
        add(owner, START + (number + 1) * HOUR, link=LINKS[number], attendees=[GUEST])
    calendar_id = stack.connect()
    refuse(stack)
    stack.run(10)
    assert [] == stack.recall.live_bots()
    return calendar_id


def aside(api: StackApi, **query: str) -> list[dict[str, Any]]:
    return list(api.call("GET", "/v1/meetings/set-aside", query=query).json["items"])


def missed(stack: Stack) -> int:
    return sum(name == "meeting.missed" for name, _ in stack.notices)


def test_a_refused_meeting_is_shown_with_its_reason(
    stack: Stack, owner: Account, api: StackApi
) -> None:
    calendar_id = refused_meetings(stack, owner)
    (item,) = aside(api)
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    assert row.problem_at is not None
    assert {
        "calendar_id": calendar_id,
        "event_id": row.event.event_id,
        "start_time": "2027-03-01T10:00:00Z",
        "reason": "recall_blocked",
        "detail": None,
        "attempts": 1,
        "set_aside_at": row.problem_at.isoformat().replace("+00:00", "Z"),
    } == item


def test_recalls_own_code_is_shown_too(stack: Stack, owner: Account, api: StackApi) -> None:
    add(owner)
    stack.connect()
    refuse(stack, 400, "invalid_meeting_url")
    stack.run(10)
    (item,) = aside(api)
    assert ("recall_refused", "invalid_meeting_url") == (item["reason"], item["detail"])


def test_a_replayed_meeting_gets_its_bot(stack: Stack, owner: Account, api: StackApi) -> None:
    calendar_id = refused_meetings(stack, owner)
    (item,) = aside(api)
    path = f"/v1/calendars/{calendar_id}/meetings/{item['event_id']}/replay"
    stack.adapter.faults = None
    stack.run(600, ticks=True)
    assert [] == stack.recall.live_bots()
    first, second = api.call("POST", path), api.call("POST", path)
    assert [(202, {"replayed": 1}), (202, {"replayed": 0})] == [
        (each.status, each.json) for each in (first, second)
    ]
    assert [] == aside(api)
    stack.run(5)
    assert [START + HOUR] == [bot.join_at for bot in stack.recall.live_bots()]
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    assert (None, None, None) == (row.problem, row.problem_detail, row.problem_at)
    assert {"replayed": 0} == api.call("POST", path).json


def test_a_meeting_refused_again_is_set_aside_again_and_missed_once(
    stack: Stack, owner: Account, api: StackApi
) -> None:
    refused_meetings(stack, owner)
    for attempts in (1, 2, 3):
        assert [attempts] == [item["attempts"] for item in aside(api)]
        assert 1 == missed(stack)
        assert {"replayed": 1, "next_cursor": None} == replay_all(api).json
        stack.run(5)


def replay_all(api: StackApi, **body: object) -> Any:
    return api.call("POST", "/v1/meetings/set-aside/replay", body)


def test_all_are_replayed_page_by_page(stack: Stack, owner: Account, api: StackApi) -> None:
    refused_meetings(stack, owner, count=5)
    stack.adapter.faults = None
    answers = [replay_all(api, limit=2).json]
    while answers[-1]["next_cursor"]:
        answers.append(replay_all(api, limit=2, cursor=answers[-1]["next_cursor"]).json)
    assert 5 == sum(answer["replayed"] for answer in answers)
    stack.run(10)
    assert 5 == len(stack.recall.live_bots())
    assert 0 == replay_all(api).json["replayed"]


def test_a_replay_that_never_rang_is_found_by_the_tick(
    stack: Stack, owner: Account, api: StackApi
) -> None:
    refused_meetings(stack, owner)
    stack.adapter.faults = None
    stack.queue.refusing = True
    assert 503 == replay_all(api).status
    stack.queue.refusing = False
    stack.run(75, ticks=True)
    assert 1 == len(stack.recall.live_bots())


def test_one_reason_is_replayed_and_others_wait(
    stack: Stack, owner: Account, api: StackApi
) -> None:
    refused_meetings(stack, owner)
    stack.adapter.faults = None
    assert 0 == replay_all(api, reason="recall_refused").json["replayed"]
    assert [] == aside(api, reason="recall_refused")
    assert 1 == len(aside(api, reason="recall_blocked"))
    assert 1 == replay_all(api, reason="recall_blocked").json["replayed"]


def test_meetings_that_are_over_wait_for_nobody(
    stack: Stack, owner: Account, api: StackApi
) -> None:
    refused_meetings(stack, owner)
    stack.run(3 * 3600)
    assert [] == aside(api)
    assert 0 == replay_all(api).json["replayed"]


def test_a_changed_meeting_is_tried_without_a_replay(
    stack: Stack, owner: Account, api: StackApi
) -> None:
    event = add(owner)
    stack.connect()
    refuse(stack)
    stack.run(10)
    stack.adapter.faults = None
    owner.rename(event, "Kick-off")
    stack.run(75, ticks=True)
    assert ([], 1) == (aside(api), len(stack.recall.live_bots()))


def test_a_claim_that_mends_itself_takes_its_meeting_along(
    stack: Stack, owner: Account, api: StackApi
) -> None:
    """A refused bot of our own is tried again by its claim, and the row learns of it."""
    rules = {"scheduling": "self_managed"}
    stack.stores.settings.put_rules("default", rules, by="test", at=stack.clock.now())
    calendar_id = refused_meetings(stack, owner)
    stack.adapter.faults = None
    stack.run(300, ticks=True)
    (bot,) = stack.recall.live_bots()
    (row,) = stack.stores.meetings.of_calendar(calendar_id).items
    assert row.assignment is not None
    assert (bot.bot_id, []) == (row.assignment.bot_id, aside(api))


def test_a_cursor_of_another_list_is_refused(stack: Stack, api: StackApi) -> None:
    refused = replay_all(api, cursor="bm90IG91cnM")
    assert (400, "cursor_invalid") == (refused.status, refused.json["code"])
