"""The HTTP edge: requests in, JSON or problem documents out (RFC 9457, stable `code`)."""

from __future__ import annotations

import binascii
import json
import re
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING, Final, TypeVar

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.domain.moment import parse_moment
from shared.errors import CallerError, PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

    from shared.observability import Log

BODY_BYTES_MAX: Final = 64 * 1024
LIMIT_MAX: Final = 100
LIMIT_DEFAULT: Final = 50
CURSOR_LENGTH_MAX: Final = 2048
RETRY_AFTER_SECONDS: Final = 5.0
# Codes of the systems behind us start with their name: their fault is a bad gateway.
UPSTREAM_PREFIXES: Final = ("recall_", "provider_")


class Body(BaseModel):
    """A request body: unknown keys and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Model = TypeVar("Model", bound=BaseModel)


def printable(text: str) -> str:
    """For models: whatever a person cannot see is refused."""
    if not text.isprintable():
        raise ValueError("only printable characters")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who called, as the authorizer said."""

    key_prefix: str
    scopes: frozenset[str]


def routes(log: Log) -> APIGatewayHttpResolver:
    """A resolver that turns every error into a problem document; add routes to it.

    CallerError answers its status, TransientError 503 with Retry-After, PermanentError 502 when
    a system behind us is at fault and else 500, an unknown path 404, a known path with another
    method 405, anything else 500 and a trace in the log.
    """
    app = APIGatewayHttpResolver()
    app.exception_handler(CallerError)(_answer_caller)
    app.exception_handler(TransientError)(partial(_answer_transient, log=log))
    app.exception_handler(PermanentError)(partial(_answer_permanent, log=log))
    app.exception_handler(Exception)(partial(_answer_bug, log=log))
    app.not_found(partial(_answer_unknown, app=app))
    return app


