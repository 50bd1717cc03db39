"""`stillframe snapshot`: frozen environments."""

from __future__ import annotations

from typing import Annotated

import typer

from web.cli import snapshot_overlay, snapshot_transfer, snapshot_upkeep
from web.cli.options import (
    HomeOption,
    JsonOption,
    ProjectArgument,
    SnapshotArgument,
    complete_project,
    noun,
)

OtherSnapshotArgument = Annotated[
    str | None, typer.Argument(help="Another snapshot; left out: the workstation as it is now.")
]
OptionalProjectArgument = Annotated[
    str | None, typer.Argument(help="Name of the project.", autocompletion=complete_project)
]
app = noun("snapshot", "Snapshots: frozen environments, named by their content.")


def add_to(parent: typer.Typer) -> None:
    snapshot_transfer.add_to(app)
    snapshot_upkeep.add_to(app)
    snapshot_overlay.add_to(app)
    parent.add_typer(app)


@app.command("create")
def create(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Freeze the workstation. Says so when nothing changed since the last snapshot."""
    from web.cli.opening import opened
    from web.cli.output import show
    from web.snapshots import freeze_workstation

    made = freeze_workstation(opened(home), project)
    said = "is new" if made.new else "holds the same: nothing changed since it was frozen"
    show(made, f"Snapshot {made.number} ({made.snapshot_id[:12]}) {said}. {made.detail}", as_json=as_json)


@app.command("list")
def list_all(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the snapshots of a project, newest first."""
    from snapshotter.catalogue import list_snapshots
    from web.cli.opening import known_project, opened
    from web.cli.output import size, table

    found = list_snapshots(known_project(opened(home), project).snapshots)
    rows = [
        (
            one.number,
            one.id[:12],
            one.created_at,
            len(one.components),
            size(sum(part.size_bytes for part in one.components)),
        )
        for one in found
    ]
    columns = ("NUMBER", "ID", "CREATED", "COMPONENTS", "SIZE")
    table(found, columns, rows, as_json=as_json, none=f"No snapshots yet: stillframe deploy {project}")


@app.command("show")
def show_one(
    project: ProjectArgument,
    snapshot: SnapshotArgument = "latest",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a snapshot holds: plugins, packages, engine, cache, models, and the machine it is from."""
    from web.cli.snapshot_description import show_snapshot

    show_snapshot(project, snapshot, home, as_json=as_json)


@app.command("diff")
def diff(
    project: ProjectArgument,
    old: SnapshotArgument,
    new: OtherSnapshotArgument = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """What differs: plugins, packages, engine, cache, models, files.

    Between two snapshots, or without the second, from a snapshot to the workstation as it is now.
    """
    from web.cli.snapshot_description import show_difference

    show_difference(project, old, new, home, as_json=as_json)


@app.command("verify")
def verify(
    project: OptionalProjectArgument = None,
    snapshot: Annotated[
        str | None, typer.Argument(help="A number, the start of an id, or `latest`, which is meant without.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All snapshots of the project, or of the home without a project.")
    ] = False,
    heal: Annotated[
        bool, typer.Option("--heal", help="Give back what a workstation still has the bytes of.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read bytes again and name what is damaged. Exit code 10 when something is, and stays so."""
    from web.cli.snapshot_upkeep import verify_snapshots

    if project is None and not every:
        raise typer.BadParameter("name a project, or give --all")
    if every and snapshot is not None:
        raise typer.BadParameter("give a snapshot or --all, not both")
    reference = None if every else snapshot or "latest"
    verify_snapshots(project, reference, home, heal=heal, as_json=as_json)
