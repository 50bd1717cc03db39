"""Everything that steps may touch, and how it is put together for one home."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from publisher.clock import Clock, utc_now
from publisher.db.control import Control
from publisher.drivers.contract import Driver
from publisher.drivers.process import ProcessDriver
from publisher.freezing import ProjectSnapshots, smoke_workflows
from publisher.gateways import Gateways
from publisher.launching import Launcher
from publisher.projects import ProjectWorkstations
from publisher.routes import RouteBook
from publisher.settings import Settings
from publisher.slots import Slot, detect_slots
from publisher.snapshots import Snapshots, Workstations
from workstation.layout import Home


@dataclass(frozen=True)
class Machinery:
    """Everything a step may touch."""

    home: Home
    control: Control
    settings: Settings
    driver: Driver
    slots: tuple[Slot, ...]
    snapshots: Snapshots
    workstations: Workstations
    gateways: Gateways
    clock: Clock

    @cached_property
    def routes(self) -> RouteBook:
        """The routing table, kept up to date at the cost of what changes."""
        return RouteBook(self.control, self.home, self.settings)

    @property
    def launcher(self) -> Launcher:
        return Launcher(
            self.home, self.control, self.settings, self.driver, self.slots, self.snapshots, self.clock
        )


def make_machinery(home: Home, control: Control, settings: Settings, clock: Clock = utc_now) -> Machinery:
    """Everything real: the process driver, the store of this home, its gateways."""
    return Machinery(
        home=home,
        control=control,
        settings=settings,
        driver=ProcessDriver(home.instances),
        slots=detect_slots(settings),
        snapshots=ProjectSnapshots(home, smoke_workflow_of=smoke_workflows(control)),
        workstations=ProjectWorkstations(home),
        gateways=Gateways(home),
        clock=clock,
    )
