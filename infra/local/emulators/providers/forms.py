"""Parameters of a query or a form, where each may come once."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl, unquote_plus

from infra.local.emulators.http import Request

FORM_BYTES_MAX = 64 * 1024


class RepeatedParameterError(ValueError):
    """RFC 6749 section 3.1: parameters must not come more than once."""


def once(encoded: str, *, many: frozenset[str] = frozenset()) -> dict[str, str]:
    """Parameters by name; those in `many` may repeat and are joined by a space."""
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        if name in parameters and name not in many:
            raise RepeatedParameterError(name)
        parameters[name] = f"{parameters[name]} {value}" if name in parameters else value
    return parameters


def form(request: Request, *, many: frozenset[str] = frozenset()) -> dict[str, str]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if content_type != "application/x-www-form-urlencoded" or len(request.body) > FORM_BYTES_MAX:
        return {}
    return once(request.body.decode("utf-8", errors="replace"), many=many)


def bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else ""


def basic_client(request: Request) -> tuple[str, str] | None:
    """Client id and secret of RFC 6749 section 2.3.1, if they came in the header."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.casefold() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote_plus(client_id), unquote_plus(secret)
