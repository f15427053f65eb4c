"""People: whoever owns calendars, the host's backend that acts for them, and what they do."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Final

from functions.oauth import app as oauth_app
from infra.local.emulators.providers import answer_consent
from infra.local.emulators.recall.accounts import Account
from shared.flows.meetings import Moment, opt_out_occurrence
from tests.connect_stage import Answer, gateway_event
from tests.simulation.process import Killed
from tests.simulation.world import GOOGLE, OUTLOOK, World

SCOPES: Final = {
    GOOGLE: ("https://www.googleapis.com/auth/calendar.events.readonly", "openid", "email"),
    OUTLOOK: ("https://graph.microsoft.com/Calendars.Read", "openid", "email"),
}
LINKS: Final = (
    "https://meet.google.com/qkr-wzpn-abt",
    "https://meet.google.com/tpc-rdqo-vhs",
    "https://us02web.zoom.us/j/84561237890?pwd=abc",
    "https://teams.microsoft.com/l/meetup-join/19%3ameeting_a1%40thread.v2/0?context=%7b%22Tid%22%3a%22t1%22%2c%22Oid%22%3a%22o1%22%7d",
)
OUTSIDERS: Final = ("guest@globex.example", "kim@initech.example")
TITLES: Final = ("Kickoff", "Weekly sync", "Interview", "Salary talk")
BROWSER_TRIES_MAX: Final = 40
QUIET_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 3600.0
SECRETS_CACHED_SECONDS: Final = 330.0

RULES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"base": "external"},
    {"base": "internal"},
    {"base": "organizer"},
    {"base": "off", "include": {"keywords": ["sync"]}},
    {"exclude": {"keywords": ["salary*"]}},
    {"deny": {"domains": ["initech.example"]}},
    {"rsvp": "accepted"},
    {"mode": "paused"},
    {"mode": "preview"},
    {"scheduling": "self_managed"},
    {"scheduling": "self_managed", "vote": "all_agree"},
    {"vote": "organizer_first", "veto": "any"},
    {"min_others": 2},
    {"horizon_hours": 2},
    {"bot": {"bot_name": "Scribe for {owner}"}},
    {"duration_minutes": {"max": 45}},
    {"private": "allow"},
    {"dedupe": "calendar"},
)


@dataclass(slots=True, kw_only=True)
class Person:
    """Somebody with one calendar; `calendar_id` as the host was last told."""

    tenant_id: str
    entity_id: str
    platform: str
    email: str
    account: Account
    calendar_id: str | None = None
    busy: bool = False
    erased: bool = False


@dataclass(slots=True)
class Cast:
    """Everybody in a world, and the only record of what they were told and what they said."""

    world: World
    chance: Random
    people: list[Person] = field(default_factory=list)
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    opted_out: set[str] = field(default_factory=set)
    pending: int = 0
    dedupe_changed: bool = False
    _rules_busy: set[str] = field(default_factory=set)

    def add(self, tenant_id: str, entity_id: str, platform: str) -> Person:
        email = f"{entity_id}@{tenant_id}.example"
        self.world.providers[platform].add_account(email, entity_id.title())
        person = Person(
            tenant_id=tenant_id,
            entity_id=entity_id,
            platform=platform,
            email=email,
            account=self.world.recall.account(platform, email),
        )
        self.people.append(person)
        return person

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        """Let somebody act in so many seconds; the world is at rest only when all have acted."""
        self.pending += 1

        def run() -> None:
            try:
                act()
            finally:
                self.pending -= 1

        self.world.hub.after(seconds, partial(self.world.hub.spawn, run))

    # Calendars. A person, and whoever acts for them, does one thing after the other.

    @contextmanager
    def _alone(self, person: Person) -> Iterator[None]:
        if not self.world.hub.wait_for(lambda: not person.busy, seconds=PATIENCE_SECONDS):
            raise AssertionError(f"{person.email} never came to an end")
        person.busy = True
        try:
            yield
        finally:
            person.busy = False

    def connect(self, person: Person) -> None:
        with self._alone(person):
            self._connect(person)

    def _connect(self, person: Person) -> None:
        """With a token in hand, or, now and then, through the browser.

        Who is erased stays away: an erasure takes whatever is there until it is done.
        """
        if person.erased:
            return
        self.world.tell(f"{person.email} connects")
        if self.chance.random() < 0.3:
            self._connect_in_browser(person)
            return
        world = self.world.providers[person.platform]
        token = world.issue_refresh_token(person.email, SCOPES[person.platform])
        wanted = {
            "entity_id": person.entity_id,
            "tenant_id": person.tenant_id,
            "platform": person.platform,
            "oauth_refresh_token": token,
        }
        self._connected(person, self.world.ask("POST", "/v1/calendars", wanted))

    def _connect_in_browser(self, person: Person) -> None:
        """Over and over, until it has come to an end."""
        for _ in range(BROWSER_TRIES_MAX):
            code = self._consented(person)
            if code is not None:
                session_id, completion = code
                path = f"/v1/connect-sessions/{session_id}/complete"
                answer = self.world.ask("POST", path, {"completion_code": completion})
                if answer.status in {200, 201}:
                    self._connected(person, answer)
                    return
            self.world.hub.sleep(QUIET_SECONDS)
        self.world.never(f"{person.email} could never connect in the browser")

    def _consented(self, person: Person) -> tuple[str, str] | None:
        wanted = {
            "entity_id": person.entity_id,
            "tenant_id": person.tenant_id,
            "platform": person.platform,
            "return_url": "https://host.example/done",
        }
        session = self.world.ask("POST", "/v1/connect-sessions", wanted).json
        browser = Browser(self.world)
        there = browser.get(session["connect_url"])
        if there is None or there.status != 302:
            return None
        handle = self.world.providers[person.platform].handle
        back = answer_consent(handle, there.location, email=person.email)
        home = browser.get(back)
        if home is None or home.status != 302 or "completion_code" not in home.query:
            return None
        return session["session_id"], home.query["completion_code"]

    def _connected(self, person: Person, answer: Answer) -> None:
        if answer.status not in {200, 201}:
            self.world.never(f"{person.email} could not connect: {answer.status} {answer.body}")
            return
        person.calendar_id = answer.json["calendar_id"]

    def revoke(self, person: Person) -> None:
        """The person removes the app at the provider, and comes back after a while."""
        with self._alone(person):
            self.world.tell(f"{person.email} revokes the grant")
            self.world.providers[person.platform].revoke(person.email)
            self.world.recall.recheck_grants(person.account)
        self.at(self.chance.uniform(5, 240), partial(self.connect, person))

    def disconnect(self, person: Person) -> None:
        with self._alone(person):
            if person.calendar_id is None:
                return
            self.world.tell(f"{person.email} disconnects")
            calendar_id, person.calendar_id = person.calendar_id, None
            self.world.ask("DELETE", f"/v1/calendars/{calendar_id}")
        if self.chance.random() < 0.6:
            self.at(self.chance.uniform(5, 240), partial(self.connect, person))

    def erase(self, person: Person) -> None:
        with self._alone(person):
            self.world.tell(f"{person.email} is erased")
            person.calendar_id = None
            person.erased = True
            self.world.ask("DELETE", f"/v1/entities/{person.tenant_id}/{person.entity_id}")

    # Meetings.

    def invite(self) -> None:
        """One meeting in the calendars of some, organized by one of them or by an outsider."""
        start = self._start()
        guests = [each for each in self.people if self.chance.random() < 0.5]
        organizer = self.chance.choice([*self.people, None])
        others = [each.account for each in guests if each is not organizer]
        outside = [each for each in OUTSIDERS if self.chance.random() < 0.4]
        title = self.chance.choice(TITLES)
        details: dict[str, Any] = {}
        if self.chance.random() < 0.15:
            details["private"] = True
        if self.chance.random() < 0.1:
            details["link"] = None
        else:
            details["link"] = self.chance.choice(LINKS)
        minutes = self.chance.choice([15, 30, 60])
        self.world.tell(f"{title} at {start:%H:%M} for {len(others)} and {len(outside)} outsiders")
        self.world.recall.invite(
            title,
            organizer=organizer.account if organizer else OUTSIDERS[0],
            guests=[*others, *outside],
            start=start,
            end=start + timedelta(minutes=minutes),
            **details,
        )

    def _start(self) -> datetime:
        """Often far enough ahead, sometimes very near; on the quarter, so that meetings meet."""
        now = self.world.clock.now().replace(second=0, microsecond=0)
        ahead = self.chance.choice([15, 30, 60, 60, 120, 120, 240])
        quarter = now + timedelta(minutes=ahead)
        return quarter - timedelta(minutes=quarter.minute % 15)

    def edit(self) -> None:
        """Somebody changes one of the meetings; copies follow at once or minutes apart."""
        placed = self._placed()
        if not placed:
            return
        ical_uid = self.chance.choice(sorted(placed))
        copies = placed[ical_uid]
        change = self.chance.choice(
            [self._moved, self._moved, self._relinked, self._cancelled, self._renamed,
             self._answered, self._answered, self._guests]
        )  # fmt: skip
        edits = change(copies)
        apart = self.chance.random() < 0.3
        for number, edit in enumerate(edits):
            wait = self.chance.uniform(0, 200) if apart and number else 0.0
            self.at(wait, edit)

    def _placed(self) -> dict[str, list[tuple[Account, str]]]:
        found: dict[str, list[tuple[Account, str]]] = {}
        for person in self.people:
            for event_id, stored in person.account.events.items():
                found.setdefault(stored.appointment.ical_uid, []).append((person.account, event_id))
        return found

    def _moved(self, copies: list[tuple[Account, str]]) -> list[Callable[[], object]]:
        start = self._start()
        self.world.tell(f"a meeting with {len(copies)} copies moves to {start:%H:%M}")
        return [partial(_on, account, "move", event_id, start) for account, event_id in copies]

    def _relinked(self, copies: list[tuple[Account, str]]) -> list[Callable[[], object]]:
        link = self.chance.choice([*LINKS, None])
        self.world.tell(f"a meeting with {len(copies)} copies is at {link}")
        return [partial(_on, account, "relink", event_id, link) for account, event_id in copies]

    def _cancelled(self, copies: list[tuple[Account, str]]) -> list[Callable[[], object]]:
        is_cancelled = copies[0][0].appointment(copies[0][1]).cancelled
        act = "restore" if is_cancelled else "cancel"
        self.world.tell(f"{act} a meeting with {len(copies)} copies")
        return [partial(_on, account, act, event_id) for account, event_id in copies]

    def _renamed(self, copies: list[tuple[Account, str]]) -> list[Callable[[], object]]:
        title = self.chance.choice(TITLES)
        self.world.tell(f"a meeting with {len(copies)} copies is called {title}")
        return [partial(_on, account, "rename", event_id, title) for account, event_id in copies]

    def _answered(self, copies: list[tuple[Account, str]]) -> list[Callable[[], object]]:
        account, event_id = self.chance.choice(copies)
        answer = self.chance.choice(["accepted", "declined", "tentative", "none"])
        self.world.tell(f"{account.email} answers {answer}")
        return [partial(_respond, account, event_id, answer, copies)]

    def _guests(self, copies: list[tuple[Account, str]]) -> list[Callable[[], object]]:
        guests = [each for each in OUTSIDERS if self.chance.random() < 0.5]
        self.world.tell(f"a meeting with {len(copies)} copies has the guests {len(guests)}")
        return [
            partial(_on, account, "set_attendees", event_id, guests) for account, event_id in copies
        ]

    def transfer(self) -> None:
        """The ownership of an event moves to somebody else of the same platform."""
        pairs = [
            (one, other)
            for one in self.people
            for other in self.people
            if one is not other
            and one.platform == other.platform
            and one.account.events
            and one.tenant_id == other.tenant_id
        ]
        if pairs:
            one, other = self.chance.choice(pairs)
            event_id = self.chance.choice(sorted(one.account.events))
            if event_id not in other.account.events:
                self.world.tell(f"{one.email} hands an event over to {other.email}")
                one.account.transfer(event_id, other.account)

    # Words and rules.

    def override(self) -> None:
        found = self._known_meeting()
        if found is None:
            return
        calendar_id, event_id = found
        choice = self.chance.choice(["on", "off", "off", "auto"])
        path = f"/v1/calendars/{calendar_id}/meetings/{event_id}/override"
        body = {"choice": choice, "scope": "occurrence"}
        # While the answer is out, either word may hold.
        before = self.words.get(event_id)
        self.words[event_id] = "?"
        answer = self.world.ask("PUT", path, body)
        if answer.status == 200:
            self.words[event_id] = choice
            self.world.tell(f"{event_id[:8]} is overridden: {choice}")
        elif before is not None:
            self.words[event_id] = before
        else:
            self.words.pop(event_id, None)

    def opt_out(self) -> None:
        found = self._known_meeting()
        if found is None:
            return
        calendar_id, event_id = found

        def say(service: Any, process: Any) -> bool:
            """Wherever the meeting is by now: an earlier try may have been heard."""
            meeting = service.stores.meetings.get(event_id)
            if meeting is None:
                return False
            at = Moment(now=process.now(), unique=self.world.random_text(8))
            opt_out_occurrence(service.meeting_doors(), meeting, opted_out=True, at=at)
            return True

        if event_id in self.opted_out or not self._still_known(calendar_id, event_id):
            return
        self.opted_out.add(event_id)
        if self.world.in_api(say):
            self.world.tell(f"{event_id[:8]} is opted out of")
        else:
            self.opted_out.discard(event_id)

    def _known_meeting(self) -> tuple[str, str] | None:
        connected = [each for each in self.people if each.calendar_id]
        if not connected:
            return None
        person = self.chance.choice(connected)
        calendar_id = str(person.calendar_id)
        answer = self.world.ask("GET", f"/v1/calendars/{calendar_id}/meetings")
        if answer.status != 200 or not answer.json["items"]:
            return None
        return calendar_id, self.chance.choice(answer.json["items"])["event_id"]

    def _still_known(self, calendar_id: str, event_id: str) -> bool:
        answer = self.world.ask("GET", f"/v1/calendars/{calendar_id}/meetings")
        return answer.status == 200 and any(
            each["event_id"] == event_id for each in answer.json["items"]
        )

    def rule(self) -> None:
        tenants = sorted({each.tenant_id for each in self.people})
        tenant = self.chance.choice(tenants)
        entity = self.chance.choice([e.entity_id for e in self.people if e.tenant_id == tenant])
        scope = self.chance.choice(["default", f"tenant:{tenant}", f"entity:{tenant}:{entity}"])
        document = self.chance.choice(RULES)
        if scope in self._rules_busy:
            return
        self._rules_busy.add(scope)
        self.world.tell(f"rules of {scope}: {document}")
        answer = self.world.ask("PUT", f"/v1/rules/{scope}", document)
        self._rules_busy.discard(scope)
        if answer.status != 200:
            self.world.never(f"rules of {scope} were refused: {answer.status} {answer.body}")
            return
        self.rules[scope] = document
        self.dedupe_changed = self.dedupe_changed or "dedupe" in document

    def rotate(self) -> None:
        """An operator changes the webhook secret: first both are known here, then one at Recall."""
        fresh = "whsec_" + base64.b64encode(self.chance.randbytes(24)).decode()
        secrets, outbox = self.world.secrets, self.world.recall.webhooks
        old = secrets["recall_webhook_secret"]
        secrets["recall_webhook_secret"] = f"{fresh},{old}"
        self.world.tell("the webhook secret is rotated")
        # As long as a process may go on with what it read.
        self.world.hub.sleep(SECRETS_CACHED_SECONDS)
        outbox.secrets = [fresh]

    def rotate_key(self) -> None:
        """An operator changes Recall's API key; in haste the old one ends at once."""
        secrets, recall = self.world.secrets, self.world.recall
        old, fresh = recall.api_key, self.chance.randbytes(20).hex()
        recall.retiring_keys.add(old)
        recall.api_key = secrets["recall_api_key"] = fresh
        hasty = self.chance.random() < 0.5
        self.world.tell(f"Recall's API key is rotated{' in haste' * hasty}")
        if not hasty:
            # As long as a process may go on with what it read.
            self.world.hub.sleep(SECRETS_CACHED_SECONDS)
        recall.retiring_keys.discard(old)


