"""Every setting, in one place: what it is called, what it means, what it may be, and where its value comes from.

A value comes from the first of these that has one: a flag of the command line, the environment (``WFM_<NAME>``), the file
``wfm.toml``, the default. The names are the fields of two structs: ``Settings`` for the server, ``ClientSettings`` for the
commands that talk to it. Flags, help texts and the documentation are made from them or tested against them.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

FILE = Path("wfm.toml")
"""Read from the current directory when it is there; WFM_CONFIG (or --config) names another file."""
PREFIX = "WFM_"
FILE_VARIABLE = "WFM_CONFIG"

Seconds = Annotated[float, Meta(gt=0, le=86_400, description="a number of seconds above 0")]


class SettingsError(Exception):
    """A value cannot be used; the message is one sentence that names where it came from and what is expected."""


class Settings(Struct, frozen=True, kw_only=True):
    """How the server runs."""

    host: Annotated[str, Meta(description="Address to listen on.", min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port to listen on; 0 takes a free one.", ge=0, le=65_535)] = 8080
    data: Annotated[Path, Meta(description="Folder of the data; made if it is not there.")] = Path("wfm-data")
    backend: Annotated[
        Literal["embedded", "aws"],
        Meta(description="What executes state machines: the engine in the server, or AWS Step Functions."),
    ] = "embedded"
    store: Annotated[
        Literal["sqlite", "memory", "dynamodb"],
        Meta(description="Where definitions and workflows are kept; memory forgets them when the server stops."),
    ] = "sqlite"
    dynamodb_prefix: Annotated[
        str,
        Meta(
            description="What the names of the tables in DynamoDB begin with; wfm init-store makes them.",
            pattern=r"^[A-Za-z0-9_.-]{1,200}$",
        ),
    ] = "wfm"
    dynamodb_ttl_days: Annotated[
        int,
        Meta(description="Days after its last change that a finished workflow stays in DynamoDB.", ge=1, le=36_500),
    ] = 30
    dynamodb_endpoint_url: Annotated[
        str,
        Meta(
            description="Address of DynamoDB; when empty, AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL or AWS's own.",
            pattern=r"^(https?://[^/].*)?$",
        ),
    ] = ""
    dynamodb_threads: Annotated[
        int, Meta(description="How many calls to DynamoDB run at a time, each on a connection.", ge=1, le=512)
    ] = 32
    region: Annotated[
        str,
        Meta(
            description="Region; when empty, us-east-1 on the embedded backend and what AWS's configuration says on aws.",
            pattern=r"^[a-z0-9-]*$",
        ),
    ] = ""
    account_id: Annotated[
        str,
        Meta(
            description="Account: twelve digits; when empty, zeros on the embedded backend and the role's on aws.",
            pattern=r"^([0-9]{12})?$",
        ),
    ] = ""
    role_arn: Annotated[
        str,
        Meta(description="Role that state machines run with; needed on aws, made from the account on embedded."),
    ] = ""
    aws_profile: Annotated[
        str, Meta(description="Profile of AWS's configuration files; when empty, AWS_PROFILE or the default one.")
    ] = ""
    aws_endpoint_url: Annotated[
        str,
        Meta(
            description="Address of Step Functions; when empty, AWS_ENDPOINT_URL_SFN, AWS_ENDPOINT_URL or AWS's own.",
            pattern=r"^(https?://[^/].*)?$",
        ),
    ] = ""
    aws_threads: Annotated[
        int, Meta(description="How many calls to Step Functions run at a time, each on a connection.", ge=1, le=512)
    ] = 32
    aws_queue: Annotated[
        int, Meta(description="How many more may wait for a thread; beyond that calls are refused.", ge=0, le=100_000)
    ] = 1000
    execution_logs: Annotated[
        Literal["off", "all"],
        Meta(description="On aws, all logs executions to CloudWatch Logs, to a log group per state machine."),
    ] = "off"
    history_seconds: Annotated[
        Seconds,
        Meta(description="How long a history is read for a workflow's jobs; what is read by then is answered."),
    ] = 3.0
    environment: Annotated[
        str, Meta(description="Name of this installation; state machines are tagged with it, if given.")
    ] = ""
    aws_integrations: Annotated[
        Literal["auto", "on", "off"],
        Meta(
            description="Whether Tasks may call AWS services, and Maps S3, with the credentials and endpoints that botocore "
            "finds; auto: only services that have an endpoint of their own (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_SQS, ...)."
        ),
    ] = "auto"
    lambda_functions: Annotated[
        dict[str, str],
        Meta(description="Lambda functions that are Python callables: name=module:callable, separated by commas."),
    ] = msgspec.field(default_factory=dict)
    lambda_endpoint: Annotated[
        str,
        Meta(
            description="Address of a server that speaks Lambda's Invoke API; it carries out all functions but the "
            "registered ones."
        ),
    ] = ""
    http_connections: Annotated[
        str, Meta(description="File of the connections of HTTP Tasks: JSON, name to what CreateConnection takes.")
    ] = ""
    mock_config: Annotated[
        str, Meta(description="Mock configuration, in the format of Step Functions Local: a file.")
    ] = ""
    max_invocations: Annotated[int, Meta(description="How many integrations are called at once.", ge=1, le=1000)] = 64
    aws_passthrough: Annotated[
        str,
        Meta(
            description="Address that requests signed for other AWS services are passed on to, so that one endpoint_url "
            "serves all."
        ),
    ] = ""
    map_files: Annotated[
        str,
        Meta(
            description="Folder that distributed Maps may read and write local files in, as the Bucket file://name; "
            "none when empty."
        ),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least severity that is logged.")
    ] = "info"
    log_format: Annotated[
        Literal["auto", "console", "json"],
        Meta(description="How log lines look; auto is console on a terminal and json elsewhere."),
    ] = "auto"
    cloudwatch_logs: Annotated[
        Literal["auto", "off", "on"],
        Meta(
            description="Whether the engine's execution logs go to the log groups that state machines name, too; "
            "auto: where Tasks could call CloudWatch Logs, as aws_integrations says."
        ),
    ] = "auto"
    max_payload_bytes: Annotated[
        int,
        Meta(description="Largest input or output of an execution or state; AWS's by default.", ge=1024, le=1 << 28),
    ] = 262_144
    max_history_events: Annotated[
        int, Meta(description="Most events of an execution's history; AWS's by default.", ge=100, le=16_000_000)
    ] = 25_000
    body_limit_bytes: Annotated[
        int, Meta(description="Largest request body that is read, in bytes.", ge=1024, le=1 << 30)
    ] = 4 << 20
    request_seconds: Annotated[
        Seconds, Meta(description="A REST request that takes longer is answered 503; event streams have no limit.")
    ] = 5.0
    head_seconds: Annotated[
        Seconds, Meta(description="How long a client may take to send a request's line and headers.")
    ] = 10.0
    body_seconds: Annotated[Seconds, Meta(description="How long a client may take to send a request's body.")] = 30.0
    write_seconds: Annotated[
        Seconds, Meta(description="A client that takes nothing of its answer for this long is disconnected.")
    ] = 30.0
    keep_alive_seconds: Annotated[Seconds, Meta(description="An idle connection is closed after this long.")] = 75.0
    shutdown_seconds: Annotated[
        Seconds, Meta(description="How long requests may take to end when the server is told to stop.")
    ] = 3.0
    status_queue_url: Annotated[
        str,
        Meta(
            description="SQS queue that Step Functions' status change events come from; empty: none is read.",
            pattern=r"^(https?://[^/].+)?$",
        ),
    ] = ""
    status_receivers: Annotated[
        int, Meta(description="How many receivers wait for status changes at once.", ge=1, le=64)
    ] = 2
    status_dead_letter_queue_url: Annotated[
        str,
        Meta(
            description="Where messages go that cannot be dealt with; empty: the queue's own redrive policy moves them.",
            pattern=r"^(https?://[^/].+)?$",
        ),
    ] = ""
    status_most_receives: Annotated[
        int, Meta(description="How often a message is received before it goes there.", ge=1, le=1000)
    ] = 10
    retention_days: Annotated[
        float,
        Meta(
            description="Days after its end that a workflow stays in SQLite or memory, and an execution in the embedded engine; "
            "0: for ever.",
            ge=0,
            le=36_500,
        ),
    ] = 0
    sweep_after_seconds: Annotated[
        Seconds,
        Meta(description="On aws, an unfinished workflow that nobody has looked at for so long is looked up."),
    ] = 300.0
    sweep_per_second: Annotated[
        int, Meta(description="How many workflows are looked up in this way per second, at most.", ge=1, le=1000)
    ] = 10
    otel_endpoint: Annotated[
        str,
        Meta(
            description="OpenTelemetry collector (OTLP over HTTP) that traces are sent to; empty: OTEL_* variables decide.",
            pattern=r"^(https?://[^/].+)?$",
        ),
    ] = ""


class ClientSettings(Struct, frozen=True, kw_only=True):
    """How the commands that talk to a server reach it, and how they print."""

    server: Annotated[str, Meta(description="Address of the server.", pattern=r"^https?://[^/]")] = (
        "http://127.0.0.1:8080"
    )
    namespace: Annotated[str, Meta(description="Namespace of submitted workflows and of workers.")] = ""
    output: Annotated[
        Literal["auto", "table", "json", "yaml", "csv"],
        Meta(description="What commands print; auto is tables on a terminal and JSON lines elsewhere."),
    ] = "auto"
    times: Annotated[
        Literal["relative", "absolute", "both"], Meta(description="How tables show times; absolute is local time.")
    ] = "relative"
    timeout_seconds: Annotated[Seconds, Meta(description="Seconds to wait for an answer of the server.")] = 30.0


S = TypeVar("S", Settings, ClientSettings)


class Option(Struct, frozen=True, kw_only=True):
    """One setting, as help texts and documents speak of it."""

    name: str
    type: Any
    default: Any
    description: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()

    @property
    def choices(self) -> tuple[str, ...]:
        """What it may be, where that is a list of words."""
        return get_args(_plain(self.type)) if get_origin(_plain(self.type)) is Literal else ()

    @property
    def expected(self) -> str:
        """What a value must be, to stand after "must be"."""
        return _expected(self.type)

    def convert(self, value: object, source: str) -> Any:
        """The value in its type. Raises SettingsError naming ``source`` (a flag, a variable, a file and key)."""
        if _plain(self.type) == dict[str, str] and isinstance(value, str):
            value = _pairs(value)
        try:
            converted = msgspec.convert(value, self.type, strict=not isinstance(value, str), dec_hook=_decode)
        except msgspec.ValidationError:
            raise SettingsError(f"{source} must be {self.expected}, not {_shown(value)}") from None
        if isinstance(converted, float) and not math.isfinite(converted):
            raise SettingsError(f"{source} must be {self.expected}, not {_shown(value)}")
        return converted


def options(kind: type[Struct]) -> dict[str, Option]:
    """The settings of a struct, by name, in its order."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        field.name: Option(
            name=field.name,
            type=hints[field.name],
            default=field.default if field.default_factory is msgspec.NODEFAULT else "",
            description=_description(hints[field.name]),
        )
        for field in msgspec.structs.fields(kind)
    }


