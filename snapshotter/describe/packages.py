"""Installed distributions, read from their folders' names and RECORD files; nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from blake3 import blake3

from snapshotter.objects import Store
from snapshotter.tree import Entry, Kind

_DIST_INFO = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.dist-info")
_EGG_INFO = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py[\d.]+)?\.egg-info")


@dataclass(frozen=True)
class Distribution:
    """One installed distribution.

    `name` is normalised as in PEP 503; `record` is the BLAKE3 of its RECORD, "" when it has none.
    """

    name: str
    version: str
    record: str


def installed(site_packages: Path) -> tuple[Distribution, ...]:
    """What is installed in a live site-packages folder, by name. Raises OSError."""
    found = []
    for folder in site_packages.iterdir():
        named = _named(folder.name)
        if named:
            record = folder / "RECORD"
            digest = blake3(record.read_bytes()).hexdigest() if record.is_file() else ""
            found.append(Distribution(*named, digest))
    return tuple(sorted(found, key=lambda distribution: distribution.name))


def frozen_packages(store: Store, tree: str) -> list[dict[str, str]]:
    """What is installed in a frozen virtual environment or site-packages folder, ready for a manifest.

    Raises ObjectMissing, ObjectDamaged.
    """
    found = []
    for folder in _site_folders(store, store.root_entry(tree)):
        for name, entry in folder.items():
            named = _named(name)
            if named:
                found.append(Distribution(*named, _record_digest(store, entry)))
    return [asdict(distribution) for distribution in sorted(found, key=lambda found: found.name)]


def _named(folder: str) -> tuple[str, str] | None:
    match = _DIST_INFO.fullmatch(folder) or _EGG_INFO.fullmatch(folder)
    if match is None:
        return None
    return re.sub(r"[-_.]+", "-", match["name"]).lower(), match["version"]


def _record_digest(store: Store, entry: Entry) -> str:
    record = folder_of(store, entry).get("RECORD")
    return record.value.hex() if record is not None and record.kind is Kind.FILE else ""


def _site_folders(store: Store, root: Entry) -> list[Mapping[str, Entry]]:
    """The root itself when distributions lie in it, otherwise its lib/pythonX.Y/site-packages."""
    names = folder_of(store, root)
    if any(_named(name) for name in names):
        return [names]
    folders: list[Mapping[str, Entry]] = []
    for python in folder_of(store, names.get("lib")).values():
        site = folder_of(store, python).get("site-packages")
        folders.append(folder_of(store, site))
    return folders


def folder_of(store: Store, entry: Entry | None) -> dict[str, Entry]:
    """The entries of a frozen directory by name; empty for anything else.

    Raises ObjectMissing, ObjectDamaged.
    """
    if entry is None or entry.kind is not Kind.DIRECTORY:
        return {}
    return {child.name.decode("utf-8", "surrogateescape"): child for child in store.tree(entry.value)}


def interpreter_links(store: Store, tree: str) -> dict[str, str]:
    """A frozen virtual environment's links to the interpreter outside it, as {"bin/python": target}."""
    names = folder_of(store, folder_of(store, store.root_entry(tree)).get("bin"))
    return {
        f"bin/{name}": entry.value.decode("utf-8", "surrogateescape")
        for name, entry in names.items()
        if entry.kind is Kind.SYMLINK and entry.value.startswith(b"/")
    }
