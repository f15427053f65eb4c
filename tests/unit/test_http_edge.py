"""The HTTP edge: every error is a problem document, every input is judged and named."""

from __future__ import annotations

import io
import json

import pytest
from pydantic import Field

from shared.entrypoints.http import (
    Body,
    problem,
    read_body,
    read_caller,
    read_cursor,
    read_limit,
    read_moment,
    reply,
    routes,
)
from shared.errors import CallerError, PermanentError, TransientError
from shared.observability import Log
from tests.deliveries import gateway_event


class Inner(Body):
    name: str


class Order(Body):
    count: int
    tags: dict[str, str] = Field(default_factory=dict)
    inner: Inner | None = None


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture
def call(stream, request):
    """Sends one event through a resolver whose only interesting route runs `work`."""

    def send(event, work=lambda event: None):
        app = routes(Log(request.node.name, stream=stream))

        @app.post("/v1/orders/<order_id>")
        @app.put("/v1/orders/<order_id>")
        def change(order_id):
            return reply(201, work(app.current_event))

        @app.get("/v1/orders")
        def listing():
            return reply(200, work(app.current_event))

        answer = app.resolve(event, None)
        return answer, json.loads(answer["body"]) if answer["body"] else None

    return send


def order(body, **more):
    return gateway_event("POST /v1/orders/o1", body=body, **more)


def read_order(event):
    return read_body(event, Order).model_dump()


@pytest.mark.parametrize("is_base64", [False, True])
def test_a_good_body_is_read(call, is_base64):
    body = '{"count": 2, "tags": {"a": "é"}}'.encode()
    answer, document = call(order(body, is_base64=is_base64), read_order)
    assert answer["statusCode"] == 201
    assert answer["headers"]["Content-Type"] == "application/json"
    assert document == {"count": 2, "tags": {"a": "é"}, "inner": None}


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"", "body_malformed", None),
        (b"{", "body_malformed", None),
        (b"nonsense", "body_malformed", None),
        (b"[" * 60_000, "body_malformed", None),
        (b"[]", "body_invalid", None),
        (b"{}", "body_invalid", "count"),
        (b'{"count": "2"}', "body_invalid", "count"),
        (b'{"count": true}', "body_invalid", "count"),
        (b'{"count": 1.5}', "body_invalid", "count"),
        (b'{"count": NaN}', "body_invalid", "count"),
        (b'{"count": null}', "body_invalid", "count"),
        (b'{"count": 2, "color": "red"}', "body_invalid", "color"),
        (b'{"count": 2, "": 1}', "body_invalid", ""),
        (b'{"count": 2, "tags": {"a": 1}}', "body_invalid", "tags.a"),
        (b'{"count": 2, "inner": {"name": "n", "x": 1}}', "body_invalid", "inner.x"),
    ],
)
def test_a_bad_body_is_400_and_names_the_field(call, body, code, field):
    answer, document = call(order(body), read_order)
    assert answer["statusCode"] == document["status"] == 400
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert (document["code"], document.get("field")) == (code, field)


def test_bytes_that_are_no_text_are_malformed(call):
    event = order(b"x", is_base64=True)
    for text in ("/w==", "é", "a"):
        _, document = call({**event, "body": text}, read_order)
        assert document["code"] == "body_malformed"


def test_an_oversized_body_is_413(call):
    fits = b'{"count": 1}'.ljust(64 * 1024)
    assert call(order(fits), read_order)[0]["statusCode"] == 201
    answer, document = call(order(fits + b" "), read_order)
    assert (answer["statusCode"], document["code"]) == (413, "body_too_large")


def test_the_answer_to_a_bad_body_does_not_repeat_it(call):
    answer, _ = call(
        order(b'{"count": "token-1", "inner": {"name": 7, "x": "token-1"}}'), read_order
    )
    assert "token-1" not in answer["body"]


