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
    """List the models with their kinds, their sizes, and the saved workflows that name them."""
    from web.cli.opening import opened
    from web.cli.output import size, table
    from web.plain import plain
    from workstation.model_use import used_by
    from workstation.models import list_models

    here = opened(home)
    found = [model for model in list_models(here.home) if kind in (None, model.kind)]
    used = used_by(here.home, found)
    rows = [
        (one.kind, one.name, size(one.size_bytes), one.modified_at, _some(used.get((one.kind, one.name), [])))
        for one in found
    ]
    values = [{**plain(one), "used_by": used.get((one.kind, one.name), [])} for one in found]
    none = f"No models yet: stillframe model add URL --kind KIND, or put weights below {here.home.models}"
    table(values, ("KIND", "NAME", "SIZE", "MODIFIED", "USED BY"), rows, as_json=as_json, none=none)


@app.command("add")
def add(
    source: Annotated[str, typer.Argument(help="An http, https or file URL, or a path.")],
    kind: Annotated[str, typer.Option(help="The kind, such as checkpoints; see: stillframe model kinds.")],
    name: Annotated[str | None, typer.Option(help="Name below the kind's folder; else the source's.")] = None,
    sha256: Annotated[str | None, typer.Option(help="What the bytes must be; else nothing is kept.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of another file.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a model into the shared folder. What was cut off goes on when the command is repeated."""
    from web.cli.opening import opened
    from web.cli.output import show, size
    from workstation.arrivals.download import add_model

    here = opened(home)
    digest = sha256.lower() if sha256 else None
    done = add_model(here.home, kind, source, name=name, sha256=digest, replace_it=replace)
    show(done, f"{done.kind}/{done.name} is there: {size(done.size_bytes)}.", as_json=as_json)


@app.command("kinds")
def kinds(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the kinds of models: the folder of each, what it is for, and what lies in it."""
    from web.cli.opening import opened
    from web.cli.output import size, table
    from workstation.model_use import kinds_in_use
    from workstation.models import list_models

    found = kinds_in_use(list_models(opened(home).home))
    rows = [(one.kind, one.purpose, one.models, size(one.size_bytes)) for one in found]
    table(found, ("FOLDER", "FOR", "MODELS", "SIZE"), rows, as_json=as_json, none="No kinds.")


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


def _some(names: list[str]) -> str:
    """The first of them, and how many more there are."""
    return "" if not names else names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
