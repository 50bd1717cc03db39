"""The one user's settings and files: what the frontend keeps in the `user` folder."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import BadRequest, FileMissing
from .files import write_whole
from .folders import inside

USER = "default"
SETTINGS = "comfy.settings.json"


@dataclass(frozen=True)
class UserFiles:
    """Files below `user/default`, settings among them. Thread-safe."""

    folder: Path  # the `user` folder
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def root(self) -> Path:
        return self.folder / USER

    def settings(self) -> dict[str, Any]:
        """All settings; empty before the first one is stored. Raises BadRequest when the file is damaged."""
        return _json_object(self.root / SETTINGS)

    def merge_settings(self, changes: dict[str, Any]) -> None:
        """Store `changes` over what is there."""
        with self._lock:
            merged = self.settings() | changes
            write_whole(self.root / SETTINGS, json.dumps(merged, indent=4).encode())

    def add_user(self, name: str) -> str:
        """Note a user by name; their id. Raises BadRequest for a name that is taken or empty."""
        with self._lock:
            users = _json_object(self.folder / "users.json")
            if not name.strip() or name in users.values():
                raise BadRequest("username", f"{name!r} is empty or taken.")
            user_id = f"{re.sub(r'[^a-zA-Z0-9]', '-', name)}_{uuid.uuid4()}"
            write_whole(self.folder / "users.json", json.dumps(users | {user_id: name}).encode())
        return user_id

    def path(self, name: str) -> Path:
        """The path of user file `name`. Raises PathOutside."""
        return inside(self.root, name)

    def existing(self, name: str) -> Path:
        """The user file `name`. Raises PathOutside, FileMissing."""
        path = self.path(name)
        if not path.is_file():
            raise FileMissing(name, "the user's files")
        return path

    def files(self, directory: str, recurse: bool) -> list[tuple[str, Path]]:
        """Files of a folder: path relative to it, and where. Raises PathOutside, FileMissing."""
        folder = self.path(directory) if directory not in ("", ".", "/") else self.root
        if not folder.is_dir():
            raise FileMissing(directory, "the user's files")
        found = folder.rglob("*") if recurse else folder.iterdir()
        return sorted((path.relative_to(folder).as_posix(), path) for path in found if _is_shown(path))

    def entries(self, directory: str) -> list[dict[str, Any]]:
        """Folders, then files of a folder, with `path` relative to the user's root. Raises as files does."""
        folder = self.path(directory) if directory.strip("/.") else self.root
        if folder == self.root and not folder.exists():
            return []  # nothing was stored yet
        if not folder.is_dir():
            raise FileMissing(directory, "the user's files")
        return sorted(_entries(folder, self.root), key=lambda e: (e["type"] != "directory", e["name"]))

    def information(self, path: Path) -> dict[str, Any]:
        """Path relative to the user's root, size and times of a file, in bytes and ms."""
        return {"path": path.relative_to(self.root).as_posix()} | _facts(path)


def _facts(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {
        "size": stat.st_size,
        "modified": int(stat.st_mtime * 1000),
        "created": int(stat.st_ctime * 1000),
    }


def _entries(folder: Path, root: Path) -> Iterator[dict[str, Any]]:
    for path in folder.iterdir():
        entry: dict[str, Any] = {"name": path.name, "path": path.relative_to(root).as_posix()}
        if path.is_dir():
            yield entry | {"type": "directory"}
        elif _is_shown(path):
            yield entry | {"type": "file"} | _facts(path)


def _is_shown(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".upload-")


def _json_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise BadRequest(path.name, f"the file is not JSON ({error}); correct or remove it.") from error
    if not isinstance(found, dict):
        raise BadRequest(path.name, "the file does not hold a JSON object; correct or remove it.")
    return found
