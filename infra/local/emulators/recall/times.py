"""Times the way the API writes and reads them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)


def api_time(moment: datetime) -> str:
    """ISO 8601 with `Z`; a fraction of six digits only where there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def stamp(moment: datetime) -> str:
    """ISO 8601 with `Z`, always with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def webhook_time(moment: datetime) -> str:
    """ISO 8601 with `+00:00` and microseconds, as webhook bodies carry it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def http_date(moment: datetime) -> str:
    """RFC 9110 date: whole seconds, rounded down."""
    return moment.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def parse_time(text: str) -> datetime:
    """An RFC 3339 time with its offset as UTC; ValueError for anything else."""
    if not _RFC3339.fullmatch(text):
        raise ValueError("not an RFC 3339 time")
    return datetime.fromisoformat(text.upper()).astimezone(UTC)