def reply(
    status: int,
    body: Mapping[str, object] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    """A JSON answer; None for an empty body."""
    text = "" if body is None else json.dumps(body, separators=(",", ":"))
    content_type = None if body is None else "application/json"
    return Response(
        status_code=status, content_type=content_type, body=text, headers=dict(headers or {})
    )


def problem(
    status: int,
    code: str,
    *,
    detail: str | None = None,
    field: str | None = None,
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    """A problem document; `retry_after` in seconds becomes the Retry-After header."""
    document = problem_document(status, code, detail=detail, field=field)
    extra = dict(headers or {})
    if retry_after is not None:
        extra["retry-after"] = str(max(1, ceil(retry_after)))
    return Response(
        status_code=status,
        content_type="application/problem+json",
        body=json.dumps(document, separators=(",", ":")),
        headers=extra,
    )


def problem_document(
    status: int, code: str, *, detail: str | None = None, field: str | None = None
) -> dict[str, object]:
    """The document itself; `about:blank` means that the title is the status's own phrase."""
    document: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
    }
    if detail is not None:
        document["detail"] = detail
    if field is not None:
        document["field"] = field
    return document


def read_body(event: APIGatewayProxyEventV2, model: type[Model]) -> Model:
    """The request's JSON as a model.

    CallerError `body_too_large` (413, above 64 KB), `body_malformed` (no JSON), `body_invalid`
    (400, `field` is the first wrong key, nested ones joined with dots).
    """
    return parse_body(raw_body(event), model)


def parse_body(text: bytes, model: type[Model]) -> Model:
    """JSON as a model; the same errors as read_body's."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise _refused_body(error) from None


def read_optional_body(event: APIGatewayProxyEventV2, model: type[Model]) -> Model:
    """As `read_body`, for a request whose body may be left out."""
    return read_body(event, model) if event.body else model()


def raw_body(event: APIGatewayProxyEventV2) -> bytes:
    """The request's bytes; CallerError when there are too many or they cannot be decoded."""
    try:
        body = (event.decoded_body or "").encode()
    except (binascii.Error, UnicodeError):
        raise CallerError("body_malformed", "The body is not UTF-8 text.") from None
    if len(body) > BODY_BYTES_MAX:
        message = f"The body may have at most {BODY_BYTES_MAX} bytes."
        raise CallerError("body_too_large", message, status=413)
    return body


def _refused_body(error: ValidationError) -> CallerError:
    # Without the input: it may be a token.
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    if first["type"] == "json_invalid":
        return CallerError("body_malformed", "The body is not JSON.")
    # A key may be the empty text; no place at all means the body as a whole.
    field = ".".join(str(part) for part in first["loc"]) if first["loc"] else None
    return CallerError("body_invalid", first["msg"], field=field)


def read_limit(event: APIGatewayProxyEventV2, *, default: int = LIMIT_DEFAULT) -> int:
    """Query parameter `limit`, 1 to 100."""
    text = query(event, "limit")
    if text is None:
        return default
    number = int(text) if re.fullmatch(r"[0-9]{1,4}", text, flags=re.ASCII) else 0
    if not 1 <= number <= LIMIT_MAX:
        message = f"limit is a whole number from 1 to {LIMIT_MAX}."
        raise CallerError("query_invalid", message, field="limit")
    return number


def read_cursor(event: APIGatewayProxyEventV2) -> str | None:
    """Query parameter `cursor` as the last page gave it; storage judges its content."""
    text = query(event, "cursor")
    if text is not None and len(text) > CURSOR_LENGTH_MAX:
        raise CallerError("cursor_invalid", "This cursor is not one of ours.", field="cursor")
    return text


def read_moment(event: APIGatewayProxyEventV2, name: str) -> datetime | None:
    """A query parameter holding an RFC 3339 time, in UTC; None when absent."""
    text = query(event, name)
    if text is None:
        return None
    moment = parse_moment(text)
    if moment is None:
        message = f"{name} is a time as 2027-03-01T09:00:00Z (a plus sign is written %2B)."
        raise CallerError("query_invalid", message, field=name)
    return moment


def query(event: APIGatewayProxyEventV2, name: str) -> str | None:
    """A query parameter; blank is absent."""
    return event.query_string_parameters.get(name) or None


def header(event: APIGatewayProxyEventV2, name: str) -> str | None:
    """A request header by its lower-case name; the gateway has lowered them already."""
    return event.headers.get(name) or None


def read_caller(event: APIGatewayProxyEventV2) -> Caller:
    """The authorizer's context; without one the gateway would not have called us."""
    authorizer = event.raw_event["requestContext"].get("authorizer") or {}
    context = authorizer.get("lambda") or {}
    return Caller(
        key_prefix=str(context.get("key_prefix", "")),
        scopes=frozenset(str(context.get("scopes", "")).split()),
    )


def _answer_caller(error: CallerError) -> Response[str]:
    return problem(error.status, error.code, detail=error.message, field=error.field)


def _answer_transient(error: TransientError, *, log: Log) -> Response[str]:
    log.warning("request deferred to the caller", code=error.code)
    seconds = RETRY_AFTER_SECONDS if error.retry_after is None else error.retry_after
    return problem(503, error.code, detail="Try again later.", retry_after=seconds)


def _answer_permanent(error: PermanentError, *, log: Log) -> Response[str]:
    log.crash("request failed until an operator acts", error)
    log.count("RequestFailed")
    status = 502 if error.code.startswith(UPSTREAM_PREFIXES) else 500
    return problem(status, error.code, detail="This needs the operator of the service.")


def _answer_bug(error: Exception, *, log: Log) -> Response[str]:
    log.crash("request failed on a bug", error)
    log.count("RequestFailed")
    return problem(500, "internal_error")


def _answer_unknown(error: Exception, *, app: APIGatewayHttpResolver) -> Response[str]:
    del error
    methods = sorted(set(_methods_of(app, app.current_event.path)))
    if not methods:
        return problem(404, "route_not_found")
    return problem(405, "method_not_allowed", headers={"allow": ", ".join(methods)})


def _methods_of(app: APIGatewayHttpResolver, path: str) -> Iterator[str]:
    # Powertools keeps no public list of its routes.
    for route in (*app._static_routes, *app._dynamic_routes):  # noqa: SLF001
        if route.rule.match(path):
            yield route.method