def failing(error):
    def fail(_):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (CallerError("link_expired", "It expired.", status=410), 410, "link_expired", None),
        (TransientError("rate_budget", "full", retry_after=12.2), 503, "rate_budget", "13"),
        (TransientError("storage_unavailable", "busy"), 503, "storage_unavailable", "5"),
        (TransientError("row_changed", "now", retry_after=0), 503, "row_changed", "1"),
        (PermanentError("recall_unauthorized", "token-1"), 502, "recall_unauthorized", None),
        (PermanentError("seal_broken", "token-1"), 500, "seal_broken", None),
        (KeyError("token-1"), 500, "internal_error", None),
    ],
)
def test_errors_become_problems_by_who_acts_next(call, stream, error, status, code, retry_after):
    answer, document = call(order(b"{}"), failing(error))
    assert answer["statusCode"] == document["status"] == status
    assert document["code"] == code
    assert document["type"] == "about:blank"
    assert answer["headers"].get("retry-after") == retry_after
    assert "token-1" not in answer["body"] + stream.getvalue()


def test_a_bug_leaves_a_trace_and_a_metric(call, stream, capsys):
    call(order(b"{}"), failing(KeyError("token-1")))
    line = json.loads(stream.getvalue())
    assert line["error"] == "KeyError"
    assert line["trace"][-1].endswith(" fail")
    assert "RequestFailed" in capsys.readouterr().out


def test_an_unknown_path_is_404(call):
    answer, document = call(gateway_event("GET /v1/nothing"))
    assert (answer["statusCode"], document["code"]) == (404, "route_not_found")


def test_another_method_is_405_and_says_which(call):
    answer, document = call(gateway_event("DELETE /v1/orders/o1"))
    assert (answer["statusCode"], document["code"]) == (405, "method_not_allowed")
    assert answer["headers"]["allow"] == "POST, PUT"


def test_an_empty_reply_has_no_content_type():
    answer = reply(204)
    assert (answer.status_code, answer.body, answer.content_type) == (204, "", None)


def test_a_problem_says_only_what_is_known():
    assert json.loads(problem(409, "taken").body) == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "code": "taken",
    }


def listing(query):
    return gateway_event("GET /v1/orders", query=query)


@pytest.mark.parametrize(
    ("query", "limit"),
    [(None, 50), ({"limit": ""}, 50), ({"limit": "1"}, 1), ({"limit": "100"}, 100)],
)
def test_limits(call, query, limit):
    _, document = call(listing(query), lambda event: {"limit": read_limit(event)})
    assert document == {"limit": limit}


@pytest.mark.parametrize("text", ["0", "101", "-1", "1.5", "ten", "1,2", "٣", "9" * 5000])
def test_bad_limits_name_the_field(call, text):
    answer, document = call(listing({"limit": text}), lambda event: {"limit": read_limit(event)})
    assert (answer["statusCode"], document["field"]) == (400, "limit")


def test_cursors_and_times(call):
    def read(event):
        return {"cursor": read_cursor(event), "from": str(read_moment(event, "from"))}

    _, document = call(listing({"cursor": "abc", "from": "2027-03-01T10:00:00+01:00"}), read)
    assert document == {"cursor": "abc", "from": "2027-03-01 09:00:00+00:00"}
    assert call(listing(None), read)[1] == {"cursor": None, "from": "None"}
    for query in (
        {"cursor": "x" * 2049},
        {"from": "tomorrow"},
        {"from": "2027-03-01T10:00:00 01:00"},
    ):
        answer, document = call(listing(query), read)
        assert (answer["statusCode"], document["field"]) == (400, next(iter(query)))


def test_the_caller_is_whom_the_authorizer_named(call):
    def read(event):
        caller = read_caller(event)
        return {"prefix": caller.key_prefix, "scopes": sorted(caller.scopes)}

    event = gateway_event(
        "GET /v1/orders", authorizer={"key_prefix": "abc", "scopes": "read write"}
    )
    assert call(event, read)[1] == {"prefix": "abc", "scopes": ["read", "write"]}
    assert call(gateway_event("GET /v1/orders"), read)[1] == {"prefix": "", "scopes": []}
