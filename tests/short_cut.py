"""What makes moto and botocore quick enough to play whole days in a test.

DynamoDB is answered where botocore would sign and send: what is asked is read by moto's own
parser, checked and done by its own backend, and only the wire between them is left out, which
takes six sevenths of the time. Tests of the wire itself ask for it (`all_the_way`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from types import SimpleNamespace
from typing import Any, Final

import botocore.session
import moto.kms.models
from botocore import handlers, xform_name
from botocore.model import OperationModel
from botocore.parsers import create_parser
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.exceptions import ServiceException
from moto.core.models import botocore_stubber
from moto.core.responses import ActionResult
from moto.dynamodb.responses import DynamoHandler
from werkzeug.exceptions import HTTPException

DATA_OPERATIONS: Final = frozenset(
    {"BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"}
)
AWS: Final = ".amazonaws.com"
# A conditional write is a check and a change; the threads of a run must not come in between.
_turn = RLock()
_detours: list[str] = []


@contextmanager
def all_the_way() -> Iterator[None]:
    """Meanwhile requests are signed, sent, routed and read as at AWS."""
    _detours.append("wire")
    try:
        yield
    finally:
        _detours.pop()


class _Request(DynamoHandler):
    """One request as moto's router would have set it up."""

    def __init__(self, model: OperationModel, asked: dict[str, Any], *, region: str) -> None:
        super().__init__()
        self.headers = asked["headers"]
        self.response_headers: dict[str, str] = {}
        self.querystring: dict[str, Any] = {}
        self.uri_match: dict[str, str] = {}
        self.region = region
        self.current_account = DEFAULT_ACCOUNT_ID
        self._model = model
        self.parse_parameters(
            SimpleNamespace(
                method="POST",
                path="/",
                values={},
                headers=self.headers,
                content_type=self.headers["Content-Type"],
                data=asked["body"],
            )
        )
        self.body = self.params

    def answer(self) -> tuple[Any, dict[str, Any]]:
        try:
            result = getattr(self, xform_name(self._model.name))().result
        except ServiceException as error:
            status, headers, body = self.serialized(ActionResult(error))
            return self._refusal(int(status), headers, body=str(body))
        except HTTPException as error:
            headers = dict(error.get_headers() or [])
            return self._refusal(error.code or 500, headers, body=error.description or "")
        told = self._model.output_shape.members
        answer = {name: result[name] for name in told if result.get(name) is not None}
        return _http(200), answer | {"ResponseMetadata": {"HTTPHeaders": {}}}

    def _refusal(
        self, status: int, headers: dict[str, str], *, body: str
    ) -> tuple[Any, dict[str, Any]]:
        """As botocore reads it from the wire."""
        parser = create_parser(self._model.service_model.resolved_protocol)
        told = {"status_code": status, "headers": headers, "body": body.encode()}
        read = parser.parse(told, self._model.output_shape)
        shape = self._model.service_model.shape_for_error_code(read["Error"]["Code"])
        return _http(status), read | (parser.parse(told, shape) if shape else {})


def _answer(
    model: OperationModel, params: dict[str, Any], context: dict[str, Any], **_: Any
) -> tuple[Any, dict[str, Any]] | None:
    """None lets botocore go on: to a server of the test's own, or without a mock."""
    is_moto = botocore_stubber.enabled and AWS in params["url"]
    if _detours or not is_moto or model.name not in DATA_OPERATIONS:
        return None
    with _turn:
        return _Request(model, params, region=context["client_region"]).answer()


def _http(status: int) -> Any:
    return SimpleNamespace(status_code=status)


_call_action = DynamoHandler.call_action


def _in_turn(handler: DynamoHandler) -> Any:
    """Over the wire, too: moto itself lets two writers of one item overwrite each other."""
    with _turn:
        return _call_action(handler)


DynamoHandler.call_action = _in_turn
handlers.BUILTIN_HANDLERS.append(("before-call.dynamodb", _answer))

# Each session would read the same 900 folders and megabytes of JSON again.
botocore.session.create_loader = cache(botocore.session.create_loader)
# Every KMS key gets an RSA key too, which a symmetric one never uses.
moto.kms.models.generate_private_key = cache(moto.kms.models.generate_private_key)
