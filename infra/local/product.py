"""A pretend product that uses Rollcall: its backend, and a user with a browser."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

from shared.domain.secret import Secret

TIMEOUT_SECONDS = 30.0
HOPS_MAX = 10
PAGE_LIMIT = 100
REDIRECTS = frozenset({301, 302, 303, 307, 308})
RETURN_URL = "https://product.example/calendars/connected"


class UnexpectedAnswerError(Exception):
    """Rollcall, or a provider, answered something the product cannot go on with."""


class Backend:
    """The product's own server: calls /v1 with its API key."""

    def __init__(self, url: str, api_key: Secret) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {api_key.reveal()}"

    def close(self) -> None:
        self._session.close()

    def start_connect(
        self, entity_id: str, platform: str, *, return_url: str = RETURN_URL
    ) -> dict[str, Any]:
        body = {"entity_id": entity_id, "platform": platform, "return_url": return_url}
        return self._ask("POST", "/v1/connect-sessions", body=body, expected=(201,))

    def complete(self, session_id: str, completion_code: str) -> dict[str, Any]:
        """The calendar: new (201) or, for an account known already, reconnected (200)."""
        path = f"/v1/connect-sessions/{session_id}/complete"
        body = {"completion_code": completion_code}
        return self._ask("POST", path, body=body, expected=(200, 201))

    def create_calendar(
        self, entity_id: str, platform: str, *, refresh_token: Secret
    ) -> dict[str, Any]:
        body = {
            "entity_id": entity_id,
            "platform": platform,
            "oauth_refresh_token": refresh_token.reveal(),
        }
        return self._ask("POST", "/v1/calendars", body=body, expected=(200, 201))

    def page_link(self, entity_id: str) -> str:
        """The address of the entity's own page."""
        path = f"/v1/entities/default/{entity_id}/page-link"
        return str(self._ask("POST", path, body={"connect": True}, expected=(201,))["url"])

    def calendar(self, calendar_id: str) -> dict[str, Any]:
        return self._ask("GET", f"/v1/calendars/{calendar_id}")

    def meetings(self, calendar_id: str) -> list[dict[str, Any]]:
        """Every known meeting of the calendar, page by page."""
        path = f"/v1/calendars/{calendar_id}/meetings"
        query: dict[str, Any] = {"limit": PAGE_LIMIT}
        found: list[dict[str, Any]] = []
        while True:
            page = self._ask("GET", path, query=query)
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    def override(self, calendar_id: str, event_id: str, *, choice: str) -> dict[str, Any]:
        path = f"/v1/calendars/{calendar_id}/meetings/{event_id}/override"
        return self._ask("PUT", path, body={"choice": choice, "scope": "occurrence"})

    def rules(self, scope: str) -> dict[str, Any]:
        return self._ask("GET", f"/v1/rules/{scope}")

    def put_rules(self, scope: str, rules: Mapping[str, object]) -> dict[str, Any]:
        return self._ask("PUT", f"/v1/rules/{scope}", body=rules)

    def preview(self, scope: str, rules: Mapping[str, object]) -> dict[str, Any]:
        """Meetings `added`, `removed`, `changed` and `unchanged` if the rules were put."""
        return self._ask("POST", "/v1/rules/preview", body={"scope": scope, "rules": rules})

    def erase(self, tenant_id: str, entity_id: str) -> None:
        self._ask("DELETE", f"/v1/entities/{tenant_id}/{entity_id}", expected=(202,))

    def calendars_of(self, entity_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask(
            "GET", "/v1/calendars", query={"entity_id": entity_id}
        )["items"]
        return found

    def status(self) -> dict[str, Any]:
        return self._ask("GET", "/v1/status")

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, object] | None = None,
        expected: Sequence[int] = (200,),
    ) -> dict[str, Any]:
        answer = self._session.request(
            method,
            self._url + path,
            json=body,
            params={name: str(value) for name, value in (query or {}).items()},
            timeout=TIMEOUT_SECONDS,
        )
        if answer.status_code not in expected:
            # Problem documents name a code and carry no secret; other bodies stay unread.
            code = answer.json().get("code", "") if "json" in _media(answer) else ""
            raise UnexpectedAnswerError(f"{method} {path} answered {answer.status_code} {code}")
        found: dict[str, Any] = answer.json()
        return found