def load(
    kind: type[S],
    flags: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> S:
    """The settings as flags (None is not given), environment and file say. Raises SettingsError.

    Without ``file``, WFM_CONFIG names it, else it is wfm.toml if that exists. An empty variable counts as not set.
    """
    environ = os.environ if environ is None else environ
    path, written = _written(file, environ)
    values: dict[str, Any] = {}
    for name, option in options(kind).items():
        if flags is not None and flags.get(name) is not None:
            values[name] = option.convert(flags[name], option.flag)
        elif environ.get(option.variable):
            values[name] = option.convert(environ[option.variable], f"the environment variable {option.variable}")
        elif name in written:
            values[name] = option.convert(written[name], f"{path}: {name}")
    return kind(**values)


def is_set(name: str, flag: object, *, environ: Mapping[str, str] | None = None, file: Path | None = None) -> bool:
    """Whether anyone has chosen a value for this setting, or its default stands."""
    environ = os.environ if environ is None else environ
    return flag is not None or bool(environ.get(PREFIX + name.upper())) or name in _written(file, environ)[1]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _written(file: Path | None, environ: Mapping[str, str]) -> tuple[Path, dict[str, Any]]:
    """What the file says, its keys checked. Only a file that someone named must be there."""
    named = file is not None or bool(environ.get(FILE_VARIABLE))
    path = file or Path(environ.get(FILE_VARIABLE) or FILE)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if named:
            raise SettingsError(f"{path}: there is no such settings file") from None
        return path, {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({reason(error)})") from None
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not TOML ({str(error).lower()})") from None
    known = [*options(Settings), *options(ClientSettings)]
    for key in written:
        if key not in known:
            raise SettingsError(f"{path}: unknown key {key!r}; {_instead(key, known)}")
    return path, written


def reason(error: Exception) -> str:
    """Why a file could not be used, in a few words."""
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)


def _instead(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key.lower().replace("-", "_"), known, 1)
    return f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}"


