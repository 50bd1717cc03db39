"""`stillframe base`: the interpreters and packages that workstations build on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from web.cli.options import HomeOption, JsonOption, noun

app = noun("base", "Bases: an interpreter and its packages, named, that workstations build on.")


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@app.command("list")
def list_all(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the bases. `default` is the environment that runs this program."""
    from web.cli.opening import opened
    from web.cli.output import table
    from workstation.bases import DEFAULT, list_bases, read_base

    here = opened(home)
    found = [read_base(here.home, name) for name in sorted({DEFAULT, *list_bases(here.home)})]
    rows = [
        (base.name, base.python_version, len(base.distributions), base.fingerprint[:12], base.python)
        for base in found
    ]
    columns = ("BASE", "PYTHON", "PACKAGES", "FINGERPRINT", "INTERPRETER")
    table(found, columns, rows, as_json=as_json, none="No bases yet.")


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and inner hyphens.")],
    python: Annotated[Path, typer.Argument(help="Its interpreter, such as /opt/comfy/venv/bin/python.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record an environment as a base, in place of an older record of that name. Nothing is copied yet."""
    from web.cli.opening import opened
    from web.cli.output import show
    from workstation.bases import add_base

    base = add_base(opened(home, make=True).home, name, python)
    told = f"Base {name}: Python {base.python_version} with {len(base.distributions)} packages"
    show(base, told, f"Next: stillframe project create NAME --base {name}", as_json=as_json)
