"""A workstation that lies on sealed folders: what is changed lands in one folder on top, which is sealed by
putting an empty one above it. That takes a few milliseconds, whatever the workstation's size.

    PROJECT/sealed/
      stack.json     {"format": 1, "sealed": ["0002", "0001"], "top": "0003", "leaving": false}
      0001/          the workstation as it was when this began; then one folder for each seal
      0003/ work/    what was changed since the last seal, and the kernel's scratch folder beside it
    PROJECT/workstation/   where all of them are mounted, one above the other

Needs root. A mount does not outlive the machine: the next opening of the project brings it back.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from workstation.atomic import sync_folder, write_text
from workstation.busy import users_of, workers_in, writers_in
from workstation.errors import OverlayRefused
from workstation.layout import Project
from workstation.mounting import attach, detach, forbid_writes, make_overlay, make_read_only
from workstation.removing import REPLACED, start_removing

FORMAT = 1
FOLDER = "sealed"
MOST_SEALED = 60  # Each one costs a look at every name that it does not have.
COPY_LIMIT_SECONDS = 3600.0  # the same as a change's
NOTE = "NOT-MOUNTED.txt"
_SAID = """This workstation lies on sealed folders, which are not mounted now. Nothing is lost.
Any command of root on its project mounts them, such as: stillframe project show NAME
"""
WAIT_SECONDS = 10.0
_LOOK_SECONDS = 0.005


@dataclass(frozen=True)
class Stack:
    """The folders of a workstation: `sealed`, the newest first, and `top`, which takes the changes.

    `leaving` says that the whole is being made a plain folder again: its copy is finished.
    """

    folder: Path
    sealed: tuple[str, ...]
    top: str
    leaving: bool = False

    @property
    def layers(self) -> list[Path]:
        """The sealed folders, the newest first."""
        return [self.folder / name for name in self.sealed]

    @property
    def upper(self) -> Path:
        return self.folder / self.top

    @property
    def work(self) -> Path:
        return self.folder / f"work-{self.top}"

    @property
    def flat(self) -> Path:
        """The copy of the whole, when it is to be a plain folder again."""
        return self.folder / "flat"


def read_stack(project: Project) -> Stack | None:
    """The stack of a workstation; None for a plain one."""
    try:
        said = json.loads(_file(project).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if said["format"] != FORMAT:
        raise OverlayRefused(
            project.name, f"its stack has format {said['format']}, this version knows {FORMAT}"
        )
    return Stack(project.root / FOLDER, tuple(said["sealed"]), said["top"], said["leaving"])


def is_mounted(project: Project) -> bool:
    """Whether the workstation's place shows its stack now."""
    place = project.workstation.root
    return place.is_dir() and place.stat().st_dev != project.root.stat().st_dev


def lay(project: Project) -> None:
    """Make a plain workstation one that lies on sealed folders. Nothing happens when it is one.

    Raises OverlayRefused: then it is as it was.
    """
    with _alone(project):
        if read_stack(project) is not None:
            _bring_up(project)
            return
        if os.geteuid() != 0:
            raise OverlayRefused(project.name, "only root may mount")
        if project.workstation.root.is_symlink() or is_mounted(project):
            raise OverlayRefused(project.name, "it lies on a disk of its own")
        if users := users_of(project.workstation.root):
            raise OverlayRefused(project.name, f"it is being used by {'; '.join(users)}")
        stack = Stack(project.root / FOLDER, ("0001",), "0002")
        _try_out(project, stack)
        _write(project, stack)
        _bring_up(project)


def bring_up(project: Project) -> None:
    """Mount the stack of a workstation that has one, and finish what was killed half-way.

    Raises OverlayRefused.
    """
    if not _file(project).exists():
        return
    if os.geteuid() != 0:
        if not is_mounted(project):
            raise OverlayRefused(project.name, "its sealed folders are not mounted, which only root can do")
        return
    stack = read_stack(project)
    if stack is not None and is_mounted(project) and not stack.leaving and _shows(project, stack):
        return
    with _alone(project):
        _bring_up(project)


