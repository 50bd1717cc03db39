"""Healing: by digest, from wherever the bytes still are; what nobody has is named with all that need it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snapshotter.catalogue import list_snapshots
from snapshotter.healing import Healed, heal
from snapshotter.manifest import Snapshot
from snapshotter.objects import ObjectKey
from snapshotter.verify import verify
from snapshotter.walk import below
from workstation.layout import Project


def object_of(desk, snapshot: Snapshot, component: str, name: bytes) -> Path:
    root = desk.store.root_entry(snapshot.component(component).tree)
    entry = next(entry for path, entry in below(desk.store, root) if path == name)
    return Path(os.fsdecode(desk.store.object_path(ObjectKey.of(entry))))


def record_of(desk, digest: bytes) -> Path:
    return Path(os.fsdecode(desk.store.tree_path(digest)))


def flip(path: Path) -> None:
    facts, data = path.stat(), bytearray(path.read_bytes())
    data[0] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(facts.st_mode)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def healed(desk, *more: Project) -> Healed:
    return heal(desk.store, list_snapshots(desk.project.snapshots), [desk.project, *more])


@pytest.mark.parametrize("harm", [flip, Path.unlink, lambda path: os.truncate(path, 1)])
def test_a_damaged_object_comes_back_from_the_workstation(desk, harm) -> None:
    (desk.plugin / "data").write_bytes(os.urandom(4000))
    snapshot = desk.freeze().snapshot
    desk.views(snapshot)
    damaged = object_of(desk, snapshot, "custom_nodes/stamp", b"data")
    harm(damaged)
    done = healed(desk)
    assert {(damage.component, damage.path) for damage in done.before.damages} == {
        ("custom_nodes/stamp", "data")
    }
    assert done.healed == (damaged.name,) and done.after.ok
    assert verify(desk.store, snapshot).ok
    assert os.path.lexists(desk.store.root / "views" / snapshot.component("custom_nodes/stamp").tree)
    desk.assert_gives_back(snapshot)
    assert len(list_snapshots(desk.project.snapshots)) == 1  # Nothing new was published.


def test_bytes_are_found_by_digest_wherever_they_lie_now(desk, tmp_path) -> None:
    for name in ("moved", "elsewhere", "twin"):
        (desk.plugin / name).write_bytes(os.urandom(4000))
    snapshot = desk.freeze().snapshot
    data = {name: (desk.plugin / name).read_bytes() for name in ("moved", "elsewhere", "twin")}
    damaged = [object_of(desk, snapshot, "custom_nodes/stamp", name.encode()) for name in data]
    (desk.plugin / "moved").rename(desk.project.workstation.engine / "other-name")
    other = Project("other", tmp_path / "projects" / "other")
    (other.workstation.custom_nodes / "p").mkdir(parents=True)
    (other.workstation.custom_nodes / "p" / "x").write_bytes(data["elsewhere"])
    (desk.plugin / "elsewhere").unlink()
    (desk.plugin / "twin").touch()  # The same bytes with another mtime: another object.
    desk.freeze()
    (desk.plugin / "twin").unlink()
    for path in damaged:
        path.unlink()
    done = healed(desk, other)
    assert done.after.ok and len(done.healed) == 3
    assert verify(desk.store, snapshot).ok


def test_what_nobody_has_is_named_with_every_snapshot_that_uses_it(desk) -> None:
    (desk.plugin / "data").write_bytes(os.urandom(4000))
    first = desk.freeze().snapshot
    (desk.plugin / "more").write_text("more")
    second = desk.freeze().snapshot
    object_of(desk, first, "custom_nodes/stamp", b"data").unlink()
    flip(object_of(desk, first, "engine", b"main.py"))
    (desk.plugin / "data").write_bytes(os.urandom(4000))
    done = healed(desk)
    assert len(done.healed) == 1
    assert {(damage.component, damage.path) for damage in done.after.damages} == {
        ("custom_nodes/stamp", "data")
    }
    named = {snapshot for damage in done.after.damages for snapshot in damage.snapshots}
    assert named == {first.folder_name, second.folder_name}
    (used,) = done.used_by.values()
    assert set(used) == {f"portraits/{first.folder_name}", f"portraits/{second.folder_name}"}
    only_the_second = heal(desk.store, [second], [desk.project])
    assert set(only_the_second.used_by[done.after.damages[0].object]) == set(used)


def test_damaged_records_come_back_also_when_they_hide_each_other(desk) -> None:
    inner = desk.plugin / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "x").write_text("x")
    (inner / "link").symlink_to("x")
    (desk.project.workstation.cache / "pip").mkdir(parents=True)
    (desk.project.workstation.cache / "pip" / "left-out").write_text("not frozen")
    (desk.project.workstation.cache / "kept").write_text("kept")
    snapshot = desk.freeze().snapshot
    part = snapshot.component("custom_nodes/stamp")
    root = desk.store.root_entry(part.tree)
    everything = dict(below(desk.store, root))
    cache = snapshot.component("cache")
    digests = [bytes.fromhex(part.tree), root.value, everything[b"a"].value, everything[b"a/b"].value]
    digests += [bytes.fromhex(cache.tree), desk.store.root_entry(cache.tree).value]
    for digest in digests:
        flip(record_of(desk, digest))
    object_of_x = Path(os.fsdecode(desk.store.object_path(ObjectKey.of(everything[b"a/b/x"]))))
    object_of_x.unlink()  # Only seen once the records above it are back.
    done = healed(desk)
    assert done.after.ok and len(done.healed) == 7
    assert verify(desk.store, snapshot).ok
    assert (desk.views(snapshot)["custom_nodes/stamp"] / "a/b/x").read_text() == "x"


def test_a_changed_view_is_made_anew(desk) -> None:
    snapshot = desk.freeze().snapshot
    view = desk.views(snapshot)["engine"]
    (view / "main.py").unlink()
    done = healed(desk)
    assert not done.before.ok and done.after.ok
    assert (done.healed, done.views_remade) == ((), 1)
    assert (view / "main.py").exists()


def test_a_whole_store_is_left_as_it_is(desk) -> None:
    desk.views(desk.freeze().snapshot)
    done = healed(desk)
    assert done.before.ok and done.after.ok
    assert (done.healed, done.views_remade) == ((), 0)
