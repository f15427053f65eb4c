"""Idempotency-Key on POST: the same request twice is carried out once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)

from shared.entrypoints.http import header, raw_body, read_caller
from shared.errors import CallerError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb.client import DynamoDBClient

HEADER: Final = "idempotency-key"
KEY_LENGTH_MAX: Final = 255
KEPT_SECONDS: Final = 24 * 3600


class Idempotency:
    """Remembers for a day what a POST came to, per caller, path and Idempotency-Key."""

    def __init__(self, table: str, *, client: DynamoDBClient) -> None:
        self._store = DynamoDBPersistenceLayer(table_name=table, boto3_client=client)

    def once(
        self,
        event: APIGatewayProxyEventV2,
        context: LambdaContext | None,
        *,
        work: Callable[[], dict[str, Any]],
    ) -> dict[str, Any]:
        """What `work` returned, now or the first time; without the header simply `work()`.

        The result rests in the table for a day, so it must be plain JSON and must not contain a
        secret: return what names it (a session's id) and derive the rest (its link) afterwards.
        An error of `work` is not remembered, so the caller may repeat the request.
        CallerError `idempotency_key_reused` (422) for another body under the same key,
        `idempotency_key_in_use` (409) while the first request still runs.
        """
        key = idempotency_key(event)
        if key is None:
            return work()
        request = _request(event, key)
        run = idempotent_function(
            _call,
            data_keyword_argument="request",
            persistence_store=self._store,
            config=_config(context),
            key_prefix="post",
        )
        return _run(run, work=work, request=request)


def idempotency_key(event: APIGatewayProxyEventV2) -> str | None:
    """The request's Idempotency-Key, or None."""
    key = header(event, HEADER)
    if key is not None and len(key) > KEY_LENGTH_MAX:
        message = f"Idempotency-Key may have at most {KEY_LENGTH_MAX} characters."
        raise CallerError("idempotency_key_invalid", message, field="Idempotency-Key")
    return key


def request_digest(event: APIGatewayProxyEventV2) -> str | None:
    """Equal for the same caller, path, Idempotency-Key and body; None without the header.

    For what outlives a crash that kept the first result from being remembered.
    """
    key = idempotency_key(event)
    if key is None:
        return None
    request = _request(event, key)
    return hashlib.sha256(f"{request['id']}\n{request['body']}".encode()).hexdigest()


def _request(event: APIGatewayProxyEventV2, key: str) -> dict[str, str]:
    return {
        "id": _request_id(event, key),
        "body": hashlib.sha256(raw_body(event)).hexdigest(),
    }


def _call(*, work: Callable[[], dict[str, Any]], request: dict[str, str]) -> dict[str, Any]:
    del request
    return work()


def _run(
    run: Callable[..., Any], *, work: Callable[[], dict[str, Any]], request: dict[str, str]
) -> dict[str, Any]:
    try:
        result: dict[str, Any] = run(work=work, request=request)
    except IdempotencyValidationError:
        message = "This Idempotency-Key belongs to a request with another body."
        raise CallerError(
            "idempotency_key_reused", message, status=422, field="Idempotency-Key"
        ) from None
    except IdempotencyAlreadyInProgressError:
        message = "The first request with this Idempotency-Key is still running."
        raise CallerError(
            "idempotency_key_in_use", message, status=409, field="Idempotency-Key"
        ) from None
    except IdempotencyPersistenceLayerError as error:
        raise TransientError("storage_unavailable", "The table did not answer.") from error
    return result


def _request_id(event: APIGatewayProxyEventV2, key: str) -> str:
    http = event.request_context.http
    return f"{http.method}\n{http.path}\n{read_caller(event).key_prefix}\n{key}"


def _config(context: LambdaContext | None) -> IdempotencyConfig:
    """The context tells how long the first request may run before a repetition takes over."""
    config = IdempotencyConfig(
        event_key_jmespath="id",
        payload_validation_jmespath="body",
        raise_on_no_idempotency_key=True,
        expires_after_seconds=KEPT_SECONDS,
        hash_function="sha256",
    )
    if context is not None:
        config.register_lambda_context(context)
    return config
