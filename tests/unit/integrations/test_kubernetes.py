"""``eks:call`` and ``eks:runJob`` against a Kubernetes API that answers what a test says."""

from __future__ import annotations

import base64
import json
import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from stand_ins import StandIn, called

from workflow_manager.engine.tasks.integrations import IntegrationFailed
from workflow_manager.integrations.kubernetes import Eks
from workflow_manager.integrations.optimised import SERVICES, Optimised

AUTHORITY = base64.b64encode(
    ssl.DER_cert_to_PEM_cert(ssl.create_default_context().get_ca_certs(binary_form=True)[0]).encode()
)
CLUSTER = {
    "ClusterName": "c",
    "Endpoint": "https://cluster.test",
    "CertificateAuthority": AUTHORITY.decode(),
}
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "pi"}}
MADE = {**JOB, "metadata": {"name": "pi", "namespace": "team"}}


class Cluster:
    """``answers``: method and path -> (status, body)."""

    def __init__(self, answers: dict[str, tuple[int, Any]]) -> None:
        self.answers = answers
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status, body = self.answers.get(f"{request.method} {request.url.path}", (404, {"reason": "NotFound"}))
        return httpx.Response(status, text=body) if isinstance(body, str) else httpx.Response(status, json=body)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def eks(cluster: Cluster | None = None, **answers: Any) -> Eks:
    aws = StandIn(**answers)
    return Eks(Optimised(aws, "eks", SERVICES["eks"]), aws, transport=httpx.MockTransport(cluster or Cluster({})))


def run_job(**arguments: Any) -> Any:
    return called("eks", "runJob", {**CLUSTER, "Namespace": "team", "Job": JOB, **arguments}, "sync")


async def test_a_call() -> None:
    cluster = Cluster({"GET /api/v1/pods": (200, {"items": []})})
    arguments = {**CLUSTER, "Method": "GET", "Path": "/api/v1/pods", "QueryParameters": {"labelSelector": ["a=b"]}}

    result = json.loads(await eks(cluster).invoke(called("eks", "call", arguments)))

    assert (result["StatusCode"], result["StatusText"], result["ResponseBody"]) == (200, "OK", {"items": []})
    assert result["Headers"]["content-type"] == ["application/json"]
    (request,) = cluster.requests
    assert str(request.url) == "https://cluster.test/api/v1/pods?labelSelector=a%3Db"
    scheme, token = request.headers["authorization"].split()
    prefix, _, text = token.partition(".")
    assert (scheme, prefix) == ("Bearer", "k8s-aws-v1")
    signed = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    query = {name: value for name, (value,) in parse_qs(signed.query).items()}
    assert (signed.hostname, query["Action"], query["X-Amz-Expires"]) == (
        "sts.us-east-1.amazonaws.com",
        "GetCallerIdentity",
        "60",
    )
    assert query["X-Amz-SignedHeaders"] == "host;x-k8s-aws-id"
    assert query["X-Amz-Credential"].startswith("AKIDEXAMPLE/")


async def test_what_the_cluster_refuses_is_named_by_its_status() -> None:
    arguments = {**CLUSTER, "Method": "DELETE", "Path": "/api/v1/nodes/n"}

    with pytest.raises(IntegrationFailed) as failed:
        await eks().invoke(called("eks", "call", arguments))

    assert (failed.value.error, json.loads(str(failed.value.cause))) == ("EKS.404", {"reason": "NotFound"})


@pytest.mark.parametrize(
    ("action", "changed", "why"),
    [
        ("call", {"ClusterName": None}, "'ClusterName' must be a STRING"),
        (
            "call",
            {"CertificateAuthority": "no certificate"},
            "'CertificateAuthority' must be the base64 of a certificate",
        ),
        ("call", {"Endpoint": "cluster.test"}, "'Endpoint' must begin with https://"),
        ("call", {"Method": "FETCH"}, "'Method' must be one of GET"),
        ("call", {"Path": "pods"}, "'Path' must begin with '/'"),
        ("runJob", {"Job": None}, "'Job' must be a MAP"),
        ("runJob", {"Namespace": "../x"}, "'Namespace' must be the name"),
    ],
)
async def test_what_cannot_be_sent(action: str, changed: dict[str, Any], why: str) -> None:
    arguments = {**CLUSTER, "Method": "GET", "Path": "/api", "Job": JOB, **changed}

    with pytest.raises(IntegrationFailed) as failed:
        await eks().invoke(called("eks", action, arguments))

    assert failed.value.error == "States.Runtime"
    assert why in str(failed.value.cause)


