"""Killed by `kill -9` at every step of restore, freeze, view, delete and collection: doctor is content after
its repair, and nothing is lost.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from snapshotter import crash
from snapshotter.catalogue import list_snapshots
from snapshotter.collection import collect, snapshot_folders
from snapshotter.components import components_of
from snapshotter.doctor import examine_store, find_leftovers, repair_store
from snapshotter.freeze import freeze
from snapshotter.manifest import Snapshot
from snapshotter.materialise import view_of
from snapshotter.objects import Store
from snapshotter.restore import restore
from snapshotter.retention import delete_snapshot
from snapshotter.verify import verify
from workstation.change import recover
from workstation.layout import Home, Project

BEFORE_COMMIT = [point for point in crash.RESTORE_POINTS if point != "restore-committed"]
REPEATED = ("restore-moved-aside", "restore-put")  # Once a component.


class House:
    """A home with one project of four components."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.project = Project("p", self.home.projects / "p")
        workstation = self.project.workstation
        for folder in (workstation.engine, workstation.custom_nodes / "a", workstation.custom_nodes / "b"):
            folder.mkdir(parents=True)
            for number in range(3):
                (folder / f"{number}.py").write_bytes(os.urandom(1500))
        (workstation.cache / "pip").mkdir(parents=True)
        (workstation.cache / "pip" / "wheel").write_text("not frozen")
        (workstation.output).mkdir()
        (workstation.output / "picture").write_text("mine")

    @property
    def store(self) -> Store:
        return Store(self.home.store)

    def freeze(self) -> Snapshot:
        sources = components_of(self.project, None, {})
        place = self.project.workstation.root
        return freeze(self.store, "p", self.project.snapshots, place, sources, {}).snapshot

    def spoil(self) -> None:
        nodes = self.project.workstation.custom_nodes
        (nodes / "a" / "0.py").write_text("changed")
        (nodes / "b").rename(nodes / "c")
        (nodes / "single.py").write_text("new")
        (self.project.workstation.cache / "entry").write_text("entry")

    def restore(self, snapshot: Snapshot) -> None:
        restore(self.store, snapshot, self.project, keep=self.freeze)

    def collect(self) -> None:
        collect(self.store, lambda: snapshot_folders(self.home), minimum_age_seconds=-60)

    def seen(self) -> dict[str, tuple[int, int, bytes | None]]:
        """Everything below the components: mode, mtime, content."""
        root = self.project.workstation.root
        found = {}
        for path in sorted(root.rglob("*")):
            if path not in (self.project.workstation.custom_nodes, self.project.workstation.cache / "pip"):
                facts = path.lstat()
                content = path.read_bytes() if path.is_file() else None
                found[str(path.relative_to(root))] = (facts.st_mode, facts.st_mtime_ns, content)
        return found

    def assert_content(self) -> None:
        """Doctor finds nothing once it has repaired, and every snapshot is whole."""
        repair_store(self.home)
        assert [str(left) for left in find_leftovers(self.home)] == []
        condition = examine_store(self.home)
        assert condition is not None and condition.content
        for snapshot in list_snapshots(self.project.snapshots):
            assert verify(self.store, snapshot, quarantine=False).ok
            view_of(self.store, snapshot)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "home")


def killed_at(point: str, action: Callable[[], object], passage: int = 1) -> None:
    """Run in a forked process that dies at `point`; fails when it does not get there."""
    pid = os.fork()
    if not pid:
        try:
            crash.arm(point, passage)
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"{point} was not passed"


@pytest.mark.parametrize(
    ("point", "passage"),
    [*((point, 1) for point in crash.RESTORE_POINTS), *((point, n) for point in REPEATED for n in (2, 3))],
)
def test_a_restore_killed_at_any_step_is_undone_or_done(house: House, point: str, passage: int) -> None:
    wanted = house.freeze()
    good = house.seen()
    house.spoil()
    spoiled = house.seen()
    killed_at(point, lambda: house.restore(wanted), passage)
    recover(house.project)  # What the next opening of the project does.
    assert house.seen() == (spoiled if point in BEFORE_COMMIT else good)
    assert (house.project.workstation.cache / "pip" / "wheel").read_text() == "not frozen"
    house.assert_content()
    kept = list_snapshots(house.project.snapshots)[0]
    assert kept.number == 2  # The state before is there whatever happened.
    house.restore(wanted)
    assert house.seen() == good
    assert house.freeze().id == wanted.id
    house.restore(kept)
    assert house.seen() == spoiled
    house.assert_content()


def test_doctor_names_a_killed_restore_and_its_repair_undoes_it(house: House) -> None:
    wanted = house.freeze()
    house.spoil()
    spoiled = house.seen()
    killed_at("restore-put", lambda: house.restore(wanted))
    assert house.seen() != spoiled
    condition = examine_store(house.home)
    assert condition is not None and not condition.content
    assert "restoring snapshot 1" in " ".join(str(left) for left in condition.leftovers)
    found = repair_store(house.home)
    assert found == list(condition.leftovers)
    assert house.seen() == spoiled


@pytest.mark.parametrize("point", crash.POINTS)
def test_doctor_is_content_after_a_killed_freeze_or_view(house: House, point: str) -> None:
    first = house.freeze()
    house.spoil()
    before = house.seen()
    killed_at(point, lambda: view_of(house.store, house.freeze()))
    house.assert_content()
    assert first in list_snapshots(house.project.snapshots)
    assert house.seen() == before
    house.collect()
    house.assert_content()
    house.restore(first)


@pytest.mark.parametrize("point", crash.DELETE_POINTS)
def test_a_deletion_killed_at_any_step_is_whole_or_not_begun(house: House, point: str) -> None:
    first = house.freeze()
    house.spoil()
    second = house.freeze()
    killed_at(point, lambda: delete_snapshot(house.project.snapshots, second, dict))
    there = list_snapshots(house.project.snapshots)
    assert there == ([second, first] if point == "delete-counted" else [first])
    house.assert_content()
    delete_snapshot(house.project.snapshots, second, dict)
    house.collect()
    house.assert_content()
    assert house.freeze().number == 3  # Never 2 again.


def test_the_living_are_no_leftover(house: House, tmp_path: Path) -> None:
    """A freeze in the middle of its work is neither named nor disturbed."""
    house.freeze()
    house.spoil()
    found: list[str] = []

    def look(_: object) -> None:
        found.extend(str(left) for left in find_leftovers(house.home))
        repair_store(house.home)

    sources = components_of(house.project, None, {})
    place = house.project.workstation.root
    made = freeze(house.store, "p", house.project.snapshots, place, sources, {}, progress=look).snapshot
    assert found == []
    assert verify(house.store, made).ok
