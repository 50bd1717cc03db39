"""When one scan is enough: nothing that differs is as young as the scan."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snapshotter import freeze as freeze_module
from snapshotter.copying import RACY_WINDOW_SECONDS, RacyRule
from snapshotter.errors import WorkstationKeepsChanging
from snapshotter.instant import Instant
from snapshotter.rules import ComponentSource
from snapshotter.scan import ScanTask, scan
from tests.unit.snapshotter.conftest import Desk


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each scan of the whole workstation."""
    counted: list[int] = []

    def counting(*arguments: object) -> object:
        counted.append(1)
        return scan(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(freeze_module, "scan", counting)
    return counted


def outwait_the_window() -> None:
    RacyRule().outwait(time.time_ns())


def test_a_change_that_has_settled_takes_one_scan(desk: Desk, scans: list[int]) -> None:
    desk.freeze()
    (desk.plugin / "sub").mkdir()
    (desk.plugin / "sub" / "new.py").write_text("new")
    (desk.plugin / "__init__.py").unlink()
    outwait_the_window()
    scans.clear()
    result = desk.freeze()
    assert (result.new, len(scans)) == (True, 1)
    desk.assert_gives_back(result.snapshot)


def test_a_change_made_a_blink_ago_takes_two(
    desk: Desk, scans: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.freeze()
    outwait_the_window()
    scans.clear()

    def at_the_last_moment(*arguments: Any) -> Instant:
        (desk.plugin / "__init__.py").write_text("changed")
        os.utime(desk.plugin / "__init__.py", (0, 0))  # An mtime proves nothing: anybody may set it.
        return Instant(*arguments)

    monkeypatch.setattr(freeze_module, "Instant", at_the_last_moment)
    monkeypatch.setattr(freeze_module, "ROUNDS", 2)
    with pytest.raises(WorkstationKeepsChanging):
        desk.freeze()
    assert len(scans) == 2


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    plugin = tmp_path / "plugin"
    (plugin / "sub").mkdir(parents=True)
    (plugin / "sub" / "a").write_text("a")
    return plugin


def task_and_records(plugin: Path) -> tuple[ScanTask, dict[bytes, bytes]]:
    task = ScanTask(ComponentSource("plugin", "plugin", plugin, "plugin"), {})
    return task, scan([task])[0].records


def an_instant(tmp_path: Path) -> Instant:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return Instant(scratch, RACY_WINDOW_SECONDS)


def test_what_is_old_and_stays_is_shown(plugin: Path, tmp_path: Path) -> None:
    outwait_the_window()
    instant = an_instant(tmp_path)
    assert instant.shows(*task_and_records(plugin))


def test_what_is_as_young_as_the_instant_is_not(plugin: Path, tmp_path: Path) -> None:
    instant = an_instant(tmp_path)
    (plugin / "sub" / "a").write_text("b")
    assert not instant.shows(*task_and_records(plugin))


AFTERWARDS: list[Callable[[Path], object]] = [
    lambda plugin: (plugin / "sub" / "a").write_text("b"),
    lambda plugin: (plugin / "sub" / "a").unlink(),
    lambda plugin: (plugin / "sub" / "b").touch(),
    lambda plugin: (plugin / "sub").chmod(0o700),
    lambda plugin: plugin.rename(plugin.with_name("elsewhere")),
]


@pytest.mark.parametrize("change", AFTERWARDS)
def test_what_changed_after_the_scan_is_not(
    plugin: Path, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    outwait_the_window()
    instant = an_instant(tmp_path)
    task, records = task_and_records(plugin)
    change(plugin)
    assert not instant.shows(task, records)


def test_a_name_that_went_between_two_looks_shows_in_its_directorys_own_stamp(
    plugin: Path, tmp_path: Path
) -> None:
    """The directory above was looked at before, so that no record holds the young stamp."""
    outwait_the_window()
    instant = an_instant(tmp_path)
    (plugin / "sub" / "a").unlink()
    task, records = task_and_records(plugin)
    assert not instant.shows(task, {b"sub": records[b"sub"]})


def test_what_lies_on_another_file_system_is_not(plugin: Path, tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    outwait_the_window()
    scratch = memory / f"instant-{os.getpid()}"
    scratch.mkdir()
    try:
        assert not Instant(scratch, RACY_WINDOW_SECONDS).shows(*task_and_records(plugin))
    finally:
        scratch.rmdir()
