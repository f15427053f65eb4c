"""The page at /play: what people, providers and Recall do, done by hand on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote, urlencode, urlsplit

from werkzeug.wrappers import Request, Response

from infra.local.emulators.providers import ProviderWorld
from infra.local.emulators.recall import LiveBot, RecallWorld
from infra.local.emulators.recall.accounts import Account, Stored
from infra.local.gateway import Page
from infra.local.product import Backend, UnexpectedAnswerError
from shared.domain.calendar import Platform
from shared.pages.headers import page_headers
from shared.pages.kit import Kit

PATH: Final = "/play"
TEMPLATES: Final = Path(__file__).parent / "templates"
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
SHOWN_MAX: Final = 50
LOST_MAX: Final = 100
JUMP_MAX: Final = 7 * 24 * 60
MINUTES_MAX: Final = 28 * 24 * 60
TEXT_MAX: Final = 1_000
OUTAGE: Final = 503
NEAR: Final = timedelta(minutes=30)
GUEST: Final = "guest@fabrikam.example"
LINKS: Final = {
    "meet": "https://meet.google.com/pla-{:04d}-yed",
    "zoom": "https://acme.zoom.us/j/94{:08d}",
    "teams": "https://teams.microsoft.com/l/meetup-join/19%3ameeting_{}%40thread.v2/0?context=%7b%7d",
}

Form = Mapping[str, str]


class Jumps(Protocol):
    """A clock that can be put forward."""

    def now(self) -> datetime: ...

    def advance(self, delta: timedelta) -> datetime: ...


class PlayError(Exception):
    """A form that makes no sense; the message is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One meeting of an account, and how many bots wait for it or sit in it."""

    event_id: str
    title: str
    start: datetime
    answer: str
    cancelled: bool
    link: str | None
    bots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with an account at a provider; `entity_id` is what stands before the @."""

    account: Account
    meetings: list[Shown]
    connected: bool

    @property
    def key(self) -> str:
        return f"{self.account.platform} {self.account.email}"

    @property
    def entity_id(self) -> str:
        return self.account.email.partition("@")[0]


