"""How calendars connect, follow their account, lose their grant and go."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from infra.local.emulators.recall.accounts import (
    GOOGLE,
    Account,
    GrantFailure,
    GrantResult,
    Stored,
)
from infra.local.emulators.recall.core import WINDOW_AHEAD, WINDOW_BACK, Core
from infra.local.emulators.recall.fleet import Fleet
from infra.local.emulators.recall.links import link_of_raw
from infra.local.emulators.recall.records import Calendar, Event, StatusChange

Resolve = Callable[..., GrantResult | GrantFailure]
_GOOGLE_SCOPES = frozenset(
    f"https://www.googleapis.com/auth/{name}"
    for name in ("calendar.events.readonly", "calendar.readonly", "calendar.events", "calendar")
)
_MICROSOFT_SCOPES = frozenset(
    f"{prefix}{name}"
    for prefix in ("", "https://graph.microsoft.com/")
    for name in ("Calendars.Read", "Calendars.ReadWrite")
)


class Sync:
    """Moves what happens in provider accounts into Recall's records."""

    def __init__(self, core: Core, *, fleet: Fleet, resolve: Resolve) -> None:
        self._core = core
        self._fleet = fleet
        self.resolve = resolve

    def grant(self, calendar: Calendar) -> GrantResult | GrantFailure:
        """What the calendar's credentials open now, missing scopes included."""
        found = self.resolve(
            platform=calendar.platform,
            client_id=calendar.oauth_client_id,
            client_secret=calendar.oauth_client_secret,
            refresh_token=calendar.live_token,
        )
        if isinstance(found, GrantResult):
            wanted = _GOOGLE_SCOPES if calendar.platform == GOOGLE else _MICROSOFT_SCOPES
            if not wanted & set(found.scopes):
                return GrantFailure(reason=f"invalid_scope({' '.join(found.scopes)})")
        return found

    def connect(self, calendar: Calendar) -> None:
        """Start a connection attempt; its outcome comes later."""
        now = self._core.now()
        calendar.attempt += 1
        calendar.status = "connecting"
        calendar.updated_at = now
        calendar.changes.append(StatusChange(status="connecting", at=now))
        attempt = calendar.attempt
        self._core.later(self._core.timings.connect, lambda: self._connected(calendar, attempt))

    def _connected(self, calendar: Calendar, attempt: int) -> None:
        if calendar.id not in self._core.calendars or calendar.attempt != attempt:
            return
        match self.grant(calendar):
            case GrantFailure(reason=reason):
                self.disconnect(calendar, reason)
            case GrantResult() as grant:
                self._welcome(calendar, grant)

    def _welcome(self, calendar: Calendar, grant: GrantResult) -> None:
        now = self._core.now()
        if grant.rotated_token:
            calendar.live_token = grant.rotated_token
            if self._core.switches.rotated_token_shown:
                calendar.oauth_refresh_token = grant.rotated_token
        self._join_account(calendar, grant.email)
        calendar.status = "connected"
        calendar.updated_at = now
        calendar.changes.append(StatusChange(status="connected", at=now))
        if self._core.switches.update_webhook_on_connected:
            self._core.send_update(calendar.id)
        if self._core.switches.reconnect_touches_events:
            calendar.seen.clear()
        self.import_changes(calendar)

    def _join_account(self, calendar: Calendar, email: str) -> None:
        """Note whose calendar it is; events of another account before are gone."""
        before = calendar.platform_email
        if before not in {None, email}:
            self._leave_account(calendar)
            calendar.seen.clear()
            for event in self._core.by_calendar[calendar.id].values():
                self._bury(event)
                self._core.bump(event, self._core.now())
        calendar.platform_email = email
        members = self._core.by_account.setdefault((calendar.platform, email), {})
        members[calendar.id] = calendar

    def _leave_account(self, calendar: Calendar) -> None:
        account = (calendar.platform, calendar.platform_email or "")
        self._core.by_account.get(account, {}).pop(calendar.id, None)

    def disconnect(self, calendar: Calendar, reason: str) -> None:
        """The grant is dead: unschedule future bots and say why."""
        now = self._core.now()
        calendar.attempt += 1
        calendar.status = "disconnected"
        calendar.updated_at = now
        sub_code = re.split(r"[(:]", reason, maxsplit=1)[0]
        calendar.changes.append(
            StatusChange(status="disconnected", at=now, message=reason, sub_code=sub_code)
        )
        for event in self._core.by_calendar.get(calendar.id, {}).values():
            if self._fleet.release(event) and self._core.switches.disconnect_bumps_events:
                self._core.bump(event, now)
        self._core.send_update(calendar.id)

    def delete(self, calendar: Calendar) -> None:
        """Drop the calendar, its events and their unshared waiting bots; no webhook."""
        survive = self._core.switches.shared_bot_on_calendar_delete == "survives"
        for event in list(self._core.by_calendar.pop(calendar.id, {}).values()):
            self._fleet.release(event, survive=survive)
            self._core.events.pop(event.id, None)
        self._leave_account(calendar)
        del self._core.calendars[calendar.id]

    def of_account(self, account: Account) -> list[Calendar]:
        """The connected calendars of an account."""
        return [
            calendar
            for calendar in self._core.by_account.get(
                (account.platform, account.email), {}
            ).values()
            if calendar.status == "connected"
        ]

    def account_changed(self, account: Account, event_id: str) -> None:
        """Something changed at the provider; Recall hears of it after a moment."""
        del event_id
        for calendar in self.of_account(account):
            self._import_soon(calendar)

    def account_revoked(self, account: Account) -> None:
        """Recall notices a dead grant late."""
        delay = self._core.timings.revocation
        for calendar in self.of_account(account):
            self._core.later(delay, partial(self._check_grant, calendar))

    def _check_grant(self, calendar: Calendar) -> None:
        if calendar.status != "connected" or calendar.id not in self._core.calendars:
            return
        match self.grant(calendar):
            case GrantFailure(reason=reason):
                self.disconnect(calendar, reason)
            case GrantResult():
                return

    def transferred(self, source: Account, target: Account, *, event_id: str) -> None:
        """An event changed hands; an import of the new home must not take it for a new one."""
        if any(event_id in self._core.by_calendar[each.id] for each in self.of_account(source)):
            for calendar in self.of_account(target)[:1]:
                calendar.seen[event_id] = target.events[event_id].revision
        self._core.later(
            self._core.timings.sync, lambda: self._move_event(source, target, event_id=event_id)
        )

    def _move_event(self, source: Account, target: Account, *, event_id: str) -> None:
        if event_id in source.events:
            return  # handed back before Recall noticed
        now = self._core.now()
        # What was handed on before Recall noticed is gone here, and new there.
        homes = self.of_account(target) if event_id in target.events else []
        for calendar in self.of_account(source):
            event = self._core.by_calendar.get(calendar.id, {}).pop(event_id, None)
            if event is None:
                continue
            if homes:
                self._rehome(event, homes[0], account=target)
            else:
                self._core.by_calendar[calendar.id][event_id] = event
                self._bury(event)
            self._core.bump(event, now)
            self._core.send_sync(calendar.id, now)
            if homes:
                self._core.send_sync(homes[0].id, now)
        for home in homes:
            self._import_soon(home)

    def _rehome(self, event: Event, home: Calendar, *, account: Account) -> None:
        event.calendar_id = home.id
        self._core.by_calendar.setdefault(home.id, {})[event.platform_id] = event
        stored = account.events[event.platform_id]
        home.seen[event.platform_id] = stored.revision
        self._refresh(event, stored, account=account)

    def _import_soon(self, calendar: Calendar) -> None:
        if not calendar.sync_due:
            calendar.sync_due = True
            self._core.later(self._core.timings.sync, lambda: self._import_due(calendar))

    def _import_due(self, calendar: Calendar) -> None:
        calendar.sync_due = False
        # A dead grant ends the news at once, although its disconnect comes later.
        if isinstance(self.grant(calendar), GrantResult):
            self.import_changes(calendar)

    def import_changes(self, calendar: Calendar) -> None:
        """Compare the account with what Recall has; one `updated_at` and one webhook for all."""
        if calendar.id not in self._core.calendars or calendar.status != "connected":
            return
        account = self._core.accounts.get((calendar.platform, calendar.platform_email or ""))
        if account is None:
            return
        now = self._core.now()
        changed = [
            stored
            for event_id, stored in account.events.items()
            if calendar.seen.get(event_id) != stored.revision
            and self._relevant(calendar, event_id, stored=stored)
        ]
        for stored in changed:
            calendar.seen[stored.appointment.id] = stored.revision
            self._commit(calendar, account, stored=stored, at=now)
        self._wait_for_next(calendar, account)
        if changed:
            self._core.send_sync(calendar.id, now)

    def _relevant(self, calendar: Calendar, event_id: str, *, stored: Stored) -> bool:
        if event_id in self._core.by_calendar.get(calendar.id, {}):
            return True
        now = self._core.now()
        appointment = stored.appointment
        inside = appointment.start <= now + WINDOW_AHEAD and appointment.end >= now - WINDOW_BACK
        return inside and not appointment.cancelled

    def _wait_for_next(self, calendar: Calendar, account: Account) -> None:
        """Import again when the next far event slides into the window."""
        now = self._core.now()
        horizon = now + WINDOW_AHEAD
        known = self._core.by_calendar.get(calendar.id, {})
        starts = [
            stored.appointment.start
            for event_id, stored in account.events.items()
            if stored.appointment.start > horizon and event_id not in known
        ]
        if not starts:
            return
        due = min(starts) - WINDOW_AHEAD
        if calendar.next_entry is None or calendar.next_entry <= now or due < calendar.next_entry:
            calendar.next_entry = due
            self._core.at(due, lambda: self.import_changes(calendar))

    def _commit(
        self, calendar: Calendar, account: Account, *, stored: Stored, at: datetime
    ) -> None:
        """Make the change visible now, or a little later than its `updated_at` says."""
        lag = self._core.timings.commit
        if not lag:
            self._apply(calendar, account, stored=stored, at=at)
            return
        due = at + timedelta(seconds=self._core.chance.uniform(0, lag))
        self._core.at(due, lambda: self._apply(calendar, account, stored=stored, at=at))

    def _apply(self, calendar: Calendar, account: Account, *, stored: Stored, at: datetime) -> None:
        event_id = stored.appointment.id
        if calendar.id not in self._core.calendars or account.events.get(event_id) != stored:
            return
        event = self._core.by_calendar.get(calendar.id, {}).get(event_id)
        if event is None:
            self._core.add_event(self._new(calendar, account, stored=stored, at=at))
            return
        old_start, old_link = event.start_time, event.link
        self._refresh(event, stored, account=account)
        if self._gone(stored):
            self._bury(event)
        elif self._core.switches.automatic_follow and (
            (old_start, old_link) != (event.start_time, event.link)
        ):
            self._fleet.follow(event, old_start)
        self._core.bump(event, at)

    def _new(self, calendar: Calendar, account: Account, *, stored: Stored, at: datetime) -> Event:
        raw = self._raw(account, stored)
        appointment = stored.appointment
        start, end = self._times(stored)
        return Event(
            id=self._core.new_id(),
            calendar_id=calendar.id,
            platform=calendar.platform,
            platform_id=appointment.id,
            ical_uid=appointment.ical_uid,
            start_time=start,
            end_time=end,
            raw=raw,
            link=link_of_raw(raw),
            created_at=at,
            updated_at=at,
            is_deleted=self._gone(stored),
        )

    def _refresh(self, event: Event, stored: Stored, *, account: Account) -> None:
        event.raw = self._raw(account, stored)
        event.start_time, event.end_time = self._times(stored)
        event.link = link_of_raw(event.raw) if not stored.appointment.cancelled else event.link
        event.ical_uid = stored.appointment.ical_uid
        event.is_deleted = False
        event.touch()

    def _raw(self, account: Account, stored: Stored) -> Mapping[str, Any]:
        minimal = self._core.switches.cancelled_raw == "minimal"
        return account.raw(stored.appointment.id, minimal_when_cancelled=minimal)

    def _times(self, stored: Stored) -> tuple[datetime, datetime]:
        appointment = stored.appointment
        if not appointment.all_day or self._core.switches.all_day_start == "local_midnight":
            return appointment.start, appointment.end
        return _midnight(appointment.start), _midnight(appointment.end)

    def _gone(self, stored: Stored) -> bool:
        switches = self._core.switches
        appointment = stored.appointment
        if appointment.cancelled:
            return switches.cancelled_by_organizer == "deleted"
        if appointment.answer == "declined" and switches.declined_events == "deleted":
            return True
        far = appointment.start > self._core.now() + WINDOW_AHEAD
        return far and switches.moved_beyond_window == "deleted"

    def _bury(self, event: Event) -> None:
        event.is_deleted = True
        entries = event.bots
        self._fleet.release(event)
        event.bots = entries if self._core.switches.deleted_event_bots == "kept" else []
        event.touch()


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
