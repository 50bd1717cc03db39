"""The publisher's side of the snapshotter.

What goes into a snapshot of a project, and what an instance mounts of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from online_runtime.instance.spec import Mount
from publisher.snapshots import Difference, Frozen, View
from snapshotter.catalogue import find_snapshot, list_snapshots
from snapshotter.components import BaseFacts, components_of
from snapshotter.describe.machine import machine_facts
from snapshotter.diff import diff
from snapshotter.freeze import FreezeProgress, freeze
from snapshotter.manifest import Snapshot
from snapshotter.materialise import view_of
from snapshotter.objects import Store
from workstation.layout import Home, Project


class ProjectSnapshots:
    """Freezes the workstations of one home; finds, shows and compares what was frozen."""

    def __init__(self, home: Home, progress: Callable[[FreezeProgress], None] | None = None) -> None:
        self._home, self._progress = home, progress

    def freeze(self, project: str) -> Frozen:
        """Freeze the workstation, and make the views that instances mount.

        Raises Snapshotter- and WorkstationError.
        """
        from workstation.project import read_project  # GitPython and more hang on these; a GPU box has none

        paths, file = read_project(self._home, project)
        base, facts = _base_facts(self._home, file.base), _component_facts(paths)
        result = freeze(
            self._store,
            project,
            paths.snapshots,
            paths.workstation.root,
            components_of(paths, base, facts),
            {"machine": machine_facts(), "base": file.base, "environment": file.environment},
            progress=self._progress,
        )
        view_of(self._store, result.snapshot)
        said = (
            f"Snapshot {result.snapshot.number} ({result.snapshot.id[:12]}): {result.files_read} files read, "
            f"{result.bytes_stored} bytes stored in {result.seconds:.2f} s."
        )
        unchanged = f"Nothing changed since snapshot {result.snapshot.number} ({result.snapshot.id[:12]})."
        return Frozen(
            result.snapshot.id, result.snapshot.number, result.new, said if result.new else unchanged
        )

    def resolve(self, project: str, reference: str) -> Frozen:
        """Find an existing snapshot and make its views. Raises SnapshotNotFound, AmbiguousSnapshot."""
        snapshot = find_snapshot(self._home.project(project).snapshots, reference)
        view_of(self._store, snapshot)
        said = f"Snapshot {snapshot.number} ({snapshot.id[:12]}) is there and whole."
        return Frozen(snapshot.id, snapshot.number, False, said)

    def view(self, project: str, snapshot_id: str) -> View:
        """The mounts of an instance of this snapshot. Raises SnapshotNotFound."""
        snapshot = self._find(project, snapshot_id)
        views = view_of(self._store, snapshot)
        workstation = Path(snapshot.workstation)
        base = next((component for component in snapshot.components if component.kind == "base"), None)
        return View(
            workstation=snapshot.workstation,
            mounts=tuple(
                Mount(component.name, str(views[component.name]), str(component.place_in(workstation)))
                for component in snapshot.components
            ),
            base_site_packages=base.place if base else None,
            base_fingerprint=str(base.facts["fingerprint"]) if base else None,
        )

    def difference(self, project: str, old_id: str, new_id: str) -> Difference:
        """What changed between two snapshots of this project. A pruned old one is said, not an error."""
        by_id = {snapshot.id: snapshot for snapshot in list_snapshots(self._home.project(project).snapshots)}
        if old_id not in by_id:
            return Difference(
                (f"The previous snapshot ({old_id[:12]}) is no longer there to compare with.",), {}
            )
        found = diff(self._store, by_id[old_id], by_id[new_id])
        return Difference(tuple(found.lines()), found.as_json())

    @property
    def _store(self) -> Store:
        return Store(self._home.store)

    def _find(self, project: str, snapshot_id: str) -> Snapshot:
        return find_snapshot(self._home.project(project).snapshots, snapshot_id)


def _base_facts(home: Home, name: str) -> BaseFacts:
    from workstation.bases import read_base

    base = read_base(home, name)
    return BaseFacts(base.name, base.site_packages, base.fingerprint, {"version": base.python_version})


def _component_facts(project: Project) -> Mapping[str, Mapping[str, Any]]:
    """What the workstation knows of its engine and plugins, for the searchable half of the manifest."""
    from workstation.engines import engine_version
    from workstation.plugins.inventory import list_plugins, plugin_facts

    engine = engine_version(project.workstation)
    facts: dict[str, Mapping[str, Any]] = {"engine": vars(engine)}
    for plugin in list_plugins(project.workstation):
        facts[plugin.path.relative_to(project.workstation.root).as_posix()] = plugin_facts(plugin)
    return facts
