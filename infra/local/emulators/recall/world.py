"""Recall as a world with state: the same requests, answers, limits, delays and webhooks."""

from __future__ import annotations

import random
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from infra.local.emulators.clock import Clock
from infra.local.emulators.http import Request, Response
from infra.local.emulators.recall.accounts import Account, GrantFailure, GrantResult
from infra.local.emulators.recall.answers import (
    field_errors,
    html_answer,
    invalid_data,
    refusal,
    unconfirmed,
)
from infra.local.emulators.recall.bots_api import BotsApi
from infra.local.emulators.recall.calendars_api import (
    ACCESS_LIFE,
    AccessToken,
    CalendarsApi,
    Mint,
)
from infra.local.emulators.recall.contract import Ask, Operation, Refused, published
from infra.local.emulators.recall.core import Core
from infra.local.emulators.recall.events_api import EventsApi
from infra.local.emulators.recall.fleet import Fleet, LiveBot
from infra.local.emulators.recall.guards import IdempotencyStore, Throttle
from infra.local.emulators.recall.pages import CursorError
from infra.local.emulators.recall.raw import Guest
from infra.local.emulators.recall.records import Bot, Calendar, Event
from infra.local.emulators.recall.switches import Switches, Timings
from infra.local.emulators.recall.sync import Resolve, Sync
from infra.local.emulators.recall.times import http_date
from infra.local.emulators.recall.webhooks import Deliver, Message, Outbox

