"""Operations on bots made without calendar events, and on dispatched bots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from infra.local.emulators.http import Response
from infra.local.emulators.recall.answers import field_errors, json_answer, refusal, unconfirmed
from infra.local.emulators.recall.contract import Ask
from infra.local.emulators.recall.core import Core
from infra.local.emulators.recall.events_api import OLD_FIELDS, pool_empty
from infra.local.emulators.recall.fleet import Fleet, PoolEmptyError
from infra.local.emulators.recall.links import link_of
from infra.local.emulators.recall.pages import page_of
from infra.local.emulators.recall.records import WARM_UP, Bot
from infra.local.emulators.recall.times import parse_time, stamp

_FINISHED = frozenset({"call_ended", "done", "fatal"})


class BotsApi:
    """Create, list, read, patch, delete, leave_call, with the ten-minute rules."""

    def __init__(self, core: Core, *, fleet: Fleet) -> None:
        self._core = core
        self._fleet = fleet

    def create(self, ask: Ask) -> Response:
        config = dict(ask.body)
        url = config.pop("meeting_url")
        join_at = config.pop("join_at", None)
        if refused := _bad_config(config, url=url):
            return refused
        try:
            bot = self._fleet.create(
                config,
                meeting_url=url,
                join_at=parse_time(join_at) if join_at else self._core.now(),
                key=None,
            )
        except PoolEmptyError:
            return pool_empty(self._core)
        return json_answer(201, self._shown(bot))

    def page(self, ask: Ask, *, url: str) -> Response:
        rows = [bot for bot in self._core.bots.values() if self._matches(bot, ask)]
        if "use_cursor" in ask.query or "cursor" in ask.query:
            return self._cursor_page(rows, ask, url=url)
        rows.sort(key=lambda bot: (bot.created_at, bot.id), reverse=True)
        size = self._core.switches.bots_page_size
        page = ask.query.get("page", 1)
        shown = rows[(page - 1) * size : page * size]
        if page > 1 and not shown:
            return unconfirmed(self._core.switches, 404, code="not_found")
        body = {
            "count": len(rows),
            "next": _page_link(url, page + 1) if page * size < len(rows) else None,
            "previous": _page_link(url, page - 1) if page > 1 else None,
            "results": [self._shown(bot) for bot in shown],
        }
        return json_answer(200, body)

    def read(self, ask: Ask) -> Response:
        bot = self._find(ask)
        return json_answer(200, self._shown(bot)) if bot else self._unknown()

    def patch(self, ask: Ask) -> Response:
        bot = self._find(ask)
        if bot is None:
            return self._unknown()
        changes = dict(ask.body)
        if refused := self._patch_refused(bot, changes):
            return refused
        url = changes.pop("meeting_url", bot.meeting_url)
        if refused := _bad_config(changes, url=url):
            return refused
        bot.meeting_url = url
        if join_at := changes.pop("join_at", None):
            self._fleet.reschedule(bot, parse_time(join_at))
        bot.config |= changes
        return json_answer(200, self._shown(bot))

    def delete(self, ask: Ask) -> Response:
        bot = self._find(ask)
        if bot is None:
            return self._unknown()
        switches = self._core.switches
        late = bot.join_at - self._core.now() <= WARM_UP
        of_event = bot.key is not None
        if not bot.waiting or late or (of_event and switches.delete_event_bot == "refused"):
            return refusal(switches.late_delete_status, "cannot_delete_bot")
        self._fleet.remove(bot)
        if of_event and switches.delete_event_bot == "clean":
            self._forget(bot)
        return Response(status=204)

    def leave_call(self, ask: Ask) -> Response:
        bot = self._find(ask)
        if bot is None:
            return self._unknown()
        if bot.state in _FINISHED:
            return refusal(400, "cannot_command_completed_bot")
        far = bot.join_at - self._core.now() > WARM_UP
        if bot.waiting and (far or self._core.switches.leave_before_join == "refused"):
            return refusal(400, "cannot_command_unstarted_bot")
        self._fleet.leave_call(bot)
        return json_answer(200, self._shown(bot))

    def _forget(self, bot: Bot) -> None:
        for event_id in bot.events:
            if event := self._core.events.get(event_id):
                event.bots = [entry for entry in event.bots if entry.bot_id != bot.id]
                event.touch()

    def _patch_refused(self, bot: Bot, changes: Mapping[str, Any]) -> Response | None:
        now = self._core.now()
        if bot.key is not None and self._core.switches.patch_event_bot == "refused":
            return refusal(400, "update_bot_failed", detail="The bot belongs to an event.")
        if not bot.waiting:
            return refusal(400, "update_bot_failed", detail="The bot was already sent.")
        near = bot.join_at - now <= WARM_UP
        if near and self._core.switches.late_patch == "refused":
            return refusal(400, "update_bot_failed", detail="Not enough time.")
        if "join_at" not in changes:
            return None
        wanted = changes["join_at"]
        if near or wanted is None or parse_time(wanted) - now <= WARM_UP:
            return refusal(400, "update_bot_failed", detail="Not enough time.")
        return None

    def _matches(self, bot: Bot, ask: Ask) -> bool:
        query = ask.query
        join_at = bot.join_at if bot.waiting else None
        metadata = bot.config.get("metadata") or {}
        link = link_of(bot.meeting_url)
        return (
            not bot.deleted
            and _within(
                join_at, after=query.get("join_at_after"), before=query.get("join_at_before")
            )
            and query.get("meeting_url") in {None, bot.meeting_url}
            and ("status" not in query or bot.state in query["status"])
            and ("platform" not in query or (link and link.platform) in query["platform"])
            and all(metadata.get(name) == value for name, value in ask.labels.items())
        )

    def _cursor_page(self, rows: list[Bot], ask: Ask, *, url: str) -> Response:
        found = page_of(
            rows,
            key=lambda bot: (stamp(bot.created_at), bot.id),
            size=self._core.switches.bots_page_size,
            url=url,
            cursor=ask.query.get("cursor"),
        )
        results = [self._shown(bot) for bot in found.rows]
        body = {"next": found.next, "previous": found.previous, "results": results}
        return json_answer(200, body)

    def _find(self, ask: Ask) -> Bot | None:
        bot = self._core.bots.get(ask.id)
        return bot if bot and not bot.deleted else None

    def _shown(self, bot: Bot) -> dict[str, Any]:
        return bot.shown(self._core.now())

    def _unknown(self) -> Response:
        return unconfirmed(self._core.switches, 404, code="not_found")


def _bad_config(config: Mapping[str, Any], *, url: str) -> Response | None:
    errors = {name: ["This field is not allowed."] for name in sorted(OLD_FIELDS & set(config))}
    if link_of(url) is None:
        errors["meeting_url"] = ["Not a link of a supported platform."]
    return field_errors(errors) if errors else None


def _within(moment: datetime | None, *, after: str | None, before: str | None) -> bool:
    if after is None and before is None:
        return True
    return (
        moment is not None
        and (after is None or moment >= parse_time(after))
        and (before is None or moment <= parse_time(before))
    )


def _page_link(url: str, page: int) -> str:
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "page"]
    query += [("page", str(page))] if page > 1 else []
    text = urlencode(query, quote_via=quote)
    return f"{parts.scheme}://{parts.netloc}{parts.path}" + (f"?{text}" if text else "")