def take_down(project: Project) -> None:
    """Unmount the stack, if there is one: its project is about to be removed."""
    while _file(project).exists() and is_mounted(project):
        detach(project.workstation.root)


def seal(project: Project) -> tuple[Stack, float]:
    """Seal what was changed, and say for how many seconds nobody could write.

    The sealed folders of the stack are the workstation at this moment. Raises OverlayRefused, naming who
    writes or works there: then nothing was sealed.
    """
    with _alone(project):
        stack = read_stack(project)
        if stack is None or not is_mounted(project):
            raise OverlayRefused(project.name, "it does not lie on sealed folders")
        if not any(stack.upper.iterdir()):
            return stack, 0.0  # Nothing was changed: what is sealed already is all there is.
        if workers := workers_in(project.workstation.root):
            raise OverlayRefused(project.name, f"it would be left behind by {'; '.join(workers)}")
        if len(stack.sealed) >= MOST_SEALED:
            raise OverlayRefused(project.name, f"it lies on {len(stack.sealed)} sealed folders already")
        above = replace(stack, sealed=(stack.top, *stack.sealed), top=f"{int(stack.top) + 1:04}")
        seconds = _put_above(project, stack, above)
        shutil.rmtree(stack.work, ignore_errors=True)  # An empty folder that the old mount may still hold.
        return above, seconds


def flatten(project: Project) -> None:
    """Make it a plain folder again. Raises OverlayRefused, naming who uses it: then it is as it was."""
    with _alone(project):
        _bring_up(project)
        stack = read_stack(project)
        if stack is None:
            return
        place = project.workstation.root
        if users := users_of(place):
            raise OverlayRefused(project.name, f"it is being used by {'; '.join(users)}")
        _read_only(project)
        partial = stack.flat.with_name("flat.partial")
        shutil.rmtree(partial, ignore_errors=True)
        command = ["cp", "-a", "--reflink=auto", "--", str(place), str(partial)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COPY_LIMIT_SECONDS, check=False
        )
        if done.returncode:
            shutil.rmtree(partial, ignore_errors=True)
            _mount_again(project, stack)
            raise OverlayRefused(project.name, f"it could not be copied: {done.stderr.strip()}")
        shutil.rmtree(stack.flat, ignore_errors=True)  # Of an attempt that was killed: changes came since.
        partial.rename(stack.flat)
        _write(project, replace(stack, leaving=True))
        _leave(project, stack)


def _put_above(project: Project, stack: Stack, above: Stack) -> float:
    """The new mount is put beneath the old one, so that whoever looks always finds one of them."""
    place = project.workstation.root
    above.upper.mkdir(exist_ok=True)
    shutil.rmtree(above.work, ignore_errors=True)
    above.work.mkdir()
    shutil.copystat(place, above.upper)
    mount = make_overlay(above.layers, above.upper, above.work)
    old = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        began = time.monotonic()
        _read_only(project)
        try:
            _write(project, above)
            attach(mount, place, beneath=True)
        except BaseException:
            _write(project, stack)
            _mount_again(project, stack)
            raise
        detach(place)
        seconds = time.monotonic() - began
        _refused_if_written(project, old)
        return seconds
    finally:
        os.close(old)
        os.close(mount)


def _refused_if_written(project: Project, old: int) -> None:
    """Nobody has the old mount any more but by another mount namespace; there too it is closed to writers."""
    try:
        forbid_writes(old)
    except OSError as error:
        raise OverlayRefused(project.name, f"it is mounted elsewhere too, and {error.strerror}") from error


def _read_only(project: Project) -> None:
    place = project.workstation.root
    try:
        make_read_only(place)
    except OSError as error:
        who = "; ".join(writers_in(place)) or error.strerror
        raise OverlayRefused(project.name, f"files are being written to: {who}") from error


