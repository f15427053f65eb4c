"""What people said of an occurrence or a series."""

import re

from tests.simulation.oracle.facts import CalendarFact, WordFact
from tests.simulation.oracle.reading import Copy

CUT = re.compile(r"^(?P<root>.+?)_R(?P<at>\d{8}(T\d{6}Z?)?)(?P<rest>@.*)?$")


def word_on(copy: Copy, calendar: CalendarFact, words: tuple[WordFact, ...]) -> str:
    """The occurrence's own, else that of its series; `auto` is no word."""
    overrides = [word for word in words if word.choice != "opt_out"]
    for word in overrides:
        if word.event_id == copy.event_id and word.choice != "auto":
            return word.choice
    nearest = max(
        (word for word in overrides if _distance(word, copy, calendar) is not None),
        key=lambda word: _distance(word, copy, calendar) or "",
        default=None,
    )
    return nearest.choice if nearest else "auto"


def opted_out(copy: Copy, calendar: CalendarFact, words: tuple[WordFact, ...]) -> bool:
    return any(
        word.event_id == copy.event_id or _distance(word, copy, calendar) is not None
        for word in words
        if word.choice == "opt_out"
    )


def _distance(word: WordFact, copy: Copy, calendar: CalendarFact) -> str | None:
    """How late the part begins on which the word was put, "~" its own; None: not of the series."""
    if word.series_id is None or word.calendar_id != calendar.calendar_id:
        return None
    if word.series_id == (copy.series_id or copy.uid):
        return "~"
    return _earlier_part(word.series_id, copy.series_id) or _earlier_part(word.uid, copy.uid)


def _earlier_part(said: str | None, here: str | None) -> str | None:
    said_root, said_at = _cut(said)
    here_root, here_at = _cut(here)
    if said_root is None or said_root != here_root or said_at >= here_at:
        return None
    return said_at or "-"


def _cut(name: str | None) -> tuple[str | None, str]:
    cut = CUT.match(name or "")
    if cut:
        return cut["root"] + (cut["rest"] or ""), cut["at"]
    return name, ""
