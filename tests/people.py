"""People with links: their browser at the console's handler, beside a whole stack."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from functions.console import app
from functions.console.service import Service
from tests.connect_stage import Answer, gateway_event
from tests.stack import Stack
from tests.stack_api import StackApi

PUBLIC = "https://rollcall.example"
CSRF = re.compile(r'name="csrf" value="([^"]+)"')
WORD = re.compile(r'name="word" value="([^"]+)" aria-pressed="(true|false)"')
FRAMES = "https://app.host.example"


def console_beside(stack: Stack, **environment: str) -> Service:
    more = {"API_KEYS_TABLE": str(stack.tables.api_keys), "PUBLIC_URL": PUBLIC}
    return app.compose(stack.environment | more | environment, **stack._given())


class Person:
    """A browser without JavaScript; keeps cookies, follows nothing by itself."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.routes = app.pages(service)
        self.cookies: dict[str, str] = {}

    def get(self, url: str, **headers: str) -> Answer:
        return self._ask("GET", url, headers=headers)

    def send(self, url: str, form: dict[str, str], **headers: str) -> Answer:
        kind = {
            "content_type": "application/x-www-form-urlencoded",
            "sec_fetch_site": "same-origin",
            "origin": "null",
            **headers,
        }
        return self._ask("POST", url, headers=kind, body=urlencode(form))

    def submit(self, page: str, url: str, form: dict[str, str]) -> Answer:
        """A form of a page that was loaded before."""
        found = CSRF.search(self.get(page).body)
        assert found is not None, page
        return self.send(url, {"csrf": found[1], **form})

    def press(self, page: str, word: str) -> Answer:
        """On, Auto or Off, as `occurrence off`, for the first meeting that has it."""
        words = [unescape(found[1]) for found in WORD.finditer(self.get(page).body)]
        chosen = next(each for each in words if each.startswith(f"{word} "))
        return self.submit(page, f"{page}/override", {"word": chosen})

    def _ask(
        self, method: str, url: str, *, headers: dict[str, str], body: str | None = None
    ) -> Answer:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query)) or None
        event: dict[str, Any] = gateway_event(
            f"{method} {parts.path}", path=parts.path, query=query, headers=headers
        )
        event["cookies"] = [f"{name}={value}" for name, value in self.cookies.items()]
        if body is not None:
            event["body"] = body
        answer = Answer(app.answer(event, self.service, routes=self.routes))
        for cookie in answer.cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer


def page_link(api: StackApi, tenant_id: str = "default", entity_id: str = "u1", **body: Any) -> str:
    """The path of the entity's own page."""
    made = api.call("POST", f"/v1/entities/{tenant_id}/{entity_id}/page-link", body)
    assert 201 == made.status, made.body
    return urlsplit(made.json["url"]).path


def pressed(body: str) -> list[str]:
    """The choices that stand, as `occurrence auto`."""
    found = [unescape(each[1]) for each in WORD.finditer(body) if each[2] == "true"]
    return [" ".join(each.split(" ")[:2]) for each in found]
