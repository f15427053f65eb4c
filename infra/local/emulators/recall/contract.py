"""The published contract: routes, limits and request checks, read from recall-openapi.yaml."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from infra.local.emulators.http import Request
from infra.local.emulators.recall.times import parse_time

CONTRACT_FILE = Path(__file__).with_name("recall-openapi.yaml")
_METHODS = ("get", "post", "put", "patch", "delete")
_URN = "urn:recall"
_FORM = "application/x-www-form-urlencoded"

FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or bool(parse_time(value))


@FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or bool(uuid.UUID(value))


@FORMATS.checks("email")
def _is_email(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"[^@\s]+@[^@\s]+", value))


@FORMATS.checks("uri", raises=ValueError)
def _is_url(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme)


class Refused(Exception):
    """A request that does not fit the contract: field name to messages."""

    def __init__(self, errors: Mapping[str, list[str]], *, status: int = 400) -> None:
        super().__init__(str(dict(errors)))
        self.errors = dict(errors)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A query parameter: its kind (string, integer, boolean, array) and its check."""

    name: str
    kind: str
    validator: Draft202012Validator


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One published operation; `limit` counts calls per minute and workspace."""

    name: str
    method: str
    path: str
    pattern: re.Pattern[str]
    limit: int
    parameters: Mapping[str, Parameter]
    body: Draft202012Validator | None
    body_required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A checked request: values are typed, unknown query parameters stand apart."""

    operation: Operation
    id: str
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    unknown: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


