"""Give a frozen component back: one read-only tree per component tree digest, made of hard links to objects.

Every snapshot and every instance that has the same component shares it, so an unchanged component is never
linked anew. A view must be mounted read-only, or as the lower layer of an overlay: root ignores the modes of
files.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from snapshotter.copying import clone
from snapshotter.crash import crash_point
from snapshotter.errors import ObjectMissing
from snapshotter.manifest import Component, Snapshot
from snapshotter.objects import ObjectKey, Store
from snapshotter.session import session
from snapshotter.tree import Entry, Kind


def view_path(store: Store, component: Component) -> Path:
    """Where the component's view lies, whether it was made or not."""
    return store.root / "views" / component.tree


def view_of(store: Store, snapshot: Snapshot) -> dict[str, Path]:
    """The view of every component of a snapshot by component name. Raises as `materialise`."""
    return {component.name: materialise(store, component) for component in snapshot.components}


def materialise(store: Store, component: Component) -> Path:
    """The component's tree: a folder, or a file for a component that is one. Made whole when it is not there
    yet.

    Files have mode 0444 or 0555; directory modes, mtimes, links and names are as frozen.
    Raises ObjectMissing, ObjectDamaged, TreeMalformed, OSError (disk full); then nothing is left behind.
    """
    view = view_path(store, component)
    if os.path.lexists(view):
        return view
    with session(store) as stay:
        _restore(store, store.root_entry(component.tree), os.fsencode(stay.partial_view))
        crash_point("view-linked")
        store.sync()
        _take_name(stay.partial_view, view)
    crash_point("view-renamed")
    return view


def _take_name(partial: Path, view: Path) -> None:
    try:
        partial.rename(view)
    except OSError as error:
        # Somebody else made the same view meanwhile; ours goes.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not view.is_dir():
            raise


def _restore(store: Store, entry: Entry, path: bytes) -> None:
    """Make one entry at `path`; directories from the inside out, so that their mtimes stay."""
    if entry.kind is Kind.FILE:
        _link(store, entry, path)
    elif entry.kind is Kind.SYMLINK:
        os.symlink(entry.value, path)  # noqa: PTH211 - bytes paths, here and below
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)
    else:
        os.mkdir(path, 0o700)  # noqa: PTH102
        for child in store.tree(entry.value):
            _restore(store, child, path + b"/" + child.name)
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))
        os.chmod(path, entry.mode)  # noqa: PTH101


def _link(store: Store, entry: Entry, path: bytes) -> None:
    key = ObjectKey.of(entry)
    try:
        os.link(store.object_path(key), path)
    except FileNotFoundError as error:
        raise ObjectMissing(key.name) from error
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        _copy(store, key, path)


def _copy(store: Store, key: ObjectKey, path: bytes) -> None:
    """A file of its own: ext4 allows 65,000 names for one, and all empty `__init__.py` may be the same."""
    with store.get(key) as source, open(path, "xb") as target:
        if not clone(source.fileno(), target.fileno()):
            shutil.copyfileobj(source, target)
        target.flush()
        os.fchmod(target.fileno(), key.mode)
        os.utime(target.fileno(), ns=(key.mtime_ns, key.mtime_ns))
