"""What must hold, told a second time: from the rules as written, and from nothing of the code.

Takes plain facts about the world and says which bot each real meeting should have. Nothing here
imports the project, so a mistake in one is a disagreement with the other. Standard library only.
"""

from tests.simulation.oracle.checks import always, at_rest, explain
from tests.simulation.oracle.facts import (
    BotFact,
    BotWish,
    CalendarFact,
    CopyFact,
    CopyVerdict,
    MeetingFact,
    MeetingKey,
    WordFact,
    WorldFacts,
)
from tests.simulation.oracle.meetings import wanted
from tests.simulation.oracle.rooms import room_of

__all__ = [
    "BotFact",
    "BotWish",
    "CalendarFact",
    "CopyFact",
    "CopyVerdict",
    "MeetingFact",
    "MeetingKey",
    "WordFact",
    "WorldFacts",
    "always",
    "at_rest",
    "explain",
    "room_of",
    "wanted",
]
