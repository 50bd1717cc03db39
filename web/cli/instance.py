"""`stillframe instance`: the engine processes that serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, noun

if TYPE_CHECKING:
    from publisher.deployment import Instance

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
            _state(one),
            None if one.stopped_at else one.healthy,
            one.started_at,
            one.stopped_at,
            one.restarts,
            one.stop_reason if one.stopped_at else one.problem,
        )
        for one in found
    ]
    columns = ("ID", "SNAPSHOT", "GPU", "STATE", "HEALTHY", "STARTED", "STOPPED", "RESTARTS", "WHY")
    table(found, columns, rows, as_json=as_json, none=f"No instances: stillframe deploy {project}")


@app.command("show")
def show_one(
    project: ProjectArgument, instance: InstanceArgument, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Show one instance, with its plugins, its last exit and its life."""
    from publisher.errors import InstanceNotFound
    from web.cli.opening import opened
    from web.cli.output import cell, show
    from web.cli.service import flat
    from web.plain import plain

    publisher = opened(home).publisher
    for one in publisher.instances(project):
        if one.id == instance:
            life = publisher.lifecycle(project, instance)
            lines = [f"{name.replace('_', ' '):<18} {value}" for name, value in flat(one)]
            lines += [f"{cell(moment.at)}  {moment.kind:<12} {moment.why}".rstrip() for moment in life]
            show({**plain(one), "life": plain(life)}, *lines, as_json=as_json)
            return
    raise InstanceNotFound(project, instance)


@app.command("slots")
def slots(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the places where instances can run, with their GPUs, and who holds each."""
    from web.cli.opening import opened
    from web.cli.output import size, table

    found = opened(home).publisher.slots()
    rows = [
        (
            one.number,
            one.gpu,
            one.name,
            size(one.memory_bytes) if one.memory_bytes else None,
            one.driver,
            one.holder,
        )
        for one in found
    ]
    columns = ("SLOT", "GPU", "NAME", "MEMORY", "DRIVER", "HELD BY")
    table(found, columns, rows, as_json=as_json, none="No slots: raise the setting `slots`.")


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


def _state(instance: Instance) -> str | None:
    """What a person asks first: is it well, on its way out, or how did it end."""
    if instance.stopped_at is not None:
        return "failed" if instance.failed_at is not None else "stopped"
    if instance.stop_failed_at is not None:
        return "stop failed"
    if instance.drain_since is not None:
        return "draining"
    return None if instance.state is None else instance.state.value
