"""`stillframe model`: the shared models folder. Models are weights and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from web.cli.model_digest import digest
from web.cli.options import HomeOption, JsonOption, noun

app = noun("model", "Models: the weights that all projects of a home share.")


app.command("digest")(digest)


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@app.command("list")
def list_all(
    kind: Annotated[str | None, typer.Option(help="Only this kind, such as checkpoints.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the models with their kinds and sizes."""
    from web.cli.opening import opened
    from web.cli.output import size, table
    from workstation.models import list_models

    here = opened(home)
    found = [model for model in list_models(here.home) if kind in (None, model.kind)]
    rows = [(model.kind, model.name, size(model.size_bytes), model.modified_at) for model in found]
    none = f"No models yet: put weights into the folders of {here.home.models}"
    table(found, ("KIND", "NAME", "SIZE", "MODIFIED"), rows, as_json=as_json, none=none)


@app.command("kinds")
def kinds(as_json: JsonOption = False) -> None:
    """List the kinds of models: the folder of each and what it is for."""
    from web.cli.output import table
    from workstation.models import KINDS

    table(dict(KINDS), ("FOLDER", "FOR"), list(KINDS.items()), as_json=as_json, none="No kinds.")


@app.command("missing")
def missing(
    workflow: Annotated[Path, typer.Argument(help="A workflow in API format.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the models that a workflow wants and the home does not have. Exit code 4 when one is missing."""
    from web.cli.opening import opened, read_workflow
    from web.cli.output import table
    from web.verdicts import NOT_FOUND
    from workstation.models import missing_models

    here = opened(home)
    found = missing_models(here.home, read_workflow(workflow))
    rows = [(one.kind, one.name, here.home.models / one.kind) for one in found]
    table(found, ("KIND", "MISSING", "PUT IT INTO"), rows, as_json=as_json, none="Every model is there.")
    if found:
        raise typer.Exit(NOT_FOUND)
