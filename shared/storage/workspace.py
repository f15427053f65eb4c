"""The Workspace table: the feed, the rate budgets, and the last reports."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from shared.domain.erasure import Erasure, Erasures
from shared.domain.feed import Feed, OpenSweep
from shared.domain.redecision import Owed, Place, Redecision
from shared.storage.attributes import MapOf, stored_moment
from shared.storage.errors import Conflict
from shared.storage.table import Table
from shared.storage.tables import WORKSPACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pynamodb.connection import Connection

FEED: Final = "feed"
RULES: Final = "rules"
ERASURES: Final = "erasures"


class WorkspaceRow(Model):
    """`name` is `feed`, `rules`, `erasures`, `budget#<endpoint>`, or the name of a report."""

    name = UnicodeAttribute(hash_key=True)
    document = MapOf()
    version = NumberAttribute(null=True)


class WorkspaceStore:
    """What exists once per workspace; see Table for what every method may raise."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._table = Table(WorkspaceRow, connection=connection, name=name, schema=WORKSPACE)

    def feed(self) -> Feed:
        row = self._table.get(FEED)
        return Feed() if row is None else feed_from(row.document)

    def save_feed(self, feed: Feed) -> None:
        """Without a condition: the queue lets only one sweep run at a time."""
        self._table.put(WorkspaceRow(name=FEED, document=_feed_map(feed)))

    def read_budget(self, endpoint: str) -> tuple[dict[int, int], int]:
        """Tokens spent per time slot, and the version to write with (0: never written)."""
        row = self._table.get(budget_name(endpoint))
        if row is None:
            return {}, 0
        return {int(slot): spent for slot, spent in row.document.items()}, int(row.version)

    def write_budget(self, endpoint: str, slots: Mapping[int, int], *, version: int) -> bool:
        """Writes unless somebody wrote since `version` was read; then False."""
        document = {str(slot): spent for slot, spent in slots.items()}
        return self._swap(budget_name(endpoint), document, version=version)

    def redecision(self) -> Redecision | None:
        """The last re-decision, finished or not; None when rules were never put."""
        row = self._table.get(RULES)
        return None if row is None else redecision_from(row.document, lock=int(row.version))

    def save_redecision(self, job: Redecision) -> bool:
        """Writes unless somebody wrote since `job` was read; then False."""
        return self._swap(RULES, _redecision_map(job), version=job.lock)

    def report(self, name: str) -> dict[str, Any] | None:
        row = self._table.get(name)
        return None if row is None else row.document

    def documents(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The rows of those names that exist, as they are stored, in one request."""
        return {row.name: row.document for row in self._table.get_many(names)}

    def put_report(self, name: str, report: dict[str, Any]) -> None:
        """Replaces the report: a JSON object of less than 400 KB."""
        self._table.put(WorkspaceRow(name=name, document=report))

    def erasures(self) -> Erasures:
        row = self._table.get(ERASURES)
        if row is None:
            return Erasures()
        waiting = tuple(_erasure(each) for each in row.document["waiting"])
        return Erasures(waiting=waiting, lock=int(row.version))

    def save_erasures(self, erasures: Erasures) -> bool:
        """Writes unless somebody wrote since they were read; then False."""
        document = {"waiting": [_erasure_map(each) for each in erasures.waiting]}
        return self._swap(ERASURES, document, version=erasures.lock)

    def _swap(self, name: str, document: dict[str, Any], *, version: int) -> bool:
        row = WorkspaceRow(name=name, document=document, version=version + 1)
        known = WorkspaceRow.version == version
        try:
            self._table.put(row, condition=known if version else WorkspaceRow.name.does_not_exist())
        except Conflict:
            return False
        return True


def budget_name(endpoint: str) -> str:
    return f"budget#{endpoint}"


def _feed_map(feed: Feed) -> dict[str, Any]:
    return {
        "cursor": _text(feed.cursor),
        "swept_at": _text(feed.swept_at),
        "open": None if feed.open is None else _open_map(feed.open),
        "refused": feed.refused,
    }


def feed_from(stored: dict[str, Any]) -> Feed:
    return Feed(
        cursor=_moment(stored["cursor"]),
        swept_at=_moment(stored["swept_at"]),
        open=None if stored["open"] is None else _open(stored["open"]),
        refused=stored["refused"],
    )


def _open_map(sweep: OpenSweep) -> dict[str, Any]:
    return {
        "next_page": sweep.next_page,
        "started_at": stored_moment(sweep.started_at),
        "list_started": stored_moment(sweep.list_started),
        "rung": sweep.rung,
    }


def _open(stored: dict[str, Any]) -> OpenSweep:
    return OpenSweep(
        next_page=stored["next_page"],
        started_at=datetime.fromisoformat(stored["started_at"]),
        list_started=datetime.fromisoformat(stored["list_started"]),
        rung=stored.get("rung", False),
    )


def _redecision_map(job: Redecision) -> dict[str, Any]:
    owed = {
        scope: {"before": each.before, "ready_at": stored_moment(each.ready_at)}
        for scope, each in job.owed.items()
    }
    return {
        "scope": job.scope,
        "version": job.version,
        "asked_by": job.asked_by,
        "started_at": stored_moment(job.started_at),
        "owed": owed,
        "place": None if job.place is None else asdict(job.place),
        "meetings_seen": job.meetings_seen,
        "meetings_changed": job.meetings_changed,
        "finished_at": _text(job.finished_at),
    }


def redecision_from(stored: dict[str, Any], *, lock: int = 0) -> Redecision:
    facts = {
        "started_at": datetime.fromisoformat(stored["started_at"]),
        "finished_at": _moment(stored["finished_at"]),
        "place": None if stored["place"] is None else Place(**stored["place"]),
        "owed": {scope: _owed(each) for scope, each in stored["owed"].items()},
    }
    return Redecision(**{**stored, **facts}, lock=lock)


def _erasure_map(erasure: Erasure) -> dict[str, Any]:
    return {**asdict(erasure), "asked_at": stored_moment(erasure.asked_at)}


def _erasure(stored: dict[str, Any]) -> Erasure:
    return Erasure(**{**stored, "asked_at": datetime.fromisoformat(stored["asked_at"])})


def _owed(stored: dict[str, Any]) -> Owed:
    return Owed(before=stored["before"], ready_at=datetime.fromisoformat(stored["ready_at"]))


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else stored_moment(moment)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
