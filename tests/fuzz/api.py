"""The HTTP API asked at random, from its description: docs/openapi.yaml against the real handlers.

Requests pass the local gateway, in this process; AWS is moto's, Recall and providers are emulated.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import seed as seeded
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from functions.oauth import app as oauth_app
from functions.webhooks import app as webhooks_app
from infra.local.gateway import Gateway
from infra.local.template import Route
from shared.domain.audit import Audit, AuditItem, drift_document
from shared.domain.drift import Drift
from shared.domain.meeting import Meeting
from shared.domain.message import WorkDue, encode
from shared.queue import Queue
from shared.secrets import SecretStore
from tests.connect_stage import ADA, BOB, RETURN, Context, Stage, open_stage
from tests.deliveries import SECRET
from tests.tables import client
from tests.unit import core_values

DESCRIPTION = Path(__file__).parents[2] / "docs" / "openapi.yaml"
EVENT_ID, REFUSED_ID, ALSO_REFUSED_ID = "event-1", "event-2", "event-3"
LETTERS = 40
METHODS = ("get", "put", "post", "patch", "delete")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_ODD = ("unknown", "\u00e9", "x" * 300, "\x00", "\U0001f4a3", "a b", "..", "'")
STRANGE = {
    "CalendarId": _ODD,
    "EventId": _ODD,
    "SessionId": _ODD,
    "MessageId": _ODD,
    "Scope": ("tenant:a%3Ab", "tenant:" + "x" * 256, "entity:\u00e9:\U0001f4a3", "tenant:'"),
    "return_url": (
        "http://localhost:1/x",
        "javascript:alert(1)",
        "https://",
        "//host",
        "https://[",
        "x",
    ),
    "oauth_refresh_token": ("unknown", "\u00e9", "x" * 10_000, "\r\nX: y"),
    "scope": ("tenant:other", "entity:default:\x00", "entity:default:u_1", "tenant:" + "x" * 257),
}
# Their field is the header, the parameter or the key that is wrong.
NAMED = frozenset({"query_invalid", "path_invalid", "scope_invalid", "cursor_invalid"})


@dataclass(slots=True)
class Findings:
    """What the questions brought: answers by status, and what was wrong, by operation."""

    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)


class Site:
    """The deployment that is asked: each list of its API has something to tell."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        made = [stage.add(ADA, entity_id="u_1"), stage.add(BOB, entity_id="u_2")]
        self.calendar_ids = [answer.json["calendar_id"] for answer in made]
        self.tokens = [stage.token(ADA), stage.token(BOB)]
        self.session_id = stage.start().json["session_id"]
        for number, event_id in enumerate((EVENT_ID, REFUSED_ID, ALSO_REFUSED_ID)):
            stage.stores.meetings.save(self._row(event_id, day=number))
        self.letter_ids = [self._bury(number) for number in range(LETTERS)]
        stage.stores.workspace.put_report("drift", self._drift())
        vault = client("secretsmanager")
        values = json.loads(vault.get_secret_value(SecretId="rollcall")["SecretString"])
        values["recall_webhook_secret"] = SECRET
        vault.put_secret_value(SecretId="rollcall", SecretString=json.dumps(values))
        self._webhooks = webhooks_app.Service(
            queue=Queue(client("sqs"), stage.environment["QUEUE_URL"]),
            secrets=SecretStore(vault, "rollcall", required=[]),
            log=stage.calendars.log,
            clock=stage.clock.now,
        )
        self.document = self._document()
        self._gateway = Gateway(self._routes(), self._invoke)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/openapi.json":
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(self.document).encode()]
        return self._gateway(environ, start_response)

    def close(self) -> None:
        self._gateway.close()

    def _row(self, event_id: str, *, day: int) -> Meeting:
        """All but the first one were refused by Recall."""
        start = self.stage.clock.now() + timedelta(days=day, hours=5)
        row = core_values.meeting(
            event=core_values.event(
                calendar_id=self.calendar_ids[0], event_id=event_id, start=start
            )
        )
        if event_id == EVENT_ID:
            return row
        refused = {"problem": "recall_refused", "problem_detail": "bad_link", "attempts": 3}
        return replace(row, problem_at=self.stage.clock.now(), **refused)

    def _bury(self, number: int) -> str:
        """A dead letter of a group of its own; every third one is malformed."""
        bell = encode(WorkDue(received_at=self.stage.clock.now() + timedelta(seconds=number)))
        sent = client("sqs").send_message(
            QueueUrl=self.stage.environment["DEAD_LETTER_QUEUE_URL"],
            MessageBody=bell if number % 3 else f"{{{number}",
            MessageGroupId=f"bot:{number}",
        )
        return str(sent["MessageId"])

    def _drift(self) -> dict[str, Any]:
        now = self.stage.clock.now()
        item = AuditItem(
            drift=Drift.MISSING, calendar_id=self.calendar_ids[0], event_id=EVENT_ID, reason="r"
        )
        walk = Audit(started_at=now, finished_at=now).with_page(2, [item])
        return drift_document(walk, healing=frozenset(Drift))

    def _routes(self) -> Iterator[Route]:
        for path, operations in self.document["paths"].items():
            for method in operations.keys() & set(METHODS):
                yield Route(method=method.upper(), path=path, function=path, authorizer=None)

    def _invoke(self, path: str, event: Any) -> Any:
        match path.split("/")[1]:
            case "v1":
                return self.stage.api.resolve(event, Context())
            case "webhooks" | "health":
                if path == "/health":
                    return webhooks_app.handler(event, None)
                return webhooks_app.receive(event, self._webhooks)
            case _:
                return oauth_app.answer(event, self.stage.oauth)

    def _document(self) -> dict[str, Any]:
        """The description with real ids, and strange ones, instead of any string for an id."""
        document = copy.deepcopy(yaml.safe_load(DESCRIPTION.read_text()))
        components = document["components"]
        known = {
            "CalendarId": self.calendar_ids,
            "EventId": [EVENT_ID, REFUSED_ID],
            "SessionId": [self.session_id],
            "MessageId": self.letter_ids,
            "Scope": ["default", "tenant:default", "entity:default:u_1"],
        }
        for name, ids in known.items():
            parameter = components["parameters"][name]
            parameter["schema"] = {"enum": [*ids, *ids, *STRANGE[name]]}
        for body, key, values in (
            ("ConnectSessionBody", "return_url", [RETURN]),
            ("CalendarBody", "oauth_refresh_token", self.tokens),
            ("CalendarPatch", "oauth_refresh_token", self.tokens),
            ("PreviewBody", "scope", ["default", "tenant:default"]),
        ):
            properties = components["schemas"][body]["properties"]
            properties[key] = {"enum": [*values, *STRANGE[key]]}
        return document


