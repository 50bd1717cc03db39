"""What can go wrong while freezing and giving back. Each error has fields and a sentence that names the next
step.

    SnapshotterError
    ├── NotFreezable             things in the workstation that a snapshot cannot hold, all of them
    ├── FileKeepsChanging        one file never held still while it was read
    ├── WorkstationKeepsChanging the workstation as a whole never held still
    ├── FreezeInProgress         another process freezes this project
    ├── StoreFull
    ├── StoreTooNew
    ├── ObjectMissing            bytes that a snapshot needs are not in the store
    ├── ObjectDamaged            bytes in the store are not what their name says
    ├── SnapshotDamaged          a snapshot that was about to be used has such bytes
    ├── TreeMalformed            a directory record that does not follow the format
    ├── ManifestTooNew
    ├── ManifestDamaged
    ├── SnapshotNotFound
    ├── AmbiguousSnapshot
    ├── ForkFailed               a forked scanner or reader died
    ├── NoSyncfs                 this system cannot make the store durable
    ├── WorkstationRuns          a restore while the workstation's engine is at work
    ├── NotRestorable            a snapshot that cannot be put into this workstation
    ├── NoRoomToRestore
    ├── SnapshotNeeded           deleting what a deployment, an instance or the history needs
    ├── StoreBusy                others are in the store and do not leave
    └── NotCollectable           what is needed cannot be told, so nothing is removed

The arguments of an error are its fields, so that errors travel between forked processes unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """One thing that cannot be frozen: where it lies and why.

    `path` is relative to the component, for people.
    """

    component: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.component}: {self.path or '(the component itself)'}: {self.reason}"


class SnapshotterError(Exception):
    """Root of all errors of this package."""

    def sentence(self) -> str:
        """What happened, on what, and what to do next."""
        return ", ".join(str(argument) for argument in self.args)

    def __str__(self) -> str:
        return self.sentence()


class NotFreezable(SnapshotterError):
    """What the workstation holds and a snapshot cannot; `refusals` names everything that was found."""

    SHOWN = 20

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(tuple(refusals))
        self.refusals = tuple(refusals)

    def sentence(self) -> str:
        lines = [f"  {refusal}" for refusal in self.refusals[: self.SHOWN]]
        if len(self.refusals) > self.SHOWN:
            lines.append(f"  and {len(self.refusals) - self.SHOWN} more")
        return "\n".join(
            ["Nothing was frozen, because these cannot be kept (remove, replace or repair them):", *lines]
        )


class FileKeepsChanging(SnapshotterError):
    """A file was different before and after every attempt to read it."""

    def __init__(self, path: str, attempts: int) -> None:
        super().__init__(path, attempts)
        self.path, self.attempts = path, attempts

    def sentence(self) -> str:
        return (
            f"{self.path} changed during each of {self.attempts} readings: stop what writes to it, then "
            "freeze again."
        )


class WorkstationKeepsChanging(SnapshotterError):
    """Files were still being changed after every round; `changed` names folders of the last round."""

    def __init__(self, rounds: int, changed: Sequence[str]) -> None:
        super().__init__(rounds, tuple(changed))
        self.rounds, self.changed = rounds, tuple(changed)

    def sentence(self) -> str:
        return (
            f"The workstation was still changing after {self.rounds} rounds, last in "
            f"{', '.join(self.changed[:5])}: "
            "stop what writes there, then freeze again."
        )


class FreezeInProgress(SnapshotterError):
    """Another process holds the project's freeze lock. `pid` is None when the holder left no number."""

    def __init__(self, project: str, pid: int | None) -> None:
        super().__init__(project, pid)
        self.project, self.pid = project, pid

    def sentence(self) -> str:
        return (
            f"Project {self.project} is being frozen by process {self.pid or 'unknown'}: wait for it, then "
            "try again."
        )


class StoreFull(SnapshotterError):
    """The disk of the store had no room; what this freeze had stored was removed where nobody else could need
    it.
    """

    def __init__(self, needed_bytes: int, free_bytes: int) -> None:
        super().__init__(needed_bytes, free_bytes)
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes

    def sentence(self) -> str:
        return (
            f"The store has no room: up to {self.needed_bytes} bytes were still to be stored, "
            f"{self.free_bytes} are free. "
            "Nothing was published. Free some space on the store's disk, then freeze again."
        )


class StoreTooNew(SnapshotterError):
    """The store was made by a version that knows more than this one."""

    def __init__(self, found: str, known: int) -> None:
        super().__init__(found, known)
        self.found, self.known = found, known

    def sentence(self) -> str:
        return f"The store has format {self.found}, this version knows {self.known}: upgrade stillframe."


class ObjectMissing(SnapshotterError):
    """An object or directory record is not in the store."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def sentence(self) -> str:
        return (
            f"Object {self.name} is not in the store: run `snapshot verify`, then freeze the workstation "
            "again."
        )


class ObjectDamaged(SnapshotterError):
    """An object or directory record does not have the digest or size that its name promises."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def sentence(self) -> str:
        return (
            f"Object {self.name} in the store is damaged ({self.reason}): run `snapshot verify`, "
            "then freeze the workstation again."
        )


