"""What freezing, giving back, verifying and comparing cost on a generated workstation, beside other tools.

python tests/benchmarks/bench_snapshots.py                 72,000 files, 5 GB; needs 20 GB of disk for a while
python tests/benchmarks/bench_snapshots.py --files 10000   the same shape, smaller
python tests/benchmarks/bench_snapshots.py --growth        how each figure grows from 10,000 to 200,000 files
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from generated_workstation import FULL_FILES, PLUGINS, Shape, change_a_little, generate
from snapshot_peers import Peer, peers

from snapshotter.backends.store_mode import store_mode
from snapshotter.copying import RACY_WINDOW_SECONDS
from snapshotter.diff import diff
from snapshotter.freeze import FreezeResult, freeze
from snapshotter.manifest import Snapshot
from snapshotter.materialise import view_of
from snapshotter.objects import Store
from snapshotter.rules import ComponentSource
from snapshotter.verify import verify

SMALL_CHANGES = 9  # With the first freeze: ten snapshots.
REPEATS = 5
FEWEST_FILES = 1_000
GROWTH = (10_000, 40_000, 100_000, 200_000)


@dataclass(frozen=True)
class Cost:
    """What one thing cost: wall clock, and the processor time of all processes that took part."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.3g} s ({self.cpu:.2g})"


