"""Walk a frozen component, directory record by directory record."""

from __future__ import annotations

from collections.abc import Iterator

from snapshotter.errors import ObjectDamaged, ObjectMissing, TreeMalformed
from snapshotter.objects import Store
from snapshotter.tree import Entry, Kind

BrokenRecord = ObjectMissing | ObjectDamaged | TreeMalformed


def joined(directory: bytes, name: bytes) -> bytes:
    """The path of `name` in `directory`, both relative to the component."""
    return directory + b"/" + name if directory else name


def below(store: Store, entry: Entry, path: bytes = b"") -> Iterator[tuple[bytes, Entry]]:
    """Everything in a frozen directory with its path, each directory before what is in it.

    Raises ObjectMissing, ObjectDamaged, TreeMalformed.
    """
    waiting = [(path, entry)]
    while waiting:
        directory, parent = waiting.pop()
        for child in store.tree(parent.value):
            inside = joined(directory, child.name)
            yield inside, child
            if child.kind is Kind.DIRECTORY:
                waiting.append((inside, child))


def below_as_far_as_possible(
    store: Store, tree: str
) -> Iterator[tuple[bytes, bytes, Entry | None, BrokenRecord | None]]:
    """Everything in a component as (path, digest of the record it stands in, entry, problem).

    A record that cannot be had comes with its problem instead of an entry; the walk goes on beside it.
    """
    waiting = [(b"", bytes.fromhex(tree))]
    while waiting:
        directory, digest = waiting.pop()
        try:
            children = store.tree(digest)
        except (ObjectMissing, ObjectDamaged, TreeMalformed) as problem:
            yield directory, digest, None, problem
            continue
        for child in children:
            inside = joined(directory, child.name) if child.name else b""
            yield inside, digest, child, None
            if child.kind is Kind.DIRECTORY:
                waiting.append((inside, child.value))
