"""The publisher's side of the snapshotter.

What goes into a snapshot of a project, and what an instance mounts of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from online_runtime.instance.spec import Mount
from publisher.freeze_progress import kept_progress
from publisher.snapshots import Difference, Frozen, View
from snapshotter.backends.at_rest import at_rest
from snapshotter.backends.contract import Sealed
from snapshotter.catalogue import find_snapshot, list_snapshots
from snapshotter.describe.unpublished import look
from snapshotter.diff import SnapshotDiff, diff
from snapshotter.errors import SnapshotDamaged
from snapshotter.freeze import FreezeProgress, FreezeResult, freeze
from snapshotter.manifest import Snapshot
from snapshotter.materialise import view_of
from snapshotter.objects import Store
from snapshotter.verify import verify
from workstation.digesting import start_digesting
from workstation.layout import Home, Project
from workstation.models import find_model, known_digest

if TYPE_CHECKING:
    from publisher.db.control import Control
    from snapshotter.describe.gathering import Gathered
    from workstation.project import ProjectFile

MOST_RECORDED_FILES = 200  # a deployment's record names so many files a component, and counts them all
WORKSTATION = "workstation"


class ProjectSnapshots:
    """Freezes the workstations of one home; finds, shows and compares what was frozen.

    `progress` is told how far a freeze is; without it that is kept where others can read it.
    `smoke_workflow_of` gives the smoke workflow of a project's service, whose models a manifest names too.
    """

    def __init__(
        self,
        home: Home,
        progress: Callable[[FreezeProgress], None] | None = None,
        smoke_workflow_of: Callable[[str], Mapping[str, Any] | None] | None = None,
    ) -> None:
        self._home, self._progress = home, progress
        self._smoke_workflow_of = smoke_workflow_of

    def freeze(self, project: str) -> Frozen:
        """Freeze the workstation, and make the views that instances mount.

        Raises Snapshotter- and WorkstationError.
        """
        from workstation.project import read_project

        paths, file = read_project(self._home, project)
        result, mode = at_rest(self._home, paths, lambda sealed: self._frozen(paths, file, sealed))
        view_of(self._store, result.snapshot)
        start_digesting(self._home, self._undigested(result.snapshot))
        said = (
            f"Snapshot {result.snapshot.number} ({result.snapshot.id[:12]}): {result.files_read} files read, "
            f"{result.bytes_stored} bytes stored in {result.seconds:.2f} s"
        )
        said += "." if mode.name == "plain" else f", {mode.reason} ({mode.name})."
        unchanged = f"Nothing changed since snapshot {result.snapshot.number} ({result.snapshot.id[:12]})."
        return Frozen(
            result.snapshot.id, result.snapshot.number, result.new, said if result.new else unchanged
        )

    def _frozen(self, paths: Project, file: ProjectFile, sealed: Sealed | None) -> FreezeResult:
        """What `at_rest` wants done: all is looked at and read in the state that it shows."""
        gathered = self._gathered(paths, file)
        with nullcontext(self._progress) if self._progress is not None else kept_progress(paths) as progress:
            return freeze(
                self._store if sealed is None else Store(self._home.store, sealed.rule),
                paths.name,
                paths.snapshots,
                paths.workstation.root,
                gathered.sources,
                gathered.facts,
                progress=progress,
                sealed=sealed is not None,
            )

    def resolve(self, project: str, reference: str) -> Frozen:
        """Find an existing snapshot and make its views. Raises SnapshotNotFound, AmbiguousSnapshot."""
        snapshot = find_snapshot(self._home.project(project).snapshots, reference)
        view_of(self._store, snapshot)
        said = f"Snapshot {snapshot.number} ({snapshot.id[:12]}) is there and whole."
        return Frozen(snapshot.id, snapshot.number, False, said)

    def proved(self, project: str, reference: str) -> Frozen:
        """Find an existing snapshot, read every byte of it again, and make its views.

        Raises SnapshotDamaged, SnapshotNotFound, AmbiguousSnapshot. What is damaged is left where it lies:
        instances may be running from it.
        """
        snapshot = find_snapshot(self._home.project(project).snapshots, reference)
        report = verify(self._store, snapshot, quarantine=False)
        if not report.ok:
            first = str(report.damages[0])
            raise SnapshotDamaged(project, snapshot.folder_name, len(report.damages), first)
        found = self.resolve(project, snapshot.id)
        said = f"{found.detail.removesuffix('.')}: {report.files_checked} files were read again."
        return replace(found, detail=said)

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
        return Difference(tuple(found.lines()), found.as_json(MOST_RECORDED_FILES))

    def compare(self, project: str, old: str, new: str | None = None) -> SnapshotDiff:
        """What `new` has that `old` had not; without `new`, the workstation as it is now.

        Nothing is stored or published. Raises Snapshotter- and WorkstationError.
        """
        before = self._find(project, old)
        if new is not None:
            return diff(self._store, before, self._find(project, new))
        from workstation.project import read_project

        paths, file = read_project(self._home, project)
        gathered = self._gathered(paths, file)
        seen = look(self._store, project, paths.workstation.root, gathered.sources, gathered.facts)
        notes = [f"A freeze would refuse {refusal}" for refusal in seen.refusals]
        return diff(
            seen.store, before, seen.snapshot, new_name=WORKSTATION, notes=notes + _problems(seen.snapshot)
        )

    def _undigested(self, snapshot: Snapshot) -> list[Path]:
        """The models that the snapshot expects and nobody hashed yet."""
        named = [model for model in snapshot.facts.get("models", ()) if model["size_bytes"] is not None]
        files = [find_model(self._home, model["kind"], model["name"]) for model in named]
        paths = {file.path for file in files if file is not None and file.path.is_file()}
        return sorted(path for path in paths if known_digest(self._home, path) is None)

    def _gathered(self, paths: Project, file: ProjectFile) -> Gathered:
        from snapshotter.describe.gathering import gather  # GitPython and more hang on it; a GPU box has none

        smoke = self._smoke_workflow_of(paths.name) if self._smoke_workflow_of else None
        return gather(self._home, paths, file, smoke)

    @property
    def _store(self) -> Store:
        return Store(self._home.store)

    def _find(self, project: str, snapshot_id: str) -> Snapshot:
        return find_snapshot(self._home.project(project).snapshots, snapshot_id)


def smoke_workflows(control: Control) -> Callable[[str], Mapping[str, Any] | None]:
    """The smoke workflow of each project: that of its deployment in progress, or of its service; or None."""
    from publisher.configuration import read_configuration
    from publisher.db import deployments, services
    from publisher.preparing import smoke_workflow

    def of(project: str) -> Mapping[str, Any] | None:
        with control.read() as tx:
            service = services.find(tx, project)
            if service is None:
                return None
            running = deployments.active(tx, service.id)
            if running is not None:
                return smoke_workflow(tx, running)
            document = services.configuration(tx, service.id, service.configuration_version)
        return read_configuration(document).smoke_workflow

    return of


def _problems(snapshot: Snapshot) -> list[str]:
    return list(snapshot.facts.get("problems", ()))
