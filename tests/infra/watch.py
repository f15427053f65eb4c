"""Which AWS calls a function makes: botocore tells before it builds each request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import boto3
from botocore import handlers, xform_name
from botocore.model import OperationModel

BEFORE_EACH_REQUEST = "before-parameter-build"

# An action of IAM and what it touches: the logical id, with `/index/<name>` for an index.
Permission = tuple[str, str]
# A function and its environment.
Actor = tuple[str, Mapping[str, str]]


class Watch:
    """Notes what each function asks of AWS while it acts; scenery is not noted."""

    def __init__(self) -> None:
        self.made: dict[str, set[Permission]] = defaultdict(set)
        self._acting: Actor | None = None
        self._meddling: dict[Permission, Callable[[], object]] = {}

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """In every session that starts from now on, PynamoDB's included."""
        handler = (BEFORE_EACH_REQUEST, self._note)
        default = boto3.DEFAULT_SESSION
        handlers.BUILTIN_HANDLERS.append(handler)
        boto3.DEFAULT_SESSION = None
        try:
            yield
        finally:
            boto3.DEFAULT_SESSION = default
            handlers.BUILTIN_HANDLERS.remove(handler)

    @contextmanager
    def acting(self, function: str, environment: Mapping[str, str]) -> Iterator[None]:
        """Calls meanwhile are `function`'s; its `environment` tells what the names stand for."""
        with self._stage_left_to((function, environment)):
            yield

    def once_before(self, wanted: Permission, meddle: Callable[[], object]) -> None:
        """Somebody else acts just before the next such call of whoever is watched."""
        self._meddling[wanted] = meddle

    @property
    def waiting(self) -> set[Permission]:
        """Calls before which somebody should have acted, and that never came."""
        return set(self._meddling)

    def _note(self, params: dict[str, Any], model: OperationModel, **_: Any) -> None:
        if self._acting is None:
            return
        function, environment = self._acting
        action = f"{model.service_model.signing_name}:{model.name}"
        for touched in _touched(params, environment):
            self.made[function].add((action, touched))
            meddle = self._meddling.pop((action, touched), None)
            if meddle is not None:
                with self._stage_left_to(None):
                    meddle()

    @contextmanager
    def _stage_left_to(self, actor: Actor | None) -> Iterator[None]:
        before = self._acting
        self._acting = actor
        try:
            yield
        finally:
            self._acting = before


def answered_by(client: Any, double: object) -> Any:
    """A client of boto3 whose requests are built as ever and then answered by `double`."""

    def keep(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["asked"] = params

    def answer(model: OperationModel, context: dict[str, Any], **_: Any) -> Any:
        reply = getattr(double, xform_name(model.name))(**context["asked"])
        return SimpleNamespace(status_code=200), reply

    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"{BEFORE_EACH_REQUEST}.{service}", keep)
    client.meta.events.register(f"before-call.{service}", answer)
    return client


def _touched(params: dict[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    """The variables that name what a request is about; what has no name there stays as it is."""
    tables = {name: key for key, name in environment.items() if key.endswith("_TABLE")}
    match params:
        case {"TableName": str(name), "IndexName": str(index)}:
            yield f"{tables.get(name, name)}/index/{index}"
        case {"TableName": str(name)}:
            yield tables.get(name, name)
        case {"RequestItems": {**requested}}:
            yield from (tables.get(name, name) for name in requested)
        case {"Entries": [*entries]}:
            for entry in entries:
                yield _variable("BUS_NAME", entry["EventBusName"], environment)
        case {"QueueUrl": str(name)}:
            dead = environment.get("DEAD_LETTER_QUEUE_URL") == name
            yield "DEAD_LETTER_QUEUE_URL" if dead else _variable("QUEUE_URL", name, environment)
        case {"SecretId": str(name)}:
            yield _variable("SECRET_ID", name, environment)
        case {"KeyId": str(name)}:
            yield _variable("SEAL_KEY_ID", name, environment)
        case _:
            yield "*"


def _variable(variable: str, name: str, environment: Mapping[str, str]) -> str:
    return variable if environment.get(variable) == name else name
