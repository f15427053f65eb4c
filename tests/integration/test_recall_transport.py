"""What travels between Rollcall and Recall, byte by byte, against a server that misbehaves."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shared.domain.calendar import CalendarStatus, Platform
from shared.domain.secret import Secret
from shared.errors import PermanentError, RollcallError, TransientError
from shared.recall import refusal as refusals
from shared.recall import transport
from shared.recall.client import RecallClient
from shared.recall.errors import (
    AlreadyDispatched,
    Blocked,
    Conflicted,
    NotFound,
    OutOfCredit,
    PoolEmpty,
    Refused,
    Throttled,
    Unauthorized,
    Unavailable,
    Unexpected,
)

NOW = datetime(2027, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
RECALLS_NOW = datetime(2027, 3, 1, 12, 0, 7, tzinfo=UTC)
PREFIX = "/emulators/recall"
ID = "0512a606-f31c-58ad-8692-f62ffc95b96f"
KEY = "key-of-the-workspace"
EMPTY_PAGE = {"next": None, "previous": None, "results": []}
EVENT = json.loads(
    (Path(__file__).parents[1] / "payloads/events/01-google-one-off-external-meet.json").read_text()
)


def http(status: int, body: bytes | object = b"", **headers: str) -> bytes:
    """A whole answer; underscores in header names become dashes."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    fields = {"Content-Length": str(len(payload))} | given
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} x\r\n{lines}\r\n".encode() + payload


class Stub(ThreadingHTTPServer):
    """Answers what it was told to, in order, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), StubHandler)
        self.answers: list[bytes | None] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.connections = 0
        self.hang_up = False
        self.released = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class StubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Stub

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers, body))
        answer = self.server.answers.pop(0)
        if answer is None:
            self.server.released.wait(5)
        else:
            self.wfile.write(answer)
        self.close_connection = self.server.hang_up or answer is None

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Tests stay quiet."""


class Purse:
    """A budget that never ends and keeps its receipts."""

    def __init__(self) -> None:
        self.spent: list[str] = []
        self.blocked: list[tuple[str, float]] = []

    def spend(self, endpoint: str) -> None:
        self.spent.append(endpoint)

    def block(self, endpoint: str, *, seconds: float) -> None:
        self.blocked.append((endpoint, seconds))


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def purse() -> Purse:
    return Purse()


@pytest.fixture
def client(stub: Stub, purse: Purse) -> RecallClient:
    return build(stub.address + PREFIX, purse)


def build(
    base_url: str,
    purse: Purse | None = None,
    *,
    api_key: str = KEY,
    clock: Callable[[], datetime] = lambda: NOW,
) -> RecallClient:
    return RecallClient(
        transport.new_session(4),
        base_url=base_url,
        api_key=lambda: Secret(api_key),
        budget=purse or Purse(),
        clock=clock,
    )


# What we send


def test_a_get_carries_the_key_and_no_body(stub, client, purse):
    stub.answers = [http(200, EMPTY_PAGE)]

    client.list_events()

    ((method, path, headers, body),) = stub.asked
    assert (method, path, body) == ("GET", PREFIX + "/api/v2/calendar-events/", b"")
    assert headers["authorization"] == "Token " + KEY
    assert "content-length" not in headers
    assert "content-type" not in headers
    assert purse.spent == ["calendar_events_list"]


def test_every_plus_is_encoded(stub, client):
    stub.answers = [http(200, EMPTY_PAGE)] * 2
    moment = datetime.fromisoformat("2027-02-25T18:31:54.602199+01:00")

    client.list_calendars(
        email="owner+test@acme.example",
        status=CalendarStatus.CONNECTED,
        platform=Platform.GOOGLE,
    )
    client.list_events(calendar_id=ID, updated_since=moment, start_from=NOW, start_to=NOW)

    assert stub.asked[0][1].partition("?")[2] == (
        "status=connected&email=owner%2Btest%40acme.example&platform=google_calendar"
    )
    assert stub.asked[1][1].partition("?")[2] == (
        f"calendar_id={ID}&updated_at__gte=2027-02-25T17%3A31%3A54.602199Z"
        "&start_time__gte=2027-03-01T12%3A00%3A00.250000Z"
        "&start_time__lte=2027-03-01T12%3A00%3A00.250000Z"
    )


