"""The steps of the story, in order."""

from __future__ import annotations

from collections.abc import Callable

from infra.local.rules_scenes import RulesScenes as Scenes
from shared.domain.rules import Scheduling

Step = Callable[[Scenes], None]


_STEPS: tuple[tuple[str, Step], ...] = (
    ("Dana connects her Google calendar on the consent page", Scenes.connect_google),
    ("Sam connects his Outlook calendar", Scenes.connect_outlook),
    (
        "Bots are on the right meetings only, and every other says why not",
        Scenes.right_meetings_only,
    ),
    ("A meeting moves, and its bot with it", Scenes.move),
    ("Sam declines a meeting, and its bot goes", Scenes.decline),
    ("A meeting gets another room, and the bot goes there", Scenes.relink),
    ("A meeting is cancelled, and its bot vanishes", Scenes.cancel),
    ("Dana switches one bot off, and one on that the rules would not send", Scenes.override),
    ("New rules are shown first: what they change is what then happens", Scenes.change_rules),
    ("Two attendees vote, and the organizer's word is a veto", Scenes.vote),
    ("Every webhook is lost, and the tick repairs it", Scenes.lose_webhooks),
    ("Dana removes the app at Google: her bots go, her meetings stay readable", Scenes.revoke),
    ("Dana connects again: the same calendar, and every bot is back", Scenes.reconnect),
    ("The scheduling is switched over and back while bots wait", Scenes.switch_over),
    (
        "A sweep over an unchanged world costs one List call and nothing else",
        Scenes.unchanged_world,
    ),
    ("500 doorbells at once cost a handful of List calls", Scenes.storm),
    ("A calendar of 300 events is imported, nearest meeting first", Scenes.import_calendar),
    ("Robin is erased, bots and all", Scenes.erase),
    ("Nothing crashed, was refused or set aside", Scenes.nothing_amiss),
)
_OTHER_MODE: tuple[tuple[str, Step], ...] = (
    ("The product chooses to schedule its bots itself", Scenes.choose_mode),
)


def steps(mode: Scheduling) -> tuple[tuple[str, Step], ...]:
    """Managed scheduling is what holds where nobody chose."""
    return _STEPS if mode is Scheduling.MANAGED else _OTHER_MODE + _STEPS
