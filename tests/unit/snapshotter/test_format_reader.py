"""A reader of snapshots that knows DESIGN.md's "Snapshot formats, to the byte" and nothing of our code.

The reader imports the standard library and blake3 only (zstandard as well, to open an export); the tests
beside it use our code to make what is read.
"""

from __future__ import annotations

import ast
import io
import json
import os
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from blake3 import blake3

from snapshotter.components import BaseFacts
from snapshotter.transfer.archive_out import export_snapshot
from tests.unit.snapshotter.conftest import Desk, expected, seen

# The reader


def canonical(value: Any) -> bytes:
    """Written out, not left to json.dumps: the document must be enough in any language."""
    if isinstance(value, dict):
        return b"{" + b",".join(canonical(key) + b":" + canonical(value[key]) for key in sorted(value)) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(canonical(item) for item in value) + b"]"
    if isinstance(value, str):
        return b'"' + b"".join(_character(character) for character in value) + b'"'
    if value is None or isinstance(value, bool):
        return {None: b"null", True: b"true", False: b"false"}[value]
    return repr(value).encode()


def _character(character: str) -> bytes:
    short = {'"': b'\\"', "\\": b"\\\\", "\b": b"\\b", "\t": b"\\t", "\n": b"\\n", "\f": b"\\f", "\r": b"\\r"}
    if character in short:
        return short[character]
    if " " <= character <= "~":
        return character.encode()
    units = character.encode("utf-16-be", "surrogatepass")
    return b"".join(b"\\u%04x" % unit for (unit,) in struct.iter_unpack(">H", units))


def digest(data: bytes) -> str:
    return blake3(data).hexdigest()


class Reader:
    """A store and what its snapshots hold."""

    def __init__(self, store: Path) -> None:
        assert (store / "format").read_bytes() == b"1\n"
        self.store = store

    def manifest(self, text: bytes) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(text)
        assert document["format"] == 1
        assert document["check"] == digest(canonical([document["content"], document["snapshot"]]))
        assert document["snapshot"]["id"] == digest(canonical(document["content"]))
        return document

    def record(self, name: str) -> Iterator[tuple[bytes, int, int, int, int, bytes]]:
        """(name, kind, mode, size, mtime, value) of each entry."""
        data = (self.store / "trees" / name[:2] / name).read_bytes()
        assert digest(data) == name
        assert data[:4] == b"SFT1"
        (count,), at = struct.unpack_from("<I", data, 4), 8
        for _ in range(count):
            kind, mode, size, mtime, n, v = struct.unpack_from("<BHQqHI", data, at)
            at += 25
            yield data[at : at + n], kind, mode, size, mtime, data[at + n : at + n + v]
            at += n + v
        assert at == len(data)

    def content(self, value: bytes, mode: int, size: int, mtime: int) -> bytes:
        name = f"{value.hex()}.{'x' if mode & 0o111 else 'r'}.{mtime}"
        data = (self.store / "objects" / name[:2] / name).read_bytes()
        assert (len(data), digest(data)) == (size, value.hex())
        return data

    def restore(self, tree: str, to: bytes) -> None:
        for name, kind, mode, size, mtime, value in self.record(tree):
            path = to + (b"/" + name if name else b"")
            if kind == 0:
                with open(path, "xb") as file:
                    file.write(self.content(value, mode, size, mtime))
                os.chmod(path, 0o555 if mode & 0o111 else 0o444)  # noqa: PTH101 - bytes paths, here and below
            elif kind == 1:
                os.mkdir(path)  # noqa: PTH102
                self.restore(value.hex(), path)
                os.chmod(path, mode)  # noqa: PTH101
            else:
                os.symlink(value, path)  # noqa: PTH211
            os.utime(path, ns=(mtime, mtime), follow_symlinks=False)

    def listed(self, tree: str, below: bytes = b"") -> Iterator[bytes]:
        for name, kind, _, _, _, value in self.record(tree):
            path = below + b"/" + name if name else below
            yield path
            if kind == 1:
                yield from self.listed(value.hex(), path)


def export_members(opened: BinaryIO) -> dict[str, bytes]:
    """Everything in an export, proved by its trailer."""
    import zstandard

    plain = zstandard.ZstdDecompressor().stream_reader(opened, read_across_frames=True).read()
    members: dict[str, bytes] = {}
    lines = b""
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        for info in tar:
            members[info.name] = tar.extractfile(info).read()  # type: ignore[union-attr]
            assert (info.uname, info.gname) == ("stillframe", "export-1")
    last = json.loads(members.pop("trailer.json"))
    for name, data in members.items():
        lines += f"{name} {len(data)} {digest(data)}\n".encode()
    assert last == {
        "format": 1,
        "members": len(members),
        "bytes": sum(len(data) for data in members.values()),
        "digest": digest(lines),
    }
    return members


# The claims


