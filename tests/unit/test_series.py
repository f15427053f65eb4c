"""Which series belong together, by the names that providers give the parts of a cut one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.series import Series, series_of, series_root
from tests.unit.core_values import event

GRAPH_UID = "040000008200E00074C5B7101A82E00800000000"


@pytest.mark.parametrize(
    ("series_id", "ical_uid", "root", "cut"),
    [
        ("abc", "abc@google.com", "abc", ""),
        ("abc_R20270301T150000", "abc_R20270301T150000@google.com", "abc", "20270301T150000"),
        ("abc_R20270301T150000Z", "", "abc", "20270301T150000Z"),
        ("abc_R20270301", "abc_R20270301@google.com", "abc", "20270301"),
        ("abc_R20270301_R20270401", "", "abc", "20270401"),
        ("abc_R20270301T150000", "abc@google.com", "abc", "20270301T150000"),
        ("abc_R20270301@google.com", "abc_R20270301@google.com", "abc", "20270301"),
        ("abc@google.com", "abc@google.com", "abc", ""),
        ("AAMk1", "abc@google.com", "abc", ""),
        ("AAMk2", "abc_R20270301T150000@google.com", "abc", "20270301T150000"),
        ("AAMk1", GRAPH_UID, "AAMk1", ""),
        ("_6go3", "invite@mail.example", "_6go3", ""),
        ("abc", "", "abc", ""),
        ("abc_R2027", "", "abc_R2027", ""),
        ("_R20270301", "", "_R20270301", ""),
        ("_R20270301_R20270401", "", "_R20270301", "20270401"),
        ("abc_R20270301x", "", "abc_R20270301x", ""),
        ("abc", "@google.com", "abc", ""),
    ],
)
def test_root_and_cut(series_id: str, ical_uid: str, root: str, cut: str) -> None:
    series = Series("c", series_id, ical_uid)
    assert (root, cut) == (series.root, series.cut)
    assert root == series_root(series_id, ical_uid)


def test_the_series_of_an_event() -> None:
    assert series_of(event(series_id=None)) is None
    recurring = event(calendar_id="c", series_id="s", ical_uid="u")
    assert Series("c", "s", "u") == series_of(recurring)


@given(st.text("_R0123456789TZ", min_size=1, max_size=1_000))
def test_a_root_is_its_own_root(series_id: str) -> None:
    root = series_root(series_id, "")
    assert series_id.startswith(root)
    assert root == series_root(root, "")
