"""The documents: what they promise of rules is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from shared.domain.decision import REASONS
from shared.entrypoints.rules_body import RulesBody, rules_document

ROOT = Path(__file__).parents[2]
RULES = (ROOT / "docs" / "rules.md").read_text()
ROW = re.compile(r"^\| `([^`]+)` \|(.*)\|$", re.MULTILINE)
DOCUMENTS = [
    pytest.param(block, id=f"{name}-{place}")
    for name in ("README.md", "docs/rules.md")
    for place, block in enumerate(
        re.findall(r"```json\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    )
]


def rows(heading, *, under):
    """First cell and the other cells of the table with this heading."""
    _, _, rest = under.partition(f"{heading}\n")
    table = rest.split("\n\n", maxsplit=1)[0]
    return {
        name: [cell.strip() for cell in cells.split(" | ")] for name, cells in ROW.findall(table)
    }


def in_json(cell):
    return json.loads(cell.strip("`"))


KEYS = rows("| Key | Default | Example | Meaning |", under=RULES)


def test_every_reason_is_told_with_its_sentence():
    told = rows("| Reason | Meaning |", under=RULES)
    assert list(REASONS.items()) == [(code, cells[0]) for code, cells in told.items()]


def test_every_key_is_told_with_its_default():
    defaults = RulesBody().model_dump(mode="json", by_alias=True)
    assert defaults == {key: in_json(cells[0]) for key, cells in KEYS.items()}


@pytest.mark.parametrize("key", KEYS)
def test_the_example_of_a_key_is_taken_and_is_not_its_default(key):
    default, example = (in_json(cell) for cell in KEYS[key][:2])
    stored = rules_document(
        RulesBody.model_validate_json(json.dumps({key: example})), may_lock=True
    )
    assert example == stored[key]
    assert example != default


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_documents_shown_are_taken_as_they_stand(document):
    shown = json.loads(document)
    assert shown == rules_document(RulesBody.model_validate_json(document), may_lock=True)
