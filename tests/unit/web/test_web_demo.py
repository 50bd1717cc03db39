"""What the demo works with is what it says."""

from __future__ import annotations

import ast
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from web.demo.material import INK, NODE, WHEEL, workflow, write_plugin, write_wheel
from web.demo.picture import SIGNATURE, pixels_of
from workstation.workflows import parse_workflow


def png(pixels: bytes, comment: bytes, level: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" + pixels, level)
    return SIGNATURE + b"".join(
        (chunk(b"IHDR", header), chunk(b"tEXt", comment), chunk(b"IDAT", data), chunk(b"IEND", b""))
    )


def test_two_files_show_the_same_when_their_pixels_are_equal_whatever_else_they_hold() -> None:
    one = png(b"abc", b"prompt\0one", 1)
    assert pixels_of(one) == pixels_of(png(b"abc", b"prompt\0two", 9))
    assert pixels_of(one) != pixels_of(png(b"abd", b"prompt\0one", 1))
    with pytest.raises(ValueError, match="PNG"):
        pixels_of(b"GIF89a")


def test_the_wheel_is_the_same_bytes_every_time_and_holds_its_package(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_wheel(tmp_path / name / WHEEL)
    assert (tmp_path / "one" / WHEEL).read_bytes() == (tmp_path / "two" / WHEEL).read_bytes()
    assert "demo_ink/__init__.py" in zipfile.ZipFile(tmp_path / "one" / WHEEL).namelist()


def test_the_plugin_and_its_package_are_python_and_the_plugin_is_a_clean_repository(tmp_path: Path) -> None:
    ast.parse(INK)
    ast.parse(NODE)
    commit = write_plugin(tmp_path / "stamp")
    assert len(commit) == 40


def test_the_workflow_is_in_api_format_and_names_its_model() -> None:
    import json

    parsed = parse_workflow(json.dumps(workflow()))
    assert "DemoStamp" in parsed.node_classes()
    assert {kind for kind, _ in parsed.model_names()} == {"checkpoints"}
