"""What must hold once all is quiet, and what at every single step."""

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import combinations

from tests.simulation.oracle.facts import BotFact, BotWish, MeetingFact, WorldFacts
from tests.simulation.oracle.meetings import wanted
from tests.simulation.oracle.rooms import room_of

# A run may have read a row before the word, and act on it until its function's time is out.
IN_FLIGHT = timedelta(minutes=2)
# Reasons that take a bot out of its call, too; a changed rule does not.
LEAVING = (
    "denied.",
    "override.off",
    "vote.denied",
    "vote.veto",
    "ineligible.deleted",
    "ineligible.cancelled",
)


def at_rest(world: WorldFacts) -> list[str]:
    """Everything heard, everything done, nothing failing: what is wrong, one line each."""
    meetings = wanted(world)
    found = [line for meeting in meetings for line in _meeting_at_rest(world, meeting)]
    for bot in _live(world):
        served = [meeting for meeting in meetings if _serves(bot, meeting)]
        found += _overstayed(world, bot, served) if bot.state == "in_call" else _idle(bot, served)
    return found + _doubles(world, waiting=True) + _shared(world) + _against_words(world)


def always(world: WorldFacts) -> list[str]:
    """Never two bots for a meeting, never one for two tenants, none made against a word."""
    return _doubles(world, waiting=False) + _shared(world) + _against_words(world)


def _live(world: WorldFacts) -> list[BotFact]:
    return [bot for bot in world.bots if bot.state != "over"]


def _meeting_at_rest(world: WorldFacts, meeting: MeetingFact) -> list[str]:
    wish = meeting.bot
    if wish is None or not meeting.settled:
        return []
    begun = wish.start <= world.now
    there = [
        bot
        for bot in world.bots
        if _serves(bot, meeting) and _is_at(bot, wish) and (begun or bot.state != "over")
    ]
    if not there:
        return [f"missing: {_name(meeting)} has no bot"]
    if begun:
        return []
    # At one place may stand the bots of several meetings that do not share.
    events = {one.event_id for one in meeting.copies}
    its_own = [bot for bot in there if events & set(bot.event_ids)]
    return [line for bot in its_own or there for line in _wrong(world, bot, wish)]


def _serves(bot: BotFact, meeting: MeetingFact) -> bool:
    """By the events that name it; a direct bot also by its place, for its metadata may be old."""
    if any(one.event_id in bot.event_ids for one in meeting.copies):
        return True
    here = bot.direct and bot.tenant_id == meeting.key.tenant_id
    return here and meeting.bot is not None and _is_at(bot, meeting.bot)


def _is_at(bot: BotFact, wish: BotWish) -> bool:
    return _minute(bot.join_at) == _minute(wish.start) and room_of(bot.meeting_url) == room_of(
        wish.meeting_url
    )


def _wrong(world: WorldFacts, bot: BotFact, wish: BotWish) -> list[str]:
    found = []
    if bot.join_at != wish.start:
        found.append(f"mistimed: bot {bot.bot_id} joins at {bot.join_at}, not {wish.start}")
    if bot.meeting_url != wish.meeting_url:
        found.append(f"mislinked: bot {bot.bot_id} has {bot.meeting_url}, not {wish.meeting_url}")
    if bot.bot_name is not None and bot.bot_name != wish.bot_name:
        found.append(f"misnamed: bot {bot.bot_id} is {bot.bot_name!r}, not {wish.bot_name!r}")
    # Calendars that do not share have bots of their own at one place, each in its own way.
    elsewhere = bot.direct != (wish.scheduling == "self_managed")
    if elsewhere and not world.dedupe_changing:
        found.append(f"misplaced: bot {bot.bot_id} is not {wish.scheduling}")
    return found


def _idle(bot: BotFact, served: list[MeetingFact]) -> list[str]:
    """A bot that waits does so for a meeting, at its place."""
    if any(not meeting.settled for meeting in served):
        return []
    right = [meeting for meeting in served if meeting.bot and _is_at(bot, meeting.bot)]
    if right:
        return []
    if any(meeting.bot for meeting in served):
        return [f"mistimed: bot {bot.bot_id} waits for {bot.join_at} where no meeting is"]
    return [f"orphan: bot {bot.bot_id} waits for {bot.join_at}, and nobody wants it"]


def _overstayed(world: WorldFacts, bot: BotFact, served: list[MeetingFact]) -> list[str]:
    """A bot in its call leaves when the meeting is called off, and on a person's word.

    An answer is a person's word unless the rules asked for less when the call began.
    """
    if not served or any(meeting.unsettled == "changed a moment ago" for meeting in served):
        return []
    if any(meeting.bot or _minute(bot.join_at) != meeting.key.start for meeting in served):
        return []
    verdicts = [one for meeting in served for one in meeting.copies]
    reasons = {one.final_reason for one in verdicts if one.event_id in bot.event_ids}
    as_ruled = world.disturbed_at is not None and world.disturbed_at <= bot.join_at
    leaving = (*LEAVING, "rsvp") if as_ruled else LEAVING
    if reasons and all(reason.startswith(leaving) for reason in reasons):
        return [f"overstayed: bot {bot.bot_id} is in its call in spite of {sorted(reasons)}"]
    return []