def test_a_netrc_file_does_not_replace_the_key(stub, client, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else")
    monkeypatch.setenv("NETRC", str(netrc))
    stub.answers = [http(200, EMPTY_PAGE)]

    client.list_events()

    assert stub.asked[0][2]["authorization"] == "Token " + KEY


def test_cookies_are_not_kept(stub, client):
    stub.answers = [http(200, EMPTY_PAGE, Set_Cookie="a=b; Path=/")] * 2

    client.list_events()
    client.list_events()

    assert "cookie" not in stub.asked[1][2]


def test_connections_are_pooled(stub, client):
    stub.answers = [http(200, EMPTY_PAGE), http(404, {}), http(204), http(200, EMPTY_PAGE)]

    client.list_events()
    with pytest.raises(NotFound):
        client.get_event(ID)
    client.delete_calendar(ID)
    client.list_events()

    assert stub.connections == 1


def test_a_stale_socket_is_replaced(stub, client):
    stub.answers = [http(200, EMPTY_PAGE)] * 2
    stub.hang_up = True

    client.list_events()
    threading.Event().wait(0.05)  # the server's FIN arrives
    client.list_events()

    assert stub.connections == 2


@pytest.mark.parametrize(("pause", "connections"), [(29, 1), (31, 2)])
def test_a_connection_that_may_have_died_in_its_sleep_is_not_used(stub, pause, connections):
    moments = iter([NOW, NOW + timedelta(seconds=pause)])
    client = build(stub.address, clock=lambda: next(moments))
    stub.answers = [http(200, EMPTY_PAGE)] * 2

    client.list_events()
    client.list_events()

    assert stub.connections == connections


def test_several_calls_may_be_in_flight(stub, client):
    stub.answers = [http(200, EVENT)] * 64

    with ThreadPoolExecutor(4) as pool:
        entries = list(pool.map(client.unschedule_bot, [ID] * 64))

    assert {entry.event.event_id for entry in entries} == {EVENT["id"]}
    assert stub.connections <= 4


@pytest.mark.parametrize("identity", ["", ".", "..", "a/b", "a?b", "a%2fb", "é", "x" * 65, "a\n"])
def test_an_id_cannot_bend_the_path(stub, client, purse, identity):
    with pytest.raises(NotFound):
        client.get_event(identity)

    assert (stub.asked, purse.spent) == ([], [])


def test_only_what_is_given_is_changed(stub, client):
    calendar = {
        "id": ID,
        "platform": "google_calendar",
        "status": "connecting",
        "created_at": "2027-02-01T09:00:00Z",
        "updated_at": "2027-02-01T09:00:00Z",
    }
    stub.answers = [http(200, calendar)] * 2

    client.update_calendar(ID)
    client.update_calendar(ID, client_secret=Secret("new"), metadata={})

    assert json.loads(stub.asked[0][3]) == {}
    assert json.loads(stub.asked[1][3]) == {"oauth_client_secret": "new", "metadata": {}}


# Where the key may go


def page_linking_to(link: str) -> bytes:
    return http(200, EMPTY_PAGE | {"next": link})


def test_the_query_of_a_next_link_is_followed_as_it_is(stub, client):
    query = "calendar_id=" + ID + "&cursor=cD0yMDI3JTJC%2B%3D&updated_at__gte=2027-01-01T00:00:00Z"
    link = f"{stub.address}{PREFIX}/api/v2/calendar-events/?{query}"
    stub.answers = [page_linking_to(link), http(200, EMPTY_PAGE)]

    page = client.list_events(calendar_id=ID)
    last = client.list_events(next_page=page.next_page)

    assert stub.asked[1][1] == f"{PREFIX}/api/v2/calendar-events/?{query}"
    assert last.next_page is None


def test_a_next_link_may_spell_out_the_default_port():
    expected = "https://us-west-2.recall.ai/api/v2/calendar-events/"
    link = "https://us-west-2.recall.ai:443/api/v2/calendar-events/?cursor=x"

    assert transport._query_of_next(link, expected=expected) == "cursor=x"


@pytest.mark.parametrize(
    "link",
    [
        "http://evil.example/emulators/recall/api/v2/calendar-events/?cursor=x",
        "https://127.0.0.1:{port}/emulators/recall/api/v2/calendar-events/?cursor=x",
        "http://127.0.0.1:1/emulators/recall/api/v2/calendar-events/?cursor=x",
        "http://127.0.0.1:{port}.evil.example/emulators/recall/api/v2/calendar-events/?cursor=x",
        "http://127.0.0.1:{port}@evil.example/emulators/recall/api/v2/calendar-events/?cursor=x",
        "http://evil@127.0.0.1:{port}/emulators/recall/api/v2/calendar-events/?cursor=x",
        "http://evil.example\\@127.0.0.1:{port}/emulators/recall/api/v2/calendar-events/",
        "http://127.0.0.1:{port}/api/v2/calendar-events/?cursor=x",
        "http://127.0.0.1:{port}/emulators/recall/api/v1/bot/?cursor=x",
        "http://127.0.0.1:{port}/emulators/recall/api/v2/calendar-events/../calendars/?cursor=x",
        "//evil.example/emulators/recall/api/v2/calendar-events/",
        "/emulators/recall/api/v2/calendar-events/?cursor=x",
        "http://[/",
        "file:///etc/passwd",
        "nonsense",
    ],
)
def test_a_next_link_that_leads_away_is_not_followed(stub, client, link):
    with pytest.raises(PermanentError) as refused:
        client.list_events(next_page=link.format(port=stub.server_address[1]))

    assert refused.value.code == "recall_next_foreign"
    assert stub.asked == []


def test_a_redirect_is_not_followed(stub, client):
    stub.answers = [http(307, b"", Location="http://evil.example/")]

    with pytest.raises(Unexpected) as refused:
        client.list_events()

    assert refused.value.code == "recall_redirected"
    assert len(stub.asked) == 1


@pytest.mark.parametrize(
    "base_url",
    ["", "recall", "ftp://recall.ai", "https://", "https://k@recall.ai", "https://r.ai?x=1",
     "https://r.ai:port", "https://r.ai#x"],
)  # fmt: skip
def test_a_base_url_that_cannot_be_meant_is_refused_at_once(base_url):
    with pytest.raises(PermanentError) as refused:
        build(base_url)

    assert refused.value.code == "recall_base_url_malformed"


@pytest.mark.parametrize("api_key", ["", " ", "key\n", "two words", "ключ"])
def test_a_key_that_is_no_header_is_refused_without_being_shown(api_key):
    with pytest.raises(PermanentError) as refused:
        build("https://us-west-2.recall.ai", api_key=api_key).get_event(ID)

    assert refused.value.code == "recall_api_key_malformed"
    assert refused.value.message == "The Recall API key is malformed."


# What comes back


def test_the_page_tells_recalls_time(stub, client):
    date = format_datetime(RECALLS_NOW, usegmt=True)
    stub.answers = [http(200, EMPTY_PAGE, Date=date)]

    assert client.list_events().answered_at == RECALLS_NOW


@pytest.mark.parametrize("headers", [{}, {"Date": "soon"}, {"Date": ""}])
def test_without_recalls_time_the_moment_of_asking_counts(stub, client, headers):
    stub.answers = [http(200, EMPTY_PAGE, **headers)]

    assert client.list_events().answered_at == NOW


def test_a_compressed_page_is_read(stub, client):
    body = gzip.compress(json.dumps(EMPTY_PAGE | {"results": [EVENT]}).encode())
    stub.answers = [http(200, body, Content_Encoding="gzip")]

    (entry,) = client.list_events().events

    assert entry.event.event_id == EVENT["id"]


def test_a_malformed_event_is_reported_beside_the_good_ones(stub, client):
    results = [EVENT | {"start_time": None}, EVENT]
    stub.answers = [http(200, EMPTY_PAGE | {"results": results})]

    page = client.list_events()

    assert (len(page.events), page.malformed) == (1, (EVENT["id"],))


@pytest.mark.parametrize(
    "document",
    [None, [], "text", {}, {"results": None}, {"results": [], "next": 7}],
)
def test_a_page_that_is_none_needs_an_operator(stub, client, document):
    stub.answers = [http(200, document)]

    with pytest.raises(Unexpected) as refused:
        client.list_events()

    assert refused.value.code == "recall_answer_unexpected"


@pytest.mark.parametrize(
    "answer",
    [
        http(200, b"<html>busy</html>"),
        http(200, b'{"next": null, "results": ['),
        http(200, b'{"next": null', Content_Length="100"),
        http(200, b"\xff\xfe{}"),
        http(200, b"[" * 200_000),
        http(200, b"not gzip", Content_Encoding="gzip"),
        b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"nonsense\r\n\r\n",
        b"",
    ],
    ids=["html", "cut", "short", "bytes", "deep", "gzip", "chunks", "no-http", "hang-up"],
)
def test_a_broken_answer_is_a_matter_of_time(stub, client, answer):
    stub.hang_up = True
    stub.answers = [answer]

    with pytest.raises(Unavailable) as refused:
        client.list_events()

    assert refused.value.__cause__ is None
    assert len(stub.asked) == 1  # nothing was retried


def test_silence_ends(stub, client, monkeypatch):
    monkeypatch.setattr(transport, "READ_TIMEOUT_SECONDS", 0.05)
    stub.answers = [None]

    with pytest.raises(Unavailable):
        client.list_events()


def test_nobody_there_is_a_matter_of_time():
    with pytest.raises(Unavailable):
        build("http://127.0.0.1:1").list_events()


def test_an_endless_answer_is_cut(stub, client, monkeypatch):
    monkeypatch.setattr(transport, "ANSWER_BYTES_MAX", 1_000)
    bomb = gzip.compress(b" " * 10_000_000)
    stub.answers = [http(200, bomb, Content_Encoding="gzip"), http(200, b"x" * 1_001)]

    for _ in range(2):
        with pytest.raises(Unexpected) as refused:
            client.list_events()
        assert refused.value.code == "recall_answer_oversized"


# Who acts next

SPOKEN = "owner@acme.example said s3cret"
DETAIL = {"code": "some_code", "detail": SPOKEN}


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (400, Refused, PermanentError, "recall_refused"),
        (401, Unauthorized, PermanentError, "recall_unauthorized"),
        (402, OutOfCredit, PermanentError, "recall_out_of_credit"),
        (403, Blocked, PermanentError, "recall_blocked"),
        (404, NotFound, PermanentError, "recall_not_found"),
        (405, Refused, PermanentError, "recall_refused"),
        (408, Unavailable, TransientError, "recall_unavailable"),
        (409, Conflicted, TransientError, "recall_conflict"),
        (422, Refused, PermanentError, "recall_refused"),
        (429, Throttled, TransientError, "recall_throttled"),
        (500, Unavailable, TransientError, "recall_unavailable"),
        (502, Unavailable, TransientError, "recall_unavailable"),
        (503, Unavailable, TransientError, "recall_unavailable"),
        (504, Unavailable, TransientError, "recall_unavailable"),
        (507, PoolEmpty, TransientError, "recall_pool_empty"),
    ],
)
@pytest.mark.parametrize("body", [DETAIL, {}, b"", b"<html>owner@acme.example</html>"])
def test_each_status_names_who_acts_next(stub, client, status, error, kind, code, body):
    stub.answers = [http(status, body)]

    with pytest.raises(error) as refused:
        client.schedule_bot(ID, deduplication_key="key", bot_config={})

    assert isinstance(refused.value, kind)
    assert refused.value.code == code
    for text in (str(refused.value), repr(refused.value), repr(vars(refused.value))):
        assert "acme" not in text
        assert "s3cret" not in text


