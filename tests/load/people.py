"""What people and hosts do during the load; each act is written into the book as it is done."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

from infra.local.emulators.providers import ProviderWorld
from infra.local.emulators.recall import RecallWorld
from shared.domain.calendar import Platform
from tests.load import clients
from tests.load.book import Book, Meeting, Person
from tests.load.clients import Answer
from tests.load.ledger import Ledger

GUEST = "guest@fabrikam.example"
SERIES = 4
DAYS_AHEAD = 20
REPEATS_MAX = 120
NEAR_PEOPLE = 10

Sleep = Callable[[float], bool]


class Crowd:
    """The people of the run, by the seed; `ask` and `connect` go out through processes."""

    def __init__(
        self,
        world: RecallWorld,
        providers: Mapping[Platform, ProviderWorld],
        *,
        ledger: Ledger,
        api: ProcessPoolExecutor,
        browsers: ProcessPoolExecutor,
        seed: int,
    ) -> None:
        self.book = Book()
        self.waiting: SimpleQueue[Person] = SimpleQueue()
        self.troubles: list[str] = []
        self.edits = 0
        self.disconnects = 0
        self.reconnects = 0
        self._world = world
        self._providers = providers
        self._ledger = ledger
        self._api = api
        self._browsers = browsers
        self._chance = random.Random(seed)
        self._rooms = 0
        self._now = datetime.now(UTC).replace(second=0, microsecond=0)
        self._acts: dict[Callable[[Person, Meeting], None], int] = {
            self._move: 34,
            self._relink: 20,
            self._answer: 15,
            self._cancel: 6,
            self._rename: 8,
            self._new: 10,
            self._series: 4,
            self._urgent: 3,
        }

    # ------------------------------------------------------------------ the start

    def move_in(self, people: int, *, meetings: int, near: list[datetime]) -> None:
        """Accounts with their meetings, before anybody connects."""
        for number in range(people):
            self._add_person(number)
        for person in self.book.people:
            for _ in range(meetings):
                self._add(person, self._any_time())
        steady = [person for person in self.book.people if person.steady]
        for one, other in zip(steady[::2], steady[1::2], strict=False):
            self._share(one, other)
        for number, start in enumerate(near):
            self._add(steady[number % min(NEAR_PEOPLE, len(steady))], start, near=True)
        for person in [*steady[:NEAR_PEOPLE], *self.book.people]:
            if not person.busy:
                person.busy = True
                self.waiting.put(person)

    def _add_person(self, number: int) -> None:
        platform = Platform.GOOGLE if number % 2 else Platform.MICROSOFT
        email = f"user{number}@acme.example"
        self._providers[platform].add_account(email, f"User {number}")
        self.book.people.append(
            Person(
                email=email,
                entity_id=f"user-{number}",
                platform=platform.value,
                account=self._world.account(platform, email),
                steady=number % 3 == 0,
            )
        )

    def _add(self, person: Person, start: datetime, *, near: bool = False) -> Meeting:
        guest_invites = not near and self._chance.random() < 0.5
        meeting = Meeting(link=self._room(), start=start, near=near, invited_by_guest=guest_invites)
        self._place(person, meeting)
        self._enter(meeting, person)
        return meeting

    def _place(self, person: Person, meeting: Meeting, **more: Any) -> None:
        event_id = person.account.add_event(
            f"Meeting {self._rooms}",
            start=meeting.start,
            end=meeting.start + timedelta(hours=3) if meeting.near else None,
            link=meeting.link,
            attendees=[GUEST],
            organizer=GUEST if meeting.invited_by_guest else None,
            **more,
        )
        meeting.copies.append((person, event_id))

    def _enter(self, meeting: Meeting, *people: Person) -> None:
        self.book.meetings.append(meeting)
        for person in people:
            person.meetings.append(meeting)

    def _share(self, one: Person, other: Person) -> None:
        """One meeting in two calendars wants one bot."""
        meeting = Meeting(link=self._room(), start=self._any_time())
        placed = self._world.invite(
            "Shared",
            organizer=one.account,
            guests=[other.account, GUEST],
            start=meeting.start,
            link=meeting.link,
        )
        meeting.copies = [(person, placed[person.email]) for person in (one, other)]
        self._enter(meeting, one, other)

    def _room(self) -> str:
        self._rooms += 1
        return f"https://acme.zoom.us/j/91{self._rooms:08d}"

    def _any_time(self) -> datetime:
        return self._now + timedelta(minutes=self._chance.randint(180, DAYS_AHEAD * 1440))

    # ------------------------------------------------------------------ edits

    def edit(self) -> None:
        """One change in somebody's calendar."""
        person = self._chance.choice(self.book.people)
        act = self._chance.choices(list(self._acts), weights=list(self._acts.values()))[0]
        if not person.lock.acquire(blocking=False):
            return  # a request of this person's host is under way
        try:
            meeting = self._chance.choice(person.meetings)
            if not meeting.near and not meeting.cancelled:
                with self._awaiting(meeting):
                    act(person, meeting)
                self.edits += 1
        finally:
            person.lock.release()

    @contextmanager
    def _awaiting(self, meeting: Meeting) -> Iterator[None]:
        """What the act changes is awaited from its end on."""
        link, start, wanted = meeting.link, meeting.start, meeting.wanted
        yield
        if link != meeting.link:
            self._ledger.await_bot(link, None)
        if (link, start, wanted) != (meeting.link, meeting.start, meeting.wanted):
            self._ledger.await_bot(meeting.link, meeting.start if meeting.wanted else None)

    def _move(self, person: Person, meeting: Meeting) -> None:
        meeting.start = self._any_time()
        with self._world.core.lock:
            for owner, event_id in meeting.copies:
                owner.account.move(event_id, meeting.start)

    def _relink(self, person: Person, meeting: Meeting) -> None:
        meeting.link = self._room()
        with self._world.core.lock:
            for owner, event_id in meeting.copies:
                owner.account.relink(event_id, meeting.link)

    def _answer(self, person: Person, meeting: Meeting) -> None:
        """Only who was invited declines; an organizer always counts as coming."""
        if not meeting.invited_by_guest:
            return
        meeting.declined = not meeting.declined
        for owner, event_id in meeting.copies:
            owner.account.set_response(event_id, "declined" if meeting.declined else "accepted")

    def _cancel(self, person: Person, meeting: Meeting) -> None:
        meeting.cancelled = True
        with self._world.core.lock:
            for owner, event_id in meeting.copies:
                owner.account.cancel(event_id)

    def _rename(self, person: Person, meeting: Meeting) -> None:
        for owner, event_id in meeting.copies:
            owner.account.rename(event_id, f"Renamed {self.edits}")

    def _new(self, person: Person, meeting: Meeting) -> None:
        self._await_new(self._add(person, self._any_time()))

    def _urgent(self, person: Person, meeting: Meeting) -> None:
        """A meeting in five minutes, for which Recall may have no bot left (507)."""
        if person.steady and person.connected:
            soon = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=5)
            self._await_new(self._add(person, soon, near=True))

    def _series(self, person: Person, meeting: Meeting) -> None:
        """A daily meeting, each day in a room of its own."""
        first = self._any_time()
        name = f"series-{self._rooms}"
        for day in range(SERIES):
            occurrence = Meeting(link=self._room(), start=first + timedelta(days=day))
            self._place(person, occurrence, series=name)
            self._enter(occurrence, person)
            self._await_new(occurrence)

    def _await_new(self, meeting: Meeting) -> None:
        if meeting.wanted:
            self._ledger.await_bot(meeting.link, meeting.start)

    # ------------------------------------------------------------------ coming and going

    def connect_next(self) -> None:
        """Somebody who waits goes through the consent pages."""
        try:
            person = self.waiting.get(timeout=0.5)
        except Empty:
            return
        done = self._browsers.submit(
            clients.connect, person.entity_id, person.platform, person.email
        ).result()
        for answer in done.answers:
            self._ledger.requests.note(answer)
        with person.lock:
            if done.calendar_id is None:
                self.troubles.append(f"{person.entity_id} could not connect: {done.error}")
                return
            if person.calendar_id and person.calendar_id != done.calendar_id:
                self.troubles.append(f"{person.entity_id} came back with another calendar id")
            self.reconnects += bool(person.calendar_id)
            person.calendar_id = done.calendar_id
            person.connected, person.busy = True, False
            person.connected_at = time.monotonic()

    def disconnect_somebody(self) -> Person | None:
        """A user takes the grant back at the provider; most of them come back later."""
        lively = [
            person
            for person in self.book.people
            if not person.steady and person.connected and not person.busy
        ]
        if not lively:
            return None
        person = self._chance.choice(lively)
        with person.lock:
            person.busy, person.connected = True, False
            person.account.revoke_grant()
            for meeting in person.meetings:
                self._ledger.forget(meeting.link)
        self.disconnects += 1
        return person

    # ------------------------------------------------------------------ the host's servers

    def call(self, chance: random.Random) -> None:
        """One request of the host's backend, by the weights of a busy product."""
        act = chance.choices(
            [self._list_meetings, self._read_calendar, self._list_calendars, self._status,
             self._health, self._read_rules, self._preview, self._put_override, self._put_rules],
            weights=[30, 20, 15, 8, 6, 6, 3, 9, 3],
        )[0]  # fmt: skip
        known = [person for person in self.book.people if person.calendar_id]
        if known:
            act(chance.choice(known), chance)

    def ask(self, route: str, path: str, **more: Any) -> Answer:
        answer = self._api.submit(clients.ask, route, path, **more).result()
        self._ledger.requests.note(answer)
        return answer

    def _list_meetings(self, person: Person, chance: random.Random) -> None:
        path = f"/v1/calendars/{person.calendar_id}/meetings"
        self._expect(self.ask("GET /v1/calendars/{calendar_id}/meetings", path))

    def _read_calendar(self, person: Person, chance: random.Random) -> None:
        self._expect(
            self.ask("GET /v1/calendars/{calendar_id}", f"/v1/calendars/{person.calendar_id}")
        )

    def _list_calendars(self, person: Person, chance: random.Random) -> None:
        query = {"entity_id": person.entity_id} if chance.random() < 0.7 else {"limit": "50"}
        self._expect(self.ask("GET /v1/calendars", "/v1/calendars", query=query))

    def _status(self, person: Person, chance: random.Random) -> None:
        self._expect(self.ask("GET /v1/status", "/v1/status"))

    def _health(self, person: Person, chance: random.Random) -> None:
        self._expect(self.ask("GET /health", "/health"))

    def _read_rules(self, person: Person, chance: random.Random) -> None:
        answer = self.ask("GET /v1/rules/{scope}", f"/v1/rules/{_scope(person)}")
        self._expect(answer, also=(404,))

    def _preview(self, person: Person, chance: random.Random) -> None:
        body = {"scope": _scope(person), "rules": {"base": "off"}}
        self._expect(self.ask("POST /v1/rules/preview", "/v1/rules/preview", body=body))

    def _put_override(self, person: Person, chance: random.Random) -> None:
        """Of a meeting in one calendar only; the shared ones have votes of their own."""
        with person.lock:
            alone = [
                meeting
                for meeting in person.meetings
                if len(meeting.copies) == 1 and not meeting.near and not meeting.cancelled
            ]
            if not person.connected or not alone:
                return
            meeting = chance.choice(alone)
            event_id = self._event_id(person, meeting)
            choice = chance.choice(
                [each for each in ("on", "off", "auto") if each != meeting.choice]
            )
            answer = event_id and self._repeat(
                "PUT /v1/calendars/{calendar_id}/meetings/{event_id}/override",
                f"/v1/calendars/{person.calendar_id}/meetings/{event_id}/override",
                body={"choice": choice, "scope": "occurrence"},
                also=(404,),  # not read yet
            )
            if answer and answer.good:
                with self._awaiting(meeting):
                    meeting.choice = choice

    def _put_rules(self, person: Person, chance: random.Random) -> None:
        if person.steady:
            return
        with person.lock:
            refuses = not person.refuses_all
            answer = self._repeat(
                "PUT /v1/rules/{scope}",
                f"/v1/rules/{_scope(person)}",
                body={"base": "off"} if refuses else {},
            )
            if answer.good:
                person.refuses_all = refuses
                for meeting in person.meetings:
                    self._ledger.forget(meeting.link)

    def _repeat(self, route: str, path: str, *, also: tuple[int, ...] = (), **more: Any) -> Answer:
        """As a host does: a 503 that says when is asked again, a bounded number of times."""
        for _ in range(REPEATS_MAX):
            answer = self.ask(route, path, **more)
            if answer.status != clients.UNAVAILABLE or not answer.allowed:
                break
            time.sleep(min(float(answer.retry_after or 1), 5.0))
        self._expect(answer, also=also)
        return answer

    def _expect(self, answer: Answer, *, also: tuple[int, ...] = ()) -> None:
        """Server errors are counted where all answers are; here only what makes no sense."""
        if 400 <= answer.status < 500 and answer.status not in also:
            self.troubles.append(f"{answer.route} answered {answer.status} {answer.code}")

    def _event_id(self, person: Person, meeting: Meeting) -> str | None:
        """Recall's id of the event."""
        with self._world.core.lock:
            events = self._world.core.by_calendar.get(person.calendar_id, {})
            event = events.get(meeting.copies[0][1])
            return event.id if event else None

    def idle_connected(self) -> list[Person]:
        return [person for person in self.book.people if person.connected and not person.busy]


def _scope(person: Person) -> str:
    return f"entity:default:{person.entity_id}"


def paced(
    work: Callable[[], object], *, per_second: Callable[[], float], stopping: threading.Event
) -> None:
    """Do the work so many times a second until told to stop; a rate of 0 is a pause."""
    due = time.monotonic()
    while not stopping.is_set():
        rate = per_second()
        if rate <= 0:
            stopping.wait(0.2)
            due = time.monotonic()
            continue
        work()
        # Who is late hurries, but a pause of the machine is not made up for.
        due = max(due + 1 / rate, time.monotonic() - 2.0)
        stopping.wait(max(0.0, due - time.monotonic()))
