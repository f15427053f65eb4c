"""The story, scene by scene: what happens while processes die, and what must have come of it.

A scene is a generator: what comes before its first `yield` goes well; what it then sets going
up to the second may fail at every call; once all is at rest it yields what is wrong, if anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from infra.local.emulators.recall.fleet import Fate as BotFate
from shared.flows.meetings import Moment, existing_meeting, opt_out_occurrence
from tests.simulation.climate import Climate
from tests.simulation.judge import Judge
from tests.simulation.people import LINKS, OUTSIDERS, SCOPES, Cast, Person
from tests.simulation.world import GOOGLE, OUTLOOK, START, World

Script = Iterator[str | None]
MEET, OTHER_ROOM, ZOOM, TEAMS = LINKS
GUEST = OUTSIDERS[0]
NOON: Final = START + timedelta(hours=3)
# Both connects, their reads and the ticks after them are over by then.
SETTLED_SECONDS: Final = 190.0
# What people set going, and the next tick.
USUAL_SECONDS: Final = 75.0
# Six minutes of grace for copies that move apart, a tick to notice that it is over, and a spare.
REST: Final = timedelta(minutes=8)


class Stage:
    """One world with its people, and words for what they do."""

    def __init__(self, name: str) -> None:
        self.world = World(name, Climate(cold=0.0))
        self.cast = Cast(self.world, self.world.chance("people"))
        self.judge = Judge(self.world, self.cast)

    # Who and what there is.

    def person(self, name: str, platform: str = GOOGLE, *, tenant: str = "acme") -> Person:
        return self.cast.add(tenant, name, platform)

    def connected(self, name: str, platform: str = GOOGLE, *, tenant: str = "acme") -> Person:
        person = self.person(name, platform, tenant=tenant)
        self.soon(partial(self.connect, person))
        return person

    def meeting(
        self,
        *people: Person,
        title: str = "Kickoff",
        start: datetime = NOON,
        link: str | None = MEET,
        minutes: int = 30,
        organizer: str | None = None,
    ) -> dict[str, str]:
        """Copies of one meeting with a guest; addresses to the provider's event ids."""
        host = organizer or people[0].account
        guests = people if organizer else people[1:]
        return self.world.recall.invite(
            title,
            organizer=host,
            guests=[*(each.account for each in guests), GUEST],
            start=start,
            end=start + timedelta(minutes=minutes),
            link=link,
        )

    def event_id(self, person: Person, copies: dict[str, str]) -> str:
        """Recall's id of somebody's copy."""
        found = self.world.recall.events.values()
        return next(each.id for each in found if each.platform_id == copies[person.email])

    def settle(self, seconds: float = SETTLED_SECONDS) -> None:
        self.world.run(seconds)
        if self.cast.pending:
            raise AssertionError("not even in calm weather did all come to an end")

    def soon(self, act: Callable[[], object], *, seconds: float = 0.0) -> None:
        self.cast.at(seconds, act)

    # What people do; each waits until it is answered.

    def connect(self, person: Person, scopes: tuple[str, ...] | None = None) -> None:
        provider = self.world.providers[person.platform]
        wanted = {
            "entity_id": person.entity_id,
            "tenant_id": person.tenant_id,
            "platform": person.platform,
            "oauth_refresh_token": provider.issue_refresh_token(
                person.email, scopes or SCOPES[person.platform]
            ),
        }
        answer = self.world.ask("POST", "/v1/calendars", wanted)
        self.cast._connected(person, answer)

    def connect_in_browser(self, person: Person) -> None:
        self.cast._connect_in_browser(person)

    def disconnect(self, person: Person) -> None:
        calendar_id, person.calendar_id = person.calendar_id, None
        # 404: an earlier try did it, and nobody heard.
        self._must("DELETE", f"/v1/calendars/{calendar_id}", status=(204, 404))

    def revoke(self, person: Person) -> None:
        self.world.providers[person.platform].revoke(person.email)
        self.world.recall.recheck_grants(person.account)

    def erase(self, person: Person) -> None:
        person.calendar_id, person.erased = None, True
        self._must("DELETE", f"/v1/entities/{person.tenant_id}/{person.entity_id}", status=(202,))

    def override(self, person: Person, copies: dict[str, str], choice: str) -> None:
        event_id = self.event_id(person, copies)
        path = f"/v1/calendars/{person.calendar_id}/meetings/{event_id}/override"
        self.cast.words[event_id] = "?"
        self._must("PUT", path, {"choice": choice, "scope": "occurrence"})
        self.cast.words[event_id] = choice

    def opt_out(self, person: Person, copies: dict[str, str]) -> None:
        calendar_id, event_id = str(person.calendar_id), self.event_id(person, copies)

        def say(service: Any, process: Any) -> None:
            doors = service.meeting_doors()
            meeting = existing_meeting(doors, calendar_id, event_id=event_id)
            at = Moment(now=process.now(), unique=self.world.random_text(8))
            opt_out_occurrence(doors, meeting, opted_out=True, at=at)

        self.cast.opted_out.add(event_id)
        self.world.in_api(say)

    def rules(self, document: dict[str, Any], scope: str = "default") -> None:
        self._must("PUT", f"/v1/rules/{scope}", document)
        self.cast.rules[scope] = document
        self.cast.dedupe_changed = self.cast.dedupe_changed or "dedupe" in document

    def reconcile(self, task: str) -> None:
        self.world.hub.spawn(partial(self.world.reconcile, task))

    def lose_webhooks(self) -> None:
        """Until all is calm."""
        weather = self.world.weather
        weather.climate = replace(weather.climate, webhooks_lost=1.0)

    def _must(
        self, method: str, path: str, body: object = None, *, status: tuple[int, ...] = (200,)
    ) -> None:
        answer = self.world.ask(method, path, body)
        if answer.status not in status:
            self.world.never(f"{method} {path}: {answer.status} {answer.body}")

    # What came of it.

    def expect(self, *wanted: tuple[str, datetime]) -> Iterator[str]:
        """These rooms at these times have a waiting bot each, and there is no other."""
        bots = Counter((bot.meeting_url, bot.join_at) for bot in self.world.recall.live_bots())
        for room in (Counter(wanted) - bots).elements():
            yield f"no bot at {room[1]:%H:%M} in {room[0]}"
        for room in (bots - Counter(wanted)).elements():
            yield f"a bot too many at {room[1]:%H:%M} in {room[0]}"

    def expect_notice(self, name: str, **detail: object) -> Iterator[str]:
        if not any(
            kind == name and detail.items() <= told.items() for kind, told in self.world.bus.notices
        ):
            yield f"nobody was told {name}"

    def expect_side(self, side: str) -> Iterator[str]:
        """All waiting bots are scheduled by Recall's calendars (managed), or by ourselves."""
        keys = {bot.key is None for bot in self.world.recall.live_bots()}
        if keys != {side == "self_managed"}:
            yield f"not every bot is {side}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """`seconds`: for how long processes may die, from the second part on; then there is `rest`."""

    name: str
    script: Callable[[Stage], Script]
    seconds: float = USUAL_SECONDS
    rest: timedelta = REST


SCENES: dict[str, Scene] = {}


def scene(
    seconds: float = USUAL_SECONDS, rest: timedelta = REST
) -> Callable[[Callable[[Stage], Script]], Callable[[Stage], Script]]:
    def told(script: Callable[[Stage], Script]) -> Callable[[Stage], Script]:
        name = script.__name__
        SCENES[name] = Scene(name=name, script=script, seconds=seconds, rest=rest)
        return script

    return told


# Connecting.


@scene()
def connect(stage: Stage) -> Script:
    dana = stage.person("dana")
    stage.meeting(dana)
    stage.settle()
    yield
    stage.soon(partial(stage.connect, dana))
    yield
    yield from stage.expect((MEET, NOON))
    yield from stage.expect_notice("calendar.connected", calendar_id=dana.calendar_id)


@scene()
def connect_in_browser(stage: Stage) -> Script:
    sam = stage.person("sam", OUTLOOK)
    stage.meeting(sam)
    stage.settle()
    yield
    stage.soon(partial(stage.connect_in_browser, sam))
    yield
    yield from stage.expect((MEET, NOON))


@scene()
def first_import(stage: Stage) -> Script:
    """Eight meetings, six of them wanted."""
    dana = stage.person("dana")
    starts = [NOON + timedelta(hours=number) for number in range(6)]
    for start in starts:
        stage.meeting(dana, start=start)
    dana.account.add_event("Focus", start=NOON, link=ZOOM)
    stage.meeting(dana, link=None)
    stage.settle()
    yield
    stage.soon(partial(stage.connect, dana))
    yield
    yield from stage.expect(*((MEET, start) for start in starts))


@scene()
def connect_twice(stage: Stage) -> Script:
    """Two calendars of an account that nobody named become one."""
    dana = stage.person("dana")
    stage.meeting(dana)
    stage.settle()
    yield
    nameless = SCOPES[GOOGLE][:1]
    stage.soon(partial(stage.connect, dana, nameless))
    stage.soon(partial(stage.connect, dana, nameless), seconds=0.3)
    yield
    yield from stage.expect((MEET, NOON))
    yield from stage.expect_notice("calendar.deleted")


# Following.


@scene()
def move(stage: Stage) -> Script:
    dana = stage.connected("dana")
    copies = stage.meeting(dana)
    stage.settle()
    yield
    later = NOON + timedelta(hours=1)
    stage.soon(partial(dana.account.move, copies[dana.email], later))
    yield
    yield from stage.expect((MEET, later))


@scene()
def move_copies(stage: Stage) -> Script:
    """Both copies of a meeting move, one shortly after the other."""
    dana, sam = stage.connected("dana"), stage.connected("sam", OUTLOOK)
    copies = stage.meeting(dana, sam)
    stage.settle()
    yield
    later = NOON + timedelta(hours=1)
    stage.soon(partial(dana.account.move, copies[dana.email], later))
    stage.soon(partial(sam.account.move, copies[sam.email], later), seconds=5)
    yield
    yield from stage.expect((MEET, later))


@scene()
def relink(stage: Stage) -> Script:
    dana = stage.connected("dana")
    copies = stage.meeting(dana)
    stage.settle()
    yield
    stage.soon(partial(dana.account.relink, copies[dana.email], ZOOM))
    yield
    yield from stage.expect((ZOOM, NOON))


@scene()
def decline(stage: Stage) -> Script:
    dana = stage.connected("dana")
    copies = stage.meeting(dana, organizer=GUEST)
    stage.settle()
    yield
    stage.soon(partial(dana.account.set_response, copies[dana.email], "declined"))
    yield
    yield from stage.expect()


@scene()
def cancel(stage: Stage) -> Script:
    dana, sam = stage.connected("dana"), stage.connected("sam", OUTLOOK)
    copies = stage.meeting(dana, sam)
    stage.settle()
    yield
    stage.soon(partial(dana.account.cancel, copies[dana.email]))
    stage.soon(partial(sam.account.cancel, copies[sam.email]))
    yield
    yield from stage.expect()
    yield from stage.expect_notice("bot.cancelled")


@scene(seconds=100)
def lose_webhooks(stage: Stage) -> Script:
    """Nothing but the tick tells of it."""
    dana = stage.connected("dana")
    copies = stage.meeting(dana)
    stage.settle()
    yield
    stage.lose_webhooks()
    later = NOON + timedelta(hours=1)
    stage.soon(partial(dana.account.move, copies[dana.email], later))
    yield
    yield from stage.expect((MEET, later))


@scene()
def transfer(stage: Stage) -> Script:
    """An event's ownership moves to somebody else, and Recall's event with it."""
    dana, robin = stage.connected("dana"), stage.connected("robin")
    copies = stage.meeting(dana)
    stage.settle()
    yield
    stage.soon(partial(dana.account.transfer, copies[dana.email], robin.account))
    yield
    yield from stage.expect((MEET, NOON))


# Words and rules.


@scene()
def override_off(stage: Stage) -> Script:
    dana = stage.connected("dana")
    copies = stage.meeting(dana)
    stage.settle()
    yield
    stage.soon(partial(stage.override, dana, copies, "off"))
    yield
    yield from stage.expect()


@scene()
def override_on(stage: Stage) -> Script:
    dana = stage.connected("dana")
    copies = stage.meeting(dana, organizer=GUEST)
    dana.account.set_response(copies[dana.email], "declined")
    stage.settle()
    yield
    stage.soon(partial(stage.override, dana, copies, "on"))
    yield
    yield from stage.expect((MEET, NOON))


@scene()
def override_off_and_move(stage: Stage) -> Script:
    """What a person said outlives the edit that comes right after it."""
    dana = stage.connected("dana")
    copies = stage.meeting(dana)
    stage.settle()
    yield
    later = NOON + timedelta(hours=1)
    stage.soon(partial(stage.override, dana, copies, "off"))
    stage.soon(partial(dana.account.move, copies[dana.email], later))
    yield
    yield from stage.expect()


@scene()
def opt_out(stage: Stage) -> Script:
    dana = stage.connected("dana")
    copies = stage.meeting(dana)
    stage.settle()
    yield
    stage.soon(partial(stage.opt_out, dana, copies))
    yield
    yield from stage.expect()


@scene()
def change_rules(stage: Stage) -> Script:
    """One meeting loses its bot, another gets one, the third keeps its own."""
    dana = stage.connected("dana")
    stage.meeting(dana, title="Salary talk")
    dana.account.add_event("Focus", start=NOON, link=ZOOM)
    stage.meeting(dana, start=NOON + timedelta(hours=1))
    stage.settle()
    yield
    stage.soon(partial(stage.rules, {"exclude": {"keywords": ["salary"]}, "min_others": 0}))
    yield
    yield from stage.expect((ZOOM, NOON), (MEET, NOON + timedelta(hours=1)))


@scene()
def switch_over(stage: Stage) -> Script:
    """From Recall's calendars to bots of our own."""
    dana, sam = stage.connected("dana"), stage.connected("sam", OUTLOOK)
    stage.meeting(dana, sam)
    stage.meeting(dana, link=ZOOM)
    stage.settle()
    yield
    stage.soon(partial(stage.rules, {"scheduling": "self_managed"}))
    yield
    yield from stage.expect((MEET, NOON), (ZOOM, NOON))
    yield from stage.expect_side("self_managed")