def _on(account: Account, act: str, event_id: str, *more: Any) -> None:
    """Change an event, if it is there still."""
    if event_id in account.events:
        getattr(account, act)(event_id, *more)


def _respond(
    account: Account, event_id: str, answer: Any, copies: list[tuple[Account, str]]
) -> None:
    """An answer shows in everybody's copy."""
    for holder, copy_id in copies:
        if copy_id in holder.events:
            holder.set_response(copy_id, answer, who=account.email)


class Browser:
    """Keeps its cookie; a page that does not come is reloaded."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._cookie: str | None = None

    def get(self, url: str) -> Answer | None:
        event = _visit(url)
        event["cookies"] = [self._cookie] if self._cookie else []
        for _ in range(BROWSER_TRIES_MAX):
            process = self._world.process("oauth")
            try:
                reply = process.serve(partial(oauth_app.answer, event, process.service))
            except Killed:
                reply = None
            if reply is not None and reply["statusCode"] < 500:
                answer = Answer(reply)
                for cookie in answer.cookies:
                    self._cookie = cookie.partition(";")[0]
                return answer
            self._world.hub.sleep(QUIET_SECONDS)
        return None


def _visit(url: str) -> dict[str, Any]:
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(url)
    path = parts.path.strip("/").split("/")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if path[0] == "connect":
        event = gateway_event("GET /connect/{token}", path=parts.path, query=query)
        event["pathParameters"] = {"token": path[1]}
    else:
        event = gateway_event("GET /oauth/{platform}/callback", path=parts.path, query=query)
        event["pathParameters"] = {"platform": path[1]}
    return event
