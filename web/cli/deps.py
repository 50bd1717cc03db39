"""`stillframe deps`: the Python packages of a workstation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, YesOption, noun

if TYPE_CHECKING:
    from workstation.dependencies.plan import Plan

app = noun("deps", "Python packages of a workstation.")
Requirements = Annotated[
    list[str], typer.Argument(help="Requirements as pip writes them, wheel files, or a requirements.txt.")
]
AcceptOption = Annotated[
    list[str] | None,
    typer.Option("--accept", help="A protected package that may be changed, such as torch. Repeatable."),
]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@app.command("list")
def list_all(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List installed packages and where each comes from: the workstation or its base."""
    from web.cli.opening import opened
    from web.cli.output import table
    from web.workstations import list_packages

    found = list_packages(opened(home), project)
    rows = [(one.name, one.version, one.layer, one.shadows) for one in found]
    table(found, ("PACKAGE", "VERSION", "FROM", "HIDES"), rows, as_json=as_json, none="No packages.")


@app.command("plan")
def plan(
    project: ProjectArgument, requirements: Requirements, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Tell what installing would add, change and break. Changes nothing."""
    from web.cli.opening import opened
    from web.cli.output import show
    from web.workstations import plan_packages

    made = plan_packages(opened(home), project, requirements)
    show(made, *lines_of(made), as_json=as_json)


@app.command("add")
def add(
    project: ProjectArgument,
    requirements: Requirements,
    accept: AcceptOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Install packages, or change nothing."""
    from web.cli.opening import opened
    from web.cli.output import show
    from web.workstations import add_packages

    made = add_packages(opened(home), project, requirements, accept=tuple(accept or ()))
    show(made, *lines_of(made), "Done. A running workstation uses it after a restart.", as_json=as_json)


@app.command("remove")
def remove(
    project: ProjectArgument,
    packages: Annotated[list[str], typer.Argument(help="Names of packages.")],
    yes: YesOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove packages from the workstation, or change nothing."""
    from web.cli.opening import opened
    from web.cli.output import confirm, show
    from web.workstations import remove_packages

    here = opened(home)
    confirm(f"Remove {', '.join(packages)} from {project}?", yes=yes)
    remove_packages(here, project, packages)
    show({"removed": packages}, f"Removed {', '.join(packages)}.", as_json=as_json)


def lines_of(plan: Plan) -> list[str]:
    """A plan for people."""
    lines = [f"+ {name} {version}" for name, version in plan.added.items()]
    lines += [
        f"~ {one.name} {one.old} -> {one.new}{' (the base keeps its own)' if one.in_base else ''}"
        for one in plan.changed
    ]
    lines += [f"- {name} {version}" for name, version in plan.removed.items()]
    lines += [f"! {conflict}" for conflict in plan.conflicts]
    return lines or ["Everything is installed already."]
