"""Which node classes a plugin declares, read from its sources. Nothing of it is imported or run."""

from __future__ import annotations

import ast
import os
import time
from collections.abc import Iterator
from pathlib import Path

from workstation.stamps import Remembered

MAX_SOURCE_BYTES = 2 * 1024 * 1024  # a larger source is not read for its node names
MAX_SOURCES = 400  # plugins that carry a whole library in their folder
_RACY_NS = 20_000_000  # a file changed within two ticks of the clock may change again under the same stamp
_MAPPING = "NODE_CLASS_MAPPINGS"
_SIGNS = (_MAPPING.encode(), b"node_id")
_NO_SOURCES = frozenset({"__pycache__", "node_modules", "site-packages", "tests", "web", "js", "venv"})


def declared_nodes(path: Path, known: Remembered | None = None) -> tuple[str, ...]:
    """Names that stand literally in the plugin's sources; it may add others as it runs.

    They are keys of NODE_CLASS_MAPPINGS, and the node ids of schemas. Raises OSError, SyntaxError,
    ValueError.
    """
    names: set[str] = set()
    for source in plugin_sources(path):
        names.update(_names_in(source, known, imported=source.parent == path or source == path))
    return tuple(sorted(names))


def plugin_sources(path: Path) -> Iterator[Path]:
    """The Python sources of a plugin, a folder or one file; tests and web folders are none of them."""
    if not path.is_dir():
        yield path
        return
    count = 0
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _NO_SOURCES)
        for name in sorted(files):
            if name.endswith(".py"):
                yield Path(folder) / name
                count += 1
                if count == MAX_SOURCES:
                    return


def _names_in(source: Path, known: Remembered | None, *, imported: bool) -> list[str]:
    """`imported`: it lies where the engine looks, so an error in it is a fact to be told."""
    facts = source.stat()
    remembered = known.recall(source, facts) if known else None
    if remembered is not None:
        return list(remembered)
    names: list[str] = []
    if facts.st_size <= MAX_SOURCE_BYTES:
        data = source.read_bytes()
        if imported or any(
            sign in data for sign in _SIGNS
        ):  # parsing costs a hundred times as much as looking
            names = sorted(set(_names(ast.parse(data, filename=source.name))))
    if known and time.time_ns() - facts.st_ctime_ns > _RACY_NS:
        known.keep(source, facts, names)
    return names


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            yield from _assigned(node)
        elif isinstance(node, ast.Call):
            yield from _called(node)


def _assigned(node: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if _is_mapping(target):
            yield from _keys(node.value)
        elif isinstance(target, ast.Subscript) and _is_mapping(target.value):
            yield from _text(target.slice)


def _called(node: ast.Call) -> Iterator[str]:
    if not isinstance(node.func, ast.Attribute):
        return
    if node.func.attr == "update" and _is_mapping(node.func.value) and node.args:
        yield from _keys(node.args[0])
    elif node.func.attr == "Schema":
        for keyword in node.keywords:
            if keyword.arg == "node_id":
                yield from _text(keyword.value)


def _is_mapping(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == _MAPPING


def _keys(node: ast.expr | None) -> Iterator[str]:
    for key in node.keys if isinstance(node, ast.Dict) else ():
        yield from _text(key)


def _text(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
