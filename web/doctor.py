"""What this machine offers to Stillframe, and what each lack means."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

GPU_LIMIT_SECONDS = 10.0  # nvidia-smi on a sleeping machine takes up to 5 s


@dataclass(frozen=True)
class Offer:
    """One thing the machine has (`ok`), could have (`absent`.

    Something is slower or unprotected), or must have (`missing`); or what a killed process left (`leftover`).
    """

    name: str
    state: Literal["ok", "absent", "missing", "leftover"]
    sentence: str


def examine(home: Path) -> list[Offer]:
    """Try everything that matters; changes nothing that stays."""
    offers = [_python(), _git(), _uv(), _engine(), _namespaces(home), _reflink(home), _gpu(), _disk(home)]
    return [*offers, *_freezing(home), *_store(home)]


def repair(home: Path) -> list[str]:
    """Undo half-done changes and remove what killed processes left; says what was found, line by line."""
    from snapshotter.doctor import repair_store
    from workstation.layout import Home

    return [str(leftover) for leftover in repair_store(Home(home.absolute()))]


def _store(home: Path) -> list[Offer]:
    """The store's mode and room, then one line for each thing that a killed process left."""
    from snapshotter.doctor import examine_store
    from workstation.layout import Home

    if not (home / "store").is_dir() or not os.access(home / "store", os.W_OK):
        return []
    found = examine_store(Home(home.absolute()))
    if found is None:
        return [Offer("store", "ok", "Nothing was frozen yet.")]
    how = "files are shared with it" if found.mode == "reflink" else "files are copied into it"
    aside = f"; {found.quarantined} damaged objects lie in quarantine" if found.quarantined else ""
    said = f"{found.snapshots} snapshots on {found.file_system or 'an unknown file system'}, {how}{aside}."
    left = [
        Offer("store", "leftover", f"{one}. Clear it away: stillframe doctor --repair")
        for one in found.leftovers
    ]
    return [Offer("store", "ok", said), *left]


def _python() -> Offer:
    return Offer("python", "ok", f"Python {sys.version.split()[0]}")


def _git() -> Offer:
    found = shutil.which("git")
    if found is None:
        return Offer(
            "git", "missing", "git is not installed: plugins cannot be cloned. Install the package git."
        )
    return Offer("git", "ok", _first_line([found, "--version"]))


def _uv() -> Offer:
    import uv

    try:
        return Offer("uv", "ok", _first_line([uv.find_uv_bin(), "--version"]))
    except FileNotFoundError:
        return Offer("uv", "missing", "uv is not installed: environments cannot be made. Run pip install uv.")


def _engine() -> Offer:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        return Offer(
            "engine",
            "absent",
            "torch is not installed: the builtin engine cannot run. Install stillframe[engine].",
        )
    return Offer("engine", "ok", "torch is installed: the builtin engine can run.")


def _namespaces(home: Path) -> Offer:
    from online_runtime.instance.isolation import IsolationKind, isolation_available

    with tempfile.TemporaryDirectory(dir=_existing(home)) as folder:
        found = isolation_available(Path(folder), network=True)
    if found.kind is IsolationKind.COPY:
        cost = "each instance gets a copy of its snapshot, which takes room and time"
        return Offer("isolation", "absent", f"No private mount namespace ({found.reason}): {cost}.")
    how = "a user namespace" if found.user_namespace else "root"
    said = f"Instances see their snapshot in a private mount namespace, by {how}."
    if found.network_reason:
        return Offer("isolation", "absent", f"{said} Their network cannot be closed: {found.network_reason}")
    return Offer("isolation", "ok", f"{said} Their network can be closed.")


def _reflink(home: Path) -> Offer:
    """By doing it: the name of a file system does not tell."""
    from snapshotter.backends.store_mode import store_mode

    folder = _existing(home)
    if not os.access(folder, os.W_OK):
        return Offer("reflink", "absent", f"{folder} cannot be written to by this user.")
    found = store_mode(folder)
    if found.name == "copy":
        return Offer("reflink", "absent", f"{found.reason}: new files are copied at a freeze.")
    return Offer("reflink", "ok", f"{found.reason}: a freeze copies only small ones.")


def _freezing(home: Path) -> Iterator[Offer]:
    """How each workstation would be frozen now, and why not faster."""
    from snapshotter.backends.at_rest import freeze_mode
    from workstation.layout import Home
    from workstation.project import list_projects

    place = Home(home.absolute())
    for name in list_projects(place):
        mode = freeze_mode(place, place.project(name))
        if mode.name == "plain":
            how = f"is read twice while people work ({mode.reason})"
        else:
            how = f"is {mode.reason} ({mode.name})"
        state: Literal["ok", "absent"] = "absent" if mode.name == "plain" else "ok"
        yield Offer("freeze", state, f"The workstation {name} {how}.")


def _gpu() -> Offer:
    found = shutil.which("nvidia-smi")
    if found is None:
        return Offer("gpu", "absent", "No nvidia-smi: instances run on the CPU.")
    names = _first_line([found, "--query-gpu=name", "--format=csv,noheader"])
    return Offer("gpu", "ok", names) if names else Offer("gpu", "absent", "nvidia-smi finds no GPU.")


def _disk(home: Path) -> Offer:
    folder = _existing(home)
    free = shutil.disk_usage(folder).free
    return Offer("disk", "ok" if free > 2**31 else "missing", f"{free / 1e9:.1f} GB are free in {folder}.")


def _existing(home: Path) -> Path:
    """The home, or the folder that it would be made in."""
    return next(path for path in (home, *home.parents) if path.is_dir())


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GPU_LIMIT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return ""
    return (done.stdout.strip().splitlines() or [""])[0]
