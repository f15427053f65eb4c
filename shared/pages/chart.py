"""Geometry of small bar charts; the template draws them as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 320.0
HEIGHT: Final = 64.0
GAP: Final = 2.0
SMALLEST: Final = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a bar stands for: `part` of the `whole` is the part that counts as good."""

    label: str
    whole: int
    part: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar and the filled part of it."""

    point: Point
    x: float
    y: float
    width: float
    height: float
    filled_y: float
    filled: float


def bars(points: Sequence[Point]) -> tuple[Bar, ...]:
    """From left to right, in one scale."""
    highest = max((point.whole for point in points), default=0) or 1
    width = (WIDTH - GAP * (len(points) - 1)) / max(len(points), 1)
    return tuple(
        _bar(point, x=place * (width + GAP), width=width, scale=HEIGHT / highest)
        for place, point in enumerate(points)
    )


def _bar(point: Point, *, x: float, width: float, scale: float) -> Bar:
    height = max(point.whole * scale, SMALLEST)
    filled = min(point.part * scale, height)
    return Bar(
        point=point,
        x=round(x, 2),
        y=round(HEIGHT - height, 2),
        width=round(width, 2),
        height=round(height, 2),
        filled_y=round(HEIGHT - filled, 2),
        filled=round(filled, 2),
    )
