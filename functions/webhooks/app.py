"""POST /webhooks/recall: verify, queue once, answer. No database, no call to Recall.

A delivery that is not queued is not acknowledged; Svix keeps it for 27 hours. GET /health lives
here too, in the cheapest function.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import boto3

from functions.webhooks.delivery import UnreadableError, message_of
from functions.webhooks.signature import verified_delivery
from shared.config import AWS_LIMITS, require
from shared.errors import PermanentError, TransientError
from shared.observability import Log
from shared.queue import Message, Queue, encode
from shared.secrets import SecretStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BODY_BYTES_MAX: Final = 256 * 1024
REFUSALS: Final = {
    401: {"title": "Unauthorized", "code": "signature_invalid"},
    413: {"title": "Request Entity Too Large", "code": "body_too_large"},
    500: {"title": "Internal Server Error", "code": "delivery_unverifiable"},
    503: {"title": "Service Unavailable", "code": "delivery_not_taken"},
}

Event: TypeAlias = dict[str, Any]
Reply: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the function is made of."""

    queue: Queue
    secrets: SecretStore
    log: Log
    clock: Callable[[], datetime]


@cache
def service() -> Service:
    return compose(
        os.environ,
        client=partial(boto3.client, config=AWS_LIMITS),
        clock=partial(datetime.now, UTC),
    )


def compose(
    environment: Mapping[str, str],
    *,
    client: Callable[[str], Any],
    clock: Callable[[], datetime],
) -> Service:
    """The function's parts; time and the way to AWS are given."""
    settings = require(environment, "QUEUE_URL", "SECRET_ID")
    return Service(
        queue=Queue(client("sqs"), settings["QUEUE_URL"]),
        secrets=SecretStore(
            client("secretsmanager"), settings["SECRET_ID"], required=["recall_webhook_secret"]
        ),
        log=Log("webhooks"),
        clock=clock,
    )


def handler(event: Event, context: object) -> Reply:
    """An HTTP API event (payload 2.0) in, its answer out."""
    if event["routeKey"] == "GET /health":
        return _reply(200, '{"status":"ok"}')
    return receive(event, service())


def receive(event: Event, service: Service) -> Reply:
    """204 durable or meaningless to us, 401 not signed, 413 too large, 5xx: deliver again."""
    try:
        return _receive(event, service)
    except TransientError as error:
        service.log.warning("delivery not taken", code=error.code)
        service.log.count("DeliveryNotTaken")
        return _reply(503)
    except PermanentError as error:
        service.log.crash("delivery cannot be verified", error)
        service.log.count("DeliveryUnverifiable")
        return _reply(500)


def _receive(event: Event, service: Service) -> Reply:
    now = service.clock()
    body = _body(event)
    secrets = service.secrets.get().webhook_secrets
    headers = event.get("headers") or {}
    # A body that cannot be decoded was signed by nobody, nor was an empty one in its place.
    delivery_id = verified_delivery(body or b"", headers, secrets=secrets, now=now)
    if body is None or delivery_id is None:
        service.log.count("DeliveryRefused")
        return _reply(401)
    return _reply(_take(body, delivery_id=delivery_id, service=service, received_at=now))


def _take(body: bytes, *, delivery_id: str, service: Service, received_at: datetime) -> int:
    """The status for a verified delivery."""
    if len(body) > BODY_BYTES_MAX:
        service.log.count("DeliveryTooLarge")
        return 413
    message = _message(body, service=service, received_at=received_at)
    if message is None:
        return 204
    if len(encode(message)) > BODY_BYTES_MAX:
        service.log.count("DeliveryTooLarge")
        return 413
    service.queue.send(message, unique=delivery_id)
    return 204


def _message(body: bytes, *, service: Service, received_at: datetime) -> Message | None:
    """What cannot be read will not be readable next time either: acknowledged and counted."""
    try:
        message = message_of(body, received_at=received_at)
    except UnreadableError:
        service.log.count("DeliveryUnreadable")
        return None
    if message is None:
        service.log.count("DeliveryIgnored")
    return message


def _body(event: Event) -> bytes | None:
    """The bytes that were signed; None when the gateway's base64 is none."""
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return text.encode(errors="surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def _reply(status: int, body: str = "") -> Reply:
    headers = {"content-type": "application/json"} if body else {}
    if status in REFUSALS:
        document = {"type": "about:blank", "status": status} | REFUSALS[status]
        headers, body = {"content-type": "application/problem+json"}, json.dumps(document)
    return {"statusCode": status, "headers": headers, "body": body}
