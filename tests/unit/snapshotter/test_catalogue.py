from __future__ import annotations

from pathlib import Path

import pytest

from snapshotter.catalogue import find_snapshot, latest_snapshot, list_snapshots
from snapshotter.errors import AmbiguousSnapshot, ManifestDamaged, SnapshotNotFound
from snapshotter.manifest import Snapshot


@pytest.fixture
def three(desk) -> list[Snapshot]:
    made = []
    for number in range(3):
        (desk.plugin / "x").write_text(str(number))
        made.append(desk.freeze().snapshot)
    return made


def test_snapshots_are_listed_newest_first(desk, three) -> None:
    assert list_snapshots(desk.project.snapshots) == three[::-1]
    assert latest_snapshot(desk.project.snapshots) == three[2]


def test_a_snapshot_is_found_by_number_id_prefix_folder_and_latest(desk, three) -> None:
    folder = desk.project.snapshots
    second = three[1]
    for ref in ("2", second.id, second.id[:6], second.short_id.upper(), second.folder_name):
        assert find_snapshot(folder, ref) == second
    assert find_snapshot(folder, "latest") == three[2]


@pytest.mark.parametrize("ref", ["9", "abc", "", "../../etc", "latest "])
def test_an_unknown_snapshot_says_which_there_are(desk, three, ref: str) -> None:
    with pytest.raises(SnapshotNotFound) as caught:
        find_snapshot(desk.project.snapshots, ref)
    assert caught.value.existing == tuple(snapshot.folder_name for snapshot in three[::-1])


def test_a_prefix_of_two_different_snapshots_is_ambiguous(desk, three, monkeypatch) -> None:
    monkeypatch.setattr("snapshotter.catalogue.SHORTEST_PREFIX", 0)
    with pytest.raises(AmbiguousSnapshot):
        find_snapshot(desk.project.snapshots, "")


def test_a_project_without_snapshots_says_so(tmp_path: Path) -> None:
    assert list_snapshots(tmp_path / "none") == []
    with pytest.raises(SnapshotNotFound, match="has none yet"):
        find_snapshot(tmp_path / "none", "latest")


def test_an_unfinished_snapshot_is_not_listed_and_a_damaged_one_is_named(desk, three) -> None:
    (desk.project.snapshots / ".partial-4-000000000000").mkdir()
    assert len(list_snapshots(desk.project.snapshots)) == 3
    (desk.project.snapshots / three[0].folder_name / "manifest.json").write_text("{")
    with pytest.raises(ManifestDamaged, match=three[0].folder_name):
        list_snapshots(desk.project.snapshots)
