"""What the operator reads: short lines, in colour only where a terminal shows it."""

from __future__ import annotations

import shutil
import textwrap
import threading
from collections.abc import Mapping
from typing import TextIO

WIDTH_MAX = 100
_COLOURS = {"green": "32", "red": "31", "yellow": "33", "faint": "2", "bold": "1"}


class Terminal:
    """Lines to one stream from several threads; honours NO_COLOR and the width of the window."""

    def __init__(self, stream: TextIO, *, environment: Mapping[str, str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._coloured = stream.isatty() and not environment.get("NO_COLOR")
        width = shutil.get_terminal_size((WIDTH_MAX, 24)).columns if stream.isatty() else WIDTH_MAX
        self._width = max(40, min(WIDTH_MAX, width))

    def say(self, text: str = "", *, colour: str | None = None) -> None:
        """One message as it is; long lines (an address, a stack) are never cut."""
        self._write(self._painted(text, colour))

    def paragraph(self, text: str, *, mark: str = "  ", colour: str | None = None) -> None:
        """One message folded to the window, later lines under the first one's text."""
        lines = textwrap.wrap(
            text,
            self._width,
            initial_indent=mark,
            subsequent_indent=" " * len(mark),
            break_long_words=False,
            break_on_hyphens=False,
        )
        self._write("\n".join(self._painted(line, colour) for line in lines))

    def heading(self, text: str) -> None:
        self._write("\n" + self._painted(text, "bold"))

    def rows(self, rows: list[tuple[str, str]]) -> None:
        """A table of two columns; the right one folds."""
        left = max((len(name) for name, _ in rows), default=0)
        for name, value in rows:
            self.paragraph(value, mark=f"  {name.ljust(left)}  ")

    def _painted(self, text: str, colour: str | None) -> str:
        if not self._coloured or colour is None:
            return text
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"

    def _write(self, text: str) -> None:
        with self._lock:
            self._stream.write(text + "\n")
            self._stream.flush()
