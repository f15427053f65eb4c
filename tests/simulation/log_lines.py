"""What the functions print: caught, so that it can be searched for what must never be in it."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

FUNCTIONS: Final = ("calendars", "oauth", "reconciler", "scheduler", "webhooks")
# Loggers keep the stream that they were made with, so all worlds of a process share one.
_stream = io.StringIO()


@contextmanager
def captured() -> Iterator[Callable[[], str]]:
    """Meanwhile nothing reaches the terminal; the function returns what was printed so far."""
    _stream.seek(0)
    _stream.truncate()
    before, sys.stdout = sys.stdout, _stream
    for handler in (each for name in FUNCTIONS for each in logging.getLogger(name).handlers):
        if isinstance(handler, logging.StreamHandler):
            # Made before, by a test that no world was in.
            handler.setStream(_stream)
    try:
        yield _stream.getvalue
    finally:
        sys.stdout = before
