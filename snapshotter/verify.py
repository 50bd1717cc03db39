"""Prove that a snapshot's bytes are what their names say; set aside what is not, for a freeze to heal it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snapshotter.forked import MAX_UNITS, forked_map
from snapshotter.locks import exclusive_lock
from snapshotter.manifest import Component, Snapshot
from snapshotter.materialise import view_path
from snapshotter.objects import ObjectKey, Store
from snapshotter.scan import WORKERS
from snapshotter.tree import Kind, shown
from snapshotter.verify_walk import Records, read_records
from snapshotter.walk import below_as_far_as_possible

OBJECTS_A_UNIT = 16


@dataclass(frozen=True)
class Damage:
    """One path of a component that cannot be had as it was frozen. `object` names what is damaged in the
    store.

    `snapshots` are the folder names ("7-3f9c0a11d2e4") of those among the verified that use it.
    """

    component: str
    path: str
    object: str
    reason: str
    snapshots: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.component}: {self.path or '(the component itself)'}: {self.reason} (object {self.object})"
        )


@dataclass(frozen=True)
class VerifyReport:
    """What was verified and everything that is damaged. `set_aside` counts what was moved into quarantine."""

    snapshots: tuple[str, ...]
    files_checked: int
    bytes_checked: int
    damages: tuple[Damage, ...]
    set_aside: int

    @property
    def ok(self) -> bool:
        return not self.damages


def verify(
    store: Store, snapshot: Snapshot, *, quarantine: bool = True, workers: int = WORKERS
) -> VerifyReport:
    """Read every byte of one snapshot; see `verify_all`."""
    return verify_all(store, [snapshot], quarantine=quarantine, workers=workers)


def verify_all(
    store: Store, snapshots: Sequence[Snapshot], *, quarantine: bool = True, workers: int = WORKERS
) -> VerifyReport:
    """Read every byte of these snapshots, shared ones once, and name each damaged path and the snapshots that
    use it.

    With `quarantine`, damaged objects and the views made of them are moved to STORE/quarantine and the next
    freeze reads every file again: one whose workstation still has the bytes heals them. Raises OSError,
    ForkFailed.
    """
    components: dict[str, list[tuple[str, Component]]] = {}
    for snapshot in snapshots:
        for component in snapshot.components:
            components.setdefault(component.tree, []).append((snapshot.folder_name, component))
    records = read_records(
        store, {tree: _made_view(store, users[0][1]) for tree, users in components.items()}, workers
    )
    reasons = {**records.broken, **_broken_objects(store, records, workers)}
    check = _Check(store, components, reasons, records.strange)
    set_aside = 0
    if quarantine and check.reasons:
        with exclusive_lock(store.root / "lock"):
            set_aside = check.set_aside()
    names = tuple(snapshot.folder_name for snapshot in snapshots)
    damages = tuple(check.damages())
    return VerifyReport(names, len(records.objects), records.size_bytes, damages, set_aside)


def _made_view(store: Store, component: Component) -> bytes:
    view = os.fsencode(view_path(store, component))
    return view if os.path.lexists(view) else b""


def _broken_objects(store: Store, records: Records, workers: int) -> dict[str, str]:
    """The name of each damaged object and why, after reading all of them."""
    ordered = records.largest_first()
    units = min(MAX_UNITS, -(-len(ordered) // OBJECTS_A_UNIT))

    def work(unit: int) -> Iterator[tuple[str, str]]:
        for key, size in ordered[unit::units]:
            reason = store.verify(key, size)
            if reason:
                yield key.name, reason

    return dict(forked_map(units, work, workers))


class _Check:
    """What is damaged, and what uses it: the names of objects, records and views (`views/TREE`)."""

    def __init__(
        self,
        store: Store,
        components: Mapping[str, Sequence[tuple[str, Component]]],
        reasons: Mapping[str, str],
        strange: Mapping[str, bytes],
    ) -> None:
        self.store, self.components = store, components
        self.uses: dict[str, list[tuple[str, str]]] = {}  # Name: (tree, path) of everything that needs it.
        for tree in components if reasons else ():
            self._add_uses(tree, reasons)
        # What nobody misses any more was given back by somebody since it was read.
        self.reasons = {name: reason for name, reason in reasons.items() if name in self.uses}
        self.records = {name for name in self.reasons if "." not in name}
        for tree, path in strange.items():
            self.reasons[f"views/{tree}"] = "its view was changed"
            self.uses[f"views/{tree}"] = [(tree, shown(path))]

    def _add_uses(self, tree: str, reasons: Mapping[str, str]) -> None:
        for path, digest, entry, problem in below_as_far_as_possible(self.store, tree):
            name = digest.hex()
            if problem is None:
                if entry is None or entry.kind is not Kind.FILE:
                    continue
                name = ObjectKey.of(entry).name
            if name in reasons:
                self.uses.setdefault(name, []).append((tree, shown(path)))

    def damages(self) -> Iterator[Damage]:
        """One Damage for each component name and path that needs something broken."""
        for name, reason in sorted(self.reasons.items()):
            for tree, path in self.uses[name]:
                users = self.components[tree]
                for component in sorted({component.name for _, component in users}):
                    snapshots = tuple(folder for folder, used in users if used.name == component)
                    yield Damage(component, path, name, reason, snapshots)

    def set_aside(self) -> int:
        """Move what is damaged out of the way, with the views that are made of it.

        A running instance keeps the view that it has mounted.
        """
        moved = sum(_move(self.store, _stored(self.store, name)) for name in sorted(self.reasons))
        hurt = [name for name in self.reasons if name not in self.records]
        made_of_it = sorted({tree for name in hurt for tree, _ in self.uses[name]})
        moved += sum(_move(self.store, _stored(self.store, f"views/{tree}")) for tree in made_of_it)
        self.store.forget_scans()
        return moved


def _stored(store: Store, name: str) -> Path:
    if name.startswith("views/"):
        return store.root / name
    folder = "objects" if "." in name else "trees"
    return store.root / folder / name[:2] / name


def _move(store: Store, path: Path) -> int:
    if not os.path.lexists(path):
        return 0
    number = sum(1 for _ in (store.root / "quarantine").iterdir())
    path.rename(store.root / "quarantine" / f"{number}-{path.name}")
    return 1
