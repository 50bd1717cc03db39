"""Freezing a sealed state of a workstation, on real file systems: the same snapshot, while people go on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uv

from publisher.freezing import ProjectSnapshots
from snapshotter import crash
from snapshotter.backends.at_rest import at_rest, freeze_mode
from snapshotter.backends.contract import FreezeMode, Sealed
from snapshotter.backends.subvolume import abandoned
from snapshotter.catalogue import list_snapshots
from snapshotter.components import components_of
from snapshotter.copying import RacyRule
from snapshotter.doctor import examine_store, repair_store
from snapshotter.freeze import FreezeProgress, FreezeResult, freeze
from snapshotter.objects import Store
from snapshotter.restore import restore
from snapshotter.verify import verify
from tests.loop_disks import loop_disk
from web.doctor import examine
from workstation.bases import add_base
from workstation.home import open_home
from workstation.layout import Home, Project
from workstation.project import create_project, remove_project
from workstation.subvolume import is_subvolume, make_folder

pytestmark = pytest.mark.slow
STAMP_NS = 1_700_000_000_000_000_000


class House:
    """A home with one project whose folder is what its file system offers best."""

    def __init__(self, root: Path, files: int = 20) -> None:
        self.home, self.files = Home(root), files
        self.project = Project("p", self.home.projects / "p")
        self.home.projects.mkdir(parents=True)
        self.home.run.mkdir()
        self.home.models.mkdir()
        make_folder(self.project.root)
        for folder in (self.project.run, self.project.snapshots):
            folder.mkdir()
        self.fill()

    @property
    def plugin(self) -> Path:
        return self.project.workstation.custom_nodes / "stamp"

    @property
    def store(self) -> Store:
        return Store(self.home.store)

    def fill(self) -> None:
        """The same files, modes, links and stamps in every house."""
        workstation = self.project.workstation
        (self.plugin / "web" / "empty").mkdir(parents=True)
        workstation.engine.mkdir()
        (workstation.engine / "main.py").write_text("print('engine')\n")
        (self.plugin / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
        (self.plugin / "tool").write_text("#!/bin/sh\n")
        (self.plugin / "tool").chmod(0o755)
        (self.plugin / "large.bin").write_bytes(bytes(range(256)) * 8192)
        (self.plugin / "web" / "link").symlink_to("../__init__.py")
        workstation.models.symlink_to(Path("../../../models"))
        (self.plugin / "weights").symlink_to(Path("../../models"))
        for number in range(self.files):
            (self.plugin / "web" / f"{number}.js").write_text(str(number))
        self.stamp()
        RacyRule().outwait(time.time_ns())  # As old as files are when nobody is writing.

    def stamp(self) -> None:
        for path in [self.project.workstation.root, *self.project.workstation.root.rglob("*")]:
            os.utime(path, ns=(STAMP_NS, STAMP_NS), follow_symlinks=False)

    def freeze(
        self, sealed: Sealed | None = None, progress: Callable[[FreezeProgress], None] | None = None
    ) -> FreezeResult:
        sources = components_of(self.project, None, {})
        store = self.store if sealed is None else Store(self.home.store, sealed.rule)
        place = self.project.workstation.root
        return freeze(
            store,
            "p",
            self.project.snapshots,
            place,
            sources,
            {},
            sealed=sealed is not None,
            progress=progress,
        )

    def freeze_at_rest(
        self, progress: Callable[[FreezeProgress], None] | None = None
    ) -> tuple[FreezeResult, FreezeMode]:
        return at_rest(self.home, self.project, lambda sealed: self.freeze(sealed, progress))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with loop_disk("btrfs", tmp_path) as place:
        yield place


@pytest.fixture
def house(disk: Path) -> House:
    return House(disk / "home")


def mounts(below: Path) -> list[str]:
    """What is mounted below a folder; other tests mount elsewhere at the same time."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if str(below) in line]


def test_a_sealed_state_gives_the_same_snapshot_as_the_plain_way(disk: Path, tmp_path: Path) -> None:
    house, before = House(disk / "home", files=200), mounts(disk)  # So many that readers are forked.
    result, mode = house.freeze_at_rest()
    assert mode.name == "subvolume"
    assert mode.seal_seconds < 5
    plain = House(tmp_path / "plain", files=200)
    assert plain.freeze().snapshot.id == result.snapshot.id
    assert verify(house.store, result.snapshot).ok
    assert mounts(disk) == before
    assert list(house.home.run.iterdir()) == []
    again, _ = house.freeze_at_rest()
    assert (again.new, again.files_read) == (False, 0)
    plain_again = house.freeze()  # The plain way on the same place knows the same stamps.
    assert (plain_again.new, plain_again.files_read) == (False, 0)


def test_what_is_written_while_a_sealed_state_is_read_is_not_in_it_and_not_lost(house: House) -> None:
    script = f"read _ && cd {house.plugin} && echo late > late && echo changed > __init__.py && rm tool"
    somebody = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE)  # Sees what everybody sees.

    def busy(_: FreezeProgress) -> None:
        if somebody.returncode is None:
            somebody.communicate(b"now\n", timeout=60)
            with pytest.raises(OSError, match="Read-only"):
                (house.plugin / "from inside").touch()

    first, mode = house.freeze_at_rest(busy)
    assert (mode.name, first.new) == ("subvolume", True)
    assert (somebody.returncode, (house.plugin / "late").read_text()) == (0, "late\n")
    assert first.snapshot.component("custom_nodes/stamp").files == 23
    second, _ = house.freeze_at_rest()
    assert second.new
    assert second.snapshot.component("custom_nodes/stamp").files == 23  # One came, one went.