@pytest.mark.parametrize(
    ("body", "detail_code", "fields"),
    [
        (
            {
                "code": "invalid_request_data",
                "message": SPOKEN,
                "errors": {"non_field_errors": [SPOKEN], "recording_mode": [SPOKEN]},
            },
            "invalid_request_data",
            ("non_field_errors", "recording_mode"),
        ),
        ({"code": "update_bot_failed", "detail": SPOKEN}, "update_bot_failed", ()),
        ({"meeting_url": [SPOKEN]}, None, ("meeting_url",)),
        ({"code": SPOKEN, "detail": SPOKEN}, None, ()),
        ({SPOKEN: ["x"], "bot_config": {"deep": ["x"]}}, None, ("bot_config",)),
        ([SPOKEN], None, ()),
        (b"<html>" + SPOKEN.encode(), None, ()),
        (b"[" * 100_000, None, ()),
    ],
)
def test_the_three_shapes_of_a_refusal(stub, client, body, detail_code, fields):
    stub.answers = [http(400, body)]

    with pytest.raises(Refused) as refused:
        client.schedule_bot(ID, deduplication_key="key", bot_config={})

    error = refused.value
    assert (error.status, error.detail_code, error.fields) == (400, detail_code, fields)


@pytest.mark.parametrize(("status", "code"), [(405, "any"), (400, "cannot_delete_bot")])
def test_a_bot_on_its_way_cannot_be_deleted(stub, client, status, code):
    stub.answers = [http(status, {"code": code, "detail": "x"})]

    with pytest.raises(AlreadyDispatched):
        client.delete_bot(ID)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        (format_datetime(RECALLS_NOW.replace(second=30), usegmt=True), 23.0),
        (format_datetime(RECALLS_NOW.replace(hour=1), usegmt=True), 0.0),
        ("999999999", refusals.RETRY_AFTER_SECONDS_MAX),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
