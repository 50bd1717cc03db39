"""What the control plane knows in figures, as the text in which Prometheus reads it.

Read from the control database when somebody asks, so nothing is counted twice and nothing is lost with a
process. What callers do is counted by the gateways.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from publisher.db import figures, instances
from publisher.db.control import Control

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Reading:
    """Everything at one moment."""

    deployments: Mapping[tuple[str, str], int]
    phases: Mapping[tuple[str, str], float]
    instances: Mapping[tuple[str, str], int]
    restarts: Mapping[tuple[str, str], int]
    slots_taken: int
    slots: int
    up: Mapping[str, bool]  # part of the platform -> whether its process runs


def read(control: Control, *, slots: int, up: Mapping[str, bool]) -> Reading:
    """Five queries, whose cost follows live instances and services, not history."""
    with control.read() as tx:
        return Reading(
            figures.deployments_by_state(tx),
            figures.phases_of_last(tx),
            figures.instances_by_state(tx),
            figures.restarts(tx),
            len(instances.taken_slots(tx)),
            slots,
            up,
        )


def text_of(reading: Reading) -> bytes:
    """The exposition format, with this process's own memory and processor time."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Collector(reading))
    return generate_latest(registry)


class _Collector:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        read = self._reading
        of = ("service", "state")
        yield _gauge("deployments", "Deployments by state, ended ones too.", of, read.deployments)
        said = "Time that the last deployment that ended spent in each phase."
        yield _gauge("last_deployment_phase_seconds", said, ("service", "phase"), read.phases)
        yield _gauge("instances", "Live instances by the state they reported.", of, read.instances)
        said = "How often a live instance's engine was started again."
        yield _gauge("instance_restarts", said, ("service", "instance"), read.restarts)
        slots = {("taken",): read.slots_taken, ("free",): max(0, read.slots - read.slots_taken)}
        yield _gauge("slots", "Places for instances, by whether one is leased.", ("state",), slots)
        up = {(part,): int(runs) for part, runs in read.up.items()}
        yield _gauge("up", "Whether each part of the platform runs.", ("part",), up)


def _gauge(name: str, said: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"stillframe_{name}", said, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family
