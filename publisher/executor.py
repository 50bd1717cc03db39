"""Performs exactly one step and writes down how it went. The lease's token guards every write.

Effects are taken up again after a crash: each step finds what an earlier try left and completes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from publisher import steps
from publisher.crash import crash_point
from publisher.db import deployments, instances, services
from publisher.db.control import Transaction
from publisher.deployment import Deployment, Instance, Timing
from publisher.drivers.contract import Presence
from publisher.errors import ControlUnreachable, GatewayBehind, LeaseLost, PublisherError, SmokeFailed
from publisher.machinery import Machinery
from publisher.preparing import difference_from_previous, expected_plugins, look_before, smoke_workflow
from publisher.routes import accepts
from publisher.smoke import run_smoke
from publisher.states import DeploymentState, advance
from publisher.watching import differs, inspect, look_at
from publisher.work import count_work
from snapshotter.errors import SnapshotterError
from workstation.errors import WorkstationError

log = structlog.get_logger("publisher.executor")

# What a step may meet in its own domain: told in the record, and decided upon by the next step.
KNOWN_TROUBLE = (PublisherError, SnapshotterError, WorkstationError, OSError)
STUMBLES_ALLOWED = 5  # unexpected errors in a row before a deployment is given up


@dataclass(frozen=True)
class Told:
    """What a step has to say of itself."""

    detail: str = ""
    data: Mapping[str, Any] | None = None


class Executor:
    """Carries out steps of one deployment under one lease. `timing` are the numbers of its configuration."""

    def __init__(self, machinery: Machinery, deployment_id: int, lease_token: int, timing: Timing) -> None:
        self._m, self._id, self._token, self._timing = machinery, deployment_id, lease_token, timing

    def perform(self, step: steps.Step, deployment: Deployment) -> None:
        """One step, one event. Raises LeaseLost and database errors; domain errors end in the record."""
        crash_point("before")
        # Hundreds of looks would bury the record; what they find is told by the steps that follow from it.
        if isinstance(step, steps.Probe):
            return self._probe(step)
        if isinstance(step, steps.CountWork):
            return self._count(step.instance_ids)
        with self._write() as tx:
            subject = getattr(step, "instance_id", None) or ""
            event = deployments.begin_event(
                tx, self._id, type(step).__name__, subject, deployment.state, self._m.clock()
            )
        try:
            told, result = self._act(step, deployment), "ok"
        except (LeaseLost, ControlUnreachable):
            raise
        except KNOWN_TROUBLE as problem:
            told, result = self._in_trouble(step, problem), "failed"
        except Exception as problem:
            self._stumbled(event, problem)
            raise
        crash_point("acted")
        with self._write() as tx:
            deployments.end_event(tx, event, self._m.clock(), result, told.detail, told.data or {})
            deployments.change(tx, self._id, stumbles=0)
        of = {"service": deployment.service, "deployment": deployment.number, "state": deployment.state}
        log.info("step", step=type(step).__name__, instance=subject or None, result=result, **of)
        crash_point("recorded")
        return None

    def _act(self, step: steps.Step, deployment: Deployment) -> Told:
        match step:
            case steps.AdvanceTo(state):
                return self._advance(deployment, state)
            case steps.RunPreflight():
                return self._preflight(deployment)
            case steps.Freeze():
                return self._freeze(deployment)
            case steps.StartInstance(ordinal):
                return self._start(ordinal)
            case steps.RunSmoke(instance_id):
                return self._smoke(deployment, instance_id)
            case steps.Admit(instance_id):
                return self._admit(instance_id)
            case steps.Switch():
                return self._switch(deployment)
            case steps.SwitchBack():
                return self._switch_back(deployment)
            case steps.Drain(instance_ids):
                return self._drain(deployment, instance_ids)
            case steps.StopInstance(instance_id, why, heir):
                return self._stop(instance_id, why, heir)
            case steps.Reopen(instance_ids):
                return self._reopen(instance_ids)
            case steps.StartAgain(instance_id):
                return self._start_again(instance_id)
            case steps.Fail(why, instance_id):
                return self._fail(why, instance_id)
            case steps.Finish(state, outcome):
                return self._finish(deployment, state, outcome)
            case _:
                raise AssertionError(f"{step} is not for an executor")

    def _advance(self, deployment: Deployment, state: DeploymentState) -> Told:
        with self._write() as tx:
            now = advance(deployment.state, state)
            deployments.change(tx, self._id, state=now, entered_at=self._m.clock())
        return Told(f"{deployment.state} -> {state}")

    def _preflight(self, deployment: Deployment) -> Told:
        found = look_before(self._m, deployment)
        known = found.failing or deployment.known_failing
        with self._write() as tx:
            deployments.store_preflight(
                tx, self._id, found.findings, known, found.rotation, found.slots_at_hand
            )
        said = " ".join(f"{finding.name}: {finding.sentence}" for finding in found.findings)
        return Told(said, {"findings": [vars(finding) for finding in found.findings]})

    def _freeze(self, deployment: Deployment) -> Told:
        snapshots, project = self._m.snapshots, deployment.service
        reference = deployment.snapshot_reference
        frozen = snapshots.freeze(project) if reference is None else snapshots.proved(project, reference)
        diff = difference_from_previous(snapshots, deployment, frozen)
        expected = expected_plugins(self._m, deployment, frozen.snapshot_id)
        with self._write() as tx:
            deployments.change(
                tx,
                self._id,
                snapshot_id=frozen.snapshot_id,
                snapshot_number=frozen.number,
                diff=diff,
                expected_plugins=list(expected),
            )
        return Told(
            frozen.detail, {"snapshot": frozen.snapshot_id, "number": frozen.number, "new": frozen.new}
        )

    def _start(self, ordinal: int) -> Told:
        instance = self._m.launcher.start(self._id, ordinal, self._write)
        where = "a CPU slot" if instance.gpu is None else f"GPU {instance.gpu}"
        return Told(f"Instance {instance.id} was started on slot {instance.slot} ({where}).")

    def _probe(self, step: steps.Probe) -> None:
        for instance_id in step.instance_ids:
            instance = self._instance(instance_id)
            values = look_at(self._m.driver, instance, self._timing, self._m.clock())
            if values["presence"] is not Presence.RUNNING or differs(instance, values):
                values["log_tail"] = self._m.launcher.log_tail(instance)
            with self._write() as tx:
                instances.change(tx, [instance_id], **values)
                now = instances.read(tx, instance_id)
                takes_calls = accepts(now, services.read(tx, now.service))
                if takes_calls and now.routed_at is None:
                    instances.change(tx, [instance_id], routed_at=self._m.clock())
            if (
                now.routed_at is not None or takes_calls
            ):  # gateways learn of it at once, not at the next sweep
                self._m.routes.publish()

    def _smoke(self, deployment: Deployment, instance_id: str) -> Told:
        with self._m.control.read() as tx:
            workflow = smoke_workflow(tx, deployment) or {}
        instance = self._instance(instance_id)
        result = run_smoke(
            instance,
            workflow,
            self._m.settings.smoke_deadline_seconds,
            lambda: self._still_there(instance_id),
        )
        with self._write() as tx:
            instances.change(tx, [instance_id], smoked_at=self._m.clock())
        said = f"The smoke workflow gave {result.outputs} outputs in {result.seconds:g} s."
        return Told(said, vars(result))

    def _still_there(self, instance_id: str) -> bool:
        with self._m.control.read() as tx:
            given_up = deployments.read(tx, self._id).cancelled_by is not None
        seen = inspect(self._m.driver, self._instance(instance_id), self._timing)
        return seen.presence is Presence.RUNNING and not given_up

    def _admit(self, instance_id: str) -> Told:
        now = self._m.clock()
        with self._write() as tx:
            instances.change(tx, [instance_id], admitted_at=now, routed_at=now)
        crash_point("admitted")
        version = self._publish_and_wait()
        return Told(f"Routing table {version} gives calls to {instance_id} beside the old side.")

    def _switch(self, deployment: Deployment) -> Told:
        now = self._m.clock()
        with self._write() as tx:
            service = services.read(tx, deployment.service)
            services.change(tx, service.id, serving_deployment_id=self._id, stopped_at=None)
            own = [i.id for i in instances.of_deployment(tx, self._id) if i.live]
            instances.change(tx, own, routed_at=now, admitted_at=None)
            deployments.change(tx, self._id, switched_at=deployment.switched_at or now)
        crash_point("switched")
        version = self._publish_and_wait()
        with self._write() as tx:
            deployments.change(tx, self._id, switch_visible_at=self._m.clock())
        return Told(
            f"Routing table {version} gives the traffic to the new side; every live gateway shows it."
        )

    def _switch_back(self, deployment: Deployment) -> Told:
        back_to = deployment.previous.deployment_id if deployment.previous else None
        with self._write() as tx:
            service = services.read(tx, deployment.service)
            services.change(tx, service.id, serving_deployment_id=back_to)
        crash_point("switched")
        try:
            version, late = self._publish_and_wait(), ""
        except (
            GatewayBehind
        ) as problem:  # the others are back already; going on is better than standing still
            version, late = problem.version, f" {problem}"
        with self._write() as tx:
            deployments.change(tx, self._id, returned_at=self._m.clock())
        number = f"deployment {deployment.previous.number}" if deployment.previous else "nobody"
        return Told(f"Routing table {version} gives the traffic back to {number}.{late}")

    def _publish_and_wait(self) -> int:
        version = self._m.routes.publish()
        self._m.gateways.wait_until_visible(version, self._m.settings.visible_deadline_seconds)
        return version

    def _drain(self, deployment: Deployment, instance_ids: tuple[str, ...]) -> Told:
        now = self._m.clock()
        with self._write() as tx:
            if deployment.state is DeploymentState.BAKING:
                deployments.change(tx, self._id, drain_since=now)
            instances.change(tx, instance_ids, drain_since=now)
        self._m.routes.publish()
        return Told(f"Waiting for the work on {', '.join(instance_ids) or 'nobody'}.")

    def _count(self, instance_ids: tuple[str, ...]) -> None:
        leaving = [self._instance(instance_id) for instance_id in instance_ids]
        counted = count_work(self._m.driver, self._m.gateways, leaving, self._timing, self._m.clock())
        with self._write() as tx:
            for instance_id, values in counted.items():
                instances.change(tx, [instance_id], **values)

    def _stop(self, instance_id: str, why: str, heir: int | None) -> Told:
        self._m.launcher.stop(self._instance(instance_id), self._write, heir, why=why)
        self._m.routes.publish()
        return Told(f"Instance {instance_id} was stopped: {why}.")

    def _reopen(self, instance_ids: tuple[str, ...]) -> Told:
        fresh = {"drain_since": None, "counted_at": None, "unfinished_jobs": None, "open_calls": None}
        with self._write() as tx:
            # What was about to be stopped may have ended: it is looked at before it is counted upon.
            instances.change(tx, instance_ids, **fresh, observed_at=None)
        self._m.routes.publish()
        return Told(f"{', '.join(instance_ids)}: takes calls again.")

    def _start_again(self, instance_id: str) -> Told:
        instance = self._instance(instance_id)
        try:
            self._m.launcher.start(instance.deployment_id, instance.ordinal, self._write)
        except ControlUnreachable:
            raise  # of the instance that says nothing
        except KNOWN_TROUBLE as problem:
            with self._write() as tx:
                instances.change(tx, [instance_id], observed_at=self._m.clock(), problem=str(problem))
            raise
        return Told(f"Instance {instance_id} of the previous side was started on slot {instance.slot}.")

    def _fail(self, why: str, instance_id: str | None) -> Told:
        data = self._evidence(instance_id)
        with self._write() as tx:
            deployments.change(tx, self._id, failure=why)
        return Told(why, data)

    def _finish(self, deployment: Deployment, state: DeploymentState, outcome: str) -> Told:
        now = self._m.clock()
        with self._write() as tx:
            advance(deployment.state, state)
            deployments.change(tx, self._id, state=state, outcome=outcome, entered_at=now, ended_at=now)
            deployments.end_running(tx, self._id, now, outcome)  # nobody comes back to what has ended
            if state is DeploymentState.SUCCEEDED:
                self._settle(tx, deployment)
        self._m.routes.publish()
        return Told(outcome)

    def _settle(self, tx: Transaction, deployment: Deployment) -> None:
        """What succeeded becomes what later deployments start from."""
        service = services.read(tx, deployment.service)
        version = deployment.configuration_version
        smoke, keep = deployments.smoke_of(tx, self._id)
        document = services.configuration(tx, service.id, version)
        if smoke is not None and keep and document.get("smoke_workflow") != smoke:
            kept = {**document, "smoke_workflow": smoke}
            version = services.add_configuration(
                tx, service.id, kept, deployment.requested_by, self._m.clock()
            )
        services.change(tx, service.id, configuration_version=version)

    def _in_trouble(self, step: steps.Step, problem: Exception) -> Told:
        """A failed stop is the fleet's to repeat; any other failed step fails the deployment."""
        instance_id = getattr(step, "instance_id", None)
        data = self._evidence(instance_id)
        if isinstance(problem, SmokeFailed):
            data |= {"node": problem.node, "traceback": problem.traceback}
        if not isinstance(step, steps.StopInstance):
            with self._write() as tx:
                if deployments.read(tx, self._id).failure is None:
                    deployments.change(tx, self._id, failure=str(problem))
        return Told(str(problem), data)

    def _stumbled(self, event: int, problem: Exception) -> None:
        """An error nobody thought of: it may be gone at the next try, but not for ever."""
        said = f"{type(problem).__name__}: {problem}"
        with self._write() as tx:
            deployments.end_event(tx, event, self._m.clock(), "failed", said, {})
            if deployments.stumble(tx, self._id) >= STUMBLES_ALLOWED:
                deployments.change(
                    tx, self._id, failure=f"An unexpected error came {STUMBLES_ALLOWED} times: {said}"
                )

    def _evidence(self, instance_id: str | None) -> dict[str, Any]:
        """What a reader of the record needs to see of a broken instance."""
        if not instance_id:
            return {}
        instance = self._instance(instance_id)
        tail = self._m.launcher.log_tail(instance) or instance.log_tail
        with self._write() as tx:
            instances.change(tx, [instance_id], log_tail=tail)
        failing = [dict(plugin) for plugin in instance.plugins if not plugin["ok"]]
        return {
            "last_probe": instance.problem,
            "last_exit": instance.last_exit,
            "failing_plugins": failing,
            "log_tail": list(tail),
        }

    def _instance(self, instance_id: str) -> Instance:
        with self._m.control.read() as tx:
            return instances.read(tx, instance_id)

    @contextmanager
    def _fenced(self) -> Iterator[Transaction]:
        with self._m.control.fenced(self._id, self._token) as tx:
            yield tx

    def _write(self) -> AbstractContextManager[Transaction]:
        return self._fenced()
