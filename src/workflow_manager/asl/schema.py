"""Which fields an object of a definition may have, per type and query language, as data (ASL, "State Types")."""

from __future__ import annotations

from dataclasses import dataclass

STATE_TYPES = ("Task", "Wait", "Pass", "Succeed", "Fail", "Choice", "Parallel", "Map")
"""In the order in which AWS lists them."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields of one type of object: in both query languages, in JSONPath only, in JSONata only, and the required ones."""

    both: frozenset[str]
    jsonpath: frozenset[str] = frozenset()
    jsonata: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()

    def allowed(self, *, jsonata: bool) -> frozenset[str]:
        return self.both | (self.jsonata if jsonata else self.jsonpath)

    def other_language(self, *, jsonata: bool) -> frozenset[str]:
        return self.jsonpath if jsonata else self.jsonata


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMON = _names("Type Comment QueryLanguage")
_FLOW = _COMMON | _names("Next End Assign")
_IN_OUT = _names("InputPath OutputPath")
_RESULT = _IN_OUT | _names("ResultSelector ResultPath")
_OUTPUT = _names("Output")

STATES: dict[str, Fields] = {
    "Task": Fields(
        _FLOW | _names("Resource Retry Catch TimeoutSeconds HeartbeatSeconds Credentials"),
        _RESULT | _names("Parameters TimeoutSecondsPath HeartbeatSecondsPath"),
        _OUTPUT | _names("Arguments"),
        required=("Resource",),
    ),
    "Wait": Fields(
        _FLOW | _names("Seconds Timestamp"),
        _IN_OUT | _names("SecondsPath TimestampPath"),
        _OUTPUT,
    ),
    "Pass": Fields(
        _FLOW,
        _IN_OUT | _names("Result ResultPath Parameters"),
        _OUTPUT,
    ),
    "Succeed": Fields(_COMMON, _IN_OUT, _OUTPUT),
    "Fail": Fields(_COMMON | _names("Error Cause"), _names("ErrorPath CausePath")),
    "Choice": Fields(
        _COMMON | _names("Choices Default Assign"),
        _IN_OUT,
        _OUTPUT,
        required=("Choices",),
    ),
    "Parallel": Fields(
        _FLOW | _names("Branches Retry Catch"),
        _RESULT | _names("Parameters"),
        _OUTPUT | _names("Arguments"),
        required=("Branches",),
    ),
    "Map": Fields(
        _FLOW
        | _names(
            "ItemProcessor Iterator ItemSelector ItemReader ItemBatcher ResultWriter Label MaxConcurrency "
            "ToleratedFailureCount ToleratedFailurePercentage Retry Catch"
        ),
        _RESULT
        | _names("ItemsPath Parameters MaxConcurrencyPath ToleratedFailureCountPath ToleratedFailurePercentagePath"),
        _OUTPUT | _names("Items"),
    ),
}

MACHINE = Fields(_names("Comment StartAt States Version TimeoutSeconds QueryLanguage"), required=("States", "StartAt"))
BRANCH = Fields(_names("Comment StartAt States"), required=("States", "StartAt"))
PROCESSOR = Fields(_names("Comment StartAt States ProcessorConfig"), required=("States", "StartAt"))
PROCESSOR_CONFIG = Fields(_names("Mode ExecutionType"))
RETRIER = Fields(
    _names("Comment ErrorEquals IntervalSeconds MaxAttempts BackoffRate MaxDelaySeconds JitterStrategy"),
    required=("ErrorEquals",),
)
CATCHER = Fields(
    _names("Comment ErrorEquals Next Assign"), _names("ResultPath"), _OUTPUT, required=("ErrorEquals", "Next")
)
CHOICE_RULE = Fields(_names("Comment Next Assign"), frozenset(), _names("Condition Output"), required=("Next",))
"""Of a JSONPath rule these and the operator's; see choice.py."""
ITEM_READER = Fields(_names("Resource ReaderConfig"), _names("Parameters"), _names("Arguments"), required=("Resource",))
READER_CONFIG = Fields(
    _names("InputType Transformation CSVHeaderLocation CSVHeaders CSVDelimiter MaxItems ManifestType ItemsPointer"),
    _names("MaxItemsPath"),
)
ITEM_BATCHER = Fields(
    _names("BatchInput MaxItemsPerBatch MaxInputBytesPerBatch"),
    _names("MaxItemsPerBatchPath MaxInputBytesPerBatchPath"),
)
RESULT_WRITER = Fields(_names("Resource WriterConfig"), _names("Parameters"), _names("Arguments"))
WRITER_CONFIG = Fields(_names("OutputType Transformation"))
CREDENTIALS = Fields(_names("RoleArn"), _names("RoleArn.$"))
