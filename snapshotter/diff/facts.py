"""What the facts of two manifests say differently: plugins, packages, engine, base, cache, models. Pure.

A fact that one side does not hold (a snapshot of an older version) is not compared: it would look like a
change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from snapshotter.diff.changes import (
    BaseChange,
    CacheChange,
    Change,
    ComponentChange,
    EngineChange,
    Layer,
    ModelChange,
    PackageChange,
    PluginChange,
)
from snapshotter.manifest import Snapshot

T = TypeVar("T")
K = TypeVar("K")

_LAYERS: tuple[tuple[Layer, str], ...] = (("workstation", "dependencies"), ("base", "base"))
_GIT = ".git"


def plugin_change(old: Snapshot, new: Snapshot, part: ComponentChange) -> PluginChange:
    """What became of one plugin."""
    before, after = facts_of(old, part.old_name or part.name), facts_of(new, part.name)
    return PluginChange(
        name=part.name,
        change=part.change,
        old_commit=before.get("commit"),
        new_commit=after.get("commit"),
        local_edits=_edited(after),
        old_name=part.old_name,
        old_version=before.get("version"),
        new_version=after.get("version"),
        old_branch=before.get("branch"),
        new_branch=after.get("branch"),
        had_local_edits=_edited(before),
        edited_files=tuple(after.get("edited_files", ())),
        files=tuple(file.path for file in part.files if file.path.split("/")[0] != _GIT and file.path),
    )


def facts_of(snapshot: Snapshot, name: str) -> Mapping[str, Any]:
    """The facts of the component of that name; empty without it."""
    component = snapshot.component(name)
    return component.facts if component is not None else {}


def _edited(facts: Mapping[str, Any]) -> bool | None:
    edits = facts.get("local_edits")
    return None if edits is None else bool(edits)


def package_changes(old: Snapshot, new: Snapshot) -> Iterator[PackageChange]:
    """Packages that differ: those of the workstation's own environment, then those of its base."""
    for layer, kind in _LAYERS:
        before, after = _packages(old, kind), _packages(new, kind)
        for name, was, now in _differing(before, after):
            yield PackageChange(name, _change(was, now), was and was[0], now and now[0], layer)


def packages_of(snapshot: Snapshot) -> dict[str, tuple[str, str]]:
    """Version and RECORD digest by name, as Python finds them: the workstation's own before the base's."""
    return _packages(snapshot, "base") | _packages(snapshot, "dependencies")


def _packages(snapshot: Snapshot, kind: str) -> dict[str, tuple[str, str]]:
    return {
        package["name"]: (package["version"], package["record"])
        for component in snapshot.components
        if component.kind == kind
        for package in component.facts.get("packages", ())
    }


def engine_change(old: Snapshot, new: Snapshot) -> EngineChange | None:
    """None when both sides state the same engine, or one states none."""
    before, after = facts_of(old, "engine"), facts_of(new, "engine")
    names = ("kind", "version", "commit")
    if not before or not after or all(before.get(name) == after.get(name) for name in names):
        return None
    return EngineChange(*(side.get(name) for name in names for side in (before, after)))


def base_change(old: Snapshot, new: Snapshot) -> BaseChange | None:
    """None when both sides stand on the same base, or one states none."""
    before, after = facts_of(old, "base"), facts_of(new, "base")
    states = [(side.get("name"), side.get("fingerprint"), _python(side)) for side in (before, after)]
    if not before or not after or states[0] == states[1]:
        return None
    (old_name, old_print, old_python), (new_name, new_print, new_python) = states
    return BaseChange(old_name, new_name, old_print, new_print, old_python, new_python)


def _python(base: Mapping[str, Any]) -> str | None:
    version = base.get("python", {}).get("version")
    return None if version is None else str(version)


def cache_changes(old: Snapshot, new: Snapshot) -> Iterator[CacheChange]:
    """Entries of the cache that came, went or have another size or revision."""
    before, after = _entries(old), _entries(new)
    if before is None or after is None:
        return
    for name, was, now in _differing(before, after):
        some = now or was or {}
        change = _change(was, now)
        yield CacheChange(name, some["kind"], change, _of(was, "size_bytes"), _of(now, "size_bytes"))


def _entries(snapshot: Snapshot) -> dict[str, Mapping[str, Any]] | None:
    if snapshot.component("cache") is None:
        return {}
    entries = facts_of(snapshot, "cache").get("entries")
    return None if entries is None else {entry["name"]: entry for entry in entries}


def model_changes(old: Snapshot, new: Snapshot) -> Iterator[ModelChange]:
    """Models that are named on one side only, or whose file has another size or digest."""
    before, after = _models(old), _models(new)
    if before is None or after is None:
        return
    for (kind, name), was, now in _differing(before, after):
        if was is not None and now is not None and _same_model(was, now):
            continue
        sizes = _of(was, "size_bytes"), _of(now, "size_bytes")
        yield ModelChange(kind, name, _change(was, now), *sizes, _of(was, "digest"), _of(now, "digest"))


def _of(side: Mapping[str, Any] | None, fact: str) -> Any:
    return None if side is None else side[fact]


def _models(snapshot: Snapshot) -> dict[tuple[str, str], Mapping[str, Any]] | None:
    models = snapshot.facts.get("models")
    return None if models is None else {(model["kind"], model["name"]): model for model in models}


def _same_model(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """An unknown digest says nothing: what is hashed later has not changed by it."""
    digests = {was["digest"], now["digest"]} - {None}
    return was["size_bytes"] == now["size_bytes"] and len(digests) < 2


def _differing(before: Mapping[K, T], after: Mapping[K, T]) -> Iterator[tuple[K, T | None, T | None]]:
    names: Sequence[Any] = list(before.keys() | after.keys())
    for name in sorted(names):
        was, now = before.get(name), after.get(name)
        if was != now:
            yield name, was, now


def _change(was: object, now: object) -> Change:
    return "added" if was is None else "removed" if now is None else "changed"
