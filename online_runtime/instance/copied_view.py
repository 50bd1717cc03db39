"""The view by copying, where the kernel allows no namespaces.

It protects the snapshot, and costs more and hides less. Each instance holds a copy of every component but the
base: its first start takes as long as copying them (nothing where the file system can reflink) and as much
room. The base stays in its place, so it is only compared, not frozen, here. The engine sees the rest of the
machine, this platform's files among it, as far as its user may read them.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from online_runtime.instance.errors import CopyFailed
from online_runtime.instance.layer import Layer, inside_workstation, make_scratch
from online_runtime.instance.spec import InstanceFolder, InstanceSpec, Mount
from workstation.layout import Workstation

COPY_LIMIT_SECONDS = 1800  # 12 s were measured for 5 GB; a cold network disk may need a hundred times that
REWRITTEN_BYTES_LIMIT = 1 << 20  # shebangs, pyvenv.cfg and .pth lines live in small files


def build_copied_view(spec: InstanceSpec, folder: InstanceFolder) -> Workstation:
    """Copy the components into the instance's layer, once; returns the workstation to start the engine from.

    Raises CopyFailed; what was copied whole is kept for the next try.
    """
    layer = Layer(folder.root / "layer")
    copy = Workstation(layer.workstation)
    for mount in spec.mounts:
        if inside_workstation(spec, mount):
            _copy(mount, layer.inner(spec, mount))
    _rewrite_venv(copy.venv, os.fsencode(spec.workstation), os.fsencode(copy.root))
    make_scratch(spec, folder, layer)
    for link, target in ((copy.models, spec.models), (copy.input, spec.input), (copy.output, folder.output)):
        if not link.is_symlink():
            link.symlink_to(target)
    return copy


def _copy(mount: Mount, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".partial-{target.name}")
    _run(mount, partial, "rm", "-rf", "--", str(partial))
    _run(mount, partial, "cp", "-a", "--reflink=auto", "--", mount.source, str(partial))
    _run(mount, partial, "chmod", "-R", "u+w", "--", str(partial))
    partial.rename(target)


def _run(mount: Mount, target: Path, *command: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COPY_LIMIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CopyFailed(mount.component, target, f"it took over {COPY_LIMIT_SECONDS} s") from error
    if done.returncode != 0:
        raise CopyFailed(mount.component, target, done.stderr.strip()[-500:] or f"exit {done.returncode}")


def _rewrite_venv(venv: Path, old: bytes, new: bytes) -> None:
    """A virtual environment is bound to its place by these files; all others name no absolute path."""
    for file in (venv / "pyvenv.cfg", *venv.glob("bin/*"), *venv.glob("lib/python*/site-packages/*.pth")):
        if file.is_symlink() or not file.is_file() or file.stat().st_size > REWRITTEN_BYTES_LIMIT:
            continue
        content = file.read_bytes()
        if old in content and new not in content:
            partial = file.with_name(f".partial-{file.name}")
            partial.write_bytes(content.replace(old, new))
            partial.chmod(file.stat().st_mode)
            partial.replace(file)
