"""One meeting: will a bot join, why, and what has become of it; a person's word on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from functions.console.service import Service
from functions.console.session import Visit, changed_by, seen_by
from shared.domain.event import Event
from shared.domain.meeting import Meeting, Override
from shared.domain.rules import Choice
from shared.domain.series import UNSAID, series_of
from shared.domain.vote import bringers_of
from shared.errors import CallerError
from shared.flows.meetings import (
    existing_meeting,
    meeting_not_found,
    override_occurrence,
    override_series,
)
from shared.flows.replay import replay
from shared.pages.texts import text, words
from shared.pages.web import Answer, Routes, see_other

ID_LENGTH_MAX: Final = 256
KEY_LENGTH_MAX: Final = 2_048
COPIES_MAX: Final = 50
SOURCE: Final = "page"
SCOPES: Final = {"occurrence": override_occurrence, "series": override_series}
HOME: Final = "/console/meetings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happened to a bot, or will."""

    at: datetime
    text: str
    detail: str | None = None


def add_meetings(routes: Routes, service: Service) -> None:
    one, api = HOME + "/{event_id}", "/v1/calendars/{calendar_id}/meetings/{event_id}"
    routes.get("/console/copies")(seen_by(service, _copies))
    routes.get(one)(seen_by(service, _show))
    routes.post(f"{one}/override")(changed_by(service, _override, like=f"PUT {api}/override"))
    routes.post(f"{one}/replay")(changed_by(service, _replay, like=f"POST {api}/replay"))


def _replay(visit: Visit) -> Answer:
    service, event_id = visit.service, visit.request.given["event_id"]
    done = replay(service.meeting_doors(), event_id, at=service.moment())
    return see_other(f"{HOME}/{event_id}", done="replayed" if done else "not_set_aside")


def _show(visit: Visit) -> Answer:
    service = visit.service
    meeting = _existing(service, visit.request.given["event_id"])
    series = series_of(meeting.event)
    said = service.stores.settings.series.of([series]) if series else {}
    return visit.page(
        "meeting.html",
        here="calendars",
        meeting=meeting,
        has_series=series is not None,
        series=UNSAID if series is None else said.get(series, UNSAID),
        steps=list(timeline(meeting)),
        now=service.clock(),
        done=visit.request.asked("done"),
    )


def _copies(visit: Visit) -> Answer:
    """All copies of one meeting with their votes, and whose bot serves them."""
    service = visit.service
    meeting_key = (visit.request.asked("key") or "")[:KEY_LENGTH_MAX]
    meetings = service.stores.meetings.of_key(meeting_key, limit=COPIES_MAX)
    if not meetings:
        raise meeting_not_found()
    return visit.page(
        "copies.html",
        here="calendars",
        meetings=meetings,
        bringers=bringers_of(meetings),
        holder=_holder,
        now=service.clock(),
    )


def _holder(event: Event) -> str | None:
    """Whose copy it is, by its own guest list: the calendars would cost another request."""
    if event.owner_is_organizer and event.organizer_email:
        return event.organizer_email
    return next((each.email for each in event.attendees if each.is_owner), None)


def _override(visit: Visit) -> Answer:
    service, form = visit.service, visit.form
    choice, scope = form.get("choice"), form.get("scope", "occurrence")
    if choice not in set(Choice) or scope not in SCOPES:
        raise CallerError("form_invalid", text("meeting.choice_unknown"), field="choice")
    event_id = visit.request.given["event_id"]
    doors = service.meeting_doors()
    meeting = existing_meeting(doors, form.get("calendar_id", ""), event_id=event_id)
    at = service.moment()
    word = Override(
        choice=Choice(choice), set_by=visit.session.api_key.prefix, set_at=at.now, source=SOURCE
    )
    SCOPES[scope](doors, meeting, override=word, at=at)
    if form.get("back") == "calendar":
        back = f"/console/calendars/{meeting.event.calendar_id}"
        return see_other(back, done=f"override_{choice}")
    return see_other(f"{HOME}/{event_id}", done=f"override_{choice}")


def _existing(service: Service, event_id: str) -> Meeting:
    meeting = service.stores.meetings.get(event_id) if len(event_id) <= ID_LENGTH_MAX else None
    if meeting is None:
        raise meeting_not_found()
    return meeting


def timeline(meeting: Meeting) -> Iterator[Step]:
    """What is stored of a bot's life: the newest report of the bot and of its recording."""
    bot = meeting.assignment
    if meeting.override.set_at is not None:
        words_of_it = text("step.override", choice=text(meeting.override.choice.value))
        yield Step(at=meeting.override.set_at, text=words_of_it, detail=meeting.override.source)
    if meeting.problem is not None and meeting.problem_at is not None:
        yield Step(at=meeting.problem_at, text=text("step.refused"), detail=meeting.problem)
    if bot is None:
        return
    yield Step(at=bot.join_at, text=text("step.join_at"))
    if bot.state_at is not None:
        yield Step(at=bot.state_at, text=words("state", bot.state))
    if bot.recording is not None and bot.recording_at is not None:
        yield Step(at=bot.recording_at, text=words("recording", bot.recording))
    if bot.missed is not None:
        missed_at = bot.state_at or meeting.event.start
        words_of_it = text("step.missed", why=words("missed", bot.missed))
        yield Step(at=missed_at, text=words_of_it, detail=bot.missed_detail)
