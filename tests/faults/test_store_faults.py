"""Faults 27 and 28: a damaged store is found before anything starts; a full disk leaves all as it was."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv

from publisher.freezing import ProjectSnapshots
from snapshotter.catalogue import list_snapshots
from snapshotter.collection import collect, snapshot_folders
from snapshotter.components import components_of
from snapshotter.doctor import find_leftovers
from snapshotter.errors import NoRoomToRestore, SnapshotDamaged
from snapshotter.freeze import freeze
from snapshotter.manifest import Snapshot
from snapshotter.materialise import view_of
from snapshotter.objects import ObjectKey, Store
from snapshotter.restore import restore
from snapshotter.verify import verify
from snapshotter.walk import below
from workstation.bases import add_base
from workstation.home import open_home
from workstation.layout import Home, Project
from workstation.project import create_project

pytestmark = pytest.mark.slow
LIMIT_SECONDS = 120
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")

# 28: damage in the store


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found, bare = open_home(tmp_path / "home"), tmp_path / "bare"
    subprocess.run([uv.find_uv_bin(), "venv", "-q", "--no-config", bare], check=True, timeout=LIMIT_SECONDS)
    add_base(found, "default", bare / "bin" / "python")
    create_project(found, "one")
    return found


@pytest.mark.parametrize("harm", ["flipped", "short", "missing"])
def test_a_damaged_snapshot_is_not_deployed_and_the_others_still_are(home: Home, harm: str) -> None:
    """Fault 28: as a deployment asks, before it starts anything."""
    plugin = home.project("one").workstation.custom_nodes / "stamp"
    plugin.mkdir()
    snapshots = ProjectSnapshots(home)
    (plugin / "data.bin").write_bytes(os.urandom(5000))
    snapshots.freeze("one")
    damaged = object_of(home, "data.bin")
    (plugin / "data.bin").unlink()
    second = snapshots.freeze("one")
    spoil(damaged, harm)
    with pytest.raises(SnapshotDamaged, match=r"custom_nodes/stamp: data.bin.*verify one 1 --heal"):
        snapshots.proved("one", "1")
    found = snapshots.proved("one", "2")
    assert found.snapshot_id == second.snapshot_id
    assert "files were read again" in found.detail


def object_of(home: Home, name: str) -> Path:
    store, newest = Store(home.store), list_snapshots(home.project("one").snapshots)[0]
    root = store.root_entry(newest.component("custom_nodes/stamp").tree)
    entry = next(entry for path, entry in below(store, root) if path == name.encode())
    return Path(os.fsdecode(store.object_path(ObjectKey.of(entry))))


def spoil(path: Path, harm: str) -> None:
    """Damage that keeps the stamps, as a bad disk does."""
    facts, data = path.stat(), path.read_bytes()
    if harm == "missing":
        path.unlink()
        return
    path.chmod(0o644)
    path.write_bytes(data[:-1] if harm == "short" else bytes([data[0] ^ 1]) + data[1:])
    path.chmod(facts.st_mode & 0o777)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


# 27: the disk is full. Freeze, export and import: test_snapshot_faults.py and test_transfer_crashes.py


class House:
    """A home on a disk of some MiB, with one plugin of some files."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.project = Project("p", self.home.projects / "p")
        self.plugin = self.project.workstation.custom_nodes / "stamp"
        self.plugin.mkdir(parents=True)
        self.project.run.mkdir()
        for number in range(60):
            (self.plugin / f"{number}.bin").write_bytes(os.urandom(20_000))

    @property
    def store(self) -> Store:
        return Store(self.home.store)

    def freeze(self) -> Snapshot:
        sources, place = components_of(self.project, None, {}), self.project.workstation.root
        return freeze(self.store, "p", self.project.snapshots, place, sources, {}).snapshot

    def seen(self) -> dict[str, tuple[int, int, bytes]]:
        files = [path for path in self.plugin.rglob("*") if path.is_file()]
        return {
            path.name: (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes()) for path in files
        }


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    small = tmp_path / "small"
    small.mkdir()
    options = ["-o", "size=24m,nr_inodes=1200"]
    if subprocess.run(["mount", "-t", "tmpfs", *options, "none", small]).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        yield House(small / "home")
    finally:
        subprocess.run(["umount", "-l", small], check=True, timeout=LIMIT_SECONDS)


@root_only
def test_a_restore_onto_a_full_disk_leaves_the_workstation_as_it_was(house: House) -> None:
    """Fault 27: told with how much is missing; with room it goes through."""
    wanted = house.freeze()
    good = house.seen()
    for number in range(60):
        (house.plugin / f"{number}.bin").write_bytes(os.urandom(20_100))
    kept, spoiled = house.freeze(), house.seen()
    with filled(house.home.root, leave=600_000) as filler:
        with pytest.raises(NoRoomToRestore) as caught:
            restore(house.store, wanted, house.project, keep=house.freeze)
        assert caught.value.needed_bytes > caught.value.free_bytes
        assert house.seen() == spoiled
        assert [str(left) for left in find_leftovers(house.home) if "replaced" not in str(left)] == []
        filler.unlink()
    restore(house.store, wanted, house.project, keep=house.freeze)
    assert house.seen() == good
    assert verify(house.store, kept).ok


@root_only
def test_a_view_on_a_full_disk_leaves_nothing_half_made(house: House) -> None:
    """Fault 27: a disk without inodes, as many small files fill it first."""
    snapshot = house.freeze()
    hoard = house.home.root / "hoard"
    hoard.mkdir()
    with pytest.raises(OSError, match="No space left"):
        for number in range(5000):
            (hoard / str(number)).touch()
    with pytest.raises(OSError, match="No space left"):
        view_of(house.store, snapshot)
    assert list((house.store.root / "views").iterdir()) == []
    for path in hoard.iterdir():
        path.unlink()
    assert view_of(house.store, snapshot)
    assert verify(house.store, snapshot).ok


@root_only
def test_a_collection_on_a_full_disk_still_frees_room(house: House) -> None:
    """Fault 27: whoever is out of room must be able to get some back."""
    house.freeze()
    (snapshot,) = list_snapshots(house.project.snapshots)
    for number in range(60):
        (house.plugin / f"{number}.bin").write_bytes(os.urandom(20_100))
    second = house.freeze()
    subprocess.run(["rm", "-r", house.project.snapshots / snapshot.folder_name], check=True)
    with filled(house.home.root, leave=0):
        done = collect(house.store, lambda: snapshot_folders(house.home), minimum_age_seconds=-60)
    assert done.freed_bytes > 1_000_000
    assert verify(house.store, second).ok


class filled:  # noqa: N801 - used as a context manager
    """A disk with only so many bytes left, while inside."""

    def __init__(self, disk: Path, leave: int) -> None:
        self._file, self._leave = disk / "filler", leave

    def __enter__(self) -> Path:
        facts = os.statvfs(self._file.parent)
        with self._file.open("wb") as file:
            for _ in range(max(0, facts.f_bavail * facts.f_frsize - self._leave) >> 12):
                file.write(bytes(4096))
        return self._file

    def __exit__(self, *_: object) -> None:
        self._file.unlink(missing_ok=True)
