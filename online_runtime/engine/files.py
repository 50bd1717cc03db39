"""Files of input, output and temp that requests read and write."""

from __future__ import annotations

import filecmp
import io
import json
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from .errors import BadRequest, FileMissing
from .folders import Folders, inside, split_annotation

if TYPE_CHECKING:
    from PIL import Image

MAX_SAFETENSORS_HEADER_BYTES = 100 * 1024 * 1024  # the format's own limit
_FORMATS = ("webp", "jpeg")


def viewed(folders: Folders, filename: str, type: str, subfolder: str) -> Path:
    """The file that /view names. Raises BadRequest (name or type), PathOutside (subfolder), FileMissing."""
    name, annotated = split_annotation(filename)
    if not name or name.startswith(("/", "\\")) or ".." in name:
        raise BadRequest("filename", f"{filename!r} is not the name of a file.")
    type = annotated or type
    root = folders.directory(type)
    if root is None:
        raise BadRequest("type", f"{type!r} is none of input, output, temp.")
    path = inside(inside(root, subfolder), Path(name).name)
    if not path.is_file():
        raise FileMissing(name, type)
    return path


def reencoded(path: Path, preview: str) -> tuple[str, bytes]:
    """The picture as `webp` or `jpeg`, with an optional quality (`jpeg;80`): its MIME type and bytes."""

    format, _, quality = preview.partition(";")
    if format not in _FORMATS:
        format = "webp"
    with _picture(path) as image:
        shown = image.convert("RGB") if format == "jpeg" else image
        buffer = io.BytesIO()
        shown.save(buffer, format=format, quality=int(quality) if quality.isdecimal() else 90)
    return f"image/{format}", buffer.getvalue()


def channel_as_png(path: Path, channel: str) -> bytes:
    """Only the colours (`rgb`) or only the alpha channel (`a`) of a picture, as PNG."""
    from PIL import Image

    with _picture(path) as image:
        if channel == "rgb":
            shown = image.convert("RGB")
        else:
            alpha = image.convert("RGBA").getchannel("A")
            shown = Image.new("RGBA", image.size)
            shown.putalpha(alpha)
    buffer = io.BytesIO()
    shown.save(buffer, format="PNG")
    return buffer.getvalue()


def store_upload(
    folders: Folders, source: BinaryIO | IO[bytes], filename: str, type: str, subfolder: str, overwrite: bool
) -> dict[str, str]:
    """Keep an uploaded file; the answer names it. Identical bytes reuse a name, others get `name (1).png`.

    Raises BadRequest, PathOutside.
    """
    root = folders.directory(type)
    if root is None or not filename:
        raise BadRequest("upload", "it needs a file with a name, and a type of input, output or temp.")
    folder = inside(root, subfolder)
    wanted = inside(folder, filename)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_beside(wanted) as temporary:
        with temporary.open("wb") as file:
            while chunk := source.read(1 << 20):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        path = wanted if overwrite else _free_name(wanted, temporary)
        if overwrite or not path.exists():
            temporary.replace(path)
    name = path.relative_to(folder).as_posix()
    return {"name": name, "subfolder": subfolder, "type": type}


def store_mask(
    folders: Folders, source: BinaryIO | IO[bytes], original: dict[str, Any], **upload: Any
) -> dict[str, str]:
    """Keep the picture `original` names ({filename, type, subfolder}) with the upload's alpha channel.

    `upload` are store_upload's other arguments. Raises as viewed and store_upload do.
    """

    path = viewed(
        folders, original.get("filename", ""), original.get("type", "output"), original.get("subfolder", "")
    )
    with _picture(path) as picture, _picture(source) as mask:
        result = picture.convert("RGBA")
        alpha = mask.convert("RGBA").getchannel("A")
        result.putalpha(alpha.resize(result.size) if alpha.size != result.size else alpha)
    buffer = io.BytesIO()
    result.save(buffer, format="PNG", compress_level=4)
    buffer.seek(0)
    return store_upload(folders, buffer, **upload)


@contextmanager
def _picture(source: Path | BinaryIO | IO[bytes]) -> Iterator[Image.Image]:
    """An opened picture. What cannot be read, or would take all memory, raises BadRequest, also while it is
    worked on."""
    from PIL import Image

    try:
        with Image.open(source) as image:
            yield image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        name = source.name if isinstance(source, Path) else "the uploaded file"
        raise BadRequest(name, f"it cannot be read as a picture ({error}).") from error


def safetensors_metadata(path: Path) -> dict[str, Any] | None:
    """The `__metadata__` of a safetensors file; None when it has none. Raises BadRequest."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < length <= MAX_SAFETENSORS_HEADER_BYTES:
            raise BadRequest(path.name, "it is not a safetensors file.")
        header = file.read(length)
    try:
        found = json.loads(header).get("__metadata__")
    except (ValueError, AttributeError) as error:
        raise BadRequest(path.name, f"its safetensors header is damaged: {error}.") from error
    return found if isinstance(found, dict) else None


def listed(folder: Path) -> list[str]:
    """Names of the visible files of `folder`, the newest first."""
    if not folder.is_dir():
        return []
    entries = [entry for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith(".")]
    return [entry.name for entry in sorted(entries, key=lambda entry: -entry.stat().st_mtime)]


def write_whole(path: Path, content: bytes) -> None:
    """Write `path` by rename, so that readers see the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_beside(path) as temporary:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def _free_name(wanted: Path, content: Path) -> Path:
    """`wanted`, or `wanted (N)`: the first that is free or holds the same bytes already."""
    candidates: Iterator[Path] = _numbered(wanted)
    return next(p for p in candidates if not p.exists() or filecmp.cmp(p, content, shallow=False))


def _numbered(wanted: Path) -> Iterator[Path]:
    yield wanted
    number = 0
    while True:
        number += 1
        yield wanted.with_name(f"{wanted.stem} ({number}){wanted.suffix}")


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    """A name in the same folder, gone afterwards unless it was renamed."""
    handle, name = tempfile.mkstemp(prefix=".upload-", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    temporary.chmod(0o644)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
