"""Btrfs: a read-only snapshot of the project's subvolume, taken in milliseconds and gone after the freeze."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snapshotter.backends.contract import Sealed, WayName
from snapshotter.backends.private_mounts import bind
from snapshotter.backends.store_mode import mounted_below
from workstation.identity import ProcessIdentity
from workstation.layout import Home, Project
from workstation.subvolume import destroy, holds_subvolumes, is_subvolume, take_snapshot

_SEALED = "sealed-"  # sealed-PID-TICKS-NAME: whoever took it can be looked for.


class Subvolume:
    """The way of a project whose folder is a btrfs subvolume."""

    name: WayName = "subvolume"

    def __init__(self, home: Home, project: Project) -> None:
        self._home, self._project = home, project

    def refusal(self) -> str:
        root, workstation = self._project.root, self._project.workstation.root
        if not is_subvolume(root):
            return "its folder is no btrfs subvolume"
        if os.geteuid() != 0:
            return "only root may show a subvolume's snapshot in its place"
        if workstation.is_symlink() or not workstation.is_dir():
            return f"{workstation} is no folder"
        if workstation.stat().st_dev != root.stat().st_dev:
            return f"{workstation} lies elsewhere"
        if holds_subvolumes(root):
            return f"{root} holds further subvolumes, which a snapshot of it would leave out"
        if found := mounted_below(root):
            return f"something is mounted at {found[0]}, which a snapshot of its subvolume would leave out"
        return ""

    @contextmanager
    def seal(self) -> Iterator[Sealed]:
        for left in abandoned(self._home):
            destroy(left)
        goal = self._home.run / f"{_SEALED}{_me()}-{self._project.name}"
        began, moment_ns = time.monotonic(), time.time_ns()
        take_snapshot(self._project.root, goal)
        seconds = time.monotonic() - began
        workstation = self._project.workstation.root
        frozen = goal / workstation.relative_to(self._project.root)
        try:
            yield Sealed(moment_ns, seconds, lambda: bind(frozen, workstation))
        finally:
            destroy(goal)


def abandoned(home: Home) -> list[Path]:
    """Sealed states whose maker is gone."""
    return [path for path in sorted(home.run.glob(f"{_SEALED}*")) if not _is_used(path.name)]


def _is_used(name: str) -> bool:
    pid, _, rest = name.removeprefix(_SEALED).partition("-")
    ticks = rest.partition("-")[0]
    if not (pid.isdigit() and ticks.isdigit()):
        return True  # Not ours to judge.
    maker = ProcessIdentity.of(int(pid))
    return maker is not None and maker.started_ticks == int(ticks)


def _me() -> str:
    me = ProcessIdentity.of(os.getpid())
    return f"{os.getpid()}-{me.started_ticks if me else 0}-{time.monotonic_ns()}"
