"""Replays recorded cases against an endpoint that speaks the Step Functions API.

python tests/conformance/replay.py --endpoint-url http://127.0.0.1:PORT [--filter TEXT] [--tier N]

A case (data/cases) is a list of API calls, the answers that AWS gave (NOTICE), and how the two are bound. Cases of tier 1 need
Step Functions only; those of tier 2 need Lambda too, whose part --serve-lambda plays; those of tier 3 further services.
"""
# ruff: noqa: T201 - a program that reports

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import boto3
from botocore import exceptions
from botocore.config import Config
from gateway import Gateway
from lambdas import Lambda
from matching import NOTHING, Difference, Matcher

Case: TypeAlias = dict[str, Any]
Client: TypeAlias = Any

CASES = Path(__file__).parent / "data" / "cases"
REGION = "us-east-1"
RECORDED_ACCOUNT = "000000000000"
RECORDED_GATEWAY = "http://localhost:4566"
ROLE_ARN = "arn:aws:iam::000000000000:role/conformance"
CLIENTS = {"states": "stepfunctions", "eventbridge": "events", "cloudwatchlogs": "logs"}
"""What a case calls a service, where boto3 says otherwise."""
TERMINAL = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"}
LISTS = {"ListStateMachines": ("stateMachines", "stateMachineArn"), "ListActivities": ("activities", "activityArn")}
"""Operations that answer what others have made, too: member of the answer, member that names an item."""
LONGEST_WAIT_SECONDS = 60
SHORT_WAIT_SECONDS = 15


def cases(tier: int = 3, filter_: str = "") -> list[Case]:
    """The recorded cases of this tier and those below, by id; those that only a person can replay are left out."""
    found = [json.loads(path.read_text()) for path in sorted(CASES.glob("*.json"))]
    return [
        case
        for case in found
        if case["tier"] <= tier and not case.get("manual") and any(filter_ in case[key] for key in ("id", "module"))
    ]


def is_alone(case: Case) -> bool:
    """Whether what it expects depends on what else there is at the endpoint."""
    return any(case["steps"][bind["step"]]["op"] in LISTS for bind in case["bindings"])


class Endpoint:
    """``gateway``: where the API is that cases call as RECORDED_GATEWAY."""

    def __init__(self, url: str, gateway: str | None = None) -> None:
        self._url = url
        self.gateway = gateway or RECORDED_GATEWAY
        self._lock = threading.Lock()
        self._clients: dict[str, Client] = {}

    def client(self, service: str = "stepfunctions") -> Client:
        name = CLIENTS.get(service, service)
        with self._lock:
            if name not in self._clients:
                self._clients[name] = boto3.client(
                    name,
                    endpoint_url=self._url,
                    region_name=REGION,
                    aws_access_key_id="test",
                    aws_secret_access_key="test",
                    config=Config(
                        inject_host_prefix=False,
                        retries={"total_max_attempts": 1},
                        read_timeout=70,
                        max_pool_connections=50,
                    ),
                )
            return self._clients[name]

    @cached_property
    def account(self) -> str:
        """The account that the endpoint puts into its ARNs."""
        client = self.client()
        arn: str = client.create_activity(name=f"account-{uuid.uuid4().hex[:8]}")["activityArn"]
        client.delete_activity(activityArn=arn)
        return arn.split(":")[4]


@dataclass
class Result:
    """What came of a case: ``why`` is the first difference, None if there is none."""

    case: Case
    seconds: float
    why: str | None = None
    answers: list[Any] = field(default_factory=list)


def replay(case: Case, endpoint: Endpoint) -> Result:
    started, run = time.monotonic(), Run(case, endpoint)
    why = None
    try:
        run.play()
        run.check()
    except Difference as difference:
        why = f"{difference}{run.refusal()}"
    except Exception as error:  # noqa: BLE001 - a later step could not be made from what an earlier one answered
        why = f"{type(error).__name__}: {error}{run.refusal()}"
    finally:
        run.clean()
    return Result(case, time.monotonic() - started, why, run.answers)


def replay_all(these: list[Case], endpoint: Endpoint, jobs: int) -> dict[str, Future[Result]]:
    """Start replaying cases, several at a time, and last, one after the other, those that want to be alone."""
    assert endpoint.account
    pool, last = ThreadPoolExecutor(jobs), ThreadPoolExecutor(1)
    futures = {case["id"]: pool.submit(replay, case, endpoint) for case in these if not is_alone(case)}
    last.submit(pool.shutdown)
    futures |= {case["id"]: last.submit(replay, case, endpoint) for case in these if is_alone(case)}
    last.shutdown(wait=False)
    return futures


