"""The template as written, read once."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.intrinsics import load
from infra.packaging import ROOT
from tests.infra.template import Template


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    return load(ROOT / "template.yaml")


@pytest.fixture(scope="session")
def template(document: dict[str, Any]) -> Template:
    return Template(document)
