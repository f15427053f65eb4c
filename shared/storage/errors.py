"""What DynamoDB refuses, in the house's words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004
from pynamodb.exceptions import PynamoDBException

from shared.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

CONDITION_FAILED: Final = "ConditionalCheckFailedException"
VALIDATION: Final = "ValidationException"
SERVER_ERROR: Final = 500

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
BUSY: Final = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
    }
)


class Conflict(TransientError):
    """Somebody else changed the row first; reading it again settles the matter."""

    def __init__(self) -> None:
        super().__init__("row_changed", "the row was changed by somebody else")


class StorageUnavailable(TransientError):
    """DynamoDB is slow, throttling or away."""

    def __init__(self) -> None:
        super().__init__("storage_unavailable", "the database did not answer in time")


class Refused(PermanentError):
    """DynamoDB will not do it: a missing table or permission, or a row it cannot hold.

    `reason` is the error code of AWS; its message may quote rows and is left out.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("storage_refused", f"the database answered {reason}")
        self.reason = reason


@contextmanager
def translated() -> Iterator[None]:
    """Raises Conflict, StorageUnavailable or Refused for what PynamoDB raises inside."""
    try:
        yield
    except PynamoDBException as error:
        raise _translation(error) from error


def _translation(error: PynamoDBException) -> Exception:
    cause = error.cause
    if isinstance(cause, (ConnectionError, HTTPClientError)):
        return StorageUnavailable()
    if not isinstance(cause, ClientError):
        return error
    reason = error.cause_response_code or "an error without a code"
    if reason == CONDITION_FAILED:
        return Conflict()
    if reason in BUSY or _status(cause) >= SERVER_ERROR:
        return StorageUnavailable()
    return Refused(reason)


def _status(cause: ClientError) -> int:
    """PynamoDB keeps the code and message only; the original error still has the status."""
    original = cause.__cause__
    if not isinstance(original, ClientError):
        return 0
    return original.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
