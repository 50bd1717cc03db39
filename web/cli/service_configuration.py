"""`stillframe service configuration`: the versions of a service's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, noun

if TYPE_CHECKING:
    from publisher.configurations import FieldChange
    from publisher.deployment import Deployment
    from web.installation import Installation

app = noun("configuration", "Versions of a service's configuration: listed, shown, compared, gone back to.")
VersionArgument = Annotated[int, typer.Argument(help="Number of a version.", min=1)]
NoteOption = Annotated[str, typer.Option(help="Why, for the history.")]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the deployment that it is.")]
LimitOption = Annotated[float, typer.Option(help="How long to follow it, in seconds.")]


@app.command("list")
def list_all(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the versions, the newest first, with what each changed."""
    from publisher.configurations import difference
    from web.cli.opening import opened
    from web.cli.output import table

    found = opened(home).publisher.configurations.versions(project)
    rows = []
    for one, before in zip(found, [*(earlier.document for earlier in found[1:]), {}], strict=True):
        role = "serves" if one.serving else "next" if one.wanted else ""
        changed = ", ".join(change.field for change in difference(before, one.document)) or "-"
        rows.append((one.version, role, one.created_at, one.created_by, changed))
    columns = ("VERSION", "", "MADE", "BY", "CHANGED")
    table(found, columns, rows, as_json=as_json, none="No versions yet.")


@app.command("show")
def show_one(
    project: ProjectArgument, version: VersionArgument, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Show one version: what it sets, the rest has its defaults."""
    from web.cli.opening import opened
    from web.cli.output import show

    found = opened(home).publisher.configurations.version(project, version)
    lines = told(found.document) or ["Everything has its default."]
    show(found, *lines, as_json=as_json)


@app.command("diff")
def diff(
    project: ProjectArgument,
    old: VersionArgument,
    new: VersionArgument,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two versions field by field. Of a secret only that it differs is told."""
    from web.cli.opening import opened
    from web.cli.output import show

    found = opened(home).publisher.configurations.difference(project, old, new)
    show(
        found,
        *(_line(one) for one in found or ()),
        *([] if found else ["No field differs."]),
        as_json=as_json,
    )


@app.command("restore")
def restore(
    project: ProjectArgument,
    version: VersionArgument,
    note: NoteOption = "",
    wait: WaitOption = True,
    limit: LimitOption = 7200.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go back to an earlier version, its secrets too. It is a deployment of its own."""
    from publisher.configurations import Asker
    from web.cli.opening import SOURCE, caller, opened

    here = opened(home)
    here.publisher.configurations.version(project, version)
    here.require_running("a change of configuration")
    asker = Asker(caller(), SOURCE, note or f"configuration {version} again")
    asked = here.publisher.configurations.restore(project, version, asker)
    follow_change(here, project, asked, wait=wait, limit=limit, as_json=as_json)


def follow_change(
    here: Installation,
    project: str,
    asked: Deployment | None,
    *,
    wait: bool,
    limit: float,
    as_json: bool,
) -> None:
    """Follow the deployment that a change of configuration is; say so when it is none."""
    from web.cli.output import show
    from web.cli.progress import follow

    if asked is None:
        show({"deployment": None}, "Kept for the first deployment: nothing is served yet.", as_json=as_json)
        return
    follow(here, project, asked, wait=wait, limit_seconds=limit, as_json=as_json)


def told(document: Mapping[str, Any]) -> list[str]:
    """A configuration for people, one field a line."""
    from publisher.configurations import difference

    return [f"{change.field}={_value(change.after)}" for change in difference({}, document)]


def _line(change: FieldChange) -> str:
    if change.field.startswith("secrets."):
        return f"{change.field}: {change.after or 'removed'}"
    return f"{change.field}: {_value(change.before)} -> {_value(change.after)}"


def _value(value: object) -> str:
    import json

    if isinstance(value, Mapping):
        return f"{len(value)} entries"
    return "default" if value is None else value if isinstance(value, str) else json.dumps(value)
