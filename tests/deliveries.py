"""Signed deliveries and the gateway's event around them, as AWS sends it (payload 2.0)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import standardwebhooks.webhooks

PAYLOADS = Path(__file__).parent / "payloads" / "webhooks"
SECRET = "whsec_ZXhhbXBsZS1zaWduaW5nLWtleS0wMTIzNDU2Nzg5YWI="
OTHER_SECRET = "whsec_" + base64.b64encode(b"another-signing-key-0123456789ab").decode()
NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)


@contextmanager
def library_clock(clock):
    """The svix library reads the wall clock; in here it reads `clock`, as our own check does."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return clock().astimezone(tz)

    with patch.object(standardwebhooks.webhooks, "datetime", Clock):
        yield


def signature(secret: str, *, delivery_id: str, timestamp: str, body: bytes) -> str:
    """Written from the Standard Webhooks text, not with the library under test."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(
    body: bytes, *, secret=SECRET, delivery_id="msg_1", timestamp=None, family="webhook", now=NOW
):
    timestamp = str(int(now.timestamp())) if timestamp is None else timestamp
    return {
        f"{family}-id": delivery_id,
        f"{family}-timestamp": timestamp,
        f"{family}-signature": signature(
            secret, delivery_id=delivery_id, timestamp=timestamp, body=body
        ),
    }


def gateway_event(
    route: str, *, headers=None, body=None, is_base64=False, query=None, authorizer=None
):
    """An HTTP API event for a route as `POST /webhooks/recall`."""
    method, _, path = route.partition(" ")
    context = {
        "accountId": "123456789012",
        "apiId": "api-id",
        "domainName": "id.execute-api.eu-central-1.amazonaws.com",
        "domainPrefix": "id",
        "http": {
            "method": method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": "192.0.2.1",
            "userAgent": "agent",
        },
        "requestId": "JKJaXmPLvHcESHA=",
        "routeKey": route,
        "stage": "$default",
        "time": "01/Mar/2027:09:00:00 +0000",
        "timeEpoch": 1803891600000,
    }
    event = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "&".join(f"{name}={value}" for name, value in (query or {}).items()),
        "headers": {"accept": "*/*", "content-type": "application/json", **(headers or {})},
        "requestContext": context,
        "isBase64Encoded": is_base64,
    }
    if query:
        event["queryStringParameters"] = query
    if body is not None:
        event["body"] = base64.b64encode(body).decode() if is_base64 else body.decode()
    if authorizer:
        context["authorizer"] = {"lambda": authorizer}
    return event


def payload(name: str) -> bytes:
    return (PAYLOADS / f"{name}.json").read_bytes()


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
