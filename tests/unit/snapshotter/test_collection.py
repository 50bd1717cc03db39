"""Garbage collection: everything that is needed stays, everything else goes, and a freeze beside it wins."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from snapshotter.catalogue import MANIFEST, read_snapshot
from snapshotter.collection import collect, store_bytes
from snapshotter.errors import NotCollectable, StoreBusy
from snapshotter.freeze import freeze
from snapshotter.retention import delete_snapshot
from snapshotter.rules import ComponentSource
from snapshotter.session import session
from snapshotter.verify import verify


def swept(desk, **options):
    options.setdefault("minimum_age_seconds", -60.0)  # Stamps of this very moment count as old.
    return collect(desk.store, lambda: [desk.project.snapshots], **options)


def delete(desk, snapshot) -> None:
    delete_snapshot(desk.project.snapshots, snapshot, dict)


def names(desk, kind: str) -> set[str]:
    return {path.name for path in (desk.store.root / kind).rglob("*") if path.is_file()}


def test_nothing_is_removed_while_every_snapshot_is_there(desk) -> None:
    for number in range(3):
        (desk.plugin / "x").write_text(str(number))
        desk.views(desk.freeze().snapshot)
    before = names(desk, "objects"), names(desk, "trees"), names(desk, "views")
    done = swept(desk)
    assert (done.objects, done.trees, done.views, done.leftovers, done.freed_bytes) == (0, 0, 0, 0, 0)
    assert done.kept_objects == len(before[0])
    assert (names(desk, "objects"), names(desk, "trees"), names(desk, "views")) == before


def test_what_only_a_deleted_snapshot_had_goes_and_the_others_stay_whole(desk) -> None:
    first = desk.freeze().snapshot
    (desk.plugin / "big").write_bytes(os.urandom(100_000))
    second = desk.freeze().snapshot
    desk.views(first)
    desk.views(second)
    (desk.plugin / "big").unlink()
    third = desk.freeze().snapshot
    before = store_bytes(desk.store)
    delete(desk, second)
    dry = swept(desk, dry_run=True)
    assert store_bytes(desk.store) == before
    done = swept(desk)
    assert (done.objects, done.views) == (dry.objects, dry.views) == (1, 1)
    assert done.freed_bytes == dry.freed_bytes >= 100_000 == before - store_bytes(desk.store)
    assert verify(desk.store, first).ok and verify(desk.store, third).ok
    assert not (desk.store.root / "views" / second.component("custom_nodes/stamp").tree).exists()


def test_a_freeze_after_it_is_whole_though_the_last_scan_knew_what_went(desk) -> None:
    (desk.plugin / "big").write_bytes(os.urandom(50_000))
    (desk.plugin / "sub").mkdir()
    (desk.plugin / "sub" / "y").write_text("y")
    only = desk.freeze().snapshot
    delete(desk, only)
    assert swept(desk).objects > 0
    again = desk.freeze()
    assert (again.snapshot.id, again.snapshot.number) == (only.id, 2)
    assert again.files_read > 0
    assert verify(desk.store, again.snapshot).ok
    desk.assert_gives_back(again.snapshot)


def test_scans_of_components_that_stay_are_still_trusted(desk) -> None:
    first = desk.freeze().snapshot
    (desk.plugin / "x").write_text("x")
    desk.freeze()
    delete(desk, first)
    assert swept(desk).objects + swept(desk).trees >= 0
    assert desk.freeze().files_read == 0


def test_young_objects_stay_and_are_counted(desk) -> None:
    delete(desk, desk.freeze().snapshot)
    done = swept(desk, minimum_age_seconds=3600)
    assert (done.objects, done.trees) == (0, 0)
    assert done.young_bytes > 0
    assert swept(desk).freed_bytes == done.young_bytes


def test_a_view_that_an_instance_mounts_stays(desk) -> None:
    snapshot = desk.freeze().snapshot
    view = desk.views(snapshot)["custom_nodes/stamp"]
    delete(desk, snapshot)
    tree = snapshot.component("custom_nodes/stamp").tree
    swept(desk, views_in_use=lambda: {tree})
    assert (view / "__init__.py").read_text() == "NODE_CLASS_MAPPINGS = {}\n"
    swept(desk)
    assert not view.exists()


def test_leftovers_of_the_dead_go(desk) -> None:
    desk.freeze()
    root = desk.store.root
    (root / "tmp" / "77-dead").mkdir()
    (root / "tmp" / "77-dead" / "half").write_text("half")
    (root / "views" / ".partial-77-dead").mkdir(mode=0o555)
    (root / "views" / ".removed-abc").mkdir()
    (root / "scan" / ".x.abc.tmp").write_text("x")
    assert swept(desk).leftovers == 4
    assert not list((root / "views").iterdir())
    assert swept(desk).leftovers == 0


@pytest.mark.parametrize("harm", ["manifest", "record"])
def test_nothing_goes_when_what_a_snapshot_needs_cannot_be_told(desk, harm: str) -> None:
    first = desk.freeze().snapshot
    (desk.plugin / "x").write_text("x")
    second = desk.freeze().snapshot
    delete(desk, second)
    if harm == "manifest":
        (desk.project.snapshots / first.folder_name / MANIFEST).write_text("{")
    else:
        tree = bytes.fromhex(first.component("engine").tree)
        Path(os.fsdecode(desk.store.tree_path(tree))).unlink()
    before = names(desk, "objects")
    with pytest.raises(NotCollectable, match=first.folder_name):
        swept(desk)
    assert names(desk, "objects") == before


def test_it_waits_for_others_in_the_store_but_not_for_ever(desk) -> None:
    delete(desk, desk.freeze().snapshot)
    with session(desk.store), pytest.raises(StoreBusy):
        swept(desk, limit_seconds=0.05)
    assert names(desk, "objects")
    assert swept(desk).objects > 0


def test_a_snapshot_published_between_marking_and_sweeping_keeps_its_bytes(desk) -> None:
    """A freeze finds objects that the first marking called unneeded, and publishes before the sweep."""
    published = desk.freeze().snapshot
    looks = iter([[], [desk.project.snapshots]])  # The first look came before the publication.
    collect(desk.store, lambda: next(looks), minimum_age_seconds=-60)
    assert verify(desk.store, published).ok


def test_a_snapshot_that_is_deleted_and_collected_while_it_is_marked_troubles_nobody(desk) -> None:
    snapshot = desk.freeze().snapshot
    tree = bytes.fromhex(snapshot.component("engine").tree)
    Path(os.fsdecode(desk.store.tree_path(tree))).unlink()
    place = desk.project.snapshots / snapshot.folder_name

    def read(path: Path):
        found = read_snapshot(path)
        place.rename(place.with_name(".removed-1"))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("snapshotter.collection.read_snapshot", read)
        assert swept(desk).objects > 0


@pytest.mark.slow
def test_beside_freezes_of_two_projects_no_snapshot_ever_loses_a_byte(desk, tmp_path) -> None:
    stop = threading.Event()
    other = tmp_path / "projects" / "other"
    plugin = other / "workstation" / "plugin"
    plugin.mkdir(parents=True)
    folders = [desk.project.snapshots, other / "snapshots"]

    def collecting() -> int:
        removed = 0
        while not stop.is_set():
            removed += collect(desk.store, lambda: folders, minimum_age_seconds=-60).objects
        return removed

    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        collector = pool.submit(collecting)
        stack.callback(stop.set)  # Whatever happens, or the pool would wait for ever.
        for number in range(25):
            (desk.plugin / "x").write_bytes(b"%d" % (number % 3) * 5000)  # Comes and goes: often garbage.
            (plugin / "x").write_bytes(b"%d" % (number % 2) * 5000)
            mine = desk.freeze().snapshot
            source = ComponentSource("plugin", "plugin", plugin, "plugin")
            theirs = freeze(
                desk.store, "other", other / "snapshots", other / "workstation", [source], {}
            ).snapshot
            assert verify(desk.store, mine, quarantine=False).ok, number
            assert verify(desk.store, theirs, quarantine=False).ok, number
            delete(desk, mine)
            delete_snapshot(other / "snapshots", theirs, dict)
        stop.set()
        assert collector.result(60) > 0
