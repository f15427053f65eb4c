"""Weekly hours by the wall clock where the meeting is planned."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from shared.domain.hours import is_within
from shared.domain.rules import Weekday, Window

WEEKDAYS = frozenset(Weekday) - {Weekday.SATURDAY, Weekday.SUNDAY}
OFFICE = Window(days=WEEKDAYS, start=time(9), end=time(17, 30))
NIGHT = Window(days=frozenset({Weekday.FRIDAY}), start=time(22), end=time(6))
WHOLE_MONDAY = Window(days=frozenset({Weekday.MONDAY}), start=time(0), end=time(0))
BERLIN = "Europe/Berlin"


def within(window: Window, moment: str, zone: str | None = "UTC") -> bool:
    return is_within((window,), datetime.fromisoformat(moment).replace(tzinfo=UTC), zone=zone)


@pytest.mark.parametrize(
    ("window", "moment", "zone", "inside"),
    [
        # 2027-03-01 is a Monday.
        (OFFICE, "2027-03-01T09:00", "UTC", True),
        (OFFICE, "2027-03-01T08:59", "UTC", False),
        (OFFICE, "2027-03-01T17:29", "UTC", True),
        (OFFICE, "2027-03-01T17:30", "UTC", False),
        (OFFICE, "2027-03-06T12:00", "UTC", False),
        (OFFICE, "2027-03-01T08:00", BERLIN, True),
        (OFFICE, "2027-03-01T16:30", BERLIN, False),
        # Sunday in UTC, Monday in Tokyo; and the other way round.
        (OFFICE, "2027-02-28T23:59", "Asia/Tokyo", False),
        (OFFICE, "2027-03-01T00:00", "Asia/Tokyo", True),
        (OFFICE, "2027-03-06T00:30", "America/Los_Angeles", True),
        # Berlin goes from UTC+1 to UTC+2 on 2027-03-28 and back on 2027-10-31.
        (OFFICE, "2027-03-26T08:00", BERLIN, True),
        (OFFICE, "2027-03-29T07:00", BERLIN, True),
        (OFFICE, "2027-03-29T15:30", BERLIN, False),
        (OFFICE, "2027-10-29T07:00", BERLIN, True),
        (OFFICE, "2027-11-01T07:59", BERLIN, False),
        (OFFICE, "2027-11-01T08:00", BERLIN, True),
        (NIGHT, "2027-03-05T22:00", "UTC", True),
        (NIGHT, "2027-03-05T21:59", "UTC", False),
        (NIGHT, "2027-03-06T05:59", "UTC", True),
        (NIGHT, "2027-03-06T06:00", "UTC", False),
        (NIGHT, "2027-03-06T22:30", "UTC", False),
        (NIGHT, "2027-03-05T05:00", "UTC", False),
        (WHOLE_MONDAY, "2027-03-01T00:00", "UTC", True),
        (WHOLE_MONDAY, "2027-03-01T23:59", "UTC", True),
        (WHOLE_MONDAY, "2027-02-28T23:59", "UTC", False),
        (WHOLE_MONDAY, "2027-03-02T00:00", "UTC", False),
        # Who names no zone, or none that exists, is judged in UTC.
        (OFFICE, "2027-03-01T09:00", None, True),
        (OFFICE, "2027-03-01T09:00", "Nowhere/At_All", True),
        (OFFICE, "2027-03-01T09:00", "../etc/passwd", True),
        (OFFICE, "2027-03-01T09:00", "America", True),
        (OFFICE, "0001-01-01T00:30", "America/New_York", False),
        (OFFICE, "9999-12-31T23:59", "Asia/Tokyo", False),
    ],
)
def test_a_start_within_the_hours(window, moment, zone, inside):
    assert inside is within(window, moment, zone)


def test_the_night_on_which_the_clock_goes_back_belongs_to_its_window():
    saturday = Window(days=frozenset({Weekday.SATURDAY}), start=time(22), end=time(3))
    # 02:30 comes twice in Berlin, at 00:30 and 01:30 UTC.
    assert within(saturday, "2027-10-31T00:30", BERLIN)
    assert within(saturday, "2027-10-31T01:30", BERLIN)
    assert not within(saturday, "2027-10-31T02:00", BERLIN)


def test_any_of_several_windows_will_do():
    monday = datetime(2027, 3, 1, 23, tzinfo=UTC)
    assert is_within((OFFICE, WHOLE_MONDAY), monday, zone=None)
    assert not is_within((OFFICE, NIGHT), monday, zone=None)
    assert not is_within((), monday, zone=None)
