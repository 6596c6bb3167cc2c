"""Hostile definitions, expressions, inputs and requests: an answer or a fault in words, within a second and bounds of memory.

Each target makes WFM_FUZZ_EXAMPLES examples (``make fuzz``: many, and others every time; without: few, and the same ones).
"""

from __future__ import annotations

import copy
import gc
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_manager import asl
from workflow_manager.asl import jsonata, paths
from workflow_manager.asl.intrinsic_parser import IntrinsicError, parse_call
from workflow_manager.asl.intrinsics import FUNCTIONS, compile_call
from workflow_manager.asl.program import Env, Failure
from workflow_manager.clock import VirtualClock
from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.engine.core.data import text_of
from workflow_manager.engine.core.draft import Limits
from workflow_manager.garbage import look_seldom
from workflow_manager.stepfunctions.wire import create_wire

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "engine"))
from stepping import Stepped  # steps an execution in memory

T = TypeVar("T")

EXAMPLES = int(os.environ.get("WFM_FUZZ_EXAMPLES", "0"))
SECOND = 1.0 if sys.gettrace() is None else 10.0
"""Of this thread's processor; measuring coverage takes several times as long."""
MEGABYTES = 300 + EXAMPLES // 64
"""What the targets may add to the process's greatest size; Hypothesis remembers some 13 KB of each example."""
DEFINITIONS = Path(__file__).parents[1] / "conformance" / "data" / "definitions"


def hostile(examples: int) -> Callable[[Any], Any]:
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    )


def bounded(work: Callable[[], T], what: str = "it") -> T:
    """Do something that takes less than a second; it may be done again, when the machine was busy the first time."""
    took = []
    for _ in range(3):
        start = time.thread_time()
        result = work()
        took.append(time.thread_time() - start)
        if took[-1] < SECOND:
            return result
    raise AssertionError(f"{what} takes {took} seconds")


@pytest.fixture(scope="module", autouse=True)
def memory() -> Iterator[None]:
    before, thresholds = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, gc.get_threshold()
    look_seldom()  # as a server does: what Hypothesis remembers is not to be looked through time and again
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert grown < MEGABYTES


def environment(data: Any) -> Env:
    env = Env(lambda: {"State": {"Name": "S"}}, {"v": data}, uuid=lambda: "u", random=lambda: 0.25, now=lambda: 1e9)
    env.input = env.result = data
    return env


# Data: small, but also wide, deep, long, and at the edges of numbers.

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["", "a" * 20_000, "2024-02-29T12:00:00Z", "\U0001f600", "{}", "[[1]]", 1e308, -0.0, 2**63])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": [value]}
    return value


SIZE = 10_000 if EXAMPLES else 300
LARGE = {"deep": nested(200), "long": list(range(SIZE)), "wide": {f"k{n}": {"a": n} for n in range(SIZE)}}
DATA = JSON | st.sampled_from(sorted(LARGE)).map(LARGE.__getitem__)


# Paths.

PIECES = st.sampled_from(
    [
        ".a", ".b", "['a']", "[0]", "[-1]", "[*]", "[1:3]", "[0,1]", "['a','b']", "..a", "..*", "..[?(@..a)]",
        "[?(@.a == 1)]", "[?(@.a)]", "[?(!(@.a > 'x') && @.b || @ == null)]", "[?(@ =~ /(a+)+$/)]", "[?(@ in $..a)]",
        "[?($..a == $..b)]", "[?(@.a == @..b)]", "[::2]", "[::0]", "[?(", "'", "\\", "[99999999999]", ".", "$", "é", "()",
    ]
)  # fmt: skip


