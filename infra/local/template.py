"""What template.yaml deploys, as values that the local host can create, call and serve.

The template is the only wiring: a resource, property or function that nobody here knows is a
TemplateError, so the local host cannot drift away from the stack in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.intrinsics import NO_VALUE, Node, Resolver, TemplateError, load

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
STACK_NAME = "rollcall-local"

Properties = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A DynamoDB table; `definition` holds the arguments of CreateTable."""

    name: str
    definition: Properties
    expiry_attribute: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """An SQS queue; `attributes` are those of CreateQueue."""

    name: str
    url: str
    arn: str
    attributes: Mapping[str, str]

    @property
    def dead_letter_arn(self) -> str | None:
        policy = json.loads(self.attributes.get("RedrivePolicy", "{}"))
        target = policy.get("deadLetterTargetArn")
        return str(target) if target else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A Lambda function; its environment is exactly what the template gives it."""

    logical_id: str
    name: str
    arn: str
    handler: str
    environment: Mapping[str, str]
    timeout_seconds: float
    memory_megabytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method and path of the HTTP API; `authorizer` is a function's logical id or None."""

    method: str
    path: str
    function: str
    authorizer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSource:
    """A queue that a function drains."""

    queue_arn: str
    function: str
    batch_size: int
    reports_failures: bool
    concurrency_max: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Something that happens every `period_seconds`: a function called or a message sent."""

    name: str
    period_seconds: float
    target_arn: str
    input_text: str | None
    message_group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Everything in the template that the local host brings to life."""

    tables: tuple[Table, ...]
    queues: tuple[Queue, ...]
    functions: tuple[Function, ...]
    routes: tuple[Route, ...]
    sources: tuple[EventSource, ...]
    schedules: tuple[Schedule, ...]
    buses: tuple[str, ...]
    key_aliases: tuple[str, ...]
    secrets: tuple[str, ...]

    def function(self, logical_id: str) -> Function:
        return next(each for each in self.functions if each.logical_id == logical_id)

    def queue(self, arn: str) -> Queue:
        return next(each for each in self.queues if each.arn == arn)


def read_stack(path: Path, *, parameters: Mapping[str, str]) -> Stack:
    """Read a template; `parameters` win over its defaults, those it does not have are refused."""
    return _Reader(load(path), parameters).stack()


