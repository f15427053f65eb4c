"""The outside world: people's own calendars at Google and Microsoft."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any, Literal

from infra.local.emulators.recall.raw import (
    Answer,
    Appointment,
    Guest,
    global_object_id,
    google_event_id,
    microsoft_event_id,
    raw_of,
)
from infra.local.emulators.recall.times import parse_time

GOOGLE = "google_calendar"
MICROSOFT = "microsoft_outlook"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantResult:
    """What a refresh token opens; `rotated_token` is the one to use from now on."""

    email: str
    scopes: tuple[str, ...]
    rotated_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantFailure:
    """Why a refresh token opens nothing, in the provider's words."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One event of an account; `revision` grows with each change. `raw` wins when given."""

    appointment: Appointment
    revision: int
    raw: Mapping[str, Any] | None = None


class Account:
    """One person's primary calendar; made with `world.account(platform, email)`."""

    def __init__(
        self,
        platform: str,
        email: str,
        *,
        zone: str,
        lock: RLock,
        now: Callable[[], datetime],
        changed: Callable[[Account, str], None],
        revoked: Callable[[Account], None],
        transferred: Callable[..., None],
    ) -> None:
        self.platform = platform
        self.email = email
        self.zone = zone
        self.events: dict[str, Stored] = {}
        self._lock = lock
        self._now = now
        self._changed = changed
        self._revoked = revoked
        self._transferred = transferred
        self._count = 0

    def add_event(
        self,
        title: str,
        *,
        start: datetime,
        end: datetime | None = None,
        link: str | None = None,
        attendees: Iterable[Guest | str] = (),
        organizer: Guest | str | None = None,
        answer: Answer = "none",
        series: str | None = None,
        ical_uid: str | None = None,
        event_id: str | None = None,
        original_start: datetime | None = None,
        link_in: Literal["auto", "conference", "location", "description"] = "auto",
        description: str | None = None,
        location: str | None = None,
        private: bool = False,
        all_day: bool = False,
        hidden_guests: bool = False,
        owner_invited: bool = True,
        show_as: Literal["busy", "free", "tentative", "oof"] = "busy",
    ) -> str:
        """Put an event into the calendar and return the provider's event id.

        No `organizer`: the owner organizes. Plain strings are e-mail addresses. `series` is
        any name; events of one name share the provider's recurrence id. Use one `ical_uid` in
        several accounts to place copies of one meeting. `end` defaults to half an hour later
        (a day when `all_day`). `owner_invited=False`: the owner is not among the attendees, as
        with group invitations.
        """
        with self._lock:
            names = self._names(series, original_start or start)
            now = self._now()
            appointment = Appointment(
                id=event_id or names.event_id,
                ical_uid=ical_uid or names.ical_uid,
                title=title,
                start=start,
                end=end
                or start + timedelta(days=1 if all_day else 0, minutes=0 if all_day else 30),
                created=now,
                updated=now,
                organizer=_guest(organizer) if organizer else None,
                answer=answer,
                attendees=tuple(map(_guest, attendees)),
                link=link,
                link_in=link_in,
                description=description,
                location=location,
                series=names.series,
                original_start=(original_start or start) if series else None,
                private=private,
                all_day=all_day,
                hidden_guests=hidden_guests,
                owner_invited=owner_invited,
                show_as=show_as,
            )
            self.events[appointment.id] = Stored(appointment=appointment, revision=self._next())
            self._changed(self, appointment.id)
            return appointment.id

    def add_raw(
        self, raw: Mapping[str, Any], *, start: datetime | None = None, end: datetime | None = None
    ) -> str:
        """Store any payload as it is, well-formed or not; times are read from it if not given."""
        with self._lock:
            begins = start or _raw_time(raw.get("start")) or self._now() + timedelta(days=1)
            ends = end or _raw_time(raw.get("end")) or begins + timedelta(minutes=30)
            event_id = str(raw.get("id") or google_event_id(self.email, "raw", str(self._next())))
            appointment = Appointment(
                id=event_id,
                ical_uid=str(raw.get("iCalUID") or raw.get("iCalUId") or event_id),
                title="",
                start=begins,
                end=ends,
                created=self._now(),
                updated=self._now(),
                cancelled=raw.get("status") == "cancelled" or raw.get("isCancelled") is True,
            )
            self.events[event_id] = Stored(
                appointment=appointment, revision=self._next(), raw=dict(raw)
            )
            self._changed(self, event_id)
            return event_id

    def change(self, event_id: str, **fields: Any) -> None:  # noqa: ANN401  any field
        """Replace fields of the `Appointment`."""
        with self._lock:
            stored = self.events[event_id]
            appointment = replace(
                stored.appointment,
                updated=self._now(),
                sequence=stored.appointment.sequence + 1,
                **fields,
            )
            self.events[event_id] = Stored(
                appointment=appointment, revision=self._next(), raw=stored.raw
            )
            self._changed(self, event_id)

    def move(self, event_id: str, start: datetime, *, end: datetime | None = None) -> None:
        """Move an event; its length stays unless `end` is given."""
        old = self.events[event_id].appointment
        self.change(event_id, start=start, end=end or start + (old.end - old.start))

    def relink(self, event_id: str, link: str | None) -> None:
        self.change(event_id, link=link)

    def rename(self, event_id: str, title: str) -> None:
        self.change(event_id, title=title)

    def cancel(self, event_id: str) -> None:
        self.change(event_id, cancelled=True)

    def restore(self, event_id: str) -> None:
        """Undo a cancellation."""
        self.change(event_id, cancelled=False)

    def set_attendees(self, event_id: str, attendees: Iterable[Guest | str]) -> None:
        self.change(event_id, attendees=tuple(map(_guest, attendees)))

    def set_response(self, event_id: str, answer: Answer, *, who: str | None = None) -> None:
        """Change the owner's answer, or that of the attendee `who`."""
        if who is None or who == self.email:
            self.change(event_id, answer=answer)
            return
        guests = self.events[event_id].appointment.attendees
        self.change(
            event_id,
            attendees=tuple(
                replace(guest, answer=answer) if guest.email == who else guest for guest in guests
            ),
        )

    def transfer(self, event_id: str, to: Account) -> None:
        """Ownership moves: Recall keeps the event's id and changes its `calendar_id`."""
        with self._lock:
            stored = self.events.pop(event_id)
            to.events[event_id] = replace(stored, revision=to._next())
            self._transferred(self, to, event_id=event_id)

    def revoke_grant(self) -> None:
        """The user removes the app: every token of the account dies, noticed later."""
        with self._lock:
            self._revoked(self)

    def appointment(self, event_id: str) -> Appointment:
        return self.events[event_id].appointment

    def raw(self, event_id: str, *, minimal_when_cancelled: bool = False) -> Mapping[str, Any]:
        """The provider's payload of an event."""
        stored = self.events[event_id]
        if stored.raw is not None:
            return stored.raw
        appointment = stored.appointment
        if minimal_when_cancelled and appointment.cancelled and self.platform == GOOGLE:
            appointment = replace(appointment, minimal=True)
        return raw_of(appointment, platform=self.platform, owner=self.email, zone=self.zone)

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _names(self, series: str | None, original: datetime) -> _Names:
        if self.platform == GOOGLE:
            return _google_names(self.email, series, original=original, number=self._next())
        return _microsoft_names(self.email, series, original=original, number=self._next())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    event_id: str
    ical_uid: str
    series: str | None


