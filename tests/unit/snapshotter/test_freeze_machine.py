"""Any sequence of changes, freezes, restores, deletions and collections.

Views and restored workstations are byte for byte what was frozen, and diff agrees with a naive diff.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from snapshotter.catalogue import list_snapshots
from snapshotter.collection import collect
from snapshotter.diff import diff
from snapshotter.freeze import freeze
from snapshotter.manifest import Snapshot
from snapshotter.materialise import view_of
from snapshotter.objects import Store
from snapshotter.restore import restore
from snapshotter.retention import delete_snapshot
from snapshotter.rules import ComponentSource
from snapshotter.verify import verify
from workstation import change
from workstation.layout import Project
from workstation.removing import remove_replaced

Seen = dict[str, tuple[Any, ...]]

MEMORY = Path("/dev/shm")  # Hundreds of freezes, each with its barrier, would wait for a busy disk.

paths = st.sampled_from(["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "f", "f/a", "z"])
contents = st.binary(max_size=12)
stamps = st.integers(-(10**9), 2 * 10**18)


class Freezing(RuleBasedStateMachine):
    """A folder that is changed at will; each snapshot is kept with what the folder held then."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="freezing-", dir=MEMORY if MEMORY.is_dir() else None))
        self.project = Project("p", self.home / "p")
        self.root = self.project.workstation.custom_nodes / "plugin"
        self.root.mkdir(parents=True)
        self.project.run.mkdir()
        self.store = Store(self.home / "store")
        self.frozen: list[tuple[Snapshot, Seen]] = []
        self.deleted = False

    def teardown(self) -> None:
        shutil.rmtree(self.home)

    def make_room(self, path: str) -> Path:
        """The path with real folders above it and nothing at it."""
        target = self.root / path
        for parent in reversed(target.relative_to(self.root).parents):
            folder = self.root / parent
            if folder.is_symlink() or not folder.is_dir():
                folder.unlink(missing_ok=True)
                folder.mkdir()
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        return target

    @rule(path=paths, content=contents)
    def write(self, path: str, content: bytes) -> None:
        self.make_room(path).write_bytes(content)

    @rule(path=paths, content=contents)
    def write_in_place(self, path: str, content: bytes) -> None:
        target = self.root / path
        if target.is_file() and not target.is_symlink():
            with target.open("r+b") as file:
                file.write(content)

    @rule(path=paths)
    def make_folder(self, path: str) -> None:
        self.make_room(path).mkdir()

    @rule(path=paths, towards=st.sampled_from(["a", "d", "nowhere"]))
    def link(self, path: str, towards: str) -> None:
        self.make_room(path).symlink_to(self.root / towards)  # Absolute: wherever it moves, it stays inside.

    @rule(path=paths)
    def remove(self, path: str) -> None:
        self.make_room(path)

    @rule(source=paths, goal=paths)
    def rename(self, source: str, goal: str) -> None:
        nested = f"{goal}/".startswith(f"{source}/") or f"{source}/".startswith(f"{goal}/")
        if not nested and os.path.lexists(self.root / source):
            place = self.make_room(goal)
            if os.path.lexists(self.root / source):
                (self.root / source).rename(place)

    @rule(path=paths, mtime_ns=stamps)
    def touch(self, path: str, mtime_ns: int) -> None:
        if os.path.lexists(self.root / path):
            os.utime(self.root / path, ns=(0, mtime_ns), follow_symlinks=False)

    @rule(path=paths, mode=st.sampled_from([0o600, 0o644, 0o755, 0o700]))
    def chmod(self, path: str, mode: int) -> None:
        target = self.root / path
        if os.path.lexists(target) and not target.is_symlink():
            target.chmod(mode | (0o700 if target.is_dir() else 0))

    @rule(verify_content=st.booleans())
    def freeze(self, verify_content: bool) -> None:
        source = ComponentSource("plugin", "plugin", self.root, "custom_nodes/plugin")
        where = self.project.snapshots, self.project.workstation.root
        result = freeze(self.store, "p", *where, [source], {}, verify_content=verify_content)
        now = seen(self.root)
        if self.frozen:
            assert result.new == (now != self.frozen[-1][1])
        if result.new:
            self.frozen.append((result.snapshot, now))
        assert not naive_diff(seen(view_of(self.store, result.snapshot)["plugin"]), in_a_view(now))

    @precondition(lambda self: self.frozen)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """The state before is kept as a snapshot, whatever it was."""
        wanted, then = data.draw(st.sampled_from(self.frozen))
        before = seen(self.root)
        with removing_here():
            done = restore(self.store, wanted, self.project, keep=self._keep)
        assert seen(self.root) == then
        assert (done.components == ()) == (before == then)
        assert {kept.id: state for kept, state in self.frozen}[done.kept.id] == before

    def _keep(self) -> Snapshot:
        self.freeze(False)
        return self.frozen[-1][0]

    @precondition(lambda self: self.frozen)
    @rule(data=st.data(), collected=st.booleans())
    def delete(self, data: st.DataObject, collected: bool) -> None:
        gone = data.draw(st.sampled_from(self.frozen))
        delete_snapshot(self.project.snapshots, gone[0], dict)
        self.frozen.remove(gone)
        self.deleted = True
        if collected:
            self.collect()

    @precondition(lambda self: self.deleted)
    @rule()
    def collect(self) -> None:
        self.deleted = False
        collect(self.store, lambda: [self.project.snapshots], minimum_age_seconds=-60)

    @rule(data=st.data())
    def compare(self, data: st.DataObject) -> None:
        if self.frozen:
            (old, before), (new, after) = (data.draw(st.sampled_from(self.frozen)) for _ in range(2))
            found = {
                file.path: file.change
                for part in diff(self.store, old, new).components
                for file in part.files
            }
            assert found == naive_diff(before, after)

    @invariant()
    def every_snapshot_stays_as_it_was(self) -> None:
        for snapshot, then in self.frozen[-3:]:
            assert seen(view_of(self.store, snapshot)["plugin"]) == in_a_view(then)

    @rule()
    def verify_all(self) -> None:
        assert list_snapshots(self.project.snapshots) == [snapshot for snapshot, _ in reversed(self.frozen)]
        assert all(verify(self.store, snapshot, workers=1).ok for snapshot, _ in self.frozen)


