"""A grant lands on the calendar that its account has, or on a new one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from infra.local.emulators.http import Fault, FaultKind, Response
from tests.connect_stage import ADA, GOOGLE, Stage, open_stage

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with open_stage() as stage:
        yield stage


def row(stage: Stage, calendar_id: str):
    return stage.stores.calendars.get(calendar_id)


def tell_no_address(stage: Stage) -> None:
    """Google says nothing of whose account it is."""
    stage.worlds[GOOGLE].add_account(ADA, "Ada", email_claim=False)
    stage.provider_adapters[GOOGLE].faults = lambda request: (
        Fault(kind=FaultKind.READ_TIMEOUT) if request.url.endswith("/userinfo") else None
    )


def test_a_reconnected_calendar_is_read_from_the_beginning(stage):
    calendar_id = stage.connect().json["calendar_id"]
    stage.settle(calendar_id)
    stage.pass_time(60)
    stage.connect()
    found = row(stage, calendar_id)
    assert (found.read_since, found.updated_at) == (EPOCH, stage.clock.now())


def test_metadata_that_comes_with_a_reconnect_is_news_of_that_moment(stage):
    calendar_id = stage.connect().json["calendar_id"]
    stage.pass_time(60)
    stage.connect(metadata={"plan": "pro"})
    assert row(stage, calendar_id).updated_at == stage.clock.now()


def test_the_bell_of_a_landing_says_when(stage):
    calendar_id = stage.connect().json["calendar_id"]
    (bell,) = stage.bells()
    assert bell["calendar_id"] == calendar_id
    assert datetime.fromisoformat(bell["received_at"]) == stage.clock.now()


def test_an_account_whose_row_is_gone_starts_anew(stage):
    first = stage.connect().json["calendar_id"]
    stage.stores.calendars.delete(first)
    second = stage.connect()
    assert second.status == 201
    assert second.json["calendar_id"] != first
    third = stage.connect()
    assert (third.status, third.json["calendar_id"]) == (200, second.json["calendar_id"])


def test_a_calendar_that_went_to_another_entity_is_left_to_it(stage):
    first = stage.connect().json["calendar_id"]
    stage.stores.calendars.change(first, entity_id="u_2", updated_at=stage.clock.now())
    second = stage.connect()
    assert second.status == 201
    assert second.json["calendar_id"] != first
    assert (row(stage, first).entity_id, len(stage.recall.calendars)) == ("u_2", 2)
    assert stage.connect().json["calendar_id"] == second.json["calendar_id"]


def test_a_lost_answer_for_an_account_nobody_named_makes_no_second_calendar(stage):
    tell_no_address(stage)
    session_id, home = stage.come_home()
    code = home.query["completion_code"]
    stage.recall_adapter.faults = lambda _: Fault(kind=FaultKind.TIMEOUT_AFTER_EFFECT)
    assert stage.complete(session_id, code).status == 503
    stage.recall_adapter.faults = None
    assert stage.complete(session_id, code).status == 201
    assert len(stage.recall.calendars) == 1


def test_two_consents_of_accounts_nobody_named_are_two_calendars(stage):
    tell_no_address(stage)
    ids = {stage.connect().json["calendar_id"] for _ in range(2)}
    assert ids == set(stage.recall.calendars)
    assert len(ids) == 2


def test_an_account_that_was_named_late_is_known_from_then_on(stage):
    tell_no_address(stage)
    calendar_id = stage.connect().json["calendar_id"]
    stage.provider_adapters[GOOGLE].faults = None
    stage.connect(calendar_id=calendar_id)
    again = stage.connect()
    assert (again.status, again.json["calendar_id"]) == (200, calendar_id)


def test_a_reconnect_brings_the_client_of_today_along(stage):
    calendar_id = stage.connect().json["calendar_id"]
    calendar = stage.recall.core.calendars[calendar_id]
    calendar.oauth_client_id, calendar.oauth_client_secret = "client-0", "client-secret-0"
    stage.connect()
    calendar = stage.recall.core.calendars[calendar_id]
    client = (calendar.oauth_client_id, calendar.oauth_client_secret)
    assert client == ("client-1", "client-secret-1")


def test_an_account_whose_calendar_went_at_recall_has_the_new_one_from_then_on(stage):
    first = stage.connect().json["calendar_id"]
    stage.recall.core.calendars.pop(first)
    stage.notices()
    second = stage.connect().json["calendar_id"]
    ((kind, detail),) = stage.notices()
    assert (kind, detail["calendar_id"]) == ("calendar.deleted", first)
    third = stage.connect()
    assert (third.status, third.json["calendar_id"]) == (200, second)


def test_another_session_takes_up_the_calendar_that_a_lost_answer_left(stage):
    session_id, home = stage.come_home()
    stage.recall_adapter.faults = lambda _: Fault(kind=FaultKind.TIMEOUT_AFTER_EFFECT)
    assert stage.complete(session_id, home.query["completion_code"]).status == 503
    stage.recall_adapter.faults = None
    assert stage.connect().json["calendar_id"] in stage.recall.calendars
    assert len(stage.recall.calendars) == 1


def test_a_link_reconnects_no_calendar_that_went_to_another_entity(stage):
    tell_no_address(stage)
    calendar_id = stage.connect().json["calendar_id"]
    stage.provider_adapters[GOOGLE].faults = None
    session_id, home = stage.come_home(calendar_id=calendar_id)
    stage.stores.calendars.change(calendar_id, entity_id="u_2", updated_at=stage.clock.now())
    landed = stage.complete(session_id, home.query["completion_code"])
    assert landed.status == 201
    assert row(stage, calendar_id).email is None


def test_a_link_for_another_entitys_calendar_names_what_is_wrong(stage):
    calendar_id = stage.connect().json["calendar_id"]
    foreign = stage.start(calendar_id=calendar_id, entity_id="u_2")
    assert (foreign.status, foreign.json["code"]) == (404, "calendar_not_found")


def test_metadata_holds_no_calendar_that_went_at_recall(stage):
    first = stage.connect().json["calendar_id"]
    stage.recall.core.calendars.pop(first)
    second = stage.connect(metadata={"plan": "pro"})
    assert (second.status, second.json["metadata"]) == (201, {"plan": "pro"})
    assert second.json["calendar_id"] in stage.recall.calendars


def test_recall_is_told_the_account_before_its_first_sync(stage):
    calendar_id = stage.connect().json["calendar_id"]
    assert stage.recall.core.calendars[calendar_id].oauth_email == ADA


def test_an_account_that_recall_refused_is_tried_under_a_key_of_its_own(stage):
    refused: set[str] = set()
    answer = Response(status=400, body=b'{"code":"invalid_request_data"}')

    def refuse(request):
        """Recall repeats its answer to a key."""
        key = request.headers.get("Idempotency-Key", "")
        if refused and key not in refused:
            return None
        refused.add(key)
        return Fault(kind=FaultKind.ANSWER, answer=answer)

    stage.recall_adapter.faults = refuse
    assert stage.connect().json["code"] == "recall_refused"
    assert stage.connect().status == 201
    assert len(refused) == 1
