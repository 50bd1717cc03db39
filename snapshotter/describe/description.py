"""One snapshot as people ask for it: what its manifest says, and what is only known by looking around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snapshotter.diff import diff
from snapshotter.manifest import Component, Snapshot
from snapshotter.objects import Store
from workstation.layout import Home
from workstation.models import find_model, known_digest


@dataclass(frozen=True)
class SnapshotDescription:
    """`new_bytes` are those that its parent had not; None when there is no parent to compare with.

    `models` are the manifest's, with digests that were computed since, of files that are still the same.
    """

    snapshot: Snapshot
    parent: Snapshot | None
    new_bytes: int | None
    models: tuple[Mapping[str, Any], ...]

    @property
    def new_share(self) -> float | None:
        """Which part of its bytes the parent had not; None without a parent or bytes."""
        if self.new_bytes is None or not self.snapshot.size_bytes:
            return None
        return self.new_bytes / self.snapshot.size_bytes

    def parts(self, kind: str) -> list[Component]:
        """Its components of one kind, by name."""
        return [part for part in self.snapshot.components if part.kind == kind]

    def facts(self, kind: str) -> Mapping[str, Any]:
        """The facts of its only component of that kind; empty without one."""
        return next((part.facts for part in self.parts(kind)), {})

    def as_json(self) -> dict[str, Any]:
        """The snapshot's own fields, and what this adds to them."""
        parent = self.parent and {"number": self.parent.number, "id": self.parent.id}
        added = {"new_bytes": self.new_bytes, "new_share": self.new_share, "models": list(self.models)}
        return {
            **vars(self.snapshot),
            "size_bytes": self.snapshot.size_bytes,
            "files": self.snapshot.files,
            "parent_snapshot": parent,
            **added,
        }


def describe(store: Store, home: Home, snapshot: Snapshot, others: Sequence[Snapshot]) -> SnapshotDescription:
    """`others` are the project's snapshots. Raises ObjectMissing, ObjectDamaged, TreeMalformed."""
    parent = next((one for one in others if one.id == snapshot.parent and one.number < snapshot.number), None)
    new_bytes = None if parent is None else diff(store, parent, snapshot).new_bytes
    models = tuple(_with_digest(home, model) for model in snapshot.facts.get("models", ()))
    return SnapshotDescription(snapshot, parent, new_bytes, models)


def _with_digest(home: Home, model: Mapping[str, Any]) -> Mapping[str, Any]:
    """A digest is of this snapshot's model only while the file is as it was then."""
    if model["digest"] is not None or model["size_bytes"] is None:
        return model
    file = find_model(home, model["kind"], model["name"])
    if file is None or not file.path.is_file():
        return model
    if (file.size_bytes, file.modified_at.isoformat()) != (model["size_bytes"], model["modified_at"]):
        return model
    digest = known_digest(home, file.path)
    return model if digest is None else {**model, "digest": f"blake3:{digest}"}
