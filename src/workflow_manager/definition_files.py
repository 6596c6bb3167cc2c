"""Workflow definitions as people write them: YAML or JSON, several in one YAML file, folders of files.

What is read is JSON in the end, so YAML is taken the way JSON is meant: ``yes`` is a word and not true, a date is text, a key
is text, and a key that stands twice is an error instead of a silent loss.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

SUFFIXES = (".yaml", ".yml", ".json")
"""What is taken for a definition when a folder is searched."""
FIELDS = ("name", "manager", "stateMachine", "defaultTags")
"""What a definition file says."""
ANSWERED = ("id", "version", "createdAt")
"""What the server adds: allowed, and without effect, so that what it shows can be written to a file and applied."""
MAX_DEPTH = 200
TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep; give it fewer"
MAX_VALUES = 2_000_000
"""Aliases can make a short text mean a huge value; this many parts are enough for any state machine."""


class DefinitionFileError(Exception):
    """A file is no definition; the message is one sentence that names the file, the place and what to do."""


class DefinitionDocument(Struct, frozen=True, kw_only=True):
    """One definition in a file. ``place`` says where: the file, and the document's number if it holds several."""

    place: str
    name: str
    manager: str = "step-functions"
    state_machine: dict[str, Any]
    default_tags: dict[str, Any]


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The files among ``paths``, and those in its folders (at any depth, hidden ones left out) in the order of their names.

    Raises DefinitionFileError for a path that is not there and for a folder without any definition.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                file
                for file in path.rglob("*")
                if file.suffix in SUFFIXES
                and file.is_file()
                and not any(part.startswith(".") for part in file.relative_to(path).parts)
            )
            if not inside:
                raise DefinitionFileError(f"{path}: the folder has no *.yaml, *.yml or *.json file")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise DefinitionFileError(f"{path}: there is no such file or folder")
    return list(dict.fromkeys(found))


def read_definitions(path: Path) -> list[DefinitionDocument]:
    """Every definition in a file. Raises DefinitionFileError."""
    return [definition(place, document) for place, document in read_documents(path)]


def read_documents(path: Path) -> list[tuple[str, Any]]:
    """Every document in a file and its place, whatever it holds; empty ones are skipped. Raises DefinitionFileError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DefinitionFileError(f"{path}: cannot be read ({(error.strerror or str(error)).lower()})") from None
    except UnicodeDecodeError as error:
        raise DefinitionFileError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    return list(parse_documents(text, str(path), is_json=path.suffix == ".json"))


def parse_documents(text: str, where: str, *, is_json: bool = False) -> Iterator[tuple[str, Any]]:
    """Every document in a text, and its place. Raises DefinitionFileError."""
    try:
        documents = [_json(text)] if is_json else list(_yaml(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise DefinitionFileError(f"{where}{line}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise DefinitionFileError(f"{where}: {' '.join(str(error).split())}") from None
    except json.JSONDecodeError as error:
        raise DefinitionFileError(
            f"{where}, line {error.lineno}, column {error.colno}: is not JSON ({error.msg.lower()})"
        ) from None
    except _Fault as fault:
        raise DefinitionFileError(f"{where}: {fault}") from None
    except ValueError as error:  # of a word tagged as something that it is not
        raise DefinitionFileError(f"{where}: {error}") from None
    except RecursionError:
        raise DefinitionFileError(f"{where}: {TOO_DEEP}") from None
    several = sum(document is not None for document in documents) > 1
    for number, document in enumerate(documents, 1):
        if document is None:
            continue
        place = f"{where}, document {number}" if several else where
        problem = _not_json(document, "", (), [MAX_VALUES])
        if problem:
            raise DefinitionFileError(f"{place}: {problem}")
        yield place, document


def definition(place: str, document: Any) -> DefinitionDocument:
    """A document as a definition. Raises DefinitionFileError."""
    if not isinstance(document, dict):
        raise DefinitionFileError(f"{place}: expected an object with name and stateMachine, found {_kind(document)}")
    if "stateMachine" not in document and "States" in document:
        raise DefinitionFileError(
            f"{place}: this is a state machine alone; put it under stateMachine: and say its name: beside it"
        )
    for key in document:
        if key not in FIELDS and key not in ANSWERED:
            close = difflib.get_close_matches(key, FIELDS, 1)
            instead = f"did you mean {close[0]!r}?" if close else f"a definition has {', '.join(FIELDS)}"
            raise DefinitionFileError(f"{place}: /{key}: unknown field; {instead}")
    for key in ("name", "stateMachine"):
        if key not in document:
            raise DefinitionFileError(f"{place}: /{key}: is missing; a definition needs name and stateMachine")
    checked = {
        "name": document["name"],
        "manager": document.get("manager", "step-functions"),
        "stateMachine": document["stateMachine"],
        "defaultTags": document.get("defaultTags") or {},
    }
    for key, value in checked.items():
        expected = dict if key in ("stateMachine", "defaultTags") else str
        if not isinstance(value, expected):
            kind = "an object" if expected is dict else "text"
            raise DefinitionFileError(f"{place}: /{key}: must be {kind}, not {_kind(value)}")
    return DefinitionDocument(
        place=place,
        name=checked["name"],
        manager=checked["manager"],
        state_machine=checked["stateMachine"],
        default_tags=checked["defaultTags"],
    )


def canonical(value: Any) -> str:
    """Text that is equal for JSON values that mean the same, whatever the order of their keys; 1 and 1.0 mean the same."""
    return json.dumps(_numbers(value), sort_keys=True, ensure_ascii=False)


def dump_yaml(value: Any) -> str:
    """A JSON value as YAML that reads back as the same value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


