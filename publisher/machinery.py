"""Putting the publisher together for one home, as a worker needs it."""

from __future__ import annotations

from publisher.clock import Clock, utc_now
from publisher.db.control import Control
from publisher.drivers.process import ProcessDriver
from publisher.executor import Machinery
from publisher.freezing import ProjectSnapshots, smoke_workflows
from publisher.gateways import Gateways
from publisher.projects import ProjectWorkstations
from publisher.settings import Settings
from publisher.slots import detect_slots
from workstation.layout import Home


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
