"""`stillframe project`: make, list, show, remove projects."""

from __future__ import annotations

from typing import Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, YesOption, noun

app = noun("project", "Projects: one workstation and one online service under one name.")


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and inner hyphens.")],
    engine: Annotated[
        str, typer.Option(help="`builtin`, or the path or git URL of a ComfyUI checkout.")
    ] = "builtin",
    commit: Annotated[str | None, typer.Option(help="Commit, tag or branch of the ComfyUI checkout.")] = None,
    base: Annotated[str, typer.Option(help="Named base that the workstation builds on.")] = "default",
    isolated: Annotated[
        bool, typer.Option("--isolated", help="Everything inside the venv, instead of layered over the base.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a project with its workstation."""
    from web.cli.opening import opened
    from web.cli.output import show
    from workstation.engines import EngineChoice
    from workstation.project import create_project, read_project

    here = opened(home, make=True)
    choice = EngineChoice("builtin") if engine == "builtin" else EngineChoice("comfyui", engine, commit)
    create_project(
        here.home, name, engine=choice, base=base, environment="isolated" if isolated else "layered"
    )
    project, file = read_project(here.home, name)
    show(
        file,
        f"Project {name} is made in {project.root}",
        f"Next: stillframe plugin install {name} URL, stillframe workstation start {name}",
        as_json=as_json,
    )


@app.command("list")
def list_all(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the projects of a home."""
    from web.cli.opening import opened
    from web.cli.output import table
    from workstation.process import workstation_state
    from workstation.project import list_projects, read_project

    here = opened(home)
    found = [read_project(here.home, name) for name in list_projects(here.home)]
    rows = [
        (
            file.name,
            file.engine.kind,
            file.base,
            file.environment,
            file.created_at,
            workstation_state(place).status,
        )
        for place, file in found
    ]
    columns = ("NAME", "ENGINE", "BASE", "ENVIRONMENT", "CREATED", "WORKSTATION")
    files = [file for _, file in found]
    table(files, columns, rows, as_json=as_json, none="No projects yet: stillframe project create NAME")


@app.command("show")
def show_one(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show one project and its places."""
    from web.cli.opening import opened
    from web.cli.output import show
    from workstation.engines import engine_version
    from workstation.process import workstation_state
    from workstation.project import read_project

    here = opened(home)
    place, file = read_project(here.home, project)
    state = workstation_state(place)
    version = engine_version(place.workstation)
    stated = version.version or version.commit or ""
    show(
        {"project": file, "root": place.root, "engine_version": version, "workstation": state},
        f"name         {file.name}",
        f"folder       {place.root}",
        f"engine       {version.kind} {stated}",
        f"base         {file.base} ({file.environment})",
        f"created      {file.created_at:%Y-%m-%d %H:%M:%SZ}",
        f"workstation  {state.status.value}",
        as_json=as_json,
    )


@app.command("remove")
def remove(
    project: ProjectArgument, yes: YesOption = False, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Remove a project: its workstation, its snapshots and its service. Models stay."""
    from web.cli.opening import known_project, opened
    from web.cli.output import confirm, show
    from web.projects import remove_everything

    here = opened(home)
    known_project(here, project)
    confirm(f"Remove project {project} with its workstation, snapshots and online service?", yes=yes)
    remove_everything(here, project)
    show({"removed": project}, f"Project {project} is removed.", as_json=as_json)