@scene()
def switch_back(stage: Stage) -> Script:
    dana, sam = stage.connected("dana"), stage.connected("sam", OUTLOOK)
    stage.soon(partial(stage.rules, {"scheduling": "self_managed"}))
    stage.meeting(dana, sam)
    stage.meeting(dana, link=ZOOM)
    stage.settle()
    yield
    stage.soon(partial(stage.rules, {}))
    yield
    yield from stage.expect((MEET, NOON), (ZOOM, NOON))
    yield from stage.expect_side("managed")


@scene()
def move_own(stage: Stage) -> Script:
    """Both copies of a meeting move that has a bot of our own."""
    dana, sam = stage.connected("dana"), stage.connected("sam", OUTLOOK)
    stage.soon(partial(stage.rules, {"scheduling": "self_managed"}))
    copies = stage.meeting(dana, sam)
    stage.settle()
    yield
    later = NOON + timedelta(hours=1)
    stage.soon(partial(dana.account.move, copies[dana.email], later))
    stage.soon(partial(sam.account.move, copies[sam.email], later), seconds=5)
    yield
    yield from stage.expect((MEET, later))
    yield from stage.expect_side("self_managed")


# Going and coming back.


@scene()
def revoke(stage: Stage) -> Script:
    dana, sam = stage.connected("dana"), stage.connected("sam", OUTLOOK)
    stage.meeting(dana, sam)
    stage.meeting(dana, link=ZOOM)
    stage.settle()
    yield
    stage.soon(partial(stage.revoke, dana))
    yield
    yield from stage.expect((MEET, NOON))
    yield from stage.expect_notice("calendar.disconnected", calendar_id=dana.calendar_id)


