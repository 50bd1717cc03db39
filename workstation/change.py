"""A change of a workstation that happens whole or not at all, whatever is killed when.

What is about to be replaced is kept aside first and written into a journal; an exception, or the next opening
after a kill, puts it back. One change of a workstation at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from workstation.atomic import sync_folder, write_text
from workstation.errors import ProjectBusy
from workstation.layout import Project
from workstation.overlay import bring_up, is_mounted
from workstation.removing import ROOM, remove, rooms, set_aside, start_removing

_COPY_LIMIT_SECONDS = 3600.0  # an isolated environment with torch and CUDA holds gigabytes


class Change:
    """A change in progress. Everything kept or announced here is undone unless the change is committed."""

    def __init__(self, project: Project, doing: str) -> None:
        self.project, self.doing = project, doing
        room = project.workstation.root / ROOM if is_mounted(project) else project.run
        self.folder = room / f"change-{secrets.token_hex(4)}"
        self._steps: list[dict[str, str]] = []
        self.folder.mkdir(parents=True)
        self._write()

    def keep_copy(self, place: Path) -> None:
        """Keep a copy of `place` (file or folder), which is about to be changed in its place."""
        if not place.exists():
            self.announce(place)
            return
        aside = self._aside(place)
        partial = aside.with_name(f"{aside.name}.partial")
        # cp clones where the file system can, and keeps links, modes and times.
        subprocess.run(
            ["cp", "-a", "--reflink=auto", "--", str(place), str(partial)],
            check=True,
            capture_output=True,
            timeout=_COPY_LIMIT_SECONDS,
        )
        partial.rename(aside)
        self._note("kept", place, aside)

    def move_aside(self, place: Path) -> None:
        """Take `place` out of the workstation; it comes back when the change fails."""
        aside = self._aside(place)
        self._note("kept", place, aside)
        place.rename(aside)

    def announce(self, place: Path) -> None:
        """Say that `place`, which is not there yet, will be made: it is removed when the change fails."""
        self._note("made", place, None)

    def put(self, made: Path, place: Path) -> None:
        """Move a finished file or folder to its place, where nothing lies."""
        self.announce(place)
        made.rename(place)
        sync_folder(place.parent)

    def _aside(self, place: Path) -> Path:
        return self.folder / f"{len(self._steps)}-{place.name}"

    def _note(self, kind: str, place: Path, aside: Path | None) -> None:
        self._steps.append({"kind": kind, "place": str(place), "aside": str(aside or "")})
        self._write()

    def _write(self) -> None:
        journal = {"doing": self.doing, "folder": str(self.folder), "steps": self._steps}
        write_text(_journal(self.project), json.dumps(journal))


@contextmanager
def change(project: Project, doing: str) -> Iterator[Change]:
    """Do something to a workstation whole or not at all; `doing` is what others read while they are refused.

    Raises ProjectBusy while another change is in progress. A change that was killed before is undone first.
    """
    with _alone(project, doing):
        _undo_leftover(project)
        for forgotten in unfinished(project):  # killed before its first note, or after its commit
            set_aside(forgotten)
        attempt = Change(project, doing)
        try:
            yield attempt
        except BaseException:
            _undo_leftover(project)
            raise
        _journal(project).unlink()  # the commit: from here on the change holds
        sync_folder(project.run)
        set_aside(attempt.folder)
        start_removing(project)


def unfinished(project: Project) -> list[Path]:
    """The folders of changes that have not ended, or whose process was killed."""
    return [path for room in rooms(project) for path in sorted(room.glob("change-*")) if path.is_dir()]


def recover(project: Project) -> bool:
    """Undo a change that was killed; False when there is none, or another process is at work on one.

    What waits for its removal since a remover was killed has a new one from here on; a workstation that lies
    on sealed folders is mounted. Raises OverlayRefused.
    """
    bring_up(project)
    start_removing(project)
    if not _journal(project).exists():
        return False
    try:
        with _alone(project, "undoing a change that was killed"):
            return _undo_leftover(project)
    except ProjectBusy:
        return False


def _undo_leftover(project: Project) -> bool:
    """Undo the steps of the journal, last one first; each may be repeated, so a kill in here does no harm."""
    journal = _journal(project)
    if not journal.exists():
        return False
    found = json.loads(journal.read_text(encoding="utf-8"))
    for step in reversed(found["steps"]):
        place, aside = Path(step["place"]), Path(step["aside"])
        if step["kind"] == "made":
            remove(place)
        elif os.path.lexists(aside):  # otherwise it was never taken away, or is back already
            remove(place)
            aside.rename(place)
    journal.unlink()
    folder = Path(found["folder"])
    if folder.is_dir():
        set_aside(folder)
    start_removing(project)
    return True


@contextmanager
def _alone(project: Project, doing: str) -> Iterator[IO[str]]:
    """Hold the workstation's lock; it goes with the process, however that ends."""
    project.run.mkdir(parents=True, exist_ok=True)
    with (project.run / "change.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ProjectBusy(project.name, lock.read() or "by another process") from None
        lock.truncate(0)
        lock.write(f"{doing}, process {os.getpid()}")
        lock.flush()
        yield lock


def _journal(project: Project) -> Path:
    return project.run / "change.json"
