"""Builds what is deployed: `sam build` with the runtime's own Python, then byte code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / ".aws-sam" / "build"
SAM = ROOT / ".venv-sam" / "bin" / "sam"
PROBE = "import pip, sys; print(sys.executable, '%d.%d' % sys.version_info[:2])"
PROBE_TIMEOUT_SECONDS = 10


def runtime_version(template: str) -> str:
    """The Python that the template's functions run on, such as "3.13"."""
    versions: set[str] = set(re.findall(r"Runtime: python(3\.\d+)", template))
    (version,) = versions
    return version


def find_interpreter(version: str, environ: Mapping[str, str]) -> Path | None:
    """A real interpreter of that version with pip, or None where none is installed.

    SAM refuses a pyenv shim, so each candidate is asked where it really lives.
    """
    for candidate in _candidates(version, environ):
        answer = _probe(candidate)
        if answer and answer[1] == version:
            return Path(answer[0])
    return None


def sam_build(python: Path, *arguments: str, folder: Path = ROOT) -> None:
    """Run `sam build` in `folder` so that it finds `python` first; raises CalledProcessError."""
    path = f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    subprocess.run(
        [SAM, "build", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": path, "SAM_CLI_TELEMETRY": "0"},
        check=True,
        capture_output=True,
        text=True,
    )


def compile_bytecode(python: Path, folder: Path) -> None:
    """Add byte code that the runtime takes without looking at the sources.

    Lambda's code folders are read-only: without it every cold start compiles everything again.
    """
    mode = ("--invalidation-mode", "unchecked-hash")
    subprocess.run([python, "-m", "compileall", "-q", "-j", "0", *mode, folder], check=True)


def _candidates(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ.get("HOME", "/"))
    name = f"python{version}"
    yield Path(sys.executable)
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        yield Path(folder, name)
    pyenv = Path(environ.get("PYENV_ROOT", home / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{version}*/bin/{name}"))
    yield from sorted(home.glob(f".local/share/uv/python/cpython-{version}*/bin/{name}"))


def _probe(candidate: Path) -> tuple[str, str] | None:
    """Where the candidate lives and its version; None when it does not run."""
    try:
        answer = subprocess.run(
            [candidate, "-c", PROBE],
            check=True,
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    executable, version = answer.stdout.rsplit(maxsplit=1)
    return executable, version


def main() -> int:
    version = runtime_version((ROOT / "template.yaml").read_text(encoding="utf-8"))
    python = find_interpreter(version, os.environ)
    if python is None:
        print(f"`sam build` needs a real Python {version} with pip; none was found.")
        return 1
    try:
        sam_build(python)
    except subprocess.CalledProcessError as error:
        print(error.stderr)
        return 1
    compile_bytecode(python, BUILT)
    print(f"Built with {python} into {BUILT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
