"""How busy each instance is, as this gateway knows it, and which one takes the next call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from online_runtime.gateway.routing import RouteInstance, ServiceRoute


class Load:
    """Counts calls in flight; unfinished jobs are counted at acceptance and corrected from the job table."""

    def __init__(self) -> None:
        self._in_flight: Counter[str] = Counter()
        self._jobs: Counter[str] = Counter()

    @property
    def in_flight(self) -> Mapping[str, int]:
        """Instance id -> open HTTP calls, downloads included. Instances without any are left out."""
        return {instance_id: number for instance_id, number in self._in_flight.items() if number > 0}

    @contextmanager
    def visit(self, instance_id: str) -> Iterator[None]:
        """Count a call from before anything is awaited until its last byte went out."""
        self._in_flight[instance_id] += 1
        try:
            yield
        finally:
            self._in_flight[instance_id] -= 1
            if not self._in_flight[instance_id]:
                del self._in_flight[instance_id]

    @property
    def jobs(self) -> Mapping[str, int]:
        """Instance id -> unfinished jobs, as far as this gateway knows. Those without any are left out."""
        return {instance_id: number for instance_id, number in self._jobs.items() if number > 0}

    def job_accepted(self, instance_id: str) -> None:
        self._jobs[instance_id] += 1

    def job_ended(self, instance_id: str) -> None:
        self._jobs[instance_id] -= 1

    def correct_jobs(self, unfinished: Mapping[str, int]) -> None:
        """Take over the job table's own count, which knows the jobs of other gateways too."""
        self._jobs = Counter(unfinished)

    def choose(self, route: ServiceRoute, excluded: Collection[RouteInstance] = ()) -> RouteInstance | None:
        """The accepting instance with the fewest unfinished jobs and calls, or None."""
        best, least = None, 0
        for instance in route.instances:
            if not instance.accepts or instance in excluded:
                continue
            busy = self._jobs[instance.id] + self._in_flight[instance.id]
            if best is None or busy < least:
                best, least = instance, busy
        return best
