"""`stillframe demo`: the whole story on a tiny model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(parent: typer.Typer) -> None:
    parent.command("demo")(demo)


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End when the story is told: 0 when all held.")
    ] = False,
    home: Annotated[Path, typer.Option(help="Home of the demo.", file_okay=False)] = Path("demo-home"),
    port: Annotated[int, typer.Option(help="Port of the web door; 0 for any.")] = 8080,
    gateway_port: Annotated[int, typer.Option(help="Port of the gateway; 0 for any.")] = 8081,
) -> None:
    """Make, run, deploy, call, edit, deploy again, roll back.

    On a tiny random model, each step with its time. Then serve.
    """
    from web.demo.story import tell

    raise typer.Exit(tell(home.absolute(), once=once, port=port, gateway_port=gateway_port))
