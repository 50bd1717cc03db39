"""What a rotation knows: the deployment, its instances, the numbers it goes by. Pure.

Desired and observed stand apart. The publisher writes what it wants (`started_at`, `drain_since`,
`stopped_at`); a watcher writes only what an instance said of itself (`presence`, `state`, `healthy`,
`problem`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from online_runtime.instance.spec import InstanceState
from publisher.drivers.contract import Presence
from publisher.states import FINAL, DeploymentState


class Reason(StrEnum):
    """Why a deployment was asked for."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    CONFIGURATION = "configuration"


class Rotation(StrEnum):
    """How new instances get their slots."""

    SURGE = "surge"  # each in a spare slot beside the old side
    IN_PLACE = "in-place"  # in slots that the old side gives up while the gateway holds calls


class Level(StrEnum):
    """How much a preflight finding matters."""

    OK = "ok"
    WARNING = "warning"
    REFUSAL = "refusal"


@dataclass(frozen=True)
class Finding:
    """What one preflight check found, as a sentence. `accepted_by` took the risk of it, by name."""

    name: str
    level: Level
    sentence: str
    accepted_by: str | None = None


@dataclass(frozen=True)
class Side:
    """A deployment that serves, or served before this one."""

    deployment_id: int
    number: int
    snapshot_id: str
    snapshot_number: int
    configuration_version: int
    instances_wanted: int = 1


@dataclass(frozen=True)
class Timing:
    """The numbers of one rotation: the service's configuration over the platform's settings."""

    health_interval_seconds: float = 2.0
    health_timeout_seconds: float = 5.0
    health_passes: int = 3
    health_failures: int = 3
    start_deadline_seconds: float = 900.0
    minimum_healthy_seconds: float = 10.0
    bake_seconds: float = 60.0
    drain_soft_seconds: float = 600.0
    drain_hard_seconds: float = 1800.0


@dataclass(frozen=True)
class Deployment:
    """One attempt to bring a service to one snapshot and one configuration. `number` counts per service."""

    id: int
    service: str
    number: int
    state: DeploymentState
    reason: Reason
    requested_by: str
    source: str
    note: str
    requested_at: datetime
    entered_at: datetime  # when it came into its present state
    configuration_version: int
    instances_wanted: int = 1
    has_smoke: bool = False
    same_configuration: bool = False  # as the serving side's
    snapshot_reference: str | None = None  # what was asked for; None: freeze the workstation
    snapshot_id: str | None = None
    snapshot_number: int | None = None
    previous: Side | None = None
    rolls_back_to: int | None = None  # number of the deployment whose side is wanted again
    findings: tuple[Finding, ...] | None = None
    known_failing: tuple[str, ...] = ()  # plugins that did not import in the workstation either
    expected_plugins: tuple[str, ...] = ()  # enabled ones of the snapshot: a candidate must report each
    accepted: tuple[str, ...] = ()  # findings that whoever asked accepts, by name
    rotation: Rotation = Rotation.SURGE  # decided by preflight
    slots_at_hand: int = 0  # in place: how many instances, old and new together, may live at once
    switched_at: datetime | None = None
    switch_visible_at: datetime | None = None
    drain_since: datetime | None = None
    returned_at: datetime | None = None
    ended_at: datetime | None = None
    cancelled_by: str | None = None
    failure: str | None = None
    outcome: str = ""

    @property
    def final(self) -> bool:
        return self.state in FINAL

    @property
    def moves_slots(self) -> bool:
        """In place, and old instances are giving up their slots."""
        proving = self.state in (DeploymentState.PROVING, DeploymentState.ROTATING)
        return proving and self.rotation is Rotation.IN_PLACE

    @property
    def brings_back(self) -> bool:
        """In place, and the previous side is being started again: the executor looks after it."""
        return self.state is DeploymentState.RETURNING and self.rotation is Rotation.IN_PLACE


@dataclass(frozen=True)
class Instance:
    """One engine process on one slot, as the control database knows it."""

    id: str
    service: str
    deployment_id: int
    deployment_number: int
    ordinal: int
    slot: int
    gpu: int | None
    snapshot_id: str
    snapshot_number: int
    created_at: datetime
    token: str = field(repr=False, default="")
    started_at: datetime | None = None
    routed_at: datetime | None = None  # since when it has been in the routing table
    admitted_at: datetime | None = None  # takes calls beside the side that serves; cleared by the switch
    drain_since: datetime | None = None
    counted_at: datetime | None = None  # when the work on a draining one was last counted
    unfinished_jobs: int | None = None  # None: not known
    open_calls: int | None = None
    stop_failed_at: datetime | None = None
    stopped_at: datetime | None = None
    stop_reason: str | None = None  # why it drains or was stopped
    failed_at: datetime | None = None  # it ended by itself, or never became healthy, outside deployments
    presence: Presence | None = None
    state: InstanceState | None = None
    url: str | None = None
    healthy: bool = False
    passes: int = 0
    failures: int = 0
    healthy_since: datetime | None = None
    observed_at: datetime | None = None
    restarts: int = 0
    isolation: str | None = None
    problem: str | None = None
    last_exit: Mapping[str, Any] | None = None
    plugins: tuple[Mapping[str, Any], ...] = ()
    smoked_at: datetime | None = None
    log_tail: tuple[str, ...] = ()

    @property
    def live(self) -> bool:
        """Not stopped by us: it holds its slot."""
        return self.stopped_at is None

    @property
    def gone(self) -> bool:
        """Ended by itself, or given up by its own keeper."""
        ended = self.presence in (Presence.ENDED, Presence.ABSENT)
        return self.started_at is not None and (ended or self.state is InstanceState.FAILED)


@dataclass(frozen=True)
class Event:
    """One step of a deployment as it was carried out. `ended_at` is None while it runs."""

    kind: str
    subject: str
    state: DeploymentState
    started_at: datetime
    ended_at: datetime | None
    result: str  # "running", "ok", "failed", "interrupted"
    detail: str
    data: Mapping[str, Any]
