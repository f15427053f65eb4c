"""At rest: what the book says against what the emulated Recall and the API have."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from infra.local.emulators.recall import RecallWorld
from infra.local.emulators.recall.contract import published
from tests.load.book import Book, Meeting
from tests.load.ledger import Bots, Ledger, is_feed_list
from tests.load.people import Crowd

# A bot may join so much later than its meeting begins.
JOIN_DELAY = timedelta(seconds=15)
IN_CALL = frozenset({"joining_call", "in_waiting_room", "in_call_recording"})
PAGE = 100
SHOWN_MAX = 5


@dataclass(slots=True)
class Verdict:
    """`lost`: meetings without their bot, webhooks that nothing answered; the rest is wrong."""

    lost: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.lost and not self.violations


def meetings_against_bots(book: Book, bots: Bots, *, now: datetime) -> Verdict:
    """Every wanted meeting has exactly one bot at the right time, nothing else has any."""
    verdict = Verdict()
    wanted = {meeting.link: meeting for meeting in book.wanted()}
    for link, meeting in wanted.items():
        found = bots.get(link, [])
        if not found:
            verdict.lost.append(f"no bot for {_told(meeting)}")
        elif len(found) > 1:
            verdict.violations.append(f"{len(found)} bots for {_told(meeting)}")
        elif not _right(meeting, *found[0], now=now):
            verdict.violations.append(f"{_told(meeting)} has a bot at {found[0]}")
    for link, found in bots.items():
        if found and link not in wanted:
            verdict.violations.append(f"{len(found)} bots for the unwanted {link}")
    return verdict


def _right(meeting: Meeting, join_at: datetime, state: str, *, now: datetime) -> bool:
    if meeting.start > now - JOIN_DELAY and state == "ready":
        return join_at == meeting.start
    return state in IN_CALL and meeting.start <= join_at <= meeting.start + JOIN_DELAY


def _told(meeting: Meeting) -> str:
    people = ", ".join(person.entity_id for person, _ in meeting.copies)
    return f"{meeting.link} at {meeting.start:%d %b %H:%M} ({people}, {meeting.choice})"


def api_against_bots(crowd: Crowd, world: RecallWorld) -> list[str]:
    """The bots that the API names are those that Recall has, calendar by calendar."""
    wrong = []
    for person in crowd.idle_connected():
        with world.core.lock:
            there = {
                bot.bot_id for bot in world.live_bots() if person.calendar_id in bot.calendar_ids
            }
        named = _named_bots(crowd, person.calendar_id)
        if named != there:
            wrong.append(f"the API names {len(named - there)} bots of {person.entity_id} that are "
                         f"not there, and leaves out {len(there - named)}")  # fmt: skip
    return wrong


def _named_bots(crowd: Crowd, calendar_id: str) -> set[str]:
    found: set[str] = set()
    query = {"limit": str(PAGE)}
    while True:
        path = f"/v1/calendars/{calendar_id}/meetings"
        answer = crowd.ask("GET /v1/calendars/{calendar_id}/meetings", path, query=query)
        found |= {
            meeting["bot"]["bot_id"]
            for meeting in answer.body["items"]
            if meeting["bot"]
            and meeting["bot"]["bot_id"]
            and meeting["bot"]["state"] != "cancelled"
        }
        if answer.body["next_cursor"] is None:
            return found
        query["cursor"] = answer.body["next_cursor"]


def webhooks_without_sweep(world: RecallWorld) -> int:
    """Accepted doorbells after which no List of the feed has succeeded."""
    lists = [call.at for call in list(world.calls) if is_feed_list(call) and call.status == 200]
    last = max(lists, default=None)
    return sum(
        1
        for message in list(world.webhooks.messages)
        for at, status in message.attempts
        if message.event == "calendar.sync_events"
        and 200 <= status < 300
        and (last is None or at > last)
    )


def over_budget(most: Counter[str]) -> list[str]:
    """Endpoints that were called more often in some 60 s than Recall publishes."""
    limits = published().limits()
    return [
        f"{name}: {count} calls in 60 s, {limits[name]} are allowed"
        for name, count in most.items()
        if count > limits[name]
    ]


def throttled(world: RecallWorld, *, broken: int) -> list[str]:
    """Calls that Recall itself found too many; `broken`: those that the plan answered so."""
    found = answers_of_recall(world)["429"] - broken
    return [f"{found} calls that Recall throttled"] if found else []


def answers_of_recall(world: RecallWorld) -> Counter[str]:
    """Calls by status, those that the plan broke included."""
    return Counter(str(call.status) for call in list(world.calls))


def shown(lines: list[str]) -> list[str]:
    """The first few, and how many more there are."""
    more = len(lines) - SHOWN_MAX
    return [*lines[:SHOWN_MAX], *([f"... and {more} more"] if more > 0 else [])]


def during(ledger: Ledger) -> list[str]:
    """What was wrong at some moment of the run."""
    doubles = sorted(ledger.doubles)
    forbidden = [f"{count} x {what}" for what, count in sorted(ledger.requests.forbidden.items())]
    return [*(f"two bots at a time for {link}" for link in doubles), *forbidden]
