"""Is what we deploy what we think? Facts of template.yaml that would hurt if they changed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from functions.scheduler.app import DOORBELL_RECEIVES_MAX
from infra.packaging import ROOT
from shared.storage.tables import SCHEMAS
from tests.infra.template import Template, referred

PUBLIC_ROUTES = {
    "GET /console",
    "GET /console/{path+}",
    "POST /console/{path+}",
    "GET /pages/{file}",
    "GET /my/{token}",
    "GET /my/{token}/{page}",
    "POST /my/{token}/{page}",
    "GET /opt-out/{token}",
    "POST /opt-out/{token}",
    "GET /connect/{token}",
    "GET /connect/{token}/about",
    "GET /oauth/{platform}/callback",
    "GET /health",
    "POST /webhooks/recall",
}
API_ROUTES = {
    "POST /v1/connect-sessions",
    "POST /v1/connect-sessions/{session_id}/complete",
    "POST /v1/calendars",
    "GET /v1/calendars",
    "GET /v1/calendars/{calendar_id}",
    "PATCH /v1/calendars/{calendar_id}",
    "DELETE /v1/calendars/{calendar_id}",
    "POST /v1/calendars/{calendar_id}/resync",
    "GET /v1/calendars/{calendar_id}/meetings",
    "PUT /v1/calendars/{calendar_id}/meetings/{event_id}/override",
    "POST /v1/calendars/{calendar_id}/meetings/{event_id}/opt-out-link",
    "POST /v1/calendars/{calendar_id}/meetings/{event_id}/replay",
    "GET /v1/meetings/set-aside",
    "POST /v1/meetings/set-aside/replay",
    "GET /v1/dead-letters",
    "POST /v1/dead-letters/redrive",
    "DELETE /v1/dead-letters/{message_id}",
    "GET /v1/rules/{scope}",
    "PUT /v1/rules/{scope}",
    "GET /v1/rules/{scope}/versions",
    "POST /v1/rules/preview",
    "POST /v1/entities/{tenant_id}/{entity_id}/page-link",
    "DELETE /v1/entities/{tenant_id}/{entity_id}",
    "GET /v1/drift",
    "GET /v1/rotations",
    "GET /v1/status",
}
TABLES = {schema.variable: schema for schema in SCHEMAS}


def test_every_function_has_a_role_of_its_own(template: Template) -> None:
    roles = [referred(each["Role"]) for each in template.functions().values()]

    assert None not in roles
    assert len(set(roles)) == len(roles)


def test_no_statement_is_wider_than_it_says(template: Template) -> None:
    for statement in template.statements():
        assert all(re.fullmatch(r"[a-z0-9]+:[A-Z]\w+", each) for each in statement.actions)
        assert all(_is_exact(each) for each in statement.resources), statement


def test_roles_have_named_statements_and_nothing_managed(template: Template) -> None:
    for role, stated in template.of_type("AWS::IAM::Role").items():
        assert "ManagedPolicyArns" not in stated, role
        sids = [each.sid for each in template.statements() if each.role == role]
        assert len(set(sids)) == len(sids) > 0, role
    assert all("Policies" not in each for each in template.functions().values())


def test_a_function_writes_only_its_own_log(template: Template) -> None:
    log_groups = template.of_type("AWS::Logs::LogGroup")
    for name, stated in template.functions().items():
        group = referred(stated["LoggingConfig"]["LogGroup"])
        (statement,) = (
            each
            for each in template.statements()
            if each.role == referred(stated["Role"]) and "logs:PutLogEvents" in each.actions
        )

        assert [group] == [referred(each) for each in statement.resources], name
        assert group in log_groups


def test_every_log_group_forgets(template: Template) -> None:
    for name, stated in template.of_type("AWS::Logs::LogGroup").items():
        assert stated["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


def test_routes_are_those_of_the_api(template: Template) -> None:
    assert {route for route, _ in template.routes()} == PUBLIC_ROUTES | API_ROUTES


def test_only_the_public_routes_do_without_an_api_key(template: Template) -> None:
    auth = template.of_type("AWS::Serverless::HttpApi")["HttpApi"]["Auth"]
    unguarded = {
        route
        for route, stated in template.routes()
        if stated.get("Auth", {}).get("Authorizer") == "NONE"
    }

    assert auth["DefaultAuthorizer"] in auth["Authorizers"]
    assert unguarded == PUBLIC_ROUTES


def test_an_authorizers_answer_is_kept_per_key_and_route(template: Template) -> None:
    auth = template.of_type("AWS::Serverless::HttpApi")["HttpApi"]["Auth"]
    authorizer = auth["Authorizers"][auth["DefaultAuthorizer"]]

    assert authorizer["AuthorizerPayloadFormatVersion"] == "2.0"
    assert authorizer["EnableSimpleResponses"] is True
    assert authorizer["Identity"]["Headers"] == ["Authorization"]
    assert authorizer["Identity"]["Context"] == ["routeKey"]


def test_access_logs_name_neither_path_nor_query_nor_headers(template: Template) -> None:
    line = template.of_type("AWS::Serverless::HttpApi")["HttpApi"]["AccessLogSettings"]["Format"]
    variables = set(re.findall(r"\$context\.([\w.]+)", line))

    assert set(json.loads(line)) >= {"requestId", "route", "status"}
    assert "routeKey" in variables
    assert not {each for each in variables if re.search("path|query|header|identity", each)}


@pytest.mark.parametrize("variable", TABLES)
def test_tables_are_those_that_storage_declares(template: Template, variable: str) -> None:
    declared = TABLES[variable]
    stated = template.of_type("AWS::DynamoDB::Table")[_logical_id(variable)]
    indexes = {
        each["IndexName"]: (_attributes(each["KeySchema"]), _projected(each["Projection"]))
        for each in stated.get("GlobalSecondaryIndexes", [])
    }

    assert _attributes(stated["KeySchema"]) == [declared.hash_key]
    assert indexes == {
        each.name: ([each.hash_key, each.range_key], each.projection) for each in declared.indexes
    }
    assert stated.get("TimeToLiveSpecification", {}).get("AttributeName") == declared.expires


def test_every_table_is_on_demand_encrypted_and_restorable(template: Template) -> None:
    tables = template.of_type("AWS::DynamoDB::Table")
    assert set(tables) == {_logical_id(variable) for variable in TABLES}
    for name, stated in tables.items():
        assert stated["BillingMode"] == "PAY_PER_REQUEST", name
        assert stated["SSESpecification"] == {"SSEEnabled": True}, name
        recovery = stated["PointInTimeRecoverySpecification"]
        assert recovery == {"PointInTimeRecoveryEnabled": True}, name


def test_what_cannot_be_made_again_outlives_the_stack(template: Template) -> None:
    kept = {
        name
        for name, resource in template.resources.items()
        if resource.get("DeletionPolicy") == resource.get("UpdateReplacePolicy") == "Retain"
    }

    assert kept == {
        "Secret",
        "AccountsTable",
        "ApiKeysTable",
        "CalendarsTable",
        "ClaimsTable",
        "MeetingsTable",
        "SettingsTable",
        "WorkspaceTable",
    }


def test_the_doorbell_queue_is_a_lock_that_lets_go(template: Template) -> None:
    queues = template.of_type("AWS::SQS::Queue")
    doorbells, dead_letters = queues["DoorbellQueue"], queues["DeadLetterQueue"]
    timeout = template.functions()["SchedulerFunction"]["Timeout"]

    for stated in (doorbells, dead_letters):
        assert stated["FifoQueue"] is stated["SqsManagedSseEnabled"] is True
    assert doorbells["ContentBasedDeduplication"] is True
    assert timeout < doorbells["VisibilityTimeout"] <= 2 * timeout
    assert referred(doorbells["RedrivePolicy"]["deadLetterTargetArn"]) == "DeadLetterQueue"
    assert doorbells["RedrivePolicy"]["maxReceiveCount"] > DOORBELL_RECEIVES_MAX


def test_the_scheduler_answers_for_each_message(template: Template) -> None:
    (source,) = template.functions()["SchedulerFunction"]["Events"].values()

    assert source["Type"] == "SQS"
    assert referred(source["Properties"]["Queue"]) == "DoorbellQueue"
    assert source["Properties"]["BatchSize"] == 10
    assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_each_tick_has_a_body_of_its_own(template: Template) -> None:
    target = template.of_type("AWS::Scheduler::Schedule")["MinuteTick"]["Target"]
    body = json.loads(target["Input"])

    assert referred(target["Arn"]) == "DoorbellQueue"
    assert target["SqsParameters"] == {"MessageGroupId": "feed"}
    assert body == {"type": "tick", "scheduled_at": "<aws.scheduler.scheduled-time>"}


def test_the_reconciler_is_woken_for_each_task(template: Template) -> None:
    wakes = {
        json.loads(stated["Target"]["Input"])["task"]: stated["ScheduleExpression"]
        for stated in template.of_type("AWS::Scheduler::Schedule").values()
        if referred(stated["Target"]["Arn"]) == "ReconcilerFunction"
    }

    assert wakes == {
        "preflight": "rate(5 minutes)",
        "calendars": "rate(15 minutes)",
        "audit": "rate(5 minutes)",
        "coverage": "rate(15 minutes)",
        "overview": "rate(5 minutes)",
    }


def test_the_secret_starts_with_every_name_and_no_value(template: Template) -> None:
    generated = template.of_type("AWS::SecretsManager::Secret")["Secret"]["GenerateSecretString"]
    names = json.loads(generated["SecretStringTemplate"])

    assert set(names.values()) == {""}
    assert {*names, generated["GenerateStringKey"]} == {
        "recall_api_key", "recall_webhook_secret", "google_client_id", "google_client_secret",
        "microsoft_client_id", "microsoft_client_secret", "link_secret",
    }  # fmt: skip


def test_the_seal_key_rotates(template: Template) -> None:
    assert template.of_type("AWS::KMS::Key")["SealKey"]["EnableKeyRotation"] is True


def test_every_alarm_can_reach_a_person(template: Template) -> None:
    alarms = template.of_type("AWS::CloudWatch::Alarm")

    assert {"CursorAgeAlarm", "DeadLettersAlarm", "WebhooksRefusedAlarm"} <= set(alarms)
    for name, stated in alarms.items():
        assert stated["AlarmActions"]["Fn::If"][0] == "HasAlarmTopic", name
        assert stated["AlarmDescription"], name


def test_layer_versions_are_the_tested_ones() -> None:
    deployed = _pins("shared/requirements.txt")
    tested = _pins("requirements/dev.txt")

    assert deployed.items() <= tested.items()


@pytest.mark.parametrize("lock", ["shared", "requirements"])
def test_locks_hold_hashes_and_no_addresses(lock: str) -> None:
    for path in sorted((ROOT / lock).glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        pinned = re.findall(r"^\S+==\S+.*\\\n    --hash=sha256:", text, re.MULTILINE)

        assert len(pinned) == len(re.findall(r"^[^\s#]", text, re.MULTILINE)), path.name
        assert not re.search(r"://|--(extra-)?index|--find-links", text), path.name


def _is_exact(resource: Any) -> bool:
    if referred(resource):
        return True
    return bool(re.fullmatch(r"\$\{\w+\.Arn\}/index/\w+", resource.get("Fn::Sub", "")))


def _logical_id(variable: str) -> str:
    """CONNECT_SESSIONS_TABLE is ConnectSessionsTable."""
    return variable.title().replace("_", "")


def _attributes(key_schema: list[dict[str, str]]) -> list[str]:
    return [key["AttributeName"] for key in key_schema]


def _projected(projection: dict[str, Any]) -> Any:
    """In storage's words."""
    match projection:
        case {"ProjectionType": "INCLUDE", "NonKeyAttributes": names}:
            return tuple(names)
        case {"ProjectionType": kind}:
            return kind


def _pins(path: str) -> dict[str, str]:
    text = (ROOT / path).read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))
