"""HTTP to Recall: one bounded exchange at a time, credentials to Recall's address only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from threading import Lock
from urllib.parse import urlencode, urlsplit

import requests
from requests.adapters import HTTPAdapter

from shared.domain.secret import Secret
from shared.errors import PermanentError
from shared.recall.budget import Budget
from shared.recall.errors import Throttled, Unavailable, Unexpected
from shared.recall.refusal import refusal

CONNECT_TIMEOUT_SECONDS = 3.05
READ_TIMEOUT_SECONDS = 10.0
ANSWER_BYTES_MAX = 16 * 1024 * 1024  # a page holds 100 events, each with its provider's body
REFUSAL_BYTES_MAX = 64 * 1024
CHUNK_BYTES = 64 * 1024
# Load balancers hang up on idle connections, usually after 60 s. A frozen Lambda does not
# hear it and would lose the first call after its sleep.
IDLE_SECONDS_MAX = 30.0

Query = Sequence[tuple[str, str]]

_KEY = re.compile(r"[\x21-\x7e]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call. `endpoint` is its operationId, which names its rate budget.

    `path` lies below the base URL. `next_page` is a `next` link of an earlier answer and
    replaces path and query.
    """

    endpoint: str
    method: str
    path: str
    query: Query = field(default=(), repr=False)
    next_page: str | None = None
    body: Mapping[str, object] | None = field(default=None, repr=False)
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer: its JSON (None where the body is empty) and when it was given."""

    document: object = field(repr=False)
    answered_at: datetime


def new_session(pool_size: int) -> requests.Session:
    """A session for `pool_size` calls in flight: no retries, no cookies, no environment."""
    session = requests.Session()
    # With trust_env, a netrc file would replace our Authorization header.
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=pool_size, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class Transport:
    """Sends requests to one Recall region; safe to share between threads."""

    def __init__(
        self,
        session: requests.Session,
        *,
        base_url: str,
        api_key: Callable[[], Secret],
        budget: Budget,
        clock: Callable[[], datetime],
    ) -> None:
        if not _usable_base(base_url):
            raise PermanentError("recall_base_url_malformed", "RECALL_BASE_URL is malformed.")
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._budget = budget
        self._clock = clock
        self._asked_at: datetime | None = None
        self._waking = Lock()

    def ask(self, request: Request) -> Answer:
        """One exchange, paid from the budget first.

        Errors: those of `shared.recall.errors`, and `rate_budget` (TransientError).
        """
        url = self._url(request)
        self._budget.spend(request.endpoint)
        asked_at = self._clock()
        self._drop_idle_connections(asked_at)
        try:
            with self._send(request, url) as response:
                return _answer(response, endpoint=request.endpoint, asked_at=asked_at)
        except Throttled as throttled:
            self._budget.block(request.endpoint, seconds=throttled.retry_after or 0)
            raise
        except requests.RequestException:
            # `from None`: a requests exception carries the request with key and secrets.
            raise Unavailable from None

    def _drop_idle_connections(self, now: datetime) -> None:
        with self._waking:
            before, self._asked_at = self._asked_at, now
            if before and (now - before).total_seconds() > IDLE_SECONDS_MAX:
                self._session.close()  # empties the pool; the session stays usable

    def _key(self) -> str:
        """The key of the moment: one that was rotated must not outlive its day here."""
        key = self._api_key().reveal()
        if not _KEY.fullmatch(key):
            raise PermanentError("recall_api_key_malformed", "The Recall API key is malformed.")
        return key

    def _send(self, request: Request, url: str) -> requests.Response:
        headers = {"Accept": "application/json", "Authorization": f"Token {self._key()}"}
        if request.idempotency_key is not None:
            headers["Idempotency-Key"] = request.idempotency_key
        return self._session.request(
            request.method,
            url,
            json=request.body,
            headers=headers,
            timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
            allow_redirects=False,
            stream=True,
        )

    def _url(self, request: Request) -> str:
        url = self._base_url + request.path
        query = urlencode(list(request.query))
        if request.next_page is not None:
            query = _query_of_next(request.next_page, expected=url)
        return f"{url}?{query}" if query else url


def _usable_base(base_url: str) -> bool:
    try:
        parts = urlsplit(base_url)
        plain = parts.port is None or parts.port > 0
    except ValueError:
        return False
    named = parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and "@" not in parts.netloc
    return plain and named and not parts.query and not parts.fragment


def _query_of_next(link: str, *, expected: str) -> str:
    """The query of a `next` link, untouched, if it leads to the very endpoint we asked.

    Only the query is taken over, so no reading of the link can lead the key elsewhere.
    """
    try:
        same = _place(link) == _place(expected)
    except ValueError:  # a port that is no number, a host that is no address
        same = False
    if not same:
        raise Unexpected("recall_next_foreign", "A page link leads away from Recall's list.")
    return urlsplit(link).query


def _place(url: str) -> tuple[str, str | None, int | None, str, bool]:
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/"), "@" in parts.netloc


def _answer(response: requests.Response, *, endpoint: str, asked_at: datetime) -> Answer:
    answered_at = _date(response) or asked_at
    if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
        raise refusal(
            response.status_code,
            document=_json_or_none(_body(response, limit=REFUSAL_BYTES_MAX)),
            retry_after=response.headers.get("Retry-After"),
            endpoint=endpoint,
            now=answered_at,
        )
    return Answer(
        document=_json(_body(response, limit=ANSWER_BYTES_MAX + 1)), answered_at=answered_at
    )


def _body(response: requests.Response, *, limit: int) -> bytes:
    """At most `limit` bytes, decompressed; what lies beyond is never read."""
    body = bytearray()
    for chunk in response.iter_content(CHUNK_BYTES):
        body += chunk
        if len(body) >= limit:
            break
    return bytes(body[:limit])


def _json(body: bytes) -> object:
    if len(body) > ANSWER_BYTES_MAX:
        raise Unexpected("recall_answer_oversized", "Recall's answer is too long.")
    if not body.strip():
        return None
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        raise Unavailable from None
    return document


def _json_or_none(body: bytes) -> object:
    """A refusal speaks through its status; its body may be HTML, cut off or missing."""
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document


def _date(response: requests.Response) -> datetime | None:
    """Recall's own clock, in whole seconds."""
    try:
        moment = parsedate_to_datetime(response.headers.get("Date", ""))
    except (TypeError, ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
