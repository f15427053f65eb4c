"""The rotation of a client secret against moto and the emulated Recall, in virtual time."""

from __future__ import annotations

import io
import json
import logging
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local.emulators.clock import VirtualClock
from infra.local.emulators.http import Fault, FaultKind, Request, Response, WorldAdapter
from infra.local.emulators.recall.accounts import GrantFailure, GrantResult
from infra.local.emulators.recall.world import RecallWorld
from infra.rotate import Surroundings, rotate
from shared.domain.rotation import WALKS, Walk, walks_from
from shared.recall import new_session
from shared.storage import Tables, open_stores
from tests.tables import REGION

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
RECALL = "https://us-east-1.recall.ai"
GOOGLE = "google_calendar"
OUTLOOK = "microsoft_outlook"
OURS = "ours.apps.googleusercontent.com"
OLD = "GOCSPX-the-secret-of-last-year"
NEW = "GOCSPX-the-secret-of-this-year"
THEIRS = "GOCSPX-a-secret-of-the-host"
SCOPES = (
    "https://www.googleapis.com/auth/calendar.readonly",
    "https://graph.microsoft.com/Calendars.Read",
)
SECONDS_MAX = 3_600


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Stage:
    """A stack, a Recall workspace, and an operator at the command line."""

    def __init__(self, tables) -> None:
        self.tables = tables
        self.clock = VirtualClock(NOW)
        self.valid = {OLD, NEW, THEIRS}
        self.dead: set[str] = set()
        self.recall = RecallWorld(
            self.clock, base_url=RECALL, api_key="recall-key", resolve_account=self._resolve
        )
        self.adapter = WorldAdapter(self._handle, self._watch)
        self.rewrite: Callable[[bytes], bytes] = bytes
        self.patches: Counter[str] = Counter()
        self.crash_after: int | None = None
        self.fault: Any = None
        self.output = ""
        self.prompts: list[str] = []
        self.manager = boto3.client("secretsmanager", region_name=REGION)
        self.secret_id = self.manager.create_secret(
            Name="rollcall", SecretString=json.dumps(self.secrets())
        )["ARN"]
        self.environment = {
            "AWS_REGION": REGION,
            "SECRET_ID": self.secret_id,
            "WORKSPACE_TABLE": tables.workspace,
            "RECALL_BASE_URL": RECALL,
        }

    def secrets(self, **changes: str) -> dict[str, str]:
        return {
            "recall_api_key": "recall-key",
            "google_client_id": OURS,
            "google_client_secret": OLD,
            "microsoft_client_id": "",
            "microsoft_client_secret": "",
            "link_secret": "l" * 43,
            **changes,
        }

    def stored_secrets(self) -> dict[str, str]:
        return json.loads(self.manager.get_secret_value(SecretId=self.secret_id)["SecretString"])

    def calendars(self, count: int, *, client_id: str = OURS, secret: str = OLD) -> list[str]:
        made = [self.calendar(client_id=client_id, secret=secret) for _ in range(count)]
        self.clock.advance(timedelta(hours=1))
        self.recall.run_due()
        return made

    def calendar(self, *, client_id: str = OURS, secret: str = OLD, platform: str = GOOGLE) -> str:
        body = {
            "platform": platform,
            "oauth_client_id": client_id,
            "oauth_client_secret": secret,
            "oauth_refresh_token": f"token-{len(self.recall.calendars)}",
        }
        self.recall.throttle.limits["calendars_create"] = 10_000
        answer = self.recall.handle(
            Request(
                method="POST",
                url=f"{RECALL}/api/v2/calendars/",
                headers={"Authorization": "Token recall-key", "Content-Type": "application/json"},
                body=json.dumps(body).encode(),
            )
        )
        return str(json.loads(answer.body)["id"])

    def rotate(self, secret: str = NEW, *arguments: str, tty: bool = False, **kept: Any) -> int:
        out = Terminal() if tty else io.StringIO()
        answers = iter(secret.splitlines())
        session = new_session(1)
        session.mount(RECALL, self.adapter)

        def ask(prompt: str) -> str:
            self.prompts.append(prompt)
            return next(answers)

        try:
            return rotate(
                arguments or ("--platform", GOOGLE),
                Surroundings(
                    environment=self.environment,
                    stdin=Terminal() if tty else io.StringIO(secret),
                    stdout=out,
                    stderr=out,
                    ask=ask,
                    client=kept.get("client", partial(boto3.client, region_name=REGION)),
                    session=session,
                    clock=self.clock.now,
                    pause=self.pause,
                ),
            )
        finally:
            self.output += out.getvalue()

    def pause(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        self.recall.run_due()

    def holders(self, secret: str) -> set[str]:
        calendars = self.recall.calendars.values()
        return {each.id for each in calendars if each.oauth_client_secret == secret}

    def rows(self) -> dict[str, Any]:
        client = boto3.client("dynamodb", region_name=REGION)
        items = client.scan(TableName=self.tables.workspace)["Items"]
        return {item["name"]["S"]: item for item in items}

    def _handle(self, request: Request) -> Response:
        answer = self.recall.handle(request)
        body = self.rewrite(answer.body)
        return Response(status=answer.status, headers=answer.headers, body=body)

    def _watch(self, request: Request) -> Fault | None:
        if request.method == "PATCH":
            if self.crash_after is not None and sum(self.patches.values()) >= self.crash_after:
                self.crash_after = None
                raise KeyboardInterrupt
            self.patches[request.url.split("/")[-2]] += 1
        return self.fault(request) if self.fault else None

    def _resolve(self, *, platform, client_id, client_secret, refresh_token):
        if client_secret not in self.valid:
            return GrantFailure(reason="invalid_client")
        if refresh_token in self.dead:
            return GrantFailure(reason="invalid_grant")
        return GrantResult(email=f"{refresh_token}@acme.example", scopes=SCOPES)


@pytest.fixture
def stage(tables):
    return Stage(tables)


def test_every_calendar_gets_the_secret_once(stage):
    ours = stage.calendars(250)

    assert stage.rotate() == 0

    assert set(ours) == stage.holders(NEW)
    assert dict.fromkeys(ours, 1) == stage.patches
    assert stage.secrets(google_client_secret=NEW) == stage.stored_secrets()
    assert {"connected"} == {each.status for each in stage.recall.calendars.values()}


def test_others_can_follow_it(stage):
    """What the console and the API read, at every pause and at the end."""
    stage.calendars(250)
    pause, store = stage.pause, open_stores(Tables(region=REGION, workspace=stage.tables.workspace))
    seen: list[Walk] = []

    def looked(seconds: float) -> None:
        seen.extend(walks_from(store.workspace.documents(WALKS)).values())
        pause(seconds)

    stage.pause = looked
    assert stage.rotate() == 0
    seen.extend(walks_from(store.workspace.documents(WALKS)).values())

    assert ["calendars", "waiting", "connections"] == list(
        dict.fromkeys(each.step for each in seen)
    )
    assert {250} == {each.total for each in seen}
    assert sorted(each.given for each in seen) == [each.given for each in seen]
    assert not any(each.has_stalled(each.moved_at) for each in seen)
    assert (250, 250) == (seen[-1].given, seen[-1].connected)
    assert seen[-1].finished_at is not None
    assert not seen[-1].lost


def test_half_of_the_budget_is_left_to_the_live_system(stage):
    stage.calendars(250)
    before = len(stage.recall.calls)

    stage.rotate()

    for endpoint, share in (("calendars_partial_update", 150), ("calendars_list", 30)):
        moments = [call.at for call in stage.recall.calls[before:] if call.endpoint == endpoint]
        busiest = max(
            sum(start <= each < start + timedelta(seconds=60) for each in moments)
            for start in moments
        )
        assert busiest <= share


@pytest.mark.parametrize("crash_after", [0, 1, 2, 120, 249])
def test_a_crash_is_resumed(stage, crash_after):
    ours = stage.calendars(250)
    stage.crash_after = crash_after

    assert stage.rotate() == 130
    assert stage.rotate() == 0

    assert set(ours) == stage.holders(NEW)
    assert set(ours) == set(stage.patches)
    assert max(stage.patches.values()) <= 2
    assert sum(stage.patches.values()) <= 252


def masked(body: bytes) -> bytes:
    """An answer of a Recall that shows secrets no longer."""
    return body.replace(OLD.encode(), b"*" * 8).replace(NEW.encode(), b"*" * 8)


@pytest.mark.parametrize("crash_after", [None, 0, 7, 29])
def test_a_recall_that_masks_secrets_is_walked_all_the_same(stage, crash_after):
    ours = stage.calendars(30)
    stage.clock.advance(timedelta(days=1))
    stage.rewrite = masked
    stage.crash_after = crash_after

    codes = [stage.rotate() for _ in range(1 if crash_after is None else 2)]

    assert 0 == codes[-1]
    assert set(ours) == stage.holders(NEW)
    assert max(stage.patches.values()) <= 2


@pytest.mark.parametrize(
    "kind", [FaultKind.TIMEOUT_AFTER_EFFECT, FaultKind.READ_TIMEOUT, FaultKind.CONNECT_ERROR]
)
def test_a_call_without_an_answer_is_repeated(stage, kind):
    ours = stage.calendars(5)
    stage.fault = lambda request: (
        Fault(kind=kind) if request.method == "PATCH" and sum(stage.patches.values()) == 3 else None
    )

    assert stage.rotate() == 0

    assert set(ours) == stage.holders(NEW)
    assert [1, 1, 1, 1, 2] == sorted(stage.patches.values())


def test_recall_away_for_long_ends_the_run_and_a_repeat_goes_on(stage):
    ours = stage.calendars(9)
    answer = Response(status=503, body=b"")
    stage.fault = lambda request: (
        Fault(kind=FaultKind.ANSWER, answer=answer)
        if request.method == "PATCH" and sum(stage.patches.values()) > 4
        else None
    )
    assert stage.rotate() == 1
    assert "repeat the command to go on" in stage.output
    assert 4 == len(stage.holders(NEW))

    stage.fault = None
    assert stage.rotate() == 0
    assert set(ours) == stage.holders(NEW)


def test_another_secret_starts_over(stage):
    other = "GOCSPX-a-valid-one-soon-regretted"
    stage.valid.add(other)
    ours = stage.calendars(6)
    stage.crash_after = 3
    assert stage.rotate(other) == 130
    assert 3 == len(stage.holders(other))

    assert stage.rotate(NEW) == 0

    assert set(ours) == stage.holders(NEW)
    assert "starting over" in stage.output


def test_a_proof_that_broke_off_is_not_forgotten(stage):
    """A wrong secret and Ctrl-C: the calendar that tried it had been connected."""
    ours = stage.calendars(3)
    pause = stage.pause

    def stopped(seconds: float) -> None:
        raise KeyboardInterrupt

    stage.pause = stopped
    assert stage.rotate("GOCSPX-mistyped") == 130
    stage.pause = pause
    pause(60)
    (tried,) = stage.holders("GOCSPX-mistyped")
    stage.dead.add(stage.recall.calendars[tried].oauth_refresh_token)

    assert stage.rotate() == 1

    assert set(ours) == stage.holders(NEW)
    assert f"Lost their connection:\n  {tried}" in stage.output


def test_one_refusal_is_reported_and_healed_by_a_repeat(stage):
    ours = sorted(stage.calendars(5))
    answer = Response(status=400, body=json.dumps({"code": "odd", "detail": NEW}).encode())
    stage.fault = lambda request: (
        Fault(kind=FaultKind.ANSWER, answer=answer)
        if request.method == "PATCH" and ours[2] in request.url
        else None
    )
    assert stage.rotate() == 1
    store = open_stores(Tables(region=REGION, workspace=stage.tables.workspace))
    (walk,) = walks_from(store.workspace.documents(WALKS)).values()
    assert {ours[2]: "odd"} == walk.failed
    assert {ours[2]} == walk.lost.keys()
    assert f"{ours[2]}  does not have the new secret (odd)" in stage.output
    assert NEW not in stage.output

    stage.fault = None
    assert stage.rotate() == 0
    assert set(ours) == stage.holders(NEW)


def test_refusals_in_a_row_stop_the_walk(stage):
    stage.calendars(40)
    answer = Response(status=400, body=b"{}")
    stage.fault = lambda request: (
        Fault(kind=FaultKind.ANSWER, answer=answer)
        if request.method == "PATCH" and sum(stage.patches.values()) > 5
        else None
    )

    assert stage.rotate() == 1

    assert "refused 10 calendars in a row" in stage.output
    assert 15 == sum(stage.patches.values())


def test_one_deleted_meanwhile_is_no_failure(stage):
    ours = sorted(stage.calendars(5))

    def delete(request: Request) -> None:
        if request.method == "PATCH" and ours[3] in request.url:
            url = f"{RECALL}/api/v2/calendars/{ours[3]}/"
            headers = {"Authorization": "Token recall-key"}
            stage.recall.handle(Request(method="DELETE", url=url, headers=headers))

    stage.fault = delete
    assert stage.rotate() == 0


def test_an_entry_that_cannot_be_read_is_reported(stage):
    ours = sorted(stage.calendars(3))
    entry = rf'("id": ?"{ours[1]}", ?"oauth_client_id": ?)'.encode()
    stage.rewrite = lambda body: re.sub(entry, rb'\1 null, "was": ', body)

    assert stage.rotate() == 1

    assert f"{ours[1]}  Recall's entry cannot be read" in stage.output


def test_a_429_is_waited_out(stage):
    ours = stage.calendars(5)
    refused = iter([True, False, True])

    def busy(request: Request) -> Fault | None:
        if request.method == "PATCH" and next(refused, False):
            answer = Response(status=429, headers={"Retry-After": "40"}, body=b"{}")
            return Fault(kind=FaultKind.ANSWER, answer=answer)
        return None

    stage.fault = busy
    assert stage.rotate() == 0

    assert set(ours) == stage.holders(NEW)
    assert "Waiting 40 s" in stage.output


def test_clients_of_hosts_and_the_other_platform_are_left_alone(stage):
    ours = stage.calendars(3)
    theirs = stage.calendars(2, client_id="theirs.apps.googleusercontent.com", secret=THEIRS)
    other = stage.calendar(platform=OUTLOOK)

    assert stage.rotate() == 0

    assert set(ours) == stage.holders(NEW)
    assert set(theirs) == stage.holders(THEIRS)
    assert 0 == stage.patches[other]
    assert "2 left alone" in stage.output


def test_a_lost_calendar_is_reported_and_tried_again(stage):
    ours = sorted(stage.calendars(5))
    victim = stage.recall.calendars[ours[3]]
    stage.dead.add(victim.oauth_refresh_token)

    assert stage.rotate() == 1
    assert f"{victim.id}  invalid_grant" in stage.output
    assert "Not done" in stage.output

    stage.dead.clear()
    assert stage.rotate() == 0
    assert {"connected"} == {each.status for each in stage.recall.calendars.values()}


def test_one_that_was_lost_before_fails_nothing(stage):
    ours = sorted(stage.calendars(3))
    victim = stage.recall.calendars[ours[1]]
    stage.dead.add(victim.oauth_refresh_token)
    stage.recall.run_due()
    body = b"{}"
    stage.recall.handle(
        Request(
            method="PATCH",
            url=f"{RECALL}/api/v2/calendars/{victim.id}/",
            headers={"Authorization": "Token recall-key", "Content-Type": "application/json"},
            body=body,
        )
    )
    stage.pause(60)
    assert "disconnected" == victim.status

    assert stage.rotate() == 0
    assert f"Disconnected before the rotation, and still:\n  {victim.id}" in stage.output


def test_a_wrong_secret_reaches_one_calendar_and_leaves_it_again(stage):
    ours = stage.calendars(5)

    assert stage.rotate("GOCSPX-mistyped") == 1

    assert set(ours) == stage.holders(OLD)
    assert stage.secrets() == stage.stored_secrets()
    assert 1 == len(stage.patches)
    stage.pause(60)
    assert {"connected"} == {each.status for each in stage.recall.calendars.values()}
    assert "was given the former one back" in stage.output


def test_a_calendar_born_with_the_old_secret_meanwhile_gets_the_new_one(stage):
    """A function keeps the stack's secret for five minutes."""
    stage.calendars(3)
    born: list[str] = []
    pause = stage.pause

    def later(seconds: float) -> None:
        pause(seconds)
        if stage.stored_secrets()["google_client_secret"] == NEW and not born:
            born.append(stage.calendar())

    stage.pause = later
    assert stage.rotate() == 0

    assert 1 == len(born)
    assert set() == stage.holders(OLD)


def test_a_new_client_is_for_new_calendars(stage):
    ours = stage.calendars(2)
    given = f"new-client.apps.googleusercontent.com\n{NEW}\n"

    assert stage.rotate(given, "--platform", GOOGLE, "--new-client") == 0

    assert set(ours) == stage.holders(OLD)
    expected = stage.secrets(
        google_client_id="new-client.apps.googleusercontent.com", google_client_secret=NEW
    )
    assert expected == stage.stored_secrets()
    assert "2 left alone" in stage.output


@pytest.mark.parametrize(
    ("secret", "advice"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ("short", "wrong shape"),
        ("has a blank in it", "wrong shape"),
        ("x" * 2_001, "wrong shape"),
        ("1055-x.apps.googleusercontent.com", "an id, not a client secret"),
        ("8b8b6a2e-3a53-4f6b-9a52-0c9c6f2f5f10", "an id, not a client secret"),
    ],
)
def test_what_is_no_secret_changes_nothing(stage, secret, advice):
    stage.calendars(1)

    assert stage.rotate(secret) == 1

    assert advice in stage.output
    assert not stage.patches
    assert stage.secrets() == stage.stored_secrets()


def test_the_secret_shows_nowhere(stage, caplog):
    caplog.set_level(logging.DEBUG)
    stage.calendars(12)
    stage.crash_after = 4
    stage.rotate(tty=True)
    stage.rotate()

    everything = stage.output + caplog.text + json.dumps(stage.rows()) + "".join(stage.prompts)
    for text in (OLD, NEW, "recall-key", "l" * 43):
        assert text not in everything
    assert "rotation#google_calendar#walk" in stage.rows()


def test_a_terminal_shows_a_bar_and_a_log_plain_lines(stage):
    stage.calendars(20)

    stage.rotate()
    plain, stage.output = stage.output, ""
    stage.rotate(tty=True)

    assert "\x1b" not in plain
    assert "secrets: 0 of 20" in plain
    assert "secrets: 20 of 20" in plain
    assert 40 > len(plain.splitlines())
    assert "\x1b" in stage.output
    assert "20/20" in stage.output


# Finding the stack, and plain errors.


def template(*, secret_id: str) -> str:
    table = {
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "name", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "name", "AttributeType": "S"}],
    }
    parameters = {"RecallRegion": "us-east-1", "RecallBaseUrl": "", "RecallLimits": ""}
    return json.dumps(
        {
            "Parameters": {
                name: {"Type": "String", "Default": value} for name, value in parameters.items()
            },
            "Resources": {"WorkspaceTable": {"Type": "AWS::DynamoDB::Table", "Properties": table}},
            # moto makes no secret for a stack.
            "Outputs": {"SecretArn": {"Value": secret_id}},
        }
    )


