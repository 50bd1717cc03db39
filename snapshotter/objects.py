"""The store: objects and directory records by content, shared by all snapshots.

    STORE/
      format                    "1"
      lock                      held shared by whoever adds or links, exclusively by whoever removes
      generation                changes whenever something was removed: scans made before are not trusted
      objects/AB/DIGEST.r.MTIME one file's content (AB: first two hex letters); `x` instead of `r` when
      executable; MTIME in ns trees/AB/DIGEST           one directory record (see tree.py) views/TREE
      a component given back: hard links to objects scan/                     what the last freeze saw; may be
      deleted at any time tmp/                      unfinished objects; one locked folder a freeze quarantine/
      damaged objects, kept for a look

Objects have mode 0444 or 0555 and their source's mtime, because `.pyc` files are valid for one mtime only.
They are never hard links of the working files: an in-place write would reach into a snapshot.
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from blake3 import blake3

from snapshotter import copying
from snapshotter.crash import crash_point
from snapshotter.durable import replace_file, sync_file_system
from snapshotter.errors import ObjectDamaged, ObjectMissing, StoreTooNew
from snapshotter.tree import Entry, digest_of, unpack
from snapshotter.written_behind import WrittenBehind

FORMAT = 1
FOLDERS = ("objects", "trees", "views", "scan", "tmp", "quarantine")
SMALL_BYTES = copying.WHOLE_BYTES  # Up to here a file is hashed first and written only when it is new.
CLONED_FROM_BYTES = 64 << 10  # Where blocks can be shared, larger files are cloned, and the clone is hashed.
_LOST = frozenset(
    {errno.EIO, errno.EUCLEAN, errno.EBADMSG}
)  # So a disk or file system says that it lost bytes.


class ObjectKey(NamedTuple):
    """What names an object: content, whether it is executable, and mtime."""

    digest: bytes
    executable: bool
    mtime_ns: int

    @classmethod
    def of(cls, entry: Entry) -> ObjectKey:
        """The key of the object that holds a file entry's content."""
        return cls(entry.value, entry.executable, entry.mtime_ns)

    @property
    def name(self) -> str:
        return f"{self.digest.hex()}.{'x' if self.executable else 'r'}.{self.mtime_ns}"

    @property
    def mode(self) -> int:
        return 0o555 if self.executable else 0o444


class Put(NamedTuple):
    """A file as it was when it was stored.

    `stored_bytes` is 0 when the store had it already; `name` is the new object's.
    """

    digest: bytes
    size: int
    mode: int
    mtime_ns: int
    racy: bool
    stored_bytes: int
    name: str


class _Way(NamedTuple):
    """How an object comes into the store: by way of the folder `scratch`, and out of memory again."""

    scratch: Path
    behind: WrittenBehind | None

    def written(self, fd: int, size: int) -> None:
        if self.behind is not None:
            self.behind.add(fd, size)


