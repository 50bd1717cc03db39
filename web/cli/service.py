"""`stillframe service`: the online side of a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from web.cli import service_configuration, service_secret, service_usage
from web.cli.options import HomeOption, JsonOption, ProjectArgument, YesOption, noun

if TYPE_CHECKING:
    from publisher.history import ServiceView

app = noun("service", "Online services: what serves, its configuration, its tokens, calls to it.")
tokens = noun("token", "Tokens of a service: what callers authorise themselves with.")
app.add_typer(tokens)
app.add_typer(service_configuration.app)
app.add_typer(service_secret.app)
service_usage.add_to(app)


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@app.command("show")
def show_one(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show what serves now, the wanted and running snapshot, the endpoint."""
    from web.cli.opening import opened
    from web.cli.output import show
    from web.services import endpoint

    here = opened(home)
    view = here.publisher.service(project)
    address = endpoint(here, project)
    lines = [f"{name:<15} {value}" for name, value in overview(view)]
    show(
        {"service": view, "endpoint": address},
        *lines,
        f"{'endpoint':<15} {address or 'nobody serves it: run stillframe up'}",
        as_json=as_json,
    )


@app.command("list")
def list_all(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the services of a home."""
    from web.cli.opening import opened
    from web.cli.output import show

    found = opened(home).publisher.services()
    lines = ["  ".join(f"{name}={value}" for name, value in flat(view)) for view in found]
    show(found, *(lines or ["No services yet: stillframe deploy PROJECT"]), as_json=as_json)


@app.command("configure")
def configure(
    project: ProjectArgument,
    changes: Annotated[
        list[str] | None, typer.Argument(help="NAME=VALUE, such as instances_minimum=2.")
    ] = None,
    note: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the deployment that it is.")] = True,
    limit: Annotated[float, typer.Option(help="How long to follow it, in seconds.")] = 7200.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the configuration, or change it. A change is a deployment."""
    from web.cli.opening import SOURCE, caller, opened, pairs
    from web.cli.output import show

    here = opened(home)
    if not changes:
        view = here.publisher.service(project)
        show(view.configuration, *service_configuration.told(view.configuration), as_json=as_json)
        return
    wanted = pairs(changes, "configure")
    here.require_running("a change of configuration")
    asked = here.publisher.configure(project, wanted, by=caller(), source=SOURCE, note=note)
    service_configuration.follow_change(here, project, asked, wait=wait, limit=limit, as_json=as_json)


@app.command("stop")
def stop(
    project: ProjectArgument, yes: YesOption = False, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Stop all instances of a service. Its next deployment starts it again."""
    from web.cli.opening import opened
    from web.cli.output import confirm, show

    here = opened(home)
    here.publisher.service(project)
    here.require_running("stopping a service")
    confirm(f"Stop the online service {project}? Calls to it will be refused.", yes=yes)
    here.publisher.stop_service(project)
    show({"stopped": project}, f"Service {project} is being stopped.", as_json=as_json)


@app.command("call")
def call(
    project: ProjectArgument,
    workflow: Annotated[Path, typer.Argument(help="A workflow in API format.")],
    token: Annotated[str, typer.Option(envvar="STILLFRAME_TOKEN", help="A token of the service.")],
    save: Annotated[Path, typer.Option(help="Where the outputs are saved.", file_okay=False)] = Path(),
    limit: Annotated[float, typer.Option(help="How long to wait for the result, in seconds.")] = 3600.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a workflow online, through the gateway, and save what it makes."""
    from web.cli.opening import opened, read_workflow
    from web.cli.results import finish
    from web.services import caller_for

    here, read = opened(home), read_workflow(workflow)
    caller = caller_for(here, project, token)
    finish(caller, caller.run(read.prompt, limit_seconds=limit), save, as_json=as_json)


@tokens.command("create")
def create_token(
    project: ProjectArgument,
    name: Annotated[str, typer.Argument(help="Who or what will use it.")] = "default",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token. It is shown once and stored hashed."""
    from web.cli.opening import known_project, opened
    from web.cli.output import show

    here = opened(home)
    known_project(here, project)
    view, secret = here.publisher.create_token(project, name)
    show({"id": view.id, "name": view.name, "token": secret}, secret, as_json=as_json)
    if not as_json:
        typer.echo(
            f"Token {view.id} ({view.name}) is shown this once. Send it as the header Authorization.",
            err=True,
        )


@tokens.command("list")
def list_tokens(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the tokens of a service, revoked ones too."""
    from web.cli.opening import opened
    from web.cli.output import table

    found = opened(home).publisher.tokens(project)
    rows = [(one.id, one.name, one.created_at, one.revoked_at) for one in found]
    none = f"No tokens yet: stillframe service token create {project}"
    table(found, ("ID", "NAME", "CREATED", "REVOKED"), rows, as_json=as_json, none=none)


@tokens.command("revoke")
def revoke_token(
    project: ProjectArgument,
    token_id: Annotated[str, typer.Argument(help="Id of the token.")],
    yes: YesOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a token: calls with it are refused from now on."""
    from web.cli.opening import opened
    from web.cli.output import confirm, show

    here = opened(home)
    confirm(f"Revoke token {token_id} of {project}?", yes=yes)
    here.publisher.revoke_token(project, token_id)
    show({"revoked": token_id}, f"Token {token_id} is revoked.", as_json=as_json)


def overview(view: ServiceView) -> list[tuple[str, str]]:
    """What a person asks first of a service: what serves, how many of how many, since when."""
    from web.cli.output import cell

    serving, active = view.serving, view.active
    live = [instance for instance in view.instances if instance.stopped_at is None]
    smoke = view.configuration.get("smoke_workflow")
    return [
        ("service", view.name),
        (
            "serves",
            f"snapshot {serving.snapshot_number} ({serving.snapshot_id[:12]})" if serving else "nothing yet",
        ),
        ("since", f"deployment {serving.number}" if serving else "-"),
        ("instances", f"{view.instances_accepting} of {view.instances_wanted} accept calls"),
        *(("", f"{one.id}  {cell(one.state)}  snapshot {one.snapshot_number}") for one in live),
        *([("halted", f"{view.halted.why}: stillframe service resume {view.name}")] if view.halted else []),
        *([("problem", view.fleet_problem)] if view.fleet_problem else []),
        ("configuration", f"version {view.configuration_version}"),
        *(("not protected", sentence) for sentence in view.unprotected),
        (
            "smoke workflow",
            f"{len(smoke)} nodes" if smoke else "none: a deployment proves start and imports only",
        ),
        ("deploying", f"deployment {active.number}: {active.state.value}" if active else "-"),
        *([("stopped", cell(view.stopped_at))] if view.stopped_at else []),
    ]


def flat(view: object) -> list[tuple[str, str]]:
    """The fields of a view with their values, for people."""
    from web.cli.output import cell
    from web.plain import plain

    values = plain(view)
    return [(name, cell(value)) for name, value in values.items() if not isinstance(value, dict) or value]
