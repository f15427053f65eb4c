"""The Meetings table: the lock, due work, windows, bounds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta, timezone

import boto3
import pytest

from shared.domain.event import Answer, Attendee, Event, EventBot
from shared.domain.meeting import Assignment, Meeting, Override
from shared.domain.rules import Choice
from shared.domain.series import Series
from shared.errors import CallerError
from shared.storage import Conflict, Refused, Stores, Tables
from tests.integration.storage_values import NOW, event, meeting

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def test_versions_count_the_writes(stores: Stores) -> None:
    first = stores.meetings.save(meeting())
    second = stores.meetings.save(replace(first, attempts=1))

    assert (first.version, second.version) == (1, 2)
    assert second == stores.meetings.get("event-1")


@pytest.mark.parametrize("version", [None, 1, 3])
def test_a_save_on_an_outdated_reading_conflicts(stores: Stores, version: int | None) -> None:
    stores.meetings.save(stores.meetings.save(meeting()))

    with pytest.raises(Conflict) as caught:
        stores.meetings.save(meeting(version=version, problem="late"))

    assert caught.value.code == "row_changed"
    standing = stores.meetings.get("event-1")
    assert standing is not None
    assert standing.problem is None


def test_a_save_of_a_row_that_is_gone_conflicts(stores: Stores) -> None:
    saved = stores.meetings.save(meeting())
    stores.meetings.delete("event-1")

    with pytest.raises(Conflict):
        stores.meetings.save(saved)


def test_a_save_clears_what_is_no_longer_said(stores: Stores) -> None:
    assignment = Assignment(
        bot_id="b", deduplication_key="k", fingerprint="f", join_at=NOW, state="scheduled"
    )
    full = stores.meetings.save(
        meeting(assignment=assignment, released=frozenset({"b"}), due=True, problem="p")
    )

    stores.meetings.save(meeting(version=full.version))

    assert meeting(version=2) == stores.meetings.get("event-1")
    assert stores.meetings.due(now=NOW, limit=10) == []


def test_of_racing_writers_one_wins(stores: Stores) -> None:
    base = stores.meetings.save(meeting())

    def write(number: int) -> bool:
        try:
            stores.meetings.save(replace(base, attempts=number))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(8)))

    assert won.count(True) == 1
    assert replace(base, attempts=won.index(True), version=2) == stores.meetings.get("event-1")


def test_racing_overrides_and_saves_lose_nothing(stores: Stores) -> None:
    """The scheduler keeps saving facts while people keep switching: the last switch stands."""
    stores.meetings.save(meeting())
    off = Override(choice=Choice.OFF, set_by="ada", set_at=NOW)

    def schedule(number: int) -> None:
        for _ in range(100):
            standing = stores.meetings.get("event-1")
            assert standing is not None
            try:
                stores.meetings.save(replace(standing, attempts=standing.attempts + 1))
            except Conflict:
                continue
            return

    def switch(number: int) -> None:
        stores.meetings.set_override("event-1", off, now=NOW)

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(schedule, n) for n in range(4)] + [pool.submit(switch, 0)]
        for job in jobs:
            job.result()

    standing = stores.meetings.get("event-1")
    assert standing is not None
    assert (standing.override, standing.attempts, standing.version) == (off, 4, 6)


def test_an_override_makes_the_meeting_due_and_keeps_the_rest(stores: Stores) -> None:
    stores.meetings.save(meeting(attempts=3, next_attempt=NOW + HOUR))
    off = Override(choice=Choice.OFF, set_by="ada", set_at=NOW)

    changed = stores.meetings.set_override("event-1", off, now=NOW)

    expected = meeting(attempts=3, override=off, due=True, next_attempt=NOW, version=2)
    assert expected == changed == stores.meetings.get("event-1")
    assert stores.meetings.due(now=NOW, limit=10) == [expected]


def test_nothing_is_created_by_touching(stores: Stores) -> None:
    assert stores.meetings.set_override("nobody", Override(), now=NOW) is None
    assert not stores.meetings.wake("nobody", now=NOW)
    assert stores.meetings.get("nobody") is None


def test_waking_makes_due_and_outdates_readings(stores: Stores) -> None:
    saved = stores.meetings.save(meeting())

    assert stores.meetings.wake("event-1", now=NOW)

    assert replace(saved, due=True, next_attempt=NOW, version=2) == stores.meetings.get("event-1")
    with pytest.raises(Conflict):
        stores.meetings.save(saved)


def test_due_work_comes_nearest_first_and_not_before_its_time(stores: Stores) -> None:
    for name, hours, wait in [
        ("far", 9, None),
        ("near", 1, timedelta(0)),
        ("middle", 5, -HOUR),
        ("waiting", 2, SECOND),
    ]:
        stores.meetings.save(
            meeting(
                name,
                at=NOW + hours * HOUR,
                due=True,
                next_attempt=None if wait is None else NOW + wait,
            )
        )
    stores.meetings.save(meeting("idle", at=NOW + HOUR))

    def due(now: timedelta, limit: int) -> list[str]:
        found = stores.meetings.due(now=NOW + now, limit=limit)
        return [item.event.event_id for item in found]

    assert due(timedelta(0), 10) == ["near", "middle", "far"]
    assert due(timedelta(0), 2) == ["near", "middle"]
    assert due(SECOND, 2) == ["near", "waiting"]


def test_a_crowd_that_waits_does_not_hide_what_is_ready(stores: Stores) -> None:
    for number in range(30):
        stores.meetings.save(
            meeting(f"w{number}", at=NOW + HOUR, due=True, next_attempt=NOW + HOUR)
        )
    stores.meetings.save(meeting("ready", at=NOW + 5 * HOUR, due=True))

    found = stores.meetings.due(now=NOW, limit=2)

    assert [item.event.event_id for item in found] == ["ready"]


@pytest.fixture
def week(stores: Stores) -> Stores:
    """Ten meetings an hour apart, every second one of a series, and a stranger."""
    for number in range(10):
        start = NOW + number * HOUR
        facts = event(
            f"e{number}",
            start=start,
            end=start + HOUR,
            series_id="standup" if number % 2 else None,
        )
        stores.meetings.save(meeting(event=facts))
    stores.meetings.save(meeting(event=event("stranger", calendar_id="other")))
    return stores


def test_a_calendar_lists_its_meetings_by_start(week: Stores) -> None:
    found: list[str] = []
    cursor = None
    for _ in range(4):
        page = week.meetings.of_calendar("calendar-1", cursor=cursor, limit=3)
        found += [item.event.event_id for item in page.items]
        cursor = page.next_cursor

    assert found == [f"e{number}" for number in range(10)]
    assert cursor is None


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (2 * HOUR, 5 * HOUR, "234"),
        (2 * HOUR + SECOND, 5 * HOUR + SECOND, "345"),
        (8 * HOUR, None, "89"),
        (None, 2 * HOUR, "01"),
        (3 * HOUR, 3 * HOUR + timedelta(microseconds=1), "3"),
    ],
)
def test_a_window_holds_its_start_and_not_its_end(
    week: Stores, start: timedelta | None, end: timedelta | None, expected: str
) -> None:
    page = week.meetings.of_calendar(
        "calendar-1",
        start=None if start is None else NOW + start,
        end=None if end is None else NOW + end,
    )

    assert [f"e{digit}" for digit in expected] == [m.event.event_id for m in page.items]


def test_windows_hold_in_any_zone(week: Stores) -> None:
    zone = timezone(timedelta(hours=5, minutes=45))
    start = (NOW + 2 * HOUR).astimezone(zone)

    page = week.meetings.of_calendar("calendar-1", start=start, end=start + HOUR)

    assert [m.event.event_id for m in page.items] == ["e2"]


def test_a_cursor_of_another_calendar_is_refused(week: Stores) -> None:
    cursor = week.meetings.of_calendar("calendar-1", limit=1).next_cursor

    with pytest.raises(CallerError):
        week.meetings.of_calendar("other", cursor=cursor)


def test_a_cursor_of_another_window_is_refused(week: Stores, dynamodb_local: str | None) -> None:
    if dynamodb_local is None:
        pytest.skip("moto goes on from any key")
    cursor = week.meetings.of_calendar("calendar-1", start=NOW + 5 * HOUR, limit=1).next_cursor

    with pytest.raises(CallerError) as caught:
        week.meetings.of_calendar("calendar-1", end=NOW + 2 * HOUR, cursor=cursor)

    assert caught.value.code == "cursor_invalid"


def test_a_series_lists_its_occurrences(week: Stores) -> None:
    found = week.meetings.of_series(Series("calendar-1", "standup"))

    assert [item.event.event_id for item in found] == ["e1", "e3", "e5", "e7", "e9"]
    assert week.meetings.of_series(Series("other", "standup")) == []


def test_copies_of_one_meeting_share_a_key(stores: Stores) -> None:
    key = "r1|tenant-1|meet:abcdefghij|2026-11-22T10:30Z"
    stores.meetings.save(meeting("mine", meeting_key=key))
    stores.meetings.save(meeting("yours", meeting_key=key))
    stores.meetings.save(meeting("later", at=NOW + 3 * HOUR, meeting_key="k1"))
    # Its bot is still that of the meeting that it left.
    assignment = Assignment(bot_id="b", deduplication_key="k1", fingerprint="f", join_at=NOW)
    stores.meetings.save(meeting("moved", assignment=assignment, meeting_key=key))
    stores.meetings.save(meeting(event=event("linkless", meeting_url=None)))

    assert {"mine", "yours", "moved"} == {m.event.event_id for m in stores.meetings.of_key(key)}
    assert {"mine", "yours", "moved"} == set(stores.meetings.ids_of_key(key))
    assert [m.event.event_id for m in stores.meetings.of_key("k1")] == ["later"]
    around = {m.event.event_id for m in stores.meetings.around_key("k1")}
    assert {"later", "moved"} == around, "who has left, with the bot, is no copy"


def test_a_row_wakes_by_itself_when_its_time_has_come(stores: Stores) -> None:
    stores.meetings.save(meeting("asleep", wake_at=NOW + HOUR))
    stores.meetings.save(meeting("awake", wake_at=NOW, at=NOW + 3 * HOUR))
    stores.meetings.save(meeting("owing", due=True, next_attempt=NOW, at=NOW + 2 * HOUR))
    later = {"due": True, "next_attempt": NOW + HOUR}
    stores.meetings.save(meeting("put off", wake_at=NOW, at=NOW + 2 * HOUR, **later))

    ready = stores.meetings.due(now=NOW, limit=10)
    assert ["owing", "awake"] == [m.event.event_id for m in ready]
    assert ["owing"] == [m.event.event_id for m in stores.meetings.due(now=NOW, limit=1)]


def test_who_wakes_a_copy_makes_it_known_as_shared(stores: Stores) -> None:
    stores.meetings.save(meeting("copy"))
    assert stores.meetings.wake("copy", now=NOW, shared=True)

    row = stores.meetings.get("copy")
    assert row is not None
    assert (True, True, NOW) == (row.shared, row.due, row.next_attempt)


@pytest.mark.parametrize("key", ["", "k" * 2_049, "é" * 1_025])
def test_what_cannot_be_a_key_has_no_copies(stores: Stores, key: str) -> None:
    assert [] == stores.meetings.of_key(key)


def test_many_are_read_at_once(stores: Stores) -> None:
    ids = [f"e{number}" for number in range(120)]
    for event_id in ids:
        stores.meetings.save(meeting(event_id))

    assert set(ids) == set(stores.meetings.get_many([*ids, "nobody", "e1"]))


def _crowded(people: int, **changes: object) -> Event:
    owner = Attendee(email="ada@example.com", answer=Answer.ACCEPTED, is_owner=True)
    host = Attendee(email="host@example.com", answer=Answer.ACCEPTED)
    crowd = [Attendee(email=f"p{n}@example.com", answer=Answer.NONE) for n in range(people)]
    return event(attendees=(*crowd, host, owner), organizer_email="host@example.com", **changes)


def test_a_row_keeps_the_first_people_and_those_who_matter(stores: Stores) -> None:
    facts = _crowded(5_000, title="x" * 20_000)

    stores.meetings.save(meeting(event=facts))

    stored = stores.meetings.get("event-1")
    assert stored is not None
    assert (*facts.attendees[:498], *facts.attendees[-2:]) == stored.event.attendees
    assert stored.event.title == "x" * 1_000


def test_people_within_the_bound_are_all_kept(stores: Stores) -> None:
    facts = _crowded(498)
    stores.meetings.save(meeting(event=facts))

    stored = stores.meetings.get("event-1")
    assert stored is not None
    assert facts == stored.event


def test_repeated_attendees_do_not_break_the_bound(stores: Stores) -> None:
    same = Attendee(email="twin@example.com", answer=Answer.NONE)
    owner = Attendee(email="ada@example.com", answer=Answer.NONE, is_owner=True)
    stores.meetings.save(meeting(event=event(attendees=(*(same,) * 2_000, owner))))

    stored = stores.meetings.get("event-1")
    assert stored is not None
    assert (*(same,) * 499, owner) == stored.event.attendees


def test_only_the_newest_bots_are_kept(stores: Stores) -> None:
    bots = tuple(
        EventBot(bot_id=f"b{n}", start=NOW, deduplication_key="k", meeting_url="u")
        for n in range(80)
    )
    stores.meetings.save(meeting(bots=bots))

    stored = stores.meetings.get("event-1")
    assert stored is not None
    assert bots[-50:] == stored.bots


def test_a_row_of_before_a_fact_was_kept_has_its_default(stores: Stores, tables: Tables) -> None:
    stores.meetings.save(meeting(event=event(time_zone="Europe/Berlin", link_in_body=True)))
    client = boto3.client("dynamodb", region_name=tables.region, endpoint_url=tables.host)
    client.update_item(
        TableName=tables.meetings,
        Key={"event_id": {"S": "event-1"}},
        UpdateExpression="REMOVE event.time_zone, event.link_in_body",
    )

    stored = stores.meetings.get("event-1")
    assert stored is not None
    assert event() == stored.event


def test_a_link_too_long_for_an_index_is_still_stored(stores: Stores) -> None:
    url = "https://example.com/" + "x" * 3_000
    stores.meetings.save(meeting(event=event(meeting_url=url)))

    stored = stores.meetings.get("event-1")
    assert stored is not None
    assert stored.event.meeting_url == url


def test_a_row_too_large_is_an_operators_matter(stores: Stores) -> None:
    huge: Meeting = meeting(event=event(meeting_url="https://example.com/" + "x" * 420_000))

    with pytest.raises(Refused) as caught:
        stores.meetings.save(huge)

    assert caught.value.code == "storage_refused"


# What was refused, and what is counted.


def test_what_is_set_aside_is_listed_by_start_and_reason(stores: Stores) -> None:
    for number, problem in enumerate(("recall_refused", "recall_blocked", "recall_refused")):
        row = meeting(f"event-{number}", at=NOW + (3 - number) * HOUR, problem=problem)
        stores.meetings.save(row)
    stores.meetings.save(meeting("sound"))
    stores.meetings.save(meeting("owed", problem="recall_refused", due=True))

    def listed(**which: str) -> list[str]:
        page = stores.meetings.set_aside(since=NOW, **which)
        return [row.event.event_id for row in page.items]

    assert listed() == ["event-2", "event-1", "event-0"]
    assert listed(reason="recall_refused") == ["event-2", "event-0"]
    later = stores.meetings.set_aside(since=NOW + 2 * HOUR)
    assert [row.event.event_id for row in later.items] == ["event-1", "event-0"]


def test_a_replay_makes_due_what_was_set_aside_and_nothing_else(stores: Stores) -> None:
    aside = meeting("aside", problem="recall_refused", problem_detail="code", problem_at=NOW)
    stores.meetings.save(aside)
    stores.meetings.save(meeting("sound"))

    answers = [stores.meetings.replay(name, now=NOW) for name in ("aside", "aside", "sound", "no")]

    assert answers == [True, False, False, False]
    row = stores.meetings.get("aside")
    assert row is not None
    assert (row.due, row.problem, row.problem_detail, row.version) == (
        True,
        "recall_refused",
        "code",
        2,
    )
    assert stores.meetings.set_aside(since=NOW).items == ()


def test_whatever_makes_a_row_due_takes_it_off_the_list(stores: Stores) -> None:
    stores.meetings.save(meeting(problem="recall_refused"))

    assert stores.meetings.wake("event-1", now=NOW)

    assert stores.meetings.set_aside(since=NOW).items == ()
    assert not stores.meetings.replay("event-1", now=NOW)


def test_the_copies_that_want_a_bot_are_found_by_their_utc_day(stores: Stores) -> None:
    zone = timezone(timedelta(hours=9))
    late = NOW.replace(hour=23, minute=30)
    bot = Assignment(bot_id="b", deduplication_key="k", fingerprint="f", join_at=NOW, state="done")
    stores.meetings.save(meeting("own", wanted=True, assignment=bot, meeting_key="key"))
    stores.meetings.save(meeting("late", at=late.astimezone(zone), wanted=True))
    stores.meetings.save(meeting("unwanted"))
    stores.meetings.save(meeting("tomorrow", at=NOW + 24 * HOUR, wanted=True))

    page = stores.meetings.wanted_on(NOW.date())

    assert [(each.meeting, each.assignment) for each in page.items] == [
        ("key", bot),
        ("late", None),
    ]
    assert [each.end for each in page.items] == [NOW + 2 * HOUR, late + HOUR]
    row = stores.meetings.get("own")
    assert row is not None
    assert row.wanted
