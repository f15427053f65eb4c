"""Logs and metrics: fixed messages, an allow-list of fields, nothing that must not leak."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypedDict, Unpack

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from shared.errors import RollcallError

if TYPE_CHECKING:
    from typing import TextIO

NAMESPACE: Final = "Rollcall"
FRAMES_MAX: Final = 30


# Every metric there is. All count, but for CursorAge: the seconds that changes may have waited.
MetricName: TypeAlias = Literal[
    "BotCallRefused",
    "CallRefused",
    "ConnectFailed",
    "ConsentStuck",
    "CursorAge",
    "DeliveryIgnored",
    "DeliveryNotTaken",
    "DeliveryRefused",
    "DeliveryTooLarge",
    "DeliveryUnreadable",
    "DeliveryUnverifiable",
    "DriftDuplicate",
    "DriftMisconfigured",
    "DriftMissing",
    "DriftMistimed",
    "DriftOrphan",
    "EventSetAside",
    "MessageFailed",
    "MessageMalformed",
    "RequestFailed",
    "TaskPutOff",
    "UnfilteredListRefused",
]


class Fields(TypedDict, total=False):
    """Every field that a log line may carry: ids, codes and counts.

    Never a body, a header, a link, an address, a title, a token.
    """

    calendar_id: str
    code: str
    count: int
    error: str
    event_id: str
    events: int
    message_id: str
    pages: int
    receives: int
    request_id: str
    session_id: str
    trace: list[str]


class Log:
    """The log and metrics of one function.

    Fields outside the allow-list are a ValueError, and a type error before that.
    """

    def __init__(self, service: str, *, stream: TextIO | None = None) -> None:
        self._service = service
        self._logger = Logger(service=service, level="INFO", stream=stream, utc=True)

    def begin(self, request_id: str) -> None:
        """Mark every later line with the invocation's id."""
        self._logger.append_keys(request_id=request_id)

    def info(self, message: str, **fields: Unpack[Fields]) -> None:
        self._logger.info(message, extra=_allowed(dict(fields)), stacklevel=3)

    def warning(self, message: str, **fields: Unpack[Fields]) -> None:
        self._logger.warning(message, extra=_allowed(dict(fields)), stacklevel=3)

    def crash(self, message: str, cause: BaseException, **fields: Unpack[Fields]) -> None:
        """An error with where it came from, but without its text, which may quote a secret."""
        facts: dict[str, object] = {
            **fields,
            "error": error_names(cause),
            "trace": error_frames(cause),
        }
        if isinstance(cause, RollcallError):
            facts["code"] = cause.code
        self._logger.error(message, extra=_allowed(facts), stacklevel=3)

    def count(self, name: MetricName, value: float = 1) -> None:
        """One metric value, written at once so that a crash later does not lose it."""
        with single_metric(
            name=name, unit=MetricUnit.Count, value=value, namespace=NAMESPACE
        ) as metric:
            metric.add_dimension(name="service", value=self._service)


def error_names(error: BaseException) -> str:
    """The type of the error and of what caused it, outermost first."""
    names: list[str] = []
    current: BaseException | None = error
    while current is not None and len(names) < FRAMES_MAX:
        names.append(type(current).__name__)
        current = current.__cause__ or current.__context__
    return " < ".join(names)


def error_frames(error: BaseException) -> list[str]:
    """Where the error passed, as `file:line function`, the last frames only."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def _allowed(fields: dict[str, object]) -> dict[str, object]:
    unknown = fields.keys() - Fields.__annotations__.keys()
    if unknown:
        raise ValueError(f"not allowed in the log: {', '.join(sorted(unknown))}")
    return fields
