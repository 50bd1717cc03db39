"""`stillframe up`: start everything on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from web.cli.options import HomeOption, JsonOption


def add_to(parent: typer.Typer) -> None:
    parent.command("up")(up)


def up(
    port: Annotated[int, typer.Option(help="Port of the web door; 0 for any.")] = 8080,
    gateway_port: Annotated[int, typer.Option(help="Port of the gateway; 0 for any.")] = 8081,
    listen: Annotated[
        str, typer.Option(help="Address to listen on; loopback unless you say otherwise.")
    ] = "127.0.0.1",
    stop_instances: Annotated[
        bool, typer.Option("--stop-instances", help="At the end stop the online instances as well.")
    ] = False,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the browser.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve: web door, gateway and worker in one command, until ctrl-C. Instances outlive it."""
    from web.cli.opening import opened
    from web.settings import hand_over
    from web.supervisor.starting import become_supervisor

    here = opened(home, make=True)
    become_supervisor(
        here.home.root,
        settings=hand_over(here.home.root, here.chosen.platform),
        listen=listen,
        port=port,
        gateway_port=gateway_port,
        stop_instances=stop_instances,
        open_browser=open_browser,
        as_json=as_json,
    )
