"""`stillframe account`: who may sign in at the web door."""

from __future__ import annotations

from typing import Annotated

import typer

from web.cli.options import HomeOption, JsonOption, noun

app = noun("account", "Accounts: who may sign in at the web door.")


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@app.command("list")
def list_all(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the accounts and their roles."""
    from publisher.accounts import Accounts
    from web.cli.opening import opened
    from web.cli.output import table

    found = Accounts(opened(home).control).everyone()
    rows = [(one.name, one.role, one.created_at) for one in found]
    values = [{"name": one.name, "role": one.role, "created_at": one.created_at} for one in found]
    none = "No accounts yet: the first `stillframe up` makes admin."
    table(values, ("NAME", "ROLE", "CREATED"), rows, as_json=as_json, none=none)


@app.command("new-password")
def new_password(
    name: Annotated[str, typer.Argument(help="Name of the account.")] = "admin",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an account a new random password, shown once. The old one ends within a minute."""
    import secrets

    from publisher.accounts import Accounts
    from web.cli.opening import opened
    from web.cli.output import show

    accounts = Accounts(opened(home).control)
    password = secrets.token_urlsafe(18)
    accounts.set_password(accounts.find(name), password)
    show({"name": name, "password": password}, f"The new password of {name} is {password}", as_json=as_json)
