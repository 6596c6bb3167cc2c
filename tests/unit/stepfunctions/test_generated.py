"""The seam covers the API: every operation and error in botocore's model, checked in as the generator writes it."""

import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import botocore.session
import msgspec
import pytest

from workflow_manager.stepfunctions import errors, validation
from workflow_manager.stepfunctions.aws import AwsStepFunctions
from workflow_manager.stepfunctions.protocol import OPERATIONS, StepFunctions

MODEL = botocore.session.get_session().get_service_model("stepfunctions")
GENERATOR = Path(__file__).parents[3] / "tools" / "generate_stepfunctions.py"


def test_the_generated_modules_are_fresh() -> None:
    check = subprocess.run([sys.executable, GENERATOR, "--check"], capture_output=True, text=True, check=False)

    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")


def test_every_operation_is_there() -> None:
    assert list(OPERATIONS) == list(MODEL.operation_names)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_has_its_method_and_types(operation: str) -> None:
    method, request_type, result_type = OPERATIONS[operation]
    hints = get_type_hints(getattr(StepFunctions, method))

    assert hints == {"request": request_type, "return": result_type}
    assert callable(getattr(AwsStepFunctions, method))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_request_has_the_members_of_the_model(operation: str) -> None:
    shape = MODEL.operation_model(operation).input_shape
    fields = msgspec.structs.fields(OPERATIONS[operation][1])

    assert {field.encode_name for field in fields} == set(shape.members)
    assert {field.encode_name for field in fields if field.required} == set(shape.required_members)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_error_of_an_operation_is_there(operation: str) -> None:
    codes = {shape.name for shape in MODEL.operation_model(operation).error_shapes}

    assert codes <= set(errors.BY_CODE)


def test_an_error_is_found_by_its_code() -> None:
    assert all(
        kind.code == code and issubclass(kind, errors.StepFunctionsError) for code, kind in errors.BY_CODE.items()
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_types_do_not_check_is_checked_by_hand(operation: str) -> None:
    """Patterns, lengths of lists and of payloads: the wire looks at a request's own members, so they must not stand deeper."""

    def unchecked(shape: Any, path: str) -> set[str]:
        found = set()
        bounds = shape.metadata
        payload = operation in validation.PAYLOADS and bounds.get("max") == validation.MAX_PAYLOAD
        if payload or bounds.get("pattern") or (shape.type_name == "list" and (bounds.get("min") or bounds.get("max"))):
            found.add(path)
        for name, member in getattr(shape, "members", {}).items():
            found |= unchecked(member, f"{path}.{name}".lstrip("."))
        if shape.type_name == "list":
            found |= unchecked(shape.member, f"{path}[]")
        return found

    by_hand = {member for member, _ in validation.checks(validation.request_shape(operation))}

    assert by_hand == unchecked(MODEL.operation_model(operation).input_shape, "")