def deployed(stage: Stage, name: str = "rollcall") -> None:
    """The stack in CloudFormation, and none of its names in the environment."""
    client = boto3.client("cloudformation", region_name=REGION)
    client.create_stack(StackName=name, TemplateBody=template(secret_id=stage.secret_id))
    stage.environment = {}


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("rollcall", ()),
        ("rollcall", ("--environment", "default")),
        ("rollcall-production", ("--environment", "production")),
        ("elsewhere", ("--stack", "elsewhere")),
    ],
)
def test_the_stack_is_found_by_its_name(stage, name, where):
    deployed(stage, name)
    ours = stage.calendars(2)

    assert stage.rotate(NEW, "--platform", GOOGLE, *where) == 0

    assert set(ours) == stage.holders(NEW)
    assert NEW == stage.stored_secrets()["google_client_secret"]


def test_a_foreign_stack_is_told_apart(stage):
    topic = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    client = boto3.client("cloudformation", region_name=REGION)
    client.create_stack(StackName="topic", TemplateBody=json.dumps(topic))

    assert stage.rotate(NEW, "--platform", GOOGLE, "--stack", "topic") == 1

    assert "topic is not a stack of Rollcall" in stage.output


def refusing(operation: str, code: str) -> Callable[..., Any]:
    """Clients of an identity that may not do one thing."""

    def client(service: str, **settings: Any) -> Any:
        made = boto3.client(service, **{"region_name": REGION, **settings})
        made.meta.events.register(f"before-call.*.{operation}", refuse)
        return made

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": NEW}}, operation)

    return client