@hostile(150)
@given(pieces=st.lists(PIECES, max_size=6), root=st.sampled_from(["$", "$$", "$v", "$w"]), data=DATA)
def test_paths(pieces: list[str], root: str, data: Any) -> None:
    try:
        path = bounded(lambda: paths.parse(root + "".join(pieces)))
        bounded(lambda: paths.getter(path, paths.invalid_path(path))(data, environment(data)))
    except paths.PathError as error:
        assert str(error)  # noqa: PT017 - one of three ways to end
    except Failure as failure:
        assert failure.error == "States.Runtime"  # noqa: PT017


# Intrinsic functions.

ARGUMENTS = st.recursive(
    st.sampled_from(
        [
            "$",
            "$.a",
            "$..a",
            "$v",
            "$$.State",
            "'{}'",
            "'\\{\\'",
            "''",
            "1",
            "-5",
            "1.5",
            "1e99",
            "null",
            "true",
            "'MD5'",
        ]
    ),
    lambda inner: st.builds(
        lambda name, given: f"States.{name}({', '.join(given)})",
        st.sampled_from(sorted(FUNCTIONS)),
        st.lists(inner, max_size=4),
    ),
)


@hostile(150)
@given(text=ARGUMENTS, data=DATA)
def test_intrinsic_functions(text: str, data: Any) -> None:
    try:
        function = bounded(lambda: compile_call(parse_call(text)))
        bounded(lambda: text_of(function(data, environment(data))))
    except IntrinsicError as error:
        assert str(error)  # noqa: PT017
    except Failure as failure:
        assert failure.error in ("States.IntrinsicFailure", "States.Runtime")  # noqa: PT017


# JSONata.

ATOMS = st.sampled_from(
    [
        "1", "-2.5", "1e300", "0", "'a'", '"{}"', "'\\ud83d'", "null", "true", "$", "$$", "$v", "a", "*", "**", "%", "$x",
        "$states.input",
        "$states.context", "/(a+)+$/", "/a|b/i", "function($x){$x}", "function($x, $y){$x + $y}", "[1..10]", "[]", "{}",
        "λ($x){$f($x)}", f"[0..{SIZE}]", "`b c`", "?",
    ]
)  # fmt: skip
JSONATA = st.recursive(
    ATOMS,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "%", "&", "=", "!=", "<", "in", "and", "or", "~>", "?:", "??", "..", "."]), inner)  # noqa: E501
        | st.builds("{}[{}]".format, inner, inner)
        | st.builds("({}).{}".format, inner, inner)
        | st.builds("[{}, {}]".format, inner, inner)
        | st.builds("{{{}: {}}}".format, inner, inner)
        | st.builds("{}{{{}: {}}}".format, inner, inner, inner)
        | st.builds("{}^(>{})".format, inner, inner)
        | st.builds("{}@$x.{}".format, inner, inner)
        | st.builds("{}#$x[{}]".format, inner, inner)
        | st.builds("({} ? {} : {})".format, inner, inner, inner)
        | st.builds("($x := {}; {})".format, inner, inner)
        | st.builds("($f := function($x){{{}}}; $f({}))".format, inner, inner)
        | st.builds("{} ~> |{}|{}|".format, inner, inner, inner)
        | st.builds(
            lambda name, given: f"${name}({', '.join(given)})",
            st.sampled_from(sorted(jsonata.FUNCTIONS.bindings)),
            st.lists(inner, max_size=3),
        )
    ),
    max_leaves=10,
)  # fmt: skip


@hostile(250)
@given(text=JSONATA | st.text("$.[]{}()'\"ab01*%/^@#?:=~>&|,; \\λ", max_size=30), data=DATA)
def test_jsonata(text: str, data: Any) -> None:
    before = text_of(data)
    bounded(lambda: evaluate(text, data), f"{text} with {type(data).__name__} of {len(text_of(data))}")
    assert text_of(data) == before


def evaluate(text: str, data: Any) -> None:
    """Compile and evaluate an expression; it gives JSON, or fails, or was refused."""
    refused: list[str] = []
    expression = jsonata.TemplateCompiler(refused.append, lambda _names: None).compile(f"{{% {text} %}}", "Output")
    if expression is None:
        assert refused
        return
    try:
        text_of(expression(None, environment(data)))
    except Failure as failure:
        assert failure.error == jsonata.ERROR  # noqa: PT017


