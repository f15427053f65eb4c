"""The steps of the story, each played by pretend people and checked against the world."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from infra.local.emulators.providers import ProviderWorld
from infra.local.emulators.recall import Delivery, RecallWorld
from infra.local.emulators.recall.accounts import Account
from infra.local.host import LocalHost
from infra.local.product import Backend, Browser
from infra.local.watch import Costs, StepFailedError, Watch, check, until
from shared.domain.calendar import Platform
from shared.domain.rules import Scheduling
from shared.domain.secret import Secret

CHANGE_LIMIT_SECONDS = 20.0
CONNECT_LIMIT_SECONDS = 30.0
STORM_LIMIT_SECONDS = 60.0
IMPORT_LIMIT_SECONDS = 90.0
STORM_DOORBELLS = 500
IMPORT_EVENTS = 300
IMPORT_WANTED = 200
SWEEP_ATTEMPTS = 4
# Create Bot takes 60 calls a minute, so those who use it ask for near meetings only.
HORIZON_HOURS = {Scheduling.MANAGED: None, Scheduling.SELF_MANAGED: 48}

DANA = "dana@acme.example"
SAM = "sam@acme.example"
ROBIN = "robin@acme.example"
GUEST = "guest@fabrikam.example"
GOOGLE_SCOPE = "https://www.googleapis.com/auth/calendar.events.readonly"

Tell = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Appointment:
    """A meeting of the story as its people know it."""

    title: str
    link: str
    start: datetime
    copies: list[tuple[Account, str]] = field(default_factory=list)


@dataclass(slots=True)
class Figures:
    """What the story measures, in the order in which it is told."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, value: str) -> None:
        self.lines.append((name, value))