# ---------------------------------------------------------------------- YAML and JSON


class _Fault(Exception):
    """What is wrong with a text, without its place."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml, where PyYAML has it
    """YAML with JSON's types (the JSON schema of YAML 1.2), where a key may stand once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be text, not a list or an object", key_node.start_mark
                )
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value!r} stands twice", key_node.start_mark
                )
            seen.add(key_node.value)
            key_node.tag = "tag:yaml.org,2002:str"  # `1:` and `true:` name states and fields, as they would in JSON
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


class _Dumper(yaml.SafeDumper):
    """The counterpart of _Loader; texts of several lines stay readable, and nothing is written as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


TAGS = {
    "tag:yaml.org,2002:null": (r"^(?:null|Null|NULL|~|)$", ["n", "N", "~", ""]),
    "tag:yaml.org,2002:bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    "tag:yaml.org,2002:int": (r"^-?(?:0|[1-9][0-9]*)$", list("-0123456789")),
    "tag:yaml.org,2002:float": (
        r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)$",
        list("-0123456789"),
    ),
    "tag:yaml.org,2002:merge": (r"^<<$", ["<"]),
}
"""Tag -> which plain words have it, and with what they begin. All else is text."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


def _construct_float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(loader.construct_scalar(node))


def _set_up() -> None:
    for kind in (_Loader, _Dumper):
        kind.yaml_implicit_resolvers = {}
        for tag, (pattern, first) in TAGS.items():
            kind.add_implicit_resolver(tag, re.compile(pattern), first)
    _Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
    _Dumper.add_representer(str, _represent_text)


_set_up()


def _yaml(text: str) -> Iterator[Any]:
    if text.lstrip().startswith("{"):
        try:
            yield _json(text)  # JSON is YAML, and much faster read as such
        except json.JSONDecodeError:
            pass
        else:
            return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):  # libyaml's composer would overflow the stack
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _Fault(TOO_DEEP)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    yield from yaml.load_all(text, Loader=_Loader)


def _json(text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise _Fault(f"the key {twice!r} stands twice")
        return made

    return json.loads(text, object_pairs_hook=once)


def _not_json(value: Any, pointer: str, above: tuple[int, ...], left: list[int]) -> str | None:
    """What keeps a value from being JSON, and where; None when nothing does. ``left`` counts down the values it may have."""
    left[0] -= 1
    if left[0] < 0:
        return f"holds more than {MAX_VALUES} values; write fewer of them, or fewer aliases"
    match value:
        case dict() | list():
            if id(value) in above:
                return f"{pointer}: contains itself through an alias"
            if len(above) >= MAX_DEPTH:
                return TOO_DEEP
            items = value.items() if isinstance(value, dict) else enumerate(value)
            inside = (*above, id(value))
            for key, item in items:
                escaped = str(key).replace("~", "~0").replace("/", "~1")
                fault = _not_json(item, f"{pointer}/{escaped}", inside, left)
                if fault:
                    return fault
            return None
        case float() if not math.isfinite(value):
            return f"{pointer}: JSON has no such number as {value}"
        case None | bool() | int() | float() | str():
            return None
        case _:
            return f"{pointer}: a value of the YAML type {type(value).__name__} is not JSON; put it in quotes"


def _numbers(value: Any) -> Any:
    match value:
        case dict():
            return {key: _numbers(item) for key, item in value.items()}
        case list():
            return [_numbers(item) for item in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _kind(value: Any) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return "text"
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case _:
            return "a number"
