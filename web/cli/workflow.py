"""`stillframe workflow`: what was saved in the editor, listed, exported, saved and run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, noun

app = noun("workflow", "Workflows saved in a project's editor: list, show, export, save, run; templates.")

NameArgument = Annotated[str, typer.Argument(help="Name of the saved workflow, as `list` prints it.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Write to this file.", dir_okay=False)]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@app.command("list")
def list_all(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the saved workflows: editor format is the editor's own, api is what engines run."""
    from web.cli.opening import opened
    from web.cli.output import size, table
    from web.workflows import saved_workflows

    found = saved_workflows(opened(home), project)
    rows = [
        (one.name, one.format or "unknown", one.nodes, size(one.size_bytes), one.saved_at) for one in found
    ]
    none = f"No workflow is saved. The editor: stillframe workstation open {project}"
    table(found, ("NAME", "FORMAT", "NODES", "SIZE", "SAVED"), rows, as_json=as_json, none=none)


@app.command("show")
def show_one(project: ProjectArgument, name: NameArgument, home: HomeOption = None) -> None:
    """Print a saved workflow as it was saved."""
    from web.cli.opening import opened
    from web.plain import to_json
    from web.workflows import saved_document

    typer.echo(to_json(saved_document(opened(home), project, name)))


@app.command("export")
def export(
    project: ProjectArgument, name: NameArgument, out: OutOption = None, home: HomeOption = None
) -> None:
    """Print a saved workflow in API format, as `deploy --smoke` and the online service take it.

    The workstation must run when it was saved in the editor's format.
    """
    from web.cli.opening import opened, write_file
    from web.plain import to_json
    from web.workflows import exported

    text = to_json(exported(opened(home), project, name))
    if out is None:
        typer.echo(text)
    else:
        write_file(out, text)
        typer.echo(f"{out} holds {name} in API format.")


@app.command("save")
def save(
    project: ProjectArgument,
    file: Annotated[Path, typer.Argument(help="A workflow in either format.")],
    name: Annotated[str | None, typer.Option(help="Its name in the editor; else that of the file.")] = None,
    home: HomeOption = None,
) -> None:
    """Save a file among the project's workflows; the editor lists it."""
    from web.cli.opening import opened, read_document
    from web.workflows import save_document

    chosen = name or file.stem
    save_document(opened(home), project, chosen, read_document(file))
    typer.echo(f"Saved as {chosen}. Open it: stillframe workstation open {project}")


@app.command("run")
def run(
    project: ProjectArgument,
    name: NameArgument,
    save_to: Annotated[
        Path, typer.Option("--save", help="Where the outputs are saved.", file_okay=False)
    ] = Path(),
    limit: Annotated[float, typer.Option(help="How long to wait for the result, in seconds.")] = 3600.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a saved workflow on the workstation and save what it makes."""
    import json

    from web.cli.opening import known_project, opened
    from web.cli.results import finish
    from web.workflows import exported
    from web.workstations import caller_for
    from workstation.workflows import parse_workflow

    here = opened(home)
    read = parse_workflow(json.dumps(exported(here, project, name)))
    caller = caller_for(here.home, known_project(here, project), read)
    finish(caller, caller.run(read.prompt, limit_seconds=limit), save_to, as_json=as_json)


@app.command("templates")
def templates(as_json: JsonOption = False) -> None:
    """List the templates of the editor's gallery."""
    from web.cli.output import table
    from web.workflows import workflow_templates

    found = workflow_templates()
    rows = [(one.name, one.title, " ".join(one.models)) for one in found]
    table(found, ("NAME", "TITLE", "MODELS"), rows, as_json=as_json, none="There are no templates.")