def _doubles(world: WorldFacts, *, waiting: bool) -> list[str]:
    """Two live bots with one key, or in one room at one minute for one tenant.

    On the way from one key to the next, bots of both may wait for a moment: copies go over one
    by one, and a bot may follow its event's new link by itself. They never sit there together.
    """
    places: dict[tuple, list[BotFact]] = defaultdict(list)
    tenants = _tenants_of_events(world)
    for bot in _live(world):
        place = (room_of(bot.meeting_url), _minute(bot.join_at))
        places[_tenants(bot, tenants), *place].append(bot)
    if all(len(bots) == 1 for bots in places.values()):
        return []
    scopes = {
        one.event_id: meeting.key.scope for meeting in wanted(world) for one in meeting.copies
    }
    return [
        f"double: bots {one.bot_id} and {other.bot_id} wait for or sit in the same meeting"
        for bots in places.values()
        for one, other in combinations(bots, 2)
        if _share(one, other, scopes, changing=world.dedupe_changing)
        and (waiting or _is_double_now(one, other))
    ]


def _is_double_now(one: BotFact, other: BotFact) -> bool:
    same_key = one.deduplication_key is not None and (
        one.deduplication_key == other.deduplication_key
    )
    return same_key or (one.state == "in_call" and other.state == "in_call")


def _share(one: BotFact, other: BotFact, scopes: dict[str, str], *, changing: bool) -> bool:
    if one.deduplication_key is not None and one.deduplication_key == other.deduplication_key:
        return True
    if changing:
        return False
    mine = {scopes.get(event_id, "") for event_id in one.event_ids} or {""}
    return bool(mine & ({scopes.get(event_id, "") for event_id in other.event_ids} or {""}))


def _tenants_of_events(world: WorldFacts) -> dict[str, str]:
    """Without the events that Recall itself has moved over."""
    calendars = {one.calendar_id: one.tenant_id for one in world.calendars}
    return {
        copy.event_id: calendars[copy.calendar_id]
        for copy in world.copies
        if copy.calendar_id in calendars and not copy.transferred
    }


def _tenants(bot: BotFact, events: dict[str, str]) -> frozenset[str]:
    served = {events[event_id] for event_id in bot.event_ids if event_id in events}
    return frozenset(served | ({bot.tenant_id} if bot.tenant_id is not None else set()))


def _shared(world: WorldFacts) -> list[str]:
    events = _tenants_of_events(world)
    return [
        f"shared: bot {bot.bot_id} serves the tenants {sorted(tenants)}"
        for bot in _live(world)
        if len(tenants := _tenants(bot, events)) > 1
    ]


def _against_words(world: WorldFacts) -> list[str]:
    """A bot made for events that were all switched off well before it was made."""
    off = {
        word.event_id: word.at
        for word in world.words
        if word.event_id and word.at and word.choice in {"off", "opt_out"}
    }
    return [
        f"disobeyed: bot {bot.bot_id} was made at {bot.made_at}, after everybody said off"
        for bot in _live(world)
        if bot.made_at is not None
        and bot.event_ids
        and all(
            event_id in off and off[event_id] + IN_FLIGHT < bot.made_at
            for event_id in bot.event_ids
        )
    ]


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _name(meeting: MeetingFact) -> str:
    events = ", ".join(one.event_id for one in meeting.copies)
    return f"{meeting.key.tenant_id} {meeting.key.room} at {meeting.key.start} ({events})"


def explain(world: WorldFacts, event_id: str) -> str:
    """Everything the oracle holds of the meeting of one event, for a person to read."""
    for meeting in wanted(world):
        if any(one.event_id == event_id for one in meeting.copies):
            return "\n".join(_told(world, meeting))
    return f"{event_id}: no copy in a calendar that is known"


def _told(world: WorldFacts, meeting: MeetingFact) -> list[str]:
    events = {one.event_id for one in meeting.copies}
    lines = [f"now {world.now}: {_name(meeting)}", f"  verdict {meeting.verdict}"]
    lines += [f"  either is right: {meeting.unsettled}"] if meeting.unsettled else []
    for one in meeting.copies:
        own = f"{'join' if one.join else 'skip'} {one.reason}"
        final = f"{'join' if one.final_join else 'skip'} {one.final_reason}"
        lines.append(f"  copy {one.event_id} in {one.calendar_id} ({one.mode}): {own} -> {final}")
    lines.append(f"  should have {meeting.bot}" if meeting.bot else "  should have no bot")
    lines += [f"  has {bot}" for bot in world.bots if events & set(bot.event_ids)]
    return lines
