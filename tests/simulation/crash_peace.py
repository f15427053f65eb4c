"""When a world that was struck is the world that was not: then the rest of its way is known.

A picture of a world holds all rows, all that Recall has, and what is still to come of itself, but
not the instants at which things were written, counters of versions, budgets, what answers repeated
requests, and the ids that chance gave. Two worlds of one scene with the same picture at the same
time go on in the same way; what a process remembers by itself is not in it.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from infra.local.emulators.recall.records import Bot, Calendar, Event
from tests.simulation.people import Cast
from tests.simulation.world import World

# Budgets, reports and answers to repeated requests hold for a while and decide nothing.
LASTING: Final = frozenset({"feed", "rules"})
REPEATS: Final = "idempotency_table"
PASSING: Final = frozenset(
    {
        "asked_by", "claim_id", "claimed_at", "created_at", "cursor", "finished_at",
        "intended_at", "keyed_at", "meetings_changed", "meetings_seen",
        "set_at", "started_at", "swept_at", "updated_at", "version",
    }
)  # fmt: skip


def picture(world: World, cast: Cast) -> str | None:
    """None while anything is under way."""
    if is_under_way(world, cast):
        return None
    recall, core = world.recall, world.recall.core
    shown = {
        "rows": _rows(world),
        "calendars": list(map(_calendar, recall.calendars.values())),
        "events": list(map(_event, recall.events.values())),
        "bots": [_bot(bot) for bot in recall.bots.values() if not bot.deleted],
        "next": str(core.agenda.next_due()),
        "dead": len(world.queue.dead),
        "said": [cast.rules, cast.words, sorted(cast.opted_out)],
        "told": [person.calendar_id for person in cast.people],
        "wrong": world.violations,
    }
    names = _names(world)
    ids = re.compile("|".join(map(re.escape, names)) or "(?!)")
    lines = [line for part, lines in shown.items() for line in _lines(part, lines)]
    return "\n".join(sorted(ids.sub(lambda found: names[found[0]], line) for line in lines))


def is_under_way(world: World, cast: Cast) -> bool:
    recall = world.recall
    return bool(
        cast.pending
        or world.queue.messages
        or any(process.busy for pool in world._pools.values() for process in pool)
        or any(message.state == "pending" for message in recall.webhooks.messages)
        or any(calendar.sync_due for calendar in recall.calendars.values())
        or recall.core._news
    )


def _lines(part: str, content: Any) -> list[str]:
    each = content if isinstance(content, list) else [content]
    return [json.dumps([part, one], sort_keys=True, default=str) for one in each]


def _names(world: World) -> dict[str, str]:
    """Ids that chance gave, to what they are the ids of."""
    recall = world.recall
    calendars = sorted(recall.calendars.values(), key=lambda each: each.created_at)
    names = {each.id: f"{each.platform_email} {at}" for at, each in enumerate(calendars)}
    names |= {each.id: f"event {each.platform_id}" for each in recall.events.values()}
    claims = world.dynamo.rows(world.environment["CLAIMS_TABLE"])
    names |= {row["idempotency_key"]["S"]: f"claim {key}" for key, row in claims.items()}
    return names | {bot.id: _bot_name(bot) for bot in recall.bots.values() if not bot.deleted}


def _bot_name(bot: Bot) -> str:
    return f"bot {bot.key} {bot.meeting_url} {bot.join_at} {bot.state}"


def _rows(world: World) -> list[str]:
    found = []
    for variable, name in world.environment.items():
        if not variable.endswith("_TABLE") or name == REPEATS:
            continue
        for key, row in world.dynamo.rows(name).items():
            if variable != "WORKSPACE_TABLE" or key in LASTING:
                found.append(json.dumps([name, _lasting(row)], sort_keys=True, default=str))
    return found


def _lasting(value: Any) -> Any:
    match value:
        case dict():
            return {name: _lasting(each) for name, each in value.items() if name not in PASSING}
        case list():
            return [_lasting(each) for each in value]
        case _:
            return value


def _calendar(calendar: Calendar) -> str:
    shown = [calendar.id, calendar.status, calendar.platform_email, dict(calendar.metadata)]
    return json.dumps(shown, default=str)


def _event(event: Event) -> str:
    body = json.loads(event.shown())
    return json.dumps(_lasting(body), sort_keys=True)


def _bot(bot: Bot) -> str:
    return json.dumps([bot.id, sorted(bot.events), bot.config], sort_keys=True, default=str)
