"""The walk of a secret rotation: every calendar of the stack's own OAuth client gets the new one.

The old secret must go on working at the provider until the walk has ended: providers let two
live side by side. Then the order makes a crash anywhere harmless, and a repeat goes on:

1. one connected calendar proves the new secret, and gets the old one back if it fails;
2. the place for the progress is written, then the stack's secret: from now on new calendars
   start with the new one, so none that the walk has passed can still get the old one, except
   from functions that read the secret before and keep it for minutes;
3. the walk, in the order of ids, with its place stored after each calendar;
4. a second look for what those functions left behind, once none can have the old one;
5. Recall is asked until no calendar is connecting any more.

A calendar with another client's id is never touched: its host gave its own client, or its
token is bound to a former one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from infra.stack import StackSecret
from shared.domain.calendar import CalendarStatus, Platform
from shared.domain.rotation import Step, Walk, rotation_name
from shared.domain.secret import Secret
from shared.errors import PermanentError, TransientError
from shared.recall import CalendarClient, CalendarClientPage, NotFound, RecallClient, Refused
from shared.secrets import CACHED_SECONDS
from shared.storage import WorkspaceStore

# The live system keeps the other half of each minute.
BUDGET_SHARE: Final = 0.5
PAGES_MAX: Final = 1_000
PATIENCE_SECONDS: Final = 900.0
BACKOFF_SECONDS: Final = 5.0
REFUSALS_MAX: Final = 10
PROOF_SECONDS_MAX: Final = 180.0
PROOF_PAUSE_SECONDS: Final = 5.0
SETTLE_SECONDS_MAX: Final = 900.0
SETTLE_PAUSE_SECONDS: Final = 15.0
# A function may use what it read for as long as it runs.
STALE_SECONDS: Final = CACHED_SECONDS + 60.0
# A row of DynamoDB holds 400 KB; an id takes 40 bytes.
NOTED_MAX: Final = 8_000
TRIED_MAX: Final = 100

_KEYS: Final[Mapping[Platform, str]] = {Platform.GOOGLE: "google", Platform.MICROSOFT: "microsoft"}

Value = TypeVar("Value")


class Display(Protocol):
    """What the operator sees; never given anything secret."""

    def begin(self, task: str, *, total: int, done: int = 0) -> None: ...

    def advance(self) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """`pause` sleeps for seconds; `recall` spends the share of the budget it was made with."""

    recall: RecallClient
    workspace: WorkspaceStore
    secret: StackSecret
    clock: Callable[[], datetime]
    pause: Callable[[float], None]
    display: Display


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A calendar without a connection and why, in Recall's words."""

    calendar_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the calendars stand after the walk.

    `patched`: calls that changed a calendar in this run. `others`: calendars of other clients,
    left alone. `lost`: disconnected now and not before. `lost_before`: disconnected all along.
    `unsettled`: still connecting, or refused the secret, or unreadable when patience ended.
    """

    connected: int
    patched: int
    others: int
    lost: tuple[Lost, ...]
    lost_before: tuple[Lost, ...]
    unsettled: tuple[Lost, ...]

    @property
    def complete(self) -> bool:
        return not self.lost and not self.unsettled


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """All calendars of the platform at one look."""

    ours: tuple[CalendarClient, ...]
    others: int
    unreadable: tuple[str, ...]

    @property
    def shows_secrets(self) -> bool:
        """Recall may one day mask what it echoes; then no calendar seems to hold the secret."""
        return any(each.holds for each in self.ours)


class Rotation:
    """One platform's rotation to `secret`, of the client `client_id` (None: the stack's own).

    Errors: PermanentError with the remedy; TransientError when Recall or DynamoDB stay away for
    longer than the patience. After either the same call goes on where it stopped.
    """

    def __init__(
        self, doors: Doors, *, platform: Platform, secret: Secret, client_id: str | None = None
    ) -> None:
        self._doors = doors
        self._platform = platform
        self._secret = secret
        self._texts = doors.secret.texts()
        self._client_id = client_id or self._texts.get(f"{_KEYS[platform]}_client_id", "")
        if not self._client_id:
            raise _not_offered(platform)
        self._fingerprint = self._digest()
        self._patched = 0
        self._proven: str | None = None

    def run(self) -> Outcome:
        walk = self._stored()
        seen = self._look()
        if walk is None:
            self._prove(seen)
            walk = self._start(seen)
        walk = self._written(walk)
        walk = self._walked(walk, seen)
        walk = self._looked_again(walk)
        walk, settled = self._settled(walk)
        outcome = self._outcome(settled, walk=walk)
        lost = {each.calendar_id: each.reason for each in (*outcome.lost, *outcome.unsettled)}
        # An incomplete walk stays open: a repeat tries and reads the same calendars again.
        ended = self._doors.clock() if outcome.complete else None
        self._saved(walk, lost=lost, finished_at=ended)
        if outcome.complete:
            self._put(self._name("tried"), {"calendars": []})
        return outcome

    # Before: one calendar proves the secret.

    def _prove(self, seen: _Seen) -> None:
        """A mistyped secret must not reach a second calendar, nor a new one."""
        connected = [
            each for each in seen.ours if _is(each, CalendarStatus.CONNECTED) and not each.holds
        ]
        former = self._former_secret()
        if not connected or former is None or former == self._secret:
            return
        calendar_id = connected[0].calendar.calendar_id
        self._doors.display.say(f"Trying the new secret on one calendar, {calendar_id}.")
        # Should this break off, the next run still knows that it was connected.
        self._put(self._name("tried"), {"calendars": [*self._tried(), calendar_id][-TRIED_MAX:]})
        self._give(calendar_id, self._secret)
        reason = self._proof(calendar_id)
        if reason is None:
            self._proven = calendar_id
            self._patched += 1
            return
        self._give(calendar_id, former)
        message = (
            f"Calendar {calendar_id} did not connect with the new secret ({reason}) and was given "
            "the former one back. Nothing else was changed. Check that it is the secret's value, "
            f"of the client {self._client_id}, then repeat."
        )
        raise PermanentError("secret_unproven", message)

    def _tried(self) -> list[str]:
        return list((self._report(self._name("tried")) or {}).get("calendars", ()))

    def _former_secret(self) -> Secret | None:
        """What calendars of this client have now; None when the stack had another client."""
        key = _KEYS[self._platform]
        text = self._texts.get(f"{key}_client_secret", "")
        same_client = self._texts.get(f"{key}_client_id") == self._client_id
        return Secret(text) if same_client and text else None

    def _proof(self, calendar_id: str) -> str | None:
        """None once it is connected, else why not."""
        for _ in range(int(PROOF_SECONDS_MAX / PROOF_PAUSE_SECONDS)):
            self._doors.pause(PROOF_PAUSE_SECONDS)
            shown = self._patiently(lambda: self._doors.recall.get_calendar(calendar_id))
            match shown.status:
                case CalendarStatus.CONNECTED:
                    return None
                case CalendarStatus.DISCONNECTED:
                    return shown.status_reason or "no reason given"
                case CalendarStatus.CONNECTING:
                    continue
        return f"still connecting after {PROOF_SECONDS_MAX:.0f} s"

    # The walk.

    def _start(self, seen: _Seen) -> Walk:
        """Which calendars were cut off before is noted first: afterwards nobody can tell."""
        tried = self._tried()
        cut_off = [
            each.calendar.calendar_id
            for each in seen.ours
            if _is(each, CalendarStatus.DISCONNECTED) and each.calendar.calendar_id not in tried
        ]
        self._put(self._name("before"), {"disconnected": cut_off[:NOTED_MAX]})
        walk = Walk(fingerprint=self._fingerprint, started_at=self._doors.clock())
        return self._saved(walk, total=len(seen.ours))

    def _written(self, walk: Walk) -> Walk:
        """The stack's secret before the walk: else a calendar born meanwhile would be missed."""
        key = _KEYS[self._platform]
        wanted = {
            f"{key}_client_id": self._client_id,
            f"{key}_client_secret": self._secret.reveal(),
        }
        if any(self._texts.get(name) != text for name, text in wanted.items()):
            self._doors.secret.change(wanted)
            self._doors.display.say("New calendars connect with the new secret from now on.")
        elif walk.written_at is not None:
            return walk
        written_at = self._doors.clock()
        stale_until = written_at + timedelta(seconds=STALE_SECONDS)
        return self._saved(walk, written_at=written_at, stale_until=stale_until)

    def _walked(self, walk: Walk, seen: _Seen) -> Walk:
        left = [each for each in seen.ours if each.calendar.calendar_id > walk.position]
        display = self._doors.display
        display.begin("secrets", total=len(seen.ours), done=len(seen.ours) - len(left))
        walk = self._saved(walk, step=Step.CALENDARS, total=len(seen.ours))
        refusals = 0
        for each in left:
            calendar_id = each.calendar.calendar_id
            has_it = each.holds or calendar_id == self._proven
            refused = None if has_it else self._offer(calendar_id)
            refusals = refusals + 1 if refused else 0
            failed = {**walk.failed, calendar_id: refused} if refused else walk.failed
            # After the call: a crash in between gives one calendar the same secret twice.
            walk = self._saved(walk, position=calendar_id, done=walk.done + 1, failed=failed)
            display.advance()
            if refusals >= REFUSALS_MAX:
                raise _refused_often(refused)
        return walk

    def _looked_again(self, walk: Walk) -> Walk:
        """Functions keep a secret for minutes: what they did with the old one is put right."""
        written_at = walk.written_at or walk.started_at
        ends = written_at + timedelta(seconds=STALE_SECONDS)
        walk = self._saved(walk, step=Step.WAITING, stale_until=ends)
        self._wait_until(ends, why="until no running function has the old secret")
        walk = self._saved(walk, step=Step.SECOND_LOOK)
        seen = self._look()
        before = self._cut_off_before()
        late = [
            each
            for each in seen.ours
            # A hiccup at Recall loses one, too; giving the secret once more makes it reconnect.
            if _may_be_stale(each, walk=walk, seen=seen) or _newly_lost(each, before=before)
        ]
        self._doors.display.begin("second look", total=len(late))
        for each in late:
            self._offer(each.calendar.calendar_id)
            self._doors.display.advance()
        return walk

    def _offer(self, calendar_id: str) -> str | None:
        """None when Recall took the secret or has the calendar no longer, else the error's code."""
        try:
            self._give(calendar_id, self._secret)
        except NotFound:
            return None
        except Refused as error:
            return error.detail_code or error.code
        self._patched += 1
        return None

    def _give(self, calendar_id: str, secret: Secret) -> None:
        """Recall reconnects with it. The row here follows by the webhook that this causes."""
        update = self._doors.recall.update_calendar
        self._patiently(lambda: update(calendar_id, client_secret=secret))

    # After: what became of the calendars.

    def _settled(self, walk: Walk) -> tuple[Walk, _Seen]:
        """Read again, whole pages at a time, until none is connecting or patience ends."""
        ends = self._doors.clock() + timedelta(seconds=SETTLE_SECONDS_MAX)
        seen = self._look()
        connecting = _connecting(seen)
        walk = self._saved(walk, step=Step.CONNECTIONS, connected=_connected(seen))
        self._doors.display.begin(
            "connections", total=len(seen.ours), done=len(seen.ours) - connecting
        )
        while connecting and self._doors.clock() < ends:
            self._doors.pause(SETTLE_PAUSE_SECONDS)
            seen = self._look()
            for _ in range(connecting - _connecting(seen)):
                self._doors.display.advance()
            connecting = _connecting(seen)
            walk = self._saved(walk, connected=_connected(seen))
        return walk, seen

    def _outcome(self, seen: _Seen, *, walk: Walk) -> Outcome:
        before = self._cut_off_before()
        cut_off = [_lost(each) for each in seen.ours if _is(each, CalendarStatus.DISCONNECTED)]
        return Outcome(
            connected=_connected(seen),
            patched=self._patched,
            others=seen.others,
            lost=tuple(each for each in cut_off if each.calendar_id not in before),
            lost_before=tuple(each for each in cut_off if each.calendar_id in before),
            unsettled=tuple(_unsettled(seen, failed=walk.failed)),
        )

    def _cut_off_before(self) -> frozenset[str]:
        report = self._report(self._name("before")) or {}
        return frozenset(report.get("disconnected", ()))

    # What all of it needs.

    def _look(self) -> _Seen:
        """All calendars of the platform, ours in the order of their ids."""
        ours: dict[str, CalendarClient] = {}
        others: set[str] = set()
        unreadable: list[str] = []
        next_page: str | None = None
        for _ in range(PAGES_MAX):
            page = self._page(next_page)
            for each in page.clients:
                if each.client_id == self._client_id:
                    ours[each.calendar.calendar_id] = each
                else:
                    others.add(each.calendar.calendar_id)
            unreadable += page.malformed
            next_page = page.next_page
            if next_page is None:
                break
        else:
            raise PermanentError("calendars_too_many", f"Recall lists over {PAGES_MAX} pages.")
        return _Seen(
            ours=tuple(ours[calendar_id] for calendar_id in sorted(ours)),
            others=len(others),
            unreadable=tuple(unreadable),
        )

    def _page(self, next_page: str | None) -> CalendarClientPage:
        recall = self._doors.recall
        return self._patiently(
            lambda: recall.list_calendar_clients(
                platform=self._platform, secret=self._secret, next_page=next_page
            )
        )

    def _stored(self) -> Walk | None:
        """The walk that a repeat goes on with: unfinished, and of the same secret."""
        report = self._report(self._name())
        walk = None if report is None else Walk.from_report(report)
        if walk is None or walk.finished_at is not None:
            return None
        if not hmac.compare_digest(walk.fingerprint, self._fingerprint):
            self._doors.display.say(
                "A walk with another secret was left unfinished; starting over."
            )
            return None
        self._doors.display.say(f"Going on after {walk.done} calendars.")
        return walk

    def _digest(self) -> str:
        """Keyed with the stack's own secret, so that nobody can try secrets against it."""
        key = self._texts.get("link_secret", "")
        if not key:
            raise PermanentError("secrets_missing", "The stack's secret lacks: link_secret.")
        what = f"rotation\0{self._platform.value}\0{self._client_id}\0{self._secret.reveal()}"
        return hmac.new(key.encode(), what.encode(), hashlib.sha256).hexdigest()

    def _saved(self, walk: Walk, **changes: Any) -> Walk:  # noqa: ANN401  fields of Walk
        """Stored with what changed: the console and a repeat go by it."""
        walk = replace(walk, **changes, moved_at=self._doors.clock())
        self._put(self._name(), walk.report())
        return walk

    def _put(self, name: str, report: dict[str, Any]) -> None:
        self._patiently(lambda: self._doors.workspace.put_report(name, report))

    def _report(self, name: str) -> dict[str, Any] | None:
        return self._patiently(lambda: self._doors.workspace.report(name))

    def _name(self, part: str = "walk") -> str:
        return rotation_name(self._platform, part)

    def _patiently(self, call: Callable[[], Value]) -> Value:
        """Waits out whatever time heals, for a quarter of an hour at most."""
        waited = 0.0
        pause = BACKOFF_SECONDS
        while True:
            try:
                return call()
            except TransientError as error:
                seconds = max(error.retry_after or pause, 1.0)
                if waited + seconds > PATIENCE_SECONDS:
                    raise
                self._pause(seconds, why=error.message)
            waited += seconds
            pause *= 2

    def _wait_until(self, moment: datetime, *, why: str) -> None:
        seconds = (moment - self._doors.clock()).total_seconds()
        if seconds > 0:
            self._pause(seconds, why=why)

    def _pause(self, seconds: float, *, why: str) -> None:
        self._doors.display.say(f"Waiting {seconds:.0f} s: {why}")
        self._doors.pause(seconds)


