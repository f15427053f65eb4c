"""CloudFormation's YAML and its intrinsic functions, as far as template.yaml uses them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Node = Any
NO_VALUE = object()

_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]+)\}")


class TemplateError(Exception):
    """The template says something that the local host does not understand."""


def load(path: Path) -> dict[str, Any]:
    """The template with short tags written out: `!Ref X` becomes `{"Ref": "X"}`."""
    # A SafeLoader with more tags, never an unsafe one.
    document = yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506
    if not isinstance(document, dict):
        raise TemplateError(f"{path.name} is not a CloudFormation template")
    return document


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's tags; a class of its own so that SafeLoader stays clean."""


def _tag(  # noqa: PLR0917  PyYAML calls it so
    loader: yaml.SafeLoader, suffix: str, node: yaml.Node
) -> dict[str, Node]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    value = _value(loader, node)
    if name == "Fn::GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name: value}


def _value(loader: yaml.SafeLoader, node: yaml.Node) -> Node:
    match node:
        case yaml.ScalarNode():
            return loader.construct_scalar(node)
        case yaml.SequenceNode():
            return loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            return loader.construct_mapping(node, deep=True)
        case _:
            raise TemplateError(f"unreadable node {node.tag}")


_Loader.add_multi_constructor("!", _tag)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """Replaces intrinsic functions by values.

    `reference` answers `Ref` (parameters, pseudo parameters, resources) and `attribute` answers
    `Fn::GetAtt`; both raise TemplateError for a name they do not know.
    """

    reference: Callable[[str], Node]
    attribute: Callable[[str, str], Node]
    conditions: Mapping[str, Node]
    mappings: Mapping[str, Node]

    def resolve(self, node: Node) -> Node:
        match node:
            case dict() if len(node) == 1 and _is_function(next(iter(node))):
                ((name, argument),) = node.items()
                return self._call(name, argument)
            case dict():
                return _present({key: self.resolve(value) for key, value in node.items()})
            case list():
                values = [self.resolve(value) for value in node]
                return [value for value in values if value is not NO_VALUE]
            case _:
                return node

    def holds(self, condition: Node) -> bool:
        """Whether a condition, named or written out, is true."""
        if isinstance(condition, str):
            if condition not in self.conditions:
                raise TemplateError(f"unknown condition {condition}")
            condition = self.conditions[condition]
        value = self.resolve(condition)
        if not isinstance(value, bool):
            raise TemplateError(f"a condition is neither true nor false: {condition}")
        return value

    def _call(self, name: str, argument: Node) -> Node:
        functions: dict[str, Callable[[Node], Node]] = {
            "Ref": self.reference,
            "Condition": self.holds,
            "Fn::GetAtt": lambda pair: self.attribute(*pair),
            "Fn::Sub": self._substitute,
            "Fn::If": self._choose,
            "Fn::Equals": lambda pair: self.resolve(pair[0]) == self.resolve(pair[1]),
            "Fn::Not": lambda one: not self.holds(one[0]),
            "Fn::And": lambda many: all(self.holds(each) for each in many),
            "Fn::Or": lambda many: any(self.holds(each) for each in many),
            "Fn::Join": lambda pair: pair[0].join(map(str, self.resolve(pair[1]))),
            "Fn::Split": lambda pair: self.resolve(pair[1]).split(pair[0]),
            "Fn::Select": lambda pair: self.resolve(pair[1])[int(self.resolve(pair[0]))],
            "Fn::FindInMap": self._look_up,
        }
        if name not in functions:
            raise TemplateError(f"unknown intrinsic function {name}")
        return functions[name](argument)

    def _substitute(self, argument: Node) -> str:
        text, given = argument if isinstance(argument, list) else (argument, {})

        def replace(found: re.Match[str]) -> str:
            literal, name = found[1], found[2].strip()
            if literal:
                return "${" + name + "}"
            if name in given:
                return str(self.resolve(given[name]))
            if "." in name:
                return str(self.attribute(*name.split(".", 1)))
            return str(self.reference(name))

        return _PLACEHOLDER.sub(replace, text)

    def _choose(self, argument: Node) -> Node:
        condition, when_true, when_false = argument
        return self.resolve(when_true if self.holds(condition) else when_false)

    def _look_up(self, argument: Node) -> Node:
        name, first, second = (self.resolve(part) for part in argument)
        try:
            return self.mappings[name][first][second]
        except KeyError:
            raise TemplateError(f"no mapping {name}.{first}.{second}") from None


def _is_function(key: Node) -> bool:
    return isinstance(key, str) and (key in {"Ref", "Condition"} or key.startswith("Fn::"))


def _present(mapping: dict[str, Node]) -> dict[str, Node]:
    return {key: value for key, value in mapping.items() if value is not NO_VALUE}