@scene()
def reconnect(stage: Stage) -> Script:
    dana = stage.connected("dana")
    stage.meeting(dana)
    stage.settle()
    stage.soon(partial(stage.revoke, dana))
    stage.settle(120)
    known = dana.calendar_id
    yield
    stage.soon(partial(stage.connect, dana))
    yield
    yield from stage.expect((MEET, NOON))
    # While the provider does not say whose grant it is, a second one is made, and merged later.
    if list(stage.world.recall.calendars) != [known]:
        yield "another calendar than before"


@scene()
def disconnect(stage: Stage) -> Script:
    dana, sam = stage.connected("dana"), stage.connected("sam", OUTLOOK)
    stage.meeting(dana, sam)
    stage.meeting(dana, link=ZOOM)
    stage.settle()
    yield
    stage.soon(partial(stage.disconnect, dana))
    yield
    yield from stage.expect((MEET, NOON))
    yield from stage.expect_notice("calendar.deleted")


@scene()
def erase(stage: Stage) -> Script:
    dana, sam = stage.connected("dana"), stage.connected("sam", OUTLOOK)
    stage.meeting(dana, sam)
    stage.meeting(dana, link=ZOOM)
    stage.settle()
    yield
    stage.soon(partial(stage.erase, dana))
    yield
    yield from stage.expect((MEET, NOON))


