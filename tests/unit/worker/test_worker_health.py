"""The health port: what it answers while a worker begins, works, loses its endpoint, and drains."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from worker_fakes import PATIENCE

from workflow_manager.worker.health import CannotListen, health_port
from workflow_manager.worker.metrics import WorkerMetrics


@pytest.fixture
def metrics() -> WorkerMetrics:
    return WorkerMetrics(2)


@pytest.fixture
def port(metrics: WorkerMetrics) -> Iterator[int]:
    with health_port("127.0.0.1", 0, metrics) as number:
        yield number


def get(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_readiness_follows_the_worker(port: int, metrics: WorkerMetrics) -> None:
    told = [get(port, "/readyz")[0]]
    metrics.registered("a")
    told.append(get(port, "/readyz")[0])
    metrics.registered("b")
    told.append(get(port, "/readyz")[0])
    metrics.polled("a", "failed")
    told.append(get(port, "/readyz")[0])
    metrics.polled("a", "empty")
    told.append(get(port, "/readyz")[0])
    metrics.stopping()
    told.append(get(port, "/readyz")[0])

    assert told == [503, 503, 200, 503, 200, 503]
    assert get(port, "/healthz") == (200, "draining\n")


def test_metrics_count_what_was_observed(port: int, metrics: WorkerMetrics) -> None:
    metrics.registered("a")
    metrics.began("a")
    metrics.began("a")
    metrics.ended("a", "succeeded", 0.2)
    metrics.beat("a", accepted=True)
    metrics.polled("a", "task")
    text = get(port, "/metrics")[1]

    for line in (
        'wfm_worker_tasks_total{activity="a",outcome="succeeded"} 1.0',
        'wfm_worker_tasks_running{activity="a"} 1.0',
        'wfm_worker_task_seconds_bucket{activity="a",le="0.5"} 1.0',
        'wfm_worker_heartbeats_total{accepted="yes",activity="a"} 1.0',
        'wfm_worker_polls_total{activity="a",result="task"} 1.0',
        "wfm_worker_draining 0.0",
        "process_resident_memory_bytes",
    ):
        assert line in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_a_head_has_no_body(port: int, path: str) -> None:
    assert get(port, path, "HEAD")[1] == ""


def test_other_paths(port: int) -> None:
    assert get(port, "/")[0] == 404
    assert get(port, "/healthz?verbose=1")[0] == 200


def test_what_is_no_request_does_no_harm(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(b"\x00\xff\r\n\r\n")
        client.recv(1000)

    assert get(port, "/healthz")[0] == 200


def test_a_port_that_is_taken(port: int, metrics: WorkerMetrics) -> None:
    with (
        pytest.raises(CannotListen, match=f"cannot listen on 127.0.0.1:{port}"),
        health_port("127.0.0.1", port, metrics),
    ):
        pass
