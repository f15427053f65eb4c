"""Oracle and core answer alike, over events, rules and words by chance.

`python -m pytest tests/simulation/test_oracle_core.py -m full` asks 120,000 more.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from shared.domain.decision import REASONS
from shared.domain.room import room
from shared.domain.rules import BotSettings
from tests.simulation import test_oracle as hand
from tests.simulation.oracle import WorldFacts, explain, room_of, wanted
from tests.simulation.oracle_cases import world
from tests.simulation.oracle_core import Answered, decisions

WORLDS = 3_000
MANY = 120_000
# Said by the scheduler when Recall answers 402, not by the rules.
ELSEWHERE = {"budget"}


def oracle_answers(facts: WorldFacts) -> tuple[Answered, dict[frozenset[str], str | None]]:
    meetings = wanted(facts)
    answers = {
        each.event_id: (each.join, each.reason, each.final_join, each.final_reason)
        for meeting in meetings
        for each in meeting.copies
    }
    owners = {
        frozenset(each.event_id for each in meeting.copies): (
            meeting.bot.owner_event_id if meeting.bot else None
        )
        for meeting in meetings
    }
    return answers, owners


def agree(seed: int) -> Counter[str]:
    """The reasons that came up; fails with the explanation of the first copy in dispute."""
    facts = world(seed)
    core, core_owners = decisions(facts)
    mine, owners = oracle_answers(facts)
    for event_id, answer in core.items():
        assert mine[event_id] == answer, f"seed {seed}, core {answer}\n{explain(facts, event_id)}"
    assert owners == core_owners, f"seed {seed}"
    return Counter(reason for _, own, _, final in core.values() for reason in (own, final))


def test_the_oracle_knows_nothing_of_the_project() -> None:
    imported = set()
    for source in Path(__file__).with_name("oracle").glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    outside = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
    assert all(name.startswith("tests.simulation.oracle.") for name in outside)


def test_they_agree_and_no_reason_is_left_out() -> None:
    found = sum((agree(seed) for seed in range(WORLDS)), Counter())
    assert set(REASONS) - ELSEWHERE == set(found)


@pytest.mark.full
def test_they_agree_in_many_worlds() -> None:
    found = sum((agree(seed) for seed in range(WORLDS, WORLDS + MANY)), Counter())
    assert all(found[reason] > 100 for reason in set(REASONS) - ELSEWHERE), found


def test_they_know_the_same_rooms() -> None:
    links = [link for same in hand.SAME_ROOMS for link in same]
    core = {link: room(link) for link in links}
    disputed = [
        (one, another)
        for one in links
        for another in links
        if (room_of(one) == room_of(another)) != (core[one] == core[another])
    ]
    assert [] == disputed


@pytest.mark.parametrize("seed", range(200))
def test_they_name_bots_alike(seed: int) -> None:
    chance = Random(seed)
    pieces = ("{owner}", "{tenant}", "{title}", "Notes", " - ", " ", ": ", "'s")
    template = "".join(chance.choices(pieces, k=chance.randint(1, 5)))
    title = chance.choice(("Kick-off", "  two  words ", "{owner}", "x" * 130))
    copy = hand.copy(raw={"summary": title})
    if not template.strip():
        return
    (meeting,) = wanted(hand.ruled(copy, bot={"bot_name": template}))
    settings = BotSettings(bot_name=template)
    expected = settings.rendered(owner="owner", tenant="acme", title=title).bot_name
    assert expected == meeting.bot.bot_name
