"""`stillframe plugin`: the plugins of a workstation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, YesOption, noun

if TYPE_CHECKING:
    from workstation.layout import Home
    from workstation.plugins.install import PluginInstalled
    from workstation.plugins.scan import PluginScan

app = noun("plugin", "Plugins of a workstation: folders and files under custom_nodes.")
PluginArgument = Annotated[str, typer.Argument(help="Name of the plugin.")]
AcceptOption = Annotated[
    list[str] | None,
    typer.Option("--accept", help="A protected package that may be changed, such as torch. Repeatable."),
]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@app.command("install")
def install(
    project: ProjectArgument,
    source: Annotated[str, typer.Argument(help="A git URL, a folder, or a zip.")],
    ref: Annotated[str | None, typer.Option(help="Commit, tag or branch.")] = None,
    name: Annotated[str | None, typer.Option(help="Folder name; else from the source.")] = None,
    accept: AcceptOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Install a plugin and its requirements, or change nothing."""
    from web.cli.opening import opened
    from web.cli.output import show
    from workstation.plugins.install import install_plugin

    here = opened(home)
    done = install_plugin(here.home, project, source, ref=ref, name=name, accept=tuple(accept or ()))
    show(done, *_installed(done), "A running workstation loads it after a restart.", as_json=as_json)


@app.command("scan")
def scan(
    source: Annotated[str, typer.Argument(help="A git URL, a folder, a .py file, or a zip.")],
    ref: Annotated[str | None, typer.Option(help="Commit, tag or branch.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell which engine a plugin needs, from its sources alone. Runs and installs nothing."""
    from web.cli.output import show
    from workstation.plugins.install import scan_source

    found = scan_source(source, ref)
    show(found, *_scanned(found), as_json=as_json)


@app.command("list")
def list_all(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the plugins: where each comes from, its commit, local edits."""
    from web.cli.opening import known_project, opened
    from web.cli.output import table
    from workstation.plugins.inventory import list_plugins

    found = list_plugins(known_project(opened(home), project).workstation)
    rows = [
        (
            one.name,
            one.enabled,
            one.kind,
            one.version,
            (one.commit or "")[:12] or None,
            bool(one.edited_files),
            one.pinned,
            one.remote,
        )
        for one in found
    ]
    columns = ("NAME", "ENABLED", "KIND", "VERSION", "COMMIT", "EDITED", "PINNED", "FROM")
    table(
        found, columns, rows, as_json=as_json, none=f"No plugins yet: stillframe plugin install {project} URL"
    )


@app.command("update")
def update(
    project: ProjectArgument,
    plugin: PluginArgument,
    ref: Annotated[
        str | None, typer.Option(help="Commit, tag or branch; else the newest of its branch.")
    ] = None,
    accept: AcceptOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch a plugin's newer commit with its requirements, or change nothing."""
    from web.cli.opening import opened
    from web.cli.output import show
    from workstation.plugins.install import update_plugin

    here = opened(home)
    done = update_plugin(here.home, project, plugin, ref=ref, accept=tuple(accept or ()))
    show(done, *_installed(done), as_json=as_json)


@app.command("enable")
def enable(
    project: ProjectArgument, plugin: PluginArgument, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Load a plugin again at the next start."""
    from workstation.plugins.install import enable_plugin

    _change(home, project, plugin, enable_plugin, "is enabled", as_json)


@app.command("disable")
def disable(
    project: ProjectArgument, plugin: PluginArgument, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Keep a plugin on disk without loading it."""
    from workstation.plugins.install import disable_plugin

    _change(home, project, plugin, disable_plugin, "is disabled", as_json)


@app.command("pin")
def pin(
    project: ProjectArgument, plugin: PluginArgument, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Keep a plugin at its commit: an update refuses it."""
    from workstation.plugins.install import pin_plugin

    _change(home, project, plugin, pin_plugin, "is pinned", as_json)


@app.command("unpin")
def unpin(
    project: ProjectArgument, plugin: PluginArgument, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Let a plugin be updated again."""
    from workstation.plugins.install import unpin_plugin

    _change(home, project, plugin, unpin_plugin, "is no longer pinned", as_json)


@app.command("remove")
def remove(
    project: ProjectArgument,
    plugin: PluginArgument,
    yes: YesOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a plugin's folder. Packages that it brought stay."""
    from web.cli.output import confirm
    from workstation.plugins.install import remove_plugin

    confirm(f"Remove plugin {plugin} from {project}, local edits included?", yes=yes)
    _change(home, project, plugin, remove_plugin, "is removed", as_json)


@app.command("imports")
def imports(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Which plugins imported at the last start, how long each took, which failed and with what."""
    from web.cli.opening import known_project, opened
    from web.cli.output import table
    from web.workstations import last_imports

    found = last_imports(known_project(opened(home), project))
    rows = [
        (one.name, "imported" if one.ok else "FAILED", f"{one.seconds:.1f} s", one.error or "")
        for one in found
    ]
    none = f"The workstation has not imported plugins yet: stillframe workstation start {project}"
    table(found, ("NAME", "IMPORT", "TOOK", "ERROR"), rows, as_json=as_json, none=none)
    if not as_json:
        for one in found:
            if one.traceback:
                typer.echo(f"\n{one.name}\n{one.traceback}")


def _change(
    home: Path | None,
    project: str,
    plugin: str,
    change: Callable[[Home, str, str], object],
    said: str,
    as_json: bool,
) -> None:
    from web.cli.opening import opened
    from web.cli.output import show

    change(opened(home).home, project, plugin)
    show({"project": project, "plugin": plugin}, f"Plugin {plugin} {said}.", as_json=as_json)


def _installed(done: PluginInstalled) -> list[str]:
    from web.cli.deps import lines_of

    at = f" at {done.commit[:12]}" if done.commit else ""
    lines = [f"Plugin {done.name} is in place{at}.", *(f"  {line}" for line in lines_of(done.plan))]
    lines += [f"  {line}" for line in _scanned(done.scan)]
    if done.has_install_script:
        lines.append("  It has an install script, which was not run: read it before you run it yourself.")
    return lines


def _scanned(found: PluginScan) -> list[str]:
    lines = [found.sentence]
    for one in found.at_import[1:]:
        lines.append(f"  at import: {one.name} ({one.presence}) {one.file}:{one.line}")
    for node in found.failing:
        first, more = node.evidence[0], len(node.evidence) - 1
        rest = f" and {more} more" if more else ""
        lines.append(f"  {node.node}: {first.name} ({first.presence}) {first.file}:{first.line}{rest}")
    if found.gpu:
        lines.append(f"  It also imports {', '.join(found.gpu)}, which work on a GPU only.")
    if found.assumed:
        lines.append(f"  It imports {', '.join(found.assumed)} without requiring them: stillframe deps add.")
    lines += [f"  {file} could not be read as Python of this version" for file in found.unread]
    return lines