@contextmanager
def open_site() -> Iterator[Site]:
    with open_stage() as stage:
        site = Site(stage)
        try:
            yield site
        finally:
            site.close()


def ask(site: Site, *, examples: int, seed: int) -> Findings:
    """So many questions to each operation, half of them against its description."""
    findings = Findings()
    schema = schemathesis.openapi.from_wsgi("/openapi.json", site)
    operations = [found.ok() for found in schema.get_all_operations()]
    # What deletes comes last, or the rest would ask about nothing.
    for operation in sorted(operations, key=lambda each: each.method.upper() == "DELETE"):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _ask_one(operation, mode=mode, examples=examples // 2, seed=seed, findings=findings)
    return findings


def _ask_one(
    operation: Any, *, mode: GenerationMode, examples: int, seed: int, findings: Findings
) -> None:
    @seeded(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def question(case: Any) -> None:
        findings.asked += 1
        try:
            response = case.call()
        except ValueError:  # the test client cannot write this address
            reject()
        findings.statuses[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS)
            check_refused(case, response)
            check_problem(case, response)
        except (FailureGroup, Failure, AssertionError) as error:
            told = [str(each) for each in getattr(error, "exceptions", [error])]
            name = f"{operation.label} {mode.value}: {told[0].splitlines()[0]}"
            findings.wrong.setdefault(name, f"{case.as_curl_command()}\n{response.text[:500]}")

    try:
        question()
    except Exception as error:  # noqa: BLE001 - some operations cannot be asked wrongly
        if "Unsatisfiable" not in type(error).__name__ and "NonSerializable" not in str(error):
            findings.wrong.setdefault(f"{operation.label} {mode.value}", repr(error)[:2_000])


def check_refused(case: Any, response: Any) -> None:
    """A body that breaks its schema is refused. (Headers and queries have names we do not read.)"""
    part = case.meta.components.get(ParameterLocation.BODY)
    if part is None or part.mode is not GenerationMode.NEGATIVE or "/v1/" not in case.path:
        return
    told = f"a body that breaks its schema: {response.status_code}"
    assert HTTPStatus.BAD_REQUEST <= response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR, told


def check_problem(case: Any, response: Any) -> None:
    """A refusal is a problem document that says where."""
    if not HTTPStatus.BAD_REQUEST <= response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return
    if not response.headers["content-type"][0].startswith("application/problem+json"):
        return
    problem = response.json()
    assert problem["status"] == response.status_code
    if problem["code"] in NAMED:
        assert problem.get("field"), f"{problem['code']} names no field"
    if problem["code"] == "body_invalid" and isinstance(case.body, dict):
        assert "field" in problem, "body_invalid names no field"
