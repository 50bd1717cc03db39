"""Restoring: byte for byte, exact, one command back, and refused where it could lose something."""

from __future__ import annotations

import json
import os
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from snapshotter.catalogue import list_snapshots
from snapshotter.components import BaseFacts
from snapshotter.errors import (
    NoRoomToRestore,
    NotFreezable,
    NotRestorable,
    ObjectDamaged,
    ObjectMissing,
    WorkstationKeepsChanging,
    WorkstationRuns,
)
from snapshotter.manifest import Snapshot
from snapshotter.objects import ObjectKey
from snapshotter.restore import Restored, RestoreProgress, restore
from snapshotter.restore_plan import plan_restore
from snapshotter.walk import below
from tests.unit.snapshotter.conftest import Tree, seen
from workstation.errors import ProjectBusy
from workstation.identity import ProcessIdentity

# Folders that hold components and belong to none: their stamps and modes are not frozen.
BETWEEN = (b"", b"/custom_nodes", b"/custom_nodes/.disabled")


def frozen(root: Path) -> Tree:
    """As `seen`, without the folders between the components."""
    return {path: facts for path, facts in seen(root).items() if path not in BETWEEN}


def bring_back(desk, snapshot: Snapshot, **options) -> Restored:
    options.setdefault("keep", lambda: desk.freeze().snapshot)
    return restore(desk.store, snapshot, desk.project, **options)


def furnish(desk) -> None:
    """Everything that a snapshot can hold: modes, links, odd names, empty folders, caches."""
    workstation = desk.project.workstation
    (desk.plugin / "run.sh").write_text("#!/bin/sh\n")
    (desk.plugin / "run.sh").chmod(0o755)
    (desk.plugin / "secret.key").write_text("k")
    (desk.plugin / "secret.key").chmod(0o640)
    (desk.plugin / "empty").mkdir(mode=0o555)
    (desk.plugin / "link").symlink_to("run.sh")
    Path(os.fsdecode(os.fsencode(desk.plugin) + b"/odd\xff")).write_bytes(b"odd")
    os.utime(desk.plugin / "run.sh", ns=(1, 1_600_000_000_123_456_789))
    (workstation.custom_nodes / "single.py").write_text("x = 1\n")
    (workstation.custom_nodes / ".disabled" / "old").mkdir(parents=True)
    (workstation.custom_nodes / ".disabled" / "old" / "a").write_text("a")
    (workstation.venv / "lib/python3.11/site-packages/einops-0.8.0.dist-info").mkdir(parents=True)
    (workstation.venv / "bin").mkdir()
    (workstation.venv / "bin" / "python").symlink_to("/usr/bin/python3")
    (workstation.cache / "huggingface").mkdir(parents=True)
    (workstation.cache / "huggingface" / "x").write_bytes(os.urandom(3000))
    (workstation.user / "default").mkdir(parents=True)


def spoil(desk) -> None:
    """What a developer may do to a workstation in an afternoon."""
    workstation = desk.project.workstation
    (desk.plugin / "__init__.py").write_text("raise SystemExit\n")
    (desk.plugin / "run.sh").unlink()
    (desk.plugin / "empty").rmdir()
    (desk.plugin / "new").mkdir()
    (workstation.custom_nodes / "single.py").unlink()
    (workstation.custom_nodes / "stranger").mkdir()
    (workstation.custom_nodes / "stranger" / "s.py").write_text("s")
    shutil.rmtree(workstation.custom_nodes / ".disabled")
    packages = workstation.venv / "lib/python3.11/site-packages"
    (packages / "einops-0.8.0.dist-info").rename(packages / "einops-0.9.0.dist-info")
    (packages / "tqdm-4.0.dist-info").mkdir()
    shutil.rmtree(workstation.cache / "huggingface")
    shutil.rmtree(workstation.engine)
    workstation.engine.mkdir()


def test_a_restored_workstation_is_what_was_frozen_and_freezes_to_the_same_snapshot(desk) -> None:
    furnish(desk)
    wanted = desk.freeze().snapshot
    before = seen(desk.root)
    spoil(desk)
    assert seen(desk.root) != before
    restored = bring_back(desk, wanted)
    assert frozen(desk.root) == {path: facts for path, facts in before.items() if path not in BETWEEN}
    assert restored.components == (
        "cache",
        "custom_nodes/.disabled/old",
        "custom_nodes/single.py",
        "custom_nodes/stamp",
        "custom_nodes/stranger",
        "dependencies",
        "engine",
    )
    again = desk.freeze()
    assert again.snapshot.id == wanted.id
    assert not list(desk.project.run.glob("change*[0-9a-f]"))
    assert not (desk.project.run / "change.json").exists()


def test_one_restore_of_the_kept_snapshot_brings_the_state_before_back(desk) -> None:
    furnish(desk)
    wanted = desk.freeze().snapshot
    spoil(desk)
    spoiled = frozen(desk.root)
    kept = bring_back(desk, wanted).kept
    assert kept.number == 2
    assert bring_back(desk, kept).components
    assert frozen(desk.root) == spoiled
    assert desk.freeze().snapshot.id == kept.id