DEFAULT_BASE_URL = "https://us-west-2.recall.ai"
POLL_SECONDS = 0.1
STOP_SECONDS = 20.0
_LOCALHOST = re.compile(rb"https?:\\?/\\?/localhost\b|wss?:\\?/\\?/localhost\b", re.IGNORECASE)
_PAID = frozenset({"calendars_create", "calendar_events_bot_create", "bot_create"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One line of the ledger; `endpoint` is the operation's name, or empty."""

    at: datetime
    method: str
    path: str
    endpoint: str
    status: int
    url: str


@dataclass(slots=True, kw_only=True)
class _Visit:
    """A request on its way through the world, and what it holds meanwhile."""

    request: Request
    endpoint: str = ""
    ask: Ask | None = None
    idempotency: tuple[str, ...] | None = None
    keys: set[str] = field(default_factory=set)


class RecallWorld:
    """One Recall workspace. `handle` is the HTTP side, `run_due` lets time do its work.

    Everything due up to the clock's time has happened before a request is served; webhooks
    leave only in `run_due` (or by the thread of `start`, for a real clock).
    """

    def __init__(
        self,
        clock: Clock,
        *,
        base_url: str = DEFAULT_BASE_URL,
        api_key: str,
        webhook_secret: str | Iterable[str] = "",
        deliver: Deliver | None = None,
        switches: Switches | None = None,
        timings: Timings | None = None,
        limits: Mapping[str, int] | None = None,
        seed: int = 0,
        resolve_account: Resolve | None = None,
        mint_access_token: Mint | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.api_key = api_key
        # Keys that were rotated and are good for a while still.
        self.retiring_keys: set[str] = set()
        self.grants: dict[str, tuple[str, str, tuple[str, ...]]] = {}
        self.calls: list[Call] = []
        self.warnings: list[str] = []
        self.latency: Callable[[Request], None] | None = None
        # Sees the name of each operation that is asked for; an answer of its own is the answer.
        self.fault: Callable[[str], Response | None] | None = None
        self.outage: int | None = None
        self.out_of_credit = False
        self.on_revoked: Callable[[Account], None] | None = None
        self.on_served: Callable[[], None] | None = None
        self._counts: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._held: dict[str, datetime] = {}
        chance = random.Random(seed)
        secrets = webhook_secret.split(",") if isinstance(webhook_secret, str) else webhook_secret
        self.core = Core(
            clock,
            switches=switches or Switches(),
            timings=timings or Timings(),
            chance=chance,
            outbox=lambda core: Outbox(
                clock,
                secrets=[each.strip() for each in secrets if each.strip()],
                deliver=deliver,
                chance=chance,
                switches=lambda: core.switches,
                timings=lambda: core.timings,
            ),
        )
        self.throttle = Throttle(published().limits() | dict(limits or {}))
        self._idempotency = IdempotencyStore()
        self.fleet = Fleet(self.core)
        self._sync = Sync(self.core, fleet=self.fleet, resolve=resolve_account or self._registered)
        self._calendars = CalendarsApi(
            self.core, sync=self._sync, mint=mint_access_token or self._mint
        )
        self._events = EventsApi(self.core, fleet=self.fleet)
        self._bots = BotsApi(self.core, fleet=self.fleet)
        self._sending = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # What tests and the local host look at and turn.

    @property
    def switches(self) -> Switches:
        return self.core.switches

    @switches.setter
    def switches(self, switches: Switches) -> None:
        self.core.switches = switches

    @property
    def timings(self) -> Timings:
        return self.core.timings

    @timings.setter
    def timings(self, timings: Timings) -> None:
        self.core.timings = timings

    @property
    def webhooks(self) -> Outbox:
        return self.core.outbox

    @property
    def ad_hoc_free(self) -> int | None:
        """Ad-hoc bots left in the pool; None: as many as anybody wants, 0: 507."""
        return self.fleet.ad_hoc_free

    @ad_hoc_free.setter
    def ad_hoc_free(self, count: int | None) -> None:
        self.fleet.ad_hoc_free = count

    @property
    def calendars(self) -> dict[str, Calendar]:
        return self.core.calendars

    @property
    def events(self) -> dict[str, Event]:
        return self.core.events

    @property
    def bots(self) -> dict[str, Bot]:
        """Every bot ever made, deleted ones included."""
        return self.core.bots

    def live_bots(self) -> list[LiveBot]:
        """One row per bot that waits, joins or sits in a call, nearest start first."""
        with self.core.lock:
            self.core.settle()
            return self.fleet.live()

    def count(self, endpoint: str) -> int:
        """Calls of an operation so far, refused ones included."""
        return self._counts[endpoint]

    def account(self, platform: str, email: str, *, zone: str = "Europe/Berlin") -> Account:
        """The person's own calendar at the provider, made on first use."""
        with self.core.lock:
            return self.core.accounts.setdefault(
                (platform, email),
                Account(
                    platform,
                    email,
                    zone=zone,
                    lock=self.core.lock,
                    now=self.core.now,
                    changed=self._sync.account_changed,
                    revoked=self._revoked,
                    transferred=self._sync.transferred,
                ),
            )

    def invite(
        self,
        title: str,
        *,
        organizer: Account | str,
        guests: Iterable[Account | Guest | str],
        start: datetime,
        **details: Any,  # noqa: ANN401  what add_event takes
    ) -> dict[str, str]:
        """One meeting as its copies in the accounts of everybody who has one.

        Accounts among `guests` have not answered yet. Returns account e-mail to provider
        event id; all copies share the `ical_uid`.
        """
        invited = list(guests)
        host = Guest(email=organizer.email if isinstance(organizer, Account) else organizer)
        people = [_as_guest(each) for each in invited]
        if "series" not in details:
            details.setdefault("ical_uid", f"{uuid.UUID(self.core.new_id()).hex}@meeting.example")
        placed = {}
        for account in [each for each in (organizer, *invited) if isinstance(each, Account)]:
            placed[account.email] = account.add_event(
                title,
                start=start,
                organizer=None if account.email == host.email else host,
                attendees=[each for each in people if each.email != account.email],
                **details,
            )
        return placed

    def grant(
        self, refresh_token: str, *, platform: str, email: str, scopes: Iterable[str] | None = None
    ) -> None:
        """Let a refresh token open an account; all needed scopes unless told otherwise."""
        name = "calendar.events.readonly" if platform == "google_calendar" else "Calendars.Read"
        prefix = (
            "https://www.googleapis.com/auth/"
            if platform == "google_calendar"
            else "https://graph.microsoft.com/"
        )
        wanted = tuple(scopes) if scopes is not None else (prefix + name,)
        self.grants[refresh_token] = (platform, email, wanted)

    def recheck_grants(self, account: Account) -> None:
        """A provider ended some token of the account: its calendars notice after a while."""
        with self.core.lock:
            self._sync.account_revoked(account)

    def hold_key(self, key: str, *, seconds: float) -> None:
        """Answer 409 for a deduplication key for a while."""
        self._held[key] = self.core.clock.now() + timedelta(seconds=seconds)

    # Time.

    def run_due(self) -> int:
        """Do everything due by now, deliveries included; returns how many deliveries went out."""
        with self._sending:
            sent = 0
            while batch := self.due_messages():
                for message in batch:
                    self.attempt(message)
                    sent += 1
            return sent

    def next_due(self) -> datetime | None:
        """When the next thing happens by itself."""
        with self.core.lock:
            dues = (self.core.agenda.next_due(), self.webhooks.next_due())
            return min((due for due in dues if due), default=None)

    def start(self) -> None:
        """Run due work in a background thread; for a real clock."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="recall-world", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; waits at most 20 s."""
        self._stop.set()
        if self._thread:
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.run_due()

    def due_messages(self) -> list[Message]:
        """Webhooks to attempt now; each must be given to `attempt`."""
        with self.core.lock:
            self.core.settle()
            return self.webhooks.due(self.core.clock.now())

    def attempt(self, message: Message) -> None:
        """Deliver a webhook once, and plan the next attempt when nobody took it."""
        with self.core.lock:
            delivery = self.webhooks.delivery(message)
            deliver = self.webhooks.deliver
        try:
            status = deliver(delivery) if deliver else 200
        except OSError:
            status = 0
        with self.core.lock:
            self.webhooks.attempted(message, status)

    # HTTP.

    def handle(self, request: Request) -> Response:
        """Answer one request; safe to call from several threads."""
        visit = _Visit(request=request)
        with self.core.lock:
            self.core.settle()
            answer = self._admitted(visit)
        if answer is None:
            if self.latency:
                self.latency(request)
            with self.core.lock:
                self.core.settle()
                answer = self._served(visit)
                # Before anybody else has a turn: nothing that a call does escapes a look.
                if self.on_served:
                    self.on_served()
        return self._finished(visit, answer)

    def _finished(self, visit: _Visit, answer: Response) -> Response:
        now = self.core.clock.now()
        with self.core.lock:
            self._counts[visit.endpoint] += 1
            self.calls.append(
                Call(
                    at=now,
                    method=visit.request.method,
                    path=self._path(visit.request.url),
                    endpoint=visit.endpoint,
                    status=answer.status,
                    url=visit.request.url,
                )
            )
        return Response(
            status=answer.status,
            headers={**answer.headers, "Date": http_date(now)},
            body=answer.body,
        )

    def _admitted(self, visit: _Visit) -> Response | None:
        """None when the request may be served, else the answer that stops it."""
        request = visit.request
        path = self._path(request.url)
        if self.outage is not None:
            return html_answer(self.outage)
        if (request.method == "GET" and request.body) or _LOCALHOST.search(request.body):
            return refusal(403, "request_blocked", detail="Stopped by a security rule.")
        found = published().on_path(path)
        if not found and published().on_path(path + "/"):
            if request.method == "GET" or self.switches.slashless_write == "redirected":
                return _redirect(request.url)
            if self.switches.slashless_write == "served":
                found = published().on_path(path + "/")
        if not found:
            return html_answer(404)
        allow = {"Allow": ", ".join(sorted(found))}
        if refused := self._unauthorized(request, allow):
            return refused
        if request.method not in found:
            return refusal(405, "method_not_allowed", headers=allow)
        operation, identity = found[request.method]
        visit.endpoint = operation.name
        return self._guarded(visit, operation, identity=identity)

    def _unauthorized(self, request: Request, allow: Mapping[str, str]) -> Response | None:
        sent = request.headers.get("Authorization", "").strip()
        headers = {**allow, "WWW-Authenticate": "Token"}
        if not sent:
            return refusal(401, "not_authenticated", headers=headers)
        if sent.removeprefix("Token ") in {self.api_key, *self.retiring_keys}:
            return None
        return refusal(401, "authentication_failed", headers=headers)

    def _guarded(self, visit: _Visit, operation: Operation, *, identity: str) -> Response | None:
        if self.fault and (broken := self.fault(operation.name)):
            return broken
        wait = self.throttle.enter(operation.name, self.core.clock.now())
        if wait is not None:
            headers = {"Retry-After": str(wait)}
            return unconfirmed(self.switches, 429, code="throttled", headers=headers)
        if replayed := self._replayed(visit):
            return replayed
        try:
            visit.ask = published().check(operation, identity, request=visit.request)
        except Refused as refused:
            return self._settled(visit, _misfit(operation, refused))
        if refused_query := self._strange_query(visit.ask):
            return self._settled(visit, refused_query)
        return self._claimed(visit, visit.ask)

    def _replayed(self, visit: _Visit) -> Response | None:
        key = visit.request.headers.get("Idempotency-Key")
        if not key or visit.request.method not in {"POST", "PUT", "PATCH"}:
            return None
        identity = (key, self._path(visit.request.url))
        found = self._idempotency.begin(identity, self.core.clock.now())
        if isinstance(found, Response):
            return found
        if not found:
            return unconfirmed(self.switches, 409, code="idempotency_key_in_use")
        visit.idempotency = identity
        return None

    def _strange_query(self, ask: Ask) -> Response | None:
        for name in ask.unknown:
            self.warnings.append(f"{ask.operation.name}: unknown query parameter {name}")
        if ask.unknown and self.switches.refuse_unknown_parameters:
            return field_errors({name: ["Unknown parameter."] for name in ask.unknown})
        return None

    def _claimed(self, visit: _Visit, ask: Ask) -> Response | None:
        keys = self._keys(ask)
        now = self.core.clock.now()
        if any(self._busy[key] or self._held.get(key, now) > now for key in keys):
            answer = unconfirmed(self.switches, 409, code="conflict")
            if visit.idempotency and not self.switches.idempotency_stores_conflicts:
                self._idempotency.forget(visit.idempotency)
                visit.idempotency = None
            return self._settled(visit, answer)
        visit.keys = keys
        self._busy.update(keys)
        return None

    def _keys(self, ask: Ask) -> set[str]:
        match ask.operation.name:
            case "calendar_events_bot_create":
                return {ask.body["deduplication_key"]}
            case "calendar_events_bot_destroy":
                return self._events.keys(ask.id)
            case _:
                return set()

    def _served(self, visit: _Visit) -> Response:
        try:
            answer = self._answer(visit)
        finally:
            self._busy.subtract(visit.keys)
        return self._settled(visit, answer)

    def _settled(self, visit: _Visit, answer: Response) -> Response:
        if visit.idempotency:
            self._idempotency.finish(visit.idempotency, answer, now=self.core.clock.now())
        return answer

    def _answer(self, visit: _Visit) -> Response:
        ask = visit.ask
        if ask is None:
            raise AssertionError("only admitted requests are served")
        if self.out_of_credit and ask.operation.name in _PAID:
            return refusal(402, "payment_required")
        try:
            return self._operate(ask, self._list_url(visit.request.url))
        except CursorError:
            return field_errors({"cursor": ["Not a cursor of this list."]})

    def _operate(self, ask: Ask, url: str) -> Response:
        operations: dict[str, Callable[[], Response]] = {
            "calendars_list": lambda: self._calendars.page(ask, url=url),
            "calendars_create": lambda: self._calendars.create(ask),
            "calendars_retrieve": lambda: self._calendars.read(ask),
            "calendars_partial_update": lambda: self._calendars.patch(ask),
            "calendars_destroy": lambda: self._calendars.delete(ask),
            "calendars_access_token_create": lambda: self._calendars.access_token(ask),
            "calendar_events_list": lambda: self._events.page(ask, url=url),
            "calendar_events_retrieve": lambda: self._events.read(ask),
            "calendar_events_bot_create": lambda: self._events.schedule(ask),
            "calendar_events_bot_destroy": lambda: self._events.unschedule(ask),
            "bot_list": lambda: self._bots.page(ask, url=url),
            "bot_create": lambda: self._bots.create(ask),
            "bot_retrieve": lambda: self._bots.read(ask),
            "bot_partial_update": lambda: self._bots.patch(ask),
            "bot_destroy": lambda: self._bots.delete(ask),
            "bot_leave_call_create": lambda: self._bots.leave_call(ask),
        }
        return operations[ask.operation.name]()

    def _list_url(self, url: str) -> str:
        base = self.base_url
        if host := self.switches.next_host:
            base = f"{urlsplit(self.base_url).scheme}://{host}"
        return f"{base}{self._path(url).rstrip('/')}/?{urlsplit(url).query}"

    def _path(self, url: str) -> str:
        """The path below the base URL, which may carry a path of its own on a local host."""
        prefix = urlsplit(self.base_url).path
        return urlsplit(url).path.removeprefix(prefix)

    # Grants.

    def _registered(
        self, *, platform: str, client_id: str, client_secret: str, refresh_token: str
    ) -> GrantResult | GrantFailure:
        del client_id, client_secret
        found = self.grants.get(refresh_token)
        if found is None or found[0] != platform:
            return GrantFailure(reason="invalid_grant: token has been expired or revoked")
        return GrantResult(email=found[1], scopes=tuple(found[2]))

    def _revoked(self, account: Account) -> None:
        dead = [
            token
            for token, (platform, email, _) in self.grants.items()
            if (platform, email) == (account.platform, account.email)
        ]
        for token in dead:
            del self.grants[token]
        if self.on_revoked:
            self.on_revoked(account)
        self._sync.account_revoked(account)

    def _mint(self, calendar: Calendar) -> AccessToken:
        now = self.core.clock.now()
        return AccessToken(
            token=f"access-{calendar.live_token}-{int(now.timestamp())}",
            expires_at=now + ACCESS_LIFE,
        )


def _as_guest(value: Account | Guest | str) -> Guest:
    if isinstance(value, Guest):
        return value
    return Guest(email=value.email if isinstance(value, Account) else value)


def _redirect(url: str) -> Response:
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return Response(
        status=301,
        headers={"Location": f"{parts.path}/{query}", "Content-Type": "text/html; charset=utf-8"},
    )


def _misfit(operation: Operation, refused: Refused) -> Response:
    if refused.status != 400:  # noqa: PLR2004
        return field_errors(refused.errors, status=refused.status)
    if operation.name == "calendar_events_bot_create":
        return invalid_data(refused.errors)
    return field_errors(refused.errors)
