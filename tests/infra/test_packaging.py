"""The built artefacts: complete, for the right machine, and answering in Lambda's own runtime."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer
from standardwebhooks.webhooks import Webhook

from infra.packaging import (
    ROOT,
    SAM,
    compile_bytecode,
    find_interpreter,
    runtime_version,
    sam_build,
)
from tests.infra.runtime_api import RuntimeApi, sandbox

BUILD = ROOT / "build"
TEMPLATE = (ROOT / "template.yaml").read_text(encoding="utf-8")
VERSION = runtime_version(TEMPLATE)
HANDLERS = dict(re.findall(r"\n  (\w+Function):\n.*?Handler: (\S+)\n", TEMPLATE, re.DOTALL))
MACHINE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
WEBHOOK_SECRET = "whsec_" + "c2VjcmV0" * 4


@pytest.fixture(scope="session")
def python() -> Path:
    """The runtime's Python, with SAM beside it."""
    found = find_interpreter(VERSION, os.environ)
    if found is None:
        pytest.skip(f"no real Python {VERSION} with pip is installed")
    if not SAM.exists():
        pytest.skip("the SAM CLI is not installed; `make test` does that")
    return found


@pytest.fixture(scope="session")
def built(python: Path) -> Path:
    """The stack's artefacts as `make build` makes them, but for this machine."""
    return _build(python, MACHINE)


@pytest.fixture(scope="session")
def runtime_client(python: Path) -> Path:
    """A folder with awslambdaric for the runtime's Python, kept between runs."""
    lock = ROOT / "requirements" / "runtime.txt"
    folder = BUILD / f"runtime-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        install = [
            "install",
            "--quiet",
            "--root-user-action=ignore",
            "--require-hashes",
            "--requirement",
            lock,
        ]
        subprocess.run([python, "-m", "pip", *install, "--target", folder], check=True)
    return folder


