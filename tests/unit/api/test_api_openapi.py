"""The OpenAPI document: operation ids of the contract, and everything described, with examples that hold."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from workflow_manager.api.app import OPERATIONS, document

DOCUMENT = document()
PARTS = [(path, method, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()]
NAMES = [operation["operationId"] for _, _, operation in PARTS]


def every_operation(test: Any) -> Any:
    return pytest.mark.parametrize("operation", [operation for _, _, operation in PARTS], ids=NAMES)(test)


@pytest.mark.parametrize(
    ("name", "method", "path", "success", "errors"),
    [
        ("healthCheck", "get", "/_health", 200, {400, 500}),
        ("getWorkflowDefinitions", "get", "/workflow-definitions", 200, {400, 500}),
        ("newWorkflowDefinition", "post", "/workflow-definitions", 201, {400, 500}),
        ("getWorkflowDefinitionVersionsByName", "get", "/workflow-definitions/{name}", 200, {400, 404, 500}),
        ("updateWorkflowDefinition", "put", "/workflow-definitions/{name}", 201, {400, 404, 500}),
        (
            "getWorkflowDefinitionByNameAndVersion",
            "get",
            "/workflow-definitions/{name}/{version}",
            200,
            {400, 404, 500},
        ),
        ("startWorkflow", "post", "/workflows", 200, {400, 404, 500}),
        ("getWorkflows", "get", "/workflows", 200, {400, 404, 500}),
        ("getWorkflowByID", "get", "/workflows/{workflowID}", 200, {400, 404, 500}),
        ("CancelWorkflow", "delete", "/workflows/{workflowID}", 200, {400, 404, 500}),
        ("resumeWorkflowByID", "post", "/workflows/{workflowID}", 200, {400, 404, 500}),
        ("resolveWorkflowByID", "post", "/workflows/{workflowID}/resolved", 201, {400, 404, 409, 500}),
        ("getWorkflowEvents", "get", "/workflows/{workflowID}/events", 200, {400, 404, 500}),
        ("postStateResource", "post", "/state-resources", 201, {400, 500}),
        ("getStateResource", "get", "/state-resources/{namespace}/{name}", 200, {400, 404, 500}),
        ("putStateResource", "put", "/state-resources/{namespace}/{name}", 201, {400, 500}),
        ("deleteStateResource", "delete", "/state-resources/{namespace}/{name}", 200, {400, 404, 500}),
    ],
)
def test_operations_and_statuses(name: str, method: str, path: str, success: int, errors: set[int]) -> None:
    operation = DOCUMENT["paths"][path][method]
    statuses = {int(status) for status in operation["responses"]}

    assert operation["operationId"] == name
    assert {status for status in statuses if status < 300} == {success}
    assert statuses - {success} - {408, 503} == errors


def test_nothing_is_there_but_what_the_table_says() -> None:
    assert len(PARTS) == len(OPERATIONS) == 17
    assert DOCUMENT["openapi"] == "3.1.0"


@every_operation
def test_everything_is_described(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    for parameter in operation.get("parameters", []):
        assert parameter["description"]
        assert "example" in parameter
    for response in operation["responses"].values():
        assert response["description"]
        assert "X-Request-Id" in response["headers"]
        for content in response.get("content", {}).values():
            assert "example" in content


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_field_is_described_or_exemplified(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]

    assert schema["description"]
    for field, described in schema["properties"].items():
        assert speaks(described), field


def speaks(schema: dict[str, Any]) -> bool:
    return bool(
        schema.get("description")
        or schema.get("examples")
        or schema.get("$ref")
        or any(speaks(each) for each in schema.get("anyOf", []))
    )


@every_operation
def test_examples_hold(operation: dict[str, Any]) -> None:
    contents = [operation.get("requestBody", {}), *operation["responses"].values()]
    for content in [each for part in contents for each in part.get("content", {}).values()]:
        check(content["schema"], content["example"])
    for parameter in operation.get("parameters", []):
        check(parameter["schema"], parameter["example"])


def check(schema: dict[str, Any], value: Any) -> None:
    jsonschema_rs.validate({**schema, "components": DOCUMENT["components"]}, value)
