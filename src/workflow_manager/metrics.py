"""What a running service counts, for Prometheus to fetch: calls to other services, their latencies, and what they wait for.

A leaf: whoever makes calls is handed a ``Calls`` and tells it of each; the server renders the ``Metrics`` that it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds: AWS answers within 5 to 100 ms, and a call with all its retries ends within a minute."""


STATUS_OUTCOMES = ("received", "deleted", "failed", "dead", "handed back", "ignored")


class Metrics:
    """All that one service counts. Every instance counts for itself."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._calls = Counter(
            "wfm_aws_calls",
            "Calls to AWS that ended, by how: ok, or the code of the error.",
            ("service", "operation", "outcome"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "wfm_aws_call_seconds",
            "How long calls to AWS took, retries included, without the time that they waited for a thread.",
            ("service", "operation"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._retries = Counter(
            "wfm_aws_retries",
            "Attempts of calls to AWS beyond the first.",
            ("service", "operation"),
            registry=self._registry,
        )
        self._refused = Counter(
            "wfm_aws_calls_refused",
            "Calls that were not made because too many waited for a thread.",
            ("service",),
            registry=self._registry,
        )
        self._under_way = Gauge(
            "wfm_aws_calls_under_way",
            "Calls to AWS that run or wait for a thread.",
            ("service",),
            registry=self._registry,
        )

    def calls(self, service: str) -> Calls:
        """What counts the calls to one service of AWS, such as ``stepfunctions``."""
        return Calls(service, self._calls, self._seconds, self._retries, self._refused, self._under_way)

    def status_messages(self, counts: Mapping[str, int]) -> None:
        """``counts`` is read whenever the metrics are fetched: messages that tell of status changes, by what became of them."""
        self._registry.register(_StatusMessages(counts))

    def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


CONTENT_TYPE = CONTENT_TYPE_LATEST
"""Of what ``render`` answers."""


class _StatusMessages(Collector):
    """A counter that someone else keeps."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "wfm_status_messages",
            "Messages of the queue of status changes, by what became of them; ignored counts parts of messages.",
            labels=["outcome"],
        )
        for outcome in STATUS_OUTCOMES:
            family.add_metric([outcome], self._counts.get(outcome, 0))
        yield family


class Calls:
    """Counts the calls to one service. Its methods may be called from any thread."""

    def __init__(
        self, service: str, calls: Counter, seconds: Histogram, retries: Counter, refused: Counter, under_way: Gauge
    ) -> None:
        self._service = service
        self._calls = calls
        self._seconds = seconds
        self._retries = retries
        self._refused = refused.labels(service)
        self._under_way = under_way.labels(service)
        self._children: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def ended(self, operation: str, outcome: str, seconds: float, *, attempts: int = 1) -> None:
        """A call has ended: ``outcome`` is ``ok`` or the code of its error."""
        children = self._children.get((operation, outcome))
        if children is None:  # looking them up by their labels costs more than counting
            children = (
                self._calls.labels(self._service, operation, outcome),
                self._seconds.labels(self._service, operation),
            )
            self._children[operation, outcome] = children
        counter, histogram = children
        counter.inc()
        histogram.observe(seconds)
        if attempts > 1:
            self._retries.labels(self._service, operation).inc(attempts - 1)

    def refused(self) -> None:
        """A call was not made: too many waited."""
        self._refused.inc()

    def watch(self, under_way: Callable[[], float]) -> None:
        """``under_way`` is asked whenever the metrics are fetched."""
        self._under_way.set_function(under_way)