async def test_a_cluster_that_cannot_be_reached() -> None:
    def unreachable(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    aws = StandIn()
    service = Eks(Optimised(aws, "eks", SERVICES["eks"]), aws, transport=httpx.MockTransport(unreachable))

    with pytest.raises(IntegrationFailed, match="no route") as failed:
        await service.invoke(called("eks", "call", {**CLUSTER, "Method": "GET", "Path": "/api"}))

    assert failed.value.error == "EKS.SdkClientException"


@pytest.mark.parametrize(
    ("conditions", "ended"),
    [
        ([], None),
        ([{"type": "Suspended", "status": "True"}], None),
        ([{"type": "Complete", "status": "False"}], None),
        ([{"type": "Complete", "status": "True"}], True),
        ([{"type": "Failed", "status": "True"}], False),
    ],
)
async def test_a_job_is_waited_for(conditions: list[Any], ended: bool | None) -> None:
    jobs = "/apis/batch/v1/namespaces/team/jobs"
    done = {**MADE, "status": {"conditions": conditions}}
    cluster = Cluster({f"POST {jobs}": (201, MADE), f"GET {jobs}/pi": (200, done), f"DELETE {jobs}/pi": (200, {})})
    service, call = eks(cluster), run_job()

    submitted = await service.invoke(call)
    assert json.loads(submitted)["ResponseBody"] == MADE
    assert json.loads(cluster.requests[0].content) == JOB
    if ended is False:
        with pytest.raises(IntegrationFailed) as failed:
            await service.result(call, submitted)
        assert (failed.value.error, json.loads(str(failed.value.cause))) == ("States.TaskFailed", done)
    else:
        result = await service.result(call, submitted)
        assert result is None if ended is None else json.loads(str(result)) == done

    await service.cancel(call, submitted)
    assert json.loads(cluster.requests[-1].content) == {"propagationPolicy": "Background"}


async def test_a_cluster_that_is_troubled_is_asked_again() -> None:
    call = run_job()
    cluster = Cluster({"GET /apis/batch/v1/namespaces/team/jobs/pi": (503, {})})

    assert await eks(cluster).result(call, json.dumps({"ResponseBody": MADE})) is None


@pytest.mark.parametrize(("raw", "log"), [(False, {"pi": 3.14}), (True, '{"pi":3.14}')])
async def test_the_logs_of_a_job(raw: bool, log: Any) -> None:
    pods = "/api/v1/namespaces/team/pods"
    done = {**MADE, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    pod = {"metadata": {"name": "pi-1"}, "spec": {"containers": [{"name": "pi"}]}}
    cluster = Cluster(
        {
            "GET /apis/batch/v1/namespaces/team/jobs/pi": (200, done),
            f"GET {pods}": (200, {"items": [pod]}),
            f"GET {pods}/pi-1/log": (200, '{"pi":3.14}'),
        }
    )
    options = {"RetrieveLogs": True, "RawLogs": raw, "LogParameters": {"tailLines": ["20"]}}

    result = await eks(cluster).result(run_job(LogOptions=options), json.dumps({"ResponseBody": MADE}))

    assert json.loads(str(result))["logs"] == {"pods": {"pi-1": {"containers": {"pi": {"log": log}}}}}
    assert cluster.requests[1].url.params["labelSelector"] == "job-name=pi"
    assert dict(cluster.requests[2].url.params) == {"limitBytes": "262144", "tailLines": "20", "container": "pi"}


async def test_all_else_is_as_before() -> None:
    service = eks(answers=lambda *_: {"cluster": {"status": "ACTIVE"}})

    made = json.loads(await service.invoke(called("eks", "deleteCluster", {"Name": "c"})))

    assert made["Cluster"] == {"Status": "ACTIVE"}
    assert {"createCluster.sync", "runJob.sync", "runJob", "call"} <= set(service.actions)
