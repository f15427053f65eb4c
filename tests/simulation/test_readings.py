"""Rows are read once and shared: nobody may change what was read, nor the row behind it."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from pynamodb.models import Model

from shared.storage import meetings
from tests.simulation import dynamo
from tests.simulation.dynamo import Shown
from tests.simulation.readings import MODELS
from tests.simulation.seeds import play


@pytest.mark.parametrize("seed", [3, 11, 25])
def test_what_is_shared_stays_as_it_is(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[tuple[Any, bytes]] = []
    read: list[tuple[Model, bytes]] = []
    make, first = dynamo._Row.__init__, vars(Model)["from_raw_data"].__func__

    def made(row: Any, item: Any, size: int) -> None:
        make(row, item, size)
        rows.append((row.item, pickle.dumps(item)))

    def from_raw_data(model: type[Model], data: Any) -> Model:
        row: Model = first(model, data)
        if model in MODELS and isinstance(data, Shown):
            read.append((row, pickle.dumps(row.attribute_values)))
        return row

    monkeypatch.setattr(dynamo._Row, "__init__", made)
    monkeypatch.setattr(Model, "from_raw_data", classmethod(from_raw_data))
    assert () == play(seed).violations
    assert all(pickle.loads(then) == now for now, then in rows)
    assert all(pickle.loads(then) == row.attribute_values for row, then in read)
    assert any(type(row) is meetings.MeetingRow for row, _ in read)