@pytest.fixture
def aws() -> Iterator[str]:
    """The address of an AWS without anything in it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    requests.post(f"{address}/moto-api/reset", timeout=10)
    yield address
    server.stop()


@pytest.fixture
def queue_url(aws: str) -> str:
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    sqs = boto3.client("sqs", endpoint_url=aws)
    return sqs.create_queue(QueueName="doorbells.fifo", Attributes=attributes)["QueueUrl"]


@pytest.fixture
def environment(aws: str, queue_url: str) -> dict[str, str]:
    """What the webhooks function finds around itself."""
    secret = json.dumps({"recall_webhook_secret": WEBHOOK_SECRET})
    secrets = boto3.client("secretsmanager", endpoint_url=aws)
    return {
        "AWS_ENDPOINT_URL": aws,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "QUEUE_URL": queue_url,
        "SECRET_ID": secrets.create_secret(Name="stack", SecretString=secret)["ARN"],
    }


@pytest.fixture
def webhooks(
    python: Path, built: Path, runtime_client: Path, environment: dict[str, str]
) -> Iterator[RuntimeApi]:
    """The built function in a sandbox of the real runtime."""
    path = _python_path(built, "WebhooksFunction", runtime_client)
    with sandbox(
        python,
        HANDLERS["WebhooksFunction"],
        task_root=built / "WebhooksFunction",
        environment={**environment, "PYTHONPATH": path},
    ) as api:
        yield api


@pytest.mark.parametrize("function", HANDLERS)
def test_each_handler_imports_from_its_artefact(
    python: Path, built: Path, function: str, tmp_path: Path
) -> None:
    # No site-packages (-S), not this folder (cwd): only what was built.
    module, _, name = HANDLERS[function].rpartition(".")
    probe = f"import {module} as app, shared; print(callable(app.{name}), app.__file__)"

    answer = subprocess.run(
        [python, "-S", "-c", probe],
        cwd=tmp_path,
        env={"PYTHONPATH": _python_path(built, function)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.stdout.split() == ["True", str(built / function / _file(module))], answer.stderr


def test_functions_carry_their_own_code_and_nothing_else(built: Path) -> None:
    for function, handler in HANDLERS.items():
        package = Path(*handler.split(".")[:2])
        files = {
            path.relative_to(built / function)
            for path in (built / function).rglob("*")
            if path.is_file()
        }

        assert files, function
        assert {path for path in files if not path.is_relative_to(package)} == set(), function


def test_every_source_has_byte_code_that_needs_no_look_at_it(built: Path) -> None:
    for source in built.rglob("*.py"):
        code = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        # Flags of a hash-based pyc that is never checked: PEP 552.
        assert code.read_bytes()[4:8] == b"\x01\x00\x00\x00", source


def test_native_code_is_for_the_machine_that_lambda_has(python: Path) -> None:
    native = list(_build(python, "arm64").rglob("*.so"))

    assert native
    for path in native:
        # The machine field of an ELF header: 183 is AArch64.
        assert int.from_bytes(path.read_bytes()[18:20], "little") == 183, path


def test_an_unsigned_delivery_is_refused_in_the_real_runtime(webhooks: RuntimeApi) -> None:
    assert webhooks.invoke(_http_event("{}"))["statusCode"] == 401


def test_a_sandbox_answers_again_after_a_bad_delivery(webhooks: RuntimeApi) -> None:
    webhooks.invoke(_http_event("not json", {"svix-signature": "v1,\u00e4"}))

    assert webhooks.invoke(_http_event("{}"))["statusCode"] == 401


def test_a_signed_delivery_rings_the_doorbell_in_the_real_runtime(
    webhooks: RuntimeApi, aws: str, queue_url: str
) -> None:
    body = json.dumps({"event": "calendar.sync_events", "data": {"calendar_id": "cal-1"}})

    answer = webhooks.invoke(_http_event(body, _signed(body)))

    received = boto3.client("sqs", endpoint_url=aws).receive_message(QueueUrl=queue_url)
    assert answer["statusCode"] == 204
    assert json.loads(received["Messages"][0]["Body"])["type"] == "feed.changed"


def _build(python: Path, machine: str) -> Path:
    """In a folder of its own, where SAM's cache makes a repeated build cost a second or two."""
    folder = BUILD / f"sam-{machine}"
    folder.mkdir(parents=True, exist_ok=True)
    template = folder / "template.yaml"
    template.write_text(TEMPLATE.replace("arm64", machine), encoding="utf-8")
    try:
        sam_build(python, "--cached", "--parallel", "--base-dir", str(ROOT), folder=folder)
    except subprocess.CalledProcessError as error:
        pytest.fail(f"sam build: {error.stderr}")
    compile_bytecode(python, folder / ".aws-sam" / "build")
    return folder / ".aws-sam" / "build"


def _python_path(built: Path, function: str, *more: Path) -> str:
    """What Lambda searches: the function, then the layer's python folder."""
    return os.pathsep.join(map(str, (built / function, built / "SharedLayer" / "python", *more)))


def _file(module: str) -> str:
    return module.replace(".", "/") + ".py"


def _signed(body: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(WEBHOOK_SECRET).sign("msg_1", now, body),
    }


def _http_event(body: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """An HTTP API event, payload 2.0, as the gateway sends it."""
    return {
        "version": "2.0",
        "routeKey": "POST /webhooks/recall",
        "rawPath": "/webhooks/recall",
        "rawQueryString": "",
        "headers": {
            "content-length": str(len(body)),
            "content-type": "application/json",
            "host": "abc123.execute-api.us-east-1.amazonaws.com",
            "user-agent": "Svix-Webhooks/1.0",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
            **(headers or {}),
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc123",
            "domainName": "abc123.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "abc123",
            "http": {
                "method": "POST",
                "path": "/webhooks/recall",
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "Svix-Webhooks/1.0",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "POST /webhooks/recall",
            "stage": "$default",
            "time": "22/Nov/2026:18:00:00 +0000",
            "timeEpoch": 1795370400000,
        },
        "body": body,
        "isBase64Encoded": False,
    }
