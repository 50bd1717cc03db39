"""Restoring where blocks can be shared: on xfs and btrfs, made in a file and mounted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapshotter.components import components_of
from snapshotter.freeze import freeze
from snapshotter.manifest import Snapshot
from snapshotter.objects import Store
from snapshotter.restore import Restored, restore
from snapshotter.verify import verify
from tests.loop_disks import loop_disk
from workstation.layout import Home, Project
from workstation.removing import remove_replaced
from workstation.subvolume import make_folder

pytestmark = pytest.mark.slow
LARGE_BYTES = 90 << 20


class House:
    """A home whose only plugin holds one large file and some small ones."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.project = Project("p", self.home.projects / "p")
        self.home.projects.mkdir(parents=True)
        make_folder(self.project.root)
        self.plugin = self.project.workstation.custom_nodes / "stamp"
        (self.plugin / "web").mkdir(parents=True)
        (self.plugin / "weights.bin").write_bytes(os.urandom(LARGE_BYTES))
        for number in range(50):
            (self.plugin / "web" / f"{number}.js").write_text(str(number))
        self.project.run.mkdir()

    @property
    def store(self) -> Store:
        return Store(self.home.store)

    def freeze(self) -> Snapshot:
        sources, place = components_of(self.project, None, {}), self.project.workstation.root
        return freeze(self.store, "p", self.project.snapshots, place, sources, {}).snapshot

    def restore(self, snapshot: Snapshot) -> Restored:
        return restore(self.store, snapshot, self.project, keep=self.freeze)

    def seen(self) -> dict[str, tuple[int, int, bytes | None]]:
        paths = sorted(self.plugin.rglob("*"))
        return {
            str(path): (
                path.stat().st_mode,
                path.stat().st_mtime_ns,
                path.read_bytes() if path.is_file() else None,
            )
            for path in paths
        }


@pytest.fixture(params=["xfs", "btrfs"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    with loop_disk(request.param, tmp_path) as disk:
        yield House(disk / "home")


def free(house: House) -> int:
    remove_replaced(house.project)
    os.sync()
    facts = os.statvfs(house.home.root)
    return facts.f_bavail * facts.f_frsize


def test_a_restored_file_shares_its_blocks_and_is_a_file_of_its_own(house: House) -> None:
    """Three of it would not fit: the disk has room for the plugin, its snapshot, and no copy more."""
    wanted = house.freeze()
    good, room = house.seen(), free(house)
    (house.plugin / "web" / "0.js").write_text("broken")
    (house.plugin / "web" / "new").write_text("new")
    done = house.restore(wanted)
    assert (done.snapshot.id, done.components) == (wanted.id, ("custom_nodes/stamp",))
    assert house.seen() == good
    assert room - free(house) < LARGE_BYTES / 3
    with (house.plugin / "weights.bin").open("r+b") as file:  # In place: it must not reach into the store.
        file.write(bytes(1 << 20))
    assert verify(house.store, wanted).ok
    assert house.freeze().id != wanted.id
    house.restore(wanted)
    assert house.seen() == good


def test_a_disk_without_room_for_a_copy_still_takes_a_restore_that_shares(house: House) -> None:
    """Fault 27, where it is none: what would not fit as a copy fits by sharing."""
    wanted = house.freeze()
    good = house.seen()
    (house.plugin / "web" / "0.js").write_text("broken")
    fill = house.home.root / "fill"
    with fill.open("wb") as file:
        left = free(house) - LARGE_BYTES // 2
        for _ in range(max(0, left >> 20)):
            file.write(os.urandom(1 << 20))
    house.restore(wanted)
    assert house.seen() == good
