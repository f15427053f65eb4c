"""Questions that the infra tests ask of template.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Properties = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a role's policy, with everything that may be a list made one."""

    role: str
    sid: str
    actions: tuple[str, ...]
    resources: tuple[Any, ...]

    def touched(self) -> Iterator[str]:
        """Logical ids; `<table>/index/<name>` for an index."""
        for resource in self.resources:
            text = resource.get("Fn::Sub", "") if isinstance(resource, dict) else ""
            yield referred(resource) or text.removeprefix("${").replace(".Arn}", "")

    def logical_resources(self) -> set[str]:
        """An index belongs to its table."""
        return {touched.partition("/")[0] for touched in self.touched()}


class Template:
    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.resources: dict[str, Any] = document["Resources"]

    def of_type(self, kind: str) -> dict[str, Properties]:
        return {
            name: resource["Properties"]
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def functions(self) -> dict[str, Properties]:
        return self.of_type("AWS::Serverless::Function")

    def routes(self) -> Iterator[tuple[str, Properties]]:
        """Each route as `METHOD /path` with the properties of its event."""
        for function in self.functions().values():
            for event in function.get("Events", {}).values():
                if event["Type"] == "HttpApi":
                    stated = event["Properties"]
                    yield f"{stated['Method']} {stated['Path']}", stated

    def statements(self) -> Iterator[Statement]:
        for role, stated in self.of_type("AWS::IAM::Role").items():
            for policy in stated["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield Statement(
                        role=role,
                        sid=statement["Sid"],
                        actions=tuple(_listed(statement["Action"])),
                        resources=tuple(_listed(statement["Resource"])),
                    )

    def statements_of(self, function: str) -> Iterator[Statement]:
        role = referred(self.functions()[function]["Role"])
        return (each for each in self.statements() if each.role == role)

    def environment(self, function: str) -> dict[str, Any]:
        common = self.document["Globals"]["Function"].get("Environment", {})
        own = self.functions()[function].get("Environment", {})
        return {**common.get("Variables", {}), **own.get("Variables", {})}


def referred(node: Any) -> str | None:
    """The logical id that a `Ref` or `Fn::GetAtt` points to."""
    match node:
        case {"Ref": str(name)}:
            return name
        case {"Fn::GetAtt": [str(name), _]}:
            return name
        case _:
            return None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
