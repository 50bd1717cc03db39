"""A workstation like a real one, made from nothing and always the same: for benchmarks.

What was measured on a real one (a torch environment, 34 plugins and a cache): 72,000 files in 8,600 folders
and 5.2 GB. The median file has 4 KB, one in ten more than 43 KB, one in a hundred more than 325 KB: a
log-normal distribution. More than half of the bytes are a few large libraries and cached weights.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from pathlib import Path

from blake3 import blake3

FULL_FILES = 72_000
FOLDERS_A_FILE = 8_600 / FULL_FILES
MEDIAN_BYTES = 4_096
SPREAD = log(43 / 4) / 1.2816  # So that one file in ten is above 43 KB.
LARGEST_COMMON_BYTES = 8 << 20
LARGE_BYTES = 3_500 << 20  # In a full tree; libraries of many sizes and four cached models.
LARGE_SHARES = (0.13, 0.1, 0.1, 0.1, 0.1, 0.09, 0.08, 0.07, 0.06, 0.05, 0.04, 0.03, 0.02, 0.01, 0.01, 0.01)
PIECE_BYTES = 64 << 10
NEW_SHARE = 0.62  # What restic made of the real tree's bytes; the rest repeats what is just before it.
WRITE_BYTES = 4 << 20
PLUGINS = 34


@dataclass(frozen=True)
class Shape:
    """What was made."""

    files: int
    folders: int
    size_bytes: int


def content(seed: int, size: int) -> bytes:
    """`size` bytes that no other seed gives and that compress to about NEW_SHARE."""
    key = seed.to_bytes(8, "little")
    parts = []
    for number in range(-(-size // PIECE_BYTES)):
        length = min(PIECE_BYTES, size - number * PIECE_BYTES)
        new = blake3(key + number.to_bytes(8, "little")).digest(max(1, int(length * NEW_SHARE)))
        parts.append((new + new)[:length])
    return b"".join(parts)


def generate(root: Path, files: int, *, large: bool = True) -> Shape:
    """Make `venv`, `custom_nodes` and `.cache` below `root`, with or without the large files."""
    chance = random.Random(files)
    folders = list(_folders(root, max(PLUGINS + 2, round(files * FOLDERS_A_FILE))))
    total = 0
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True, exist_ok=True)
        share = range(number, files, len(folders))
        for seed in share:
            size = min(int(chance.lognormvariate(log(MEDIAN_BYTES), SPREAD)), LARGEST_COMMON_BYTES)
            suffix = ".py" if seed // len(folders) % 2 else ".bin"
            (folder / f"file{seed}{suffix}").write_bytes(content(seed, size))
            total += size
    if large:
        total += _write_large(root, files)
    made = sum(1 for path in root.rglob("*") if path.is_dir())
    return Shape(files + large * len(LARGE_SHARES), made, total)


def _write_large(root: Path, files: int) -> int:
    total = 0
    for number, share in enumerate(LARGE_SHARES):
        size = int(LARGE_BYTES * share * files / FULL_FILES)
        folder = root / (".cache" if number < 4 else "venv")
        with (folder / f"large{number}.bin").open("wb") as file:
            for start in range(0, size, WRITE_BYTES):
                seed = (number + 1 << 32) + start // WRITE_BYTES
                file.write(content(seed, min(WRITE_BYTES, size - start)))
        total += size
    return total


def _folders(root: Path, count: int) -> Iterator[Path]:
    """Most in the virtual environment, a package each twenty; some in plugins, one for the cache."""
    yield root / ".cache"
    yield root / "venv"
    in_plugins = max(PLUGINS, count // 10)
    for number in range(in_plugins):
        plugin = root / "custom_nodes" / f"plugin{number % PLUGINS}"
        yield plugin / f"part{number // PLUGINS}" if number >= PLUGINS else plugin
    for number in range(count - in_plugins - 2):
        package = root / "venv" / "lib" / f"package{number // 20}"
        yield package / f"part{number % 20}" if number % 20 else package


def change_a_little(root: Path, number: int) -> None:
    """As after a day's work: 20 files of a plugin edited, one package installed, one cache file new."""
    edited = sorted((root / "custom_nodes" / f"plugin{number % PLUGINS}").rglob("*.py"))[:20]
    for path in edited:
        with path.open("ab") as file:
            file.write(b"# changed\n")
    package = root / "venv" / "lib" / f"installed{number}"
    package.mkdir()
    for part in range(20):
        (package / f"module{part}.py").write_bytes(content(10**9 + number * 100 + part, 12_000))
    (root / ".cache" / f"new{number}.bin").write_bytes(content(2 * 10**9 + number, 500_000))
