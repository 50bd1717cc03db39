from __future__ import annotations

import os
from pathlib import Path

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
    assert not verify(desk.store, snapshot).ok


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
