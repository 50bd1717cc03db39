"""Installed distributions, read from their .dist-info folders without importing anything."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SEPARATORS = re.compile(r"[-_.]+")


@dataclass(frozen=True)
class Distribution:
    """One installed distribution. `name` is normalised, `info` its .dist-info folder."""

    name: str
    version: str
    info: Path
    origin: str | None = None  # the URL of a direct install, None for one from an index
    editable: bool = False


@dataclass(frozen=True)
class Installed:
    """A distribution as a workstation sees it: from its own environment, or from its base."""

    name: str
    version: str
    layer: str  # "workstation" or "base"
    origin: str | None
    shadows: str | None = None  # the base's version that this one hides


def normalise(name: str) -> str:
    """A distribution's name as indexes compare it: lower case, one hyphen between words."""
    return _SEPARATORS.sub("-", name).lower()


def read_distributions(site_packages: Path) -> dict[str, Distribution]:
    """The distributions in one site-packages folder by name; without METADATA it is a leftover, not one."""
    found = {}
    for info in sorted(site_packages.glob("*.dist-info")):
        headers = _headers(info / "METADATA")
        if "name" in headers and "version" in headers:
            name = normalise(headers["name"])
            origin, editable = _direct_url(info / "direct_url.json")
            found[name] = Distribution(name, headers["version"], info, origin, editable)
    return found


def visible_distributions(site_packages: Path) -> dict[str, Distribution]:
    """Those whose code a workstation layered on this folder sees.

    Not editable installs (.pth lines of a base are not processed), and not this platform itself.
    """
    return {
        name: distribution
        for name, distribution in read_distributions(site_packages).items()
        if not distribution.editable and name != "stillframe"
    }


def layered(own: Mapping[str, Distribution], base: Mapping[str, Distribution]) -> list[Installed]:
    """What a workstation sees: its own distributions first, then those of its base that they do not hide."""
    mine = [
        Installed(
            d.name, d.version, "workstation", d.origin, base[d.name].version if d.name in base else None
        )
        for d in own.values()
    ]
    theirs = [Installed(d.name, d.version, "base", d.origin) for d in base.values() if d.name not in own]
    return sorted(mine + theirs, key=lambda installed: installed.name)


def record_digest(distribution: Distribution) -> str:
    """SHA-256 of the distribution's RECORD, which holds a digest of each file; of METADATA without one."""
    record = distribution.info / "RECORD"
    source = record if record.is_file() else distribution.info / "METADATA"
    return hashlib.sha256(source.read_bytes()).hexdigest()


def _headers(metadata: Path) -> dict[str, str]:
    """The first value of each header of a METADATA file; empty without the file."""
    headers: dict[str, str] = {}
    try:
        with metadata.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if not line.strip():
                    break
                name, colon, value = line.partition(":")
                if colon and not line[0].isspace():
                    headers.setdefault(name.lower(), value.strip())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return headers


def _direct_url(file: Path) -> tuple[str | None, bool]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None, False
    return value.get("url"), bool(value.get("dir_info", {}).get("editable"))