@pytest.mark.parametrize(
    ("operation", "code", "advice"),
    [
        ("DescribeStacks", "AccessDenied", "lacks the permission for DescribeStacks"),
        ("DescribeStackResource", "AccessDenied", "the permission for DescribeStackResource"),
        ("GetSecretValue", "AccessDeniedException", "lacks the permission for GetSecretValue"),
        ("PutSecretValue", "AccessDeniedException", "lacks the permission for PutSecretValue"),
        ("DescribeStacks", "ExpiredToken", "does not accept the credentials"),
        ("PutSecretValue", "InternalServiceError", "refused PutSecretValue"),
    ],
)
def test_what_aws_refuses_comes_with_a_remedy(stage, operation, code, advice):
    deployed(stage)
    ours = stage.calendars(2)

    assert stage.rotate(client=refusing(operation, code)) == 1

    assert advice in stage.output
    assert NEW not in stage.output
    assert OLD == stage.stored_secrets()["google_client_secret"]
    # The one that proved the secret keeps it: both go on working.
    assert len(stage.patches) <= 1
    assert stage.rotate() == 0
    assert set(ours) == stage.holders(NEW)


@pytest.mark.parametrize(
    ("arguments", "environment", "secrets", "advice"),
    [
        (("--stack", "no-such-stack"), {}, {}, "There is no stack no-such-stack in us-east-1"),
        (("--environment", "moon"), {}, {}, "has no environment moon"),
        ((), {"WORKSPACE_TABLE": ""}, {}, "settings are missing: WORKSPACE_TABLE"),
        ((), {"WORKSPACE_TABLE": "no-such-table"}, {}, "for the stack's Workspace table"),
        ((), {"SECRET_ID": "no-such-secret"}, {}, "There is no secret no-such-secret"),
        ((), {}, {"google_client_id": ""}, "has no OAuth client for google_calendar"),
        ((), {}, {"link_secret": ""}, "lacks: link_secret"),
        ((), {}, {"recall_api_key": "another"}, "Recall does not accept the API key"),
    ],
)
def test_what_does_not_fit_is_said_plainly(stage, arguments, environment, secrets, advice):
    stage.calendars(1)
    stage.environment |= environment
    text = json.dumps(stage.secrets(**secrets))
    stage.manager.put_secret_value(SecretId=stage.secret_id, SecretString=text)

    assert stage.rotate(NEW, "--platform", GOOGLE, *arguments) == 1

    assert advice in stage.output
    assert not stage.patches
