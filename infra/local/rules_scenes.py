"""The steps about rules: changing them, voting, switching the scheduling over, erasing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.local.emulators.recall import LiveBot
from infra.local.scenes import CHANGE_LIMIT_SECONDS, HORIZON_HOURS, Appointment, Scenes
from infra.local.watch import check, side_of, until
from shared.domain.rules import Scheduling

SCOPE = "default"
TENANT = "default"
SWITCH_LIMIT_SECONDS = 60.0
INTERVIEWS = 8
# Recall has promised the bots of what starts within ten minutes; the rest is a margin.
PROMISED = timedelta(minutes=10)
STANDUP_IN = timedelta(minutes=9)


@dataclass(slots=True)
class Moments:
    """What every look at the bots found wrong while they went over."""

    promised: frozenset[str]
    looks: int = 0
    faults: set[str] = field(default_factory=set)

    def look(self, bots: list[LiveBot]) -> None:
        self.looks += 1
        rooms = Counter((bot.meeting_url, bot.join_at) for bot in bots)
        self.faults |= {
            f"{count} bots at {link}" for (link, _), count in rooms.items() if count > 1
        }
        self.faults |= {f"no bot at {link}" for link in self.promised - {link for link, _ in rooms}}


class RulesScenes(Scenes):
    """The story with rules: `mode` is how bots are scheduled at first."""

    def __init__(self, *given: Any, mode: Scheduling, **more: Any) -> None:  # noqa: ANN401
        super().__init__(*given, mode=mode, **more)
        self._rules: dict[str, object] = {}

    def choose_mode(self) -> None:
        self._rules = {"scheduling": self._mode, "horizon_hours": HORIZON_HOURS[self._mode]}
        self._backend.put_rules(SCOPE, self._rules)
        stored = self._backend.rules(SCOPE)
        check(stored["scheduling"] == self._mode, wanted=f"rules that say {self._mode}")
        self._tell(f"scheduling: {self._mode}, {HORIZON_HOURS[self._mode]} hours ahead")

    # ------------------------------------------------------------------ rules and votes

    def change_rules(self) -> None:
        self._watch.until_quiet()
        rules = {**self._rules, "exclude": {"keywords": ["planning"]}, "min_others": 0}
        before, costs = self._watch.all_bots(), self._watch.costs()
        foretold = self._backend.preview(SCOPE, rules)
        check(self._watch.all_bots() == before, wanted="a preview that changes nothing")
        comes, goes = _titles(foretold, "added"), _titles(foretold, "removed")
        check(
            (comes, goes) == ({"Focus time"}, {self._planning.title}),
            wanted=f"Focus time to be added and Planning removed, not {comes} and {goes}",
        )
        self._tell(f"foretold: {', '.join(comes)} gets a bot, {', '.join(goes)} loses its own")
        wanted = before - _rooms(foretold, "removed") | _rooms(foretold, "added")
        with self._rules_put(rules):
            took = self._until_bots(wanted)
            self._tell(f"as foretold, after {took:.1f} s")
        self._until_bots(before)
        reads = self._watch.costs().since(costs).full_read_lists
        check(reads == 0, wanted=f"no calendar that is read for it, not {reads} Lists")
        self.figures.add(
            "New rules until every bot fits", f"{took:.1f} s, no calendar read at Recall"
        )

    def vote(self) -> None:
        """Dana organizes the review and Sam attends; both are connected."""
        review = self._review
        self._override("sam", review.title, choice="off")
        self._until_reason("sam", review, reason="override.off")
        self._expect_bot(review)
        self._tell("one attendee's off is no veto")
        self._override("dana", review.title, choice="off")
        self._expect_none(review)
        self._override("sam", review.title, choice="auto")
        self._until_reason("sam", review, reason="vote.veto")
        self._tell(f"{review.title}: Sam reads vote.veto")
        self._override("dana", review.title, choice="auto")
        self._expect_bot(review)
        (account, event_id) = review.copies[1]
        account.set_response(event_id, "declined")
        self._until_reason("sam", review, reason="rsvp")
        self._expect_bot(review)
        with self._rules_put({**self._rules, "vote": "all_agree"}):
            self._expect_none(review)
            self._until_reason("dana", review, reason="vote.all_agree")
            account.set_response(event_id, "accepted")
            self._expect_bot(review)

    # ------------------------------------------------------------------ over to the other side

    def switch_over(self) -> None:
        """There and back; a meeting within ten minutes keeps the bot that it has."""
        standup = self._soon("Stand-up", "https://acme.zoom.us/j/9400000000")
        crowd = [self._interview(number) for number in range(INTERVIEWS)]
        for meeting in (standup, *crowd):
            self._until_bot(meeting)
        (promised,) = self._watch.bots(standup.link)
        other = next(side for side in Scheduling if side is not self._mode)
        for side in (other, self._mode):
            self._go_over(side, promised=promised)
        self._watch.until_quiet()

    def _go_over(self, side: Scheduling, *, promised: LiveBot) -> None:
        self._watch.until_quiet()
        before, costs = self._watch.all_bots(), self._watch.costs()
        moments = Moments(promised=frozenset({promised.meeting_url}))
        began = time.monotonic()
        with self._watch.at_every_moment(moments.look):
            self._backend.put_rules(SCOPE, {**self._rules, "scheduling": side})
            until(
                lambda: self._has_gone_over(before, side, but=promised),
                wanted=f"{len(before) - 1} bots on the side {side}",
                limit_seconds=SWITCH_LIMIT_SECONDS,
            )
            took = time.monotonic() - began
            self._watch.until_quiet()
        check(not moments.faults, wanted=f"no fault at any moment, but {moments.faults}")
        check(
            self._has_gone_over(before, side, but=promised), wanted="bots that stay on their side"
        )
        calls = self._watch.costs().since(costs).bot_calls
        self._tell(f"{len(before) - 1} bots now {side}; nothing doubled or lost in {calls} calls")
        self.figures.add(
            f"Switch of {len(before) - 1} bots to {side}",
            f"{took:.1f} s, {calls} bot calls; looked at {moments.looks} times",
        )

    def _has_gone_over(
        self, rooms: set[tuple[str, datetime]], side: Scheduling, *, but: LiveBot
    ) -> bool:
        bots = self._world.live_bots()
        sides = {side_of(bot) for bot in bots if bot.bot_id != but.bot_id}
        stands = [bot.bot_id for bot in bots if bot.meeting_url == but.meeting_url]
        seen = [(bot.meeting_url, bot.join_at) for bot in bots]
        return sides == {side} and stands == [but.bot_id] and sorted(seen) == sorted(rooms)

    # ------------------------------------------------------------------ the end of somebody

    def erase(self) -> None:
        links = {
            meeting["meeting_url"]
            for meeting in self._backend.meetings(self._calendars["robin"])
            if meeting["bot"] is not None
        }
        others = {room for room in self._watch.all_bots() if room[0] not in links}
        self._backend.erase(TENANT, "robin")
        took = until(
            lambda: self._watch.all_bots() == others,
            wanted="only the bots of the others",
            limit_seconds=SWITCH_LIMIT_SECONDS,
        )
        until(
            lambda: not self._backend.calendars_of("robin"),
            wanted="no calendar of Robin",
            limit_seconds=SWITCH_LIMIT_SECONDS,
        )
        self._tell(f"{len(links)} bots gone after {took:.1f} s, {len(others)} of others stay")

    # ------------------------------------------------------------------ what the steps are made of

    @contextmanager
    def _rules_put(self, rules: Mapping[str, object]) -> Iterator[None]:
        """Other rules for a while."""
        self._backend.put_rules(SCOPE, rules)
        yield
        self._backend.put_rules(SCOPE, self._rules)

    def _until_bots(self, wanted: set[tuple[str, datetime]]) -> float:
        return until(
            lambda: self._watch.all_bots() == wanted,
            wanted=f"{len(wanted)} bots, and these",
            limit_seconds=CHANGE_LIMIT_SECONDS,
        )

    def _until_bot(self, meeting: Appointment) -> None:
        until(
            lambda: self._watch.has_one_bot(meeting.link, meeting.start),
            wanted=f"one bot for {meeting.title}",
            limit_seconds=CHANGE_LIMIT_SECONDS,
        )

    def _until_reason(self, entity_id: str, meeting: Appointment, *, reason: str) -> None:
        until(
            lambda: self._reasons(entity_id)[meeting.title] == reason,
            wanted=f"{meeting.title}: {reason} for {entity_id}",
            limit_seconds=CHANGE_LIMIT_SECONDS,
        )

    def _soon(self, title: str, link: str) -> Appointment:
        start = (datetime.now(UTC) + STANDUP_IN).replace(second=0, microsecond=0)
        check(start - datetime.now(UTC) < PROMISED, wanted="a start within ten minutes")
        meeting = Appointment(title=title, link=link, start=start)
        self._place(meeting, self._dana)
        return meeting

    def _interview(self, number: int) -> Appointment:
        link = f"https://acme.zoom.us/j/941000000{number}"
        return self._both(f"Interview {number + 1}", link, hours=30 + number)


def _titles(preview: Mapping[str, Any], part: str) -> set[str]:
    return {meeting["title"] for meeting in preview[part]}


def _rooms(preview: Mapping[str, Any], part: str) -> set[tuple[str, datetime]]:
    return {
        (meeting["meeting_url"], datetime.fromisoformat(meeting["start_time"]))
        for meeting in preview[part]
    }
