from __future__ import annotations

import struct

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from snapshotter.errors import TreeMalformed
from snapshotter.tree import Entry, Kind, digest_of, pack, shown, unpack

names = st.binary(min_size=1, max_size=20).filter(lambda name: b"/" not in name and name not in (b".", b".."))
digests = st.binary(min_size=32, max_size=32)
stamps = st.integers(-(2**63), 2**63 - 1)
files = st.builds(
    Entry, names, st.just(Kind.FILE), st.integers(0, 0o7777), st.integers(0, 2**63), stamps, digests
)
links = st.builds(
    Entry, names, st.just(Kind.SYMLINK), st.just(0o777), st.just(0), stamps, st.binary(max_size=30)
)


@given(st.lists(files | links, unique_by=lambda entry: entry.name))
def test_a_record_gives_back_its_entries_in_the_order_of_their_names(entries: list[Entry]) -> None:
    assert unpack(pack(entries)) == tuple(sorted(entries))
    assert pack(entries) == pack(reversed(entries))


def test_a_record_is_laid_out_to_the_byte_as_the_format_says() -> None:
    record = pack([Entry(b"a\xff", Kind.FILE, 0o644, 5, -1, b"\x07" * 32)])
    assert record == (
        b"SFT1"
        + struct.pack("<I", 1)
        + struct.pack("<BHQqHI", 0, 0o644, 5, -1, 2, 32)
        + b"a\xff"
        + b"\x07" * 32
    )
    assert digest_of(record) == blake3(record).digest()


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"SFT2" + bytes(4),
        b"SFT1" + struct.pack("<I", 1),
        pack([Entry(b"a", Kind.FILE, 0, 0, 0, b"\x00" * 32)]) + b"x",
        pack([Entry(b"a", Kind.FILE, 0, 0, 0, b"\x00" * 31)]),
        b"SFT1" + struct.pack("<IBHQqHI", 1, 3, 0o644, 0, 0, 1, 32) + b"a" + bytes(32),
        pack([Entry(b"../a", Kind.FILE, 0, 0, 0, b"\x00" * 32)]),
        pack([Entry(b"..", Kind.SYMLINK, 0, 0, 0, b"x")]),
        pack([Entry(b"a", Kind.SYMLINK, 0, 0, 0, b"x"), Entry(b"a", Kind.SYMLINK, 0, 0, 1, b"x")]),
        pack([Entry(b"", Kind.SYMLINK, 0, 0, 0, b"x"), Entry(b"a", Kind.SYMLINK, 0, 0, 1, b"x")]),
    ],
)
def test_a_record_that_breaks_the_format_is_refused(record: bytes) -> None:
    with pytest.raises(TreeMalformed):
        unpack(record)


def test_a_name_that_is_not_utf8_can_be_shown() -> None:
    assert shown(b"caf\xe9") == "caf\\xe9"
