"""The CloudFormation template as data: what its short forms (!Ref, !Sub) say is spelled out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
FILE = ROOT / "deploy" / "workflow-manager.yaml"


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's tags."""


def _short_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> Any:
    name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
    match node:
        case yaml.ScalarNode():
            return {name: loader.construct_scalar(node)}
        case yaml.SequenceNode():
            return {name: loader.construct_sequence(node, deep=True)}
        case _:
            raise AssertionError(node)


_Loader.add_multi_constructor("!", _short_form)


def template() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(FILE.read_text(), _Loader)
    return found


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """The properties of the resources of a kind, by their names."""
    return {
        name: resource["Properties"] for name, resource in template()["Resources"].items() if resource["Type"] == kind
    }


def allowed(*names: str) -> set[str]:
    """The actions that policies allow, by the names of the resources that hold them."""
    found: set[str] = set()
    for name in names:
        properties = template()["Resources"][name]["Properties"]
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
        for written in (each for document in documents for each in document["Statement"]):
            # one that hangs on a condition: whoever it is for has it
            statement = written["Fn::If"][1] if "Fn::If" in written else written
            assert statement["Effect"] == "Allow"
            actions = statement["Action"]
            found.update([actions] if isinstance(actions, str) else actions)
    return found