def _google_names(email: str, series: str | None, *, original: datetime, number: int) -> _Names:
    if series is None:
        name = google_event_id(email, str(number))
        return _Names(event_id=name, ical_uid=f"{name}@google.com", series=None)
    master = google_event_id("series", series)
    return _Names(
        event_id=f"{master}_{original.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        ical_uid=f"{master}@google.com",
        series=master,
    )


def _microsoft_names(email: str, series: str | None, *, original: datetime, number: int) -> _Names:
    if series is None:
        name = microsoft_event_id(email, str(number))
        return _Names(event_id=name, ical_uid=global_object_id(name), series=None)
    # Graph ids belong to one mailbox, so two attendees see two masters of one series.
    master = microsoft_event_id(email, "series", series)
    return _Names(
        event_id=microsoft_event_id(email, series, original.isoformat()),
        ical_uid=global_object_id(series, original.astimezone(UTC)),
        series=master,
    )


def _guest(value: Guest | str) -> Guest:
    return Guest(email=value) if isinstance(value, str) else value


def _raw_time(value: object) -> datetime | None:
    """The time of a Google or Graph `start`; None for whatever is not one."""
    found = value if isinstance(value, Mapping) else {}
    text = found.get("dateTime") or f"{found.get('date')}T00:00:00Z"
    try:
        return parse_time(text if text[-1:] == "Z" or "+" in text else _with_zone(text))
    except (TypeError, ValueError):
        return None


def _with_zone(text: str) -> str:
    """Graph's seven digits without offset, or an offset west of Greenwich."""
    return text if text[-6:-5] == "-" and text.count("-") > 2 else text[:26] + "Z"  # noqa: PLR2004
