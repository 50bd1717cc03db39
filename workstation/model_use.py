"""Which saved workflows name which models, and what each kind of models takes up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from workstation.layout import Home
from workstation.models import KINDS, ModelFile
from workstation.project import list_projects

MAX_WORKFLOW_BYTES = 32 * 1024 * 1024  # a larger file is no workflow that people saved
_EMBEDDING = re.compile(r"\bembedding:([^\s,():]+)")


@dataclass(frozen=True)
class KindUse:
    """One kind: what it is for, and how many files with how many bytes lie in its folder."""

    kind: str
    purpose: str
    models: int
    size_bytes: int


def kinds_in_use(models: Iterable[ModelFile]) -> list[KindUse]:
    """All known kinds, and the folders that plugins added, with what lies in them."""
    counts: dict[str, tuple[int, int]] = dict.fromkeys(KINDS, (0, 0))
    for model in models:
        number, size = counts.get(model.kind, (0, 0))
        counts[model.kind] = (number + 1, size + model.size_bytes)
    return [KindUse(kind, KINDS.get(kind, "a plugin's own kind"), *counts[kind]) for kind in sorted(counts)]


def used_by(home: Home, models: Iterable[ModelFile]) -> dict[tuple[str, str], list[str]]:
    """For each model (kind, name), the workflows saved in workstations that name it, as `project: file`.

    A workflow names a model by a text that equals its name, so two kinds with one name both count. Files
    that are no JSON are no workflows. Raises OSError.
    """
    wanted: dict[str, list[tuple[str, str]]] = {}
    for model in models:
        wanted.setdefault(model.name, []).append((model.kind, model.name))
        if model.kind == "embeddings":
            stem = PurePosixPath(model.name).with_suffix("").as_posix()
            wanted.setdefault(stem, []).append((model.kind, model.name))
    found: dict[tuple[str, str], list[str]] = {}
    for shown, texts in _saved_workflows(home):
        for text in sorted(texts & wanted.keys()):
            for model_name in wanted[text]:
                found.setdefault(model_name, []).append(shown)
    return found


def _saved_workflows(home: Home) -> Iterator[tuple[str, set[str]]]:
    for name in list_projects(home):
        folder = home.project(name).workstation.workflows
        for file in sorted(folder.rglob("*.json")):
            texts = _texts_of(file)
            if texts:
                yield f"{name}: {file.relative_to(folder).as_posix()}", texts


def _texts_of(file: Path) -> set[str]:
    if file.stat().st_size > MAX_WORKFLOW_BYTES:
        return set()
    try:
        return set(_texts(json.loads(file.read_bytes())))
    except (ValueError, RecursionError):
        return set()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        yield from _EMBEDDING.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
