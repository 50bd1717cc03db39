"""The use cases of an online service, as the doors call them.

Each is one transaction and, after it, one wake-up.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from online_runtime.jobs.database import open_jobs
from publisher import requests, usage
from publisher.clock import Clock, utc_now
from publisher.configuration import Configuration, merge, read_configuration
from publisher.configurations import Asker, Configurations, refuse_secrets
from publisher.db import deployments, fleets, instances, keys, services
from publisher.db.control import Control
from publisher.db.fleets import Moment
from publisher.db.keys import TokenView
from publisher.deployment import Deployment, Instance, Reason
from publisher.drivers.contract import Driver
from publisher.errors import CancelTooLate, RollbackRefused
from publisher.history import DeploymentRecord, ServiceView, record_of, view_of
from publisher.keyring import Keyring
from publisher.preflight import check_acceptable, run_preflight
from publisher.requests import Request
from publisher.room import Plan
from publisher.routes import hold_seconds, publish_routes, serving_configuration
from publisher.secrets import secret_problems
from publisher.settings import Settings
from publisher.slots import HeldSlot, detect_slots, with_holders
from publisher.snapshots import Snapshots, Workstations
from publisher.states import DeploymentState
from publisher.usage import DayOfUse, Overview
from snapshotter.errors import SnapshotterError
from workstation.layout import Home

TOKEN_BYTES = 32


class Publisher:
    """What a door may ask for.

    `wake` is called with a deployment's row id after its commit; losing that is harmless.
    """

    def __init__(
        self,
        home: Home,
        control: Control,
        settings: Settings,
        wake: Callable[[int], None],
        *,
        snapshots: Snapshots | None = None,
        workstations: Workstations | None = None,
        driver: Driver | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._home, self._control, self._settings, self._wake, self._clock = (
            home,
            control,
            settings,
            wake,
            clock,
        )
        self._given = snapshots, workstations, driver

    # Deployments

    def request_deployment(
        self,
        project: str,
        *,
        by: str,
        source: str,
        note: str = "",
        snapshot: str | None = None,
        smoke_workflow: Mapping[str, Any] | None = None,
        keep_smoke: bool = True,
        configuration_changes: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        accept: Sequence[str] = (),
    ) -> Deployment:
        """Queue a deployment, making the service on first use.

        A dry run only fills `findings`, with number 0. `accept` names findings that shall not stand in the
        way.

        Raises DeploymentInProgress, ConfigurationInvalid, NotAcceptable, WorkstationError (no such project,
        workflow not in API format), SnapshotterError (no such snapshot). Then nothing was changed.
        """
        accepted = check_acceptable(accept)
        refuse_secrets(configuration_changes or {})
        self._workstations.check(project)
        if smoke_workflow is not None:
            self._workstations.check_workflow(smoke_workflow)
        if snapshot is not None:
            snapshot = self._snapshots.resolve(project, snapshot).snapshot_id
        request = Request(
            project,
            by,
            source,
            note,
            Reason.DEPLOY,
            snapshot,
            smoke_workflow,
            keep_smoke,
            configuration_changes,
            accepted,
        )
        if dry_run:
            return self._dry_run(request)
        deployment = requests.enter(self._control, request, self._clock())
        self._wake(deployment.id)
        return deployment

    def configure(
        self, project: str, changes: Mapping[str, Any], *, by: str, source: str, note: str = ""
    ) -> Deployment | None:
        """Change the configuration; where something is served this is a deployment of the same snapshot.

        None when the service serves nothing yet: the new version waits for its first deployment. Raises
        ConfigurationInvalid, DeploymentInProgress, ServiceNotFound, WorkstationError (a bad smoke workflow).
        """
        if changes.get("smoke_workflow") is not None:
            self._workstations.check_workflow(changes["smoke_workflow"])
        return self.configurations.change(project, changes, Asker(by, source, note))

    def roll_back(
        self, project: str, *, to: int | None = None, by: str, source: str, note: str = ""
    ) -> Deployment:
        """Queue a new deployment to the side of deployment `to`, or of the one before the present.

        Raises RollbackRefused, NothingDeployed, DeploymentNotFound, DeploymentInProgress, ServiceNotFound.
        """
        with self._control.read() as tx:
            service = services.read(tx, project)
            requests.refuse_when_busy(tx, service)
            target = requests.rollback_target(tx, service, to)
        try:
            self._snapshots.resolve(project, target.snapshot_id or "")
        except SnapshotterError as problem:
            raise RollbackRefused(
                project, f"the snapshot of deployment {target.number} cannot be used: {problem}"
            ) from problem
        request = Request(project, by, source, note, Reason.ROLLBACK)
        deployment = requests.enter_rollback(self._control, request, target.number, self._clock())
        self._wake(deployment.id)
        return deployment

    def cancel(self, project: str, number: int, by: str) -> Deployment:
        """Before the switch the new side is removed; after it the previous side gets the traffic back.

        Raises CancelTooLate once it has ended or the old side drains, DeploymentNotFound, ServiceNotFound.
        """
        with self._control.write() as tx:
            service = services.read(tx, project)
            deployment = deployments.numbered(tx, service.id, project, number)
            if deployment.final or deployment.state is DeploymentState.RETURNING:
                raise CancelTooLate(project, number, deployment.state)
            if deployment.drain_since is not None:
                raise CancelTooLate(project, number, "already draining the old instances")
            deployments.change(tx, deployment.id, cancelled_by=by)
        self._wake(deployment.id)
        return deployment

    def deployments(self, project: str, limit: int = 50) -> tuple[Deployment, ...]:
        """The newest first. Raises ServiceNotFound."""
        with self._control.read() as tx:
            return deployments.latest(tx, services.read(tx, project).id, limit)

    def deployment(self, project: str, number: int) -> DeploymentRecord:
        """The whole record. Raises DeploymentNotFound, ServiceNotFound."""
        with self._control.read() as tx:
            service = services.read(tx, project)
            record = record_of(tx, deployments.numbered(tx, service.id, project, number))
        if record.deployment.state is not DeploymentState.FREEZING:
            return record
        from publisher.freeze_progress import read_progress  # the snapshotter, and only while it freezes

        return replace(record, freezing=read_progress(self._home.project(project)))

    # Services and instances

    def service(self, project: str) -> ServiceView:
        """Raises ServiceNotFound."""
        with self._control.read() as tx:
            return view_of(tx, services.read(tx, project))

    def services(self) -> tuple[ServiceView, ...]:
        """All services by name."""
        with self._control.read() as tx:
            return tuple(view_of(tx, service) for service in services.everyone(tx))

    def overview(self, project: str, since: datetime) -> Overview:
        """Wanted and actual numbers, now and since then. Raises ServiceNotFound."""
        with self._control.read() as tx:
            return usage.overview(tx, project, since, self._clock())

    def usage(self, project: str, first: date, last: date) -> tuple[DayOfUse, ...]:
        """Instance seconds, jobs and inference seconds of each UTC day. Raises ServiceNotFound."""
        file, url = self._home.root / "jobs.db", self._settings.jobs_url
        known = url is not None or file.exists()  # no gateway ever started: nothing is made for this
        database = open_jobs(url or f"sqlite:///{file}") if known else None
        try:
            with self._control.read() as tx:
                return usage.usage(tx, database, project, first, last, self._clock())
        finally:
            if database is not None:
                database.close()

    def lifecycle(self, project: str, instance_id: str) -> tuple[Moment, ...]:
        """What happened to an instance, in its order. Raises InstanceNotFound, ServiceNotFound."""
        with self._control.read() as tx:
            service = services.read(tx, project)
            instances.of_service_by_id(tx, service.id, project, instance_id)
            return fleets.moments(tx, instance_id)

    def slots(self) -> tuple[HeldSlot, ...]:
        """The places of this machine, and which instance holds each. Raises GpusUnreadable."""
        with self._control.read() as tx:
            return with_holders(detect_slots(self._settings), instances.taken_slots(tx))

    def resume_service(self, project: str) -> None:
        """Let the fleet start instances again after a crash loop. Raises ServiceNotFound."""
        with self._control.write() as tx:
            service = services.read(tx, project)
            halt = {"halted_at": None, "halted_deployment_id": None, "halted_why": None}
            fleets.change(tx, service.id, **halt, resumed_at=self._clock(), problem=None)

    def stop_service(self, project: str) -> None:
        """Take the service out of traffic.

        The fleet drains and stops its instances. The next deployment starts it.

        Raises DeploymentInProgress, ServiceNotFound.
        """
        with self._control.write() as tx:
            service = services.read(tx, project)
            requests.refuse_when_busy(tx, service)
            if service.stopped_at is None:
                services.change(tx, service.id, stopped_at=self._clock())
        publish_routes(self._control, self._home, self._settings)

    def instances(self, project: str) -> tuple[Instance, ...]:
        """The newest first, stopped ones too. Raises ServiceNotFound."""
        with self._control.read() as tx:
            return instances.of_service(tx, services.read(tx, project).id)

    def instance_log(self, project: str, instance_id: str, lines: int = 200) -> tuple[str, ...]:
        """The last lines; of a stopped instance those that were kept.

        Raises InstanceNotFound, ServiceNotFound.
        """
        with self._control.read() as tx:
            service = services.read(tx, project)
            instance = instances.of_service_by_id(tx, service.id, project, instance_id)
        told = self._driver.logs(instance_id, lines=lines) if instance.live else ()
        return told or instance.log_tail[-lines:]

    # Tokens

    def create_token(self, project: str, name: str) -> tuple[TokenView, str]:
        """A new token of the service's endpoint, and its secret, which is shown this once.

        Raises ServiceNotFound.
        """
        secret = secrets.token_urlsafe(TOKEN_BYTES)
        with self._control.write() as tx:
            service = services.read(tx, project)
            digest = hashlib.sha256(secret.encode()).hexdigest()
            view = keys.add_token(tx, service.id, f"tok-{secrets.token_hex(4)}", name, digest, self._clock())
        publish_routes(self._control, self._home, self._settings)
        return view, secret

    def tokens(self, project: str) -> tuple[TokenView, ...]:
        """Revoked ones too. Raises ServiceNotFound."""
        with self._control.read() as tx:
            return keys.tokens(tx, services.read(tx, project).id)

    def revoke_token(self, project: str, token_id: str) -> None:
        """Gateways refuse it as soon as they show the new table. Raises TokenNotFound, ServiceNotFound."""
        with self._control.write() as tx:
            service = services.read(tx, project)
            keys.revoke_token(tx, service.id, project, token_id, self._clock())
        publish_routes(self._control, self._home, self._settings)

    def _dry_run(self, request: Request) -> Deployment:
        with self._control.read() as tx:
            service = services.find(tx, request.project)
            current, old, hold = Configuration(), 0, 0.0
            if service is not None:
                requests.refuse_when_busy(tx, service)
                document = services.configuration(tx, service.id, service.configuration_version)
                current = read_configuration(document)
                old = len(instances.live(tx, service.id))
                hold = hold_seconds(serving_configuration(tx, service), self._settings)
            taken = instances.taken_slots(tx)
            wanted = merge(current, request.changes or {})
            number = requests.instances_wanted(tx, service, wanted, self._clock())
            sealed = secret_problems(tx, self._home, self._settings, service, wanted) if service else ()
        smoke = request.smoke_workflow or wanted.smoke_workflow
        plan = Plan(
            request.project,
            number,
            len(detect_slots(self._settings)),
            taken,
            0,
            request.snapshot,
            smoke,
            old_instances=old,
            rotation=wanted.rotation,
            hold_seconds=hold,
            accepted=request.accepted,
            by=request.by,
            network=wanted.network,
            secret_problems=sealed,
        )
        found = run_preflight(plan, self._home, self._settings, self._snapshots, self._workstations)
        now = self._clock()
        return Deployment(
            id=0,
            service=request.project,
            number=0,
            state=DeploymentState.PREFLIGHT,
            reason=request.reason,
            requested_by=request.by,
            source=request.source,
            note=request.note,
            requested_at=now,
            entered_at=now,
            configuration_version=0,
            instances_wanted=number,
            has_smoke=smoke is not None,
            findings=found.findings,
            known_failing=found.failing,
            accepted=request.accepted,
            rotation=found.rotation,
            slots_at_hand=found.slots_at_hand,
            outcome="dry run",
        )

    @property
    def configurations(self) -> Configurations:
        """Versions of configurations, and secrets."""
        keyring = Keyring.of(self._home, self._settings)
        return Configurations(self._control, keyring, self._wake, self._clock)

    @property
    def _snapshots(self) -> Snapshots:
        if self._given[0] is not None:
            return self._given[0]
        from publisher.freezing import ProjectSnapshots  # most use cases need neither store nor git

        return ProjectSnapshots(self._home)

    @property
    def _workstations(self) -> Workstations:
        if self._given[1] is not None:
            return self._given[1]
        from publisher.projects import ProjectWorkstations

        return ProjectWorkstations(self._home)

    @property
    def _driver(self) -> Driver:
        if self._given[2] is not None:
            return self._given[2]
        from publisher.drivers.process import ProcessDriver

        return ProcessDriver(self._home.instances)
