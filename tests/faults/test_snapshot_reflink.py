"""Freezing where blocks can be shared: on xfs and btrfs, made in a file and mounted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapshotter.backends.store_mode import StoreMode, file_system_of, store_mode
from snapshotter.freeze import FreezeResult, freeze
from snapshotter.materialise import view_of
from snapshotter.objects import Store
from snapshotter.rules import ComponentSource
from snapshotter.verify import verify
from tests.loop_disks import loop_disk

LARGE_BYTES = 40 << 20


@pytest.fixture(params=["xfs", "btrfs"])
def sharing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that shares blocks."""
    with loop_disk(request.param, tmp_path) as folder:
        yield folder


def frozen(store: Store, home: Path) -> FreezeResult:
    plugin = home / "workstation" / "plugin"
    source = ComponentSource("plugin", "plugin", plugin, "plugin")
    return freeze(store, "p", home / "snapshots", home / "workstation", [source], {})


def make_plugin(home: Path) -> Path:
    plugin = home / "workstation" / "plugin"
    plugin.mkdir(parents=True)
    (plugin / "weights.bin").write_bytes(os.urandom(LARGE_BYTES))
    (plugin / "table.bin").write_bytes(os.urandom(300_000))
    (plugin / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    (plugin / "empty.py").touch()
    with (plugin / "sparse").open("wb") as file:
        file.truncate(1 << 20)
        file.seek(2 << 20)
        file.write(b"end")
    return plugin


def used(folder: Path) -> int:
    os.sync()
    facts = os.statvfs(folder)
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize


@pytest.mark.slow
def test_large_files_share_their_blocks_with_the_store_and_stay_as_frozen(sharing: Path) -> None:
    plugin = make_plugin(sharing)
    before = {path.name: path.read_bytes() for path in plugin.iterdir()}
    used_before = used(sharing)
    store = Store(sharing / "store")
    assert store_mode(store.root).name == "reflink"
    snapshot = frozen(store, sharing).snapshot
    view = view_of(store, snapshot)["plugin"]
    assert used(sharing) - used_before < LARGE_BYTES / 2  # Folders of the store and one small file.
    with (plugin / "weights.bin").open("r+b") as file:
        file.write(bytes(LARGE_BYTES))
    (plugin / "__init__.py").write_text("changed")
    assert {path.name: path.read_bytes() for path in view.iterdir()} == before
    assert verify(store, snapshot).ok
    again = frozen(store, sharing)
    assert (again.new, again.files_read) == (True, 2)
    now = {path.name: path.read_bytes() for path in plugin.iterdir()}
    kept = {path.name: path.read_bytes() for path in view_of(store, again.snapshot)["plugin"].iterdir()}
    assert kept == now


@pytest.mark.slow
def test_a_workstation_on_another_file_system_than_the_store_is_copied(sharing: Path, tmp_path: Path) -> None:
    plugin = make_plugin(tmp_path)
    store = Store(sharing / "store")
    snapshot = frozen(store, tmp_path).snapshot
    view = view_of(store, snapshot)["plugin"]
    assert {path.name: path.read_bytes() for path in view.iterdir()} == {
        path.name: path.read_bytes() for path in plugin.iterdir()
    }
    assert verify(store, snapshot).ok


@pytest.mark.slow
def test_the_mode_names_the_file_system(sharing: Path) -> None:
    assert store_mode(sharing) == StoreMode(
        "reflink", sharing.name, f"{sharing.name} shares blocks between files"
    )
    assert file_system_of(sharing / "below") == sharing.name


def test_memory_can_only_be_copied_to() -> None:
    memory = Path("/dev/shm")
    if file_system_of(memory) != "tmpfs":
        pytest.skip("/dev/shm is no tmpfs here")
    assert store_mode(memory) == StoreMode("copy", "tmpfs", "tmpfs cannot share blocks between files")
    assert not list(memory.glob("tmp*"))


def test_a_store_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store_mode(tmp_path / "nowhere")
