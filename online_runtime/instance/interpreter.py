"""Which folders outside the workstation the frozen environment's interpreter is made of."""

from __future__ import annotations

from pathlib import Path

from online_runtime.instance.spec import InstanceSpec
from workstation.layout import Workstation

LINKS_LIMIT = 16  # venv of a venv of an installation is three


def interpreter_prefixes(spec: InstanceSpec) -> tuple[Path, ...]:
    """The installation folders that `venv/bin/python` leads through, nearest first.

    Empty without a frozen venv.
    """
    venv = Workstation(Path(spec.workstation)).venv
    frozen = next((Path(mount.source) for mount in spec.mounts if Path(mount.place) == venv), None)
    if frozen is None:
        return ()
    found: list[Path] = []
    link = frozen / "bin" / "python"
    for _ in range(LINKS_LIMIT):
        if not link.is_symlink():
            break
        link = link.parent / link.readlink()
        prefix = link.parent.parent
        if prefix != frozen and prefix not in found:
            found.append(prefix)
    return tuple(found)
