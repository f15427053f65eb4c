"""`make bench`: measures what the documents quote, prints a table, writes build/bench.json."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

from moto import mock_aws

from functions.webhooks.svix_library import webhook_class
from shared.domain.calendar import CalendarStatus
from shared.domain.consider import reconsidered, wish_for
from shared.domain.decision import Circumstances, decide
from shared.domain.event import Answer, Event, EventBot
from shared.domain.meeting import Assignment, Meeting
from shared.domain.rules import Choice, Rules, rules_in_force
from shared.domain.scope import Scope
from shared.flows.neighbours import Neighbours
from shared.flows.observe import Observer
from shared.flows.preview import Previewer
from shared.flows.redecide import Redecider
from shared.flows.rules import RulesDoors, RulesPut, put_rules
from shared.observability import Log
from shared.recall.parse import parse_event
from tests.stack import GOOGLE, START, WEBHOOK_SECRET, Stack
from tests.unit import core_values as values

ROOT = Path(__file__).parents[2]
PAYLOADS = sorted((ROOT / "tests" / "payloads" / "events").glob("*.json"))
REPORT = ROOT / "build" / "bench.json"
ROUNDS = 5
FUNCTIONS = ("authorizer", "webhooks", "oauth", "calendars", "scheduler", "reconciler")

MANY_RULES = {
    "base": "external",
    "internal_domains": ["acme.example", "*.acme.example", "northwind.example"],
    "include": {"keywords": ["kickoff", "qbr"], "domains": ["globex.example"]},
    "exclude": {
        "keywords": ["standup", "1:1", "all hands", "lunch*", "interview"],
        "people": ["coach@acme.example", "works.council@acme.example"],
        "domains": ["vendor.example"],
    },
    "deny": {"keywords": ["salary", "legal*"], "domains": ["law.example", "*.gov.example"]},
    "attendees": {"max": 50},
    "duration_minutes": {"min": 10, "max": 240},
    "hours": [{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "18:00"}],
}

Figure = tuple[str, float, str]


def main() -> None:
    figures: list[Figure] = []
    for measure in (
        decisions,
        parsing,
        signatures,
        imports,
        an_import,
        a_storm,
        new_rules,
        a_preview,
    ):
        # What the handlers log and count goes to the same stream as the table.
        with redirect_stdout(StringIO()):
            measured = measure()
        for figure in measured:
            figures.append(figure)
            name, value, unit = figure
            print(f"{name:<52} {value:>12,.1f} {unit}", flush=True)
    REPORT.parent.mkdir(exist_ok=True)
    report = {name: {"value": value, "unit": unit} for name, value, unit in figures}
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {REPORT.relative_to(ROOT)}")


def decisions() -> list[Figure]:
    """By the defaults, and by rules that ask something in every dimension."""
    events = _events()
    rates = [_decision_rate(events, rules) for rules in (Rules(), rules_in_force(MANY_RULES))]
    return [
        ("decisions by the default rules, one core", rates[0], "events/s"),
        ("decisions by rules of every kind, one core", rates[1], "events/s"),
    ]


def _decision_rate(events: list[Event], rules: Rules) -> float:
    circumstances = Circumstances(
        rules=rules,
        override=Choice.AUTO,
        status=CalendarStatus.CONNECTED,
        now=datetime(2027, 3, 1, tzinfo=UTC),
        owner_email="owner@acme.example",
    )
    seconds = _median(lambda: [decide(e, circumstances) for _ in range(500) for e in events])
    return 500 * len(events) / seconds


def parsing() -> list[Figure]:
    documents = [json.loads(path.read_text()) for path in PAYLOADS]
    seconds = _median(lambda: [parse_event(d) for _ in range(50) for d in documents])
    return [("events parsed, one core", 50 * len(documents) / seconds, "events/s")]


def signatures() -> list[Figure]:
    verifier = webhook_class()(WEBHOOK_SECRET)
    now = datetime.now(UTC)
    body = '{"event":"calendar.update","data":{"calendar_id":"c"}}'
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": verifier.sign("msg_1", now, body),
    }
    seconds = _median(lambda: [verifier.verify(body, headers) for _ in range(2_000)])
    return [("signature verified", seconds / 2_000 * 1e6, "microseconds")]


def imports() -> list[Figure]:
    """A fresh interpreter each time: what a cold start spends on importing."""
    return [
        (
            f"import functions.{name}.app",
            _median(lambda name=name: _import(name)) * 1_000,
            "ms with the interpreter",
        )
        for name in FUNCTIONS
    ]


def an_import() -> list[Figure]:
    """300 events of a new calendar, 100 of them wanted, over the emulated Recall."""
    with mock_aws():
        stack = Stack()
        _fill(stack, 300)
        began = time.perf_counter()
        stack.connect()
        while len(stack.recall.live_bots()) < 100:
            stack.run(0.5)
        seconds = time.perf_counter() - began
        lists = stack.recall.count("calendar_events_list")
        calls = stack.recall.count("calendar_events_bot_create")
    return [
        ("import of 300 events: List calls until the last bot", lists, "calls"),
        ("import of 300 events: bot calls for 100 wanted", calls, "calls"),
        ("import of 300 events: wall time in process", seconds, "s"),
    ]


def a_storm() -> list[Figure]:
    """500 doorbells over 50 s of virtual time."""
    with mock_aws():
        stack = Stack()
        calendar_id = stack.connect()
        stack.run(300)
        before = stack.recall.count("calendar_events_list")
        for number in range(500):
            stack.scheduler.queue.ring(
                received_at=stack.clock.now(), reason_id=f"b{number}", calendar_id=calendar_id
            )
            stack.run(0.1)
        stack.run(30)
        lists = stack.recall.count("calendar_events_list") - before
        left = len(stack.queue.messages) + len(stack.queue.dead)
    return [
        ("500 doorbells in 50 s: List calls", lists, "calls"),
        ("500 doorbells in 50 s: messages left or dead", left, "messages"),
    ]


def new_rules() -> list[Figure]:
    """Rules that change the decision on each second of 10,000 meetings with bots."""
    with mock_aws():
        stack = Stack()
        _store(stack, calendars=20, meetings=500)
        seconds = _put_and_walk(stack, {"rsvp": "accepted"})
        job = stack.stores.workspace.redecision()
        lists = stack.recall.count("calendar_events_list")
    return [
        ("rules for 10,000 meetings: decided anew", seconds, "s"),
        ("rules for 10,000 meetings: rows changed", job.meetings_changed, "meetings"),
        ("rules for 10,000 meetings: List calls", lists, "calls"),
    ]


def a_preview() -> list[Figure]:
    """Of 1,000 meetings with bots, half of which would lose them."""
    with mock_aws():
        stack = Stack()
        _store(stack, calendars=10, meetings=100)
        neighbours = Neighbours(stack.stores, clock=stack.clock.now)
        previewer = Previewer(stack.stores, neighbours)
        rules = {"rsvp": "accepted"}
        seconds = _median(lambda: previewer.preview(Scope("default"), rules, now=stack.clock.now()))
        removed = previewer.preview(Scope("default"), rules, now=stack.clock.now()).removed
    return [
        ("preview of 1,000 meetings", seconds, "s"),
        ("preview of 1,000 meetings: would lose their bot", len(removed), "meetings"),
    ]


def _put_and_walk(stack: Stack, rules: dict[str, object]) -> float:
    """Seconds for the walk, without the bot calls that it leaves owed."""
    stores, bus = stack.stores, stack.scheduler.doors.bus
    doors = RulesDoors(
        settings=stores.settings, workspace=stores.workspace, queue=stack.scheduler.queue
    )
    wanted = RulesPut(scope=Scope(), document=rules, by="bench")
    put_rules(doors, wanted, now=stack.clock.now(), unique="bench")
    log = Log("bench")
    observer = Observer(stores, bus, clock=stack.clock.now, log=log)
    redecider = Redecider(stores, observer, bus=bus, clock=stack.clock.now, log=log)
    began = time.perf_counter()
    assert not redecider.go_on(stack.clock.now() + timedelta(seconds=1))
    return time.perf_counter() - began


def _store(stack: Stack, *, calendars: int, meetings: int) -> None:
    """Rows as an import leaves them, of calendars that Recall need not know."""
    for number in range(calendars):
        calendar_id = f"calendar-{number}"
        stack.stores.calendars.add(values.calendar(calendar_id=calendar_id))
        for place in range(meetings):
            room = number * meetings + place
            stack.stores.meetings.save(_with_bot(calendar_id, place, room=room))


def _with_bot(calendar_id: str, place: int, *, room: int) -> Meeting:
    """A row whose bot is as it should be."""
    start = values.START + timedelta(minutes=place)
    url = f"https://zoom.us/j/{100_000_000 + room}"
    event = values.event(
        event_id=f"{calendar_id}-{place}",
        calendar_id=calendar_id,
        start=start,
        meeting_url=url,
        owner_answer=(Answer.NONE, Answer.ACCEPTED)[place % 2],
    )
    around = values.around(calendar=values.calendar(calendar_id=calendar_id))
    row = reconsidered(values.meeting(event=event), around)
    wish = wish_for(row, around)
    bot = EventBot(
        bot_id=f"bot-{event.event_id}",
        start=start,
        deduplication_key=wish.meeting_key,
        meeting_url=url,
    )
    assignment = Assignment(
        bot_id=bot.bot_id,
        deduplication_key=wish.meeting_key,
        fingerprint=wish.fingerprint,
        join_at=start,
    )
    return reconsidered(replace(row, bots=(bot,), assignment=assignment), around)


def _fill(stack: Stack, count: int) -> None:
    account = stack.recall.account(GOOGLE, "owner@acme.example")
    letters = str.maketrans("0123456789", "cdefghijkl")
    for number in range(count):
        account.add_event(
            f"Meeting {number}",
            start=START + timedelta(hours=1 + 2 * number),
            link=f"https://meet.google.com/aaa-{number:04d}-bbb".translate(letters),
            attendees=["guest@globex.example"] if number % 3 == 0 else [],
        )


def _events() -> list[Event]:
    return [parse_event(json.loads(path.read_text())).event for path in PAYLOADS]


def _import(name: str) -> None:
    subprocess.run([sys.executable, "-c", f"import functions.{name}.app"], cwd=ROOT, check=True)


def _median(work: Callable[[], object]) -> float:
    """Seconds, the median of a few rounds after one that does not count."""
    work()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


MEASURES = (
    decisions,
    parsing,
    signatures,
    imports,
    an_import,
    a_storm,
    new_rules,
    a_preview,
)

if __name__ == "__main__":
    main()
