"""Keywords, people, domains and hours."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.simulation.oracle.reading import Person, address

FREE_MAIL = {"gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com"}
# Scripts that put no spaces between words: each character is one.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return re.findall(r"[^\W_]+", UNSPACED.sub(r" \g<0> ", folded))


def says(title: str, keyword: str) -> bool:
    """Whole words one after the other; after a trailing * the last may go on."""
    open_end = unicodedata.normalize("NFKC", keyword).rstrip().endswith("*")
    sought = words(keyword)
    heard = words(title)
    return bool(sought) and any(
        _follows(heard[at : at + len(sought)], sought, open_end)
        for at in range(len(heard) - len(sought) + 1)
    )


def _follows(heard: list[str], sought: list[str], open_end: bool) -> bool:
    last = heard[-1].startswith(sought[-1]) if open_end else heard[-1] == sought[-1]
    return last and heard[:-1] == sought[:-1]


def in_domain(domain: str, pattern: str) -> bool:
    plain = pattern.strip().lower()
    if plain.startswith("*."):
        return domain.endswith(plain[1:])
    return domain == plain


def is_named(person: Person, entries: Iterable[str]) -> bool:
    return person.address in {address(entry) for entry in entries}


def comes_from(domain: str, patterns: Iterable[str]) -> bool:
    return any(in_domain(domain, pattern) for pattern in patterns)


def in_hours(start: datetime, zone: str | None, windows: list[dict[str, Any]]) -> bool:
    local = start.astimezone(_zone(zone))
    return any(_in_window(local, window) for window in windows)


def _in_window(local: datetime, window: dict[str, Any]) -> bool:
    opens, closes = _minute(window["from"]), _minute(window["to"])
    now = local.hour * 60 + local.minute + local.second / 60
    today = DAYS[local.weekday()] in window["days"]
    if opens < closes:
        return today and opens <= now < closes
    yesterday = DAYS[(local - timedelta(days=1)).weekday()] in window["days"]
    return (today and now >= opens) or (yesterday and now < closes)


def _minute(text: str) -> int:
    hours, minutes = text.split(":")[:2]
    return int(hours) * 60 + int(minutes)


def _zone(name: str | None) -> Any:
    try:
        return ZoneInfo(name) if name else UTC
    except (LookupError, ValueError, OSError):
        return UTC
