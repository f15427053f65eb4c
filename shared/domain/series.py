"""Series of meetings; overrides and opt-outs of one are kept through "this and following"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from shared.domain.event import Event
    from shared.domain.meeting import Override

_GOOGLE: Final = "@google.com"
# Google names what "this and following" cuts off abc after the moment of the cut:
# abc_R20270301T150000, in series ids as in iCal UIDs.
_CUT = re.compile(r"(.+?)(?:_R([0-9]{8}(?:T[0-9]{6}Z?)?))+")


@dataclass(frozen=True, slots=True)
class Series:
    """A series in one calendar; `ical_uid` is that of any of its occurrences."""

    calendar_id: str
    series_id: str
    ical_uid: str = ""

    @property
    def root(self) -> str:
        return series_root(self.series_id, self.ical_uid)

    @property
    def cut(self) -> str:
        """The moment of the cut as the name tells it, sorting like time; "" of the first part."""
        return _parts(self.series_id, self.ical_uid)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What people said of a series: an override of its owner, and whether somebody opted out."""

    override: Override | None = None
    opted_out: bool = False


UNSAID: Final = Words()


def series_of(event: Event) -> Series | None:
    if event.series_id is None:
        return None
    return Series(event.calendar_id, event.series_id, event.ical_uid)


def series_root(series_id: str, ical_uid: str) -> str:
    """What the parts of a cut series have in common; the id of a series that nobody cut.

    Microsoft gives every part an id of its own, but an invitation sent by Google keeps
    Google's iCal UID there. Microsoft's own series leave no trace of a cut.
    """
    return _parts(series_id, ical_uid)[0]


def _parts(series_id: str, ical_uid: str) -> tuple[str, str]:
    """Root and cut."""
    uid = ical_uid.removesuffix(_GOOGLE) if ical_uid.endswith(_GOOGLE) else ""
    for name in (series_id.removesuffix(_GOOGLE), uid):
        if found := _CUT.fullmatch(name):
            return found[1], found[2]
    return uid or series_id, ""
