"""How far the rotation of a client secret has come: what its command notes and the pages show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from shared.domain.calendar import Platform
from shared.domain.moment import moment_text

# The command waits a quarter of an hour for whatever time heals, and says nothing meanwhile.
STALLED_AFTER: Final = timedelta(minutes=20)
LISTED_MAX: Final = 100


class Step(StrEnum):
    """What the walk is at; `WAITING`: functions may still hold the former secret."""

    STARTING = "starting"
    CALENDARS = "calendars"
    WAITING = "waiting"
    SECOND_LOOK = "second_look"
    CONNECTIONS = "connections"


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """How far the walk has come: a report in the Workspace table.

    `fingerprint` stands for the secret and cannot be turned back into it. All calendars up to
    the id `position` have been given the secret, `failed` (id to error code) excepted; `total` is
    how many there are. `written_at`: since when new calendars start with it; `stale_until`: until
    when a running function may give one the former. `connected`, and `lost` (id to reason, the
    first hundred), are those of the last look at what became of them.
    """

    fingerprint: str
    started_at: datetime
    written_at: datetime | None = None
    stale_until: datetime | None = None
    position: str = ""
    done: int = 0
    total: int | None = None
    failed: Mapping[str, str] = field(default_factory=dict)
    step: Step = Step.STARTING
    connected: int | None = None
    lost: Mapping[str, str] = field(default_factory=dict)
    moved_at: datetime | None = None
    finished_at: datetime | None = None

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> Self:
        """Reports of before there were steps have none."""
        return cls(
            fingerprint=report["fingerprint"],
            started_at=datetime.fromisoformat(report["started_at"]),
            written_at=_moment(report["written_at"]),
            stale_until=_moment(report.get("stale_until")),
            position=report["position"],
            done=int(report["done"]),
            total=_count(report.get("total")),
            failed=report["failed"],
            step=Step(report.get("step", Step.CALENDARS)),
            connected=_count(report.get("connected")),
            lost=report.get("lost", {}),
            moved_at=_moment(report.get("moved_at")),
            finished_at=_moment(report["finished_at"]),
        )

    def report(self) -> dict[str, Any]:
        return {
            "fingerprint": self.fingerprint,
            "started_at": moment_text(self.started_at),
            "written_at": _text(self.written_at),
            "stale_until": _text(self.stale_until),
            "position": self.position,
            "done": self.done,
            "total": self.total,
            "failed": dict(self.failed),
            "step": self.step.value,
            "connected": self.connected,
            "lost": dict(list(self.lost.items())[:LISTED_MAX]),
            "moved_at": _text(self.moved_at),
            "finished_at": _text(self.finished_at),
        }

    @property
    def given(self) -> int:
        """Calendars that have the new secret."""
        return max(self.done - len(self.failed), 0)

    def has_stalled(self, now: datetime) -> bool:
        """Unfinished, and silent for so long that the command can hardly run any more."""
        moved_at = self.moved_at or self.started_at
        return self.finished_at is None and now - moved_at > STALLED_AFTER


def rotation_name(platform: Platform, part: str) -> str:
    """Of a report in the Workspace table."""
    return f"rotation#{platform.value}#{part}"


WALKS: Final = {rotation_name(platform, "walk"): platform for platform in Platform}


def walks_from(reports: Mapping[str, Mapping[str, Any]]) -> dict[Platform, Walk]:
    """The last walk of each platform that ever had one, from reports by their names."""
    return {
        platform: Walk.from_report(reports[name])
        for name, platform in WALKS.items()
        if name in reports
    }


def _count(stored: Any) -> int | None:  # noqa: ANN401  DynamoDB has its own numbers
    return None if stored is None else int(stored)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment_text(moment)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
