"""What a change of a workstation replaced is removed by a process of its own, so that nobody waits for it.

    python -m workstation.removing PROJECT-FOLDER

First the folder is renamed, so that nothing takes it for a part of a change. One such process works in a
project; what it did not finish, the next opening of the project starts again, and `stillframe doctor` names.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from workstation.layout import Project

REPLACED = "replaced-"
ROOM = ".changing"  # of a workstation that is a mount of its own (overlay.py)
LOCK = "removing.lock"
LOG = "removing.log"
_LOWEST_PRIORITY = 19


def remove(place: Path) -> None:
    """Remove a file or a folder, also where its folders forbid it to their owner.

    Nothing happens when there is none.

    Raises OSError.
    """
    if place.is_symlink() or not place.is_dir():
        place.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(place, onerror=_unless_gone)
    except PermissionError:
        _open_up(place)
        shutil.rmtree(place, onerror=_unless_gone)


def rooms(project: Project) -> list[Path]:
    """Where changes keep what they replace: on the workstation's own mount, so that renames can do it."""
    inside = project.workstation.root / ROOM
    return [project.run, *([inside] if inside.is_dir() else [])]


def replaced(project: Project) -> list[Path]:
    """What waits for its removal."""
    return [path for room in rooms(project) for path in sorted(room.glob(f"{REPLACED}*"))]


def set_aside(folder: Path) -> None:
    """Give up the folder of an ended change: from here on it only waits for its removal."""
    try:
        folder.rmdir()  # nothing was replaced
    except OSError:
        folder.rename(folder.with_name(REPLACED + folder.name))


def start_removing(project: Project) -> int | None:
    """Have what was replaced removed in the background. Returns the process's pid; None: nothing waits.

    None too where no process can be started now: the change that ended holds all the same, doctor names what
    waits, and the next opening tries again.
    """
    if not replaced(project):
        return None
    try:
        with (project.run / LOG).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "workstation.removing", str(project.root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # it outlives whoever asked for it
            )
    except OSError:
        return None
    # A worker lives long, and nobody else would take the process's end in.
    threading.Thread(target=process.wait, daemon=True).start()
    return process.pid


def remove_replaced(project: Project) -> bool:
    """Remove everything that waits. False when another process is at it. Raises OSError."""
    while left := replaced(project):
        lock = os.open(project.run / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for folder in left:
                remove(folder)
        except BlockingIOError:
            return False
        finally:
            os.close(lock)
    return True  # looked at once more without the lock: whoever came meanwhile was sent away by it


def _unless_gone(_function: object, _path: str, caught: tuple[type, BaseException, object]) -> None:
    """For rmtree: somebody else removes the same, which is as good."""
    if not isinstance(caught[1], FileNotFoundError):
        raise caught[1]


def _open_up(top: Path) -> None:
    """Give the owner all rights on a folder and on those below, each before it is looked into."""
    top.chmod(0o700)
    for place, folders, _ in os.walk(top):
        for name in folders:
            folder = Path(place, name)
            if not folder.is_symlink():
                folder.chmod(0o700)


def main(arguments: Sequence[str]) -> None:
    """Entry point of the process."""
    os.nice(_LOWEST_PRIORITY)
    root = Path(arguments[0])
    remove_replaced(Project(root.name, root))


if __name__ == "__main__":
    main(sys.argv[1:])
