"""Recall's refusals, translated: a status and a body in, the error to raise out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from shared.errors import RollcallError
from shared.recall.errors import (
    AlreadyDispatched,
    Blocked,
    Conflicted,
    NotFound,
    OutOfCredit,
    PoolEmpty,
    Refused,
    Throttled,
    Unauthorized,
    Unavailable,
    Unexpected,
)

THROTTLED_SECONDS = 60.0  # one whole window, where Recall does not say
POOL_EMPTY_SECONDS = 30.0  # the vendor's advice
RETRY_AFTER_SECONDS_MAX = 900.0
FIELDS_MAX = 20

_CODE = re.compile(r"[a-z0-9_]{1,64}")
_FIELD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_MESSAGE_KEYS = frozenset({"code", "detail", "message"})


def refusal(
    status: int, *, document: object, retry_after: str | None, endpoint: str, now: datetime
) -> RollcallError:
    """The error for a status of 300 or more.

    `document` is the JSON of the body, if any; `retry_after` the header; `now` Recall's time.
    """
    seconds = seconds_to_wait(retry_after, now=now)
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return Unauthorized()
        case HTTPStatus.PAYMENT_REQUIRED:
            return OutOfCredit()
        case HTTPStatus.FORBIDDEN:
            return Blocked()
        case HTTPStatus.NOT_FOUND:
            return NotFound()
        case HTTPStatus.CONFLICT:
            return Conflicted(retry_after=seconds)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Throttled(retry_after=THROTTLED_SECONDS if seconds is None else seconds)
        case HTTPStatus.INSUFFICIENT_STORAGE:
            return PoolEmpty(retry_after=POOL_EMPTY_SECONDS if seconds is None else seconds)
        case _ if (
            status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            return Unavailable(retry_after=seconds)
        case _ if status < HTTPStatus.BAD_REQUEST:
            return Unexpected("recall_redirected", "Recall answered with a redirect.")
        case _:
            return _refused(status, document, endpoint=endpoint)


def seconds_to_wait(header: str | None, *, now: datetime) -> float | None:
    """Retry-After as seconds or as an HTTP date; None when absent or unreadable."""
    if header is None:
        return None
    text = header.strip()
    seconds = float(text) if _SECONDS.fullmatch(text) else _seconds_until(text, now=now)
    return None if seconds is None else min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX)


def _seconds_until(text: str, *, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return (aware - now).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None


def _refused(status: int, document: object, *, endpoint: str) -> Refused | AlreadyDispatched:
    """Three body shapes: {code, message, errors}, {code, detail}, and a plain field map."""
    body = document if isinstance(document, Mapping) else {}
    code = body.get("code")
    detail_code = code if isinstance(code, str) and _CODE.fullmatch(code) else None
    # Observed as 405 and, in older texts, as 400 with this code.
    if endpoint == "bot_destroy" and (
        status == HTTPStatus.METHOD_NOT_ALLOWED or detail_code == "cannot_delete_bot"
    ):
        return AlreadyDispatched()
    return Refused(status=status, detail_code=detail_code, fields=_fields(body))


def _fields(body: Mapping[object, object]) -> tuple[str, ...]:
    errors = body.get("errors")
    if isinstance(errors, Mapping):
        names = set(errors)
    else:
        names = set() if "code" in body or "detail" in body else set(body) - _MESSAGE_KEYS
    readable = [name for name in names if isinstance(name, str) and _FIELD.fullmatch(name)]
    return tuple(sorted(readable)[:FIELDS_MAX])
