"""What lies in a workstation's cache, for a manifest: hub repositories by their own names, other folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snapshotter.rules import CACHE_BYPRODUCTS
from workstation.cache import list_cache
from workstation.layout import Workstation

_HUB_KINDS = ("models", "datasets", "spaces")
_REVISION_LETTERS = 64


def cache_entries(workstation: Workstation) -> list[dict[str, Any]]:
    """The entries that are frozen, largest first; a hub's repository with the revisions it is at.

    Raises OSError.
    """
    return [
        {
            "name": entry.name,
            "kind": entry.kind,
            "repository": _repository(entry.name),
            "revisions": _revisions(workstation.cache / entry.name),
            "files": entry.files,
            "size_bytes": entry.size_bytes,
        }
        for entry in list_cache(workstation)
        if entry.name.split("/")[0] not in CACHE_BYPRODUCTS
    ]


def _repository(name: str) -> str | None:
    """ "org/name" of a folder that a hub's client made, models--org--name; None for another folder."""
    kind, *parts = name.rpartition("/")[2].split("--")
    return "/".join(parts) if kind in _HUB_KINDS and parts else None


def _revisions(folder: Path) -> dict[str, str]:
    refs = folder / "refs"
    if not refs.is_dir():
        return {}
    return {
        ref.relative_to(refs).as_posix(): ref.read_text(errors="replace").strip()[:_REVISION_LETTERS]
        for ref in sorted(refs.rglob("*"))
        if ref.is_file()
    }
