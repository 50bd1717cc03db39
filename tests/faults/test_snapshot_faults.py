"""Faults 27, 30, 55 to 58 and 60: what a freeze meets on a real disk, and what it does then."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snapshotter import copying
from snapshotter import scan as scan_module
from snapshotter.catalogue import list_snapshots
from snapshotter.copying import RacyRule
from snapshotter.errors import FileKeepsChanging, NotFreezable, StoreFull, WorkstationKeepsChanging
from snapshotter.freeze import FreezeProgress, FreezeResult, freeze
from snapshotter.manifest import Snapshot
from snapshotter.materialise import view_of
from snapshotter.objects import Store
from snapshotter.rules import ComponentSource
from snapshotter.verify import verify, verify_all

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount or to make devices")


class Desk:
    """One plugin that can be frozen into a store."""

    def __init__(self, root: Path, store: Path | None = None) -> None:
        self.root = root
        self.plugin = root / "workstation" / "custom_nodes" / "plugin"
        self.plugin.mkdir(parents=True)
        (self.plugin / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
        self.store = Store(store or root / "store")
        self.snapshots = root / "snapshots"

    def freeze(self, **options: Any) -> FreezeResult:
        source = ComponentSource("plugin", "plugin", self.plugin, "custom_nodes/plugin")
        return freeze(self.store, "p", self.snapshots, self.root / "workstation", [source], {}, **options)

    def view(self, snapshot: Snapshot) -> Path:
        return view_of(self.store, snapshot)["plugin"]

    def refusals(self) -> dict[str, str]:
        with pytest.raises(NotFreezable) as caught:
            self.freeze()
        return {refusal.path: refusal.reason for refusal in caught.value.refusals}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# 55: strange files


def test_a_fifo_a_socket_and_a_link_outside_are_refused_together_without_hanging(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(desk.plugin / "fifo")
    (desk.plugin / "etc").symlink_to("/etc")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(desk.plugin)
        listener.bind("socket")  # A socket's path is short by law, and a temporary folder's may be long.
        refusals = desk.refusals()
    assert set(refusals) == {"fifo", "socket", "etc"}
    assert "FIFO" in refusals["fifo"]


@root_only
def test_a_device_is_refused(desk: Desk) -> None:
    os.mknod(desk.plugin / "null", 0o20666, os.makedev(1, 3))
    assert "device" in desk.refusals()["null"]


@pytest.fixture
def nobodys() -> Iterator[Desk]:
    """A desk that belongs to an ordinary user, outside root's own temporary folder."""
    home = Path(tempfile.mkdtemp(prefix="nobody-"))
    desk = Desk(home)
    yield desk
    shutil.rmtree(home)


@root_only
def test_what_cannot_be_read_is_refused_by_name(nobodys: Desk) -> None:
    """As root everything can be read, so that the freeze runs as somebody else."""
    (nobodys.plugin / "locked").touch(mode=0)
    (nobodys.plugin / "closed").mkdir(mode=0)
    assert as_nobody(nobodys, lambda: ", ".join(sorted(nobodys.refusals()))) == "closed, locked"


@root_only
def test_an_ordinary_user_gets_back_folders_that_are_not_writable(nobodys: Desk) -> None:
    (nobodys.plugin / "sub").mkdir()
    (nobodys.plugin / "sub" / "x").write_text("x")
    (nobodys.plugin / "sub").chmod(0o555)
    nobodys.plugin.chmod(0o555)

    def mode_and_content() -> str:
        view = nobodys.view(nobodys.freeze().snapshot)
        return f"{view.stat().st_mode & 0o777:o} {(view / 'sub' / 'x').read_text()}"

    assert as_nobody(nobodys, mode_and_content) == "555 x"


