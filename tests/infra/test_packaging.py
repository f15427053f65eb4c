"""The built artefacts: complete, and for the right machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.infra.artefacts import HANDLERS, build, python_path


@pytest.mark.parametrize("function", HANDLERS)
def test_each_handler_imports_from_its_artefact(
    python: Path, built: Path, function: str, tmp_path: Path
) -> None:
    # No site-packages (-S), not this folder (cwd): only what was built.
    module, _, name = HANDLERS[function].rpartition(".")
    probe = f"import {module} as app, shared; print(callable(app.{name}), app.__file__)"

    answer = subprocess.run(
        [python, "-S", "-c", probe],
        cwd=tmp_path,
        env={"PYTHONPATH": python_path(built, function)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.stdout.split() == ["True", str(built / function / _file(module))], answer.stderr


def test_functions_carry_their_own_code_and_nothing_else(built: Path) -> None:
    for function, handler in HANDLERS.items():
        package = Path(*handler.split(".")[:2])
        files = {
            path.relative_to(built / function)
            for path in (built / function).rglob("*")
            if path.is_file()
        }

        assert files, function
        assert {path for path in files if not path.is_relative_to(package)} == set(), function


def test_every_source_has_byte_code_that_needs_no_look_at_it(built: Path) -> None:
    for source in built.rglob("*.py"):
        code = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        # Flags of a hash-based pyc that is never checked: PEP 552.
        assert code.read_bytes()[4:8] == b"\x01\x00\x00\x00", source


def test_native_code_is_for_the_machine_that_lambda_has(python: Path) -> None:
    native = list(build(python, "arm64").rglob("*.so"))

    assert native
    for path in native:
        # The machine field of an ELF header: 183 is AArch64.
        assert int.from_bytes(path.read_bytes()[18:20], "little") == 183, path


def _file(module: str) -> str:
    return module.replace(".", "/") + ".py"
