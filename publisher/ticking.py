"""One look at one deployment.

Take the lease, go forward step by step until there is something to wait for.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from publisher import steps
from publisher.configuration import read_configuration
from publisher.db import deployments, instances, services
from publisher.deployment import Deployment, Timing
from publisher.errors import LeaseLost
from publisher.executor import Executor
from publisher.leases import Leases
from publisher.machinery import Machinery
from publisher.rotation import next_step


@dataclass(frozen=True)
class _Next:
    deployment: Deployment
    step: steps.Step
    timing: Timing


class Ticker:
    """Brings deployments forward. May be called from any thread or process, as often as one likes."""

    def __init__(self, machinery: Machinery, leases: Leases | None = None) -> None:
        settings = machinery.settings
        self._m = machinery
        self._leases = leases or Leases(
            machinery.control, settings.lease_seconds, settings.lease_renew_seconds
        )
        self._stopping = threading.Event()

    def tick(self, deployment_id: int) -> float | None:
        """Seconds after which it is worth looking again; None when the deployment has ended.

        Raises database errors and errors nobody thought of; the next tick takes the deployment up again.
        """
        upcoming = self._next(deployment_id)
        if upcoming is None:
            return None
        if isinstance(upcoming.step, steps.Wait):  # most ticks: nothing is written
            return upcoming.step.seconds
        token = self._leases.take(deployment_id)
        if token is None:
            return self._m.settings.tick_seconds
        try:
            return self._go_on(deployment_id, token)
        except LeaseLost:
            return self._m.settings.tick_seconds
        finally:
            self._leases.give_back(deployment_id, token)

    def stop(self) -> None:
        """Make running ticks return after their present step."""
        self._stopping.set()

    def _go_on(self, deployment_id: int, token: int) -> float | None:
        with self._leases.renewing(deployment_id, token):
            while not self._stopping.is_set():
                upcoming = self._next(deployment_id)
                if upcoming is None:
                    return None
                if isinstance(upcoming.step, steps.Wait):
                    return upcoming.step.seconds
                executor = Executor(self._m, deployment_id, token, upcoming.timing)
                executor.perform(upcoming.step, upcoming.deployment)
        return self._m.settings.tick_seconds

    def _next(self, deployment_id: int) -> _Next | None:
        with self._m.control.read() as tx:
            deployment = deployments.read(tx, deployment_id)
            if deployment.final:
                return None
            service = services.read(tx, deployment.service)
            live = instances.live(tx, service.id)
            document = services.configuration(tx, service.id, deployment.configuration_version)
        timing = read_configuration(document).timing(self._m.settings)
        return _Next(deployment, next_step(deployment, live, self._m.clock(), timing), timing)
