"""``eks:call`` and ``eks:runJob``: Tasks that talk to the Kubernetes API of an EKS cluster.

A cluster believes whoever shows it a request to STS that only they can have signed, and its certificate is vouched for by an
authority that the Task names. Everything else of ``eks`` (clusters, node groups, ...) is an optimised integration like others.

Source: SFN developer guide, "Create and manage Amazon EKS clusters with Step Functions"; EKS user guide, "Cluster
authentication".
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
from collections.abc import Collection, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from workflow_manager.engine.tasks.integrations import IntegrationCall, IntegrationFailed
from workflow_manager.integrations import shapes
from workflow_manager.integrations.aws import Aws
from workflow_manager.integrations.optimised import Optimised
from workflow_manager.integrations.refusals import Refused, Unreachable
from workflow_manager.integrations.sdk import encoded, unstartable

TIMEOUT_SECONDS = 60.0
TOKEN_SECONDS = 60
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
LOG_BYTES = 262_144
"""How much of a container's log is asked for where the Task says nothing of it."""

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


class Eks:
    """The service ``eks``: ``others`` carries out what is not of Kubernetes."""

    def __init__(self, others: Optimised, aws: Aws, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.actions: Collection[str] = frozenset(others.actions) | {"call", "runJob", "runJob.sync"}
        self._others = others
        self._aws = aws
        self._transport = transport

    async def invoke(self, call: IntegrationCall, /) -> str:
        match call.action:
            case "call":
                return encoded(await self._call(call, _arguments(call)))
            case "runJob":
                arguments = _arguments(call, "Job")
                path = f"/apis/batch/v1/namespaces/{_namespace(call, arguments)}/jobs"
                sent = {"Method": "POST", "Path": path, "RequestBody": arguments["Job"]}
                return encoded(await self._call(call, arguments, **sent))
        return await self._others.invoke(call)

    async def result(self, call: IntegrationCall, submitted: str, /) -> str | None:
        if call.action != "runJob":
            return await self._others.result(call, submitted)
        arguments = _arguments(call, "Job")
        try:
            job = (await self._call(call, arguments, Method="GET", Path=_path(submitted)))["ResponseBody"]
            ended = _ended(job)
            if ended is None:
                return None
            output = {**job, **await self._logs(call, arguments, job)}
        except IntegrationFailed as failure:
            if failure.error in ("EKS.SdkClientException", "EKS.429") or failure.error.startswith("EKS.5"):
                return None  # it is asked again
            raise
        if not ended:
            raise IntegrationFailed("States.TaskFailed", encoded(output))
        return encoded(output)

    async def cancel(self, call: IntegrationCall, submitted: str, /) -> None:
        if call.action != "runJob":
            await self._others.cancel(call, submitted)
            return
        sent: dict[str, Any] = {
            "Method": "DELETE",
            "Path": _path(submitted),
            "RequestBody": {"propagationPolicy": "Background"},
        }
        await self._call(call, _arguments(call, "Job"), **sent)

    async def _logs(self, call: IntegrationCall, arguments: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
        """``logs``: what the job's containers wrote, where the Task asks for it."""
        options = arguments.get("LogOptions")
        if not isinstance(options, dict) or not options.get("RetrieveLogs"):
            return {}
        metadata = job["metadata"]
        pods = f"/api/v1/namespaces/{quote(metadata['namespace'])}/pods"
        query = {"labelSelector": [f"job-name={metadata['name']}"]}
        found = await self._call(call, arguments, Method="GET", Path=pods, QueryParameters=query)
        parameters = {"limitBytes": [str(LOG_BYTES)], **(options.get("LogParameters") or {})}
        logs: dict[str, Any] = {}
        for pod in found["ResponseBody"].get("items", ()):
            name, containers = pod["metadata"]["name"], logs.setdefault(pod["metadata"]["name"], {"containers": {}})
            for container in pod.get("spec", {}).get("containers", ()):
                query = {**parameters, "container": [container["name"]]}
                sent = {"Method": "GET", "Path": f"{pods}/{quote(name)}/log", "QueryParameters": query}
                text = await self._call(call, arguments, raw=bool(options.get("RawLogs")), **sent)
                containers["containers"][container["name"]] = {"log": text["ResponseBody"]}
        return {"logs": {"pods": logs}}

    # ------------------------------------------------------------------------------------------ requests

    async def _call(
        self, call: IntegrationCall, arguments: dict[str, Any], *, raw: bool = False, **sent: Any
    ) -> dict[str, Any]:
        """One request to the cluster; ``sent`` are arguments in place of the Task's own. Raises IntegrationFailed."""
        arguments = {"QueryParameters": None, "RequestBody": None, **arguments, **sent}
        if sent:
            arguments |= {"QueryParameters": sent.get("QueryParameters"), "RequestBody": sent.get("RequestBody")}
        method, path = arguments.get("Method"), arguments.get("Path")
        if method not in METHODS or not isinstance(path, str) or not path.startswith("/"):
            raise unstartable(
                call, [f"The field 'Method' must be one of {', '.join(METHODS)}, and 'Path' must begin with '/'"]
            )
        body = arguments["RequestBody"]
        headers = {"Authorization": f"Bearer {await self._token(call, arguments['ClusterName'])}"}
        if body is not None:
            patch = "application/strategic-merge-patch+json" if method == "PATCH" else "application/json"
            headers["Content-Type"] = patch
        try:
            async with httpx.AsyncClient(
                timeout=TIMEOUT_SECONDS,
                transport=self._transport,
                verify=_trust(call, arguments),
                follow_redirects=False,
            ) as client:
                response = await client.request(
                    method,
                    arguments["Endpoint"].rstrip("/") + path,
                    headers=headers,
                    params=[*_query(arguments["QueryParameters"])] or None,
                    content=msgspec.json.encode(body) if body is not None else None,
                )
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
            why = f"The cluster {arguments['ClusterName']} cannot be reached: {str(error) or type(error).__name__}"
            raise IntegrationFailed("EKS.SdkClientException", why) from None
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            raise IntegrationFailed(f"EKS.{response.status_code}", response.text)
        return {
            "Headers": {name: response.headers.get_list(name) for name in response.headers},
            "ResponseBody": response.text if raw else _value(response.text),
            "StatusCode": response.status_code,
            "StatusText": response.reason_phrase,
        }

    async def _token(self, call: IntegrationCall, cluster: str) -> str:
        """What proves to the cluster who is calling: a request to STS, signed for this cluster and for a minute."""
        aws = self._aws
        try:
            credentials = await aws.run(lambda: aws.credentials(call.role_arn, call.execution_arn[-64:]))
        except (Refused, Unreachable) as error:
            raise IntegrationFailed("EKS.SdkClientException", error.message) from None
        if credentials is None:
            raise IntegrationFailed("EKS.SdkClientException", "Unable to load AWS credentials")
        url = f"https://sts.{aws.region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"
        request = AWSRequest("GET", url, {"x-k8s-aws-id": cluster})
        SigV4QueryAuth(credentials, "sts", aws.region, expires=TOKEN_SECONDS).add_auth(request)
        return "k8s-aws-v1." + base64.urlsafe_b64encode(str(request.url).encode()).decode().rstrip("=")


# ---------------------------------------------------------------------- arguments and answers


def _arguments(call: IntegrationCall, *objects: str) -> dict[str, Any]:
    """The Task's arguments, with the members that every request needs. Raises IntegrationFailed."""
    arguments = msgspec.json.decode(call.arguments)
    if not isinstance(arguments, dict):
        raise unstartable(call, ["The Parameters must be an object"])
    unfit = [
        f"The value for the field '{name}' must be a STRING"
        for name in ("ClusterName", "Endpoint", "CertificateAuthority")
        if not isinstance(arguments.get(name), str)
    ]
    unfit += [
        f"The value for the field '{name}' must be a MAP"
        for name in objects
        if not isinstance(arguments.get(name), dict)
    ]
    if not unfit and not str(arguments["Endpoint"]).startswith(("https://", "http://")):
        unfit = ["The field 'Endpoint' must begin with https://"]
    if unfit:
        raise unstartable(call, unfit)
    return arguments


def _namespace(call: IntegrationCall, arguments: dict[str, Any]) -> str:
    namespace = arguments.get("Namespace", "default")
    if not isinstance(namespace, str) or not _NAME.fullmatch(namespace):
        raise unstartable(call, ["The field 'Namespace' must be the name of a namespace"])
    return namespace


def _trust(call: IntegrationCall, arguments: dict[str, Any]) -> ssl.SSLContext:
    """Who vouches for the cluster's certificate."""
    try:
        text = base64.b64decode(arguments["CertificateAuthority"], validate=True).decode()
        return ssl.create_default_context(cadata=text)
    except (binascii.Error, ssl.SSLError, ValueError):
        raise unstartable(
            call,
            ["The field 'CertificateAuthority' must be the base64 of a certificate, as DescribeCluster answers it"],
        ) from None


def _query(parameters: Any) -> Iterator[tuple[str, str]]:
    for name, value in (parameters or {}).items() if isinstance(parameters, dict | None) else ():
        for each in value if isinstance(value, list) else [value]:
            yield name, shapes.as_text(each)


def _path(submitted: str) -> str:
    """Where the job is that the cluster answered with."""
    metadata = msgspec.json.decode(submitted)["ResponseBody"]["metadata"]
    return f"/apis/batch/v1/namespaces/{quote(metadata['namespace'])}/jobs/{quote(metadata['name'])}"


def _ended(job: dict[str, Any]) -> bool | None:
    """Whether a job went well; None while it runs (Kubernetes API reference, JobStatus)."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed"):
            return bool(condition["type"] == "Complete")
    return None


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