def _may_be_stale(each: CalendarClient, *, walk: Walk, seen: _Seen) -> bool:
    """Where Recall shows no secrets, only calendars younger than the walk can be."""
    since = walk.started_at - timedelta(seconds=STALE_SECONDS)
    return not each.holds and (seen.shows_secrets or each.calendar.created_at >= since)


def _newly_lost(each: CalendarClient, *, before: Container[str]) -> bool:
    return _is(each, CalendarStatus.DISCONNECTED) and each.calendar.calendar_id not in before


def _unsettled(seen: _Seen, *, failed: Mapping[str, str]) -> Iterator[Lost]:
    for each in seen.ours:
        calendar_id = each.calendar.calendar_id
        refused = seen.shows_secrets or calendar_id in failed
        if not each.holds and refused:
            code = failed.get(calendar_id, "changed meanwhile")
            yield Lost(calendar_id=calendar_id, reason=f"does not have the new secret ({code})")
        elif _is(each, CalendarStatus.CONNECTING):
            yield Lost(calendar_id=calendar_id, reason="still connecting")
    for calendar_id in seen.unreadable:
        yield Lost(calendar_id=calendar_id, reason="Recall's entry cannot be read")


def _connecting(seen: _Seen) -> int:
    return sum(_is(each, CalendarStatus.CONNECTING) for each in seen.ours)


def _connected(seen: _Seen) -> int:
    return sum(_is(each, CalendarStatus.CONNECTED) for each in seen.ours)


def _is(each: CalendarClient, status: CalendarStatus) -> bool:
    return each.calendar.status is status


def _lost(each: CalendarClient) -> Lost:
    reason = each.calendar.status_reason or "no reason given"
    return Lost(calendar_id=each.calendar.calendar_id, reason=reason)


def _not_offered(platform: Platform) -> PermanentError:
    message = (
        f"The stack has no OAuth client for {platform.value}. Choose the other platform, or give "
        "the client's id with --new-client."
    )
    return PermanentError("platform_not_offered", message)


def _refused_often(code: str | None) -> PermanentError:
    message = (
        f"Recall refused {REFUSALS_MAX} calendars in a row ({code}). The walk stopped; repeat the "
        "command to go on."
    )
    return PermanentError("recall_refused", message)
