"""What a file of weights is, told from its header; no torch."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from online_runtime.engine.models.errors import NotSafetensors, PickleRefused, UnknownFamily
from online_runtime.engine.models.families import recognise
from online_runtime.engine.models.single_file import read_header


def write_header(path: Path, shapes: Mapping[str, list[int]], missing_bytes: int = 0) -> Path:
    """A safetensors file of zeros (float16) with tensors of these shapes."""
    at, entries = 0, {}
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        entries[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(at - missing_bytes))
    return path


def test_names_and_shapes_are_read_without_the_tensors(tmp_path: Path) -> None:
    header = read_header(write_header(tmp_path / "a.safetensors", {"x": [2, 3], "y": []}))
    assert header.shapes == {"x": (2, 3), "y": ()}


@pytest.mark.parametrize("name", ["a.ckpt", "a.pt", "a.PTH", "a.bin"])
def test_a_pickle_is_refused_by_name_without_being_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(PickleRefused, match="can run code"):
        read_header(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02}q\x00.",
        b"PK\x03\x04" + bytes(60),
        struct.pack("<Q", 10) + b"not json!!",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 14) + b'{"x":{"a": 1}}',
    ],
)
def test_what_is_no_safetensors_file_is_said_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(NotSafetensors, match=r"a\.safetensors"):
        read_header(path)


def test_a_file_that_was_cut_off_is_found_before_any_tensor_is_read(tmp_path: Path) -> None:
    path = write_header(tmp_path / "a.safetensors", {"x": [100]}, missing_bytes=1)
    with pytest.raises(NotSafetensors, match="bytes where its header needs"):
        read_header(path)


@pytest.mark.parametrize(
    ("shapes", "what"),
    [
        ({"double_blocks.0.img_attn.qkv.weight": [3, 1]}, "Flux"),
        ({"model.diffusion_model.joint_blocks.0.x": [1]}, "SD3"),
        ({"lora_unet_down.lora_up.weight": [1, 1]}, "LoraLoader"),
        ({"decoder.conv_in.weight": [1, 1, 3, 3]}, "VAELoader"),
        ({"anything": [1]}, "no UNet"),
    ],
)
def test_an_unknown_family_is_named_where_it_can_be(
    tmp_path: Path, shapes: Mapping[str, list[int]], what: str
) -> None:
    header = read_header(write_header(tmp_path / "a.safetensors", shapes))
    with pytest.raises(UnknownFamily, match=what):
        recognise(header)
