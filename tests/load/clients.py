"""What a host's servers and its users' browsers send: real HTTP, from processes of their own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from infra.local.product import RETURN_URL, Browser

TIMEOUT_SECONDS = 60.0
# A host repeats what was answered with "later"; ten minutes are more than any outage here.
REPEAT_SECONDS_MAX = 600.0
REPEAT_AFTER = 2.0
UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Answer:
    """One answered request; status 0: nobody answered."""

    route: str
    status: int
    seconds: float
    retry_after: str | None = None
    code: str = ""
    body: Any = None

    @property
    def good(self) -> bool:
        return 200 <= self.status < 400

    @property
    def allowed(self) -> bool:
        """No failure of the server, or a 503 that says when to come again."""
        return 0 < self.status < 500 or (self.status == UNAVAILABLE and bool(self.retry_after))


@dataclass(slots=True)
class Connected:
    """How a connection went; `calendar_id` is None when it did not."""

    calendar_id: str | None = None
    error: str = ""
    answers: list[Answer] = field(default_factory=list)


class _Process:
    """What each process keeps between its calls."""

    url = ""
    session = requests.Session()


def begin(url: str, key: str) -> None:
    """Called once in each process."""
    _Process.url = url
    _Process.session.headers["Authorization"] = f"Bearer {key}"


def ask(
    route: str,
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
) -> Answer:
    """One request; the route begins with its method."""
    method = route.split(" ", 1)[0]
    began = time.monotonic()
    try:
        answer = _Process.session.request(
            method, _Process.url + path, json=body, params=query, timeout=TIMEOUT_SECONDS
        )
    except requests.RequestException as error:
        return Answer(route, 0, time.monotonic() - began, code=type(error).__name__)
    return _answer(route, answer, began=began)


def connect(entity_id: str, platform: str, email: str) -> Connected:
    """A user goes through the consent pages, the host completes what came back."""
    done = Connected()
    wanted = {"entity_id": entity_id, "platform": platform, "return_url": RETURN_URL}
    session = _until_good(done, "POST /v1/connect-sessions", "/v1/connect-sessions", body=wanted)
    if not session.good:
        done.error = f"no session: {session.status} {session.code}"
        return done
    browser = _TimedBrowser(done.answers)
    try:
        back = browser.consent(session.body["connect_url"], email=email)
    finally:
        browser.close()
    if "completion_code" not in back:
        done.error = f"no code: {back.get('error')}"
        return done
    calendar = _until_good(
        done,
        "POST /v1/connect-sessions/{session_id}/complete",
        f"/v1/connect-sessions/{back['session_id']}/complete",
        body={"completion_code": back["completion_code"]},
    )
    done.calendar_id = calendar.body["calendar_id"] if calendar.good else None
    done.error = "" if calendar.good else f"not complete: {calendar.status} {calendar.code}"
    return done


def _until_good(done: Connected, route: str, path: str, *, body: Mapping[str, Any]) -> Answer:
    """Repeat while the answer is a 503 that says when to come again."""
    limit = time.monotonic() + REPEAT_SECONDS_MAX
    while True:
        answer = ask(route, path, body=body)
        done.answers.append(answer)
        if answer.status != UNAVAILABLE or not answer.allowed or time.monotonic() > limit:
            return answer
        time.sleep(min(float(answer.retry_after or REPEAT_AFTER), 10.0))


class _TimedBrowser(Browser):
    """Notes what Rollcall's own pages answered; the providers' pages are no matter of ours."""

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__()
        self._answers = answers

    def _send(self, method: str, url: str, *, form: Any = ()) -> requests.Response:
        began = time.monotonic()
        answer = super()._send(method, url, form=form)
        path = url.removeprefix(_Process.url)
        if path.startswith("/connect/"):
            self._answers.append(_answer("GET /connect/{token}", answer, began=began))
        elif path.startswith("/oauth/"):
            self._answers.append(_answer("GET /oauth/{platform}/callback", answer, began=began))
        return answer


def _answer(route: str, answer: requests.Response, *, began: float) -> Answer:
    body = answer.json() if "json" in answer.headers.get("Content-Type", "") else None
    return Answer(
        route,
        answer.status_code,
        time.monotonic() - began,
        retry_after=answer.headers.get("Retry-After"),
        code=str(body.get("code", "")) if isinstance(body, dict) else "",
        body=body,
    )