# ---------------------------------------------------------------------- types


def _metas(kind: Any) -> Iterator[Meta]:
    """What is annotated, the outermost last."""
    if get_origin(kind) is Annotated:
        yield from _metas(kind.__origin__)
        yield from (meta for meta in kind.__metadata__ if isinstance(meta, Meta))


def _plain(kind: Any) -> Any:
    return _plain(kind.__origin__) if get_origin(kind) is Annotated else kind


def _description(kind: Any) -> str:
    return [meta.description or "" for meta in _metas(kind)][-1]


def _expected(kind: Any) -> str:
    plain, metas = _plain(kind), list(_metas(kind))
    bounds = next((meta for meta in metas if meta.ge is not None), None)
    if get_origin(plain) is Literal:
        return "one of " + ", ".join(get_args(plain))
    if plain is int and bounds is not None:
        return f"a whole number from {bounds.ge} to {bounds.le}"
    if plain is float:
        return (
            f"a number from {bounds.ge} to {bounds.le}" if bounds else "a number of seconds above 0 and at most 86400"
        )
    pattern = next((meta.pattern for meta in metas if meta.pattern is not None), None)
    if plain is Path:
        return "a path as text"
    if plain == dict[str, str]:
        return 'a table of name = "value" (elsewhere than in the file: name=value,name=value)'
    return PATTERNS[pattern] if pattern is not None else "text"


PATTERNS = {
    r"^([0-9]{12})?$": "twelve digits as text",
    r"^[a-z0-9-]*$": "a region's name, as us-east-1",
    r"^(https?://[^/].*)?$": "an address, as http://127.0.0.1:8080",
    r"^[A-Za-z0-9_.-]{1,200}$": "1 to 200 letters, digits, '-', '_' or '.'",
    r"^https?://[^/]": "an address, as http://127.0.0.1:8080",
    r"^(https?://[^/].+)?$": "an address, as http://127.0.0.1:8080",
}
"""Pattern -> what it asks for, in words."""


def _pairs(text: str) -> object:
    """A table as flags and variables write it: ``name=value,name=value``; the text itself when it is none."""
    pairs = [item.partition("=") for item in text.split(",") if item.strip()]
    if not all(equals and name.strip() and value.strip() for name, equals, value in pairs):
        return text
    return {name.strip(): value.strip() for name, _, value in pairs}


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    raise ValueError(value)


def _shown(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "a table"
        case list():
            return "a list"
        case _:
            return repr(value)