class Scenes:
    """One telling: the cast, their calendars, and the steps as methods."""

    def __init__(
        self,
        host: LocalHost,
        world: RecallWorld,
        *,
        mode: Scheduling,
        began: float,
        tell: Tell,
    ) -> None:
        self._mode = mode
        self._host = host
        self._world = world
        self._began = began
        self._tell = tell
        self._watch = Watch(host, world)
        self._backend = Backend(host.url, host.api_key)
        self._browsers = {name: Browser() for name in ("dana", "sam")}
        self._calendars: dict[str, str] = {}
        self._reactions: list[float] = []
        self._told = 0
        self.figures = Figures()
        self._dana = world.account(Platform.GOOGLE, DANA)
        self._sam = world.account(Platform.MICROSOFT, SAM)
        google, microsoft = (host.outside.providers[each] for each in Platform)
        google.add_account(DANA, "Dana Doe")
        microsoft.add_account(SAM, "Sam Sample")
        self._google: ProviderWorld = google
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self._noon = hour + timedelta(hours=3)
        self._review = self._both(
            "Quarterly review", "https://meet.google.com/qua-rter-lyy", hours=0
        )
        self._onboarding = self._with_dana(
            "Onboarding", "https://acme.zoom.us/j/9100000001", hours=1
        )
        self._planning = self._with_dana("Planning", "https://acme.zoom.us/j/9100000002", hours=2)
        self._design = self._invited_sam("Design sync", _teams("design"), hours=3)
        self._budget = self._with_sam("Budget round", _teams("budget"), hours=4)
        self._unwanted = self._place_unwanted()

    def close(self) -> None:
        self._backend.close()
        for browser in self._browsers.values():
            browser.close()

    def bus_news(self) -> list[str]:
        """Types of the events that came over the bus since they were last told."""
        self._watch.listen()
        news = self._watch.heard[self._told :]
        self._told += len(news)
        return [event["detail-type"] for event in news]

    # ------------------------------------------------------------------ connecting

    def connect_google(self) -> None:
        calendar = self._connect("dana", Platform.GOOGLE, email=DANA)
        self._calendars["dana"] = calendar
        until(
            lambda: bool(self._world.live_bots()),
            wanted="a first bot after the connect",
            limit_seconds=CONNECT_LIMIT_SECONDS,
        )
        self._figure("From start to the first bot", time.monotonic() - self._began)
        self._until_connected("dana")
        for meeting in (self._review, self._onboarding, self._planning):
            self._expect_bot(meeting)

    def connect_outlook(self) -> None:
        self._calendars["sam"] = self._connect("sam", Platform.MICROSOFT, email=SAM)
        self._until_connected("sam")
        for meeting in (self._design, self._budget):
            self._expect_bot(meeting)

    def right_meetings_only(self) -> None:
        self._watch.until_quiet()
        wanted = (self._review, self._onboarding, self._planning, self._design, self._budget)
        links = sorted(bot.meeting_url for bot in self._world.live_bots())
        check(
            links == sorted(meeting.link for meeting in wanted),
            wanted=f"one bot for each of {len(wanted)} meetings, found {len(links)}",
        )
        (shared,) = self._watch.bots(self._review.link)
        named = {self._known_bot(each, self._review) for each in ("dana", "sam")}
        check(named == {shared.bot_id}, wanted="one bot that both calendars name")
        self._tell(f"{self._review.title}: in both calendars, one bot {shared.bot_id[:8]}")
        reasons = self._reasons("dana") | self._reasons("sam")
        for title, reason in self._unwanted.items():
            check(
                reasons.get(title) == reason, wanted=f"{title}: {reason}, not {reasons.get(title)}"
            )
            self._tell(f"{title}: no bot, {reason}")

    # ------------------------------------------------------------------ following

    def move(self) -> None:
        self._move(self._onboarding, timedelta(hours=20))
        self._reactions.append(self._expect_bot(self._onboarding))

    def decline(self) -> None:
        for account, event_id in self._design.copies:
            account.set_response(event_id, "declined")
        self._reactions.append(self._expect_none(self._design))

    def relink(self) -> None:
        old = self._planning.link
        self._planning.link = "https://acme.zoom.us/j/9100000003"
        for account, event_id in self._planning.copies:
            account.relink(event_id, self._planning.link)
        self._reactions.append(self._expect_bot(self._planning))
        self._until_gone(old, "no bot in the old room")

    def cancel(self) -> None:
        for account, event_id in self._budget.copies:
            account.cancel(event_id)
        self._reactions.append(self._expect_none(self._budget))

    def override(self) -> None:
        self._override("dana", self._onboarding.title, choice="off")
        self._expect_none(self._onboarding)
        # An edit must not undo what a person said.
        self._move(self._onboarding, timedelta(hours=1))
        until(
            lambda: self._known_start("dana", self._onboarding) == self._onboarding.start,
            wanted="the new time in the list of meetings",
            limit_seconds=CHANGE_LIMIT_SECONDS,
        )
        self._expect_none(self._onboarding)
        self._tell("moved meanwhile: still off")
        self._override("dana", self._onboarding.title, choice="auto")
        self._expect_bot(self._onboarding)
        self._override("sam", self._design.title, choice="on")
        self._expect_bot(self._design)
        self._override("sam", self._design.title, choice="auto")
        self._expect_none(self._design)

    def lose_webhooks(self) -> None:
        self._watch.until_quiet()
        lost: list[str] = []
        outbox = self._world.webhooks
        kept = outbox.deliver
        outbox.deliver = lambda delivery: _lose(delivery, lost)
        try:
            began = time.monotonic()
            self._move(self._planning, timedelta(hours=2))
            self._expect_bot(self._planning, limit_seconds=self._host.tick_seconds + 15)
            took = time.monotonic() - began
        finally:
            outbox.deliver = kept
        check(bool(lost), wanted="at least one webhook that got lost")
        self._tell(f"{len(lost)} webhooks lost")
        self._figure(f"Change to bot, webhooks lost (tick {self._host.tick_seconds:g} s)", took)

    # ------------------------------------------------------------------ going and coming back

    def revoke(self) -> None:
        self._note_reactions()
        self._watch.until_quiet()
        calendar = self._calendars["dana"]
        before = len(self._backend.meetings(calendar))
        self._dana.revoke_grant()
        until(
            lambda: self._watch.has_heard("calendar.disconnected", calendar_id=calendar),
            wanted="calendar.disconnected on the bus",
            limit_seconds=CONNECT_LIMIT_SECONDS,
        )
        for meeting in (self._onboarding, self._planning):
            self._expect_none(meeting)
        self._expect_bot(self._review)
        self._tell(f"{self._review.title}: the bot stays, Sam attends as well")
        self._watch.until_quiet()
        check(
            self._backend.calendar(calendar)["status"] == "disconnected",
            wanted="a calendar that says disconnected",
        )
        meetings = self._backend.meetings(calendar)
        check(len(meetings) == before, wanted=f"{before} meetings as before, not {len(meetings)}")

    def reconnect(self) -> None:
        before = self._calendars["dana"]
        calendar = self._connect("dana", Platform.GOOGLE, email=DANA)
        check(calendar == before, wanted="the same calendar id as before")
        self._until_connected("dana")
        for meeting in (self._review, self._onboarding, self._planning):
            self._expect_bot(meeting)

    # ------------------------------------------------------------------ load

    def storm(self) -> None:
        self._watch.until_quiet()
        before = self._watch.costs()
        began = time.monotonic()
        with self._world.core.lock:
            sent = len(self._world.webhooks.messages)
            for _ in range(STORM_DOORBELLS):
                self._world.core.send_sync(self._calendars["sam"], self._world.core.now())
        self._move(self._review, timedelta(hours=3))
        storm = self._world.webhooks.messages[sent : sent + STORM_DOORBELLS]
        until(
            lambda: all(message.state == "delivered" for message in storm),
            wanted="a 2xx for every doorbell",
            limit_seconds=STORM_LIMIT_SECONDS,
        )
        delivered = time.monotonic() - began
        self._expect_bot(self._review, limit_seconds=STORM_LIMIT_SECONDS)
        self._watch.until_quiet()
        lists = self._watch.costs().since(before).lists
        took = time.monotonic() - began
        self._tell(f"delivered in {delivered:.1f} s, at rest after {took:.1f} s")
        self.figures.add(
            f"Storm of {STORM_DOORBELLS} doorbells",
            f"{lists} List calls in {took:.0f} s, the ticks' included; none lost",
        )

    def import_calendar(self) -> None:
        self._watch.until_quiet()
        robin = self._world.account(Platform.GOOGLE, ROBIN)
        self._google.add_account(ROBIN, "Robin Roe")
        imported = _fill(robin, self._noon)
        links = self._within_reach(imported)
        token = Secret(self._google.issue_refresh_token(ROBIN, ("openid", GOOGLE_SCOPE)))
        before, known = self._watch.costs(), len(self._world.bots)
        began = time.monotonic()
        calendar = self._backend.create_calendar("robin", Platform.GOOGLE, refresh_token=token)
        self._calendars["robin"] = calendar["calendar_id"]
        until(
            lambda: links <= {bot.meeting_url for bot in self._world.live_bots()},
            wanted=f"{len(links)} bots",
            limit_seconds=IMPORT_LIMIT_SECONDS,
        )
        took = time.monotonic() - began
        costs = self._watch.costs().since(before)
        # The calls of its own making come back as changes; the sweep after them asks for nothing.
        self._ring_once()
        self._watch.until_listed()
        settled = self._watch.costs().since(before)
        # One more may have come within reach meanwhile.
        check(
            settled.bot_calls - len(links) in {0, 1},
            wanted=f"{len(links)} bot calls, not {settled.bot_calls}",
        )
        late = self._order_of_scheduling(known)
        self.figures.add(
            f"Import of {IMPORT_EVENTS} events",
            f"{costs.full_read_lists} List calls for the calendar, {costs.lists} with the feed's "
            f"of that time; {settled.bot_calls} bot calls for {len(links)} wanted meetings; "
            f"at most {late} places from nearest first; {took:.1f} s",
        )

    def _within_reach(self, imported: Mapping[str, datetime]) -> set[str]:
        """Links of the meetings that want a bot by now."""
        hours = HORIZON_HOURS[self._mode]
        if hours is None:
            return set(imported)
        reach = datetime.now(UTC) + timedelta(hours=hours)
        return {link for link, start in imported.items() if start <= reach}

    def unchanged_world(self) -> None:
        with self._host.clock.paused():  # on a slow machine the next tick comes at any time
            costs = self._cost_of_a_sweep()
        beyond = self._watch.writes_beyond_workspace(costs)
        self.figures.add(
            "Sweep over an unchanged world",
            f"{costs.lists} List, {costs.bot_calls} bot calls, {beyond} row writes beyond the "
            f"Workspace table ({self._watch.workspace_writes(costs)} in it)",
        )
        found = (costs.lists, costs.bot_calls, beyond)
        check(found == (1, 0, 0), wanted=f"1 List, 0 bot calls, 0 row writes, not {found}")

    def _cost_of_a_sweep(self) -> Costs:
        for _ in range(SWEEP_ATTEMPTS):
            self._watch.until_quiet()
            before = self._watch.costs()
            self._ring_once()
            self._watch.until_quiet()
            costs = self._watch.costs().since(before)
            if costs.lists == 1:  # else something that was under way before listed as well
                break
        return costs

    def nothing_amiss(self) -> None:
        refused = sorted({f"{call.endpoint} {call.status}" for call in self._watch.refused_calls()})
        check(not refused, wanted=f"no call that Recall refuses, but {', '.join(refused)}")
        check(not self._host.crashes, wanted=f"no crash, but {len(self._host.crashes)}")
        letters = self._watch.dead_letters()
        check(letters == 0, wanted=f"no dead letters, but {letters}")
        self._tell(f"{len(self._world.calls)} calls to Recall, none refused")

    # ------------------------------------------------------------------ what the steps are made of

    def _connect(self, entity_id: str, platform: Platform, *, email: str) -> str:
        session = self._backend.start_connect(entity_id, platform)
        came_back = self._browsers[entity_id].consent(session["connect_url"], email=email)
        check("completion_code" in came_back, wanted=f"a code, not {came_back.get('error')}")
        calendar = self._backend.complete(came_back["session_id"], came_back["completion_code"])
        self._tell(f"consent given, calendar {calendar['calendar_id'][:8]}")
        return str(calendar["calendar_id"])

    def _until_connected(self, entity_id: str) -> None:
        calendar = self._calendars[entity_id]
        until(
            lambda: self._backend.calendar(calendar)["status"] == "connected",
            wanted="a calendar that says connected",
            limit_seconds=CONNECT_LIMIT_SECONDS,
        )

    def _expect_bot(
        self, meeting: Appointment, *, limit_seconds: float = CHANGE_LIMIT_SECONDS
    ) -> float:
        took = until(
            lambda: self._watch.has_one_bot(meeting.link, meeting.start),
            wanted=f"one bot for {meeting.title} at {meeting.start:%d %b %H:%M}",
            limit_seconds=limit_seconds,
        )
        (bot,) = self._watch.bots(meeting.link)
        when = f"{meeting.start:%a %H:%M} UTC"
        self._tell(f"{meeting.title}: bot {bot.bot_id[:8]} joins {when}{_after(took)}")
        return took

    def _expect_none(self, meeting: Appointment) -> float:
        took = self._until_gone(meeting.link, f"no bot for {meeting.title}")
        self._tell(f"{meeting.title}: no bot{_after(took)}")
        return took

    def _until_gone(self, link: str, wanted: str) -> float:
        return until(
            lambda: not self._watch.bots(link), wanted=wanted, limit_seconds=CHANGE_LIMIT_SECONDS
        )

    def _move(self, meeting: Appointment, by: timedelta) -> None:
        meeting.start += by
        for account, event_id in meeting.copies:
            account.move(event_id, meeting.start)

    def _override(self, entity_id: str, title: str, *, choice: str) -> None:
        calendar = self._calendars[entity_id]
        event_id = next(
            meeting["event_id"]
            for meeting in self._backend.meetings(calendar)
            if meeting["title"] == title
        )
        meeting = self._backend.override(calendar, event_id, choice=choice)
        check(meeting["override"] == choice, wanted=f"an override that says {choice}")
        self._tell(f"{title}: set to {choice}")

    def _known_start(self, entity_id: str, meeting: Appointment) -> datetime:
        """When Rollcall's own list says that the meeting starts."""
        listed = self._backend.meetings(self._calendars[entity_id])
        found = next(each for each in listed if each["title"] == meeting.title)
        return datetime.fromisoformat(found["start_time"])

    def _known_bot(self, entity_id: str, meeting: Appointment) -> str | None:
        """The bot that Rollcall's own list names for the meeting."""
        listed = self._backend.meetings(self._calendars[entity_id])
        found = next(each for each in listed if each["title"] == meeting.title)
        return None if found["bot"] is None else str(found["bot"]["bot_id"])

    def _reasons(self, entity_id: str) -> dict[str, str]:
        meetings = self._backend.meetings(self._calendars[entity_id])
        return {meeting["title"]: meeting["decision"]["reason"] for meeting in meetings}

    def _ring_once(self) -> None:
        with self._world.core.lock:
            self._world.core.send_sync(self._calendars["sam"], self._world.core.now())
        ringing = self._world.webhooks.messages[-1]
        until(
            lambda: ringing.state == "delivered",
            wanted="a 2xx for the doorbell",
            limit_seconds=CHANGE_LIMIT_SECONDS,
        )

    def _order_of_scheduling(self, known: int) -> int:
        """How many places the worst of the bots since `known` is away from nearest-first."""
        starts = [bot.join_at for bot in list(self._world.bots.values())[known:]]
        placed = sorted(range(len(starts)), key=lambda index: starts[index])
        return max((abs(place - index) for place, index in enumerate(placed)), default=0)

    def _note_reactions(self) -> None:
        if self._reactions:
            self.figures.add(
                "Change to bot, with webhooks",
                f"{median(self._reactions):.1f} s median, {max(self._reactions):.1f} s at most",
            )

    def _figure(self, name: str, seconds: float) -> None:
        self.figures.add(name, f"{seconds:.1f} s")

    # ------------------------------------------------------------------ the calendars

    def _with_dana(self, title: str, link: str, *, hours: int) -> Appointment:
        meeting = Appointment(title=title, link=link, start=self._noon + timedelta(hours=hours))
        self._place(meeting, self._dana)
        return meeting

    def _with_sam(self, title: str, link: str, *, hours: int) -> Appointment:
        meeting = Appointment(title=title, link=link, start=self._noon + timedelta(hours=hours))
        self._place(meeting, self._sam)
        return meeting

    def _invited_sam(self, title: str, link: str, *, hours: int) -> Appointment:
        """A guest organizes: the organizer's own answer would always count as accepted."""
        meeting = Appointment(title=title, link=link, start=self._noon + timedelta(hours=hours))
        self._place(meeting, self._sam, organizer=GUEST, answer="accepted")
        return meeting

    def _both(self, title: str, link: str, *, hours: int) -> Appointment:
        meeting = self._with_dana(title, link, hours=hours)
        self._place(meeting, self._sam, organizer=DANA, answer="accepted")
        return meeting

    def _place(self, meeting: Appointment, account: Account, **more: Any) -> None:  # noqa: ANN401
        event_id = account.add_event(
            meeting.title, start=meeting.start, link=meeting.link, attendees=[GUEST], **more
        )
        meeting.copies.append((account, event_id))

    def _place_unwanted(self) -> dict[str, str]:
        """Meetings without a bot, and the reason that each must show."""
        at = self._noon + timedelta(hours=6)
        zoom = "https://acme.zoom.us/j/920000000"
        self._dana.add_event(
            "All hands", start=at, link=f"{zoom}1", organizer=GUEST, answer="declined"
        )
        self._dana.add_event("Focus time", start=at, link=f"{zoom}2")
        self._sam.add_event(
            "Salary talk", start=at, link=f"{zoom}3", attendees=[DANA], private=True
        )
        self._sam.add_event("Lunch", start=at, attendees=[DANA])
        return {
            "All hands": "rsvp",
            "Focus time": "bounds.min_others",
            "Salary talk": "denied.private",
            "Lunch": "ineligible.no_link",
        }


def _fill(account: Account, noon: datetime) -> dict[str, datetime]:
    """300 events in no order over four weeks; link and start of the 200 that want a bot."""
    numbers = list(range(IMPORT_EVENTS))
    random.Random(7).shuffle(numbers)
    wanted: dict[str, datetime] = {}
    for number in numbers:
        link = f"https://acme.zoom.us/j/93{number:08d}"
        start = noon + timedelta(minutes=110 * number)
        guests = [GUEST] if number % 3 else []
        account.add_event(f"Imported {number}", start=start, link=link, attendees=guests)
        if guests:
            wanted[link] = start
    if len(wanted) != IMPORT_WANTED:
        raise StepFailedError("the story itself miscounted")
    return wanted


def _lose(delivery: Delivery, lost: list[str]) -> int:
    """Accept a webhook and drop it on the floor."""
    lost.append(delivery.id)
    return 204


def _teams(name: str) -> str:
    thread = f"19%3ameeting_{name}%40thread.v2"
    return f"https://teams.microsoft.com/l/meetup-join/{thread}/0?context=%7b%7d"


def _after(seconds: float) -> str:
    return f", after {seconds:.1f} s" if seconds >= 0.1 else ""  # noqa: PLR2004
