"""Killed by `kill -9` at every step, a freeze leaves a whole snapshot or none, and the next one works."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from snapshotter import crash
from snapshotter.catalogue import list_snapshots
from snapshotter.freeze import FreezeResult, freeze
from snapshotter.manifest import Snapshot
from snapshotter.materialise import view_of
from snapshotter.objects import Store
from snapshotter.rules import ComponentSource
from snapshotter.verify import verify

FREEZE_POINTS = [point for point in crash.POINTS if not point.startswith("view-")]
VIEW_POINTS = [point for point in crash.POINTS if point.startswith("view-")]


class Desk:
    """One plugin of a few files that can be frozen."""

    def __init__(self, root: Path, files: int = 5) -> None:
        self.root, self.plugin = root, root / "workstation" / "plugin"
        self.plugin.mkdir(parents=True)
        for number in range(files):
            (self.plugin / f"{number}.py").write_bytes(random.Random(number).randbytes(2000))
        self.snapshots = root / "snapshots"

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    def freeze(self) -> FreezeResult:
        source = ComponentSource("plugin", "plugin", self.plugin, "plugin")
        return freeze(self.store, "p", self.snapshots, self.root / "workstation", [source], {})

    def assert_whole(self, snapshot: Snapshot) -> None:
        assert verify(self.store, snapshot).ok
        view = view_of(self.store, snapshot)["plugin"]
        assert {path.name: path.read_bytes() for path in view.iterdir()} == {
            path.name: path.read_bytes() for path in self.plugin.iterdir()
        }


def in_a_child(action: Callable[[], object]) -> int:
    """Run in a forked process and return the signal that ended it, 0 for none."""
    pid = os.fork()
    if not pid:
        try:
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


@pytest.mark.parametrize("point", FREEZE_POINTS)
@pytest.mark.parametrize("already", [0, 1])
def test_a_freeze_killed_at_any_step_leaves_a_whole_snapshot_or_none(
    tmp_path: Path, point: str, already: int
) -> None:
    desk = Desk(tmp_path)
    if already:
        desk.freeze()
        (desk.plugin / "0.py").write_text("changed")

    def killed() -> None:
        crash.arm(point)
        desk.freeze()

    assert in_a_child(killed) == signal.SIGKILL
    left = list_snapshots(desk.snapshots)
    published = point in ("published", "scan-cached")
    assert len(left) == already + published
    assert all(verify(desk.store, snapshot).ok for snapshot in left)
    again = desk.freeze()
    assert (again.new, again.snapshot.number) == (not published, already + 1)
    desk.assert_whole(again.snapshot)
    assert not list(desk.snapshots.glob(".partial-*"))
    assert not [path for path in (desk.store.root / "tmp").iterdir() if path.is_dir()]


@pytest.mark.parametrize("point", VIEW_POINTS)
def test_a_view_killed_at_any_step_is_whole_or_absent(tmp_path: Path, point: str) -> None:
    desk = Desk(tmp_path)
    snapshot = desk.freeze().snapshot

    def killed() -> None:
        crash.arm(point)
        view_of(desk.store, snapshot)

    assert in_a_child(killed) == signal.SIGKILL
    desk.assert_whole(snapshot)
    desk.freeze()
    assert not list((desk.store.root / "views").glob(".partial-*"))


@pytest.mark.slow
def test_a_freeze_killed_at_any_moment_with_its_readers_can_be_repeated_at_once(tmp_path: Path) -> None:
    chance = random.Random(3)
    for attempt in range(6):
        desk = Desk(tmp_path / str(attempt), files=1500)
        pid = os.fork()
        if not pid:
            try:
                desk.freeze()
            finally:
                os._exit(0)
        time.sleep(chance.uniform(0.01, 0.12))  # Not to wait for something: the moment of death is the test.
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        desk.assert_whole(desk.freeze().snapshot)


@pytest.mark.slow
def test_the_environment_variable_arms_a_crash(tmp_path: Path) -> None:
    code = "from snapshotter.crash import crash_point; crash_point('synced'); crash_point('synced')"

    def run(value: str) -> int:
        environment = {**os.environ, "STILLFRAME_CRASH_AT": value}
        return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True).returncode

    assert [run("synced"), run("synced:2"), run("synced:3"), run("a-point-of-the-publisher")] == [
        -9,
        -9,
        0,
        0,
    ]


def test_an_unknown_crash_point_is_refused() -> None:
    with pytest.raises(ValueError, match="there are"):
        crash.arm("nowhere")
