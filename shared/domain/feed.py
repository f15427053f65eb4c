"""The feed: how far the changes of a workspace have been seen, and when to look again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

OVERLAP = timedelta(seconds=120)
CLOCK_MARGIN = timedelta(seconds=5)
SWEEP_GAP = timedelta(seconds=2)
STORM_GAP = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSweep:
    """A sweep whose pages did not fit in one run; it goes on at `next_page`.

    `rung`: a doorbell was heard meanwhile, which the pages read before may not answer.
    """

    next_page: str
    started_at: datetime
    list_started: datetime
    rung: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Row "feed" of the Workspace table.

    `cursor` is in Recall's clock (None: never swept), `swept_at` in ours: the start of the last
    completed sweep. `refused`: Recall refused a List without calendar_id.
    """

    cursor: datetime | None = None
    swept_at: datetime | None = None
    open: OpenSweep | None = None
    refused: bool = False


def cursor_after(list_started: datetime) -> datetime:
    """Rows commit out of order, so the next List overlaps this one."""
    return list_started - OVERLAP


def covered(received_at: datetime, *, swept_at: datetime | None) -> bool:
    """A doorbell heard before the last completed sweep began has been answered by it.

    The two moments come from different clocks, hence the margin.
    """
    return swept_at is not None and received_at < swept_at - CLOCK_MARGIN


def next_sweep_at(swept_at: datetime | None, *, crowded: bool) -> datetime | None:
    """When the next sweep may start: soon, or later while doorbells come in crowds."""
    if swept_at is None:
        return None
    return swept_at + (STORM_GAP if crowded else SWEEP_GAP)
