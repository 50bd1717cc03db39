"""Deleting: by policy, never what is needed, never a number twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from snapshotter.catalogue import find_snapshot, list_snapshots
from snapshotter.errors import FreezeInProgress, SnapshotNeeded, SnapshotNotFound
from snapshotter.locks import freeze_lock
from snapshotter.manifest import Snapshot
from snapshotter.retention import Policy, delete_snapshot, judge

NOW = datetime(2030, 6, 1, tzinfo=UTC)


def nobody() -> dict[str, str]:
    return {}


def frozen(desk, count: int) -> list[Snapshot]:
    made = []
    for number in range(count):
        (desk.plugin / "x").write_text(str(number))
        made.append(desk.freeze().snapshot)
    return made


def aged(snapshots: list[Snapshot]) -> list[Snapshot]:
    """The newest is of today, each older one a day older."""
    return [
        replace(one, created_at=NOW - timedelta(days=len(snapshots) - 1 - place, minutes=1))
        for place, one in enumerate(snapshots)
    ]


@pytest.mark.parametrize(
    ("policy", "stay"),
    [
        (Policy(keep_last=2), [4, 5]),
        (Policy(keep_last=0), []),
        (Policy(keep_last=99), [1, 2, 3, 4, 5]),
        (Policy(keep_last=1, keep_days=2.5), [3, 4, 5]),
        (Policy(keep_last=4, keep_days=0.5), [2, 3, 4, 5]),
    ],
)
def test_a_policy_keeps_the_newest_and_the_young(desk, policy: Policy, stay: list[int]) -> None:
    verdicts = judge(aged(frozen(desk, 5)), policy, {}, NOW)
    assert [one.snapshot.number for one in verdicts] == [5, 4, 3, 2, 1]
    assert sorted(one.snapshot.number for one in verdicts if one.stays) == stay


def test_what_is_needed_stays_whatever_the_policy_and_says_why(desk) -> None:
    made = aged(frozen(desk, 3))
    verdicts = judge(made, Policy(keep_last=1), {made[0].id: "instance demo-1-1 runs it"}, NOW)
    assert {one.snapshot.number: (one.stays, one.reason) for one in verdicts} == {
        3: (True, "it is one of the newest 1"),
        2: (False, "nothing needs it"),
        1: (True, "instance demo-1-1 runs it"),
    }


def test_a_deleted_snapshot_is_gone_and_its_number_is_never_used_again(desk) -> None:
    first, second = frozen(desk, 2)
    folder = desk.project.snapshots
    delete_snapshot(folder, second, nobody)
    with pytest.raises(SnapshotNotFound):
        find_snapshot(folder, "2")
    assert list_snapshots(folder) == [first]
    (desk.plugin / "x").write_text("later")
    assert desk.freeze().snapshot.number == 3
    delete_snapshot(folder, first, nobody)
    delete_snapshot(folder, first, nobody)  # Repeatable.
    for snapshot in list_snapshots(folder):
        delete_snapshot(folder, snapshot, nobody)
    assert list_snapshots(folder) == []
    assert desk.freeze().snapshot.number == 4


def test_a_needed_snapshot_is_refused_with_the_names_of_who_needs_it(desk) -> None:
    (only,) = frozen(desk, 1)
    with pytest.raises(SnapshotNeeded, match="demo serves it") as caught:
        delete_snapshot(desk.project.snapshots, only, lambda: {only.id: "demo serves it (deployment 4)"})
    assert caught.value.snapshot == only.folder_name
    assert list_snapshots(desk.project.snapshots) == [only]


def test_somebody_who_comes_to_need_it_at_the_last_moment_gets_it_back(desk) -> None:
    (only,) = frozen(desk, 1)
    answers = iter([{}, {only.id: "deployment 5 is proving with it"}])
    with pytest.raises(SnapshotNeeded):
        delete_snapshot(desk.project.snapshots, only, lambda: next(answers))
    assert list_snapshots(desk.project.snapshots) == [only]


def test_it_is_refused_while_the_project_is_being_frozen(desk) -> None:
    (only,) = frozen(desk, 1)
    with freeze_lock(desk.project.snapshots, "portraits"), pytest.raises(FreezeInProgress):
        delete_snapshot(desk.project.snapshots, only, nobody)
    assert list_snapshots(desk.project.snapshots) == [only]
