"""Time freeze, materialise, verify and diff on a generated workstation.

python tests/benchmarks/bench_freeze.py --files 20000
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from snapshotter.diff import diff
from snapshotter.freeze import FreezeResult, freeze
from snapshotter.materialise import view_of
from snapshotter.objects import Store
from snapshotter.rules import ComponentSource
from snapshotter.verify import verify

# As measured on a real workstation: 72,000 files, 8,600 directories, 5 GB; median 4 KB, p90 43 KB.
FILES_A_DIRECTORY = 8
REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--where", type=Path, default=None, help="a folder on the disk to measure")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-freeze-", dir=arguments.where))
    try:
        measure(folder, arguments.files)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(folder: Path, files: int) -> None:
    workstation = folder / "workstation"
    size = generate(workstation / "venv", files)
    print(f"{files} files, {size / 1e6:.0f} MB")
    sources = [ComponentSource("dependencies", "dependencies", workstation / "venv", "venv")]
    store = Store(folder / "store")

    def run(verify_content: bool = False) -> FreezeResult:
        where = folder / "snapshots", workstation
        return freeze(store, "bench", *where, sources, {}, verify_content=verify_content)

    first = run()
    show("first freeze", first.seconds, f"{first.files_read} files read")
    show("no change", statistics.median(run().seconds for _ in range(REPEATS)), f"median of {REPEATS}")
    small = []
    for number in range(REPEATS):
        change_a_little(workstation / "venv", number)
        small.append(run())
    show(
        "small change",
        statistics.median(r.seconds for r in small),
        f"{small[-1].files_read} files read, durable",
    )
    show("verify content", run(verify_content=True).seconds, "every file read again")
    show("materialise", timed(lambda: view_of(store, first.snapshot)))
    show("materialise again", timed(lambda: view_of(store, first.snapshot)))
    show("diff", timed(lambda: diff(store, first.snapshot, small[-1].snapshot)))
    show("verify", timed(lambda: verify(store, first.snapshot)))
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"{'peak memory':20} {peak / 1024:8.0f} MiB a process")


def generate(root: Path, files: int) -> int:
    """A tree of packages with sizes like a real environment's; returns its bytes."""
    chance = random.Random(1)
    total = 0
    for number in range(files):
        directory = number // FILES_A_DIRECTORY
        folder = root / "lib" / f"package{directory // 20}" / f"part{directory % 20}"
        if number % FILES_A_DIRECTORY == 0:
            folder.mkdir(parents=True)
        size = min(int(chance.lognormvariate(8.3, 1.7)), 50_000_000)
        (folder / f"file{number}.py").write_bytes(chance.randbytes(size))
        total += size
    return total


def change_a_little(root: Path, number: int) -> None:
    """Append to 20 files of one package and add one folder, as an installation would."""
    for path in sorted((root / "lib" / f"package{number}").rglob("*.py"))[:20]:
        with path.open("ab") as file:
            file.write(b"# changed\n")
    added = root / "lib" / f"added{number}"
    added.mkdir()
    (added / "new.py").write_text("new = True\n")


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def show(what: str, seconds: float, note: str = "") -> None:
    print(f"{what:20} {seconds:8.3f} s  {note}")


if __name__ == "__main__":
    main()
