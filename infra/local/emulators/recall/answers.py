"""Answers in the shapes the API uses, the undocumented ones by switch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.local.emulators.http import Response
from infra.local.emulators.recall.switches import Switches

_HTML = b"<!doctype html><html><head><title>%d</title></head><body><h1>%d</h1></body></html>"


def json_answer(status: int, body: object, *, headers: Mapping[str, str] | None = None) -> Response:
    text = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    return Response(
        status=status, headers={"Content-Type": "application/json", **(headers or {})}, body=text
    )


def html_answer(status: int) -> Response:
    return Response(
        status=status,
        headers={"Content-Type": "text/html; charset=utf-8"},
        body=_HTML % (status, status),
    )


def refusal(
    status: int, code: str, *, detail: str = "Refused.", headers: Mapping[str, str] | None = None
) -> Response:
    """The general shape: code and detail."""
    return json_answer(status, {"code": code, "detail": detail}, headers=headers)


def unconfirmed(
    switches: Switches, status: int, *, code: str, headers: Mapping[str, str] | None = None
) -> Response:
    """404, 409, 429 and 507, whose bodies nobody has published."""
    match switches.error_body:
        case "detail":
            return refusal(status, code, headers=headers)
        case "message":
            return json_answer(status, {"code": code, "message": "Refused."}, headers=headers)
        case "html":
            answer = html_answer(status)
        case "empty":
            answer = Response(status=status)
    return Response(status=status, headers={**answer.headers, **(headers or {})}, body=answer.body)


def invalid_data(errors: Mapping[str, list[str]]) -> Response:
    """The shape of the event-bot endpoint."""
    body: dict[str, Any] = {
        "code": "invalid_request_data",
        "message": "Some of the data sent cannot be used.",
        "errors": dict(errors),
    }
    return json_answer(400, body)


def field_errors(errors: Mapping[str, list[str]], *, status: int = 400) -> Response:
    """The plain field map of create and update."""
    return json_answer(status, dict(errors))