class Contract:
    """Finds operations and checks requests and, for tests, answers."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        resource = DRAFT202012.create_resource(document)
        self._registry: Registry[Any] = Registry().with_resource(_URN, resource)
        self.operations = tuple(
            self._operation(path, method)
            for path, item in document["paths"].items()
            for method in _METHODS
            if method in item
        )

    def on_path(self, path: str) -> dict[str, tuple[Operation, str]]:
        """Method to (operation, id in the path) of everything published at `path`."""
        found = {}
        for operation in self.operations:
            if match := operation.pattern.fullmatch(path):
                found[operation.method] = (operation, match.groupdict().get("id", ""))
        return found

    def limits(self) -> dict[str, int]:
        """Calls per minute by operation name, from `x-throttles`."""
        return {operation.name: operation.limit for operation in self.operations}

    def check(self, operation: Operation, identity: str, *, request: Request) -> Ask:
        """The request as typed values; Refused when it does not fit."""
        query, unknown, labels = self._query(operation, request.url)
        return Ask(
            operation=operation,
            id=identity,
            query=query,
            body=_checked_body(operation, request),
            unknown=unknown,
            labels=labels,
        )

    def schema(self, name: str) -> Draft202012Validator:
        """A validator of the named component schema."""
        return self._validator({"$ref": f"#/components/schemas/{name}"})

    def answer_errors(self, operation: Operation, status: int, *, body: bytes) -> list[str]:
        """What is wrong with an answer; an empty list when it fits."""
        item = self._document["paths"][operation.path][operation.method.lower()]
        answer = item["responses"].get(str(status))
        if answer is None:
            return [f"status {status} is not published"]
        media = self._resolved(answer).get("content", {}).get("application/json")
        if media is None:
            return ["a body that should not be"] if body else []
        found = self._validator(media["schema"]).iter_errors(json.loads(body))
        return [f"{error.json_path}: {error.message[:200]}" for error in found]

    def _operation(self, path: str, method: str) -> Operation:
        item = self._document["paths"][path]
        raw = item[method]
        body = raw.get("requestBody", {})
        schema = body.get("content", {}).get("application/json", {}).get("schema")
        declared = [self._resolved(each) for each in raw.get("parameters", [])]
        return Operation(
            name=raw["operationId"],
            method=method.upper(),
            path=path,
            pattern=re.compile(re.escape(path).replace(r"\{id\}", r"(?P<id>[^/]+)")),
            limit=raw["x-throttles"][0]["limit"],
            parameters={
                each["name"]: self._parameter(each) for each in declared if each["in"] == "query"
            },
            body=self._validator(schema) if schema else None,
            body_required=bool(body.get("required")),
        )

    def _parameter(self, raw: Mapping[str, Any]) -> Parameter:
        schema = raw["schema"]
        kind = self._resolved(schema).get("type", "string")
        return Parameter(name=raw["name"], kind=kind, validator=self._validator(schema))

    def _validator(self, schema: object) -> Draft202012Validator:
        return Draft202012Validator(
            _anchored(schema), registry=self._registry, format_checker=FORMATS
        )

    def _resolved(self, raw: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in raw:
            return raw
        found: Any = self._document
        for step in raw["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return self._resolved(found)

    def _query(
        self, operation: Operation, url: str
    ) -> tuple[dict[str, Any], tuple[str, ...], dict[str, str]]:
        values: dict[str, list[str]] = {}
        for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
            values.setdefault(name, []).append(value)
        labels = _labels(values) if operation.name == "bot_list" else {}
        unknown = tuple(
            name
            for name in values
            if name not in operation.parameters and name.removeprefix("metadata__") not in labels
        )
        query = {
            name: _typed(operation.parameters[name], found)
            for name, found in values.items()
            if name in operation.parameters
        }
        return query, unknown, labels


def _labels(values: Mapping[str, list[str]]) -> dict[str, str]:
    prefix = "metadata__"
    return {
        name.removeprefix(prefix): found[-1]
        for name, found in values.items()
        if name.startswith(prefix)
    }


def _anchored(schema: object) -> Any:  # noqa: ANN401  any JSON
    """The schema with its references made absolute, so that it stands alone."""
    if isinstance(schema, Mapping):
        return {
            key: _URN + value if key == "$ref" else _anchored(value)
            for key, value in schema.items()
        }
    return [_anchored(each) for each in schema] if isinstance(schema, list) else schema


def _typed(parameter: Parameter, found: list[str]) -> Any:  # noqa: ANN401  any JSON
    value = _converted(parameter.kind, found)
    errors = [error.message[:200] for error in parameter.validator.iter_errors(value)]
    if errors:
        raise Refused({parameter.name: errors})
    return value


def _converted(kind: str, found: list[str]) -> object:
    last = found[-1]
    match kind:
        case "array":
            return found
        case "integer":
            return int(last) if re.fullmatch(r"-?\d{1,9}", last) else last
        case "boolean":
            return {"true": True, "false": False}.get(last.lower(), last)
        case _:
            return last


def _checked_body(operation: Operation, request: Request) -> Mapping[str, Any]:
    if operation.body is None:
        return {}
    body = _parsed_body(operation, request)
    errors: dict[str, list[str]] = {}
    for error in operation.body.iter_errors(body):
        errors.setdefault(_field(error), []).append(error.message[:200])
    if errors:
        raise Refused(errors)
    return body


def _parsed_body(operation: Operation, request: Request) -> dict[str, Any]:
    if not request.body.strip():
        if operation.body_required:
            raise Refused({"non_field_errors": ["A body is needed."]})
        return {}
    media = request.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if media == _FORM:
        return dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
    if media != "application/json":
        raise Refused({"non_field_errors": ["Unsupported media type."]}, status=415)
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise Refused({"non_field_errors": ["Not JSON."]}) from error
    if not isinstance(body, dict):
        raise Refused({"non_field_errors": ["An object is needed."]})
    return body


def _field(error: ValidationError) -> str:
    if error.absolute_path:
        return ".".join(str(step) for step in error.absolute_path)
    missing = re.match(r"'([^']+)' is a required property", error.message)
    return missing[1] if missing else "non_field_errors"


@cache
def published() -> Contract:
    """The contract of the file beside this module, compiled once."""
    return Contract(yaml.safe_load(CONTRACT_FILE.read_text(encoding="utf-8")))
