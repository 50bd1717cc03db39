"""The archive: what a prompt made, kept after the instance that made it is gone.

HOME/projects/NAME/service/archive/PROMPT_ID/
    result.json                       the history entry, written last: it is there when everything is there
    output/SUBFOLDER/FILENAME         temp/ likewise
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from online_runtime.jobs.errors import OutsideArchive
from online_runtime.jobs.job import ArchivedFile, is_prompt_id
from workstation.layout import Home

KINDS = ("output", "temp")
RESULT = "result.json"


class Archive:
    """The archive of every service in one home folder. All calls block on the disk: use a thread."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def folder(self, service: str, prompt_id: str) -> Path:
        """Where one prompt's result lies, whether it exists or not. Raises BadName, OutsideArchive."""
        if not is_prompt_id(prompt_id):
            raise OutsideArchive(prompt_id)
        return self._home.project(service).service / "archive" / prompt_id

    def history(self, service: str, prompt_id: str) -> Mapping[str, Any] | None:
        """The archived history entry, or None when there is none (yet). Raises BadName, OutsideArchive."""
        try:
            entry: dict[str, Any] = json.loads((self.folder(service, prompt_id) / RESULT).read_bytes())
        except FileNotFoundError:
            return None
        return entry

    def place(self, service: str, prompt_id: str, file: ArchivedFile) -> Path:
        """The path of one archived file, whether it exists or not. Raises BadName, OutsideArchive."""
        if file.kind not in KINDS:
            raise OutsideArchive(file.kind)
        root = self.folder(service, prompt_id) / file.kind
        return root / _inside(file.subfolder) / _one_name(file.filename)

    def file(self, service: str, prompt_id: str, file: ArchivedFile) -> Path | None:
        """The path of one archived file, or None when it is not there. Never follows a link. Raises as
        `place`.
        """
        path = self.place(service, prompt_id, file)
        return path if path.is_file() and not path.is_symlink() else None

    def size_bytes(self, service: str, prompt_id: str) -> int:
        """Of everything kept of one prompt; 0 when nothing is. Raises as `folder`."""
        files = self.folder(service, prompt_id).rglob("*")
        return sum(file.lstat().st_size for file in files if not file.is_dir())

    def remove(self, service: str, prompt_id: str) -> None:
        """Take one prompt's result away; nothing to take is no error. Whoever reads a file of it reads on.

        Raises as `folder`, and OSError.
        """
        folder = self.folder(service, prompt_id)
        gone = folder.with_name(f".gone-{prompt_id}")
        if gone.exists():
            shutil.rmtree(gone)  # a kill came between the rename and the end of this
        if folder.exists():
            folder.rename(gone)  # first, so that nobody finds half of it
            shutil.rmtree(gone)

    @contextmanager
    def writing(self, service: str, prompt_id: str, file: ArchivedFile) -> Iterator[IO[bytes]]:
        """A new file that appears whole at the end of the block, or not at all. Raises as `place`."""
        with _appearing(self.place(service, prompt_id, file)) as stream:
            yield stream

    def write_result(self, service: str, prompt_id: str, entry: Mapping[str, Any]) -> None:
        """Store the history entry; the last thing written of a prompt."""
        with _appearing(self.folder(service, prompt_id) / RESULT) as stream:
            stream.write(json.dumps(entry).encode())


@contextmanager
def _appearing(path: Path) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".partial-{secrets.token_hex(8)}"
    try:
        with partial.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _inside(subfolder: str) -> PurePosixPath:
    path = PurePosixPath(subfolder)
    if path.is_absolute() or ".." in path.parts or "\0" in subfolder or "\\" in subfolder:
        raise OutsideArchive(subfolder)
    return path


def _one_name(filename: str) -> str:
    if filename in ("", ".", "..") or "/" in filename or "\\" in filename or "\0" in filename:
        raise OutsideArchive(filename)
    return filename
