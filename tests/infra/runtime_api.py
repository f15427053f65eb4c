"""A small Lambda Runtime API: hands events to the real runtime interface client of a sandbox."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ANSWER_TIMEOUT_SECONDS = 30
DEADLINE_MS = "99999999999999"
FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:under-test"


class SandboxError(Exception):
    """What the sandbox reported instead of an answer."""


class RuntimeApi(ThreadingHTTPServer):
    """Serves the runtime's paths under /2018-06-01/runtime/ on loopback."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: queue.Queue[bytes] = queue.Queue()
        self.answers: queue.Queue[tuple[str, bytes]] = queue.Queue()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sandbox that is stopped drops its connection; anything else is worth a trace."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """The handler's answer; SandboxError with the runtime's own report if there is none."""
        self.events.put(json.dumps(event).encode())
        kind, body = self.answers.get(timeout=ANSWER_TIMEOUT_SECONDS)
        if kind != "response":
            raise SandboxError(f"{kind}: {body.decode()}")
        return json.loads(body)


class _Handler(BaseHTTPRequestHandler):
    server: RuntimeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """`invocation/next`: blocks until there is an event, as Lambda does."""
        self._reply(
            200,
            self.server.events.get(),
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": "00000000-0000-4000-8000-000000000000",
                "Lambda-Runtime-Deadline-Ms": DEADLINE_MS,
                "Lambda-Runtime-Invoked-Function-Arn": FUNCTION_ARN,
            },
        )

    def do_POST(self) -> None:
        """`invocation/<id>/response`, `invocation/<id>/error` or `init/error`."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answers.put((self.path.rsplit("/", 1)[1], body))
        self._reply(202, b"{}", {})

    def log_message(self, *_: object) -> None:
        """Say nothing: pytest's output is for tests."""

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def sandbox(
    python: Path, handler: str, *, task_root: Path, environment: Mapping[str, str]
) -> Iterator[RuntimeApi]:
    """A running sandbox of one function; `environment` holds everything that it sees."""
    with RuntimeApi() as api:
        threading.Thread(target=api.serve_forever, daemon=True).start()
        process = subprocess.Popen(
            [python, "-S", "-m", "awslambdaric", handler],
            cwd=task_root,
            env={
                **environment,
                "AWS_LAMBDA_RUNTIME_API": api.address,
                "AWS_LAMBDA_FUNCTION_NAME": "under-test",
                "LAMBDA_TASK_ROOT": str(task_root),
            },
            stdout=subprocess.DEVNULL,
        )
        threading.Thread(target=_report_exit, args=(process, api), daemon=True).start()
        try:
            yield api
        finally:
            process.kill()
            process.wait()
            api.shutdown()


def _report_exit(process: subprocess.Popen[bytes], api: RuntimeApi) -> None:
    api.answers.put(("exit", str(process.wait()).encode()))
