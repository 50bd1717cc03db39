"""One machine for each driver: a frozen home, and a way to make the driver anew, as after a restart."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from online_runtime.instance.spec import InstanceReport, InstanceSpec, InstanceState
from publisher.drivers.contract import Driver, Observation
from publisher.drivers.process import ProcessDriver
from publisher.drivers.simulated import SimulatedDriver, SimulatedWorld
from tests.contract.drivers.frozen import FrozenHome
from workstation.layout import Home

LIMIT_SECONDS = 40.0


@dataclass
class Machine:
    """Where instances run in a test."""

    home: FrozenHome
    make_driver: Callable[[], Driver]

    @property
    def driver(self) -> Driver:
        """A driver that remembers nothing."""
        return self.make_driver()

    def start(self, **changes: object) -> InstanceSpec:
        spec = self.home.spec(**changes)
        self.driver.create(spec)
        return spec

    def start_healthy(self, **changes: object) -> tuple[InstanceSpec, InstanceReport]:
        spec = self.start(**changes)
        return spec, self.wait_for(spec, InstanceState.READY)

    def wait_for(self, spec: InstanceSpec, state: InstanceState) -> InstanceReport:
        """The first report with that state, within the limit."""
        seen = self.wait_until(spec, lambda seen: seen.report is not None and seen.report.state is state)
        assert seen.report is not None
        return seen.report

    def wait_until(self, spec: InstanceSpec, wanted: Callable[[Observation], bool]) -> Observation:
        driver, deadline = self.driver, time.monotonic() + LIMIT_SECONDS
        while not wanted(seen := driver.inspect(spec.instance_id)):
            if time.monotonic() > deadline:
                raise AssertionError(f"{seen}\n" + "\n".join(driver.logs(spec.instance_id)))
            time.sleep(0.05)
        return seen


@pytest.fixture(params=["process", "simulated"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A machine for the driver named by the parameter. Docker and Ray join by adding a name and a branch."""
    yield from _machine(request.param, tmp_path)


@pytest.fixture(params=["process"])
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A machine for a driver that runs real engines."""
    yield from _machine(request.param, tmp_path)


def _machine(name: str, folder: Path) -> Iterator[Machine]:
    home, world = FrozenHome(Home(folder / "home")).build(), SimulatedWorld(start_seconds=0.2)
    makers: dict[str, Callable[[], Driver]] = {
        "process": lambda: ProcessDriver(home.home.instances),
        "simulated": lambda: SimulatedDriver(world),
    }
    machine = Machine(home, makers[name])
    yield machine
    for instance_id in machine.driver.list():
        machine.driver.stop(instance_id, grace_seconds=1)
