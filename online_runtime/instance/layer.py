"""The private writable layer of one instance, on disk. Made before the view, kept while the instance lives.

layer/workstation/        what stands at the workstation's own path: empty places to mount on, and `temp`
layer/changes/KEY/        what the engine wrote into one component
layer/work/KEY/           the kernel's scratch folder for that overlay
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from online_runtime.instance.spec import InstanceFolder, InstanceSpec, Mount
from workstation.layout import Workstation


@dataclass(frozen=True)
class Layer:
    """The layer below `root`."""

    root: Path

    @property
    def workstation(self) -> Path:
        return self.root / "workstation"

    def changes(self, mount: Mount) -> Path:
        return self.root / "changes" / _key(mount)

    def work(self, mount: Mount) -> Path:
        return self.root / "work" / _key(mount)

    def inner(self, spec: InstanceSpec, mount: Mount) -> Path:
        """Where the place of `mount`, which is inside the workstation, lies in this layer."""
        return self.workstation / Path(mount.place).relative_to(spec.workstation)


def frozen_file(mount: Mount) -> Path | None:
    """The frozen file of a component that is a single file, as a plugin of one module; None for a folder."""
    source = Path(mount.source)
    return source if source.is_file() else None


def inside_workstation(spec: InstanceSpec, mount: Mount) -> bool:
    return Path(mount.place).is_relative_to(spec.workstation)


def make_scratch(spec: InstanceSpec, folder: InstanceFolder, layer: Layer) -> None:
    """The folders that an engine expects whether or not something is frozen in them. Repeatable."""
    skeleton = Workstation(layer.workstation)
    outside = (folder.output, Path(spec.input))
    for place in (skeleton.temp, skeleton.custom_nodes, skeleton.user, skeleton.cache, *outside):
        place.mkdir(parents=True, exist_ok=True)


def make_places(spec: InstanceSpec, layer: Layer) -> None:
    """An empty folder for each component to be mounted on, and single files themselves. Repeatable."""
    skeleton = Workstation(layer.workstation)
    for place in (skeleton.models, skeleton.input, skeleton.output):
        place.mkdir(parents=True, exist_ok=True)
    for mount in spec.mounts:
        if not inside_workstation(spec, mount):
            continue
        if (file := frozen_file(mount)) is not None:
            copy_file(file, layer.inner(spec, mount))
            continue
        for place in (layer.changes(mount), layer.work(mount), layer.inner(spec, mount)):
            place.mkdir(parents=True, exist_ok=True)


def copy_file(source: Path, target: Path) -> None:
    """A private, writable copy of one frozen file with its time; an existing one stays as it is."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".partial-{target.name}")
    shutil.copy2(source, partial)
    partial.chmod(partial.stat().st_mode | 0o200)
    partial.rename(target)


def _key(mount: Mount) -> str:
    return hashlib.sha256(mount.component.encode()).hexdigest()[:16]
