"""What a change replaced goes without anybody waiting for it, also where its folders forbid it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workstation.change import change, recover
from workstation.layout import Project
from workstation.removing import LOCK, remove, remove_replaced, replaced, start_removing

LIMIT_SECONDS = 60.0
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project("p", tmp_path / "p")
    made.workstation.custom_nodes.mkdir(parents=True)
    made.run.mkdir()
    return made


@pytest.fixture
def ordinary() -> Iterator[Path]:
    """A folder outside root's own temporary folder, for a user without privileges."""
    folder = Path(tempfile.mkdtemp(prefix="nobody-"))
    yield folder
    shutil.rmtree(folder)


def closed_tree(folder: Path) -> Path:
    """A folder whose folders forbid their owner to write, or even to look."""
    (folder / "plain").mkdir(parents=True)
    (folder / "plain" / "file").write_text("x")
    (folder / "sub" / "dark").mkdir(parents=True)
    (folder / "sub" / "dark" / "file").write_text("x")
    (folder / "link").symlink_to("/etc")
    (folder / "sub" / "dark").chmod(0)
    (folder / "sub").chmod(0o555)
    folder.chmod(0o555)
    return folder


def as_nobody(root: Path, action: Callable[[], None]) -> int:
    """The exit status of `action` in a forked child that owns `root` and has no privileges."""
    for path in [root, *root.rglob("*")]:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            action()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def until(what: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not what():
        assert time.monotonic() < deadline, f"{name} did not come within {LIMIT_SECONDS:g} s"
        time.sleep(0.01)


@root_only
def test_an_ordinary_user_removes_folders_without_write_permission(ordinary: Path) -> None:
    closed = closed_tree(ordinary / "closed")
    assert as_nobody(ordinary, lambda: remove(closed)) == 0
    assert list(ordinary.iterdir()) == []
    assert Path("/etc/passwd").exists()


@root_only
def test_a_failed_change_of_an_ordinary_user_takes_closed_folders_back(ordinary: Path) -> None:
    """The undoing of a change that had put a folder in place which its owner may not write to."""
    project = Project("p", ordinary / "p")
    project.workstation.custom_nodes.mkdir(parents=True)
    place = project.workstation.custom_nodes / "plugin"
    place.mkdir()
    (place / "old").write_text("old")

    def fail() -> None:
        with pytest.raises(RuntimeError), change(project, "trying") as attempt:
            attempt.move_aside(place)
            attempt.announce(place)
            closed_tree(place)
            raise RuntimeError

    assert as_nobody(ordinary, fail) == 0
    assert [path.name for path in place.iterdir()] == ["old"]
    assert not (project.run / "change.json").exists()


@root_only
def test_what_an_ordinary_user_replaced_goes_also_where_its_folders_forbid_it(ordinary: Path) -> None:
    project = Project("p", ordinary / "p")
    project.workstation.custom_nodes.mkdir(parents=True)
    closed_tree(project.workstation.custom_nodes / "plugin").chmod(0o755)  # As it must be to be moved.

    def swap() -> None:
        with change(project, "replacing") as attempt:
            attempt.move_aside(project.workstation.custom_nodes / "plugin")
        remove_replaced(project)  # In this process: the interpreter may lie where only root may go.

    assert as_nobody(ordinary, swap) == 0
    assert not replaced(project)


def test_a_change_does_not_wait_for_the_removal_of_what_it_replaced(project: Project) -> None:
    """While somebody else holds the right to remove, the folder stays, and the change has ended."""
    place = project.workstation.custom_nodes / "plugin"
    place.mkdir()
    (place / "file").write_text("old")
    with (project.run / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with change(project, "replacing") as attempt:
            attempt.move_aside(place)
        (left,) = replaced(project)
        assert (left / "0-plugin" / "file").read_text() == "old"
        assert not remove_replaced(project)
    recover(project)  # What the next opening of the project does.
    until(lambda: not replaced(project), "the removal")


@pytest.mark.slow
def test_a_remover_that_was_killed_has_a_successor_at_the_next_opening(project: Project) -> None:
    folder = project.run / "replaced-change-1"
    for number in range(400):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "file").touch()
    killed = subprocess.Popen(
        [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    )  # One that died before it removed anything; half of the work is as good as none.
    killed.wait(LIMIT_SECONDS)
    assert start_removing(project) is not None
    until(lambda: not replaced(project), "the removal")
    assert start_removing(project) is None


def test_two_removers_of_one_folder_do_not_stumble_over_each_other(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for number in range(300):
        (top / str(number)).mkdir(parents=True)
        (top / str(number) / "file").touch()
    pids = []
    for _ in range(3):
        pid = os.fork()
        if not pid:
            status = 1
            try:
                remove(top)
                status = 0
            finally:
                os._exit(status)
        pids.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0, 0, 0]
    assert not top.exists()
