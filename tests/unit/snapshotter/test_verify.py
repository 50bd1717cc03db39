from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snapshotter.errors import ObjectMissing
from snapshotter.objects import ObjectKey
from snapshotter.verify import verify, verify_all
from snapshotter.walk import below


def object_of(desk, snapshot, component: str, name: bytes) -> Path:
    root = desk.store.root_entry(snapshot.component(component).tree)
    entry = next(entry for path, entry in below(desk.store, root) if path == name)
    return Path(os.fsdecode(desk.store.object_path(ObjectKey.of(entry))))


def flip(path: Path) -> None:
    """Change one bit and neither size nor mtime, as a failing disk would."""
    facts, data = path.stat(), bytearray(path.read_bytes())
    data[0] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(facts.st_mode)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_a_whole_snapshot_verifies(desk) -> None:
    snapshot = desk.freeze().snapshot
    desk.views(snapshot)
    report = verify(desk.store, snapshot)
    assert report.ok
    assert (report.files_checked, report.bytes_checked) == (2, snapshot.size_bytes)


@pytest.mark.parametrize(
    "harm", [flip, Path.unlink, lambda path: os.truncate(path, 1), lambda path: os.utime(path)]
)
def test_a_damaged_object_is_named_with_component_and_path_and_healed_by_the_next_freeze(desk, harm) -> None:
    first = desk.freeze().snapshot
    before = desk.views(first)["custom_nodes/stamp"] / "__init__.py"
    harm(object_of(desk, first, "custom_nodes/stamp", b"__init__.py"))
    (damage,) = {(damage.component, damage.path) for damage in verify(desk.store, first).damages}
    assert damage == ("custom_nodes/stamp", "__init__.py")
    assert not verify(desk.store, first).ok
    healed = desk.freeze()
    assert not healed.new
    assert verify(desk.store, first).ok
    desk.assert_gives_back(first)
    assert before.read_text() == "NODE_CLASS_MAPPINGS = {}\n"


def test_a_damaged_directory_record_is_named_and_healed(desk) -> None:
    (desk.plugin / "sub").mkdir()
    (desk.plugin / "sub" / "x").write_text("x")
    snapshot = desk.freeze().snapshot
    root = desk.store.root_entry(snapshot.component("custom_nodes/stamp").tree)
    sub = next(entry for entry in desk.store.tree(root.value) if entry.name == b"sub")
    flip(Path(os.fsdecode(desk.store.tree_path(sub.value))))
    (damage,) = verify(desk.store, snapshot).damages
    assert (damage.component, damage.path) == ("custom_nodes/stamp", "sub")
    desk.freeze()
    assert verify(desk.store, snapshot).ok


@pytest.mark.parametrize("size", [20, 3 << 20])
def test_bytes_that_the_disk_has_lost_are_a_damage_and_not_the_end(desk, monkeypatch, size: int) -> None:
    """Also how a file system with checksums of its own tells of bytes that turned."""
    (desk.plugin / "weights").write_bytes(bytes(size))
    (desk.plugin / "sub").mkdir()
    snapshot = desk.freeze().snapshot
    lost = object_of(desk, snapshot, "custom_nodes/stamp", b"weights").stat().st_ino

    def losing(read: Callable[..., Any]) -> Callable[..., Any]:
        def lose(fd: int, *arguments: Any) -> Any:
            if os.fstat(fd).st_ino == lost:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return read(fd, *arguments)

        return lose

    monkeypatch.setattr(os, "pread", losing(os.pread))
    monkeypatch.setattr(os, "preadv", losing(os.preadv))
    (damage,) = verify(desk.store, snapshot).damages
    assert (damage.path, damage.reason) == ("weights", "cannot be read: Input/output error")


def test_verify_without_quarantine_changes_nothing(desk) -> None:
    snapshot = desk.freeze().snapshot
    damaged = object_of(desk, snapshot, "engine", b"main.py")
    flip(damaged)
    assert verify(desk.store, snapshot, quarantine=False).set_aside == 0
    assert damaged.exists()


def test_a_view_that_somebody_changed_is_named_and_made_anew(desk) -> None:
    snapshot = desk.freeze().snapshot
    view = desk.views(snapshot)["engine"]
    (view / "main.py").unlink()
    (damage,) = verify(desk.store, snapshot).damages
    assert (damage.component, damage.path, damage.reason) == ("engine", "main.py", "its view was changed")
    desk.assert_gives_back(snapshot)
    (desk.views(snapshot)["engine"] / "added").touch()
    assert [damage.path for damage in verify(desk.store, snapshot).damages] == ["added"]


def test_of_two_equal_folders_each_is_compared_with_its_own_place_in_the_view(desk) -> None:
    for name in ("one", "two"):
        (desk.plugin / name).mkdir()
    snapshot = desk.freeze().snapshot
    for name in ("one", "two"):
        added = desk.views(snapshot)["custom_nodes/stamp"] / name / "added"
        added.touch()
        assert [damage.path for damage in verify(desk.store, snapshot).damages] == [f"{name}/added"]


def test_a_changed_view_is_found_by_several_processes_and_named_once(desk) -> None:
    for number in range(300):  # More than one process looks at alone.
        folder = desk.plugin / f"part{number}" / "inner"
        folder.mkdir(parents=True)
        (folder / "module.py").write_text(str(number))
    snapshot = desk.freeze().snapshot
    view = desk.views(snapshot)["custom_nodes/stamp"]
    report = verify(desk.store, snapshot)
    assert (report.ok, report.files_checked) == (True, 302)
    (view / "part250" / "inner" / "module.py").unlink()
    (view / "part77" / "inner" / "added").touch()
    shutil.rmtree(view / "part288")
    flip(object_of(desk, snapshot, "custom_nodes/stamp", b"part100/inner/module.py"))
    damages = verify(desk.store, snapshot).damages
    assert [(damage.path, damage.reason) for damage in damages] == [
        ("part100/inner/module.py", "its bytes have another digest"),
        ("part250/inner/module.py", "its view was changed"),
    ]


def test_a_missing_object_stops_a_view_and_leaves_nothing_behind(desk) -> None:
    snapshot = desk.freeze().snapshot
    object_of(desk, snapshot, "engine", b"main.py").unlink()
    with pytest.raises(ObjectMissing):
        desk.views(snapshot)
    assert not list((desk.store.root / "views").glob(".partial-*"))
    assert not (desk.store.root / "views" / snapshot.component("engine").tree).exists()


def test_one_damage_names_every_snapshot_that_uses_it(desk) -> None:
    snapshots = []
    for number in range(4):
        if number == 3:
            (desk.plugin / "__init__.py").write_text("new")
        (desk.plugin / str(number)).write_text(str(number))
        snapshots.append(desk.freeze().snapshot)
    flip(object_of(desk, snapshots[0], "custom_nodes/stamp", b"__init__.py"))
    report = verify_all(desk.store, snapshots)
    named = {snapshot for damage in report.damages for snapshot in damage.snapshots}
    assert named == {snapshot.folder_name for snapshot in snapshots[:3]}
    once = sum(verify(desk.store, one).files_checked for one in snapshots[:1])
    assert report.files_checked == once + len(snapshots), "what is shared counts once"
