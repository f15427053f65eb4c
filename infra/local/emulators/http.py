"""HTTP as values, and an adapter that lets `requests` talk to a world without sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request; `url` is absolute, header names match in any case."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", CaseInsensitiveDict(self.headers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP answer; header names match in any case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", CaseInsensitiveDict(self.headers))


class FaultKind(StrEnum):
    """How a call can go wrong between two honest parties."""

    CONNECT_ERROR = "connect_error"
    CONNECT_TIMEOUT = "connect_timeout"
    READ_TIMEOUT = "read_timeout"
    TIMEOUT_AFTER_EFFECT = "timeout_after_effect"
    RESET_AFTER_EFFECT = "reset_after_effect"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens instead of the call; `answer` goes with `FaultKind.ANSWER`."""

    kind: FaultKind
    answer: Response | None = None


Handle = Callable[[Request], Response]
Faults = Callable[[Request], Fault | None]
_Cert = bytes | str | tuple[bytes | str, bytes | str] | None
_Timeout = float | tuple[float, float] | tuple[float, None] | None


class WorldAdapter(BaseAdapter):
    """Serves a world in-process: `session.mount(base_url, WorldAdapter(world.handle))`.

    `faults` may be replaced at any time; it sees each request first and decides its fate.
    """

    def __init__(self, handle: Handle, faults: Faults | None = None) -> None:
        super().__init__()
        self._handle = handle
        self.faults = faults

    def send(  # noqa: PLR0917  the order is the one of requests
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: _Timeout = None,
        verify: bool | str = True,
        cert: _Cert = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        del stream, timeout, verify, cert, proxies
        asked = _asked(request)
        fault = self.faults(asked) if self.faults else None
        answer = self._handle(asked) if fault is None else self._fail(fault, asked)
        return answered(request, answer)

    def close(self) -> None:
        """Nothing is open."""

    def _fail(self, fault: Fault, asked: Request) -> Response:
        match fault.kind:
            case FaultKind.CONNECT_ERROR:
                raise requests.ConnectionError("emulated: connection refused")
            case FaultKind.CONNECT_TIMEOUT:
                raise requests.ConnectTimeout("emulated: connect timed out")
            case FaultKind.READ_TIMEOUT:
                raise requests.ReadTimeout("emulated: read timed out, nothing done")
            case FaultKind.TIMEOUT_AFTER_EFFECT:
                self._handle(asked)
                raise requests.ReadTimeout("emulated: read timed out, effect applied")
            case FaultKind.RESET_AFTER_EFFECT:
                self._handle(asked)
                raise requests.ConnectionError("emulated: reset by peer, effect applied")
            case FaultKind.ANSWER:
                return fault.answer or Response(status=503)
            case _:
                assert_never(fault.kind)


def _asked(request: requests.PreparedRequest) -> Request:
    body = request.body or b""
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes):
        raise TypeError("streamed bodies are not emulated")
    return Request(
        method=request.method or "GET",
        url=request.url or "",
        headers={str(name): _text(value) for name, value in request.headers.items()},
        body=body,
    )


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def answered(request: requests.PreparedRequest, answer: Response) -> requests.Response:
    """The answer as `requests` hands it to its caller."""
    built = requests.Response()
    built.status_code = answer.status
    built.headers = CaseInsensitiveDict(answer.headers)
    built.encoding = get_encoding_from_headers(built.headers)
    built.url, built.request = request.url or "", request
    # Read already: without a socket nothing is won by waiting, and pools never leak.
    vars(built).update(_content=answer.body, _content_consumed=True)
    return built