class Play:
    """Answers GET and POST below /play, on loopback and to its own forms only."""

    def __init__(
        self,
        recall: RecallWorld,
        *,
        providers: Mapping[Platform, ProviderWorld],
        backend: Backend,
        public_url: str,
        clock: Jumps,
    ) -> None:
        self._recall = recall
        self._clock = clock
        self._providers = providers
        self._backend = backend
        self._public_url = public_url
        self._kit = Kit(TEMPLATES)
        self._added = 0
        self._actions: dict[str, Callable[[Form], str]] = {
            "person": self._meet_person,
            "connect": self._connect,
            "my": self._own_page,
            "revoke": self._revoke,
            "add": self._add,
            "change": self._change,
            "lose": self._lose,
            "outage": self._break_or_mend,
            "end": self._end_call,
            "jump": self._jump,
        }

    def answer(self, request: Request) -> Response:
        if not _is_ours(request):
            return Response("Only on this machine, and from its own page.", status=403)
        action = request.path.removeprefix(PATH).strip("/")
        try:
            if request.method == "GET" and not action:
                return self._shown(request)
            if request.method == "POST" and action in self._actions:
                return _see_other(self._actions[action](request.form.to_dict()))
        except (PlayError, UnexpectedAnswerError) as problem:
            return self._page(problem=str(problem), status=400)
        return Response("There is nothing to play.", status=404)

    def _shown(self, request: Request) -> Response:
        session_id, code = request.args.get("session_id"), request.args.get("completion_code")
        if session_id and code:
            # This page stands in for the product that the person came from.
            self._backend.complete(session_id, code)
            return _see_other(_told("Connected. The meetings are decided within seconds."))
        if refusal := request.args.get("error"):
            return self._page(problem=f"The calendar was not connected: {refusal}.")
        return self._page(done=request.args.get("done", "")[:TEXT_MAX])

    def _page(self, *, done: str = "", problem: str = "", status: int = 200) -> Response:
        body = self._kit.render(
            "play.html",
            people=list(self._people()),
            bots=self._recall.live_bots(),
            down=self._recall.outage is not None,
            links=list(LINKS),
            platforms=[platform.value for platform in Platform],
            now=self._clock.now(),
            ahead=self._clock.now() - datetime.now(UTC),
            done=done,
            problem=problem,
        )
        return Response(body, status=status, headers=dict(page_headers()))

    def _people(self) -> Iterator[Person]:
        bots = self._recall.live_bots()
        with self._recall.core.lock:
            connected = {
                (each.platform, each.platform_email)
                for each in self._recall.calendars.values()
                if each.status == "connected"
            }
            for account in list(self._recall.core.accounts.values()):
                stored = sorted(account.events.values(), key=_start)
                coming = [each for each in stored if each.appointment.end > self._clock.now()]
                yield Person(
                    account=account,
                    meetings=[_meeting(each, bots) for each in coming[:SHOWN_MAX]],
                    connected=(account.platform, account.email) in connected,
                )

    # What the forms do; each answers with the address to go to.

    def _meet_person(self, form: Form) -> str:
        platform, email = _platform(form), _text(form, "email")
        if "@" not in email:
            raise PlayError("An account has an e-mail address.")
        self._providers[platform].add_account(email, form.get("name", "").strip() or email)
        self._recall.account(platform, email)
        return _told(f"{email} has a calendar now, and nothing in it.")

    def _connect(self, form: Form) -> str:
        account = self._account(form)
        session = self._backend.start_connect(
            account.email.partition("@")[0],
            account.platform,
            return_url=f"{self._public_url}{PATH}",
        )
        return f"{session['connect_url']}/about"

    def _own_page(self, form: Form) -> str:
        entity_id = self._account(form).email.partition("@")[0]
        return self._backend.page_link(entity_id)

    def _revoke(self, form: Form) -> str:
        account = self._account(form)
        account.revoke_grant()
        return _told(f"{account.email} removed the app. Recall notices in a second.")

    def _add(self, form: Form) -> str:
        account = self._account(form)
        start = self._clock.now() + timedelta(minutes=_number(form, "starts_in"))
        title = _text(form, "title")
        account.add_event(
            title,
            start=start.replace(microsecond=0),
            end=start.replace(microsecond=0) + timedelta(minutes=_number(form, "minutes")),
            link=self._link(form.get("link", "")),
            attendees=[GUEST] if form.get("guest") else [],
            organizer=GUEST if form.get("invited") else None,
            private=bool(form.get("private")),
        )
        return _told(f"{title} is in the calendar of {account.email}.")

    def _link(self, kind: str) -> str | None:
        self._added += 1
        return LINKS[kind].format(self._added) if kind in LINKS else None

    def _change(self, form: Form) -> str:
        account, event_id = self._account(form), form.get("event", "")
        if event_id not in account.events:
            raise PlayError("That meeting is in nobody's calendar.")
        appointment = account.appointment(event_id)
        match form.get("what"):
            case "later":
                account.move(event_id, appointment.start + timedelta(hours=1))
            case "tomorrow":
                account.move(event_id, appointment.start + timedelta(days=1))
            case "decline":
                account.set_response(event_id, "declined")
            case "accept":
                account.set_response(event_id, "accepted")
            case "cancel":
                account.cancel(event_id)
            case "restore":
                account.restore(event_id)
            case _:
                raise PlayError("Nobody can do that to a meeting.")
        return _told(f"{appointment.title}: done. The bot follows within seconds.")

    def _lose(self, form: Form) -> str:
        count = _number(form, "count", most=LOST_MAX)
        with self._recall.core.lock:
            self._recall.webhooks.lose(count)
        return _told(f"The next {count} webhooks never arrive; the tick finds what they told.")

    def _break_or_mend(self, form: Form) -> str:
        down = form.get("state") == "down"
        self._recall.outage = OUTAGE if down else None
        return _told("Recall is down." if down else "Recall is up again.")

    def _end_call(self, form: Form) -> str:
        bot_id = form.get("bot", "")
        states = {bot.bot_id: bot.state for bot in self._recall.live_bots()}
        if states.get(bot_id, "ready") == "ready":
            raise PlayError("That bot is in no call yet, or no longer.")
        with self._recall.core.lock:
            self._recall.fleet.kick(bot_id)
        return _told("Somebody removed the bot from the call.")

    def _jump(self, form: Form) -> str:
        minutes = _number(form, "minutes", most=JUMP_MAX)
        self._clock.advance(timedelta(minutes=minutes))
        return _told("The clock was put forward. What came due meanwhile happens now.")

    def _account(self, form: Form) -> Account:
        platform, _, email = form.get("account", "").partition(" ")
        account = self._recall.core.accounts.get((platform, email))
        if account is None:
            raise PlayError("Nobody has that account.")
        return account


def play_page(play: Play | None) -> Page:
    """Where something real is used there is nothing to play with."""
    return _nothing_to_play if play is None else play.answer


def _nothing_to_play(request: Request) -> Response:
    del request
    return Response("Recall or a provider is a real one here.", status=404)


def _is_ours(request: Request) -> bool:
    """Loopback by name, so that neither a tunnel nor a name that leads here gets in."""
    if urlsplit(f"//{request.host}").hostname not in {name.strip("[]") for name in LOOPBACK}:
        return False
    origin = request.headers.get("Origin")
    return request.method == "GET" or origin in {None, f"http://{request.host}"}


def _see_other(location: str) -> Response:
    return Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})


def _told(sentence: str) -> str:
    return f"{PATH}?{urlencode({'done': sentence}, quote_via=quote)}"


def _meeting(stored: Stored, bots: list[LiveBot]) -> Shown:
    appointment = stored.appointment
    return Shown(
        event_id=appointment.id,
        title=appointment.title,
        start=appointment.start,
        answer=appointment.answer,
        cancelled=appointment.cancelled,
        link=appointment.link,
        # A series meets in one room again and again.
        bots=sum(
            bot.meeting_url == appointment.link and abs(bot.join_at - appointment.start) < NEAR
            for bot in bots
        ),
    )


def _start(stored: Stored) -> datetime:
    return stored.appointment.start


def _platform(form: Form) -> Platform:
    try:
        return Platform(form.get("platform", ""))
    except ValueError as error:
        raise PlayError("Choose Google or Microsoft.") from error


def _text(form: Form, name: str) -> str:
    text = form.get(name, "").strip()[:TEXT_MAX]
    if not text:
        raise PlayError(f"Fill in {name}.")
    return text


def _number(form: Form, name: str, *, most: int = MINUTES_MAX) -> int:
    text = form.get(name, "")
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= most):
        raise PlayError(f"{name} is a number from 1 to {most}.")
    return int(text)
