"""Moments as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.domain.moment import moment_text, parse_moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-03-01T09:00:00Z", datetime(2027, 3, 1, 9, tzinfo=UTC)),
        ("2027-03-01t09:00:00z", datetime(2027, 3, 1, 9, tzinfo=UTC)),
        ("2027-03-01T09:00:00+02:00", datetime(2027, 3, 1, 7, tzinfo=UTC)),
        ("2027-03-01T09:00:00.5Z", datetime(2027, 3, 1, 9, 0, 0, 500_000, tzinfo=UTC)),
        ("2027-03-01T09:00:00.602199+00:00", datetime(2027, 3, 1, 9, 0, 0, 602_199, tzinfo=UTC)),
    ],
)
def test_rfc_3339_is_read_in_utc(text, moment):
    assert moment == parse_moment(text)
    assert parse_moment(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        None, 7, "", "2027-03-01", "2027-03-01T09:00:00", "2027-03-01 09:00:00Z",
        "20270301T090000Z",
        "2027-02-30T09:00:00Z", "2027-03-01T25:00:00Z", "2027-03-01T09:00:00 02:00",
        "0001-01-01T00:00:00+23:00", "2027-03-01T09:00:00Z\n", "٢٠٢٧-03-01T09:00:00Z",
    ],
)  # fmt: skip
def test_everything_else_is_not(text):
    assert parse_moment(text) is None


def test_text_is_in_utc_whatever_the_zone():
    moment = datetime(2027, 3, 1, 9, tzinfo=timezone(timedelta(hours=2)))
    assert moment_text(moment) == "2027-03-01T07:00:00Z"
