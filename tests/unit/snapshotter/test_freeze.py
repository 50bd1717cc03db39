from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from snapshotter import component_tree
from snapshotter.catalogue import numbered
from snapshotter.errors import FreezeInProgress, ManifestTooNew, NotFreezable
from snapshotter.freeze import FreezeProgress, freeze
from snapshotter.locks import freeze_lock
from snapshotter.materialise import materialise
from snapshotter.rules import ComponentSource
from snapshotter.scan_cache import Known, load


def test_names_modes_mtimes_links_and_empty_folders_come_back_byte_for_byte(desk) -> None:
    plugin = desk.plugin
    (plugin / "empty" / "deeper").mkdir(parents=True)
    (plugin / "empty" / "deeper").chmod(0o2750)
    (plugin / "run.sh").write_text("#!/bin/sh\n")
    (plugin / "run.sh").chmod(0o750)
    (plugin / "nothing").touch()
    (plugin / ("n" * 255)).write_text("long")
    (plugin / "large").write_bytes(os.urandom(3 << 20))
    Path(os.fsdecode(os.fsencode(plugin) + b"/caf\xe9 \n")).write_bytes(b"not UTF-8")
    (plugin / "link").symlink_to("run.sh")
    (plugin / "dangling").symlink_to("nowhere")
    (plugin / "loop").symlink_to("loop")
    os.utime(plugin / "nothing", ns=(0, -1_500_000_000))
    os.utime(plugin / "run.sh", ns=(0, 1_234_567_890_123_456_789))
    os.utime(plugin / "link", ns=(0, 77), follow_symlinks=False)
    os.utime(plugin / "empty", ns=(0, 5))
    snapshot = desk.freeze().snapshot
    desk.assert_gives_back(snapshot)
    component = snapshot.component("custom_nodes/stamp")
    assert (component.files, component.directories) == (6, 3)


def test_exact_modes_stand_in_the_tree_although_objects_are_read_only(desk) -> None:
    (desk.plugin / "secret").touch()
    (desk.plugin / "secret").chmod(0o600)
    component = desk.freeze().snapshot.component("custom_nodes/stamp")
    root = desk.store.root_entry(component.tree)
    assert {entry.name: entry.mode for entry in desk.store.tree(root.value)}[b"secret"] == 0o600


