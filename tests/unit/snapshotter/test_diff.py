from __future__ import annotations

import json
import os

from snapshotter.diff import diff


def changes(desk, old, new, component: str = "custom_nodes/stamp") -> dict[str, str]:
    for change in diff(desk.store, old, new).components:
        if change.name == component:
            return {file.path: file.change for file in change.files}
    return {}


def test_a_snapshot_does_not_differ_from_itself(desk) -> None:
    snapshot = desk.freeze().snapshot
    found = diff(desk.store, snapshot, snapshot)
    assert found.is_empty
    assert found.lines() == [f"{snapshot.folder_name} and {snapshot.folder_name} hold the same."]


def test_each_kind_of_change_is_named(desk) -> None:
    for name in ("edited", "removed", "touched", "becomes a folder"):
        (desk.plugin / name).write_text(name)
    (desk.plugin / "same" / "deep").mkdir(parents=True)
    old = desk.freeze().snapshot
    (desk.plugin / "edited").write_text("x")
    (desk.plugin / "removed").unlink()
    os.utime(desk.plugin / "touched", ns=(0, 1))
    (desk.plugin / "becomes a folder").unlink()
    (desk.plugin / "becomes a folder").mkdir()
    (desk.plugin / "becomes a folder" / "inside").touch()
    (desk.plugin / "added").touch()
    os.utime(desk.plugin, ns=(0, 2))
    new = desk.freeze().snapshot
    assert changes(desk, old, new) == {
        "": "metadata",
        "edited": "changed",
        "removed": "removed",
        "touched": "metadata",
        "becomes a folder": "changed",
        "becomes a folder/inside": "added",
        "added": "added",
    }


def test_plugins_differ_by_commit_and_local_edits(desk) -> None:
    (desk.plugin.parent / "gone.py").touch()
    old = desk.freeze({"stamp": {"commit": "a" * 40, "local_edits": False}}).snapshot
    (desk.plugin.parent / "gone.py").unlink()
    (desk.plugin.parent / "fresh.py").touch()
    (desk.plugin / "__init__.py").write_text("v2")
    new = desk.freeze({"stamp": {"commit": "b" * 40, "local_edits": True}}).snapshot
    assert diff(desk.store, old, new).lines()[:3] == [
        "+ plugin custom_nodes/fresh.py",
        "- plugin custom_nodes/gone.py",
        "~ plugin custom_nodes/stamp aaaaaaaaaaaa -> bbbbbbbbbbbb with local edits",
    ]


def test_packages_differ_by_version(desk) -> None:
    site = desk.project.workstation.venv / "lib" / "python3.11" / "site-packages"
    (site / "a-1.0.dist-info").mkdir(parents=True)
    (site / "b-1.0.dist-info").mkdir()
    old = desk.freeze().snapshot
    (site / "a-1.0.dist-info").rename(site / "a-2.0.dist-info")
    (site / "b-1.0.dist-info").rename(site / "c-1.0.dist-info")
    found = diff(desk.store, old, desk.freeze().snapshot)
    assert [line for line in found.lines() if line[2:].startswith("package ")] == [
        "~ package a 1.0 -> 2.0",
        "- package b 1.0",
        "+ package c 1.0",
    ]
    json.dumps(found.as_json())


def test_only_differing_folders_are_read(desk, monkeypatch) -> None:
    for number in range(20):
        (desk.plugin / f"folder{number}").mkdir()
        (desk.plugin / f"folder{number}" / "x").write_text(str(number))
    old = desk.freeze().snapshot
    (desk.plugin / "folder3" / "x").write_text("changed")
    new = desk.freeze().snapshot
    read = []
    tree = desk.store.tree
    monkeypatch.setattr(desk.store, "tree", lambda digest: read.append(digest) or tree(digest))
    assert changes(desk, old, new) == {"folder3/x": "changed"}
    assert len(read) == 6  # The root record, the plugin and one folder, on both sides.