# Operators and the reconciler.


@scene()
def redrive(stage: Stage) -> Script:
    """A doorbell, a word of a calendar and a report of a bot come back, each twice."""
    dana = stage.connected("dana")
    stage.meeting(dana, start=START + timedelta(minutes=3))
    stage.world.queue.settle = partial(_bury, stage.world)  # type: ignore[method-assign]
    stage.settle(260)
    del stage.world.queue.settle
    yield
    stage.world.redrive()
    yield
    yield from stage.expect((MEET, START + timedelta(minutes=3)))


def _bury(world: World, event: dict[str, Any], failed: set[str]) -> None:
    """Done, and yet it ends among the dead letters: one of each kind."""
    handled = {record["messageId"] for record in event["Records"]}
    world.queue.dead += [
        each
        for each in world.queue.messages
        if str(each.number) in handled
        and not any(_kind(each.body) == _kind(dead.body) for dead in world.queue.dead)
    ]
    type(world.queue).settle(world.queue, event, failed)


def _kind(body: str) -> str:
    return body.partition(",")[0]


@scene(seconds=400)
def rotate(stage: Stage) -> Script:
    """The webhook secret changes while a meeting moves and moves again."""
    dana = stage.connected("dana")
    copies = stage.meeting(dana)
    stage.settle()
    yield
    later = NOON + timedelta(hours=1)
    stage.soon(stage.cast.rotate)
    stage.soon(partial(dana.account.move, copies[dana.email], later), seconds=2)
    stage.soon(partial(dana.account.move, copies[dana.email], NOON), seconds=335)
    yield
    yield from stage.expect((MEET, NOON))


