"""What Step Functions raises, as the errors that callers of the manager act on."""

import pytest

from workflow_manager.manager.errors import translate, translated
from workflow_manager.model import errors as ours
from workflow_manager.stepfunctions import errors as theirs


@pytest.mark.parametrize("code", sorted(theirs.BY_CODE))
def test_every_error_has_a_translation(code: str) -> None:
    error = theirs.BY_CODE[code]("why")

    with pytest.raises(ours.WfmError) as raised, translated():
        raise error

    assert "why" in raised.value.message
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(theirs.ServiceUnavailable, ours.StorageUnavailable, id="nothing was done"),
        pytest.param(theirs.ThrottlingException, ours.BackendUnavailable, id="too busy"),
        pytest.param(theirs.AccessDeniedException, ours.BackendUnavailable, id="the installation's fault"),
        pytest.param(theirs.InvalidDefinition, ours.InvalidWorkflowDefinition, id="the definition's fault"),
        pytest.param(theirs.InvalidExecutionInput, ours.InvalidRequest, id="the input's fault"),
        pytest.param(theirs.InvalidName, ours.InvalidRequest, id="the name's fault"),
        pytest.param(theirs.ValidationException, ours.InvalidRequest, id="the request's fault"),
    ],
)
def test_whose_fault_it_is(error: type[theirs.StepFunctionsError], kind: type[ours.WfmError]) -> None:
    assert type(translate(error("why"))) is kind


def test_a_refused_definition_lists_its_fault() -> None:
    refused = translate(theirs.InvalidDefinition("MISSING_TRANSITION_TARGET"))

    assert refused.details["diagnostics"] == [
        {
            "code": "InvalidDefinition",
            "message": "MISSING_TRANSITION_TARGET",
            "location": "/stateMachine",
            "severity": "ERROR",
        }
    ]
