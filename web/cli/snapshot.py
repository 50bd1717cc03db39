"""`stillframe snapshot`: frozen environments."""

from __future__ import annotations

from typing import Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, SnapshotArgument, noun

OtherSnapshotArgument = Annotated[
    str | None, typer.Argument(help="Another snapshot; left out: the workstation as it is now.")
]
app = noun("snapshot", "Snapshots: frozen environments, named by their content.")


def add_to(parent: typer.Typer) -> None:
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
    project: ProjectArgument,
    snapshot: SnapshotArgument = "latest",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read a snapshot's bytes again and name what is damaged. Exit code 10 when something is."""
    from web.cli.opening import opened
    from web.cli.output import show
    from web.snapshots import verify_snapshot
    from web.verdicts import DAMAGED

    one, report = verify_snapshot(opened(home), project, snapshot)
    lines = [f"damaged: {damage}" for damage in report.damages]
    answer = {"snapshot": one.id, "ok": report.ok, "damaged": report.damages, "report": report}
    show(answer, *(lines or [f"Snapshot {one.number} is whole."]), as_json=as_json)
    if not report.ok:
        raise typer.Exit(DAMAGED)
