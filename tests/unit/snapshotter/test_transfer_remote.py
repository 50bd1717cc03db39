"""Push and pull by way of a folder at a URL: only what is missing travels, the manifest last."""

from __future__ import annotations

import traceback
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from snapshotter.catalogue import list_snapshots
from snapshotter.components import BaseFacts
from snapshotter.errors import AmbiguousSnapshot, ManifestTooNew, ObjectDamaged, SnapshotNotFound
from snapshotter.objects import Store
from snapshotter.transfer import remote
from snapshotter.transfer.errors import (
    BaseNotIncluded,
    TransferError,
    UrlFailed,
    UrlIncomplete,
    UrlTooNew,
    UrlUnusable,
)
from snapshotter.transfer.landing import Imported
from snapshotter.transfer.remote import pull_snapshot, push_snapshot
from snapshotter.transfer.storage import Storage, without_secrets
from snapshotter.verify import verify
from tests.unit.snapshotter.conftest import Desk


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"file://{tmp_path}/bucket" if request.param == "file" else f"memory://{uuid4().hex}/bucket"


class Elsewhere:
    """Another home."""

    def __init__(self, root: Path) -> None:
        self.store, self.snapshots = Store(root / "store"), root / "projects" / "copy" / "snapshots"

    def pull(self, url: str, ref: str = "latest") -> Imported:
        return pull_snapshot(self.store, self.snapshots, url, ref, project="copy")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path / "elsewhere")


def at(url: str, below: str) -> tuple[fsspec.AbstractFileSystem, list[str]]:
    fs, root = fsspec.url_to_fs(url)
    return fs, sorted(fs.find(f"{root}/{below}"))


def test_a_pushed_snapshot_is_pulled_whole_with_its_id(desk: Desk, elsewhere: Elsewhere, url: str) -> None:
    (desk.plugin / "empty").mkdir()
    (desk.plugin / "link").symlink_to("__init__.py")
    (desk.plugin / "nothing").touch()
    snapshot = desk.freeze().snapshot
    pushed = push_snapshot(desk.store, snapshot, url)
    got = elsewhere.pull(url)
    assert (got.new, got.snapshot.id, got.snapshot.workstation) == (True, snapshot.id, snapshot.workstation)
    assert verify(elsewhere.store, got.snapshot).ok
    assert pushed.objects_there == 0


def test_only_what_is_missing_travels(desk: Desk, elsewhere: Elsewhere, url: str) -> None:
    push_snapshot(desk.store, desk.freeze().snapshot, url)
    elsewhere.pull(url)
    (desk.plugin / "new.py").write_text("new\n")
    later = desk.freeze().snapshot
    # The file, its folder and the component's root.
    assert push_snapshot(desk.store, later, url).objects_sent == 3
    again = push_snapshot(desk.store, later, url)
    assert (again.objects_sent, again.bytes_sent) == (0, 0)
    got = elsewhere.pull(url)
    assert (got.snapshot.id, got.objects_stored, got.bytes_stored) == (later.id, 1, 4)
    assert elsewhere.pull(url).new is False


