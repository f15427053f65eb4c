"""The local gateway speaks to functions and callers as API Gateway does (payload format 2.0)."""

import base64
import json
import threading
from typing import Any

import pytest
import requests
from werkzeug.test import Client, TestResponse

from infra.local.emulators import http as emulated
from infra.local.gateway import BODY_BYTES_MAX, Gateway, PortTakenError, Server, emulator_page
from infra.local.lambdas import InvocationError
from infra.local.template import Route


class Functions:
    """Answers by function name; what was asked is kept."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {"Api": {"statusCode": 204}}
        self.events: list[tuple[str, dict[str, Any]]] = []

    def invoke(self, name: str, event: Any) -> Any:
        self.events.append((name, event))
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def last(self) -> dict[str, Any]:
        return self.events[-1][1]


@pytest.fixture
def functions() -> Functions:
    return Functions()


@pytest.fixture
def gateway(functions: Functions) -> Any:
    routes = (
        Route(method="GET", path="/things/{thing_id}", function="Api", authorizer=None),
        Route(method="GET", path="/things/special", function="Special", authorizer=None),
        Route(method="POST", path="/things", function="Api", authorizer=None),
        Route(method="GET", path="/v1/things", function="Api", authorizer="Guard"),
        Route(method="ANY", path="/files/{path+}", function="Api", authorizer=None),
    )
    gateway = Gateway(routes, functions.invoke)
    yield gateway
    gateway.close()


@pytest.fixture
def client(gateway: Gateway) -> Client:
    return Client(gateway, use_cookies=False)


def test_an_event_has_the_shape_of_payload_two(client: Client, functions: Functions) -> None:
    client.get(
        "/things/a%20b?color=red&color=blue&empty=",
        headers=[("X-Twice", "1"), ("X-Twice", "2"), ("Cookie", "one=1; two=2")],
    )
    event = functions.last()
    assert event["version"] == "2.0"
    assert event["routeKey"] == "GET /things/{thing_id}"
    assert event["rawPath"] == "/things/a b"
    assert event["rawQueryString"] == "color=red&color=blue&empty="
    assert event["queryStringParameters"] == {"color": "red,blue", "empty": ""}
    assert event["pathParameters"] == {"thing_id": "a b"}
    assert event["headers"]["x-twice"].replace(" ", "") == "1,2"
    assert "cookie" not in event["headers"]
    assert event["cookies"] == ["one=1", "two=2"]
    assert event["isBase64Encoded"] is False
    assert event["requestContext"]["http"]["method"] == "GET"
    assert event["requestContext"]["stage"] == "$default"


def test_what_is_absent_is_left_out(client: Client, functions: Functions) -> None:
    client.post("/things")
    assert not {"body", "cookies", "pathParameters", "queryStringParameters"} & set(
        functions.last()
    )


def test_text_bodies_arrive_as_text_and_others_in_base64(
    client: Client, functions: Functions
) -> None:
    client.post("/things", data='{"ä": 1}'.encode(), content_type="application/json")
    assert functions.last()["body"] == '{"ä": 1}'
    client.post("/things", data="a=b", content_type="application/x-www-form-urlencoded")
    assert functions.last()["isBase64Encoded"] is True
    assert base64.b64decode(functions.last()["body"]) == b"a=b"
    client.post("/things", data=b"\xff\xfe", content_type="application/json")
    assert base64.b64decode(functions.last()["body"]) == b"\xff\xfe"


def test_full_paths_win_over_parameters_and_greedy_ones_come_last(
    client: Client, functions: Functions
) -> None:
    functions.answers["Special"] = {"statusCode": 200}
    client.get("/things/special")
    assert functions.events[-1][0] == "Special"
    client.put("/files/a/b/c")
    assert functions.last()["pathParameters"] == {"path": "a/b/c"}


def told(answer: TestResponse) -> tuple[int, Any]:
    return answer.status_code, answer.get_json()


@pytest.mark.parametrize("path", ["/nowhere", "/things/a/b", "/things/"])
def test_an_unknown_route_is_the_gateways_own_404(client: Client, path: str) -> None:
    assert told(client.get(path)) == (404, {"message": "Not Found"})


def test_an_authorizer_decides(client: Client, functions: Functions) -> None:
    assert told(client.get("/v1/things")) == (401, {"message": "Unauthorized"})
    assert functions.events == []

    functions.answers["Guard"] = {"isAuthorized": False}
    key = {"Authorization": "Bearer key"}
    assert told(client.get("/v1/things", headers=key)) == (403, {"message": "Forbidden"})

    functions.answers["Guard"] = {"isAuthorized": True, "context": {"prefix": "abc"}}
    assert client.get("/v1/things", headers=key).status_code == 204
    (_, asked), (_, event) = functions.events[-2:]
    assert asked["type"] == "REQUEST"
    assert asked["identitySource"] == ["Bearer key"]
    assert asked["routeArn"].endswith("/$default/GET/v1/things")
    assert event["requestContext"]["authorizer"] == {"lambda": {"prefix": "abc"}}


@pytest.mark.parametrize(
    "verdict", [InvocationError("KeyError", "x"), {"isAuthorized": "yes"}, None, {}]
)
def test_a_broken_authorizer_lets_nobody_in(
    client: Client, functions: Functions, verdict: Any
) -> None:
    functions.answers["Guard"] = verdict
    answer = client.get("/v1/things", headers={"Authorization": "Bearer key"})
    assert told(answer) == (500, {"message": "Internal Server Error"})


def test_answers_keep_status_headers_and_every_cookie(client: Client, functions: Functions) -> None:
    functions.answers["Api"] = {
        "statusCode": 302,
        "headers": {"Location": "https://elsewhere.example/?a=b", "X-Number": 5},
        "cookies": ["a=1; Secure", "b=2; HttpOnly"],
        "body": base64.b64encode(b"\x00\x01").decode(),
        "isBase64Encoded": True,
    }
    answer = client.get("/things/1")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "https://elsewhere.example/?a=b"
    assert answer.headers["X-Number"] == "5"
    assert answer.headers.getlist("Set-Cookie") == ["a=1; Secure", "b=2; HttpOnly"]
    assert answer.data == b"\x00\x01"


def test_a_bare_value_is_sent_as_json(client: Client, functions: Functions) -> None:
    functions.answers["Api"] = {"hello": "world"}
    assert told(client.get("/things/1")) == (200, {"hello": "world"})


@pytest.mark.parametrize(
    "answer",
    [
        InvocationError("ValueError", "x"),
        {"statusCode": "many"},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "body": "%", "isBase64Encoded": True},
    ],
)
def test_a_crash_or_a_malformed_answer_is_a_500(
    client: Client, functions: Functions, answer: Any
) -> None:
    functions.answers["Api"] = answer
    assert told(client.get("/things/1")) == (500, {"message": "Internal Server Error"})


def test_bodies_have_a_limit(client: Client, functions: Functions) -> None:
    answer = client.post("/things", data=b"x" * (BODY_BYTES_MAX + 1))
    assert told(answer) == (413, {"message": "Request Entity Too Large"})
    assert functions.events == []


def test_a_function_that_takes_too_long_is_a_503(
    client: Client, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.local.gateway.WAIT_SECONDS_MAX", 0.05)
    hold = threading.Event()
    monkeypatch.setattr(gateway, "_invoke", lambda *_: hold.wait(5))
    assert told(client.get("/things/1")) == (503, {"message": "Service Unavailable"})
    hold.set()


def test_an_emulator_is_served_below_its_prefix(client: Client, gateway: Gateway) -> None:
    def handle(request: emulated.Request) -> emulated.Response:
        told = {"method": request.method, "url": request.url, "body": request.body.decode()}
        return emulated.Response(
            status=201, headers={"Content-Type": "application/json"}, body=json.dumps(told).encode()
        )

    gateway.mount("/emulators/world", emulator_page(handle))
    answer = client.post("/emulators/world/x/?q=%2B1", data=b"hi")
    assert told(answer) == (
        201,
        {"method": "POST", "url": "http://localhost/emulators/world/x/?q=%2B1", "body": "hi"},
    )
    assert client.get("/emulators/worldwide").status_code == 404


def test_a_server_serves_and_stops(gateway: Gateway) -> None:
    server = Server.open(0, gateway)
    server.start()
    try:
        with pytest.raises(PortTakenError, match=f"Port {server.port} is taken"):
            Server.open(server.port, gateway)
        answer = requests.get(f"http://127.0.0.1:{server.port}/things/1", timeout=5)
        assert answer.status_code == 204
    finally:
        server.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{server.port}/things/1", timeout=1)
