"""Where settings come from, which source wins, and what is said about a value that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflow_manager.settings import (
    ClientSettings,
    Settings,
    SettingsError,
    is_loopback,
    is_set,
    load,
    options,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "configuration.md"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder without wfm.toml."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_is_needed() -> None:
    settings = load(Settings, environ={})

    assert (settings.host, settings.port, settings.data) == ("127.0.0.1", 8080, Path("wfm-data"))
    assert (settings.backend, settings.store) == ("embedded", "sqlite")


@pytest.mark.parametrize(
    ("flag", "variable", "written", "port"),
    [
        pytest.param("1", "2", "port = 3", 1, id="a flag goes first"),
        pytest.param(None, "2", "port = 3", 2, id="then the environment"),
        pytest.param(None, None, "port = 3", 3, id="then the file"),
        pytest.param(None, "", "port = 3", 3, id="an empty variable is not set"),
        pytest.param(None, None, "", 8080, id="then the default"),
    ],
)
def test_the_first_source_that_has_a_value_wins(
    elsewhere: Path, flag: str | None, variable: str | None, written: str, port: int
) -> None:
    (elsewhere / "wfm.toml").write_text(written)
    environ = {} if variable is None else {"WFM_PORT": variable}

    assert load(Settings, {"port": flag}, environ=environ).port == port


def test_another_file_can_be_named(elsewhere: Path) -> None:
    (elsewhere / "wfm.toml").write_text("port = 1")
    (elsewhere / "two.toml").write_text("port = 2")
    (elsewhere / "three.toml").write_text("port = 3")
    environ = {"WFM_CONFIG": str(elsewhere / "two.toml")}

    assert load(Settings, environ=environ).port == 2
    assert load(Settings, environ=environ, file=elsewhere / "three.toml").port == 3


def test_one_file_serves_server_and_commands(elsewhere: Path) -> None:
    (elsewhere / "wfm.toml").write_text('port = 9000\nserver = "http://127.0.0.1:9000"')

    assert load(Settings, environ={}).port == 9000
    assert load(ClientSettings, environ={}).server == "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        pytest.param("prot = 1", "wfm.toml: unknown key 'prot'; did you mean 'port'?", id="typo"),
        pytest.param("log-level = 'info'", "wfm.toml: unknown key 'log-level'; did you mean 'log_level'?", id="hyphen"),
        pytest.param(
            "port = 'x'", "wfm.toml: port must be a whole number from 0 to 65535, not 'x'", id="text for a number"
        ),
        pytest.param("port = true", "wfm.toml: port must be a whole number from 0 to 65535, not true", id="boolean"),
        pytest.param("port = 70000", "wfm.toml: port must be a whole number from 0 to 65535, not 70000", id="range"),
        pytest.param(
            "store = 'disk'", "wfm.toml: store must be one of sqlite, memory, dynamodb, not 'disk'", id="choice"
        ),
        pytest.param(
            "account_id = 123456789012",
            "wfm.toml: account_id must be twelve digits as text, not 123456789012",
            id="a number for text",
        ),
        pytest.param("[data]\nx = 1", "wfm.toml: data must be a path as text, not a table", id="table"),
        pytest.param(
            "body_seconds = inf",
            "wfm.toml: body_seconds must be a number of seconds above 0 and at most 86400, not inf",
            id="infinity",
        ),
        pytest.param(
            "retention_days = -1",
            "wfm.toml: retention_days must be a number from 0 to 36500, not -1",
            id="days before",
        ),
        pytest.param("port =", "wfm.toml: is not TOML (invalid value (at end of document))", id="not TOML"),
    ],
)
def test_a_fault_in_the_file_is_one_sentence(elsewhere: Path, written: str, message: str) -> None:
    (elsewhere / "wfm.toml").write_text(written)

    with pytest.raises(SettingsError) as error:
        load(Settings, environ={})

    assert str(error.value) == message


def test_an_unknown_key_far_from_all_others_lists_them(elsewhere: Path) -> None:
    (elsewhere / "wfm.toml").write_text("zzz = 1")

    with pytest.raises(SettingsError, match=r"unknown key 'zzz'; expected one of host, port, .*, timeout_seconds$"):
        load(Settings, environ={})


@pytest.mark.parametrize(
    ("flags", "environ", "message"),
    [
        pytest.param({"port": "x"}, {}, "--port must be a whole number from 0 to 65535, not 'x'", id="flag"),
        pytest.param(
            {},
            {"WFM_ACCOUNT_ID": "12"},
            "the environment variable WFM_ACCOUNT_ID must be twelve digits as text, not '12'",
            id="variable",
        ),
        pytest.param({}, {"WFM_CONFIG": "no.toml"}, "no.toml: there is no such settings file", id="no file"),
        pytest.param({}, {"WFM_CONFIG": "."}, ".: cannot be read (is a directory)", id="a folder"),
    ],
)
def test_a_fault_names_its_source(flags: dict[str, object], environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(Settings, flags, environ=environ)

    assert str(error.value) == message


def test_whether_a_setting_was_chosen(elsewhere: Path) -> None:
    assert not is_set("server", None, environ={})
    assert is_set("server", "http://x", environ={})
    assert is_set("server", None, environ={"WFM_SERVER": "http://x"})

    (elsewhere / "wfm.toml").write_text("server = 'http://x'")
    assert is_set("server", None, environ={})


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.2", False),
        ("example.org", False),
    ],
)
def test_what_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("kind", [Settings, ClientSettings])
def test_every_setting_is_documented(kind: type[Settings | ClientSettings]) -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()

    for option in options(kind).values():
        [row] = [line for line in lines if line.startswith(f"| `{option.name}` |")]
        assert f"`{option.variable}`" in row
        assert option.description in row
        assert (f"`{option.default}`" if str(option.default) else "empty") in row
        for choice in option.choices:
            assert f"`{choice}`" in row


def test_every_setting_of_the_server_is_a_flag_with_its_name_and_default_in_the_help() -> None:
    import inspect

    from workflow_manager.cli.serve import serve

    assert list(inspect.signature(serve).parameters) == [*options(Settings), "config"]
