"""Opt-out: somebody invited keeps the bot out of a meeting, by a link and without an account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.page_link import LinkRefusal, OptOutLink, opt_out_of
from shared.domain.series import UNSAID, series_of
from shared.errors import CallerError
from shared.flows.meetings import (
    MeetingDoors,
    Moment,
    existing_meeting,
    opt_out_occurrence,
    opt_out_series,
)
from shared.flows.own_page import refused

if TYPE_CHECKING:
    from shared.domain.meeting import Meeting
    from shared.domain.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """The meeting of a link; `opted_out`: by this very link or another one of the same reach."""

    link: OptOutLink
    meeting: Meeting
    opted_out: bool


def opt_out_behind(
    doors: MeetingDoors, token: str, *, link_secret: Secret, now: datetime
) -> OptOut:
    """CallerError `page_link_unknown` or `meeting_not_found` (404), `page_link_expired` (410)."""
    link = opt_out_of(token, link_secret=link_secret)
    if link is None:
        raise refused(LinkRefusal.UNKNOWN)
    if link.expires_at <= now:
        raise refused(LinkRefusal.EXPIRED)
    meeting = existing_meeting(doors, link.calendar_id, event_id=link.event_id)
    return OptOut(link=link, meeting=meeting, opted_out=_is_out(doors, meeting, link=link))


def say_opt_out(doors: MeetingDoors, found: OptOut, *, opted_out: bool, at: Moment) -> None:
    """Opts out, or takes that back; saying it twice does no harm."""
    act = opt_out_series if found.link.series else opt_out_occurrence
    act(doors, found.meeting, opted_out=opted_out, at=at)


def check_series(meeting: Meeting) -> None:
    """CallerError `series_missing` for a meeting that does not repeat."""
    if series_of(meeting.event) is None:
        raise CallerError("series_missing", "The meeting belongs to no series.", field="scope")


def _is_out(doors: MeetingDoors, meeting: Meeting, *, link: OptOutLink) -> bool:
    series = series_of(meeting.event)
    if not link.series or series is None:
        return meeting.opted_out
    return doors.settings.series.of([series]).get(series, UNSAID).opted_out
