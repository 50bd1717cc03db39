"""Options and arguments that many commands share, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def complete_project(incomplete: str) -> list[str]:
    """Project names of the home that STILLFRAME_HOME or the working folder gives, for the shell."""
    import os

    from web.settings import home_path

    projects = home_path(None, os.environ) / "projects"
    found = projects.iterdir() if projects.is_dir() else ()
    return sorted(
        entry.name
        for entry in found
        if entry.name.startswith(incomplete) and (entry / "project.toml").is_file()
    )


HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", help="The home folder; else STILLFRAME_HOME, else ./stillframe-home.", file_okay=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer as JSON, errors too.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
ProjectArgument = Annotated[str, typer.Argument(help="Name of the project.", autocompletion=complete_project)]
SnapshotArgument = Annotated[str, typer.Argument(help="A number, the start of an id, or `latest`.")]


def noun(name: str, help_text: str) -> typer.Typer:
    """The sub-command of one noun."""
    return typer.Typer(name=name, help=help_text, no_args_is_help=True, rich_markup_mode=None)
