"""The AWS backend from definition to output, through boto3, on a stand-in for AWS: no account is needed.

Run by ``make demo-aws``. Step Functions is played by a second server of ours, whose engine speaks its API; the server and the
worker find it by ``AWS_ENDPOINT_URL_SFN``. DynamoDB is played by the emulator that the tests use, if that has been built
(``make test`` does), or by what ``WFM_TEST_DYNAMODB`` names, found by ``AWS_ENDPOINT_URL_DYNAMODB``; without one the store is
SQLite. These variables are all that differs from a real account. Removes what it made, however it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tools"))

import local_dynamodb
from demo import DIM, EXAMPLES, PLAIN, Demo, DemoFailed, main, say

ROLE = "arn:aws:iam::123456789012:role/workflow-manager"
REGION = "eu-west-1"

ON_A_REAL_ACCOUNT = """
On a real account leave AWS_ENDPOINT_URL_SFN and AWS_ENDPOINT_URL_DYNAMODB out: credentials come from a profile or from the
role of the host.
docs/aws.md and docs/dynamodb.md list the permissions that the server, its state machines' role and the workers need.

    $ export AWS_PROFILE=... AWS_REGION=eu-west-1
    $ wfm init-store --store dynamodb
    $ wfm serve --backend aws --store dynamodb --role-arn arn:aws:iam::<account>:role/<role of state machines>
    $ wfm worker --activity echo --namespace demo -- examples/echo.sh
    $ wfm apply examples/sfncli-test.yaml
    $ wfm submit sfncli-test:master '{"foo": true}' --namespace demo --follow
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def dynamodb() -> Iterator[str | None]:
    """Where a DynamoDB answers, if one can be had at once."""
    if url := os.environ.get("WFM_TEST_DYNAMODB"):
        yield url
    elif local_dynamodb.program().exists():
        with local_dynamodb.running() as url:
            yield url
    else:
        yield None


class AwsDemo(Demo):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.stand_in = f"http://127.0.0.1:{free_port()}"
        self.environment |= {
            "AWS_ACCESS_KEY_ID": "demo",
            "AWS_SECRET_ACCESS_KEY": "demo",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_SFN": self.stand_in,
            "ECHO_SECONDS": "3",  # long enough to be seen running on a machine that is busy
        }
        self.environment.pop("AWS_PROFILE", None)
        self.store: tuple[str, ...] = ()

    def serve_on_aws(self) -> subprocess.Popen[bytes]:
        return self.serve("--backend", "aws", *self.store, "--role-arn", ROLE)

    def work(self) -> subprocess.Popen[bytes]:
        server = self.environment.pop("WFM_SERVER")  # a worker that knows a server would ask that one
        worker = self.start("worker", "worker", "--activity", "echo", "--namespace", "demo", "--", EXAMPLES / "echo.sh")
        self.environment["WFM_SERVER"] = server
        return worker

    def run(self) -> None:
        with dynamodb() as url:
            if url is None:
                say("No DynamoDB is at hand (make test builds an emulator): workflows are kept in SQLite this time")
            else:
                say("A stand-in for DynamoDB, found by AWS_ENDPOINT_URL_DYNAMODB, and its tables")
                self.environment["AWS_ENDPOINT_URL_DYNAMODB"] = url
                self.store = ("--store", "dynamodb", "--dynamodb-prefix", f"demo-{os.getpid()}")
                self.wfm("init-store", *self.store)
            self.run_on_aws()

    def run_on_aws(self) -> None:
        say("A stand-in for AWS Step Functions, found by AWS_ENDPOINT_URL_SFN")
        port = self.stand_in.rpartition(":")[2]
        stand_in = ("--port", port, "--data", self.folder / "sfn", "--region", REGION, "--account-id", "123456789012")
        self.answers(self.start("step-functions", "serve", *stand_in), self.stand_in)

        say("The server, on the AWS backend: it executes nothing itself")
        server = self.serve_on_aws()

        say("A workflow definition")
        self.wfm("apply", EXAMPLES / "sfncli-test.yaml")

        say("A worker: it takes its tasks from Step Functions, not from the server")
        worker = self.work()

        say("A workflow, followed to its end; its state machine and activity are made on the way")
        self.wfm("submit", "sfncli-test:master", '{"foo": true}', "--namespace", "demo", "--follow")
        first = self.get("/workflows?workflowDefinitionName=sfncli-test:master&limit=1")[0]["id"]

        say(
            "Another one; while it runs the server is killed (SIGKILL) and started again: Step Functions does not notice"
        )
        second = self.submit("sfncli-test:master", '{"bar": [1, 2]}', "--namespace", "demo")
        self.wait_for_job(second, "running")
        print(f"{DIM}$ kill -9 {server.pid}{PLAIN}", flush=True)
        server.send_signal(signal.SIGKILL)
        server.wait()
        self.serve_on_aws()
        self.wfm("workflow", second, "--follow")

        say("One that is cancelled, while there is no worker to be quicker than that")
        worker.terminate()
        worker.wait()
        third = self.submit("sfncli-test:master", "{}", "--namespace", "demo")
        self.wfm("cancel", third, "--reason", "not needed any more")

        say("And resumed, from the state where it was, with a worker")
        self.work()
        self.wfm("resume", third, "--from", "echo", "--follow")

        say("What the server asked of AWS (GET /_metrics)")
        for line in self.text("/_metrics").splitlines():
            if line.startswith("wfm_aws_calls_total"):
                print(line, flush=True)

        found = self.get("/workflows?workflowDefinitionName=sfncli-test:master&oldestFirst=true")
        statuses = [workflow["status"] for workflow in found]
        if statuses != ["succeeded", "succeeded", "cancelled", "succeeded"]:
            raise DemoFailed(f"the workflows are {statuses}")
        for workflow_id, expected in ((first, {"foo": True}), (second, {"bar": [1, 2]})):
            output = json.loads(self.get(f"/workflows/{workflow_id}")["output"])
            if output != expected | {"_EXECUTION_NAME": workflow_id}:
                raise DemoFailed(f"workflow {workflow_id} has the output {output}")
        say("Three workflows succeeded, and one was cancelled.")
        print(ON_A_REAL_ACCOUNT, flush=True)


if __name__ == "__main__":
    sys.exit(main(AwsDemo))
