"""The fleet at 1,000 services and 10,000 settled instances of the simulated driver: what a tick costs.

    tick      one look of the sweep: unfinished deployments and the whole fleet
    settled   nothing has changed since the last look
    changed   one instance of one service ended just before; until it is replaced

The control database is SQLite on a real disk; instances are entries in memory.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from online_runtime.instance.spec import InstanceSpec, InstanceState
from publisher.db.control import Control, open_control
from publisher.db.tables import ConfigurationRow, DeploymentRow, InstanceRow, ServiceRow
from publisher.deployment import Reason
from publisher.drivers.contract import Presence
from publisher.drivers.simulated import DOOR, SimulatedDriver, SimulatedWorld
from publisher.fleet import Fleet
from publisher.gateways import Gateways
from publisher.machinery import Machinery
from publisher.settings import Settings
from publisher.slots import Slot
from publisher.states import DeploymentState
from publisher.sweep import Sweep
from publisher.ticking import Ticker
from tests.fakes.publishing import FakeSnapshots, FakeWorkstations
from workstation.layout import Home

SERVICES = 1000
INSTANCES_EACH = 10
TICKS = 100
LIMIT_SECONDS = 60.0
GOAL_SECONDS = 0.05
NOW = datetime.now(UTC)


def fill(control: Control, world: SimulatedWorld) -> None:
    """Services that have served for long: rows as deployments leave them, instances that run."""
    slot = 0
    for number in range(1, SERVICES + 1):
        with control.write() as tx:
            name = f"service-{number}"
            service = ServiceRow(
                name=name, created_at=NOW, configuration_version=1, serving_deployment_id=number
            )
            document = {"scaling": {"minimum": INSTANCES_EACH, "maximum": INSTANCES_EACH + 2}}
            tx.add(service)
            tx.flush()
            tx.add(
                ConfigurationRow(
                    service_id=service.id, version=1, document=document, created_at=NOW, created_by="bench"
                )
            )
            tx.add(_deployment(number, service.id))
            tx.flush()
            for ordinal in range(1, INSTANCES_EACH + 1):
                row = _instance(f"{name}-1-{ordinal}", service.id, number, ordinal, slot)
                tx.add(row)
                world.start(_spec(row, name))
                slot += 1


def _deployment(number: int, service_id: int) -> DeploymentRow:
    return DeploymentRow(
        id=number,
        service_id=service_id,
        number=1,
        state=DeploymentState.SUCCEEDED,
        reason=Reason.DEPLOY,
        requested_by="bench",
        source="bench",
        note="",
        requested_at=NOW,
        entered_at=NOW,
        configuration_version=1,
        same_configuration=False,
        keep_smoke=True,
        snapshot_id="one",
        snapshot_number=1,
        known_failing=[],
        instances_wanted=INSTANCES_EACH,
        ended_at=NOW,
        outcome="switched",
        stumbles=0,
        lease_token=1,
        lease_beat=0,
    )


def _instance(instance_id: str, service_id: int, deployment_id: int, ordinal: int, slot: int) -> InstanceRow:
    return InstanceRow(
        id=instance_id,
        service_id=service_id,
        deployment_id=deployment_id,
        ordinal=ordinal,
        slot=slot,
        token="t",
        snapshot_id="one",
        snapshot_number=1,
        created_at=NOW,
        started_at=NOW,
        routed_at=NOW,
        presence=Presence.RUNNING,
        state=InstanceState.READY,
        url=DOOR,
        healthy=True,
        passes=3,
        failures=0,
        healthy_since=NOW,
        observed_at=NOW,
        restarts=0,
        isolation="simulated",
        plugins=[],
        log_tail=[],
    )


def _spec(row: InstanceRow, service: str) -> InstanceSpec:
    return InstanceSpec(row.id, service, 1, "one", 1, "t", "/w", (), "/m", "/i")


def seconds_of(act: Callable[[], None]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def settle(look: Callable[[], None], fleet: Fleet) -> float:
    """Look until nothing is under way; returns the seconds of all looks together."""
    spent, deadline = 0.0, time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        spent += seconds_of(look)
        if not fleet.working:
            return spent
        fleet.wait(LIMIT_SECONDS)
    raise SystemExit(f"the fleet did not settle within {LIMIT_SECONDS:g} s")


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        home.root.mkdir()
        settings = Settings(disk_room_bytes=0)
        control = open_control(settings.control_database(home))
        world = SimulatedWorld()
        fill(control, world)
        slots = tuple(Slot(number, None) for number in range(SERVICES * INSTANCES_EACH + 100))
        machinery = Machinery(
            home,
            control,
            settings,
            SimulatedDriver(world),
            slots,
            FakeSnapshots(home.root),
            FakeWorkstations(),
            Gateways(home),
            lambda: datetime.now(UTC),
        )
        fleet = Fleet(machinery)
        sweep = Sweep(control, Ticker(machinery), fleet, settings.tick_seconds)
        print(f"services {SERVICES}, instances {SERVICES * INSTANCES_EACH}, on SQLite")
        print(f"first look at everything   {settle(sweep.look, fleet):8.2f} s")
        settled = [seconds_of(sweep.look) for _ in range(TICKS)]
        p95 = statistics.quantiles(settled, n=20)[18]
        print(f"settled tick, median       {statistics.median(settled) * 1000:8.2f} ms")
        print(f"settled tick, 95 of 100    {p95 * 1000:8.2f} ms")
        print(f"settled tick, longest      {max(settled) * 1000:8.2f} ms")
        world.end("service-500-1-3", InstanceState.FAILED, "it was ended by the bench")
        ticks = []
        deadline = time.monotonic() + LIMIT_SECONDS
        while "service-500-1-3" in world.ids() or len(world.ids()) < SERVICES * INSTANCES_EACH:
            ticks.append(seconds_of(sweep.look))
            fleet.wait(LIMIT_SECONDS)
            if time.monotonic() > deadline:
                raise SystemExit("the lost instance was not replaced")
        print(f"changed: {len(ticks)} looks until replaced, the longest {max(ticks) * 1000:.2f} ms")
        fleet.close()
        control.close()
        print(f"goal: a settled tick under {GOAL_SECONDS * 1000:g} ms")
        return 0 if statistics.median(settled) < GOAL_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
