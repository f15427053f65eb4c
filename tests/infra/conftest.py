"""The template as written, read once; the stack as built, built once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from infra.local.intrinsics import load
from infra.packaging import ROOT, SAM, find_interpreter
from tests.infra.artefacts import MACHINE, VERSION, Artefacts, build, runtime_client_of
from tests.infra.template import Template


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    return load(ROOT / "template.yaml")


@pytest.fixture(scope="session")
def template(document: dict[str, Any]) -> Template:
    return Template(document)


@pytest.fixture(scope="session")
def python() -> Path:
    """The runtime's Python, with SAM beside it."""
    found = find_interpreter(VERSION, os.environ)
    if found is None:
        pytest.skip(f"no real Python {VERSION} with pip is installed")
    if not SAM.exists():
        pytest.skip("the SAM CLI is not installed; `make test` does that")
    return found


@pytest.fixture(scope="session")
def built(python: Path) -> Path:
    """The stack's artefacts as `make build` makes them, but for this machine."""
    return build(python, MACHINE)


@pytest.fixture(scope="session")
def artefacts(python: Path, built: Path) -> Artefacts:
    return Artefacts(python=python, built=built, runtime_client=runtime_client_of(python))
