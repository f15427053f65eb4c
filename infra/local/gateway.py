"""One port: the HTTP API as API Gateway fronts it, and whatever else is mounted beside it.

Events and answers follow payload format 2.0 of HTTP APIs
(docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as WaitedTooLongError
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.http import http_date
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from infra.local.emulators import http as emulated
from infra.local.lambdas import InvocationError
from infra.local.template import ACCOUNT_ID, REGION, Route

BODY_BYTES_MAX = 10 * 1024 * 1024
WAIT_SECONDS_MAX = 30.0
LOOPBACK = "127.0.0.1"
API_ID = "localhost00"
_TEXT = re.compile(r"text/.*|application/(json|javascript|xml|.*\+json|.*\+xml)")
_PARAMETER = re.compile(r"\\\{(\w+)(\\\+)?\\\}")

Json = Any
Invoke = Callable[[str, Mapping[str, Any]], Any]
Handle = Callable[[emulated.Request], emulated.Response]
Page = Callable[[Request], Response]


class Gateway:
    """A WSGI application; `invoke` calls a function by name."""

    def __init__(self, routes: Iterable[Route], invoke: Invoke) -> None:
        self._routes = sorted((_Matcher(route) for route in routes), key=lambda each: each.rank)
        self._invoke = invoke
        self._mounts: dict[str, Page] = {}
        self._pages: dict[str, Page] = {}
        self._invocations = ThreadPoolExecutor(max_workers=64, thread_name_prefix="gateway")

    def mount(self, prefix: str, page: Page) -> None:
        """Everything below `prefix` is answered by `page`, which sees the whole URL."""
        self._mounts[prefix] = page

    def page(self, path: str, page: Page) -> None:
        self._pages[path] = page

    def close(self) -> None:
        self._invocations.shutdown(wait=False, cancel_futures=True)

    def __call__(self, environ: Json, start_response: Json) -> Iterable[bytes]:
        answer = self.answer(Request(environ))
        answer.headers.setdefault("Date", http_date())
        return answer(environ, start_response)

    def answer(self, request: Request) -> Response:
        for prefix, page in self._mounts.items():
            if request.path == prefix or request.path.startswith(f"{prefix}/"):
                return page(request)
        for matcher in self._routes:
            found = matcher.match(request.method, request.path)
            if found is not None:
                return self._answer_route(request, matcher.route, path_parameters=found)
        if request.method in {"GET", "HEAD"} and request.path in self._pages:
            return self._pages[request.path](request)
        return _message(404, "Not Found")

    def _answer_route(
        self, request: Request, route: Route, *, path_parameters: Mapping[str, str]
    ) -> Response:
        body = request.get_data()
        if len(body) > BODY_BYTES_MAX:
            return _message(413, "Request Entity Too Large")
        event = _event(request, route, path_parameters=path_parameters)
        try:
            refusal = self._authorize(event, route)
            if refusal is not None:
                return refusal
            answer = self._call(route.function, {**event, **_body_fields(request, body)})
        except WaitedTooLongError:
            return _message(503, "Service Unavailable")
        except InvocationError:
            return _message(500, "Internal Server Error")
        return _response(answer)

    def _authorize(self, event: dict[str, Any], route: Route) -> Response | None:
        """None when the call may pass; the authorizer's context is then part of the event."""
        if route.authorizer is None:
            return None
        credentials = event["headers"].get("authorization")
        if not credentials:
            return _message(401, "Unauthorized")
        verdict = self._call(route.authorizer, _authorizer_event(event, credentials))
        if not isinstance(verdict, dict) or not isinstance(verdict.get("isAuthorized"), bool):
            raise InvocationError("authorizer", "the authorizer did not answer in simple form")
        if not verdict["isAuthorized"]:
            return _message(403, "Forbidden")
        event["requestContext"]["authorizer"] = {"lambda": verdict.get("context") or {}}
        return None

    def _call(self, function: str, event: Mapping[str, Any]) -> Json:
        future = self._invocations.submit(self._invoke, function, event)
        return future.result(timeout=WAIT_SECONDS_MAX)


