"""A difference in lines, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from snapshotter.diff.changes import (
    BaseChange,
    CacheChange,
    ComponentChange,
    EngineChange,
    ModelChange,
    PackageChange,
    PluginChange,
    SnapshotDiff,
)

SHOWN_FILES = 10
SHOWN_PACKAGES = 40
_SIGNS = {"added": "+", "removed": "-", "changed": "~", "metadata": ".", "moved": ">"}
_NOISE = (".git", "__pycache__")


def lines_of(diff: SnapshotDiff) -> list[str]:
    """Engine, base, plugins, packages, models, cache, then a few files of each component, then the notes."""
    if diff.is_empty:
        return [f"{diff.old} and {diff.new} hold the same.", *diff.notes]
    return [
        *([_engine(diff.engine)] if diff.engine else ()),
        *([_base(diff.base)] if diff.base else ()),
        *map(_plugin, diff.plugins),
        *_packages(diff.packages),
        *map(_model, diff.models),
        *map(_cache, diff.cache),
        *(line for component in diff.components for line in _component(component)),
        *diff.notes,
    ]


def readable_size(count_bytes: int | None) -> str:
    """A size for people; "missing" for None."""
    if count_bytes is None:
        return "missing"
    amount = float(count_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def _engine(engine: EngineChange) -> str:
    old = _named_engine(engine.old_kind, engine.old_version, engine.old_commit)
    return f"~ engine {old} -> {_named_engine(engine.new_kind, engine.new_version, engine.new_commit)}"


def _named_engine(kind: str | None, version: str | None, commit: str | None) -> str:
    return " ".join(part for part in (kind, version, commit and f"at {commit[:12]}") if part)


def _base(base: BaseChange) -> str:
    if base.old_name != base.new_name:
        named = f"{base.old_name} -> {base.new_name}"
    else:
        named = f"{base.new_name} has other packages"
    python = f", Python {base.old_python} -> {base.new_python}" if base.old_python != base.new_python else ""
    return f"~ base {named}{python}"


def _plugin(plugin: PluginChange) -> str:
    sign = _SIGNS[plugin.change]
    if plugin.change == "moved":
        return f"{sign} plugin {plugin.old_name} -> {plugin.name}"
    text = f"{sign} plugin {plugin.name}"
    if plugin.change != "changed":
        commit = plugin.new_commit or plugin.old_commit
        text += f" at {commit[:12]}" if commit else ""
    elif plugin.old_commit != plugin.new_commit:
        old, new = (
            commit[:12] if commit else "no commit" for commit in (plugin.old_commit, plugin.new_commit)
        )
        text += f" {old} -> {new}"
    if plugin.local_edits:
        return f"{text} with local edits{_few(plugin.edited_files)}"
    return text + (", local edits gone" if plugin.had_local_edits and plugin.change == "changed" else "")


def _few(files: tuple[str, ...]) -> str:
    if not files:
        return ""
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return f" in {', '.join(files[:3])}{more}"


def _packages(packages: tuple[PackageChange, ...]) -> Iterator[str]:
    yield from map(_package, packages[:SHOWN_PACKAGES])
    if len(packages) > SHOWN_PACKAGES:
        yield f"  and {len(packages) - SHOWN_PACKAGES} more packages"


def _package(package: PackageChange) -> str:
    where = "base package" if package.layer == "base" else "package"
    known = [version for version in (package.old_version, package.new_version) if version is not None]
    if len(known) == 2 and known[0] == known[1]:
        return f"~ {where} {package.name} {known[0]} has other files"
    return f"{_SIGNS[package.change]} {where} {package.name} {' -> '.join(known)}"


def _model(model: ModelChange) -> str:
    named = f"{_SIGNS[model.change]} model {model.kind}/{model.name}"
    if model.change == "added":
        return f"{named} ({readable_size(model.new_size)})"
    if model.change == "removed":
        return f"{named} is no longer named"
    if model.old_size != model.new_size:
        return f"{named} {readable_size(model.old_size)} -> {readable_size(model.new_size)}"
    return f"{named} has other bytes"


def _cache(entry: CacheChange) -> str:
    sizes = [readable_size(size) for size in (entry.old_size, entry.new_size) if size is not None]
    if len(sizes) == 2 and entry.old_size == entry.new_size:
        return f"~ cache {entry.name} has other content"
    return f"{_SIGNS[entry.change]} cache {entry.name} {' -> '.join(sizes)}"


def _component(component: ComponentChange) -> Iterator[str]:
    sign, count = _SIGNS[component.change], len(component.files)
    if component.change == "moved":
        if component.kind != "plugin":
            yield f"{sign} {component.old_name} -> {component.name}"
        return
    yield f"{sign} {component.name}: {count} files or folders differ"
    shown = [*(f"> {move.old} -> {move.new}" for move in component.moves), *_unmoved(component)]
    yield from (f"    {line}" for line in shown[:SHOWN_FILES])
    rest, noise = len(shown) - SHOWN_FILES, _noise(component)
    if rest > 0:
        yield f"    and {rest} more"
    if noise:
        yield f"    and {noise} of git and Python themselves"


def _unmoved(component: ComponentChange) -> Iterator[str]:
    """Files that did not move; of a folder that moved, none."""
    ends = {end for move in component.moves for end in (move.old, move.new)}
    folders = tuple(
        f"{end}/" for move in component.moves if move.kind == "folder" for end in (move.old, move.new)
    )
    for file in component.files:
        if file.path not in ends and not file.path.startswith(folders) and not _is_noise(file.path):
            yield f"{_SIGNS[file.change]} {file.path or '.'}"


def _is_noise(path: str) -> bool:
    return not {*_NOISE}.isdisjoint(path.split("/"))


def _noise(component: ComponentChange) -> int:
    return sum(_is_noise(file.path) for file in component.files)