@contextmanager
def removing_here() -> Iterator[None]:
    """What a restore replaced is removed at once: thousands of processes would wait for each other."""
    before, change.start_removing = change.start_removing, remove_replaced
    try:
        yield
    finally:
        change.start_removing = before


def seen(root: Path) -> Seen:
    """Every path with its kind, permissions, mtime and content; links have no permissions of their own."""
    found: Seen = {}
    for path in [root, *root.rglob("*")]:
        facts = path.lstat()
        kind, mode = stat.S_IFMT(facts.st_mode), stat.S_IMODE(facts.st_mode)
        value: Any = None
        if kind == stat.S_IFLNK:
            value, mode = os.readlink(path), 0o777  # noqa: PTH115
        elif kind == stat.S_IFREG:
            value = path.read_bytes()
        found["" if path == root else str(path.relative_to(root))] = kind, value, mode, facts.st_mtime_ns
    return found


def in_a_view(found: Seen) -> Seen:
    """The same with the modes that files have in a view."""
    return {
        path: (kind, value, (0o555 if mode & 0o111 else 0o444) if kind == stat.S_IFREG else mode, mtime_ns)
        for path, (kind, value, mode, mtime_ns) in found.items()
    }


def naive_diff(before: Seen, after: Seen) -> dict[str, str]:
    """What differs, path by path, with everything looked at."""
    changes = {}
    for path in before.keys() | after.keys():
        if path not in before or path not in after:
            changes[path] = "added" if path in after else "removed"
        elif before[path] != after[path]:
            changes[path] = "changed" if before[path][:2] != after[path][:2] else "metadata"
    return changes


Freezing.TestCase.settings = settings(
    max_examples=500,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestFreezing = pytest.mark.slow(Freezing.TestCase)
