"""docs/openapi.yaml says what the code does: routes, bodies, answers, codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from functions.calendars import bodies, rules, views
from shared.domain.audit import Audit, AuditItem, drift_document
from shared.domain.calendar import Platform
from shared.domain.drift import Drift
from shared.domain.meeting import Assignment
from shared.domain.redecision import Redecision
from shared.domain.rotation import Walk
from shared.domain.rules import Choice
from shared.entrypoints import rules_body
from shared.entrypoints.http import problem_document
from shared.flows.dead_letters import ShownLetter
from shared.flows.meetings import ShownMeeting
from shared.flows.preview import Preview
from shared.storage import RulesVersion
from tests.infra.error_codes import api_codes
from tests.unit.core_values import NOW, calendar, meeting

DESCRIPTION = yaml.safe_load((Path(__file__).parents[2] / "docs" / "openapi.yaml").read_text())
SCHEMAS = DESCRIPTION["components"]["schemas"]
METHODS = {"get", "put", "post", "patch", "delete"}


def test_the_description_is_sound():
    OpenAPIV31SpecValidator(DESCRIPTION).validate()


def test_it_has_the_routes_of_the_template_and_no_others(template):
    described = {
        f"{method.upper()} {path}"
        for path, operations in DESCRIPTION["paths"].items()
        for method in operations.keys() & METHODS
    }
    pages = {
        route
        for route, _ in template.routes()
        if route.partition(" ")[2].split("/")[1] in {"console", "my", "opt-out", "pages"}
    }
    assert {route for route, _ in template.routes()} - pages == described


# What pydantic says of a body, in the words of the description.

BODIES = {
    "ConnectSessionBody": bodies.ConnectSessionBody,
    "CompleteBody": bodies.CompleteBody,
    "CalendarBody": bodies.CalendarBody,
    "CalendarPatch": bodies.CalendarPatch,
    "OverrideBody": bodies.OverrideBody,
    "PageLinkBody": bodies.PageLinkBody,
    "OptOutLinkBody": bodies.OptOutLinkBody,
    "RulesBody": rules_body.RulesBody,
    "MatchesBody": rules_body.MatchesBody,
    "DenialsBody": rules_body.DenialsBody,
    "AttendeesBody": rules_body.AttendeesBody,
    "DurationBody": rules_body.DurationBody,
    "WindowBody": rules_body.WindowBody,
    "BotBody": rules_body.BotBody,
    "PreviewBody": rules.PreviewBody,
    "RedriveBody": bodies.RedriveBody,
    "ReplayBody": bodies.ReplayBody,
}
LIMITS = ("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "maxProperties",
          "exclusiveMinimum", "enum")  # fmt: skip


def plain(schema: Any, *, definitions: dict[str, Any], root: str) -> dict[str, Any]:
    """References followed, and what may be null told apart from what it is otherwise."""
    while "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix(root)]
    choices = [
        plain(each, definitions=definitions, root=root)
        for each in [*schema.get("anyOf", []), *schema.get("oneOf", [])]
    ]
    kinds = schema.get("type", [])
    if choices:
        (real,) = [each for each in choices if each.get("type") != "null"]
        return {**real, "nullable": len(choices) > 1}
    if isinstance(kinds, list):
        return {**schema, "nullable": "null" in kinds}
    return {**schema, "nullable": kinds == "null"}


def facts(schema: Any, *, definitions: dict[str, Any], root: str) -> dict[str, Any]:
    found = plain(schema, definitions=definitions, root=root)
    told = {name: found[name] for name in LIMITS if name in found} | {"null": found["nullable"]}
    if "items" in found:
        told["items"] = facts(found["items"], definitions=definitions, root=root)
    return told


@pytest.mark.parametrize("name", BODIES)
def test_a_body_has_the_keys_and_limits_of_its_model(name):
    model = BODIES[name].model_json_schema(by_alias=True)
    described = SCHEMAS[name]
    assert model["properties"].keys() == described["properties"].keys()
    assert set(model.get("required", ())) == set(described.get("required", ()))
    assert described["additionalProperties"] is False
    for key, schema in model["properties"].items():
        expected = facts(schema, definitions=model.get("$defs", {}), root="#/$defs/")
        actual = facts(
            described["properties"][key], definitions=SCHEMAS, root="#/components/schemas/"
        )
        if (name, key) == ("PreviewBody", "scope"):
            continue
        assert expected == actual, key


# What the views answer.


def shown():
    assignment = Assignment(
        bot_id="b1", deduplication_key="key", join_at=NOW, fingerprint="f", state="scheduled"
    )
    return ShownMeeting(meeting=replace(meeting(), assignment=assignment), override=Choice.AUTO)


def letter():
    return ShownLetter(
        message_id="m1",
        type="tick",
        group="feed",
        reason="tries_used_up",
        receives=11,
        redriven=0,
        sent_at=NOW,
    )


def answers() -> dict[str, dict[str, Any]]:
    preview = Preview(added=[shown()])
    seen = views.meeting_view(shown())
    job = Redecision(scope="default", version=1, asked_by=None, started_at=NOW)
    item = AuditItem(drift=Drift.MISSING, calendar_id="c", event_id="e", reason="r")
    audit = drift_document(
        Audit(started_at=NOW, finished_at=NOW, items=(item,)), healing=frozenset(Drift)
    )
    coverage = views.coverage_view(None, now=NOW)
    version = RulesVersion(version=1, document={}, set_by=None, set_at=NOW)
    return {
        "Calendar": views.calendar_view(calendar()),
        "Meeting": seen,
        "Decision": seen["decision"],
        "Bot": seen["bot"],
        "Preview": views.preview_view(preview),
        "RulesVersion": views.rules_version_view(version),
        "Redecision": views.redecision_view(job),
        "Rotation": views.rotation_view(Platform.GOOGLE, Walk(fingerprint="f", started_at=NOW)),
        "SetAside": views.set_aside_view(meeting()),
        "DeadLetter": views.letter_view(letter(), now=NOW),
        "Drift": {**audit, "coverage": coverage},
        "DriftItem": audit["items"][0],
        "DriftCounts": audit["counts"],
        "Coverage": coverage,
        "CoverageFigures": coverage["today"],
        "Problem": problem_document(400, "body_invalid", detail="d", field="f"),
    }


@pytest.mark.parametrize(("name", "answer"), answers().items(), ids=answers())
def test_an_answer_has_the_keys_of_its_schema(name, answer):
    assert answer.keys() == SCHEMAS[name]["properties"].keys()


def test_every_code_is_listed():
    # What cannot be read on the queue is no answer of the API's.
    assert api_codes() - {"message_malformed"} == set(SCHEMAS["ErrorCode"]["enum"])
