"""What can go wrong between the publisher and a driver.

PublisherError
└── DriverError
    ├── BadInstanceId
    ├── StartFailed
    ├── StopFailed
    ├── StillRunning
    ├── DriverOccupied
    └── InstanceUnreadable
"""

from __future__ import annotations

from publisher.errors import PublisherError


class DriverError(PublisherError):
    """Root of all errors of drivers. `instance_id` says which instance."""

    def __init__(self, instance_id: str, sentence: str) -> None:
        self.instance_id = instance_id
        super().__init__(sentence)


class BadInstanceId(DriverError):
    """An id that could leave its folder."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(
            instance_id,
            f"{instance_id!r} cannot name an instance: use letters, digits, '-' and '_', at most 64.",
        )


class StartFailed(DriverError):
    """The instance's agent did not come up. `log_tail` holds the last lines it wrote."""

    def __init__(self, instance_id: str, reason: str, log_tail: tuple[str, ...] = ()) -> None:
        self.reason, self.log_tail = reason, log_tail
        last = f" Its last line: {log_tail[-1]}" if log_tail else ""
        super().__init__(instance_id, f"Instance {instance_id} did not start: {reason}.{last}")


class StopFailed(DriverError):
    """A process of the instance survived SIGKILL: its GPU is not free. Stop it again later."""

    def __init__(self, instance_id: str, pids: tuple[int, ...], waited_seconds: float) -> None:
        self.pids, self.waited_seconds = pids, waited_seconds
        names = ", ".join(str(pid) for pid in pids)
        super().__init__(
            instance_id,
            f"Instance {instance_id} still has process {names} {waited_seconds:.0f} s after SIGKILL "
            "(a hung driver or disk?): its GPU is not free. Stop it again, or restart the machine.",
        )


class StillRunning(DriverError):
    """A running instance cannot be forgotten."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(instance_id, f"Instance {instance_id} still runs: stop it before removing it.")


class DriverOccupied(DriverError):
    """Another caller has been starting, stopping or removing the same instance for too long."""

    def __init__(self, instance_id: str, waited_seconds: float) -> None:
        self.waited_seconds = waited_seconds
        super().__init__(
            instance_id,
            f"Instance {instance_id} is being started, stopped or removed by another process "
            f"({waited_seconds:.0f} s already): look again in a moment.",
        )


class InstanceUnreadable(DriverError):
    """What lies in an instance's folder is not what its agent writes."""

    def __init__(self, instance_id: str, reason: str) -> None:
        self.reason = reason
        super().__init__(
            instance_id,
            f"Instance {instance_id} cannot be judged: {reason}. "
            "End its processes by hand, then delete its folder.",
        )
