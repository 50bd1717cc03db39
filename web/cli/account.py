"""`stillframe account` and `stillframe audit`: who may sign in at the web door, and who did what.

Accounts are written straight to the control database, so that they can be mended while nothing runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.options import HomeOption, JsonOption, YesOption, noun

if TYPE_CHECKING:
    from publisher.accounts import Accounts, Role
    from web.installation import Installation

app = noun("account", "Accounts: who may sign in at the web door, and what each may do.")
NameArgument = Annotated[str, typer.Argument(help="Name of the account.")]
ROLES = "viewer (reads), developer (changes and deploys) or admin (everything)"
PASSWORD_BYTES = 18


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)
    parent.command("audit")(audit)


@app.command("list")
def list_all(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the accounts and their roles."""
    from web.cli.opening import opened
    from web.cli.output import table

    found = _accounts(opened(home)).everyone()
    rows = [(one.name, one.role, one.created_at) for one in found]
    values = [{"name": one.name, "role": one.role, "created_at": one.created_at} for one in found]
    none = "No accounts yet: the first `stillframe up` makes admin."
    table(values, ("NAME", "ROLE", "CREATED"), rows, as_json=as_json, none=none)


@app.command("add")
def add(
    name: NameArgument,
    role: Annotated[str, typer.Option(help=ROLES)] = "viewer",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an account with a random password, shown once."""
    import secrets

    from web.cli.opening import opened
    from web.cli.output import show

    here, password = opened(home), secrets.token_urlsafe(PASSWORD_BYTES)
    made = _accounts(here).create(name, _role(role), password)
    _record(here, "account.create", name)
    value = {"name": made.name, "role": made.role, "password": password}
    show(
        value, f"Account {name} ({made.role}) is made. Its password, shown once: {password}", as_json=as_json
    )


@app.command("role")
def change_role(
    name: NameArgument,
    role: Annotated[str, typer.Argument(help=ROLES)],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an account another role, which counts from its next call on."""
    from web.cli.opening import opened
    from web.cli.output import show

    here = opened(home)
    changed = _accounts(here).set_role(name, _role(role))
    _record(here, "account.change", name)
    value = {"name": changed.name, "role": changed.role}
    show(value, f"{name} has the role {changed.role} now", as_json=as_json)


@app.command("new-password")
def new_password(
    name: NameArgument = "admin",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an account a new random password, shown once. It is signed out everywhere."""
    import secrets

    from web.cli.opening import opened
    from web.cli.output import show

    here, password = opened(home), secrets.token_urlsafe(PASSWORD_BYTES)
    accounts = _accounts(here)
    accounts.set_password(accounts.find(name), password)
    _record(here, "account.change", name)
    show({"name": name, "password": password}, f"The new password of {name} is {password}", as_json=as_json)


@app.command("remove")
def remove(
    name: NameArgument, yes: YesOption = False, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Remove an account with its API keys and sessions. What it did stays on record."""
    from web.cli.opening import opened
    from web.cli.output import confirm, show

    here = opened(home)
    accounts = _accounts(here)
    accounts.find(name)
    confirm(f"Remove account {name} with its API keys?", yes=yes)
    accounts.remove(name)
    _record(here, "account.remove", name)
    show({"removed": name}, f"Account {name} is removed", as_json=as_json)


def audit(
    limit: Annotated[
        int, typer.Option("--limit", "-n", help="How many lines, the newest first.", min=1)
    ] = 50,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who changed what, from where, and how it ended."""
    from web.cli.opening import opened
    from web.cli.output import table
    from web.signin.audit import Audit

    found = Audit(opened(home).control).latest(limit)
    rows = [(one.at, one.by, one.source, one.address, one.action, one.subject, one.outcome) for one in found]
    columns = ("WHEN", "BY", "THROUGH", "FROM", "ACTION", "SUBJECT", "OUTCOME")
    table(found, columns, rows, as_json=as_json, none="Nothing was changed through the web door so far.")


def _accounts(here: Installation) -> Accounts:
    from publisher.accounts import Accounts

    return Accounts(here.control)


def _role(given: str) -> Role:
    from publisher.accounts import Role
    from web.errors import RequestRefused

    try:
        return Role(given)
    except ValueError:
        raise RequestRefused(f"{given!r} is no role", [f"choose one of {ROLES}"]) from None


def _record(here: Installation, action: str, subject: str) -> None:
    from web.cli.opening import SOURCE, caller
    from web.signin.audit import DONE, Audit, Deed

    Audit(here.control).record(Deed(caller(), SOURCE, "this machine", action, subject), DONE)
