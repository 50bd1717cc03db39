"""Starting and ending one instance: its id and token are committed before the driver is called."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from online_runtime.instance.spec import InstanceSpec
from publisher.clock import Clock
from publisher.configuration import read_configuration
from publisher.crash import crash_point
from publisher.db import deployments, instances, services
from publisher.db.control import Control, Transaction
from publisher.deployment import Instance
from publisher.drivers.contract import Driver, Presence
from publisher.drivers.errors import DriverError
from publisher.errors import NoFreeSlot
from publisher.keyring import Keyring
from publisher.secrets import opened
from publisher.settings import Settings
from publisher.slots import Slot
from publisher.snapshots import Snapshots
from workstation.layout import Home

Write = Callable[
    [], AbstractContextManager[Transaction]
]  # a transaction; the executor's is fenced by its lease


class Launcher:
    """Brings single instances up and down. Every call may be repeated after a crash."""

    def __init__(
        self,
        home: Home,
        control: Control,
        settings: Settings,
        driver: Driver,
        slots: tuple[Slot, ...],
        snapshots: Snapshots,
        clock: Clock,
    ) -> None:
        self._home, self._control, self._settings = home, control, settings
        self._driver, self._slots, self._snapshots, self._clock = driver, slots, snapshots, clock

    def start(self, deployment_id: int, ordinal: int, write: Write) -> Instance:
        """Instance `ordinal` of a deployment, running. Raises NoFreeSlot, DriverError, SnapshotterError."""
        with write() as tx:
            instance = instances.numbered(tx, deployment_id, ordinal) or self._enter(
                tx, deployment_id, ordinal
            )
        if instance.started_at is not None:
            return instance
        crash_point("row")
        self._driver.create(self._spec(instance))
        crash_point("created")
        with write() as tx:
            instances.change(tx, [instance.id], started_at=self._clock(), presence=Presence.RUNNING)
            return instances.read(tx, instance.id)

    def stop(self, instance: Instance, write: Write, heir: int | None = None, *, why: str = "") -> None:
        """Keep the last log lines, end the process, forget its folder.

        Only when the process is really gone its slot is free: in the same write a new instance of the
        deployment `heir` takes it, so that no other service can. `why` is kept. Raises DriverError; the slot
        stays taken then.
        """
        with write() as tx:
            instances.change(tx, [instance.id], log_tail=self.log_tail(instance) or instance.log_tail)
        try:
            self._driver.stop(instance.id, grace_seconds=self._settings.stop_grace_seconds)
            self._driver.remove(instance.id)
        except DriverError as problem:
            with write() as tx:
                instances.change(tx, [instance.id], stop_failed_at=self._clock(), problem=str(problem))
            raise
        crash_point("stopped")
        with write() as tx:
            ended: dict[str, Any] = {"stopped_at": self._clock(), "stop_reason": why or instance.stop_reason}
            instances.change(tx, [instance.id], **ended, presence=Presence.ABSENT, healthy=False)
            if heir is not None:
                slot = Slot(instance.slot, instance.gpu)
                self._create(tx, heir, instances.next_ordinal(tx, heir), slot)

    def log_tail(self, instance: Instance) -> tuple[str, ...]:
        """The last lines of its log; empty when its driver has none."""
        return self._driver.logs(instance.id, lines=self._settings.log_tail_lines)

    def _enter(self, tx: Transaction, deployment_id: int, ordinal: int) -> Instance:
        taken = instances.taken_slots(tx)
        slot = next((slot for slot in self._slots if slot.number not in taken), None)
        if slot is None:
            raise NoFreeSlot(len(self._slots), sorted(taken.values()))
        return self._create(tx, deployment_id, ordinal, slot)

    def _create(self, tx: Transaction, deployment_id: int, ordinal: int, slot: Slot) -> Instance:
        deployment = deployments.read(tx, deployment_id)
        birth = instances.Birth(
            id=f"{deployment.service}-{deployment.number}-{ordinal}-{secrets.token_hex(2)}",
            token=secrets.token_urlsafe(32),
            deployment_id=deployment_id,
            ordinal=ordinal,
            slot=slot.number,
            gpu=slot.gpu,
        )
        return instances.create(tx, birth, self._clock())

    def _spec(self, instance: Instance) -> InstanceSpec:
        with self._control.read() as tx:
            deployment = deployments.read(tx, instance.deployment_id)
            service = services.read(tx, instance.service)
            document = services.configuration(tx, service.id, deployment.configuration_version)
            configuration = read_configuration(document)
            secrets_of_it = opened(tx, Keyring.of(self._home, self._settings), service, configuration)
        view = self._snapshots.view(instance.service, instance.snapshot_id)
        return InstanceSpec(
            instance_id=instance.id,
            service=instance.service,
            deployment=instance.deployment_number,
            snapshot_id=instance.snapshot_id,
            snapshot_number=instance.snapshot_number,
            token=instance.token,
            workstation=view.workstation,
            mounts=view.mounts,
            models=str(self._home.models),
            input=str(_made(self._home.project(instance.service).service / "input")),
            base_site_packages=view.base_site_packages,
            base_fingerprint=view.base_fingerprint,
            gpu=instance.gpu,
            arguments=configuration.arguments,
            environment=configuration.environment,
            network=configuration.network,
            network_ports=configuration.network_ports,
            secret_names=tuple(sorted(secrets_of_it)),
            secrets=secrets_of_it,
        )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
