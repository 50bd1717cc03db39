"""`stillframe instance`: the engine processes that serve."""

from __future__ import annotations

from typing import Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, noun

app = noun("instance", "Instances: one engine process on one GPU, running one snapshot.")
InstanceArgument = Annotated[str, typer.Argument(help="Id of the instance.")]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@app.command("list")
def list_all(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the instances of a service and how each is."""
    from web.cli.opening import opened
    from web.cli.output import table

    found = opened(home).publisher.instances(project)
    rows = [
        (
            one.id,
            one.snapshot_number,
            one.gpu,
            None if one.stopped_at else one.state,
            None if one.stopped_at else one.healthy,
            one.started_at,
            one.stopped_at,
            one.restarts,
            one.problem,
        )
        for one in found
    ]
    columns = ("ID", "SNAPSHOT", "GPU", "STATE", "HEALTHY", "STARTED", "STOPPED", "RESTARTS", "PROBLEM")
    table(found, columns, rows, as_json=as_json, none=f"No instances: stillframe deploy {project}")


@app.command("show")
def show_one(
    project: ProjectArgument, instance: InstanceArgument, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Show one instance, with its plugins and its last exit."""
    from publisher.errors import InstanceNotFound
    from web.cli.opening import opened
    from web.cli.output import show
    from web.cli.service import flat

    for one in opened(home).publisher.instances(project):
        if one.id == instance:
            show(
                one, *(f"{name.replace('_', ' '):<18} {value}" for name, value in flat(one)), as_json=as_json
            )
            return
    raise InstanceNotFound(project, instance)


@app.command("log")
def log(
    project: ProjectArgument,
    instance: InstanceArgument,
    lines: Annotated[int, typer.Option(help="How many of the last lines.")] = 100,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the last lines of an instance's engine log."""
    from web.cli.opening import opened
    from web.cli.output import show

    found = opened(home).publisher.instance_log(project, instance, lines)
    show(found, *found, as_json=as_json)