def test_restored_files_are_their_own_and_a_write_in_place_leaves_the_snapshot_alone(desk) -> None:
    wanted = desk.freeze().snapshot
    (desk.plugin / "__init__.py").write_text("changed")
    bring_back(desk, wanted)
    restored = desk.plugin / "__init__.py"
    assert restored.stat().st_nlink == 1
    with restored.open("r+") as file:
        file.write("OVERWRITTEN")
    assert (desk.views(wanted)["custom_nodes/stamp"] / "__init__.py").read_text().startswith("NODE_CLASS")


def test_only_components_that_differ_are_replaced(desk) -> None:
    wanted = desk.freeze().snapshot
    untouched = (desk.project.workstation.engine / "main.py").stat()
    (desk.plugin / "__init__.py").write_text("changed")
    assert bring_back(desk, wanted).components == ("custom_nodes/stamp",)
    now = (desk.project.workstation.engine / "main.py").stat()
    assert (now.st_ino, now.st_ctime_ns) == (untouched.st_ino, untouched.st_ctime_ns)
    again = bring_back(desk, wanted)
    assert (again.components, again.bytes_written) == ((), 0)


def test_what_a_freeze_leaves_out_and_what_is_shared_stays(desk) -> None:
    workstation = desk.project.workstation
    furnish(desk)
    for folder in (workstation.input, workstation.output, workstation.temp):
        folder.mkdir()
        (folder / "mine").write_text(folder.name)
    (workstation.models.resolve() / "weights").write_text("weights")
    (workstation.cache / "pip" / "http").mkdir(parents=True)
    (workstation.cache / "pip" / "http" / "wheel").write_text("wheel")
    (workstation.user / "comfyui.log").write_text("log")
    wanted = desk.freeze().snapshot
    (workstation.cache / "huggingface" / "x").write_text("changed")
    (workstation.user / "default" / "x").write_text("new")
    bring_back(desk, wanted)
    assert (workstation.cache / "pip" / "http" / "wheel").read_text() == "wheel"
    assert (workstation.user / "comfyui.log").read_text() == "log"
    assert [
        (folder / "mine").read_text() for folder in (workstation.input, workstation.output, workstation.temp)
    ] == ["input", "output", "temp"]
    assert (workstation.models / "weights").read_text() == "weights"
    assert desk.freeze().snapshot.id == wanted.id


def test_the_plan_says_what_would_change_and_touches_nothing(desk) -> None:
    furnish(desk)
    wanted = desk.freeze().snapshot
    wanted = replace(
        wanted,
        components=tuple(
            replace(part, facts={"packages": [{"name": "einops", "version": "0.8.0", "record": ""}]})
            if part.kind == "dependencies"
            else part
            for part in wanted.components
        ),
    )
    assert plan_restore(desk.store, wanted, desk.project).nothing_to_do
    spoil(desk)
    before, snapshots = seen(desk.root), list_snapshots(desk.project.snapshots)
    plan = plan_restore(desk.store, wanted, desk.project)
    assert seen(desk.root) == before and list_snapshots(desk.project.snapshots) == snapshots
    changes = {part.name: (part.change, part.added, part.removed, part.changed) for part in plan.components}
    assert changes["custom_nodes/stranger"] == ("removed", 0, 2, 0)
    assert changes["custom_nodes/single.py"] == ("added", 1, 0, 0)
    assert changes["custom_nodes/stamp"] == ("changed", 2, 1, 2)  # Its own folder's mtime counts too.
    assert {(package.name, package.now, package.then) for package in plan.packages} == {
        ("einops", "0.9.0", "0.8.0"),
        ("tqdm", "4.0", None),
    }
    assert plan.size_bytes == sum(part.size_bytes for part in plan.components) > 3000
    bring_back(desk, wanted)
    assert plan_restore(desk.store, wanted, desk.project).nothing_to_do


def test_the_base_is_compared_and_told_never_restored(desk, tmp_path) -> None:
    packages = tmp_path / "base"
    packages.mkdir()
    (packages / "torch.py").write_text("1")
    desk.base = BaseFacts("default", packages, "f" * 64)
    wanted = desk.freeze().snapshot
    (packages / "torch.py").write_text("2")
    (desk.plugin / "__init__.py").write_text("changed")
    now = BaseFacts("default", packages, "e" * 64)
    restored = bring_back(desk, wanted, base=now)
    assert restored.base is not None and not restored.base.same
    assert "default (ffffffffffff)" in str(restored.base) and "eeeeeeeeeeee" in str(restored.base)
    assert (packages / "torch.py").read_text() == "2"
    same = plan_restore(desk.store, wanted, desk.project, desk.base).base
    assert same is not None and same.same


