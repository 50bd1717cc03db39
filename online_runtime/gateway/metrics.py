"""What this gateway counts of its calls and jobs, and the text in which Prometheus reads it.

Counting costs a call about a microsecond; the text is put together in a thread, when somebody asks for it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds until an answer began: a proxy's own work, an engine's answer, a call that was held.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
BROKEN_OFF = 499  # the caller hung up before an answer began


class Calls:
    """Answered calls. A service is counted by name only when there is one; anything else is nobody's, so that
    callers cannot make up names without end.
    """

    def __init__(self) -> None:
        self.by_status: Counter[tuple[str, int]] = Counter()
        self.in_bucket: dict[str, list[int]] = {}
        self.seconds: dict[str, float] = {}

    def answered(self, service: str, status: int, seconds: float) -> None:
        """Count one call whose answer began after so many seconds."""
        self.by_status[service, status] += 1
        buckets = self.in_bucket.get(service)
        if buckets is None:
            buckets = self.in_bucket[service] = [0] * (len(BOUNDS) + 1)
            self.seconds[service] = 0.0
        buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds[service] += seconds


@dataclass(frozen=True)
class Reading:
    """Everything at one moment, as plain values: the event loop reads, a thread writes the text."""

    calls: Mapping[tuple[str, int], int]
    buckets: Mapping[str, tuple[int, ...]]
    seconds: Mapping[str, float]
    activity: Mapping[str, Mapping[str, Any]]  # service -> open, held
    accepting: Mapping[str, int]  # service -> instances
    unfinished: Mapping[tuple[str, str], int]  # service, state -> jobs, of all gateways
    ended: Mapping[tuple[str, str], int]  # service, state -> jobs that ended at this gateway
    table: Mapping[str, float] = field(default_factory=dict)


def reading_of(calls: Calls, **others: Any) -> Reading:
    """A copy of the counts, with the rest."""
    buckets = {service: tuple(counts) for service, counts in calls.in_bucket.items()}
    return Reading(dict(calls.by_status), buckets, dict(calls.seconds), **others)


def text_of(reading: Reading) -> bytes:
    """The exposition format. Imports the client library at its first call: not in the event loop."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Collector(reading))
    return generate_latest(registry)


class _Collector:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import HistogramMetricFamily

        read = self._reading
        calls = {(service, str(status)): number for (service, status), number in read.calls.items()}
        yield _counter("calls", "Calls by the status of their answer.", ("service", "status"), calls)
        latency = HistogramMetricFamily(
            "stillframe_gateway_call_seconds", "Time until the answer began.", labels=("service",)
        )
        for service, counts in read.buckets.items():
            latency.add_metric((service,), list(_cumulative(counts)), read.seconds[service])
        yield latency
        for name, said in (("open", "Calls in flight."), ("held", "Calls that wait for an instance.")):
            numbers = {(service,): told[name] for service, told in read.activity.items()}
            yield _gauge(f"{name}_calls", said, ("service",), numbers)
        accepting = {(service,): number for service, number in read.accepting.items()}
        yield _gauge("accepting_instances", "Instances that get new calls.", ("service",), accepting)
        yield _gauge("jobs", "Unfinished jobs, of all gateways.", ("service", "state"), read.unfinished)
        yield _counter("jobs_ended", "Jobs that ended here, by how.", ("service", "state"), read.ended)
        for name, value in read.table.items():
            yield _gauge(f"routing_table_{name}", f"The routing table in use: {name}.", (), {(): value})


def _cumulative(counts: Iterable[int]) -> Iterator[tuple[str, float]]:
    total = 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
        total += count
        yield bound, total


def _gauge(name: str, said: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"stillframe_gateway_{name}", said, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family


def _counter(name: str, said: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(f"stillframe_gateway_{name}", said, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family