HUNGRY = [
    "($f := function($n){$f($n+1)}; $f(1))",
    "($f := function($n){$f($n+1)+1}; $f(1))",
    "$reduce([1..100000], $append)",
    "($f := function($x,$n){$n=0?$x:$f([$x,$x],$n-1)}; $f(1,60))",
    "($f := function($x,$n){$n=0?$x:$f([$x],$n-1)}; $f(1,100000))",
    "($f := function($x,$n){$n=0?$x:$f({'a':$x,'b':$x},$n-1)}; $f(1,60) = $f(1,60))",
    "$string(($f := function($x,$n){$n=0?$x:$f([$x,$x],$n-1)}; $f(1,60)))",
    "$map([1..1000], function($i){$map([1..1000], function($j){$i*$j})})",
    "[1..1000000].[1..1000000]",
    "[[1..1000000],[1..1000000],[1..1000000],[1..1000000],[1..1000000],[1..1000000],[1..1000000],[1..1000000]]",
    "$join($map([1..100000], $string), $pad('', 10000))",
    "$replace($pad('', 100000, 'ab'), 'a', $pad('', 100000))",
    "$replace($pad('', 100000, 'ab'), /a/, $pad('', 100000))",
    "$match($pad('', 200000, 'a'), /a.*b|a/)",
    "$split($pad('', 500000, 'a'), /a/)",
    "$pad('a', 200000, 'a') ~> /(a+)+$/",
    "$contains($pad('a', 1000000, 'a') & 'b', /^(a|aa)+$/)",
    "$distinct([1..200000].{'a': $})",
    "$sort([1..100000], function($a, $b){$a < $b})",
    "$sort($map([1..100000], function($i){-$i}))",
    "[1..300].(**)",
    "$formatInteger(1e300, 'I')",
    "$formatInteger(1e300, 'w')",
    "$formatNumber(1e300, $pad('', 1000, '#') & '0')",
    "$fromMillis(0, '[Y,999999999]')",
    "$toMillis($pad('', 1000, '1'), '[Y][M][D][H][m][s][f][Y][M][D]')",
    "$toMillis($pad('', 900, 'a'), '(a+)+b[Y]')",
    "$power(10, 308) * $power(10, 308)",
    "$parse($pad('', 900000, '['))",
    "$zip([1..100000],[1..100000],[1..100000])",
    "($a := [1..1000]; $a.($a.($a)))",
    "$spread([1..100000].{'a':1,'b':2})",
    "($a := [1..10000]; $a[$a])",
    "($a := [1..10000]; $a.($a))",
    "($a := [1..10000]; $lookup($a.{'a': $a}, 'a'))",
    "($a := [1..10000]; $a@$x.$a@$y.{'x': $x})",
    "($a := [1..10000].(0.5 + $); $a[$a])",
    "$encodeUrlComponent($pad('', 900000, 'é'))",
    "$string([1..200000], true)",
    "$ ~> |**|{'self': $}|",
    "{'a': 1} ~> |$|{'self': $}|",
]


@pytest.mark.parametrize("text", HUNGRY)
def test_hungry_jsonata(text: str) -> None:
    bounded(lambda: evaluate(text, {"a": 1}), text)


# Definitions: those that are right, each with something changed.


def samples() -> list[Any]:
    index = json.loads((DEFINITIONS / "index.json").read_text())["definitions"]
    names = [e["file"] for e in index if e["status"].startswith("valid") and e.get("type", "STANDARD") == "STANDARD"]
    return [json.loads((DEFINITIONS / name).read_bytes()) for name in names[::7]]