@dataclass
class Figures:
    """Everything that was measured of one tool; what it does not do is missing."""

    costs: dict[str, list[Cost]] = field(default_factory=dict)
    disk_ratio: float = 0.0
    peak_mib: float = 0.0

    def measure(self, what: str, action: Callable[[], object]) -> None:
        """Do it once more and remember what it cost."""
        before, started = processor_seconds(), time.perf_counter()
        action()
        cost = Cost(time.perf_counter() - started, processor_seconds() - before)
        self.costs.setdefault(what, []).append(cost)

    def median(self, what: str) -> Cost:
        costs = self.costs[what]
        return Cost(statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs))

    def cell(self, what: str) -> str:
        return str(self.median(what)) if what in self.costs else "-"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=FULL_FILES)
    parser.add_argument("--where", type=Path, default=None, help="a folder on the disk to measure")
    parser.add_argument("--growth", action="store_true", help="several sizes, without large files or peers")
    parser.add_argument("--no-peers", action="store_true", help="only our own figures")
    arguments = parser.parse_args()
    if arguments.files < FEWEST_FILES:
        parser.error(f"fewer than {FEWEST_FILES} files have not the shape of a workstation")
    folder = Path(tempfile.mkdtemp(prefix="bench-snapshots-", dir=arguments.where))
    try:
        if arguments.growth:
            show_growth(folder)
        else:
            show_one(folder, arguments.files, [] if arguments.no_peers else peers(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def show_one(folder: Path, files: int, others: list[Peer]) -> None:
    workstation = folder / "workstation"
    shape = generate(workstation, files)
    mode = store_mode(folder)
    print(
        f"{shape.files} files, {shape.folders} folders, {shape.size_bytes / 1e9:.2f} GB; {mode.file_system}, "
        f"{mode.name}; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; Linux {os.uname().release}"
    )
    print(
        "Wall clock, in brackets the processor seconds of all processes; incremental figures are medians.\n"
    )
    print("| tool | first | no change | small change |\n|---|---|---|---|")
    rows = {"stillframe": measure_ours(folder, workstation)}
    show_row("stillframe", rows["stillframe"])
    for peer in others:
        if peer.is_installed:
            rows[peer.name] = measure_peer(peer, workstation)
            show_row(peer.name, rows[peer.name])
    absent = [peer.name for peer in others if not peer.is_installed]
    print(f"\nNot installed, so left out: {', '.join(absent) or 'none'}.")
    show_claims(rows["stillframe"])
    show_ratios(rows)


def show_row(name: str, row: Figures) -> None:
    cells = " | ".join(row.cell(what) for what in ("first", "no change", "small change"))
    print(f"| {name} | {cells} |", flush=True)


def measure_ours(folder: Path, workstation: Path) -> Figures:
    figures, store, sources = Figures(), Store(folder / "store"), sources_of(workstation)
    frozen: list[Snapshot] = []

    def run(verify_content: bool = False) -> FreezeResult:
        where = folder / "snapshots", workstation
        return freeze(store, "bench", *where, sources, {}, verify_content=verify_content)

    warm(workstation)
    figures.measure("first", lambda: frozen.append(run().snapshot))
    first_bytes = disk_bytes(store)
    for _ in range(REPEATS):
        figures.measure("no change", run)
    for number in range(SMALL_CHANGES):
        change_settled(workstation, number)
        figures.measure("small change", lambda: frozen.append(run().snapshot))
    assert len({snapshot.id for snapshot in frozen}) == 1 + SMALL_CHANGES
    figures.disk_ratio = disk_bytes(store) / first_bytes
    figures.measure("materialise", lambda: view_of(store, frozen[0]))
    figures.measure("materialise after a small change", lambda: view_of(store, frozen[1]))
    figures.peak_mib = peak_mib()
    for _ in range(REPEATS):
        figures.measure("next instance", lambda: view_of(store, frozen[0]))
        figures.measure("diff", lambda: diff(store, frozen[0], frozen[-1]))
    warm(store.root / "objects")
    figures.measure("verify", lambda: verify(store, frozen[0]))
    warm(workstation)
    figures.measure("verify content", lambda: run(verify_content=True))
    shutil.rmtree(store.root)
    return figures


def measure_peer(peer: Peer, workstation: Path) -> Figures:
    figures = Figures()
    peer.start()
    warm(workstation)
    figures.measure("first", lambda: peer.keep(workstation))
    if peer.is_incremental:
        for _ in range(3):
            figures.measure("no change", lambda: peer.keep(workstation))
        for number in range(3):
            change_settled(workstation, PLUGINS * (1 + len(peer.name)) + number)
            figures.measure("small change", lambda: peer.keep(workstation))
    peer.end()
    return figures


def show_claims(ours: Figures) -> None:
    """Each target beside what this run measured."""
    targets = [
        ("first", 12.0),
        ("no change", 0.25),
        ("small change", 0.35),
        ("materialise", 1.5),
        ("next instance", 0.01),
        ("verify", 1.5),
        ("diff", 0.05),
    ]
    print("\n| | measured | target | |\n|---|---|---|---|")
    for what, seconds in targets:
        show_claim(what, ours.cell(what), f"{seconds:g} s", ours.median(what).wall <= seconds)
    show_claim("disk of ten snapshots", f"{ours.disk_ratio:.4f} of one", "1.02", ours.disk_ratio <= 1.02)
    show_claim("peak memory, a process", f"{ours.peak_mib:.0f} MiB", "200 MiB", ours.peak_mib <= 200)
    for what in ("materialise after a small change", "verify content"):
        print(f"| {what} | {ours.cell(what)} | | |")


def show_claim(what: str, measured: str, target: str, reached: bool) -> None:
    print(f"| {what} | {measured} | {target} | {'reached' if reached else 'NOT reached'} |")


def show_ratios(rows: dict[str, Figures]) -> None:
    """How many times our wall clock the others took, and how many times our processor time."""
    ours = rows["stillframe"]
    print("\nIn times of stillframe's:\n\n| tool | first | no change | small change |\n|---|---|---|---|")
    for name, row in rows.items():
        if row is not ours:
            cells = " | ".join(ratio(row, ours, what) for what in ("first", "no change", "small change"))
            print(f"| {name} | {cells} |")


def ratio(row: Figures, ours: Figures, what: str) -> str:
    if what not in row.costs:
        return "-"
    theirs, mine = row.median(what), ours.median(what)
    return f"{theirs.wall / mine.wall:.1f} ({theirs.cpu / mine.cpu:.1f})"


def show_growth(folder: Path) -> None:
    kinds = ("first", "no change", "small change", "materialise", "verify", "diff")
    print("Without large files. Wall clock, in brackets the processor seconds of all processes.\n")
    print(f"| files | GB | {' | '.join(kinds)} | peak MiB |\n|{'---|' * (len(kinds) + 3)}")
    for files in GROWTH:
        here = folder / str(files)
        shape: Shape = generate(here / "workstation", files, large=False)
        ours = measure_ours(here, here / "workstation")
        cells = " | ".join(ours.cell(what) for what in kinds)
        print(f"| {files} | {shape.size_bytes / 1e9:.1f} | {cells} | {ours.peak_mib:.0f} |")
        sys.stdout.flush()
        shutil.rmtree(here)


def sources_of(workstation: Path) -> list[ComponentSource]:
    plugins = [
        ComponentSource(path.name, "plugin", path, f"custom_nodes/{path.name}")
        for path in sorted((workstation / "custom_nodes").iterdir())
    ]
    dependencies = ComponentSource("dependencies", "dependencies", workstation / "venv", "venv")
    return [dependencies, ComponentSource("cache", "cache", workstation / ".cache", ".cache"), *plugins]


def change_settled(workstation: Path, number: int) -> None:
    """A small change that nobody is making any more when the freeze begins."""
    change_a_little(workstation, number)
    time.sleep(2 * RACY_WINDOW_SECONDS)


def warm(root: Path) -> None:
    """Read everything, so that no tool pays for the disk and the next one does not."""
    for folder, _, names in os.walk(root):
        for name in names:
            with open(f"{folder}/{name}", "rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass


def disk_bytes(store: Store) -> int:
    """What the frozen bytes and their description take on the disk."""
    return sum(
        path.lstat().st_blocks * 512
        for folder in (store.root, store.root.parent / "snapshots")
        for path in folder.rglob("*")
    )


def processor_seconds() -> float:
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in found)


def peak_mib() -> float:
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(usage.ru_maxrss for usage in found) / 1024


if __name__ == "__main__":
    main()