class _Matcher:
    """One route's path; full matches come before greedy ones, as in API Gateway."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self._pattern = re.compile(
            _PARAMETER.sub(
                lambda found: f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})",
                re.escape(route.path),
            )
        )
        self.rank = ("+}" in route.path, route.path.count("{"), route.method == "ANY")

    def match(self, method: str, path: str) -> dict[str, str] | None:
        if self.route.method not in {method, "ANY"}:
            return None
        found = self._pattern.fullmatch(path)
        return found.groupdict() if found else None


def _event(request: Request, route: Route, *, path_parameters: Mapping[str, str]) -> dict[str, Any]:
    now = datetime.now(UTC)
    key = f"{route.method} {route.path}"
    host = request.host
    return {
        "version": "2.0",
        "routeKey": key,
        "rawPath": request.path,
        "rawQueryString": request.query_string.decode("latin-1"),
        "headers": _joined_headers(request.headers),
        **_present(
            cookies=_cookies(request.headers),
            queryStringParameters=_joined_query(request),
            pathParameters=dict(path_parameters),
        ),
        "requestContext": {
            "accountId": ACCOUNT_ID,
            "apiId": API_ID,
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": str(request.environ.get("SERVER_PROTOCOL", "HTTP/1.1")),
                "sourceIp": request.remote_addr or "127.0.0.1",
                "userAgent": request.headers.get("User-Agent", ""),
            },
            "requestId": uuid.uuid4().hex[:15],
            "routeKey": key,
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }


def _authorizer_event(event: Mapping[str, Any], credentials: str) -> dict[str, Any]:
    http = event["requestContext"]["http"]
    arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{API_ID}/$default/{http['method']}"
    left_out = {"isBase64Encoded", "body"}
    return {
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": arn + http["path"],
        "identitySource": [credentials],
        **{key: value for key, value in event.items() if key not in left_out | {"version"}},
    }


def _joined_headers(headers: Headers) -> dict[str, str]:
    """Names in lower case, repeated headers joined by commas; cookies travel on their own."""
    joined: dict[str, list[str]] = {}
    for name, value in headers.items():
        if name.lower() != "cookie":
            joined.setdefault(name.lower(), []).append(value)
    return {name: ",".join(values) for name, values in joined.items() if any(values)}


def _cookies(headers: Headers) -> list[str]:
    return [
        cookie.strip()
        for header in headers.getlist("Cookie")
        for cookie in header.split(";")
        if cookie.strip()
    ]


def _joined_query(request: Request) -> dict[str, str]:
    return {name: ",".join(values) for name, values in request.args.lists()}


def _body_fields(request: Request, body: bytes) -> dict[str, Any]:
    """Text as it is, everything else (forms included) in base64."""
    if not body:
        return {}
    if _TEXT.fullmatch(request.mimetype):
        try:
            return {"body": body.decode()}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _response(answer: Json) -> Response:
    """The HTTP answer; what is no valid answer of a function is the gateway's own 500."""
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return Response(json.dumps(answer), content_type="application/json")
    try:
        body = answer.get("body") or ""
        encoded = answer.get("isBase64Encoded")
        content = base64.b64decode(body, validate=True) if encoded else body.encode()
        response = Response(content, status=int(answer["statusCode"]))
        headers = answer.get("headers") or {}
        if not any(name.lower() == "content-type" for name in headers):
            response.headers["Content-Type"] = "text/plain; charset=utf-8"
        for name, value in headers.items():
            response.headers[name] = str(value)
    except (AttributeError, TypeError, ValueError, binascii.Error):
        return _message(500, "Internal Server Error")
    for cookie in answer.get("cookies") or ():
        response.headers.add("Set-Cookie", cookie)
    response.autocorrect_location_header = False
    return response


def _message(status: int, text: str) -> Response:
    return Response(json.dumps({"message": text}), status=status, content_type="application/json")


def _present(**fields: Json) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def emulator_page(handle: Handle, *, prefix: str = "") -> Page:
    """An emulated world as a mount: the same `handle` that serves tests without sockets.

    The world sees URLs without `prefix`, as if it had a host of its own.
    """

    def page(request: Request) -> Response:
        answer = handle(
            emulated.Request(
                method=request.method,
                url=request.url.replace(prefix, "", 1),
                headers=dict(request.headers.items()),
                body=request.get_data(),
            )
        )
        response = Response(answer.body, status=answer.status)
        response.headers.clear()
        for name, value in answer.headers.items():
            response.headers[name] = value
        response.headers["Content-Length"] = str(len(answer.body))
        response.autocorrect_location_header = False
        return response

    return page


class _QuietHandler(WSGIRequestHandler):
    """No access log: its lines would carry codes and connect links."""

    def send_response(self, code: int, message: str | None = None) -> None:
        # Without the server's own Date: an emulator tells its own, and two are none.
        self.send_response_only(code, message)

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        pass


class PortTakenError(Exception):
    """Something else listens there."""


@dataclass(slots=True)
class Server:
    """Serves a gateway on loopback from threads of its own."""

    server: BaseWSGIServer
    _thread: threading.Thread | None = field(default=None)

    @classmethod
    def open(cls, port: int, application: Json) -> Server:
        """Listen at once, so that the address is known before anything is wired to it."""
        try:
            listening = socket.create_server((LOOPBACK, port))
        except OSError as error:
            raise PortTakenError(
                f"Port {port} is taken or not allowed ({error.strerror}); "
                "give another one with --port, or 0 for any"
            ) from error
        with listening:  # the server keeps a duplicate
            server = make_server(
                LOOPBACK,
                listening.getsockname()[1],
                application,
                threaded=True,
                request_handler=_QuietHandler,
                fd=listening.fileno(),
            )
        return cls(server)

    @property
    def port(self) -> int:
        return int(self.server.port)

    def start(self, application: Json = None) -> None:
        """Serve; `application` replaces the one that the port was opened with."""
        self.server.app = application or self.server.app
        self._thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.1}, name="server"
        )
        self._thread.start()

    def stop(self) -> None:
        if self._thread is not None:
            self.server.shutdown()
            self._thread.join()
        self.server.server_close()
