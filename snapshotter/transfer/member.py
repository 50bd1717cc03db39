"""The members of an export: their names, and the one form that a tar header of ours has. Pure.

Every header is a function of name and size alone, so that a reader can compare a header with the one that it
should be, and refuses links, devices, long names and whatever else tar has by that one comparison.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from snapshotter.objects import ObjectKey

BLOCK = 512
OWNER = b"stillframe"
FORMAT = "export-1"
MANIFEST = "manifest.json"
TRAILER = "trailer.json"
END = bytes(2 * BLOCK)
_OCTAL_LIMIT = 8**11
_TREE = re.compile(r"trees/([0-9a-f]{64})")
_OBJECT = re.compile(r"objects/([0-9a-f]{64})\.([rx])\.(0|-?[1-9][0-9]{0,18})")


class Header(NamedTuple):
    """What a header says of its member, before it is believed."""

    name: str
    size: int
    kind: bytes
    owner: bytes
    format: str


def header(name: str, size: int) -> bytes:
    """The 512 bytes before a member's content."""
    block = bytearray(BLOCK)
    _put(block, 0, name.encode("ascii"))
    _put(block, 100, b"0000644\0" + b"0000000\0" * 2)
    _put(block, 124, _size(size))
    _put(block, 136, b"00000000000\0")
    _put(block, 148, b" " * 8)
    _put(block, 156, b"0")
    _put(block, 257, b"ustar\x0000")
    _put(block, 265, OWNER)
    _put(block, 297, FORMAT.encode("ascii"))
    _put(block, 329, b"0000000\0" * 2)
    _put(block, 148, b"%06o\0 " % sum(block))
    return bytes(block)


def padding(size: int) -> bytes:
    """The zeros that fill a member's last block."""
    return bytes(-size % BLOCK)


def parse(block: bytes) -> Header:
    """What a header says. Raises ValueError for one that no tar has."""
    size = block[124:136]
    if size[0] & 0x80:
        number = int.from_bytes(size, "big") - (0x80 << 88)
    else:
        number = int(size.rstrip(b"\0 ") or b"0", 8)
    if number < 0:
        raise ValueError("a negative size")
    return Header(
        _text(block[:100]), number, block[156:157], block[265:297].rstrip(b"\0"), _text(block[297:329])
    )


def tree_name(digest: bytes) -> str:
    """The member that holds a directory record."""
    return f"trees/{digest.hex()}"


def object_name(key: ObjectKey) -> str:
    """The member that holds an object."""
    return f"objects/{key.name}"


def tree_digest(name: str) -> bytes | None:
    """The digest that a record's member names, or None for another name."""
    match = _TREE.fullmatch(name)
    return bytes.fromhex(match[1]) if match else None


def object_key(name: str) -> ObjectKey | None:
    """The key that an object's member names, or None for another name."""
    match = _OBJECT.fullmatch(name)
    if match is None:
        return None
    return ObjectKey(bytes.fromhex(match[1]), match[2] == "x", int(match[3]))


def index_line(name: str, size: int, digest: bytes) -> bytes:
    """What the trailer's digest is made of: one line a member, the trailer aside."""
    return f"{name} {size} {digest.hex()}\n".encode("ascii")


def _size(size: int) -> bytes:
    """Octal up to 8 GiB; beyond it GNU's base 256, with the top bit set."""
    return b"%011o\0" % size if size < _OCTAL_LIMIT else ((0x80 << 88) + size).to_bytes(12, "big")


def _put(block: bytearray, at: int, data: bytes) -> None:
    block[at : at + len(data)] = data


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode("ascii", "backslashreplace")
