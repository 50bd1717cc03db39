"""The workstation as it is now: the same as a freeze would make, and nothing written for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snapshotter.components import components_of
from snapshotter.describe.unpublished import Unpublished, look
from snapshotter.diff import diff
from snapshotter.errors import NotFreezable


def seen(desk) -> Unpublished:
    sources = components_of(desk.project, desk.base, {})
    return look(desk.store, desk.project.name, desk.root, sources, {})


def content_of(folder: Path) -> set[tuple[str, int]]:
    return {
        (str(path.relative_to(folder)), path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and "tmp" not in path.relative_to(folder).parts
    }


def test_an_unchanged_workstation_is_its_last_snapshot(desk) -> None:
    snapshot = desk.freeze().snapshot
    found = seen(desk)
    assert found.snapshot.id == snapshot.id
    assert diff(found.store, snapshot, found.snapshot, new_name="workstation").lines() == [
        f"{snapshot.folder_name} and workstation hold the same."
    ]


def test_what_changed_is_seen_as_a_freeze_would_see_it_and_nothing_is_stored(desk) -> None:
    for number in range(200):  # enough that readers are forked
        (desk.plugin / f"{number}.py").write_text(str(number))
    old = desk.freeze().snapshot
    (desk.plugin / "3.py").write_text("changed")
    (desk.plugin / "4.py").unlink()
    (desk.plugin / "new").mkdir()
    for number in range(100):
        (desk.plugin / "new" / f"{number}").write_text(f"new {number}")
    (desk.plugin / "large").write_bytes(b"x" * 3_000_000)
    stored, published = content_of(desk.store.root), sorted(desk.project.snapshots.iterdir())
    found = seen(desk)
    assert content_of(desk.store.root) == stored
    assert sorted(desk.project.snapshots.iterdir()) == published
    assert not [path for path in (desk.store.root / "tmp").iterdir() if path.is_dir()]
    now = diff(found.store, old, found.snapshot)
    frozen = desk.freeze().snapshot
    assert found.snapshot.id == frozen.id
    assert now.components == diff(desk.store, old, frozen).components
    assert {"3.py", "4.py", "new", "large"} <= {file.path for file in now.components[0].files}


def test_a_workstation_that_was_never_frozen_is_seen_too(desk) -> None:
    assert seen(desk).snapshot.id == desk.freeze().snapshot.id


def test_packages_are_those_of_now(desk) -> None:
    site = desk.project.workstation.venv / "lib" / "python3.11" / "site-packages"
    (site / "a-1.0.dist-info").mkdir(parents=True)
    old = desk.freeze().snapshot
    (site / "a-1.0.dist-info").rename(site / "a-2.0.dist-info")
    found = seen(desk)
    (package,) = diff(found.store, old, found.snapshot).packages
    assert (package.old_version, package.new_version) == ("1.0", "2.0")


def test_what_a_freeze_would_refuse_is_named_and_the_rest_is_seen(desk) -> None:
    old = desk.freeze().snapshot
    os.mkfifo(desk.plugin / "pipe")
    (desk.plugin / "fresh.py").touch()
    found = seen(desk)
    assert [(refusal.path, "FIFO" in refusal.reason) for refusal in found.refusals] == [("pipe", True)]
    files = {file.path for part in diff(found.store, old, found.snapshot).components for file in part.files}
    assert "fresh.py" in files and "pipe" not in files


def test_a_component_that_vanished_is_refused_by_name(desk) -> None:
    sources = components_of(desk.project, desk.base, {})
    (desk.project.workstation.engine / "main.py").unlink()
    desk.project.workstation.engine.rmdir()
    with pytest.raises(NotFreezable, match="engine"):
        look(desk.store, desk.project.name, desk.root, sources, {})
