"""Rows that were read before: PynamoDB takes its time, and most rows are read often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest import mock

from pynamodb.models import Model

from shared.storage import calendars, meetings, settings, workspace
from tests.simulation.dynamo import Shown

# What the stores make of their rows cannot be changed, and so may be everybody's.
READERS: Final = ((meetings, "_meeting"), (calendars, "_calendar"))
# Of some a store hands out the document; test_readings.py sees that nobody changes it.
MODELS: Final = frozenset(
    {
        calendars.CalendarRow,
        meetings.MeetingRow,
        settings.AnyRow,
        settings.SettingsRow,
        workspace.WorkspaceRow,
    }
)


@contextmanager
def remembered() -> Iterator[None]:
    """Meanwhile a row of these is read once, until it is written again."""
    with ExitStack() as stack:
        first = vars(Model)["from_raw_data"].__func__
        reading = classmethod(_row_once(first))
        stack.enter_context(mock.patch.object(Model, "from_raw_data", reading))
        for module, name in READERS:
            converting = _value_once(getattr(module, name))
            stack.enter_context(mock.patch.object(module, name, converting))
        yield


def _row_once(first: Callable[..., Model]) -> Callable[..., Model]:
    def from_raw_data(model: type[Model], data: dict[str, Any]) -> Model:
        if model not in MODELS or not isinstance(data, Shown):
            return first(model, data)
        row: Model | None = data.memo.get(model)
        if row is None:
            row = data.memo[model] = first(model, data)
        return row

    return from_raw_data


def _value_once(convert: Callable[[Model], Any]) -> Callable[[Model], Any]:
    def converted(row: Model) -> Any:
        known = vars(row)
        if "value" not in known:
            known["value"] = convert(row)
        return known["value"]

    return converted
