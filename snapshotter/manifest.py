"""Snapshot and Component, their canonical form, version and id. Pure.

`manifest.json` is one JSON object:

    format      1
    content     {format, components: [{name, kind, path, place, tree}]}: what the snapshot is; `id` is the
    BLAKE3 digest of
                its canonical form (keys sorted, no spaces, ASCII with \\u escapes)
    snapshot    everything else: id, project, number, created_at, parent, workstation, facts, and per
    component its counts and facts check       BLAKE3 of the canonical form of [content, snapshot], so that a
    damaged manifest is noticed

Number, time, project and facts are not part of the id: the same bytes in the same places are the same
snapshot.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from blake3 import blake3

from snapshotter.errors import ManifestDamaged, ManifestTooNew

FORMAT = 1
SHORT_ID = 12

ComponentKind = Literal["engine", "plugin", "dependencies", "cache", "user", "base"]


@dataclass(frozen=True)
class Component:
    """A part of the environment frozen by itself.

    `path` is where it lies relative to the workstation; for a base outside it, `path` is "" and `place` is
    the absolute path. `tree` is the hex digest of its root record; `directories` counts its own folder too;
    `size_bytes` sums the files' lengths; `facts` describe it for people and search.
    """

    name: str
    kind: ComponentKind
    path: str
    place: str
    tree: str
    files: int
    directories: int
    size_bytes: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    def place_in(self, workstation: Path) -> Path:
        """The absolute path at which an instance must see this component."""
        return Path(self.place) if self.place else workstation / self.path


@dataclass(frozen=True)
class Snapshot:
    """A frozen environment.

    `id` is the hex digest of its content; `number` counts within the project, for people.
    """

    id: str
    project: str
    number: int
    created_at: datetime
    parent: str | None
    workstation: str
    components: tuple[Component, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def short_id(self) -> str:
        return self.id[:SHORT_ID]

    @property
    def folder_name(self) -> str:
        """How its folder under `snapshots/` is called."""
        return f"{self.number}-{self.short_id}"

    @property
    def files(self) -> int:
        return sum(component.files for component in self.components)

    @property
    def size_bytes(self) -> int:
        return sum(component.size_bytes for component in self.components)

    def component(self, name: str) -> Component | None:
        """The component of that name, or None."""
        return next((component for component in self.components if component.name == name), None)


def canonical(value: Any) -> bytes:
    """The one byte form of a JSON value. Raises ValueError or TypeError for what JSON cannot hold."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode()


def snapshot_id(components: tuple[Component, ...]) -> str:
    """The id that these components give, in any order."""
    return blake3(canonical(_content(components))).hexdigest()


def to_json(snapshot: Snapshot) -> str:
    """The text of `manifest.json`."""
    content, rest = _content(snapshot.components), _rest(snapshot)
    check = blake3(canonical([content, rest])).hexdigest()
    document = {"format": FORMAT, "content": content, "snapshot": rest, "check": check}
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def from_json(text: str | bytes, path: str = "manifest.json") -> Snapshot:
    """Raises ManifestTooNew before anything else is read, and ManifestDamaged (naming `path`)."""
    try:
        document = json.loads(text)
        found = document["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestDamaged(path, f"{type(error).__name__}: {error}") from error
    if found != FORMAT:
        raise ManifestTooNew(found, FORMAT)
    try:
        return _read(document, path)
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestDamaged(path, f"{type(error).__name__}: {error}") from error


def _content(components: tuple[Component, ...]) -> dict[str, Any]:
    ordered = sorted(components, key=lambda component: component.name)
    names = ("name", "kind", "path", "place", "tree")
    return {
        "format": FORMAT,
        "components": [{name: getattr(component, name) for name in names} for component in ordered],
    }


def _rest(snapshot: Snapshot) -> dict[str, Any]:
    counted = {
        component.name: {
            "files": component.files,
            "directories": component.directories,
            "size_bytes": component.size_bytes,
            "facts": dict(component.facts),
        }
        for component in snapshot.components
    }
    return {
        "id": snapshot.id,
        "project": snapshot.project,
        "number": snapshot.number,
        "created_at": snapshot.created_at.isoformat(),
        "parent": snapshot.parent,
        "workstation": snapshot.workstation,
        "facts": dict(snapshot.facts),
        "components": counted,
    }


def _read(document: dict[str, Any], path: str) -> Snapshot:
    content, rest = document["content"], document["snapshot"]
    if blake3(canonical([content, rest])).hexdigest() != document["check"]:
        raise ManifestDamaged(path, "its content is not what its check says")
    if blake3(canonical(content)).hexdigest() != rest["id"]:
        raise ManifestDamaged(path, "its content is not what its id says")
    components = tuple(
        Component(**described, **rest["components"][described["name"]]) for described in content["components"]
    )
    values = {**rest, "created_at": datetime.fromisoformat(rest["created_at"]), "components": components}
    return Snapshot(**values)
