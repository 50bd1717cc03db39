"""`stillframe service secret`: what an engine needs to know and nobody shall read again."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, YesOption, noun
from web.cli.service_configuration import LimitOption, NoteOption, WaitOption, follow_change

app = noun("secret", "Secrets of a service: variables of its engine, kept encrypted and never shown again.")
NameArgument = Annotated[str, typer.Argument(help="Name of the environment variable.")]


@app.command("set")
def set_one(
    project: ProjectArgument,
    name: NameArgument,
    note: NoteOption = "",
    wait: WaitOption = True,
    limit: LimitOption = 7200.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set a secret: its value is asked for, or read from standard input to its end, and never an argument.

    Where something is served this is a deployment.
    """
    from publisher.configurations import Asker
    from web.cli.opening import SOURCE, caller, known_project, opened

    here = opened(home)
    known_project(here, project)
    if here.publisher.configurations.serves(project):
        here.require_running("a change of configuration")
    asker = Asker(caller(), SOURCE, note or f"secret {name} set")
    asked = here.publisher.configurations.set_secret(project, name, _value(name), asker)
    follow_change(here, project, asked, wait=wait, limit=limit, as_json=as_json)


@app.command("list")
def list_all(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List names, versions, when and by whom; and whether each can be opened with the key at hand."""
    from web.cli.opening import opened
    from web.cli.output import table

    found = opened(home).publisher.configurations.secrets(project)
    rows = [(one.name, one.version, one.created_at, one.created_by, one.problem) for one in found]
    none = f"No secrets: stillframe service secret set {project} NAME"
    table(found, ("NAME", "VERSION", "SET", "BY", "PROBLEM"), rows, as_json=as_json, none=none)


@app.command("remove")
def remove(
    project: ProjectArgument,
    name: NameArgument,
    yes: YesOption = False,
    note: NoteOption = "",
    wait: WaitOption = True,
    limit: LimitOption = 7200.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a secret. Where something is served this is a deployment."""
    from publisher.configurations import Asker
    from web.cli.opening import SOURCE, caller, opened
    from web.cli.output import confirm

    here = opened(home)
    if here.publisher.configurations.serves(project):
        here.require_running("a change of configuration")
    confirm(f"Remove secret {name} of {project}?", yes=yes)
    asker = Asker(caller(), SOURCE, note or f"secret {name} removed")
    asked = here.publisher.configurations.remove_secret(project, name, asker)
    follow_change(here, project, asked, wait=wait, limit=limit, as_json=as_json)


def _value(name: str) -> str:
    """From a person without an echo, or from a pipe; there one line's end at the end does not count."""
    if sys.stdin.isatty():
        return str(typer.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.read().removesuffix("\n")
