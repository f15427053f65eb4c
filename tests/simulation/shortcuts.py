"""What libraries do at every call, though nobody listens and nothing has changed."""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, Final
from unittest import mock

from aws_lambda_powertools.event_handler import depends
from pynamodb.connection import Connection

from shared.storage import table

REMEMBERS_PROTOCOLS: Final = (3, 12)


@contextmanager
def taken() -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(Connection, "dispatch", _dispatched))
        stack.enter_context(mock.patch.object(table, "_meta_table", cache(table._meta_table)))
        for module in (typing, depends):
            stack.enter_context(mock.patch.object(module, "get_type_hints", _hints))
        if sys.version_info < REMEMBERS_PROTOCOLS:
            # requests asks at every call whether its arguments have items.
            stack.enter_context(mock.patch.object(typing, "_get_protocol_attrs", _protocol))
        yield


def _dispatched(connection: Any, operation: str, params: dict[str, Any]) -> Any:
    """As PynamoDB, but without its signals and its log."""
    params.setdefault("ReturnConsumedCapacity", "TOTAL")
    return connection._make_api_call(operation, params)


_read_hints = typing.get_type_hints
_seen_hints: dict[tuple[object, bool], dict[str, Any]] = {}
_protocol: Callable[[type], Any] = cache(getattr(typing, "_get_protocol_attrs", type))


def _hints(given: Any, *more: Any, include_extras: bool = False, **named: Any) -> dict[str, Any]:
    """Powertools wants those of each route, which has the same code in each process."""
    code = getattr(given, "__code__", None)
    if code is None or more or named:
        return _read_hints(given, *more, include_extras=include_extras, **named)
    key = code, include_extras
    if key not in _seen_hints:
        _seen_hints[key] = _read_hints(given, include_extras=include_extras)
    return dict(_seen_hints[key])
