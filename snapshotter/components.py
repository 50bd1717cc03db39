"""Which parts of a project are frozen, each by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snapshotter.rules import CACHE_BYPRODUCTS, USER_BYPRODUCTS, ComponentSource
from workstation.layout import Project, Workstation

Facts = Mapping[str, Mapping[str, Any]]

PLUGINS = "custom_nodes"
DISABLED_PLUGINS = ".disabled"  # Where ComfyUI's plugin manager puts what it switches off.
NOT_PLUGINS = frozenset({"__pycache__"})


@dataclass(frozen=True)
class BaseFacts:
    """The base under the workstation's environment: its site-packages folder, frozen at its own place."""

    name: str
    site_packages: Path
    fingerprint: str
    python: Mapping[str, Any] = field(default_factory=dict)


def components_of(project: Project, base: BaseFacts | None, facts: Facts) -> list[ComponentSource]:
    """What there is to freeze: engine, each plugin, dependencies, cache, user files and the base.

    A component is named "engine", "dependencies", "cache", "user", "base", and a plugin by its path,
    "custom_nodes/NAME". `facts` go to the component of that name; a plugin's may also stand under its bare
    name. Raises OSError.
    """
    workstation = project.workstation
    parts: list[tuple[str, Any, Path, tuple[str, ...]]] = [
        ("engine", "engine", workstation.engine, ()),
        ("dependencies", "dependencies", workstation.venv, ()),
        ("cache", "cache", workstation.cache, CACHE_BYPRODUCTS),
        ("user", "user", workstation.user, USER_BYPRODUCTS),
    ]
    sources = [
        ComponentSource(name, kind, root, root.name, facts=facts.get(name, {}), exclude=exclude)
        for name, kind, root, exclude in parts
        if root.is_symlink() or root.exists()
    ]
    sources += _plugins(workstation, facts)
    if base is not None:
        sources.append(_base(base, facts))
    return sources


def _plugins(workstation: Workstation, facts: Facts) -> Iterator[ComponentSource]:
    if not workstation.custom_nodes.is_dir():
        return
    roots = sorted(workstation.custom_nodes.iterdir())
    disabled = workstation.custom_nodes / DISABLED_PLUGINS
    if disabled in roots and disabled.is_dir():
        roots.remove(disabled)
        roots += sorted(disabled.iterdir())
    for root in roots:
        if root.name not in NOT_PLUGINS:
            path = root.relative_to(workstation.root).as_posix()
            yield ComponentSource(path, "plugin", root, path, facts=_plugin_facts(path, root.name, facts))


def _plugin_facts(path: str, name: str, facts: Facts) -> Mapping[str, Any]:
    for key in (path, f"{PLUGINS}/{name}", name, name.removesuffix(".disabled")):
        if key in facts and key not in ("engine", "dependencies", "cache", "user", "base"):
            return facts[key]
    return {}


def _base(base: BaseFacts, facts: Facts) -> ComponentSource:
    described = {"name": base.name, "fingerprint": base.fingerprint, "python": dict(base.python)}
    place = base.site_packages.absolute()
    return ComponentSource(
        "base", "base", place, "", str(place), facts={**facts.get("base", {}), **described}
    )