def test_it_is_refused_while_the_engine_runs(desk) -> None:
    wanted = desk.freeze().snapshot
    (desk.plugin / "__init__.py").write_text("changed")
    me = ProcessIdentity.of(os.getpid())
    state = {
        "status": "running",
        "keeper": [me.pid, me.started_ticks, me.boot],
        "engine_pid": me.pid,
        "port": 1,
        "url": "http://127.0.0.1:1",
        "restarts": 0,
        "last_exit": None,
        "since": None,
        "problem": None,
    }
    desk.project.run.mkdir(exist_ok=True)
    (desk.project.run / "state.json").write_text(json.dumps(state))
    with pytest.raises(WorkstationRuns, match="workstation stop portraits"):
        bring_back(desk, wanted)
    assert (desk.plugin / "__init__.py").read_text() == "changed"
    assert len(list_snapshots(desk.project.snapshots)) == 1


def test_it_is_refused_while_another_change_of_the_workstation_is_in_progress(desk) -> None:
    from workstation.change import change

    wanted = desk.freeze().snapshot
    with change(desk.project, "installing x"), pytest.raises(ProjectBusy, match="installing x"):
        bring_back(desk, wanted)


def test_a_state_that_cannot_be_kept_is_not_replaced(desk) -> None:
    wanted = desk.freeze().snapshot
    os.mkfifo(desk.plugin / "pipe")
    with pytest.raises(NotFreezable, match="FIFO"):
        bring_back(desk, wanted)
    assert (desk.plugin / "pipe").exists()


def test_a_change_while_it_builds_is_kept_too(desk) -> None:
    wanted = desk.freeze().snapshot
    (desk.plugin / "__init__.py").write_text("changed")
    calls = []

    def keep() -> Snapshot:
        if len(calls) == 1:
            (desk.plugin / "late").write_text("written while it was building")
        calls.append(desk.freeze().snapshot)
        return calls[-1]

    kept = bring_back(desk, wanted, keep=keep).kept
    assert len(calls) == 3 and kept.number == 3
    assert not (desk.plugin / "late").exists()
    bring_back(desk, kept)
    assert (desk.plugin / "late").read_text() == "written while it was building"


def test_a_workstation_that_never_holds_still_is_refused_unchanged(desk) -> None:
    wanted = desk.freeze().snapshot

    def keep() -> Snapshot:
        (desk.plugin / "busy").write_bytes(os.urandom(8))
        return desk.freeze().snapshot

    with pytest.raises(WorkstationKeepsChanging):
        bring_back(desk, wanted, keep=keep)
    assert (desk.plugin / "busy").exists()
    assert not list(desk.project.run.glob("change-*"))


@pytest.mark.parametrize("harm", ["missing", "flipped", "short"])
def test_a_damaged_object_is_found_before_anything_is_replaced(desk, harm: str) -> None:
    (desk.plugin / "data").write_bytes(bytes(5000))
    wanted = desk.freeze().snapshot
    root = desk.store.root_entry(wanted.component("custom_nodes/stamp").tree)
    entry = next(entry for path, entry in below(desk.store, root) if path == b"data")
    damaged = Path(os.fsdecode(desk.store.object_path(ObjectKey.of(entry))))
    (desk.plugin / "data").write_text("changed")
    before = seen(desk.root)
    if harm == "missing":
        damaged.unlink()
    else:
        damaged.chmod(0o644)
        damaged.write_bytes(b"x" + bytes(4999) if harm == "flipped" else b"x")
    with pytest.raises(ObjectMissing if harm == "missing" else ObjectDamaged):
        bring_back(desk, wanted)
    assert seen(desk.root) == before
    assert not list(desk.project.run.glob("change-*"))


def test_a_manifest_that_points_out_of_the_workstation_is_refused(desk) -> None:
    wanted = desk.freeze().snapshot
    engine = wanted.component("engine")
    for strange in (
        replace(engine, path="../../elsewhere"),
        replace(engine, path="models/x"),
        replace(engine, path="engine/../../x"),
        replace(engine, path=""),
        replace(engine, place="/etc"),
    ):
        with pytest.raises(NotRestorable, match="no part of a workstation"):
            bring_back(desk, replace(wanted, components=(strange,)))


def test_a_full_disk_is_said_before_anything_is_built(desk, monkeypatch) -> None:
    (desk.plugin / "data").write_bytes(bytes(5000))
    wanted = desk.freeze().snapshot
    (desk.plugin / "data").unlink()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("snapshotter.restore.shutil.disk_usage", lambda _: usage(10**9, 10**9, 100))
    with pytest.raises(NoRoomToRestore) as caught:
        bring_back(desk, wanted)
    assert caught.value.needed_bytes > 5000 and caught.value.free_bytes == 100
    assert not (desk.plugin / "data").exists()


def test_progress_names_phases_files_and_bytes(desk) -> None:
    furnish(desk)
    wanted = desk.freeze().snapshot
    spoil(desk)
    told: list[RestoreProgress] = []
    done = bring_back(desk, wanted, progress=told.append)
    assert list(dict.fromkeys(one.phase for one in told)) == ["keep", "build", "swap"]
    last = [one for one in told if one.phase == "build"][-1]
    assert last.files_done == last.files_total and last.bytes_done == last.bytes_total == done.bytes_written
