"""The local host reads template.yaml as CloudFormation would, or says that it cannot."""

from pathlib import Path

import pytest

from infra.local.intrinsics import TemplateError
from infra.local.template import ACCOUNT_ID, REGION, Stack, read_stack

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


@pytest.fixture(scope="module")
def stack() -> Stack:
    return read_stack(TEMPLATE, parameters={"PublicUrl": "http://127.0.0.1:8000"})


def write(folder: Path, text: str) -> Path:
    path = folder / "template.yaml"
    path.write_text(text)
    return path


def test_every_function_of_the_template_is_found(stack: Stack) -> None:
    handlers = {function.handler for function in stack.functions}
    assert {
        "functions.authorizer.app.handler",
        "functions.calendars.app.handler",
        "functions.oauth.app.handler",
        "functions.reconciler.app.handler",
        "functions.scheduler.app.handler",
        "functions.webhooks.app.handler",
    } <= handlers


def test_environments_are_resolved_to_the_names_of_what_is_created(stack: Stack) -> None:
    scheduler = stack.function("SchedulerFunction").environment
    doorbells = next(queue for queue in stack.queues if queue.url == scheduler["QUEUE_URL"])
    tables = {table.name for table in stack.tables}
    assert doorbells.attributes["FifoQueue"] == "true"
    assert {scheduler["CALENDARS_TABLE"], scheduler["MEETINGS_TABLE"]} <= tables
    assert scheduler["BUS_NAME"] in stack.buses
    assert stack.function("OauthFunction").environment["PUBLIC_URL"] == "http://127.0.0.1:8000"


def test_a_function_gets_only_its_own_variables(stack: Stack) -> None:
    assert "MEETINGS_TABLE" not in stack.function("WebhooksFunction").environment


def test_routes_know_their_authorizer(stack: Stack) -> None:
    authorizers = {(route.method, route.path): route.authorizer for route in stack.routes}
    assert authorizers["POST", "/v1/calendars"] == "AuthorizerFunction"
    assert authorizers["POST", "/webhooks/recall"] is None
    assert authorizers["GET", "/health"] is None


def test_the_doorbells_are_drained_by_the_scheduler(stack: Stack) -> None:
    (source,) = stack.sources
    assert source.function == "SchedulerFunction"
    assert source.reports_failures
    assert stack.queue(source.queue_arn).dead_letter_arn is not None


def test_the_tick_goes_into_the_queue_with_its_time(stack: Stack) -> None:
    tick = next(schedule for schedule in stack.schedules if schedule.period_seconds == 60)
    assert tick.target_arn == stack.sources[0].queue_arn
    assert "<aws.scheduler.scheduled-time>" in (tick.input_text or "")
    assert tick.message_group == "feed"


def test_expiring_tables_say_by_which_attribute(stack: Stack) -> None:
    expiring = {table.name: table.expiry_attribute for table in stack.tables}
    meetings = stack.function("SchedulerFunction").environment["MEETINGS_TABLE"]
    assert expiring[meetings] == "expires_at"


def test_conditions_and_functions_are_evaluated(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
Parameters:
  Wanted: {Type: String, Default: "no"}
  Name: {Type: String, Default: bells}
Conditions:
  IsWanted: !Equals [!Ref Wanted, "yes"]
  IsNot: !Not [!Condition IsWanted]
Resources:
  Left:
    Type: AWS::SQS::Queue
    Condition: IsWanted
  Kept:
    Type: AWS::SQS::Queue
    Condition: IsNot
    Properties:
      QueueName: !Sub ["${Name}-${Part}", {Part: !Join ["-", [a, !Select [1, [b, c]]]]}]
      VisibilityTimeout: !If [IsWanted, 1, 2]
      DelaySeconds: !If [IsWanted, 3, !Ref AWS::NoValue]
""",
    )
    (queue,) = read_stack(path, parameters={}).queues
    assert queue.name == "bells-a-c"
    assert queue.arn == f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:bells-a-c"
    assert queue.attributes == {"VisibilityTimeout": "2"}


SCHEDULE = "{Type: AWS::Scheduler::Schedule, Properties: {ScheduleExpression: %s, Target: %s}}"
FUNCTION = "{Type: AWS::Serverless::Function, Properties: {Handler: a.b, Events: %s}}"


@pytest.mark.parametrize(
    ("resource", "complaint"),
    [
        ("{Type: AWS::Kinesis::Stream}", "does not know AWS::Kinesis::Stream"),
        ("{Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Nobody}}", "nothing is called"),
        ("{Type: AWS::SQS::Queue, Properties: {QueueName: !Cidr [a]}}", "Fn::Cidr"),
        (SCHEDULE % ("'cron(0 3 * * ? *)'", "{Arn: x}"), "rates only"),
        (SCHEDULE % ("rate(1 minute)", "{Arn: x, Wings: two}"), "does not know Wings"),
        (FUNCTION % "{Fly: {Type: Kite}}", "unknown event Kite"),
    ],
)
def test_what_nobody_knows_is_refused(tmp_path: Path, resource: str, complaint: str) -> None:
    path = write(tmp_path, f"Resources:\n  Odd: {resource}\n")
    with pytest.raises(TemplateError, match=complaint):
        read_stack(path, parameters={})


def test_a_parameter_has_to_exist_and_to_fit() -> None:
    with pytest.raises(TemplateError, match="NotThere"):
        read_stack(TEMPLATE, parameters={"NotThere": "x"})
    with pytest.raises(TemplateError, match="FeedMode"):
        read_stack(TEMPLATE, parameters={"FeedMode": "telepathy"})
