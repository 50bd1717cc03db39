"""Freezing at rest, and restoring: for how long somebody who works is held up, and what the rest takes.

python tests/benchmarks/bench_sealing.py                 20,000 files without large ones; as root
python tests/benchmarks/bench_sealing.py --files 72000   the same with more
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from generated_workstation import change_a_little, generate

from snapshotter.backends.at_rest import at_rest
from snapshotter.backends.contract import Sealed
from snapshotter.components import components_of
from snapshotter.freeze import FreezeResult, freeze
from snapshotter.manifest import Snapshot
from snapshotter.objects import Store
from snapshotter.restore import restore
from workstation.errors import OverlayRefused
from workstation.layout import Home, Project
from workstation.overlay import lay, take_down
from workstation.removing import replaced
from workstation.subvolume import make_folder

REPEATS = 7
IMAGE_BYTES = 8 << 30  # Sparse: only what is written takes room.
LIMIT_SECONDS = 600.0


class Bench:
    """One home with one generated workstation."""

    def __init__(self, root: Path, files: int) -> None:
        self.home = Home(root)
        self.project = Project("bench", self.home.projects / "bench")
        self.home.projects.mkdir(parents=True)
        self.home.run.mkdir()
        make_folder(self.project.root)
        self.project.run.mkdir()
        generate(self.project.workstation.root, files, large=False)
        self.changes = 0

    def change(self) -> None:
        self.changes += 1
        change_a_little(self.project.workstation.root, self.changes)

    def freeze(self, sealed: Sealed | None = None) -> FreezeResult:
        store = Store(self.home.store) if sealed is None else Store(self.home.store, sealed.rule)
        sources, place = components_of(self.project, None, {}), self.project.workstation.root
        options = {"sealed": sealed is not None}
        return freeze(store, "bench", self.project.snapshots, place, sources, {}, **options)

    def restore(self, snapshot: Snapshot) -> None:
        store = Store(self.home.store)
        restore(store, snapshot, self.project, keep=lambda: self.freeze().snapshot)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--where", type=Path, default=None, help="a folder on the disk to measure")
    arguments = parser.parse_args(words)
    folder = Path(tempfile.mkdtemp(prefix="bench-sealing-", dir=arguments.where))
    print(f"{arguments.files} files, medians of {REPEATS} small changes")
    try:
        restoring(Bench(folder / "plain", arguments.files))
        shutil.rmtree(folder / "plain")
        overlay(Bench(folder / "overlay", arguments.files))
        with btrfs(folder) as disk:
            if disk is not None:
                at_rest_of(Bench(disk / "home", arguments.files), "btrfs subvolume")
    finally:
        shutil.rmtree(folder)


def restoring(bench: Bench) -> None:
    wanted = bench.freeze().snapshot
    bench.change()
    took = timed(lambda: bench.restore(wanted))
    waited = timed(lambda: wait_for_removal(bench))
    print(
        f"restore                   {took * 1000:9.1f} ms, then {waited * 1000:.1f} ms of removing behind it"
    )


def overlay(bench: Bench) -> None:
    try:
        lay(bench.project)
    except OverlayRefused as refused:
        print(f"overlay                   not measured: {refused.reason}")
        return
    try:
        at_rest_of(bench, "sealed folders")
    finally:
        take_down(bench.project)


def at_rest_of(bench: Bench, name: str) -> None:
    work: Callable[[Sealed | None], FreezeResult] = bench.freeze
    at_rest(bench.home, bench.project, work)
    seals, wholes, plain = [], [], []
    for _ in range(REPEATS):
        bench.change()
        began = time.monotonic()
        _, mode = at_rest(bench.home, bench.project, work)
        wholes.append(time.monotonic() - began)
        if mode.name == "plain":
            print(f"{name:<25} not measured: {mode.reason}")
            return
        seals.append(mode.seal_seconds)
        bench.change()
        plain.append(timed(bench.freeze))
    print(
        f"{name:<25} {median(seals) * 1000:9.1f} ms in which nobody writes (most {max(seals) * 1000:.1f}); "
        f"the whole freeze {median(wholes):.2f} s, the plain way {median(plain):.2f} s"
    )


@contextmanager
def btrfs(folder: Path) -> Iterator[Path | None]:
    """A btrfs in a file, or None with the reason printed."""
    if os.geteuid() != 0 or shutil.which("mkfs.btrfs") is None:
        print("btrfs subvolume           not measured: needs root and mkfs.btrfs")
        yield None
        return
    image, place = folder / "image", folder / "btrfs"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True, capture_output=True, timeout=LIMIT_SECONDS)
    subprocess.run(["mount", "-o", "loop", image, place], check=True, timeout=LIMIT_SECONDS)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True, timeout=LIMIT_SECONDS)


def wait_for_removal(bench: Bench) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while replaced(bench.project):
        if time.monotonic() > deadline:
            raise TimeoutError(f"what a restore replaced is still there after {LIMIT_SECONDS:g} s")
        time.sleep(0.005)


def timed(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
