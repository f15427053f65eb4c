"""The templates: always escaped, nothing undefined, every word from the one file of texts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from shared.domain.hours import local_time
from shared.pages.chart import bars
from shared.pages.static import address_of
from shared.pages.texts import TEXTS, because, text, words
from shared.pages.verdict import verdict_of, vote_of

OWN: Final = Path(__file__).parent / "templates"
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


class Kit:
    """Renders the kit's templates and those in `folders`."""

    def __init__(self, *folders: Path) -> None:
        self._templates = _environment((*folders, OWN))

    def render(self, template: str, **values: object) -> str:
        return self._templates.get_template(template).render(values)


def _environment(folders: Iterable[Path]) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([str(folder) for folder in folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(
        {"t": text, "words": words, "because": because, "static": address_of, "bars": bars}
    )
    environment.globals.update(verdict_of=verdict_of, vote_of=vote_of)
    environment.tests["text_key"] = TEXTS.__contains__
    environment.filters.update({"moment": moment, "clock": clock, "day": day, "span": span})
    environment.filters.update({"clock_in": clock_in, "date": date_text})
    return environment


def moment(when: datetime) -> Markup:
    """Day and time in UTC; the script shows the viewer's own zone."""
    return _time(when, when.astimezone(UTC).strftime("%a %-d %b %H:%M UTC"), show="moment")


def clock(when: datetime) -> Markup:
    return _time(when, when.astimezone(UTC).strftime("%H:%M"), show="clock")


def day(when: datetime) -> Markup:
    """A UTC day, which says so where no script groups by the viewer's."""
    return _time(when, when.astimezone(UTC).strftime("%A, %-d %B UTC"), show="day")


def clock_in(when: datetime, zone: str | None) -> Markup:
    """The clock of a zone; the script shows the viewer's own, with the day where it is another."""
    there = local_time(when, zone=zone)
    stamp = when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" data-show="clock" data-day="{}">{}</time>').format(
        stamp, there.date().isoformat(), there.strftime("%H:%M")
    )


def date_text(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B}"


def span(length: timedelta | float) -> str:
    """A length of time in the largest unit that fits: `45 s`, `12 min`, `3 h`, `2 days`."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    for unit, size in (("span.days", _DAY), ("span.hours", _HOUR), ("span.minutes", _MINUTE)):
        if seconds >= 2 * size or (seconds >= size and size != _DAY):
            return text(unit, count=round(seconds / size))
    return text("span.seconds", count=round(seconds))


def _time(when: datetime, shown: str, *, show: str) -> Markup:
    stamp = when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" data-show="{}">{}</time>').format(
        escape(stamp), show, escape(shown)
    )
