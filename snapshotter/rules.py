"""What is frozen, what is left out, and what is refused. Pure: paths and facts in, verdicts out."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snapshotter.manifest import ComponentKind

# Caches that their tools rebuild, and logs that each start of the engine rewrites: frozen, they would make
# every snapshot new.
CACHE_BYPRODUCTS = ("pip", "uv")
USER_BYPRODUCTS = ("comfyui*.log", "comfyui*.log.*")

SPECIAL = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a device",
}


@dataclass(frozen=True)
class ComponentSource:
    """One part of the workstation to freeze: a folder or a single file at `root` (absolute).

    `path` and `place` are as in `manifest.Component`. `exclude` holds shell patterns of paths relative to
    `root`, where `*` does not cross a slash; what matches is left out with everything below it.
    """

    name: str
    kind: ComponentKind
    root: Path
    path: str
    place: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """A symbolic link found at `path` in a component.

    `resolved` is where it finally leads, through other links.
    """

    path: bytes
    target: bytes
    resolved: bytes


def exclusion(patterns: Sequence[str]) -> re.Pattern[bytes] | None:
    """One expression that matches every relative path that `patterns` leave out; None when there are none."""
    if not patterns:
        return None
    return re.compile("|".join(f"(?:{_expression(pattern)})" for pattern in patterns).encode())


def _expression(pattern: str) -> str:
    wild = {"*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(character) or re.escape(character) for character in pattern)


def special_file_refusal(mode: int) -> str | None:
    """Why a file of this `st_mode` cannot be frozen, or None."""
    kind = SPECIAL.get(stat.S_IFMT(mode))
    return kind and f"is {kind}, which has no content to keep"


def link_refusal(
    source: ComponentSource, link: Link, real_root: bytes, models: Sequence[bytes]
) -> str | None:
    """Why this link cannot be frozen, or None. `models` are the folders that links may point into."""
    if is_interpreter(source, link.path):
        return None
    named = _named_place(source, link)
    if _in_any(named, models) and _in_any(link.resolved, models):
        return None
    inside = link.path and within(named, os.fsencode(source.root))
    if inside and (within(link.resolved, real_root) or _in_any(link.resolved, models)):
        return None
    return f"is a link that leaves the component, to {os.fsdecode(link.target)}"


def _named_place(source: ComponentSource, link: Link) -> bytes:
    """Where the target lies by its text alone, as it will be read at the same place online."""
    at = os.fsencode(source.root) + (b"/" + link.path if link.path else b"")
    if link.target.startswith(b"/"):
        return os.path.normpath(link.target)
    return os.path.normpath(at.rpartition(b"/")[0] + b"/" + link.target)


def is_interpreter(source: ComponentSource, path: bytes) -> bool:
    """Whether this is a virtual environment's link to the interpreter outside it, which is kept as it is."""
    return source.kind == "dependencies" and path.startswith(b"bin/python") and path.count(b"/") == 1


def within(path: bytes, root: bytes) -> bool:
    """Whether `path` is `root` or lies below it; both absolute and normal."""
    return path == root or path.startswith(root.rstrip(b"/") + b"/")


def _in_any(path: bytes, roots: Sequence[bytes]) -> bool:
    return any(within(path, root) for root in roots)