def test_a_rewrite_of_the_same_size_right_after_the_seal_is_seen_next_time(house: House) -> None:
    """Fault 57, with the seal in the place of the reading: a stamp of the same tick proves nothing."""
    for number in range(10, 30):
        (house.plugin / "n").write_text(str(number))

        def rewrite(sealed: Sealed | None, number: int = number) -> FreezeResult:
            assert sealed is not None
            return house.freeze(sealed)

        (result, _), after = at_rest(house.home, house.project, rewrite), str(number + 50)
        (house.plugin / "n").write_text(after)
        seen = house.freeze_at_rest()[0]
        assert seen.new, number
        assert seen.snapshot.id != result.snapshot.id


def test_a_restore_brings_a_state_back_that_was_sealed(house: House) -> None:
    wanted = house.freeze_at_rest()[0].snapshot
    (house.plugin / "__init__.py").write_text("broken")
    restore(house.store, wanted, house.project, keep=lambda: house.freeze_at_rest()[0].snapshot)
    assert (house.plugin / "__init__.py").read_text() == "NODE_CLASS_MAPPINGS = {}\n"
    assert house.freeze_at_rest()[0].snapshot.id == wanted.id


@pytest.mark.parametrize("point", [point for point in crash.POINTS if not point.startswith("view-")])
def test_a_freeze_of_a_sealed_state_killed_at_any_step_leaves_no_mount_and_what_doctor_clears(
    disk: Path, house: House, point: str
) -> None:
    before = mounts(disk)
    pid = os.fork()
    if not pid:
        try:
            crash.arm(point)
            house.freeze_at_rest()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert mounts(disk) == before
    assert len(abandoned(house.home)) == 1
    condition = examine_store(house.home)
    assert condition is not None and "a sealed state" in " ".join(map(str, condition.leftovers))
    repair_store(house.home)
    assert abandoned(house.home) == []
    condition = examine_store(house.home)
    assert condition is not None and condition.content
    result, _ = house.freeze_at_rest()
    assert verify(house.store, result.snapshot).ok
    assert len(list_snapshots(house.project.snapshots)) == 1


def test_what_a_snapshot_of_the_subvolume_would_leave_out_is_frozen_the_plain_way(
    house: House, tmp_path: Path
) -> None:
    inner = house.plugin / "inner"
    make_folder(inner)
    (inner / "file").write_text("in a subvolume of its own")
    mode = freeze_mode(house.home, house.project)
    assert (mode.name, "further subvolumes" in mode.reason) == ("plain", True)
    result, mode = house.freeze_at_rest()
    assert mode.name == "plain"
    assert result.snapshot.component("custom_nodes/stamp").files == 24
    (inner / "file").unlink()
    inner.rmdir()
    other = tmp_path / "other"
    other.mkdir()
    inner.mkdir()
    subprocess.run(["mount", "--bind", other, inner], check=True, timeout=60)
    try:
        assert "is mounted at" in freeze_mode(house.home, house.project).reason
    finally:
        subprocess.run(["umount", inner], check=True, timeout=60)
    assert freeze_mode(house.home, house.project).name == "subvolume"


def test_a_plain_folder_on_btrfs_and_any_folder_elsewhere_are_frozen_the_plain_way(
    disk: Path, tmp_path: Path
) -> None:
    elsewhere = House(tmp_path / "elsewhere")
    result, mode = elsewhere.freeze_at_rest()
    assert (result.new, mode.name) == (True, "plain")
    assert "no btrfs subvolume" in mode.reason


def test_a_seal_that_fails_falls_back_with_the_reason(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that became read-only, or without room for the snapshot's record."""
    house.home.run.rename(house.home.root / "away")
    result, mode = house.freeze_at_rest()
    assert (result.new, mode.name) == (True, "plain")
    assert "could not be sealed (No such file or directory)" in mode.reason


def test_an_error_of_the_freeze_itself_is_told_as_it_is(house: House) -> None:
    os.mkfifo(house.plugin / "fifo")
    with pytest.raises(Exception, match="FIFO"):
        house.freeze_at_rest()
    assert list(house.home.run.iterdir()) == []


def test_a_real_project_on_btrfs_is_sealed_told_by_doctor_and_removed(disk: Path) -> None:
    home = open_home(disk / "home")
    bare = disk / "bare"
    subprocess.run([uv.find_uv_bin(), "venv", "-q", "--no-config", bare], check=True, timeout=120)
    add_base(home, "default", bare / "bin" / "python")
    project = create_project(home, "one")
    assert is_subvolume(project.root)
    frozen = ProjectSnapshots(home).freeze("one")
    assert frozen.new
    assert "(subvolume)" in frozen.detail
    told = {(offer.name, offer.state): offer.sentence for offer in examine(home.root)}
    assert "subvolume" in told["freeze", "ok"]
    assert told["reflink", "ok"].startswith("btrfs shares blocks")
    remove_project(home, "one")
    assert list(home.projects.iterdir()) == []