class SnapshotDamaged(SnapshotterError):
    """A snapshot that somebody wants to use, some of whose bytes cannot be had as they were frozen."""

    def __init__(self, project: str, snapshot: str, damaged: int, first: str) -> None:
        super().__init__(project, snapshot, damaged, first)
        self.project, self.snapshot, self.damaged, self.first = project, snapshot, damaged, first

    def sentence(self) -> str:
        number = self.snapshot.partition("-")[0]
        return (
            f"Snapshot {self.snapshot} of {self.project} is damaged in {self.damaged} places, the first: "
            f"{self.first}. Nothing was changed: run `stillframe snapshot verify {self.project} {number} "
            "--heal`, or take another snapshot."
        )


class TreeMalformed(SnapshotterError):
    """Bytes that are no directory record of a format that this version knows."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def sentence(self) -> str:
        return (
            f"A directory record cannot be read ({self.reason}): upgrade stillframe or run `snapshot verify`."
        )


class ManifestTooNew(SnapshotterError):
    """A manifest of a format that this version does not know. Nothing else of it was read."""

    def __init__(self, found: object, known: int) -> None:
        super().__init__(found, known)
        self.found, self.known = found, known

    def sentence(self) -> str:
        return (
            f"The snapshot's manifest has format {self.found}, this version knows {self.known}: upgrade "
            "stillframe."
        )


class ManifestDamaged(SnapshotterError):
    """A manifest that is not JSON, lacks a field, or does not have the digest that it states."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def sentence(self) -> str:
        return (
            f"The manifest {self.path} is damaged ({self.reason}): restore it from a copy or delete that "
            "snapshot."
        )


class SnapshotNotFound(SnapshotterError):
    """No snapshot answers to `ref`; `existing` says which there are, newest first."""

    def __init__(self, ref: str, existing: Sequence[str]) -> None:
        super().__init__(ref, tuple(existing))
        self.ref, self.existing = ref, tuple(existing)

    def sentence(self) -> str:
        if not self.existing:
            return (
                f"There is no snapshot {self.ref!r}: this project has none yet. Freeze the workstation first."
            )
        return f"There is no snapshot {self.ref!r}. There are: {', '.join(self.existing[:10])}."


class AmbiguousSnapshot(SnapshotterError):
    """Several different snapshots begin with `ref`."""

    def __init__(self, ref: str, matches: Sequence[str]) -> None:
        super().__init__(ref, tuple(matches))
        self.ref, self.matches = ref, tuple(matches)

    def sentence(self) -> str:
        return (
            f"{self.ref!r} means several snapshots: {', '.join(self.matches)}. Give more letters or the "
            "number."
        )


class ForkFailed(SnapshotterError):
    """A forked scanner or reader ended without finishing its work."""

    def __init__(self, pid: int, status: int) -> None:
        super().__init__(pid, status)
        self.pid, self.status = pid, status

    def sentence(self) -> str:
        return f"Reader process {self.pid} ended with status {self.status} before it was done: freeze again."


class NoSyncfs(SnapshotterError):
    """`syncfs` is missing or failed, so that the store could not be made durable."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def sentence(self) -> str:
        return (
            f"The store could not be written through to its disk ({self.reason}): check the disk, then "
            "freeze again."
        )


class WorkstationRuns(SnapshotterError):
    """The engine of the workstation runs, and would read and write files while they are replaced."""

    def __init__(self, project: str) -> None:
        super().__init__(project)
        self.project = project

    def sentence(self) -> str:
        return (
            f"The workstation of {self.project} runs: `stillframe workstation stop {self.project}`, then "
            "restore again. Nothing was changed."
        )


class NotRestorable(SnapshotterError):
    """A snapshot whose parts cannot be put into this workstation; `reason` says which and what to do."""

    def __init__(self, snapshot: str, reason: str) -> None:
        super().__init__(snapshot, reason)
        self.snapshot, self.reason = snapshot, reason

    def sentence(self) -> str:
        return f"Snapshot {self.snapshot} cannot be restored: {self.reason}. Nothing was changed."


class NoRoomToRestore(SnapshotterError):
    """The disk has no room for the restored files beside those that they replace."""

    def __init__(self, needed_bytes: int, free_bytes: int) -> None:
        super().__init__(needed_bytes, free_bytes)
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes

    def sentence(self) -> str:
        return (
            f"A restore builds its files beside the present ones and needs {self.needed_bytes} bytes; "
            f"{self.free_bytes} are free. Nothing was changed. Free some space, then restore again."
        )


class SnapshotNeeded(SnapshotterError):
    """A snapshot that something still needs cannot be deleted; `reason` names what."""

    def __init__(self, snapshot: str, reason: str) -> None:
        super().__init__(snapshot, reason)
        self.snapshot, self.reason = snapshot, reason

    def sentence(self) -> str:
        return f"Snapshot {self.snapshot} is needed: {self.reason}. It was not deleted."


class StoreBusy(SnapshotterError):
    """Freezes or views were being made during the whole wait for the store."""

    def __init__(self, limit_seconds: float) -> None:
        super().__init__(limit_seconds)
        self.limit_seconds = limit_seconds

    def sentence(self) -> str:
        return (
            f"Others were at work in the store for {self.limit_seconds:g} s (freezes, views being made): "
            "nothing was removed. Try again when they are done."
        )


class NotCollectable(SnapshotterError):
    """What a snapshot needs cannot be read, so that nothing can safely be called unneeded."""

    def __init__(self, snapshot: str, reason: str) -> None:
        super().__init__(snapshot, reason)
        self.snapshot, self.reason = snapshot, reason

    def sentence(self) -> str:
        return (
            f"Nothing was removed, because what snapshot {self.snapshot} needs cannot be told: {self.reason} "
            "Run `stillframe snapshot verify --all --heal`, or delete that snapshot."
        )
