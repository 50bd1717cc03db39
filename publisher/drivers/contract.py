"""What every driver can do. One contract suite in tests/contract/drivers runs on each of them.

The caller chooses the id before the start, so each call may be repeated, and a started instance is found
again by its id. A driver never owns a rollout: it starts, looks, stops and reads logs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from online_runtime.instance.spec import InstanceReport, InstanceSpec


class Presence(StrEnum):
    """What a driver sees from outside, whether or not the instance answers."""

    ABSENT = "absent"
    RUNNING = "running"
    ENDED = "ended"  # the process is gone; its folder, log and last report are still there


@dataclass(frozen=True)
class Observation:
    """One look at one instance. `report` is None when its door did not answer in time; `problem` says why."""

    instance_id: str
    presence: Presence
    door: str | None = None
    report: InstanceReport | None = None
    problem: str | None = None


class Driver(Protocol):
    """Starts and stops instances somewhere."""

    name: str

    def create(self, spec: InstanceSpec) -> None:
        """Start the instance. Starting one that runs already does nothing. Raises DriverError."""

    def inspect(self, instance_id: str, *, timeout_seconds: float = 5.0) -> Observation:
        """Look at one instance and ask it for its report. A reply with a wrong token counts as no reply."""

    def stop(self, instance_id: str, *, grace_seconds: float = 30.0) -> None:
        """Ask it to end, then end it; returns when the process is gone. Raises StopFailed.

        Stopping an absent one does nothing.
        """

    def logs(self, instance_id: str, *, lines: int = 200) -> tuple[str, ...]:
        """The last lines of its engine's log; empty when there is none."""

    def list(self) -> tuple[str, ...]:
        """Ids of all instances this driver knows, running or ended."""

    def changes(self) -> frozenset[str] | None:
        """Ids of instances whose observation became another since this was last asked; None when this driver
        cannot tell, so that each has to be looked at. Telling too many is harmless, too few is not.
        """

    def remove(self, instance_id: str) -> None:
        """Forget an ended instance: its private layer and folder. Refuses a running one with StillRunning."""
