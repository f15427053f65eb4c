"""Operations on calendars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from infra.local.emulators.http import Response
from infra.local.emulators.recall.accounts import GrantFailure, GrantResult
from infra.local.emulators.recall.answers import field_errors, json_answer, unconfirmed
from infra.local.emulators.recall.contract import Ask
from infra.local.emulators.recall.core import Core
from infra.local.emulators.recall.pages import page_of
from infra.local.emulators.recall.records import Calendar, StatusChange
from infra.local.emulators.recall.sync import Sync
from infra.local.emulators.recall.times import parse_time, stamp

ACCESS_LIFE = timedelta(hours=1)
_CREDENTIALS = ("oauth_client_id", "oauth_client_secret", "oauth_refresh_token", "platform")
_OTHERS = ("oauth_email", "webhook_url", "metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A provider access token and when it ends."""

    token: str
    expires_at: datetime


Mint = Callable[[Calendar], AccessToken | GrantFailure]


class CalendarsApi:
    """Create, list, read, patch, delete, access token."""

    def __init__(self, core: Core, *, sync: Sync, mint: Mint) -> None:
        self._core = core
        self._sync = sync
        self.mint = mint

    def create(self, ask: Ask) -> Response:
        body = dict(ask.body)
        now = self._core.now()
        calendar = Calendar(
            id=self._core.new_id(),
            created_at=now,
            updated_at=now,
            live_token=body["oauth_refresh_token"],
            **body,
        )
        if refused := self._refused(calendar):
            return refused
        self._core.calendars[calendar.id] = calendar
        self._core.by_calendar[calendar.id] = {}
        self._sync.connect(calendar)
        return json_answer(201, self._shown(calendar))

    def page(self, ask: Ask, *, url: str) -> Response:
        found = page_of(
            [each for each in self._core.calendars.values() if self._matches(each, ask.query)],
            key=lambda each: (stamp(each.created_at), each.id),
            size=self._core.switches.calendars_page_size,
            url=url,
            cursor=ask.query.get("cursor"),
        )
        rows = [self._shown(each) for each in found.rows]
        return json_answer(200, {"next": found.next, "previous": found.previous, "results": rows})

    def read(self, ask: Ask) -> Response:
        calendar = self._core.calendars.get(ask.id)
        return json_answer(200, self._shown(calendar)) if calendar else self._unknown()

    def patch(self, ask: Ask) -> Response:
        calendar = self._core.calendars.get(ask.id)
        if calendar is None:
            return self._unknown()
        for name in (*_CREDENTIALS, *_OTHERS):
            if name in ask.body:
                setattr(calendar, name, ask.body[name])
        if "oauth_refresh_token" in ask.body:
            calendar.live_token = ask.body["oauth_refresh_token"]
        calendar.updated_at = self._core.now()
        if not ask.body or set(ask.body) & set(_CREDENTIALS):
            self._sync.connect(calendar)
            if self._core.switches.update_webhook_on_connecting:
                self._core.send_update(calendar.id)
        return json_answer(200, self._shown(calendar))

    def delete(self, ask: Ask) -> Response:
        calendar = self._core.calendars.get(ask.id)
        if calendar is None:
            return self._unknown()
        self._sync.delete(calendar)
        return Response(status=204)

    def access_token(self, ask: Ask) -> Response:
        calendar = self._core.calendars.get(ask.id)
        if calendar is None:
            return self._unknown()
        match self._sync.grant(calendar):
            case GrantFailure(reason=reason):
                body = {"code": "bad_refresh_token", "message": reason}
                return json_answer(400, body)
            case GrantResult():
                return self._minted(calendar)

    def _minted(self, calendar: Calendar) -> Response:
        match self.mint(calendar):
            case GrantFailure(reason=reason):
                return json_answer(400, {"code": "error", "message": reason})
            case AccessToken() as access:
                body = {"token": access.token, "expires_at": stamp(access.expires_at)}
                return json_answer(200, body)

    def _refused(self, calendar: Calendar) -> Response | None:
        switches = self._core.switches
        if switches.duplicate_calendars == "allowed" and not switches.credentials_checked_on_create:
            return None
        grant = self._sync.grant(calendar)
        if isinstance(grant, GrantFailure):
            if switches.credentials_checked_on_create:
                return field_errors({"oauth_refresh_token": [grant.reason]})
            return None
        taken = any(
            (each.platform, each.platform_email) == (calendar.platform, grant.email)
            for each in self._core.calendars.values()
        )
        if taken and switches.duplicate_calendars == "refused":
            return field_errors({"non_field_errors": ["This account is connected already."]})
        return None

    def _matches(self, calendar: Calendar, query: Any) -> bool:  # noqa: ANN401  any JSON
        since = query.get("created_at__gte")
        return (
            query.get("platform") in {None, calendar.platform}
            and query.get("status") in {None, calendar.status}
            and (since is None or calendar.created_at >= parse_time(since))
            and ("email" not in query or query["email"] in self._emails(calendar))
        )

    def _emails(self, calendar: Calendar) -> set[str | None]:
        match self._core.switches.email_filter:
            case "platform_email":
                return {calendar.platform_email}
            case "oauth_email":
                return {calendar.oauth_email}
            case "either":
                return {calendar.platform_email, calendar.oauth_email}

    def _shown(self, calendar: Calendar) -> dict[str, Any]:
        return {
            "id": calendar.id,
            **{name: getattr(calendar, name) for name in (*_CREDENTIALS, *_OTHERS)},
            "platform_email": calendar.platform_email,
            "status": calendar.status,
            "status_changes": self._changes(calendar),
            "created_at": stamp(calendar.created_at),
            "updated_at": stamp(calendar.updated_at),
        }

    def _changes(self, calendar: Calendar) -> list[dict[str, Any]]:
        rows = [self._change(change) for change in calendar.changes]
        match self._core.switches.status_changes_order:
            case "ascending":
                return rows
            case "descending":
                return rows[::-1]
            case "shuffled":
                self._core.chance.shuffle(rows)
                return rows

    def _change(self, change: StatusChange) -> dict[str, Any]:
        switches = self._core.switches
        return {
            "status": change.status,
            "created_at": stamp(change.at),
            switches.status_detail_field: change.message,
            switches.status_sub_code_field: change.sub_code,
        }

    def _unknown(self) -> Response:
        return unconfirmed(self._core.switches, 404, code="not_found")
