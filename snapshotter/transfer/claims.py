"""What the manifest of somebody else may claim: parts that stay inside a workstation, numbers that count."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import get_args

from snapshotter.manifest import Component, ComponentKind, Snapshot

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NEVER_FROZEN = ("models", "input", "output", "temp")


def unbelievable(snapshot: Snapshot) -> str | None:
    """Why no freeze can have written this manifest, or None. Its check and id were proved before."""
    return next(_doubts(snapshot), None)


def _doubts(snapshot: Snapshot) -> Iterator[str]:
    if not isinstance(snapshot.number, int) or snapshot.number < 1:
        yield "has a number that counts nothing"
    if not isinstance(snapshot.project, str) or not _is_place(snapshot.workstation):
        yield "names no workstation"
    if snapshot.parent is not None and not _is_digest(snapshot.parent):
        yield "names no parent"
    if snapshot.created_at.tzinfo is None:
        yield "has a time without a zone"
    names = [component.name for component in snapshot.components]
    if not names or len(set(names)) != len(names):
        yield "names no components, or one of them twice"
    for component in snapshot.components:
        if not _is_component(component):
            yield f"has a component {component.name!r} that no workstation has"


def _is_component(part: Component) -> bool:
    counts = (part.files, part.directories, part.size_bytes)
    counted = all(isinstance(count, int) and count >= 0 for count in counts)
    if not (counted and isinstance(part.name, str) and part.name and isinstance(part.facts, dict)):
        return False
    if part.kind not in get_args(ComponentKind) or not _is_digest(part.tree):
        return False
    if part.kind == "base" and part.path == "":
        return _is_place(part.place)
    return part.place == "" and _is_inside(part.path)


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def _is_place(path: object) -> bool:
    """An absolute path that says no more than it must, and is not everything."""
    if not isinstance(path, str) or "\0" in path:
        return False
    return path.startswith("/") and not path.startswith("//") and os.path.normpath(path) == path != "/"


def _is_inside(path: object) -> bool:
    if not isinstance(path, str) or "\0" in path or path.startswith("/"):
        return False
    first = path.partition("/")[0]
    return os.path.normpath(path) == path and first not in ("", ".", "..", *_NEVER_FROZEN)
