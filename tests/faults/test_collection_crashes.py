"""A garbage collection killed at any step leaves garbage at most, and what is frozen next is whole."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from snapshotter import crash
from snapshotter.catalogue import list_snapshots
from snapshotter.collection import collect, snapshot_folders
from snapshotter.materialise import view_of
from snapshotter.retention import delete_snapshot
from snapshotter.verify import verify
from tests.faults.test_restore_crashes import House, killed_at


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "home")


@pytest.mark.parametrize(
    ("point", "passage"),
    [
        *((point, 1) for point in crash.COLLECT_POINTS),
        ("collect-object-removed", 2),
        ("collect-object-removed", 5),
    ],
)
def test_a_collection_killed_at_any_step_loses_nothing(house: House, point: str, passage: int) -> None:
    first = house.freeze()
    house.spoil()
    gone = house.freeze()
    view_of(house.store, first)
    view_of(house.store, gone)
    state = house.seen()
    delete_snapshot(house.project.snapshots, gone, dict)
    killed_at(point, house.collect, passage)
    house.assert_content()
    assert verify(house.store, first).ok
    again = house.freeze()  # The scan knew everything that went: none of it may be trusted.
    assert again.id == gone.id
    assert verify(house.store, again).ok
    house.restore(first)
    house.restore(again)
    assert house.seen() == state


@pytest.mark.parametrize("point", crash.COLLECT_POINTS)
def test_the_next_collection_removes_what_a_killed_one_left(house: House, point: str) -> None:
    house.freeze()
    house.spoil()
    (house.project.workstation.engine / "big").write_bytes(os.urandom(50_000))
    gone = house.freeze()
    view_of(house.store, gone)
    delete_snapshot(house.project.snapshots, gone, dict)
    killed_at(point, house.collect)
    house.collect()
    done = collect(house.store, lambda: snapshot_folders(house.home), minimum_age_seconds=-60)
    assert (done.objects, done.trees, done.views, done.leftovers, done.young_bytes) == (0, 0, 0, 0, 0)
    objects = {path.name for path in (house.home.store / "objects").rglob("*") if path.is_file()}
    assert len(objects) == done.kept_objects
    assert len(list_snapshots(house.project.snapshots)) == 1


def test_a_view_killed_half_way_through_its_removal_is_never_given_to_anybody(house: House) -> None:
    house.freeze()
    house.spoil()
    gone = house.freeze()
    view_of(house.store, gone)
    delete_snapshot(house.project.snapshots, gone, dict)

    def half(path: Path) -> None:
        files = [one for one in path.rglob("*.py") if one.is_file()] if path.is_dir() else []
        if files:
            files[0].unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def dies() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("snapshotter.collection.remove_tree", half)
            house.collect()

    killed_at("collect-swept", dies)  # It dies earlier, in `half`.
    again = house.freeze()
    assert again.id == gone.id
    view_of(house.store, again)
    assert verify(house.store, again, quarantine=False).ok
    house.assert_content()
