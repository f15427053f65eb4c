"""The Calendars table: partial changes, owed reads, lists and their cursors."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.calendar import CalendarStatus
from shared.errors import CallerError
from shared.storage import Stores
from tests.integration.storage_values import NOW, calendar

LATER = NOW + timedelta(minutes=1)


def test_an_unknown_calendar_is_none(stores: Stores) -> None:
    assert stores.calendars.get("nobody") is None


def test_a_calendar_is_added_once(stores: Stores) -> None:
    first = stores.calendars.add(calendar(entity_id="first"))
    second = stores.calendars.add(calendar(entity_id="second"))

    assert first == second == stores.calendars.get("calendar-1")


def test_a_change_touches_only_what_it_names(stores: Stores) -> None:
    stores.calendars.add(calendar(status_reason="revoked", metadata={"team": "a"}))

    changed = stores.calendars.change("calendar-1", updated_at=LATER, status_reason=None)

    expected = calendar(status_reason=None, metadata={"team": "a"}, updated_at=LATER)
    assert expected == changed == stores.calendars.get("calendar-1")


def test_a_change_of_a_calendar_that_is_gone_creates_nothing(stores: Stores) -> None:
    assert stores.calendars.change("nobody", updated_at=LATER, entity_id="e") is None
    assert stores.calendars.get("nobody") is None


def test_every_field_can_change(stores: Stores) -> None:
    stores.calendars.add(calendar())
    wanted = replace(
        calendar(),
        entity_id="e2",
        email=None,
        status=CalendarStatus.DISCONNECTED,
        status_reason="revoked",
        metadata={"default": "1", "self": "2"},
        updated_at=LATER,
        read_since=NOW,
    )

    changed = stores.calendars.change(
        "calendar-1",
        updated_at=LATER,
        entity_id="e2",
        email=None,
        status=CalendarStatus.DISCONNECTED,
        status_reason="revoked",
        metadata={"default": "1", "self": "2"},
        read_since=NOW,
    )

    assert wanted == changed == stores.calendars.get("calendar-1")


def due(stores: Stores) -> list[str]:
    return [found.calendar_id for found in stores.calendars.due(limit=10)]


def test_a_calendar_is_due_from_the_wish_to_the_end_of_its_read(stores: Stores) -> None:
    stores.calendars.add(calendar(read_since=NOW))
    assert ["calendar-1"] == due(stores)
    stores.calendars.change("calendar-1", updated_at=LATER, status_reason="x")
    assert ["calendar-1"] == due(stores)
    stores.calendars.begin_read("calendar-1")
    assert ["calendar-1"] == due(stores)
    stores.calendars.pause_read("calendar-1", read_next="page-2")
    assert ["calendar-1"] == due(stores)
    assert calendar(read_next="page-2", updated_at=LATER, status_reason="x") == (
        stores.calendars.get("calendar-1")
    )
    stores.calendars.finish_read("calendar-1", swept_at=LATER)
    assert [] == due(stores)
    assert calendar(swept_at=LATER, updated_at=LATER, status_reason="x") == (
        stores.calendars.get("calendar-1")
    )


def test_a_wish_during_a_read_is_kept(stores: Stores) -> None:
    stores.calendars.add(calendar(read_since=NOW))
    stores.calendars.begin_read("calendar-1")
    stores.calendars.change("calendar-1", updated_at=LATER, read_since=LATER)
    stores.calendars.finish_read("calendar-1", swept_at=LATER)
    assert ["calendar-1"] == due(stores)
    assert calendar(read_since=LATER, swept_at=LATER, updated_at=LATER) == (
        stores.calendars.get("calendar-1")
    )


def test_a_read_is_spared_only_as_it_was_wished(stores: Stores) -> None:
    stores.calendars.add(calendar(read_since=NOW))
    stores.calendars.spare_read("calendar-1", read_since=LATER)
    assert ["calendar-1"] == due(stores)
    stores.calendars.spare_read("calendar-1", read_since=NOW)
    assert [] == due(stores)
    stores.calendars.change("calendar-1", updated_at=LATER, read_since=NOW)
    stores.calendars.begin_read("calendar-1")
    stores.calendars.change("calendar-1", updated_at=LATER, read_since=NOW)
    stores.calendars.spare_read("calendar-1", read_since=NOW)
    assert ["calendar-1"] == due(stores)


def test_reads_of_a_deleted_calendar_bring_nothing_back(stores: Stores) -> None:
    stores.calendars.begin_read("nobody")
    stores.calendars.pause_read("nobody", read_next="page-2")
    stores.calendars.finish_read("nobody", swept_at=LATER)
    stores.calendars.spare_read("nobody", read_since=NOW)
    assert stores.calendars.get("nobody") is None


def test_many_are_read_at_once(stores: Stores) -> None:
    for number in range(130):
        stores.calendars.add(calendar(f"c{number:03}"))
    ids = [f"c{number:03}" for number in range(130)]

    found = stores.calendars.get_many([ids[0], *ids, "nobody", ids[0]])

    assert sorted(ids) == sorted(found)
    assert stores.calendars.get_many([]) == {}


@pytest.fixture
def crowd(stores: Stores) -> Stores:
    """Twelve calendars: two tenants with two entities of three; every third is disconnected."""
    for number in range(12):
        disconnected = number % 3 == 2
        stores.calendars.add(
            calendar(
                f"c{number:02}",
                tenant_id=f"t{number // 6}",
                entity_id=f"e{number // 3 % 2}",
                status=CalendarStatus.DISCONNECTED if disconnected else CalendarStatus.CONNECTED,
            )
        )
    return stores


def _all(stores: Stores, limit: int, **filters: object) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = stores.calendars.find(cursor=cursor, limit=limit, **filters)  # type: ignore[arg-type]
        assert len(page.items) <= limit
        found += [item.calendar_id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, range(12)),
        ({"tenant_id": "t0"}, range(6)),
        ({"tenant_id": "t1", "entity_id": "e0"}, [6, 7, 8]),
        ({"tenant_id": "t1", "status": CalendarStatus.DISCONNECTED}, [8, 11]),
        ({"entity_id": "e1"}, [3, 4, 5, 9, 10, 11]),
        ({"status": CalendarStatus.CONNECTED}, [0, 1, 3, 4, 6, 7, 9, 10]),
        ({"status": CalendarStatus.CONNECTED, "entity_id": "e0"}, [0, 1, 6, 7]),
        (
            {"tenant_id": "t0", "entity_id": "e1", "status": CalendarStatus.DISCONNECTED},
            [5],
        ),
        ({"tenant_id": "nobody"}, []),
    ],
)
def test_lists_filter_and_page(
    crowd: Stores, limit: int, filters: dict[str, object], expected: range | list[int]
) -> None:
    found = _all(crowd, limit, **filters)

    assert [f"c{number:02}" for number in expected] == sorted(found)
    assert len(set(found)) == len(found)


def test_by_status_and_every(crowd: Stores) -> None:
    lost = crowd.calendars.by_status(CalendarStatus.DISCONNECTED, limit=3)
    assert [item.calendar_id for item in lost] == ["c02", "c05", "c08"]

    first = crowd.calendars.every(limit=7)
    rest = crowd.calendars.every(cursor=first.next_cursor, limit=7)
    assert len(first.items) == 7
    assert {f"c{n:02}" for n in range(12)} == {
        item.calendar_id for item in (*first.items, *rest.items)
    }


def _text(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


TENANT_KEY = {"calendar_id": "c00", "tenant_id": "t0", "entity_id": "e0"}


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "?",
        "nonsense",
        "ä",
        "a" * 5,
        _text(None),
        _text([]),
        _text({}),
        _text("[" * 10),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
        _text({"calendar_id": "c00"}),
        _text({**TENANT_KEY, "more": "x"}),
        _text({**TENANT_KEY, "tenant_id": "t1"}),
        _text({**TENANT_KEY, "calendar_id": ""}),
        _text({**TENANT_KEY, "calendar_id": 7}),
        _text({**TENANT_KEY, "calendar_id": {"S": "c00"}}),
    ],
)
def test_a_bad_cursor_is_the_callers_mistake(crowd: Stores, cursor: str) -> None:
    with pytest.raises(CallerError) as caught:
        crowd.calendars.find(tenant_id="t0", cursor=cursor)

    assert (caught.value.code, caught.value.field) == ("cursor_invalid", "cursor")


def test_a_cursor_of_another_list_is_refused(crowd: Stores) -> None:
    cursor = crowd.calendars.find(tenant_id="t0", limit=1).next_cursor

    for filters in ({"tenant_id": "t1"}, {"status": CalendarStatus.CONNECTED}, {}):
        with pytest.raises(CallerError):
            crowd.calendars.find(cursor=cursor, **filters)  # type: ignore[arg-type]


def test_deleting_twice_is_harmless(stores: Stores) -> None:
    stores.calendars.add(calendar())
    stores.calendars.delete("calendar-1")
    stores.calendars.delete("calendar-1")

    assert stores.calendars.get("calendar-1") is None