@scene(seconds=200)
def bot_life(stage: Stage) -> Script:
    """From the last minute before a meeting until its bot is done."""
    dana = stage.connected("dana")
    stage.meeting(dana, start=START + timedelta(minutes=4), minutes=2)
    stage.settle(225)
    yield
    yield
    yield from stage.expect()
    yield from stage.expect_notice("bot.status", code="done")


@scene(seconds=130)
def missed(stage: Stage) -> Script:
    """The bot fails on its way in, and the host is told."""
    dana = stage.connected("dana")
    stage.meeting(dana, start=START + timedelta(minutes=4), minutes=5)
    stage.world.recall.fleet.fates[MEET] = BotFate("joining", "meeting_not_found")
    stage.settle(225)
    yield
    yield
    yield from stage.expect()
    yield from stage.expect_notice("meeting.missed")


@scene()
def heal_before_start(stage: Stage) -> Script:
    """A bot vanished and Recall said nothing; the pre-flight notices."""
    dana = stage.connected("dana")
    start = START + timedelta(minutes=22)
    stage.meeting(dana, start=start)
    stage.settle(270)
    _vanish(stage)
    yield
    stage.soon(partial(stage.reconcile, "preflight"))
    yield
    yield from stage.expect((MEET, start))


@scene()
def heal_in_audit(stage: Stage) -> Script:
    dana, sam = stage.connected("dana"), stage.connected("sam", OUTLOOK)
    stage.meeting(dana, sam)
    stage.settle(270)
    _vanish(stage)
    yield
    stage.soon(partial(stage.reconcile, "audit"))
    yield
    yield from stage.expect((MEET, NOON))


def _vanish(stage: Stage) -> None:
    for event in stage.world.recall.events.values():
        stage.world.recall.fleet.release(event)


@scene(seconds=140)
def empty_pool(stage: Stage) -> Script:
    """A meeting too near to plan for, and for a while no bot is free (507)."""
    dana = stage.connected("dana")
    stage.soon(partial(stage.rules, {"scheduling": "self_managed"}))
    stage.settle()
    stage.world.recall.fleet.ad_hoc_free = 0
    start = START + timedelta(minutes=9)
    yield
    stage.meeting(dana, start=start, minutes=60)
    stage.soon(partial(setattr, stage.world.recall.fleet, "ad_hoc_free", None), seconds=45)
    yield
    yield from stage.expect((MEET, start))
