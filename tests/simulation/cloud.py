"""AWS as the functions of one process see it: each client speaks over the process's wire."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import requests
from botocore.exceptions import ClientError, ReadTimeoutError
from requests.adapters import BaseAdapter

from infra.local.emulators.http import Request, Response, WorldAdapter, answered
from tests.simulation.process import Fate, Process
from tests.virtual_queue import VirtualQueue

SECRET_ID: Final = "rollcall"
CONTEXT_BYTES: Final = 32


def aws_failure(operation: str, *, code: str) -> Callable[[Fate], Any]:
    """As botocore tells it once its own retries are used up."""

    def fail(fate: Fate) -> Any:
        if fate is Fate.REFUSED:
            raise ClientError({"Error": {"Code": code, "Message": "emulated"}}, operation)
        raise ReadTimeoutError(endpoint_url=f"https://aws.example/{operation}")

    return fail


class Sqs:
    """The queue's client."""

    def __init__(self, process: Process, queue: VirtualQueue) -> None:
        self._process = process
        self._queue = queue

    def send_message(self, **given: Any) -> dict[str, Any]:
        return self._through("SendMessage", lambda: self._queue.send_message(**given))

    def change_message_visibility(self, **given: Any) -> dict[str, Any]:
        return self._through(
            "ChangeMessageVisibility", lambda: self._queue.change_message_visibility(**given)
        )

    def get_queue_attributes(self, **given: Any) -> dict[str, Any]:
        return self._through(
            "GetQueueAttributes", lambda: self._queue.get_queue_attributes(**given)
        )

    def _through(self, operation: str, effect: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        failure = aws_failure(operation, code="ServiceUnavailable")
        return self._process.through("sqs", operation, effect, failure=failure)


class Bus:
    """What came over the bus: `notices` are (name, detail), repeats included."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, dict[str, Any]]] = []

    def take(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        self.notices += [(each["DetailType"], json.loads(each["Detail"])) for each in entries]
        return {"FailedEntryCount": 0, "Entries": [{} for _ in entries]}


class Events:
    """The bus's client."""

    def __init__(self, process: Process, bus: Bus) -> None:
        self._process = process
        self._bus = bus

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        return self._process.through(
            "events",
            "PutEvents",
            lambda: self._bus.take(Entries),
            failure=aws_failure("PutEvents", code="InternalException"),
        )


class Secrets:
    """The client for the stack's one secret; `values` may be rotated at any time."""

    def __init__(self, process: Process, values: dict[str, str]) -> None:
        self._process = process
        self._values = values

    def get_secret_value(self, **_: Any) -> dict[str, Any]:
        return self._process.through(
            "secrets",
            "GetSecretValue",
            lambda: {"SecretString": json.dumps(self._values)},
            failure=aws_failure("GetSecretValue", code="InternalServiceError"),
        )


class Kms:
    """Seals by binding to the context, not by secrecy: nobody looks into the sealed bytes here."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def encrypt(
        self, *, KeyId: str, Plaintext: bytes, EncryptionContext: dict[str, str]
    ) -> dict[str, Any]:
        sealed = _mark(EncryptionContext) + bytes(byte ^ 0x55 for byte in Plaintext)
        return self._through("Encrypt", lambda: {"CiphertextBlob": sealed})

    def decrypt(
        self, *, KeyId: str, CiphertextBlob: bytes, EncryptionContext: dict[str, str]
    ) -> dict[str, Any]:
        mark, sealed = CiphertextBlob[:CONTEXT_BYTES], CiphertextBlob[CONTEXT_BYTES:]
        if mark != _mark(EncryptionContext):
            error = {"Code": "InvalidCiphertextException", "Message": "emulated"}
            raise ClientError({"Error": error}, "Decrypt")
        return self._through(
            "Decrypt", lambda: {"Plaintext": bytes(byte ^ 0x55 for byte in sealed)}
        )

    def _through(self, operation: str, effect: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        failure = aws_failure(operation, code="KMSInternalException")
        return self._process.through("kms", operation, effect, failure=failure)


def _mark(context: dict[str, str]) -> bytes:
    return sha256(json.dumps(context, sort_keys=True).encode()).digest()


class Http(BaseAdapter):
    """What `requests` speaks through, from one process to one world."""

    def __init__(
        self,
        process: Process,
        handle: Callable[[Request], Response],
        *,
        system: str,
        refusal: Callable[[requests.PreparedRequest], Response],
    ) -> None:
        super().__init__()
        self._process = process
        self._system = system
        self._refusal = refusal
        self._inner = WorldAdapter(handle)

    def send(self, request: requests.PreparedRequest, **given: Any) -> requests.Response:  # type: ignore[override]
        def fail(fate: Fate) -> requests.Response:
            if fate is Fate.REFUSED:
                return answered(request, self._refusal(request))
            raise requests.ReadTimeout("emulated: no answer")

        return self._process.through(
            self._system,
            f"{request.method} {request.path_url.partition('?')[0]}",
            lambda: self._inner.send(request, **given),
            failure=fail,
        )

    def close(self) -> None:
        """Nothing is open."""