def test_a_single_file_is_a_component_and_comes_back_as_a_file(desk) -> None:
    (desk.plugin.parent / "single.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    snapshot = desk.freeze().snapshot
    view = desk.views(snapshot)["custom_nodes/single.py"]
    assert view.is_file()
    desk.assert_gives_back(snapshot)


def test_a_sparse_file_stays_sparse(desk) -> None:
    size = 1 << 30
    with (desk.plugin / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(size // 2)
        file.write(b"middle")
        file.truncate(size)
    snapshot = desk.freeze().snapshot
    view = desk.views(snapshot)["custom_nodes/stamp"] / "sparse"
    assert view.stat().st_size == size
    assert view.stat().st_blocks * 512 < 1 << 20
    with view.open("rb") as file:
        assert file.read(5) == b"begin"
        file.seek(size // 2)
        assert file.read(7) == b"middle\0"


def test_what_happens_in_the_workstation_afterwards_never_reaches_the_snapshot(desk) -> None:
    files = {name: desk.plugin / name for name in ("written in place", "replaced", "deleted", "chmodded")}
    for file in files.values():
        file.write_text("frozen")
    view = desk.views(desk.freeze().snapshot)["custom_nodes/stamp"]
    with files["written in place"].open("r+") as file:
        file.write("EDITED")
    (desk.plugin / "new").write_text("edited")
    (desk.plugin / "new").rename(files["replaced"])
    files["deleted"].unlink()
    files["chmodded"].chmod(0o777)
    for name in files:
        assert (view / name).read_text() == "frozen"
        assert stat.S_IMODE((view / name).stat().st_mode) == 0o444


def test_working_files_are_never_linked_into_the_store(desk) -> None:
    before = (desk.plugin / "__init__.py").stat()
    desk.views(desk.freeze().snapshot)
    after = (desk.plugin / "__init__.py").stat()
    assert (after.st_nlink, after.st_ctime_ns) == (1, before.st_ctime_ns)


def test_the_same_content_is_the_newest_snapshot_and_no_new_one(desk) -> None:
    first = desk.freeze()
    again = desk.freeze()
    assert first.new
    assert (again.new, again.snapshot, again.files_read) == (False, first.snapshot, 0)
    assert len(list(desk.project.snapshots.glob("[0-9]*"))) == 1


def test_only_what_changed_is_read_again(desk) -> None:
    for number in range(50):
        (desk.plugin / f"{number}.py").write_text(str(number))
    first = desk.freeze().snapshot
    (desk.plugin / "7.py").write_text("changed")
    second = desk.freeze()
    assert (second.files_read, second.snapshot.number, second.snapshot.parent) == (1, 2, first.id)
    assert second.snapshot.component("engine") == first.component("engine")
    desk.assert_gives_back(second.snapshot)


def test_a_touched_file_is_a_new_snapshot_but_stores_no_byte_twice_in_one_tree(desk) -> None:
    first = desk.freeze().snapshot
    os.utime(desk.plugin / "__init__.py", ns=(0, 42))
    second = desk.freeze()
    assert second.new
    assert second.snapshot.id != first.id
    desk.assert_gives_back(second.snapshot)


def test_a_folder_that_was_removed_and_made_again_is_seen(desk) -> None:
    (desk.plugin / "sub" / "deep").mkdir(parents=True)
    (desk.plugin / "sub" / "deep" / "x").write_text("1")
    desk.freeze()
    assert b"sub/deep" in remembered(desk)
    (desk.plugin / "sub").rename(desk.root / "away")
    gone = desk.freeze().snapshot
    assert b"sub/deep" not in remembered(desk)
    assert gone.component("custom_nodes/stamp").directories == 1
    (desk.root / "away").rename(desk.plugin / "sub")
    desk.assert_gives_back(desk.freeze().snapshot)


def remembered(desk) -> set[bytes]:
    scans = (desk.store.root / "scan").iterdir()
    return {path for scan in scans for path in load(scan, desk.store.generation())}


def test_everything_is_on_the_disk_before_the_manifest_has_a_name(desk, monkeypatch) -> None:
    """No test can cut the power; this one looks at the order."""
    published_at_sync = []
    sync = desk.store.sync
    folder = desk.project.snapshots
    monkeypatch.setattr(desk.store, "sync", lambda: published_at_sync.append(numbered(folder)) or sync())
    desk.freeze()
    assert published_at_sync == [[]]


def test_a_removed_component_makes_a_new_snapshot_without_reading_anything(desk) -> None:
    (desk.plugin.parent / "other.py").write_text("x")
    desk.freeze()
    (desk.plugin.parent / "other.py").unlink()
    result = desk.freeze()
    assert (result.new, result.files_read) == (True, 0)


def test_verify_content_reads_everything_and_finds_the_same(desk) -> None:
    (desk.plugin / "large").write_bytes(os.urandom(2 << 20))
    first = desk.freeze()
    again = desk.freeze(verify_content=True)
    assert (again.new, again.files_read, again.bytes_stored) == (False, first.files_read, 0)


def test_verify_content_sees_what_no_stamp_shows(desk, monkeypatch) -> None:
    first = desk.freeze().snapshot
    file = desk.plugin / "__init__.py"
    before = file.stat()
    with file.open("r+") as opened:
        opened.write("X")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    load_scan = component_tree.load

    def as_if_the_stamp_were_known(path: Path, generation: bytes) -> dict[bytes, Known]:
        after = file.stat().st_ctime_ns
        return {
            name: known._replace(record=_with_ctime(known.record, before, after))
            for name, known in load_scan(path, generation).items()
        }

    monkeypatch.setattr(component_tree, "load", as_if_the_stamp_were_known)
    assert not desk.freeze().new
    assert desk.freeze(verify_content=True).snapshot.id != first.id


def _with_ctime(record: bytes, before: os.stat_result, after: int) -> bytes:
    mtime, ctime = (stamp.to_bytes(8, "little") for stamp in (before.st_mtime_ns, before.st_ctime_ns))
    return record.replace(mtime + ctime, mtime + after.to_bytes(8, "little"))


def test_a_lost_damaged_or_foreign_scan_costs_only_time(desk) -> None:
    first = desk.freeze()
    for cache in (desk.store.root / "scan").iterdir():
        data = bytearray(cache.read_bytes())
        data[-1] ^= 1
        cache.write_bytes(data)
    damaged = desk.freeze()
    assert (damaged.new, damaged.files_read) == (False, first.files_read)
    for cache in (desk.store.root / "scan").iterdir():
        cache.unlink()
    assert not desk.freeze().new
    desk.store.forget_scans()
    assert desk.freeze().files_read == first.files_read


def test_progress_counts_up_to_the_files_and_bytes_that_there_are(desk) -> None:
    steps: list[FreezeProgress] = []
    result = desk.freeze(progress=steps.append)
    reads = [step for step in steps if step.phase == "read"]
    assert (reads[-1].files_done, reads[-1].files_total) == (result.files_read, result.files_read)
    assert reads[-1].bytes_done == reads[-1].bytes_total == result.bytes_read
    assert (steps[0].phase, steps[-1].phase) == ("scan", "publish")


def test_a_second_freeze_of_one_project_is_refused_by_name(desk) -> None:
    desk.project.snapshots.mkdir()
    with freeze_lock(desk.project.snapshots, "portraits"), pytest.raises(FreezeInProgress) as caught:
        desk.freeze()
    assert (caught.value.project, caught.value.pid) == ("portraits", os.getpid())
    assert desk.freeze().new


def test_a_manifest_from_the_future_stops_the_freeze_and_changes_nothing(desk) -> None:
    snapshot = desk.freeze().snapshot
    manifest = desk.project.snapshots / snapshot.folder_name / "manifest.json"
    manifest.write_text('{"format": 99}')
    (desk.plugin / "new").write_text("x")
    with pytest.raises(ManifestTooNew):
        desk.freeze()
    assert len(list(desk.project.snapshots.glob("[0-9]*"))) == 1


def test_byproducts_are_left_out_and_pyc_files_kept(desk) -> None:
    cache = desk.project.workstation.cache
    for path in ("pip/http/x", "uv/wheels/y", "huggingface/hub/z"):
        (cache / path).parent.mkdir(parents=True)
        (cache / path).write_text(path)
    (desk.plugin / "__pycache__").mkdir()
    (desk.plugin / "__pycache__" / "a.pyc").write_bytes(b"pyc")
    views = desk.views(desk.freeze().snapshot)
    assert sorted(path.name for path in views["cache"].iterdir()) == ["huggingface"]
    assert (views["custom_nodes/stamp"] / "__pycache__" / "a.pyc").read_bytes() == b"pyc"


def test_links_into_models_and_to_the_interpreter_are_kept_as_they_are(desk) -> None:
    venv = desk.project.workstation.venv
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to("/usr/bin/python3")
    (venv / "bin" / "python3").symlink_to("python")
    (desk.plugin / "weights").symlink_to("../../models")
    snapshot = desk.freeze().snapshot
    desk.assert_gives_back(snapshot)
    assert snapshot.component("dependencies").facts["interpreter"] == {"bin/python": "/usr/bin/python3"}


def test_packages_are_described_from_the_frozen_bytes(desk) -> None:
    site = desk.project.workstation.venv / "lib" / "python3.11" / "site-packages"
    for name in ("Pillow-12.0.dist-info", "my_pack-1.0.dist-info"):
        (site / name).mkdir(parents=True)
        (site / name / "RECORD").write_text(name)
    packages = desk.freeze().snapshot.component("dependencies").facts["packages"]
    assert [(package["name"], package["version"]) for package in packages] == [
        ("my-pack", "1.0"),
        ("pillow", "12.0"),
    ]
    assert all(len(package["record"]) == 64 for package in packages)


def test_all_refusals_are_told_together_and_nothing_is_stored(desk) -> None:
    os.mkfifo(desk.plugin / "pipe")
    (desk.plugin / "passwords").symlink_to("/etc/passwd")
    (desk.project.workstation.engine / "up").symlink_to("../..")
    with pytest.raises(NotFreezable) as caught:
        desk.freeze()
    assert {(refusal.component, refusal.path) for refusal in caught.value.refusals} == {
        ("custom_nodes/stamp", "pipe"),
        ("custom_nodes/stamp", "passwords"),
        ("engine", "up"),
    }
    assert not list((desk.store.root / "objects").glob("*/*"))
    assert not list(desk.project.snapshots.glob("[0-9]*"))


def test_a_plugin_that_is_a_link_to_a_folder_elsewhere_is_refused(desk, tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (desk.plugin.parent / "linked").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotFreezable, match="custom_nodes/linked: \\(the component itself\\)"):
        desk.freeze()


def test_a_component_that_vanished_is_refused_by_name(desk) -> None:
    source = ComponentSource("ghost", "plugin", desk.root / "ghost", "ghost")
    with pytest.raises(NotFreezable, match="ghost"):
        freeze(desk.store, "p", desk.project.snapshots, desk.root, [source], {})


def test_a_view_is_shared_by_all_snapshots_that_have_the_component(desk) -> None:
    first = desk.freeze().snapshot
    (desk.plugin / "new").write_text("x")
    second = desk.freeze().snapshot
    assert desk.views(first)["engine"] == desk.views(second)["engine"]
    assert desk.views(first)["custom_nodes/stamp"] != desk.views(second)["custom_nodes/stamp"]


@pytest.mark.slow
def test_a_file_with_more_names_than_the_file_system_allows_is_copied(desk) -> None:
    """ext4 allows 65,000 names; elsewhere the limit may never be met and all are links."""
    for folder in range(66):
        (desk.plugin / str(folder)).mkdir()
        for number in range(1000):
            path = desk.plugin / str(folder) / f"{number}.py"
            path.touch()
            os.utime(path, ns=(0, 1_000_000_000))
    component = desk.freeze().snapshot.component("custom_nodes/stamp")
    started = time.monotonic()
    view = materialise(desk.store, component)
    assert time.monotonic() - started < 60
    assert sum(1 for _ in view.rglob("*.py")) == 66_001
