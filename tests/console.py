"""A browser at the console's handler: cookies, forms, and what the gateway makes of them."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from functions.console import app
from functions.console.service import Service
from shared.domain.api_key import SCOPES, fingerprint
from shared.domain.secret import Secret
from shared.storage import ApiKey, ApiKeyStore
from tests.connect_stage import Answer, gateway_event
from tests.stack import Stack
from tests.tables import client
from tests.virtual_queue import Stored

KEY = Secret("rk_a_key_for_the_console_0123456789abcdefghijk")
CSRF = re.compile(r'name="csrf" value="([^"]+)"')


def let_in(
    api_keys: ApiKeyStore,
    key: Secret = KEY,
    *,
    now: datetime,
    scopes: frozenset[str] = SCOPES,
    revoked_at: datetime | None = None,
) -> None:
    prefix, digest = fingerprint(key)
    api_keys.put(
        ApiKey(
            prefix=prefix,
            digest=digest,
            scopes=scopes,
            name="tests",
            created_at=now,
            revoked_at=revoked_at,
        )
    )


def offer_google(secret_id: str) -> None:
    """The stack gets an OAuth client, as an operator would fill it in."""
    manager = client("secretsmanager")
    values = json.loads(manager.get_secret_value(SecretId=secret_id)["SecretString"])
    more = {"google_client_id": "client-1", "google_client_secret": "client-secret-1"}
    manager.put_secret_value(SecretId=secret_id, SecretString=json.dumps(values | more))


def bury(stack: Stack, *bodies: str) -> None:
    """Messages that were given up, each in a group of its own."""
    for number, body in enumerate(bodies):
        sent = {"number": 900 + number, "body": body, "group": f"bot:{number}", "carried": {}}
        now = stack.clock.now()
        stack.queue.dead.append(Stored(**sent, sent_at=now, visible_at=now))


class ConsoleBrowser:
    """Keeps the console's cookie; follows nothing by itself."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.routes = app.pages(service)
        self.cookies: dict[str, str] = {}

    def get(self, url: str, **headers: str) -> Answer:
        return self._ask("GET", url, headers=headers)

    def send(self, url: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        """A form as browsers send it; `csrf` has to be among its fields."""
        kind = {"content_type": "application/x-www-form-urlencoded", **headers}
        return self._ask("POST", url, headers=kind, body=urlencode(form or {}))

    def submit(self, page: str, url: str, form: dict[str, str] | None = None) -> Answer:
        """A form of a page that was loaded before; its code is that of the whole session."""
        found = CSRF.search(self.get(page).body)
        assert found is not None, page
        return self.send(url, {"csrf": found[1], **(form or {})})

    def sign_in(self, key: Secret = KEY) -> Answer:
        return self.send("/console/sign-in", {"key": key.reveal()})

    def _ask(
        self, method: str, url: str, *, headers: dict[str, str], body: str | None = None
    ) -> Answer:
        parts = urlsplit(url)
        event: dict[str, Any] = gateway_event(
            f"{method} /console", path=parts.path, query=_query(parts.query), headers=headers
        )
        event["cookies"] = [f"{name}={value}" for name, value in self.cookies.items()]
        if body is not None:
            event["body"] = body
        answer = Answer(app.answer(event, self.service, routes=self.routes))
        for cookie in answer.cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer


def _query(text: str) -> dict[str, str] | None:
    return dict(parse_qsl(text)) or None
