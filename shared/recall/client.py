"""The door to Recall: every operation that Rollcall uses, in domain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NoReturn, TypeVar

import requests

from shared.domain.calendar import CalendarStatus, Platform, RecallCalendar
from shared.domain.event import ListedEvent
from shared.domain.moment import moment_text
from shared.domain.secret import Secret
from shared.recall.budget import Budget
from shared.recall.errors import NotFound, Unexpected
from shared.recall.parse import (
    CalendarClient,
    RecallBot,
    parse_bot,
    parse_calendar,
    parse_calendar_client,
    parse_each,
    parse_event,
)
from shared.recall.reading import ID, Malformed
from shared.recall.transport import Answer, Query, Request, Transport

Value = TypeVar("Value")

_CALENDARS = "/api/v2/calendars/"
_EVENTS = "/api/v2/calendar-events/"
_BOTS = "/api/v1/bot/"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarPage:
    """One page of calendars; `malformed` holds the ids ("?": unreadable) of what is left out."""

    calendars: tuple[RecallCalendar, ...]
    malformed: tuple[str, ...]
    next_page: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarClientPage:
    """One page of calendars with their OAuth clients; `malformed` as in `CalendarPage`."""

    clients: tuple[CalendarClient, ...]
    malformed: tuple[str, ...]
    next_page: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """One page of events; `malformed` holds the ids ("?": unreadable) of those set aside.

    `answered_at` is Recall's Date header in whole seconds; without one, the moment at which
    we asked.
    """

    events: tuple[ListedEvent, ...]
    malformed: tuple[str, ...]
    next_page: str | None
    answered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BotPage:
    """One page of bots; `malformed` as in `EventPage`."""

    bots: tuple[RecallBot, ...]
    malformed: tuple[str, ...]
    next_page: str | None


class RecallClient:
    """One Recall workspace; `api_key` gives the key of the moment.

    Each method is one exchange, without retries; loops are the caller's.

    Errors, besides `shared.recall.errors`: TransientError `rate_budget`. A page's `next_page`
    is followed only within the same list.
    """

    def __init__(
        self,
        session: requests.Session,
        *,
        base_url: str,
        api_key: Callable[[], Secret],
        budget: Budget,
        clock: Callable[[], datetime],
    ) -> None:
        self._transport = Transport(
            session, base_url=base_url, api_key=api_key, budget=budget, clock=clock
        )

    def create_calendar(
        self,
        *,
        platform: Platform,
        client_id: str,
        client_secret: Secret,
        refresh_token: Secret,
        email: str | None = None,
        metadata: Mapping[str, str],
        idempotency_key: str,
    ) -> RecallCalendar:
        """A new calendar, usually still connecting: the sync follows."""
        credentials = _credentials(
            client_id=client_id,
            client_secret=client_secret,
            refresh_token=refresh_token,
            email=email,
            metadata=metadata,
        )
        request = Request(
            endpoint="calendars_create",
            method="POST",
            path=_CALENDARS,
            body={"platform": platform.value} | credentials,
            idempotency_key=idempotency_key,
        )
        return _one(self._transport.ask(request), parse_calendar)

    def list_calendars(
        self,
        *,
        status: CalendarStatus | None = None,
        email: str | None = None,
        platform: Platform | None = None,
        next_page: str | None = None,
    ) -> CalendarPage:
        """One page; which of the two addresses of a calendar `email` matches is not published."""
        query = _query(("status", status), ("email", email), ("platform", platform))
        results, next_page = self._calendars(query, next_page=next_page)
        calendars, malformed = parse_each(results, parse_calendar)
        return CalendarPage(calendars=calendars, malformed=malformed, next_page=next_page)

    def list_calendar_clients(
        self, *, platform: Platform, secret: Secret, next_page: str | None = None
    ) -> CalendarClientPage:
        """One page of a platform's calendars: whose client each has, and whether with `secret`."""
        query = _query(("platform", platform))
        results, next_page = self._calendars(query, next_page=next_page)
        clients, malformed = parse_each(results, partial(parse_calendar_client, secret=secret))
        return CalendarClientPage(clients=clients, malformed=malformed, next_page=next_page)

    def get_calendar(self, calendar_id: str) -> RecallCalendar:
        return _one(self._calendar(calendar_id), parse_calendar)

    def update_calendar(
        self,
        calendar_id: str,
        *,
        client_id: str | None = None,
        client_secret: Secret | None = None,
        refresh_token: Secret | None = None,
        email: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> RecallCalendar:
        """Change what is given. With nothing given Recall reconnects with what it has."""
        request = Request(
            endpoint="calendars_partial_update",
            method="PATCH",
            path=_path(_CALENDARS, calendar_id),
            body=_credentials(
                client_id=client_id,
                client_secret=client_secret,
                refresh_token=refresh_token,
                email=email,
                metadata=metadata,
            ),
        )
        return _one(self._transport.ask(request), parse_calendar)

    def delete_calendar(self, calendar_id: str) -> None:
        """Recall also unschedules the bots of the calendar's future events."""
        path = _path(_CALENDARS, calendar_id)
        self._transport.ask(Request(endpoint="calendars_destroy", method="DELETE", path=path))

    def access_token(self, calendar_id: str) -> Secret:
        """An access token of the provider.

        Errors: Refused with detail_code `no_oauth_credentials`, `bad_refresh_token` or `error`.
        """
        path = _path(_CALENDARS, calendar_id, tail="access-token/")
        request = Request(endpoint="calendars_access_token_create", method="POST", path=path)
        token = _text_of(self._transport.ask(request), "token")
        return Secret(token) if token else _unexpected()

    def reveal_refresh_token(self, calendar_id: str) -> Secret | None:
        """The token that Recall holds, which may have been rotated since it was given."""
        token = _text_of(self._calendar(calendar_id), "oauth_refresh_token")
        return Secret(token) if token else None

    def reveal_client(self, calendar_id: str) -> tuple[str, Secret] | None:
        """Id and secret of the OAuth client that the calendar's token is bound to."""
        answer = self._calendar(calendar_id)
        client_id = _text_of(answer, "oauth_client_id")
        client_secret = _text_of(answer, "oauth_client_secret")
        return (client_id, Secret(client_secret)) if client_id and client_secret else None

    def list_events(
        self,
        *,
        calendar_id: str | None = None,
        updated_since: datetime | None = None,
        start_from: datetime | None = None,
        start_to: datetime | None = None,
        next_page: str | None = None,
    ) -> EventPage:
        """One page of at most 100 events, deleted ones included, in no promised order.

        Without `calendar_id`, the events of all calendars. All bounds are inclusive.
        """
        request = Request(
            endpoint="calendar_events_list",
            method="GET",
            path=_EVENTS,
            query=_query(
                ("calendar_id", calendar_id),
                ("updated_at__gte", updated_since),
                ("start_time__gte", start_from),
                ("start_time__lte", start_to),
            ),
            next_page=next_page,
        )
        answer = self._transport.ask(request)
        results, next_page = _page(answer)
        events, malformed = parse_each(results, parse_event)
        return EventPage(
            events=events,
            malformed=malformed,
            next_page=next_page,
            answered_at=answer.answered_at,
        )

    def get_event(self, event_id: str) -> ListedEvent:
        path = _path(_EVENTS, event_id)
        request = Request(endpoint="calendar_events_retrieve", method="GET", path=path)
        return _one(self._transport.ask(request), parse_event)

    def schedule_bot(
        self, event_id: str, *, deduplication_key: str, bot_config: Mapping[str, object]
    ) -> ListedEvent:
        """Schedule, move or configure anew: the whole configuration is replaced.

        Events with one deduplication key share one bot, so a repeated call is harmless.
        """
        request = Request(
            endpoint="calendar_events_bot_create",
            method="POST",
            path=_path(_EVENTS, event_id, tail="bot/"),
            body={"deduplication_key": deduplication_key, "bot_config": bot_config},
        )
        return _one(self._transport.ask(request), parse_event)

    def unschedule_bot(self, event_id: str) -> ListedEvent:
        """Succeeds with or without a bot; a bot that another event shares stays."""
        path = _path(_EVENTS, event_id, tail="bot/")
        request = Request(endpoint="calendar_events_bot_destroy", method="DELETE", path=path)
        return _one(self._transport.ask(request), parse_event)

    def create_bot(
        self,
        *,
        meeting_url: str,
        join_at: datetime | None,
        bot_config: Mapping[str, object],
        idempotency_key: str,
    ) -> RecallBot:
        """A bot without a calendar event; ad hoc when join_at is less than ten minutes ahead.

        Errors: PoolEmpty for ad-hoc bots; the next try needs a new `idempotency_key`, since
        Recall replays the answer to the old one for an hour.
        """
        when = {"join_at": moment_text(join_at)} if join_at else {}
        request = Request(
            endpoint="bot_create",
            method="POST",
            path=_BOTS,
            body={**bot_config, "meeting_url": meeting_url, **when},
            idempotency_key=idempotency_key,
        )
        return _one(self._transport.ask(request), parse_bot)

    def list_bots(
        self,
        *,
        join_from: datetime | None = None,
        join_to: datetime | None = None,
        statuses: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        next_page: str | None = None,
    ) -> BotPage:
        """One page of bots with one of `statuses` and all of `metadata`."""
        query = _query(
            ("join_at_after", join_from),
            ("join_at_before", join_to),
            *(("status", status) for status in statuses),
            *((f"metadata__{key}", value) for key, value in (metadata or {}).items()),
        )
        request = Request(
            endpoint="bot_list", method="GET", path=_BOTS, query=query, next_page=next_page
        )
        results, next_page = _page(self._transport.ask(request))
        bots, malformed = parse_each(results, parse_bot)
        return BotPage(bots=bots, malformed=malformed, next_page=next_page)

    def get_bot(self, bot_id: str) -> RecallBot:
        request = Request(endpoint="bot_retrieve", method="GET", path=_path(_BOTS, bot_id))
        return _one(self._transport.ask(request), parse_bot)

    def update_bot(self, bot_id: str, *, changes: Mapping[str, object]) -> RecallBot:
        """Only before dispatch, and not for bots of calendar events.

        Errors: Refused with detail_code `update_bot_failed`.
        """
        request = Request(
            endpoint="bot_partial_update",
            method="PATCH",
            path=_path(_BOTS, bot_id),
            body=changes,
        )
        return _one(self._transport.ask(request), parse_bot)

    def delete_bot(self, bot_id: str) -> None:
        """Errors: AlreadyDispatched, then `leave_call` is the way."""
        path = _path(_BOTS, bot_id)
        self._transport.ask(Request(endpoint="bot_destroy", method="DELETE", path=path))

    def leave_call(self, bot_id: str) -> RecallBot:
        """Cannot be undone.

        Errors: Refused with detail_code `cannot_command_unstarted_bot` or
        `cannot_command_completed_bot`.
        """
        path = _path(_BOTS, bot_id, tail="leave_call/")
        request = Request(endpoint="bot_leave_call_create", method="POST", path=path)
        return _one(self._transport.ask(request), parse_bot)

    def _calendars(self, query: Query, *, next_page: str | None) -> tuple[list[object], str | None]:
        request = Request(
            endpoint="calendars_list",
            method="GET",
            path=_CALENDARS,
            query=query,
            next_page=next_page,
        )
        return _page(self._transport.ask(request))

    def _calendar(self, calendar_id: str) -> Answer:
        path = _path(_CALENDARS, calendar_id)
        return self._transport.ask(Request(endpoint="calendars_retrieve", method="GET", path=path))


def _credentials(
    *,
    client_id: str | None,
    client_secret: Secret | None,
    refresh_token: Secret | None,
    email: str | None,
    metadata: Mapping[str, str] | None,
) -> dict[str, object]:
    """The given ones only: Recall takes a key that is there as a change."""
    fields = {
        "oauth_client_id": client_id,
        "oauth_client_secret": _revealed(client_secret),
        "oauth_refresh_token": _revealed(refresh_token),
        "oauth_email": email,
        "metadata": metadata,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


def _query(*pairs: tuple[str, str | datetime | None]) -> Query:
    return [
        (key, moment_text(value) if isinstance(value, datetime) else value)
        for key, value in pairs
        if value is not None
    ]


def _path(collection: str, identity: str, *, tail: str = "") -> str:
    """An id that could change the path is an id that Recall does not know."""
    if not ID.fullmatch(identity):
        raise NotFound
    return f"{collection}{identity}/{tail}"


def _page(answer: Answer) -> tuple[list[object], str | None]:
    page = answer.document
    if not isinstance(page, Mapping) or not isinstance(page.get("results"), list):
        _unexpected()
    next_page = page.get("next")
    if next_page is not None and not isinstance(next_page, str):
        _unexpected()
    return page["results"], next_page or None


def _one(answer: Answer, parse: Callable[[object], Value]) -> Value:
    try:
        return parse(answer.document)
    except Malformed:
        _unexpected()


def _text_of(answer: Answer, key: str) -> str | None:
    fields = answer.document
    if not isinstance(fields, Mapping):
        _unexpected()
    value = fields.get(key)
    return value if isinstance(value, str) else None


def _unexpected() -> NoReturn:
    message = "Recall's answer lacks what its interface promises."
    raise Unexpected("recall_answer_unexpected", message)
