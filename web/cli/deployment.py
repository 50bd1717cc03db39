"""`stillframe deployment`: the history of a service, and what is done to a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, YesOption, noun

if TYPE_CHECKING:
    from publisher.history import DeploymentRecord

app = noun("deployment", "Deployment history: who, when, what changed, how it ended.")
NumberArgument = Annotated[int, typer.Argument(help="Number of the deployment.")]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@app.command("list")
def list_all(
    project: ProjectArgument,
    limit: Annotated[int, typer.Option(help="How many of the newest.")] = 20,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the deployments of a service, newest first."""
    from web.cli.opening import known_project, opened
    from web.cli.output import table
    from web.cli.progress import seconds_between

    here = opened(home)
    known_project(here, project)
    found = here.publisher.deployments(project, limit)
    rows = [
        (
            one.number,
            one.state.value,
            one.reason.value,
            one.snapshot_number,
            one.requested_by,
            one.requested_at,
            f"{seconds_between(one.requested_at, one.ended_at):.1f} s",
            one.failure or one.note or one.outcome,
        )
        for one in found
    ]
    columns = ("NUMBER", "STATE", "REASON", "SNAPSHOT", "BY", "WHEN", "TOOK", "NOTE")
    table(found, columns, rows, as_json=as_json, none=f"No deployments yet: stillframe deploy {project}")


@app.command("show")
def show_one(
    project: ProjectArgument, number: NumberArgument, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Show one deployment: what changed, each step with its time, how it ended, the last log lines."""
    from web.cli.opening import opened
    from web.cli.output import show

    record = opened(home).publisher.deployment(project, number)
    show(record, *_lines(project, record), as_json=as_json)


@app.command("watch")
def watch(
    project: ProjectArgument,
    number: NumberArgument,
    limit: Annotated[float, typer.Option(help="How long to follow it, in seconds.")] = 7200.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a deployment to its end."""
    from web.cli.opening import opened
    from web.cli.progress import follow, tell_end
    from web.plain import plain

    here = opened(home)
    record = here.publisher.deployment(project, number)
    if record.deployment.final:  # what has ended needs nobody to run
        tell_end(project, plain(record), as_json=as_json)
        return
    follow(here, project, record.deployment, wait=True, limit_seconds=limit, as_json=as_json)


@app.command("cancel")
def cancel(
    project: ProjectArgument,
    number: NumberArgument,
    yes: YesOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel a deployment: before the switch the new side goes, after it the old one comes back."""
    from web.cli.opening import caller, opened
    from web.cli.output import confirm, show

    here = opened(home)
    here.publisher.deployment(project, number)
    confirm(f"Cancel deployment {number} of {project}?", yes=yes)
    here.publisher.cancel(project, number, caller())
    show(
        {"project": project, "number": number},
        f"Deployment {number} of {project} is being cancelled.",
        as_json=as_json,
    )


@app.command("rollback")
def rollback(
    project: ProjectArgument,
    to: Annotated[
        int | None, typer.Option(help="Number of the deployment to go back to; else the one before.")
    ] = None,
    note: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    yes: YesOption = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it until it ends.")] = True,
    limit: Annotated[float, typer.Option(help="How long to follow it, in seconds.")] = 7200.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go back to an earlier deployment. It is a deployment of its own."""
    from web.cli.door import Door
    from web.cli.opening import known_project, opened
    from web.cli.output import confirm
    from web.cli.progress import follow

    here = opened(home)
    known_project(here, project)
    here.require_running("a rollback")
    here.publisher.service(project)
    confirm(f"Bring the online service {project} back to an earlier deployment?", yes=yes)
    asked = Door(here, "a rollback").post(f"/projects/{project}/rollbacks", {"to": to, "note": note})
    follow(here, project, asked, wait=wait, limit_seconds=limit, as_json=as_json)


def _lines(project: str, record: DeploymentRecord) -> list[str]:
    from web.cli.progress import seconds_between, step_line
    from web.plain import plain

    one = record.deployment
    lines = [
        f"Deployment {one.number} of {project}: {one.state.value} {one.outcome}".rstrip(),
        f"asked for by {one.requested_by} ({one.source}) at {one.requested_at:%Y-%m-%d %H:%M:%SZ}",
        f"reason: {one.reason.value}",
        f"snapshot {one.snapshot_number}, configuration {one.configuration_version}",
        f"took {seconds_between(one.requested_at, one.ended_at):.1f} s",
    ]
    lines += [f"note: {one.note}"] if one.note else []
    lines += [f"failure: {one.failure}"] if one.failure else []
    lines += ["", "What changed:", *(f"  {line}" for line in record.diff_lines)] if record.diff_lines else []
    lines += ["", "Steps:", *(f"  {step_line(plain(event))}" for event in record.events)]
    for instance in record.instances:
        for plugin in instance.plugins:
            if not plugin.get("ok"):
                told = str(plugin.get("traceback") or plugin.get("error")).splitlines()
                lines += ["", f"Plugin {plugin.get('name')} did not import on {instance.id}:"]
                lines += [f"  {line}" for line in told]
        if instance.problem:
            lines += [
                "",
                f"Instance {instance.id}: {instance.problem}",
                *(f"  {line}" for line in instance.log_tail),
            ]
    return lines
