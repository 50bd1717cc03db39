"""Exports that were cut off, changed, or never ours: each refused by name, nothing published or outside."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from snapshotter.catalogue import list_snapshots
from snapshotter.errors import SnapshotterError
from snapshotter.freeze import freeze
from snapshotter.manifest import Component, Snapshot, canonical, snapshot_id, to_json
from snapshotter.objects import ObjectKey, Store
from snapshotter.rules import ComponentSource
from snapshotter.transfer import member
from snapshotter.transfer.archive_in import import_snapshot
from snapshotter.transfer.archive_out import export_snapshot
from snapshotter.transfer.errors import ArchiveDamaged, ArchiveRefused, ArchiveTooNew, TransferError
from snapshotter.transfer.frames import trailer
from snapshotter.transfer.member import header, padding
from snapshotter.tree import Entry, Kind, digest_of, pack

Member = tuple[str, bytes]


class Door:
    """A home that somebody sends files to; `refuses` proves that nothing came of one."""

    def __init__(self, root: Path) -> None:
        self.root, self.file = root, root / "sent"
        self.store, self.snapshots = Store(root / "home" / "store"), root / "home" / "snapshots"

    def take(self, data: bytes) -> Snapshot:
        self.file.write_bytes(data)
        return import_snapshot(self.store, self.snapshots, self.file, project="copy").snapshot

    def refuses(self, data: bytes, error: type[SnapshotterError] = TransferError) -> SnapshotterError:
        before = self._outside()
        with pytest.raises(error) as caught:
            self.take(data)
        assert list_snapshots(self.snapshots) == []
        assert not list((self.store.root / "objects").glob("*/*"))
        assert self._outside() == before
        return caught.value

    def _outside(self) -> set[Path]:
        return {path for path in self.root.rglob("*") if self.store.root not in path.parents} - {self.file}


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path / "door")


@pytest.fixture
def export(tmp_path: Path) -> bytes:
    """A small export as it should be."""
    plugin = tmp_path / "workstation" / "plugin"
    (plugin / "sub").mkdir(parents=True)
    (plugin / "sub" / "a.py").write_text("a\n")
    (plugin / "b.bin").write_bytes(random.Random(1).randbytes(3000))
    (plugin / "nothing").touch()
    store = Store(tmp_path / "store")
    source = ComponentSource("plugin", "plugin", plugin, "custom_nodes/plugin")
    snapshot = freeze(store, "p", tmp_path / "snapshots", plugin.parent, [source], {}).snapshot
    export_snapshot(store, snapshot, tmp_path / "export", frame_bytes=1000)
    return (tmp_path / "export").read_bytes()


def plain(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()


def packed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def members(data: bytes) -> list[Member]:
    with tarfile.open(fileobj=io.BytesIO(plain(data))) as tar:
        return [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]


def blocks(name: str, content: bytes) -> bytes:
    return header(name, len(content)) + content + padding(len(content))


def archive(parts: list[Member]) -> bytes:
    """An export of these members, with a trailer that is right for them."""
    from blake3 import blake3

    index, size = blake3(), 0
    for name, content in parts:
        index.update(member.index_line(name, len(content), blake3(content).digest()))
        size += len(content)
    parts = [*parts, (member.TRAILER, trailer(len(parts), size, index.digest()))]
    return packed(b"".join(blocks(name, content) for name, content in parts) + member.END)


def test_the_archive_of_these_tests_is_taken_when_nothing_is_wrong_with_it(door: Door, export: bytes) -> None:
    assert door.take(archive(members(export)[:-1])).number == 1


@pytest.mark.slow
def test_a_truncation_is_refused_wherever_it_is(door: Door, export: bytes) -> None:
    for length in range(0, len(export), 61):
        door.refuses(export[:length])
    whole = plain(export)
    for length in range(0, len(whole), 512):
        door.refuses(packed(whole[:length]))


@pytest.mark.slow
def test_a_changed_byte_is_refused_wherever_it_is(door: Door, export: bytes) -> None:
    whole = plain(export)
    for at in range(0, len(whole), 67):
        changed = bytearray(whole)
        changed[at] ^= 1 << (at % 8)
        door.refuses(packed(bytes(changed)), SnapshotterError)


@pytest.mark.slow
def test_a_changed_byte_of_the_compressed_file_is_refused_or_changes_nothing(
    door: Door, export: bytes
) -> None:
    whole, refused = plain(export), 0
    for at in range(0, len(export), 31):
        changed = bytearray(export)
        changed[at] ^= 1 << (at % 8)
        try:
            same = plain(bytes(changed)) == whole
        except zstandard.ZstdError:
            same = False
        if not same:
            door.refuses(bytes(changed), SnapshotterError)
            refused += 1
    assert refused > len(export) // 31 * 0.9


def test_what_follows_the_end_is_refused(door: Door, export: bytes) -> None:
    for more in (b"x", packed(b"x"), packed(bytes(512)), export):
        door.refuses(export + more)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", bytes(10_000)])
def test_what_is_no_export_at_all_is_refused(door: Door, data: bytes) -> None:
    door.refuses(data)
    door.refuses(packed(data))


STRANGE = [
    *("../evil", "/etc/evil", "objects/../../evil", "trees/..", "evil", "objects/", "OBJECTS/" + "0" * 64),
    *(
        "trees/" + "0" * 63,
        "trees/" + "A" * 64,
        "objects/" + "0" * 64 + ".r.01",
        "objects/" + "0" * 64 + ".r.-0",
    ),
    "trees/" + "0" * 64 + "/x",
]


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("at", [0, 1, -1])
def test_a_member_of_another_name_is_refused_by_name(door: Door, export: bytes, name: str, at: int) -> None:
    parts = members(export)[:-1]
    parts.insert(at if at >= 0 else len(parts), (name, b"x"))
    assert name in str(door.refuses(archive(parts), ArchiveRefused))


@pytest.mark.parametrize(
    "kind",
    [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE],
)
@pytest.mark.parametrize("ours", [True, False])
def test_links_devices_and_folders_are_refused(door: Door, export: bytes, kind: bytes, ours: bool) -> None:
    info = tarfile.TarInfo("objects/" + "0" * 64 + ".r.0")
    info.type, info.linkname = kind, "/etc/passwd"
    if ours:
        info.uname, info.gname = "stillframe", "export-1"
    strange = info.tobuf(tarfile.GNU_FORMAT)
    first = blocks(*members(export)[0])
    error = door.refuses(packed(first + strange + plain(export)[len(first) :]), ArchiveRefused)
    assert "is " in str(error)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_an_ordinary_tar_with_long_names_and_a_way_out_is_refused(door: Door, form: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name in ("../" * 50 + "tmp/evil", "x" * 300):
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"evil"))
    door.refuses(packed(out.getvalue()), ArchiveRefused)


def test_an_export_of_a_later_format_is_refused_as_that(door: Door, export: bytes) -> None:
    later = plain(export).replace(b"export-1", b"export-2")
    door.refuses(packed(later), ArchiveTooNew)


def test_an_object_or_record_that_nothing_names_is_refused(door: Door, export: bytes) -> None:
    parts = members(export)[:-1]
    extra = ObjectKey(digest_of(b"extra"), False, 0)
    door.refuses(archive([*parts, (member.object_name(extra), b"extra")]), ArchiveRefused)
    record = pack([])
    door.refuses(archive([*parts, (member.tree_name(digest_of(record)), record)]), ArchiveRefused)


def test_a_member_that_comes_twice_is_refused(door: Door, export: bytes) -> None:
    parts = members(export)[:-1]
    for again in parts:
        door.refuses(archive([*parts, again]), ArchiveRefused)


def test_a_missing_member_is_named(door: Door, export: bytes) -> None:
    parts = members(export)[:-1]
    for gone in parts[2:]:
        error = door.refuses(archive([part for part in parts if part != gone]))
        assert isinstance(error, ArchiveDamaged | ArchiveRefused)


def test_an_object_with_other_bytes_or_another_size_is_refused(door: Door, export: bytes) -> None:
    parts = members(export)[:-1]
    at = next(index for index, (name, data) in enumerate(parts) if name.startswith("objects/") and data)
    name, data = parts[at]
    for changed in (bytes(len(data)), data + b"x", data[:-1], b""):
        door.refuses(archive([*parts[:at], (name, changed), *parts[at + 1 :]]))


def test_a_size_beyond_all_disks_is_refused_before_it_is_read(door: Door, export: bytes) -> None:
    parts = members(export)
    name = next(name for name, _ in parts if name.startswith("objects/"))
    start = b"".join(blocks(*part) for part in parts if not part[0].startswith(("objects", "trailer")))
    door.refuses(packed(start + header(name, 1 << 50)), ArchiveRefused)
    door.refuses(packed(header(member.MANIFEST, 1 << 40)), ArchiveRefused)


def test_a_frame_that_asks_for_all_memory_is_refused(door: Door) -> None:
    greedy = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=False)
    ).compressobj()
    door.refuses(greedy.compress(bytes(4 << 20)) + greedy.flush())


# Manifests that are consistent in themselves and claim what no freeze writes


def forged(parts: list[Component], workstation: str = "/w", **changes: object) -> bytes:
    """A manifest whose id and check are right, whatever it says."""
    from datetime import UTC, datetime

    components = tuple(parts)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    snapshot = Snapshot(snapshot_id(components), "p", 1, now, None, workstation, components, {})
    return to_json(replace(snapshot, **changes)).encode()  # type: ignore[arg-type]


def plugin_of(*records: bytes, **changes: object) -> Component:
    tree = digest_of(records[0]).hex() if records else "0" * 64
    part = Component("x", "plugin", "custom_nodes/x", "", tree, 10, 10, 1000, {})
    return replace(part, **changes)  # type: ignore[arg-type]


def sent(manifest: bytes, *records: bytes) -> bytes:
    return archive(
        [("manifest.json", manifest), *((member.tree_name(digest_of(one)), one) for one in records)]
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "../../etc"},
        {"path": "/etc"},
        {"path": "custom_nodes/../../x"},
        {"path": "models/x"},
        {"path": ""},
        {"path": "a\0b"},
        {"place": "/etc"},
        {"kind": "base", "path": "", "place": "../etc"},
        {"kind": "base", "path": "", "place": "/"},
        {"kind": "base", "path": "", "place": "/a/../etc"},
        {"kind": "kernel"},
        {"tree": "../../../../etc/passwd"},
        {"tree": "AB" * 32},
        {"files": -1},
        {"size_bytes": "many"},
        {"name": ""},
    ],
)
def test_a_component_that_leads_outside_is_refused(door: Door, changes: dict[str, object]) -> None:
    error = door.refuses(sent(forged([plugin_of(**changes)])), ArchiveRefused)
    assert "manifest.json" in str(error)


@pytest.mark.parametrize(
    "changes",
    [{"workstation": "w"}, {"workstation": "/"}, {"number": 0}, {"number": "../1"}, {"parent": "../x"}],
)
def test_a_manifest_that_claims_what_cannot_be_is_refused(door: Door, changes: dict[str, object]) -> None:
    door.refuses(sent(forged([plugin_of()], **changes)), ArchiveRefused)  # type: ignore[arg-type]


def test_a_manifest_nested_without_end_is_refused(door: Door) -> None:
    door.refuses(sent(b'{"format":' + b"[" * 200_000 + b"]" * 200_000 + b"}"))


def entry(name: bytes, kind: Kind, value: bytes, mode: int = 0o644, size: int = 0) -> Entry:
    return Entry(name, kind, mode, size, 0, value)


EMPTY = pack([])
DIGEST = digest_of(b"")


@pytest.mark.parametrize(
    "make",
    [
        lambda: pack([entry(b"a", Kind.FILE, DIGEST)]),  # A root record has no name.
        lambda: pack([]),
        lambda: pack([entry(b"", Kind.FILE, DIGEST, mode=0o170644)]),
        lambda: pack([entry(b"", Kind.SYMLINK, b"")]),
        lambda: pack([entry(b"", Kind.FILE, DIGEST, size=1 << 60)]),  # More than the manifest counts.
        lambda: b"SFT2\0\0\0\0",
        lambda: b"nonsense",
    ],
)
def test_a_root_record_that_no_component_has_is_refused(door: Door, make: Callable[[], bytes]) -> None:
    record = make()
    door.refuses(sent(forged([plugin_of(record)]), record), ArchiveRefused)


@pytest.mark.parametrize(
    "inside",
    [
        [entry(b"", Kind.FILE, DIGEST)],
        [entry(b"..", Kind.FILE, DIGEST)],
        [entry(b"a/b", Kind.FILE, DIGEST)],
        [entry(b"a\0b", Kind.FILE, DIGEST)],
        [entry(b"a", Kind.SYMLINK, b"x\0y")],
        [entry(b"a", Kind.FILE, DIGEST, size=1), entry(b"b", Kind.FILE, DIGEST, size=2)],
        [entry(b"%d" % number, Kind.FILE, digest_of(b"%d" % number)) for number in range(11)],
        [entry(b"%d" % number, Kind.DIRECTORY, digest_of(b"%d" % number)) for number in range(30)],
    ],
)
def test_a_folder_that_no_disk_has_is_refused(door: Door, inside: list[Entry]) -> None:
    folder = pack(inside)
    root = pack([entry(b"", Kind.DIRECTORY, digest_of(folder), mode=0o755)])
    door.refuses(sent(forged([plugin_of(root)]), root, folder), ArchiveRefused)


def test_a_component_inside_a_component_is_refused(door: Door) -> None:
    inner = pack([entry(b"", Kind.DIRECTORY, digest_of(EMPTY), mode=0o755)])
    folder = pack([entry(b"a", Kind.DIRECTORY, digest_of(inner), mode=0o755)])
    outer = pack([entry(b"", Kind.DIRECTORY, digest_of(folder), mode=0o755)])
    parts = [plugin_of(outer), plugin_of(inner, name="y", path="custom_nodes/y")]
    door.refuses(sent(forged(parts), outer, inner, folder, EMPTY), ArchiveRefused)


def test_a_manifest_whose_id_is_not_its_content_is_refused(door: Door, export: bytes) -> None:
    parts = members(export)[:-1]
    document = json.loads(parts[0][1])
    document["content"]["components"][0]["path"] = "custom_nodes/other"
    from blake3 import blake3

    document["check"] = blake3(canonical([document["content"], document["snapshot"]])).hexdigest()
    door.refuses(archive([("manifest.json", json.dumps(document).encode()), *parts[1:]]), ArchiveDamaged)
