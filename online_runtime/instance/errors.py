"""What can go wrong in an instance. Each error has fields and a sentence that names the next step.

InstanceError
├── SpecTooNew
├── SpecUnreadable
├── ViewMissing
├── PlaceMissing
├── ViewRefused
├── CopyFailed
├── BaseChanged
├── AlreadyRunning
├── SecretsNotHanded
└── EngineSilent
    └── EngineBusyOrStuck
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class InstanceError(Exception):
    """Root of all errors of this package."""


class SpecTooNew(InstanceError):
    """A spec.json of a format this version cannot read."""

    def __init__(self, found: object, known: int) -> None:
        self.found, self.known = found, known
        super().__init__(
            f"spec.json has format {found}, this version knows {known}: upgrade stillframe on this machine."
        )


class SpecUnreadable(InstanceError):
    """A spec.json that is absent, damaged, or names a path that is not absolute."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(f"{file} cannot be used: {reason}. Remove this instance and create it again.")


class ViewMissing(InstanceError):
    """The frozen tree of a component, or the shared models folder, is not on this machine."""

    def __init__(self, component: str, source: str) -> None:
        self.component, self.source = component, source
        super().__init__(
            f"{component} should be at {source}, which does not exist: "
            "materialise the snapshot again, then start."
        )


class PlaceMissing(InstanceError):
    """A frozen component belongs at a path that this machine lacks, so there is nothing to mount it on."""

    def __init__(self, component: str, place: Path) -> None:
        self.component, self.place = component, place
        super().__init__(
            f"{component} belongs at {place}, which does not exist here: "
            "make that folder (it may stay empty), then start again."
        )


class ViewRefused(InstanceError):
    """The kernel refused a step of building the private view."""

    def __init__(self, step: str, place: str, reason: str) -> None:
        self.step, self.place, self.reason = step, place, reason
        super().__init__(
            f"The view could not be built: {step} at {place} failed: {reason}. `dmesg` may say more."
        )


class CopyFailed(InstanceError):
    """A frozen component could not be copied into the instance's layer."""

    def __init__(self, component: str, target: Path, reason: str) -> None:
        self.component, self.target, self.reason = component, target, reason
        super().__init__(
            f"{component} could not be copied to {target}: {reason}. Free some room there, then start again."
        )


class BaseChanged(InstanceError):
    """The base in its place is not the one frozen with the snapshot, and it cannot be covered by that one."""

    def __init__(self, place: str, wanted: str, found: str) -> None:
        self.place, self.wanted, self.found = place, wanted, found
        super().__init__(
            f"The base at {place} has fingerprint {found}, the snapshot was frozen with {wanted}: "
            "restore that base, or allow mount namespaces on this machine so that the frozen one is used."
        )


class SecretsNotHanded(InstanceError):
    """The agent was started without the secrets that its spec names."""

    def __init__(self, instance_id: str, missing: Iterable[str]) -> None:
        self.instance_id, self.missing = instance_id, tuple(missing)
        super().__init__(
            f"Instance {instance_id} was not given its secrets {', '.join(self.missing)}: whoever started it "
            "was cut off. It is started again with them."
        )


class AlreadyRunning(InstanceError):
    """Another agent keeps this instance."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"{folder} is kept by another agent already: nothing was started.")
