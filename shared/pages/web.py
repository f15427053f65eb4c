"""Requests and answers of browsers, as HTTP API events (payload 2.0) carry them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from shared.errors import CallerError
from shared.pages.headers import SECURITY, page_headers

FORM_BYTES_MAX: Final = 64 * 1024
FIELDS_MAX: Final = 50
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a browser asked; `given` are the path's parameters, `form` is read when asked for."""

    method: str
    path: str
    given: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    event: Mapping[str, Any] = field(repr=False)

    def asked(self, name: str) -> str | None:
        """A query parameter without blanks around; nothing is None."""
        return self.query.get(name, "").strip() or None

    def with_given(self, given: Mapping[str, str]) -> Request:
        """The path's parameters as our own routes name them, not the gateway's."""
        return replace(self, given=given)

    def form(self) -> dict[str, str]:
        """The fields of a form; CallerError `form_invalid` (400) or `form_too_large` (413)."""
        return _form(self.event)

    @property
    def is_cross_site(self) -> bool:
        """Whether the browser says that another site's page sent it."""
        site = self.headers.get("sec-fetch-site")
        if site is not None:
            # The origin of a form without a referrer is "null", wherever it comes from.
            return site not in {"same-origin", "none"}
        origin = self.headers.get("origin")
        return origin not in {None, f"https://{self.host}", f"http://{self.host}"}

    @property
    def host(self) -> str:
        return self.headers.get("host", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the browser gets; `event()` is what Lambda hands to the gateway."""

    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()

    def event(self) -> dict[str, Any]:
        return {
            "statusCode": self.status,
            "headers": dict(self.headers),
            "cookies": list(self.cookies),
            "body": self.body,
        }


def read_request(event: Mapping[str, Any]) -> Request:
    http = event["requestContext"]["http"]
    cookies = (cookie.partition("=") for cookie in event.get("cookies") or ())
    return Request(
        method=http["method"],
        path=event.get("rawPath") or http["path"],
        given=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        headers=event.get("headers") or {},
        cookies={name.strip(): value for name, _, value in cookies},
        event=event,
    )


def page_answer(
    body: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    cookies: tuple[str, ...] = (),
) -> Answer:
    """A page; `headers` replace those of every page one by one."""
    return Answer(
        status=status, body=body, headers={**page_headers(), **(headers or {})}, cookies=cookies
    )


def see_other(path: str, *, cookies: tuple[str, ...] = (), **query: str | None) -> Answer:
    """After a form: look there (303), so that a reload does not send the form again."""
    told = urlencode({name: value for name, value in query.items() if value is not None})
    location = f"{path}?{told}" if told else path
    headers = {**SECURITY, "cache-control": "no-store", "location": location}
    return Answer(status=303, headers=headers, cookies=cookies)


Page = Callable[[Request], Answer]


class Routes:
    """Paths with `{parameters}` and the pages behind them, by method."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Page]] = []

    def get(self, path: str) -> Callable[[Page], Page]:
        return self._adding("GET", path)

    def post(self, path: str) -> Callable[[Page], Page]:
        return self._adding("POST", path)

    def find(self, request: Request) -> tuple[Page, dict[str, str]] | None:
        """The page and the path's parameters; CallerError 405 when only the method is wrong."""
        wrong_method = False
        for method, pattern, page in self._routes:
            found = pattern.fullmatch(request.path)
            if found is None:
                continue
            if method == request.method:
                return page, found.groupdict()
            wrong_method = True
        if wrong_method:
            raise CallerError("method_not_allowed", "Not like this.", status=405)
        return None

    def _adding(self, method: str, path: str) -> Callable[[Page], Page]:
        pattern = re.compile(_PARAMETER.sub(r"(?P<\1>[^/]{1,4096})", path))

        def add(page: Page) -> Page:
            self._routes.append((method, pattern, page))
            return page

        return add


def _form(event: Mapping[str, Any]) -> dict[str, str]:
    body = event.get("body") or ""
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body
        text = raw.decode() if isinstance(raw, bytes) else raw
        if len(text) > FORM_BYTES_MAX:
            raise CallerError("form_too_large", "The form holds too much text.", status=413)
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except (binascii.Error, ValueError):
        raise CallerError("form_invalid", "The form could not be read.") from None
    return dict(pairs)
