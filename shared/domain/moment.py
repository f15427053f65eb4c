"""Moments as text: RFC 3339 in, RFC 3339 in UTC out."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)


def parse_moment(text: object) -> datetime | None:
    """An aware moment in UTC, or None when the text is no RFC 3339 date and time."""
    if not isinstance(text, str) or not _RFC_3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def moment_text(moment: datetime) -> str:
    """For example 2027-03-01T09:00:00Z; a fraction only when there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