SAMPLES = samples()
REPLACEMENTS = JSON | st.sampled_from(
    [
        "$.a",
        "{% $states.input %}",
        "{% ( %}",
        "{% '\\ud83d' %}",
        "\ud83d",
        "Nowhere",
        "$$",
        "JSONata",
        1e999,
        -1,
        [],
        {},
    ]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


@st.composite
def mutants(draw: st.DrawFn) -> Any:
    definition = copy.deepcopy(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(0, 3))):
        known = list(places(definition))
        if not known:
            break
        *way, last = draw(st.sampled_from(known))
        holder = definition
        for key in way:
            holder = holder[key]
        match draw(st.sampled_from(["drop", "replace", "rename", "move"])):
            case "drop":
                del holder[last]
            case "rename" if isinstance(holder, dict):
                holder[draw(st.sampled_from(["Next", "Catch", "Seconds", "Items", "x.$", last + "x"]))] = holder.pop(
                    last
                )
            case "move" if isinstance(holder, dict):
                holder[last] = [holder[last]]
            case _:
                holder[last] = draw(REPLACEMENTS)
    return definition


@hostile(100)
@given(definition=mutants(), data=DATA)
def test_definitions(definition: Any, data: Any) -> None:
    text = json.dumps(definition)
    diagnostics = bounded(lambda: asl.diagnose(text))
    if any(diagnostic.severity == "ERROR" for diagnostic in diagnostics):
        assert all(diagnostic.message for diagnostic in diagnostics)
    elif not asl.unsupported(asl.compile(text)):
        bounded(lambda: run(definition, data))


def run(definition: Any, data: Any) -> None:
    """Run what needs no tasks, as far as time alone brings it."""
    stepped = Stepped(definition, data, limits=Limits(history_events=200)).start()
    for _ in range(5):
        if stepped.outcome is None and stepped.timers:
            stepped.pass_time(1e8)


# The wire.

OPERATIONS = st.sampled_from(
    [
        "CreateStateMachine",
        "StartExecution",
        "GetExecutionHistory",
        "SendTaskSuccess",
        "ListExecutions",
        "TagResource",
        "Nope",
    ]
)
FIELDS = st.sampled_from(
    ["name", "definition", "roleArn", "stateMachineArn", "input", "taskToken", "maxResults", "tags"]
)
BODIES = (
    st.binary(max_size=60)
    | st.builds(lambda value: json.dumps(value).encode(), JSON | st.dictionaries(FIELDS, JSON, max_size=6))
    | st.sampled_from(
        [b"[" * 100_000, b'{"a":' * 5_000, b"", b"null", b'{"maxResults": 1e400}', b'{"name": "\\ud800"}']
    )
)


async def post(app: Any, target: str, body: bytes) -> int:
    status = 0
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    headers = [
        (b"x-amz-target", target.encode()),
        (b"content-type", b"application/x-amz-json-1.0"),
        (b"content-length", str(len(body)).encode()),
    ]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": headers,
        "query_string": b"",
        "http_version": "1.1",
    }
    await app(scope, receive, send)
    return status


@asynccontextmanager
async def wire(folder: Path) -> AsyncIterator[Any]:
    database = Database(folder / "e.db", synchronous="OFF")
    engine = EmbeddedStepFunctions(database, clock=VirtualClock())
    await engine.start()
    try:
        yield create_wire(engine)
    finally:
        await engine.close()
        await database.close()


async def test_requests(tmp_path: Path) -> None:
    requests: list[tuple[str, bytes]] = []

    @hostile(300)
    @given(operation=OPERATIONS, body=BODIES)
    def collect(operation: str, body: bytes) -> None:
        requests.append((operation, body))

    collect()
    async with wire(tmp_path) as app:
        for operation, body in requests:
            start = time.thread_time()
            assert await post(app, f"AWSStepFunctions.{operation}", body) in (200, 400, 413), (operation, body)
            assert time.thread_time() - start < SECOND, (operation, body)