# Deployed for rights, records and alarms; nothing that a handler could notice.
_NOT_NEEDED_HERE = (
    "AWS::ApiGatewayV2::",
    "AWS::ApplicationInsights::",
    "AWS::CloudWatch::",
    "AWS::IAM::",
    "AWS::Lambda::Permission",
    "AWS::Logs::",
    "AWS::ResourceGroups::",
    "AWS::SNS::",
    "AWS::SQS::QueuePolicy",
    "AWS::SecretsManager::ResourcePolicy",
    "AWS::Serverless::HttpApi",
    "AWS::Serverless::LayerVersion",
)

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_TABLE_ARGUMENTS = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "BillingMode")
_SCHEDULE_KEYS = {
    "Description", "FlexibleTimeWindow", "GroupName", "Name", "ScheduleExpression",
    "ScheduleExpressionTimezone", "State", "Target",
}  # fmt: skip
_TARGET_KEYS = {
    "Arn", "DeadLetterConfig", "Input", "RetryPolicy", "RoleArn", "SqsParameters",
}  # fmt: skip
_SOURCE_KEYS = {
    "BatchSize", "Enabled", "FunctionResponseTypes", "MaximumBatchingWindowInSeconds", "Queue",
    "ScalingConfig",
}  # fmt: skip
_ROUTE_KEYS = {
    "ApiId", "Auth", "Method", "Path", "PayloadFormatVersion", "RouteSettings", "TimeoutInMillis",
}  # fmt: skip
_FUNCTION_SCHEDULE_KEYS = {
    "Description", "Enabled", "FlexibleTimeWindow", "Input", "Name", "RetryPolicy", "Schedule",
    "ScheduleExpression", "State",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _FunctionEvent:
    """One entry of a function's `Events`, resolved; `where` names it in errors."""

    function: str
    where: str
    stated: Properties


class _Reader:
    """One pass over one template."""

    def __init__(self, document: dict[str, Any], parameters: Mapping[str, str]) -> None:
        self._globals = document.get("Globals", {})
        declared = document.get("Parameters", {})
        _expect(parameters, declared, where="Parameters")
        self._parameters = {
            name: parameters.get(name, each.get("Default")) for name, each in declared.items()
        }
        self._declared = declared
        self._all = document.get("Resources", {})
        self._resolver = Resolver(
            reference=self._reference,
            attribute=self._attribute,
            conditions=document.get("Conditions", {}),
            mappings=document.get("Mappings", {}),
        )
        self._resources = {
            logical_id: resource
            for logical_id, resource in self._all.items()
            if "Condition" not in resource or self._resolver.holds(resource["Condition"])
        }

    def stack(self) -> Stack:
        self._refuse_unknown_types()
        functions = self._of_type("AWS::Serverless::Function")
        return Stack(
            tables=tuple(self._table(*each) for each in self._of_type("AWS::DynamoDB::Table")),
            queues=tuple(self._queue(*each) for each in self._of_type("AWS::SQS::Queue")),
            functions=tuple(self._function(*each) for each in functions),
            routes=tuple(self._route(event) for event in self._events("HttpApi")),
            sources=tuple(self._source(event) for event in self._events("SQS")),
            schedules=(
                *(self._schedule(*each) for each in self._of_type("AWS::Scheduler::Schedule")),
                *(self._function_schedule(event) for event in self._events("ScheduleV2")),
                *(self._function_schedule(event) for event in self._events("Schedule")),
            ),
            buses=self._names("AWS::Events::EventBus"),
            key_aliases=self._names("AWS::KMS::Key"),
            secrets=self._names("AWS::SecretsManager::Secret"),
        )

    def _refuse_unknown_types(self) -> None:
        known = {*_PHYSICAL, "AWS::Scheduler::Schedule"}
        for logical_id, resource in self._resources.items():
            kind = resource["Type"]
            if kind not in known and not kind.startswith(_NOT_NEEDED_HERE):
                raise TemplateError(f"{logical_id}: the local host does not know {kind}")
        for logical_id, properties in self._of_type("AWS::Serverless::Function"):
            for name, event in properties.get("Events", {}).items():
                if event["Type"] not in {"HttpApi", "SQS", "ScheduleV2", "Schedule"}:
                    raise TemplateError(f"{logical_id}.{name}: unknown event {event['Type']}")

    def _of_type(self, kind: str) -> Iterator[tuple[str, Properties]]:
        for logical_id, resource in self._resources.items():
            if resource["Type"] == kind:
                yield logical_id, resource.get("Properties", {})

    def _names(self, kind: str) -> tuple[str, ...]:
        return tuple(self._physical_name(logical_id) for logical_id, _ in self._of_type(kind))

    def _table(self, logical_id: str, properties: Properties) -> Table:
        needed = {key: value for key, value in properties.items() if key in _TABLE_ARGUMENTS}
        expiry = self._resolver.resolve(properties.get("TimeToLiveSpecification", {}))
        return Table(
            name=self._physical_name(logical_id),
            definition=self._resolver.resolve(needed),
            expiry_attribute=expiry["AttributeName"] if expiry.get("Enabled") else None,
        )

    def _queue(self, logical_id: str, properties: Properties) -> Queue:
        stated = self._resolver.resolve(properties)
        attributes = {
            key: _attribute_text(value)
            for key, value in stated.items()
            if key not in {"QueueName", "Tags"}
        }
        return Queue(
            name=self._physical_name(logical_id),
            url=self._reference(logical_id),
            arn=self._attribute(logical_id, "Arn"),
            attributes=attributes,
        )

    def _function(self, logical_id: str, properties: Properties) -> Function:
        common = self._globals.get("Function", {})
        stated = {**common, **properties}
        variables = {
            **common.get("Environment", {}).get("Variables", {}),
            **properties.get("Environment", {}).get("Variables", {}),
        }
        return Function(
            logical_id=logical_id,
            name=self._physical_name(logical_id),
            arn=self._attribute(logical_id, "Arn"),
            handler=self._resolver.resolve(stated["Handler"]),
            environment={
                key: _attribute_text(value)
                for key, value in self._resolver.resolve(variables).items()
            },
            timeout_seconds=float(self._resolver.resolve(stated.get("Timeout", 3))),
            memory_megabytes=int(self._resolver.resolve(stated.get("MemorySize", 128))),
        )

    def _events(self, kind: str) -> Iterator[_FunctionEvent]:
        for logical_id, properties in self._of_type("AWS::Serverless::Function"):
            for name, event in properties.get("Events", {}).items():
                if event["Type"] == kind:
                    yield _FunctionEvent(
                        function=logical_id,
                        where=f"{logical_id}.{name}",
                        stated=self._resolver.resolve(event.get("Properties", {})),
                    )

    def _route(self, event: _FunctionEvent) -> Route:
        stated = event.stated
        _expect(stated, _ROUTE_KEYS, where=event.where)
        return Route(
            method=stated["Method"].upper(),
            path=stated["Path"],
            function=event.function,
            authorizer=self._authorizer(stated),
        )

    def _authorizer(self, stated: Properties) -> str | None:
        """The function behind the authorizer of a route, by the rules of SAM's HttpApi."""
        api = self._resolver.resolve(self._api(stated).get("Auth", {}))
        name = stated.get("Auth", {}).get("Authorizer", api.get("DefaultAuthorizer", "NONE"))
        if name == "NONE":
            return None
        arn = api["Authorizers"][name]["FunctionArn"]
        functions = dict(self._of_type("AWS::Serverless::Function"))
        return next(each for each in functions if self._attribute(each, "Arn") == arn)

    def _api(self, stated: Properties) -> Properties:
        apis = dict(self._of_type("AWS::Serverless::HttpApi"))
        if "ApiId" not in stated:
            return dict(self._globals.get("HttpApi", {}))
        return next(
            properties
            for logical_id, properties in apis.items()
            if stated["ApiId"] == self._reference(logical_id)
        )

    def _source(self, event: _FunctionEvent) -> EventSource:
        stated = event.stated
        _expect(stated, _SOURCE_KEYS, where=event.where)
        scaling = stated.get("ScalingConfig", {})
        return EventSource(
            queue_arn=stated["Queue"],
            function=event.function,
            batch_size=int(stated.get("BatchSize", 10)),
            reports_failures="ReportBatchItemFailures" in stated.get("FunctionResponseTypes", ()),
            concurrency_max=scaling.get("MaximumConcurrency"),
        )

    def _schedule(self, logical_id: str, properties: Properties) -> Schedule:
        stated = self._resolver.resolve(properties)
        _expect(stated, _SCHEDULE_KEYS, where=logical_id)
        target = stated["Target"]
        _expect(target, _TARGET_KEYS, where=f"{logical_id}.Target")
        return Schedule(
            name=logical_id,
            period_seconds=_period_seconds(stated["ScheduleExpression"], where=logical_id),
            target_arn=target["Arn"],
            input_text=target.get("Input"),
            message_group=target.get("SqsParameters", {}).get("MessageGroupId"),
        )

    def _function_schedule(self, event: _FunctionEvent) -> Schedule:
        stated = event.stated
        _expect(stated, _FUNCTION_SCHEDULE_KEYS, where=event.where)
        expression = str(stated.get("ScheduleExpression") or stated["Schedule"])
        return Schedule(
            name=event.where,
            period_seconds=_period_seconds(expression, where=event.where),
            target_arn=self._attribute(event.function, "Arn"),
            input_text=stated.get("Input"),
            message_group=None,
        )

    def _reference(self, name: str) -> Node:
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in self._declared:
            return self._parameter(name)
        return self._physical(name)["Ref"]

    def _parameter(self, name: str) -> Node:
        value = self._parameters[name]
        if value is None:
            raise TemplateError(f"the parameter {name} has neither a default nor a value")
        declared = self._declared[name]
        _check_parameter(name, str(value), declared=declared)
        if declared["Type"] in {"CommaDelimitedList", "List<Number>"}:
            return str(value).split(",")
        return str(value)

    def _attribute(self, logical_id: str, attribute: str) -> Node:
        attributes = self._physical(logical_id)
        if attribute not in attributes:
            raise TemplateError(f"the local host does not know {logical_id}.{attribute}")
        return attributes[attribute]

    def _physical(self, logical_id: str) -> dict[str, str]:
        kind = self._all.get(logical_id, {}).get("Type")
        if kind is None:
            raise TemplateError(f"nothing is called {logical_id}")
        name = self._physical_name(logical_id)
        patterns = _PHYSICAL.get(kind, _PLAIN)
        return {key: pattern.format(name=name) for key, pattern in patterns.items()}

    def _physical_name(self, logical_id: str) -> str:
        resource = self._all[logical_id]
        properties = resource.get("Properties", {})
        for key in ("TableName", "QueueName", "FunctionName", "Name", "RoleName"):
            if key in properties and resource["Type"] in _PHYSICAL:
                return str(self._resolver.resolve(properties[key]))
        suffix = ".fifo" if properties.get("FifoQueue") in {True, "true"} else ""
        return f"{STACK_NAME}-{logical_id}{suffix}"


_PLAIN = {"Ref": "{name}", "Arn": f"arn:aws:local:{REGION}:{ACCOUNT_ID}:{{name}}"}
# Names are made so that they are known before anything is created: moto chooses ids at random,
# so a key is known by its alias and a secret by its ARN without the random end.
_PHYSICAL: dict[str, dict[str, str]] = {
    "AWS::DynamoDB::Table": {
        "Ref": "{name}",
        "Arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{{name}}",
    },
    "AWS::SQS::Queue": {
        "Ref": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT_ID}/{{name}}",
        "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{{name}}",
        "QueueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT_ID}/{{name}}",
        "QueueName": "{name}",
    },
    "AWS::Events::EventBus": {
        "Ref": "{name}",
        "Name": "{name}",
        "Arn": f"arn:aws:events:{REGION}:{ACCOUNT_ID}:event-bus/{{name}}",
    },
    "AWS::KMS::Key": {
        "Ref": "alias/{name}",
        "Arn": f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:alias/{{name}}",
        "KeyId": "alias/{name}",
    },
    "AWS::KMS::Alias": {"Ref": "{name}"},
    "AWS::SecretsManager::Secret": {
        "Ref": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:{{name}}",
        "Id": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:{{name}}",
    },
    "AWS::Serverless::Function": {
        "Ref": "{name}",
        "Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{{name}}",
    },
}
_PSEUDO: dict[str, object] = {
    "AWS::AccountId": ACCOUNT_ID,
    "AWS::NoValue": NO_VALUE,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": STACK_NAME,
    "AWS::URLSuffix": "amazonaws.com",
}


def _check_parameter(name: str, value: str, *, declared: Properties) -> None:
    allowed = [str(each) for each in declared.get("AllowedValues", (value,))]
    if value not in allowed:
        raise TemplateError(f"{name} must be one of {', '.join(allowed)}")
    if not re.fullmatch(declared.get("AllowedPattern", ".*"), value, re.DOTALL):
        raise TemplateError(f"{name} must fit {declared['AllowedPattern']}")


def _period_seconds(expression: str, *, where: str) -> float:
    rate = _RATE.fullmatch(expression)
    if rate is None:
        raise TemplateError(f"{where}: the local host's clock knows rates only, not {expression}")
    return float(int(rate[1]) * _UNIT_SECONDS[rate[2]])


def _attribute_text(value: Node) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict() | list():
            return json.dumps(value)
        case _:
            return str(value)


def _expect(stated: Collection[str], known: Collection[str], *, where: str) -> None:
    unknown = sorted(set(stated) - set(known))
    if unknown:
        raise TemplateError(f"{where}: the local host does not know {', '.join(unknown)}")
