"""One file out, one file in: the same snapshot in another home."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from snapshotter.catalogue import list_snapshots
from snapshotter.components import BaseFacts
from snapshotter.errors import ManifestTooNew, ObjectDamaged
from snapshotter.manifest import Snapshot
from snapshotter.materialise import view_of
from snapshotter.objects import Store
from snapshotter.transfer.archive_in import import_snapshot
from snapshotter.transfer.archive_out import export_snapshot, export_stream
from snapshotter.transfer.errors import BaseNotIncluded, TargetOccupied, TransferInProgress
from snapshotter.transfer.landing import Imported
from snapshotter.transfer.progress import TransferProgress
from snapshotter.verify import verify
from tests.unit.snapshotter.conftest import Desk, expected, seen


class Elsewhere:
    """Another home, on no network."""

    def __init__(self, root: Path) -> None:
        self.store, self.snapshots = Store(root / "store"), root / "projects" / "copy" / "snapshots"

    def take(self, file: Path) -> Imported:
        return import_snapshot(self.store, self.snapshots, file, project="copy")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path / "elsewhere")


@pytest.fixture
def rich(desk: Desk) -> Desk:
    """A workstation with everything that a snapshot can hold."""
    (desk.plugin / "empty").mkdir()
    (desk.plugin / "run.sh").write_text("#!/bin/sh\n")
    (desk.plugin / "run.sh").chmod(0o755)
    (desk.plugin / "link").symlink_to("run.sh")
    (desk.plugin / "nothing").touch()
    Path(os.fsdecode(os.fsencode(desk.plugin) + b"/caf\xe9")).write_text("not UTF-8")
    os.utime(desk.plugin / "nothing", ns=(1, -5_000_000_000))
    with (desk.plugin / "sparse").open("wb") as file:
        file.seek(8 << 20)
        file.write(b"end")
    base = desk.root.parent / "base"
    base.mkdir()
    (base / "module.py").write_text("x = 1\n")
    desk.base = BaseFacts("torch-2", base, "f" * 16)
    return desk


def plain(file: Path) -> bytes:
    with file.open("rb") as opened:
        reader = zstandard.ZstdDecompressor().stream_reader(opened, read_across_frames=True)
        return reader.read()


def test_a_snapshot_arrives_in_another_home_with_its_id_and_every_byte(
    rich: Desk, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    snapshot = rich.freeze().snapshot
    export_snapshot(rich.store, snapshot, tmp_path / "one.stillframe")
    got = elsewhere.take(tmp_path / "one.stillframe")
    assert (got.new, got.snapshot.id, got.snapshot.number) == (True, snapshot.id, 1)
    assert got.snapshot.workstation == snapshot.workstation
    assert got.snapshot.components == snapshot.components
    assert verify(elsewhere.store, got.snapshot).ok
    views = view_of(elsewhere.store, got.snapshot)
    for component in snapshot.components:
        assert seen(views[component.name]) == expected(component.place_in(rich.root))
    sparse = views["custom_nodes/stamp"] / "sparse"
    assert sparse.stat().st_blocks * 512 < 1 << 20, "holes came as zeros on the disk"


def test_what_is_different_after_an_import_is_said(desk: Desk, elsewhere: Elsewhere, tmp_path: Path) -> None:
    snapshot = desk.freeze().snapshot
    export_snapshot(desk.store, snapshot, tmp_path / "one")
    got = elsewhere.take(tmp_path / "one")
    assert any(snapshot.workstation in note for note in got.notes)
    assert (got.snapshot.project, got.snapshot.facts["imported"]["project"]) == ("copy", "portraits")


def test_importing_twice_changes_nothing_the_second_time(
    desk: Desk, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    export_snapshot(desk.store, desk.freeze().snapshot, tmp_path / "one")
    first, second = elsewhere.take(tmp_path / "one"), elsewhere.take(tmp_path / "one")
    assert (second.new, second.snapshot, second.objects_stored) == (False, first.snapshot, 0)
    assert len(list_snapshots(elsewhere.snapshots)) == 1


def test_an_import_brings_back_objects_that_were_lost(
    desk: Desk, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    export_snapshot(desk.store, desk.freeze().snapshot, tmp_path / "one")
    snapshot = elsewhere.take(tmp_path / "one").snapshot
    next((elsewhere.store.root / "objects").glob("*/*")).unlink()
    assert not verify(elsewhere.store, snapshot).ok
    assert elsewhere.take(tmp_path / "one").objects_stored == 1
    assert verify(elsewhere.store, snapshot).ok


def test_an_imported_number_never_meets_one_that_is_there(desk: Desk, tmp_path: Path) -> None:
    one = desk.freeze().snapshot
    export_snapshot(desk.store, one, tmp_path / "one")
    moved = replace(one, workstation="/somewhere/else")
    export_snapshot(desk.store, moved, tmp_path / "two")
    project = desk.project.snapshots
    again = import_snapshot(desk.store, project, tmp_path / "one", project="portraits")
    other = import_snapshot(desk.store, project, tmp_path / "two", project="portraits")
    assert (again.new, other.new, other.snapshot.number) == (False, True, 2)


def test_an_export_is_a_tar_that_other_programs_read(rich: Desk, tmp_path: Path) -> None:
    snapshot = rich.freeze().snapshot
    made = export_snapshot(rich.store, snapshot, tmp_path / "one")
    with tarfile.open(fileobj=io.BytesIO(plain(tmp_path / "one"))) as tar:
        names = tar.getnames()
        document = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert (names[0], names[-1], len(names)) == ("manifest.json", "trailer.json", made.members)
    kinds = [name.partition("/")[0] for name in names[1:-1]]
    assert kinds == sorted(kinds, reverse=True), "records come before objects"
    assert len(set(names)) == len(names)
    assert document["snapshot"]["id"] == snapshot.id
    assert made.file_bytes == (tmp_path / "one").stat().st_size


def test_the_same_snapshot_gives_the_same_file_and_the_same_stream(rich: Desk, tmp_path: Path) -> None:
    snapshot = rich.freeze().snapshot
    for name in ("one", "two"):
        export_snapshot(rich.store, snapshot, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert b"".join(export_stream(rich.store, snapshot)) == (tmp_path / "one").read_bytes()


def test_without_the_base_another_home_must_have_it(rich: Desk, elsewhere: Elsewhere, tmp_path: Path) -> None:
    snapshot = rich.freeze().snapshot
    thin = export_snapshot(rich.store, snapshot, tmp_path / "thin", base=False)
    assert thin.left_out == ("base",)
    with pytest.raises(BaseNotIncluded, match="torch-2") as caught:
        elsewhere.take(tmp_path / "thin")
    assert caught.value.fingerprint == "f" * 16
    assert list_snapshots(elsewhere.snapshots) == []
    (rich.plugin / "later.py").write_text("later\n")
    export_snapshot(rich.store, snapshot, tmp_path / "full")
    later = rich.freeze().snapshot
    export_snapshot(rich.store, later, tmp_path / "thin", base=False)
    elsewhere.take(tmp_path / "full")
    got = elsewhere.take(tmp_path / "thin")
    assert (got.from_store, got.snapshot.id) == (("base",), later.id)
    assert verify(elsewhere.store, got.snapshot).ok


def test_a_file_that_is_no_export_is_never_replaced(desk: Desk, tmp_path: Path) -> None:
    snapshot = desk.freeze().snapshot
    (tmp_path / "letter").write_text("dear")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    for name in ("letter", "link", "folder"):
        with pytest.raises(TargetOccupied, match=name):
            export_snapshot(desk.store, snapshot, tmp_path / name)
    assert (tmp_path / "letter").read_text() == "dear"


def test_an_export_replaces_an_older_export(desk: Desk, elsewhere: Elsewhere, tmp_path: Path) -> None:
    export_snapshot(desk.store, desk.freeze().snapshot, tmp_path / "one")
    (desk.plugin / "new.py").write_text("new\n")
    later = desk.freeze().snapshot
    export_snapshot(desk.store, later, tmp_path / "one")
    assert elsewhere.take(tmp_path / "one").snapshot.id == later.id


def test_two_exports_to_one_file_do_not_mix(desk: Desk, tmp_path: Path) -> None:
    snapshot = desk.freeze().snapshot

    def second(_: TransferProgress) -> None:
        with pytest.raises(TransferInProgress):
            export_snapshot(desk.store, snapshot, tmp_path / "one")

    export_snapshot(desk.store, snapshot, tmp_path / "one", progress=second)


def test_an_export_tells_where_it_is(desk: Desk, elsewhere: Elsewhere, tmp_path: Path) -> None:
    told: list[TransferProgress] = []
    export_snapshot(desk.store, desk.freeze().snapshot, tmp_path / "one", progress=told.append)
    last = [one for one in told if one.phase == "objects"][-1]
    assert last.files_done == last.files_total > 0
    assert last.bytes_done == last.bytes_total > 0
    assert told[-1].phase == "publish"


def test_damage_in_the_store_is_not_passed_on(desk: Desk, tmp_path: Path) -> None:
    snapshot = desk.freeze().snapshot
    victim = next((desk.store.root / "objects").glob("*/*"))
    victim.chmod(0o644)
    victim.write_bytes(bytes(victim.stat().st_size))
    with pytest.raises(ObjectDamaged, match=victim.name):
        export_snapshot(desk.store, snapshot, tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_a_manifest_of_a_later_version_is_refused(
    desk: Desk, elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot: Snapshot = desk.freeze().snapshot
    monkeypatch.setattr("snapshotter.manifest.FORMAT", 2)
    export_snapshot(desk.store, snapshot, tmp_path / "one")
    monkeypatch.undo()
    with pytest.raises(ManifestTooNew):
        elsewhere.take(tmp_path / "one")
    assert list_snapshots(elsewhere.snapshots) == []


def test_gnu_tar_lists_an_export(desk: Desk, tmp_path: Path) -> None:
    export_snapshot(desk.store, desk.freeze().snapshot, tmp_path / "one")
    (tmp_path / "one.tar").write_bytes(plain(tmp_path / "one"))
    done = subprocess.run(["tar", "-tvf", tmp_path / "one.tar"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "stillframe/export-1" in done.stdout.splitlines()[0]
