"""Builds what is deployed and runs it as Lambda does: for the tests of artefacts."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.packaging import ROOT, compile_bytecode, runtime_version, sam_build
from tests.infra.runtime_api import RuntimeApi, sandbox

BUILD = ROOT / "build"
TEMPLATE = (ROOT / "template.yaml").read_text(encoding="utf-8")
VERSION = runtime_version(TEMPLATE)
HANDLERS = dict(re.findall(r"\n  (\w+Function):\n.*?Handler: (\S+)\n", TEMPLATE, re.DOTALL))
MACHINE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefacts:
    """The built stack and the means to run it."""

    python: Path
    built: Path
    runtime_client: Path

    def running(
        self, function: str, environment: Mapping[str, str]
    ) -> AbstractContextManager[RuntimeApi]:
        """The built function in a sandbox of the real runtime."""
        path = python_path(self.built, function, self.runtime_client)
        return sandbox(
            self.python,
            HANDLERS[function],
            task_root=self.built / function,
            environment={**environment, "PYTHONPATH": path},
        )


def build(python: Path, machine: str) -> Path:
    """In a folder of its own, where SAM's cache makes a repeated build cost a second or two."""
    folder = BUILD / f"sam-{machine}"
    folder.mkdir(parents=True, exist_ok=True)
    with _once_per_run(folder) as wanted:
        if wanted:
            _build(python, machine, folder=folder)
    return folder / ".aws-sam" / "build"


def _build(python: Path, machine: str, *, folder: Path) -> None:
    template = folder / "template.yaml"
    template.write_text(TEMPLATE.replace("arm64", machine), encoding="utf-8")
    try:
        sam_build(python, "--cached", "--parallel", "--base-dir", str(ROOT), folder=folder)
    except subprocess.CalledProcessError as error:
        pytest.fail(f"sam build: {error.stderr}")
    compile_bytecode(python, folder / ".aws-sam" / "build")


@contextmanager
def _once_per_run(folder: Path) -> Iterator[bool]:
    """Whether the work is still to be done; the workers of one test run share its outcome."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    done = folder / "done-for-run"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not run or not done.exists() or done.read_text() != run
        done.write_text(run)


def runtime_client_of(python: Path) -> Path:
    """A folder with awslambdaric for the runtime's Python, kept between runs."""
    lock = ROOT / "requirements" / "runtime.txt"
    folder = BUILD / f"runtime-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with _once_per_run(folder) as wanted:
        if not wanted or (folder / "awslambdaric").exists():
            return folder
        install = [
            "install",
            "--quiet",
            "--root-user-action=ignore",
            "--require-hashes",
            "--requirement",
            lock,
        ]
        subprocess.run([python, "-m", "pip", *install, "--target", folder], check=True)
    return folder


def python_path(built: Path, function: str, *more: Path) -> str:
    """What Lambda searches: the function, then the layer's python folder."""
    return os.pathsep.join(map(str, (built / function, built / "SharedLayer" / "python", *more)))
