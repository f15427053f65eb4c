"""Settings: everything missing is said at once."""

from __future__ import annotations

import pytest

from shared.config import chosen, flag, listed, require
from shared.errors import PermanentError


def test_present_settings_come_back_trimmed():
    assert require({"A": " 1 ", "B": "2", "C": "3"}, "A", "B") == {"A": "1", "B": "2"}


def test_all_missing_settings_are_named_in_one_message():
    with pytest.raises(PermanentError, match="B, C") as caught:
        require({"A": "1", "B": " "}, "A", "B", "C")
    assert caught.value.code == "settings_missing"


@pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False), ("", False)])
def test_flags(text, value):
    assert flag({"F": text}, "F") is value


def test_a_flag_is_never_guessed():
    with pytest.raises(PermanentError, match="F must be"):
        flag({"F": "yes"}, "F")


def test_lists():
    assert listed({"L": "a, b,,"}, "L") == ("a", "b")
    assert listed({}, "L") == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("all", {"a", "b"}),
        ("", {"a", "b"}),
        ("none", set()),
        ("b", {"b"}),
        ("a, b", {"a", "b"}),
    ],
)
def test_choices(text, value):
    assert chosen({"C": text}, "C", known=["a", "b"]) == value


@pytest.mark.parametrize("text", ["c", "a,c", "all,a", "none,a", "A"])
def test_a_choice_is_never_guessed(text):
    with pytest.raises(PermanentError, match="C must be all, none, or a list of a, b") as caught:
        chosen({"C": text}, "C", known=["b", "a"])
    assert caught.value.code == "settings_invalid"