def test_the_manifest_travels_last(desk: Desk, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    real = Storage.send

    def noted(self: Storage, path: str, pieces: object) -> None:
        sent.append(path)
        real(self, path, pieces)  # type: ignore[arg-type]

    monkeypatch.setattr(Storage, "send", noted)
    push_snapshot(desk.store, desk.freeze().snapshot, url)
    assert [path.partition("/")[0] for path in sent][-1] == "snapshots"
    assert sum(path.startswith("snapshots") for path in sent) == 1


def test_a_cut_off_object_is_sent_again(desk: Desk, elsewhere: Elsewhere, url: str) -> None:
    snapshot = desk.freeze().snapshot
    push_snapshot(desk.store, snapshot, url)
    fs, objects = at(url, "objects")
    fs.pipe_file(objects[0], fs.cat_file(objects[0])[:-1])
    with pytest.raises(UrlIncomplete, match="cut off"):
        elsewhere.pull(url)
    assert push_snapshot(desk.store, snapshot, url).objects_sent == 1
    assert verify(elsewhere.store, elsewhere.pull(url).snapshot).ok


@pytest.mark.parametrize("kind", ["objects", "trees"])
def test_what_is_damaged_at_the_url_is_named_and_nothing_is_published(
    desk: Desk, elsewhere: Elsewhere, url: str, kind: str
) -> None:
    push_snapshot(desk.store, desk.freeze().snapshot, url)
    fs, found = at(url, kind)
    fs.pipe_file(found[0], bytes(len(fs.cat_file(found[0]))))
    with pytest.raises(UrlIncomplete) as caught:
        elsewhere.pull(url)
    assert caught.value.name in found[0]
    fs.rm(found[0])
    with pytest.raises(UrlIncomplete, match="is missing"):
        elsewhere.pull(url)
    assert list_snapshots(elsewhere.snapshots) == []
    stored = list((elsewhere.store.root / "objects").glob("*/*"))
    assert stored == [], "what a failed pull brought stays"


def test_a_reference_finds_one_snapshot_or_says_why_not(desk: Desk, elsewhere: Elsewhere, url: str) -> None:
    with pytest.raises(SnapshotNotFound):
        elsewhere.pull(url)
    first = desk.freeze().snapshot
    push_snapshot(desk.store, first, url)
    (desk.plugin / "new.py").write_text("new\n")
    second = desk.freeze().snapshot
    push_snapshot(desk.store, second, url)
    for ref in ("1", first.folder_name, first.id, first.id[:8], "portraits/1"):
        assert elsewhere.pull(url, ref).snapshot.id == first.id
    assert elsewhere.pull(url, "latest").snapshot.id == second.id
    with pytest.raises(SnapshotNotFound, match="portraits/2"):
        elsewhere.pull(url, "7")
    fs, (_, two) = at(url, "snapshots")
    fs.makedirs(two.rpartition("/portraits/")[0] + "/other", exist_ok=True)
    fs.pipe_file(two.replace("portraits/2", "other/1"), fs.cat_file(two))
    with pytest.raises(AmbiguousSnapshot):
        elsewhere.pull(url, "1")


def test_the_base_may_stay_at_home_when_the_other_home_has_it(
    desk: Desk, elsewhere: Elsewhere, url: str
) -> None:
    base = desk.root.parent / "base"
    base.mkdir()
    (base / "module.py").write_text("x = 1\n")
    desk.base = BaseFacts("torch-2", base, "f" * 16)
    snapshot = desk.freeze().snapshot
    assert push_snapshot(desk.store, snapshot, url, base=False).left_out == ("base",)
    with pytest.raises(BaseNotIncluded, match="torch-2"):
        elsewhere.pull(url)
    push_snapshot(desk.store, snapshot, url)
    assert elsewhere.pull(url).new


def test_damage_in_the_store_is_not_passed_on(desk: Desk, url: str) -> None:
    snapshot = desk.freeze().snapshot
    victim = next((desk.store.root / "objects").glob("*/*"))
    victim.chmod(0o644)
    victim.write_bytes(bytes(victim.stat().st_size))
    with pytest.raises(ObjectDamaged, match=victim.name):
        push_snapshot(desk.store, snapshot, url)
    assert at(url, "snapshots")[1] == []


def test_a_later_layout_or_manifest_is_refused(
    desk: Desk, elsewhere: Elsewhere, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = desk.freeze().snapshot
    monkeypatch.setattr("snapshotter.manifest.FORMAT", 2)
    push_snapshot(desk.store, snapshot, url)
    monkeypatch.undo()
    with pytest.raises(ManifestTooNew):
        elsewhere.pull(url)
    monkeypatch.setattr(remote, "FORMAT", "url-0")
    with pytest.raises(UrlTooNew, match="url-1"):
        elsewhere.pull(url)


def test_a_store_is_never_taken_for_a_folder_to_push_into(desk: Desk) -> None:
    with pytest.raises(UrlTooNew):
        push_snapshot(desk.store, desk.freeze().snapshot, f"file://{desk.store.root}")


@pytest.mark.parametrize("bad", ["bucket", "/a/b", "nosuch://x/y", "simplecache::memory://x", "://x"])
def test_a_url_that_cannot_be_opened_is_refused(desk: Desk, bad: str) -> None:
    with pytest.raises(UrlUnusable):
        push_snapshot(desk.store, desk.freeze().snapshot, bad)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://ana:Hush1@host:9/bucket/a", "s3://host:9/bucket/a"),
        ("s3://ana:Hu/sh1@host/bucket", "s3://host/bucket"),
        ("s3://ana:Hu?sh1@host/bucket", "s3://..."),
        ("s3://ana:Hu#sh1@host/bucket", "s3://..."),
        ("https://host/a?sig=Hush1&at=a@b", "https://..."),
        ("https://host/a?sig=Hush1", "https://host/a"),
        ("https://host/a#Hush1", "https://host/a"),
        ("file:///a/b", "file:///a/b"),
        ("x::s3://ana:Hush1@host", "the URL"),
    ],
)
def test_people_and_logs_see_a_url_without_its_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    "url", ["ftp://ana:Hush1@127.0.0.1:9/x", "memory://ana:Hush1@x/y", "odd://a:Hush1@b"]
)
def test_no_error_says_a_password_not_even_its_traceback(
    desk: Desk, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    def refuse(*_: object, **__: object) -> None:
        raise OSError(f"could not reach {url}; secret_key=Hush1")

    monkeypatch.setattr(MemoryFileSystem, "open", refuse)
    with pytest.raises(TransferError) as caught:
        push_snapshot(desk.store, desk.freeze().snapshot, url)
    assert isinstance(caught.value, UrlFailed | UrlUnusable)
    assert "Hush1" not in "".join(traceback.format_exception(caught.value))
    assert "Hush1" not in repr(vars(caught.value))
