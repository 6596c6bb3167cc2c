"""What only a Map with Mode DISTRIBUTED has: Label, ItemReader, ItemBatcher, ResultWriter; checked and compiled.

Source: SFN developer guide, "ItemReader (Map)", "ItemBatcher (Map)", "ResultWriter (Map)"; API recordings where stricter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from . import durations, schema
from .reader import Reader

MAX_LABEL = 40
MAX_ITEMS = 100_000_000
MAX_BATCH_ITEMS = 100_000_000
MAX_BATCH_BYTES = 262_144

READS = {"s3:getObject", "s3:listObjectsV2"}
WRITES = {"s3:putObject"}
INPUT_TYPES = ("CSV", "JSON", "JSONL", "PARQUET", "MANIFEST")
DELIMITERS = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}
"""CSVDelimiter -> what stands between two fields."""

_LABEL_FORBIDS = re.compile(r"[\s?*<>{}\[\]:;,\\|^~$#%&`\"\x00-\x1f\x7f-\x9f]")
_RESOURCE = re.compile(r"arn:aws[a-z-]*:states:[a-z0-9-]*:[0-9]*:(?P<action>[A-Za-z0-9]+:[A-Za-z0-9]+)")


def fields(reader: Reader, execution_type: str | None) -> Mapping[str, Any]:
    """Read the fields of a distributed Map; its expressions come out compiled.

    ``Label`` and ``ExecutionType`` as they are written; ``ItemReader``, ``ItemBatcher`` and ``ResultWriter`` as objects whose
    ``Arguments``, ``MaxItems``, ``BatchInput`` and so on are Exprs, or None where there is none. ``Resource`` is the service and
    the action: ``s3:getObject``.
    """
    return {
        "ExecutionType": execution_type,
        "Label": _label(reader),
        "ItemReader": _item_reader(reader),
        "ItemBatcher": _item_batcher(reader),
        "ResultWriter": _result_writer(reader),
    }


def _label(reader: Reader) -> str | None:
    label = reader.text("Label")
    if label is None:
        return None
    if not label:
        reader.error("Label cannot be empty", "Label")
    elif len(label) > MAX_LABEL:
        reader.error(f"Label cannot exceed {MAX_LABEL} characters", "Label")
    elif forbidden := _LABEL_FORBIDS.search(label):
        reader.error(f"Label contains invalid character: {forbidden[0]!r}", "Label")
    return label


def _resource(reader: Reader, actions: set[str]) -> str | None:
    text = reader.text("Resource")
    if text is None:
        return None
    found = _RESOURCE.fullmatch(text)
    action = found["action"] if found is not None else None
    if action not in actions:
        allowed = ", ".join(f"arn:aws:states:::{name}" for name in sorted(actions))
        reader.error(f"The resource provided {text} is not recognized; what can stand here: {allowed}", "Resource")
        return None
    return action


def _arguments(reader: Reader) -> Any:
    return reader.object_template("Arguments" if reader.jsonata else "Parameters")


def _item_reader(reader: Reader) -> Mapping[str, Any] | None:
    data = reader.object("ItemReader")
    if data is None:
        return None
    inner = reader.inner(data, "ItemReader")
    inner.check_fields(schema.ITEM_READER)
    action = _resource(inner, READS)
    config = inner.object("ReaderConfig") or {}
    configured = inner.inner(config, "ReaderConfig")
    configured.check_fields(schema.READER_CONFIG)
    _check_reader(inner, configured, action)
    return {
        "Resource": action,
        "Arguments": _arguments(inner),
        "MaxItems": configured.number_field("MaxItems", 0, MAX_ITEMS, durations.max_items_path),
        "ReaderConfig": {key: value for key, value in config.items() if not key.startswith("MaxItems")},
    }


def _check_reader(reader: Reader, config: Reader, action: str | None) -> None:
    kind = config.choice("InputType", *INPUT_TYPES)
    flattened = config.choice("Transformation", "NONE", "LOAD_AND_FLATTEN") == "LOAD_AND_FLATTEN"
    if flattened and action == "s3:getObject":
        config.error("Field is supported only when the objects of a bucket are listed", "Transformation")
    if "InputType" not in config.data:
        if action == "s3:getObject":
            reader.error("The field 'InputType' is required in ReaderConfig when an object is read")
        elif flattened:
            config.error("The field 'InputType' is required when Transformation is LOAD_AND_FLATTEN")
    manifest = config.choice("ManifestType", "S3_INVENTORY", "ATHENA_DATA")
    if manifest == "S3_INVENTORY" and kind not in (None, "MANIFEST"):
        config.error("An inventory is read with InputType MANIFEST", "InputType")
    if kind not in (None, "JSON") and "ItemsPointer" in config.data:
        config.error("Field is supported only when InputType is JSON", "ItemsPointer")
    pointer = config.text("ItemsPointer")
    if pointer is not None and pointer[:1] not in ("", "/"):
        config.error("Value is not a valid JSON pointer (RFC 6901): it starts with '/'", "ItemsPointer")
    _check_csv(config, kind)


def _check_csv(config: Reader, kind: str | None) -> None:
    if kind != "CSV":
        for name in ("CSVHeaderLocation", "CSVHeaders", "CSVDelimiter"):
            if name in config.data and kind is not None:
                config.error("Field is supported only when InputType is CSV", name)
        return
    location = config.choice("CSVHeaderLocation", "FIRST_ROW", "GIVEN")
    if "CSVHeaderLocation" not in config.data:
        config.error("The field 'CSVHeaderLocation' is required when InputType is CSV")
    config.choice("CSVDelimiter", *DELIMITERS)
    headers = config.array("CSVHeaders")
    if location == "GIVEN" and "CSVHeaders" not in config.data:
        config.error("The field 'CSVHeaders' is required when CSVHeaderLocation is GIVEN")
    if location == "FIRST_ROW" and headers is not None:
        config.error("Field is supported only when CSVHeaderLocation is GIVEN", "CSVHeaders")
    for index, header in enumerate(headers or ()):
        if not isinstance(header, str):
            config.error("Expected value of type String", "CSVHeaders", index)


def _item_batcher(reader: Reader) -> Mapping[str, Any] | None:
    data = reader.object("ItemBatcher")
    if data is None:
        return None
    inner = reader.inner(data, "ItemBatcher")
    inner.check_fields(schema.ITEM_BATCHER)
    names = ("MaxItemsPerBatch", "MaxInputBytesPerBatch")
    if not any(name in data or f"{name}Path" in data for name in names):
        inner.error(f"At least one of these fields is required: [{', '.join(names)}]")
    items, size = names
    return {  # a definition with expressions for the two numbers was refused by AWS, against the specification
        "BatchInput": inner.object_template("BatchInput"),
        items: inner.number_field(items, 1, MAX_BATCH_ITEMS, durations.batch_path, expression=False),
        size: inner.number_field(size, 1, MAX_BATCH_BYTES, durations.batch_path, expression=False),
    }


def _result_writer(reader: Reader) -> Mapping[str, Any] | None:
    data = reader.object("ResultWriter")
    if data is None:
        return None
    inner = reader.inner(data, "ResultWriter")
    inner.check_fields(schema.RESULT_WRITER)
    given = "Arguments" if reader.jsonata else "Parameters"
    if not data:
        inner.error(f"A ResultWriter has a Resource and {given}, a WriterConfig, or all of them")
    elif "Resource" in data and given not in data:
        inner.error(f"These fields are required: [{given}]")
    elif given in data and "Resource" not in data:
        inner.error("These fields are required: [Resource]")
    config = inner.object("WriterConfig")
    configured = inner.inner(config or {}, "WriterConfig")
    configured.check_fields(schema.WRITER_CONFIG)
    configured.choice("OutputType", "JSON", "JSONL")
    configured.choice("Transformation", "NONE", "COMPACT", "FLATTEN")
    return {
        "Resource": _resource(inner, WRITES),
        "Arguments": _arguments(inner),
        "WriterConfig": config,
    }