def _try_out(project: Project, stack: Stack) -> None:
    """Make a trial mount: what the kernel or the file system cannot do is known before anything moves."""
    trial = project.root / f"{FOLDER}.trial"
    shutil.rmtree(trial, ignore_errors=True)
    for name in ("lower", "upper", "work"):
        (trial / name).mkdir(parents=True)
    try:
        os.close(make_overlay([trial / "lower"], trial / "upper", trial / "work"))
    except OSError as error:
        raise OverlayRefused(project.name, f"no overlay can be mounted here: {error.strerror}") from error
    finally:
        shutil.rmtree(trial)
    stack.folder.mkdir(exist_ok=True)


def _bring_up(project: Project) -> None:
    """From wherever it stands to a mounted stack, or to a plain folder when it is leaving; repeatable."""
    stack = read_stack(project)
    if stack is None:
        return
    if stack.leaving:
        _leave(project, stack)
        return
    place, oldest = project.workstation.root, stack.layers[-1]
    if not oldest.is_dir():
        place.rename(oldest)
        sync_folder(project.root)
    while is_mounted(project):
        if _shows(project, stack):
            return
        detach(place)  # Left by a seal that was killed: read-only, and of an earlier stack.
    place.mkdir(exist_ok=True)
    (place / NOTE).write_text(_SAID)
    stack.upper.mkdir(exist_ok=True)
    if not any(stack.upper.iterdir()):
        shutil.copystat(oldest, stack.upper)
    _mount_again(project, stack)


def _mount_again(project: Project, stack: Stack) -> None:
    place = project.workstation.root
    while is_mounted(project):
        detach(place)
    stack.work.mkdir(exist_ok=True)
    try:
        mount = make_overlay(stack.layers, stack.upper, stack.work)
    except OSError as error:
        raise OverlayRefused(project.name, f"it could not be mounted: {error.strerror}") from error
    try:
        attach(mount, place)
    finally:
        os.close(mount)


def _leave(project: Project, stack: Stack) -> None:
    """The finished copy takes the place of the stack; what is left of that is removed in the background."""
    place = project.workstation.root
    while is_mounted(project):
        detach(place)
    if stack.flat.is_dir():
        (place / NOTE).unlink(missing_ok=True)
        if place.is_dir():
            place.rmdir()
        stack.flat.rename(place)
        sync_folder(project.root)
    project.run.mkdir(exist_ok=True)
    stack.folder.rename(project.run / f"{REPLACED}{FOLDER}-{os.urandom(4).hex()}")
    start_removing(project)


def _shows(project: Project, stack: Stack) -> bool:
    """Whether the mounted stack is this one, and may be written to."""
    number = _mount_number(project.workstation.root)
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[0] == number:
            own = before.split()[5].split(",")
            options = [_unescaped(option) for option in after.split()[2].split(",")]
            return f"upperdir={stack.upper}" in options and "rw" in options and "rw" in own
    return False


@contextmanager
def _alone(project: Project) -> Iterator[None]:
    """One at a time moves the stack; waiting is for milliseconds, and for a copy at most."""
    project.run.mkdir(parents=True, exist_ok=True)
    fd = os.open(project.run / "stack.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not _had(fd):
            if time.monotonic() > deadline:
                raise OverlayRefused(project.name, f"another process moves it for {WAIT_SECONDS:g} s already")
            time.sleep(_LOOK_SECONDS)
        yield
    finally:
        os.close(fd)


def _had(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _mount_number(place: Path) -> str:
    """The number of the mount that is seen at `place`: that on top, where there are several."""
    fd = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        facts = Path(f"/proc/self/fdinfo/{fd}").read_text()
    finally:
        os.close(fd)
    return next(line.split()[1] for line in facts.splitlines() if line.startswith("mnt_id:"))


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _write(project: Project, stack: Stack) -> None:
    said = {"format": FORMAT, "sealed": list(stack.sealed), "top": stack.top, "leaving": stack.leaving}
    write_text(_file(project), json.dumps(said))


def _file(project: Project) -> Path:
    return project.root / FOLDER / "stack.json"
