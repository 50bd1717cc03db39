"""Installing, updating and removing plugins: the plugin and what it requires together, or neither."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from workstation.bases import read_base
from workstation.change import Change, change
from workstation.dependencies.apply import install_within
from workstation.dependencies.plan import Plan, plan
from workstation.engine_sources import builtin_engine
from workstation.errors import (
    PluginExists,
    PluginHasLocalEdits,
    PluginNotUpdatable,
    PluginPinned,
    PluginSourceUnusable,
)
from workstation.layout import Home, Project
from workstation.plugins import repositories
from workstation.plugins.archive import unpack
from workstation.plugins.inventory import DISABLED, check_plugin_name, find_plugin, plugin_paths
from workstation.plugins.records import PluginRecord, read_records, records_file, write_records
from workstation.plugins.scan import PluginScan, scan_plugin
from workstation.plugins.surface import read_surface
from workstation.project import read_project

Progress = Callable[[str], None]


@dataclass(frozen=True)
class PluginInstalled:
    """A plugin that is in place now, and what its requirements changed; engines load plugins at start."""

    name: str
    path: Path
    commit: str | None
    previous_commit: str | None
    plan: Plan
    has_install_script: bool
    scan: PluginScan
    restart_needed: bool = True


def install_plugin(
    home: Home,
    project: str,
    source: str,
    *,
    ref: str | None = None,
    name: str | None = None,
    accept: Iterable[str] = (),
    progress: Progress | None = None,
) -> PluginInstalled:
    """Install a plugin from a git URL or local repository (at `ref`), a folder, a .py file or a zip.

    Its requirements are planned first; `accept` names packages whose change or conflict is accepted. On any
    failure all is as before. Raises PluginError and DependencyError kinds, ProjectBusy.
    """
    tell = progress or _silent
    place, _ = read_project(home, project)
    name = check_plugin_name(name or name_from(source))
    _check_absent(place, name)
    with change(place, f"installing plugin {name}") as attempt:
        staged = attempt.folder / "staged" / name
        staged.parent.mkdir()
        tell(f"fetching {repositories.without_credentials(source)}")
        record = _fetch(source, ref, staged)
        return _put_in_place(home, attempt, name, staged, record, tuple(accept), tell)


def scan_source(source: str, ref: str | None = None) -> PluginScan:
    """Which engine the plugin at `source` needs, without installing or running anything of it.

    Compared with the builtin engine of this installation. Raises CloneFailed, RefNotFound,
    PluginSourceUnusable.
    """
    with TemporaryDirectory(prefix="stillframe-scan-") as folder:
        staged = Path(folder) / (name_from(source) or "plugin")
        _fetch(source, ref, staged)
        return _scan(_staged_file(staged))


def update_plugin(
    home: Home,
    project: str,
    name: str,
    *,
    ref: str | None = None,
    accept: Iterable[str] = (),
    progress: Progress | None = None,
) -> PluginInstalled:
    """Bring a git plugin to `ref`, or to the newest commit of the branch it was installed from.

    Raises PluginNotFound, PluginPinned, PluginHasLocalEdits, PluginNotUpdatable, CloneFailed, RefNotFound and
    what `install_plugin` raises; nothing has changed then.
    """
    tell = progress or _silent
    place, _ = read_project(home, project)
    path = find_plugin(place.workstation, name)
    record = read_records(place.workstation).get(name) or PluginRecord("", "git")
    before = _check_updatable(name, path, record)
    with change(place, f"updating plugin {name}") as attempt:
        staged = attempt.folder / "staged" / name
        shutil.copytree(path, staged, symlinks=True)
        tell(f"fetching {before.remote}")
        repositories.fetch(staged)
        wanted = ref or record.ref or before.branch
        commit = repositories.checkout(staged, wanted, before.remote or "")
        record = replace(record, source=before.remote or "", kind="git", ref=ref or record.ref, commit=commit)
        attempt.move_aside(path)
        done = _put_in_place(home, attempt, name, staged, record, tuple(accept), tell, at=path)
        return replace(done, previous_commit=before.commit)


def remove_plugin(home: Home, project: str, name: str) -> None:
    """Remove a plugin and its record; packages it brought stay, because others may use them by now."""
    place, _ = read_project(home, project)
    path = find_plugin(place.workstation, name)
    with change(place, f"removing plugin {name}") as attempt:
        attempt.move_aside(path)
        _record(attempt, name, None)


def enable_plugin(home: Home, project: str, name: str) -> None:
    """Let the engine load it at its next start. Repeatable. Raises PluginNotFound."""
    _rename(home, project, name, enabled=True)


def disable_plugin(home: Home, project: str, name: str) -> None:
    """Keep it, but let the engine skip it from its next start on. Repeatable. Raises PluginNotFound."""
    _rename(home, project, name, enabled=False)


def pin_plugin(home: Home, project: str, name: str) -> None:
    """Refuse updates of it from now on. Repeatable. Raises PluginNotFound."""
    _pin(home, project, name, pinned=True)


def unpin_plugin(home: Home, project: str, name: str) -> None:
    """Allow updates again. Repeatable. Raises PluginNotFound."""
    _pin(home, project, name, pinned=False)


def name_from(source: str) -> str:
    """The plugin name that a source suggests: its last part, without .git, .zip or .py."""
    path = urlsplit(source).path if "://" in source else source.replace(":", "/")
    last = PurePosixPath(path.rstrip("/")).name
    for ending in (".git", ".zip", ".py"):
        last = last.removesuffix(ending)
    return last


def _fetch(source: str, ref: str | None, staged: Path) -> PluginRecord:
    """Put the source's files at `staged` and say what it was."""
    if repositories.is_git_url(source):
        commit = repositories.obtain(source, staged, ref)
        return PluginRecord(repositories.without_credentials(source), "git", ref or "", commit)
    path = Path(source).expanduser().absolute()
    if path.is_dir() and ((path / ".git").exists() or (path / "HEAD").is_file()):
        commit = repositories.obtain(path, staged, ref)
        return PluginRecord(str(path), "git", ref or "", commit)
    if ref is not None:
        raise PluginSourceUnusable(source, f"it is no git repository, so {ref!r} cannot be chosen")
    if path.is_dir():
        shutil.copytree(path, staged, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        return PluginRecord(str(path), "folder")
    if path.is_file() and path.suffix == ".py":
        shutil.copy2(path, staged.with_name(f"{staged.name}.py"))
        return PluginRecord(str(path), "folder")
    if path.is_file():
        unpack(path, staged)
        return PluginRecord(str(path), "archive")
    raise PluginSourceUnusable(source, "there is no such folder or file, and it does not read as a git URL")


def _put_in_place(
    home: Home,
    attempt: Change,
    name: str,
    staged: Path,
    record: PluginRecord,
    accept: tuple[str, ...],
    tell: Progress,
    at: Path | None = None,
) -> PluginInstalled:
    """Plan, refuse or install the requirements, then move the plugin in, then record it."""
    staged = _staged_file(staged)
    _check_loadable(record.source, staged)
    scan = _scan(staged)
    tell(scan.sentence)
    found = Plan(())
    requirements = staged / "requirements.txt"
    if requirements.is_file():
        tell("planning its requirements")
        found = _plan(home, attempt.project, requirements)
        found.check(accept)
        if not found.is_empty:
            tell(f"installing {len(found.pins)} packages")
            install_within(attempt, found)
    place = at or attempt.project.workstation.custom_nodes / staged.name
    attempt.put(staged, place)
    _record(attempt, name, record)
    script = (place / "install.py").is_file()
    return PluginInstalled(name, place, record.commit or None, None, found, script, scan)


def _staged_file(staged: Path) -> Path:
    return staged if staged.exists() else staged.with_name(f"{staged.name}.py")  # a plugin of one file


def _scan(plugin: Path) -> PluginScan:
    return scan_plugin(plugin, read_surface(builtin_engine()))


def _plan(home: Home, project: Project, requirements: Path) -> Plan:
    _, file = read_project(home, project.name)
    return plan(project, read_base(home, file.base), requirements)


def _check_loadable(source: str, staged: Path) -> None:
    if staged.is_dir() and not (staged / "__init__.py").is_file():
        raise PluginSourceUnusable(source, "it has no __init__.py, so no engine would load it")


def _check_absent(project: Project, name: str) -> None:
    there = plugin_paths(project.workstation).get(name)
    if there is not None:
        raise PluginExists(name, there)


def _check_updatable(name: str, path: Path, record: PluginRecord) -> repositories.RepositoryFacts:
    if not (path / ".git").exists():
        raise PluginNotUpdatable(name, "it is no git checkout")
    facts = repositories.facts(path)
    if record.pinned:
        raise PluginPinned(name, facts.commit)
    if facts.remote is None:
        raise PluginNotUpdatable(name, "its checkout has no remote named origin")
    edits = facts.edits + repositories.local_commits(path)
    if edits:
        raise PluginHasLocalEdits(name, edits)
    return facts


def _record(attempt: Change, name: str, record: PluginRecord | None) -> None:
    workstation = attempt.project.workstation
    records = read_records(workstation)
    records.pop(name, None)
    if record is not None:
        records[name] = record
    attempt.keep_copy(records_file(workstation))
    write_records(workstation, records)


def _pin(home: Home, project: str, name: str, *, pinned: bool) -> None:
    place, _ = read_project(home, project)
    path = find_plugin(place.workstation, name)
    with change(place, f"pinning plugin {name}") as attempt:
        record = read_records(place.workstation).get(name)
        if record is None:
            kind = "git" if (path / ".git").exists() else "folder"
            record = PluginRecord(repositories.facts(path).remote or "" if kind == "git" else "", kind)
        _record(attempt, name, replace(record, pinned=pinned))


def _rename(home: Home, project: str, name: str, *, enabled: bool) -> None:
    place, _ = read_project(home, project)
    path = find_plugin(place.workstation, name)
    if path.name.endswith(DISABLED) is not enabled:
        return  # it is so already
    with change(place, f"{'enabling' if enabled else 'disabling'} plugin {name}"):
        target = path.name.removesuffix(DISABLED) if enabled else path.name + DISABLED
        path.rename(path.with_name(target))


def _silent(_: str) -> None:
    """Nobody listens to the progress."""
