"""What differs, as values: made to be drawn, printed (text.py) or sent. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Change = Literal["added", "removed", "changed", "metadata"]
PartChange = Literal["added", "removed", "changed", "metadata", "moved"]
Layer = Literal["workstation", "base"]


@dataclass(frozen=True)
class FileChange:
    """One path in a component.

    "changed" means content, kind or target; "metadata" means mode or mtime only. `size_bytes` is the new
    file's, of a removed one the old file's, 0 for a folder.
    """

    path: str
    change: Change
    size_bytes: int = 0


@dataclass(frozen=True)
class Move:
    """The same bytes under another path; both paths also stand among the files, as removed and added."""

    old: str
    new: str
    kind: Literal["file", "folder"]


@dataclass(frozen=True)
class PluginChange:
    """One plugin. Facts are None where a manifest holds none.

    "moved" is a plugin with the same bytes under another name, `old_name`: what disabling does.
    `local_edits` and `edited_files` are those of the new side; `files` names what differs, git's own files
    aside.
    """

    name: str
    change: PartChange
    old_commit: str | None = None
    new_commit: str | None = None
    local_edits: bool | None = None
    old_name: str | None = None
    old_version: str | None = None
    new_version: str | None = None
    old_branch: str | None = None
    new_branch: str | None = None
    had_local_edits: bool | None = None
    edited_files: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackageChange:
    """One distribution of one layer. The same version with another RECORD counts as "changed"."""

    name: str
    change: Change
    old_version: str | None
    new_version: str | None
    layer: Layer = "workstation"


@dataclass(frozen=True)
class EngineChange:
    """Another engine, version or commit; the fields are of the old and the new side."""

    old_kind: str | None
    new_kind: str | None
    old_version: str | None
    new_version: str | None
    old_commit: str | None
    new_commit: str | None


@dataclass(frozen=True)
class BaseChange:
    """Another base, or the same name with other packages or another Python."""

    old_name: str | None
    new_name: str | None
    old_fingerprint: str | None
    new_fingerprint: str | None
    old_python: str | None
    new_python: str | None


@dataclass(frozen=True)
class CacheChange:
    """One entry of the cache: a hub's repository or a folder."""

    name: str
    kind: str
    change: Change
    old_size: int | None
    new_size: int | None


@dataclass(frozen=True)
class ModelChange:
    """One model that the saved workflows name.

    Sizes are None where the file is missing, digests where they are not known; `change` tells of the naming
    and the file together.
    """

    kind: str
    name: str
    change: Change
    old_size: int | None
    new_size: int | None
    old_digest: str | None
    new_digest: str | None


@dataclass(frozen=True)
class ComponentChange:
    """One component with the files that differ, by path, and which of them only moved."""

    name: str
    kind: str
    change: PartChange
    files: tuple[FileChange, ...]
    moves: tuple[Move, ...] = ()
    old_name: str | None = None

    @property
    def new_bytes(self) -> int:
        """Bytes of files that the old side had under no path of this component."""
        moved = {move.new for move in self.moves}
        folders = tuple(f"{move.new}/" for move in self.moves if move.kind == "folder")
        return sum(
            file.size_bytes
            for file in self.files
            if file.change in ("added", "changed")
            and file.path not in moved
            and not file.path.startswith(folders)
        )

    def as_json(self, most_files: int | None = None) -> dict[str, Any]:
        """Plain values; `most_files` bounds files and moves, `files_total` counts them all."""
        return {
            "name": self.name,
            "old_name": self.old_name,
            "kind": self.kind,
            "change": self.change,
            "files_total": len(self.files),
            "new_bytes": self.new_bytes,
            "files": [dict(vars(file)) for file in self.files[:most_files]],
            "moves": [dict(vars(move)) for move in self.moves[:most_files]],
        }


@dataclass(frozen=True)
class SnapshotDiff:
    """What `new` has that `old` had not, and the reverse.

    Both are folder names, like "7-3f9c0a11d2e4"; `new` may be "workstation": as it was while it was looked
    at. `notes` say what could not be compared.
    """

    old: str
    new: str
    plugins: tuple[PluginChange, ...] = ()
    packages: tuple[PackageChange, ...] = ()
    components: tuple[ComponentChange, ...] = ()
    engine: EngineChange | None = None
    base: BaseChange | None = None
    cache: tuple[CacheChange, ...] = ()
    models: tuple[ModelChange, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs; notes do not count."""
        parts: Sequence[object] = (
            *(self.plugins, self.packages, self.components, self.cache, self.models),
            *(self.engine, self.base),
        )
        return not any(parts)

    @property
    def new_bytes(self) -> int:
        """Bytes of files that differ on the new side, moved ones not counted."""
        return sum(component.new_bytes for component in self.components if component.change != "moved")

    def lines(self) -> list[str]:
        """For people: engine, plugins, packages, models and cache first, then a few files a component."""
        from snapshotter.diff.text import lines_of

        return lines_of(self)

    def as_json(self, most_files: int | None = None) -> dict[str, Any]:
        """Plain lists and dictionaries with the names of the fields; `most_files` bounds each component."""
        names = ("plugins", "packages", "cache", "models")
        return {
            "old": self.old,
            "new": self.new,
            "is_empty": self.is_empty,
            "engine": None if self.engine is None else asdict(self.engine),
            "base": None if self.base is None else asdict(self.base),
            **{name: [asdict(one) for one in getattr(self, name)] for name in names},
            "components": [component.as_json(most_files) for component in self.components],
            "notes": list(self.notes),
        }