@pytest.mark.parametrize(
    ("status", "silent"),
    [(429, refusals.THROTTLED_SECONDS), (507, refusals.POOL_EMPTY_SECONDS), (503, None)],
)
def test_retry_after_is_honoured(stub, client, header, seconds, status, silent):
    headers = {} if header is None else {"Retry_After": header}
    date = format_datetime(RECALLS_NOW, usegmt=True)
    stub.answers = [http(status, DETAIL, Date=date, **headers)]

    with pytest.raises(TransientError) as refused:
        client.schedule_bot(ID, deduplication_key="key", bot_config={})

    assert refused.value.retry_after == (silent if seconds is None else seconds)


def test_a_429_stops_the_budget_of_its_endpoint(stub, client, purse):
    stub.answers = [http(429, DETAIL, Retry_After="17")]

    with pytest.raises(Throttled):
        client.list_events()

    assert purse.blocked == [("calendar_events_list", 17.0)]


def test_an_empty_purse_makes_no_call(stub):
    class Empty(Purse):
        def spend(self, endpoint: str) -> None:
            raise TransientError("rate_budget", "used up", retry_after=9)

    client = build(stub.address + PREFIX, Empty())

    with pytest.raises(TransientError):
        client.list_events()

    assert stub.asked == []


def test_secrets_stay_out_of_what_is_raised(stub, client):
    stub.hang_up = True
    stub.answers = [b""]

    with pytest.raises(RollcallError) as refused:
        client.update_calendar(ID, refresh_token=Secret("1//04example"))

    assert refused.value.__suppress_context__
    assert "1//04example" not in repr(refused.value)
