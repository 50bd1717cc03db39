"""`stillframe snapshot`: frozen environments."""

from __future__ import annotations

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, SnapshotArgument, noun

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
    """Show what a snapshot holds."""
    from web.cli.opening import opened
    from web.cli.output import size, table
    from web.snapshots import found_snapshot

    one = found_snapshot(opened(home), project, snapshot)
    if not as_json:
        typer.echo(f"Snapshot {one.number}  {one.id}")
        typer.echo(f"frozen {one.created_at:%Y-%m-%d %H:%M:%SZ} from {one.workstation}\n")
    rows = [
        (part.kind, part.name, part.files, size(part.size_bytes), part.tree[:12]) for part in one.components
    ]
    table(
        one, ("KIND", "COMPONENT", "FILES", "SIZE", "TREE"), rows, as_json=as_json, none="It holds nothing."
    )


@app.command("diff")
def diff(
    project: ProjectArgument,
    old: SnapshotArgument,
    new: SnapshotArgument = "latest",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """What differs between two snapshots: plugins, packages, files."""
    from web.cli.opening import opened
    from web.cli.output import show
    from web.snapshots import diff_snapshots

    found = diff_snapshots(opened(home), project, old, new)
    show(found, *(found.lines() or ["They are the same."]), as_json=as_json)


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