def as_nobody(desk: Desk, action: Callable[[], str]) -> str:
    """What `action` returns in a forked child that owns the desk and has no privileges."""
    for path in [desk.root, *desk.root.rglob("*")]:
        os.chown(path, 65534, 65534)
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(writer, action().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return text


@pytest.mark.slow
def test_a_sparse_file_of_10_gb_is_kept_and_does_not_fill_the_disk(desk: Desk) -> None:
    with (desk.plugin / "sparse").open("wb") as file:
        file.seek(10 << 30)
        file.write(b"end")
    kept = desk.view(desk.freeze().snapshot) / "sparse"
    assert (kept.stat().st_size, kept.stat().st_blocks * 512 < 1 << 20) == ((10 << 30) + 3, True)


# 56: files that change while they are read


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replace(path: Path) -> None:
    path.with_name("new").write_bytes(b"replaced")
    path.with_name("new").rename(path)


CHANGES: list[Callable[[Path], object]] = [grow, lambda path: os.truncate(path, 1), replace, Path.unlink]


@pytest.fixture
def while_reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Arrange for an action to run once, in the middle of the next reading."""

    def arrange(action: Callable[[], object]) -> None:
        waiting, whole, copy = [action], copying.read_whole, copying.copy_content

        def acting(read: Callable[..., bytes]) -> Callable[..., bytes]:
            def then(*arguments: Any) -> bytes:
                result = read(*arguments)
                if waiting:
                    waiting.pop()()
                return result

            return then

        monkeypatch.setattr(copying, "read_whole", acting(whole))
        monkeypatch.setattr(copying, "copy_content", acting(copy))

    return arrange


@pytest.mark.parametrize("size", [10, 3 << 20])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read_is_read_again(
    desk: Desk, while_reading: Any, change: Callable[[Path], object], size: int
) -> None:
    (desk.plugin / "__init__.py").unlink()
    file = desk.plugin / "data"
    file.write_bytes(os.urandom(size))
    while_reading(lambda: change(file))
    view = desk.view(desk.freeze().snapshot)
    now = {path.name: path.read_bytes() for path in desk.plugin.iterdir()}
    assert {path.name: path.read_bytes() for path in view.iterdir()} == now


def test_a_file_that_never_holds_still_is_refused_by_name(desk: Desk) -> None:
    file = desk.plugin / "busy.log"
    file.write_bytes(bytes(8 << 20))
    stop = threading.Event()

    def write() -> None:
        with file.open("ab", buffering=0) as log:
            while not stop.is_set():
                log.write(b"line\n")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(FileKeepsChanging, match=r"busy\.log"):
            desk.freeze()
    finally:
        stop.set()
        writer.join()
    assert list_snapshots(desk.snapshots) == []
    assert desk.freeze().new


# 30: the workstation as a whole


@pytest.mark.parametrize("frozen_before", [False, True])
def test_two_files_that_change_together_are_never_mixed(desk: Desk, monkeypatch, frozen_before: bool) -> None:
    """A writer keeps both at the same number; a snapshot of different numbers would be mixed."""
    both = [desk.plugin / "first" / "a", desk.plugin / "second" / "z"]
    for file in both:
        file.parent.mkdir()
        file.write_text("0")
    if frozen_before:  # Then only the first is read, and the second must not stay as it was.
        desk.freeze()
        outwait_the_window()
        both[0].write_text("1")
        outwait_the_window()
    changed, whole = [], copying.read_whole

    def read_then_change(fd: int, size: int) -> bytes:
        data = whole(fd, size)
        if data == (b"1" if frozen_before else b"0") and not changed:
            changed.append(data)
            for file in both:
                file.write_text("2")
        return data

    monkeypatch.setattr(copying, "read_whole", read_then_change)
    view = desk.view(desk.freeze().snapshot)
    assert changed
    assert (view / "first" / "a").read_text() == (view / "second" / "z").read_text() == "2"


def test_what_changed_during_the_scan_is_never_mixed_with_what_changed_after_it(
    desk: Desk, monkeypatch
) -> None:
    """Both files change when the directory of the first was looked at and that of the second was not yet."""
    both = [desk.plugin / "first" / "a", desk.plugin / "second" / "z"]
    for file in both:
        file.parent.mkdir()
        file.write_text("0")
    desk.freeze()
    outwait_the_window()
    looked, look_at = [], scan_module.look_at

    def look_then_change(path: bytes, *others: Any) -> Any:
        result = look_at(path, *others)
        if path.rpartition(b"/")[2] in (b"first", b"second") and not looked:
            looked.append(path)
            for file in both:
                file.write_text("1")
        return result

    monkeypatch.setattr(scan_module, "look_at", look_then_change)
    view = desk.view(desk.freeze().snapshot)
    assert looked
    assert (view / "first" / "a").read_text() == (view / "second" / "z").read_text() == "1"


def outwait_the_window() -> None:
    """Let the stamps made so far become old, as they are when nobody is writing."""
    RacyRule().outwait(time.time_ns())


def test_a_workstation_that_never_holds_still_is_refused_with_the_folder(desk: Desk) -> None:
    def touch_at_each_scan(step: FreezeProgress) -> None:
        if step.phase == "scan":
            (desk.plugin / "restless").write_text(str(time.monotonic_ns()))

    with pytest.raises(WorkstationKeepsChanging, match="plugin/"):
        desk.freeze(progress=touch_at_each_scan)
    assert list_snapshots(desk.snapshots) == []


# 57: stamps too young to show a change


@pytest.fixture(params=["disk", "ramfs"])
def clocked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on this disk, and one on a file system that stamps by the tick of the coarse clock."""
    if request.param == "disk":
        yield tmp_path
        return
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "ramfs", "none", tmp_path]).returncode:
        pytest.skip("ramfs cannot be mounted here")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_rewrite_of_the_same_size_right_after_a_freeze_is_seen(clocked: Path) -> None:
    desk = Desk(clocked)
    file = desk.plugin / "__init__.py"
    for number in range(10, 30):
        file.write_text(str(number))
        snapshot = desk.freeze().snapshot
        assert (desk.view(snapshot) / "__init__.py").read_text() == str(number)


