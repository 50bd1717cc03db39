"""What lies in a workstation's .cache, and how large it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from workstation.layout import Workstation


@dataclass(frozen=True)
class CacheEntry:
    """One repository or folder of the cache. `name` is its path below .cache."""

    name: str
    kind: str  # "huggingface", "torch" or "other"
    files: int
    size_bytes: int


def cache_environment(workstation: Workstation) -> dict[str, str]:
    """The variables that make Hugging Face, torch and XDG programs keep their caches in the workstation."""
    cache = workstation.cache
    return {
        "HF_HOME": str(cache / "huggingface"),
        "TORCH_HOME": str(cache / "torch"),
        "XDG_CACHE_HOME": str(cache),
    }


def list_cache(workstation: Workstation) -> list[CacheEntry]:
    """The cache's entries, largest first: Hugging Face repositories one by one, other folders as wholes."""
    entries = [_entry(workstation.cache, path, kind) for path, kind in _entries(workstation.cache)]
    return sorted(entries, key=lambda entry: (-entry.size_bytes, entry.name))


def _entries(cache: Path) -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    for path in sorted(cache.iterdir()) if cache.is_dir() else ():
        hub = path / "hub"
        if path.name == "huggingface" and hub.is_dir():
            found += [(repository, "huggingface") for repository in sorted(hub.iterdir())]
            found += [(other, "huggingface") for other in sorted(path.iterdir()) if other != hub]
        elif path.name == "torch" and path.is_dir():
            found += [(part, "torch") for part in sorted(path.iterdir())]
        else:
            found.append((path, "other"))
    return found


def _entry(cache: Path, path: Path, kind: str) -> CacheEntry:
    """Links are not followed: a snapshot of the hub links to its blobs, which count once."""
    files = size = 0
    for folder, _, names in os.walk(path, followlinks=False):
        for name in names:
            facts = (Path(folder) / name).lstat()
            files, size = files + 1, size + facts.st_size
    if not path.is_dir():
        files, size = 1, path.lstat().st_size
    return CacheEntry(path.relative_to(cache).as_posix(), kind, files, size)
