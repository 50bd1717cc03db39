"""What freezing, giving back, verifying, comparing and carrying cost on a generated workstation, beside other
tools.

python tests/benchmarks/bench_snapshots.py                 72,000 files, 5 GB; needs 25 GB of disk for a while
python tests/benchmarks/bench_snapshots.py --files 10000   the same shape, smaller
python tests/benchmarks/bench_snapshots.py --growth        how each figure grows from 10,000 to 200,000 files
python tests/benchmarks/bench_snapshots.py --growth 10000 30000   with other numbers of files
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from generated_workstation import FULL_FILES, PLUGINS, Shape, change_a_little, generate
from snapshot_figures import Cost, Figures, forget_peak, peak_mib
from snapshot_peers import Peer, peers

from snapshotter.backends.store_mode import store_mode
from snapshotter.copying import RACY_WINDOW_SECONDS
from snapshotter.diff import diff
from snapshotter.freeze import FreezeResult, freeze
from snapshotter.manifest import Snapshot
from snapshotter.materialise import view_of
from snapshotter.objects import Store
from snapshotter.rules import ComponentSource
from snapshotter.transfer.archive_in import import_snapshot
from snapshotter.transfer.archive_out import export_snapshot
from snapshotter.verify import verify

SMALL_CHANGES = 9  # With the first freeze: ten snapshots.
REPEATS = 5
FEWEST_FILES = 1_000
GROWTH = (10_000, 40_000, 100_000, 200_000)
GROWING = ("first", "no change", "small change", "materialise", "verify", "diff", "export", "import")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=FULL_FILES)
    parser.add_argument("--where", type=Path, default=None, help="a folder on the disk to measure")
    parser.add_argument(
        "--growth", type=int, nargs="*", metavar="FILES", help="several sizes, without large files or peers"
    )
    parser.add_argument("--no-peers", action="store_true", help="only our own figures")
    arguments = parser.parse_args(words)
    sizes = arguments.growth or GROWTH
    if min(arguments.files, *sizes) < FEWEST_FILES:
        parser.error(f"fewer than {FEWEST_FILES} files have not the shape of a workstation")
    folder = Path(tempfile.mkdtemp(prefix="bench-snapshots-", dir=arguments.where))
    try:
        if arguments.growth is not None:
            show_growth(folder, sizes)
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

    forget_peak()
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
    for _ in range(REPEATS):
        figures.measure("next instance", lambda: view_of(store, frozen[0]))
        figures.measure("diff", lambda: diff(store, frozen[0], frozen[-1]))
    warm(store.root / "objects")
    for _ in range(REPEATS):
        figures.measure("verify", lambda: verify(store, frozen[0]))
    warm(workstation)
    figures.measure("verify content", lambda: run(verify_content=True))
    figures.peak_mib = peak_mib()
    carry(figures, folder, store, frozen[0])
    shutil.rmtree(store.root)
    return figures


def carry(figures: Figures, folder: Path, store: Store, snapshot: Snapshot) -> None:
    """Export a snapshot and import it into a home that has none of its bytes."""
    file, arrived = folder / "exported", folder / "arrived"
    figures.measure_transfer("export", lambda: export_snapshot(store, snapshot, file))
    figures.size_bytes, figures.export_bytes = snapshot.size_bytes, file.stat().st_size
    new, snapshots = Store(arrived / "store"), arrived / "snapshots"
    figures.measure_transfer("import", lambda: import_snapshot(new, snapshots, file, project="bench"))
    file.unlink()
    shutil.rmtree(arrived)


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
    for what, mib in ours.transfer_peaks_mib.items():
        show_claim(f"peak memory of an {what}", f"{mib:.0f} MiB", "200 MiB", mib <= 200)
    for what in ("materialise after a small change", "verify content"):
        print(f"| {what} | {ours.cell(what)} | | |")
    for what in ours.transfer_peaks_mib:
        speed = ours.size_bytes / 1e6 / ours.median(what).wall
        print(f"| {what} | {ours.cell(what)}, {speed:.0f} MB/s | | |")
    print(f"| size of the export | {ours.export_bytes / ours.size_bytes:.2f} of the bytes | | |")


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
    return times(row.median(what), ours.median(what))


def times(much: Cost, little: Cost) -> str:
    """How many times the one is the other."""
    return f"{much.wall / little.wall:.1f} ({much.cpu / little.cpu:.1f})"


def show_growth(folder: Path, sizes: Sequence[int]) -> None:
    print("Without large files. Wall clock, in brackets the processor seconds of all processes.\n")
    print(f"| files | GB | {' | '.join(GROWING)} | peak MiB |\n|{'---|' * (len(GROWING) + 3)}")
    rows: list[tuple[Shape, Figures]] = []
    for files in sizes:
        here = folder / str(files)
        shape: Shape = generate(here / "workstation", files, large=False)
        ours = measure_ours(here, here / "workstation")
        rows.append((shape, ours))
        cells = " | ".join(ours.cell(what) for what in GROWING)
        size = f"{shape.size_bytes / 1e9:.1f}"
        print(f"| {shape.files} | {size} | {cells} | {ours.peak_mib:.0f} |", flush=True)
        shutil.rmtree(here)
    for before, after in pairwise(rows):
        show_step(*before, *after)


def show_step(before: Shape, few: Figures, after: Shape, many: Figures) -> None:
    """How many times more each figure is than at the size before."""
    grown = [times(many.median(what), few.median(what)) for what in GROWING]
    sizes = f"{after.files / before.files:.1f} times | {after.size_bytes / before.size_bytes:.1f}"
    print(f"| {sizes} | {' | '.join(grown)} | {many.peak_mib / few.peak_mib:.1f} |")


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


if __name__ == "__main__":
    main()
