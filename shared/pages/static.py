"""The files beside the pages: a name with a hash of the content, so browsers keep them for good."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from shared.pages.headers import SECURITY
from shared.pages.web import Answer

FOLDER: Final = Path(__file__).parent / "static"
PREFIX: Final = "/pages/"
TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HASH_LENGTH: Final = 12


def address_of(name: str) -> str:
    """`pages.css` is served as `/pages/pages.0123456789ab.css`."""
    return PREFIX + _served_as(name)


def static_answer(served_as: str) -> Answer:
    """The file of that hashed name; one of another version of us is 404."""
    name = _names().get(served_as)
    if name is None:
        headers = {**SECURITY, "cache-control": "no-store", "content-type": "text/plain"}
        return Answer(status=404, body="Not found", headers=headers)
    headers = {
        **SECURITY,
        "cache-control": "public, max-age=31536000, immutable",
        "content-type": f"{TYPES[Path(name).suffix]}; charset=utf-8",
    }
    return Answer(body=_text(name), headers=headers)


@cache
def _names() -> dict[str, str]:
    files = (path.name for path in FOLDER.iterdir() if path.suffix in TYPES)
    return {_served_as(name): name for name in files}


@cache
def _served_as(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(_text(name).encode()).hexdigest()[:HASH_LENGTH]}.{kind}"


@cache
def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