@dataclass
class Store:
    """The objects under `root`.

    Making one creates its folders; raises StoreTooNew for a store of a later version.
    """

    root: Path
    rule: copying.RacyRule = field(default_factory=copying.RacyRule)

    def __post_init__(self) -> None:
        self._no_clone_from: set[int] = set()
        self._count = 0
        self._base = os.fsencode(self.root)
        if not self._known():
            self._create()

    def _known(self) -> bool:
        try:
            found = (self.root / "format").read_text().strip()
        except FileNotFoundError:
            return False
        if found != str(FORMAT):
            raise StoreTooNew(found, FORMAT)
        return True

    def _create(self) -> None:
        for name in FOLDERS:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for name in ("objects", "trees"):
            for number in range(256):
                (self.root / name / f"{number:02x}").mkdir(exist_ok=True)
        replace_file(self.root / "format", f"{FORMAT}\n".encode(), durable=True)

    def object_path(self, key: ObjectKey) -> bytes:
        """Where the object lies, whether it exists or not; bytes, as the scanned names are."""
        name = key.name
        return b"%s/objects/%s/%s" % (self._base, name[:2].encode(), name.encode())

    def tree_path(self, digest: bytes) -> bytes:
        """Where a directory record lies, whether it exists or not."""
        name = digest.hex().encode()
        return b"%s/trees/%s/%s" % (self._base, name[:2], name)

    def has(self, key: ObjectKey, size: int) -> bool:
        """Whether the object is there at its full length (a power cut may leave a shorter one)."""
        try:
            return os.stat(self.object_path(key)).st_size == size  # noqa: PTH116 - bytes paths
        except FileNotFoundError:
            return False

    def get(self, key: ObjectKey) -> BinaryIO:
        """The object, open for reading. Raises ObjectMissing."""
        try:
            return open(self.object_path(key), "rb")
        except FileNotFoundError as error:
            raise ObjectMissing(key.name) from error

    def put(
        self,
        path: bytes,
        scratch: Path,
        expected: bytes | None = None,
        behind: WrittenBehind | None = None,
    ) -> Put:
        """Store the file at `path` by way of the folder `scratch`. Not durable until `sync`.

        `expected` is the digest that the file probably has: then it is hashed before anything is copied.
        `behind` is told of each new object.
        Raises FileKeepsChanging and OSError (the file vanished, cannot be read, the disk is full).
        """
        return copying.read_steadily(
            path, self.rule, lambda fd, facts: self._put(fd, facts, _Way(scratch, behind), expected)
        )

    def _put(self, fd: int, facts: os.stat_result, way: _Way, expected: bytes | None) -> Put:
        if facts.st_size <= (SMALL_BYTES if facts.st_dev in self._no_clone_from else CLONED_FROM_BYTES):
            data = copying.read_whole(fd, facts.st_size)
            key = self._key(blake3(data).digest(), facts)
            stored = 0 if self.has(key, facts.st_size) else self._add(fd, facts, way, key, data)
            return self._result(key, facts, stored)
        if expected is not None:
            key = self._key(copying.hash_content(fd, facts), facts)
            if self.has(key, facts.st_size):
                return self._result(key, facts, 0)
        key = self._add_large(fd, facts, way)
        return self._result(key, facts, facts.st_size)

    def _key(self, digest: bytes, facts: os.stat_result) -> ObjectKey:
        return ObjectKey(digest, bool(facts.st_mode & 0o111), facts.st_mtime_ns)

    def _result(self, key: ObjectKey, facts: os.stat_result, stored: int) -> Put:
        racy, mode = self.rule.is_racy(facts.st_ctime_ns), facts.st_mode & 0o7777
        return Put(key.digest, facts.st_size, mode, key.mtime_ns, racy, stored, key.name if stored else "")

    def _add(self, fd: int, facts: os.stat_result, way: _Way, key: ObjectKey, data: bytes) -> int:
        with self._temporary(way.scratch) as temporary:
            copying.write_all(temporary.fd, data)  # What was hashed: no clone could be that surely.
            self._finish(temporary, fd, facts, key)
            way.written(temporary.fd, facts.st_size)
        return facts.st_size or 1  # An empty object is new too.

    def _add_large(self, fd: int, facts: os.stat_result, way: _Way) -> ObjectKey:
        with self._temporary(way.scratch) as temporary:
            if self._clone(fd, facts, temporary.fd):
                digest = copying.hash_content(temporary.fd, facts)
            else:
                digest = copying.copy_content(fd, facts, temporary.fd)
                way.written(temporary.fd, facts.st_size)
            key = self._key(digest, facts)
            self._finish(temporary, fd, facts, key)
        return key

    def _clone(self, fd: int, facts: os.stat_result, target: int) -> bool:
        if facts.st_dev in self._no_clone_from or not facts.st_size:
            return False
        done = copying.clone(fd, target)
        if not done:
            self._no_clone_from.add(facts.st_dev)
        return done

    def _finish(self, temporary: Temporary, fd: int, facts: os.stat_result, key: ObjectKey) -> None:
        if copying.identity(facts) != copying.identity(os.fstat(fd)):
            raise copying.Changed  # Before the rename, so that no torn object ever has a name.
        os.fchmod(temporary.fd, key.mode)
        os.utime(temporary.fd, ns=(key.mtime_ns, key.mtime_ns))
        temporary.rename(self.object_path(key))

    def _temporary(self, scratch: Path) -> Temporary:
        self._count += 1
        return Temporary(os.fsencode(scratch) + b"/%d-%d" % (os.getpid(), self._count))

    def put_tree(self, record: bytes, scratch: Path) -> bytes:
        """Store a directory record and return its digest. Not durable until `sync`."""
        digest = digest_of(record)
        path = self.tree_path(digest)
        with suppress(FileNotFoundError):
            if os.stat(path).st_size == len(record):  # noqa: PTH116 - bytes paths
                return digest
        with self._temporary(scratch) as temporary:
            copying.write_all(temporary.fd, record)
            os.fchmod(temporary.fd, 0o444)
            temporary.rename(path)
        return digest

    def tree(self, digest: bytes) -> tuple[Entry, ...]:
        """The entries of a directory record. Raises ObjectMissing, ObjectDamaged or TreeMalformed."""
        try:
            with open(self.tree_path(digest), "rb") as file:
                record = file.read()
        except FileNotFoundError as error:
            raise ObjectMissing(digest.hex()) from error
        except OSError as error:
            if error.errno not in _LOST:
                raise
            raise ObjectDamaged(digest.hex(), f"cannot be read: {error.strerror}") from error
        if digest_of(record) != digest:
            raise ObjectDamaged(digest.hex(), "its bytes have another digest")
        return unpack(record)

    def root_entry(self, tree: str) -> Entry:
        """The component itself, from its tree digest in hex. Raises as `tree` does."""
        return self.tree(bytes.fromhex(tree))[0]

    def verify(self, key: ObjectKey, size: int) -> str | None:
        """What is wrong with an object ("missing" or a reason), or None. Reads all of it."""
        try:
            fd = os.open(self.object_path(key), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return "missing"
        try:
            return self._wrong(fd, key, size)
        except OSError as error:
            if error.errno not in _LOST:
                raise
            return f"cannot be read: {error.strerror}"
        finally:
            os.close(fd)

    def _wrong(self, fd: int, key: ObjectKey, size: int) -> str | None:
        facts = os.fstat(fd)
        if facts.st_size != size:
            return f"has {facts.st_size} bytes instead of {size}"
        if facts.st_mtime_ns != key.mtime_ns:
            return "has another mtime"
        try:
            whole = copying.hash_content(fd, facts) == key.digest
        except copying.Changed:
            return "was shortened while it was read"
        return None if whole else "its bytes have another digest"

    def generation(self) -> bytes:
        """16 bytes that change whenever something was removed from the store."""
        path = self.root / "generation"
        if not path.exists():
            self.forget_scans()
        return path.read_bytes()

    def forget_scans(self) -> None:
        """Make every freeze from now on look at each file again, because something was removed."""
        replace_file(self.root / "generation", secrets.token_bytes(16), durable=True)

    def sync(self) -> None:
        """Return when all that was stored is on the disk."""
        sync_file_system(self.root)


class Temporary:
    """An unfinished object; removed on leaving unless it was renamed."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._renamed = False

    def __enter__(self) -> Temporary:
        return self

    def rename(self, to: bytes) -> None:
        """Give it its name in the store."""
        crash_point("object-written")
        os.rename(self.path, to)  # noqa: PTH104 - bytes paths
        self._renamed = True
        crash_point("object-renamed")

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        if not self._renamed:
            os.unlink(self.path)  # noqa: PTH108 - bytes paths