@dataclass(slots=True)
class _Form:
    """A form as a browser holds it: what is filled in, and what can be chosen."""

    action: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _FormReader(HTMLParser):
    """Reads the first form of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.form: _Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and self.form is None:
            self.form = _Form(action=given.get("action", ""))
        elif self.form is not None and "name" in given:
            self._take(tag, given, form=self.form)

    def _take(self, tag: str, given: Mapping[str, str], *, form: _Form) -> None:
        name, value = given["name"], given.get("value", "")
        match tag, given.get("type", "text"):
            case "button", _:
                form.buttons.append((name, value))
            case "input", "radio":
                form.choices.setdefault(name, []).append(value)
            case "input", _:  # hidden, text, and boxes: a willing user ticks all of them
                form.fields.append((name, value))
            case _:
                return


class Browser:
    """A user's browser: follows redirects, keeps cookies, reads and sends the consent form."""

    def __init__(self) -> None:
        self._session = requests.Session()
        # Browsers count loopback as a secure place, so Secure cookies are sent there.
        self._session.cookies.set_policy(
            DefaultCookiePolicy(secure_protocols=("https", "wss", "http"))
        )

    def close(self) -> None:
        self._session.close()

    def consent(self, connect_url: str, *, email: str) -> dict[str, str]:
        """Open the link, allow everything as `email`; the query that came back to the product."""
        page = self._follow(self._send("GET", connect_url))
        if isinstance(page, dict):
            return page
        landed = self._follow(self._submit(page, email=email))
        if not isinstance(landed, dict):
            raise UnexpectedAnswerError(f"the consent led to a page ({landed.status_code})")
        return landed

    def _follow(self, answer: requests.Response) -> requests.Response | dict[str, str]:
        """The page at the end of the redirects, or the query when they lead to the product."""
        for _ in range(HOPS_MAX):
            if answer.status_code not in REDIRECTS:
                return answer
            location = urljoin(answer.url, answer.headers["Location"])
            if location.startswith(RETURN_URL):
                query = parse_qs(urlsplit(location).query)
                return {name: values[0] for name, values in query.items()}
            answer = self._send("GET", location)
        raise UnexpectedAnswerError("redirects without an end")

    def _send(
        self, method: str, url: str, *, form: Sequence[tuple[str, str]] = ()
    ) -> requests.Response:
        return self._session.request(
            method,
            url,
            data=list(form) or None,
            headers=self._cookies_for(url),
            allow_redirects=False,
            timeout=TIMEOUT_SECONDS,
        )

    def _cookies_for(self, url: str) -> dict[str, str]:
        """Asked of the jar here: `requests` itself would forget the jar's policy."""
        asked = urllib.request.Request(url)
        self._session.cookies.add_cookie_header(asked)
        cookie = asked.get_header("Cookie")
        return {"Cookie": cookie} if cookie else {}

    def _submit(self, page: requests.Response, *, email: str) -> requests.Response:
        reader = _FormReader()
        reader.feed(page.text)
        form = reader.form
        if page.status_code != requests.codes.ok or form is None or not form.buttons:
            raise UnexpectedAnswerError(f"no consent form but a page ({page.status_code})")
        known = email in form.choices.get("account", ())
        fields = [pair for pair in form.fields if pair[0] != "email"]
        fields.append(("account", email if known else "other"))
        fields.append(("email", "" if known else email))
        fields.append(next(pair for pair in form.buttons if pair[1] == "allow"))
        return self._send("POST", urljoin(page.url, form.action), form=fields)


def _media(answer: requests.Response) -> str:
    return answer.headers.get("Content-Type", "")