@pytest.fixture
def rich(desk: Desk) -> Desk:
    (desk.plugin / "empty").mkdir(mode=0o750)
    (desk.plugin / "run.sh").write_text("#!/bin/sh\n")
    (desk.plugin / "run.sh").chmod(0o754)
    (desk.plugin / "link").symlink_to("run.sh")
    (desk.plugin / "nothing").touch()
    os.utime(desk.plugin / "nothing", ns=(1, -5_000_000_001))
    Path(os.fsdecode(os.fsencode(desk.plugin) + b"/caf\xe9")).write_text("not UTF-8")
    (desk.root / "custom_nodes" / "single.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    (desk.root / "custom_nodes" / "größe \U0001f600 \x7f").mkdir()
    base = desk.root.parent / "base"
    base.mkdir()
    (base / "module.py").write_text("x = 1\n")
    desk.base = BaseFacts("torch-2", base, "f" * 16)
    return desk


def manifest_path(desk: Desk, folder_name: str) -> Path:
    return desk.project.snapshots / folder_name / "manifest.json"


def test_the_reader_recomputes_the_id(rich: Desk) -> None:
    snapshot = rich.freeze({"engine": {"text": 'a "quoted" \\ line\n\t\x01\x7f/ü\U0001f600'}}).snapshot
    document = Reader(rich.store.root).manifest(manifest_path(rich, snapshot.folder_name).read_bytes())
    assert document["snapshot"]["id"] == snapshot.id
    assert snapshot.folder_name == f"{document['snapshot']['number']}-{snapshot.id[:12]}"
    names = [one["name"] for one in document["content"]["components"]]
    assert names == sorted(names)


def test_the_reader_lists_and_restores_every_component(rich: Desk, tmp_path: Path) -> None:
    snapshot = rich.freeze().snapshot
    reader = Reader(rich.store.root)
    document = reader.manifest(manifest_path(rich, snapshot.folder_name).read_bytes())
    for number, part in enumerate(document["content"]["components"]):
        place = Path(part["place"] or f"{document['snapshot']['workstation']}/{part['path']}")
        target = tmp_path / f"restored-{number}"
        reader.restore(part["tree"], os.fsencode(target))
        assert seen(target) == expected(place), part["name"]
        assert set(reader.listed(part["tree"])) == set(seen(place))
        assert document["snapshot"]["components"][part["name"]]["files"] == sum(
            path.is_file() and not path.is_symlink() for path in [place, *place.rglob("*")]
        )


def test_the_reader_restores_from_an_export_alone(rich: Desk, tmp_path: Path) -> None:
    snapshot = rich.freeze().snapshot
    export_snapshot(rich.store, snapshot, tmp_path / "one", frame_bytes=4096)
    with (tmp_path / "one").open("rb") as opened:
        members = export_members(opened)
    store = tmp_path / "unpacked"
    for name, data in members.items():
        kind, _, key = name.rpartition("/")
        path = store / kind / key[:2] / key if kind else store / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (store / "format").write_bytes(b"1\n")
    reader = Reader(store)
    document = reader.manifest((store / "manifest.json").read_bytes())
    part = next(one for one in document["content"]["components"] if one["name"] == "custom_nodes/stamp")
    reader.restore(part["tree"], os.fsencode(tmp_path / "stamp"))
    assert seen(tmp_path / "stamp") == expected(rich.plugin)
    wanted = {one["tree"] for one in document["content"]["components"]}
    assert wanted <= {name.removeprefix("trees/") for name in members}


def test_the_header_of_a_member_has_the_bytes_that_the_document_gives() -> None:
    from snapshotter.transfer.member import header

    for size in (0, 5, 8**11 - 1, 8**11, 1 << 50):
        block = bytearray(512)
        octal = b"%011o\0" % size if size < 8 << 30 else (size | 1 << 95).to_bytes(12, "big")
        fields = {
            0: b"trees/x",
            100: b"0000644\0",
            108: b"0000000\0",
            116: b"0000000\0",
            124: octal,
            136: b"00000000000\0",
            148: b" " * 8,
            156: b"0",
            257: b"ustar\x0000",
            265: b"stillframe",
            297: b"export-1",
            329: b"0000000\0",
            337: b"0000000\0",
        }
        for at, data in fields.items():
            block[at : at + len(data)] = data
        block[148:156] = b"%06o\0 " % sum(block)
        assert header("trees/x", size) == bytes(block)


def test_the_reader_uses_none_of_our_code() -> None:
    """Its part of this file names nothing that was imported from our packages."""
    tree = ast.parse(Path(__file__).read_text())
    ours = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("snapshotter", "tests")
        for alias in node.names
    }
    reader = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("test_")
    ]
    independent = [node for node in reader if node.name not in ("rich", "manifest_path")]
    assert {node.name for node in independent} >= {"Reader", "canonical", "export_members"}
    for node in independent:
        used = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        imported = {
            (one.module or "").split(".")[0] for one in ast.walk(node) if isinstance(one, ast.ImportFrom)
        }
        assert not used & ours
        assert not imported & {"snapshotter", "workstation"}