class Run:
    """One replay of one case."""

    def __init__(self, case: Case, endpoint: Endpoint) -> None:
        self._case = case
        self._endpoint = endpoint
        self._deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        self._made: dict[str, list[str]] = {"stateMachineArn": [], "activityArn": [], "executionArn": []}
        self._names = _fresh_names(case.get("names", {}))
        self.answers: list[Any] = []

    def play(self) -> None:
        for step in self._case["steps"]:
            params, wait, pause = self._filled(step["params"]), step.get("wait"), 0.05
            until = self._deadline
            if not (wait and "terminal" in wait):
                until = min(until, time.monotonic() + SHORT_WAIT_SECONDS)
            while True:
                answer = self._call(step, params)
                refused = "$error" in answer and step.get("peer_error")
                if not wait or _ready(wait, answer) or refused or time.monotonic() > until:
                    break
                time.sleep(pause)
                pause = min(pause * 1.5, 1.0)
            self.answers.append(answer)
            for member, arns in self._made.items():
                if step["op"] in ("CreateStateMachine", "CreateActivity", "StartExecution") and member in answer:
                    arns.append(answer[member])

    def check(self) -> None:
        """Raise the first Difference."""
        matcher = Matcher(self._case.get("placeholders", ()), unordered=self._case.get("unordered", False))
        for bind in self._case["bindings"]:
            label = ".".join(map(str, bind["key"])) + f"@{self._case['steps'][bind['step']]['op']}"
            expected = _follow(self._case["expected"], bind["key"])
            if expected is NOTHING:
                continue  # not recorded
            answer, path = self.answers[bind["step"]], bind["path"]
            error = answer.get("$error")
            if path[:1] == ["$error"]:
                answer, path = error if error is not None else {path[1]: answer}, path[1:]
            elif error is not None:
                answer, path = error["response"], []
            if bind.get("inferred") and error is not None and bind["key"][-1] in error["response"]:
                member = bind["key"][-1]  # was taken for the error's text, but is a member of the answer
                expected, answer, path = {member: expected}, {member: error["response"][member]}, []
            got = _follow(answer, path)
            if got is NOTHING:
                raise Difference(label, expected, answer)
            matcher.compare(expected, json.loads(json.dumps(got, default=str)), label)

    def refusal(self) -> str:
        """The first call that was refused although AWS accepts it: the likely reason for whatever went wrong."""
        for step, answer in zip(self._case["steps"], self.answers, strict=False):
            if "$error" in answer and "peer_error" not in step:
                return f"  [{step['op']} answered: {answer['$error']['text'][:300]}]"
        return ""

    def clean(self) -> None:
        client = self._endpoint.client()
        for arn in self._made["executionArn"]:
            _quietly(client.stop_execution, executionArn=arn)
        for arn in self._made["stateMachineArn"]:
            running = _quietly(client.list_executions, stateMachineArn=arn, statusFilter="RUNNING") or {}
            for execution in running.get("executions", []):
                _quietly(client.stop_execution, executionArn=execution["executionArn"])
            _quietly(client.delete_state_machine, stateMachineArn=arn)
        for arn in self._made["activityArn"]:
            _quietly(client.delete_activity, activityArn=arn)

    def _call(self, step: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        """What the endpoint answers; a refusal as ``{"$error": ...}``."""
        operation, client = step["op"], self._endpoint.client(step.get("service", "stepfunctions"))
        try:
            answer: dict[str, Any] = client._make_api_call(operation, params)
            if operation == "GetExecutionHistory" and "maxResults" not in params:
                while answer.get("nextToken"):
                    more = client.get_execution_history(**params, nextToken=answer.pop("nextToken"))
                    answer = {**more, "events": answer["events"] + more["events"]}
        except exceptions.ClientError as error:
            text = str(error).replace(" (reached max retries: 0)", "")
            return {"$error": {"type": type(error).__name__, "text": text, "response": error.response}}
        except exceptions.ParamValidationError as error:  # boto3 itself refuses the call
            return {"$error": {"type": type(error).__name__, "text": str(error), "response": {}}}
        if hasattr(answer.get("Body"), "read"):
            answer["Body"] = answer["Body"].read().decode("utf-8", "replace")
        if operation in LISTS and "maxResults" not in params and not answer.get("nextToken"):
            member, name = LISTS[operation]
            answer[member] = [item for item in answer[member] if item[name] in self._made[name]]
        return answer

    def _filled(self, node: Any) -> Any:
        """Parameters with the references in them resolved."""
        match node:
            case {"$ref": reference}:
                return self._value(reference)
            case {"$base64": text}:
                return base64.b64decode(text)
            case {"$bytes": count}:
                return b"x" * count
            case dict():
                return {key: self._filled(value) for key, value in node.items()}
            case list():
                return [self._filled(value) for value in node]
            case str():
                text = re.sub(r"<<([a-z]+[\w.-]*)>>", lambda found: str(self._value(found[1])), node)
                text = text.replace(RECORDED_GATEWAY, self._endpoint.gateway)
                return text.replace(RECORDED_ACCOUNT, self._endpoint.account)
            case _:
                return node

    def _value(self, reference: str) -> Any:
        if reference.startswith("role."):
            return ROLE_ARN if reference == "role.0" else f"{ROLE_ARN}-{reference[5:]}"
        if reference in self._names:
            return self._names[reference]
        _, step, *path = reference.split(".")
        node = self.answers[int(step)]
        for key in path:
            node = node[int(key)] if isinstance(node, list) else node[key]
        return node


def _fresh_names(recorded: dict[str, str]) -> dict[str, str]:
    """New names for what a case makes, so that cases do not meet."""
    unique, names = uuid.uuid4().hex[:8], {}
    for number, (key, name) in enumerate(recorded.items()):
        stem, fifo, _ = name.partition(".fifo")
        stem = re.sub(r"[_-]?[0-9a-f]{8}$", "", stem)[:40].strip("_-.") or "m"
        names[key] = f"{stem}-{unique}{number}{fifo}"
    return names


def _ready(wait: dict[str, Any], answer: dict[str, Any]) -> bool:
    if "$error" in answer:
        return False
    types = {event.get("type") for event in answer.get("events", [])}
    match wait:
        case {"terminal": _}:
            return bool(types & TERMINAL)
        case {"has_type": wanted}:
            return wanted in types
        case {"status": status}:
            return answer.get("status") == status
        case {"statuses": statuses}:
            return sorted(item.get("status", "") for item in answer.get("executions", [])) == statuses
        case {"count": counts}:
            return all(len(answer.get(member, [])) == count for member, count in counts.items())
        case _:
            return True


def _follow(node: Any, path: list[Any]) -> Any:
    """What stands at a path, in JSON inside of texts too; NOTHING if nothing does."""
    try:
        for key in path:
            node = (json.loads(node) if isinstance(node, str) else node)[key]
    except (KeyError, IndexError, TypeError, ValueError):
        return NOTHING
    return node


def _quietly(function: Callable[..., Any], **arguments: Any) -> Any:
    try:
        return function(**arguments)
    except (exceptions.ClientError, exceptions.BotoCoreError):
        return None


def _report(results: Iterator[Result]) -> Counter[bool]:
    """Print what differs, and how each module did."""
    modules: dict[str, Counter[bool]] = {}
    for result in results:
        passed = result.why is None
        modules.setdefault(result.case["module"], Counter())[passed] += 1
        if not passed:
            print(f"{result.case['id']}: {result.why}", flush=True)
    for module, counts in sorted(modules.items()):
        print(f"  {module:55} passed {counts[True]:3}  failed {counts[False]:3}")
    return sum(modules.values(), Counter())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint-url", required=True)
    parser.add_argument("--filter", default="", metavar="TEXT", help="only cases whose id or module contains this")
    parser.add_argument("--tier", type=int, default=1, help="replay cases up to this tier (1, 2, 3)")
    parser.add_argument("--jobs", type=int, default=8, help="how many at a time")
    parser.add_argument(
        "--serve-lambda", type=int, metavar="PORT", help="answer Lambda's Invoke on this port meanwhile"
    )
    options = parser.parse_args()
    if options.serve_lambda:
        Lambda.serve(options.serve_lambda)
    gateway = f"http://127.0.0.1:{Gateway.serve()}" if options.tier == 3 else None
    futures = replay_all(cases(options.tier, options.filter), Endpoint(options.endpoint_url, gateway), options.jobs)
    counts = _report(future.result() for future in futures.values())
    print(f"{counts[True]} of {counts.total()} pass")
    return 0 if counts[False] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