def test_a_stamp_of_a_clock_ahead_of_ours_is_read_again_every_time(desk: Desk) -> None:
    desk.store = Store(desk.store.root, RacyRule(now_ns=lambda: time.time_ns() - 10**12))
    desk.freeze()
    again = desk.freeze()
    assert (again.new, again.files_read) == (False, 1)
    desk.store = Store(desk.store.root)
    assert desk.freeze().files_read == 1
    assert desk.freeze().files_read == 0


# 58: two at once


def test_two_projects_freeze_into_one_store_at_once(tmp_path: Path) -> None:
    desks = [Desk(tmp_path / name, tmp_path / "store") for name in ("one", "two")]
    for desk in desks:
        for number in range(200):
            (desk.plugin / f"{number}.py").write_text(str(number))
            os.utime(desk.plugin / f"{number}.py", ns=(0, number))
    results: list[FreezeResult] = []
    at_once([lambda desk=desk: results.append(desk.freeze()) for desk in desks])
    assert len(results) == 2
    assert all(verify(desks[0].store, result.snapshot).ok for result in results)
    for desk in desks:
        assert (desk.view(list_snapshots(desk.snapshots)[0]) / "7.py").read_text() == "7"


def test_two_instances_that_need_the_same_view_at_once_get_the_same_one(desk: Desk) -> None:
    for number in range(300):
        (desk.plugin / f"{number}.py").write_text(str(number))
    snapshot = desk.freeze().snapshot
    views: list[Path] = []
    at_once([lambda: views.append(desk.view(snapshot))] * 4)
    assert len(views) == 4
    assert len(set(views)) == 1
    assert verify(desk.store, snapshot).ok


def at_once(actions: list[Callable[[], object]]) -> None:
    """Run all in threads of their own and wait for them."""
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


# 60: a damaged object


def test_of_ten_snapshots_those_with_the_damaged_object_are_named_and_healed(desk: Desk) -> None:
    (desk.plugin / "early").write_text("in the first five")
    snapshots = []
    for number in range(10):
        if number == 5:
            (desk.plugin / "early").unlink()
        (desk.plugin / "n").write_text(str(number))
        snapshots.append(desk.freeze().snapshot)
    damaged = Path(os.path.realpath(desk.view(snapshots[0]) / "early"))
    facts = damaged.stat()
    damaged.chmod(0o644)
    damaged.write_text("in the FIRST five")  # Through the view: it is the object's own inode.
    os.utime(damaged, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    report = verify_all(desk.store, snapshots)
    assert {damage.path for damage in report.damages} == {"early"}
    assert {name for damage in report.damages for name in damage.snapshots} == {
        snapshot.folder_name for snapshot in snapshots[:5]
    }
    (desk.plugin / "early").write_text("in the first five")
    os.utime(desk.plugin / "early", ns=(0, facts.st_mtime_ns))
    desk.freeze()
    assert verify_all(desk.store, snapshots).ok
    assert (desk.view(snapshots[0]) / "early").read_text() == "in the first five"


# 27: the disk is full


@root_only
def test_a_full_disk_says_how_much_is_missing_and_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", small]).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        desk = Desk(tmp_path, small / "store")
        first = desk.freeze().snapshot
        for number in range(100):
            (desk.plugin / f"{number}.bin").write_bytes(os.urandom(200_000))
        free = os.statvfs(small).f_bavail
        with pytest.raises(StoreFull) as caught:
            desk.freeze()
        assert caught.value.needed_bytes > 10_000_000 > caught.value.free_bytes
        assert free - os.statvfs(small).f_bavail < 300  # Pages: a few records, no objects.
        assert list_snapshots(desk.snapshots) == [first]
        assert verify(desk.store, first).ok
        for number in range(90):
            (desk.plugin / f"{number}.bin").unlink()
        assert verify(desk.store, desk.freeze().snapshot).ok
    finally:
        subprocess.run(["umount", small], check=True)
