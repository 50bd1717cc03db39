"""Which processes are at work in a folder: what is about to be sealed or moved must not change under them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_MOST_NAMED = 3


def workers_in(folder: Path) -> list[str]:
    """Whose current folder is `folder` or lies in it, a few of them, for people."""
    return _some(_inside(folder, _current, _always))


def writers_in(folder: Path) -> list[str]:
    """Who has a file in `folder` open for writing, a few of them, for people."""
    return _some(_inside(folder, _files, _is_written))


def users_of(folder: Path) -> list[str]:
    """Who works in `folder`, or has anything in it open, a few of them, for people."""
    return _some(_inside(folder, lambda process: [*_current(process), *_files(process)], _always))


def _some(found: Iterator[str]) -> list[str]:
    return [one for one, _ in zip(found, range(_MOST_NAMED), strict=False)]


def _inside(
    folder: Path, links_of: Callable[[Path], Iterable[Path]], counts: Callable[[Path], bool]
) -> Iterator[str]:
    root = os.path.realpath(folder)
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            for link in links_of(process):
                place = str(link.readlink())
                if (place == root or place.startswith(root + "/")) and counts(link):
                    yield f"process {process.name} ({_name(process)}): {place}"
                    break
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # It ended while we looked, or is none of ours to look at.


def _current(process: Path) -> list[Path]:
    return [process / "cwd"]


def _files(process: Path) -> list[Path]:
    return list((process / "fd").iterdir())


def _always(_: Path) -> bool:
    return True


def _is_written(link: Path) -> bool:
    facts = (link.parent.parent / "fdinfo" / link.name).read_text()
    flags = next(line.split()[1] for line in facts.splitlines() if line.startswith("flags:"))
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY


def _name(process: Path) -> str:
    return (process / "comm").read_text().strip()
