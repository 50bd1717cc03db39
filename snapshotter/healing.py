"""Give damaged objects back from what still has their bytes: the store itself, or a workstation.

Everything goes by digest: a file that was moved, or lies in another project, heals as well as the one that
was frozen. What nobody has is left named, with every snapshot that uses it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from snapshotter import copying
from snapshotter.catalogue import list_snapshots
from snapshotter.components import components_of
from snapshotter.manifest import Component, Snapshot
from snapshotter.materialise import materialise, view_path
from snapshotter.objects import ObjectKey, Store, Temporary
from snapshotter.rules import ComponentSource, exclusion
from snapshotter.session import session
from snapshotter.tree import Entry, Kind, digest_of, pack
from snapshotter.verify import VerifyReport, verify_all
from snapshotter.walk import below_as_far_as_possible, joined
from workstation.layout import Project

ROUNDS = 64  # A healed record shows what lies below it: as many rounds as folders lie in one another.


@dataclass(frozen=True)
class Healed:
    """What was damaged `before`, the names of what was given back, and what is still damaged `after`.

    `used_by` names, for each object or record that is still damaged, every snapshot of every project that
    needs it ("portraits/7-3f9c0a11d2e4").
    """

    before: VerifyReport
    healed: tuple[str, ...]
    views_remade: int
    after: VerifyReport
    used_by: Mapping[str, tuple[str, ...]]


def heal(store: Store, snapshots: Sequence[Snapshot], projects: Sequence[Project]) -> Healed:
    """Verify these snapshots and give back what the workstations of `projects` still have.

    Damaged bytes are in STORE/quarantine afterwards. Raises OSError, ForkFailed.
    """
    views = _views(store, snapshots)
    before = report = verify_all(store, snapshots)
    healed: list[str] = []
    for _ in range(ROUNDS):
        names = {damage.object for damage in report.damages if not damage.object.startswith("views/")}
        if not names:
            break
        given = _give_back(store, snapshots, projects, names)
        if not given:
            break
        healed += given
        report = verify_all(store, snapshots)
    after = _without_views(report)
    remade = _remake(store, views, after) if before.damages else 0
    left = {damage.object for damage in after.damages}
    return Healed(before, tuple(sorted(healed)), remade, after, used_by(store, projects, left))


def used_by(store: Store, projects: Sequence[Project], names: set[str]) -> dict[str, tuple[str, ...]]:
    """Every snapshot of these projects that leads to each of these objects or records."""
    found: dict[str, list[str]] = {name: [] for name in sorted(names)}
    trees: dict[str, set[str]] = {}
    for project in projects if names else ():
        for snapshot in list_snapshots(project.snapshots):
            for part in snapshot.components:
                if part.tree not in trees:
                    trees[part.tree] = _names_in(store, part.tree) & names
            needed = set().union(*(trees[part.tree] for part in snapshot.components))
            for name in needed:
                found[name].append(f"{project.name}/{snapshot.folder_name}")
    return {name: tuple(snapshots) for name, snapshots in found.items()}


def _names_in(store: Store, tree: str) -> set[str]:
    names = set()
    for _, digest, entry, _ in below_as_far_as_possible(store, tree):
        names.add(digest.hex())
        if entry is not None and entry.kind is Kind.FILE:
            names.add(ObjectKey.of(entry).name)
    return names


def _views(store: Store, snapshots: Sequence[Snapshot]) -> list[Component]:
    every = {part.tree: part for snapshot in snapshots for part in snapshot.components}
    return [part for part in every.values() if os.path.lexists(view_path(store, part))]


def _without_views(report: VerifyReport) -> VerifyReport:
    """A view that was set aside is not there any more to be wrong."""
    kept = tuple(damage for damage in report.damages if not damage.object.startswith("views/"))
    return replace(report, damages=kept)


def _remake(store: Store, views: Iterable[Component], report: VerifyReport) -> int:
    """Make the views anew that were set aside: an instance that starts again mounts them."""
    broken = {damage.component for damage in report.damages}
    remade = 0
    for part in views:
        if part.name not in broken and not os.path.lexists(view_path(store, part)):
            materialise(store, part)
            remade += 1
    return remade


def _give_back(
    store: Store, snapshots: Sequence[Snapshot], projects: Sequence[Project], names: set[str]
) -> list[str]:
    wanted = _wanted(store, snapshots, names)
    places = _Places(projects)
    given: list[str] = []
    with session(store) as stay:
        for number, (name, one) in enumerate(sorted(wanted.items())):
            scratch = stay.scratch / f"healed-{number}"
            if one.key is not None:
                done = any(_copy(store, one, path, scratch) for path in _candidates(store, one, places))
            else:
                done = _repack(store, one, places, stay.scratch)
            given += [name] if done else []
        store.sync()
    return given


@dataclass
class _Wanted:
    """Something damaged and where it was used. `key` and `size` of an object; a record has a digest only."""

    digest: bytes
    key: ObjectKey | None = None
    size: int = 0
    uses: list[tuple[Component, bytes]] = field(default_factory=list)


def _wanted(store: Store, snapshots: Sequence[Snapshot], names: set[str]) -> dict[str, _Wanted]:
    found: dict[str, _Wanted] = {}
    every = {part.tree: part for snapshot in snapshots for part in snapshot.components}
    for part in every.values():
        for path, digest, entry, problem in below_as_far_as_possible(store, part.tree):
            if problem is not None:
                found.setdefault(digest.hex(), _Wanted(digest)).uses.append((part, path))
            elif entry is not None and entry.kind is Kind.FILE and ObjectKey.of(entry).name in names:
                key = ObjectKey.of(entry)
                one = found.setdefault(key.name, _Wanted(key.digest, key, entry.size))
                one.uses.append((part, path))
    return found


class _Places:
    """Where components lie in the workstations, and their files by size, listed when first asked for."""

    def __init__(self, projects: Sequence[Project]) -> None:
        self._sources = [source for project in projects for source in components_of(project, None, {})]
        self._by_size: dict[int, list[bytes]] | None = None

    def of(self, part: Component) -> Iterator[ComponentSource]:
        """Every place at which this component may lie now."""
        if part.place:
            yield ComponentSource(part.name, part.kind, Path(part.place), "", part.place)
        yield from (source for source in self._sources if not part.place and source.path == part.path)

    def of_size(self, size: int) -> Sequence[bytes]:
        """All files of the workstations that have this size."""
        if self._by_size is None:
            self._by_size = {}
            for source in self._sources:
                for path, facts in _files(os.fsencode(source.root)):
                    self._by_size.setdefault(facts.st_size, []).append(path)
        return self._by_size.get(size, [])


def _files(root: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    paths = [root]
    for folder, _, names in os.walk(root):
        paths += [folder + b"/" + name for name in names]
    for path in paths:
        try:
            facts = os.lstat(path)
        except OSError:
            continue  # Gone since it was listed.
        if stat.S_ISREG(facts.st_mode):
            yield path, facts


def _candidates(store: Store, one: _Wanted, places: _Places) -> Iterator[bytes]:
    """Where the bytes may be: nearest first."""
    folder = store.root / "objects" / one.digest.hex()[:2]
    yield from (os.fsencode(path) for path in folder.glob(f"{one.digest.hex()}.*"))
    for part, path in one.uses:
        for source in places.of(part):
            yield os.fsencode(source.root) + (b"/" + path if path else b"")
    yield from places.of_size(one.size)


def _copy(store: Store, one: _Wanted, path: bytes, scratch: Path) -> bool:
    """Store the file at `path` under the wanted key when it has the wanted bytes."""
    assert one.key is not None
    try:
        fd = copying.open_regular(path)
    except (OSError, copying.Changed, copying.Unreadable):
        return False
    try:
        facts = os.fstat(fd)
        if facts.st_size != one.size:
            return False
        with Temporary(os.fsencode(scratch)) as temporary:
            if copying.copy_content(fd, facts, temporary.fd) != one.digest:
                return False
            os.fchmod(temporary.fd, one.key.mode)
            os.utime(temporary.fd, ns=(one.key.mtime_ns, one.key.mtime_ns))
            temporary.rename(store.object_path(one.key))
        return True
    except copying.Changed:
        return False
    finally:
        os.close(fd)


def _repack(store: Store, one: _Wanted, places: _Places, scratch: Path) -> bool:
    """Pack the record again from the folder that it described, when that is still what it was."""
    for part, path in one.uses:
        for source in places.of(part):
            packed = _Packed(exclusion(source.exclude))
            try:
                packed.take(os.fsencode(source.root), path)
            except (OSError, copying.Changed, copying.Unreadable):
                continue
            if one.digest in packed.records:
                store.put_tree(packed.records[one.digest], scratch)
                return True
    return False


class _Packed:
    """Directory records by digest, as a freeze would pack what lies on the disk now. Nothing is stored."""

    def __init__(self, left_out: re.Pattern[bytes] | None) -> None:
        self._left_out = left_out
        self.records: dict[bytes, bytes] = {}

    def take(self, root: bytes, path: bytes) -> None:
        """Pack what lies at `path` in the component at `root`, and for the component itself what wraps it.

        Raises OSError, Changed, Unreadable.
        """
        entry = self._entry(root + (b"/" + path if path else b""), b"", path)
        if not path:
            self._keep(pack([entry]))

    def _entry(self, on_disk: bytes, name: bytes, inside: bytes) -> Entry:
        facts = os.lstat(on_disk)
        mode, mtime_ns = stat.S_IMODE(facts.st_mode), facts.st_mtime_ns
        if stat.S_ISLNK(facts.st_mode):
            target = os.readlink(on_disk)  # noqa: PTH115 - bytes paths, here and below
            return Entry(name, Kind.SYMLINK, 0o777, len(target), mtime_ns, target)
        if stat.S_ISDIR(facts.st_mode):
            names = [one for one in os.listdir(on_disk) if not self._is_left_out(joined(inside, one))]  # noqa: PTH208
            children = [self._entry(on_disk + b"/" + one, one, joined(inside, one)) for one in names]
            return Entry(name, Kind.DIRECTORY, mode, 0, mtime_ns, self._keep(pack(children)))
        fd = copying.open_regular(on_disk)
        try:
            digest = copying.hash_content(fd, os.fstat(fd))
        finally:
            os.close(fd)
        return Entry(name, Kind.FILE, mode, facts.st_size, mtime_ns, digest)

    def _is_left_out(self, inside: bytes) -> bool:
        return self._left_out is not None and self._left_out.fullmatch(inside) is not None

    def _keep(self, record: bytes) -> bytes:
        digest = digest_of(record)
        self.records[digest] = record
        return digest
