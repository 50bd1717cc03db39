"""A platform with accounts whose passwords are known, and the form that signs in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from publisher.accounts import Accounts, Role
from publisher.db.control import open_control
from publisher.settings import Settings
from tests.browser.visitor import Visitor
from tests.running_platform import QUICK, Platform, running
from workstation.home import open_home

PASSWORD = "a browser's password"
ADMIN, DEVELOPER, VIEWER = "admin", "dora", "vera"
ROLES = {ADMIN: Role.ADMIN, DEVELOPER: Role.DEVELOPER, VIEWER: Role.VIEWER}


@contextlib.contextmanager
def platform_at(folder: Path, settings: Mapping[str, object] = QUICK) -> Iterator[Platform]:
    """A platform that is up, with an account of each role; all have the password PASSWORD."""
    home = open_home(folder / "home")
    control = open_control(Settings().control_database(home))
    for name, role in ROLES.items():
        Accounts(control).create(name, role, PASSWORD)
    control.close()
    with running(folder, settings) as up:
        yield up


def sign_in(visitor: Visitor, name: str, password: str) -> None:
    """Sign in as the form does, without looking at it."""
    fields = {"name": name, "password": password, "next": "/console/favicon.svg"}
    origin = {"Origin": visitor.url}
    answer = visitor.context.request.post(f"{visitor.url}/signin", form=fields, headers=origin)
    assert answer.ok, answer.text()
