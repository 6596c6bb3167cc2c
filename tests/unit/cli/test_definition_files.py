"""Definitions as people write them: what YAML and JSON mean, and what is said about files that are no definitions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.definition_files import (
    DefinitionFileError,
    canonical,
    dump_yaml,
    find_files,
    parse_documents,
    read_definitions,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abn<~ :#é1", max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def parsed(text: str) -> list[Any]:
    return [document for _, document in parse_documents(text, "f.yaml")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("yes", "yes", id="yes is a word"),
        pytest.param("on", "on", id="on is a word"),
        pytest.param("true", True, id="true"),
        pytest.param("2024-01-01", "2024-01-01", id="a date is text"),
        pytest.param("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", id="a time is text"),
        pytest.param("12:30:00", "12:30:00", id="no sexagesimal numbers"),
        pytest.param("012", "012", id="no octal numbers"),
        pytest.param("0x10", "0x10", id="no hexadecimal numbers"),
        pytest.param("1e3", 1000.0, id="an exponent without a point"),
        pytest.param("-1.5", -1.5, id="a float"),
        pytest.param(".inf", ".inf", id="no infinity"),
        pytest.param("~", None, id="null"),
        pytest.param("", None, id="nothing is null"),
        pytest.param("'1'", "1", id="quoted is text"),
    ],
)
def test_yaml_has_the_types_of_json(text: str, value: Any) -> None:
    [document] = parsed(f"value: {text}\n")

    assert document == {"value": value}
    assert type(document["value"]) is type(value)


def test_keys_are_text() -> None:
    assert parsed("1: a\ntrue: b\non: c\nnull: d\n") == [{"1": "a", "true": "b", "on": "c", "null": "d"}]


def test_aliases_and_merges_are_written_out() -> None:
    text = "base: &base {IntervalSeconds: 1}\nretry: {<<: *base, MaxAttempts: 2}\nagain: *base\n"

    [document] = parsed(text)

    assert document["retry"] == {"IntervalSeconds": 1, "MaxAttempts": 2}
    assert document["again"] == {"IntervalSeconds": 1}


def test_several_documents_have_places() -> None:
    found = list(parse_documents("---\na: 1\n---\n---\nb: 2\n", "f.yaml"))

    assert found == [("f.yaml, document 1", {"a": 1}), ("f.yaml, document 3", {"b": 2})]


BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{inner}'] * 9)}]\n" for inner, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: [", "f.yaml, line 2, column 1: did not find expected node content", id="syntax"),
        pytest.param("a: 1\na: 2", "f.yaml, line 2, column 1: the key 'a' stands twice", id="key twice"),
        pytest.param('{"a": 1, "a": 2}', "f.yaml: the key 'a' stands twice", id="key twice in JSON"),
        pytest.param("? [a]\n: 1", "f.yaml, line 1, column 3: a key must be text", id="list as key"),
        pytest.param("a: !!python/name:os.system", "could not determine a constructor", id="foreign tag"),
        pytest.param("a: !!binary aGk=", "f.yaml: /a: a value of the YAML type bytes is not JSON", id="binary"),
        pytest.param("a: !!int x", "f.yaml: ", id="a word with the wrong tag"),
        pytest.param("a: !!float .inf", "f.yaml: ", id="infinity by tag"),
        pytest.param('{"a": NaN}', "f.yaml: /a: JSON has no such number as nan", id="NaN"),
        pytest.param("&a [*a]", "f.yaml: /0: contains itself through an alias", id="recursive alias"),
        pytest.param("[" * 100_000, "f.yaml: is nested more than 200 levels deep", id="brackets without end"),
        pytest.param("- " * 100_000, "f.yaml: is nested more than 200 levels deep", id="dashes without end"),
        pytest.param('{"a":' * 100_000, "f.yaml: is nested more than 200 levels deep", id="braces without end"),
        pytest.param(BOMB, "f.yaml: holds more than 2000000 values", id="aliases of aliases"),
    ],
)
def test_a_fault_is_one_sentence_with_its_place(text: str, message: str) -> None:
    with pytest.raises(DefinitionFileError) as error:
        parsed(text)

    assert message in str(error.value)
    assert "\n" not in str(error.value)


@given(JSON)
def test_what_is_dumped_reads_back(value: Any) -> None:
    document = {"value": value}

    assert parsed(dump_yaml(document)) == [document]


@given(JSON)
def test_json_is_yaml(value: Any) -> None:
    document = {"value": value}

    assert parsed(json.dumps(document)) == [document]
    assert parsed("\n# a comment\n" + json.dumps(document, ensure_ascii=False)) == [document]


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    try:
        parsed(text)
    except DefinitionFileError as error:
        assert str(error).startswith("f.yaml")  # noqa: PT017 - either way is right


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, True, id="the order of keys means nothing"),
        pytest.param([1, 2], [2, 1], False, id="the order of items does"),
        pytest.param(1, 1.0, True, id="1 and 1.0 are one number"),
        pytest.param(1, True, False, id="1 is not true"),
        pytest.param(0, False, False, id="0 is not false"),
        pytest.param("1", 1, False, id="text is no number"),
        pytest.param({}, None, False, id="empty is not nothing"),
    ],
)
def test_what_means_the_same(one: Any, other: Any, same: bool) -> None:
    assert (canonical(one) == canonical(other)) is same


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("- a", "expected an object with name and stateMachine, found a list", id="a list"),
        pytest.param("stateMachine: {}", "/name: is missing", id="no name"),
        pytest.param("name: a", "/stateMachine: is missing", id="no state machine"),
        pytest.param("name: a\nstatemachine: {}", "did you mean 'stateMachine'?", id="a typo"),
        pytest.param("name: 3\nstateMachine: {}", "/name: must be text, not a number", id="number as name"),
        pytest.param("name: a\nstateMachine: x", "/stateMachine: must be an object, not text", id="text as machine"),
        pytest.param("StartAt: a\nStates: {}", "this is a state machine alone; put it under stateMachine:", id="bare"),
    ],
)
def test_a_file_that_is_no_definition(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(text)

    with pytest.raises(DefinitionFileError) as error:
        read_definitions(path)

    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_what_the_server_shows_can_be_applied_again(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text('{"id": "x", "createdAt": "2026-01-01T00:00:00Z", "version": 3, "name": "a", "stateMachine": {}}')

    [found] = read_definitions(path)

    assert (found.name, found.manager, found.state_machine, found.default_tags) == ("a", "step-functions", {}, {})


def test_folders_are_searched_at_any_depth(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.txt", "in/d.json", ".git/e.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")

    found = find_files([tmp_path, tmp_path / "b.yaml"])

    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.yml", "b.yaml", "in/d.json"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("no.yaml", "there is no such file or folder"), ("empty", "the folder has no *.yaml, *.yml or *.json file")],
)
def test_a_path_with_nothing_to_read(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(DefinitionFileError) as error:
        find_files([tmp_path / name])

    assert str(error.value) == f"{tmp_path / name}: {message}"


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"a: \xff")

    with pytest.raises(DefinitionFileError, match="is not UTF-8 text"):
        read_definitions(path)
