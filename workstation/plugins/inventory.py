"""The plugins of a workstation: what is there, from where, at which commit, edited or not."""

from __future__ import annotations

import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workstation.dependencies.errors import RequirementsUnreadable
from workstation.errors import BadPluginName, PluginNotFound
from workstation.layout import Workstation
from workstation.plugins import repositories
from workstation.plugins.declared import declared_nodes
from workstation.plugins.records import PluginRecord, read_records
from workstation.stamps import Remembered

DISABLED = ".disabled"
EDITS_NAMED = 200  # a manifest names so many edited files; `edits_total` counts them all
READERS = 4  # git spends its time in its own processes
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_IGNORED = frozenset({"__pycache__", "example_node.py.example"})


@dataclass(frozen=True)
class Plugin:
    """One plugin, enabled or not. `problem` says what could not be read; the other fields what could.

    `declared_nodes` stand literally in its sources; a plugin may add others as it runs.
    """

    name: str
    path: Path
    enabled: bool
    kind: str  # "git", "folder" or "file"
    remote: str | None = None
    commit: str | None = None
    branch: str | None = None
    edited_files: tuple[str, ...] = ()
    pinned: bool = False
    version: str | None = None
    declared_nodes: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    has_install_script: bool = False
    problem: str | None = None

    @property
    def local_edits(self) -> bool:
        """Whether files differ from the commit, or were added."""
        return bool(self.edited_files)


def check_plugin_name(name: str) -> str:
    """Return `name` when it may name a plugin; raise BadPluginName otherwise."""
    if not _NAME.fullmatch(name) or name.endswith((DISABLED, ".py")) or name in _IGNORED:
        raise BadPluginName(name)
    return name


def plugin_paths(workstation: Workstation) -> dict[str, Path]:
    """Every plugin's folder or file by name, in order of names."""
    found: dict[str, Path] = {}
    for path in sorted(workstation.custom_nodes.iterdir()) if workstation.custom_nodes.is_dir() else ():
        stem = path.name.removesuffix(DISABLED)
        if path.name.startswith(".") or path.name in _IGNORED:
            continue
        if path.is_dir():
            found[stem] = path
        elif stem.endswith(".py"):
            found.setdefault(stem.removesuffix(".py"), path)
    return dict(sorted(found.items()))


def find_plugin(workstation: Workstation, name: str) -> Path:
    """The plugin's folder or file, enabled or not. Raises PluginNotFound."""
    paths = plugin_paths(workstation)
    if name not in paths:
        raise PluginNotFound(name, list(paths))
    return paths[name]


def list_plugins(workstation: Workstation, known: Remembered | None = None) -> list[Plugin]:
    """Every plugin, by name. One that cannot be read is listed with its problem, never left out.

    `known` saves parsing the sources that did not change; its owner saves it.
    """
    records = read_records(workstation)
    paths = plugin_paths(workstation)

    def read(name: str) -> Plugin:
        return _read(name, paths[name], records.get(name), known)

    with ThreadPoolExecutor(READERS) as readers:
        return list(readers.map(read, paths))


def described_plugins(
    workstation: Workstation, known: Remembered | None = None
) -> dict[Path, dict[str, Any]]:
    """What a snapshot's manifest says of each plugin, by the plugin's path."""
    plugins = list_plugins(workstation, known)
    with ThreadPoolExecutor(READERS) as readers:
        return dict(zip((plugin.path for plugin in plugins), readers.map(plugin_facts, plugins), strict=True))


def plugin_facts(plugin: Plugin) -> dict[str, Any]:
    """What a snapshot's manifest says of a plugin, as JSON; with the edits as a diff of bounded size."""
    facts: dict[str, Any] = {
        "name": plugin.name,
        "enabled": plugin.enabled,
        "kind": plugin.kind,
        "remote": plugin.remote,
        "commit": plugin.commit,
        "branch": plugin.branch,
        "pinned": plugin.pinned,
        "version": plugin.version,
        "local_edits": plugin.local_edits,
        "edited_files": list(plugin.edited_files[:EDITS_NAMED]),
        "edits_total": len(plugin.edited_files),
        "nodes": list(plugin.declared_nodes),
        "requirements": list(plugin.requirements),
        "problem": plugin.problem,
    }
    if plugin.local_edits and plugin.commit:
        from git.exc import GitError

        try:
            facts["diff"], facts["diff_cut"] = repositories.diff_of_edits(plugin.path)
        except GitError as error:
            facts["problem"] = "; ".join(filter(None, (plugin.problem, f"no diff of its edits: {error}")))
    return facts


def _read(name: str, path: Path, record: PluginRecord | None, known: Remembered | None) -> Plugin:
    from git.exc import GitError

    def nodes(path: Path, _kind: str) -> dict[str, Any]:
        return {"declared_nodes": declared_nodes(path, known)}

    facts: dict[str, Any] = {}
    problems = []
    kind = "file" if path.is_file() else "git" if (path / ".git").exists() else "folder"
    for reader in (_repository, _project_facts, nodes, _requirements):
        try:
            facts.update(reader(path, kind))
        except (OSError, GitError, ValueError, SyntaxError, RecursionError, RequirementsUnreadable) as error:
            problems.append(str(error).strip() or type(error).__name__)
    return Plugin(
        name=name,
        path=path,
        enabled=not path.name.endswith(DISABLED),
        kind=kind,
        pinned=record.pinned if record else False,
        has_install_script=(path / "install.py").is_file(),
        problem="; ".join(problems) or None,
        **facts,
    )


def _repository(path: Path, kind: str) -> dict[str, Any]:
    if kind != "git":
        return {}
    found = repositories.facts(path)
    return {
        "remote": found.remote,
        "commit": found.commit,
        "branch": found.branch,
        "edited_files": found.edits,
    }


def _project_facts(path: Path, _kind: str) -> dict[str, Any]:
    file = path / "pyproject.toml"
    if not file.is_file():
        return {}
    values = tomllib.loads(file.read_text(encoding="utf-8"))
    version = values.get("project", {}).get("version")
    return {"version": str(version)} if version is not None else {}


def _requirements(path: Path, kind: str) -> dict[str, Any]:
    from workstation.dependencies.requirements import read_requirements

    file = path / "requirements.txt"
    if kind == "file" or not file.is_file():
        return {}
    return {"requirements": read_requirements(file).lines}
